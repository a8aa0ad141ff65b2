"""Each check of the built pages fails on a small broken page, and passes the repaired one."""

from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup

from tools import check_book


def soup(html: str) -> BeautifulSoup:
    """Parse a piece of a page."""
    return BeautifulSoup(html, "html.parser")


REMOTE = [
    '<script src="https://cdn.example/x.js"></script>',
    '<script src="//cdn.example/x.js"></script>',
    '<link rel="stylesheet" href="http://cdn.example/x.css">',
    '<link rel="preconnect" href="https://fonts.example">',
    '<img src="https://cdn.example/x.png" alt="x">',
    '<iframe src="https://cdn.example/"></iframe>',
    "<style>@font-face { src: url('https://cdn.example/x.woff2'); }</style>",
    '<style>@import "https://cdn.example/x.css";</style>',
    '<p style="background: url(//cdn.example/x.png)"></p>',
]

LOCAL = [
    '<script src="../_static/x.js"></script>',
    '<a href="https://example.org/">a link loads nothing</a>',
    '<link rel="canonical" href="https://example.org/page.html">',
    '<img src="data:image/png;base64,AAAA" alt="x">',
    "<style>a { background: url(x.png) }</style>",
]


@pytest.mark.parametrize("html", REMOTE)
def test_remote_resource_is_found(html):
    """Nothing may be loaded from another place."""
    assert len(list(check_book.remote_resources(soup(html)))) == 1


@pytest.mark.parametrize("html", LOCAL)
def test_local_resource_is_fine(html):
    """Links and local files are no fault."""
    assert list(check_book.remote_resources(soup(html))) == []


@pytest.mark.parametrize(
    ("check", "broken", "whole"),
    [
        (check_book.image_faults, '<img src="a.svg">', '<img src="a.svg" alt="A line.">'),
        (check_book.image_faults, '<img src="a.svg" alt=" ">', '<img aria-hidden="true">'),
        (check_book.unresolved_roles, "<p>{cite:t}`k`</p>", "<pre>{cite:t}`k`</pre>"),
        (check_book.unresolved_roles, "<p>{glue:text}`k`</p>", "<p>0.25</p>"),
        (
            check_book.noise,
            '<div class="cell_output">Traceback (most recent call last): x</div>',
            "<p>Traceback (most recent call last) is what Python prints.</p>",
        ),
        (
            check_book.noise,
            '<div class="cell_output"><div class="stderr">UserWarning: x</div></div>',
            '<div class="cell_output"><div class="stderr">100%</div></div>',
        ),
        (check_book.citation_faults, '<span id="citation">[?]</span>', "<p>Why?</p>"),
    ],
)
def test_page_check(check, broken, whole):
    """A broken page is caught, a whole one is not."""
    assert len(list(check(soup(broken)))) == 1
    assert list(check(soup(whole))) == []


@pytest.mark.parametrize(
    ("href", "faults"),
    [
        ("b.html", 0),
        ("b.html#here", 0),
        ("#top", 0),
        ("https://example.org/#x", 0),
        ("mailto:a@example.org", 0),
        ("c.html", 1),
        ("b.html#there", 1),
        ("#bottom", 1),
    ],
)
def test_links(tmp_path: Path, href, faults):
    """A link leads to a page and an anchor that exist."""
    sources = {"a": f'<h1 id="top">A</h1><a href="{href}">x</a>', "b": '<h2 id="here">B</h2>'}
    places = {}
    for name, html in sources.items():
        page = (tmp_path / f"{name}.html").resolve()
        page.write_text(html)
        places[page] = check_book.anchors(soup(html))
    page = (tmp_path / "a.html").resolve()
    assert len(list(check_book.link_faults(page, soup(sources["a"]), places))) == faults


def test_missing_page_is_found(tmp_path: Path):
    """Each page of the table of contents must have been built."""
    (tmp_path / "a.html").touch()
    names = [Path("a.html"), Path("b.html")]
    assert list(check_book.missing_pages(names, tmp_path)) == ["b.html: the page is missing"]


def executed_cell(status: str | None = None, *, count: int | None = 1, **metadata):
    """A code cell with a verdict among its outputs."""
    outputs = []
    if status is not None:
        data = {"text/html": f'<div data-status="{status}"></div>'}
        outputs.append(nbformat.v4.new_output("display_data", data=data))
    return nbformat.v4.new_code_cell(
        "check()", outputs=outputs, execution_count=count, metadata=metadata
    )


def notebook(*cells):
    """A notebook of these cells."""
    return nbformat.v4.new_notebook(cells=list(cells))


@pytest.mark.parametrize(("status", "faults"), [("correct", 0), ("not yet", 1), (None, 1)])
def test_solution_must_be_correct(status, faults):
    """A solution that fails its own check, or has none, is a fault."""
    found = check_book.solution_faults(notebook(executed_cell(status, tags=["solution"])))
    assert len(list(found)) == faults


def test_stub_need_not_be_correct():
    """Only solutions must pass."""
    assert list(check_book.solution_faults(notebook(executed_cell("not attempted")))) == []


def test_unexecuted_and_failed_cells_are_found():
    """Every code cell has run, and none raised."""
    failed = executed_cell()
    failed.outputs = [nbformat.v4.new_output("error", ename="E", evalue="", traceback=[])]
    assert list(check_book.execution_faults(notebook(executed_cell()))) == []
    assert "not executed" in next(check_book.execution_faults(notebook(executed_cell(count=None))))
    assert "an error" in next(check_book.execution_faults(notebook(failed)))
    assert list(check_book.chapter_faults(None, soup(""))) == ["it was not executed"]


def test_output_missing_in_the_page_is_found():
    """What a cell has shown must be in the page, unless the author hides it."""
    shown = soup('<div class="cell"><div class="cell_output">x</div></div>')
    number = nbformat.v4.new_output("display_data", {check_book.GLUE + "text/plain": "0.25"})
    quoted = nbformat.v4.new_code_cell("report(gap=0.25)", outputs=[number], execution_count=1)
    cells = notebook(
        executed_cell("correct"), executed_cell("correct", tags=["remove-cell"]), quoted
    )
    assert list(check_book.lost_outputs(cells, shown)) == []
    assert len(list(check_book.lost_outputs(cells, soup("<p></p>")))) == 1
