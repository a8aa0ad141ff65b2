"""Checks of the Gaussian KL divergence, by hand and in code."""

import math
from itertools import combinations
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from companion.checks._gaussians import LOGARITHM, misread
from companion.checks.authoring import Case, FunctionTask, NumberTask, Slips, uniform

_BY_HAND = 0.5 * (4 + 1 - 1 - math.log(4))
_BY_HAND_SLIPS = {
    "You took 4 as the standard deviation. It is the variance: the standard deviation is 2.": 0.5
    * (16 + 1 - 1 - math.log(16)),
    "You are off by a factor of 2: every term of a Gaussian log-density has a one half in front.": 2
    * _BY_HAND,
    "You computed the KL divergence the other way round, KL(N(0, 1) || N(1, 4)). Take the "
    "expectation under the first distribution, N(1, 4).": 0.5 * (1 / 4 + 1 / 4 - 1 + math.log(4)),
    "That is the right value in bits. Use the natural logarithm to get nats.": _BY_HAND
    / math.log(2),
    "A KL divergence is never negative. Which of the two log-densities is subtracted?": -_BY_HAND,
    "You left out q's mean: E_q[z²] is not the variance alone.": 0.5 * (4 - 1 - math.log(4)),
    "You left out a term of log q(z): (z - 1)² / (2 * 4) is not zero on average.": 0.5
    * (4 + 1 - math.log(4)),
    "In the logarithm you took the standard deviation, 2. With one half in front, log q(z) "
    "holds the logarithm of the variance, 4.": 0.5 * (4 + 1 - 1 - math.log(2)),
    "The sign of the logarithm is wrong: log q(z) holds -1/2 log 4, so it lowers the result.": 0.5
    * (4 + 1 - 1 + math.log(4)),
}

NumberTask(
    "elbo.kl_by_hand",
    number="1.1",
    title="A KL divergence by hand",
    value=_BY_HAND,
    within=0.0035,  # 1.31 is the coarsest rounding
    slips=_BY_HAND_SLIPS,
    slip_within=0.006,
    rules=[
        (lambda value: value < 0, "A KL divergence is never negative."),
        (
            lambda value: abs(value - 1.3) < 1e-9,
            "That is close. Give at least two decimals, correctly rounded.",
        ),
        (
            lambda value: abs(value - _BY_HAND) < 0.05,
            "Close, but not a rounding of the right value.",
        ),
    ],
    otherwise="{value} is not it. Write down E_q[log q(z) - log p(z)] with both densities, "
    "expand the squares, and use E_q[z] = 1 and E_q[z²] = 4 + 1.",
    praise="Now swap q and p in your mind: the other way round it is a different number.",
)


def _kl_terms(mean_q: Tensor, log_var_q: Tensor, mean_p: Tensor, log_var_p: Tensor) -> Tensor:
    """Return the terms of twice the KL: logarithm, ratio, mean and -1; (4, B, D)."""
    square = (mean_q - mean_p) ** 2 / log_var_p.exp()
    log_ratio = log_var_p - log_var_q
    return torch.stack([log_ratio, (-log_ratio).exp(), square, -torch.ones_like(square)])


def _kl_scale_slips(mean_q: Tensor, log_var_q: Tensor, mean_p: Tensor, log_var_p: Tensor) -> Slips:
    """Return what comes out when both log-variances are mistaken for something else."""
    square, of_p = (mean_q - mean_p) ** 2, misread(log_var_p)
    slips = {
        hint: [
            0.5 * (log_p - log_q + (q + square) / p - 1).sum(-1)
            for (log_q, q), (log_p, p) in zip(pairs, of_p[hint], strict=True)
        ]
        for hint, pairs in misread(log_var_q).items()
    }
    return slips | {LOGARITHM: slips[LOGARITHM][1:]}  # the first one is a misplaced one half


def _kl_term_slips(mean_q: Tensor, log_var_q: Tensor, mean_p: Tensor, log_var_p: Tensor) -> Slips:
    """Return what comes out when the terms are put together wrongly."""
    terms = _kl_terms(mean_q, log_var_q, mean_p, log_var_p)
    _, ratio, square, _ = terms
    each, var_p, shift = 0.5 * terms.sum(0), log_var_p.exp(), mean_q - mean_p
    subsets = [subset for size in (1, 2, 3) for subset in combinations(terms, size)]
    changed: dict[str, Any] = {
        "You did not divide q's variance by p's. Is a pair of parentheses missing?": (
            log_var_q.exp() - ratio
        ),
        "The one half multiplies the whole sum, yours only a part of it. Is a pair of "
        "parentheses missing?": [sum(subset) for subset in subsets],
        "The difference of the means enters squared.": [
            shift / var_p - square,
            shift.abs() / var_p - square,
        ],
        "You squared the means and then subtracted. Subtract first, then square.": (
            (mean_q**2 - mean_p**2) / var_p - square
        ),
        "You forgot to divide the squared difference of the means by p's variance.": (
            shift**2 - square
        ),
        "You divided the squared difference of the means by q's variance. It counts in units of "
        "p's spread.": shift**2 / log_var_q.exp() - square,
        "You left p's variance out, or left it out somewhere: it stands in the logarithm and "
        "divides two terms.": [
            log_var_q.exp() - ratio + shift**2 - square - log_var_p,
            log_var_q.exp() - ratio + shift**2 - square,
            -log_var_p,
        ],
        "You left out p's mean. What counts is how far the two means are apart.": (
            mean_q**2 / var_p - square
        ),
        "You left out the difference of the means.": -square,
        "You left out the ratio of the variances.": -ratio,
    }
    return {
        hint: [(each + 0.5 * change).sum(-1) for change in (c if isinstance(c, list) else [c])]
        for hint, c in changed.items()
    }


def _kl_slips(mean_q: Tensor, log_var_q: Tensor, mean_p: Tensor, log_var_p: Tensor) -> Slips:
    arguments = mean_q, log_var_q, mean_p, log_var_p
    each = 0.5 * _kl_terms(*arguments).sum(0)
    right, half = each.sum(-1), 0.5 * mean_q.shape[-1]
    standard = 0.5 * _kl_terms(mean_q, log_var_q, 0 * mean_p, 0 * log_var_p).sum((0, 2))
    return {
        "You averaged the KL over the latent dimensions. Independent dimensions add: take the "
        "sum over the last axis. (The mean divides it by D, a silent beta of 1/D.)": each.mean(-1),
        "You return one number for the whole batch, its mean. Return one number for each "
        "example, shape (B,); only the caller averages.": [right.mean(), each.mean()],
        "You return the sum over the whole batch. Return one number for each example, "
        "shape (B,): sum over the last axis only.": right.sum(),
        "You return one number for each latent dimension. Independent dimensions add: sum over "
        "the last axis.": each,
        "You summed over the batch. The latent dimensions are the last axis.": each.sum(0),
        "The sign is wrong: a KL divergence is never negative, yours is never positive.": -right,
        "You computed KL(p || q). The expectation is under q: swap the roles.": 0.5
        * _kl_terms(mean_p, log_var_p, mean_q, log_var_q).sum((0, 2)),
        "You forgot the 1, which every latent dimension subtracts. Without it the KL divergence of "
        "q to itself is not zero.": [right + half, right + half - 0.5, right + half - 1],
        "You forgot the factor one half.": 2 * right,
        "This is the KL to the standard normal. Here p has a mean and a variance of its "
        "own.": standard,
        **_kl_scale_slips(*arguments),
        **_kl_term_slips(*arguments),
    }


def _kl_exact(mean_q: Tensor, log_var_q: Tensor, mean_p: Tensor, log_var_p: Tensor) -> Tensor:
    q = Normal(mean_q, (log_var_q / 2).exp())
    return kl_divergence(q, Normal(mean_p, (log_var_p / 2).exp())).sum(-1)


_ARGUMENTS = ("mean_q", "log_var_q", "mean_p", "log_var_p")
_GENERAL = {
    name: uniform(low, high, 4, 3, seed=seed)
    for seed, (name, low, high) in enumerate(
        zip(_ARGUMENTS, (-2.0, 0.2, -2.0, 0.2), (2.0, 1.4, 2.0, 1.4), strict=True)
    )
}
_NARROW = {name: uniform(-3, -0.5, 2, 1, seed=10 + i) for i, name in enumerate(_ARGUMENTS)}
_SAME = {f"{what}_{of}": _GENERAL[f"{what}_q"] for of in ("q", "p") for what in ("mean", "log_var")}

FunctionTask(
    "elbo.kl",
    number="1.2",
    title="The Gaussian KL divergence in code",
    answer="kl",
    reference=_kl_exact,
    slips=_kl_slips,
    cases=[
        Case("With B = 4 and D = 3, ", _GENERAL),
        Case("With negative log-variances, B = 2 and D = 1, ", _NARROW),
        Case("With q equal to p, ", _SAME),
    ],
    gradients_by=("mean_q", "log_var_q"),  # those the encoder gives
    praise="It agrees with `torch.distributions`, and its gradient with autograd's.",
)
