"""The figure "latent" in a real browser: its layout, its colors, what a screen reader hears."""

import itertools

import numpy as np
import pytest
from latent_figure import LIMIT, codes, log_prior, nearest, pixels, unit
from widget_pages import Figures, assert_accessible, assert_contrast, layout_shift, styles

from companion.page._style import CLASS_PAIRS


def to_rgb255(color):
    return tuple(int(color[i : i + 2], 16) for i in (1, 3, 5))


CORNERS = [*itertools.product((-LIMIT, LIMIT), repeat=2), (0, 0), (-1.23, -2.34)]


@pytest.fixture
def open_page(browser, tmp_path):
    figures = Figures(browser, tmp_path, "latent")
    yield figures.open
    figures.finish()


def move(page, z):
    for name, value in zip(("z₁", "z₂"), z, strict=True):
        page.get_by_role("slider", name=name, exact=True).evaluate(
            """(input, value) => {
                input.value = value;
                input.dispatchEvent(new Event("input", {bubbles: true}));
            }""",
            value,
        )


@pytest.mark.parametrize("width", [320, 390, 800])
def test_nothing_leaves_and_nothing_jumps(open_page, width):
    page = open_page(width=width)
    heights = set()
    for z in CORNERS:
        move(page, z)
        heights.add(page.locator(".widget").evaluate("node => node.offsetHeight"))
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert len(heights) == 1
    script = """plot => [...plot.querySelectorAll("text")].map(text => {
        const a = text.getBoundingClientRect(), b = plot.getBoundingClientRect();
        return [a.left - b.left, a.top - b.top, b.right - a.right, b.bottom - a.bottom];
    })"""
    assert np.min(page.locator("svg.latent-plane").evaluate(script)) >= 0


@pytest.mark.parametrize("width", [320, 390, 800, 1000])
def test_the_plane_is_square_and_the_pixels_are_whole(open_page, width):
    page = open_page(width=width)
    field = page.locator("[data-part=field]").bounding_box()
    assert field["width"] == pytest.approx(field["height"])
    assert field["width"] > 200
    inside = page.locator("canvas").evaluate("node => [node.clientWidth, node.clientHeight]")
    assert inside[0] == inside[1]
    assert inside[0] % 28 == 0


def test_the_codes_stand_where_they_belong(open_page):
    page = open_page()
    script = """nodes => nodes.map(node => {
        const box = node.getBoundingClientRect();
        return [box.x + box.width / 2, box.y + box.height / 2, Number(node.textContent)];
    })"""
    found = np.array(page.locator(".latent-code").evaluate_all(script))
    points, labels = codes()
    wanted = np.array([pixels(page, z) for z in points])
    assert (found[:, 2] == labels).all()
    assert np.abs(found[:, :2] - wanted).max() < 2


@pytest.mark.parametrize(("width", "visible"), [(390, 844), (800, 700)])
def test_the_digit_can_be_seen_while_dragging(open_page, width, visible):
    page = open_page(width=width)
    top = page.locator("svg.latent-plane").bounding_box()["y"]
    image = page.locator("canvas").bounding_box()
    assert image["y"] + image["height"] - top < visible


@pytest.mark.parametrize("width", [390, 800])
def test_filling_the_figure_shifts_nothing(open_page, width):
    page = open_page(width=width)
    assert layout_shift(page) < 0.02


def test_a_narrow_window_redraws(open_page):
    page = open_page(width=800)
    before = unit(page)
    page.set_viewport_size({"width": 390, "height": 1300})
    page.wait_for_function("document.querySelector('[data-part=field]').width.baseVal.value < 320")
    assert unit(page) < before / 1.3
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
    away, label = nearest([1, 0])
    near = f"nearest code {'an' if label == 8 else 'a'} {label}, {away:.2f} away"
    density = f"{log_prior([1, 0]):.2f}".replace("-", "−")
    assert spoken == [f"z = (1.00, 0.00), log p(z) = {density} nats, {near}."]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 800])
def test_axe_finds_nothing(open_page, axe, theme, width):
    page = open_page(theme=theme, width=width)
    page.evaluate("document.querySelector('details').open = true")
    assert_accessible(page, axe)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast(open_page, theme):
    page = open_page(theme=theme)
    parts = [
        ("svg .widget-tick", "fill", 4.5),
        (".widget p, .widget label, .widget output, .widget th, .widget td", "color", 4.5),
        (".widget button, .widget li, .widget summary, .latent-legend-title", "color", 4.5),
        (".latent-code", "fill", 4.5),
        (".latent-legend button", "borderBottomColor", 3),
        (".latent-ring, .latent-knob, .latent-cross", "stroke", 3),
    ]
    assert_contrast(page, theme, parts)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_classes_have_the_colors_of_all_figures(open_page, theme):
    found = dict(
        zip(codes()[1], styles(open_page(theme=theme), ".latent-code", "fill"), strict=True)
    )
    for digit, pair in enumerate(CLASS_PAIRS):
        assert found[digit] == "rgb" + str(to_rgb255(pair[theme == "dark"]))
