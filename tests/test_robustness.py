"""Accuracy and its interval; robust accuracy as the worst case for each example."""

from functools import partial

import pytest
import torch
from oracles import attacks as oracles
from scipy import stats

from companion.attacks import fgsm, pgd, random_noise
from companion.robustness import accuracy, robust_accuracy, wilson_interval


@pytest.mark.parametrize(("k", "n"), [(0, 1), (0, 100), (3, 7), (9_477, 10_000), (50, 50)])
@pytest.mark.parametrize("confidence", [0.95, 0.99])
def test_the_interval_equals_that_of_scipy(k, n, confidence):
    found = wilson_interval(k, n, confidence=confidence)
    expected = stats.binomtest(k, n).proportion_ci(confidence, method="wilson")
    assert found.value == k / n
    assert found.low == pytest.approx(expected.low, abs=1e-12)
    assert found.high == pytest.approx(expected.high, abs=1e-12)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_a_proportion_prints_its_interval():
    assert str(wilson_interval(96, 100)) == "96.00% [90.16%, 98.43%], n = 100"


def test_accuracy_does_not_depend_on_the_batch_size():
    model, x, y = oracles.problem()
    expected = (model(x).argmax(1) == y).float().mean().item()
    for batch_size in (1, 7, 40, 1_000):
        assert accuracy(model, x, y, batch_size=batch_size).value == pytest.approx(expected)


def test_the_worst_case_is_taken_for_each_example():
    # Each attack breaks one half, so each leaves 50 %, and together they leave nothing.
    x, y = torch.eye(2).repeat(4, 1), torch.arange(2).repeat(4)

    def breaks(which):
        return lambda model, x, y: torch.where((y == which)[:, None], 1 - x, x)

    found = robust_accuracy(lambda x: x, x, y, {"a": breaks(0), "b": breaks(1)}, batch_size=3)
    assert found.clean.value == 1
    assert (found.attacks["a"].value, found.attacks["b"].value) == (0.5, 0.5)
    assert found.worst.value == 0
    assert found.correct.tolist() == [[True] * 8, [False, True] * 4, [True, False] * 4]


def test_an_image_that_is_wrong_without_attack_counts():
    x, y = torch.eye(2), torch.tensor([1, 1])

    def mends(model, x, y):
        return torch.tensor([[0.0, 1.0]]).expand_as(x)

    found = robust_accuracy(lambda x: x, x, y, {"mends": mends})
    assert (found.clean.value, found.attacks["mends"].value, found.worst.value) == (0.5, 1.0, 0.5)


def test_no_attack_is_stronger_than_the_worst_of_all():
    model, x, y = oracles.problem()
    y = model(x).argmax(1)
    attacks = {
        "fgsm": partial(fgsm, eps=0.05),
        "pgd": partial(pgd, eps=0.05, steps=10, generator=torch.Generator().manual_seed(0)),
        "noise": partial(random_noise, eps=0.05, n_samples=5),
    }
    found = robust_accuracy(model, x, y, attacks, eps=0.05, batch_size=16)
    assert found.clean.value == 1
    assert found.worst.value <= min(each.value for each in found.attacks.values()) < 1
    assert found.correct.shape == (4, 40)
    assert list(found.attacks) == ["fgsm", "pgd", "noise"]


def test_a_model_in_training_mode_is_named():
    model, x, y = oracles.problem()
    with pytest.warns(UserWarning, match="in training mode"):
        accuracy(model.train(), x, y)
