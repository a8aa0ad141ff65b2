"""The figure "elbo" in a real browser: its numbers (against torch.distributions), its controls."""

import itertools
import math
import re

import pytest
from elbo_figure import (
    CORNERS,
    SLIDERS,
    START,
    assert_shows,
    center,
    move,
    oracle,
    pixels_per_unit,
    shown,
    slider,
)
from widget_pages import Figures


@pytest.fixture
def open_page(browser, tmp_path):
    figures = Figures(browser, tmp_path, "elbo")
    yield figures.open
    figures.finish()


def test_compute_equals_torch_distributions(open_page):
    grid = list(
        itertools.product(
            (-3, -1.5, 0, 0.5, 2, 3), (-2, -0.35, 0, 0.8, 3), (0.0067, 0.05, 0.2, 1, 4.48)
        )
    )
    script = "grid => grid.map(point => CompanionWidgets.elbo.compute(...point))"
    for point, values in zip(grid, open_page().evaluate(script, grid), strict=True):
        assert values == pytest.approx(oracle(*point), abs=1e-9, rel=1e-12)
        assert values["elbo"] + values["gap"] == pytest.approx(values["logEvidence"], abs=1e-9)


@pytest.mark.parametrize("v", ["0", "-1", "NaN", "undefined"])
def test_compute_refuses_a_variance_that_is_none(open_page, v):
    script = f"try {{ CompanionWidgets.elbo.compute(2, 0, {v}) }} catch (e) {{ String(e) }}"
    assert "RangeError: The variance v must be positive" in open_page().evaluate(script)


def test_the_page_shows_what_torch_computes(open_page):
    page = open_page()
    assert_shows(page, **START)
    for m, log_v, x in CORNERS:
        move(page, m, log_v, x)
        assert slider(page, "log_v").input_value() == str(log_v)
        assert_shows(page, x, m, math.exp(log_v))


def test_the_fallback_is_replaced_and_everything_has_a_name(open_page):
    page = open_page()
    assert page.get_by_text("interactive figure stands here").count() == 0
    assert page.get_by_role("slider").count() == len(SLIDERS)
    assert all(slider(page, name).count() == 1 for name in SLIDERS)
    assert page.get_by_role("table", name="In nats, rounded").count() == 1
    assert page.get_by_role("img", name=re.compile("^(Densities|Budget)")).count() == 2
    assert page.get_by_role("group", name=re.compile("^Interactive figure: ")).count() == 1


def test_keyboard_alone_moves_everything(open_page):
    page = open_page()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert_shows(page, x=2, m=0.05, v=1)
    page.keyboard.press("End")
    assert_shows(page, x=2, m=3, v=1)
    assert slider(page, "m").get_attribute("aria-valuetext") == "3.00"
    page.keyboard.press("Tab")
    page.keyboard.press("Home")
    assert_shows(page, x=2, m=3, v=math.exp(-5))
    assert slider(page, "log_v").get_attribute("aria-valuetext") == "0.007 (sd 0.082)"
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowLeft")
    assert_shows(page, x=1.5, m=3, v=math.exp(-5))
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert_shows(page, x=1.5, m=0.6, v=0.2)
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert_shows(page, **START)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"


def test_zero_gap_can_be_found_by_hand(open_page):
    page = open_page()
    move(page, 0.8, -1.6, 2)
    assert shown(page)["gap"] == 0
    assert shown(page)["elbo"] == shown(page)["logEvidence"]


def test_the_answers_carry_the_right_numbers(open_page):
    answers = open_page().locator("details li").all_text_contents()
    wide, narrow = oracle(2, 0.8, 0.8)["gap"], oracle(2, 0.8, 0.05)["gap"]
    tenfold = oracle(2, 0.8, 1e-9)["gap"] - oracle(2, 0.8, 1e-8)["gap"]
    found = [float(text) for text in re.findall(r"\d\.\d{3}", " ".join(answers))]
    assert found == pytest.approx([wide, narrow, tenfold], abs=5.001e-4)
    assert wide > narrow


def test_numbers_have_a_true_minus_and_no_negative_zero(open_page):
    script = "[-1.5, -0.0004, 0, 2].map(value => CompanionWidgets.format(value))"
    assert open_page().evaluate(script) == ["−1.500", "0.000", "0.000", "2.000"]


@pytest.mark.parametrize("x", [2, -3])
def test_buttons(open_page, x):
    page = open_page()
    move(page, -1, 1, x)
    page.get_by_role("button", name="Match the posterior").click()
    assert_shows(page, x, 0.4 * x, 0.2)
    assert shown(page)["gap"] == 0
    page.get_by_role("button", name="Start again").click()
    assert_shows(page, **START)


def test_the_glide_ends_exactly_and_a_hand_stops_it(open_page):
    page = open_page(motion="no-preference")
    page.clock.install()
    page.clock.pause_at(page.evaluate("Date.now() + 1000"))
    page.get_by_role("button", name="Match the posterior").click()
    gaps = [shown(page)["gap"]]
    for _ in range(6):
        page.clock.run_for(100)
        gaps.append(shown(page)["gap"])
    assert gaps == sorted(gaps, reverse=True)
    assert len(set(gaps)) == 6  # five on the way, and the end twice
    assert_shows(page, 2, 0.8, 0.2)
    assert gaps[-1] == 0
    page.get_by_role("button", name="Start again").click()
    page.clock.run_for(100)
    slider(page, "m").fill("-2")
    page.clock.run_for(1000)
    assert slider(page, "m").input_value() == "-2"


def test_mouse_drags_mean_and_variance(open_page):
    page = open_page()
    unit = pixels_per_unit(page)
    for handle, by, m, v in [
        ("mean", 0, 0, 1),
        ("mean", 1.25, 1.25, 1),
        ("right", -0.5, 1.25, math.exp(-1.4)),
        ("left", -0.5, 1.25, 1),
        ("mean", 9, 3, 1),
        ("left", 9, 3, math.exp(-5)),
    ]:
        at, height = center(page, handle)
        page.mouse.move(at, height)
        page.mouse.down()
        page.mouse.move(at + by * unit / 2, height)
        page.mouse.move(at + by * unit, height + 40)
        page.mouse.up()
        page.mouse.move(at, height + 80)
        assert_shows(page, 2, m, v)


def test_touch_drags_and_taps(open_page):
    page = open_page(width=390, has_touch=True, is_mobile=True)
    touch = page.context.new_cdp_session(page)

    def finger(kind, *points):
        places = [{"x": at, "y": height} for at, height in points]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    at, height = center(page, "mean")
    finger("touchStart", (at, height))
    for step in (0.25, 0.5, 0.75, 1):
        finger("touchMove", (at + step * pixels_per_unit(page), height + 20 * step))
    finger("touchEnd")
    page.wait_for_function("document.querySelector('output').textContent === '1.00'")
    assert_shows(page, 2, 1, 1)
    box = slider(page, "m").bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert_shows(page, 2, 0.5, 1)


def test_a_finger_elsewhere_in_the_plot_scrolls_the_page(open_page):
    page = open_page()
    script = """node => !node.dispatchEvent(
        new Event("touchstart", {bubbles: true, cancelable: true}))"""
    assert page.locator("[data-handle=mean] circle").evaluate(script)
    assert not page.locator("[data-part=frame]").evaluate(script)
