"""Interactive figures: one call shows one in the built page, in JupyterLab and in Colab.

A figure is plain JavaScript in the folder `widgets`. Its scripts, styles and numbers travel in the
output of the cell, so it needs neither a kernel nor a network, and stays in a saved notebook.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from companion._require.arguments import require_choice
from companion.page._style import CLASS_PAIRS, PAIRS
from companion.page._widget_numbers import NUMBERS

FOLDER = Path(__file__).parent / "widgets"
# The dark themes of the book, of JupyterLab and of Colab.
DARK = 'html[data-theme="dark"], body[data-jp-theme-light="false"], html[theme="dark"]'
# The names that figures of the page have for what is drawn elsewhere too.
ROLES = {"q": "elbo", "posterior": "exact"}

# Comments that have whole lines for themselves.
_COMMENTS = re.compile(r"^ *(?://[^\n]*|/\*.*?\*/)\n", re.MULTILINE | re.DOTALL)


class Widget:
    """An interactive figure, which a notebook shows as HTML."""

    def __init__(self, name: str, html: str) -> None:
        self.name, self.html = name, html

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return f"Interactive figure {self.name!r}: a notebook shows it."


def widget(name: str) -> Widget:
    """Return an interactive figure, to be shown as the last line of a cell.

    Args:
        name: one of `names()`.

    Returns:
        An object that a notebook shows as HTML, with everything in it that the figure needs.

    Raises:
        ValueError: there is no such figure.

    >>> widget("elbo")
    Interactive figure 'elbo': a notebook shows it.
    """
    require_choice(names(), name=name)
    script = "\n".join(scripts(name))
    html = f"<style>\n{styles(name)}</style>\n{markup(name)}<script>\n{script}</script>\n"
    return Widget(name, html)


def names() -> tuple[str, ...]:
    """Return the names of all interactive figures.

    >>> "latent" in names()
    True
    """
    return tuple(sorted(path.stem for path in FOLDER.glob("*.html")))


def markup(name: str) -> str:
    """Return the element that the scripts fill; until then it says what would stand there."""
    return _read(f"{name}.html")


def palette() -> str:
    """Return the colors of all figures as custom properties, for the light and the dark theme."""
    pairs = {**PAIRS, **{role: PAIRS[name] for role, name in ROLES.items()}}
    pairs |= {f"class-{digit}": pair for digit, pair in enumerate(CLASS_PAIRS)}
    light, dark = (
        "".join(
            f"  --widget-{name.replace('_', '-')}: {pair[i]};\n" for name, pair in pairs.items()
        )
        for i in (0, 1)
    )
    return f".widget {{\n{light}}}\n:is({DARK}) .widget {{\n{dark}}}\n"


def styles(name: str) -> str:
    """Return the style sheet of a figure."""
    own = FOLDER / f"{name}.css"
    return palette() + _slim("widgets.css") + (_slim(own.name) if own.is_file() else "")


def scripts(name: str) -> Iterator[str]:
    """Yield the scripts of a figure in the order to run them, its numbers among them."""
    yield _slim("widget.js")
    if name in NUMBERS:
        yield _slim("network.js")
        yield NUMBERS[name]()
    for part in sorted(FOLDER.glob(f"{name}-*.js")):
        yield _slim(part.name)
    yield _slim(f"{name}.js")


def _slim(file: str) -> str:
    """Read a script or a sheet without comments, indentation and empty lines."""
    return re.sub(r"^\s+", "", _COMMENTS.sub("", _read(file)), flags=re.MULTILINE)


def _read(file: str) -> str:
    return (FOLDER / file).read_text(encoding="utf-8")
