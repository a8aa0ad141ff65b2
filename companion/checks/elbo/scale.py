"""Checks of the loss: its scale and its faults."""

from collections.abc import Mapping
from itertools import product

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from companion.checks.authoring import (
    DETACHED,
    NotAttempted,
    NotYet,
    call,
    compare,
    exercise,
    gradients,
    is_blank,
    number,
    uniform,
)

_P, _D, _WEIGHT, _VARIANCE, _BATCH_SIZE = 784.0, 20.0, 0.00025, 0.1, 100.0

# For each loss: the right beta, then known wrong ones with their hints.
_BETAS: dict[str, tuple[float, dict[float, str]]] = {
    "a": (
        _P / _D,
        {
            _D / _P: "you inverted it: beta is the factor beside the KL.",
            1.0: "both terms are averaged, but over different numbers.",
            1 / _D: "you forgot P: the first term is averaged too, over the pixels.",
            _P: "you forgot D: the KL is averaged too, over the latent dimensions.",
            _P * _D: "undo the average of the first term; the one of the KL stays and divides.",
        },
    ),
    "b": (
        1 / (2 * _VARIANCE),
        {
            2 * _VARIANCE: "you inverted it: multiply the whole loss until its first term is "
            "-log p(x | z).",
            1.0: "a Gaussian with variance 0.1 does not have the bare squared error in "
            "-log p(x | z).",
            1 / _VARIANCE: "you forgot the one half of the Gaussian.",
            1 / (2 * _VARIANCE**2): "you took 0.1 as the standard deviation; it is the variance.",
            1 / 2: "you left the variance out: it divides the squared error.",
            _VARIANCE / 2: "you multiplied by the variance; it divides the squared error.",
            _P / (2 * _VARIANCE): "the squared error is summed over the pixels already.",
        },
    ),
    "c": (
        1.0,
        {
            _BATCH_SIZE: "the batch size divides both terms alike: a factor on the whole loss.",
            1 / _BATCH_SIZE: "the batch size divides both terms alike: a factor on the whole "
            "loss does not move its minimum.",
            _P: "the pixels are summed already.",
            _P / _D: "pixels and dimensions are both summed; neither average is to be undone.",
            1 / _D: "the latent dimensions are summed already.",
        },
    ),
    "d": (
        _WEIGHT * _P / 2,
        {
            _WEIGHT: "undo the average over the P pixels, then mind the one half of the Gaussian.",
            _WEIGHT * _P: "you forgot the one half: a Gaussian with variance 1 has half the "
            "squared error.",
            _WEIGHT / 2: "you forgot P: the squared error is averaged over the pixels.",
            _WEIGHT * _P * 2: "you doubled where you have to halve.",
            2 / (_WEIGHT * _P): "you inverted it: beta is the factor beside the KL.",
            1 / _WEIGHT: "you inverted it, and the average over pixels is still to be undone.",
            _WEIGHT / _P: "you divided by P; undoing the average multiplies by P.",
            _WEIGHT / (2 * _P): "you divided by P; undoing the average multiplies by P.",
        },
    ),
}


@exercise("elbo.effective_beta", number="1.5", answer="betas", title="The beta of four losses")
def effective_beta(answer: object) -> str:
    """Judge four numbers: in order, or in a dict with the keys a, b, c and d."""
    answers = _four(answer)
    blank = [letter for letter, value in answers.items() if is_blank(value)]
    if len(blank) == len(answers):
        raise NotAttempted("Fill in the four numbers, then run the cell again.")
    lines = []
    for letter, value in answers.items():
        remark = "no answer yet." if letter in blank else _beta_remark(letter, value)
        if remark:
            lines.append(f"- ({letter}) {remark}")
    if lines:
        right = len(answers) - len(lines)
        verb = "is" if right == 1 else "are"
        raise NotYet(f"{right} of 4 {verb} right. Look again at:\n\n" + "\n".join(lines))
    return (
        "All four. Whoever reports a loss without saying how it was averaged chose a beta and "
        "did not tell."
    )


def _four(answer: object) -> dict[str, object]:
    """Return the four answers by their letters."""
    if isinstance(answer, (Tensor, np.ndarray)):
        answer = answer.reshape(-1).tolist()
    if isinstance(answer, Mapping):
        named = {str(key).strip("() ").lower(): value for key, value in answer.items()}
        if not set(named) <= set(_BETAS):
            raise NotYet("The dict's keys must be `a`, `b`, `c` and `d`.")
        return {letter: named.get(letter) for letter in _BETAS}
    if not isinstance(answer, (list, tuple)):
        name = type(answer).__name__
        raise NotYet(f"Pass four numbers, as a list or as a dict; this is of type `{name}`.")
    if len(answer) != len(_BETAS):
        raise NotYet(f"Pass four numbers, (a) to (d); you passed {len(answer)}.")
    return dict(zip(_BETAS, answer, strict=True))


def _beta_remark(letter: str, value: object) -> str:
    """Return what to look at in one of the answers; empty if it is right."""
    right, hints = _BETAS[letter]
    if isinstance(value, str):
        return "write it without quotes."
    try:
        beta = number(value, "the answer")
    except NotYet as reason:
        return str(reason)
    if _near(beta, right):
        return ""
    if abs(beta - right) < 0.03 * right:
        return "close; give three digits or write the product."
    for wrong, hint in hints.items():
        if _near(beta, wrong):
            return hint
    return (
        f"{beta:.6g} is not it. By which factor must the loss be multiplied for its first term "
        "to be -log p(x | z), summed over pixels? The same factor multiplies the KL."
    )


def _near(value: float, other: float) -> bool:
    return abs(value - other) <= 5e-3 * abs(other)


# What is left of the original faults is named, not explained: finding them is the exercise.
_VAR_FAULT = "what `exp(log_var)` is."
_HALF_FAULT = "std is right now, but is it its square that stands in the KL, and 2 log std?"
_LOG_FAULT = "the variance is right now, but the KL wants half its logarithm: log std."
_MEAN_FAULT = "how the dimensions are reduced."
_ELBO_FAULT = "which way the loss should move."
_KL_FAULT = "which way the loss should move when the KL divergence grows."
_LIKELIHOOD_FAULT = "which way the loss should move when the log-likelihood grows."


def _kl_variants(mean: Tensor, log_var: Tensor) -> dict[str, list[Tensor]]:
    """Return the KL per dimension, right (no fault) and with each misuse of log_var; (B, D)."""

    def kl(var: Tensor, log_std: Tensor) -> Tensor:
        return 0.5 * (var + mean**2 - 1) - log_std

    var, double = log_var.exp(), (2 * log_var).exp()
    half = (log_var / 2).exp()
    return {
        "": [kl(var, log_var / 2)],
        _VAR_FAULT: [kl(double, log_var), kl(double, log_var / 2)],
        _HALF_FAULT: [kl(half, log_var / 2), kl(half, log_var / 4)],
        _LOG_FAULT: [kl(var, log_var)],
    }


def _faulty_losses(
    log_likelihood: Tensor, mean: Tensor, log_var: Tensor
) -> dict[str, list[Tensor]]:
    """Return the wrong losses, one entry for each combination of faults, which its key lists."""
    reductions = {"": torch.Tensor.sum, _MEAN_FAULT: torch.Tensor.mean}
    signs = {"": (-1, 1), _ELBO_FAULT: (1, -1), _KL_FAULT: (-1, -1), _LIKELIHOOD_FAULT: (1, 1)}
    variants = _kl_variants(mean, log_var)
    losses = {}
    for sign, reduction, use in product(signs, reductions, variants):
        faults = [f"- {fault}" for fault in (sign, reduction, use) if fault]
        a, b = signs[sign]
        losses["\n".join(faults)] = [
            a * log_likelihood + b * reductions[reduction](kl, -1) for kl in variants[use]
        ]
    del losses[""]
    return losses


@exercise("elbo.fix_the_loss", number="1.6", answer="loss", title="Find the bugs in a loss")
def fix_the_loss(answer: object) -> str:
    """Judge `loss(log_likelihood, mean, log_var)`: the negative ELBO of each example, (B,)."""
    log_likelihood = torch.tensor([-7.5, 3.25, -4.125, 9.0])  # log-densities can be positive
    mean, log_var = uniform(-1.5, 1.5, 4, 3, seed=2), uniform(-1.2, 1.2, 4, 3, seed=3)
    arguments = {"log_likelihood": log_likelihood, "mean": mean, "log_var": log_var}
    result = call(answer, **arguments)
    faulty = _faulty_losses(*(value.double() for value in arguments.values()))
    kls = [kl for variants in _kl_variants(mean, log_var).values() for kl in variants]
    _require_a_change(result, faulty)
    right = kl_divergence(Normal(mean, (log_var / 2).exp()), Normal(0.0, 1.0)).sum(-1)
    right = right - log_likelihood
    hints = {_left(faults): wrong for faults, wrong in faulty.items()}
    hints[_BATCH] = [right.mean(), right.sum()]
    hints[_WHOLE] = [f(kl) - log_likelihood for f in (torch.sum, torch.mean) for kl in kls]
    hints[_ABSOLUTE] = [right.abs(), right + log_likelihood + log_likelihood.abs()]
    compare(result, right, hints, setting="With B = 4 and D = 3, ")
    found = gradients(answer, **arguments)
    wanted = {
        "log_likelihood": -torch.ones(4),
        "mean": mean,
        "log_var": (log_var.exp() - 1) / 2,
    }
    for name, value in wanted.items():
        what = f"The gradient with respect to `{name}`"
        compare(found[name], value, what=what, remark=DETACHED)
    return "All three faults are gone. Each of them would have trained without an error message."


_BATCH = "Return one number for each example, shape (B,); only the caller averages over the batch."
_WHOLE = (
    "The KL divergence of the whole batch is in every entry. One number per example is expected: "
    "reduce the last axis only."
)
_ABSOLUTE = (
    "Is there an absolute value? A log-density can be positive, and the loss must still fall as "
    "it grows."
)


def _left(faults: str) -> str:
    count = faults.count("\n") + 1
    return f"{count} fault{'s' if count > 1 else ''} left. Look at:\n\n{faults}"


def _require_a_change(result: object, faulty: dict[str, list[Tensor]]) -> None:
    """Raise NotAttempted if the loss is still the one that the exercise begins with."""
    start = "\n".join(f"- {fault}" for fault in (_ELBO_FAULT, _MEAN_FAULT, _VAR_FAULT))
    try:
        compare(result, faulty[start][0])
    except NotYet:
        return
    raise NotAttempted(
        "All three faults are still there. A start: what should the loss do when the "
        "log-likelihood grows, and what does it do?"
    )
