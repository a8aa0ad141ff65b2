"""Calling the learner's function, and saying what went wrong if it did."""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from companion.checks import _sandbox
from companion.checks._registry import NotAttempted, NotYet


def is_blank(value: object) -> bool:
    """Tell whether a value is what an untouched stub holds.

    >>> is_blank(...), is_blank(0)
    (True, False)
    """
    return value is None or value is Ellipsis or value is NotImplemented


def call(function: object, **arguments: object) -> object:
    """Call the learner's function with copies of the arguments, by position.

    The names are ours, for messages; learners may name their parameters as they like.

    Raises:
        NotAttempted: if it returns None or `...`, or says `raise NotImplementedError`.
        NotYet: if it can't be called so, raises, or changes its arguments in place.
    """
    _require_callable(function, arguments)
    copies = {name: _copy(value) for name, value in arguments.items()}
    result = _invoke(function, copies)
    for name, copy in copies.items():
        if _has_changed(copy, arguments[name]):
            raise NotYet(
                f"Your function changes its argument `{name}` in place, so the caller's tensor "
                f"is different afterwards. Compute a new tensor instead: no `{name} += ...`, "
                "no methods that end in an underscore."
            )
    _require_attempt(function, result)
    return result


def _require_callable(function: object, arguments: Mapping[str, object]) -> None:
    wanted = ", ".join(arguments)
    if not callable(function):
        name = type(function).__name__
        raise NotYet(
            f"This exercise asks for a function, but you passed a value of type `{name}`. "
            "Pass the function itself, without calling it: no parentheses after its name."
        )
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some functions written in C have none
        return
    try:
        signature.bind(*arguments.values())
    except TypeError as error:
        count = "1 argument" if len(arguments) == 1 else f"{len(arguments)} arguments"
        raise NotYet(
            f"The check calls your function with {count}, in this order: `{wanted}`. "
            f"Yours can't be called so: {error}."
        ) from None


def _copy(value: object) -> object:
    if not isinstance(value, Tensor):
        return value
    return value.detach().clone().requires_grad_(value.requires_grad)


def _has_changed(copy: object, original: object) -> bool:
    if not isinstance(copy, Tensor) or not isinstance(original, Tensor):
        return False
    return copy.shape != original.shape or not torch.equal(copy.detach(), original.detach())


def _invoke(function: Any, arguments: Mapping[str, object]) -> object:
    try:
        return function(*arguments.values())
    except BaseException as error:
        if _sandbox.is_unwritten(error):
            raise NotAttempted(
                "Replace `raise NotImplementedError` with your code, then run the cell again."
            ) from None
        raise NotYet(f"Your code raised an exception:\n\n{_sandbox.describe(error)}") from None


def _require_attempt(function: Any, result: object) -> None:
    name = _sandbox.safely(lambda: str(function.__name__), "your function")
    parts = result if isinstance(result, (tuple, list)) and result else [result]
    if all(is_blank(part) for part in parts):
        raise NotAttempted(
            f"`{name}` returns nothing yet. Write its body, then run the cell again. "
            "If you have written it: does it end with `return`?"
        )
    if inspect.iscoroutine(result):
        result.close()
        raise NotYet("Your function is `async`. Write it with a plain `def`.")


def gradients(function: object, **arguments: Tensor) -> dict[str, Tensor]:
    """Return the gradient of the sum of the learner's result, one tensor for each argument.

    Raises:
        NotYet: if no gradient can flow from the result back to the arguments.
    """
    leaves = {name: value.detach().clone().requires_grad_() for name, value in arguments.items()}
    result = _invoke(function, leaves)
    if not isinstance(result, Tensor) or not result.requires_grad:
        raise NotYet(
            "The values are right, but no gradient can flow back through your function, so "
            "nothing could be trained with it. Stay with torch's functions all the way: no "
            "`.item()`, `.detach()`, `.numpy()`, `float()`, `torch.tensor(...)` or `no_grad`."
        )
    try:
        found = torch.autograd.grad(result.sum(), list(leaves.values()), allow_unused=True)
    except Exception as error:
        raise NotYet(
            f"torch can't differentiate your function:\n\n{_sandbox.describe(error)}"
        ) from None
    pairs = zip(leaves.items(), found, strict=True)
    return {name: torch.zeros_like(leaf) if grad is None else grad for (name, leaf), grad in pairs}
