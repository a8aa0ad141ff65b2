"""The figure "reparameterization" in a real browser: its layout, its colors, what it says aloud."""

import itertools

import pytest
from reparameterization_figure import (
    INTEGRANDS,
    START,
    choose,
    draw,
    expected,
    move,
    noise,
    pixels_per_unit,
)
from widget_pages import Figures, assert_accessible, assert_contrast, assert_fits, layout_shift

CORNERS = [
    {"eps": eps, "m": m, "log_v": log_v}
    for eps, m, log_v in itertools.product((-2.5, 0.3, 2.5), (-2, 3), (-3, 0))
]


@pytest.fixture
def open_page(browser, tmp_path):
    figures = Figures(browser, tmp_path, "reparameterization")
    yield figures.open
    figures.finish()


@pytest.mark.parametrize("width", [320, 390, 800])
def test_labels_never_collide_nothing_leaves_nothing_jumps(open_page, width):
    page = open_page(width=width)
    heights = set()
    for n, f in zip((0, 1, 100, 100), INTEGRANDS, strict=True):
        choose(page, f)
        if n:
            draw(page, n)
        for corner in CORNERS:
            move(page, **corner)
            assert_fits(page, width, (f, corner))
            heights.add(page.locator(".widget").evaluate("node => node.offsetHeight"))
    assert len(heights) == 1


@pytest.mark.parametrize("width", [390, 800])
def test_filling_the_figure_shifts_nothing(open_page, width):
    page = open_page(width=width)
    assert layout_shift(page) < 0.02


def test_a_narrow_window_redraws(open_page):
    page = open_page(width=800)
    before = pixels_per_unit(page)
    page.set_viewport_size({"width": 390, "height": 1300})
    page.wait_for_function("document.querySelector('[data-part=f]').width.baseVal.value < 340")
    assert pixels_per_unit(page) < before / 1.5
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_drawing_agrees_with_the_numbers(open_page):
    """The dot lies on f above z, the arrow has the slope of f, and the averages end at theirs."""
    page = open_page()
    move(page, eps=-1, m=0.5, log_v=-0.5)
    draw(page, 100)
    geometry = page.evaluate("""() => {
        const part = name => document.querySelector(`[data-part=${name}]`);
        const ends = path => [path.getPointAtLength(0), path.getPointAtLength(1e9)]
            .map(({x, y}) => [x, y]);
        const ticks = [...document.querySelectorAll("[data-part=grid]")].map(grid =>
            [...grid.querySelectorAll("text")].map(text =>
                [Number(text.textContent.replace("−", "-")), Number(text.getAttribute("y")) - 4]));
        return {dot: [part("dot").cx.baseVal.value, part("dot").cy.baseVal.value], ticks,
                tangent: ends(part("tangent")), pathwise: ends(part("pathwise"))[1],
                score: ends(part("score"))[1], frame: part("frame").width.baseVal.value};
    }""")
    table = expected("square", 0.5, -0.5, noise(100)[99], 100)
    slope = table["pathwise.sample"]
    z = 1 + slope / 2
    f_ticks, average_ticks = geometry["ticks"]

    def height(ticks, value):
        (low, at_low), (high, at_high) = ticks[0], ticks[1]
        return at_low + (value - low) * (at_high - at_low) / (high - low)

    unit = pixels_per_unit(page)
    assert geometry["dot"] == pytest.approx([34 + (z + 4.5) * unit, height(f_ticks, (z - 1) ** 2)])
    (x0, y0), (x1, y1) = geometry["tangent"]
    tall = height(f_ticks, 1) - height(f_ticks, 0)
    assert (y1 - y0) / (x1 - x0) == pytest.approx(slope * tall / unit, rel=0.01)
    for way in ("pathwise", "score"):
        x, y = geometry[way]
        assert x == pytest.approx(34 + geometry["frame"] * 2 / 3, abs=0.02)
        assert y == pytest.approx(height(average_ticks, table[f"{way}.average"]), abs=0.02)


def test_the_values_are_spoken_once_after_a_rest(open_page):
    page = open_page()
    assert page.locator("[role=status][aria-live=polite]").text_content() == ""
    spoken = page.evaluate("""async () => {
        const button = document.querySelector("button"), spoken = [];
        const status = document.querySelector("[role=status]");
        const note = () => spoken.push(status.textContent);
        new MutationObserver(note).observe(status, {childList: true});
        for (let i = 0; i < 20; i += 1) {
            button.click();
            await new Promise(done => setTimeout(done, 10));
        }
        await new Promise(done => setTimeout(done, 1000));
        return spoken;
    }""")
    table = expected(START["f"], START["m"], START["log_v"], 0, 20)
    pathwise, score, exact = (
        f"{table[name]:.3f}".replace("-", "−")
        for name in ("pathwise.average", "score.average", "score.gradient")
    )
    assert spoken == [f"Average of 20: pathwise {pathwise}, score function {score}, exact {exact}."]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast(open_page, theme):
    page = open_page(theme=theme)
    draw(page, 100, times=10)
    parts = [
        ("svg text", "fill", 4.5),
        (".widget p, .widget label, .widget output, .widget th, .widget td", "color", 4.5),
        (".widget button, .widget select, .widget caption, .widget li", "color", 4.5),
        (".widget thead span, .widget .widget-note, .widget summary", "color", 4.5),
        (
            ".widget-score, .widget-pathwise, .widget-posterior, .widget-q, .widget-q-bar",
            "stroke",
            3,
        ),
        (".widget-text-line, .widget-guide", "stroke", 3),
        (".widget-sample, .widget-handle circle, .widget-handle path", "fill", 3),
    ]
    assert_contrast(page, theme, parts)


def test_curves_differ_without_color(open_page):
    page = open_page()
    dashes = "node => getComputedStyle(node).strokeDasharray"
    curves = ("pathwise", "score", "exact")
    found = {page.locator(f"path[data-part={curve}]").evaluate(dashes) for curve in curves}
    assert len(found) == 3


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(open_page, axe, theme):
    assert_accessible(open_page(theme=theme), axe)
