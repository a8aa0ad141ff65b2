"""Write the notebook beside each chapter, so that it opens in Jupyter and in Colab.

The Markdown file is the source. The notebook is derived from it, byte for byte the same on
every machine, holds no outputs and reads well without this book's build: roles become links,
chapters and figures get the numbers that they have in the book, and a paragraph that quotes a
number of the run becomes a folded cell that shows it with the number.
`--check` writes nothing and fails if a committed notebook differs.
"""

import argparse
import copy
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode
from pybtex.database import Entry

from tools import bibliography
from tools.pages import ROOT, chapter_number, chapters, is_notebook

GLUE = "{glue:text}`"
PAGE_LINK = re.compile(r"\]\((?P<target>[^)#\s:]+\.md)(?P<anchor>#[^)\s]*)?\)")
FENCED_OR_CODE = re.compile(r"(^```.*?^```[ ]*$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
ROLE = re.compile(r"(\{[a-z:]+\}`[^`]+`)")
FIGURE_NUMBER = re.compile(r"\{numref\}`(?P<name>[^`]+)`")
OPENS_FENCE = re.compile(r"`{3,}|~{3,}|\$\$")
NUMBERS_IN_TEXT = (
    "> **In this notebook**, a paragraph that quotes a measured number appears when you run its "
    "cell. *Run all cells* shows every one."
)
SAY = "# @title Text with numbers from this run\nfrom companion.page.report import say\n\n"
FOLDED_TEXT = {"cellView": "form", "jupyter": {"source_hidden": True}, "tags": ["hide-input"]}
# A folded cell of the source says by a tag what it does. One without such a tag draws a figure.
FOLDED = {"hide-input", "hide-cell", "remove-input"}
TITLES = {
    "setup": "Set-up",
    "scoring": "Scoring",
    "checks": "Checks of the results",
    "diagnosis": "Recorded runs",
    "widget": "Interactive figure",
    "remove-input": "Quiz",
}
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def outside_code(change: Callable[[str], str], text: str) -> str:
    """Apply a change to the prose of a Markdown text, not to its code."""
    parts = FENCED_OR_CODE.split(text)
    return "".join(part if index % 2 else change(part) for index, part in enumerate(parts))


def replace_roles(text: str, entries: Mapping[str, Entry]) -> str:
    """Replace citations by what a plain notebook can show."""
    return ROLE.sub(lambda match: bibliography.resolve(match[1], entries), text)


def replace_links(text: str, folder: Path) -> str:
    """Let links to chapters lead to their notebooks. Other pages stay Markdown."""

    def replacement(match: re.Match[str]) -> str:
        target = folder / match["target"]
        if not (target.is_file() and is_notebook(target)):
            return match[0]
        return f"]({match['target'].removesuffix('.md')}.ipynb{match['anchor'] or ''})"

    return outside_code(lambda prose: PAGE_LINK.sub(replacement, prose), text)


def split_at_headings(text: str) -> Iterator[str]:
    """Yield the sections of a Markdown text: each becomes a cell that Jupyter can fold."""
    lines: list[str] = []
    fenced = folded = False
    for line in text.splitlines():
        fenced ^= line.startswith("```")
        folded = (folded or line.startswith("<details")) and "</details>" not in line
        if re.match(r"#{1,4} ", line) and lines and not fenced and not folded:
            yield "\n".join(lines).strip("\n")
            lines = []
        lines.append(line)
    yield "\n".join(lines).strip("\n")


def blocks(text: str) -> Iterator[str]:
    """Yield the paragraphs of a Markdown text; a list, table, formula or fold is one of them."""
    block: list[str] = []
    fence = ""
    folded = blank = False
    for line in text.splitlines():
        inside = bool(fence) or folded
        if block and blank and not inside and not line.startswith((" ", "\t")):
            yield "\n".join(block)
            block = []
        if not folded and (mark := OPENS_FENCE.match(line)):
            one_line = mark[0] == "$$" and line.count("$$") == 2
            fence = "" if fence == mark[0] or one_line else fence or mark[0]
        folded = (folded or line.startswith("<details")) and "</details>" not in line
        blank = not line.strip()
        if block or not blank:
            block.append(line)
    if block:
        yield "\n".join(block)


def say_cell(text: str) -> NotebookNode:
    """Return a folded cell that shows a paragraph with the numbers of the run.

    Raises:
        ValueError: the paragraph holds both kinds of triple quotes.
    """
    quotes = next((kind for kind in ('"""', "'''") if kind not in text), None)
    if quotes is None:
        raise ValueError(f"a paragraph holds both kinds of triple quotes; remove one: {text!r}")
    source = f"{SAY}say(r{quotes}\n{text.strip()}\n{quotes})"
    return nbformat.v4.new_code_cell(source, metadata=copy.deepcopy(FOLDED_TEXT))


def text_cells(text: str) -> Iterator[NotebookNode]:
    """Yield the cells of a Markdown text: split at headings, and at paragraphs with numbers."""
    for quotes_numbers, group in groupby(blocks(text), lambda block: GLUE in block):
        if quotes_numbers:
            yield say_cell("\n\n".join(block.strip("\n") for block in group))
        else:
            plain = "\n\n".join(block.strip("\n") for block in group)
            yield from map(nbformat.v4.new_markdown_cell, filter(None, split_at_headings(plain)))


def caption(cell: NotebookNode) -> str:
    """Return the caption of a figure, which only the built page would show."""
    return cell.metadata.get("mystnb", {}).get("figure", {}).get("caption", "").strip()


def number_figures(notebook: NotebookNode, chapter: Path) -> dict[str, str]:
    """Return the number of each figure of a chapter by its name, as "Fig. 2.1"."""
    number = chapter_number(chapter)
    names = [cell.metadata.mystnb.figure.name for cell in notebook.cells if caption(cell)]
    return {name: f"Fig. {number}.{index}" for index, name in enumerate(names, 1)}


def fold(cell: NotebookNode) -> NotebookNode:
    """Fold in Jupyter and in Colab what the page folds, and with a solution its verdict too."""
    tags = cell.metadata.get("tags", [])
    if FOLDED & set(tags):
        cell.metadata.setdefault("jupyter", {})["source_hidden"] = True
        cell.metadata["cellView"] = "form"
        if not cell.source.startswith("# @title "):
            title = next((TITLES[tag] for tag in TITLES if tag in tags), "Plot")
            cell.source = f"# @title {title}\n{cell.source}"
    if "hide-cell" in tags:
        cell.metadata["jupyter"]["outputs_hidden"] = True
    return cell


def cells(
    notebook: NotebookNode, chapter: Path, entries: Mapping[str, Entry]
) -> list[NotebookNode]:
    """Return the cells as a reader of the notebook gets them."""
    numbers = number_figures(notebook, chapter)

    def readable(text: str) -> str:
        text = FIGURE_NUMBER.sub(lambda match: numbers[match["name"]], text)
        return replace_links(replace_roles(text, entries), chapter.parent)

    result: list[NotebookNode] = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            title = rf"\g<0>{chapter_number(chapter)}. "
            source = cell.source if result else re.sub(r"\A# ", title, cell.source)
            result += text_cells(readable(source))
            continue
        result.append(fold(cell))
        if caption(cell):
            number = numbers[cell.metadata.mystnb.figure.name]
            result += text_cells(f"*{number}.* {readable(caption(cell))}")
    if any(GLUE in cell.source for cell in notebook.cells):
        result[0].source += f"\n\n{NUMBERS_IN_TEXT}"
    return result


def convert(chapter: Path, entries: Mapping[str, Entry]) -> str:
    """Return the notebook of a chapter as text."""
    source = jupytext.reads(chapter.read_text(encoding="utf-8"), fmt="md:myst")
    notebook = nbformat.v4.new_notebook(
        metadata={"kernelspec": KERNEL, "language_info": {"name": "python"}},
        cells=cells(source, chapter, entries),
    )
    for index, cell in enumerate(notebook.cells):
        cell.id = f"{chapter.stem}-{index:03d}"
        cell.metadata.pop("source_map", None)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.validate(notebook)
    return nbformat.writes(notebook, version=4, indent=1, sort_keys=True) + "\n"


def synchronize(paths: list[Path], entries: Mapping[str, Entry], *, write: bool) -> list[Path]:
    """Return the notebooks that differ from their source, rewritten if asked for."""
    stale = []
    for chapter in paths:
        target, text = chapter.with_suffix(".ipynb"), convert(chapter, entries)
        if target.is_file() and target.read_text(encoding="utf-8") == text:
            continue
        stale.append(target)
        if write:
            target.write_text(text, encoding="utf-8")
    return stale


def orphans(paths: list[Path], root: Path) -> list[Path]:
    """Return the notebooks that no chapter of the table of contents stands for."""
    known = {chapter.with_suffix(".ipynb") for chapter in paths}
    found = (root / "book").rglob("*.ipynb")
    return sorted(path for path in found if path not in known and ".ipynb_" not in str(path))


def main() -> None:
    """Write the notebooks, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail on drift")
    check = parser.parse_args().check
    paths = chapters()
    entries = bibliography.load(ROOT / "book" / "references.bib")
    stale = synchronize(paths, entries, write=not check)
    for path in stale:
        print(f"{'differs from its source' if check else 'written'}: {path.relative_to(ROOT)}")
    strange = orphans(paths, ROOT)
    for path in strange:
        print(f"belongs to no chapter: {path.relative_to(ROOT)}")
    if strange or (check and stale):
        sys.exit("Run `make notebooks`, look at the difference and commit it.")


if __name__ == "__main__":
    main()
