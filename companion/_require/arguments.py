"""Checks of arguments, with messages that name the remedy.

Checks of type, shape and device are always on: they cost nothing. Checks of *values*
(finite, in range) read the data back from the device. `fit` therefore makes them once, on
the whole data set, and switches them off inside its loop with `without_value_checks`.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn

_check_values: ContextVar[bool] = ContextVar("check_values", default=True)


@contextmanager
def without_value_checks() -> Iterator[None]:
    """Switch the checks of values off in this thread, until the block ends."""
    token = _check_values.set(False)
    try:
        yield
    finally:
        _check_values.reset(token)


def checks_values() -> bool:
    """Say whether checks of values are on in this thread; torch.compile traces without them."""
    return not torch.compiler.is_compiling() and _check_values.get()


def _with_values(tensors: dict[str, Tensor]) -> list[tuple[str, Tensor]]:
    if not checks_values():
        return []
    return [(name, tensor) for name, tensor in tensors.items() if not tensor.is_meta]


def require_tensor(**arguments: Any) -> None:
    """Raise TypeError unless every argument is a tensor of floating-point numbers."""
    for name, value in arguments.items():
        if not isinstance(value, Tensor):
            raise TypeError(
                f"`{name}` must be a torch.Tensor, but it is a {type(value).__name__}. "
                f"Convert it first: torch.as_tensor({name})."
            )
        if not value.is_floating_point():
            raise TypeError(
                f"`{name}` must hold floating-point numbers, but its dtype is {value.dtype}. "
                f"Convert it first: {name}.float()."
            )


def require_same_device(**tensors: Tensor) -> None:
    """Raise ValueError unless all tensors live on one device."""
    for first, name in _that_differ("device", tensors):
        raise ValueError(
            f"`{first}` is on {tensors[first].device} and `{name}` is on {tensors[name].device}. "
            f"Move both to one device: {name}.to({first}.device)."
        )


def require_same_shape(**tensors: Tensor) -> None:
    """Raise ValueError unless all tensors have one shape: silent broadcasting hides bugs."""
    for first, name in _that_differ("shape", tensors):
        raise ValueError(
            f"`{first}` has shape {tuple(tensors[first].shape)} and `{name}` has shape "
            f"{tuple(tensors[name].shape)}, but they must be equal. "
            f"If broadcasting is what you want, say so: {name}.expand_as({first})."
        )


def require_same_dtype(**tensors: Tensor) -> None:
    """Raise TypeError unless all tensors have one dtype."""
    for first, name in _that_differ("dtype", tensors):
        raise TypeError(
            f"`{first}` is {tensors[first].dtype} and `{name}` is {tensors[name].dtype}. "
            f"Convert one of them, for example {first}.to({tensors[name].dtype})."
        )


def _that_differ(attribute: str, tensors: dict[str, Tensor]) -> list[tuple[str, str]]:
    """Return the names of the first tensor and of each that differs from it in an attribute."""
    first, *others = tensors
    value = getattr(tensors[first], attribute)
    return [(first, name) for name in others if getattr(tensors[name], attribute) != value]


def require_float64_device(**tensors: Tensor) -> None:
    """Raise ValueError if a tensor is on a device that has no float64."""
    for name, tensor in tensors.items():
        if tensor.device.type == "mps":
            raise ValueError(
                f"`{name}` is on {tensor.device}, but this is computed in float64, which MPS does "
                f"not have. Move it to the CPU: {name}.cpu()."
            )


def require_generator(generator: Any, device: torch.device | None = None) -> None:
    """Raise unless the argument is a generator, and draws on the device if there is one."""
    if not isinstance(generator, torch.Generator):
        raise TypeError(
            f"`generator` must be a torch.Generator, but it is {generator!r}. Make one from a "
            f"seed: torch.Generator().manual_seed(0)."
        )
    if device is not None and generator.device.type != device.type:
        raise ValueError(
            f"`generator` is on {generator.device}, but the numbers are drawn on {device}. "
            f"Make it there: torch.Generator({str(device)!r})."
        )


def require_module(**modules: Any) -> None:
    """Raise TypeError unless every argument is a module."""
    for name, module in modules.items():
        if not isinstance(module, nn.Module):
            is_class = isinstance(module, type)
            found = f"the class {module.__name__}" if is_class else f"a {type(module).__name__}"
            raise TypeError(
                f"`{name}` must be a torch.nn.Module, but it is {found}. Pass an instance, "
                f"not its class, and put a function into the forward method of a module."
            )


def require_instance(kind: type, remedy: str, /, **values: Any) -> None:
    """Raise TypeError unless every argument is an instance of a class."""
    for name, value in values.items():
        if not isinstance(value, kind):
            raise TypeError(
                f"`{name}` must be a {kind.__name__}, but it is a {type(value).__name__}. {remedy}"
            )


def require_function(**functions: Any) -> None:
    """Raise TypeError unless every argument can be called."""
    for name, function in functions.items():
        if not callable(function):
            raise TypeError(
                f"`{name}` must be a function, but it is {function!r}. "
                f"Pass the function itself, not its value: {name}, not {name}(...)."
            )


def require_last_axis(size: int, /, **tensors: Tensor) -> None:
    """Raise ValueError unless the last axis of every tensor has the given size."""
    for name, tensor in tensors.items():
        if tensor.dim() == 0 or tensor.shape[-1] != size:
            raise ValueError(
                f"`{name}` has shape {tuple(tensor.shape)}, but its last axis must have "
                f"size {size}. Reshape it, or build the model for the other size."
            )


def require_finite(**tensors: Tensor) -> None:
    """Raise ValueError if a tensor holds NaN or infinity."""
    for name, tensor in _with_values(tensors):
        if bool(torch.isfinite(tensor.detach().sum())):
            continue  # one fast pass; a sum that overflows only sends us to the exact count
        bad = int((~torch.isfinite(tensor)).sum())
        if bad:
            raise ValueError(
                f"`{name}` holds {bad} values that are NaN or infinite, of {tensor.numel()}. "
                f"Find where they arise; torch.autograd.set_detect_anomaly(True) helps."
            )


def require_range(low: float, high: float, remedy: str, /, **tensors: Tensor) -> None:
    """Raise ValueError if a tensor leaves [low, high] (NaN leaves every range)."""
    for name, tensor in _with_values(tensors):
        if tensor.numel() and not bool(((tensor >= low) & (tensor <= high)).all()):
            raise ValueError(
                f"`{name}` must lie in [{low:g}, {high:g}], but its values run from "
                f"{tensor.min().item():g} to {tensor.max().item():g}. {remedy}"
            )


def require_binary(remedy: str, /, **tensors: Tensor) -> None:
    """Raise ValueError if a tensor holds anything but zeros and ones."""
    for name, tensor in _with_values(tensors):
        if torch.equal(tensor, (tensor != 0).to(tensor.dtype)):
            continue  # faster than the exact count
        other = int(((tensor != 0) & (tensor != 1)).sum())
        if other:
            raise ValueError(
                f"`{name}` must hold only zeros and ones, but {other} of its "
                f"{tensor.numel()} values are something else. {remedy}"
            )


def require_count(**numbers: Any) -> None:
    """Raise unless every argument is a whole number of at least one."""
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, Integral):
            raise TypeError(
                f"`{name}` must be a whole number, but it is {number!r} "
                f"({type(number).__name__}). Pass an int, for example int({name})."
            )
        if number < 1:
            raise ValueError(f"`{name}` must be at least 1, but it is {number}. Pass 1 or more.")


def require_in(
    holds: Callable[[float], bool], expected: str, remedy: str = "", /, **numbers: Any
) -> None:
    """Raise unless every argument is a number for which a condition holds."""
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise TypeError(
                f"`{name}` must be a number, but it is a {type(number).__name__}. "
                f"A tensor of one element becomes a number by {name}.item()."
            )
        if not holds(number):
            raise ValueError(f"`{name}` must be {expected}, but it is {number}.{remedy}")


def require_number(**numbers: Any) -> None:
    """Raise unless every argument is a finite number."""
    require_in(math.isfinite, "finite", **numbers)


def require_positive(**numbers: Any) -> None:
    """Raise unless every argument is a finite number above zero."""
    require_in(lambda number: 0 < number < math.inf, "positive and finite", **numbers)


def require_at_least_zero(**numbers: Any) -> None:
    """Raise unless every argument is a finite number of at least zero."""
    require_number(**numbers)
    for name, number in numbers.items():
        require_in(lambda size: size >= 0, "at least 0", f" Pass {-number}.", **{name: number})


def require_choice(choices: tuple[str, ...], /, **values: Any) -> None:
    """Raise ValueError unless every argument is one of the choices."""
    for name, value in values.items():
        if value not in choices:
            known = ", ".join(repr(choice) for choice in choices)
            raise ValueError(f"`{name}` must be one of {known}, but it is {value!r}.")
