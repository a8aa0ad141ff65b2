"""The figure "mixture" in a real browser: its layout, its colors, what it says aloud."""

import pytest
from mixture_figure import (
    choose,
    codes_of,
    frame,
    knob,
    log_likelihood,
    place,
    press,
    standard,
    start,
)
from widget_pages import (
    Figures,
    assert_accessible,
    assert_contrast,
    assert_fits,
    contrast,
    layout_shift,
)


@pytest.fixture
def open_page(browser, tmp_path):
    figures = Figures(browser, tmp_path, "mixture")
    yield figures.open
    figures.finish()


def corner(page, horizontal, vertical):
    for k, name in [(k, name) for k in range(4) for name in ("a", "b")]:
        knob(page, k).focus()
        place(page, name, horizontal if name == "a" else vertical)


@pytest.mark.parametrize("width", [320, 390, 720, 800])
def test_nothing_leaves_nothing_jumps(open_page, width):
    page = open_page(width=width)
    heights = set()

    def look(where):
        assert_fits(page, width, where)
        heights.add(page.locator(".widget").evaluate("node => node.offsetHeight"))
        right = page.locator(".widget").bounding_box()
        for k in range(page.locator("[data-knob]").count()):
            box = knob(page, k).locator(".widget-knob-face").bounding_box()
            assert box["x"] >= right["x"], where
            assert box["x"] + box["width"] <= right["x"] + right["width"], where

    look("start")
    place(page, "count", 4)
    for place_ in [(-3.5, 3.5), (3.5, -3.5), (3.5, 3.5)]:
        corner(page, *place_)
        look(place_)
    choose(page, "pinwheel")
    press(page, "10 EM steps")
    press(page, "10 EM steps")
    look("EM")
    place(page, "count", 1)
    look("one")
    assert len(heights) == 1


def test_side_by_side_where_there_is_room(open_page):
    script = "nodes => nodes.map(node => node.getBoundingClientRect().y)"
    beside = open_page(width=800).locator(".mixture-square").evaluate_all(script)
    below = open_page(width=390).locator(".mixture-square").evaluate_all(script)
    assert beside[0] == beside[1]
    assert below[1] > below[0] + 300


@pytest.mark.parametrize("width", [390, 800])
def test_filling_the_figure_shifts_nothing(open_page, width):
    assert layout_shift(open_page(width=width)) < 0.02


def test_a_narrow_window_redraws(open_page):
    page = open_page(width=1000)
    before = frame(page)["size"]
    page.set_viewport_size({"width": 320, "height": 1300})
    page.wait_for_function("document.querySelector('[data-part=frame]').width.baseVal.value < 250")
    assert frame(page)["size"] < before / 1.5
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_the_values_are_spoken_once_after_a_rest(open_page):
    page = open_page()
    assert page.locator("[role=status][aria-live=polite]").text_content() == ""
    spoken = page.evaluate("""async () => {
        const input = document.querySelectorAll("input")[1], spoken = [];
        const status = document.querySelector("[role=status]");
        const note = () => spoken.push(status.textContent);
        new MutationObserver(note).observe(status, {childList: true});
        for (let i = 0; i < 10; i += 1) {
            input.stepUp();
            input.dispatchEvent(new Event("input"));
            await new Promise(done => setTimeout(done, 10));
        }
        await new Promise(done => setTimeout(done, 1000));
        return spoken;
    }""")
    codes = codes_of(page, "digits")
    mixture = start(3)
    mixture[0]["mean"] = [-0.5, 0.0]
    own = log_likelihood(mixture, codes)
    difference = own - log_likelihood(standard(), codes)
    texts = [f"{value:.3f}".replace("-", "−") for value in (own, difference)]
    assert spoken == [f"Mean log-likelihood {texts[0]}, {texts[1]} nats above the standard normal."]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast(open_page, theme):
    page = open_page(theme=theme)
    parts = [
        (".widget-tick", "fill", 4.5),
        (".widget p, .widget label, .widget output, .widget th, .widget td", "color", 4.5),
        (
            ".widget button, .widget select, .widget legend, .widget caption, .widget li",
            "color",
            4.5,
        ),
        (".widget-ellipse, .widget-knob-face", "stroke", 3),
        (".widget-codes, .widget-samples", "fill", 3),
    ]
    assert_contrast(page, theme, parts)
    for k in range(3):
        number, face = (knob(page, k).locator(part) for part in ("text", ".widget-knob-face"))
        fill = "node => getComputedStyle(node).fill"
        assert contrast(number.evaluate(fill), face.evaluate(fill)) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_codes_stand_out_from_the_densest_shade(open_page, theme):
    page = open_page(theme=theme)
    style = "(node, name) => getComputedStyle(node)[name]"
    shade = page.locator(".widget-density").first
    opacity = float(shade.evaluate(style, "fillOpacity"))
    ink, codes = (
        shade.evaluate(style, "fill"),
        page.locator(".widget-codes").evaluate(style, "fill"),
    )
    paper = {"light": 255, "dark": 18}[theme]
    channels = [int(part) for part in ink[4:-1].split(",")]
    share = (1 - opacity) ** page.locator(".widget-density").count()
    mixed = [round(share * paper + (1 - share) * channel) for channel in channels]
    assert contrast(codes, "rgb({}, {}, {})".format(*mixed)) >= 3


def test_the_chosen_component_differs_without_color(open_page):
    page = open_page()
    script = "nodes => nodes.map(node => getComputedStyle(node).strokeDasharray)"
    chosen, *others = page.locator(".widget-ellipse").evaluate_all(script)
    assert chosen == "none"
    assert set(others) == {"5px, 3px"}


def test_focus_is_visible_on_a_knob(open_page):
    page = open_page()
    script = "node => getComputedStyle(node).strokeWidth"
    face = knob(page, 0).locator(".widget-knob-face")
    before = face.evaluate(script)
    page.keyboard.press("Tab")
    assert (before, face.evaluate(script)) == ("2px", "4px")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(open_page, axe, theme):
    assert_accessible(open_page(theme=theme), axe)
