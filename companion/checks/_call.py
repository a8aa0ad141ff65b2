"""Calling the learner's function, and saying what went wrong if it did."""

import inspect
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from companion.checks import _sandbox
from companion.checks._compare import positions_too
from companion.checks._registry import NotAttempted, NotYet

DETACHED = "Is there a `.detach()`, `.item()` or NumPy call on the way?"
_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_NO_GRADIENT = (
    "The values are right, but a step is NumPy's or math's, or cuts the graph, so no gradient "
    "passes. Use torch's functions: `torch.exp`, `torch.log`. And no `.detach()`, `.item()`, "
    "`float()`, `torch.tensor(...)` or `no_grad`."
)


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
        theirs = _parameters(signature)
        reason = f"can't be called so: {error}" if theirs is None else f"takes {theirs}"
        raise NotYet(
            f"The check calls your function with {count}, in this order: `{wanted}`. "
            f"Yours {reason}."
        ) from None


def _parameters(signature: inspect.Signature) -> str | None:
    """Say how many arguments a function takes; None if some go by name only."""
    parameters = list(signature.parameters.values())
    if any(each.kind not in _BY_POSITION for each in parameters):
        return None
    names = ", ".join(f"`{each.name}`" for each in parameters)
    return f"{len(parameters)}: {names}" if parameters else "none"


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
        details = _sandbox.describe(error)
        raise NotYet(
            f"Your code raised an exception:\n\n{details}{_exception_remedy(details)}"
        ) from None


def _exception_remedy(details: str) -> str:
    """Return a paragraph on what lies behind torch's message, for some that say little."""
    found = re.search(r"torch\.return_types\.(\w+)", details)
    if found:
        return f"\n\n{positions_too(found[1])}"
    if "Dimension out of range" in details and "cosine_similarity" in details:
        return (
            "\n\n`cosine_similarity` works along `dim=1` unless told otherwise. For two vectors, "
            "say `dim=0`."
        )
    if "to Python scalars" in details or "converted to Scalar" in details:
        return (
            "\n\nPython's `math`, `float()` and `.item()` take a single number. Use torch's "
            "functions: `torch.exp`, `torch.log`."
        )
    return ""


def _require_attempt(function: Any, result: object) -> None:
    name = _sandbox.safely(lambda: str(function.__name__), "your function")
    parts = result if isinstance(result, (tuple, list)) and result else [result]
    if all(is_blank(part) for part in parts):
        raise NotAttempted(
            f"`{name}` returns nothing yet. Write its body, then run the cell again. "
            "If you have written it: does it end with `return` (or does it only print)?"
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
    try:
        result = _invoke(function, leaves)
    except NotYet as reason:  # torch would advise a `.detach()` here
        raise NotYet(_NO_GRADIENT) if "numpy()" in str(reason) else reason from None
    if not isinstance(result, Tensor) or not result.requires_grad:
        raise NotYet(_NO_GRADIENT)
    try:
        found = torch.autograd.grad(result.sum(), list(leaves.values()), allow_unused=True)
    except Exception as error:
        raise NotYet(
            f"torch can't differentiate your function:\n\n{_sandbox.describe(error)}"
        ) from None
    pairs = zip(leaves.items(), found, strict=True)
    return {name: torch.zeros_like(leaf) if grad is None else grad for (name, leaf), grad in pairs}
