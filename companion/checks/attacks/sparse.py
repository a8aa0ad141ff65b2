"""Check of the best step in the l1 ball and the box."""

import torch
from torch import Tensor

from companion.checks.authoring import Case, FunctionTask, Slips, uniform


def _room(gradient: Tensor, x: Tensor) -> Tensor:
    """Return how far each pixel can move in the direction that raises the loss."""
    return torch.where(gradient > 0, 1 - x, x) * (gradient != 0)


def _spend(gradient: Tensor, room: Tensor, value: Tensor, eps: float) -> Tensor:
    """Spend eps on the pixels in the order of their value, each up to its room."""
    order = value.argsort(-1, descending=True)
    ordered = room.gather(-1, order)
    before = ordered.cumsum(-1) - ordered
    taken = torch.minimum((eps - before).clamp_min(0), ordered)
    return gradient.sign() * torch.zeros_like(room).scatter(-1, order, taken)


def _step(gradient: Tensor, x: Tensor, eps: float) -> Tensor:
    return _spend(gradient, _room(gradient, x), gradient.abs(), eps)


def _steepest(gradient: Tensor) -> Tensor:
    size = gradient.abs()
    return gradient.sign() * (size == size.amax(-1, keepdim=True))


def _slips(gradient: Tensor, x: Tensor, eps: float) -> Slips:
    right, room = _step(gradient, x, eps), _room(gradient, x)
    size = gradient.abs()
    alone = eps * _steepest(gradient)
    scaled = eps * gradient / size.sum(-1, keepdim=True)
    together = _step(gradient.reshape(1, -1), x.reshape(1, -1), eps).reshape(x.shape)
    return {
        "You spent everything on the steepest pixel, beyond the box: it leaves [0, 1].": alone,
        "The steepest pixel stops at the edge of the box, and the rest of eps is not spent. Give "
        "it to the next one.": (x + alone).clamp(0, 1) - x,
        "You shared eps among all pixels. A pixel with a smaller derivative returns less for the "
        "same spending.": [
            gradient.sign() * eps / x.shape[-1],
            (x + gradient.sign() * eps / x.shape[-1]).clamp(0, 1) - x,
            scaled,
            (x + scaled).clamp(0, 1) - x,
        ],
        "You moved every pixel by eps: that is the linf ball.": [
            eps * gradient.sign(),
            (x + eps * gradient.sign()).clamp(0, 1) - x,
        ],
        "That is the step of the l2 ball.": [
            eps * gradient / gradient.norm(dim=-1, keepdim=True),
            (x + eps * gradient / gradient.norm(dim=-1, keepdim=True)).clamp(0, 1) - x,
        ],
        "You ordered the pixels by derivative times room. What counts is the return for each unit "
        "spent: the derivative alone.": _spend(gradient, room, size * room, eps),
        "You ordered the pixels by the derivative with its sign. A pixel with a negative one helps "
        "as much, if it moves down.": _spend(gradient, room, gradient, eps),
        "Your step goes downhill: a pixel with a positive derivative has to get brighter.": _step(
            -gradient, x, eps
        ),
        "You return the changed images. Return the change.": x + right,
        "You spent one eps on the whole batch. Each image has its own.": together,
        "You begin with the flattest pixel.": _spend(gradient, room, -size, eps),
    }


def _case(size: int, n_pixels: int, eps: float, seed: int, remark: str = "") -> Case:
    given = {
        "gradient": uniform(-2, 2, size, n_pixels, seed=seed),
        "x": uniform(0, 1, size, n_pixels, seed=seed + 1),
        "eps": eps,
    }
    return Case(f"With B = {size}, P = {n_pixels} and eps = {eps:g}, ", given, remark=remark)


def _with_zeros() -> Case:
    gradient = uniform(-2, 2, 3, 8, seed=30)
    gradient[:, ::2] = 0
    given = {"gradient": gradient, "x": uniform(0, 1, 3, 8, seed=31), "eps": 9.0}
    remark = "Half of the derivatives are 0 there, and eps is more than can be spent."
    return Case("With zeros in the gradient, ", given, remark=remark)


FunctionTask(
    "attacks.l1_step",
    number="5.2",
    title="One step in the l1 ball",
    answer="l1_step",
    parts=["Your change"],
    reference=_step,
    slips=_slips,
    cases=[
        _case(4, 9, 1.7, seed=1),
        _case(3, 20, 0.05, seed=3, remark="There eps is so small that one pixel takes it all."),
        _case(2, 5, 9.0, seed=5, remark="There eps is more than the box lets you spend."),
        _with_zeros(),
    ],
    praise="A few pixels go all the way to black or white, one stops in between, and the others "
    "stay. That is what l1 attacks look like.",
)
