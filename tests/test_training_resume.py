"""An interrupted run ends as an uninterrupted one; a diverged one is reported."""

import math

import pytest
import torch
from torch import nn
from training_models import (
    CPU,
    Constant,
    Interrupted,
    Regression,
    penalized,
    points,
    trained,
    weights,
)

from companion import checkpoints
from companion.training import History, Run, TrainingDiverged, fit

# --- resuming ---


def same_class(model):
    # The name of the class is part of a checkpoint.
    model.__class__ = type("Regression", (type(model),), {})
    return model


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
    assert {"adam.0.exp_avg", "model.linear.weight"} <= set(tensors)
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


def test_a_file_of_another_kind_is_not_overwritten(tmp_path):
    path = tmp_path / "weights"
    checkpoints.save(path, Regression().state_dict())
    with pytest.raises(ValueError, match="was not written by fit"):
        trained(run=Run(device="cpu", checkpoint=path))
    path.write_text("a diary")
    with pytest.raises(ValueError, match="not a safetensors file"):
        trained(run=Run(device="cpu", checkpoint=path))
    assert path.read_text() == "a diary"


def test_a_folder_and_a_missing_folder_are_refused(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder"):
        trained(run=Run(device="cpu", checkpoint=tmp_path))
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        trained(run=Run(device="cpu", checkpoint=tmp_path / "no" / "run"))


# --- divergence ---


class Explodes(Constant):
    def __init__(self, after):
        super().__init__()
        self.after = after

    def forward(self, x, *, generator=None):
        self.after -= self.training
        return super().forward(x) + (math.nan if self.after < 0 else 0)


def test_a_loss_that_is_not_finite_ends_the_training(tmp_path):
    run = Run(device="cpu", progress=False, checkpoint=tmp_path / "run")
    model = Explodes(after=3)
    with pytest.raises(TrainingDiverged, match=r"diverged in epoch 2: the mean loss is nan") as e:
        fit(model, torch.ones(4), batch_size=2, epochs=5, learning_rate=0.5, run=run)
    assert "Try a smaller learning_rate (now 0.5)" in str(e.value)
    assert isinstance(e.value.history, History)
    assert e.value.history.train["loss"][0] == 1
    assert math.isnan(e.value.history.train["loss"][1])
    assert model.training
    tensors, _ = checkpoints.load(run.checkpoint)  # the last good epoch
    assert tensors["curve.train.loss"].tolist() == [1]


def test_weights_that_are_not_finite_end_the_training():
    class Steep(Constant):
        def forward(self, x, *, generator=None):
            return x * self.weight

    with pytest.raises(TrainingDiverged, match="not all weights are finite"):
        # The only step makes the weight infinite, after the last loss was seen.
        fit(Steep(), torch.ones(3), epochs=1, batch_size=3, learning_rate=3e38, run=CPU)


def test_divergence_of_a_vae_is_reported_as_such():
    from companion.likelihoods import Gaussian
    from companion.networks import MLPDecoder, MLPEncoder
    from companion.priors import StandardNormal
    from companion.vae import VAE, negative_elbo

    vae = VAE(MLPEncoder((3,), 2), MLPDecoder(2, (3,)), Gaussian(), StandardNormal(2))
    with pytest.raises(TrainingDiverged):
        fit(vae, points()[0], loss=negative_elbo, epochs=3, learning_rate=1e6, run=CPU)
