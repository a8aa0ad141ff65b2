"""The figure "elbo" in a real browser: its layout, its colors, what it says to a screen reader."""

import pytest
from elbo_figure import CORNERS, move, oracle, pixels_per_unit
from widget_pages import Figures, assert_contrast, assert_fits, layout_shift


@pytest.fixture
def open_page(browser, tmp_path):
    figures = Figures(browser, tmp_path, "elbo")
    yield figures.open
    figures.finish()


@pytest.mark.parametrize("width", [320, 390, 800])
def test_labels_never_collide_nothing_leaves_nothing_jumps(open_page, width):
    page = open_page(width=width)
    heights = set()
    for corner in CORNERS:
        move(page, *corner)
        assert_fits(page, width, corner)
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
    page.wait_for_function("document.querySelector('[data-part=frame]').width.baseVal.value < 340")
    assert pixels_per_unit(page) < before / 1.5
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_values_are_spoken_once_after_a_rest(open_page):
    page = open_page()
    assert page.locator("[role=status][aria-live=polite]").text_content() == ""
    spoken = page.evaluate("""async () => {
        const input = document.querySelector("input"), spoken = [];
        const status = document.querySelector("[role=status]");
        const note = () => spoken.push(status.textContent);
        new MutationObserver(note).observe(status, {childList: true});
        for (let i = 0; i < 20; i += 1) {
            input.stepUp();
            input.dispatchEvent(new Event("input"));
            await new Promise(done => setTimeout(done, 10));
        }
        await new Promise(done => setTimeout(done, 1000));
        return spoken;
    }""")
    values = oracle(x=2, m=1, v=1)
    names = ("elbo", "gap", "logEvidence")
    elbo, gap, evidence = (f"{values[name]:.3f}".replace("-", "−") for name in names)
    assert spoken == [f"ELBO {elbo}, gap {gap}, log p(x) {evidence} nats."]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast(open_page, theme):
    page = open_page(theme=theme)
    parts = [
        ("svg text", "fill", 4.5),
        (".widget p, .widget label, .widget output, .widget th, .widget td", "color", 4.5),
        (".widget button, .widget caption, .widget li, .widget summary", "color", 4.5),
        (".widget-prior, .widget-posterior, .widget-q, .widget-gap, .widget-q-bar", "stroke", 3),
        (".widget-q-bound, .widget-handle circle", "fill", 3),
    ]
    assert_contrast(page, theme, parts)


def test_curves_differ_without_color(open_page):
    page = open_page()
    dashes = "node => getComputedStyle(node).strokeDasharray"
    curves = (".widget-q", ".widget-prior", "[data-part=frame] .widget-posterior")
    assert len({page.locator(curve).evaluate(dashes) for curve in curves}) == 3
