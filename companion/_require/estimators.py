"""Checks of what goes into a gradient estimator, and of what its integrand gives back."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from companion._require.arguments import (
    require_finite,
    require_number,
    require_same_device,
    require_same_dtype,
    require_same_shape,
    require_tensor,
)


def evaluate(f: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    """Return f(z), one finite number for each sample."""
    values = f(z)
    if not isinstance(values, Tensor) or values.shape != z.shape[:1]:
        got = f"shape {tuple(values.shape)}" if isinstance(values, Tensor) else f"{values!r}"
        raise ValueError(
            f"`f` gave {got} for samples of shape {tuple(z.shape)}, but one number for each is "
            f"expected: ({len(z)},). Sum over the last axis: f(z).sum(-1)."
        )
    require_finite(**{"f(z)": values})
    return values


def require_slope(gradient: Tensor | None) -> Tensor:
    """Return a gradient, or raise if none came back."""
    if gradient is None:
        raise ValueError(
            "`f` passes no gradient back to its samples. Remove torch.no_grad(), .detach() and "
            ".item() from it, or take `score_function`, which needs no gradient."
        )
    return gradient


def require_baseline(baseline: Any, mean: Tensor) -> tuple[Any, Any]:
    """Return the baseline by mean and the one by log_var, of one number or of a pair."""
    if not isinstance(baseline, tuple):
        require_number(baseline=baseline)
        return baseline, baseline
    if len(baseline) != 2:
        raise ValueError(
            f"`baseline` holds {len(baseline)} parts, but two are expected: "
            f"Baseline(mean, log_var)."
        )
    for name, part in zip(("baseline.mean", "baseline.log_var"), baseline, strict=True):
        _require_alike(**{"mean": mean, name: part})
    return baseline


def _require_alike(**pair: Any) -> None:
    for require in (require_tensor, require_same_shape, require_same_device, require_same_dtype):
        require(**pair)
    require_finite(**pair)
