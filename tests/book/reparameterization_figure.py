"""How the tests read and move the figure "reparameterization", and what torch says of it."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Normal
from widget_pages import number

SLIDERS = {"eps": "Noise ε", "m": "Mean m", "log_v": "Log-variance log σ²"}
SEED = 2014
START = {"f": "square", "m": 0.0, "log_v": 0.0, "eps": -0.8}
INTEGRANDS = {
    "square": lambda z: (z - 1) ** 2,
    "shifted": lambda z: (z - 1) ** 2 + 10,
    "wave": lambda z: torch.sin(4 * z),
    "step": lambda z: (z > 1) * (1 + 0 * z),  # the second factor keeps z in the graph
}


def double(value) -> torch.Tensor:
    return torch.as_tensor(value, dtype=torch.float64)


def estimates(f: str, m: float, log_v: float, eps) -> tuple[torch.Tensor, torch.Tensor]:
    """Both estimates for each noise, by automatic differentiation."""
    eps = double(eps)
    mean = torch.full_like(eps, m).requires_grad_()
    sd = math.exp(log_v / 2)
    z = mean + sd * eps
    (pathwise,) = torch.autograd.grad(INTEGRANDS[f](z).sum(), mean)
    z = z.detach()
    (score,) = torch.autograd.grad(Normal(mean, sd).log_prob(z).sum(), mean)
    return pathwise, INTEGRANDS[f](z) * score


def exact(f: str, m: float, log_v: float) -> dict[str, float]:
    """The gradient and both standard deviations, by quadrature; for the jump, by the tail of q."""
    sd = math.exp(log_v / 2)
    if f == "step":
        normal, t = Normal(double(0), double(1)), double((1 - m) / sd)
        bell = normal.log_prob(t).exp()
        tail = t * bell + torch.special.ndtr(-t)
        gradient, path_square, square = bell / sd, double(0), tail / sd**2
        path_mean = double(0)
    else:
        nodes, weights = np.polynomial.hermite_e.hermegauss(100)
        weights = double(weights / math.sqrt(2 * math.pi))
        pathwise, score = estimates(f, m, log_v, nodes)
        gradient, square = (weights * score).sum(), (weights * score**2).sum()
        path_mean, path_square = (weights * pathwise).sum(), (weights * pathwise**2).sum()
        assert path_mean.item() == pytest.approx(gradient.item(), abs=1e-9)
    return {
        "gradient": gradient.item(),
        "pathwise": (path_square - path_mean**2).clamp_min(0).sqrt().item(),
        "score": (square - gradient**2).sqrt().item(),
    }


def noise(n: int) -> list[float]:
    """The draws of the page, computed here: mulberry32, then Box and Muller."""
    state, uniform = SEED, []
    for _ in range(2 * n):
        state = (state + 0x6D2B79F5) % 2**32
        t = (state ^ state >> 15) * (state | 1) % 2**32
        t ^= (t + (t ^ t >> 7) * (t | 61)) % 2**32
        uniform.append(((t ^ t >> 14) + 0.5) / 2**32)
    pairs = zip(uniform[::2], uniform[1::2], strict=True)
    return [math.sqrt(-2 * math.log(u)) * math.cos(2 * math.pi * v) for u, v in pairs]


def slider(page, name):
    return page.get_by_role("slider", name=SLIDERS[name], exact=True)


def choose(page, f):
    page.get_by_role("combobox", name="Integrand f(z)").select_option(f)


def move(page, *, eps, m, log_v):
    """Move all sliders, in the order of the page."""
    page.get_by_role("slider").evaluate_all(
        """(inputs, places) => inputs.forEach((input, i) => {
            input.value = places[i];
            input.dispatchEvent(new Event("input", {bubbles: true}));
        })""",
        [eps, m, log_v],
    )


def draw(page, n, times=1):
    for _ in range(times):
        # By force: at the end the button is disabled for assistive technology, but still there.
        page.get_by_role("button", name=f"Draw {n}", exact=True).click(force=True)


def shown(page) -> dict[str, float | None]:
    script = "cells => cells.map(cell => [cell.dataset.value, cell.textContent])"
    cells = page.locator("[data-value]").evaluate_all(script)
    return {name: None if text == "–" else number(text) for name, text in cells}


def expected(f: str, m: float, log_v: float, eps: float, n: int) -> dict[str, float | None]:
    """The table of the figure, computed with torch."""
    truth = exact(f, m, log_v)
    here = estimates(f, m, log_v, [eps])
    many = estimates(f, m, log_v, noise(n))
    table: dict[str, float | None] = {"n": float(n)}
    for way, one, all_ in zip(("pathwise", "score"), here, many, strict=True):
        table |= {
            f"{way}.sample": one.item(),
            f"{way}.average": all_.mean().item() if n else None,
            f"{way}.gradient": truth["gradient"],
            f"{way}.sd": all_.std().item() if n > 1 else None,
            f"{way}.exactSd": truth[way],
        }
    return table


def assert_shows(page, *, f, m, log_v, eps, n=0):
    table = expected(f, m, log_v, eps, n)
    assert shown(page) == {
        name: value if value is None else pytest.approx(value, abs=5.001e-4)
        for name, value in table.items()
    }


def pixels_per_unit(page) -> float:
    return float(page.locator("[data-part=f]").get_attribute("width")) / 10


def center(page, handle):
    box = page.locator(f"[data-handle={handle}] > :not(rect)").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
