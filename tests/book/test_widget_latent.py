"""The figure "latent" in a real browser: its numbers, against torch."""

import itertools
import math

import numpy as np
import pytest
import torch
from latent_figure import (
    LIMIT,
    assert_shows,
    codes,
    decoded,
    log_prior,
    nearest,
    point,
    shown,
)
from torch import nn
from widget_pages import Figures

from companion.networks import MLPDecoder
from companion.page._export import export_mlp
from companion.page._widget_numbers import latent

GRID = list(itertools.product((-3.5, -2, -0.7, 0, 0.31, 1.9, 3.5), repeat=2))


@pytest.fixture
def figures(browser, tmp_path):
    figures = Figures(browser, tmp_path, "latent")
    yield figures
    figures.finish()


@pytest.fixture
def open_page(figures):
    return figures.open


def test_the_page_decodes_as_torch_does(open_page):
    script = "grid => grid.map(z => [...CompanionWidgets.latent.model().decode(z)])"
    ours = np.array(open_page().evaluate(script, GRID))
    rounded, exact = (decoded(GRID, dtype).numpy() for dtype in (torch.float16, torch.float32))
    assert ours.shape == rounded.shape == (len(GRID), 784)
    assert np.abs(ours - rounded).max() < 1e-5
    # What rounding the weights to 16 bits costs: less than one of 255 gray values.
    assert 1e-5 < np.abs(ours - exact).max() < 1 / 255
    assert np.abs(ours - exact).mean() < 1e-4


def test_the_codes_are_those_of_held_out_digits(open_page):
    found = open_page().evaluate("CompanionWidgets.latent.model().codes")
    points, labels = codes()
    assert np.array_equal([code["z"] for code in found], points)
    assert [code["label"] for code in found] == labels.tolist()
    assert np.bincount(labels).tolist() == [50] * 10
    assert np.abs(points).max() < LIMIT  # none is cut off


def test_every_half_precision_number_is_read_exactly(open_page, tmp_path):
    bits = np.arange(2**16, dtype=np.uint16)
    every = bits[np.isfinite(bits.view(np.float16))].view(np.float16)
    script = export_mlp(
        nn.Linear(1, 1), name="every", arrays={"every": torch.from_numpy(every.copy())}
    )
    page = open_page()
    page.add_script_tag(content=script)
    ours = page.evaluate("[...CompanionWidgets.network.load('every').arrays.every].map(String)")
    assert len(ours) == len(every) == 2**16 - 2**11
    np.testing.assert_array_equal(np.array(ours, dtype=np.float64), every.astype(np.float64))


@pytest.mark.parametrize(
    ("hidden", "activation"), [((), nn.ReLU), ((7, 5), nn.ReLU), ((9,), nn.Tanh)]
)
def test_other_perceptrons_run_in_the_page(open_page, tmp_path, hidden, activation):
    torch.manual_seed(1)
    network = MLPDecoder(3, (2, 2), hidden, activation)
    page = open_page()
    page.add_script_tag(content=export_mlp(network, name="other"))
    z = torch.randn(20, 3)
    script = "z => z.map(row => [...CompanionWidgets.network.load('other').run(row)])"
    ours = torch.tensor(page.evaluate(script, z.tolist()))
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(weight.half())
        assert torch.allclose(ours, network(z).flatten(1), atol=1e-6)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("load('nobody')", 'Error: The numbers "nobody" of a figure are missing.'),
        ("load('vae_2d').run([1, 2, 3])", "RangeError: 2 inputs expected, got 3."),
        (
            "unpack({...CompanionExports.vae_2d, base64: btoa('12')})",
            "The export vae_2d has 2 bytes",
        ),
    ],
)
def test_wrong_numbers_are_refused(open_page, script, message):
    script = f"try {{ CompanionWidgets.network.{script} }} catch (e) {{ String(e) }}"
    assert message in open_page().evaluate(script)


def test_without_numbers_the_fallback_stays(browser, tmp_path):
    figures = Figures(browser, tmp_path, "latent", without=latent())
    page = browser.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(figures.write("light").as_uri())
    assert page.get_by_text("interactive figure stands here").is_visible()
    page.close()
    assert errors == ['The numbers "vae_2d" of a figure are missing.']


def test_the_prior_is_the_standard_normal(open_page):
    ours = open_page().evaluate("grid => grid.map(CompanionWidgets.latent.logPrior)", GRID)
    assert ours == pytest.approx([log_prior(z) for z in GRID], abs=1e-12)


def test_the_hole_is_the_farthest_place_from_all_codes(open_page):
    script = "CompanionWidgets.latent.hole(CompanionWidgets.latent.model().codes)"
    found = open_page().evaluate(script)
    steps = np.arange(-40, 41) * 0.05
    inside = [z for z in itertools.product(steps, repeat=2) if math.hypot(*z) <= 2]
    assert found["distance"] == pytest.approx(max(nearest(z)[0] for z in inside))
    assert nearest(found["z"])[0] == pytest.approx(found["distance"])
    assert math.hypot(*found["z"]) <= 2


def test_the_answers_carry_the_right_numbers(open_page):
    page = open_page()
    page.get_by_role("button", name="A hole").click()
    z = point(page)
    assert_shows(page, z)
    answers = " ".join(" ".join(page.locator("details li").all_text_contents()).split())
    assert f"at {shown(page)['z']} the log-density" in answers
    assert (
        f"is {log_prior(z):.2f}, only {log_prior([0, 0]) - log_prior(z):.2f} nats".replace("-", "−")
        in answers
    )
    assert f"within {nearest(z)[0]:.2f}" in answers
    assert f"log p(z) = {log_prior([LIMIT, LIMIT]):.2f}".replace("-", "−") in answers
    radii = torch.randn(2_000_000, 2, generator=torch.Generator().manual_seed(0)).norm(dim=1)
    note = page.locator(".latent-note").text_content()
    shares = [f"{100 * (radii < radius).double().mean():.0f} %" for radius in (1, 2, 3)]
    assert ", ".join(shares) in " ".join(note.split())
    assert "500 test images" in " ".join(note.split())
    assert "2–200–200–784 units" in " ".join(note.split())
