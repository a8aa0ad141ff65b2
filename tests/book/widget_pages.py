"""Interactive figures alone on a page, for the tests that try them in a browser."""

import itertools
import re
from pathlib import Path

from companion.page.widget import widget

PAGE = """<!doctype html><html lang="en" data-theme="{theme}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Figure</title>
</head><body>
{figure}
<p>After.</p></body></html>"""


class Figures:
    """Opens a figure; in the end, nothing was logged and nothing but files was asked for."""

    def __init__(self, browser, folder: Path, name: str, without: str = ""):
        self.browser, self.folder = browser, folder
        self.html = widget(name).html.replace(without, "")
        self.contexts, self.complaints, self.requests = [], [], []

    def open(self, *, width=800, theme="light", motion="reduce", **options):
        """A page of this width; no motion unless it is asked for."""
        viewport = {"width": width, "height": 1300}
        context = self.browser.new_context(viewport=viewport, reduced_motion=motion, **options)
        self.contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(self.write(theme).as_uri())
        page.wait_for_function("document.querySelector('[data-label]:last-child')?.textContent")
        return page

    def write(self, theme: str) -> Path:
        file = self.folder / f"{theme}.html"
        text = PAGE.format(theme=theme, figure=self.html)
        file.write_text(text, encoding="utf-8")
        return file

    def finish(self) -> None:
        for context in self.contexts:
            context.close()
        assert self.complaints == []
        assert [url for url in self.requests if not url.startswith("file://")] == []


LABELS = """plots => plots.map(plot => ({width: plot.clientWidth,
    labels: [...plot.querySelectorAll("[data-label]")].map(label => {
        const {x, y, width, height} = label.getBBox();
        return {name: label.dataset.label, x, y, right: x + width, bottom: y + height};
    })}))"""


def assert_fits(page, width: int, where: object) -> None:
    """No label of a plot leaves it or touches another one; the page needs no sideways scrolling."""
    for plot in page.locator("svg[role=img]").evaluate_all(LABELS):
        for a in plot["labels"]:
            assert a["x"] >= 0, (where, a)
            assert a["right"] <= plot["width"] + 1, (where, a)
        for a, b in itertools.combinations(plot["labels"], 2):
            apart = a["right"] <= b["x"] or b["right"] <= a["x"]
            assert apart or a["bottom"] <= b["y"] or b["bottom"] <= a["y"], (where, a, b)
    assert page.evaluate("document.documentElement.scrollWidth") <= width, where


def assert_accessible(page, axe: str) -> None:
    """axe-core, in the colors of the theme, has nothing to report."""
    page.evaluate("""document.body.style.background = CompanionWidgets.color(
        document.querySelector(".widget"), "paper")""")
    page.evaluate(axe)
    # Without "preload" axe would ask for the style sheet once more, and log that it may not.
    run = """async () => (await axe.run(".widget", {preload: false})).violations.map(
        ({id, nodes}) => [id, ...nodes.map(node => node.html)])"""
    assert page.evaluate(run) == []


def number(text: str) -> float:
    """Read a number that has a true minus sign."""
    return float(text.replace("−", "-"))


def luminance(color: str) -> float:
    channels = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def layout_shift(page) -> float:
    """How far the page has jumped since it was opened, as the browser counts it."""
    return page.evaluate("""async () => {
        let total = 0;
        const add = list => { for (const entry of list.getEntries()) total += entry.value; };
        new PerformanceObserver(add).observe({type: "layout-shift", buffered: true});
        await new Promise(done => setTimeout(done, 100));
        return total;
    }""")


def styles(page, selector: str, name: str) -> list[str]:
    """One property of every element that the selector finds."""
    script = "(nodes, name) => nodes.map(node => getComputedStyle(node)[name])"
    return page.locator(selector).evaluate_all(script, name)


def assert_contrast(page, theme: str, parts: list[tuple[str, str, float]]) -> None:
    """The paper is that of the theme; each part (selector, property, least) stands out from it."""
    paper = page.evaluate("""() => {
        const node = document.querySelector(".widget");
        node.style.background = CompanionWidgets.color(node, "paper");
        return getComputedStyle(node).backgroundColor;
    }""")
    assert (luminance(paper) < 0.1) == (theme == "dark")
    for selector, name, least in parts:
        found = styles(page, selector, name)
        assert len(found) > 1
        for color in set(found):
            assert contrast(color, paper) >= least, (selector, color, paper)
