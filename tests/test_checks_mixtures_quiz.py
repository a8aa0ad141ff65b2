"""The keys of chapter 4's quiz, found again by computing them."""

import math
from itertools import pairwise, product

import pytest
import torch
from answers.mixtures import (
    density_closed,
    density_with,
    information_closed,
    m_closed,
    torch_mixture,
)
from torch.distributions import Normal, kl_divergence

from companion.checks.mixtures import QUIZ

AXIS = torch.linspace(-30, 30, 6001, dtype=torch.float64)


def question(fragment):
    (found,) = [each for each in QUIZ if fragment in each.text]
    return found


def right_option(fragment):
    return next(option for option in question(fragment).options if option.right).text


def option(fragment, begin):
    (found,) = [each for each in question(fragment).options if each.text.startswith(begin)]
    return found


def product_of_mixtures(*arguments):
    def combine(terms, log_w):
        return (log_w[:, None] + terms).logsumexp(1).sum(-1)

    return density_with(combine=combine)(*arguments)


def in_the_plane(log_density, mean, log_var, logits, *, half_width=8.0, points=321):
    """A log-density on a square grid, and the area of a cell."""
    line = torch.linspace(-half_width, half_width, points, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line)
    values = log_density(grid, logits, mean, log_var).reshape(points, points)
    return line, values, (line[1] - line[0]).item() ** 2


def peaks(line, values):
    """The grid points that are higher than their eight neighbors."""
    inner = values[1:-1, 1:-1]
    size = len(line)
    around = [
        values[1 + i : size - 1 + i, 1 + j : size - 1 + j]
        for i in (-1, 0, 1)
        for j in (-1, 0, 1)
        if (i, j) != (0, 0)
    ]
    found = torch.stack([inner > each for each in around]).all(0).nonzero() + 1
    return {(round(line[i].item()), round(line[j].item())) for i, j in found.tolist()}


MEANS = torch.tensor([[-3.0, -3.0], [3.0, 3.0]]).double()
LOG_VARS = torch.full((2, 2), -1.0).double()


def test_quiz_peaks_of_the_product():
    equal = torch.zeros(3).double()
    means = torch.tensor([[-3.0, 0.0], [0.0, 3.0], [3.0, -3.0]]).double()
    log_vars = torch.full((3, 2), -1.0).double()
    line, values, _ = in_the_plane(product_of_mixtures, means, log_vars, equal)
    assert peaks(line, values) == set(product((-3, 0, 3), repeat=2))
    line, values, _ = in_the_plane(density_closed, means, log_vars, equal)
    assert peaks(line, values) == {(-3, 0), (0, 3), (3, -3)}
    assert right_option("in each dimension, then") == "Nine"


def test_quiz_what_the_integral_rules_out():
    logits = torch.tensor([0.4, -0.2]).double()
    unnormalized = density_with(weights=lambda logits: logits)

    def integral(log_density):
        _, values, cell = in_the_plane(log_density, MEANS, LOG_VARS, logits)
        return values.exp().sum().item() * cell

    assert integral(density_closed) == pytest.approx(1, abs=1e-6)
    assert integral(product_of_mixtures) == pytest.approx(1, abs=1e-6)
    assert integral(unnormalized) == pytest.approx(logits.exp().sum().item(), abs=1e-6)
    assert integral(lambda z, w, m, v: density_closed(z, w, m + 0.3, v)) == pytest.approx(1)
    assert right_option("rule out").startswith("That the weights were left unnormalized")


def test_quiz_misfit_of_the_sample():
    bound = math.log(1000)
    mean = 1000 * torch.arange(50.0).double()[:, None]  # the bound is attained
    assert information_closed(mean, 0 * mean, mean).item() == pytest.approx(math.log(50))
    assert right_option("25 nats on average") == f"At least {25 - bound:.1f} nats"
    assert option("25 nats on average", "At most").text == f"At most {bound:.1f} nats"


def the_two_parts():
    """Four posteriors on the line and the exact parts of their mean divergence from N(0, 1)."""
    q = Normal(torch.tensor([-3.0, -1.0, 0.5, 2.5]).double(), torch.tensor([0.5] * 4).double())
    log_q = q.log_prob(AXIS[:, None])
    marginal = log_q.logsumexp(1) - math.log(4)

    def kl(p):  # the mean over the posteriors, as an integral
        return torch.trapezoid(log_q.exp() * (log_q - p[:, None]), AXIS, dim=0).mean().item()

    prior = Normal(0.0, 1.0).log_prob(AXIS)
    misfit = torch.trapezoid(marginal.exp() * (marginal - prior), AXIS).item()
    return q, kl, prior, marginal, misfit


def test_quiz_what_the_best_prior_gains():
    q, kl, prior, marginal, misfit = the_two_parts()
    assert kl(prior) == pytest.approx(kl_divergence(q, Normal(0.0, 1.0)).mean().item(), abs=1e-9)
    gain = kl(prior) - kl(marginal)
    assert gain == pytest.approx(misfit, abs=1e-9)
    for mean, std in [(0.0, 2.0), (-0.25, 2.3), (1.0, 3.0)]:
        assert kl(Normal(mean, std).log_prob(AXIS)) > kl(marginal)
    assert right_option("best of all priors") == "4 nats"  # the second part, as it is here


def test_quiz_vampprior_with_all_images():
    q, kl, _, marginal, _ = the_two_parts()
    mixture = torch_mixture(torch.zeros(4).double(), q.loc[:, None], 2 * q.scale.log()[:, None])
    assert torch.allclose(mixture.log_prob(AXIS[:, None]), marginal)
    assert kl(marginal) < kl(mixture.log_prob(AXIS[:, None] - 0.2))
    assert right_option("VampPrior").startswith("The aggregated posterior of the training")


def test_quiz_a_falling_likelihood():
    z = torch.tensor([-2.0, -1.7, -1.0, 0.9, 2.0, 2.2, 5.0, 0.0])[:, None].double()

    def curve(step):
        weights, mean, var = torch.tensor([0.5, 0.5]).double(), z[[0, 3]], torch.ones(2, 1).double()
        values = []
        for _ in range(8):
            joint = weights.log() + Normal(mean, var.sqrt()).log_prob(z[:, None]).sum(-1)
            values.append(joint.logsumexp(1).mean().item())
            weights, mean, var = step(z, joint.softmax(1), weights, mean)
        return values

    def divided_by_n(z, r, weights, mean):
        weights, mean, var = m_closed(z, r, weights, mean)
        return weights, mean, var * weights[:, None]

    right, wrong = curve(m_closed), curve(divided_by_n)
    assert all(b >= a - 1e-12 for a, b in pairwise(right))
    assert min(b - a for a, b in pairwise(wrong)) < -1e-3
    assert right_option("EM code, without a floor on the variances, prints") == "There is a bug."


def test_quiz_an_outlier():
    stds = torch.tensor([1.0, 3.0]).double()

    def wide(z):
        return Normal(0.0, stds).log_prob(torch.tensor(z).double()).softmax(0)[1].item()

    assert wide(10.0) > 0.999
    assert wide(0.0) == pytest.approx(1 / 4)
    feedback = option("the outlier", "Almost 1").feedback
    assert f"e^{{-{10**2 / 2:.0f}}}" in feedback
    assert f"e^{{-{10**2 / 18:.1f}}}" in feedback
    assert right_option("the outlier") == "Almost 1"


def test_quiz_a_negative_estimate():
    q, p = Normal(0.8, 1.0), Normal(0.0, 1.0)
    noise = torch.randn(20_000, generator=torch.Generator().manual_seed(0))
    z = 0.8 + noise
    estimates = q.log_prob(z) - p.log_prob(z)
    exact = kl_divergence(q, p).item()
    assert (estimates < 0).float().mean() > 0.2
    assert estimates.mean().item() == pytest.approx(exact, abs=0.05)
    assert estimates.clamp(min=0).mean() > exact + 0.05
    assert right_option("$-0.3$").startswith("Keep it")
