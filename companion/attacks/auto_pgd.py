r"""Auto-PGD: projected ascent that chooses its own step size.

Axes: B batch, `event` the shape of one x.
"""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from companion._require.attacks import Attackable, Images, Loss, Norm, Radius
from companion._require.signature import Count, checked
from companion.attacks._objective import Objective, Point, worst_of_starts
from companion.attacks.ball import Ball, ball_around, column
from companion.attacks.losses import cross_entropy

_MOMENTUM = 0.25  # the weight of the last move; the paper's alpha is one minus this
_RISES = 0.75  # the share of steps of an interval that must raise the loss


@checked
def auto_pgd(
    model: Attackable,
    x: Images,
    y: Any,
    *,
    eps: Radius,
    norm: Norm = "linf",
    steps: Count = 100,
    random_start: bool = True,
    restarts: Count = 1,
    targeted: bool = False,
    loss: Loss = cross_entropy,
    generator: torch.Generator | None = None,
) -> Float[Tensor, " B *event"]:
    r"""Climb the loss with momentum, and halve the step size of each example that gets nowhere.

    .. math:: z = \Pi(x^t + \eta \, d(g^t)), \qquad
        x^{t+1} = \Pi\left( x^t + 0.75 (z - x^t) + 0.25 (x^t - x^{t-1}) \right)

    Steps begin at eta = 2 eps. At the end of each interval eta is halved, and the climb goes on
    from the best point so far, if fewer than three quarters of the steps raised the loss, or if
    neither eta nor the best loss has changed since the last interval.

    Args:
        model: what is attacked, a module in evaluation mode or a function of x.
        x: images, shape (B, *event), values in [0, 1].
        y: what `loss` compares the output with: classes, shape (B,), for the losses of
            `companion.attacks.losses`; the target classes if `targeted`.
        eps: radius of the ball, in units of pixels in [0, 1].
        norm: "linf" or "l2".
        steps: number of steps, each one forward and one backward pass, and one more at the start.
        random_start: start uniformly in the ball (then brought into [0, 1]), not at x.
        restarts: number of random starts.
        targeted: minimize the loss, to reach y, instead of maximizing it, to leave y.
        loss: function of (model(x), y) that gives one number for each example.
        generator: source of the starts, on the device of x.

    Returns:
        The worst image of all steps and starts for each example, as in `pgd`: shape (B, *event).

    Reference: Croce and Hein (2020), who call it APGD.

    >>> model = torch.nn.Linear(2, 2).eval()
    >>> x_adv = auto_pgd(model, torch.full((1, 2), 0.5), torch.tensor([0]), eps=0.25)
    >>> (x_adv - 0.5).abs()
    tensor([[0.2500, 0.2500]])
    """
    objective, ball = Objective(model, x, y, loss, targeted), ball_around(x, eps, norm)
    return worst_of_starts(
        objective,
        ball,
        lambda start: _climb(objective, ball, start, steps),
        restarts=restarts,
        random_start=random_start,
        generator=generator,
    )


def intervals(steps: int) -> Iterator[int]:
    """Yield the numbers of steps after which step sizes are reconsidered.

    The first is 22 % of all steps; each next one is 3 % shorter, down to 6 %.

    >>> list(intervals(100))
    [22, 19, 16, 13, 10, 7, 6, 6, 1]
    """
    length, shorter, least = (max(int(share * steps), 1) for share in (0.22, 0.03, 0.06))
    while steps > 0:
        yield min(length, steps)
        steps -= length
        length = max(length - shorter, least)


def _climb(objective: Objective, ball: Ball, start: Tensor, steps: int) -> Tensor:
    here = best = kept = objective(start)
    previous, loss = start, here.loss  # the image and the loss of the step before
    size = 2 * ball.eps * torch.ones_like(loss)
    halved = torch.ones_like(loss, dtype=torch.bool)
    for length in intervals(steps):
        rises, best_before = torch.zeros_like(loss), best.loss
        for _ in range(length):
            then = objective(_move(ball, here, previous, size))
            rises += then.loss > loss
            previous, here, loss = here.x, then, then.loss
            best = _choose(then.loss > best.loss, then, best)
            kept = _choose(then.badness > kept.badness, then, kept)
        stuck = ~halved & (best.loss <= best_before)
        halved = (rises <= _RISES * length) | stuck
        size = torch.where(halved, size / 2, size)
        here = _choose(halved, best, here)
    return kept.x


def _move(ball: Ball, here: Point, previous: Tensor, size: Tensor) -> Tensor:
    direction = ball.direction(here.gradient)
    pushed = ball.project(here.x + column(size, direction) * direction)
    if previous is here.x:  # at the start there is no last move
        return pushed
    move = (1 - _MOMENTUM) * (pushed - here.x) + _MOMENTUM * (here.x - previous)
    return ball.project(here.x + move)


def _choose(mask: Tensor, one: Point, other: Point) -> Point:
    """Take, for each example, all of one point or all of the other."""
    return Point(*(torch.where(column(mask, a), a, b) for a, b in zip(one, other, strict=True)))
