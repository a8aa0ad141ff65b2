"""The figure "mixture" in a real browser: knobs, sliders and buttons do what they say."""

import re

import pytest
from mixture_figure import (
    LIMIT,
    SLIDERS,
    center,
    choose,
    codes_of,
    component,
    em,
    frame,
    knob,
    log_likelihood,
    place,
    press,
    shown,
    slider,
    standard,
    start,
)
from widget_pages import Figures


@pytest.fixture
def open_page(browser, tmp_path):
    figures = Figures(browser, tmp_path, "mixture")
    yield figures.open
    figures.finish()


def assert_shows(page, mixture, *, codes="digits", selected=0, steps=0, gain=None):
    """The table, the sliders and the names of the knobs agree with this mixture."""
    places = codes_of(page, codes)
    own, normal = log_likelihood(mixture, places), log_likelihood(standard(), places)
    table = shown(page)
    assert table.pop("gain") == (gain if gain is None else pytest.approx(gain, abs=6e-5))
    values = {"mixture": own, "standard": normal, "difference": own - normal, "steps": steps}
    assert table == {name: pytest.approx(value, abs=6e-4) for name, value in values.items()}
    assert page.locator("[data-knob]").count() == len(mixture)
    assert slider(page, "count").input_value() == str(len(mixture))
    for k, each in enumerate(mixture):
        width = (each["cov"][0] * each["cov"][2] - each["cov"][1] ** 2) ** 0.25
        numbers = [*each["mean"], width, each["weight"]]
        name = knob(page, k).get_attribute("aria-label").replace("−", "-")
        assert name.startswith(f"Component {k + 1}: mean ")
        found = [float(part) for part in re.findall(r"-?\d+\.\d+", name)]
        assert found == pytest.approx(numbers, abs=5.1e-3)
        assert knob(page, k).get_attribute("aria-pressed") == str(k == selected).lower()
        if k == selected:
            texts = [slider(page, n).get_attribute("aria-valuetext") for n in list(SLIDERS)[1:]]
            spoken = [float(text.replace("−", "-")) for text in texts]
            assert spoken == pytest.approx(numbers, abs=5.1e-3)


def moved(mixture, k, *, mean=None, sd=None):
    each = mixture[k]
    cov = each["cov"] if sd is None else (sd**2, 0, sd**2)
    return [*mixture[:k], component(each["weight"], mean or each["mean"], cov), *mixture[k + 1 :]]


def test_the_page_starts_with_three_circles_over_digits(open_page):
    assert_shows(open_page(), start(3))


def test_sliders_move_widen_and_reweight_one_component(open_page):
    page = open_page()
    knob(page, 1).click()
    place(page, "a", -2.2)
    place(page, "b", 1.35)
    place(page, "width", 0.25)
    mixture = moved(start(3), 1, mean=[-2.2, 1.35], sd=0.25)
    assert_shows(page, mixture, selected=1)
    place(page, "weight", 0.8)
    mixture = [
        {**each, "weight": weight} for each, weight in zip(mixture, (0.1, 0.8, 0.1), strict=True)
    ]
    assert_shows(page, mixture, selected=1)


def test_components_come_and_go_with_a_fair_weight(open_page):
    page = open_page()
    place(page, "weight", 0.6)
    place(page, "count", 4)
    weights = (0.45, 0.15, 0.15, 0.25)
    mixture = [{**each, "weight": weight} for each, weight in zip(start(4), weights, strict=True)]
    assert_shows(page, mixture)
    knob(page, 3).click()
    place(page, "count", 2)
    pair = [{**each, "weight": weight} for each, weight in zip(start(2), (0.75, 0.25), strict=True)]
    assert_shows(page, pair, selected=1)
    place(page, "count", 1)
    assert_shows(page, start(1))
    assert slider(page, "weight").is_disabled()
    place(page, "count", 4)
    assert_shows(page, start(4))
    assert slider(page, "weight").is_enabled()


def test_em_buttons(open_page):
    page = open_page()
    for codes in ("digits", "pinwheel"):
        choose(page, codes)
        press(page, "Start again")
        places = codes_of(page, codes)
        trace = [start(3), *(em(start(3), places, n) for n in (1, 11, 12))]
        values = [log_likelihood(each, places) for each in trace]
        press(page, "One EM step")
        assert_shows(page, trace[1], codes=codes, steps=1, gain=values[1] - values[0])
        press(page, "10 EM steps")
        press(page, "One EM step")
        assert_shows(page, trace[3], codes=codes, steps=12, gain=values[3] - values[2])
    place(page, "a", 0)
    assert shown(page)["steps"] == 0
    assert shown(page)["gain"] is None
    press(page, "Start again")
    assert_shows(page, start(3), codes="pinwheel")


def test_keyboard_alone_moves_everything(open_page):
    page = open_page()
    mixture = start(3)

    def press_keys(keys, **expected):
        for key in keys.split():
            page.keyboard.press(key)
        assert_shows(page, mixture, **expected)

    mixture = moved(mixture, 0, mean=[-1.1, 0.2])
    press_keys("Tab ArrowLeft ArrowUp ArrowUp")
    mixture = moved(mixture, 1, mean=[1.1, -0.1], sd=0.7)
    press_keys("Tab ArrowRight ArrowDown + + +  -", selected=1)
    press_keys("Tab Enter", selected=2)
    press_keys("Tab ArrowDown", selected=2, codes="pinwheel")
    press_keys("ArrowUp", selected=2)
    places = codes_of(page, "digits")
    before, mixture = mixture, em(mixture, places)
    gain = log_likelihood(mixture, places) - log_likelihood(before, places)
    press_keys("Tab Enter", selected=2, steps=1, gain=gain)
    mixture = start(3)
    press_keys("Tab Tab Space")
    mixture = start(4)
    press_keys("Tab ArrowRight")
    mixture = moved(mixture, 0, mean=[3.5, 0])
    press_keys("Tab End")
    mixture = moved(mixture, 0, mean=[3.5, -3.5])
    press_keys("Tab Home")
    mixture = moved(mixture, 0, sd=0.1)
    press_keys("Tab Home")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.labels[0].textContent") == "Weight"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"


def test_keys_on_a_knob_do_not_scroll_and_leave_shortcuts_alone(open_page):
    page = open_page()
    script = """(node, init) => !node.dispatchEvent(
        new KeyboardEvent("keydown", {bubbles: true, cancelable: true, ...init}))"""
    taken = {
        key: knob(page, 0).evaluate(script, {"key": key}) for key in ("ArrowDown", " ", "+", "Tab")
    }
    assert taken == {"ArrowDown": True, " ": True, "+": True, "Tab": False}
    assert not knob(page, 0).evaluate(script, {"key": "-", "ctrlKey": True})


def test_width_keys_stop_at_the_ends(open_page):
    page = open_page()
    knob(page, 0).focus()
    for _ in range(15):
        page.keyboard.press("-")
    assert_shows(page, moved(start(3), 0, sd=0.1))
    for _ in range(45):
        page.keyboard.press("+")
    assert_shows(page, moved(start(3), 0, sd=2))


def test_mouse_drags_a_knob(open_page):
    page = open_page()
    unit = frame(page)["size"] / (2 * LIMIT)
    mixture = start(3)
    for k, by, mean in [
        (0, (0, 0), [-1, 0]),
        (2, (1.5, -2), [1.5, -0.8]),
        (1, (9, 9), [3.5, 3.5]),
    ]:
        at, height = center(page, k)
        page.mouse.move(at + 3, height + 2)
        page.mouse.down()
        page.mouse.move(at + 3 + by[0] * unit / 2, height + 2)
        page.mouse.move(at + 3 + by[0] * unit, height + 2 - by[1] * unit)
        page.mouse.up()
        page.mouse.move(at, height + 40)
        mixture = moved(mixture, k, mean=mean)
        assert_shows(page, mixture, selected=k)
    assert page.evaluate("document.activeElement.dataset.knob") == "1"


def test_touch_drags_a_knob(open_page):
    page = open_page(width=390, has_touch=True, is_mobile=True)
    touch = page.context.new_cdp_session(page)

    def finger(kind, *points):
        places = [{"x": at, "y": height} for at, height in points]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    at, height = center(page, 0)
    unit = frame(page)["size"] / (2 * LIMIT)
    finger("touchStart", (at, height))
    for step in (0.25, 0.5, 0.75, 1):
        finger("touchMove", (at - step * unit, height - step * unit))
    finger("touchEnd")
    page.wait_for_function("document.querySelectorAll('output')[1].textContent === '−2.00'")
    assert_shows(page, moved(start(3), 0, mean=[-2, 1]))


def test_everything_has_a_name(open_page):
    page = open_page()
    assert page.get_by_text("interactive figure stands here").count() == 0
    assert all(slider(page, name).count() == 1 for name in SLIDERS)
    assert page.get_by_role("slider").count() == len(SLIDERS)
    for k in range(3):
        name = re.compile(f"^Component {k + 1}: mean .+, width .+, weight ")
        assert page.get_by_role("button", name=name).count() == 1
    table = page.get_by_role("table", name="Mean log-likelihood of the 300 codes, in nats")
    assert table.count() == 1
    for role, name in [("img", "Samples"), ("group", "The plane of codes"), ("group", "Component")]:
        assert page.get_by_role(role, name=re.compile(f"^{name}")).count() == 1
