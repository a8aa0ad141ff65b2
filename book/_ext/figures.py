"""Figures on a page: a copy for the dark theme, and panels that stack on a phone.

A figure is an SVG in the colors of a light page. Once the pages are written, each gets a copy in
the colors of the dark theme; the style sheet shows the one that fits, and a browser loads only what
is shown. A figure that says where its panels end (companion.page._panels) becomes a row of
pictures, each of which shows its part of the same file.
"""

import re
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from sphinx.application import Sphinx

from companion.page._style import DARK

IMAGE = re.compile(r'<img ([^>]*?)src="([^"]*_images/[^"/]+\.svg)"([^>]*?) ?/?>')
SIZE = re.compile(r'<svg [^>]*?width="([\d.]+)pt" height="([\d.]+)pt"')
CUTS = re.compile(r'<svg data-cuts="([\d. ]+)"')
COLOR = re.compile(r"(?<=: )#[0-9a-f]{6}\b")


class Shape(NamedTuple):
    """Width and height of a figure in CSS pixels, and where its panels end, from 0 to 1."""

    width: float
    height: float
    edges: tuple[float, ...]


def shape(svg: str) -> Shape:
    """Read the shape of a figure from the head of its file."""
    size, cuts = SIZE.search(svg), CUTS.search(svg)
    if size is None:
        raise ValueError(f"an SVG without a size in points: {svg[:200]!r}")
    inner = tuple(map(float, cuts[1].split())) if cuts else ()
    return Shape(float(size[1]) * 4 / 3, float(size[2]) * 4 / 3, (0.0, *inner, 1.0))


def in_dark(svg: str) -> str:
    """Return a figure in the colors of the dark theme. Pixels keep theirs."""
    return COLOR.sub(lambda match: DARK.get(match[0], match[0]), svg)


def pictures(attributes: str, address: str, found: Shape) -> str:
    """Return the panels of a figure; the first carries the alternative text of the whole."""
    parts = []
    for start, end in pairwise(found.edges):
        share = end - start
        place = 100 * start / (1 - share) if share < 1 else 0
        style = (
            f"--share: {100 * share:.3f}%; aspect-ratio: {found.width * share:.2f} / "
            f"{found.height:.2f}; object-position: {place:.3f}% 0"
        )
        parts.append(f'<img {attributes} src="{address}" loading="lazy" style="{style}">')
        attributes = 'alt="" aria-hidden="true"'
    return "".join(parts)


def markup(attributes: str, address: str, svg: str) -> str:
    """Return a figure for both themes."""
    found = shape(svg)
    kind = "figure-panels" if len(found.edges) > 2 else "figure-single"
    both = (("light", address), ("dark", f"{address.removesuffix('.svg')}.dark.svg"))
    return "".join(
        f'<span class="{kind} figure-{theme}" style="--width: {found.width:.0f}px">'
        f"{pictures(attributes, file, found)}</span>"
        for theme, file in both
    )


def show_figures(app: Sphinx, exception: Exception | None) -> None:
    """Treat the figures of all pages, once they are written."""
    if exception is not None or app.builder.format != "html":
        return
    for page in Path(app.outdir).rglob("*.html"):
        text = page.read_text(encoding="utf-8")

        def replace(match: re.Match[str], folder: Path = page.parent) -> str:
            if "loading=" in match[0]:  # a page of an earlier build
                return match[0]
            file = folder / match[2]
            svg = file.read_text(encoding="utf-8")
            file.with_suffix(".dark.svg").write_text(in_dark(svg), encoding="utf-8")
            return markup(f"{match[1]}{match[3]}".strip(), match[2], svg)

        shown = IMAGE.sub(replace, text)
        if shown != text:
            page.write_text(shown, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to the end of the build."""
    app.connect("build-finished", show_figures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
