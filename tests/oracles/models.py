"""Independent oracles of the models, as assertions on a function (see `oracles/densities.py`).

The exact numbers come from torch.distributions' multivariate normals and from scikit-learn.

Axes: S importance samples, B batch, P coordinates of x, D latent dimensions.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from scipy import stats
from sklearn.decomposition import PCA
from torch import Tensor, nn
from torch.distributions import LowRankMultivariateNormal, MultivariateNormal, kl_divergence

from companion.likelihoods import Gaussian
from companion.networks import LinearEncoder, MLPDecoder
from companion.priors import StandardNormal
from companion.vae import VAE
from oracles.densities import assert_same, assert_within, gaussian, generator, normal


class Problem(NamedTuple):
    """A linear-Gaussian model with data, in float64."""

    weight: Tensor
    bias: Tensor
    log_var: Tensor
    x: Tensor


def problem(p: int = 5, d: int = 2, b: int = 6, *, device: str | torch.device = "cpu") -> Problem:
    tensors = (
        normal(p, d, seed=1),
        normal(p, seed=2),
        torch.tensor(-0.7, dtype=torch.float64),
        normal(b, p, seed=3, scale=2.0),
    )
    return Problem(*(tensor.to(device) for tensor in tensors))


def exact_log_prob(x: Tensor, weight: Tensor, bias: Tensor, log_var: Tensor) -> Tensor:
    diagonal = log_var.exp().expand_as(bias)
    return LowRankMultivariateNormal(bias, weight, diagonal).log_prob(x)


def exact_posterior(case: Problem) -> MultivariateNormal:
    """p(z | x) by conditioning the joint covariance of (z, x): no Woodbury."""
    weight, bias, log_var, x = case
    p, d = weight.shape
    eye = torch.eye(p, dtype=weight.dtype, device=weight.device)
    gain = torch.linalg.solve(weight @ weight.T + log_var.exp() * eye, weight).T
    covariance = torch.eye(d, dtype=weight.dtype, device=weight.device) - gain @ weight
    covariance = (covariance + covariance.T) / 2
    return MultivariateNormal((x - bias) @ gain.T, covariance.expand(len(x), d, d))


def diagonal_q(mean: Tensor, log_var: Tensor) -> MultivariateNormal:
    return MultivariateNormal(mean, torch.diag_embed(log_var.exp()))


def assert_linear_gaussian(log_prob: Callable, device: str | torch.device = "cpu") -> None:
    """`log_prob(x, weight, bias, log_var)`."""
    for p, d in ((5, 2), (2, 2), (2, 4)):
        weight, bias, log_var, x = problem(p, d, device=device)
        assert_same(log_prob, exact_log_prob, x, weight, bias, log_var)


def assert_exact_elbo(elbo: Callable, device: str | torch.device = "cpu") -> None:
    """`elbo(case, mean, log_var)` of a linear-Gaussian model is log p(x) - KL(q || posterior)."""
    case = problem(device=device)
    gap = exact_posterior(case)

    def theirs(mean: Tensor, log_var: Tensor) -> Tensor:
        exact = exact_log_prob(case.x, case.weight, case.bias, case.log_var)
        return exact - kl_divergence(diagonal_q(mean, log_var), gap)

    inputs = normal(6, 2, seed=4).to(device), normal(6, 2, seed=5).to(device)
    assert_same(lambda m, v: elbo(case, m, v), theirs, *inputs)


def assert_ppca(fit: Callable, device: str | torch.device = "cpu") -> None:
    """`fit(x, latent_dim)` against scikit-learn.

    scikit-learn divides the covariance by n - 1, maximum likelihood by n. So PCA sees the data
    shrunk by sqrt((n - 1) / n), whose n - 1 covariance is the n covariance of the data.
    """
    x = (normal(40, 6, seed=1) @ normal(6, 6, seed=2) + 3).to(device)
    for latent_dim in (1, 3, 5):
        model = fit(x, latent_dim)
        bias = x.mean(0).cpu().numpy()
        centered = x.cpu().numpy() - bias
        pca = PCA(latent_dim, svd_solver="full").fit(centered * np.sqrt(39 / 40))
        covariance = model.weight @ model.weight.T + model.log_var.exp() * torch.eye(6).to(x)
        _close(model.bias, bias)
        _close(model.log_var.exp(), pca.noise_variance_)
        _close(covariance, pca.get_covariance())
        ours = exact_log_prob(x, model.weight, model.bias, model.log_var)
        _close(ours, pca.score_samples(centered))


def _close(actual: Tensor, expected: np.ndarray | float) -> None:
    np.testing.assert_allclose(actual.cpu().numpy(), expected, rtol=1e-9, atol=1e-9)


# The VAE: a linear decoder with a Gaussian likelihood is a linear-Gaussian model


def linear_vae(case: Problem, *, mean_shift: float = 0.3, log_var_shift: float = 0.4) -> VAE:
    """A VAE that is `case`, with an encoder that misses the posterior by the two shifts."""
    p, d = case.weight.shape
    likelihood = Gaussian(case.log_var.item())
    encoder, decoder = LinearEncoder((p,), d), MLPDecoder(d, (p,), hidden_dims=())
    vae = VAE(encoder, decoder, likelihood, StandardNormal(d)).double().to(case.weight.device)
    likelihood.log_var = case.log_var.clone()
    posterior = exact_posterior(case)
    gain = posterior.covariance_matrix[0] @ case.weight.T * (-case.log_var).exp()
    with torch.no_grad():
        decoder.layers[0].weight.copy_(case.weight)
        decoder.layers[0].bias.copy_(case.bias)
        encoder.mean.weight.copy_(gain)
        encoder.mean.bias.copy_(mean_shift - gain @ case.bias)
        variance = posterior.covariance_matrix[0].diagonal()
        encoder.log_var.copy_(variance.log() + log_var_shift)
    return vae


def orthogonal_problem(p: int = 784, d: int = 3, *, device: str | torch.device = "cpu") -> Problem:
    """A problem whose exact posterior is diagonal, and whose densities underflow exp."""
    case = problem(p, d, b=4)
    directions = torch.linalg.qr(case.weight).Q * torch.tensor([3.0, 2.0, 1.0][:d])
    return Problem(*(t.to(device) for t in case._replace(weight=directions.double())))


def exact_elbo(case: Problem, vae: VAE) -> Tensor:
    q = vae.encode(case.x)
    exact = exact_log_prob(case.x, case.weight, case.bias, case.log_var)
    gap = kl_divergence(diagonal_q(q.mean, q.log_var), exact_posterior(case))
    return (exact - gap).detach()


def assert_elbo_of_vae(forward: Callable, device: str | torch.device = "cpu") -> None:
    """`forward(vae, x, n_samples=, generator=)`: its KL is exact, and its value in the mean."""
    case = problem(device=device)
    repeats, b = 400, len(case.x)
    vae, x = linear_vae(case), case.x.repeat(repeats, 1)
    elbo = forward(vae, x, n_samples=5, generator=generator(1, device))
    q = vae.encode(x)
    zeros = torch.zeros_like(q.mean)
    expected_kl = kl_divergence(gaussian(*q), gaussian(zeros, zeros))
    torch.testing.assert_close(elbo.kl, expected_kl, rtol=1e-10, atol=1e-10)
    values = (elbo.log_likelihood - elbo.kl).detach().reshape(repeats, b)
    assert_within(values.mean(0), exact_elbo(case, vae), values.std(0) / repeats**0.5)


def assert_bound(bound: Callable, device: str | torch.device = "cpu") -> None:
    """`bound(vae, x, n_samples, generator=)` at the posterior, and its way up to log p(x)."""
    case = orthogonal_problem(device=device)
    exact = exact_log_prob(case.x, case.weight, case.bias, case.log_var)
    # At q = posterior every importance weight equals p(x): the bound is exact for every S.
    perfect = linear_vae(case, mean_shift=0.0, log_var_shift=0.0)
    for n_samples in (1, 7, 50):
        found = bound(perfect, case.x, n_samples, generator=generator(1, device))
        torch.testing.assert_close(found, exact, rtol=1e-9, atol=1e-9)
    # Away from it, many samples close all but a twentieth of the gap of one.
    vae = linear_vae(case, mean_shift=0.3, log_var_shift=0.4)
    found = bound(vae, case.x, 4_000, generator=generator(2, device))
    gap = exact - exact_elbo(case, vae)
    assert gap.min() > 0.1
    assert ((exact - found).abs() < gap / 20).all(), f"left {(exact - found) / gap} of the gap"


# Small things


def assert_log_var_unbounded(make_encoder: Callable, x: Tensor) -> None:
    """An encoder's log-variance follows its last bias to any value, far below zero as well."""
    encoder = make_encoder()
    for wanted in (-6.0, 3.0):
        with torch.no_grad():
            for parameter in encoder.parameters():
                parameter.zero_()
            _last_bias(encoder).fill_(wanted)
        log_var = encoder(x).log_var
        torch.testing.assert_close(log_var, torch.full_like(log_var, wanted))


def _last_bias(encoder: nn.Module) -> Tensor:
    return encoder.log_var if hasattr(encoder, "log_var") else list(encoder.parameters())[-1]


def assert_elbo_value(value: Callable) -> None:
    """`value(log_likelihood, kl, beta)`, by numbers worked out on paper."""
    log_likelihood, kl = torch.tensor([-10.0, -20.0]), torch.tensor([2.0, 3.0])
    for beta, expected in ((1.0, [-12.0, -23.0]), (0.0, [-10.0, -20.0]), (4.0, [-18.0, -32.0])):
        torch.testing.assert_close(value(log_likelihood, kl, beta), torch.tensor(expected))


def assert_mean_with_error(mean_with_error: Callable) -> None:
    """A mean and its standard error, against SciPy."""
    for n in (2, 3, 50):
        values = normal(n, seed=n, scale=3.0) + 7
        mean, error = mean_with_error(values)
        np.testing.assert_allclose(mean, values.numpy().mean(), rtol=1e-12)
        np.testing.assert_allclose(error, stats.sem(values.numpy()), rtol=1e-12)
