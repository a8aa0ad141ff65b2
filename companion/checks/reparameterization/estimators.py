"""Checks of the pathwise and the score-function estimator, for given noise."""

from collections.abc import Callable

import torch
from torch import Tensor

from companion.checks.authoring import NotYet, call, exercise, uniform
from companion.checks.reparameterization._pair import (
    Pair,
    PairHints,
    judge_pair,
    shape_slips,
    two_parts,
)

Function = Callable[[Tensor], Tensor]

_CURVES = torch.tensor([[1.0, 0.6, -0.4], [0.6, -0.7, 0.3], [-0.4, 0.3, 0.5]])
_WAVES = torch.tensor([1.3, -0.8, 2.0])


def curved(z: Tensor) -> Tensor:
    """Return the smooth integrand, which couples the dimensions; (*S, 3) to (*S,)."""
    curves, waves = _CURVES.to(z.dtype), _WAVES.to(z.dtype)
    return 0.5 * ((z @ curves) * z).sum(-1) + (waves * torch.sin(z)).sum(-1)


def _slope(z: Tensor) -> Tensor:
    """Return the gradient of `curved` by z, derived on paper."""
    return z @ _CURVES.to(z.dtype) + _WAVES.to(z.dtype) * torch.cos(z)


def steps(z: Tensor) -> Tensor:
    """Return the integrand that jumps: it counts, and autograd does not see it."""
    with torch.no_grad():
        stairs = torch.floor(2 * z[..., 0]) - 3 * (z[..., 1] > 0.1).to(z.dtype)
        return stairs + 2.0 * (z.sum(-1) > 0.5).to(z.dtype) + 4.0


def inputs(n_samples: int = 6, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean (3,), log_var (3,) and noise (S, 3)."""
    mean, log_var = uniform(-1, 1, 3, seed=seed), uniform(-1.5, 0.9, 3, seed=seed + 1)
    noise = torch.randn(n_samples, 3, generator=torch.Generator().manual_seed(seed + 2))
    return mean, log_var, noise


def _call(answer: object, f: Function, values: tuple[Tensor, Tensor, Tensor]) -> object:
    mean, log_var, noise = values
    return call(answer, f=f, mean=mean, log_var=log_var, noise=noise)


def _require_given_noise(answer: object, f: Function, values: tuple, first: object) -> None:
    """Raise if two calls with the same noise differ: the learner drew other noise."""
    pairs = zip(two_parts(first), two_parts(_call(answer, f, values)), strict=True)
    if not all(a.shape == b.shape and torch.allclose(a, b, 1e-4, 1e-5) for a, b in pairs):
        raise NotYet(
            "Two calls with the same arguments gave different results. Use the noise that you are "
            "given, and draw none of your own."
        )


class _Recorder:
    """An integrand that remembers where it was evaluated."""

    def __init__(self, f: Function) -> None:
        self.f = f
        self.seen: list[Tensor] = []

    def __call__(self, z: Tensor) -> Tensor:
        if isinstance(z, Tensor):
            self.seen.append(z.detach())
        return self.f(z)

    def saw(self, z: Tensor) -> bool:
        """Tell whether each sample of z (S, D) was among the arguments."""
        try:
            rows = torch.cat([each.reshape(-1, z.shape[1]).to(z) for each in self.seen])
            return bool(((rows[:, None] - z).abs() < 1e-4).all(-1).any(0).all())
        except (RuntimeError, ValueError):  # none, of another shape, or from inside of torch.vmap
            return False


def _remark(values: tuple[Tensor, Tensor, Tensor], recorder: _Recorder) -> str:
    """Return where to look: at z, whose first sample is named, or behind it."""
    mean, log_var, noise = values
    z = mean + (log_var / 2).exp() * noise
    if recorder.saw(z):
        return "Your z is right; the slip is after it."
    numbers = ", ".join(f"{value:.4g}" for value in z[0].tolist())
    return f"The first sample z should be ({numbers}). Is yours?"


def _judge(
    answer: object,
    f: Function,
    exact: Callable[[Tensor, Tensor, Tensor], Pair],
    slips: Callable[[Tensor, Tensor, Tensor], PairHints],
) -> None:
    for n_samples, seed in ((6, 0), (1, 10)):
        values = inputs(n_samples, seed)
        double = tuple(value.double() for value in values)
        recorder = _Recorder(f)
        result = _call(answer, recorder, values)
        _require_given_noise(answer, f, values, result)
        setting, remark = f"With S = {n_samples} and D = 3, ", _remark(values, recorder)
        judge_pair(result, exact(*double), slips(*double), setting=setting, remark=remark)


# --- the pathwise estimator ----------------------------------------------------------------


def pathwise_exact(mean: Tensor, log_var: Tensor, noise: Tensor) -> Pair:
    """Return df/dz and df/dz * std * noise / 2 for each sample."""
    shift = (log_var / 2).exp() * noise
    slope = _slope(mean + shift)
    return slope, slope * shift / 2


def pathwise_slips(mean: Tensor, log_var: Tensor, noise: Tensor) -> dict[str, list[Pair]]:
    """Return the wrong pairs that we know of."""
    std = (log_var / 2).exp()
    slope = _slope(mean + std * noise)
    right = slope, slope * std * noise / 2

    def through(shift: Tensor, *rates: Tensor) -> list[Pair]:
        wrong = _slope(mean + shift)
        return [(wrong, wrong * rate) for rate in rates]

    def second(*rates: Tensor) -> list[Pair]:
        return [(slope, slope * rate) for rate in rates]

    wide, raw, narrow = std**2 * noise, log_var * noise, std.sqrt() * noise
    frozen, nothing = _slope(mean.expand_as(noise)), torch.zeros_like(noise)
    return {
        "You used `exp(log_var)` as the standard deviation. It is the variance: the noise is "
        "multiplied by `exp(log_var / 2)`.": through(wide, wide, wide / 2),
        "You multiplied the noise by `log_var` itself. The standard deviation is "
        "`exp(log_var / 2)`.": through(raw, noise, raw / 2),
        "You took the square root twice: `exp(log_var / 2)` is the standard deviation "
        "already.": through(narrow, narrow / 4, narrow / 2),
        "For `log_var` a one half is missing: the standard deviation is exp(log_var / 2), and "
        "its derivative is half of itself.": second(std * noise),
        "Your second part is the derivative by the standard deviation or the variance. The "
        "parameter is `log_var`.": second(noise, noise / (2 * std)),
        "Your second part lacks the noise: dz/d(log_var) is std * noise / 2.": second(std, std / 2),
        "Your second part lacks the chain rule's last step, dz/d(log_var).": [(slope, slope)],
        "You differentiated f at the mean. Differentiate it at each sample.": [
            (frozen, frozen * std * noise / 2),
            (frozen, nothing),
        ],
        "The gradient for `log_var` is zero. Does z depend on `log_var` in your code, without "
        "a `.detach()`?": [(slope, nothing)],
        "The gradient for `mean` is zero. Does z depend on `mean` in your code, without a "
        "`.detach()`?": [(nothing, right[1])],
        "This is the score-function estimate. The exercise asks for the derivative of f along "
        "the path of z.": [score_exact(mean, log_var, noise, curved)],
        **shape_slips(*right),
    }


@exercise(
    "reparameterization.pathwise",
    number="2.2",
    answer="pathwise",
    title="A pathwise estimate for each sample",
)
def pathwise(answer: object) -> str:
    """Judge `pathwise(f, mean, log_var, noise)`: two tensors (S, D)."""
    try:
        _judge(answer, curved, pathwise_exact, pathwise_slips)
    except NotYet as reason:
        if "does not require grad" in str(reason):
            raise NotYet(
                "torch finds no way from f(z) back to your parameters. Does z come from a leaf "
                "that requires a gradient, without a `.detach()` or a `no_grad` in between?"
            ) from None
        raise
    return "Each agrees with the derivative on paper. Now you can measure their spread."


# --- the score-function estimator ----------------------------------------------------------


def score_exact(mean: Tensor, log_var: Tensor, noise: Tensor, f: Function = steps) -> Pair:
    """Return f(z) times the score for each sample."""
    std = (log_var / 2).exp()
    values = f(mean + std * noise)[:, None]
    return values * noise / std, values * (noise**2 - 1) / 2


def score_slips(mean: Tensor, log_var: Tensor, noise: Tensor) -> dict[str, list[Pair]]:
    """Return the wrong pairs that we know of."""
    std = (log_var / 2).exp()
    values = steps(mean + std * noise)[:, None]
    by_mean, by_log_var = noise / std, (noise**2 - 1) / 2
    right = values * by_mean, values * by_log_var

    def second(*scores: Tensor) -> list[Pair]:
        return [(right[0], values * score) for score in scores]

    wide = steps(mean + std**2 * noise)[:, None]
    return {
        "log q(z) was differentiated through z as well. In the score, z is held fixed: write "
        "`z.detach()`.": [(0 * right[0], (-values / 2).expand_as(noise))],
        "This is the score alone. Multiply it by f(z), sample by sample.": [(by_mean, by_log_var)],
        "You multiplied each score by the average of f. Multiply it by the f(z) of its own "
        "sample.": [(values.mean() * by_mean, values.mean() * by_log_var)],
        "You used `exp(log_var)` as the standard deviation. It is the variance: the standard "
        "deviation is `exp(log_var / 2)`.": [
            (wide * noise / std**2, wide * (noise**2 - 1) * rate) for rate in (1, 0.5)
        ],
        "In the score of the mean, z - mean is divided by the variance, not by the standard "
        "deviation.": [(values * noise, right[1])],
        "In the score of the mean, noise is (z − mean) / σ already: divide it by σ once more, not "
        "by σ².": [(values * noise / std**2, right[1])],
        "In the score of the mean, z - mean is divided by the variance. You left the division "
        "out.": [(values * noise * std, right[1])],
        "The sign for `mean` is wrong: where z lies above the mean, log q(z) grows with it.": [
            (-right[0], right[1])
        ],
        "The score of `log_var` lacks its constant: log q(z) holds -log_var / 2 as well.": (
            second(noise**2 / 2)
        ),
        "The score of `log_var` lacks the exponent: (z - mean)² / var depends on `log_var` "
        "too.": second(-torch.ones_like(noise) / 2),
        "The score of `log_var` lacks a one half.": second(
            noise**2 - 1, noise**2 - 0.5, noise**2 / 2 - 1
        ),
        "Your second part is the score of the standard deviation or of the variance. The "
        "parameter is `log_var`.": second((noise**2 - 1) / std, (noise**2 - 1) / (2 * std**2)),
        "Independent dimensions add in log q(z): take the sum over D, not the mean.": [
            (right[0] / 3, right[1] / 3)
        ],
        **shape_slips(*right),
    }


@exercise(
    "reparameterization.score_function",
    number="2.3",
    answer="score_function",
    title="The score function of a black box",
)
def score_function(answer: object) -> str:
    """Judge `score_function(f, mean, log_var, noise)`: two tensors (S, D)."""
    try:
        _judge(answer, steps, score_exact, score_slips)
    except NotYet as reason:
        if "does not require grad" in str(reason):
            raise NotYet(
                "torch can't differentiate this. f is a step function, no gradient comes through "
                "it, and none is needed: differentiate log q(z), with z held fixed."
            ) from None
        raise
    return "f jumps, and no gradient could pass through it. The estimator used its values alone."
