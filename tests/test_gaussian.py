"""The diagonal Gaussian against torch.distributions, and its properties."""

import math

import jaxtyping
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from oracles import densities as oracles

from companion.gaussian import (
    entropy,
    kl,
    kl_to_standard,
    log_prob,
    pairwise_log_prob,
    rsample,
)

NUMBER = st.floats(-5, 5, allow_subnormal=False)


def _row(width):
    return st.lists(NUMBER, min_size=width, max_size=width).map(
        lambda numbers: torch.tensor([numbers], dtype=torch.float64)
    )


@pytest.mark.parametrize(
    ("function", "assertion"),
    [
        (log_prob, oracles.assert_log_prob),
        (kl, oracles.assert_kl),
        (kl_to_standard, oracles.assert_kl_to_standard),
        (entropy, oracles.assert_entropy),
        (rsample, oracles.assert_rsample),
    ],
)
def test_equals_torch_distributions(function, assertion, device):
    assertion(function, device)


@pytest.mark.parametrize(
    ("function", "n_inputs"), [(log_prob, 3), (kl, 4), (kl_to_standard, 2), (entropy, 1)]
)
def test_gradients_equal_finite_differences(function, n_inputs):
    inputs = [oracles.normal(2, 3, seed=seed).requires_grad_() for seed in range(n_inputs)]
    assert torch.autograd.gradcheck(function, inputs)
    assert torch.autograd.gradgradcheck(function, inputs)


@given(_row(3), _row(3), _row(3), _row(3))
def test_divergence_is_never_negative(mean_q, log_var_q, mean_p, log_var_p):
    assert kl(mean_q, log_var_q, mean_p, log_var_p).item() >= -1e-12


@given(_row(3), _row(3))
def test_divergence_from_itself_is_zero(mean, log_var):
    assert kl(mean, log_var, mean, log_var).item() == 0


@given(_row(2), _row(2), st.sampled_from([-1.0, 1.0]), st.floats(1e-3, 2), st.booleans())
def test_divergence_of_different_gaussians_is_positive(mean, log_var, sign, size, in_mean):
    shift = torch.tensor([[0.0, sign * size]], dtype=torch.float64)
    other = (mean + shift, log_var) if in_mean else (mean, log_var + shift)
    assert kl(mean, log_var, *other).item() > 1e-9


@given(_row(3), _row(3))
def test_kl_to_standard_is_kl_from_zeros(mean, log_var):
    zeros = torch.zeros_like(mean)
    expected = kl(mean, log_var, zeros, zeros)
    torch.testing.assert_close(kl_to_standard(mean, log_var), expected, rtol=1e-12, atol=1e-12)


@given(_row(2), _row(2), _row(2))
def test_log_prob_is_largest_at_the_mean(value, mean, log_var):
    assert log_prob(value, mean, log_var).item() <= log_prob(mean, mean, log_var).item() + 1e-12


def test_a_batch_of_one_equals_its_row_in_a_batch_of_a_hundred(device):
    tensors = [oracles.normal(100, 5, seed=seed).float().to(device) for seed in range(4)]
    for function, n_inputs in ((log_prob, 3), (kl, 4), (kl_to_standard, 2), (entropy, 1)):
        inputs = tensors[:n_inputs]
        alone = function(*(tensor[37:38] for tensor in inputs))
        torch.testing.assert_close(alone, function(*inputs)[37:38], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("shape", [(7, 3), (4, 7, 3)])
def test_pairs_equal_torch_distributions(shape, device):
    z = oracles.normal(*shape, seed=0).to(device)
    mean, log_var = (oracles.normal(5, 3, seed=seed).to(device) for seed in (1, 2))
    expected = torch.stack(
        [
            torch.distributions.Normal(m, (v / 2).exp()).log_prob(z).sum(-1)
            for m, v in zip(mean, log_var, strict=True)
        ],
        dim=-1,
    )
    torch.testing.assert_close(pairwise_log_prob(z, mean, log_var), expected)


def test_gradients_of_pairs_equal_finite_differences():
    inputs = [oracles.normal(n, 3, seed=n).requires_grad_() for n in (4, 2, 2)]
    assert torch.autograd.gradcheck(pairwise_log_prob, [*inputs[:2], inputs[2] + 1])


def test_one_mean_serves_many_samples():
    mean, log_var = oracles.normal(4, 3, seed=1), oracles.normal(4, 3, seed=2)
    samples = oracles.normal(6, 4, 3, seed=3)
    expected = torch.stack([log_prob(sample, mean, log_var) for sample in samples])
    torch.testing.assert_close(log_prob(samples, mean, log_var), expected)


def test_same_generator_same_samples(device):
    mean = torch.zeros(3, 2, device=device)
    first, second = (
        rsample(mean, mean, n_samples=4, generator=oracles.generator(7, device)) for _ in range(2)
    )
    assert torch.equal(first, second)
    other = rsample(mean, mean, n_samples=4, generator=oracles.generator(8, device))
    assert not torch.equal(first, other)


def test_a_generator_leaves_the_global_one_alone():
    before = torch.get_rng_state()
    rsample(torch.zeros(3, 2), torch.zeros(3, 2), generator=oracles.generator())
    assert torch.equal(torch.get_rng_state(), before)


def test_without_a_generator_the_global_one_decides():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        first = rsample(torch.zeros(3, 2), torch.zeros(3, 2))
        torch.manual_seed(3)
        assert torch.equal(rsample(torch.zeros(3, 2), torch.zeros(3, 2)), first)


@pytest.mark.parametrize(("n_samples", "shape"), [(None, (3, 2)), (1, (1, 3, 2)), (5, (5, 3, 2))])
def test_samples_lead(n_samples, shape):
    assert rsample(torch.zeros(3, 2), torch.zeros(3, 2), n_samples=n_samples).shape == shape


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_dtype_follows_the_input_also_under_autocast(dtype):
    zeros = torch.zeros(3, 2, dtype=dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        results = (
            rsample(zeros, zeros),
            log_prob(zeros, zeros, zeros),
            kl(zeros, zeros, zeros, zeros),
            kl_to_standard(zeros, zeros),
            entropy(zeros),
        )
    assert {result.dtype for result in results} == {dtype}


def test_small_divergences_keep_their_digits_in_float32():
    # 0.5 (e^r - 1 - r) is about r^2 / 4; a sum of unequal terms would drown in rounding.
    log_var = torch.full((1, 1), 1e-2)
    assert kl_to_standard(torch.zeros(1, 1), log_var).item() == pytest.approx(2.508e-5, rel=5e-3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_vanishing_variance_keeps_density_divergence_and_gradients_finite(dtype):
    """At the mean the deviation is 0, and its scale, 1 / sigma, overflows: 0 * inf is NaN."""
    lowest = 3 * math.log(torch.finfo(dtype).tiny)
    log_var = torch.full((2, 3), lowest, dtype=dtype, requires_grad=True)
    mean = torch.ones(2, 3, dtype=dtype, requires_grad=True)
    found = log_prob(mean.detach(), mean, log_var)
    expected = -1.5 * (math.log(2 * math.pi) + lowest)
    torch.testing.assert_close(
        found.double(), torch.full((2,), expected).double(), rtol=1e-2, atol=0
    )
    by_mean, by_log_var = torch.autograd.grad(found.sum(), (mean, log_var))
    assert torch.equal(by_mean, torch.zeros_like(mean))
    assert torch.equal(by_log_var, torch.full_like(log_var, -0.5))
    divergence = kl(mean.detach(), log_var.detach(), mean, log_var)
    assert torch.equal(divergence, torch.zeros_like(divergence))
    assert all(g.isfinite().all() for g in torch.autograd.grad(divergence.sum(), (mean, log_var)))


def test_a_small_variance_that_float32_can_hold_is_exact():
    log_var = torch.linspace(-174, -40, 9).reshape(-1, 1)
    value = (log_var / 2).exp()  # one standard deviation from the mean
    single = log_prob(value, torch.zeros_like(value), log_var)
    expected = -0.5 * (math.log(2 * math.pi) + log_var[:, 0] + 1)
    torch.testing.assert_close(single, expected, rtol=1e-5, atol=1e-5)


def test_the_test_time_checker_catches_a_silent_broadcast():
    unchecked = kl_to_standard.__wrapped__  # our own check would come first
    with pytest.raises(jaxtyping.TypeCheckError):
        unchecked(torch.zeros(3, 2), torch.zeros(3, 1))
