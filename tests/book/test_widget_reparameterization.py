"""The figure "reparameterization" in a real browser: its numbers (against torch), its controls."""

import itertools
import re

import pytest
from reparameterization_figure import (
    INTEGRANDS,
    SEED,
    SLIDERS,
    START,
    assert_shows,
    center,
    choose,
    draw,
    estimates,
    exact,
    move,
    noise,
    pixels_per_unit,
    shown,
    slider,
)
from scipy import stats
from widget_pages import Figures


@pytest.fixture
def open_page(browser, tmp_path):
    figures = Figures(browser, tmp_path, "reparameterization")
    yield figures.open
    figures.finish()


def compute(page, points):
    script = "points => points.map(p => CompanionWidgets.reparameterization.compute(...p))"
    return page.evaluate(script, points)


def test_compute_equals_automatic_differentiation_and_quadrature(open_page):
    grid = [
        (f, m, log_v, eps)
        for f, m, log_v, eps in itertools.product(
            INTEGRANDS, (-2, -0.3, 1, 3), (-3, -1.2, 0), (-2.5, 0, 0.7)
        )
    ]
    for (f, m, log_v, eps), values in zip(grid, compute(open_page(), grid), strict=True):
        here, truth = estimates(f, m, log_v, [eps]), exact(f, m, log_v)
        sample = [values["sample"]["pathwise"], values["sample"]["score"]]
        assert sample == pytest.approx([one.item() for one in here], rel=1e-12, abs=1e-12)
        found = {
            "gradient": values["gradient"],
            "pathwise": values["pathwise"]["exactSd"],
            "score": values["score"]["exactSd"],
        }
        assert found == pytest.approx(truth, rel=1e-7, abs=1e-7), (f, m, log_v)


def test_running_averages_are_those_of_the_same_draws(open_page):
    page, draws = open_page(), noise(1000)
    for f, m, log_v in [("square", 0, 0), ("shifted", 2, -3), ("wave", -1, -1), ("step", 1, 0)]:
        (values,) = compute(page, [(f, m, log_v, 0, draws)])
        for way, one in zip(("pathwise", "score"), estimates(f, m, log_v, draws), strict=True):
            averages = one.cumsum(0) / (1 + one.new_tensor(range(len(one))))
            assert values[way]["averages"] == pytest.approx(averages.tolist(), rel=1e-9, abs=1e-9)
            assert values[way]["sd"] == pytest.approx(one.std().item(), rel=1e-9, abs=1e-12)


def test_the_noise_is_seeded_and_standard_normal(open_page):
    script = "CompanionWidgets.reparameterization.noise(1000)"
    first, again = open_page().evaluate(script), open_page().evaluate(script)
    assert first == again
    assert first == pytest.approx(noise(1000), rel=1e-12, abs=1e-12)
    assert stats.kstest(first, "norm").pvalue > 0.05
    assert SEED == 2014


@pytest.mark.parametrize(
    ("arguments", "message"),
    [("'cube', 0, 0, 0", 'RangeError: No integrand "cube"'), ("'wave', 0, NaN, 0", "log σ² must")],
)
def test_compute_refuses_what_it_cannot_compute(open_page, arguments, message):
    call = f"CompanionWidgets.reparameterization.compute({arguments})"
    assert message in open_page().evaluate(f"try {{ {call} }} catch (e) {{ String(e) }}")


def test_the_page_shows_what_torch_computes(open_page):
    page = open_page()
    assert_shows(page, **START)
    draw(page, 1)
    assert_shows(page, **START | {"eps": noise(1)[0]}, n=1)
    draw(page, 100)
    assert_shows(page, **START | {"eps": noise(101)[100]}, n=101)
    for f in INTEGRANDS:
        choose(page, f)
        for place in [
            {"eps": -2.5, "m": -2, "log_v": -3},
            {"eps": 2.5, "m": 3, "log_v": 0},
            {"eps": 0, "m": 1, "log_v": -1.5},
        ]:
            move(page, **place)
            assert_shows(page, f=f, **place, n=101)


def test_labels_repeat_the_table(open_page):
    page = open_page()
    draw(page, 100)
    values = shown(page)
    labels = {
        name: page.locator(f"[data-label={name}]").text_content()
        for name in ("score", "pathwise", "posterior", "slope", "z")
    }
    for name, value in [
        ("score", values["score.average"]),
        ("pathwise", values["pathwise.average"]),
        ("posterior", values["score.gradient"]),
    ]:
        assert labels[name].endswith(f" {value:.3f}".replace("-", "−"))
    eps = noise(100)[99]
    assert labels["slope"] == f"slope f′(z) = {2 * (eps - 1):.2f}".replace("-", "−")
    sign = "−" if eps < 0 else "+"
    text = f"z = m + σε = 0.00 {sign} 1.00 · {abs(eps):.2f} = {eps:.2f}"
    assert labels["z"] == text.replace("-", "−")


def test_the_fallback_is_replaced_and_everything_has_a_name(open_page):
    page = open_page()
    assert page.get_by_text("interactive figure stands here").count() == 0
    assert page.get_by_role("slider").count() == len(SLIDERS)
    assert all(slider(page, name).count() == 1 for name in SLIDERS)
    assert page.get_by_role("combobox", name="Integrand f(z)").count() == 1
    assert page.get_by_role("table", name="Estimates of dE[f(z)]/dm").count() == 1
    assert page.get_by_role("img", name=re.compile("^(Above|Running averages)")).count() == 2
    assert page.get_by_role("group", name=re.compile("^Interactive figure: ")).count() == 1


def test_keyboard_alone_moves_everything(open_page):
    page = open_page()
    state = dict(START)

    def press(keys, n=0, **change):
        state.update(change)
        for key in keys.split():
            page.keyboard.press(key)
        assert_shows(page, **state, n=n)

    press("Tab ArrowDown", f="shifted")
    press("Tab End", eps=2.5)
    press("Tab ArrowRight", m=0.05)
    press("Tab Home", log_v=-3)
    assert slider(page, "log_v").get_attribute("aria-valuetext") == "−3.00 (σ 0.223)"
    press("Tab Enter", n=1, eps=noise(1)[0])
    press("Tab Space", n=101, eps=noise(101)[100])
    press("Tab Enter", **START)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"


def test_the_draws_end_at_a_thousand(open_page):
    page = open_page()
    button = page.get_by_role("button", name="Draw 1", exact=True)
    assert button.get_attribute("aria-disabled") == "false"
    draw(page, 1)
    draw(page, 100, times=11)
    assert_shows(page, **START | {"eps": noise(1000)[999]}, n=1000)
    assert button.get_attribute("aria-disabled") == "true"
    draw(page, 1)
    assert shown(page)["n"] == 1000
    page.get_by_role("button", name="Start again").click()
    assert_shows(page, **START)
    assert button.get_attribute("aria-disabled") == "false"


def test_the_answers_carry_the_right_numbers(open_page):
    text = " ".join(open_page().locator("details li").all_text_contents()).replace("−", "-")
    first, shifted, narrow = exact("square", 0, 0), exact("shifted", 0, 0), exact("square", 0, -3)
    wave, step = exact("wave", 0, 0), exact("step", 0, 0)
    values = [first["gradient"], first["pathwise"], first["score"], shifted["score"]]
    values += [narrow["score"], narrow["pathwise"], wave["pathwise"], wave["score"]]
    values += [step["pathwise"], step["gradient"]]
    found = [float(part) for part in re.findall(r"-?\d+\.\d{3}", text)]
    assert found == pytest.approx(values, abs=5.001e-4)
    ratio = (first["score"] / first["pathwise"]) ** 2
    assert f"needs {ratio:.1f} times" in text
    assert wave["pathwise"] > wave["score"]


def test_mouse_drags_mean_and_sample(open_page):
    page = open_page()
    unit = pixels_per_unit(page)
    for handle, by, m, eps in [
        ("sample", 0, 0, -0.8),
        ("sample", 2, 0, 1.2),
        ("mean", 1.5, 1.5, 1.2),
        ("mean", -9, -2, 1.2),
        ("sample", 9, -2, 2.5),
    ]:
        at, height = center(page, handle)
        page.mouse.move(at, height)
        page.mouse.down()
        page.mouse.move(at + by * unit / 2, height)
        page.mouse.move(at + by * unit, height + 40)
        page.mouse.up()
        page.mouse.move(at, height + 80)
        assert_shows(page, f="square", m=m, log_v=0, eps=eps)
