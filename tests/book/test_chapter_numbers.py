"""Chapters carry the number of their file; figures, equations and exercises follow it."""

import re
from types import SimpleNamespace

import nbformat
import pytest
from bs4 import BeautifulSoup
from docutils import nodes

from tools.pages import ROOT, chapter_number, chapters

CHAPTERS = pytest.mark.parametrize("chapter", chapters(), ids=lambda path: path.stem)


@pytest.fixture
def extension(monkeypatch):
    """The Sphinx extension, which is no part of a package."""
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    import chapter_numbers

    return chapter_numbers


def environment(*names):
    """What Sphinx knows of pages with a title and one section each."""
    links = [("", "Title"), ("#one", "One")]
    entries = [nodes.reference("", text, anchorname=anchor) for anchor, text in links]
    tocs = {name: nodes.bullet_list("", *(link.deepcopy() for link in entries)) for name in names}
    titles = {name: nodes.title() for name in names}
    return SimpleNamespace(tocs=tocs, titles=titles, toc_secnumbers={})


def test_the_file_name_says_the_number_and_not_the_place_in_the_book(extension):
    env = environment("book/index", "book/vae/02-b", "book/games/09-gan")
    assert extension.number_chapters(env) == ["book/games/09-gan", "book/vae/02-b"]
    assert env.toc_secnumbers == {
        "book/vae/02-b": {"": (2,), "#one": ()},
        "book/games/09-gan": {"": (9,), "#one": ()},
    }
    assert env.titles["book/games/09-gan"]["secnumber"] == (9,)
    assert "secnumber" not in env.titles["book/index"]
    assert extension.number_chapters(env) == []  # nothing to write again


def built(html, chapter):
    page = html / chapter.relative_to(ROOT).with_suffix(".html")
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


@pytest.mark.pages
@CHAPTERS
def test_title_sidebar_and_figures_carry_the_number(html, chapter):
    number, soup = chapter_number(chapter), built(html, chapter)
    title = soup.select_one("article h1 .section-number")
    assert title.get_text() == f"{number}. "
    entry = soup.select_one("nav.bd-links li.current > a")
    assert entry.get_text(strip=True).startswith(f"{number}. ")
    figures = [label.get_text().strip() for label in soup.select("figure .caption-number")]
    assert figures == [f"Fig. {number}.{index}" for index in range(1, len(figures) + 1)]
    assert len(figures) > 3


@CHAPTERS
def test_the_notebook_carries_the_same_numbers(chapter):
    number = chapter_number(chapter)
    notebook = nbformat.read(chapter.with_suffix(".ipynb"), 4)
    assert notebook.cells[0].source.startswith(f"# {number}. ")
    text = "\n".join(cell.source for cell in notebook.cells)
    figures = re.findall(r"^\*(Fig\. [\d.]+)\.\* ", text, re.MULTILINE)
    assert figures == [f"Fig. {number}.{index}" for index in range(1, len(figures) + 1)]


@CHAPTERS
def test_exercises_are_consecutive_within_the_chapter(chapter):
    text = chapter.read_text(encoding="utf-8")
    found = re.findall(r"^### Exercise ([\d.]+): ", text, re.MULTILINE)
    number = chapter_number(chapter)
    assert found == [f"{number}.{index}" for index in range(1, len(found) + 1)]
    assert len(found) >= 5
