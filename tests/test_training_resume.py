"""An interrupted run ends as an uninterrupted one; a file of another run is refused."""

import math

import pytest
import torch
from torch import nn
from training_models import (
    Constant,
    Interrupted,
    Regression,
    penalized,
    points,
    same_class,
    trained,
    weights,
)

from companion.likelihoods import Gaussian
from companion.networks import MLPDecoder, MLPEncoder
from companion.priors import StandardNormal
from companion.training import Run, _resume, checkpoints, fit
from companion.vae import VAE, negative_elbo


@pytest.mark.parametrize("kind", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("at", [0, 3, 7, 12, 27])  # an epoch has 7 steps
def test_an_interrupted_run_ends_with_the_same_bits(tmp_path, at, kind):
    run = Run(device="cpu", progress=False, checkpoint=tmp_path / "run.safetensors")
    unseen = points(20, seed=2)
    expected, curves = trained(heldout=unseen)
    model = same_class(Interrupted(at, kind))
    with pytest.raises(kind):
        trained(model=model, heldout=unseen, run=run)
    model.left = 10**9
    if at > 5:  # a new process has a new model, with other weights
        model = Regression(noise=0.1, norm=True)
        nn.init.normal_(model.linear.weight)
    _, history = trained(model=model, heldout=unseen, run=run)
    assert torch.equal(weights(model), weights(expected))
    assert history == curves
    assert list(history.train) == list(curves.train)


def test_two_interruptions(tmp_path):
    run = Run(device="cpu", progress=False, checkpoint=str(tmp_path / "run"))
    expected, curves = trained()
    for at in (10, 10):
        with pytest.raises(KeyboardInterrupt):
            trained(model=same_class(Interrupted(at)), run=run)
    model, history = trained(run=run)
    assert torch.equal(weights(model), weights(expected))
    assert history == curves


def test_more_epochs_continue_and_a_finished_run_returns_at_once(tmp_path):
    run = Run(device="cpu", progress=False, checkpoint=tmp_path / "run")
    expected, curves = trained(epochs=4)
    trained(epochs=2, run=run)
    model, history = trained(epochs=4, run=run)
    assert torch.equal(weights(model), weights(expected))
    assert history == curves
    content = run.checkpoint.read_bytes()
    again = same_class(Interrupted(at=0))
    _, history = trained(model=again, epochs=4, run=run)
    assert torch.equal(weights(again), weights(expected))
    assert history == curves
    assert run.checkpoint.read_bytes() == content


def test_the_checkpoint_is_no_pickle_and_has_the_curves(tmp_path):
    run = Run(device="cpu", progress=False, checkpoint=tmp_path / "run")
    _, history = trained(run=run)
    tensors, metadata = checkpoints.load(run.checkpoint)
    assert metadata["epochs"] == 4
    assert tensors["curve.train.loss"].tolist() == history.train["loss"]
    assert {"optimizer.state.0.exp_avg", "model.linear.weight"} <= set(tensors)
    assert list(tmp_path.iterdir()) == [run.checkpoint]


class Wider(Regression):
    def __init__(self):
        super().__init__()
        self.more = nn.Parameter(torch.zeros(2))


def frozen():
    model = Regression(noise=0.1, norm=True)
    model.linear.bias.requires_grad_(False)
    return model


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 9}, r"with batch_size = 8, but now batch_size = 9\. Undo the change"),
        ({"learning_rate": 0.03}, r"learning_rate = 0.02, but now learning_rate = 0.03"),
        ({"seed": 4}, r"with seed = 3, but now seed = 4"),
        ({"epochs": 1}, r"after 2 epochs, but now epochs = 1"),
        ({"data": points(seed=9)}, r"with data = 50 examples \(\w+\), but now data = 50 ex"),
        ({"data": points(49)}, r"but now data = 49 examples"),
        ({"heldout": points(20)}, r"with heldout = none, but now heldout = 20 examples"),
        ({"model": Wider()}, r"with model = Regression of .*, but now model = Wider of"),
        ({"model": frozen()}, r"with model = Regression of .*, but now model = Regression"),
        ({"loss": lambda a: 2 * penalized(a)}, r"same weights it is now .*forward or loss"),
        ({"model": Regression(noise=5.0, norm=True)}, r"forward or loss has changed"),
        ({"autocast": torch.bfloat16}, r"with autocast = None, but now autocast = torch.bf"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path, changes, message):
    path = tmp_path / "run"
    run = Run(device="cpu", progress=False, checkpoint=path)
    trained(epochs=2, run=run)
    content = path.read_bytes()
    model = changes.pop("model", Regression(noise=0.1, norm=True))
    before = weights(model)
    autocast = changes.pop("autocast", None)
    run = Run(device="cpu", progress=False, checkpoint=path, autocast=autocast)
    with pytest.raises(ValueError, match=message) as caught:
        trained(model=model, run=run, **{"epochs": 3, **changes})
    assert "delete the file or name another" in str(caught.value)
    assert torch.equal(weights(model), before)
    assert path.read_bytes() == content


class Signed(Constant):
    sign = 1

    def forward(self, x, *, generator=None):
        return self.sign * (x - self.weight) ** 2


@pytest.mark.parametrize("size", [0.02, 1.0, 50.0])
def test_a_loss_of_another_sign_is_refused_however_small(tmp_path, size):
    run = Run(device="cpu", progress=False, checkpoint=tmp_path / "run")
    data = torch.full((20,), size)
    fit(Signed(), data, epochs=2, learning_rate=1e-6, run=run)
    flipped = Signed()
    flipped.sign = -1
    with pytest.raises(ValueError, match="forward or loss has changed"):
        fit(flipped, data, epochs=3, learning_rate=1e-6, run=run)


@pytest.mark.parametrize(
    ("saved", "now", "scale", "same"),
    [
        (4e-4, -4e-4, 4e-4, False),
        (4e-4, 4.0001e-4, 4e-4, True),
        (1e-6, 3e-6, 5.0, True),  # a mean near zero of losses of both signs, rounded otherwise
        (1e-6, 0.1, 5.0, False),
        (0.0, 1e-12, 1e-12, True),
        (math.nan, math.nan, math.nan, True),
        (math.nan, 1.0, math.nan, False),
        (1.0, math.nan, 1.0, False),
        (math.inf, math.inf, math.inf, True),
        (math.inf, 1.0, math.inf, False),
    ],
)
def test_two_losses_are_the_same_up_to_rounding(saved, now, scale, same):
    assert _resume._same_number(saved, now, scale) is same


def test_a_loss_that_is_nan_before_and_after_is_the_same(tmp_path):
    class NoEvaluation(Constant):
        def forward(self, x, *, generator=None):
            return super().forward(x) + (0 if self.training else math.nan)

    run = Run(device="cpu", progress=False, checkpoint=tmp_path / "run")
    fit(NoEvaluation(), torch.ones(4), epochs=1, run=run)
    history = fit(NoEvaluation(), torch.ones(4), epochs=2, run=run)
    assert history.train == {"loss": [1, 1]}


def test_dropout_is_under_the_seed_and_resumes_with_the_same_bits(tmp_path):
    class Drops(Regression):
        def __init__(self):
            super().__init__()
            self.norm = nn.Dropout(0.5)

    run = Run(device="cpu", progress=False, checkpoint=tmp_path / "run")
    torch.manual_seed(1)
    expected, curves = trained(model=Drops())
    torch.manual_seed(2)
    trained(model=Drops(), epochs=2, run=run)
    model, history = trained(model=Drops(), run=run)
    assert torch.equal(weights(model), weights(expected))
    assert history == curves
    other, _ = trained(model=Drops(), seed=4)
    assert not torch.equal(weights(other), weights(expected))


def small_vae():
    torch.manual_seed(0)
    decoder = MLPDecoder(2, (3,), (8,))
    return VAE(MLPEncoder((3,), 2, (8,)), decoder, Gaussian(), StandardNormal(2))


def test_the_whole_loop_on_the_device_that_was_asked_for(tmp_path, device):
    def train(epochs, checkpoint=None):
        vae = small_vae()
        unseen = points(20, seed=2)[0]
        run = Run(device=device, progress=False, checkpoint=checkpoint)
        settings = {"loss": negative_elbo, "batch_size": 8, "learning_rate": 0.01}
        return vae, fit(vae, points()[0], epochs=epochs, heldout=unseen, run=run, **settings)

    whole, curves = train(6)
    train(2, tmp_path / "run")
    resumed, history = train(6, tmp_path / "run")
    assert {weight.device.type for weight in resumed.parameters()} == {device.type}
    # A GPU may add in another order: the bits are compared on the CPU alone, above.
    torch.testing.assert_close(weights(resumed), weights(whole), rtol=1e-3, atol=1e-4)
    for kind in ("train", "heldout"):
        there, here = getattr(history, kind), getattr(curves, kind)
        assert list(there) == ["log_likelihood", "kl", "loss"]
        for name, curve in there.items():
            assert curve == pytest.approx(here[name], rel=1e-3, abs=1e-4)
    assert history.train["loss"][-1] < history.train["loss"][0]


def test_a_file_of_another_kind_is_not_overwritten(tmp_path):
    path = tmp_path / "weights"
    checkpoints.save(path, Regression().state_dict())
    with pytest.raises(ValueError, match="was not written by fit or loop"):
        trained(run=Run(device="cpu", checkpoint=path))
    path.write_text("a diary")
    with pytest.raises(ValueError, match="not a safetensors file"):
        trained(run=Run(device="cpu", checkpoint=path))
    assert path.read_text() == "a diary"


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors, facts: tensors.update({"optimizer.unknown": torch.ones(2)}),
        lambda tensors, facts: tensors.update({"optimizer.state.unknown.step": torch.ones(2)}),
        lambda tensors, facts: tensors.update({"model.unknown": torch.ones(2)}),
        lambda tensors, facts: tensors.pop("first.loss"),
        lambda tensors, facts: tensors.pop("curve.train.loss"),
        lambda tensors, facts: facts["curves"]["train"].append("unknown"),
        lambda tensors, facts: facts.update(epochs=None),
        lambda tensors, facts: facts.update(epochs=-1),
        lambda tensors, facts: facts.update(curves=None),
        lambda tensors, facts: facts.pop("settings"),
    ],
)
def test_a_checkpoint_with_an_unknown_or_missing_entry_is_refused(tmp_path, change):
    run = Run(device="cpu", progress=False, checkpoint=tmp_path / "run")
    trained(epochs=1, run=run)
    tensors, facts = checkpoints.load(run.checkpoint)
    change(tensors, facts)
    checkpoints.save(run.checkpoint, tensors, **facts)
    model = Regression(noise=0.1, norm=True)
    before = weights(model)
    with pytest.raises(ValueError, match=r"[Dd]elete the file or name another"):
        trained(epochs=2, model=model, run=run)
    assert torch.equal(weights(model), before)


def test_a_folder_and_a_missing_folder_are_refused(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder"):
        trained(run=Run(device="cpu", checkpoint=tmp_path))
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        trained(run=Run(device="cpu", checkpoint=tmp_path / "no" / "run"))
