"""Check of the best variances of a Gaussian decoder."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Normal

from companion.checks.authoring import Case, FunctionTask, NotYet, Slips, several, uniform

_PARTS = ("The tensor of variances", "The log-likelihood")


def _likelihood(x: Tensor, output: Tensor, var: Tensor) -> Tensor:
    """Return log p(x | z) of each picture, (B,)."""
    return Normal(output, var.sqrt()).log_prob(x).flatten(1).sum(1)


def _best(x: Tensor, output: Tensor, floor: float) -> tuple[Tensor, Tensor]:
    var = ((x - output) ** 2).mean(0).clamp(min=floor)
    return var, _likelihood(x, output, var).mean()


def _variance_slips(x: Tensor, output: Tensor, floor: float) -> dict[str, list[Tensor]]:
    residual, size = x - output, len(x)
    square = residual**2
    mse = square.mean(0)
    before_the_floor = {
        "Your variances are standard deviations. Return their squares.": [mse.sqrt()],
        "You summed the squared errors of a pixel over the pictures. Take their mean.": [
            mse * size
        ],
        "Divide by the number of pictures, not by one less: no mean was estimated from the "
        "errors.": [mse * size / (size - 1)],
        "You kept the one half of the exponent. It cancels against the one half of the "
        "logarithm.": [mse / 2],
        "You lost a factor two: the logarithm carries one half, too.": [2 * mse],
        "This is the variance of the errors around their own mean. The errors are taken from 0: "
        "the decoder's output is the mean, even if it is biased.": [
            residual.var(0),
            residual.var(0, correction=0),
        ],
        "This is the variance of the pixels. The decoder's output explains a part of it.": [
            x.var(0),
            x.var(0, correction=0),
        ],
        "You took the mean absolute error. The derivative brings out the squared one.": [
            residual.abs().mean(0)
        ],
        "One variance serves all pixels in yours, as in (3.7). Here each pixel has its own: "
        "average over the pictures only.": [
            square.mean(),
            *(square.mean().reshape([1] * n_axes) for n_axes in (3, 4)),
            square.mean().expand_as(mse),
        ],
        "You return one variance for each picture. Here each pixel has its own: average over the "
        "pictures, the first axis.": [square.flatten(1).mean(1)],
        "You return one variance for each pixel of each picture. The pictures share them: average "
        "over the first axis.": [square],
    }
    return {
        hint: [each for value in values for each in (value, value.clamp(min=floor))]
        for hint, values in before_the_floor.items()
    } | {
        "You ignored the floor. No variance may lie below it.": [mse],
        "You added the floor. A variance that is above it already needs no more.": [mse + floor],
        "You used the floor as a ceiling: it is the smallest variance allowed.": [
            mse.clamp(max=floor)
        ],
        "The floor is one of the variances, not of the standard deviations.": [
            mse.clamp(min=floor**2),
            mse.sqrt().clamp(min=floor) ** 2,
        ],
        "You raised every single squared error to the floor. Average over the pictures first: the "
        "floor is one of the variances.": [square.clamp(min=floor).mean(0)],
        "You set all variances to the floor. It binds only where the mean squared error lies "
        "below it.": [torch.full_like(mse, floor)],
    }


def _likelihood_slips(x: Tensor, output: Tensor, floor: float) -> dict[str, Tensor]:
    (var, right), size, n_pixels = _best(x, output, floor), len(x), x[0].numel()
    fit = 0.5 * (((x - output) ** 2).mean(0) / var).sum()
    log_2pi = math.log(2 * math.pi)
    return {
        "Your second result takes the exponent to be -1/2 for each pixel, as in (3.7). Where the "
        "floor binds, the mean squared error is smaller than the variance.": right
        + fit
        - 0.5 * n_pixels,
        "Your second result lacks the constant: half of log(2 pi) for every pixel.": right
        + 0.5 * n_pixels * log_2pi,
        "Your second result counts the constant, half of log(2 pi), once. Every pixel has it.": (
            right + 0.5 * (n_pixels - 1) * log_2pi
        ),
        "You left out the exponent. At the best variance the squared errors do not vanish.": right
        + fit,
        "The exponent has the wrong sign.": right + 2 * fit,
        "The exponent lacks its one half.": right - fit,
        "The logarithm of the variance carries one half.": right - 0.5 * var.log().sum(),
        "Your second result uses `var` as a standard deviation.": (
            _likelihood(x, output, var**2).mean()
        ),
        "Your second result is summed over the pictures. Average over them.": right * size,
        "You return one log-likelihood for each picture. Average over them.": _likelihood(
            x, output, var
        ),
        "Your second result is averaged over the pixels. They add.": right / n_pixels,
        "You return one log-likelihood for each pixel. Sum over them.": Normal(output, var.sqrt())
        .log_prob(x)
        .mean(0),
        "Your second result has the wrong sign: it is the loss.": -right,
        "Your second result uses one variance for all pixels, the mean of yours.": _likelihood(
            x, output, var.mean()
        ).mean(),
    }


def _slips(x: Tensor, output: Tensor, floor: float) -> Slips:
    variances = _variance_slips(x, output, floor)
    return {hint: [(wrong, None) for wrong in values] for hint, values in variances.items()} | {
        hint: (None, wrong) for hint, wrong in _likelihood_slips(x, output, floor).items()
    }


_NO_FLOOR = (
    "Your result holds infinity or NaN, or would: a pixel without error has the mean squared error "
    "0, and with the variance 0 its log-likelihood has no bound. What is the floor for?"
)


class _Variances(FunctionTask):
    """As its base; what torch says of a standard deviation of 0 becomes the hint on the floor."""

    def judge(self, answer: object, reference: Callable[..., Any] | None = None) -> str:
        try:
            return super().judge(answer, reference)
        except NotYet as reason:
            no_floor = "satisfy the constraint" in str(reason)
            raise NotYet(_NO_FLOOR) if no_floor else reason from None


_SHAPES = {(1, 1, 28, 28), (28, 28), (784,), (1, 784)}  # the same numbers in the same order


def _pair(result: object) -> tuple[Tensor, Tensor]:
    first, second = several(result, _PARTS)
    if first.numel() == 1 and second.numel() == 28 * 28:
        raise NotYet("The two are in the wrong order: return the variances first.")
    return (first.reshape(1, 28, 28) if first.shape in _SHAPES else first), second


def _case(size: int, floor: float, seed: int) -> Case:
    x = uniform(0, 1, size, 1, 28, 28, seed=seed)
    reach = uniform(0, 0.6, 1, 28, 28, seed=seed + 1)
    reach[:, :3] = 0  # rows that are reproduced without error
    output = x + reach * uniform(-0.8, 1, size, 1, 28, 28, seed=seed + 2)
    arguments = {"x": x, "output": output, "floor": floor}
    return Case(
        f"With B = {size} and floor = {floor}, ",
        arguments,
        atol=1e-6,
        not_finite=_NO_FLOOR,
    )


_Variances(
    "mnist.best_variances",
    number="3.4",
    title="A variance for each pixel",
    answer="best_variances",
    parts=_PARTS,
    read=_pair,
    reference=_best,
    slips=_slips,
    cases=[_case(5, 0.03, seed=50), _case(3, 0.004, seed=60)],
    praise="Where the floor binds, it alone decides how many nats a pixel earns. Whoever reports "
    "such a log-likelihood has to report the floor.",
)
