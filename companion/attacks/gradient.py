r"""Gradient attacks: one step (fgsm), and many (pgd).

Both are steepest ascent on the loss within the ball of allowed images. They give images of shape
(B, *event), and leave the model, its gradients and modes, and x as they were.

Axes: B batch, `event` the shape of one x.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from companion._require import attacks as require
from companion._require.attacks import Attackable, Images, Loss, Norm, Radius, StepSize
from companion._require.signature import Count, checked
from companion.attacks._objective import Objective, worst_of_starts
from companion.attacks.ball import Ball, ball_around, column
from companion.attacks.losses import cross_entropy


@checked
def fgsm(
    model: Attackable,
    x: Images,
    y: Any,
    *,
    eps: Radius,
    norm: Norm = "linf",
    targeted: bool = False,
    loss: Loss = cross_entropy,
) -> Float[Tensor, " B *event"]:
    r"""Take one step to the edge of the ball: the fast gradient sign method.

    .. math:: x' = x + \epsilon \, \operatorname{sign} \nabla_x \ell(f(x), y)

    This maximizes the linearized loss over the ball exactly. In l2 the step is
    eps times the gradient over its length. The pixels are then brought into [0, 1].

    Args:
        model: what is attacked, a module in evaluation mode or a function of x.
        x: images, shape (B, *event), values in [0, 1].
        y: what `loss` compares the output with: classes, shape (B,), for the losses of
            `companion.attacks.losses`; the target classes if `targeted`.
        eps: radius of the ball, in units of pixels in [0, 1].
        norm: "linf" or "l2".
        targeted: minimize the loss, to reach y, instead of maximizing it, to leave y.
        loss: function of (model(x), y) that gives one number for each example.

    Returns:
        Attacked images, shape (B, *event), without gradient.

    Reference: Goodfellow, Shlens and Szegedy (2015), section 4.

    >>> model = torch.nn.Linear(2, 2).eval()
    >>> x_adv = fgsm(model, torch.full((1, 2), 0.5), torch.tensor([0]), eps=0.25)
    >>> (x_adv - 0.5).abs()
    tensor([[0.2500, 0.2500]])
    """
    objective, ball = Objective(model, x, y, loss, targeted), ball_around(x, eps, norm)
    x_adv = _ascend(objective, ball, ball.x.clone(), steps=1, step_size=eps, momentum=0.0)
    require.require_finite_result(x_adv)
    return x_adv


@checked
def pgd(
    model: Attackable,
    x: Images,
    y: Any,
    *,
    eps: Radius,
    norm: Norm = "linf",
    steps: Count = 40,
    step_size: StepSize = None,
    random_start: bool = True,
    restarts: Count = 1,
    momentum: Radius = 0.0,
    targeted: bool = False,
    loss: Loss = cross_entropy,
    generator: torch.Generator | None = None,
) -> Float[Tensor, " B *event"]:
    r"""Climb the loss by projected steps of steepest ascent: projected gradient descent on -loss.

    .. math:: x^{t+1} = \Pi\left( x^t + \alpha \, d(g^t) \right), \qquad
        d(g) = \operatorname{sign}(g) \text{ in linf}, \quad g / \|g\|_2 \text{ in l2}

    where Pi is `project`, and g the gradient of the loss at x^t; with momentum mu it is
    g^t = mu g^(t-1) + gradient / (l1 norm of the gradient), for each example apart.

    Args:
        model: what is attacked, a module in evaluation mode or a function of x.
        x: images, shape (B, *event), values in [0, 1].
        y: what `loss` compares the output with: classes, shape (B,), for the losses of
            `companion.attacks.losses`; the target classes if `targeted`.
        eps: radius of the ball, in units of pixels in [0, 1].
        norm: "linf" or "l2".
        steps: number of steps, each one forward and one backward pass.
        step_size: alpha, in the units of eps. None takes 2.5 eps / steps, enough to reach the edge
            from every start.
        random_start: start uniformly in the ball (then brought into [0, 1]), not at x.
        restarts: number of random starts. For each example the worst end is kept: the one with the
            largest margin if y are classes and the model gives logits, else with the largest loss.
        momentum: mu, zero or above.
        targeted: minimize the loss, to reach y, instead of maximizing it, to leave y.
        loss: function of (model(x), y) that gives one number for each example.
        generator: source of the starts, on the device of x.

    Returns:
        Attacked images, shape (B, *event), without gradient.

    Reference: Madry et al. (2018), section 2.1; the momentum Dong et al. (2018).

    >>> model = torch.nn.Linear(2, 2).eval()
    >>> x_adv = pgd(model, torch.full((1, 2), 0.5), torch.tensor([0]), eps=0.25, restarts=3)
    >>> (x_adv - 0.5).abs()
    tensor([[0.2500, 0.2500]])
    """
    objective, ball = Objective(model, x, y, loss, targeted), ball_around(x, eps, norm)
    size = 2.5 * eps / steps if step_size is None else step_size
    return worst_of_starts(
        objective,
        ball,
        lambda start: _ascend(objective, ball, start, steps, size, momentum),
        restarts=restarts,
        random_start=random_start,
        generator=generator,
    )


def _ascend(
    objective: Objective, ball: Ball, start: Tensor, steps: int, step_size: float, momentum: float
) -> Tensor:
    x_adv = start
    velocity: Tensor | float = 0.0
    for _ in range(steps):
        gradient = objective.gradient(x_adv)
        if momentum > 0:
            gradient = velocity = _unit_l1(gradient) + momentum * velocity
        x_adv = ball.project(x_adv.add(ball.direction(gradient), alpha=step_size))
    return x_adv


def _unit_l1(gradient: Tensor) -> Tensor:
    size = gradient.flatten(1).abs().sum(1).clamp_min(torch.finfo(gradient.dtype).tiny)
    return gradient / column(size, gradient)
