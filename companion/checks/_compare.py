"""Comparing the learner's values with the right ones and with known wrong ones."""

from collections.abc import Mapping, Sequence
from math import inf

import numpy as np
import torch
from torch import Tensor

from companion.checks._registry import NotYet

Hints = Mapping[str, Tensor | Sequence[Tensor]]

_HALF_TYPES = (torch.float16, torch.bfloat16)


def uniform(low: float | int, high: float | int, *shape: int, seed: int) -> Tensor:
    """Return float32 numbers between `low` and `high`, the same ones every time."""
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float32)


def as_tensor(value: object, what: str = "Your result") -> Tensor:
    """Return a number, an array, a tensor or a list of these as a detached tensor on the CPU.

    Raises:
        NotYet: if it is something else, or holds something else than real numbers.
    """
    tensor = _to_tensor(value, what)
    if tensor.dtype == torch.bool or tensor.is_complex():
        raise NotYet(f"{what} has dtype `{tensor.dtype}`; real numbers are expected.")
    return tensor


def _to_tensor(value: object, what: str, depth: int = 3) -> Tensor:
    if isinstance(value, Tensor):
        return value.detach().cpu()
    if isinstance(value, (int, float, complex, np.ndarray, np.generic)):
        return _from_numpy(np.array(value, order="C"), what)
    if type(value).__module__ == "torch.return_types":
        raise NotYet(f"{what} is not a tensor. {positions_too(type(value).__name__)}")
    if isinstance(value, (list, tuple)) and value and depth:
        parts = [_to_tensor(part, what, depth - 1).double() for part in value]
        if len({part.shape for part in parts}) == 1:
            return torch.stack(parts)
        raise NotYet(f"{what} is a {type(value).__name__} whose entries differ in shape.")
    raise NotYet(
        f"{what} must be a tensor (or numbers), but it is of type `{type(value).__name__}`."
    )


def positions_too(name: str) -> str:
    """Say that `max(dim=0)` and its like return two tensors."""
    return f"`{name}(dim=0)` gives values and positions; take `.values`."


def _from_numpy(array: np.ndarray, what: str) -> Tensor:
    if array.dtype.kind not in "biufc":
        raise NotYet(f"{what} has NumPy's dtype `{array.dtype}`; real numbers are expected.")
    return torch.from_numpy(array)


def number(value: object, what: str = "Your answer") -> float:
    """Return the learner's answer as a float; anything with one numeric value is accepted.

    >>> number(torch.tensor([1.5]))
    1.5

    Raises:
        NotYet: if it is not one finite real number.
    """
    if callable(value):
        raise NotYet(f"{what} must be a number, but you passed a function. Call it first.")
    if isinstance(value, str):
        raise NotYet(f"{what} is a text. Write it without quotes.")
    if isinstance(value, (bool, bytes)) or not hasattr(value, "__float__"):
        name = type(value).__name__
        raise NotYet(f"{what} must be a number, but it is of type `{name}`.")
    try:
        result = float(value.detach() if isinstance(value, Tensor) else value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise NotYet(f"{what} must be one number; this does not convert to one.") from None
    if not np.isfinite(result):
        raise NotYet(f"{what} is {result}; a finite number is expected.")
    return result


def compare(
    got: object,
    expected: Tensor,
    hints: Hints | None = None,
    *,
    what: str = "Your result",
    setting: str = "",
    rtol: float = 1e-5,
    atol: float = 1e-4,
    remark: str = "",
) -> None:
    """Return if the learner's value is right; otherwise say what is wrong with it.

    Args:
        got: What the learner's function returned.
        expected: The right value.
        hints: Each known misconception's hint with the wrong value it leads to, or with
            several; of those that equal the learner's value the nearest one is shown.
        what: How to name the value in messages.
        setting: When it was computed, for messages: "With S = 1, ".
        rtol: Relative tolerance.
        atol: Absolute tolerance.
        remark: What to add where no hint fits and the values differ.

    Raises:
        NotYet: with the misconception's hint, or with a message on shape, NaN or values.
    """
    tensor = as_tensor(got, what)
    if distance(tensor, expected, rtol, atol) <= 1:
        return
    require_no_nan(tensor, what, setting)
    known = {
        hint: [distance(tensor, value, rtol, atol) for value in _several(wrong)]
        for hint, wrong in (hints or {}).items()
    }
    hint = nearest(known)
    if hint:
        raise NotYet(hint)
    _require_shape(tensor, expected, what, setting)
    _require_numbers(tensor, expected, what, setting)
    difference = _difference(tensor, expected.double(), what, setting, (rtol, atol))
    raise NotYet(f"{difference} {remark}".rstrip())


def _several(values: Tensor | Sequence[Tensor]) -> Sequence[Tensor]:
    return [values] if isinstance(values, Tensor) else values


def distance(got: Tensor, value: Tensor, rtol: float, atol: float) -> float:
    """Return the largest difference of two tensors, 1 where it equals the tolerance.

    It is infinite where shapes differ and where either holds NaN: NaN is equal to nothing.

    >>> distance(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.5]), rtol=0.0, atol=0.25)
    2.0
    """
    if got.shape != value.shape:
        return inf
    if not got.numel():
        return 0.0
    one, other = got.double(), value.double()
    error = (one - other).abs() / (atol + rtol * other.abs())
    error = torch.where(one == other, 0.0, error)  # of two infinities too
    return float(error.nan_to_num(nan=inf, posinf=inf).max())


def nearest(known: Mapping[str, Sequence[float]]) -> str:
    """Return the hint whose wrong value is nearest, of those within the tolerance; else ""."""
    least = {hint: min(distances, default=inf) for hint, distances in known.items()}
    hint = min(least, key=lambda each: least[each], default="")
    return hint if hint and least[hint] <= 1 else ""


def require_no_nan(got: Tensor, what: str = "Your result", setting: str = "") -> None:
    """Raise NotYet, with the place, if a tensor holds NaN."""
    bad = got.isnan()
    if bool(bad.any()):
        index = bad.nonzero()[0].tolist()
        place = f" at entry {index}" if index else ""
        raise NotYet(
            f"{_begin(what, setting)} holds NaN{place}. Look for a logarithm or a root of "
            "something negative, an arc cosine beyond 1, 0 / 0, or infinity minus infinity."
        )


def _require_shape(got: Tensor, expected: Tensor, what: str, setting: str) -> None:
    if got.shape == expected.shape:
        return
    raise NotYet(
        f"{_begin(what, setting)} has shape {tuple(got.shape)}; "
        f"it should be {tuple(expected.shape)}.{_shape_remedy(got, expected)}"
    )


def _shape_remedy(got: Tensor, expected: Tensor) -> str:
    """Say what may have led to the wrong shape; empty if nothing is known."""
    if got.squeeze().shape == expected.squeeze().shape:
        return (
            " It has the right number of entries: an axis of size 1 is too many or missing. "
            "If there is a `keepdim=True`, leave it out."
        )
    if got.numel() == expected.numel():
        cause = "flattened" if got.ndim < expected.ndim else "reshaped or with its axes swapped"
        return f" It has the right number of entries, but it is {cause}."
    if expected.ndim == 1 and got.shape == 2 * expected.shape:
        size = len(expected)
        return (
            f" Shapes ({size}, 1) and ({size},) together make ({size}, {size}): is there a "
            "`keepdim=True`? Leave it out."
        )
    return ""


def _require_numbers(got: Tensor, expected: Tensor, what: str, setting: str) -> None:
    bad = ~torch.isfinite(got) & torch.isfinite(expected)
    if bool(bad.any()):
        index = bad.nonzero()[0].tolist()
        raise NotYet(
            f"{_begin(what, setting)} holds infinity where it should not: {_entry(got, index)}. "
            "Look for a logarithm of 0, a division by 0, or an `exp` of a large number."
        )


def _difference(
    got: Tensor, expected: Tensor, what: str, setting: str, tolerance: tuple[float, float]
) -> str:
    value = got.double()
    wrong = ~torch.isclose(value, expected, *tolerance)
    index = wrong.nonzero()[0].tolist()
    if not index:
        return f"{_begin(what, setting)} is {value.item():.6g}; it should be {expected.item():.6g}."
    parts = [
        f"{_begin(what, setting)} differs from the right value, first here: "
        f"{_entry(value, index)}, expected {expected[tuple(index)].item():.6g}.",
        _pattern(value, expected),
    ]
    if got.dtype in _HALF_TYPES:
        parts.append(f"Its dtype, `{got.dtype}`, may be too coarse: use float32.")
    if not got.is_floating_point() and not torch.equal(expected, expected.round()):
        parts.append(f"Its dtype is `{got.dtype}`: did you round to whole numbers?")
    return " ".join(part for part in parts if part)


def _pattern(got: Tensor, expected: Tensor) -> str:
    """Say so if all entries are wrong by one and the same factor or offset."""
    if got.numel() < 2:
        return ""
    ratio, offset = got / expected, got - expected
    if (
        got.any()
        and abs(ratio.flatten()[0] - 1) > 1e-3
        and torch.allclose(ratio, ratio.flatten()[0], rtol=1e-4, atol=0)
    ):
        return f"Every entry is {ratio.flatten()[0].item():.4g} times what it should be."
    if torch.allclose(offset, offset.flatten()[0], rtol=1e-3, atol=0):
        return f"Every entry is off by the same amount, {offset.flatten()[0].item():+.4g}."
    return ""


def _begin(what: str, setting: str) -> str:
    return setting + (what[0].lower() + what[1:] if setting else what)


def _entry(tensor: Tensor, index: list[int]) -> str:
    value = f"{tensor[tuple(index)].item():.6g}"
    return f"entry {index} is {value}" if index else f"it is {value}"
