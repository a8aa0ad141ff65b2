"""What mixtures of Gaussians ask of parameters and codes, with messages that name the remedy."""

from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor

from companion._require.arguments import require_finite, require_same_dtype
from companion._require.signature import FINITE, Rule
from companion.precision import at_least_float32


def _require_codes(**codes: Tensor) -> None:
    for name, z in codes.items():
        if len(z) < 2:
            raise ValueError(
                f"`{name}` has shape {tuple(z.shape)}, but (N, D) with N >= 2 is expected. Pass "
                f"more codes: one alone has no variance."
            )
        dtype, largest = at_least_float32(z).dtype, z.abs().max().item()
        if largest > 1e-3 * torch.finfo(dtype).max ** 0.5:  # room for the sums
            raise ValueError(
                f"`{name}` reaches {largest:.3g}, and sums of such squares are no numbers in "
                f"{dtype}. Divide the codes by their standard deviation first."
            )


Codes = Annotated[Float[Tensor, "N D"], FINITE, Rule("at least two", _require_codes)]


def require_as_many(n_components: int, z: Tensor) -> None:
    """Raise ValueError if there are fewer codes than components."""
    if n_components > len(z):
        raise ValueError(
            f"`n_components` is {n_components}, but there are only {len(z)} codes. "
            f"Pass more codes, or a smaller number of components."
        )


def require_parameters(weights: Tensor, mean: Tensor, covariance: Tensor) -> None:
    """Raise unless weights, means and covariances are those of one mixture."""
    require_same_dtype(weights=weights, mean=mean, covariance=covariance)
    n, dim = mean.shape
    if covariance.shape not in ((n, dim), (n, dim, dim)):
        raise ValueError(
            f"`covariance` has shape {tuple(covariance.shape)}, but variances ({n}, {dim}) or "
            f"matrices ({n}, {dim}, {dim}) are expected."
        )
    require_finite(weights=weights, mean=mean, covariance=covariance)
    smallest, total = weights.min().item(), weights.sum().item()
    if smallest <= 0 or abs(total - 1) > 1e-4:
        raise ValueError(
            f"`weights` must be positive and sum to one, but they run from {smallest:g} and "
            f"sum to {total:g}. Normalize them: weights / weights.sum()."
        )
    if covariance.dim() == 2 and bool((covariance <= 0).any()):
        raise ValueError("`covariance` holds variances that are not positive. Add a small floor.")
    if covariance.dim() == 3:
        difference = (covariance - covariance.mT).abs().max()
        if bool(difference > 1e-4 * covariance.abs().max()):
            raise ValueError(
                "`covariance` holds matrices that are not symmetric. "
                "Symmetrize them: (covariance + covariance.mT) / 2."
            )
        require_factored(torch.linalg.cholesky_ex(covariance).info)


def require_factored(info: Tensor) -> None:
    """Raise if `torch.linalg.cholesky_ex` failed on some of the covariances."""
    if bool(info.any()):
        raise ValueError(
            f"{int((info != 0).sum())} of the covariances are not positive definite. Add a small "
            f"multiple of the identity (`floor`)."
        )


def require_spread(variance: Tensor) -> None:
    """Raise if a variance is not positive."""
    if bool((variance <= 0).any()):
        raise ValueError("A component shrank to a point. Pass a positive `floor`, such as 1e-6.")
