r"""Red flags: signs that an evaluation of robustness tells less than it seems to.

Each flag compares attacks on the same examples, or looks at the gradient that they follow. A raised
flag proves that the attack missed something. No flag proves nothing: it means that the usual
faults are absent.

Axes: N examples, K classes, `event` the shape of one x.
"""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from companion._require.attacks import (
    Attackable,
    Images,
    Radius,
    require_labels,
    warn_of_training_mode,
)
from companion._require.labels import require_classes
from companion._require.robustness import require_allowed
from companion._require.signature import Count, checked
from companion.attacks.gradient import fgsm, pgd
from companion.attacks.losses import cross_entropy, margin

LEVEL = 0.01  # a comparison counts if chance alone would give it less often than this
MANY = 0.01  # the share of exactly zero gradients that is too large
GRAY = 0.5  # with this limit in linf every image can become the same gray one


class RedFlag(NamedTuple):
    """A sign of a broken evaluation: its name, whether it is raised, and the numbers."""

    name: str
    raised: bool
    evidence: str


@checked
def red_flags(
    model: Attackable,
    x: Images,
    y: Any,
    *,
    eps: Radius,
    elsewhere: Mapping[str, Tensor] | None = None,
    steps: Count = 20,
    generator: torch.Generator | None = None,
) -> list[RedFlag]:
    r"""Examine an evaluation by PGD in linf, and say which signs of a fault it shows.

    Two attacks are compared on the same examples. If one breaks a that the other leaves, and the
    other b that the one leaves, then "finds more" means that a would be as large in less than 1 %
    of tosses of a + b fair coins (a sign test).

    Args:
        model: a classifier in evaluation mode, a module or a function of x that gives logits.
        x: images, shape (N, *event), values in [0, 1]; a hundred show large faults.
        y: classes, whole numbers, shape (N,).
        eps: the limit of the evaluation in linf, in units of pixels in [0, 1].
        elsewhere: images, shape (N, *event), within the same limit, that were found without this
            model's gradients: by queries, by noise, or on another network.
        steps: the steps of PGD that the evaluation uses.
        generator: source of the random starts, on the device of x.

    Returns:
        One `RedFlag(name, raised, evidence)` for each sign, always in the same order.

    Reference: Athalye, Carlini and Wagner (2018), section 3.1; Carlini et al. (2019).

    >>> x, y = torch.eye(4), torch.arange(4)
    >>> flags = red_flags(lambda x: 9 * x.round(), x, y, eps=0.1)
    >>> [flag.name for flag in flags if flag.raised]
    ['zero gradients', 'right at eps 0.5']
    """
    warn_of_training_mode(model)
    require_classes(y=y)
    for name, images in (elsewhere or {}).items():
        require_allowed(name, images, x, eps, "linf")
    first, second = (_gradient(model, x, y) for _ in range(2))
    # Without a gradient no attack that follows it can move.
    climb = partial(pgd, model, x, y, generator=generator) if first is not None else _stay(x)
    step = partial(fgsm, model, x, y) if first is not None else _stay(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what an attack would warn of is a flag here
        found = {
            "many": climb(eps=eps, steps=steps),
            "one": step(eps=eps),
            "margin": climb(eps=eps, steps=steps, loss=margin),
            "longer": climb(eps=eps, steps=3 * steps),
            "gray": climb(eps=GRAY, steps=steps),
        }
    found |= {f"elsewhere: {name}": images for name, images in (elsewhere or {}).items()}
    with torch.no_grad():
        broken = {name: model(images).argmax(-1) != y for name, images in found.items()}
    return [*_of_gradients(first, second), *_of_comparisons(broken), _at_gray(broken["gray"], y)]


def _stay(x: Tensor) -> Callable[..., Tensor]:
    return lambda **options: x


def _gradient(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor | None:
    """Return the gradient of the loss, shape (N, event), or None if none reaches x."""
    with torch.enable_grad():
        leaf = x.detach().clone().requires_grad_()
        logits = model(leaf)
        require_labels(logits, y)
        loss = cross_entropy(logits, y).sum()
        if not loss.requires_grad:
            return None
        (gradient,) = torch.autograd.grad(loss, leaf, allow_unused=True)
    return None if gradient is None else gradient.flatten(1)


def _of_gradients(first: Tensor | None, second: Tensor | None) -> Iterator[RedFlag]:
    zero, moved = 0.0, 0.0
    if first is not None and second is not None:
        zero = (first == 0).all(1).double().mean().item()
        moved = (first.sign() != second.sign()).double().mean().item()
    yield RedFlag("no gradient", first is None, "none reaches x" if first is None else "there")
    yield RedFlag("zero gradients", zero > MANY, f"{zero:.0%}")
    yield RedFlag("random gradients", moved > MANY, f"{moved:.0%} of signs")


def _of_comparisons(broken: Mapping[str, Tensor]) -> Iterator[RedFlag]:
    many = broken["many"]
    yield _finds_more("one step finds more", broken["one"], many)
    for name, found in broken.items():
        if name.startswith("elsewhere: "):
            yield _finds_more(f"{name.removeprefix('elsewhere: ')} finds more", found, many)
    yield _finds_more("another loss finds more", broken["margin"], many)
    yield _finds_more("more steps find more", broken["longer"], many)


def _finds_more(name: str, one: Tensor, other: Tensor) -> RedFlag:
    """Compare two attacks on the same examples by a sign test."""
    a, b = int((one & ~other).sum()), int((other & ~one).sum())
    chance = sum(math.comb(a + b, k) for k in range(a, a + b + 1)) / 2 ** (a + b)
    return RedFlag(name, chance < LEVEL, f"{a} against {b}")


def _at_gray(broken: Tensor, y: Tensor) -> RedFlag:
    """No classifier of equal images can be right more often than the most frequent class."""
    right, possible = int((~broken).sum()), int(y.bincount().max())
    return RedFlag(f"right at eps {GRAY}", right > possible, f"{right / len(y):.0%}")
