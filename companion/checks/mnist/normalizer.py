"""Check of the continuous Bernoulli's log-normalizer."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import ContinuousBernoulli
from torch.nn import functional as F

from companion.checks.authoring import (
    Case,
    FunctionTask,
    NotYet,
    Slips,
    as_tensor,
    call,
    compare,
    gradients,
)

_MODERATE = torch.tensor([[-6.0, -3.5, -2.5, -1.6], [1.8, 2.3, 3.0, 5.5]])
_TOLERANCE, _SLOPE_TOLERANCE = 1e-5, 1e-3  # the exercise's text states both


def _exact(logit: float) -> float:
    """Return log of the integral of exp(x logit) over [0, 1], in double precision."""
    if logit == 0:
        return 0.0
    if logit > 500:
        return logit - math.log(logit)
    return math.log(math.expm1(logit) / logit)


def _slope(logit: float) -> float:
    """Return the derivative: the expected pixel."""
    if abs(logit) < 1e-3:  # the next term of the series is below 1e-12
        return 0.5 + logit / 12
    return 1 - 1 / logit + (1 / math.expm1(logit) if logit < 500 else 0.0)


def _each(function: Any, logits: Tensor) -> Tensor:
    values = [function(value) for value in logits.double().flatten().tolist()]
    return torch.tensor(values, dtype=torch.float64).reshape(logits.shape)


def _slips(logits: Tensor) -> Slips:
    right, bernoulli, size = _each(_exact, logits), F.softplus(logits), logits.abs()
    return {
        "This is log(1 + exp(logit)), the normalizer of a Bernoulli: it sums over x = 0 and "
        "x = 1. Here x runs through all of [0, 1], and the sum becomes an integral.": bernoulli,
        "This is the correction that is added to a Bernoulli's log-likelihood, without the "
        "Bernoulli's own normalizer. Return the whole log-normalizer A.": [
            bernoulli - right,
            right - bernoulli,
        ],
        "The sign is wrong: this is what is added to x times the logit. Return A, which is "
        "subtracted.": -right,
        "This is the integral. Take its logarithm.": right.exp(),
        "You forgot to divide by the logit: the integral of exp(x logit) is (exp(logit) - 1) "
        "divided by it.": logits.expm1().abs().log(),
        "You multiplied by the logit where the integral divides by it.": [
            (logits.expm1() * logits).log()
        ],
        "You forgot the lower end of the integral, x = 0: subtract 1 from exp(logit).": [
            (logits.exp() / size).log(),
            logits - size.log(),
        ],
        "The sign of the logit is wrong: A grows with it.": right - logits,
        "This is half the logit alone: the first term of the series.": logits / 2,
        "This is the even part alone. Add half the logit.": right - logits / 2,
        "In the even part the logit has to be halved: sinh(logit / 2) / (logit / 2).": [
            logits / 2 + (logits.sinh() / logits).log()
        ],
        "You summed over the entries. Return one number for each logit.": [
            right.sum(),
            right.sum(-1),
            right.mean(),
        ],
    }


def _both(sizes: Tensor) -> Tensor:
    return torch.cat([sizes, -sizes])


_NEAR = "for logits near 0"
_TOO_WIDE = (
    "A series with few terms is exact only for a small range, and its derivative for a smaller "
    "one. Use it closer to 0, or take one more term."
)

_BENT = (
    "Is a coefficient of your series wrong? The second derivative of A at 0 is the variance of a "
    "uniform pixel. (A series inside a logarithm needs a term more than one outside.)"
)

# Logits, what makes a value infinite or NaN there, and what makes it or its gradient inexact.
_RANGES: dict[str, tuple[Tensor, str, str, str]] = {
    "at a logit of 0": (
        torch.zeros(3),
        "the formula divides 0 by 0. The limit is 0: A(0) is the logarithm of 1, the length of the "
        "interval.",
        "A(0) is the logarithm of 1, the length of the interval.",
        "It is the expected pixel. A value that is filled in as a constant has no gradient. And "
        "`abs`, `relu` and `clamp` bend at 0, where torch takes one side: near 0, feed the series "
        "with the logit itself, and add nothing to it.",
    ),
    _NEAR: (
        _both(torch.logspace(-8, -2, 120)),
        "an `exp` is rounded to 1, and the difference to 0.",
        "`exp(logit) - 1` cancels: all but the last digits of `exp(logit)` are those of 1. Take "
        "`expm1`, or the series.",
        "The gradient of the closed form is a difference of two large numbers, each near 1/logit. "
        "Let the series take over at a larger logit.",
    ),
    "for logits between 0.01 and 1.5": (
        _both(torch.logspace(-2, math.log10(1.5), 50)),
        "a logit that is not 0 needs no limit.",
        _TOO_WIDE,
        _TOO_WIDE,
    ),
    "for large logits": (
        _both(torch.tensor([12.0, 17, 25, 40, 80, 95, 200, 400, 1000])),
        "`exp` overflows at 89 in single precision. Take the large exponential out: "
        "A(logit) = logit + A(-logit).",
        "a clamp, or a small number added, hides an overflow but not the error.",
        "It is the expected pixel: near 1 for a large logit, near 0 for one far below 0.",
    ),
}


def _judge_range(answer: object, name: str) -> None:
    """Judge values and gradients in one range of logits."""
    logits, infinite, inexact, steep = _RANGES[name]
    expected = _each(_exact, logits)
    result = as_tensor(call(answer, logits=logits)).double()
    if result.shape != expected.shape:
        compare(result, expected, setting=f"For {len(logits)} logits without further axes, ")
    bad = ~result.isfinite()
    begin = f"Right for moderate logits, but {name}"
    if bad.any():
        where = logits[bad][0].item()
        raise NotYet(f"{begin} (here {where:g}) the value is {result[bad][0]:g}: {infinite}")
    error = (result - expected) / expected.abs().clamp(min=1)
    if (error.abs() > _TOLERANCE).any():
        where = int(error.abs().argmax())
        inexact = _TOO_WIDE if name == _NEAR and _is_smooth(error, where) else inexact
        inexact = _BENT if _has_wrong_coefficient(result, logits, where) else inexact
        raise NotYet(
            f"{begin} the value is inexact. At {logits[where]:g} it is {result[where]:.6g} and "
            f"should be {expected[where]:.6g}; an image adds up 784 such errors. A hint: {inexact}"
        )
    _judge_gradient(answer, logits, f"The values are right, but {name}", steep)


def _require_not_torch(answer: object) -> None:
    logits = _RANGES["for large logits"][0]
    single = -ContinuousBernoulli(logits=logits).log_prob(torch.zeros_like(logits))
    result = as_tensor(call(answer, logits=logits))
    if result.shape == logits.shape and torch.allclose(result.float(), single, rtol=1e-4):
        raise NotYet(
            "These are the values of `torch.distributions.ContinuousBernoulli` in single "
            "precision. It clamps the probability, and is wrong for logits beyond 16 or so: by 0.9 "
            "nats for each pixel at a logit of 40. Write the formula yourself."
        )


def _has_wrong_coefficient(
    found: Tensor, logits: Tensor, worst: int, *, slope: bool = False
) -> bool:
    """Tell whether a series that ends at its worst holds a term neither right nor left out."""
    size = logits.abs()
    inside = (size > 0.4 * size[worst]) & (size <= size[worst])
    rest = found - (0.5 if slope else logits / 2)
    for power, right in ((2, 1 / 24), (4, -1 / 2880)):
        term = right * (power * logits ** (power - 1) if slope else logits**power)
        ratio = (rest / term)[inside]
        off = min(ratio.mean().abs(), (ratio.mean() - 1).abs())
        if len(ratio) > 2 and ratio.std() < 0.1 and off > 0.15:
            return True
        rest = rest - term
    return False


def _judge_gradient(answer: object, logits: Tensor, begin: str, steep: str) -> None:
    found, wanted = gradients(answer, logits=logits)["logits"].double(), _each(_slope, logits)
    bad = ~found.isfinite()
    if bad.any():
        raise NotYet(
            f"{begin} (here {logits[bad][0]:g}) the gradient is {found[bad][0]:g}. If you choose "
            "with `torch.where`: both branches are computed, and the gradient of the one not "
            "chosen is multiplied by 0, which makes NaN of infinity. Give that branch a harmless "
            "logit."
        )
    error = found - wanted
    if (error.abs() > _SLOPE_TOLERANCE).any():
        where = int(error.abs().argmax())
        reason = _TOO_WIDE if _NEAR in begin and _is_smooth(error, where) else steep
        reason = _BENT if _has_wrong_coefficient(found, logits, where, slope=True) else reason
        reason = _FLAT if found[where] == 0 and logits[where] != 0 else reason
        raise NotYet(
            f"{begin} the gradient is inexact. At {logits[where]:g} it is {found[where]:.4g} and "
            f"should be {wanted[where]:.4g}. {reason}"
        )


def _is_smooth(error: Tensor, worst: int) -> bool:
    """Tell the error of a series, which grows steadily up to its worst, from one of rounding."""
    begin = max(worst - 4, 0 if worst < len(error) // 2 else len(error) // 2)
    growth = error[begin:worst] / error[begin + 1 : worst + 1]
    return len(growth) == 4 and bool(((growth > 0.6) & (growth < 1)).all())


_FLAT = "Something is constant there: a `clamp`, a rounding, or a `.detach()`."


def _judge_ranges(answer: object) -> None:
    for name in _RANGES:
        _judge_range(answer, name)


FunctionTask(
    "mnist.log_normalizer",
    number="3.7",
    title="The continuous Bernoulli's normalizer",
    answer="log_normalizer",
    reference=lambda logits: _each(_exact, logits),
    slips=_slips,
    cases=[
        Case(
            "For moderate logits, shape (2, 4), ",
            {"logits": _MODERATE},
            rtol=_TOLERANCE,
            atol=_TOLERANCE,
            remark="If only the smallest logits are wrong, a series reaches too far.",
        )
    ],
    further=[_require_not_torch, _judge_ranges],
    praise="Right from -1000 to 1000, and at 0 with its gradient, one half: there a pixel is "
    "uniform on [0, 1], and its mean is one half.",
)
