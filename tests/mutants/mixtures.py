"""Published bugs of mixtures, and their near relatives, as functions (see `mutants/densities.py`).

Axes: B batch, N codes, K components, D latent dimensions.
"""

import math
from functools import partial

import torch
from oracles import mixtures as oracles_mixture

from companion import gaussian
from companion.gaussian import LOG_2PI
from companion.mixture import GaussianMixture
from mutants.densities import fault


def _terms(z, mean, log_var):
    """log N of each component and dimension, shape (*batch, K, D)."""
    return -0.5 * (LOG_2PI + log_var + (z.unsqueeze(-2) - mean).square() / log_var.exp())


def _normalized(weights):
    return weights / weights.sum()


# The log-density: log_prob(z, weights, mean, log_var)


@fault("logsumexp per dimension: a product of mixtures", oracles_mixture.assert_mixture_log_prob)
def _(z, weights, mean, log_var):
    terms = _terms(z, mean, log_var) + _normalized(weights).log()[:, None]
    return terms.logsumexp(-2).sum(-1)


@fault("a misplaced parenthesis", oracles_mixture.assert_mixture_log_prob)
def _(z, weights, mean, log_var):
    squares = (z.unsqueeze(-2) - mean).square() / log_var.exp()
    terms = -0.5 * (LOG_2PI + log_var) + squares / -0.5
    return (terms.sum(-1) + _normalized(weights).log()).logsumexp(-1)


@fault("weights forgotten", oracles_mixture.assert_mixture_log_prob)
def _(z, weights, mean, log_var):
    return _terms(z, mean, log_var).sum(-1).logsumexp(-1) - math.log(len(weights))


@fault("weights taken for log-weights", oracles_mixture.assert_mixture_log_prob)
def _(z, weights, mean, log_var):
    return (_terms(z, mean, log_var).sum(-1) + _normalized(weights)).logsumexp(-1)


@fault("the mean of the components' log-densities", oracles_mixture.assert_mixture_log_prob)
def _(z, weights, mean, log_var):
    return (_terms(z, mean, log_var).sum(-1) * _normalized(weights)).sum(-1)


@fault("exp before the sum underflows", oracles_mixture.assert_mixture_log_prob)
def _(z, weights, mean, log_var):
    return (_terms(z, mean, log_var).sum(-1).exp() * _normalized(weights)).sum(-1).log()


@fault("variance where log-variance is meant", oracles_mixture.assert_mixture_log_prob)
def _(z, weights, mean, log_var):
    terms = _terms(z, mean, log_var.exp())
    return (terms.sum(-1) + _normalized(weights).log()).logsumexp(-1)


@fault("log 2 pi once, not for each dimension", oracles_mixture.assert_mixture_log_prob)
def _(z, weights, mean, log_var):
    terms = (_terms(z, mean, log_var) + 0.5 * LOG_2PI).sum(-1) - 0.5 * LOG_2PI
    return (terms + _normalized(weights).log()).logsumexp(-1)


# Samples: sample(n, weights, mean, log_var, generator=)


def _choose(weights, n, generator):
    return torch.multinomial(weights, n, replacement=True, generator=generator)


def _noise(n, mean, generator):
    shape = (n, mean.shape[1])
    return torch.randn(shape, generator=generator, device=mean.device, dtype=mean.dtype)


@fault("std = exp(log_var)", oracles_mixture.assert_mixture_samples)
def _(n, weights, mean, log_var, *, generator):
    k = _choose(weights, n, generator)
    return mean[k] + log_var.exp()[k] * _noise(n, mean, generator)


@fault("the components averaged, not chosen", oracles_mixture.assert_mixture_samples)
def _(n, weights, mean, log_var, *, generator):
    noise = _noise(n * len(weights), mean, generator).reshape(n, *mean.shape)
    return ((mean + (log_var / 2).exp() * noise) * weights[:, None]).sum(1)


@fault("equal weights", oracles_mixture.assert_mixture_samples)
def _(n, weights, mean, log_var, *, generator):
    k = _choose(torch.ones_like(weights), n, generator)
    return mean[k] + (log_var / 2).exp()[k] * _noise(n, mean, generator)


@fault("another component for each dimension", oracles_mixture.assert_mixture_samples)
def _(n, weights, mean, log_var, *, generator):
    columns = []
    for d in range(mean.shape[1]):
        k = _choose(weights, n, generator)
        noise = _noise(n, mean[:, :1], generator)[:, 0]
        columns.append(mean[k, d] + (log_var / 2).exp()[k, d] * noise)
    return torch.stack(columns, 1)


@fault("one Gaussian with the mixture's moments", oracles_mixture.assert_mixture_samples)
def _(n, weights, mean, log_var, *, generator):
    center = weights @ mean
    variance = weights @ (log_var.exp() + (mean - center).square())
    return center + variance.sqrt() * _noise(n, mean, generator)


# The EM step: step(z, weights, mean, covariances), held against scikit-learn's

_DIAGONAL = partial(oracles_mixture.assert_em_step, covariance="diagonal")
_DIAGONAL.__name__ = "assert_em_step"  # type: ignore[attr-defined]


def _responsibilities(z, weights, mean, variance):
    return GaussianMixture.from_parameters(weights, mean, variance).responsibilities(z).detach()


@fault("variances around the old means", _DIAGONAL)
def _(z, weights, mean, variance):
    r = _responsibilities(z, weights, mean, variance)
    counts = r.sum(0)
    squares = (z[:, None] - mean).square()
    return (
        counts / len(z),
        (r.T @ z) / counts[:, None],
        (r[..., None] * squares).sum(0) / counts[:, None],
    )


@fault("sums divided by N, not by N_k", _DIAGONAL)
def _(z, weights, mean, variance):
    r = _responsibilities(z, weights, mean, variance)
    new = (r.T @ z) / len(z)
    squares = (z[:, None] - new).square()
    return r.mean(0), new, (r[..., None] * squares).mean(0)


@fault("hard assignments (k-means)", _DIAGONAL)
def _(z, weights, mean, variance):
    soft = _responsibilities(z, weights, mean, variance)
    r = torch.nn.functional.one_hot(soft.argmax(1), len(weights)).to(z)
    counts = r.sum(0)
    new = (r.T @ z) / counts[:, None]
    squares = (z[:, None] - new).square()
    return counts / len(z), new, (r[..., None] * squares).sum(0) / counts[:, None]


@fault("weights never updated", _DIAGONAL)
def _(z, weights, mean, variance):
    r = _responsibilities(z, weights, mean, variance)
    counts = r.sum(0)
    new = (r.T @ z) / counts[:, None]
    squares = (z[:, None] - new).square()
    return weights, new, (r[..., None] * squares).sum(0) / counts[:, None]


# Density and samples disagree: assert_samples_fit_the_density(sample, log_prob)


def _agreement(mutant):
    oracles_mixture.assert_samples_fit_the_density(*mutant())


def _mixture():
    return GaussianMixture.from_parameters(
        *oracles_mixture.parameters()[:2], oracles_mixture.parameters().log_var.exp()
    )


@fault("samples with std = exp(log_var), density without", _agreement)
def _():
    wrong = GaussianMixture.from_parameters(
        *oracles_mixture.parameters()[:2], (2 * oracles_mixture.parameters().log_var).exp()
    )
    return wrong.sample, _mixture().log_prob


@fault("samples of the mixture, density of the product of mixtures", _agreement)
def _():
    weights, mean, log_var = oracles_mixture.parameters()

    def product(z):
        return (_terms(z, mean, log_var) + weights.log()[:, None]).logsumexp(-2).sum(-1)

    return _mixture().sample, product


@fault("samples of one component", _agreement)
def _():
    _, mean, log_var = oracles_mixture.parameters()

    def sample(n, *, generator):
        return gaussian.rsample(
            mean[1].expand(n, -1), log_var[1].expand(n, -1), generator=generator
        )

    return sample, _mixture().log_prob
