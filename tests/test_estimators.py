"""Gradient estimators against closed forms, exact variances and enumeration.

No Monte Carlo average stands in for the truth here. A z-score is (average - exact) / standard
error; seeds are fixed, so the tests are deterministic.
"""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from companion.estimators import (
    Baseline,
    gumbel_softmax,
    optimal_baseline,
    pathwise,
    score_function,
)

N = 200_000
DOUBLE = {"dtype": torch.float64}
MEAN = torch.tensor([0.7, -1.2, 0.1], **DOUBLE)
LOG_VAR = torch.tensor([-0.8, 0.4, 0.0], **DOUBLE)
VAR = LOG_VAR.exp()
CENTER = torch.tensor([1.0, 0.0, -0.5], **DOUBLE)
RATE = torch.tensor([0.5, -0.3, 0.8], **DOUBLE)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def quadratic(z):
    return (z - CENTER).square().sum(-1)


def exponential(z):
    return (z @ RATE).exp()


def cosine(z):
    return (z @ RATE).cos()


GROWTH = (MEAN @ RATE + (RATE.square() * VAR).sum() / 2).exp()
DECAY = (-(RATE.square() * VAR).sum() / 2).exp()
# (integrand, exact gradient by mean, exact gradient by log_var)
CLOSED_FORMS = [
    (quadratic, 2 * (MEAN - CENTER), VAR),
    (exponential, RATE * GROWTH, RATE.square() * VAR / 2 * GROWTH),
    (
        cosine,
        -RATE * (MEAN @ RATE).sin() * DECAY,
        -RATE.square() * VAR / 2 * (MEAN @ RATE).cos() * DECAY,
    ),
]
BASELINE = Baseline(
    torch.tensor([3.0, 1.0, 0.0], **DOUBLE), torch.tensor([-2.0, 4.0, 1.0], **DOUBLE)
)
ESTIMATORS = [
    (score_function, {}),
    (score_function, {"baseline": 2.5}),
    (score_function, {"baseline": BASELINE}),
    (pathwise, {}),
]


def z_scores(samples, exact):
    error = samples.std(0) / math.sqrt(len(samples))
    return (samples.mean(0) - exact) / error


@pytest.mark.parametrize(("estimator", "options"), ESTIMATORS)
@pytest.mark.parametrize(("f", "by_mean", "by_log_var"), CLOSED_FORMS)
def test_estimates_average_to_the_closed_form(estimator, options, f, by_mean, by_log_var):
    samples = estimator(f, MEAN, LOG_VAR, n_samples=N, generator=generator(), **options)
    assert z_scores(samples.mean, by_mean).abs().max() < 4
    assert z_scores(samples.log_var, by_log_var).abs().max() < 4


def exact_variances(dim, distance, std):
    """Total variance of the estimates by mean: f = |z|^2, q = N(m, std^2 I), |m| = distance."""
    r2, s2 = distance**2, std**2
    plain = dim * r2**2 / s2 + r2 * (2 * dim**2 + 8 * dim + 4) + s2 * dim * (dim + 2) * (dim + 4)
    return {
        "score": plain,
        "optimal": 4 * r2 * (dim + 1) + 2 * s2 * dim * (dim + 2),
        "pathwise": 4 * s2 * dim,
    }


@pytest.mark.parametrize(
    ("dim", "distance", "std"), [(1, 0.0, 1.0), (1, 2.0, 0.5), (4, 1.5, 0.7), (9, 0.5, 1.3)]
)
def test_variances_of_a_quadratic_are_the_derived_ones(dim, distance, std):
    exact = exact_variances(dim, distance, std)
    mean = torch.full((dim,), distance / math.sqrt(dim), **DOUBLE)
    log_var = torch.full((dim,), 2 * math.log(std), **DOUBLE)
    best = distance**2 + std**2 * (dim + 2)

    def f(z):
        return z.square().sum(-1)

    samples = {
        "score": score_function(f, mean, log_var, n_samples=N, generator=generator(1)),
        "optimal": score_function(
            f, mean, log_var, n_samples=N, baseline=best, generator=generator(2)
        ),
        "pathwise": pathwise(f, mean, log_var, n_samples=N, generator=generator(3)),
    }
    for name, estimate in samples.items():
        squares = (estimate.mean - 2 * mean).square().sum(-1)
        assert z_scores(squares, exact[name]).abs() < 4, name


def test_pathwise_log_var_variance_of_a_quadratic():
    samples = pathwise(quadratic, MEAN, LOG_VAR, n_samples=N, generator=generator())
    exact = (MEAN - CENTER).square() * VAR + 2 * VAR.square()
    assert z_scores((samples.log_var - VAR).square(), exact).abs().max() < 4


def test_the_optimal_baseline_is_found_and_no_other_is_better():
    exact = (MEAN - CENTER).square().sum() + VAR.sum() + 2 * VAR  # E[f s^2] / E[s^2], by mean
    found = optimal_baseline(quadratic, MEAN, LOG_VAR, n_samples=N, generator=generator())
    torch.testing.assert_close(found.mean, exact, rtol=0.02, atol=0)

    def spread(baseline):
        g = score_function(
            quadratic, MEAN, LOG_VAR, n_samples=N, baseline=baseline, generator=generator(1)
        )
        return torch.cat([g.mean.var(0), g.log_var.var(0)])

    best = spread(found)
    for shift in (-1.0, 1.0):
        other = Baseline(found.mean + shift, found.log_var + shift)
        assert (best < spread(other)).all()
    assert (best < spread(0.0)).all()


@pytest.mark.parametrize("log_var", [-100.0, 80.0])
def test_the_optimal_baseline_survives_any_variance(log_var):
    given = torch.zeros(2), torch.full((2,), log_var)
    best = optimal_baseline(lambda z: 0 * z.sum(-1) + 7, *given, n_samples=9, generator=generator())
    for part in best:
        torch.testing.assert_close(part, torch.full((2,), 7.0))


def test_a_constant_integrand_with_its_optimal_baseline_has_no_variance():
    def constant(z):
        return 0 * z.sum(-1) + 7

    best = optimal_baseline(constant, MEAN, LOG_VAR, n_samples=50, generator=generator())
    g = score_function(constant, MEAN, LOG_VAR, n_samples=50, baseline=best)
    assert max(g.mean.abs().max(), g.log_var.abs().max()) < 1e-10


@pytest.mark.parametrize("estimator", [score_function, pathwise])
def test_each_sample_equals_autograd_by_hand(estimator):
    mean, log_var = MEAN.clone().requires_grad_(), LOG_VAR.clone().requires_grad_()
    noise = torch.randn(1, 3, generator=generator(5), **DOUBLE)
    z = mean + (log_var / 2).exp() * noise
    if estimator is score_function:
        q = torch.distributions.Normal(mean, (log_var / 2).exp())
        surrogate = exponential(z.detach()) * q.log_prob(z.detach()).sum(-1)
    else:
        surrogate = exponential(z)
    expected = torch.autograd.grad(surrogate.sum(), (mean, log_var))
    found = estimator(exponential, MEAN, LOG_VAR, n_samples=1, generator=generator(5))
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours[0], theirs, rtol=1e-10, atol=1e-10)


def test_the_score_function_needs_no_gradient_and_finds_that_of_a_step():
    """P(z > 0) has the gradient phi(m / s) / s; its path derivative is zero almost everywhere."""
    mean, log_var = MEAN[:1], LOG_VAR[:1]

    def step(z):
        return (z[:, 0] > 0).double()

    g = score_function(step, mean, log_var, n_samples=N, generator=generator())
    std = (log_var / 2).exp()
    exact = torch.distributions.Normal(0.0, 1.0).log_prob(mean / std).exp() / std
    assert z_scores(g.mean, exact).abs() < 4


@pytest.mark.parametrize("estimator", [score_function, pathwise])
def test_nothing_of_the_caller_changes(estimator):
    weight = torch.ones(3, **DOUBLE, requires_grad=True)
    mean, log_var = MEAN.clone().requires_grad_(), LOG_VAR.clone().requires_grad_()
    with torch.no_grad():
        g = estimator(lambda z: z.square() @ weight, mean, log_var, n_samples=4)
    assert weight.grad is None
    assert mean.grad is None
    assert not g.mean.requires_grad
    assert not g.log_var.requires_grad


@pytest.mark.parametrize("estimator", [score_function, pathwise])
def test_the_same_generator_gives_the_same_samples(estimator, device):
    def run(dtype):
        noise = torch.Generator(device).manual_seed(3)
        mean, log_var = MEAN.to(device, dtype), LOG_VAR.to(device, dtype)
        return estimator(lambda z: z.cos().sum(-1), mean, log_var, n_samples=9, generator=noise)

    for first, second in zip(run(torch.float32), run(torch.float32), strict=True):
        assert torch.equal(first, second)
        assert first.dtype == torch.float32
        assert first.device.type == device.type


LOGITS = st.lists(st.floats(-6, 6, allow_subnormal=False), min_size=2, max_size=6)


@given(LOGITS, st.floats(0.05, 10), st.booleans())
def test_relaxed_vectors_lie_on_the_simplex(logits, temperature, hard):
    y = gumbel_softmax(torch.tensor(logits), temperature=temperature, hard=hard)
    assert y.min() >= 0
    torch.testing.assert_close(y.sum(), torch.tensor(1.0))


@pytest.mark.parametrize("temperature", [0.1, 1.0, 5.0])
def test_the_largest_entry_has_the_right_probability(temperature, device):
    logits = torch.tensor([1.0, -0.5, 0.0, 0.3], **DOUBLE, device=device)
    noise = torch.Generator(device).manual_seed(0)
    y = gumbel_softmax(logits.expand(N, 4), temperature=temperature, generator=noise)
    hits = torch.nn.functional.one_hot(y.argmax(-1), 4).double()
    assert z_scores(hits, logits.softmax(-1)).abs().max() < 4


def test_hard_vectors_are_one_hot_and_keep_the_soft_gradient():
    logits = torch.randn(50, 4, generator=generator(), **DOUBLE).requires_grad_()
    weight = torch.randn(50, 4, generator=generator(1), **DOUBLE)
    gradients = []
    for hard in (False, True):
        y = gumbel_softmax(logits, temperature=0.7, hard=hard, generator=generator(2))
        gradients.append(torch.autograd.grad((y * weight).sum(), logits)[0])
    torch.testing.assert_close(*gradients)
    assert set(y.detach().round(decimals=9).unique().tolist()) == {0.0, 1.0}


def test_low_temperatures_approach_the_enumerated_gradient_and_high_ones_do_not():
    logits = torch.tensor([0.5, -0.5, 0.0], **DOUBLE, requires_grad=True)
    worth = torch.tensor([0.2, 1.0, -0.7], **DOUBLE)
    (exact,) = torch.autograd.grad(logits.softmax(-1) @ worth.square(), logits)

    def scores(temperature):
        rows = logits.detach().expand(N, 3).clone().requires_grad_()
        y = gumbel_softmax(rows, temperature=temperature, generator=generator())
        (samples,) = torch.autograd.grad((y @ worth).square().sum(), rows)
        return z_scores(samples, exact).abs().max()

    assert scores(0.01) < 4
    assert scores(2.0) > 20


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_logits_stay_finite(dtype):
    logits = torch.tensor([300.0, -300.0, 0.0], dtype=dtype, requires_grad=True)
    y = gumbel_softmax(logits, temperature=0.1)
    (slope,) = torch.autograd.grad(y[0], logits)
    assert torch.isfinite(y).all()
    assert torch.isfinite(slope).all()


def test_the_optimal_baseline_weighs_by_the_squared_scores_of_torch_distributions():
    found = optimal_baseline(exponential, MEAN, LOG_VAR, n_samples=50, generator=generator())
    noise = torch.randn(50, len(MEAN), generator=generator(), **DOUBLE)
    mean, log_var = (t.expand(50, -1).clone().requires_grad_() for t in (MEAN, LOG_VAR))
    z = (mean + (log_var / 2).exp() * noise).detach()
    log_q = torch.distributions.Normal(mean, (log_var / 2).exp()).log_prob(z).sum()
    f = exponential(z)[:, None]
    for ours, score in zip(found, torch.autograd.grad(log_q, (mean, log_var)), strict=True):
        theirs = (f * score.square()).sum(0) / score.square().sum(0)
        torch.testing.assert_close(ours, theirs)


def test_a_waiting_time_of_zero_stays_finite(monkeypatch):
    """The noise is -log of a waiting time, and float32 does draw an exact zero now and then."""
    monkeypatch.setattr(torch.Tensor, "exponential_", lambda self, **_: self.zero_())
    logits = torch.zeros(2, 3, requires_grad=True)
    y = gumbel_softmax(logits, temperature=0.5)
    torch.testing.assert_close(y, torch.full((2, 3), 1 / 3))
    assert torch.autograd.grad(y[:, 0].sum(), logits)[0].isfinite().all()


@pytest.mark.parametrize("temperature", [1e-6, 1e-38, 1e-60])
@pytest.mark.parametrize("hard", [False, True])
def test_any_temperature_gives_numbers(temperature, hard):
    logits = torch.randn(50, 4, generator=generator()) * 100
    y = gumbel_softmax(logits, temperature=temperature, hard=hard, generator=generator(1))
    assert y.isfinite().all()
    torch.testing.assert_close(y.sum(-1), torch.ones(50))
