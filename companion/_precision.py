"""Densities stay outside autocast: half precision is for networks."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
T = TypeVar("T")


def outside_autocast(function: Callable[P, T]) -> Callable[P, T]:
    """Switch autocast off while a function runs: its matrix products keep their precision."""

    @wraps(function)
    def in_full_precision(*args: P.args, **kwargs: P.kwargs) -> T:
        with ExitStack() as stack:
            for device in ("cpu", "cuda", "mps"):
                stack.enter_context(torch.autocast(device, enabled=False))
            return function(*args, **kwargs)

    return in_full_precision


def at_least_float32(tensor: Tensor) -> Tensor:
    """Convert half precision, in which networks may answer under autocast, to float32."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor
