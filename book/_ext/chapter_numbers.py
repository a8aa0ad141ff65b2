"""Number the chapters as their file names do: 02-reparameterization.md is chapter 2.

Sphinx's own numbers would count the pages of the table of contents. Chapters are written in another
order than they are read, so there chapter 9 would be number 6 until 6 to 8 exist. The number goes
to the title and the sidebar, and figures are counted within it (Fig. 2.1). Equations and exercises
carry the same number, by hand.
"""

import re
from pathlib import PurePosixPath

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.environment.collectors.toctree import TocTreeCollector

count_figures = TocTreeCollector.assign_figure_numbers
CHAPTER = re.compile(r"(\d\d)-")


def chapter_number(docname: str) -> int | None:
    """Return the number of a chapter, and None for other pages.

    >>> chapter_number("book/vae/02-reparameterization")
    2
    """
    match = CHAPTER.match(PurePosixPath(docname).name)
    return int(match[1]) if match else None


def number_chapters(env: BuildEnvironment) -> list[str]:
    """Number the titles of the chapters, not their sections; return the pages to write again."""
    old, env.toc_secnumbers = env.toc_secnumbers, {}
    for docname in sorted(env.tocs):
        number = chapter_number(docname)
        if number is None:
            continue
        title, *sections = env.tocs[docname].findall(nodes.reference)
        title["secnumber"] = env.titles[docname]["secnumber"] = (number,)
        numbers: dict[str, tuple[int, ...]] = {entry["anchorname"]: () for entry in sections}
        env.toc_secnumbers[docname] = {**numbers, title["anchorname"]: (number,)}
    return [docname for docname, new in env.toc_secnumbers.items() if new != old.get(docname)]


def number_figures(collector: TocTreeCollector, env: BuildEnvironment) -> list[str]:
    """Number the chapters, and then the figures within them."""
    return number_chapters(env) + count_figures(collector, env)


def setup(app: Sphinx) -> dict[str, bool]:
    """Let chapters get their numbers just before Sphinx counts the figures.

    An own collector would come too late, and the one of sphinx-external-toc counts pages anew.
    """
    TocTreeCollector.assign_figure_numbers = number_figures  # type: ignore[method-assign]
    return {"parallel_read_safe": True, "parallel_write_safe": True}
