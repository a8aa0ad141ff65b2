"""Check of the importance-weighted bound."""

import math

import torch
from torch import Tensor

from companion.checks.authoring import (
    DETACHED,
    Case,
    FunctionTask,
    Hints,
    compare,
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
        "You divided by the number of examples, B. The mean is one over the S samples.": [
            log_w.logsumexp(0) + sign * math.log(batch) for sign in (1, -1)
        ],
        "You divided by S after the logarithm. The mean is inside it: subtract log S.": (
            log_w.logsumexp(0) / n_samples
        ),
        "You reduced over the batch. The importance samples are the first axis: `dim=0`.": [
            log_w.logsumexp(1) + off
            for size in (batch, n_samples)
            for off in (0, math.log(size), -math.log(size))
        ],
        "You averaged over the batch too. Return one bound for each example, shape "
        "(B,).": right.mean(),
        "You took one logarithm over all samples and examples. Reduce the first axis only.": [
            log_w.logsumexp((0, 1)) - math.log(log_w.numel())
        ],
        "You took the largest weight alone. The bound is the logarithm of their mean.": [
            log_w.amax(0),
            log_w.amax(0) - math.log(n_samples),
        ],
        "Is there a `log1p`, or a 1 added? The mean of the weights is to be taken as it is.": (
            log_w.amax(0) + (right - log_w.amax(0)).exp().log1p()
        ),
        "This is the mean weight. Take its logarithm.": right.exp(),
        "You subtracted the largest log-weight; it has to be added back.": right - log_w.amax(0),
        "The sign is wrong: this is the loss. Return the bound.": -right,
    }


def _exact(log_w: Tensor) -> Tensor:
    return log_w.logsumexp(0) - math.log(len(log_w))


def _extreme(name: str, log_w: Tensor, reason: str) -> Case:
    where = f"Right for moderate log-weights, but for log-weights {name} the result is"
    return Case(
        f"For log-weights {name}, ",
        {"log_w": log_w},
        atol=2e-3,  # the spacing of single precision near 9000 is 1e-3
        not_finite=f"{where} not finite: {reason}. Take the largest out of the sum first.",
        far_off=f"{where} far off. A small number added, or a clamp, hides the infinity but not "
        "the error.",
    )


def _judge_gradient(answer: object) -> None:
    found = gradients(answer, log_w=_LOG_W - 2000)["log_w"]
    wanted = _LOG_W.double().softmax(0)
    compare(found, wanted, what="The gradient", setting="Near -2000, ", remark=DETACHED)


_LOG_W = uniform(-2, 1.5, 6, 4, seed=1)
# One weight towers above the others, in each example in another row: nothing else is safe to
# shift by, neither a fixed row nor a quantile.
_STEPS = torch.tensor([-5000.0, 0.0, -300.0, -700.0, -1500.0, -9000.0])
_STEPS = torch.stack([_STEPS.roll(b) for b in range(4)], dim=1)

FunctionTask(
    "elbo.iw_bound",
    number="1.7",
    title="The importance-weighted bound, safely",
    answer="bound",
    reference=_exact,
    slips=_bound_slips,
    cases=[
        Case("With S = 6 and B = 4, ", {"log_w": _LOG_W}),
        Case("With S = 1 the bound is the log-weight itself, but ", {"log_w": _LOG_W[:1]}),
        _extreme("near -2000", _LOG_W - 2000, "`exp` of it is 0"),
        _extreme("near +2000", _LOG_W + 2000, "`exp` of it is infinite"),
        _extreme(
            "that differ by thousands between samples",
            _LOG_W + _STEPS,
            "shift by the largest one, not by the mean, the median, the first or the last",
        ),
        _extreme(
            "that differ by thousands between examples",
            _LOG_W - torch.tensor([0.0, 700.0, 2000.0, 5000.0]),
            "shift each example by its own largest one, not all by the same",
        ),
    ],
    further=[_judge_gradient],
    praise="It holds for log-weights near -2000, and its gradient is the normalized weights.",
)
