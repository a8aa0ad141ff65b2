"""Check of the repaired attack."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from companion.checks.authoring import Case, RepairTask, uniform

Gradient = Callable[[Tensor], Tensor]

_WHERE = {"": "here", "at which image the gradient is taken in the later steps.": "start"}
_SIGN = {"": 1.0, "which way a step goes: the loss has to rise.": -1.0}
_BALL = {"": "x", "around which image the ball lies.": "itself"}
_BOX = {"": "kept", "what becomes of the result of the clipping to [0, 1].": "lost"}


def _ascent(
    where: str,
    sign: float,
    ball: str,
    box: str,
    gradient_of: Gradient,
    x: Tensor,
    eps: float,
    step_size: float,
    steps: int,
) -> Tensor:
    x_adv = x
    for _ in range(steps):
        gradient = gradient_of(x_adv if where == "here" else x)
        x_adv = x_adv + sign * step_size * gradient.sign()
        if ball == "x":
            x_adv = x_adv.clamp(x - eps, x + eps)
        if box == "kept":
            x_adv = x_adv.clamp(0, 1)
    return x_adv


def _wavy(x: Tensor) -> Tensor:
    """Return the gradient of a loss with many hills, some of them narrower than a step."""
    place = torch.arange(x.shape[-1], dtype=x.dtype)
    return torch.cos(4 * x + 1.7 * place)


def _case(size: int, n_pixels: int, eps: float, steps: int, seed: int) -> Case:
    given: dict[str, Any] = {
        "gradient_of": _wavy,
        "x": uniform(0, 1, size, n_pixels, seed=seed),
        "eps": eps,
        "step_size": eps / 4,
        "steps": steps,
    }
    return Case(f"With eps = {eps:g} and {steps} steps, ", given, atol=1e-4)


RepairTask(
    "attacks.repair",
    number="5.6",
    title="Repair an attack",
    answer="attack",
    parts=["Your result"],
    places=[_WHERE, _SIGN, _BALL, _BOX],
    version=_ascent,
    begin="Each of them alone makes a network look more robust, or the attack stronger than it is "
    "allowed to be.",
    cases=[_case(6, 10, 0.31, 12, seed=4), _case(3, 5, 0.13, 1, seed=6)],
    praise="The gradient is taken where the attack stands, the step goes uphill, the ball stays "
    "where it was, and the pixels are in [0, 1] after every step.",
)
