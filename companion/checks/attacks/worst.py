"""Check of the worst case over restarts."""

import torch
from torch import Tensor
from torch.nn import functional as F

from companion.checks.authoring import Case, FunctionTask, Slips, uniform


def _margin(logits: Tensor, y: Tensor) -> Tensor:
    own = F.one_hot(y, logits.shape[-1]).bool()
    return logits.masked_fill(own, -torch.inf).amax(-1) - _of_class(logits, y)


def _of_class(logits: Tensor, y: Tensor) -> Tensor:
    return logits.gather(-1, y.expand(logits.shape[:-1])[..., None])[..., 0]


def _worst(logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    margin = _margin(logits, y)
    return (margin.amax(0) <= 0).double().mean(), margin.argmax(0).double()


def _slips(logits: Tensor, y: Tensor) -> Slips:
    accuracy, kept = _worst(logits, y)
    right = _margin(logits, y) <= 0
    of_class = _of_class(logits, y)
    cross_entropy = logits.logsumexp(-1) - of_class
    return {
        "That is the smallest of the restarts' accuracies. Different restarts break different "
        "images: take the worst case for each image first.": (
            right.double().mean(1).amin(),
            None,
        ),
        "That is the average over the restarts: what one random start finds.": (
            right.double().mean(),
            None,
        ),
        "You count an image as safe if one restart failed. It is safe if all of them did.": (
            right.any(0).double().mean(),
            None,
        ),
        "That is the share of images that are broken. Accuracy is the share that is not.": (
            1 - accuracy,
            None,
        ),
        "Your accuracy is that of the last restart.": (right[-1].double().mean(), None),
        "You kept the restart of the largest cross-entropy. It may belong to an image that is "
        "still classified right, where another restart broke it: ask the margin.": (
            None,
            cross_entropy.argmax(0).double(),
        ),
        "You took the margin of probabilities. It orders images otherwise than that of logits.": (
            None,
            _margin(logits.softmax(-1), y).argmax(0).double(),
        ),
        "You kept the restart with the smallest logit of the true class. What matters is the "
        "distance to the best other one.": (None, of_class.argmin(0).double()),
        "You kept the mildest restart for each image.": (
            None,
            _margin(logits, y).argmin(0).double(),
        ),
        "You kept one restart for all images, that of the lowest accuracy or the largest mean "
        "margin.": [
            (None, torch.full_like(kept, float(right.double().mean(1).argmin()))),
            (None, torch.full_like(kept, float(_margin(logits, y).mean(1).argmax()))),
        ],
    }


def _case(n_restarts: int, size: int, n_classes: int, seed: int) -> Case:
    logits = uniform(-2, 2, n_restarts, size, n_classes, seed=seed)
    y = torch.arange(size) % n_classes
    logits[:, torch.arange(size), y] += 1.6  # most images survive most restarts
    setting = f"With R = {n_restarts}, B = {size} and K = {n_classes}, "
    return Case(setting, {"logits": logits, "y": y})


FunctionTask(
    "attacks.worst_case",
    number="5.4",
    title="The worst of several starts",
    answer="worst_case",
    parts=["The accuracy", "The restart of each image"],
    reference=_worst,
    slips=_slips,
    cases=[_case(4, 24, 5, seed=1), _case(7, 10, 3, seed=2), _case(1, 6, 10, seed=3)],
    praise="Each image has its own worst start, and the accuracy over all of them is lower than "
    "that of any single one.",
)
