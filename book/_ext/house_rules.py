"""The course's own rules for pages: what they load, and what they do not."""

import re
from pathlib import Path

from sphinx.application import Sphinx

MARKUP = re.compile(
    r"^[ ]*(?:>>>|\.\.\.).*$|:\w+:`[^`]*`|``[^`]+``|`(?P<single>[^`]+)`"
    r"|(?P<star>\*)(?=\w)(?!\w+\*)",
    re.MULTILINE,
)

# Markup of the theme and of docutils that a screen reader would stumble over.
ACCESSIBILITY = (
    # What a button says aloud must contain what it shows ("Search Ctrl+K").
    (re.compile(r'(<button class="btn search-button-field[^>]*) aria-label="Search"'), r"\1"),
    (re.compile(r'(<i class="theme-switch [^>]*) title="[^"]*"'), r"\1"),
    # The entries are no list items, so their container is no list.
    (re.compile(r'<div role="list" class="citation-list">'), '<div class="citation-list">'),
    (re.compile(r' role="doc-biblioentry"'), ""),
    # The name of a fold is what it shows.
    (re.compile(r'(<summary) aria-label="Toggle hidden content"'), r"\1"),
)
# The parameters of a long signature, one a line: no definitions, so no list of definitions.
SIGNATURE = re.compile(r"<dl>\s*((?:<dd>.*?</dd>\s*)+)</dl>", re.DOTALL)


def remove_thebe(app: Sphinx) -> None:
    """Stop sphinx-thebe, which Jupyter Book always loads.

    It would write the address of a script server into every page, and its code twice, which
    browsers report as an error.
    """
    for listeners in app.events.listeners.values():
        listeners[:] = [item for item in listeners if item.handler.__module__ != "sphinx_thebe"]
    files = app.registry.css_files
    files[:] = [item for item in files if item[0] != "sphinx-thebe.css"]


def skip_field(
    _app: Sphinx, _what: str, _name: str, obj: object, skip: bool, _opts: object
) -> bool:
    """Leave out the fields of a NamedTuple: "Alias for field number 0" helps nobody."""
    return skip or (getattr(obj, "__doc__", None) or "").startswith("Alias for field number")


def literal_docstring(
    _app: Sphinx, _what: str, _name: str, _obj: object, _options: object, lines: list[str]
) -> None:
    """Read `x` in a docstring as code, and the star of a shape (*S, B) as a star."""

    def replacement(match: re.Match[str]) -> str:
        if match["single"]:
            return f"``{match['single']}``"
        return match[0] if not match["star"] else r"\*"

    text = MARKUP.sub(replacement, "\n".join(lines))
    lines[:] = text.split("\n")


def signature_rows(match: re.Match[str]) -> str:
    """Return the parameters of a signature as plain rows."""
    return match[1].replace("<dd>", '<span class="sig-row">').replace("</dd>", "</span>")


def repair_pages(app: Sphinx, exception: Exception | None) -> None:
    """Repair the markup of all pages, once they are written."""
    if exception is not None or app.builder.format != "html":
        return
    for page in Path(app.outdir).rglob("*.html"):
        text = repaired = page.read_text(encoding="utf-8")
        for pattern, replacement in ACCESSIBILITY:
            repaired = pattern.sub(replacement, repaired)
        repaired = SIGNATURE.sub(signature_rows, repaired)
        if repaired != text:
            page.write_text(repaired, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Apply the rules. This extension is loaded after those that it corrects."""
    remove_thebe(app)
    app.connect("build-finished", repair_pages)
    app.connect("autodoc-process-docstring", literal_docstring, priority=400)  # before napoleon
    app.connect("autodoc-skip-member", skip_field)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
