"""Check of the repaired log-density of a mixture: what is left of its faults is named."""

import math
from collections.abc import Callable
from itertools import product

from torch import Tensor

from companion.checks.authoring import (
    DETACHED,
    NotAttempted,
    NotYet,
    call,
    compare,
    exercise,
    gradients,
)
from companion.checks.mixtures import _oracle
from companion.checks.mixtures.density import judge_extremes

# What is left of the faults is named, not explained: finding them is the exercise.
_GAUSSIAN_FAULT = "what the variance divides."
_AXIS_FAULT = "what is a mixture here: the code as a whole, or each of its coordinates?"
_REPEATED_FAULT = "how often a component's weight enters log p(z)."
_WEIGHT_FAULT = "whether the weights sum to one."
_LOG_FAULT = "whether the weights sum to one. (A softmax it is, but a sum of logarithms wants "
_LOG_FAULT += "the logarithm of it.)"

_STILL_CONSTANT = (
    "The variance should divide the squared distance only; now it divides the constant too."
)
_LOST_WEIGHTS = "The weights are gone altogether. They belong into the sum over components."


def _gaussians(z: Tensor, mean: Tensor, log_var: Tensor) -> dict[str, list[Tensor]]:
    """Return each component's log-density in each dimension, right and wrong; (B, K, D)."""
    square, log_2pi = (z[:, None] - mean) ** 2, math.log(2 * math.pi)
    var = log_var.exp()
    return {
        "": [-0.5 * (log_2pi + log_var + square / var)],
        _GAUSSIAN_FAULT: [-0.5 * (log_2pi + (log_var + square) / var)],
    }


def _weights(logits: Tensor) -> dict[str, list[Tensor]]:
    return {
        "": [logits.log_softmax(0)],
        _WEIGHT_FAULT: [logits, logits.sigmoid().log()],
        _LOG_FAULT: [logits.softmax(0)],
    }


def _whole(each: Tensor, log_w: Tensor) -> Tensor:
    return (log_w + each.sum(-1)).logsumexp(1)


def _repeated(each: Tensor, log_w: Tensor) -> Tensor:
    return (log_w[:, None] + each).sum(-1).logsumexp(1)


def _per_dimension(each: Tensor, log_w: Tensor) -> Tensor:
    return (log_w[:, None] + each).logsumexp(1).sum(-1)


_Combination = Callable[[Tensor, Tensor], Tensor]
_COMBINATIONS: dict[str, _Combination] = {
    "": _whole,
    _AXIS_FAULT: _per_dimension,
    _REPEATED_FAULT: _repeated,
}


def _faulty(z: Tensor, logits: Tensor, mean: Tensor, log_var: Tensor) -> dict[str, list[Tensor]]:
    """Return the wrong densities, one entry for each combination of faults, which its key lists."""
    gaussians, weights = _gaussians(z, mean, log_var), _weights(logits)
    found = {}
    for combination, gaussian, weight in product(_COMBINATIONS, gaussians, weights):
        faults = [f"- {fault}" for fault in (combination, gaussian, weight) if fault]
        found["\n".join(faults)] = [
            _COMBINATIONS[combination](each, log_w)
            for each in gaussians[gaussian]
            for log_w in weights[weight]
        ]
    del found[""]
    return found


def _left(faults: str) -> str:
    count = faults.count("\n") + 1
    return f"{count} fault{'s' if count > 1 else ''} left. Look at:\n\n{faults}"


def _others(z: Tensor, logits: Tensor, mean: Tensor, log_var: Tensor) -> dict[str, list[Tensor]]:
    """Return what new faults, made while repairing, lead to."""
    square, log_2pi = (z[:, None] - mean) ** 2, math.log(2 * math.pi)
    divided = -0.5 * (log_2pi + log_var + square) / log_var.exp()
    log_ws = [weight for weights in _weights(logits).values() for weight in weights]
    gaussians = [each for parts in _gaussians(z, mean, log_var).values() for each in parts]
    unweighted = [each.sum(-1).logsumexp(1) for each in gaussians]
    unweighted += [each.logsumexp(1).sum(-1) for each in gaussians]
    return (
        {
            _STILL_CONSTANT: [
                combine(divided, log_w) for combine in _COMBINATIONS.values() for log_w in log_ws
            ],
            _LOST_WEIGHTS: unweighted,
        }
        | {
            message: [
                combine(each, log_w)
                for each in parts
                for combine in _COMBINATIONS.values()
                for log_w in log_ws
            ]
            for message, parts in _new_gaussians(z, mean, log_var).items()
        }
        | _new_sums(z, logits, mean, log_var)
    )


def _new_gaussians(z: Tensor, mean: Tensor, log_var: Tensor) -> dict[str, list[Tensor]]:
    """Return terms (B, K, D) in which the repair of the parenthesis made another fault."""
    square, log_2pi = (z[:, None] - mean) ** 2, math.log(2 * math.pi)
    var, std = log_var.exp(), (log_var / 2).exp()
    return {
        "The minus one half must reach the squared distance too.": [
            -0.5 * (log_2pi + log_var) + square / var, -0.5 * (log_2pi + log_var) - square / var,
        ],
        "The minus one half must reach `log_var` too.": [
            -0.5 * log_2pi + log_var - 0.5 * square / var,
            -0.5 * log_2pi - log_var - 0.5 * square / var,
            -0.5 * (log_2pi + square / var) + log_var, -0.5 * (log_2pi + square / var) - log_var,
        ],
        "The minus one half must reach every term.": [-0.5 * log_2pi + log_var + square / var],
        "Divide by the variance, not by the standard deviation.": [
            -0.5 * (log_2pi + log_var + square / std),
        ],
    }  # fmt: skip


def _new_sums(z: Tensor, logits: Tensor, mean: Tensor, log_var: Tensor) -> dict[str, list[Tensor]]:
    """Return densities (B,), or (B, K), whose reductions or weights are wrong in a new way."""
    gaussians = [each for parts in _gaussians(z, mean, log_var).values() for each in parts]
    log_ws = [weight for weights in _weights(logits).values() for weight in weights]
    raw = [(logits / logits.sum()).log(), logits.log(), logits / logits.sum()]
    return {
        "You now sum in the logarithm over dimensions: that axis wants a plain sum.": [
            (log_w[:, None] + each).logsumexp(-1).sum(-1)
            for each in gaussians
            for log_w in log_ws
        ],
        "You summed over components; sum over dimensions.": [
            (log_w[:, None] + each).sum(1).logsumexp(-1) for each in gaussians for log_w in log_ws
        ] + [each.sum(1) for each in gaussians],
        "Logits may be negative. The weights are `softmax(logits)`.": [
            combine(each, log_w)
            for combine in _COMBINATIONS.values()
            for each in gaussians
            for log_w in raw
        ],
    }  # fmt: skip


@exercise(
    "mixtures.fix_the_density",
    number="4.7",
    answer="mixture_log_prob",
    title="Find the bugs in a mixture",
)
def fix_the_density(answer: object) -> str:
    """Judge `mixture_log_prob(z, logits, mean, log_var)`: codes (B, D) to (B,)."""
    arguments = _oracle.a_mixture(130, batch=4, components=5, dim=3)
    arguments["logits"] = arguments["logits"] - 0.4  # some of both signs
    double = _oracle.doubled(arguments)
    result = call(answer, **arguments)
    faulty = _faulty(**double)
    _require_a_change(result, faulty)
    hints = {_left(faults): wrong for faults, wrong in faulty.items()} | _others(**double)
    setting = "With B = 4, K = 5 and D = 3, "
    compare(result, _oracle.log_density(**double), hints, setting=setting)
    narrow = _oracle.a_narrow_mixture(140, batch=3, components=2, dim=2)
    expected = _oracle.log_density(**_oracle.doubled(narrow))
    compare(call(answer, **narrow), expected, setting="With B = 3, K = 2 and D = 2, ")
    judge_extremes(answer)
    found, wanted = gradients(answer, **arguments), gradients(_oracle.log_density, **double)
    for name in _oracle.NAMES:
        what = f"The gradient with respect to `{name}`"
        compare(found[name], wanted[name], what=what, remark=DETACHED)
    return (
        "All three faults are gone. One of them leaves a density that integrates to one: only a "
        "comparison with an independent mixture catches it."
    )


def _require_a_change(result: object, faulty: dict[str, list[Tensor]]) -> None:
    """Raise NotAttempted if the density is still the one that the exercise begins with."""
    start = "\n".join(f"- {fault}" for fault in (_AXIS_FAULT, _GAUSSIAN_FAULT, _WEIGHT_FAULT))
    try:
        compare(result, faulty[start][0])
    except NotYet:
        return
    raise NotAttempted(
        "All three faults are still there. A start: give it one component and one dimension, "
        "and compare with `torch.distributions.Normal`."
    )
