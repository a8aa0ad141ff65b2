"""Independent oracles of mixtures: torch.distributions, scikit-learn, and a classifier.

Each `assert_...` takes an implementation. The tests hand in the companion's, `test_mutants.py` the
published bugs.

Axes: B batch, N codes, K components, D latent dimensions.
"""

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture as ScikitMixture
from torch import Tensor
from torch.distributions import (
    Categorical,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
)

from oracles.densities import assert_same, assert_within, generator, normal


class Parameters(NamedTuple):
    """Unequal in every respect, so that no two confusions give the same numbers."""

    weights: Tensor
    mean: Tensor
    log_var: Tensor


def parameters(device: str | torch.device = "cpu", *, k: int = 3, d: int = 2) -> Parameters:
    weights = torch.tensor([0.15, 0.3, 0.55], dtype=torch.float64)[:k]
    mean, log_var = 2 * normal(k, d, seed=1), normal(k, d, seed=2, scale=1.3)
    return Parameters(*(t.to(device) for t in (weights / weights.sum(), mean, log_var)))


def covariances(k: int = 3, d: int = 2) -> Tensor:
    root = normal(k, d, d, seed=5)
    return root @ root.mT + 0.2 * torch.eye(d, dtype=torch.float64)


def torch_mixture(weights: Tensor, mean: Tensor, log_var: Tensor) -> MixtureSameFamily:
    components = Independent(Normal(mean, (log_var / 2).exp()), 1)
    return MixtureSameFamily(Categorical(weights), components)


def assert_mixture_log_prob(log_prob: Callable, device: str | torch.device = "cpu") -> None:
    """`log_prob(z, weights, mean, log_var)`: value and gradients, near and far from the codes."""
    given = parameters(device)
    for z in (normal(7, 2, seed=3), normal(5, 7, 2, seed=4), 40 + normal(4, 2, seed=6)):
        assert_same(
            log_prob, lambda z, w, m, v: torch_mixture(w, m, v).log_prob(z), z.to(device), *given
        )


def assert_mixture_samples(sample: Callable, device: str | torch.device = "cpu") -> None:
    """`sample(n, weights, mean, log_var, generator=)`: mean and covariance are the mixture's."""
    given, n = parameters(device), 40_000
    z = sample(n, *given, generator=generator(3, device))
    expected = torch_mixture(*given)
    error = expected.variance.sqrt() / n**0.5
    assert_within(z.mean(0), expected.mean, error)
    weights, mean, log_var = given
    spread = mean - expected.mean
    scatter = torch.diag_embed(log_var.exp()) + spread[:, :, None] * spread[:, None]
    products = (z - expected.mean)[:, :, None] * (z - expected.mean)[:, None]
    covariance = (weights[:, None, None] * scatter).sum(0)
    assert_within(products.mean(0), covariance, products.std(0) / n**0.5)
    # Two moments do not tell a mixture from one Gaussian; the masses of boxes do.
    with torch.random.fork_rng():
        torch.manual_seed(6)  # torch.distributions takes no generator
        theirs = expected.sample((n,))
    for quantile in (0.1, 0.5, 0.9):
        below = (theirs < torch.quantile(theirs, quantile, dim=0)).double().mean(0)
        ours = (z < torch.quantile(theirs, quantile, dim=0)).double().mean(0)
        assert_within(ours, below, torch.full_like(below, (2 * 0.25 / n) ** 0.5))


def assert_samples_fit_the_density(sample: Callable, log_prob: Callable, n: int = 4_000) -> None:
    """The density predicts which of two sets the samples belong to, as well as it should.

    Half of the codes are samples, half are drawn from a broad Gaussian r. If the density p is that
    of the samples, log p - log r is the logit of the best classifier: logistic regression must
    give this feature the weight 1, and the intercept and all other features the weight 0.
    """
    with torch.no_grad():
        z = sample(n, generator=generator(8)).double()
        broad = MultivariateNormal(z.mean(0), 2 * torch.cov(z.T))
        other = broad.mean + normal(n, z.shape[1], seed=9) @ broad.scale_tril.T
        both = torch.cat([z, other])
        logit = log_prob(both).double() - broad.log_prob(both)
        white = (both - broad.mean) / broad.variance.sqrt()
        columns = [torch.ones(2 * n), logit, *white.T, *white.square().T, white[:, 0] * white[:, 1]]
        design = torch.stack(columns, 1).numpy()
    label = np.repeat([1, 0], n)
    fit = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-8, max_iter=1_000)
    probability = fit.fit(design, label).predict_proba(design)[:, 1]
    information = design.T @ (design * (probability * (1 - probability))[:, None])
    error = np.sqrt(np.diag(np.linalg.inv(information)))
    expected = np.eye(design.shape[1])[1]
    assert_within(*map(torch.as_tensor, (fit.coef_[0], expected, error)))


def assert_em_step(step: Callable, covariance: str) -> None:
    """`step(z, weights, mean, covariances)` -> the same three, after three EM steps."""
    z = normal(200, 2, seed=7) * 1.5 + torch.tensor([0.5, -1.0], dtype=torch.float64)
    given = parameters()
    start = covariances() if covariance == "full" else given.log_var.exp()
    precision = torch.linalg.inv(start) if covariance == "full" else 1 / start
    theirs = ScikitMixture(
        3,
        covariance_type="full" if covariance == "full" else "diag",
        weights_init=given.weights.numpy(),
        means_init=given.mean.numpy(),
        precisions_init=precision.numpy(),
        reg_covar=0.0,
        max_iter=3,
        tol=0.0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # three steps do not converge, and need not
        theirs.fit(z.numpy())
    ours = given.weights, given.mean, start
    for _ in range(3):
        ours = step(z, *ours)
    expected = theirs.weights_, theirs.means_, theirs.covariances_
    for actual, wanted in zip(ours, expected, strict=True):
        torch.testing.assert_close(actual.detach(), torch.as_tensor(wanted), rtol=1e-8, atol=1e-8)


def scikit_learn_optima(z: Tensor, k: int, *, n_starts: int, n_seeds: int) -> list[float]:
    """Mean log-likelihood of scikit-learn's fit with diagonal covariances, for each seed."""
    rows = z.numpy()
    fits = [
        ScikitMixture(
            k, covariance_type="diag", n_init=n_starts, reg_covar=1e-3, tol=1e-4, random_state=seed
        )
        for seed in range(n_seeds)
    ]
    return [fit.fit(rows).score(rows) for fit in fits]
