"""The loop with steps of one's own: several optimizers, schedules, averages, ranks, graphs."""

import inspect
import math
import os
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from training_models import (
    CPU,
    Interrupted,
    Regression,
    error,
    order_of,
    points,
    same_class,
    trained,
    weights,
)

from companion import pretrained
from companion._require.training import check_share
from companion.training import (
    Run,
    WeightAverage,
    _graph,
    checkpoints,
    cosine,
    descend,
    fit,
    generator_for,
    loop,
    steps,
)
from companion.training._state import pack, unpack
from companion.training.distributed import Ranks
from companion.training.fit import Objective

# --- a game: two players, two optimizers, an average ---


class Game:
    """A small GAN; its step is what a chapter writes."""

    def __init__(self):
        torch.manual_seed(0)
        self.generator = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 3))
        self.discriminator = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.2), nn.Linear(8, 1))
        self.average = WeightAverage(self.generator, decay=0.9)
        self.adams = [
            torch.optim.Adam(player.parameters(), lr=0.01, betas=(0.5, 0.9))
            for player in (self.generator, self.discriminator)
        ]
        self.calls_left = math.inf

    def state(self):
        players = {"generator": self.generator, "discriminator": self.discriminator}
        return {**players, "average": self.average, "g": self.adams[0], "d": self.adams[1]}

    def step(self, batch, noise):
        self.calls_left -= 1
        if self.calls_left < 0:
            raise KeyboardInterrupt
        (x,) = batch
        fake = self.generator(torch.randn(len(x), 2, generator=noise))
        real_loss = F.softplus(-self.discriminator(x)) + F.softplus(
            self.discriminator(fake.detach())
        )
        descend(real_loss.squeeze(1), self.adams[1])
        fake_loss = F.softplus(-self.discriminator(fake)).squeeze(1)
        descend(fake_loss, self.adams[0], max_norm=1.0)
        self.average.update(self.generator)
        return {"discriminator": real_loss.squeeze(1), "generator": fake_loss}

    def play(self, epochs, checkpoint=None):
        run = Run(progress=False, checkpoint=checkpoint)
        data = points(30)[0]
        return loop(self.step, self.state(), data, epochs=epochs, batch_size=8, run=run)


def everything(game):
    return pack(game.state())[0]


@pytest.mark.parametrize("at", [1, 6, 11])
def test_a_game_resumes_with_the_same_bits(tmp_path, at):
    whole, broken = Game(), Game()
    curves = whole.play(4)
    broken.calls_left = at
    with pytest.raises(KeyboardInterrupt):
        broken.play(4, tmp_path / "game")
    resumed = Game()
    nn.init.normal_(resumed.discriminator[0].weight)
    assert resumed.play(4, tmp_path / "game") == curves
    there, expected = everything(resumed), everything(whole)
    assert there.keys() == expected.keys()
    assert all(torch.equal(there[name], expected[name]) for name in expected)
    assert {"g.state.0.exp_avg", "d.state.3.step", "average.model.0.weight"} <= set(there)


def test_a_game_with_another_optimizer_is_refused(tmp_path):
    Game().play(1, tmp_path / "game")
    other = Game()
    other.adams[1] = torch.optim.Adam(other.discriminator.parameters(), lr=0.01)
    with pytest.raises(ValueError, match=r"d = Adam\(.*0\.5.*but now d = Adam\(.*0\.999"):
        other.play(2, tmp_path / "game")
    other = Game()
    del other.adams
    state = {"generator": other.generator}
    with pytest.raises(ValueError, match="has an entry that this version does not know"):
        loop(
            lambda batch, noise: {},
            state,
            points(30)[0],
            batch_size=8,
            run=Run(checkpoint=tmp_path / "game"),
        )


def test_what_pack_takes_apart_unpack_puts_together():
    game = Game()
    game.play(1)
    tensors, rest = pack(game.state())
    for name, part in unpack(tensors, rest).items():
        torch.testing.assert_close(part, dict(game.state()[name].state_dict()), rtol=0, atol=0)
    with pytest.raises(KeyError, match="stranger"):
        unpack({**tensors, "stranger": torch.ones(1)}, rest)


# --- the options of fit, against torch and by hand ---


def test_optimizer_and_schedule_give_what_torchs_own_scheduler_gives():
    data = points(48)
    sgd = partial(torch.optim.SGD, momentum=0.9)
    settings = {"loss": error, "epochs": 3, "batch_size": 8, "learning_rate": 0.05, "run": CPU}
    model = Regression()
    fit(model, data, optimizer=sgd, schedule=cosine(), **settings)
    rows = order_of(Regression, data, **settings, seed=0)
    by_hand = Regression()
    optimizer = sgd(by_hand.parameters(), lr=0.05)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=18)
    for batch in rows:
        optimizer.zero_grad()
        error(by_hand(data[0][batch], data[1][batch])).mean().backward()
        optimizer.step()
        scheduler.step()
    torch.testing.assert_close(weights(model), weights(by_hand), rtol=1e-5, atol=1e-6)
    plain = Regression()
    fit(plain, data, optimizer=sgd, **settings)
    assert not torch.allclose(weights(model), weights(plain), atol=1e-3)


def test_a_schedule_resumes_and_another_number_of_epochs_is_refused(tmp_path):
    path = tmp_path / "run"
    run = Run(device="cpu", progress=False, checkpoint=path)
    schedule = cosine(warm_up=0.2, final=0.1)
    expected, curves = trained(schedule=schedule, epochs=4)

    with pytest.raises(KeyboardInterrupt):
        trained(model=same_class(Interrupted(at=17)), schedule=schedule, epochs=4, run=run)
    model, history = trained(schedule=schedule, epochs=4, run=run)
    assert torch.equal(weights(model), weights(expected))
    assert history == curves
    with pytest.raises(ValueError, match="with epochs = 4, but now epochs = 8"):
        trained(schedule=schedule, epochs=8, run=run)


def test_schedules_at_their_ends_and_bounds():
    schedule = cosine(warm_up=0.25, final=0.2)
    assert [schedule(t) for t in (0.0, 0.125, 0.25, 1.0)] == pytest.approx([0, 0.5, 1, 0.2])
    assert cosine(warm_up=1.0)(0.5) == 0.5
    stairs = steps({0.8: 0.1, 0.5: 0.3})
    assert [stairs(t) for t in (0.0, 0.49, 0.5, 0.8, 1.0)] == [1, 1, 0.3, 0.1, 0.1]
    for wrong in (
        partial(cosine, warm_up=1.5),
        partial(cosine, final=-0.1),
        partial(steps, {40.0: 1.0}),
    ):
        with pytest.raises(ValueError, match="a fraction of the training"):
            wrong()


def test_the_average_is_torchs_and_is_what_held_out_data_see():
    model = nn.Linear(3, 2)
    mine = WeightAverage(model, decay=0.9)
    theirs = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    theirs.update_parameters(model)  # torch's first update copies
    for _ in range(5):
        with torch.no_grad():
            model.weight.add_(torch.randn(2, 3))
        mine.update(model)
        theirs.update_parameters(model)
    torch.testing.assert_close(mine.model.weight, theirs.module.weight)
    line = Regression()
    average = WeightAverage(line, decay=0.8)
    unseen = points(20, seed=2)
    _, history = trained(model=line, average=average, heldout=unseen)
    assert not torch.equal(weights(average.model), weights(line))
    expected = error(average(*unseen)).mean().item()
    assert history.heldout["error"][-1] == pytest.approx(expected, rel=1e-5)
    assert not any(weight.requires_grad for weight in average.parameters())


def test_a_long_gradient_is_scaled_and_a_short_one_is_not():
    weight = nn.Parameter(torch.tensor([3.0, 4.0]))
    for max_norm, expected in ((1.0, [2.4, 3.2]), (50.0, [0.0, 0.0])):
        moved = nn.Parameter(weight.detach().clone())
        descend((moved**2).sum().expand(7) / 2, torch.optim.SGD([moved], lr=1.0), max_norm=max_norm)
        torch.testing.assert_close(moved.detach(), torch.tensor(expected))


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"optimizer": 3}, TypeError, "`optimizer` must be a function"),
        ({"optimizer": lambda w, lr: None}, TypeError, "must make a torch.optim.Optimizer, .*None"),
        ({"schedule": "cosine"}, TypeError, "`schedule` must be a function"),
        ({"max_norm": 0}, ValueError, "`max_norm` must be positive"),
        ({"average": 0.99}, TypeError, r"Pass WeightAverage\(model, decay=0.999\)"),
        ({"run": Run(device="cpu", graph=True)}, ValueError, "`graph` is True, but a step can"),
    ],
)
def test_bad_options_of_fit_get_a_message(changes, kind, message):
    with pytest.raises(kind, match=message):
        inspect.unwrap(fit)(Regression(), points(), loss=error, **{"run": CPU, **changes})


def test_bad_input_of_the_loop_gets_a_message():
    play = inspect.unwrap(loop)
    model = nn.Linear(1, 1)
    good = {"model": model}
    x = torch.ones(5, 1)
    with pytest.raises(TypeError, match=r"but `state` is a Linear\. Pass a dict"):
        play(lambda batch, noise: {}, model, x)
    with pytest.raises(TypeError, match=r"but `rate` is a float"):
        play(lambda batch, noise: {}, {**good, "rate": 0.1}, x)
    with pytest.raises(TypeError, match=r"A step must return a dict of tensors, .* NoneType"):
        play(lambda batch, noise: None, good, x)
    with pytest.raises(TypeError, match=r"record `loss` must be a torch.Tensor, .* a float"):
        play(lambda batch, noise: {"loss": 1.0}, good, x)
    with pytest.raises(ValueError, match=r"record `loss` has shape \(5, 1\), but \(5,\)"):
        play(lambda batch, noise: {"loss": batch[0]}, good, x)
    with pytest.raises(ValueError, match=r"one number for each example, shape \(B,\)"):
        inspect.unwrap(descend)(torch.ones(()), torch.optim.SGD(model.parameters()))
    with pytest.raises(ValueError, match=r"`decay` must be in \[0, 1\), but it is 1"):
        WeightAverage(model, decay=1.0)


# --- torch.compile, graphs ---


def test_the_standard_step_compiles_into_one_graph(without_shape_checker):
    vae = pretrained.load("vae_2d")
    objective = Objective(vae, lambda elbo: elbo.kl - elbo.log_likelihood, Run())

    compiled = torch.compile(lambda x: objective((x,), None), backend="eager", fullgraph=True)
    x = (torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        found = compiled(x)
        torch.manual_seed(1)
        torch.testing.assert_close(found, objective((x,), None))


def test_all_but_the_capture_itself_works_without_a_gpu(monkeypatch):
    # A stand-in for the recording: three steps before it, one while it records, then replays.
    def record(work, generator):
        state = generator.get_state()
        for _ in range(4):
            work()
        generator.set_state(state)
        return work

    monkeypatch.setattr(_graph, "record", record)
    monkeypatch.setattr(sys.modules[Run.__module__], "can_capture", lambda state, device: True)
    plain, curves = trained(run=Run(device="cpu", progress=False, graph=False))
    model, history = trained(run=Run(device="cpu", progress=False))  # 50 examples: 6 * 8 + 2
    torch.testing.assert_close(weights(model), weights(plain))
    for name, curve in history.train.items():
        assert curve == pytest.approx(curves.train[name])


def test_a_captured_step_on_a_gpu_is_the_same_step(device, tmp_path):
    if device.type != "cuda":
        pytest.skip("needs --device cuda")

    def train(graph, epochs=4, checkpoint=None):
        torch.manual_seed(0)
        run = Run(device=device, progress=False, graph=graph, checkpoint=checkpoint)
        data, unseen = points(50), points(20, seed=2)
        model = Regression(noise=0.1, norm=True)
        model.norm = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.1))
        average = WeightAverage(model, 0.9)
        settings = {"epochs": epochs, "batch_size": 8, "heldout": unseen, "schedule": cosine()}
        history = fit(model, data, loss=error, average=average, run=run, max_norm=1.0, **settings)
        return weights(model), weights(average), history

    eager, captured = train(False), train(True)
    again = train(True)
    assert torch.equal(captured[0], again[0])
    assert torch.equal(captured[1], again[1])
    assert captured[2].train.keys() == eager[2].train.keys()
    noiseless = []
    for graph in (False, True):
        torch.manual_seed(0)
        model = Regression()
        run = Run(device=device, progress=False, graph=graph)
        fit(model, points(50), loss=error, epochs=4, batch_size=8, learning_rate=0.02, run=run)
        noiseless.append(weights(model))
    torch.testing.assert_close(*noiseless, rtol=1e-4, atol=1e-5)


# --- two processes ---

PROGRAM = """
import os
import sys

import torch
from training_models import Regression, error, points
from companion.training import Run, WeightAverage, fit

torch.set_num_threads(1)
model = Regression()
torch.nn.init.constant_(model.linear.weight, 0.1 + int(os.environ["RANK"]))  # rank 0's will count
run = Run(device="cpu", progress=False, checkpoint=sys.argv[1])
average = WeightAverage(model, 0.9)
settings = {"batch_size": 8, "learning_rate": 0.02, "max_norm": 2.0, "average": average}
fit(model, points(50), loss=error, epochs=int(sys.argv[2]), heldout=points(20, seed=2), run=run,
    **settings)
"""


def launched(n_processes, path, epochs, port):
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{here}{os.pathsep}{here.parent}"}
    environment |= {"WORLD_SIZE": str(n_processes), "MASTER_ADDR": "127.0.0.1"}
    environment |= {"MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    program = [sys.executable, "-c", PROGRAM, str(path), str(epochs)]
    processes = [
        subprocess.Popen(program, env={**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(n_processes)
    ]
    assert [process.wait(timeout=300) for process in processes] == [0] * n_processes


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_two_processes_end_where_one_ends(tmp_path):
    launched(1, tmp_path / "one", 3, free_port())
    launched(2, tmp_path / "two", 2, free_port())
    launched(2, tmp_path / "two", 3, free_port())  # and resume together
    one, facts = checkpoints.load(tmp_path / "one")
    two, others = checkpoints.load(tmp_path / "two")
    assert one.keys() == two.keys()
    assert facts["epochs"] == others["epochs"] == 3
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-6, msg=name)


def test_too_small_a_batch_for_the_processes_is_refused():
    check_share(50, 8, 2)
    with pytest.raises(ValueError, match=r"1 example\(s\), too few for 2 processes: 49 examples"):
        check_share(49, 8, 2)


def test_noise_of_a_rank_is_its_own():
    keys = [Ranks(rank, 2).key for rank in (0, 1)]
    draws = [torch.rand(50, generator=generator_for("cpu", 0, 3, 1, *key)) for key in keys]
    assert abs(torch.corrcoef(torch.stack(draws))[0, 1]) < 0.5
    assert Ranks().key == keys[0]
