r"""How often a classifier is right: without attack, under each attack, and under the worst one.

Axes: N examples, A attacks, K classes, `event` the shape of one x.
"""

import math
from collections.abc import Callable, Mapping
from statistics import NormalDist
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from companion._require import robustness as require
from companion._require.attacks import (
    Attackable,
    Images,
    Norm,
    require_labels,
    warn_of_training_mode,
)
from companion._require.labels import require_classes
from companion._require.signature import Count, checked


class Proportion(NamedTuple):
    """A share of n examples, and its 95 % interval by Wilson (or of another confidence)."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.2%} [{self.low:.2%}, {self.high:.2%}], n = {self.n}"


def wilson_interval(n_successes: int, n: int, *, confidence: float = 0.95) -> Proportion:
    r"""Return a proportion and Wilson's interval for the probability behind it.

    .. math:: \frac{1}{1 + z^2/n} \left( \hat p + \frac{z^2}{2n}
        \pm z \sqrt{\frac{\hat p (1 - \hat p)}{n} + \frac{z^2}{4n^2}} \right)

    Unlike the mean plus and minus two standard errors it never leaves [0, 1], and it has a width
    where all or none succeed, as accuracies under attack often do.

    Args:
        n_successes: how many succeeded, from 0 to n.
        n: of how many.
        confidence: the share of such intervals that hold the probability, between 0 and 1.

    Returns:
        `Proportion(value, low, high, n)`, numbers in [0, 1].

    Reference: Wilson (1927).

    >>> print(wilson_interval(0, 100))
    0.00% [0.00%, 3.70%], n = 100
    """
    require.require_share(n_successes, n, confidence)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    p = n_successes / n
    center = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * math.sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2) / (1 + z**2 / n)
    return Proportion(p, max(center - half, 0.0), min(center + half, 1.0), n)


def accuracy(
    model: Attackable,
    x: Float[Tensor, " N *event"],
    y: Int[Tensor, " N"],
    *,
    batch_size: Count = 1_000,
) -> Proportion:
    r"""Return the share of examples whose largest logit is that of their class.

    .. math:: \frac1N \sum_n 1[\arg\max_k f_k(x_n) = y_n]

    Args:
        model: a classifier in evaluation mode, a module or a function of x that gives logits.
        x: images, shape (N, *event).
        y: classes, whole numbers, shape (N,).
        batch_size: number of examples that pass through the model at a time.

    Returns:
        `Proportion(value, low, high, n)`.

    >>> accuracy(lambda x: x, torch.eye(4), torch.tensor([0, 1, 2, 0])).value
    0.75
    """
    return robust_accuracy(model, x, y, {}, batch_size=batch_size).clean


class RobustAccuracy(NamedTuple):
    """Accuracy without attack, under each attack, and under the worst one for each example."""

    clean: Proportion
    attacks: dict[str, Proportion]
    worst: Proportion
    correct: Bool[Tensor, "A N"]  # the first row without attack, then one for each attack


@checked
def robust_accuracy(
    model: Attackable,
    x: Images,
    y: Any,
    attacks: Mapping[str, Callable[..., Tensor]],
    *,
    eps: float | None = None,
    norm: Norm = "linf",
    batch_size: Count = 1_000,
) -> RobustAccuracy:
    r"""Return the share of examples that no attack changes the class of.

    .. math:: \frac1N \sum_n \min_a 1[\arg\max_k f_k(x_n^a) = y_n],

    where x_n^a is the image that attack a returns; x_n itself is one of them. The minimum is taken
    for each example: the smallest of the attacks' accuracies would be too high, because different
    attacks break different examples.

    Args:
        model: a classifier in evaluation mode, a module or a function of x that gives logits.
        x: images, shape (N, *event), values in [0, 1].
        y: classes, whole numbers, shape (N,).
        attacks: named functions (model, x, y) -> x_adv; functools.partial fixes their options.
        eps: if given, an image farther away than eps is refused. Pixels outside [0, 1] always are.
        norm: the norm of eps, "linf" or "l2".
        batch_size: number of examples that are attacked at a time.

    Returns:
        `RobustAccuracy(clean, attacks, worst, correct)`; `correct` tells which attack broke what.

    Reference: Carlini et al. (2019), section 5.6, on the worst case of each example.

    >>> from companion.attacks import pgd
    >>> from functools import partial
    >>> attacks = {"pgd": partial(pgd, eps=0.3, random_start=False)}
    >>> print(robust_accuracy(lambda x: 9 * x, torch.eye(2), torch.arange(2), attacks).worst.value)
    1.0
    """
    require.require_attacks(attacks)
    warn_of_training_mode(model)
    require_classes(y=y)
    require.require_one_each(x, y)
    rows = []
    for images, labels in zip(x.split(batch_size), y.split(batch_size), strict=True):
        candidates = [images]
        for name, attack in attacks.items():
            x_adv = attack(model, images, labels)
            require.require_allowed(name, x_adv, images, eps, norm)
            candidates.append(x_adv)
        rows.append(torch.stack([_is_correct(model, image, labels) for image in candidates]))
    correct = torch.cat(rows, dim=1)
    clean, *attacked = map(_share, correct)
    named = dict(zip(attacks, attacked, strict=True))
    return RobustAccuracy(clean, named, _share(correct.all(0)), correct)


@torch.no_grad()
def _is_correct(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    logits = model(x)
    require_labels(logits, y)
    return logits.argmax(-1) == y


def _share(correct: Tensor) -> Proportion:
    return wilson_interval(int(correct.sum()), len(correct))
