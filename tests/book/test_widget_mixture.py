"""The figure "mixture" in a real browser: its numbers against torch and scikit-learn."""

import math
import re

import numpy as np
import pytest
import torch
from mixture_figure import (
    FLOOR,
    LIMIT,
    arrays,
    choose,
    codes_of,
    component,
    density,
    em,
    log_likelihood,
    place,
    points,
    press,
    standard,
    start,
)
from scipy import stats
from widget_pages import Figures

from companion import pretrained
from companion.data import mnist5k
from companion.page._widget_numbers import mixture as numbers

CORNER = [
    component(0.25, (a, b), (0.36, 0, 0.36)) for a, b in [(2.5, 2.5), (2.5, 3), (3, 2.5), (3, 3)]
]
SLANTED = [
    component(0.7, (-0.5, 0.3), (0.5, -0.3, 0.4)),
    component(0.2, (1.4, -1.0), (0.02, 0.01, 1.3)),
    component(0.1, (0.0, 1.2), (0.3, 0.0, 0.2)),
]


@pytest.fixture
def open_page(browser, tmp_path):
    figures = Figures(browser, tmp_path, "mixture")
    yield figures.open
    figures.finish()


def em_steps(page, mixture, codes, steps):
    """The mixtures after 0, 1, ... steps of the page's EM."""
    script = """([mixture, codes, steps]) => {
        const all = [mixture];
        for (let i = 0; i < steps; i += 1) {
            all.push(CompanionWidgets.mixture.emStep(all.at(-1), codes));
        }
        return all;
    }"""
    return page.evaluate(script, [mixture, codes, steps])


def flat(mixture):
    return [number for each in mixture for number in (each["weight"], *each["mean"], *each["cov"])]


@pytest.mark.parametrize("codes", ["digits", "pinwheel"])
@pytest.mark.parametrize("mixture", [standard(), start(2), start(4), CORNER, SLANTED])
def test_the_log_likelihood_equals_torch(open_page, codes, mixture):
    page = open_page()
    places = codes_of(page, codes)
    script = "([mixture, codes]) => CompanionWidgets.mixture.compute(mixture, codes)"
    own, normal = log_likelihood(mixture, places), log_likelihood(standard(), places)
    assert page.evaluate(script, [mixture, places]) == pytest.approx(
        {"mixture": own, "standard": normal, "difference": own - normal}, abs=1e-10
    )


def test_far_away_nothing_overflows_and_a_weight_may_be_zero(open_page):
    far = [[60.0, -80.0], [3.0, 3.0]]
    mixture = [component(0, (0, 0), (1, 0, 1)), *SLANTED]
    script = "([mixture, codes]) => CompanionWidgets.mixture.compute(mixture, codes).mixture"
    assert open_page().evaluate(script, [mixture, far]) == pytest.approx(
        log_likelihood(SLANTED, far), rel=1e-12
    )


@pytest.mark.parametrize("cov", [[1, 1, 1], [1, 2, 1], [-1, 0, -1], [1, 0, None]])
def test_no_covariance_is_refused(open_page, cov):
    script = """mixture => {
        try { CompanionWidgets.mixture.compute(mixture, [[0, 0]]); } catch (e) { return String(e); }
    }"""
    message = open_page().evaluate(script, [component(1, (0, 0), cov)])
    assert "RangeError: No covariance matrix" in message


@pytest.mark.parametrize("codes", ["digits", "pinwheel"])
@pytest.mark.parametrize("mixture", [start(1), start(3), SLANTED, CORNER])
def test_em_equals_scikit_learn(open_page, codes, mixture):
    page = open_page()
    places = codes_of(page, codes)
    ours = em_steps(page, mixture, places, 5)
    for steps in (1, 2, 5):
        expected = em(mixture, places, steps)
        if np.linalg.eigvalsh(arrays(expected)[2]).min() < FLOOR:
            break  # scikit-learn has no floor of this kind
        assert flat(ours[steps]) == pytest.approx(flat(expected), rel=1e-6, abs=1e-8)
    assert steps > 1


@pytest.mark.parametrize("codes", ["digits", "pinwheel"])
def test_em_never_loses_not_even_where_the_floor_holds(open_page, codes):
    page = open_page()
    places = codes_of(page, codes)
    spike = [component(0.01, places[0], (FLOOR, 0, FLOOR)), *start(3)]
    reached = 0
    for mixture in (start(2), start(4), CORNER, SLANTED, spike):
        trace = em_steps(page, mixture, places, 60)
        values = [log_likelihood(each, places) for each in trace]
        assert np.diff(values).min() >= -1e-12
        for each in trace[1:]:
            assert sum(c["weight"] for c in each) == pytest.approx(1, abs=1e-9)
            for aa, ab, bb in (c["cov"] for c in each):
                lowest = np.linalg.eigvalsh([[aa, ab], [ab, bb]])[0]
                assert lowest >= FLOOR * (1 - 1e-9)
                reached += lowest < FLOOR * (1 + 1e-9)
    assert reached > 0


def test_a_component_without_codes_stays_and_is_no_trouble(open_page):
    page = open_page()
    lonely = component(0.5, (3.5, -3.5), (FLOOR, 0, FLOOR))
    (_, after) = em_steps(
        page, [component(0.5, (0, 0), (0.1, 0, 0.1)), lonely], [[0, 0], [1, 0]], 1
    )
    assert after[1]["mean"] == lonely["mean"]
    assert after[1]["cov"] == lonely["cov"]
    assert after[1]["weight"] == pytest.approx(0, abs=1e-12)


def test_samples_have_the_density_of_the_mixture(open_page):
    page = open_page()
    script = "([mixture, n]) => CompanionWidgets.mixture.sample(mixture, n)"
    ours = np.array(page.evaluate(script, [SLANTED, 4000]))
    torch.manual_seed(0)
    theirs = density(SLANTED).sample((4000,)).numpy()
    for direction in ([1, 0], [0, 1], [1, 1], [1, -2]):
        assert stats.ks_2samp(ours @ direction, theirs @ direction).pvalue > 0.01
    rotated = density(SLANTED).log_prob(torch.tensor(ours)).mean().item()
    entropy = density(SLANTED).log_prob(torch.tensor(theirs)).mean().item()
    assert rotated == pytest.approx(entropy, abs=0.08)


def test_samples_keep_their_noise(open_page):
    page = open_page()
    script = "mixture => CompanionWidgets.mixture.sample(mixture)"
    here = np.array(page.evaluate(script, SLANTED))
    assert (here == np.array(page.evaluate(script, SLANTED))).all()
    moved = [{**each, "mean": [each["mean"][0] + 1, each["mean"][1] - 2]} for each in SLANTED]
    assert np.array(page.evaluate(script, moved)) == pytest.approx(here + np.array([1, -2]))


def test_the_codes_are_what_they_are_called(open_page):
    page = open_page()
    wheel, digits = np.array(codes_of(page, "pinwheel")), np.array(codes_of(page, "digits"))
    assert wheel.shape == digits.shape == (300, 2)
    assert wheel.mean(axis=0) == pytest.approx([0, 0], abs=4 / math.sqrt(300))
    assert np.cov(wheel.T) == pytest.approx(np.eye(2), abs=4 * math.sqrt(2 / 300))
    with torch.no_grad():
        posterior = pretrained.load("vae_2d").encode(mnist5k("test").images[:300])
    noise = (digits - posterior.mean.numpy()) / (posterior.log_var / 2).exp().numpy()
    assert stats.kstest(noise.ravel(), "norm").pvalue > 0.01
    assert np.abs(digits).max() < LIMIT


def test_without_the_codes_of_digits_the_pinwheel_remains(browser, tmp_path):
    figures = Figures(browser, tmp_path, "mixture", without=numbers())
    page = figures.open()
    assert page.locator("option").all_text_contents() == ["A pinwheel"]
    assert page.locator(".widget-tasks > ol > li").count() == 3
    figures.finish()


def test_contours_lie_where_the_density_has_their_level(open_page):
    page = open_page()
    place(page, "count", 1)
    for name, value in [("a", 0.5), ("b", -0.25), ("width", 1)]:
        place(page, name, value)
    loops = points(page, ".widget-density")
    levels = [0.005 * 2**i for i in range(9)]
    visible = [level for level in levels if level < 1 / (2 * math.pi)]
    assert len(loops) == len(visible) == 5
    for level, loop in zip(visible, loops, strict=True):
        radius = np.hypot(*(loop - [0.5, -0.25]).T)
        inside = np.abs(loop).max(axis=1) < LIMIT - 0.2
        expected = math.sqrt(-2 * math.log(2 * math.pi * level))
        assert radius[inside] == pytest.approx(expected, abs=0.01)
    (ellipse,) = points(page, ".widget-ellipse")
    assert np.hypot(*(ellipse - [0.5, -0.25]).T) == pytest.approx(1, abs=0.003)


def test_slanted_contours_and_ellipses(open_page):
    page = open_page()
    codes = codes_of(page, "pinwheel")
    choose(page, "pinwheel")
    place(page, "count", 4)
    press(page, "10 EM steps")
    mixture = em(start(4), codes, 10)
    for i in range(6):  # the outer ones: where the density is steep, a pixel is a lot
        loops = np.concatenate(points(page, f".widget-density:nth-child({i + 1})"))
        found = density(mixture).log_prob(torch.tensor(loops)).numpy()
        assert np.median(np.abs(found - math.log(0.005 * 2**i))) < 0.05
    _, means, covs = arrays(mixture)
    for mean, cov, ellipse in zip(means, covs, points(page, ".widget-ellipse"), strict=True):
        away = ellipse - mean
        assert np.einsum("ni,ij,nj->n", away, np.linalg.inv(cov), away) == pytest.approx(
            1, abs=0.05
        )


def test_the_answers_carry_the_right_numbers(open_page):
    page = open_page()
    wheel, digits = codes_of(page, "pinwheel"), codes_of(page, "digits")

    def gain(mixture, codes):
        return log_likelihood(em(mixture, codes, 200), codes) - log_likelihood(standard(), codes)

    values = [gain(start(3), digits), gain(start(1), wheel), gain(start(4), wheel)]
    values += [gain(CORNER, wheel), gain(start(4), digits)]
    text = " ".join(page.locator("details li").all_text_contents())
    found = [float(part) for part in re.findall(r"\d\.\d{3}", text)]
    assert found == pytest.approx(values, abs=6e-4)
    assert values[2] > values[3] + 0.1
    assert values[4] < values[2] / 3
