r"""Expectation-maximization: fits a mixture of Gaussians to codes.

Axes: N codes, K components, D latent dimensions.
"""

from typing import Annotated, NamedTuple

import torch
from torch import Tensor

from companion._k_means import k_means, spread
from companion._require.arguments import require_same_dtype
from companion._require.mixtures import Codes, require_as_many, require_factored, require_spread
from companion._require.signature import AtLeastZero, Count, Positive, checked, instance, one_of
from companion.gaussian import LOG_2PI
from companion.mixture import GaussianMixture
from companion.precision import outside_autocast

_START = "Begin with GaussianMixture(n_components, dim), or let fit_em find a start."


class EMFit(NamedTuple):
    """A fitted mixture, and the mean log-likelihood of the codes, at the start and after each step.

    The log-likelihood is in nats for one code.
    """

    mixture: GaussianMixture
    log_likelihood: list[float]


@torch.no_grad()
@outside_autocast
@checked
def em_step(
    mixture: Annotated[GaussianMixture, instance(GaussianMixture, _START)],
    z: Codes,
    *,
    floor: AtLeastZero = 1e-6,
) -> GaussianMixture:
    r"""Return the mixture after one step of expectation-maximization.

    With the responsibilities r_nk = p(k | z_n) and N_k = sum_n r_nk,

    .. math:: w_k = \frac{N_k}{N}, \quad \mu_k = \frac{1}{N_k} \sum_n r_{nk} z_n, \quad
        \Sigma_k = \frac{1}{N_k} \sum_n r_{nk} (z_n - \mu_k)(z_n - \mu_k)^\top + \text{floor} \, I

    With floor = 0 the likelihood never decreases. The floor keeps a component that holds a single
    code from shrinking to a point, where the likelihood is infinite.

    Args:
        mixture: the mixture before the step. It is not changed.
        z: codes, shape (N, D), N >= 2, in the dtype of the mixture.
        floor: added to every variance, at least 0.

    Returns:
        A new mixture with the same kind of covariance.

    Raises:
        ValueError: a covariance is singular, or z is too large to be squared.

    Reference: Dempster, Laird and Rubin (1977); Bishop (2006), equations (9.23) to (9.26).

    >>> em_step(GaussianMixture(1, 1), torch.tensor([[1.0], [3.0]]), floor=0.0).mean.detach()
    tensor([[2.]])
    """
    require_same_dtype(z=z, mean=mixture.mean)
    codes, resp = _prepare(z), mixture.responsibilities(z).T
    covariance = mixture.log_var if mixture.covariance == "diagonal" else mixture.tril
    old = _Parameters(mixture.weights, mixture.mean - codes.origin, covariance)  # the kind counts
    return _mixture(_maximize(codes, resp.to(codes.centered), old, floor), codes, z.dtype)


@torch.no_grad()
@outside_autocast
@checked
def fit_em(
    z: Codes,
    n_components: Count,
    *,
    covariance: Annotated[str, one_of("diagonal", "full")] = "full",
    max_steps: Count = 200,
    tolerance: Positive = 1e-4,
    floor: AtLeastZero = 1e-6,
    n_starts: Count = 3,
    generator: torch.Generator | None = None,
) -> EMFit:
    """Fit a mixture to codes by expectation-maximization, from several starts.

    A start: greedy k-means++ draws codes that lie far apart, k-means moves these means, and all
    components get equal weights and the variances within the clusters. The result is the best of
    `n_starts` local optima, and still depends on the draws.

    Args:
        z: codes, shape (N, D), N >= 2. The sums run in float64, where the device has it.
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
        ValueError: there are fewer codes than components, a covariance is singular, or z is too
            large to be squared.

    Reference: Dempster, Laird and Rubin (1977); Arthur and Vassilvitskii (2007) for k-means++,
    whose conclusion names the greedy variant; Lloyd (1982) for k-means.

    >>> z = torch.tensor([[-5.0], [-5.2], [5.0], [5.2]])
    >>> fit_em(z, 2).mixture.mean.sort(0).values.detach()
    tensor([[-5.1000],
            [ 5.1000]])
    """
    require_as_many(n_components, z)
    codes = _prepare(z)
    runs = []
    for _ in range(n_starts):
        start = _start(codes.centered, n_components, covariance, floor, generator)
        runs.append(_climb(codes, start, max_steps, tolerance, floor))
    best, curve = max(runs, key=lambda run: run[1][-1])
    return EMFit(_mixture(best, codes, z.dtype), curve)


class _Parameters(NamedTuple):
    """Those of a mixture: covariances are variances (K, D), or matrices (K, D, D)."""

    weights: Tensor
    mean: Tensor
    covariance: Tensor


class _Codes(NamedTuple):
    """Codes around their mean, in float64, which keeps the digits of squares multiplied out.

    `moments` (N, 2 D) are the codes and their squares: with diagonal covariances, the densities
    are linear in them. A variance below `narrow` (D,) would lose half of its digits that way.
    """

    origin: Tensor
    centered: Tensor
    moments: Tensor
    narrow: Tensor


def _prepare(z: Tensor) -> _Codes:
    wide = z if z.device.type == "mps" else z.double()  # MPS has no float64
    origin = wide.mean(0)
    centered = wide - origin
    squares = centered.square()
    narrow = torch.finfo(wide.dtype).eps ** 0.5 * squares.amax(0)
    return _Codes(origin, centered, torch.cat([centered, squares], 1), narrow)


def _mixture(parameters: _Parameters, codes: _Codes, dtype: torch.dtype) -> GaussianMixture:
    weights, mean, covariance = parameters
    tensors = weights, mean + codes.origin, covariance
    return GaussianMixture.from_parameters(*(tensor.to(dtype) for tensor in tensors))


def _climb(
    codes: _Codes, start: _Parameters, max_steps: int, tolerance: float, floor: float
) -> tuple[_Parameters, list[float]]:
    """Take steps of EM until one gains less than the tolerance."""
    parameters, (log_prob, resp) = start, _expect(codes, start)
    curve = [log_prob.mean().item()]
    for _ in range(max_steps):
        parameters = _maximize(codes, resp, parameters, floor)
        log_prob, resp = _expect(codes, parameters)
        curve.append(log_prob.mean().item())
        if curve[-1] - curve[-2] < tolerance:
            break
    return parameters, curve


def _expect(codes: _Codes, parameters: _Parameters) -> tuple[Tensor, Tensor]:
    """Return the log-densities (N,) and the responsibilities (K, N)."""
    diagonal = parameters.covariance.dim() == 2
    log_joint = (_log_joint_diagonal if diagonal else _log_joint_full)(codes, *parameters)
    largest = log_joint.amax(0)
    resp = (log_joint - largest).exp_()  # one exponential serves both results
    total = resp.sum(0)
    return largest + total.log(), resp.div_(total)


def _log_joint_diagonal(codes: _Codes, weights: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """Log of weight times density, (K, N): one matrix product."""
    require_spread(variance)
    precision = 1 / variance
    log_norm = weights.log() - 0.5 * (variance.log() + LOG_2PI).sum(1)
    constant = log_norm - 0.5 * (mean.square() * precision).sum(1)
    slopes = torch.cat([mean * precision, -0.5 * precision], 1)
    log_joint = torch.addmm(constant[:, None], slopes, codes.moments.T)
    for k in _indices((variance < codes.narrow).any(1)):
        squares = (codes.centered - mean[k]).square() @ precision[k]
        log_joint[k] = log_norm[k] - 0.5 * squares
    return log_joint


def _log_joint_full(codes: _Codes, weights: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """Log of weight times density, (K, N): one product for each component, in little memory."""
    factor, info = torch.linalg.cholesky_ex(covariance)
    require_factored(info)
    identity = torch.eye(mean.shape[1], dtype=mean.dtype, device=mean.device)
    whiten = torch.linalg.solve_triangular(factor, identity, upper=False)
    pairs = zip(mean, whiten, strict=True)
    squares = torch.stack([((codes.centered - m) @ w.T).square().sum(1) for m, w in pairs])
    half_log_det = factor.diagonal(dim1=-2, dim2=-1).log().sum(1)
    constant = weights.log() - half_log_det - mean.shape[1] / 2 * LOG_2PI
    return constant[:, None] - 0.5 * squares


def _maximize(codes: _Codes, resp: Tensor, old: _Parameters, floor: float) -> _Parameters:
    # An empty component is kept from a division by zero, and its mean from a jump to the origin.
    held, least = resp.sum(1), torch.finfo(resp.dtype).eps
    counts, empty = held.clamp_min(least), held < least
    dim = old.mean.shape[1]
    averages = (resp @ codes.moments) / counts[:, None]
    mean = torch.where(empty[:, None], old.mean, averages[:, :dim])
    if old.covariance.dim() == 2:
        covariance = averages[:, dim:] - mean.square()
        for k in _indices((covariance < codes.narrow).any(1)):  # an empty one's is negative here
            covariance[k] = resp[k] @ (codes.centered - mean[k]).square() / counts[k]
        covariance += floor
    else:
        covariance = _scatters(codes.centered, resp, mean) / counts[:, None, None]
        covariance += floor * torch.eye(dim, dtype=mean.dtype, device=mean.device)
    return _Parameters(counts / counts.sum(), mean, covariance)


def _scatters(z: Tensor, resp: Tensor, mean: Tensor) -> Tensor:
    """Weighted sums (K, D, D) of products: one product for each component, in little memory."""
    around = (z - m for m in mean)
    return torch.stack([(c.T * r) @ c for c, r in zip(around, resp, strict=True)])


def _indices(chosen: Tensor) -> list[int]:
    return chosen.nonzero()[:, 0].tolist()


def _start(
    z: Tensor,
    n_components: int,
    covariance: str,
    floor: float,
    generator: torch.Generator | None,
) -> _Parameters:
    mean, nearest = k_means(z, spread(z, n_components, generator))
    within = (z - mean[nearest]).square().mean(0)
    variance = within.expand(n_components, -1) + floor
    if covariance == "full":
        variance = torch.diag_embed(variance)
    return _Parameters(z.new_full((n_components,), 1 / n_components), mean, variance)
