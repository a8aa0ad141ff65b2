"""Check of the repaired log-density of a mixture: what is left of its faults is named."""

import math
from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor

from companion.checks._gaussians import PARENTHESIS, merged, wrong_terms
from companion.checks.authoring import Case, RepairTask, Slips
from companion.checks.mixtures import _oracle
from companion.checks.mixtures.density import combination_slips, extremes


def _parts(z: Tensor, mean: Tensor, log_var: Tensor) -> tuple[Tensor, Tensor]:
    """Return log(2 pi) plus log_var, and the squared distances, (B, K, D)."""
    return math.log(2 * math.pi) + log_var, (z[:, None] - mean) ** 2


def _right_gaussian(z: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    constant, square = _parts(z, mean, log_var)
    return -0.5 * (constant + square / log_var.exp())


def _misplaced(z: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    constant, square = _parts(z, mean, log_var)
    return -0.5 * (constant - log_var + (log_var + square) / log_var.exp())


def _whole(each: Tensor, log_w: Tensor) -> Tensor:
    return (log_w + each.sum(-1)).logsumexp(1)


def _repeated(each: Tensor, log_w: Tensor) -> Tensor:
    return (log_w[:, None] + each).sum(-1).logsumexp(1)


def _per_dimension(each: Tensor, log_w: Tensor) -> Tensor:
    return (log_w[:, None] + each).logsumexp(1).sum(-1)


# What is left of the faults is named, not explained: finding them is the exercise.
_COMBINATIONS = {
    "": _whole,
    "what is a mixture here: the code as a whole, or each of its coordinates?": _per_dimension,
    "how often a component's weight enters log p(z).": _repeated,
}
_GAUSSIANS = {"": _right_gaussian, "what the variance divides.": _misplaced}
_WEIGHTS: dict[str, list[Callable[[Tensor], Tensor]]] = {
    "": [lambda logits: logits.log_softmax(0)],
    "whether the weights sum to one.": [
        lambda logits: logits,
        lambda logits: logits.sigmoid().log(),
    ],
    "whether the weights sum to one. (A softmax it is, but a sum of logarithms wants the logarithm "
    "of it.)": [lambda logits: logits.softmax(0)],
}


def _version(
    combine: Callable[[Tensor, Tensor], Tensor],
    gaussian: Callable[..., Tensor],
    weigh: Callable[[Tensor], Tensor],
    z: Tensor,
    logits: Tensor,
    mean: Tensor,
    log_var: Tensor,
) -> Tensor:
    return combine(gaussian(z, mean, log_var), weigh(logits))


def _slips(z: Tensor, logits: Tensor, mean: Tensor, log_var: Tensor) -> Slips:
    """Return what new faults, made while repairing, lead to."""
    log_ws = [weigh(logits) for codes in _WEIGHTS.values() for weigh in codes]
    gaussians = [each(z, mean, log_var) for each in _GAUSSIANS.values()]
    raw = [(logits / logits.sum()).log(), logits.log(), logits / logits.sum()]

    def every(parts: list[Tensor], weights: list[Tensor] = log_ws) -> list[Tensor]:
        combinations = _COMBINATIONS.values()
        return [combine(p, log_w) for combine in combinations for p in parts for log_w in weights]

    pairs = [log_w[:, None] + each for each in gaussians for log_w in log_ws]
    weighted = {hint: every(parts) for hint, parts in _new_gaussians(z, mean, log_var).items()}
    known = [
        _version(combine, gaussian, weigh, z, logits, mean, log_var)
        for combine, gaussian in product(_COMBINATIONS.values(), _GAUSSIANS.values())
        for codes in _WEIGHTS.values()
        for weigh in codes
    ]
    others = {
        hint: [
            value
            for value in wrong
            if not value.isnan().any() and all(_differ(value, each) for each in known)
        ]
        for hint, wrong in merged(*(combination_slips(logits, g) for g in gaussians)).items()
    }
    return merged(weighted, others) | {
        "You now sum in the logarithm over dimensions: that axis wants a plain sum.": [
            pair.logsumexp(-1).sum(-1) for pair in pairs
        ],
        "You summed over components; sum over dimensions.": [
            *(pair.sum(1).logsumexp(-1) for pair in pairs),
            *(each.sum(1) for each in gaussians),
        ],
        "Logits may be negative, so they are no weights yet.": [
            wrong for wrong in every(gaussians, raw) if not wrong.isnan().any()
        ],
    }


def _differ(value: Tensor, other: Tensor) -> bool:
    return value.shape != other.shape or not torch.allclose(value, other)


def _new_gaussians(z: Tensor, mean: Tensor, log_var: Tensor) -> dict[str, list[Tensor]]:
    """Return terms (B, K, D) in which the repair of the parenthesis made another fault."""
    slips = wrong_terms(z[:, None] - mean, log_var)
    return slips | {PARENTHESIS: slips[PARENTHESIS][1:]}  # its first is the fault itself


_GENERAL = _oracle.a_mixture(130, batch=4, components=5, dim=3)
_GENERAL["logits"] = _GENERAL["logits"] - 0.4  # some of both signs

RepairTask(
    "mixtures.fix_the_density",
    number="4.7",
    title="Find the bugs in a mixture",
    answer="mixture_log_prob",
    places=[_COMBINATIONS, _GAUSSIANS, _WEIGHTS],
    version=_version,
    begin="A start: give it one component and one dimension, and compare with "
    "`torch.distributions.Normal`.",
    slips=_slips,
    cases=[
        Case("With B = 4, K = 5 and D = 3, ", _GENERAL),
        Case(
            "With B = 3, K = 2 and D = 2, ",
            _oracle.a_narrow_mixture(140, batch=3, components=2, dim=2),
        ),
        *extremes(),
    ],
    gradients_by=_oracle.NAMES,
    praise="All three faults are gone. One of them leaves a density that integrates to one: only a "
    "comparison with an independent mixture catches it.",
)
