"""The keys of chapter 1's quiz, found again by computing them."""

import math
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from answers.elbo import (
    GRID,
    double,
    effective_beta_by_autograd,
    grid_elbo,
    grid_log_joint,
    integrate,
    normal,
    q_closed,
)
from torch.distributions import Categorical, MixtureSameFamily, Normal

from companion.checks.elbo import QUIZ


def right_option(fragment):
    (question,) = [question for question in QUIZ if fragment in question.text]
    return next(option for option in question.options if option.right).text


def test_quiz_gap_identity():
    # log p(x) - ELBO equals the KL to the posterior, both as integrals
    x, mean, var, weight, noise_var = 1.2, 0.1, 0.8, 0.9, 0.5
    joint = grid_log_joint(x, weight, noise_var)
    evidence = integrate(joint.exp()).log()
    log_q = normal(mean, math.sqrt(var)).log_prob(GRID)
    gap = evidence - grid_elbo(x, mean, var, weight, noise_var)
    to_posterior = integrate(log_q.exp() * (log_q - (joint - evidence)))
    assert gap.item() == pytest.approx(to_posterior.item(), abs=1e-9)
    assert right_option("true posterior?") == f"{-90 - (-96)} nats"


def test_quiz_sign_of_the_loss():
    elbo = {"Run A": -98, "Run B": -103}
    assert right_option("Two runs") == max(elbo, key=elbo.get)


def test_quiz_betas():
    averaged_kl = effective_beta_by_autograd("averaged KL")
    (question,) = [question for question in QUIZ if "averages the KL" in question.text]
    assert "should" not in question.text  # it would give the answer away
    assert right_option("averages the KL") == f"$\\beta = 1/{round(1 / averaged_kl)}$"
    averaged_pixels = effective_beta_by_autograd("averaged pixels")
    assert right_option("Another loss").startswith(f"$\\beta = {averaged_pixels:.0f}$:")


def test_quiz_importance_weighted_bound():
    def expected_bound(n_samples):  # w is 1 or 3; every outcome counted
        outcomes = product([1, 3], repeat=n_samples)
        return sum(math.log(sum(w) / n_samples) for w in outcomes) / 2**n_samples

    bounds = [expected_bound(n) for n in range(1, 9)]
    assert bounds == sorted(bounds)
    assert bounds[0] == pytest.approx(0.5 * math.log(3))  # S = 1: E[log w], the ELBO
    assert bounds[-1] < math.log(2)  # never above log E[w]
    assert math.log(sum((1, 1)) / 2) < math.log(3)  # one unlucky estimate with S = 2 is lower
    assert right_option("importance-weighted").startswith("Its expectation never falls")


def test_quiz_where_the_gap_is_zero():
    x, weight, noise_var = 1.5, 0.8, 0.4
    evidence = normal(0.0, math.sqrt(weight**2 + noise_var)).log_prob(double(x))
    at_prior = grid_elbo(x, 0.0, 1.0, weight, noise_var)
    at_posterior = grid_elbo(x, *q_closed(x, weight, noise_var), weight, noise_var)
    assert evidence - at_prior > 0.1
    assert evidence.item() == pytest.approx(at_posterior.item(), abs=1e-9)
    assert "equals the posterior" in right_option("gap between")


def test_quiz_softplus():
    log_var = F.softplus(torch.linspace(-30, 30, 1000, dtype=torch.float64))
    assert ((log_var / 2).exp() > 1).all()
    assert right_option("softplus").startswith("$\\sigma > 1$ always")


def test_quiz_jensen():
    mean_log, log_mean = (math.log(1) + math.log(3)) / 2, math.log((1 + 3) / 2)
    sign = "<" if mean_log < log_mean else ">"
    assert right_option("1 or 3") == f"$E[\\log w] {sign} \\log E[w]$"
    (question,) = [question for question in QUIZ if "1 or 3" in question.text]
    feedback = next(option for option in question.options if option.right).feedback
    assert f"{mean_log:.2f}" in feedback
    assert f"{log_mean:.2f}" in feedback


def test_quiz_forward_and_reverse_kl():
    peaks = Normal(torch.tensor([-4.0, 4.0]).double(), torch.ones(2).double())
    p = MixtureSameFamily(Categorical(torch.ones(2).double()), peaks).log_prob(GRID)
    candidates = [(mean, std) for mean in (0.0, 2.0, 4.0) for std in (0.5, 1.0, 2.0, 4.0, 6.0)]

    def reverse(candidate):
        log_q = Normal(*candidate).log_prob(GRID)
        return integrate(log_q.exp() * (log_q - p)).item()

    def forward(candidate):
        return integrate(p.exp() * (p - Normal(*candidate).log_prob(GRID))).item()

    assert min(candidates, key=reverse) == (4.0, 1.0)  # one peak
    assert min(candidates, key=forward) == (0.0, 4.0)  # both, and the valley between
    assert right_option("two narrow peaks").startswith("On one peak")
