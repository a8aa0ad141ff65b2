"""The repairs of the built pages: what they mend, and what they leave alone."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

EXTENSIONS = Path(__file__).parents[2] / "book" / "_ext"

SEARCH = '<button class="btn search-button-field" title="Search"{} data-toggle="tooltip">'
THEME = '<i class="theme-switch fa-solid fa-lg" data-mode="light"{}></i>'
ENTRY = '<div class="citation" id="id1"{}><p>Kingma (2014)</p></div>'
FOLD = "<details><summary{}>Solution</summary></details>"
DEFINITIONS = "<dl><dt>ELBO</dt><dd>a bound</dd></dl>"

BROKEN = {
    "a button says what it shows": (SEARCH.format(' aria-label="Search"'), SEARCH.format("")),
    "the theme's icon has no name": (THEME.format(' title="Light"'), THEME.format("")),
    "no list without items": (
        '<div role="list" class="citation-list">',
        '<div class="citation-list">',
    ),
    "no entry outside of a list": (ENTRY.format(' role="doc-biblioentry"'), ENTRY.format("")),
    "a fold is named by its text": (
        FOLD.format(' aria-label="Toggle hidden content"'),
        FOLD.format(""),
    ),
    "the rows of a long signature": (
        "<dl>\n<dd><em>mean</em>,</dd>\n<dd><em>log_var</em>,</dd>\n</dl>",
        '<span class="sig-row"><em>mean</em>,</span>\n<span class="sig-row"><em>log_var</em>,'
        "</span>\n",
    ),
}


@pytest.fixture
def rules(monkeypatch):
    """The extension, which is no part of a package."""
    monkeypatch.syspath_prepend(str(EXTENSIONS))
    import house_rules

    return house_rules


def built(folder, *, kind="html"):
    return SimpleNamespace(outdir=folder, builder=SimpleNamespace(format=kind))


def page(folder, body):
    path = folder / "book" / "vae" / "page.html"
    path.parent.mkdir(parents=True)
    path.write_text(f"<body>{body} – {DEFINITIONS}</body>", encoding="utf-8")
    return path


@pytest.mark.parametrize("name", BROKEN)
def test_each_fault_is_repaired_and_nothing_else(rules, tmp_path, name):
    fault, repair = BROKEN[name]
    path = page(tmp_path, f"{fault} and again {fault}")
    rules.repair_pages(built(tmp_path), None)
    expected = f"<body>{repair} and again {repair} – {DEFINITIONS}</body>"
    assert path.read_text(encoding="utf-8") == expected
    rules.repair_pages(built(tmp_path), None)  # a second build of the same page
    assert path.read_text(encoding="utf-8") == expected


@pytest.mark.parametrize("name", BROKEN)
def test_a_repaired_page_is_not_written_again(rules, tmp_path, name):
    path = page(tmp_path, BROKEN[name][1])
    os.utime(path, (0, 0))
    rules.repair_pages(built(tmp_path), None)
    assert path.stat().st_mtime == 0


@pytest.mark.parametrize(("kind", "exception"), [("html", ValueError("failed")), ("latex", None)])
def test_a_failed_build_and_other_formats_are_left_alone(rules, tmp_path, kind, exception):
    fault = "".join(fault for fault, _ in BROKEN.values())
    path = page(tmp_path, fault)
    rules.repair_pages(built(tmp_path, kind=kind), exception)
    assert fault in path.read_text(encoding="utf-8")


def test_the_repair_runs_when_the_build_ends(rules):
    connected = {}
    app = SimpleNamespace(
        events=SimpleNamespace(listeners={}),
        registry=SimpleNamespace(css_files=[]),
        connect=lambda event, function, **_: connected.setdefault(event, function),
    )
    rules.setup(app)
    assert connected["build-finished"] is rules.repair_pages
