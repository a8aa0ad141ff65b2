r"""Gradients of expectations, one unbiased estimate for each sample.

The expectation is :math:`F(\mu, \log\sigma^2) = E_{z \sim q}[f(z)]` under a diagonal Gaussian
:math:`q = N(\mu, \mathrm{diag}(\sigma^2))`. The estimators differ in how they reach its gradient:
`score_function` differentiates the density and calls f as a black box, `pathwise` differentiates
f. `gumbel_softmax` draws relaxed one-hot vectors, for discrete z.

The function `f` takes samples z of shape (S, D) and gives one number for each, shape (S,). It may
not mix samples. To estimate a gradient, average over the axis S.

Axes: S samples, D dimensions, K categories.
"""

from typing import Annotated, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from companion._require.estimators import evaluate, require_baseline, require_slope
from companion._require.signature import FINITE, Count, Integrand, Positive, checked
from companion.precision import inverse_std

Vector = Annotated[Float[Tensor, " D"], FINITE]  # noise hides what is not finite


class GradientSamples(NamedTuple):
    """One estimate of the gradient for each sample, by `mean` and by `log_var`."""

    mean: Float[Tensor, "S D"]
    log_var: Float[Tensor, "S D"]


class Baseline(NamedTuple):
    """A number to subtract from f, one for each parameter."""

    mean: Float[Tensor, " D"]
    log_var: Float[Tensor, " D"]


@checked
def score_function(
    f: Integrand,
    mean: Vector,
    log_var: Vector,
    *,
    n_samples: Count,
    baseline: float | Baseline = 0.0,
    generator: torch.Generator | None = None,
) -> GradientSamples:
    r"""Estimate the gradient of E[f(z)] from values of f and the score of q.

    .. math:: g = (f(z) - b) \, \nabla \log q(z), \qquad
        \frac{\partial \log q}{\partial \mu_d} = \frac{\epsilon_d}{\sigma_d}, \quad
        \frac{\partial \log q}{\partial \log\sigma_d^2} = \frac{\epsilon_d^2 - 1}{2}, \quad
        \epsilon = \frac{z - \mu}{\sigma}

    Also known as the likelihood-ratio estimator or REINFORCE. f need not be differentiable.

    Args:
        f: integrand, (S, D) to (S,).
        mean: mean of q, shape (D,).
        log_var: log-variance of q, shape (D,).
        n_samples: number S of independent estimates.
        baseline: b, one number, or a `Baseline` with one for each parameter. The estimate stays
            unbiased as long as b does not depend on these samples.
        generator: source of the noise, on the device of `mean`.

    Returns:
        `GradientSamples(mean, log_var)`, each (S, D), without a graph.

    Reference: Williams (1992); Mohamed et al. (2020).

    >>> noise = torch.Generator().manual_seed(0)
    >>> square = lambda z: z.square().sum(-1)
    >>> zero = torch.zeros(3)
    >>> score_function(square, zero, zero, n_samples=5, generator=noise).mean.shape
    torch.Size([5, 3])
    """
    noise, z = _draw(mean, log_var, n_samples, generator)
    offsets = require_baseline(baseline, mean)
    with torch.no_grad():
        values = evaluate(f, z)[:, None]
        scores = _scores(noise, log_var)
        parts = ((values - b) * score for score, b in zip(scores, offsets, strict=True))
        return GradientSamples(*parts)


@checked
def pathwise(
    f: Integrand,
    mean: Vector,
    log_var: Vector,
    *,
    n_samples: Count,
    generator: torch.Generator | None = None,
) -> GradientSamples:
    r"""Estimate the gradient of E[f(z)] through the samples: the reparameterization trick.

    .. math:: z = \mu + \sigma\epsilon, \qquad
        \frac{\partial f}{\partial \mu_d} = \frac{\partial f}{\partial z_d}, \qquad
        \frac{\partial f}{\partial \log\sigma_d^2}
        = \frac{\partial f}{\partial z_d} \, \frac{\sigma_d \epsilon_d}{2}

    Args:
        f: integrand, (S, D) to (S,), continuous, with kinks at most, and with a slope that is
            integrable under q.
        mean: mean of q, shape (D,).
        log_var: log-variance of q, shape (D,).
        n_samples: number S of independent estimates.
        generator: source of the noise, on the device of `mean`.

    Returns:
        `GradientSamples(mean, log_var)`, each (S, D), without a graph.

    Reference: Kingma and Welling (2014), section 2.4; Mohamed et al. (2020).

    >>> noise = torch.Generator().manual_seed(0)
    >>> linear = lambda z: 3 * z.sum(-1)
    >>> pathwise(linear, torch.zeros(1), torch.zeros(1), n_samples=2, generator=noise).mean
    tensor([[3.],
            [3.]])
    """
    noise, z = _draw(mean, log_var, n_samples, generator)
    with torch.enable_grad():
        df_dz = _slope(evaluate(f, z.requires_grad_()), z)
    std = (log_var.detach() / 2).exp()
    return GradientSamples(df_dz, df_dz * std * noise / 2)


@checked
def optimal_baseline(
    f: Integrand,
    mean: Vector,
    log_var: Vector,
    *,
    n_samples: Count,
    generator: torch.Generator | None = None,
) -> Baseline:
    r"""Estimate the constant baseline of least variance, one for each parameter.

    .. math:: b^* = \frac{E[f(z) \, s(z)^2]}{E[s(z)^2]}, \qquad
        s = \frac{\partial \log q}{\partial \theta}

    Use it for *other* samples than those it was estimated from, or the estimate has a bias.

    Args:
        f: integrand, (S, D) to (S,).
        mean: mean of q, shape (D,).
        log_var: log-variance of q, shape (D,).
        n_samples: number S of samples to estimate it from.
        generator: source of the noise, on the device of `mean`.

    Returns:
        `Baseline(mean, log_var)`, each (D,).

    Reference: chapter 2, section "A baseline"; Mohamed et al. (2020).

    >>> noise = torch.Generator().manual_seed(0)
    >>> constant = lambda z: 0 * z.sum(-1) + 7
    >>> zero = torch.zeros(1)
    >>> optimal_baseline(constant, zero, zero, n_samples=9, generator=noise).mean.round()
    tensor([7.])
    """
    noise, z = _draw(mean, log_var, n_samples, generator)
    with torch.no_grad():
        values = evaluate(f, z)[:, None]
        # The factors 1 / sigma and 1/2 of the scores cancel; 1 / sigma^2 alone may overflow.
        weights = noise.square(), (noise.square() - 1).square()
        return Baseline(*((values * w).sum(0) / w.sum(0) for w in weights))


@checked
def gumbel_softmax(
    logits: Annotated[Float[Tensor, "*batch K"], FINITE],
    *,
    temperature: Positive,
    hard: bool = False,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "*batch K"]:
    r"""Draw relaxed one-hot vectors that gradients can flow through.

    .. math:: y = \mathrm{softmax}\!\left(\frac{l + g}{\tau}\right), \qquad
        g_k = -\log(-\log u_k), \quad u_k \sim U(0, 1)

    The largest entry of y is category k with probability softmax(l)_k, at every temperature.

    Args:
        logits: l, one for each category, shape (..., K).
        temperature: tau > 0. Small: close to one-hot, gradients of large variance. Large: the
            other way round.
        hard: round y to a one-hot vector, and keep the gradient of the soft one
            (straight-through).
        generator: source of the noise, on the device of `logits`.

    Returns:
        Vectors that sum to one, shape (..., K), differentiable in `logits`.

    Reference: Jang, Gu and Poole (2017); Maddison, Mnih and Teh (2017).

    >>> noise = torch.Generator().manual_seed(0)
    >>> gumbel_softmax(torch.zeros(2, 3), temperature=0.5, hard=True, generator=noise).sum(-1)
    tensor([1., 1.])
    """
    waiting = torch.empty_like(logits, requires_grad=False).exponential_(generator=generator)
    gumbel = -waiting.clamp_min(torch.finfo(logits.dtype).tiny).log()
    noisy = logits + gumbel
    # Differences are divided, not the numbers: 0 stays 0, and -inf has the softmax 0.
    below = noisy - noisy.detach().amax(-1, keepdim=True)
    # A temperature that the dtype rounds to zero would divide 0 by 0.
    soft = (below / max(temperature, torch.finfo(logits.dtype).tiny)).softmax(-1)
    if not hard:
        return soft
    one_hot = torch.zeros_like(soft).scatter(-1, soft.argmax(-1, keepdim=True), 1.0)
    return one_hot + (soft - soft.detach())


def _draw(
    mean: Tensor, log_var: Tensor, n_samples: int, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    shape = (n_samples, len(mean))
    noise = torch.randn(shape, generator=generator, device=mean.device, dtype=mean.dtype)
    return noise, mean.detach() + (log_var.detach() / 2).exp() * noise


def _scores(noise: Tensor, log_var: Tensor) -> tuple[Tensor, Tensor]:
    return noise * inverse_std(log_var.detach()), (noise.square() - 1) / 2


def _slope(values: Tensor, z: Tensor) -> Tensor:
    """Return the gradient of each value by its own sample, shape (S, D)."""
    gradient = None
    if values.requires_grad:
        (gradient,) = torch.autograd.grad(values.sum(), z, allow_unused=True)
    return require_slope(gradient)
