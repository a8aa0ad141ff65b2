"""What a mixture of Gaussians asks of given parameters, with messages that name the remedy."""

import torch
from torch import Tensor

from companion._require.arguments import require_finite, require_same_dtype


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
