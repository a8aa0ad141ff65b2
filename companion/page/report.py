"""Numbers for the prose: what a chapter says is taken from its own run."""

import re
from typing import Any, SupportsFloat

from companion.page.shell import running_shell

_GLUE_PREFIX = "application/papermill.record/"
_PLACEHOLDER = re.compile(r"\{glue:text\}`(?P<name>\w+)(?::(?P<format>[^`]*))?`")
_reported: dict[str, int | float] = {}


def report(**numbers: SupportsFloat) -> None:
    """Hand numbers to the sentences that quote them. Nothing is shown.

    In a notebook the numbers also travel as display data without a visible part, which MyST-NB
    collects ("glue") for the page. `say` takes them from here.

    Args:
        numbers: named values. Tensors of one element become numbers.

    Raises:
        TypeError: a value cannot be turned into one number.

    >>> report(gap=0.25)
    """
    values = {name: _number(name, value) for name, value in numbers.items()}
    _reported.update(values)
    for name, value in values.items():
        _glue(name, value)


def say(text: str) -> None:
    """Show a piece of Markdown in which reported numbers stand for their names.

    Only the role ``{glue:text}`` is replaced, as the page does it. Braces of formulas stay as
    they are. Outside a notebook the text is printed.

    Args:
        text: Markdown, with the names and formats of numbers in place of the numbers.

    Raises:
        KeyError: a number has not been reported.

    >>> report(gap=0.25)
    >>> say("The gap is {glue:text}`gap:.1f` nats in $R^{10}$.")
    The gap is 0.2 nats in $R^{10}$.
    """
    filled = _PLACEHOLDER.sub(_fill, text)
    if running_shell() is None:
        print(filled)
        return
    from IPython.display import Markdown, display

    display(Markdown(filled))


def _fill(match: re.Match[str]) -> str:
    name = match["name"]
    if name not in _reported:
        raise KeyError(
            f"This sentence quotes `{name}`, and no cell has reported it yet. "
            "Run the cells above first."
        )
    return format(_reported[name], match["format"] or "")


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
