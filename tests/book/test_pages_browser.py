"""Every built page in a real browser: offline, quiet, accessible, readable on a phone.

To open a chapter and set its formulas takes long. So each page is opened once, in one process. Its
tests change the theme and the width, as a reader may who stays on the page.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.pages import ROOT, pages

pytestmark = pytest.mark.pages

NAMES = [str(page.relative_to(ROOT).with_suffix(".html")) for page in pages()]
THEMES = ("light", "dark")
PHONE = {"width": 390, "height": 844}
SMALL_PHONE = {"width": 320, "height": 640}
DESKTOP = {"width": 1280, "height": 900}
SEVERE = {"serious", "critical"}
SETTLED = "() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))"


class Visit:
    """One opened page, what it asked the network for and what it complained about."""

    def __init__(self, browser, address: str):
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.context = browser.new_context(viewport=DESKTOP, reduced_motion="reduce")
        light = "for (const key of ['mode', 'theme']) localStorage.setItem(key, 'light')"
        self.context.add_init_script(light)
        self.context.route("**/*", self._allow_files_only)
        self.page = self.context.new_page()
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(address, wait_until="load")
        self.page.evaluate("() => window.MathJax?.startup?.promise")

    def _allow_files_only(self, route) -> None:
        if route.request.url.startswith(("file:", "data:", "blob:")):
            route.continue_()
        else:
            self.requests.append(route.request.url)
            route.abort()

    def _note(self, message) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def choose(self, theme: str) -> None:
        """Press the page's button for the theme until it is there."""
        for _ in range(3):
            if self.page.evaluate("document.documentElement.dataset.mode") == theme:
                break
            self.page.locator(".theme-switch-button").first.evaluate("button => button.click()")
        assert self.page.evaluate("document.documentElement.dataset.theme") == theme
        self.page.evaluate(SETTLED)

    def resize(self, viewport: dict) -> None:
        """Look at the page in a window of another size."""
        if self.page.viewport_size != viewport:
            self.page.set_viewport_size(viewport)
            self.page.evaluate(SETTLED)

    def unfold(self) -> None:
        """Open what is folded away at first."""
        script = "document.querySelectorAll('details').forEach(d => d.setAttribute('open', ''))"
        self.page.evaluate(script)


@pytest.fixture(scope="module", params=NAMES)
def visit(request, browser, html: Path) -> Iterator[Visit]:
    """Each page of the table of contents in turn, opened once for all its tests."""
    opened = Visit(browser, (html / request.param).as_uri())
    yield opened
    opened.context.close()


def assert_offline_and_quiet(opened: Visit) -> None:
    """No request to a network, no error in the console, every formula set."""
    assert opened.requests == []
    assert opened.errors == []
    formulas = opened.page.locator(".math").count()
    assert opened.page.locator(".math mjx-container").count() >= formulas
    assert opened.page.locator("mjx-merror, [data-mjx-error]").all_inner_texts() == []


def test_page_is_offline_and_quiet(visit):
    """A page asks no network for anything, reports no error and shows its formulas."""
    for theme in THEMES:
        visit.choose(theme)
        assert_offline_and_quiet(visit)


@pytest.mark.parametrize("other", ["search.html", "genindex.html"])
def test_other_page_is_offline_and_quiet(browser, html, other):
    """So do the pages that Sphinx adds."""
    opened = Visit(browser, (html / other).as_uri())
    assert_offline_and_quiet(opened)
    opened.context.close()


def test_mathjax_renders_the_chapter(browser, html):
    """The check above is not empty: a chapter has formulas, set in MathJax's own font."""
    opened = Visit(browser, (html / "book/vae/01-elbo.html").as_uri())
    page = opened.page
    assert page.locator("mjx-container").count() > 20
    assert page.evaluate(
        "[...document.fonts].some(f => f.family.startsWith('MJX') && f.status === 'loaded')"
    )
    assert page.locator("mjx-mlabeledtr").count() > 3
    opened.context.close()


def test_the_network_would_be_noticed(browser, tmp_path):
    """A page that loads a remote script is caught: the test above can fail."""
    page = tmp_path / "page.html"
    page.write_text('<script src="https://example.invalid/x.js"></script>')
    opened = Visit(browser, page.as_uri())
    opened.context.close()
    assert opened.requests == ["https://example.invalid/x.js"]
    assert opened.errors


# Which rules axe-core tries. The dark theme changes colors, and nothing that other rules look at.
RULES = {"light": {}, "dark": {"runOnly": ["color-contrast", "link-in-text-block"]}}


@pytest.mark.parametrize("theme", THEMES)
def test_page_is_accessible(visit, axe, theme):
    """axe-core finds nothing serious, also inside what is folded away at first."""
    visit.resize(DESKTOP)
    visit.choose(theme)
    visit.unfold()
    visit.page.evaluate(axe)
    script = "rules => axe.run(rules).then(result => result.violations)"
    severe = [
        {"rule": item["id"], "where": [node["html"][:200] for node in item["nodes"][:3]]}
        for item in visit.page.evaluate(script, RULES[theme])
        if item["impact"] in SEVERE
    ]
    assert severe == [], json.dumps(severe, indent=1)


@pytest.mark.parametrize("theme", THEMES)
def test_axe_would_notice(browser, axe, tmp_path, theme):
    """axe-core reports pale text, and an image without alternative: the test above can fail."""
    page = tmp_path / "page.html"
    text = "<main><img src=x.png><p style='color: #ccc; background: #fff'>Pale</p></main>"
    page.write_text(f"<html lang=en><title>t</title>{text}</html>")
    opened = Visit(browser, page.as_uri())
    opened.page.evaluate(axe)
    script = "rules => axe.run(rules).then(result => result.violations.map(v => v.id))"
    found = opened.page.evaluate(script, RULES[theme])
    opened.context.close()
    assert "color-contrast" in found
    assert ("image-alt" in found) == (theme == "light")


@pytest.mark.parametrize("theme", THEMES)
def test_figures_stay_transparent(visit, theme):
    """No white sheet behind a figure, in the dark theme either."""
    visit.choose(theme)
    script = "all => all.map(e => getComputedStyle(e).backgroundColor)"
    grounds = visit.page.eval_on_selector_all(".cell_output img", script)
    assert set(grounds) <= {"rgba(0, 0, 0, 0)"}


@pytest.fixture
def phone(visit) -> Visit:
    """The page on a phone, with all that was folded away."""
    visit.unfold()
    visit.resize(PHONE)
    return visit


def test_page_fits_a_phone(phone):
    """Nothing makes the page wider than the screen; wide things scroll in their own box."""
    for theme in THEMES:
        phone.choose(theme)
        for screen in (PHONE, SMALL_PHONE):
            phone.resize(screen)
            width = phone.page.evaluate("document.documentElement.scrollWidth")
            assert width <= screen["width"]
    phone.resize(PHONE)


def test_formulas_in_the_text_fit_a_phone(phone):
    """A formula in a sentence can't scroll, and what leaves its paragraph may not be seen."""
    script = """all => all.filter(formula => {
        const box = formula.closest("p, li, td, th, dd, summary, figcaption, h1, h2, h3, div");
        return formula.getBoundingClientRect().right > box.getBoundingClientRect().right + 2;
    }).map(formula => formula.textContent)"""
    assert phone.page.eval_on_selector_all("article mjx-container:not([display])", script) == []


def test_figures_can_be_read_on_a_phone(phone):
    """Their smallest print is 9 px high or more: 10 pt are 13.3 px where the figure is not shrunk.

    Panels stack and fit, and so does a grid of digits; a single plot may scroll.
    """
    script = """all => all.filter(e => e.clientWidth > 0).map(e => ({
        grid: e.classList.contains("image-grid"),
        panel: e.parentElement.classList.contains("figure-panels"),
        scale: e.clientHeight / parseFloat(e.style.aspectRatio.split("/")[1]),
        left: e.getBoundingClientRect().left, width: e.clientWidth,
        box: e.closest("figure").clientWidth,
    }))"""
    figures = phone.page.eval_on_selector_all("article figure img", script)
    for figure in figures:
        if figure["grid"] or figure["panel"]:
            assert figure["width"] <= figure["box"]
        if not figure["grid"]:
            assert 13.3 * figure["scale"] >= 9
        assert figure["left"] == figures[0]["left"] or figure["width"] < figure["box"]


def test_a_formula_that_goes_on_shows_it(phone):
    """What scrolls sideways has a shade at its edges."""
    script = """all => all.filter(box => box.scrollWidth > box.clientWidth + 1).map(
        box => getComputedStyle(box).backgroundImage)"""
    for shade in phone.page.eval_on_selector_all("article div.math", script):
        assert shade.count("linear-gradient") == 4


def test_keyboard_reaches_what_scrolls(phone):
    """Each box that is wider inside than outside can be focused and then scrolled by keys."""
    script = """all => all.filter(box => box.scrollWidth > box.clientWidth + 1
        && getComputedStyle(box).overflowX === "auto" && box.tabIndex < 0
    ).map(box => box.outerHTML.slice(0, 120))"""
    assert phone.page.eval_on_selector_all("article *", script) == []
