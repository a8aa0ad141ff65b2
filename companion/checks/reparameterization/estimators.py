"""Checks of the pathwise and the score-function estimator, for given noise."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from companion.checks.authoring import (
    Case,
    FunctionTask,
    NotYet,
    Slips,
    call,
    is_blank,
    several,
    uniform,
)

Function = Callable[[Tensor], Tensor]
Pair = tuple[Tensor, Tensor]

_PARTS = ("The estimate for `mean`", "The estimate for `log_var`")
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


def _two(result: Any) -> Pair:
    """Return the two estimates; a dict, and what `.grad` gives, are understood too."""
    if isinstance(result, Mapping) and set(result) == {"mean", "log_var"}:
        result = result["mean"], result["log_var"]
    if isinstance(result, (tuple, list)) and len(result) == 2 and any(map(is_blank, result)):
        raise NotYet(
            f"One of the two estimates is `{next(filter(is_blank, result))}`. If you read it from "
            "`.grad`: that is `None` until `backward()` has run through a leaf that requires a "
            "gradient."
        )
    first, second = several(result, _PARTS)
    return first, second


class _Estimator(FunctionTask):
    """A pair of gradients for each sample; a wrong one is told whether its z is right."""

    def __init__(self, key: str, *, no_path: str, **others: Any) -> None:
        self.no_path = no_path
        super().__init__(
            key,
            parts=_PARTS,
            read=_two,
            random="Two calls with the same arguments gave different results. Use the noise that "
            "you are given, and draw none of your own.",
            **others,
        )

    def judge(self, answer: object, reference: Callable[..., Any] | None = None) -> str:
        try:
            return super().judge(answer, reference)
        except NotYet as reason:
            no_path = "does not require grad" in str(reason)
            raise NotYet(self.no_path) if no_path else reason from None

    def ask(self, answer: object, case: Case) -> Pair:
        self._recorder = _Recorder(case.arguments["f"])
        return _two(call(answer, **{**case.arguments, "f": self._recorder}))

    def _tell(self, result: Any, right: Any, case: Case) -> None:
        _, mean, log_var, noise = case.arguments.values()
        z = mean + (log_var / 2).exp() * noise
        numbers = ", ".join(f"{value:.4g}" for value in z[0].tolist())
        remark = f"The first sample z should be ({numbers}). Is yours?"
        if self._recorder.saw(z):
            remark = "Your z is right; the slip is after it."
        super()._tell(result, right, Case(case.setting, {}, rtol=case.rtol, remark=remark))


def case(f: Function, n_samples: int, seed: int) -> Case:
    """Return mean (3,), log_var (3,) and noise (S, 3) for an integrand."""
    noise = torch.randn(n_samples, 3, generator=torch.Generator().manual_seed(seed + 2))
    return Case(
        f"With S = {n_samples} and D = 3, ",
        {
            "f": f,
            "mean": uniform(-1, 1, 3, seed=seed),
            "log_var": uniform(-1.5, 0.9, 3, seed=seed + 1),
            "noise": noise,
        },
        rtol=1e-4,
    )


def _shape_slips(mean: Tensor, log_var: Tensor) -> Slips:
    """Return what wrong reductions of the right estimates, each (S, D), lead to."""
    size, averages = len(mean), (mean.mean(0), log_var.mean(0))
    return {
        "You return the average over the samples. Return the estimate of each sample, shape "
        "(S, D); only the caller averages.": averages,
        "You return the sum over the samples: that is what autograd gives for one `mean` that "
        "all samples share. Return the estimate of each sample, shape (S, D).": (
            mean.sum(0),
            log_var.sum(0),
        ),
        "Every entry is divided by S: something is averaged over the samples before it is "
        "differentiated. Each sample's own estimate is asked for, and a sum keeps them whole.": (
            mean / size,
            log_var / size,
        ),
        "All rows are the same: the average over the samples. Return the estimate of each "
        "sample.": (averages[0].expand_as(mean), averages[1].expand_as(mean)),
        "You reduced the dimensions. Each has its own parameters: return shape (S, D).": [
            (mean.mean(1), log_var.mean(1)),
            (mean.sum(1), log_var.sum(1)),
            (mean.mean(), log_var.mean()),
            (mean.sum(), log_var.sum()),
        ],
        "The axes are swapped: return shape (S, D).": (mean.T, log_var.T),
        "The two are in the wrong order: return the estimate for `mean` first.": (log_var, mean),
        "The sign is wrong. Return the gradient of the expectation, not of its negative.": (
            -mean,
            -log_var,
        ),
    }


_WIDE = (
    "You used `exp(log_var)` as the standard deviation. It is the variance; the noise is stretched "
    "by its root."
)


# --- the pathwise estimator ----------------------------------------------------------------


def _pathwise(f: Function, mean: Tensor, log_var: Tensor, noise: Tensor) -> Pair:
    """Return df/dz and df/dz * std * noise / 2 for each sample; f is `curved`."""
    shift = (log_var / 2).exp() * noise
    slope = _slope(mean + shift)
    return slope, slope * shift / 2


def _pathwise_slips(f: Function, mean: Tensor, log_var: Tensor, noise: Tensor) -> Slips:
    std = (log_var / 2).exp()
    slope, second = _pathwise(f, mean, log_var, noise)

    def through(shift: Tensor, *rates: Tensor) -> list[Pair]:
        wrong = _slope(mean + shift).expand_as(noise)
        return [(wrong, wrong * rate) for rate in rates]

    def rates(*factors: Tensor) -> list[Pair]:
        return [(slope, slope * rate) for rate in factors]

    wide, raw, narrow = std**2 * noise, log_var * noise, std.sqrt() * noise
    frozen, nothing = _slope(mean.expand_as(noise)), torch.zeros_like(noise)
    values = f(mean + std * noise)[:, None].expand_as(noise)
    shared = [each.expand_as(noise) for each in (noise[:1], noise[-1:], noise[:, :1])]
    return {
        _WIDE: through(wide, wide, wide / 2),
        "You multiplied the noise by `log_var` itself. It is the logarithm of the variance.": (
            through(raw, noise, raw / 2)
        ),
        "You sent `log_var` through a softplus. The standard deviation is an exponential.": (
            through(F.softplus(log_var) * noise, log_var.sigmoid() * noise)
        ),
        "You divided the noise by the standard deviation. It stretches the noise.": through(
            noise / std, -noise / std / 2, noise / std / 2
        ),
        "z lies around 0: the mean is not added.": [
            (first, around * std * noise / 2)
            for around in [_slope(std * noise)]
            for first in (around, nothing)
        ],
        "The standard deviation multiplies the mean too: where is the parenthesis?": [
            (around * std, around * (mean + noise) * std / 2)
            for around in [_slope((mean + noise) * std)]
        ],
        "You multiplied f itself. The pathwise estimate holds its derivative.": [
            (values, values * std * noise / 2)
        ],
        "dz/d(mean) is 1: no noise enters the first part.": [
            (slope * noise, second),
            (slope * std, second),
            (slope * std * noise, second),
        ],
        "The exponential's derivative is itself, times that of the exponent. Your second part has "
        "another factor.": rates(std**2 * noise / 2, log_var * std * noise / 2),
        "Your second part holds z, where z - mean belongs: the mean does not move with "
        "`log_var`.": rates((mean + std * noise) / 2),
        "You took the square root twice: half of `log_var` is the logarithm of the standard "
        "deviation already.": through(narrow, narrow / 4, narrow / 2),
        "One draw of the noise serves them all. Each sample, in each dimension, has a draw of its "
        "own: its entry of `noise`.": [
            pair for each in shared for pair in through(std * each, std * each / 2)
        ],
        "For `log_var` a one half is missing: the standard deviation is the exponential of half of "
        "it, so its derivative is half of itself.": rates(std * noise),
        "Your second part is the derivative by the standard deviation or the variance. The "
        "parameter is `log_var`.": rates(noise, noise / (2 * std)),
        "Your second part lacks the noise: how far z moves with `log_var` depends on it.": rates(
            std, std / 2
        ),
        "Your second part lacks the chain rule's last step, dz/d(log_var).": rates(
            torch.ones_like(noise)
        ),
        "You differentiated f at the mean. Differentiate it at each sample.": [
            (frozen, frozen * std * noise / 2),
            (frozen, nothing),
        ],
        "The gradient for `log_var` is zero. Does z depend on `log_var` in your code, without "
        "a `.detach()`?": (slope, nothing),
        "The gradient for `mean` is zero. Does z depend on `mean` in your code, without a "
        "`.detach()`?": (nothing, second),
        "This is the score-function estimate. The exercise asks for the derivative of f along "
        "the path of z.": _score(f, mean, log_var, noise),
        **_shape_slips(slope, second),
    }


# --- the score-function estimator ----------------------------------------------------------


def _score(f: Function, mean: Tensor, log_var: Tensor, noise: Tensor) -> Pair:
    """Return f(z) times the score for each sample."""
    std = (log_var / 2).exp()
    values = f(mean + std * noise)[:, None].detach()
    return values * noise / std, values * (noise**2 - 1) / 2


def _score_slips(f: Function, mean: Tensor, log_var: Tensor, noise: Tensor) -> Slips:
    std, n_samples = (log_var / 2).exp(), len(noise)
    values = f(mean + std * noise)[:, None]
    by_mean, by_log_var = noise / std, (noise**2 - 1) / 2
    first, second = values * by_mean, values * by_log_var
    log_q = (-0.5 * (noise**2 + log_var + torch.tensor(2 * torch.pi).log())).sum(1, keepdim=True)
    path, path_log_var = _pathwise(f, mean, log_var, noise)
    others = (values.sum(0) - values) / (n_samples - 1)

    def of(b: Tensor) -> Pair:
        return (values - b) * by_mean, (values - b) * by_log_var

    def seconds(*scores: Tensor) -> list[Pair]:
        return [(first, values * score) for score in scores]

    wide = f(mean + std**2 * noise)[:, None]
    return {
        "log q(z) was differentiated through z as well. In the score z is held fixed: the "
        "parameters move the density, not the sample.": [
            (0 * first, (-values / 2).expand_as(noise)),
            (path * log_q, path_log_var * log_q - values / 2),
        ],
        "f was differentiated through z as well. The score function wants its values alone, as of "
        "a black box: z is held fixed, and f(z) is a number.": (
            first + path * log_q,
            second + path_log_var * log_q,
        ),
        "This is the pathwise estimate. f is a black box here: its derivative is not to be used, "
        "only its values.": (path, path_log_var),
        "You added the pathwise estimate. Each of the two is an estimate by itself.": (
            first + path,
            second + path_log_var,
        ),
        "This is the score alone. Multiply it by f(z), sample by sample.": (by_mean, by_log_var),
        "You multiplied each score by the average of f. Multiply it by the f(z) of its own "
        "sample.": (values.mean() * by_mean, values.mean() * by_log_var),
        "You subtracted a baseline that holds the sample's own f(z): the estimate has a bias then. "
        "And none is asked for yet; Exercise 2.4 takes it from the other samples.": of(
            values.mean()
        ),
        "You subtracted a baseline, the mean of f over the other samples. It lowers the variance, "
        "but the plain estimate is asked for.": of(others),
        _WIDE: [
            (wide * noise / std**power, wide * (noise**2 - 1) * rate)
            for power, rate in ((2, 1), (2, 0.5), (1, 0.5))
        ],
        "In the score of the mean, z - mean is divided by the variance, not by the standard "
        "deviation.": (values * noise, second),
        "In the score of the mean, noise is (z − mean) / σ already: divide it by σ once more, not "
        "by σ².": (values * noise / std**2, second),
        "In the score of the mean, z - mean is divided by the variance. You left the division "
        "out.": (values * noise * std, second),
        "The sign for `mean` is wrong: where z lies above the mean, log q(z) grows with it.": (
            -first,
            second,
        ),
        "In the score of the mean stands z - mean, the distance, not z.": (
            values * (mean + std * noise) / std**2,
            second,
        ),
        "f is to be evaluated at the samples, not at the mean or at the noise.": [
            (other * by_mean, other * by_log_var)
            for other in (f(mean[None])[:, None], f(noise)[:, None])
        ],
        "You divided f by its spread. That scales the estimate, and biases it.": [
            (other * by_mean, other * by_log_var)
            for other in (values / values.std(), (values - values.mean()) / values.std())
            if n_samples > 1
        ],
        "You added the scores of all dimensions up. Each parameter has its own.": (
            (values * by_mean.sum(1, keepdim=True)).expand_as(noise),
            (values * by_log_var.sum(1, keepdim=True)).expand_as(noise),
        ),
        "In the score of `log_var` a sign is wrong: it is negative near the mean, and positive far "
        "from it.": seconds((1 - noise**2) / 2, (1 + noise**2) / 2),
        "In the score of `log_var` the squared distance is to be divided by the variance, once.": (
            seconds((noise**2 / std**2 - 1) / 2, (noise**2 * std - 1) / 2)
        ),
        "In the score of `log_var` the distance enters squared.": seconds(
            (noise - 1) / 2, (noise.abs() - 1) / 2
        ),
        "The score of `log_var` lacks its constant: log q(z) holds -log_var / 2 as well.": (
            seconds(noise**2 / 2)
        ),
        "The score of `log_var` lacks the exponent: (z - mean)² / var depends on `log_var` "
        "too.": seconds(-torch.ones_like(noise) / 2),
        "The score of `log_var` lacks a one half.": seconds(
            noise**2 - 1, noise**2 - 0.5, noise**2 / 2 - 1
        ),
        "Your second part is the score of the standard deviation or of the variance. The "
        "parameter is `log_var`.": seconds((noise**2 - 1) / std, (noise**2 - 1) / (2 * std**2)),
        "Independent dimensions add in log q(z): take the sum over D, not the mean.": (
            first / 3,
            second / 3,
        ),
        **_shape_slips(first, second),
    }


_Estimator(
    "reparameterization.pathwise",
    number="2.2",
    title="A pathwise estimate for each sample",
    answer="pathwise_samples",
    reference=_pathwise,
    slips=_pathwise_slips,
    cases=[case(curved, 6, seed=0), case(curved, 1, seed=10)],
    no_path="torch finds no way from f(z) back to your parameters. Does z come from a leaf that "
    "requires a gradient, without a `.detach()` or a `no_grad` in between?",
    praise="Each agrees with the derivative on paper. Now you can measure their spread.",
)

_Estimator(
    "reparameterization.score_function",
    number="2.3",
    title="The score function of a black box",
    answer="score_samples_of",
    reference=_score,
    slips=_score_slips,
    cases=[case(curved, 6, seed=0), case(steps, 6, seed=0), case(steps, 1, seed=10)],
    no_path="torch can't differentiate this. f is a step function, no gradient comes through it, "
    "and none is needed: differentiate log q(z), with z held fixed.",
    praise="One f jumps, and no gradient could pass through it; of the other, none was wanted. The "
    "estimator used their values alone.",
)
