"""Check of the importance-weighted bound."""

import math

import torch
from torch import Tensor

from companion.checks.authoring import (
    DETACHED,
    Hints,
    NotYet,
    as_tensor,
    call,
    compare,
    exercise,
    gradients,
    uniform,
)


def _bound_slips(log_w: Tensor) -> Hints:
    n_samples, batch = log_w.shape
    right = log_w.logsumexp(0) - math.log(n_samples)
    return {
        "You averaged the log-weights: that is the ELBO again, whatever S is. Average the "
        "weights, then take the logarithm.": log_w.mean(0),
        "You forgot to divide by S: subtract log S.": log_w.logsumexp(0),
        "You added log S. The mean divides by S, so subtract log S.": right
        + 2 * math.log(n_samples),
        "You divided by S after the logarithm. The mean is inside it: subtract log S.": (
            log_w.logsumexp(0) / n_samples
        ),
        "You reduced over the batch. The importance samples are the first axis: `dim=0`.": [
            log_w.logsumexp(1) - math.log(batch),
            log_w.logsumexp(1) - math.log(n_samples),
            log_w.logsumexp(1),
        ],
        "You averaged over the batch too. Return one bound for each example, shape "
        "(B,).": right.mean(),
        "You took one logarithm over all samples and examples. Reduce the first axis only.": [
            log_w.logsumexp((0, 1)) - math.log(log_w.numel())
        ],
        "You took the largest weight alone. The bound is the logarithm of their mean.": log_w.amax(
            0
        ),
        "This is the mean weight. Take its logarithm.": right.exp(),
        "You subtracted the largest log-weight; it has to be added back.": right - log_w.amax(0),
        "The sign is wrong: this is the loss. Return the bound.": -right,
    }


@exercise(
    "elbo.iw_bound", number="1.7", answer="bound", title="The importance-weighted bound, safely"
)
def iw_bound(answer: object) -> str:
    """Judge `bound(log_w)`: log-weights (S, B) to (B,)."""
    log_w = uniform(-2, 1.5, 6, 4, seed=1)
    exact = log_w.double().exp().mean(0).log()
    hints = _bound_slips(log_w.double())
    compare(call(answer, log_w=log_w), exact, hints, setting="With S = 6 and B = 4, ")
    single = call(answer, log_w=log_w[:1])
    compare(single, log_w[0], setting="With S = 1 the bound is the log-weight itself, but ")
    _judge_extremes(answer, log_w)
    found = gradients(answer, log_w=log_w - 2000)["log_w"]
    wanted = (log_w.double() - exact).exp() / len(log_w)
    compare(found, wanted, what="The gradient", setting="Near -2000, ", remark=DETACHED)
    return "It holds for log-weights near -2000, and its gradient is the normalized weights."


def _judge_extremes(answer: object, log_w: Tensor) -> None:
    """Judge log-weights whose exponentials underflow, overflow or differ by thousands."""
    steps = torch.tensor([-5000.0, 0.0, -300.0, 0.0, -1.0, -9000.0])
    # Each row is far below the largest in some example: no fixed row is safe to shift by.
    steps = torch.stack([steps.roll(b) for b in range(log_w.shape[1])], dim=1)
    cases = {
        "near -2000": (log_w - 2000, "`exp` of it is 0"),
        "near +2000": (log_w + 2000, "`exp` of it is infinite"),
        "that differ by thousands between samples": (
            log_w + steps,
            "shift by the largest one, not by the mean, the first or the last",
        ),
        "that differ by thousands between examples": (
            log_w - torch.tensor([0.0, 700.0, 2000.0, 5000.0]),
            "shift each example by its own largest one, not all by the same",
        ),
    }
    for name, (value, reason) in cases.items():
        expected = value.double().logsumexp(0) - math.log(len(value))
        result = as_tensor(call(answer, log_w=value))
        if result.shape == expected.shape and not torch.isfinite(result).all():
            raise NotYet(
                f"Right for moderate log-weights, but for log-weights {name} the result is not "
                f"finite: {reason}. Take the largest out of the sum first."
            )
        if result.shape == expected.shape and (result - expected).abs().max() > 100:
            raise NotYet(
                f"Right for moderate log-weights, but for log-weights {name} the result is far "
                "off. A small number added, or a clamp, hides the infinity but not the error."
            )
        compare(result, expected, setting=f"For log-weights {name}, ")
