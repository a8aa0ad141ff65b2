"""The loop of `fit`, and what it records, against independent loops."""

from itertools import pairwise

import pytest
import torch
from torch import nn
from training_models import (
    CPU,
    Constant,
    Regression,
    error,
    order_of,
    penalized,
    points,
    trained,
    weights,
)

from companion.training import Run, fit
from companion.training.loop import _order

# --- the loop, against independent ones ---


def test_a_hand_written_loop_over_the_same_order_gives_the_same_weights():
    data = points()
    rows = order_of(Regression, data)
    model, _ = trained(data, Regression())
    by_hand = Regression()
    adam = torch.optim.Adam(by_hand.parameters(), lr=0.02, fused=True)
    for batch in rows:
        adam.zero_grad()
        penalized(by_hand(data[0][batch], data[1][batch])).mean().backward()
        adam.step()
    assert torch.equal(weights(model), weights(by_hand))


def test_adam_written_out_gives_the_same_weights():
    data = points(dtype=torch.float64)
    model = Regression(dtype=torch.float64)
    fit(model, data, loss=error, epochs=5, batch_size=50, learning_rate=0.05, run=CPU)
    x = torch.cat([data[0], torch.ones(50, 1, dtype=torch.float64)], 1)
    theta = weights(Regression(dtype=torch.float64))
    first, second = torch.zeros(4), torch.zeros(4)
    for step in range(1, 6):
        gradient = 2 * x.T @ (x @ theta - data[1]) / 50
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        step_size = 0.05 / (1 - 0.9**step)
        theta = theta - step_size * first / ((second / (1 - 0.999**step)).sqrt() + 1e-8)
    torch.testing.assert_close(weights(model), theta, atol=1e-9, rtol=0)


def test_linear_regression_finds_the_least_squares_solution():
    x, y = points(200, dtype=torch.float64)
    model = Regression(dtype=torch.float64)
    for rate in (0.1, 0.01, 0.001):
        fit(model, (x, y), loss=error, epochs=150, batch_size=200, learning_rate=rate, run=CPU)
    design = torch.cat([x, torch.ones(200, 1, dtype=torch.float64)], 1)
    solution = torch.linalg.lstsq(design, y[:, None]).solution[:, 0]
    torch.testing.assert_close(weights(model), solution, atol=1e-4, rtol=0)


def test_every_epoch_visits_each_example_once_in_a_new_order():
    data = points(50)
    rows = order_of(Regression, data, epochs=3, batch_size=20)
    assert [len(batch) for batch in rows] == [20, 20, 10] * 3
    epochs = [torch.cat(rows[i : i + 3]) for i in (0, 3, 6)]
    for epoch in epochs:
        assert epoch.sort().values.tolist() == list(range(50))
    for one, other in pairwise(epochs):
        assert not torch.equal(one, other)


def test_the_seed_decides_the_order():
    data = points(50)
    one, again, other = (torch.cat(order_of(Regression, data, seed=s)) for s in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_parameters_that_a_move_replaces_are_trained():
    class Replaces(Regression):
        def to(self, *place, **options):
            self.linear.weight = nn.Parameter(self.linear.weight.detach().clone())
            return super().to(*place, **options)

    expected, _ = trained(model=Regression())
    model, _ = trained(model=Replaces())
    assert torch.equal(weights(model), weights(expected))


def test_the_order_and_a_whole_run_ignore_the_default_device(tmp_path):
    expected = _order(50, 3, 0)
    run = Run(device="cpu", progress=False, checkpoint=tmp_path / "run")
    model, data = Constant(), torch.arange(10.0)
    with torch.device("meta"):  # code that means the CPU must say so
        assert torch.equal(_order(50, 3, 0), expected)
        fit(model, data, epochs=1, run=run)
        history = fit(model, data, heldout=None, epochs=2, run=run)
    assert history.train == {"loss": [4.5, 4.5]}


# --- what is recorded ---


def test_the_history_is_a_mean_over_examples_not_over_batches():
    data = torch.arange(10.0) ** 2  # the last of the batches of 4 holds 2
    history = fit(Constant(), data, epochs=2, batch_size=4, run=CPU)
    assert history.train == {"loss": [28.5, 28.5]}
    assert history.heldout == {}


def test_a_step_takes_the_mean_over_its_own_batch():
    class Slope(Constant):
        def forward(self, x, *, generator=None):
            return x * self.weight

    model, by_hand = Slope(), Slope()
    data = torch.ones(5)
    fit(model, data, epochs=1, batch_size=4, learning_rate=0.1, run=CPU)
    adam = torch.optim.Adam(by_hand.parameters(), lr=0.1)
    for n in (4, 1):
        adam.zero_grad()
        by_hand(torch.ones(n)).mean().backward()
        adam.step()
    torch.testing.assert_close(model.weight, by_hand.weight)


def test_each_field_and_the_loss_are_recorded():
    _, history = trained(heldout=points(20, seed=2))
    for curves in history:
        assert list(curves) == ["error", "size", "loss"]
        assert [len(curve) for curve in curves.values()] == [4, 4, 4]
        for e, s, total in zip(*curves.values(), strict=True):
            assert total == pytest.approx(e + 0.01 * s, rel=1e-5)


def test_heldout_values_equal_an_independent_evaluation():
    unseen = points(21, seed=2)
    model, history = trained(heldout=unseen, model=Regression(norm=True))
    model.eval()
    with torch.no_grad():
        expected = penalized(model(*unseen)).mean().item()  # in one batch
    assert history.heldout["loss"][-1] == pytest.approx(expected, rel=1e-5)


def test_heldout_noise_is_the_same_in_each_epoch():
    class Noisy(Constant):
        def forward(self, x, *, generator=None):
            return super().forward(x) + torch.randn(x.shape, generator=generator)

    history = fit(Noisy(), torch.zeros(30), heldout=torch.zeros(30), epochs=3, run=CPU)
    assert len(set(history.heldout["loss"])) == 1
    assert len(set(history.train["loss"])) == 3
    assert history.heldout["loss"][0] not in history.train["loss"]


def test_heldout_data_change_nothing_in_training():
    alone, history = trained()
    beside, other = trained(heldout=points(20, seed=2))
    assert torch.equal(weights(alone), weights(beside))
    assert history.train == other.train


def test_precision_of_the_recorded_mean():
    data = torch.full((1000,), 1e8) + torch.arange(1000) * 8.0
    history = fit(Constant(), data, epochs=1, batch_size=7, run=CPU)
    assert history.train["loss"] == [data.double().mean().item()]
