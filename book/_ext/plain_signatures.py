"""Signatures of the API page without `Annotated`: the type alone, as a reader would write it."""

import re
from typing import Any

from sphinx.application import Sphinx

_ANNOTATED = re.compile(r"~?[\w.]*\bAnnotated\[")


def plain(text: str) -> str:
    """Replace every `Annotated[type, ...]` by its type.

    >>> plain("(n: ~typing.Annotated[int, at least 1] | None = None)")
    '(n: int | None = None)'
    """
    while match := _ANNOTATED.search(text):
        depth, comma, end = 1, None, match.end()
        while depth:
            depth += {"[": 1, "(": 1, "]": -1, ")": -1}.get(text[end], 0)
            if depth == 1 and text[end] == "," and comma is None:
                comma = end
            end += 1
        text = text[: match.start()] + text[match.end() : comma] + text[end:]
    return text


def _process(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str, returns: str
) -> tuple[str, str]:
    return plain(signature or ""), plain(returns or "")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to autodoc."""
    app.connect("autodoc-process-signature", _process)
    return {"parallel_read_safe": True}
