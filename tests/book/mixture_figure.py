"""How the tests read and move the figure "mixture", and what torch and scikit-learn say of it."""

import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal
from widget_pages import number

SLIDERS = {
    "count": "Number of components",
    "a": "Mean z₁",
    "b": "Mean z₂",
    "width": "Width (standard deviation)",
    "weight": "Weight",
}
FLOOR = 0.05**2
LIMIT = 3.8
PLACES = ((-1.0, 0.0), (1.0, 0.0), (0.0, 1.2), (0.0, -1.2))


def component(weight, mean, cov) -> dict:
    return {"weight": weight, "mean": list(mean), "cov": list(cov)}


def start(count: int = 3) -> list[dict]:
    return [component(1 / count, place, (0.36, 0, 0.36)) for place in PLACES[:count]]


def standard() -> list[dict]:
    return [component(1, (0, 0), (1, 0, 1))]


def arrays(mixture: list[dict]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    weights = np.array([each["weight"] for each in mixture])
    covs = [[[aa, ab], [ab, bb]] for aa, ab, bb in (each["cov"] for each in mixture)]
    return weights, np.array([each["mean"] for each in mixture], dtype=float), np.array(covs, float)


def density(mixture: list[dict]) -> MixtureSameFamily:
    weights, means, covs = (torch.tensor(array) for array in arrays(mixture))
    return MixtureSameFamily(Categorical(weights), MultivariateNormal(means, covs))


def log_likelihood(mixture: list[dict], codes) -> float:
    return density(mixture).log_prob(torch.tensor(codes, dtype=torch.float64)).mean().item()


def em(mixture: list[dict], codes, steps: int = 1) -> list[dict]:
    """Steps of expectation-maximization by scikit-learn."""
    weights, means, covs = arrays(mixture)
    model = GaussianMixture(
        len(mixture),
        reg_covar=0,
        tol=0,
        max_iter=steps,
        weights_init=weights / weights.sum(),
        means_init=means,
        precisions_init=np.linalg.inv(covs),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # we want no more than these steps
        model.fit(np.array(codes))
    return [
        component(float(weight), mean.tolist(), (cov[0, 0], cov[0, 1], cov[1, 1]))
        for weight, mean, cov in zip(model.weights_, model.means_, model.covariances_, strict=True)
    ]


def codes_of(page, name: str) -> list[list[float]]:
    return page.evaluate("name => CompanionWidgets.mixture.codeSets()[name]", name)


def slider(page, name):
    return page.get_by_role("slider", name=SLIDERS[name], exact=True)


def knob(page, k):
    return page.locator(f"[data-knob='{k}']")


def place(page, name, value):
    """Move one slider."""
    slider(page, name).evaluate(
        """(input, value) => {
            input.value = value;
            input.dispatchEvent(new Event("input", {bubbles: true}));
        }""",
        value,
    )


def choose(page, name):
    page.get_by_role("combobox", name="Codes").select_option(name)


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def shown(page) -> dict[str, float | None]:
    script = "cells => cells.map(cell => [cell.dataset.value, cell.textContent])"
    cells = page.locator("[data-value]").evaluate_all(script)
    return {name: None if text == "–" else number(text) for name, text in cells}


def frame(page) -> dict[str, float]:
    """Where the plane lies in its drawing: left, top and size in pixels."""
    return page.locator("[role=group] > [data-part=frame]").evaluate(
        "node => ({left: node.x.baseVal.value, top: node.y.baseVal.value,"
        " size: node.width.baseVal.value})"
    )


def points(page, selector: str) -> list[np.ndarray]:
    """The places (z1, z2) on every path that a selector finds, from its markup."""
    at = frame(page)
    paths = page.locator(selector).evaluate_all("nodes => nodes.map(n => n.getAttribute('d'))")
    found = []
    for path in paths:
        pairs = path.replace("Z", "").replace("M", "L").strip("L").split("L")
        pixels = np.array([[float(part) for part in pair.split(",")] for pair in pairs if pair])
        if len(pixels):
            a = (pixels[:, 0] - at["left"]) / at["size"] * 2 * LIMIT - LIMIT
            b = LIMIT - (pixels[:, 1] - at["top"]) / at["size"] * 2 * LIMIT
            found.append(np.stack([a, b], axis=1))
    return found


def center(page, k):
    box = knob(page, k).locator(".widget-knob-face").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
