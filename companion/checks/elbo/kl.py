"""Checks of the Gaussian KL divergence, by hand and in code."""

import math

import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from companion.checks.authoring import Case, FunctionTask, Hints, NumberTask, uniform

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
    """Return the three terms of twice the KL, plus one: logarithm, ratio, mean; (3, B, D)."""
    var_q, var_p = log_var_q.exp(), log_var_p.exp()
    return torch.stack([log_var_p - log_var_q, var_q / var_p, (mean_q - mean_p) ** 2 / var_p])


def _kl_scale_slips(mean_q: Tensor, log_var_q: Tensor, mean_p: Tensor, log_var_p: Tensor) -> Hints:
    """Return what comes out when log_var is mistaken for something else."""
    square = (mean_q - mean_p) ** 2
    var_q, var_p, log_ratio = log_var_q.exp(), log_var_p.exp(), log_var_p - log_var_q

    def kl(log_term: Tensor, q: Tensor, p: Tensor) -> Tensor:
        return 0.5 * (log_term + (q + square) / p - 1).sum(-1)

    return {
        "You used `exp(log_var)` as the standard deviation. It is the variance already: "
        "don't square it, or use `exp(log_var / 2)` for the standard deviation.": [
            kl(2 * log_ratio, var_q**2, var_p**2),
            kl(log_ratio, var_q**2, var_p**2),
        ],
        "You used `log_var` as if it were the variance. It is the variance's logarithm: take "
        "`exp(log_var)` first.": [
            kl((log_var_p / log_var_q).log(), log_var_q, log_var_p),
            kl(log_ratio, log_var_q, log_var_p),
        ],
        "You used `log_var` as if it were the standard deviation. That is `exp(log_var / 2)`.": kl(
            2 * (log_var_p / log_var_q).log(), log_var_q**2, log_var_p**2
        ),
        "You used the standard deviation, `exp(log_var / 2)`, where the formula wants the "
        "variance.": kl(log_ratio, (log_var_q / 2).exp(), (log_var_p / 2).exp()),
    }


def _kl_term_slips(mean_q: Tensor, log_var_q: Tensor, mean_p: Tensor, log_var_p: Tensor) -> Hints:
    """Return what comes out when the terms are put together wrongly."""
    log_ratio, ratio, mahalanobis = _kl_terms(mean_q, log_var_q, mean_p, log_var_p)
    var_q, var_p, shift = log_var_q.exp(), log_var_p.exp(), mean_q - mean_p
    right = 0.5 * (log_ratio + ratio + mahalanobis - 1)
    halved = [  # the terms that the one half does not reach
        (ratio, mahalanobis, -1),
        (mahalanobis, -1),
        (-1,),
        (log_ratio,),
        (ratio,),
        (mahalanobis,),
        (ratio, mahalanobis),
        (log_ratio, ratio),
        (log_ratio, -1),
    ]
    partly: list[Tensor] = [(right + 0.5 * sum(terms)).sum(-1) for terms in halved]
    return {
        "You did not divide q's variance by p's. Is a pair of parentheses missing?": (
            right + 0.5 * (var_q - ratio)
        ).sum(-1),
        "The one half multiplies the whole sum, yours only a part of it. Is a pair of "
        "parentheses missing?": partly,
        "The difference of the means enters squared.": [
            (right + 0.5 * (each / var_p - mahalanobis)).sum(-1) for each in (shift, shift.abs())
        ],
        "You squared the means and then subtracted. Subtract first, then square.": (
            right + 0.5 * ((mean_q**2 - mean_p**2) / var_p - mahalanobis)
        ).sum(-1),
    }


def _kl_slips(mean_q: Tensor, log_var_q: Tensor, mean_p: Tensor, log_var_p: Tensor) -> Hints:
    log_ratio, ratio, mahalanobis = _kl_terms(mean_q, log_var_q, mean_p, log_var_p)
    each = 0.5 * (log_ratio + ratio + mahalanobis - 1)
    right = each.sum(-1)
    backwards = 0.5 * (_kl_terms(mean_p, log_var_p, mean_q, log_var_q).sum(0) - 1).sum(-1)
    without_one = 0.5 * (log_ratio + ratio + mahalanobis).sum(-1)
    undivided = 0.5 * (log_ratio + ratio + (mean_q - mean_p) ** 2 - 1).sum(-1)
    standard = 0.5 * (log_var_q.exp() + mean_q**2 - 1 - log_var_q).sum(-1)
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
        "You computed KL(p || q). Swap the roles: the expectation is under q, so it is p's "
        "variance that divides.": backwards,
        "You forgot to divide the squared difference of the means by p's variance.": undivided,
        "You forgot the `- 1`: subtract 1 for every latent dimension. Without it the KL "
        "divergence of q to itself is not zero.": [
            without_one,
            without_one - 0.5,
            without_one - 1,
        ],
        "You forgot the factor one half.": 2 * right,
        "The logarithm's sign is wrong: it is `log_var_p - log_var_q`.": right - log_ratio.sum(-1),
        "You left out the difference of the means.": right - 0.5 * mahalanobis.sum(-1),
        "This is the KL to the standard normal. Use `mean_p` and `log_var_p` too.": standard,
        **_kl_scale_slips(mean_q, log_var_q, mean_p, log_var_p),
        **_kl_term_slips(mean_q, log_var_q, mean_p, log_var_p),
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
