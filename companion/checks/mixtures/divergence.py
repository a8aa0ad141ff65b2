"""Check of the Monte Carlo divergence from a Gaussian to any prior."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Normal

from companion.checks._gaussians import merged, misread, wrong_terms
from companion.checks.authoring import DETACHED, Case, FunctionTask, Slips, uniform
from companion.checks.mixtures import _oracle

_Density = Callable[[Tensor], Tensor]
_CUT_OFF = (
    "A single estimate may be negative. Don't cut it off at zero or take the absolute value: that "
    "is biased."
)


def _log_q(z: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    return Normal(mean, (log_var / 2).exp(), validate_args=False).log_prob(z).sum(-1)


def _codes(mean: Tensor, log_var: Tensor, noise: Tensor) -> Tensor:
    return mean + (log_var / 2).exp() * noise


def _plain(mean: Tensor, log_var: Tensor, noise: Tensor, log_prior: _Density) -> Tensor:
    z = _codes(mean, log_var, noise)
    return (_log_q(z, mean, log_var) - log_prior(z)).mean(0)


def _with_entropy(mean: Tensor, log_var: Tensor, noise: Tensor, log_prior: _Density) -> Tensor:
    """Return the estimate with E[log q] exact: right as well."""
    entropy = Normal(mean, (log_var / 2).exp()).entropy().sum(-1)
    return -entropy - log_prior(_codes(mean, log_var, noise)).mean(0)


def _stuck(mean: Tensor, log_var: Tensor, noise: Tensor, log_prior: _Density) -> Tensor:
    """Return the estimate whose log q has its parameters detached: same value, fair gradient."""
    z = _codes(mean, log_var, noise)
    return (_log_q(z, mean.detach(), log_var.detach()) - log_prior(z)).mean(0)


def _slips(mean: Tensor, log_var: Tensor, noise: Tensor, log_prior: _Density) -> Slips:
    z = _codes(mean, log_var, noise)
    log_q, log_p = _log_q(z, mean, log_var), log_prior(z)
    of_noise = Normal(0.0, 1.0).log_prob(noise)
    each = Normal(mean, (log_var / 2).exp()).log_prob(z)
    right = (log_q - log_p).mean(0)
    standard = Normal(0.0, 1.0).log_prob(z).sum(-1)
    closed = 0.5 * (log_var.exp() + mean**2 - 1 - log_var).sum(-1)
    entropy = Normal(mean, (log_var / 2).exp()).entropy().sum(-1)
    densities = {  # log q(z) is wrong, or the code is, and its density follows or does not
        hint: [(terms.sum(-1) - log_p).mean(0) for terms in wrong]
        for hint, wrong in wrong_terms(z - mean, log_var).items()
    }
    readings = {
        hint: [
            (log_q - log_prior(other)).mean(0)
            for log, var in pairs
            for other in [mean + var.sqrt() * noise]
            for log_q in [(of_noise - 0.5 * log).sum(-1), _log_q(other, mean, log_var)]
            if not torch.equal(var, log_var.exp())
        ]
        for hint, pairs in misread(log_var).items()
    }
    return {
        **merged(densities, readings),
        "The sign is wrong: log q stands first, and log p is subtracted.": -right,
        "The noise has to be stretched by the standard deviation; yours is not.": [
            (wrong - log_prior(mean + noise)).mean(0)
            for wrong in (
                (of_noise - 0.5 * log_var).sum(-1), _log_q(mean + noise, mean, log_var),
            )
        ],
        "E[log q] is *minus* the entropy.": entropy - log_p.mean(0),
        "You used one of the S samples. Average over all of them.": [
            log_q[0] - log_p[0], -entropy - log_p[0],
        ],
        "This is the divergence from N(0, I). Call `log_prior`, which is another prior.": [
            closed, (log_q - standard).mean(0),
        ],
        "You summed over the samples. Average over them, the first axis.": (log_q - log_p).sum(0),
        "You return one number for each sample and example. Average over the samples, the first "
        "axis.": log_q - log_p,
        "You averaged over the batch. Average over the samples, the first axis, and return one "
        "number for each example, shape (B,).": [right.mean(), (log_q - log_p).mean(1)],
        "You return the sum over the whole batch. Return one number for each example, shape "
        "(B,).": [right.sum(), (log_q - log_p).sum()],
        "This is E[-log p(z)] alone: log q is missing.": -log_p.mean(0),
        "This is E[log q(z)] alone: subtract `log_prior(z)`.": log_q.mean(0),
        "You added the two log-densities. The divergence is their difference.": (
            log_q + log_p
        ).mean(0),
        "You evaluated both densities at q's mean. Evaluate them at the codes, mean plus scaled "
        "noise.": _log_q(mean, mean, log_var) - log_prior(mean),
        "Your log q is right, but you gave `log_prior` the mean instead of the codes.": (
            log_q.mean(0) - log_prior(mean)
        ),
        "You gave `log_prior` the noise. It wants the codes, mean plus scaled noise.": (
            log_q - log_prior(noise)
        ).mean(0),
        "You averaged log q over the latent dimensions. Independent dimensions add.": (
            each.mean(-1) - log_p
        ).mean(0),
        "You averaged ratios of densities and then took the logarithm. Average the "
        "logarithms.": [
            (log_q - log_p).logsumexp(0) - math.log(len(z)),
            math.log(len(z)) - (log_p - log_q).logsumexp(0),
        ],
        _CUT_OFF: [(log_q - log_p).clamp(min=0).mean(0), (log_q - log_p).abs().mean(0)],
    }  # fmt: skip


def _inputs(seed: int, samples: int, batch: int, dim: int) -> dict[str, Tensor]:
    return {
        "mean": uniform(-1.5, 1.5, batch, dim, seed=seed),
        "log_var": uniform(0.2, 0.9, batch, dim, seed=seed + 1),
        "noise": uniform(-1.6, 1.4, samples, batch, dim, seed=seed + 2),
    }


def _prior(seed: int, components: int, dim: int) -> _Density:
    """Return the log-density of a mixture, as a function of codes of any dtype."""
    parts = _oracle.a_mixture(seed, batch=1, components=components, dim=dim)
    log_var = parts["log_var"] - 1

    def log_prior(z: Tensor) -> Tensor:
        values = (value.to(z.dtype) for value in (parts["logits"], parts["mean"], log_var))
        return _oracle.mixture(*values).log_prob(z)

    return log_prior


def _negative(noise: float) -> Case:
    """Return samples where p is higher than q: with noise 1.5 at them, with 0 on average."""
    weights, mean = torch.tensor([0.9, 0.1]), torch.tensor([[2.0, 2.0], [-2.0, -2.0]])
    log_var = torch.full((2, 2), 2 * math.log(1.2))

    def log_prior(z: Tensor) -> Tensor:
        values = (value.to(z.dtype) for value in (weights.log(), mean, log_var))
        return _oracle.mixture(*values).log_prob(z)

    values = {"mean": mean[:1], "log_var": torch.zeros(1, 2), "noise": torch.full((3, 1, 2), noise)}
    value = (_plain if noise else _with_entropy)(**values, log_prior=log_prior)
    slips = {_CUT_OFF: [value.clamp(min=0), value.abs()]}
    setting = "With samples where p is higher than q, "
    return Case(setting, {**values, "log_prior": log_prior}, slips=slips)


def _narrow(samples: int, batch: int, dim: int) -> Case:
    values = _inputs(170, samples, batch, dim)
    values["log_var"] = values["log_var"] - 2.5
    setting = f"With negative log-variances, S = {samples}, B = {batch} and D = {dim}, "
    return Case(setting, {**values, "log_prior": _prior(180, components=3, dim=dim)})


FunctionTask(
    "mixtures.kl",
    number="4.8",
    title="The divergence to any prior",
    answer="kl_estimate",
    reference=_plain,
    slips=_slips,
    cases=[
        Case(
            "With S = 5, B = 4 and D = 3, ",
            {
                **_inputs(150, samples=5, batch=4, dim=3),
                "log_prior": _prior(160, components=2, dim=3),
            },
        ),
        *(_narrow(*sizes) for sizes in ((1, 3, 2), (6, 1, 2), (3, 2, 1))),
        _negative(1.5),
        _negative(0.0),
    ],
    gradients_by=("mean", "log_var"),
    gradient_remark=f"The gradient passes through the codes, in log q and in the prior. {DETACHED}",
    gradients_also=[_stuck],
    also_right={
        _with_entropy: "Right, with the exact entropy in the place of log q. Where q resembles the "
        "prior, log q at the same samples is the better choice: the errors cancel."
    },
    random="Your result differs from call to call. Use the samples in `noise`; don't draw others.",
    praise="It works for every prior whose log-density you can compute, a VampPrior included.",
)
