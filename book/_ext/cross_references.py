"""Links to the glossary and to the reference of the package, and anchors for links by hand.

The first time that a page sets a term of the glossary in italics, the term becomes a link to its
entry. The first time that it names a function or class of `companion` in code letters, the name
becomes a link to its description. Such a link always resolves. And a Markdown link may lead to
any anchor of a page, `api.md#companion.gaussian.kl_divergence`: MyST warns of one that is missing.
"""

import re
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform

GLOSSARY = "book/appendix/glossary"
API = "book/appendix/api"
KINDS = {"function", "class", "method", "property", "attribute", "exception"}
NO_LINKS_INSIDE = (nodes.reference, nodes.title, nodes.term, nodes.caption)


def names_of(entry: str) -> Iterator[str]:
    """Yield the names by which a text may call an entry of the glossary.

    >>> list(names_of("Code, latent variable · 隐变量"))
    ['code', 'latent variable']
    >>> list(names_of("Evidence lower bound (ELBO)"))
    ['evidence lower bound', 'elbo']
    """
    yield from heading_of(entry).casefold().split(", ")
    if short := re.search(r"\(([^)]+)\)", entry):
        yield short[1].casefold()


def heading_of(entry: str) -> str:
    """Return an entry without its abbreviation and its Chinese name."""
    return re.split(r" [(·]", entry.replace("\n", " "))[0]


class GlossaryAnchors(SphinxTransform):
    """Give each entry of the glossary an anchor, `term-active-unit`, and make its names known."""

    default_priority = 400

    def apply(self, **_: Any) -> None:
        """Treat the page of the glossary."""
        if self.env.docname != GLOSSARY:
            return
        for term in self.document.findall(nodes.term):
            anchor = f"term-{nodes.make_id(heading_of(term.astext()))}"
            term["ids"].append(anchor)
            for name in names_of(term.astext()):
                self.env.get_domain("std").note_object("term", name, anchor)


def note_anchors(app: Sphinx, doctree: nodes.document) -> None:
    """Let Markdown links lead to every anchor of a page, and not only to its headings."""
    slugs = app.env.metadata[app.env.docname].setdefault("myst_slugs", {})
    for node in doctree.findall(nodes.Element):
        for anchor in node.get("ids", []):
            slugs.setdefault(anchor, (None, anchor, anchor))


def glossary_terms(env: BuildEnvironment) -> dict[str, tuple[str, str]]:
    """Return page and anchor of each name in the glossary."""
    terms = env.domaindata["std"]["objects"]
    return {name: place for (kind, name), place in terms.items() if kind == "term"}


def api_names(env: BuildEnvironment) -> dict[str, tuple[str, str]]:
    """Return page and anchor of what a text may call `VAE`, `em_step` or `VampPrior.sample`.

    A method needs its class, and a plain word such as `fit` its module: it may be a variable. A
    name that stands for two things stands for neither.
    """
    places: dict[str, tuple[str, str]] = {}
    ambiguous = set()
    for full, entry in env.domaindata["py"]["objects"].items():
        if entry.objtype not in KINDS:
            continue
        parts = full.split(".")
        plain = parts[-1].islower() and "_" not in parts[-1]
        shortest = 2 if plain or entry.objtype not in {"function", "class", "exception"} else 1
        for length in range(shortest, len(parts) + 1):
            name = ".".join(parts[-length:])
            ambiguous |= {name} & places.keys()
            places[name] = (entry.docname, entry.node_id)
    return {name: place for name, place in places.items() if name not in ambiguous}


class LinkNames(SphinxPostTransform):
    """Link the first mention of each term and of each name on a page."""

    default_priority = 450
    formats = ("html",)

    def run(self, **_: Any) -> None:
        """Treat one page."""
        if self.env.docname not in (GLOSSARY, API):
            self.link(nodes.emphasis, glossary_terms(self.env))
        if self.env.docname != API:
            self.link(nodes.literal, api_names(self.env))

    def link(self, kind: type[nodes.Element], places: dict[str, tuple[str, str]]) -> None:
        """Wrap the first node of a kind whose text is one of the names."""
        linked: set[tuple[str, str]] = set()
        for node in list(self.document.findall(kind)):
            place = find(node.astext(), places, exact=kind is nodes.literal)
            if place is None or place in linked or inside(node, NO_LINKS_INSIDE):
                continue
            linked.add(place)
            page, anchor = place
            address = self.app.builder.get_relative_uri(self.env.docname, page)
            link = nodes.reference("", "", internal=True, refuri=f"{address}#{anchor}")
            node.replace_self(link)
            link += node


def find(text: str, places: dict[str, tuple[str, str]], *, exact: bool) -> tuple[str, str] | None:
    """Look a name up: code as it stands, a term in any case, also in the plural."""
    if exact:
        return places.get(text.removesuffix("()"))
    term = text.replace("\n", " ").casefold().rstrip(".,:;")
    return places.get(term) or places.get(term.removesuffix("s"))


def inside(node: nodes.Node, kinds: tuple[type[nodes.Node], ...]) -> bool:
    """Say whether a node lies within one of these kinds."""
    while node.parent is not None:
        node = node.parent
        if isinstance(node, kinds):
            return True
    return False


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the transformations with Sphinx."""
    app.add_transform(GlossaryAnchors)
    app.connect("doctree-read", note_anchors)
    app.add_post_transform(LinkNames)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
