"""The keys of chapter 2, found again in other ways, and the luck of the draw."""

import math

import pytest
import torch
from answers.reparameterization import NOISE, expect, trick_by_torch, trick_with
from check_helpers import judge
from torch.distributions import Normal

from companion.checks._registry import find
from companion.checks.reparameterization import estimators, implicit

TRICK = "reparameterization.fix_the_trick"


def test_the_steps_are_far_from_every_sample():
    for n_samples, seed in ((6, 0), (1, 10)):  # rounding must not move a sample over a step
        arguments = estimators.case(estimators.steps, n_samples, seed).arguments
        z = arguments["mean"] + (arguments["log_var"] / 2).exp() * arguments["noise"]
        for shift in (-0.01, 0.01):
            for d in range(3):
                moved = z + shift * torch.eye(3)[d]
                assert torch.equal(estimators.steps(moved), estimators.steps(z))


def test_baseline_closed_form():
    mean, var = 0.5, 0.1  # the numbers that the check compares with, from a sum over a grid
    f = (mean + math.sqrt(var) * NOISE).exp()
    for score, factor in (
        (NOISE / math.sqrt(var), 1 + var),
        ((NOISE**2 - 1) / 2, 1 + 2 * var + var**2 / 2),
    ):
        best = expect(f * score**2) / expect(score**2)
        assert best.item() == pytest.approx(math.exp(mean + var / 2) * factor)


@pytest.mark.parametrize("seed", [*range(20), 42, 123, 1234])
def test_fix_the_trick_accepts_every_seed(seed):
    generator = torch.Generator().manual_seed(seed)
    sample = trick_with(lambda s: torch.randn(s.shape, generator=generator))
    assert judge(TRICK, sample).status == "correct"
    torch.manual_seed(seed)
    assert judge(TRICK, trick_by_torch).status == "correct"


def quantile(u, weights, means, stds):
    """The inverse of the mixture's distribution function, by bisection."""
    low, high = torch.full_like(u, -30.0), torch.full_like(u, 30.0)
    for _ in range(80):
        middle = (low + high) / 2
        below = (weights * Normal(means, stds).cdf(middle[:, None])).sum(1) < u
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return (low + high) / 2


def move_by_differences(z, weights, means, stds):
    """Moves each mean and inverts the distribution function again: no density is used."""
    z, weights, means, stds = (value.double() for value in (z, weights, means, stds))
    u = (weights * Normal(means, stds).cdf(z[:, None])).sum(1)
    steps = 1e-4 * torch.eye(len(means), dtype=torch.float64)
    pairs = [
        (quantile(u, weights, means + step, stds), quantile(u, weights, means - step, stds))
        for step in steps
    ]
    return torch.stack([(up - down) / 2e-4 for up, down in pairs], dim=1)


def test_the_key_of_implicit_is_how_the_quantile_moves():
    for case in find("reparameterization.implicit").task.cases[:2]:
        values = list(case.double().values())
        torch.testing.assert_close(
            implicit.move_exact(*values), move_by_differences(*values), rtol=1e-6, atol=1e-6
        )
