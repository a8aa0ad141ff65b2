r"""Attacks without gradients, against which every gradient attack must be compared.

Where one of them finds what a gradient attack missed, the gradient attack is broken, or the model
hides its gradients.

Axes: B batch, `event` the shape of one x.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from companion._require.attacks import Attackable, Images, Loss, Norm, Radius
from companion._require.signature import Count, checked
from companion.attacks._objective import Objective, worst
from companion.attacks.ball import Ball, ball_around
from companion.attacks.losses import cross_entropy


@checked
def random_noise(
    model: Attackable,
    x: Images,
    y: Any,
    *,
    eps: Radius,
    norm: Norm = "linf",
    n_samples: Count = 100,
    targeted: bool = False,
    loss: Loss = cross_entropy,
    generator: torch.Generator | None = None,
) -> Float[Tensor, " B *event"]:
    r"""Keep the worst of several points drawn uniformly from the ball.

    .. math:: x' = \arg\max_s \ell(f(x_s), y), \qquad x_s \sim U(\text{ball}), \; s = 1, \dots, S

    Args:
        model: what is attacked, a module in evaluation mode or a function of x.
        x: images, shape (B, *event), values in [0, 1].
        y: what `loss` compares the output with, as in `pgd`.
        eps: radius of the ball, in units of pixels in [0, 1].
        norm: "linf" or "l2".
        n_samples: the number S of points, each one forward pass.
        targeted: minimize the loss instead of maximizing it.
        loss: function of (model(x), y) that gives one number for each example. If y are classes and
            the model gives logits, the margin decides, as in `pgd`.
        generator: source of the points, on the device of x.

    Returns:
        Images, shape (B, *event), without gradient.

    Reference: Carlini et al. (2019), section 4.11, on random search as a test of other attacks.

    >>> model = torch.nn.Linear(2, 2).eval()
    >>> x_adv = random_noise(model, torch.full((1, 2), 0.5), torch.tensor([0]), eps=0.25)
    >>> (x_adv - 0.5).abs().max() <= 0.25
    tensor(True)
    """
    objective, ball = Objective(model, x, y, loss, targeted), ball_around(x, eps, norm)
    return _worst_of(objective, ball, n_samples, lambda: ball.offset(generator))


@checked
def random_corners(
    model: Attackable,
    x: Images,
    y: Any,
    *,
    eps: Radius,
    norm: Norm = "linf",
    n_samples: Count = 100,
    targeted: bool = False,
    loss: Loss = cross_entropy,
    generator: torch.Generator | None = None,
) -> Float[Tensor, " B *event"]:
    r"""Keep the worst of several random points at the full distance eps.

    .. math:: x' = \arg\max_s \ell(f(x_s), y), \qquad
        \text{linf: } x_s \in \{x - \epsilon, x + \epsilon\}^n, \quad
        \text{l2: } \|x_s - x\|_2 = \epsilon

    In linf these are corners of the cube, where a linear model has its worst case. Noise of the
    same size is milder: a pixel changes by eps / 2 in the mean. Pixels are brought into [0, 1].

    Args:
        model: what is attacked, a module in evaluation mode or a function of x.
        x: images, shape (B, *event), values in [0, 1].
        y: what `loss` compares the output with, as in `pgd`.
        eps: radius of the ball, in units of pixels in [0, 1].
        norm: "linf" or "l2".
        n_samples: the number S of points, each one forward pass.
        targeted: minimize the loss instead of maximizing it.
        loss: function of (model(x), y) that gives one number for each example. If y are classes and
            the model gives logits, the margin decides, as in `pgd`.
        generator: source of the points, on the device of x.

    Returns:
        Images, shape (B, *event), without gradient.

    >>> model = torch.nn.Linear(2, 2).eval()
    >>> x_adv = random_corners(model, torch.full((1, 2), 0.5), torch.tensor([0]), eps=0.25)
    >>> (x_adv - 0.5).abs()
    tensor([[0.2500, 0.2500]])
    """
    objective, ball = Objective(model, x, y, loss, targeted), ball_around(x, eps, norm)
    return _worst_of(objective, ball, n_samples, lambda: ball.corner(generator))


def _worst_of(objective: Objective, ball: Ball, n: int, offset: Callable[[], Tensor]) -> Tensor:
    points = (ball.project(ball.x + offset()) for _ in range(n))
    return worst(points, objective.badness)
