"""Check of the broken trick: its noise, its graph and its density are judged one by one."""

import math
import random
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from companion.checks._gaussians import wrong_terms
from companion.checks.authoring import (
    Case,
    NotYet,
    RepairTask,
    call,
    compare,
    distance,
    nearest,
    require_no_nan,
    several,
)

_B, _D = 1500, 2

# What is left of the original faults is named, not explained: finding them is the exercise.
_NOISE = "the noise: how often does z lie below the mean?"
_GRAPH = "the graph: what does autograd see of the way from `mean` and `log_var` to `z`?"
_OWN = "Each entry of z needs noise of its own, of the shape of `mean`."
_LEAF = (
    "the graph: z asks for a gradient now, but it is a beginning, not a result. Does anything "
    "arrive at `mean` and `log_var`?"
)
_DRAWN = (
    "the graph: the gradient that arrives at `mean` and `log_var` is zero. Whatever draws z does "
    "not say how z moves with them."
)
_DENSITY = "log q(z): which of its terms want the standard deviation, which the variance?"
_HALF = "log q(z): one of its two terms is right now. Look at the other."

Make = Callable[[Tensor, Tensor, Tensor], Tensor]
LogQ = Callable[[Tensor, Tensor, Tensor], Tensor]


def _terms(z: Tensor, mean: Tensor, log_std: Tensor, var: Tensor) -> Tensor:
    return -0.5 * math.log(2 * math.pi) - log_std - 0.5 * (z - mean) ** 2 / var


def _log_q(log_std: float, var: float) -> LogQ:
    """Return log q(z), (B,), with log_var scaled in the logarithm and in the divisor."""
    return lambda z, mean, log_var: _terms(z, mean, log_std * log_var, (var * log_var).exp()).sum(
        -1
    )


_DENSITIES = {_DENSITY: [_log_q(0.25, 0.5)], _HALF: [_log_q(0.5, 0.5), _log_q(0.25, 1.0)]}
_RIGHT = _log_q(0.5, 1.0)


def _reparameterized(mean: Tensor, std: Tensor, noise: Tensor) -> Tensor:
    return mean + std * noise


def _without_graph(mean: Tensor, std: Tensor, noise: Tensor) -> Tensor:
    return (mean + std * noise).detach()


def _as_leaf(mean: Tensor, std: Tensor, noise: Tensor) -> Tensor:
    return (mean + std * noise).detach().requires_grad_()


def _as_drawn(mean: Tensor, std: Tensor, noise: Tensor) -> Tensor:
    """Return z with the gradient that `torch.normal(mean, std)` has."""
    return (mean + std * noise).detach() + 0 * mean + 0 * std


def _version(
    draw: Callable[[Tensor], Tensor], make: Make, density: LogQ, mean: Tensor, log_var: Tensor
) -> tuple[Tensor, Tensor]:
    std = (log_var / 2).exp()
    z = make(mean, std, draw(std))
    return z, density(z, mean, log_var)


def _sizes() -> tuple[Tensor, Tensor]:
    """Return mean and log_var, each (1500, 2), spread evenly.

    They are not random: with a seed of ours that happens to be the learner's too, their noise
    would depend on them.
    """
    steps = torch.arange(_B * _D, dtype=torch.float64).reshape(_B, _D)
    mean, log_var = ((steps * irrational) % 1 for irrational in (2**0.5, 3**0.5))
    return (4 * mean - 2).float(), (2.6 * log_var - 1.4).float()


_NAMES = ("z", "log q(z)")


def _find(answer: Any) -> list[str]:
    """Return those of the original faults that are left; if there are none, judge all the rest."""
    torch.manual_seed(0)  # the learner's noise, the same every time; the caller's state is kept
    random.seed(0)
    mean, log_var = (value.requires_grad_() for value in _sizes())
    z, log_q = several(call(answer, mean=mean, log_var=log_var), _NAMES)
    values, parameters = z.double(), (mean.detach().double(), log_var.detach().double())
    if z.shape != mean.shape:
        raise NotYet(f"z has shape {tuple(z.shape)}; it should be {tuple(mean.shape)}.")
    if not torch.isfinite(z).all():
        raise NotYet("z holds NaN or infinity. Look for a logarithm or a root of a negative.")
    _require_own_noise(values, *parameters)
    moving, moving_log_q = answer(mean, log_var)
    faults = [
        *_noise_fault(values, *parameters),
        *_graph_fault(moving, mean, log_var),
        *_density_fault(log_q, values, *parameters),
    ]
    if not faults:
        _judge_noise(values, *parameters)
        right = _RIGHT(values, *parameters)
        slips = density_slips(values, *parameters)
        compare(log_q, right, slips, what="log q(z)", rtol=1e-4, atol=2e-3)
        if torch.allclose(moving.detach().double(), values):
            raise NotYet(
                "Two calls gave the same z. Each call needs fresh noise: do not set a seed inside."
            )
        _judge_gradients(moving, moving_log_q, mean, log_var)
    return faults


def _standardized(z: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    return (z - mean) / (log_var / 2).exp()


def _require_own_noise(z: Tensor, mean: Tensor, log_var: Tensor) -> None:
    noise = _standardized(z, mean, log_var)
    if noise.abs().max() < 1e-6:
        raise NotYet("z equals the mean: the noise is gone.")
    if any((rows - rows[:1]).abs().max() < 1e-3 for rows in (noise, noise.T)):
        raise NotYet(f"The same noise is used more than once. {_OWN}")
    for side in (noise, -noise):
        ends = int((side > side.max() - 1e-5).sum())
        if 4 <= ends < len(z) / 2:  # of 3000 numbers four never lie so close by chance
            raise NotYet(
                f"The noise is cut off: {ends} of its {z.numel()} numbers lie at its end. Such a z "
                "has another density than log q(z) says."
            )
    pairs = noise.abs().flatten().sort().values.diff() < 3e-6  # by chance 1 in 150
    if 0.2 < pairs.double().mean() < 0.95:  # signs alone are another fault
        raise NotYet(f"Numbers of the noise come twice, perhaps with the other sign. {_OWN}")


def _noise_fault(z: Tensor, mean: Tensor, log_var: Tensor) -> list[str]:
    noise = _standardized(z, mean, log_var)
    return [_NOISE] if (noise >= 0).all() or (noise <= 0).all() else []


def _graph_fault(z: Any, mean: Tensor, log_var: Tensor) -> list[str]:
    if not isinstance(z, Tensor) or not z.requires_grad:
        return [_GRAPH]
    found = torch.autograd.grad(z.sum(), [mean, log_var], allow_unused=True, retain_graph=True)
    if all(slope is None for slope in found):
        return [_LEAF]
    return [_DRAWN] if all(slope is None or not slope.any() for slope in found) else []


def _density_fault(log_q: Tensor, *arguments: Tensor) -> list[str]:
    off = {
        fault: [distance(log_q, density(*arguments), 1e-4, 1e-3) for density in codes]
        for fault, codes in _DENSITIES.items()
    }
    fault = nearest(off)
    return [fault] if fault else []


def scales(mean: Tensor, log_var: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Return, for each hint, what the noise is multiplied by and what is added, both wrong."""
    std, var = (log_var / 2).exp(), log_var.exp()
    return {
        "You multiply the noise by the variance; the standard deviation belongs there.": (
            mean,
            var,
        ),
        "You multiply the noise by `log_var`; the standard deviation belongs there.": (
            mean,
            log_var,
        ),
        "You multiply the noise by the root of the standard deviation: one root too many.": (
            mean,
            std.sqrt(),
        ),
        "You divide the noise by the standard deviation. It stretches the noise.": (mean, 1 / std),
        "The spread of z does not depend on `log_var`. Multiply the noise by the standard "
        "deviation.": (mean, torch.ones_like(std)),
        "The two have changed places: the noise is stretched by the standard deviation and shifted "
        "by the mean, not the other way round.": (std, mean),
        "The mean multiplies the noise together with the standard deviation: where is the "
        "parenthesis? The mean shifts what is stretched already.": (mean * std, std),
        "z lies around 0: the mean is not added.": (torch.zeros_like(mean), std),
    }


def _judge_noise(z: Tensor, mean: Tensor, log_var: Tensor) -> None:
    """Judge (z - mean) / std: mean 0, variance 1, fourth moment 3, uncorrelated columns."""
    noise = _standardized(z, mean, log_var)
    if _is_standard(noise, mean, log_var):
        return
    together = (noise[:, 0] * noise[:, 1]).mean() / noise.var()
    if together.abs() > 0.3:
        raise NotYet(f"The two columns of the noise go together. {_OWN}")
    for hint, (shift, scale) in scales(mean, log_var).items():
        if _is_standard((z - shift) / scale, mean, log_var, share=0.6):
            raise NotYet(hint)
    if noise.mean().abs() > 0.12:
        raise NotYet(f"The noise (z - mean) / std has the mean {noise.mean():.3g}; it should be 0.")
    if (noise.var() - 1).abs() > 0.17:
        raise NotYet(f"The noise (z - mean) / std has the variance {noise.var():.3g}, not 1.")
    raise NotYet(
        "The noise has mean 0 and variance 1 now, but it is not Gaussian. q is: its log-density "
        "says so."
    )


def _is_standard(noise: Tensor, mean: Tensor, log_var: Tensor, share: float = 1.0) -> bool:
    """Tell whether 3000 entries look standard normal, within six standard errors or a share of it.

    Neither their sign nor their size may depend on the parameters.
    """
    moments = (noise**2).mean(), (noise**4).mean()
    size = noise.abs().clamp_min(1e-6).log()
    slopes = [
        (value * (by - by.mean())).mean() / by.var()
        for value in (noise, size)
        for by in (mean, log_var)
    ]
    limits = [  # the widest of the slopes has a standard error of 0.027
        (noise.mean(), 0.12),
        (moments[0] - 1, 0.17),
        (moments[1] - 3, 1.1),
        ((noise[:, 0] * noise[:, 1]).mean(), 0.12),
        *((slope, 0.18) for slope in slopes),
    ]
    return all(abs(float(found)) < share * limit for found, limit in limits)


def density_slips(z: Tensor, mean: Tensor, log_var: Tensor) -> dict[str, list[Tensor]]:
    """Return log q(z) with new faults."""
    right = _terms(z, mean, log_var / 2, log_var.exp())
    logs = (0.25, 0.5), (0.5, 0.5), (0.25, 1.0), (0.5, 1.0)  # old faults may be left beside
    return {
        "You averaged log q(z) over the dimensions. Independent dimensions add.": [
            _log_q(*each)(z, mean, log_var) / _D for each in logs
        ],
        "log q(z) is one number for each example, shape (B,): sum over the last axis only.": [
            right,
            right.sum(),
            right.mean(),
            right.sum(0),
        ],
        "This is the density of the prior, N(0, I), at z. q has a mean and a variance.": [
            _terms(z, 0 * mean, 0 * mean, 1 + 0 * mean).sum(1)
        ],
        "The sign of log q(z) is wrong.": [-right.sum(1)],
        "This is q(z), not its logarithm.": [right.sum(1).exp()],
        **{
            f"In log q(z): {hint[0].lower()}{hint[1:]}": [terms.sum(1) for terms in wrong]
            for hint, wrong in wrong_terms(z - mean, log_var).items()
        },
    }


def _judge_gradients(z: Tensor, log_q: Any, mean: Tensor, log_var: Tensor) -> None:
    """Judge the gradients of z, and of log q(z) along z's path."""
    found = torch.autograd.grad(z.sum(), [mean, log_var], allow_unused=True, retain_graph=True)
    wanted = torch.ones_like(mean), (z - mean).detach() / 2
    for name, grad, value in zip(("mean", "log_var"), found, wanted, strict=True):
        require_no_nan(value if grad is None else grad, f"The gradient of z by `{name}`")
        if grad is None or not torch.allclose(grad.double(), value.double(), 1e-3, 1e-3):
            raise NotYet(
                f"The values are right, but z's gradient by `{name}` is not. Is there still a "
                "`.detach()`, or a `no_grad` around a part of it?"
            )
    if not isinstance(log_q, Tensor) or not log_q.requires_grad:
        raise NotYet("z is right, but no gradient passes through log q(z).")
    found = torch.autograd.grad(log_q.sum(), [mean, log_var], allow_unused=True)
    wanted = torch.zeros_like(mean), torch.full_like(mean, -0.5)
    for grad, value in zip(found, wanted, strict=True):
        grad = torch.zeros_like(value) if grad is None else grad
        require_no_nan(grad, "The gradient of log q(z)")
        if not torch.allclose(grad.double(), value.double(), atol=2e-2):
            raise NotYet(
                "z is right, but the gradient of log q(z) is not the total one: z moves with the "
                "parameters, and inside log q(z) too. Is z, `mean` or `log_var` detached there?"
            )


RepairTask(
    "reparameterization.fix_the_trick",
    number="2.5",
    title="Repair a broken trick",
    answer="sample",
    parts=_NAMES,
    places=[
        {"": torch.randn_like, _NOISE: torch.rand_like},
        {"": _reparameterized, _GRAPH: _without_graph, _LEAF: _as_leaf, _DRAWN: _as_drawn},
        {"": _RIGHT, **_DENSITIES},
    ],
    version=_version,
    begin="A start: draw many z with mean 0 and variance 1. What is their mean?",
    find=_find,
    cases=[Case("", dict(zip(("mean", "log_var"), _sizes(), strict=True)))],
    praise="All three faults are gone. None of them raises an error, and each spoils the training.",
)
