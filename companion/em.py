r"""Expectation-maximization: fits a mixture of Gaussians to codes.

Axes: N codes, K components, D latent dimensions.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from companion._require.arguments import (
    require_choice,
    require_count,
    require_finite,
    require_generator,
    require_instance,
    require_positive,
    require_same_dtype,
    require_tensor,
)
from companion.mixture import GaussianMixture
from companion.precision import outside_autocast


class EMFit(NamedTuple):
    """A fitted mixture, and the mean log-likelihood of the codes, at the start and after each step.

    The log-likelihood is in nats for one code.
    """

    mixture: GaussianMixture
    log_likelihood: list[float]


@torch.no_grad()
def em_step(
    mixture: GaussianMixture, z: Float[Tensor, "N D"], *, floor: float = 1e-6
) -> GaussianMixture:
    r"""Return the mixture after one step of expectation-maximization.

    With the responsibilities r_nk = p(k | z_n) and N_k = sum_n r_nk,

    .. math:: w_k = \frac{N_k}{N}, \quad \mu_k = \frac{1}{N_k} \sum_n r_{nk} z_n, \quad
        \Sigma_k = \frac{1}{N_k} \sum_n r_{nk} (z_n - \mu_k)(z_n - \mu_k)^\top + \text{floor} \, I

    With floor = 0 the likelihood never decreases. The floor keeps a component that holds a single
    code from shrinking to a point, where the likelihood is infinite.

    Args:
        mixture: the mixture before the step. It is not changed.
        z: codes, shape (N, D).
        floor: added to every variance, at least 0.

    Returns:
        A new mixture with the same kind of covariance.

    Raises:
        TypeError: `mixture` is no mixture; z is no tensor of floating-point numbers, or of
            another dtype.
        ValueError: z is not (N, D) or not finite, `floor` is negative, or a covariance is singular.

    Reference: Dempster, Laird and Rubin (1977); Bishop (2006), equations (9.23) to (9.26).

    >>> em_step(GaussianMixture(1, 1), torch.tensor([[1.0], [3.0]]), floor=0.0).mean.detach()
    tensor([[2.]])
    """
    remedy = "Begin with GaussianMixture(n_components, dim), or let fit_em find a start."
    require_instance(GaussianMixture, remedy, mixture=mixture)
    _require_codes(z, mixture.dim)
    require_same_dtype(z=z, mean=mixture.mean)
    _require_floor(floor)
    return _maximize(z, mixture.responsibilities(z), mixture.covariance, floor)


@torch.no_grad()
def fit_em(
    z: Float[Tensor, "N D"],
    n_components: int,
    *,
    covariance: str = "full",
    max_steps: int = 200,
    tolerance: float = 1e-4,
    floor: float = 1e-6,
    generator: torch.Generator | None = None,
) -> EMFit:
    """Fit a mixture to codes by expectation-maximization.

    The means start at codes that lie far apart (k-means++), all components with the variances of
    the whole set and equal weights. The result is a local optimum and depends on that draw.

    Args:
        z: codes, shape (N, D), N >= 2.
        n_components: the number K of components, at most N.
        covariance: "diagonal" or "full".
        max_steps: the largest number of steps.
        tolerance: stop when a step gains less than this, in nats for each code.
        floor: added to every variance.
        generator: source of the start.

    Returns:
        `EMFit(mixture, log_likelihood)`.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: z is not (N, D) or not finite, or a number is out of range.

    Reference: Dempster, Laird and Rubin (1977); Arthur and Vassilvitskii (2007) for the start.

    >>> z = torch.tensor([[-5.0], [-5.2], [5.0], [5.2]])
    >>> fit_em(z, 2).mixture.mean.sort(0).values.detach()
    tensor([[-5.1000],
            [ 5.1000]])
    """
    _require_codes(z)
    require_count(n_components=n_components, max_steps=max_steps)
    require_positive(tolerance=tolerance)
    _require_floor(floor)
    require_choice(("diagonal", "full"), covariance=covariance)
    require_generator(generator, z.device)
    if n_components > len(z):
        raise ValueError(
            f"`n_components` is {n_components}, but there are only {len(z)} codes. "
            f"Pass more codes, or a smaller number of components."
        )
    mixture = _start(z, n_components, covariance, floor, generator)
    log_joint = mixture.log_joint(z)  # gives the likelihood, and the next step's responsibilities
    curve = [log_joint.logsumexp(-1).mean().item()]
    for _ in range(max_steps):
        mixture = _maximize(z, log_joint.softmax(-1), covariance, floor)
        log_joint = mixture.log_joint(z)
        curve.append(log_joint.logsumexp(-1).mean().item())
        if curve[-1] - curve[-2] < tolerance:
            break
    return EMFit(mixture, curve)


@outside_autocast
def _maximize(z: Tensor, resp: Tensor, covariance: str, floor: float) -> GaussianMixture:
    # An empty component is kept from a division by zero; the others are not touched.
    counts = resp.sum(0).clamp_min(torch.finfo(z.dtype).eps)
    mean = (resp.T @ z) / counts[:, None]
    centered = z[:, None] - mean
    if covariance == "diagonal":
        variance = (resp[:, :, None] * centered.square()).sum(0) / counts[:, None] + floor
    else:
        scatter = torch.einsum("nk,nki,nkj->kij", resp, centered, centered)
        identity = torch.eye(z.shape[1], dtype=z.dtype, device=z.device)
        variance = scatter / counts[:, None, None] + floor * identity
    return GaussianMixture.from_parameters(counts / counts.sum(), mean, variance)


def _start(
    z: Tensor,
    n_components: int,
    covariance: str,
    floor: float,
    generator: torch.Generator | None,
) -> GaussianMixture:
    chosen = torch.randint(len(z), (1,), generator=generator, device=z.device)
    for _ in range(n_components - 1):
        distance = (z[:, None] - z[chosen]).square().sum(-1).amin(1)
        distance = distance + torch.finfo(z.dtype).tiny  # equal codes may be drawn twice
        chosen = torch.cat([chosen, torch.multinomial(distance, 1, generator=generator)])
    variance = z.var(0, correction=0).expand(n_components, -1) + floor
    if covariance == "full":
        variance = torch.diag_embed(variance)
    weights = z.new_full((n_components,), 1 / n_components)
    return GaussianMixture.from_parameters(weights, z[chosen], variance)


def _require_floor(floor: float) -> None:
    if floor != 0:
        require_positive(floor=floor)


def _require_codes(z: Tensor, dim: int | None = None) -> None:
    require_tensor(z=z)
    if z.dim() != 2 or len(z) < 2 or z.shape[1] != (dim or z.shape[1]):
        raise ValueError(
            f"`z` has shape {tuple(z.shape)}, but (N, {dim or 'D'}) with N >= 2 is expected. "
            f"Stacked samples become rows by z.flatten(0, -2)."
        )
    require_finite(z=z)
