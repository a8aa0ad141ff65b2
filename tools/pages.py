"""What the book consists of: the pages of the table of contents, and which of them hold code."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent


def _files(entry: Any) -> Iterator[str]:
    """Yield the files of an entry of _toc.yml and of all entries below it."""
    if isinstance(entry, list):
        for item in entry:
            yield from _files(item)
    elif isinstance(entry, dict):
        yield from (entry[key] for key in ("root", "file") if key in entry)
        for key in ("parts", "chapters", "sections"):
            yield from _files(entry.get(key, []))


def pages(root: Path = ROOT) -> list[Path]:
    """Return the Markdown files of the table of contents, in its order."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    return [root / f"{name}.md" for name in _files(toc)]


def is_notebook(page: Path) -> bool:
    """Say whether a Markdown page declares a kernel in its front matter, so can hold code."""
    text = page.read_text(encoding="utf-8")
    if not text.startswith("---\n"):
        return False
    header = yaml.safe_load(text[4:].split("\n---", 1)[0])
    return isinstance(header, dict) and "kernelspec" in header


def chapters(root: Path = ROOT) -> list[Path]:
    """Return the pages that are notebooks."""
    return [page for page in pages(root) if is_notebook(page)]


def chapter_number(page: Path) -> int:
    """Return the number of a chapter, which its file name begins with."""
    return int(page.name[:2])
