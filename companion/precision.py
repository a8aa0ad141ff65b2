"""The precision of densities: half precision is for networks, and float32 must not overflow."""

import math
from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
T = TypeVar("T")

_HALF = frozenset((torch.float16, torch.bfloat16))


def outside_autocast(function: Callable[P, T]) -> Callable[P, T]:
    """Switch autocast off while a function runs: its matrix products keep their precision."""

    @wraps(function)
    def in_full_precision(*args: P.args, **kwargs: P.kwargs) -> T:
        with ExitStack() as stack:
            for device in ("cpu", "cuda", "mps"):
                stack.enter_context(torch.autocast(device, enabled=False))
            return function(*args, **kwargs)

    return in_full_precision


def at_least_float32(value: T) -> T:
    """Convert a tensor in half precision, in which networks may answer, to float32."""
    if isinstance(value, Tensor) and value.dtype in _HALF:
        return value.float()  # type: ignore[return-value]
    return value


def inverse_std(log_var: Tensor) -> Tensor:
    """Return exp(-log_var / 2), as large as the dtype allows but finite.

    In float32 it would be infinite for a log-variance below -177, and at the mean, where the
    deviation is zero, 0 * inf would turn a density and its gradient into NaN.
    """
    numbers = torch.finfo(log_var.dtype)
    largest = math.log(numbers.max) * (1 - numbers.eps)  # the rounding of exp stays below, too
    return (-log_var / 2).clamp_max(largest).exp()
