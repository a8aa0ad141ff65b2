"""How the tests read and move the figure "latent", and what torch says of it."""

import functools
import math

import numpy as np
import torch
from torch.distributions import Normal
from widget_pages import number

from companion import pretrained
from companion.data import mnist5k

N_CODES = 500
LIMIT = 3.5


@functools.cache
def model():
    return pretrained.load("vae_2d")


@functools.cache
def decoder(dtype: torch.dtype):
    """The decoder with weights rounded to a dtype, computing in float64."""
    network = pretrained.load("vae_2d").decoder
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(weight.to(dtype))
    return network.double()


def decoded(points, dtype) -> torch.Tensor:
    """The probability of each pixel, for codes (B, 2): (B, 784)."""
    z = torch.as_tensor(points, dtype=torch.float64)
    with torch.no_grad():
        return torch.sigmoid(decoder(dtype)(z)).flatten(1)


@functools.cache
def codes() -> tuple[np.ndarray, np.ndarray]:
    """What is drawn: the mean codes, rounded as on the page, and their classes."""
    images, labels = mnist5k("test")
    with torch.no_grad():
        mean = model().encode(images[:N_CODES]).mean
    return mean.half().double().numpy(), labels[:N_CODES].numpy()


def log_prior(z) -> float:
    one = torch.ones(2, dtype=torch.float64)
    return Normal(0 * one, one).log_prob(torch.tensor(z, dtype=torch.float64)).sum().item()


def nearest(z) -> tuple[float, int]:
    points, labels = codes()
    away = np.hypot(*(points - np.asarray(z)).T)
    return away.min(), labels[away.argmin()]


def shown(page) -> dict[str, str]:
    script = "cells => cells.map(cell => [cell.dataset.label, cell.textContent])"
    return dict(page.locator("td[data-label]").evaluate_all(script))


def point(page) -> list[float]:
    """The coordinates that the page writes."""
    return [number(part) for part in shown(page)["z"].strip("()").split(",")]


def canvas(page) -> np.ndarray:
    """The image that is drawn: gray values of 784 pixels."""
    # Chromium complains of a canvas that is read often, unless it was made for that: read a copy.
    data = page.locator("canvas").evaluate("""node => {
        const copy = document.createElement("canvas");
        const context = copy.getContext("2d", {willReadFrequently: true});
        context.drawImage(node, 0, 0);
        return [...context.getImageData(0, 0, 28, 28).data];
    }""")
    colors = np.array(data).reshape(784, 4)
    assert (colors[:, 3] == 255).all()
    assert (colors[:, :1] == colors[:, :3]).all()
    return colors[:, 0]


def assert_shows(page, z, *, abs_z=5.001e-3):
    """Everything on the page belongs to this code; `abs_z` bounds the rounding of what we know."""
    texts = shown(page)
    assert point(page) == [float(f"{value:.2f}") for value in point(page)]
    assert math.dist(point(page), z) < 2 * abs_z
    assert number(texts["logPrior"].removesuffix(" nats")) == round(log_prior(z), 2)
    away, label = nearest(z)
    article = "an" if label == 8 else "a"
    assert texts["nearest"] == f"{article} {label}, {away:.2f} away"
    gray = 255 * decoded([z], torch.float16)[0].numpy()
    assert np.abs(canvas(page) - gray).max() < 0.51
    value = handle(page).get_attribute("aria-valuetext")
    assert value == f"{texts['z']}, nearest code {texts['nearest']}"
    for name, coordinate in zip(("z₁", "z₂"), point(page), strict=True):
        slider = page.get_by_role("slider", name=name, exact=True)
        assert number(slider.get_attribute("aria-valuetext")) == coordinate


def handle(page):
    return page.locator("[data-handle=code]")


def unit(page) -> float:
    """Pixels of a step of one in the plane."""
    return float(page.locator("[data-part=field]").get_attribute("width")) / (2 * LIMIT)


def pixels(page, z) -> tuple[float, float]:
    """Where a code lies on the screen."""
    box = page.locator("[data-part=field]").bounding_box()
    return (
        box["x"] + (z[0] + LIMIT) / (2 * LIMIT) * box["width"],
        box["y"] + (LIMIT - z[1]) / (2 * LIMIT) * box["height"],
    )
