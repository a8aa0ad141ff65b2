"""Numbers for the prose: what a chapter says is taken from its own run."""

from typing import Any, SupportsFloat

from companion.page.shell import running_shell

_GLUE_PREFIX = "application/papermill.record/"


def report(**numbers: SupportsFloat) -> None:
    """Print numbers, and hand them to the book so that its sentences can quote them.

    In a notebook the numbers also travel as display data without a visible part, which MyST-NB
    collects ("glue"). Elsewhere they are only printed.

    Args:
        numbers: named values. Tensors of one element become floats.

    Raises:
        TypeError: a value cannot be turned into one number.

    >>> report(gap=0.25)
    gap = 0.25
    """
    values = {name: _number(name, value) for name, value in numbers.items()}
    print("\n".join(f"{name} = {value:.5g}" for name, value in values.items()))
    for name, value in values.items():
        _glue(name, value)


def _number(name: str, value: Any) -> int | float:
    if hasattr(value, "detach"):
        value = value.detach()  # a tensor with a gradient would warn
    try:
        return value if isinstance(value, int) else float(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(
            f"`{name}` must be one number, but it is a {type(value).__name__}: {error}. "
            f"Reduce it first, for example {name}.mean()."
        ) from None


def _glue(name: str, number: int | float) -> None:
    if running_shell() is None:
        return
    from IPython.display import display

    display(
        {_GLUE_PREFIX + "text/plain": repr(number)},
        raw=True,
        metadata={"scrapbook": {"name": name, "mime_prefix": _GLUE_PREFIX}},
    )
