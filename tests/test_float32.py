"""What float32 must survive: tiny variances, and divergences close to zero.

The oracles elsewhere run in float64, where none of this shows.
"""

import pytest
import torch

from companion import gaussian, likelihoods
from companion.linear_gaussian import LinearGaussian
from companion.precision import at_least_float32
from companion.priors import StandardNormal


@pytest.mark.parametrize("log_var", [-4.0, -8.0, -16.0])
def test_exact_evidence_loses_nothing_to_cancellation(log_var):
    """The difference of two large squares would be thousands of nats off at small noise."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(784, 5, generator=generator)
    model = LinearGaussian(weight, torch.zeros(784), torch.tensor(log_var))
    exact = LinearGaussian(*(t.double() for t in (weight, model.bias, model.log_var)))
    x = model.sample(20, generator=generator)
    error = (model.log_prob(x) - exact.log_prob(x.double())).abs().max()
    assert error < 0.05


def test_a_tiny_variance_at_the_mean_is_finite():
    """Zero distance times an infinite precision would be NaN."""
    mean, log_var = torch.zeros(2, 3), torch.full((2, 3), -100.0)
    exact = torch.distributions.Normal(mean.double(), (log_var.double() / 2).exp())
    expected = exact.log_prob(mean.double()).sum(-1)
    torch.testing.assert_close(gaussian.log_prob(mean, mean, log_var).double(), expected)
    assert torch.equal(gaussian.kl(mean, log_var, mean, log_var), torch.zeros(2))
    likelihood = likelihoods.Gaussian(-100.0).log_prob(mean, mean)
    torch.testing.assert_close(likelihood.double(), expected)


def test_divergence_near_zero_is_not_rounded_away():
    """Close to posterior collapse the divergence is tiny, and must not turn negative."""
    mean = torch.full((1, 3), 1e-4)
    log_var = torch.tensor([[1e-4, -1e-4, 0.0]])
    q = torch.distributions.Normal(mean.double(), (log_var.double() / 2).exp())
    standard = torch.distributions.Normal(torch.zeros(1, 3).double(), 1.0)
    # torch's own formula cancels too, even in float64: compare with the Taylor series.
    series = 0.5 * (mean.double() ** 2 + log_var.double() ** 2 / 2 + log_var.double() ** 3 / 6)
    torch.testing.assert_close(
        torch.distributions.kl_divergence(q, standard).sum(-1), series.sum(-1), rtol=1e-6, atol=0
    )
    ours = gaussian.kl_to_standard(mean, log_var).double()
    torch.testing.assert_close(ours, series.sum(-1), rtol=1e-3, atol=0)
    zeros = torch.zeros(1, 3)
    general = gaussian.kl(mean, log_var, zeros, zeros).double()
    torch.testing.assert_close(general, series.sum(-1), rtol=1e-3, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_only_half_precision_is_raised_to_float32(dtype):
    expected = torch.float64 if dtype is torch.float64 else torch.float32
    assert at_least_float32(torch.zeros(2, dtype=dtype)).dtype is expected


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_densities_of_half_precision_are_summed_in_float32(dtype):
    z, mean, log_var = torch.randn(3, 4, 300, generator=torch.Generator().manual_seed(0)).to(dtype)
    for function, arguments in (
        (gaussian.log_prob, (z * 40, mean, log_var)),
        (gaussian.pairwise_log_prob, (z * 40, mean, log_var)),
        (gaussian.kl, (mean * 40, log_var, z, log_var / 2)),
        (gaussian.kl_to_standard, (mean * 40, log_var)),
        (gaussian.entropy, (log_var,)),
        (StandardNormal(300).log_prob, (z * 40,)),
    ):
        exact = function(*(t.double() for t in arguments))
        ours = function(*arguments)
        assert ours.dtype is torch.float32
        torch.testing.assert_close(ours.double(), exact, rtol=1e-5, atol=1e-3)
