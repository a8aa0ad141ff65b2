"""The figure "gan" in a real browser: its layout, its colors, its print."""

import pytest
from widget_pages import Figures, assert_accessible, assert_contrast, layout_shift

from companion.page._style import PAIRS


@pytest.fixture
def open_page(browser, tmp_path):
    figures = Figures(browser, tmp_path, "gan")
    yield figures.open
    figures.finish()


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


@pytest.mark.parametrize("width", [320, 390, 800, 1400])
def test_nothing_leaves_and_nothing_jumps(open_page, width):
    page = open_page(width=width)
    heights = set()
    for act in (
        lambda: press(page, "Collapse"),
        lambda: page.get_by_label("Data", exact=True).select_option("Grid of 25"),
        lambda: page.get_by_label("Loss", exact=True).select_option("wasserstein"),
        lambda: press(page, "One step"),
    ):
        act()
        heights.add(page.locator(".widget").evaluate("node => node.offsetHeight"))
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        script = """plot => [...plot.querySelectorAll("text")].map(text => {
            const a = text.getBoundingClientRect(), b = plot.getBoundingClientRect();
            return Math.min(a.left - b.left, a.top - b.top, b.right - a.right, b.bottom - a.bottom);
        })"""
        for plot in page.locator("svg.widget-plot").all():
            assert min(plot.evaluate(script)) >= -0.5
    assert len(heights) == 1
    inside = """node => [...node.querySelectorAll("*")].every(part =>
        part.scrollWidth <= part.clientWidth + 1 || part.clientWidth === 0)"""
    assert page.locator(".gan-controls").evaluate(inside)


def test_on_a_phone_the_controls_follow_the_plane_and_the_charts_come_last(open_page):
    page = open_page(width=390)
    tops = [
        page.locator(part).bounding_box()["y"]
        for part in (".gan-plane", ".gan-buttons", ".gan-controls", ".gan-facts", ".gan-charts")
    ]
    assert tops == sorted(tops)
    assert page.locator(".widget").bounding_box()["height"] < 1700


@pytest.mark.parametrize("width", [390, 800])
def test_filling_the_figure_shifts_nothing(open_page, width):
    page = open_page(width=width)
    assert layout_shift(page) < 0.02
    # The place that is kept free has nearly the height of the figure.
    kept, height = page.locator(".widget").evaluate("""node => {
        const height = node.offsetHeight;
        delete node.dataset.ready;
        return [parseFloat(getComputedStyle(node).minHeight), height];
    }""")
    assert abs(kept - height) < 64


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 800])
def test_axe_finds_nothing(open_page, axe, theme, width):
    page = open_page(theme=theme, width=width)
    press(page, "One step")
    page.evaluate("document.querySelectorAll('details').forEach(node => (node.open = true))")
    assert_accessible(page, axe)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast(open_page, theme):
    page = open_page(theme=theme)
    parts = [
        ("svg .widget-tick", "fill", 4.5),
        (".widget p, .widget label, .widget output, .widget th, .widget td", "color", 4.5),
        (".widget button, .widget li, .widget summary, .widget select", "color", 4.5),
        (".gan-first, .gan-second", "stroke", 3),
    ]
    assert_contrast(page, theme, parts)


COLORS = """node => {
    const {width, height} = node;
    const copy = Object.assign(document.createElement("canvas"), {width, height});
    const context = copy.getContext("2d", {willReadFrequently: true});
    context.drawImage(node, 0, 0);
    const data = context.getImageData(0, 0, width, height).data;
    const seen = new Set();
    for (let i = 0; i < data.length; i += 4) {
        if (data[i + 3] === 255) seen.add([data[i], data[i + 1], data[i + 2]].join());
    }
    return [...seen];
}"""


def canvas_colors(page) -> list[str]:
    return page.locator(".gan-plane canvas").evaluate(COLORS)


def channels(color: str) -> str:
    return ",".join(str(int(color[i : i + 2], 16)) for i in (1, 3, 5))


def test_the_plane_follows_the_theme_and_prints_light(open_page):
    page = open_page(theme="dark")
    light, dark = (channels(color) for color in PAIRS["gap"])
    assert dark in canvas_colors(page)
    page.emulate_media(media="print")
    page.wait_for_timeout(100)
    assert page.get_by_role("button", name="Start").count() == 0
    assert page.locator(".gan-plane canvas").is_visible()
    assert light in canvas_colors(page)
    assert dark not in canvas_colors(page)
    for role, name in (("q", "elbo"), ("gap", "gap")):
        found = page.locator(".widget").evaluate(
            "(node, role) => CompanionWidgets.color(node, role)", role
        )
        assert found == PAIRS[name][0]
    page.emulate_media(media="screen")
    page.evaluate("document.documentElement.dataset.theme = 'light'")
    page.wait_for_timeout(100)
    assert light in canvas_colors(page)
