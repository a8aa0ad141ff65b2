r"""Keep the equation numbers that the author wrote by hand with ``\tag{1.3}``.

Sphinx puts every display formula with ``\\`` into a ``split`` environment, in which ``\tag`` is
illegal. Formulas with a tag are therefore written as ``\[ ... \]``, unchanged.
They also get an anchor, and each "(1.3)" in the text of the page becomes a link to it.
"""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

TAG = re.compile(r"\\tag\{([^}]+)\}")
REFERENCE = re.compile(r"\((\d+\.\d+[a-z]?)\)")
NO_LINKS_INSIDE = (nodes.reference, nodes.literal, nodes.title, nodes.FixedTextElement)


class HandNumberedMath(SphinxPostTransform):
    """Write tagged formulas without a wrapper, and link the references to them."""

    default_priority = 500
    formats = ("html",)

    def run(self, **_: Any) -> None:
        """Treat all formulas of the page, then all its text."""
        anchors: dict[str, str] = {}
        for node in list(self.document.findall(nodes.math_block)):
            anchors |= keep_tag(node)
        for text in list(self.document.findall(nodes.Text)):
            link_references(text, anchors)


def keep_tag(node: nodes.math_block) -> dict[str, str]:
    """Unwrap one formula; return its numbers and their anchors."""
    numbers: list[str] = TAG.findall(node.astext())
    if not numbers:
        return {}
    formula = rf"\[{node.astext()}\]"
    node.children = [nodes.Text(formula)]
    node["nowrap"] = True
    anchors = {number: f"equation-{number.replace('.', '-')}" for number in numbers}
    parent = node.parent
    targets = [nodes.target("", "", ids=[anchor]) for anchor in anchors.values()]
    parent[parent.index(node) : parent.index(node)] = targets
    return anchors


def link_references(text: nodes.Text, anchors: dict[str, str]) -> None:
    """Turn each "(1.3)" in a piece of text into a link, if the page has that formula."""
    ancestor = text.parent
    while ancestor is not None:
        if isinstance(ancestor, (*NO_LINKS_INSIDE, nodes.math, nodes.math_block)):
            return
        ancestor = ancestor.parent
    parts = REFERENCE.split(text.astext())
    if not any(part in anchors for part in parts[1::2]):
        return
    pieces: list[nodes.Node] = []
    for index, part in enumerate(parts):
        if index % 2 == 0:
            pieces.append(nodes.Text(part))
        elif part in anchors:
            link = nodes.reference("", f"({part})", internal=True, refid=anchors[part])
            pieces.append(link)
        else:
            pieces.append(nodes.Text(f"({part})"))
    text.parent.replace(text, pieces)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the transformation with Sphinx."""
    app.add_post_transform(HandNumberedMath)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
