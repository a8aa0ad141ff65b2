"""Check of the broken trick: its noise, its graph and its density are judged one by one."""

import math
import random

import torch
from torch import Tensor

from companion.checks.authoring import (
    NotAttempted,
    NotYet,
    as_tensor,
    compare,
    exercise,
    is_blank,
    require_no_nan,
)
from companion.checks.authoring import call as call_answer

_B, _D = 1500, 2

# What is left of the original faults is named, not explained: finding them is the exercise.
_NOISE = "the noise: how often does z lie below the mean?"
_GRAPH = "the graph: what does autograd see of the way from `mean` and `log_var` to `z`?"
_DENSITY = "log q(z): which of its terms want the standard deviation, which the variance?"
_HALF = "log q(z): one of its two terms is right now. Look at the other."


def sizes() -> tuple[Tensor, Tensor]:
    """Return mean and log_var, each (1500, 2), spread evenly.

    They are not random: with a seed of ours that happens to be the learner's too, their noise
    would depend on them.
    """
    steps = torch.arange(_B * _D, dtype=torch.float64).reshape(_B, _D)
    mean, log_var = ((steps * irrational) % 1 for irrational in (2**0.5, 3**0.5))
    return (4 * mean - 2).float(), (2.6 * log_var - 1.4).float()


def _terms(z: Tensor, mean: Tensor, log_std: Tensor, var: Tensor) -> Tensor:
    return -0.5 * math.log(2 * math.pi) - log_std - 0.5 * (z - mean) ** 2 / var


def _density_of_stub(z: Tensor, mean: Tensor, log_var: Tensor) -> list[Tensor]:
    """Return log q(z) per dimension with the std for the variance: in both terms, in either."""
    std, var = (log_var / 2).exp(), log_var.exp()
    return [
        _terms(z, mean, log_var / 4, std),
        _terms(z, mean, log_var / 2, std),
        _terms(z, mean, log_var / 4, var),
    ]


def _other_densities(z: Tensor, mean: Tensor, log_var: Tensor) -> dict[str, list[Tensor]]:
    std, var = (log_var / 2).exp(), log_var.exp()
    right = _terms(z, mean, log_var / 2, var)
    twice = _terms(z, mean, log_var, var)
    return {
        "In log q(z), the term of the logarithm is log(var) / 2, or log(std). Yours has "
        "log(var).": [twice.sum(1)],
        "In log q(z) the variance is squared once too often: `std**2` is the variance, and "
        "`exp(log_var)` as well.": [
            _terms(z, mean, log_var / 2, var**2).sum(1),
            _terms(z, mean, log_var, var**2).sum(1),
        ],
        "log q(z) is one number for each example, shape (B,): sum over the last axis only.": [
            right,
            right.sum(),
            right.mean(),
            right.mean(1),
            right.sum(0),
        ],
        "log q(z) lost its constant, -log(2 π) / 2 for each dimension.": [
            (right + 0.5 * math.log(2 * math.pi)).sum(1)
        ],
        "The sign of log q(z) is wrong.": [-right.sum(1)],
        "This is q(z), not its logarithm.": [right.sum(1).exp()],
        "In log q(z) the deviation z - mean is not squared.": [
            (right + 0.5 * ((z - mean) ** 2 - (z - mean)) / var).sum(1),
            (right + 0.5 * ((z - mean) ** 2 / var - (z - mean).abs() / std)).sum(1),
        ],
    }


@exercise(
    "reparameterization.fix_the_trick", number="2.5", answer="sample", title="Repair a broken trick"
)
def fix_the_trick(answer: object) -> str:
    """Judge `sample(mean, log_var)`: z (B, D) and log q(z) (B,), both with their gradients."""
    torch.manual_seed(0)  # the learner's noise, the same every time; the caller's state is kept
    random.seed(0)
    mean, log_var = (value.requires_grad_() for value in sizes())
    z, log_q = _two(call_answer(answer, mean=mean, log_var=log_var))
    values = as_tensor(z, "z").double()
    if values.shape != mean.shape:
        raise NotYet(f"z has shape {tuple(values.shape)}; it should be {tuple(mean.shape)}.")
    _require_finite(values)
    arguments = (values, mean.detach().double(), log_var.detach().double())
    _require_own_noise(*arguments)
    faults = _faults(z, log_q, arguments)
    if len(faults) == 3:
        raise NotAttempted(
            "All three faults are still there. A start: draw many z with mean 0 and variance 1. "
            "What is their mean?"
        )
    if faults:
        lines = "\n".join(f"- {fault}" for fault in faults)
        count = len(faults)
        raise NotYet(f"{count} fault{'s' if count > 1 else ''} left. Look at:\n\n{lines}")
    _judge_noise(*arguments)
    _judge_density(log_q, arguments)
    _judge_second_call(answer, values)
    return "All three faults are gone. None of them raises an error, and each spoils the training."


def _two(result: object) -> tuple[object, object]:
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        raise NotYet("Return two tensors, as the given code does: `return z, log_q.sum(dim=-1)`.")
    z, log_q = result
    if is_blank(z) or is_blank(log_q):
        raise NotYet("One of the two is still a placeholder.")
    return z, log_q


def _require_finite(values: Tensor) -> None:
    if not torch.isfinite(values).all():
        raise NotYet("z holds NaN or infinity. Look for a logarithm or a root of a negative.")


def _faults(z: object, log_q: object, arguments: tuple[Tensor, Tensor, Tensor]) -> list[str]:
    """Return those of the original faults that are left."""
    values, mean, log_var = arguments
    noise = (values - mean) / (log_var / 2).exp()
    faults = [_NOISE] if (noise >= 0).all() or (noise <= 0).all() else []
    if not isinstance(z, Tensor) or not z.requires_grad:
        faults.append(_GRAPH)
    given = as_tensor(log_q, "log q(z)").double()
    wrong = [each.sum(1) for each in _density_of_stub(values, mean, log_var)]
    for each, fault in zip(wrong, (_DENSITY, _HALF, _HALF), strict=True):
        if given.shape == each.shape and torch.allclose(given, each, 1e-4, 1e-3):
            return [*faults, fault]
    return faults


def _require_own_noise(z: Tensor, mean: Tensor, log_var: Tensor) -> None:
    noise = (z - mean) / (log_var / 2).exp()
    if noise.abs().max() < 1e-6:
        raise NotYet("z equals the mean: the noise is gone.")
    for rows in (noise, noise.T):
        if (rows - rows[:1]).abs().max() < 1e-3:
            raise NotYet(
                "The same noise is used more than once. Each entry of z needs noise of its own, "
                "of the shape of `mean`."
            )


def _judge_noise(z: Tensor, mean: Tensor, log_var: Tensor) -> None:
    """Judge (z - mean) / std: mean 0, variance 1, fourth moment 3, uncorrelated columns."""
    noise = (z - mean) / (log_var / 2).exp()
    if _is_standard((z - mean) / log_var):
        raise NotYet("You multiply the noise by `log_var`; the standard deviation belongs there.")
    _judge_scale(noise, log_var)
    if _is_standard(noise):
        return
    if noise.mean().abs() > 0.12:
        raise NotYet(f"The noise (z - mean) / std has the mean {noise.mean():.3g}; it should be 0.")
    if (noise.var() - 1).abs() > 0.17:
        raise NotYet(f"The noise (z - mean) / std has the variance {noise.var():.3g}, not 1.")
    raise NotYet(
        "The noise has mean 0 and variance 1 now, but it is not Gaussian. q is: its log-density "
        "says so."
    )


_SCALES = {  # how the logarithm of |z - mean| / std grows with log_var, and why
    0.5: "You multiply the noise by the variance; the standard deviation belongs there.",
    -0.25: "You multiply the noise by the root of the standard deviation: one root too many.",
    -0.5: "The spread of z does not depend on `log_var`. Multiply the noise by the standard "
    "deviation.",
}


def _judge_scale(noise: Tensor, log_var: Tensor) -> None:
    """Raise if the size of (z - mean) / std still depends on log_var; it does not with std."""
    size, centered = noise.abs().clamp_min(1e-6).log(), log_var - log_var.mean()
    slope = float((size * centered).mean() / centered.square().mean())  # its error is 0.03
    if abs(slope) > 0.16:
        raise NotYet(_SCALES[min(_SCALES, key=lambda known: abs(known - slope))])


def _is_standard(noise: Tensor) -> bool:
    """Tell whether 3000 entries look standard normal, within six standard errors or more."""
    moments = (noise**2).mean(), (noise**4).mean()
    near = abs(noise.mean()) < 0.12 and abs(moments[0] - 1) < 0.17 and abs(moments[1] - 3) < 1.1
    return bool(near) and bool((noise[:, 0] * noise[:, 1]).mean().abs() < 0.12)


def _judge_density(log_q: object, arguments: tuple[Tensor, Tensor, Tensor]) -> None:
    z, mean, log_var = arguments
    right = _terms(z, mean, log_var / 2, log_var.exp()).sum(1)
    hints = _other_densities(z, mean, log_var)
    compare(log_q, right, hints, what="log q(z)", rtol=1e-4, atol=2e-3)


def _judge_second_call(answer: object, first: Tensor) -> None:
    """Judge that z is a new one, and the gradients: of z, and of log q(z) along z's path."""
    mean, log_var = (value.requires_grad_() for value in sizes())
    z, log_q = answer(mean, log_var)  # type: ignore[operator]  # it has been called before
    if torch.allclose(z.detach().double(), first):
        raise NotYet(
            "Two calls gave the same z. Each call needs fresh noise: do not set a seed inside."
        )
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
