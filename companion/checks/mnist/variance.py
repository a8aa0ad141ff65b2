"""Check of the best variances of a Gaussian decoder."""

import math

import torch
from torch import Tensor
from torch.distributions import Normal

from companion.checks.authoring import (
    Hints,
    NotYet,
    as_tensor,
    call,
    compare,
    exercise,
    is_blank,
    uniform,
)


def _floor_slips(square: Tensor, floor: float) -> Hints:
    """Return what comes out when the floor is misused."""
    mse = square.mean(0)
    return {
        "You ignored the floor. No variance may lie below it.": mse,
        "You added the floor. A variance that is above it already needs no more.": mse + floor,
        "You used the floor as a ceiling: `clamp(max=...)` or `minimum`. It is the smallest "
        "variance allowed.": mse.clamp(max=floor),
        "The floor is one of the variances, not of the standard deviations.": [
            mse.clamp(min=floor**2),
            mse.sqrt().clamp(min=floor) ** 2,
        ],
        "You raised every single squared error to the floor. Average over the pictures first: the "
        "floor is one of the variances.": square.clamp(min=floor).mean(0),
        "You set all variances to the floor. It binds only where the mean squared error lies "
        "below it.": torch.full_like(mse, floor),
    }


def _var_slips(x: Tensor, output: Tensor, floor: float) -> Hints:
    residual = x - output
    square = residual**2
    mse, size = square.mean(0), len(x)

    def above(value: Tensor) -> Tensor:
        return value.clamp(min=floor)

    each = {
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
            *(square.mean().reshape([1] * n_axes) for n_axes in (1, 3, 4)),
            square.mean().expand_as(mse),
        ],
        "You return one variance for each picture. Here each pixel has its own: average over the "
        "pictures, the first axis.": [square.flatten(1).mean(1)],
        "You return one variance for each pixel of each picture. The pictures share them: average "
        "over the first axis.": [square],
    }
    slips: dict[str, list[Tensor]] = {
        hint: [*values, *map(above, values)] for hint, values in each.items()
    }
    return {**slips, **_floor_slips(square, floor)}


def _likelihood(x: Tensor, output: Tensor, var: Tensor) -> Tensor:
    return Normal(output, var.sqrt()).log_prob(x).flatten(1).sum(1)


def _likelihood_slips(x: Tensor, output: Tensor, var: Tensor) -> Hints:
    size, n_pixels = len(x), x[0].numel()
    fit = 0.5 * (((x - output) ** 2).mean(0) / var).sum()
    logarithm = 0.5 * var.log().sum()
    constant = 0.5 * n_pixels * math.log(2 * math.pi)
    right = -constant - logarithm - fit
    return {
        "Your second result takes the exponent to be -1/2 for each pixel, as in (3.7). Where the "
        "floor binds, the mean squared error is smaller than the variance.": right
        + fit
        - 0.5 * n_pixels,
        "Your second result lacks the constant: half of log(2 pi) for every pixel.": right
        + constant,
        "Your second result counts the constant, half of log(2 pi), once. Every pixel has it.": (
            right + constant - 0.5 * math.log(2 * math.pi)
        ),
        "You left out the exponent. At the best variance the squared errors do not vanish.": right
        + fit,
        "The exponent has the wrong sign.": right + 2 * fit,
        "The exponent lacks its one half.": right - fit,
        "The logarithm of the variance carries one half.": right - logarithm,
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


def _pair(result: object) -> tuple[Tensor, Tensor]:
    if isinstance(result, (tuple, list)) and any(is_blank(part) for part in result):
        raise NotYet("One of the two is still the placeholder `...`.")
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        raise NotYet(
            "Return two results, the variances and the log-likelihood: "
            "`return var, log_likelihood`."
        )
    first, second = as_tensor(result[0], "The variances"), as_tensor(result[1], "The second result")
    if first.numel() == 1 and second.numel() == 28 * 28:
        raise NotYet("The two are in the wrong order: return the variances first.")
    first = first.reshape(1, 28, 28) if first.shape in _ALSO else first
    return first, second.reshape(()) if second.numel() == 1 else second


_ALSO = {(1, 1, 28, 28), (28, 28), (784,), (1, 784)}  # the same numbers in the same order


@exercise(
    "mnist.best_variances",
    number="3.4",
    answer="best_variances",
    title="A variance for each pixel",
)
def best_variances(answer: object) -> str:
    """Judge `best_variances(x, output, floor)`: variances (1, 28, 28) and a log-likelihood."""
    for size, floor, seed in [(5, 0.03, 50), (3, 0.004, 60)]:
        x = uniform(0, 1, size, 1, 28, 28, seed=seed)
        reach = uniform(0, 0.6, 1, 28, 28, seed=seed + 1)
        reach[:, :3] = 0  # rows that are reproduced without error
        output = x + reach * uniform(-0.8, 1, size, 1, 28, 28, seed=seed + 2)
        var, log_likelihood = _pair(call(answer, x=x, output=output, floor=floor))
        double = x.double(), output.double()
        right = ((double[0] - double[1]) ** 2).mean(0).clamp(min=floor)
        setting = f"With B = {size} and floor = {floor}, "
        slips = _var_slips(*double, floor)
        compare(var, right, slips, what="Your first result", setting=setting, atol=1e-6)
        compare(
            log_likelihood,
            _likelihood(*double, right).mean(),
            _likelihood_slips(*double, right),
            what="Your second result",
            setting=setting,
            atol=1e-3,
            remark="The variances are right.",
        )
    return (
        "Where the floor binds, it alone decides how many nats a pixel earns. Whoever reports "
        "such a log-likelihood has to report the floor."
    )
