"""How the tests read and move the figure "elbo", and what torch.distributions says of it."""

import itertools

import pytest
import torch
from torch.distributions import Normal, kl_divergence
from widget_pages import number

SLIDERS = {"m": "Mean of q", "log_v": "Variance of q (log scale)", "x": "Observed x"}
TERMS = ("logLikelihood", "klPrior", "elbo", "gap", "logEvidence")
START = {"m": 0.0, "v": 1.0, "x": 2.0}
# Every corner of the sliders and a few places between: (m, log v, x).
CORNERS = [*itertools.product((-2, 3), (-5, 1.5), (-3, 0, 3)), (0, 0, 2), (0.8, -1.6, 2)]


def oracle(x: float, m: float, v: float) -> dict[str, float]:
    """Every term of the bound, from torch.distributions in float64."""
    x_, m_, v_ = (torch.tensor(value, dtype=torch.float64) for value in (x, m, v))
    one = torch.ones((), dtype=torch.float64)
    q, prior = Normal(m_, v_.sqrt()), Normal(0 * one, one)
    # log p(x | z) is quadratic in z, so the mean over these two points is its exact expectation.
    points = m_ + v_.sqrt() * torch.tensor([-1.0, 1.0], dtype=torch.float64)
    log_likelihood = Normal(2 * points, one).log_prob(x_).mean()
    kl_prior = kl_divergence(q, prior)
    posterior = Normal(0.4 * x_, (0.2 * one).sqrt())
    values = {
        "logLikelihood": log_likelihood,
        "klPrior": kl_prior,
        "elbo": log_likelihood - kl_prior,
        "gap": kl_divergence(q, posterior),
        "logEvidence": Normal(0 * one, (5 * one).sqrt()).log_prob(x_),
    }
    return {name: value.item() for name, value in values.items()}


def slider(page, name):
    return page.get_by_role("slider", name=SLIDERS[name], exact=True)


def move(page, *places):
    """Move all sliders, in the order of the page: mean, log variance, x."""
    page.get_by_role("slider").evaluate_all(
        """(inputs, places) => inputs.forEach((input, i) => {
            input.value = places[i];
            input.dispatchEvent(new Event("input", {bubbles: true}));
        })""",
        places,
    )


def shown(page) -> dict[str, float]:
    script = "cells => cells.map(cell => [cell.dataset.value, cell.textContent])"
    return {name: number(text) for name, text in page.locator("td").evaluate_all(script)}


def assert_shows(page, x, m, v):
    expected = oracle(x, m, v)
    assert shown(page) == {name: pytest.approx(expected[name], abs=5.001e-4) for name in TERMS}
    labels = page.locator("[data-label=elbo], [data-label=gap], [data-label=logEvidence]")
    values = [number(text.split()[-1]) for text in labels.all_text_contents()]
    assert sorted(values) == pytest.approx(
        sorted(expected[name] for name in ("elbo", "gap", "logEvidence")), abs=5.001e-4
    )


def pixels_per_unit(page) -> float:
    return float(page.locator("[data-part=frame]").get_attribute("width")) / 8


def center(page, handle):
    box = page.locator(f"[data-handle={handle}]").bounding_box()
    shape = page.locator(f"[data-handle={handle}] > :not(rect)").bounding_box() or box
    return shape["x"] + shape["width"] / 2, shape["y"] + shape["height"] / 2
