"""What an attack climbs: the loss of the model's output as a function of x, with its gradient.

Axes: S samples of a random model (leading), B batch, `event` the shape of one x.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor

from companion._require import attacks as require
from companion._require.arguments import without_value_checks
from companion.attacks.ball import Ball, column
from companion.attacks.losses import margin


class Point(NamedTuple):
    """Images, and what the objective says of them: loss (B,), gradient, and badness (B,)."""

    x: Tensor
    loss: Tensor
    gradient: Tensor
    badness: Tensor


class Objective:
    """The loss that an attack maximizes; for a targeted attack, minus the loss.

    It touches neither the model's parameters nor its modes, so there is nothing to put back: the
    gradient is taken with respect to a fresh leaf alone, by `torch.autograd.grad`. Values are
    checked at the first call only. A check reads from the device, and makes it wait.
    """

    def __init__(
        self,
        model: Callable[[Tensor], Any],
        x: Tensor,
        y: Any,
        loss: Callable[[Any, Any], Tensor],
        targeted: bool,
    ) -> None:
        require.require_like_model(model, x)
        require.warn_of_training_mode(model)
        self.model, self.y, self.loss = model, y, loss
        self.sign = -1.0 if targeted else 1.0
        self.called = False

    def gradient(self, x: Tensor) -> Tensor:
        """Return the gradient of the summed loss with respect to x."""
        return self._passes(x)[2]

    def __call__(self, x: Tensor) -> Point:
        """Return loss, gradient and badness at x, by one forward and one backward pass."""
        output, losses, gradient = self._passes(x)
        return Point(x, self.sign * losses, gradient, self._badness(output, losses))

    @torch.no_grad()
    def badness(self, x: Tensor) -> Tensor:
        """Return how bad images are: for a classifier the margin, above zero if it errs.

        The loss does not tell: an image with the higher cross-entropy may still be classified right
        where one with the lower is not. If y are no classes, badness is the loss.
        """
        with self._checks():
            output = self.model(x)
            losses = self._losses(output, len(x))
        return self._badness(output, losses)

    def _passes(self, x: Tensor) -> tuple[Any, Tensor, Tensor]:
        with torch.enable_grad(), self._checks():
            leaf = x.detach().requires_grad_()
            output = self.model(leaf)
            losses = self._losses(output, len(x))
            require.require_path(losses.requires_grad)
            (gradient,) = torch.autograd.grad(losses.sum(), leaf, allow_unused=True)
            require.require_path(gradient is not None)
            require.require_usable(gradient)
        return output, losses.detach(), -gradient if self.sign < 0 else gradient

    @contextmanager
    def _checks(self) -> Iterator[None]:
        with without_value_checks() if self.called else nullcontext():
            yield
        self.called = True

    def _losses(self, output: Any, n: int) -> Tensor:
        losses = self.loss(output, self.y)
        require.require_losses(losses, n)
        return losses.mean(0) if losses.dim() == 2 else losses

    @torch.no_grad()
    def _badness(self, output: Any, losses: Tensor) -> Tensor:
        if not _are_classes(output, self.y):
            return self.sign * losses.detach()
        with without_value_checks():
            margins = margin(output, self.y)
        return self.sign * (margins.mean(0) if margins.dim() == 2 else margins)


def _are_classes(output: Any, y: Any) -> bool:
    return (
        isinstance(output, Tensor)
        and isinstance(y, Tensor)
        and not y.is_floating_point()
        and output.dim() >= 2
        and y.shape == output.shape[-2:-1]
        and output.shape[-1] >= 2
    )


def worst(candidates: Iterable[Tensor], badness: Callable[[Tensor], Tensor]) -> Tensor:
    """Return, for each example, the candidate of the largest badness; the earliest of equals."""
    rest = iter(candidates)
    kept = next(rest)
    score = badness(kept)
    for x_adv in rest:
        found = badness(x_adv)
        worse = found > score
        kept = torch.where(column(worse, x_adv), x_adv, kept)
        score = torch.where(worse, found, score)
    return kept


def worst_of_starts(
    objective: Objective,
    ball: Ball,
    climb: Callable[[Tensor], Tensor],
    *,
    restarts: int,
    random_start: bool,
    generator: torch.Generator | None,
) -> Tensor:
    """Climb from each start, and keep the worst end for each example."""
    require.require_restarts(restarts, random_start)
    starts = (ball.start(generator) if random_start else ball.x.clone() for _ in range(restarts))
    ends = map(climb, starts)
    x_adv = worst(ends, objective.badness) if restarts > 1 else next(ends)
    require.require_finite_result(x_adv)
    return x_adv
