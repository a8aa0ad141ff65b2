"""Check of the baseline that makes the score-function estimator's variance smallest."""

import math

import torch
from torch import Tensor

from companion.checks.authoring import (
    Case,
    FunctionTask,
    Hints,
    NotYet,
    as_tensor,
    call,
    compare,
)

_MANY = 100  # a loop over all pairs of samples and both scores is welcome
_VALUES = torch.tensor([5.0, -1.5, 9.0, 2.25, 0.5, 7.0, 3.5, -2.0, 6.25, 1.0])


def _scores() -> Tensor:
    """Return scores (S, 2) by the mean and the log-variance of a Gaussian; each has mean zero."""
    half = torch.tensor([0.15, 0.6, 0.85, 1.3, 1.7], dtype=torch.float64)
    noise = torch.cat([half, -half])
    noise = noise / noise.square().mean().sqrt()
    return torch.stack([noise / 0.7, (noise**2 - 1) / 2], dim=1).float()


def exact(values: Tensor, score: Tensor) -> Tensor:
    """Return E[f s²] / E[s²] over all samples but one, for each left out; (S, D)."""
    others = ~torch.eye(len(values), dtype=torch.bool)
    rows = [(values[o, None] * score[o] ** 2).sum(0) / (score[o] ** 2).sum(0) for o in others]
    return torch.stack(rows)


def slips(values: Tensor, score: Tensor) -> Hints:
    """Return the wrong baselines that we know of; values (S,), score (S, D)."""
    f, square, size = values[:, None], score**2, len(values)
    top, bottom = (f * square).sum(0), square.sum(0)
    own, right = f * square, exact(values, score)
    others = (f.sum(0) - f) / (size - 1)
    every = top / bottom
    joint = (top.sum() - own.sum(1)) / (bottom.sum() - square.sum(1))
    return {
        "Each sample is in its own baseline: you averaged over all samples. Leave the sample "
        "itself out of both averages.": [every, every.expand_as(score)],
        "This is the mean of f over the others. It is a good baseline, but not the best: where "
        "the score is large, f counts more.": [others.expand_as(score), others, others[:, 0]],
        "This is the mean of f over all samples. Weight by the squared score, and leave each "
        "sample itself out.": [f.mean(), f.mean().expand(size), f.mean().expand_as(score)],
        "You took one baseline for all parameters. Each has a variance of its own to make small.": [
            joint,
            joint[:, None].expand_as(score),
            right.mean(1),
        ],
        "You left the sample out above, but not below.": [(top - own) / bottom],
        "You left the sample out below, but not above.": [top / (bottom - square)],
        "Your averages divide by S, but S - 1 samples are left. Sums need no divisor.": [
            right * (size - 1) / size,
            right * size / (size - 1),
        ],
        "In your numerator the score is not squared. It is E[f s²].": [
            ((f * score).sum(0) - f * score) / (bottom - square)
        ],
        "You squared f. In E[(f - b)² s²] it enters squared, but after the derivative by b it "
        "does not.": [exact(values**2, score)],
        "You weighted by the score. In (2.15) it is squared.": [
            ((f * score).sum(0) - f * score) / (score.sum(0) - score)
        ],
        "You weighted by the size of the score. The variance holds its square.": [
            exact(values, score.abs().sqrt())
        ],
        "One of the two is a sum, the other one an average.": [
            (top - own) * size / bottom,
            (top - own) * (size - 1) / (bottom - square),
            (top - own) / (size - 1) / (bottom - square),
        ],
        "The fraction is upside down.": [1 / right],
        "You took the sample's own f. Leave just this one out.": [f.expand_as(score)],
        "You forgot the denominator, E[s²].": [top - own, (top - own) / (size - 1)],
        "You return f - b, or the estimate with it. Return b.": [f - right, (f - right) * score],
        "The axes are swapped: return shape (S, D).": [right.T],
        "The sign is wrong: the baseline is subtracted from f.": [-right],
    }


def _grid(n_samples: int, mean: float, var: float) -> tuple[Tensor, Tensor]:
    """Return z (S,) at the middle of S equal parts of N(mean, var), and its scores (S, 2)."""
    parts = (torch.arange(n_samples, dtype=torch.float64) + 0.5) / n_samples
    noise = math.sqrt(2) * torch.erfinv(2 * parts - 1)
    noise = noise / noise.square().mean().sqrt()
    z = mean + math.sqrt(var) * noise
    return z, torch.stack([noise / math.sqrt(var), (noise**2 - 1) / 2], dim=1)


def _judge_many(answer: object) -> None:
    """Judge f(z) = exp(z) with many draws against the closed form."""
    mean, var = 0.5, 0.1
    z, score = _grid(_MANY, mean, var)
    result = as_tensor(call(answer, values=z.exp().float(), score=score.float()))
    if result.shape != score.shape:
        raise NotYet(
            f"With S = {_MANY} your result has shape {tuple(result.shape)}, not ({_MANY}, 2)."
        )
    closed = math.exp(mean + var / 2) * torch.tensor([1 + var, 1 + 2 * var + var**2 / 2])
    setting = f"With f(z) = exp(z), z ~ N(0.5, 0.1) and S = {_MANY}, "
    compare(result.double().median(0).values, closed, setting=setting, what="The median", rtol=0.06)


FunctionTask(
    "reparameterization.baseline",
    number="2.4",
    title="The best baseline, from the other draws",
    answer="best_baseline",
    reference=exact,
    slips=slips,
    cases=[
        Case("With S = 10 and D = 2, ", {"values": _VALUES, "score": _scores()}, rtol=1e-4),
        Case(
            "With S = 2 each sample's baseline is the other's f, but ",
            {"values": _VALUES[:2], "score": _scores()[:2]},
            expected=_VALUES[:2].flip(0)[:, None].expand(2, 2),
            rtol=1e-3,
        ),
    ],
    further=[_judge_many],
    praise="For f = exp(z) it comes near your result on paper. And since no sample is in its own "
    "baseline, the estimate stays unbiased.",
)
