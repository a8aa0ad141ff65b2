r"""The diagonal Gaussian, by hand.

A Gaussian with diagonal covariance is held as two tensors: its `mean`, and its `log_var`,
the logarithm of its *variance*. The standard deviation is `exp(log_var / 2)`.

Axes: S importance samples, B batch, D latent dimensions.
"""

import math
from typing import Annotated, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from companion._require.signature import Count, EndsLike, checked
from companion.precision import inverse_std

LOG_2PI = math.log(2 * math.pi)


class DiagonalGaussian(NamedTuple):
    """The mean and the log-variance of a Gaussian with diagonal covariance."""

    mean: Float[Tensor, "*batch D"]
    log_var: Float[Tensor, "*batch D"]


@checked
def rsample(
    mean: Float[Tensor, "B D"],
    log_var: Float[Tensor, "B D"],
    *,
    n_samples: Count | None = None,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "*S B D"]:
    r"""Draw samples that gradients can flow through: the reparameterization trick.

    .. math:: z = \mu + e^{\log\sigma^2 / 2} \, \epsilon, \qquad \epsilon \sim N(0, I)

    Args:
        mean: mean of each Gaussian, shape (B, D).
        log_var: log-variance, shape (B, D).
        n_samples: number S of samples of each Gaussian. None draws one, without the axis S.
        generator: source of the noise, on the device of `mean`. None takes torch's own.

    Returns:
        Samples, shape (S, B, D), or (B, D) if `n_samples` is None.

    Reference: Kingma and Welling (2014), section 2.4.

    >>> rsample(torch.zeros(3, 2), torch.zeros(3, 2), n_samples=5).shape
    torch.Size([5, 3, 2])
    """
    shape = mean.shape if n_samples is None else (n_samples, *mean.shape)
    noise = torch.randn(shape, generator=generator, device=mean.device, dtype=mean.dtype)
    return mean + (log_var / 2).exp() * noise


@checked
def log_prob(
    value: Annotated[Float[Tensor, "*sample D"], EndsLike("mean")],
    mean: Float[Tensor, "*batch D"],
    log_var: Float[Tensor, "*batch D"],
) -> Float[Tensor, "*sample"]:
    r"""Log-density of a diagonal Gaussian, in nats, summed over the last axis.

    .. math:: \log N(z; \mu, \sigma^2) = -\tfrac12 \sum_{d=1}^{D} \left[
        \log 2\pi + \log\sigma_d^2 + \frac{(z_d - \mu_d)^2}{\sigma_d^2} \right]

    Args:
        value: where to evaluate, shape (B, D) or (S, B, D).
        mean: shape (B, D).
        log_var: log-variance, shape (B, D).

    Returns:
        One log-density for each vector: shape (B,) or (S, B).

    >>> log_prob(torch.zeros(1, 2), torch.zeros(1, 2), torch.zeros(1, 2))
    tensor([-1.8379])
    """
    return _log_density(value, mean, log_var)


@checked
def pairwise_log_prob(
    z: Float[Tensor, "*batch D"], mean: Float[Tensor, "K D"], log_var: Float[Tensor, "K D"]
) -> Float[Tensor, "*batch K"]:
    r"""Log-density of every code under every one of K diagonal Gaussians, in nats.

    .. math:: \log N(z; \mu_k, \sigma_k^2)

    Args:
        z: codes, shape (B, D) or (S, B, D).
        mean: shape (K, D).
        log_var: log-variance, shape (K, D).

    Returns:
        Shape (B, K) or (S, B, K).

    >>> pairwise_log_prob(torch.zeros(3, 1), torch.zeros(2, 1), torch.zeros(2, 1)).shape
    torch.Size([3, 2])
    """
    return _log_density(z.unsqueeze(-2), mean, log_var)


def _log_density(value: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    scaled = (value - mean) * inverse_std(log_var)
    constant = mean.shape[-1] * LOG_2PI + log_var.sum(-1)  # summed apart: K or B numbers only
    return -0.5 * (constant + scaled.square().sum(-1))


@checked
def kl(
    mean_q: Float[Tensor, "B D"],
    log_var_q: Float[Tensor, "B D"],
    mean_p: Float[Tensor, "B D"],
    log_var_p: Float[Tensor, "B D"],
) -> Float[Tensor, " B"]:
    r"""Kullback-Leibler divergence KL(q || p) of two diagonal Gaussians, in nats.

    .. math:: \mathrm{KL}(q \| p) = \tfrac12 \sum_{d=1}^{D} \left[
        \log\frac{\sigma_{p,d}^2}{\sigma_{q,d}^2}
        + \frac{\sigma_{q,d}^2 + (\mu_{q,d} - \mu_{p,d})^2}{\sigma_{p,d}^2} - 1 \right]

    Args:
        mean_q: mean of q, shape (B, D).
        log_var_q: log-variance of q, shape (B, D).
        mean_p: mean of p, shape (B, D).
        log_var_p: log-variance of p, shape (B, D).

    Returns:
        One divergence for each pair, shape (B,), never below zero up to rounding.

    Reference: chapter 1, exercises 1.1 and 1.2.

    >>> kl(torch.ones(1, 2), torch.zeros(1, 2), torch.zeros(1, 2), torch.zeros(1, 2))
    tensor([1.])
    """
    log_ratio = log_var_q - log_var_p
    distance = ((mean_q - mean_p) * inverse_std(log_var_p)).square()
    return 0.5 * (log_ratio.expm1() - log_ratio + distance).sum(-1)


@checked
def kl_to_standard(
    mean: Float[Tensor, "B D"], log_var: Float[Tensor, "B D"]
) -> Float[Tensor, " B"]:
    r"""Divergence KL(q || N(0, I)) of a diagonal Gaussian q from the standard normal, in nats.

    .. math:: \mathrm{KL} = \tfrac12 \sum_{d=1}^{D} \left[
        \sigma_d^2 + \mu_d^2 - 1 - \log\sigma_d^2 \right]

    Args:
        mean: mean of q, shape (B, D).
        log_var: log-variance of q, shape (B, D).

    Returns:
        One divergence for each Gaussian, shape (B,).

    Reference: Kingma and Welling (2014), appendix B.

    >>> kl_to_standard(torch.ones(1, 2), torch.zeros(1, 2))
    tensor([1.])
    """
    return 0.5 * (log_var.expm1() - log_var + mean.square()).sum(-1)


@checked
def entropy(log_var: Float[Tensor, "B D"]) -> Float[Tensor, " B"]:
    r"""Entropy of a diagonal Gaussian, in nats.

    .. math:: H = \tfrac12 \sum_{d=1}^{D} \left[ 1 + \log 2\pi + \log\sigma_d^2 \right]

    Args:
        log_var: log-variance, shape (B, D). The mean does not matter.

    Returns:
        One entropy for each Gaussian, shape (B,). It may be negative.

    >>> entropy(torch.zeros(1, 2))
    tensor([2.8379])
    """
    return 0.5 * (1 + LOG_2PI + log_var).sum(-1)
