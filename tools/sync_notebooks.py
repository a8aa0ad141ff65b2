"""Write the notebook beside each chapter, so that it opens in Jupyter and in Colab.

The Markdown file is the source. The notebook is derived from it, byte for byte the same on
every machine, holds no outputs and reads well without this book's build: roles become links.
`--check` writes nothing and fails if a committed notebook differs.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode
from pybtex.database import Entry

from tools import bibliography
from tools.pages import ROOT, chapters, is_notebook

GLUE = re.compile(r"\{glue:(?:text)?\}`(?P<key>[^`:]+)(?::[^`]*)?`")
PAGE_LINK = re.compile(r"\]\((?P<target>[^)#\s:]+\.md)(?P<anchor>#[^)\s]*)?\)")
FENCED_OR_CODE = re.compile(r"(^```.*?^```[ ]*$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
ROLE = re.compile(r"(\{[a-z:]+\}`[^`]+`)")
QUOTED_NUMBERS = (
    "> **In this notebook**, a name in code type in a sentence, such as `gap`, stands for a number "
    "that a cell near it prints. The built book shows the number itself."
)
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def outside_code(change: Callable[[str], str], text: str) -> str:
    """Apply a change to the prose of a Markdown text, not to its code."""
    parts = FENCED_OR_CODE.split(text)
    return "".join(part if index % 2 else change(part) for index, part in enumerate(parts))


def replace_roles(text: str, entries: Mapping[str, Entry]) -> str:
    """Replace citations and quoted numbers by what a plain notebook can show."""

    def replacement(match: re.Match[str]) -> str:
        role = GLUE.sub(lambda glue: f"`{glue['key'].strip()}`", match[1])
        return bibliography.resolve(role, entries)

    return ROLE.sub(replacement, text)


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


def caption(cell: NotebookNode) -> str:
    """Return the caption of a figure, which only the built page would show."""
    return cell.metadata.get("mystnb", {}).get("figure", {}).get("caption", "").strip()


def fold(cell: NotebookNode) -> NotebookNode:
    """Fold in Jupyter what the page folds, and with a solution its verdict too."""
    tags = cell.metadata.get("tags", [])
    if "hide-input" in tags or "hide-cell" in tags:
        cell.metadata.setdefault("jupyter", {})["source_hidden"] = True
    if "hide-cell" in tags:
        cell.metadata["jupyter"]["outputs_hidden"] = True
    return cell


def cells(notebook: NotebookNode, folder: Path, entries: Mapping[str, Entry]) -> list[NotebookNode]:
    """Return the cells as a reader of the notebook gets them."""
    result = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text = replace_links(replace_roles(cell.source, entries), folder)
            sections = filter(None, split_at_headings(text))
            result += [
                nbformat.v4.new_markdown_cell(part, metadata=cell.metadata) for part in sections
            ]
            continue
        result.append(fold(cell))
        if caption(cell):
            result.append(nbformat.v4.new_markdown_cell(f"*Figure.* {caption(cell)}"))
    if any("glue:" in cell.source for cell in notebook.cells):
        result[0].source += f"\n\n{QUOTED_NUMBERS}"
    return result


def convert(chapter: Path, entries: Mapping[str, Entry]) -> str:
    """Return the notebook of a chapter as text."""
    source = jupytext.reads(chapter.read_text(encoding="utf-8"), fmt="md:myst")
    notebook = nbformat.v4.new_notebook(
        metadata={"kernelspec": KERNEL, "language_info": {"name": "python"}},
        cells=cells(source, chapter.parent, entries),
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
