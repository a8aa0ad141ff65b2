"""Check of a code with a full covariance: the draw, and its log-density."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal

from companion.checks._gaussians import HALF, wrong_terms
from companion.checks.authoring import (
    DETACHED,
    Case,
    FunctionTask,
    NotYet,
    Slips,
    compare,
    gradients,
    uniform,
)

_PARTS = ("Your `z`", "Your `log_q`")


def _exact(mean: Tensor, factor: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    q = MultivariateNormal(mean, scale_tril=factor)
    z = mean + (factor @ noise[..., None])[..., 0]
    return z, q.log_prob(z)


def _slips(mean: Tensor, factor: Tensor, noise: Tensor) -> Slips:
    (z, right), covariance = _exact(mean, factor, noise), factor @ factor.mT
    scale, marginal = factor.diagonal(dim1=1, dim2=2), covariance.diagonal(dim1=1, dim2=2).sqrt()
    half_log_det, each = scale.log().sum(1), Normal(0.0, 1.0).log_prob(noise)
    constant = 0.5 * mean.shape[1] * math.log(2 * math.pi)

    def moved(matrix: Tensor) -> tuple[Tensor, None]:
        return mean + (matrix @ noise[..., None])[..., 0], None

    def white(matrix: Tensor) -> Tensor:
        """Return the density if the noise had been found by solving with a matrix."""
        solved = torch.linalg.solve(matrix, (z - mean)[..., None])[..., 0]
        return -0.5 * solved.square().sum(1) - constant

    tables: list[dict[str, list]] = [
        {
            "You took the covariance for its factor: your z has the covariance Σ². What stretches "
            "the noise is the factor.": [moved(covariance), moved(factor.mT @ factor)],
            "Your z is stretched by the transposed factor, whose covariance is another: LᵀL. Which "
            "axis of the factor meets the noise?": [moved(factor.mT)],
            "Your codes are not tilted: only the diagonal of the factor reaches them.": [
                moved(torch.diag_embed(scale)),
                moved(torch.diag_embed(marginal)),
            ],
            "Your z sums over the wrong axis of the factor, or not at all.": [
                (mean + factor.sum(axis) * noise, None) for axis in (1, 2)
            ],
            "The factor does not reach your z: the noise is added as it is.": [
                (mean + noise, None)
            ],
            "The factor stretches the mean too: where is the parenthesis?": [
                ((factor @ (mean + noise)[..., None])[..., 0], None)
            ],
            "You subtracted the noise. Its distribution is the same, but this z is not.": [
                moved(-factor)
            ],
            "The mean is missing from z.": [(z - mean, None)],
        },
        {
            "The term with the determinant is missing. Wide or narrow, a density must have the "
            "integral 1.": [(None, each.sum(1))],
            "The determinant has the wrong sign: a wide Gaussian is lower.": [
                (None, right + 2 * half_log_det)
            ],
            "The determinant enters with the wrong factor. That of the covariance is the square of "
            "that of the factor.": [
                (None, right - half_log_det),
                (None, right + 0.5 * half_log_det),
            ],
            "This is the determinant itself, where its logarithm belongs.": [
                (None, each.sum(1) - scale.prod(1))
            ],
            "In log q you took the covariance for its factor.": [
                (None, white(covariance) - half_log_det),
                (None, white(covariance) - 2 * half_log_det),
            ],
            "In log q you solved with the transposed factor.": [
                (None, white(factor.mT) - half_log_det)
            ],
            "This is the log-density of independent coordinates. Yours go together, and knowing "
            "one narrows the next.": [
                (None, Normal(mean, scale).log_prob(z).sum(1)),
                (None, Normal(mean, marginal).log_prob(z).sum(1)),
            ],
            "The constant is missing, or a part of it: each dimension has a -1/2 log(2 pi).": [
                (None, right + constant),
                (None, right + constant - 0.5 * math.log(2 * math.pi)),
            ],
            "You averaged over the dimensions. What is independent adds.": [
                (None, right / mean.shape[1]),
                (None, each.mean(1) - half_log_det),
            ],
            "This is the density of the prior, N(0, I), at z.": [
                (None, Normal(0.0, 1.0).log_prob(z).sum(1))
            ],
            "In log q you took the distance of z from the mean for the noise.": [
                (None, Normal(0.0, 1.0).log_prob(z - mean).sum(1) - half_log_det)
            ],
            "This is the trace of the factor, where the logarithm of its determinant belongs.": [
                (None, each.sum(1) - scale.sum(1))
            ],
            **{
                hint: [(None, terms.sum(1)) for terms in wrong]
                for hint, wrong in wrong_terms(noise * scale, 2 * scale.log()).items()
                if hint == HALF or "sign of the squared" in hint
            },
            "log q(z) is one number for each code, shape (B,).": [
                (None, each - scale.log()),
                (None, right.sum()),
                (None, right.mean()),
            ],
            "The sign of log q(z) is wrong.": [(None, -right)],
            "This is q(z). Return its logarithm.": [(None, right.exp())],
        },
    ]
    moves, densities = tables
    both = {
        f"Both parts. {hint} {other}": [(a[0], b[1]) for a in wrong for b in densities[other]]
        for hint, wrong in moves.items()
        for other in densities
    }
    return both | {
        "The two are in the wrong order: return z first.": (right, z),
        **{hint: wrong for table in tables for hint, wrong in table.items()},
    }


def _case(batch: int, dim: int, seed: int, shift: float, atol: float = 1e-4) -> Case:
    low = uniform(-1, 1, batch, dim, dim, seed=seed).tril(-1)
    scale = (uniform(-0.5, 0.5, batch, dim, seed=seed + 1) + shift).exp()
    arguments = {
        "mean": uniform(-1.5, 1.5, batch, dim, seed=seed + 2),
        "factor": low + torch.diag_embed(scale),
        "noise": uniform(-1.7, 1.7, batch, dim, seed=seed + 3),
    }
    return Case(f"With B = {batch} and D = {dim}, ", arguments, atol=atol)


def _judge_gradients(answer: Any) -> None:
    """Judge the gradients of z and of log q(z) together; above the diagonal any is right."""
    values = dict(_CASES[0].arguments)
    noise = values.pop("noise")
    weight = uniform(0.5, 2, *noise.shape, seed=205)

    def of(function: Any) -> Any:
        def total(mean: Tensor, factor: Tensor) -> Any:
            z, log_q = function(mean, factor, noise.to(mean.dtype))
            if not all(isinstance(part, Tensor) for part in (z, log_q)):
                raise NotYet("Return tensors: numbers pass no gradient on.")
            return (weight * z).sum(1) + log_q

        return total

    found = gradients(of(answer), **values)
    wanted = gradients(of(_exact), **{name: value.double() for name, value in values.items()})
    for name, right in wanted.items():
        parts = (found[name], right) if name == "mean" else (found[name].tril(), right.tril())
        what = f"The gradient with respect to `{name}`"
        compare(*parts, what=what, remark=f"It passes through z and through log q. {DETACHED}")


_CASES = [_case(4, 3, 200, 0.3), _case(2, 5, 210, -1.0, atol=2e-3), _case(3, 1, 220, 0.5)]

FunctionTask(
    "mixtures.tilted",
    number="4.9",
    title="Tilted codes",
    answer="tilted",
    parts=_PARTS,
    reference=_exact,
    slips=_slips,
    cases=_CASES,
    further=[_judge_gradients],
    praise="It agrees with `MultivariateNormal`, and no system had to be solved.",
)
