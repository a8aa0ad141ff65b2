"""Checks of the loss: its scale and its faults."""

from collections.abc import Callable

import torch
from torch import Tensor

from companion.checks._gaussians import wrong_kls
from companion.checks.authoring import Case, NumbersTask, RepairTask, Slips, uniform

_P, _D, _WEIGHT, _VARIANCE, _BATCH_SIZE = 784.0, 20.0, 0.00025, 0.1, 100.0

NumbersTask(
    "elbo.effective_beta",
    number="1.5",
    title="The beta of four losses",
    answer="betas",
    values={"a": _P / _D, "b": 1 / (2 * _VARIANCE), "c": 1.0, "d": _WEIGHT * _P / 2},
    close=0.03,
    slips={
        "a": {
            "you inverted it: beta is the factor beside the KL.": _D / _P,
            "both terms are averaged, but over different numbers.": 1.0,
            "you forgot P: the first term is averaged too, over the pixels.": 1 / _D,
            "you forgot D: the KL is averaged too, over the latent dimensions.": _P,
            "undo the average of the first term; the one of the KL stays and divides.": _P * _D,
        },
        "b": {
            "you inverted it: multiply the whole loss until its first term is -log p(x | z).": (
                2 * _VARIANCE
            ),
            "a Gaussian with variance 0.1 does not have the bare squared error in "
            "-log p(x | z).": 1.0,
            "you forgot the one half of the Gaussian.": 1 / _VARIANCE,
            "you took 0.1 as the standard deviation; it is the variance.": 1 / (2 * _VARIANCE**2),
            "you left the variance out: it divides the squared error.": 1 / 2,
            "you multiplied by the variance; it divides the squared error.": _VARIANCE / 2,
            "the squared error is summed over the pixels already.": _P / (2 * _VARIANCE),
        },
        "c": {
            "the batch size divides both terms alike: a factor on the whole loss does not move "
            "its minimum.": [_BATCH_SIZE, 1 / _BATCH_SIZE],
            "the pixels are summed already.": _P,
            "pixels and dimensions are both summed; neither average is to be undone.": _P / _D,
            "the latent dimensions are summed already.": 1 / _D,
        },
        "d": {
            "undo the average over the P pixels, then mind the one half of the Gaussian.": _WEIGHT,
            "you forgot the one half: a Gaussian with variance 1 has half the squared error.": (
                _WEIGHT * _P
            ),
            "you forgot P: the squared error is averaged over the pixels.": _WEIGHT / 2,
            "you doubled where you have to halve.": _WEIGHT * _P * 2,
            "you inverted it: beta is the factor beside the KL.": 2 / (_WEIGHT * _P),
            "you inverted it, and the average over pixels is still to be undone.": 1 / _WEIGHT,
            "you divided by P; undoing the average multiplies by P.": [
                _WEIGHT / _P,
                _WEIGHT / (2 * _P),
            ],
        },
    },
    otherwise="{value} is not it. By which factor must the loss be multiplied for its first term "
    "to be -log p(x | z), summed over pixels? The same factor multiplies the KL.",
    praise="All four. Whoever reports a loss without saying how it was averaged chose a beta and "
    "did not tell.",
)


def _kl(var: float, log_var: float) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a KL per dimension, (B, D), that scales log_var in the variance and its logarithm."""
    return lambda mean, raw: 0.5 * ((var * raw).exp() + mean**2 - 1 - log_var * raw)


# What is left of the faults is named, not explained: finding them is the exercise.
_SIGNS = {
    "": (-1, 1),
    "which way the loss should move.": (1, -1),
    "which way the loss should move when the KL divergence grows.": (-1, -1),
    "which way the loss should move when the log-likelihood grows.": (1, 1),
}
_REDUCTIONS = {"": torch.Tensor.sum, "how the dimensions are reduced.": torch.Tensor.mean}
_TWICE, _HALF = [_kl(2.0, 2.0), _kl(2.0, 1.0)], [_kl(0.5, 1.0), _kl(0.5, 0.5)]
_KLS = {
    "": [_kl(1.0, 1.0)],
    "what `exp(log_var)` is.": _TWICE,
    "std is right now, but is it its square that stands in the KL, and 2 log std?": _HALF,
    "the variance is right now, but the KL wants half its logarithm: log std.": [_kl(1.0, 2.0)],
    "what a root does to a logarithm.": [_kl(4.0, 4.0), _kl(4.0, 2.0), _kl(1.0, 4.0)],
}


def _loss(
    sign: tuple[int, int],
    reduce: Callable,
    kl: Callable,
    log_likelihood: Tensor,
    mean: Tensor,
    log_var: Tensor,
) -> Tensor:
    return sign[0] * log_likelihood + sign[1] * reduce(kl(mean, log_var), -1)


def _new_faults(log_likelihood: Tensor, mean: Tensor, log_var: Tensor) -> Slips:
    kls = [kl(mean, log_var) for kl in (_kl(1.0, 1.0), *_TWICE, *_HALF)]
    right = kls[0].sum(-1) - log_likelihood
    known = [kl(mean, log_var) for codes in _KLS.values() for kl in codes]
    others = {
        hint: [kl for kl in wrong if not any(torch.allclose(kl, each) for each in known)]
        for hint, wrong in wrong_kls(mean, log_var).items()
    }
    return {
        **{hint: [kl.sum(-1) - log_likelihood for kl in wrong] for hint, wrong in others.items()},
        "The log-likelihood is missing from the loss.": [kl.sum(-1) for kl in kls],
        "The KL divergence is missing from the loss.": [-log_likelihood, log_likelihood],
        "Return one number for each example, shape (B,); only the caller averages over the "
        "batch.": [right.mean(), right.sum()],
        "The KL divergence of the whole batch is in every entry. One number per example is "
        "expected: reduce the last axis only.": [
            f(kl) - log_likelihood for f in (torch.sum, torch.mean) for kl in kls
        ],
        "Is there an absolute value? A log-density can be positive, and the loss must still fall "
        "as it grows.": [right.abs(), right + log_likelihood + log_likelihood.abs()],
    }


RepairTask(
    "elbo.fix_the_loss",
    number="1.6",
    title="Find the bugs in a loss",
    answer="loss",
    places=[_SIGNS, _REDUCTIONS, _KLS],
    version=_loss,
    begin="A start: what should the loss do when the log-likelihood grows, and what does it do?",
    slips=_new_faults,
    cases=[
        Case(
            "With B = 4 and D = 3, ",
            {
                "log_likelihood": torch.tensor([-7.5, 3.25, -4.125, 9.0]),  # some are positive
                "mean": uniform(-1.5, 1.5, 4, 3, seed=2),
                "log_var": uniform(-1.2, 1.2, 4, 3, seed=3),
            },
        )
    ],
    gradients_by=("log_likelihood", "mean", "log_var"),
    praise="All three faults are gone. Each of them would have trained without an error message.",
)
