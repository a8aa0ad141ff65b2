"""The interactive figures where readers meet them: in a page, in a frame as in Colab, run twice."""

import re
from html import escape

import pytest

from companion.page.widget import names, widget
from tools.pages import ROOT, chapters

READY = "() => document.querySelectorAll('.widget[data-ready]').length"
FRAME = (
    '<!doctype html><title>Notebook</title><iframe width="700" height="900" srcdoc="{}"></iframe>'
)


@pytest.fixture
def visit(browser, tmp_path):
    """Opens a page without a network; in the end, nothing was logged or asked for."""
    complaints, requests = [], []
    context = browser.new_context(viewport={"width": 800, "height": 1000}, offline=True)
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))

    def visit(text):
        file = tmp_path / "page.html"
        file.write_text(text, encoding="utf-8")
        page.goto(file.as_uri())
        return page

    yield visit
    context.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:", "about:srcdoc"))] == []


@pytest.mark.parametrize("name", names())
def test_it_works_in_the_frame_of_a_notebook(visit, name):
    page = visit(FRAME.format(escape(f"<!doctype html>{widget(name).html}")))
    frame = page.frames[1]
    frame.wait_for_function(READY)
    assert frame.locator(".widget svg").count() > 0
    assert frame.locator("input[type=range]").count() > 0


@pytest.mark.parametrize("name", names())
def test_a_cell_that_runs_again_shows_it_again(visit, name):
    """JupyterLab keeps the page, and runs the scripts of the new output in it."""
    output = widget(name).html
    page = visit(f"<!doctype html><title>Notebook</title><main>{output}</main>")
    page.wait_for_function(READY)
    script = re.search(r"<script>(.*)</script>", output, re.DOTALL)[1]
    page.evaluate("text => { document.querySelector('main').innerHTML = text; }", output)
    assert page.evaluate(READY) == 0
    page.add_script_tag(content=script)
    page.wait_for_function(READY)
    assert page.locator(".widget svg").count() > 0


@pytest.mark.pages
@pytest.mark.parametrize("chapter", chapters(), ids=lambda path: path.stem)
def test_the_built_page_shows_it_once(html, chapter):
    text = (html / chapter.relative_to(ROOT).with_suffix(".html")).read_text(encoding="utf-8")
    assert len(re.findall(r'<div class="widget" data-widget="[a-z]+" role', text)) == 1
    assert text.count("window.CompanionWidgets = {") == 1  # and its scripts are there once
    assert "widgets/" not in text
