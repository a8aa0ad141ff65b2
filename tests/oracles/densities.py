"""Independent oracles of the densities, as assertions on a function.

Each `assert_...` takes an implementation and holds it against somebody else's code: values and
gradients of torch.distributions, or quadrature by SciPy. The tests hand in the companion's
function, and `test_mutants.py` the published bugs of `mutants/densities.py`, which must fail.

Axes: S importance samples, B batch, D latent dimensions.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from scipy.integrate import quad
from torch import Tensor
from torch.distributions import Bernoulli, ContinuousBernoulli, Independent, Normal, kl_divergence

# How many standard errors a Monte Carlo mean may be off. One such comparison gives a false alarm
# with probability 6e-7; seeds are fixed, so a test that passed once keeps passing.
SIGMAS = 5.0

LOGITS = (-80.0, -40.0, -20.0, -14.0, -3.0, -0.2, -0.1, -0.05, -1e-4, 0.0)
LOGITS = LOGITS + tuple(-logit for logit in LOGITS[-2::-1])


def generator(seed: int = 0, device: str | torch.device = "cpu") -> torch.Generator:
    return torch.Generator(device).manual_seed(seed)


def normal(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def assert_same(ours: Callable, theirs: Callable, *inputs: Tensor, tolerance: float = 1e-10):
    """Value and every gradient of two functions agree at the inputs."""
    for actual, expected in zip(
        _value_and_gradients(ours, inputs), _value_and_gradients(theirs, inputs), strict=True
    ):
        torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


def _value_and_gradients(function: Callable, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    leaves = [tensor.detach().clone().requires_grad_() for tensor in inputs]
    value = function(*leaves)
    assert value.requires_grad, "the value is cut off from its arguments"
    # Unequal weights: a permutation of the examples would otherwise go unseen.
    weights = torch.linspace(0.5, 1.5, value.numel()).to(value).reshape(value.shape)
    gradients = torch.autograd.grad((value * weights).sum(), leaves, materialize_grads=True)
    return (value.detach(), *gradients)


def assert_within(estimate: Tensor, exact: Tensor, standard_error: Tensor) -> None:
    """A Monte Carlo estimate agrees with the exact number, given its standard error."""
    worst = ((estimate - exact).abs() / standard_error).max().item()
    assert worst < SIGMAS, f"off by {worst:.1f} standard errors"


def gaussian(mean: Tensor, log_var: Tensor) -> Independent:
    return Independent(Normal(mean, (log_var / 2).exp()), 1)


# The diagonal Gaussian


def assert_log_prob(log_prob: Callable, device: str | torch.device = "cpu") -> None:
    mean, log_var = normal(7, 3, seed=1).to(device), normal(7, 3, seed=2, scale=1.5).to(device)
    for value in (normal(7, 3, seed=3).to(device), normal(5, 7, 3, seed=4).to(device)):
        assert_same(log_prob, lambda z, m, v: gaussian(m, v).log_prob(z), value, mean, log_var)


def assert_kl(kl: Callable, device: str | torch.device = "cpu") -> None:
    inputs = [normal(6, 4, seed=seed, scale=1.2).to(device) for seed in range(4)]
    assert_same(kl, lambda m, v, n, w: kl_divergence(gaussian(m, v), gaussian(n, w)), *inputs)


def assert_kl_to_standard(kl_to_standard: Callable, device: str | torch.device = "cpu") -> None:
    def theirs(mean: Tensor, log_var: Tensor) -> Tensor:
        zeros = torch.zeros_like(mean)
        return kl_divergence(gaussian(mean, log_var), gaussian(zeros, zeros))

    inputs = normal(6, 4, seed=1).to(device), normal(6, 4, seed=2, scale=1.5).to(device)
    assert_same(kl_to_standard, theirs, *inputs)


def assert_entropy(entropy: Callable, device: str | torch.device = "cpu") -> None:
    def theirs(log_var: Tensor) -> Tensor:
        return gaussian(torch.zeros_like(log_var), log_var).entropy()

    assert_same(entropy, theirs, normal(6, 4, seed=1, scale=2.0).to(device))


def assert_standard_log_prob(log_prob: Callable, device: str | torch.device = "cpu") -> None:
    def theirs(z: Tensor) -> Tensor:
        return gaussian(torch.zeros_like(z), torch.zeros_like(z)).log_prob(z)

    for z in (normal(6, 4, seed=1, scale=2.0), normal(5, 6, 4, seed=2)):
        assert_same(log_prob, theirs, z.to(device))


def assert_rsample(rsample: Callable, device: str | torch.device = "cpu") -> None:
    """Moments within their exact standard errors, and the exact pathwise gradients."""
    n = 20_000
    mean = torch.tensor([[0.0, 1.0], [-2.0, 3.0]], dtype=torch.float64, device=device)
    log_var = torch.tensor([[0.0, -3.0], [1.0, 2.0]], dtype=torch.float64, device=device)
    mean.requires_grad_()
    log_var.requires_grad_()
    z = rsample(mean, log_var, n_samples=n, generator=generator(5, device))
    assert z.shape == (n, 2, 2)
    std = (log_var / 2).exp().detach()
    sampled = z.detach()
    assert_within(sampled.mean(0), mean.detach(), std / math.sqrt(n))
    assert_within(sampled.var(0), std**2, std**2 * math.sqrt(2 / (n - 1)))
    # Independent noise for each example and dimension: correlations of all pairs vanish.
    correlation = torch.corrcoef(sampled.reshape(n, 4).T) - torch.eye(4, device=device)
    assert correlation.abs().max() < SIGMAS / math.sqrt(n)
    # dz/dmean = 1 and dz/dlog_var = (z - mean) / 2, sample by sample.
    to_mean, to_log_var = torch.autograd.grad(z.sum(), (mean, log_var))
    torch.testing.assert_close(to_mean, torch.full_like(mean, n), rtol=1e-10, atol=1e-10)
    expected = ((sampled - mean.detach()) / 2).sum(0)
    torch.testing.assert_close(to_log_var, expected, rtol=1e-8, atol=1e-8)


# Likelihoods: `log_prob(x, output)` with x (B, *event) and output (*S, B, *event)


def _sum_event(values: Tensor, x: Tensor) -> Tensor:
    return values.sum(tuple(range(values.dim() - x.dim() + 1, values.dim())))


def assert_bernoulli(log_prob: Callable, device: str | torch.device = "cpu") -> None:
    x = (normal(6, 1, 3, 2, seed=1) > 0).double().to(device)
    for shape in ((6, 1, 3, 2), (4, 6, 1, 3, 2)):
        assert_same(
            lambda logits: log_prob(x, logits),
            lambda logits: _sum_event(Bernoulli(logits=logits).log_prob(x.expand_as(logits)), x),
            normal(*shape, seed=2, scale=6.0).to(device),
        )


def assert_gaussian_likelihood(log_prob: Callable, device: str | torch.device = "cpu") -> None:
    """`log_prob(x, output, log_var)`, with one log-variance for all pixels."""

    def theirs(x: Tensor, output: Tensor, log_var: Tensor) -> Tensor:
        return _sum_event(Normal(output, (log_var / 2).exp()).log_prob(x), x)

    x = normal(6, 1, 3, 2, seed=1).to(device)
    for shape in ((6, 1, 3, 2), (4, 6, 1, 3, 2)):
        for log_var in (-2.0, 0.0, 1.5):
            scalar = torch.tensor(log_var, dtype=torch.float64, device=device)
            assert_same(log_prob, theirs, x, normal(*shape, seed=2).to(device), scalar)


def exponential_moments(logit: float) -> tuple[float, float, float]:
    """Log-normalizer, mean and variance of the density e^(logit x) on [0, 1], by quadrature."""
    top = max(logit, 0.0)

    def moment(power: int) -> float:
        # The density's mass may sit at one end; the break points keep quad from overlooking it.
        def integrand(x: float) -> float:
            return x**power * math.exp(logit * x - top)

        return quad(integrand, 0, 1, points=(0.1, 0.5, 0.9), epsabs=0, epsrel=1e-12)[0]

    mass, first, second = (moment(power) for power in range(3))
    return top + math.log(mass), first / mass, second / mass - (first / mass) ** 2


def assert_continuous_bernoulli(log_prob: Callable, device: str | torch.device = "cpu") -> None:
    _assert_equals_torch(log_prob, device)
    _assert_equals_quadrature(log_prob, device)
    _assert_float32_is_close(log_prob, device)


def _assert_equals_torch(log_prob: Callable, device: str | torch.device) -> None:
    # Torch is right for moderate logits only: it clamps large ones, and near zero takes a Taylor
    # series of fewer terms than 1e-10 needs.
    logits = torch.linspace(0.3, 13.9, 35, dtype=torch.float64, device=device)
    logits = torch.cat([logits, -logits]).reshape(7, 1, 10)
    x = torch.rand(7, 1, 10, dtype=torch.float64, generator=generator(1)).to(device)

    def theirs(logits: Tensor) -> Tensor:
        return _sum_event(ContinuousBernoulli(logits=logits).log_prob(x.expand_as(logits)), x)

    for output in (logits, logits.flip(0).expand(3, 7, 1, 10)):
        assert_same(lambda logits: log_prob(x, logits), theirs, output)


def _assert_equals_quadrature(log_prob: Callable, device: str | torch.device) -> None:
    logits = torch.tensor(LOGITS, dtype=torch.float64, device=device, requires_grad=True)
    moments = [exponential_moments(logit) for logit in LOGITS]
    normalizer = torch.tensor([m[0] for m in moments], dtype=torch.float64, device=device)
    mean = torch.tensor([m[1] for m in moments], dtype=torch.float64, device=device)
    for pixel in (0.0, 0.3, 1.0):
        x = torch.full_like(logits, pixel)
        value = log_prob(x.detach()[:, None], logits[:, None])
        (gradient,) = torch.autograd.grad(value.sum(), logits)
        expected = pixel * logits.detach() - normalizer
        torch.testing.assert_close(value.detach(), expected, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(gradient, pixel - mean, rtol=1e-9, atol=1e-9)


def _assert_float32_is_close(log_prob: Callable, device: str | torch.device) -> None:
    logits = torch.tensor(LOGITS, device=device)[:, None]
    x = torch.linspace(0, 1, len(LOGITS), device=device)[:, None]
    double = log_prob(x.double(), logits.double())
    torch.testing.assert_close(log_prob(x, logits).double(), double, rtol=2e-6, atol=2e-6)
    # Far out, one end of [0, 1] has all the mass, and the normalizer is max(logit, 0) - log|logit|.
    logits = torch.tensor([[-1e4], [-1e3], [-100.0], [100.0], [1e3], [1e4]], device=device)
    expected = 0.5 * logits - logits.clamp_min(0) + logits.abs().log()
    found = log_prob(torch.full_like(logits, 0.5), logits)
    torch.testing.assert_close(found, expected.squeeze(1), rtol=2e-6, atol=2e-6)


def total_mass(log_prob: Callable, logit: float) -> float:
    """Integral of a pixel's density over [0, 1], by Gauss-Legendre panels."""
    nodes, weights = np.polynomial.legendre.leggauss(20)
    edges = np.linspace(0, 1, 41)
    widths = np.diff(edges)[:, None]
    x = torch.as_tensor((edges[:-1, None] + widths * (nodes + 1) / 2).reshape(-1, 1))
    density = log_prob(x, torch.full_like(x, logit)).exp().numpy()
    return float(density @ (widths * weights / 2).ravel())
