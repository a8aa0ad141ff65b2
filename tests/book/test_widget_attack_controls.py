"""The figure "attack" in a real browser: pointer, finger, keys, lists and buttons."""

import numpy as np
import pytest
import torch
from attack_figure import (
    assert_shows,
    attacked,
    digits,
    drawn,
    pad,
    reads,
    ready,
    sentence,
    table,
)
from widget_pages import Figures


@pytest.fixture
def open_page(browser, tmp_path):
    figures = Figures(browser, tmp_path, "attack")
    yield figures.open
    figures.finish()


def draw_a_seven(page):
    page.get_by_role("button", name="Draw a digit").click()
    box = page.locator(".attack-pad canvas").bounding_box()
    side = box["width"] / 28
    places = [(7, 7), (13, 7), (19, 7), (17, 12), (14, 17), (12, 22)]
    places = [(box["x"] + (a + 0.5) * side, box["y"] + (b + 0.5) * side) for a, b in places]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=2)
    page.mouse.up()
    return ready(page)


def true_class(page):
    return page.get_by_label("True class")


def test_everything_has_a_name(open_page):
    page = ready(open_page())
    assert page.get_by_text("interactive figure stands here").count() == 0
    assert page.get_by_role("group", name="Held-out digits").get_by_role("button").count() == 21
    assert page.get_by_role("img", name="The digit before the attack").count() == 1
    for title in ("Natural network", "Robust network"):
        assert page.get_by_role("img", name=f"{title}: the attacked picture").count() == 1
        assert page.get_by_role("img", name=f"{title}: the change").count() == 1
        assert page.get_by_role("table", name=f"{title}: probability of each class").count() == 1
    assert page.get_by_role("slider", name="Limit ε in linf").count() == 1
    assert page.get_by_role("slider").count() == 1  # that of the other norm is hidden


def test_the_reader_chooses_digit_limit_steps_and_norm(open_page):
    page, (x, y) = open_page(), digits()
    page.get_by_role("button", name="Held-out 4, number 2").click()
    one = x[14:15], y[14:15]
    assert_shows(page, *one, norm="linf", eps=0.1, steps=20)
    page.get_by_role("slider").fill("0.25")
    assert_shows(page, *one, norm="linf", eps=0.25, steps=20)
    page.get_by_label("Steps").select_option("1 (FGSM)")
    assert_shows(page, *one, norm="linf", eps=0.25, steps=1)
    page.get_by_label("Norm").select_option("l2")
    assert_shows(page, *one, norm="l2", eps=1.0, steps=1)
    page.get_by_role("slider", name="Limit ε in l2").press("ArrowRight")
    assert_shows(page, *one, norm="l2", eps=1.05, steps=1)
    page.get_by_role("slider").fill("0")
    assert_shows(page, *one, norm="l2", eps=0.0, steps=1)
    assert true_class(page).is_disabled()
    assert true_class(page).input_value() == "4"


def test_the_buttons_take_the_smallest_limit(open_page):
    page, (x, y) = open_page(), digits()
    page.get_by_label("Steps").select_option("3")
    page.get_by_role("button", name="Held-out 5, number 1").click()
    ready(page, "searched")
    found = table(page)
    for name in ("natural", "robust"):
        page.get_by_role("button", name=f"Fool the {name} one").click()
        eps = float(found[3, name])
        assert_shows(page, x[5:6], y[5:6], norm="linf", eps=eps, steps=3)
        end = attacked(name, x[5:6], y[5:6], norm="linf", eps=eps, steps=3)
        assert reads(name, end) != [5]
    assert table(page) == found
    assert page.locator("[data-row][aria-current=true]").get_attribute("data-row") == "3"


def test_the_pointer_draws_and_the_true_class_is_what_is_read(open_page):
    page = draw_a_seven(open_page())
    assert reads("natural", drawn(page)) == [7]
    assert true_class(page).input_value() == "7"
    assert true_class(page).is_enabled()
    # The gray values of the screen are rounded, so the pictures differ a little.
    found = np.array(page.locator("[data-network=natural] table td").all_text_contents()).reshape(
        10, 2
    )
    assert float(found[7, 0].removesuffix(" %")) > 90
    assert sentence(page).startswith("Natural network: 7 before")
    true_class(page).select_option("1")
    ready(page)
    assert sentence(page).count("wrong from the start") == 2
    ready(page, "searched")
    assert set(table(page).values()) == {"0.000"}
    page.get_by_role("button", name="Clear").click()
    ready(page)
    assert pad(page).max() == 0
    assert sentence(page) == "The pad is empty: draw a digit on it."
    assert set(table(page).values()) == {"…"}


def test_centering_moves_the_center_of_mass(open_page):
    page = draw_a_seven(open_page())
    before = pad(page).reshape(28, 28)
    page.get_by_role("button", name="Center it").click()
    after = pad(ready(page)).reshape(28, 28)
    assert (before != after).any()
    assert before.sum() == after.sum()
    places = np.arange(28)
    for axis in (0, 1):
        assert abs((after.sum(axis) * places).sum() / after.sum() - 13.5) <= 0.5


def test_a_closed_pad_is_a_picture(open_page):
    page, (x, _) = ready(open_page()), digits()
    box = page.locator(".attack-pad canvas").bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 120, box["y"] + 20)
    page.mouse.up()
    page.get_by_role("button", name="Clear").click(force=True)
    assert (pad(page) == (255 * x[7].flatten()).round().numpy()).all()
    scrolls = """node => node.dispatchEvent(
        new Event("touchstart", {bubbles: true, cancelable: true}))"""
    assert page.locator(".attack-pad").evaluate(scrolls)
    page.get_by_role("button", name="Draw a digit").click()
    assert not page.locator(".attack-pad").evaluate(scrolls)


def test_the_keyboard_draws(open_page):
    page = open_page()
    page.get_by_role("button", name="Draw a digit").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    where = page.get_by_role("application", name="Drawing pad of 28 by 28 pixels")
    assert where.evaluate("node => node === document.activeElement")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")
    assert pad(ready(page)).max() == 0
    page.keyboard.press("Space")
    picture = pad(ready(page)).reshape(28, 28)
    assert picture[12, 12] == picture.max() == 255
    assert picture[12].nonzero()[0].tolist() == [11, 12, 13]
    for _ in range(5):
        page.keyboard.press("Shift+ArrowDown")
    picture = pad(ready(page)).reshape(28, 28)
    assert (picture[12:18, 12] == 255).all()
    page.keyboard.press("Delete")
    assert pad(ready(page)).reshape(28, 28)[17, 12] == 0
    page.wait_for_function(
        "document.querySelector('[role=status]').textContent.includes('Column 13, row 18, empty.')"
    )


def test_a_finger_draws(open_page):
    page = open_page(width=390, has_touch=True, is_mobile=True)
    page.get_by_role("button", name="Draw a digit").click()
    box = page.locator(".attack-pad canvas").bounding_box()
    touch = page.context.new_cdp_session(page)

    def finger(kind, *places):
        points = [{"x": box["x"] + 6 * a + 3, "y": box["y"] + 6 * b + 3} for a, b in places]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    finger("touchStart", (14, 5))
    for row in (9, 13, 17, 22):
        finger("touchMove", (14, row))
    finger("touchEnd")
    page.wait_for_function("document.querySelector('.attack-brush').style.top.startsWith('80')")
    picture = pad(ready(page)).reshape(28, 28)
    assert (picture[6:22, 14] == 255).all()
    assert torch.from_numpy(picture).count_nonzero() < 80
    assert page.evaluate("scrollY") == 0
