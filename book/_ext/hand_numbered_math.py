r"""Keep the equation numbers that the author wrote by hand with ``\tag{1.3}``.

Sphinx puts every display formula with ``\\`` into a ``split`` environment, in which ``\tag`` is
illegal. Formulas with a tag are therefore written as ``\[ ... \]``, unchanged.
They also get an anchor, and each "(1.3)" in the text of any page becomes a link to it.
"""

import re
from pathlib import Path
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
        for node in list(self.document.findall(nodes.math_block)):
            keep_tag(node)
        places = {
            number: self.app.builder.get_relative_uri(self.env.docname, page) + f"#{anchor(number)}"
            for number, page in equations(self.app).items()
        }
        for text in list(self.document.findall(nodes.Text)):
            link_references(text, places)


def anchor(number: str) -> str:
    """Return the anchor of an equation in its page."""
    return f"equation-{number.replace('.', '-')}"


def equations(app: Sphinx) -> dict[str, str]:
    """Return the page of each numbered equation of the book, read once from the sources."""
    if not hasattr(app, "numbered_equations"):
        sources = {page: Path(app.env.doc2path(page)) for page in app.env.found_docs}
        app.numbered_equations = {  # type: ignore[attr-defined]
            number: page
            for page, source in sources.items()
            for number in TAG.findall(source.read_text(encoding="utf-8"))
        }
    return app.numbered_equations  # type: ignore[attr-defined,no-any-return]


def keep_tag(node: nodes.math_block) -> None:
    """Unwrap one formula, and put an anchor for each of its numbers before it."""
    numbers: list[str] = TAG.findall(node.astext())
    if not numbers:
        return
    formula = rf"\[{node.astext()}\]"
    node.children = [nodes.Text(formula)]
    node["nowrap"] = True
    parent = node.parent
    targets = [nodes.target("", "", ids=[anchor(number)]) for number in numbers]
    parent[parent.index(node) : parent.index(node)] = targets


def link_references(text: nodes.Text, places: dict[str, str]) -> None:
    """Turn each "(1.3)" in a piece of text into a link, if the book has that formula."""
    ancestor = text.parent
    while ancestor is not None:
        if isinstance(ancestor, (*NO_LINKS_INSIDE, nodes.math, nodes.math_block)):
            return
        ancestor = ancestor.parent
    parts = REFERENCE.split(text.astext())
    if not any(part in places for part in parts[1::2]):
        return
    pieces: list[nodes.Node] = []
    for index, part in enumerate(parts):
        if index % 2 == 0:
            pieces.append(nodes.Text(part))
        elif part in places:
            link = nodes.reference("", f"({part})", internal=True, refuri=places[part])
            pieces.append(link)
        else:
            pieces.append(nodes.Text(f"({part})"))
    text.parent.replace(text, pieces)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the transformation with Sphinx."""
    app.add_post_transform(HandNumberedMath)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
