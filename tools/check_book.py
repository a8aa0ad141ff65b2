"""Check the built pages: complete, executed, self-contained, without dead links.

Every check is a function that takes what it needs and yields one line for each fault, so that
a test can hand it a small broken page.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, Tag
from jupyter_cache import get_cache
from jupyter_cache.base import JupyterCacheAbstract
from myst_nb.core.read import myst_nb_reader_plugin
from nbformat import NotebookNode

from tools.pages import ROOT, chapters, pages

LOADING_TAGS = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "embed": "src",
    "object": "data",
    "link": "href",
}
LINKS_THAT_LOAD_NOTHING = {"canonical", "next", "prev", "author", "license", "search", "index"}
REMOTE = re.compile(r"(https?:)?//", re.IGNORECASE)
REMOTE_IN_CSS = re.compile(r"(?:url\(\s*['\"]?|@import\s+['\"])((?:https?:)?//[^'\")\s]+)", re.I)
RAW_ROLE = re.compile(r"\{(?:cite|glue|ref|numref|doc|eq)(?::\w+)?\}")
GLUE = "application/papermill.record/"  # numbers on their way into sentences
VERDICT = re.compile(r'data-status="([a-z ]+)"')


def missing_pages(names: Iterable[Path], html: Path) -> Iterator[str]:
    """Every page of the table of contents has been built."""
    for name in names:
        if not (html / name).is_file():
            yield f"{name}: the page is missing"


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """Return the cells that hold code to run."""
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def execution_faults(executed: NotebookNode) -> Iterator[str]:
    """Every cell has run, without an error."""
    for number, cell in enumerate(code_cells(executed), 1):
        if cell.execution_count is None:
            yield f"code cell {number} was not executed: {cell.source[:60]!r}"
        if any(output.output_type == "error" for output in cell.outputs):
            yield f"code cell {number} ended with an error: {cell.source[:60]!r}"


def output_text(cell: NotebookNode) -> str:
    """Return everything that a cell shows as one text."""
    parts = []
    for output in cell.outputs:
        data = output.get("data", {})
        parts += [output.get("text", ""), data.get("text/plain", ""), data.get("text/html", "")]
    return "\n".join(parts)


def solution_faults(executed: NotebookNode) -> Iterator[str]:
    """Every solution passes its own check."""
    for cell in code_cells(executed):
        if "solution" not in cell.metadata.get("tags", []):
            continue
        verdicts = VERDICT.findall(output_text(cell))
        if not verdicts or set(verdicts) != {"correct"}:
            yield f"a solution is not correct ({verdicts or 'no verdict'}): {cell.source[:80]!r}"


def noise(soup: BeautifulSoup) -> Iterator[str]:
    """No traceback and no warning among the outputs."""
    for output in soup.select(".cell_output"):
        text = output.get_text()
        if "Traceback (most recent call last)" in text:
            yield f"an output shows a traceback: {text.strip()[-100:]!r}"
    for output in soup.select(".cell_output .stderr"):
        if "Warning:" in output.get_text():
            yield f"an output shows a warning: {output.get_text().strip()[:200]!r}"


def remote_resources(soup: BeautifulSoup) -> Iterator[str]:
    """Nothing is loaded from another place: no script, style, image, font or frame."""
    for name, attribute in LOADING_TAGS.items():
        for tag in soup.find_all(name):
            address = str(tag.get(attribute, ""))
            rel = set(tag.get("rel") or ())
            if REMOTE.match(address) and not (name == "link" and rel & LINKS_THAT_LOAD_NOTHING):
                yield f"<{name}> loads {address}"
    styles = [tag.get_text() for tag in soup.find_all("style")]
    styles += [str(tag["style"]) for tag in soup.find_all(style=True)]
    for style in styles:
        yield from remote_in_css(style)


def remote_in_css(text: str) -> Iterator[str]:
    """A style sheet loads nothing from another place either."""
    for address in REMOTE_IN_CSS.findall(text):
        yield f"a style loads {address}"


def image_faults(soup: BeautifulSoup) -> Iterator[str]:
    """Every image says in words what it shows."""
    for image in soup.find_all("img"):
        decorative = image.get("role") == "presentation" or image.get("aria-hidden") == "true"
        if not decorative and not str(image.get("alt", "")).strip():
            yield f"an image has no alternative text: {str(image.get('src'))[:80]}"


def unresolved_roles(soup: BeautifulSoup) -> Iterator[str]:
    """No citation, number or reference is left as it was written."""
    for text in soup.find_all(string=RAW_ROLE):
        if text.find_parent(["pre", "code", "script", "style"]) is None:
            yield f"a role was not resolved: {str(text).strip()[:100]!r}"


def anchors(soup: BeautifulSoup) -> set[str]:
    """Return every place in a page that a link can lead to."""
    named = {str(tag["name"]) for tag in soup.find_all("a", attrs={"name": True})}
    return named | {str(tag["id"]) for tag in soup.find_all(id=True)}


def link_faults(page: Path, soup: BeautifulSoup, places: dict[Path, set[str]]) -> Iterator[str]:
    """Every link within the book leads to a file and to one of the places in it."""
    for tag in soup.find_all("a", href=True):
        parts = urlsplit(str(tag["href"]))
        if parts.scheme or parts.netloc:
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        if target.is_dir():
            target = target / "index.html"
        if not target.is_file():
            yield f"a dead link: {tag['href']}"
        elif target in places and parts.fragment and unquote(parts.fragment) not in places[target]:
            yield f"a link to an anchor that is not there: {tag['href']}"


def citation_faults(soup: BeautifulSoup) -> Iterator[str]:
    """Every citation leads to an entry of the bibliography."""
    for tag in soup.select("span#citation, .cite, .bibtex"):
        if isinstance(tag, Tag) and "?" in tag.get_text():
            yield f"a citation was not found: {tag.get_text()}"


def page_faults(page: Path, soup: BeautifulSoup, places: dict[Path, set[str]]) -> Iterator[str]:
    """Run every check of one page."""
    for check in (noise, remote_resources, image_faults, unresolved_roles, citation_faults):
        yield from check(soup)
    yield from link_faults(page, soup, places)


def is_visible(output: NotebookNode) -> bool:
    """Say whether an output shows something."""
    return not all(kind.startswith(GLUE) for kind in output.get("data", {"stream": None}))


def lost_outputs(executed: NotebookNode, page: BeautifulSoup) -> Iterator[str]:
    """The page shows an output for every cell that has one to see."""
    hidden = {"remove-cell", "remove-output"}
    showing = [
        cell
        for cell in code_cells(executed)
        if any(map(is_visible, cell.outputs)) and not hidden & set(cell.metadata.get("tags", []))
    ]
    shown = page.select(".cell > .cell_output, .cell > details > .cell_output")
    if len(showing) != len(shown):
        yield f"{len(showing)} cells have outputs, but the page shows {len(shown)}"


def executed_form(chapter: Path, cache: JupyterCacheAbstract) -> NotebookNode | None:
    """Return a chapter with its outputs from the cache, as Sphinx does."""
    try:
        return cache.merge_match_into_notebook(myst_nb_reader_plugin(str(chapter)))[1]
    except KeyError:
        return None


def chapter_faults(executed: NotebookNode | None, page: BeautifulSoup) -> Iterator[str]:
    """Run every check of one chapter's outputs."""
    if executed is None:
        yield "it was not executed"
        return
    yield from execution_faults(executed)
    yield from solution_faults(executed)
    yield from lost_outputs(executed, page)


def read_pages(html: Path) -> dict[Path, BeautifulSoup]:
    """Parse every built page."""
    built = [path for path in sorted(html.rglob("*.html")) if "_static" not in path.parts]
    return {path: BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser") for path in built}


def book_faults(root: Path) -> list[str]:
    """Check the whole book; return a line for each fault."""
    html = (root / "_build" / "html").resolve()
    names = [page.relative_to(root).with_suffix(".html") for page in pages(root)]
    faults = list(missing_pages(names, html))
    if faults:
        return faults
    soups = read_pages(html)
    cache = get_cache(str(root / "_build" / ".jupyter_cache"))
    for chapter in chapters(root):
        name = chapter.relative_to(root)
        soup = soups[(html / name).with_suffix(".html")]
        found = chapter_faults(executed_form(chapter, cache), soup)
        faults += [f"{name}: {fault}" for fault in found]
    places = {page: anchors(soup) for page, soup in soups.items()}
    for page, soup in soups.items():
        found = page_faults(page, soup, places)
        faults += [f"{page.relative_to(html)}: {fault}" for fault in found]
    for sheet in sorted(html.rglob("*.css")):
        text = sheet.read_text(encoding="utf-8")
        faults += [f"{sheet.relative_to(html)}: {fault}" for fault in remote_in_css(text)]
    return faults


def main() -> None:
    """Print the faults, and fail if there are any."""
    faults = book_faults(ROOT)
    if faults:
        sys.exit("\n".join(["The built book has faults:", *faults]))
    print(f"Checked {len(pages())} pages: complete, executed, self-contained, no dead links.")


if __name__ == "__main__":
    main()
