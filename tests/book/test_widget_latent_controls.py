"""The figure "latent" in a real browser: mouse, finger, keys, buttons and legend."""

import itertools
import math

import numpy as np
import pytest
from latent_figure import (
    LIMIT,
    assert_shows,
    canvas,
    codes,
    handle,
    nearest,
    pixels,
    point,
    shown,
)
from widget_pages import Figures


@pytest.fixture
def open_page(browser, tmp_path):
    figures = Figures(browser, tmp_path, "latent")
    yield figures.open
    figures.finish()


def test_the_figure_starts_at_the_center_and_everything_has_a_name(open_page):
    page = open_page()
    assert_shows(page, [0, 0])
    assert page.get_by_text("interactive figure stands here").count() == 0
    assert page.get_by_role("slider").count() == 3
    assert page.get_by_role("group", name="The latent plane").count() == 1
    assert page.get_by_role("img", name="Mean codes of 500 test digits").count() == 1
    assert page.get_by_role("img", name="The decoded digit").count() == 1
    assert page.get_by_role("table", name="At this point").count() == 1
    assert page.get_by_role("button", name="Show only class 7").count() == 1


def test_the_arrow_keys_move_the_point(open_page):
    page = open_page()
    page.keyboard.press("Tab")
    assert handle(page).evaluate("node => node === document.activeElement")
    for key, z in [
        ("ArrowRight", [0.1, 0]),
        ("ArrowUp", [0.1, 0.1]),
        ("Shift+ArrowUp", [0.1, 0.6]),
        ("ArrowLeft", [0, 0.6]),
        ("Shift+ArrowDown", [0, 0.1]),
        ("Control+ArrowDown", [0, 0.1]),
        ("Enter", [0, 0.1]),
    ]:
        page.keyboard.press(key)
        assert_shows(page, z)
    for _ in range(10):
        page.keyboard.press("Shift+ArrowLeft")
    assert_shows(page, [-LIMIT, 0.1])


def test_the_sliders_move_the_point(open_page):
    page = open_page()
    page.get_by_role("slider", name="z₁", exact=True).fill("1.25")
    page.get_by_role("slider", name="z₂", exact=True).fill("-3.5")
    assert_shows(page, [1.25, -3.5])
    page.get_by_role("slider", name="z₂", exact=True).press("ArrowRight")
    assert_shows(page, [1.25, -3.45])


def test_the_mouse_drags_the_point_and_calls_it(open_page):
    page = open_page()
    for start, end, z in [
        ([0, 0], [1, -2], [1, -2]),  # the handle
        ([-3, 3], [-3, 3], [-3, 3]),  # a press elsewhere
        ([2, 1], [-1, 0.5], [-1, 0.5]),  # a press elsewhere, then a drag
        ([-1, 0.5], [-1, 9], [-1, LIMIT]),  # out of the plane
    ]:
        page.mouse.move(*pixels(page, start))
        page.mouse.down()
        middle = [(a + b) / 2 for a, b in zip(start, end, strict=True)]
        page.mouse.move(*pixels(page, middle))
        page.mouse.move(*pixels(page, end))
        page.mouse.up()
        page.mouse.move(*pixels(page, [0, -3]))
        assert math.dist(point(page), z) < 0.015
        assert_shows(page, point(page))
        assert handle(page).evaluate("node => node === document.activeElement")


def test_pressing_the_point_moves_nothing(open_page):
    page = open_page()
    x, y = pixels(page, [0, 0])
    page.mouse.move(x + 8, y - 5)
    page.mouse.down()
    page.mouse.up()
    assert_shows(page, [0, 0])


def test_a_finger_drags_the_point_and_taps_elsewhere(open_page):
    page = open_page(width=390, has_touch=True, is_mobile=True)
    touch = page.context.new_cdp_session(page)

    def finger(kind, *places):
        points = [dict(zip("xy", pixels(page, z), strict=True)) for z in places]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    finger("touchStart", [0, 0])
    for t in (0.25, 0.5, 0.75, 1):
        finger("touchMove", [-2 * t, 1.5 * t])
    finger("touchEnd")
    page.wait_for_function("document.querySelector('td').textContent.startsWith('(−2.0')")
    assert math.dist(point(page), [-2, 1.5]) < 0.03
    page.touchscreen.tap(*pixels(page, [2, -2]))
    assert math.dist(point(page), [2, -2]) < 0.03
    assert_shows(page, point(page))


def test_a_finger_elsewhere_in_the_plane_scrolls_the_page(open_page):
    page = open_page()
    script = """node => !node.dispatchEvent(
        new Event("touchstart", {bubbles: true, cancelable: true}))"""
    assert page.locator(".latent-target").evaluate(script)
    assert not page.locator("[data-part=field]").evaluate(script)


def test_buttons(open_page):
    page = open_page()
    seen = set()
    for _ in range(8):
        page.get_by_role("button", name="A random code").click()
        away, label = nearest(point(page))
        assert away < 0.01
        assert shown(page)["nearest"] in (f"a {label}, 0.00 away", f"an {label}, 0.00 away")
        seen.add(tuple(point(page)))
    assert len(seen) == 8
    draws = []
    for _ in range(60):
        page.get_by_role("button", name="A draw from the prior").click()
        draws.append(point(page))
    assert np.abs(draws).max() <= LIMIT
    assert np.abs(np.mean(draws, axis=0)).max() < 0.5
    assert np.abs(np.std(draws, axis=0) - 1).max() < 0.35
    page.get_by_role("button", name="Center").click()
    assert_shows(page, [0, 0])


def test_the_glide_ends_exactly_and_a_hand_stops_it(open_page):
    page = open_page(motion="no-preference")
    page.clock.install()
    page.clock.pause_at(page.evaluate("Date.now() + 1000"))
    page.get_by_role("button", name="A hole").click()
    images, places = [], []
    for _ in range(12):
        images.append(canvas(page))
        places.append(math.hypot(*point(page)))
        page.clock.run_for(100)
    assert places == sorted(places)
    assert len(set(places)) > 7
    assert all((a != b).any() for a, b in itertools.pairwise(images[:8]))
    hole = "CompanionWidgets.latent.hole(CompanionWidgets.latent.model().codes).z"
    assert_shows(page, page.evaluate(hole))
    page.get_by_role("button", name="Center").click()
    page.clock.run_for(100)
    page.get_by_role("slider", name="z₁", exact=True).fill("-2")
    page.clock.run_for(2000)
    assert point(page)[0] == -2


def test_the_legend_shows_one_class_alone(open_page):
    page = open_page()
    drawn = "nodes => nodes.filter(n => getComputedStyle(n).opacity > 0.5).map(n => n.textContent)"
    marks = page.locator(".latent-code")
    assert sorted(marks.evaluate_all(drawn)) == sorted(map(str, codes()[1]))
    for label in "38":
        button = page.get_by_role("button", name=f"Show only class {label}")
        button.click()
        assert marks.evaluate_all(drawn) == [label] * 50
        assert button.get_attribute("aria-pressed") == "true"
        assert page.locator("[aria-pressed=true]").count() == 1
    button.click()
    assert len(marks.evaluate_all(drawn)) == 500
    assert page.locator("[aria-pressed=true]").count() == 0
