"""Interactive figures as a cell's output: complete, and nothing in them asks a network."""

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from companion.page.widget import FOLDER, names, scripts, widget
from tools.pages import chapters

ROOT = Path(__file__).parents[1]
ADDRESS = re.compile(r"(?:https?:)?//[a-z0-9-]+\.[a-z]", re.IGNORECASE)


def without_comments(script):
    return re.sub(r"^ *//.*$|/\*.*?\*/", "", script, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module", params=names())
def figure(request):
    return request.param, widget(request.param)._repr_html_()


def test_there_is_one_for_each_chapter():
    shown = [
        re.findall(r'^widget\("([a-z]+)"\)$', chapter.read_text(encoding="utf-8"), re.MULTILINE)
        for chapter in chapters()
    ]
    assert all(len(calls) == 1 for calls in shown)
    assert {call for calls in shown for call in calls} <= set(names())


def test_the_markup_is_whole_and_says_what_would_stand_there(figure):
    name, html = figure
    soup = BeautifulSoup(html, "html.parser")
    assert [tag.name for tag in soup.find_all(recursive=False)] == ["style", "div", "script"]
    root = soup.div
    assert root["class"] == ["widget"]
    assert root["data-widget"] == name
    assert root["role"] == "group"
    assert root["aria-label"].startswith("Interactive figure: ")
    assert "An interactive figure stands here" in root.get_text()


def test_nothing_is_loaded(figure):
    _, html = figure
    soup = BeautifulSoup(html, "html.parser")
    assert not soup.find_all(src=True)
    assert not soup.find_all("link")
    script, style = without_comments(soup.script.string), soup.style.string
    assert not re.search(r"\bfetch\(|XMLHttpRequest|\bimport\b|importScripts|sendBeacon", script)
    assert not ADDRESS.search(re.sub(r'base64: "[^"]*"', "", script))
    assert not re.search(r"@import|url\((?!#)", style)


def test_a_script_tag_can_hold_it(figure):
    """Only the last `</script` ends the script, and a `<!--` would hide that one."""
    _, html = figure
    assert html.count("</script") == html.count("<script") == 1
    assert "<!--" not in html


def test_it_is_the_same_each_time(figure):
    name, html = figure
    assert widget(name)._repr_html_() == html


def test_the_weight_is_known(figure):
    """The numbers of a network weigh; nothing else does."""
    name, html = figure
    assert len(html) < {"attack": 702_000, "latent": 600_000}.get(name, 80_000)


def test_scripts_travel_without_comments_and_indentation():
    for name in names():
        text = (FOLDER / f"{name}.js").read_text(encoding="utf-8")
        assert "/* Interactive figure of chapter" in text
        *_, script = scripts(name)
        assert not re.search(r"^(?: |//|/\*)", script, re.MULTILINE)
        # All else is there.
        assert script.split() == without_comments(text).split()


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match=r"`name` must be one of 'attack', .* but it is 'elbow'"):
        widget("elbow")


def test_the_package_carries_the_files():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["companion"]
    files = [path.relative_to(FOLDER.parents[1]).as_posix() for path in FOLDER.iterdir()]
    assert len(files) > 10
    for file in files:
        assert any(fnmatch(file, pattern) for pattern in patterns), file
