"""Check of the nearest allowed image."""

import torch
from torch import Tensor

from companion.checks.authoring import Case, FunctionTask, Slips, uniform


def _shrunk(u: Tensor, x: Tensor, eps: float) -> Tensor:
    """Bring u into the ball alone."""
    length = (u - x).norm(dim=-1, keepdim=True).clamp_min(1e-12)
    return x + (u - x) * (eps / length).clamp_max(1)


def _cut(u: Tensor, x: Tensor, scale: Tensor) -> Tensor:
    return (x + scale * (u - x)).clamp(0, 1)


def _nearest(u: Tensor, x: Tensor, eps: float) -> Tensor:
    """Find the largest scale of u - x at which the clipped image is in the ball, by bisection."""
    low = torch.zeros_like(x[..., :1])
    high = torch.ones_like(low)
    for _ in range(60):
        middle = (low + high) / 2
        inside = (_cut(u, x, middle) - x).norm(dim=-1, keepdim=True) <= eps
        low, high = torch.where(inside, middle, low), torch.where(inside, high, middle)
    return _cut(u, x, high)


def _slips(u: Tensor, x: Tensor, eps: float) -> Slips:
    one = (eps / (u - x).norm()).clamp_max(1)
    return {
        "That is the ball first and then the box. It is allowed, but it shrinks u more than it has "
        "to: after the clipping there is room left in the ball.": _shrunk(u, x, eps).clamp(0, 1),
        "That is the box first and then the ball. It is allowed, but there is a nearer image. "
        "Which pixels did the shrinking pull away from the edge of the box without need?": _shrunk(
            u.clamp(0, 1), x, eps
        ),
        "Your images are in the ball, but not in the box.": _shrunk(u, x, eps),
        "Your images are in the box, but not in the ball.": u.clamp(0, 1),
        "That is the linf ball: you limited each pixel, not the length.": [
            u.clamp(x - eps, x + eps),
            u.clamp(x - eps, x + eps).clamp(0, 1),
        ],
        "You measured one length for the whole batch. Each image has its own.": [
            _cut(u, x, one),
            _shrunk(u.reshape(1, -1), x.reshape(1, -1), eps).reshape(x.shape),
        ],
        "You return the change, not the image.": _nearest(u, x, eps) - x,
    }


def _images(size: int, n_pixels: int, reach: float, seed: int) -> tuple[Tensor, Tensor]:
    x = uniform(0, 1, size, n_pixels, seed=seed)
    return x + uniform(-reach, reach, size, n_pixels, seed=seed + 1), x


def _case(size: int, n_pixels: int, eps: float, reach: float, seed: int) -> Case:
    u, x = _images(size, n_pixels, reach, seed)
    setting = f"With B = {size}, P = {n_pixels} and eps = {eps:g}, "
    return Case(setting, {"u": u, "x": x, "eps": eps}, rtol=1e-4, atol=1e-3)


def _inside() -> Case:
    """Images that are in the ball already, where only the box is to be met."""
    u, x = _images(3, 8, 0.3, 14)
    outward = (u - x).double()
    pushed = x + 2.0 * outward / outward.norm(dim=-1, keepdim=True)
    hint = "An image that is in the ball already needs no other length: only the box is to be met."
    wrong = [pushed, pushed.clamp(0, 1), _nearest(x + 20 * outward, x.double(), 2.0)]
    return Case(
        "With u in the ball, ",
        {"u": u, "x": x, "eps": 2.0},
        rtol=1e-4,
        atol=1e-3,
        slips={hint: wrong},
        remark=hint,
    )


FunctionTask(
    "attacks.nearest",
    number="5.3",
    title="The nearest allowed image",
    answer="nearest",
    parts=["Your image"],
    reference=_nearest,
    slips=_slips,
    cases=[
        _case(5, 12, 0.6, 0.9, seed=10),
        _case(4, 30, 1.5, 2.5, seed=12),
        _inside(),
    ],
    praise="Shrinking and clipping at once is the exact projection. The companion, like Foolbox, "
    "shrinks and then clips; ART clips and then shrinks. Both give allowed images, and different "
    "ones: compare attacks in l2 only after you have looked at this line.",
)
