r"""Expectation-maximization: fits a mixture of Gaussians to codes.

Axes: N codes, K components, D latent dimensions.
"""

import math
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
    return _maximize(z, mixture.responsibilities(z), mixture, floor)


@torch.no_grad()
def fit_em(
    z: Float[Tensor, "N D"],
    n_components: int,
    *,
    covariance: str = "full",
    max_steps: int = 200,
    tolerance: float = 1e-4,
    floor: float = 1e-6,
    n_starts: int = 3,
    generator: torch.Generator | None = None,
) -> EMFit:
    """Fit a mixture to codes by expectation-maximization, from several starts.

    A start: greedy k-means++ draws codes that lie far apart, k-means moves these means, and all
    components get equal weights and the variances within the clusters. The result is the best of
    `n_starts` local optima, and still depends on the draws.

    Args:
        z: codes, shape (N, D), N >= 2.
        n_components: the number K of components, at most N.
        covariance: "diagonal" or "full".
        max_steps: the largest number of steps.
        tolerance: stop when a step gains less than this, in nats for each code.
        floor: added to every variance.
        n_starts: how often to begin anew. The time grows in proportion.
        generator: source of the starts.

    Returns:
        `EMFit(mixture, log_likelihood)` of the run that ends with the largest log-likelihood.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: z is not (N, D) or not finite, or a number is out of range.

    Reference: Dempster, Laird and Rubin (1977); Arthur and Vassilvitskii (2007) for k-means++,
    whose section 5 names the greedy variant; Lloyd (1982) for k-means.

    >>> z = torch.tensor([[-5.0], [-5.2], [5.0], [5.2]])
    >>> fit_em(z, 2).mixture.mean.sort(0).values.detach()
    tensor([[-5.1000],
            [ 5.1000]])
    """
    _require_codes(z)
    require_count(n_components=n_components, max_steps=max_steps, n_starts=n_starts)
    require_positive(tolerance=tolerance)
    _require_floor(floor)
    require_choice(("diagonal", "full"), covariance=covariance)
    require_generator(generator, z.device)
    if n_components > len(z):
        raise ValueError(
            f"`n_components` is {n_components}, but there are only {len(z)} codes. "
            f"Pass more codes, or a smaller number of components."
        )
    runs = []
    for _ in range(n_starts):
        start = _start(z, n_components, covariance, floor, generator)
        runs.append(_climb(start, z, max_steps, tolerance, floor))
    return max(runs, key=lambda run: run.log_likelihood[-1])


def _climb(
    mixture: GaussianMixture, z: Tensor, max_steps: int, tolerance: float, floor: float
) -> EMFit:
    """Take steps of EM until one gains less than the tolerance."""
    log_joint = mixture.log_joint(z)  # gives the likelihood, and the next step's responsibilities
    curve = [log_joint.logsumexp(-1).mean().item()]
    for _ in range(max_steps):
        mixture = _maximize(z, log_joint.softmax(-1), mixture, floor)
        log_joint = mixture.log_joint(z)
        curve.append(log_joint.logsumexp(-1).mean().item())
        if curve[-1] - curve[-2] < tolerance:
            break
    return EMFit(mixture, curve)


@outside_autocast
def _maximize(z: Tensor, resp: Tensor, old: GaussianMixture, floor: float) -> GaussianMixture:
    # An empty component is kept from a division by zero, and its mean from a jump to the origin.
    held, least = resp.sum(0), torch.finfo(z.dtype).eps
    counts = held.clamp_min(least)
    mean = torch.where(held[:, None] < least, old.mean, (resp.T @ z) / counts[:, None])
    centered = z[:, None] - mean
    if old.covariance == "diagonal":
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
    mean, nearest = _k_means(z, _spread(z, n_components, generator))
    within = (z - mean[nearest]).square().mean(0)
    variance = within.expand(n_components, -1) + floor
    if covariance == "full":
        variance = torch.diag_embed(variance)
    weights = z.new_full((n_components,), 1 / n_components)
    return GaussianMixture.from_parameters(weights, mean, variance)


def _spread(z: Tensor, n_components: int, generator: torch.Generator | None) -> Tensor:
    """Draw codes that lie far apart, (K, D), by greedy k-means++.

    Of a few candidates, each drawn in proportion to its squared distance from the codes that are
    chosen, the one is kept that leaves the smallest sum of squared distances.
    """
    n_candidates = 2 + int(math.log(n_components))
    first = torch.randint(len(z), (1,), generator=generator, device=z.device)
    chosen, nearest = [first], _squared_distances(z[first], z)[0]
    for _ in range(n_components - 1):
        chances = nearest + torch.finfo(z.dtype).tiny  # equal codes may be drawn twice
        drawn = torch.multinomial(chances, n_candidates, replacement=True, generator=generator)
        left = _squared_distances(z[drawn], z).minimum(nearest)
        best = left.sum(1).argmin()
        chosen.append(drawn[best, None])
        nearest = left[best]
    return z[torch.cat(chosen)]


def _k_means(z: Tensor, mean: Tensor, max_steps: int = 20) -> tuple[Tensor, Tensor]:
    """Return the means (K, D) of Lloyd's algorithm, and the index of each code's nearest (N,)."""
    nearest = _squared_distances(mean, z).argmin(0)
    for _ in range(max_steps):
        counts = nearest.bincount(minlength=len(mean))[:, None]
        sums = torch.zeros_like(mean).index_add_(0, nearest, z)
        mean = torch.where(counts > 0, sums / counts.clamp_min(1), mean)
        before, nearest = nearest, _squared_distances(mean, z).argmin(0)
        if torch.equal(before, nearest):
            break
    return mean, nearest


def _squared_distances(a: Tensor, b: Tensor) -> Tensor:
    # From differences: multiplied out, the square loses the digits of codes far from the origin.
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square()


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
