r"""What a classifier is trained on: images as they are, or as an attacker would choose them.

Each class wraps a classifier. Its `forward(x, y, generator=...)` returns `Scored`, whose field
`loss` is minimized: `fit(..., loss=lambda scored: scored.loss)`. Gradients for the inner attack are
taken with respect to the images alone, so nothing is left on the weights.

Axes: B batch, K classes, `event` the shape of one x.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from companion._require.attacks import Images, Radius
from companion._require.signature import Count, Module, Number, checked
from companion.attacks.ball import LinfBall

Labels = Int[Tensor, " B"]


class Scored(NamedTuple):
    """The training loss of each example, and whether the classifier errs (1) or not (0)."""

    loss: Float[Tensor, " B"]
    error: Float[Tensor, " B"]


class StandardTraining(nn.Module):
    r"""Minimize the cross-entropy on the images as they are.

    .. math:: \min_\theta \; E \left[ -\log p_\theta(y \mid x) \right]

    Args:
        model: gives logits, shape (B, K).

    >>> from companion.classifiers import MLPClassifier
    >>> model = StandardTraining(MLPClassifier((1, 2, 2), 3))
    >>> model(torch.zeros(5, 1, 2, 2), torch.tensor([0, 1, 2, 0, 1])).loss.shape
    torch.Size([5])
    """

    @checked
    def __init__(self, model: Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Images, y: Labels, *, generator: torch.Generator | None = None) -> Scored:
        """Return loss and error of each example, shapes (B,)."""
        logits = self.model(x)
        return Scored(F.cross_entropy(logits, y, reduction="none"), _error(logits, y))


class FGSMTraining(nn.Module):
    r"""Minimize the cross-entropy on images that one gradient step has moved.

    .. math:: \delta = \operatorname{clip}_{[-\epsilon, \epsilon]} \left( \delta_0
        + \alpha \operatorname{sign} \nabla_x \ell(x + \delta_0, y) \right)

    With `random_start` the first point \delta_0 is uniform in the ball. It is not brought into
    [0, 1] before the gradient is taken: else half of the black pixels would start at 0.

    Args:
        model: gives logits, shape (B, K).
        eps: radius of the linf ball, in units of pixels in [0, 1].
        step_size: alpha; 1.25 eps in the paper.
        random_start: else \delta_0 = 0, which is the training of Goodfellow et al. (2015).

    Reference: Wong, Rice and Kolter (2020).

    >>> from companion.classifiers import MLPClassifier
    >>> model = FGSMTraining(MLPClassifier((1, 2, 2), 3), eps=0.1, step_size=0.125)
    >>> model(torch.zeros(5, 1, 2, 2), torch.tensor([0, 1, 2, 0, 1])).error.shape
    torch.Size([5])
    """

    @checked
    def __init__(
        self, model: Module, eps: Radius, step_size: Radius, random_start: bool = True
    ) -> None:
        super().__init__()
        self.model = model
        self.eps = eps
        self.step_size = step_size
        self.random_start = random_start

    def forward(self, x: Images, y: Labels, *, generator: torch.Generator | None = None) -> Scored:
        """Return loss and error of each example, both on the moved images, shapes (B,)."""
        ball = LinfBall(x, self.eps)
        noise = ball.offset(generator) if self.random_start else torch.zeros_like(x)
        gradient = _gradient(
            self.model, partial(F.cross_entropy, target=y, reduction="sum"), x + noise
        )
        change = (noise + self.step_size * gradient.sign()).clamp(-self.eps, self.eps)
        logits = self.model((x + change).clamp(0, 1))
        return Scored(F.cross_entropy(logits, y, reduction="none"), _error(logits, y))


class TRADES(nn.Module):
    r"""Trade accuracy against robustness: cross-entropy on x, and stability around it.

    .. math:: \min_\theta \; E \left[ -\log p_\theta(y \mid x) + \beta \max_{\|x' - x\|_\infty
        \le \epsilon} \mathrm{KL}\left( p_\theta(\cdot \mid x) \,\|\, p_\theta(\cdot \mid x')
        \right) \right]

    The inner maximum is approached by projected steps from a random start. During the first
    `warm_up` training steps the radius grows from 0.05 eps to eps: from a random network the full
    ball leaves nothing to learn from.

    Args:
        model: gives logits, shape (B, K).
        eps: radius of the linf ball, in units of pixels in [0, 1].
        steps: number of steps of the inner attack, of size 2.5 eps / steps.
        beta: weight of the second term.
        warm_up: number of training steps until the radius is eps.

    Reference: Zhang et al. (2019).

    >>> from companion.classifiers import MLPClassifier
    >>> model = TRADES(MLPClassifier((1, 2, 2), 3), eps=0.1, steps=2, beta=4.0)
    >>> model(torch.zeros(5, 1, 2, 2), torch.tensor([0, 1, 2, 0, 1])).loss.shape
    torch.Size([5])
    """

    step: Tensor

    @checked
    def __init__(
        self, model: Module, eps: Radius, steps: Count, beta: Number, warm_up: int = 0
    ) -> None:
        super().__init__()
        self.model = model
        self.eps = eps
        self.steps = steps
        self.beta = beta
        self.warm_up = warm_up
        # A buffer: it resumes with the checkpoint, and a captured graph counts on.
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Images, y: Labels, *, generator: torch.Generator | None = None) -> Scored:
        """Return loss and error (on x) of each example, shapes (B,)."""
        logits = self.model(x)
        moved = self._attack(x, logits.detach().log_softmax(1), generator)
        stability = _kl(logits.log_softmax(1), self.model(moved)).sum(1)
        loss = F.cross_entropy(logits, y, reduction="none") + self.beta * stability
        return Scored(loss, _error(logits, y))

    def _attack(self, x: Tensor, target: Tensor, generator: torch.Generator | None) -> Tensor:
        eps = self._radius().to(x)
        ball = LinfBall(x, eps)
        moved = ball.start(generator)
        for _ in range(self.steps):
            gradient = _gradient(self.model, lambda z: _kl(target, z).sum(), moved)
            moved = ball.project(moved + 2.5 / self.steps * eps * ball.direction(gradient))
        return moved

    def _radius(self) -> Tensor:
        if not self.training or self.warm_up == 0:
            return torch.full_like(self.step, self.eps, dtype=torch.float32)
        radius = self.eps * (0.05 + self.step / self.warm_up).clamp(max=1)
        self.step += 1
        return radius


def _kl(log_p: Tensor, logits: Tensor) -> Tensor:
    return F.kl_div(logits.log_softmax(1), log_p, reduction="none", log_target=True)


def _gradient(model: nn.Module, objective: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return the gradient of an objective of the logits with respect to x.

    Unlike an attack's, it warns of nothing: the model is in training mode on purpose.
    """
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(objective(model(leaf)), leaf)
    return gradient


def _error(logits: Tensor, y: Tensor) -> Tensor:
    return (logits.detach().argmax(1) != y).to(logits.dtype)
