"""Check of the mutual information between the index of an example and its code."""

import math

import torch
from torch import Tensor
from torch.distributions import Normal

from companion.checks._gaussians import wrong_terms
from companion.checks.authoring import Case, FunctionTask, Slips, single, uniform

_NAMES = ("mean", "log_var", "z")


def _table(mean: Tensor, log_var: Tensor, z: Tensor) -> Tensor:
    """Return log q(z_n | x_m) in each dimension: (N codes, N posteriors, D)."""
    return Normal(mean, (log_var / 2).exp(), validate_args=False).log_prob(z[:, None])


def _exact(mean: Tensor, log_var: Tensor, z: Tensor) -> Tensor:
    """Return the mean logarithm of N times the responsibility that n's posterior has for z_n."""
    own = _table(mean, log_var, z).sum(-1).softmax(1).diagonal()
    return own.log().mean() + math.log(len(z))


def _with_entropies(mean: Tensor, log_var: Tensor, z: Tensor) -> Tensor:
    """Return the estimate with log q(z_n | x_n) replaced by its exact mean: right as well."""
    table = _table(mean, log_var, z).sum(-1)
    entropy = Normal(mean, (log_var / 2).exp()).entropy().sum(-1)
    return -entropy.mean() - (table.logsumexp(1) - math.log(len(z))).mean()


def _slips(mean: Tensor, log_var: Tensor, z: Tensor) -> Slips:
    each = _table(mean, log_var, z)
    table, n, dim = each.sum(-1), *z.shape
    own, log_n = table.diagonal(), math.log(n)
    right = own - table.logsumexp(1) + log_n
    without = table.masked_fill(torch.eye(n, dtype=torch.bool), -math.inf).logsumexp(1)
    prior = Normal(0.0, 1.0).log_prob(z).sum(-1)
    kl = 0.5 * (log_var.exp() + mean**2 - 1 - log_var).sum(-1)
    each_own = each.diagonal().T  # (N, D)

    def of(table: Tensor) -> Tensor:
        return (table.diagonal() - table.logsumexp(1)).mean() + log_n

    return {
        "log N is missing. q(z) is the mean of the N posteriors, and a mean divides by N.": (
            right.mean() - log_n
        ),
        "log N has the wrong sign. q(z) divides by N, so log q(z) is lower than the sum's "
        "logarithm.": right.mean() - 2 * log_n,
        "You summed over the codes, with the posterior fixed. For each code z_n, sum over all the "
        "posteriors q(z_n | x_m).": [
            (own - table.logsumexp(0)).mean() + log_n, (own - table.logsumexp(0)).mean(),
        ],
        "You left the code's own posterior out of the mixture. q(z) is the mean of all N, n "
        "itself included; otherwise the estimate can exceed log N.": [
            (own - without).mean() + math.log(n - 1), (own - without).mean() + log_n,
            (own - without).mean(),
        ],
        "You averaged the logarithms of the posteriors. q(z) is the mean of the densities: the "
        "mean is inside the logarithm.": (own - table.mean(1)).mean(),
        "You formed the mixture in each dimension and added up. q(z) is a mixture of joint "
        "densities: sum over dimensions first.": [
            (each_own - each.logsumexp(1) + log_n).sum(-1).mean(),
            (each_own - each.logsumexp(1)).sum(-1).mean(),
        ],
        "This is an estimate of the divergence from N(0, I), the left side. Compare with q(z) "
        "instead of the prior.": [(own - prior).mean(), kl.mean()],
        "This is an estimate of the other part, KL(q(z) || p).": (
            table.logsumexp(1) - log_n - prior
        ).mean(),
        "This is -E[log q(z)], the entropy of the codes. The term log q(z | x) is missing.": -(
            table.logsumexp(1) - log_n
        ).mean(),
        "The sign is wrong: log q(z_n | x_n) stands first, log q(z_n) is subtracted.": (
            -right.mean()
        ),
        "You summed over the examples. Average over them.": right.sum(),
        "You return one number for each example. Average over them.": right,
        "You averaged over the latent dimensions. Independent dimensions add.": [
            (each_own.mean(-1) - each.mean(-1).logsumexp(1)).mean() + log_n, right.mean() / dim,
        ],
        "You took one logarithm over the whole table. Each code has its own log q(z_n).": (
            own.mean() - table.flatten().logsumexp(0) + 2 * log_n
        ),
        "You averaged log q(z_n | x_m) over the whole table. The first term needs each code "
        "under its own posterior: the diagonal.": (
            table.mean() - (table.logsumexp(1) - log_n).mean()
        ),
        "This is the right value in bits. Use natural logarithms.": right.mean() / math.log(2),
        "You took the most likely posterior alone. q(z) is the mean of all N.": [
            (own - table.amax(1)).mean() + log_n, (own - table.amax(1)).mean(),
        ],
        "You evaluated at the posteriors' means. Use the rows of `z`.": of(
            _table(mean, log_var, mean).sum(-1)
        ),
        **{
            hint: [of(terms.sum(-1)) for terms in wrong]
            for hint, wrong in wrong_terms(z[:, None] - mean, log_var, constant=False).items()
        },
        "The mean of the ratios comes before your logarithm. Take the logarithm first, then "
        "average.": right.exp().mean().log(),
    }  # fmt: skip


def _limit(name: str, mean: Tensor, log_var: Tensor, noise: Tensor, beyond: float = 100.0) -> Case:
    where = "the densities themselves are too small or too large for floating point."
    logarithms = "Stay with logarithms, and use `torch.logsumexp`."
    arguments = {"mean": mean, "log_var": log_var, "z": mean + (log_var / 2).exp() * noise}
    return Case(
        f"{name}, ",
        arguments,
        atol=5e-3,
        not_finite=f"{name} the result is not finite: {where} {logarithms}",
        far_off=f"{name} the result is far off: {where} A small number added hides the infinity "
        f"but not the error. {logarithms}",
        beyond=beyond,
    )


def _limits() -> list[Case]:
    """Return posteriors that are all the same, far apart, and of many dimensions."""
    spread, noise = uniform(-1, 1, 5, 1000, seed=123), uniform(-1.7, 1.7, 5, 1000, seed=124)
    narrow = noise, 1.0
    return [
        _limit("With all posteriors the same", torch.ones(4, 2), -torch.ones(4, 2), noise[:4, :2]),
        _limit(
            "With posteriors far apart", 300 * spread[:, :2], -spread[:, :2].abs(), noise[:, :2]
        ),
        _limit("With D = 1000", 0.05 * spread, -0.2 * spread.abs(), *narrow),
        _limit("With D = 1000 and narrow posteriors", 0.001 * spread, spread - 7, *narrow),
        _limit("With N = 1", spread[:1, :2], spread[:1, :2], noise[:1, :2]),
    ]


def _foreign() -> Case:
    """Return codes that lie under other posteriors: the estimate is negative."""
    arguments = dict(
        zip(
            _NAMES,
            (
                torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]),
                -torch.ones(3, 2),
                torch.tensor([[1.0, 1.0], [2.0, 2.0], [1.0, 1.0]]),
            ),
            strict=True,
        )
    )
    value = _exact(**arguments)
    hint = (
        "The estimate is negative here, and you cut it off or took its absolute value. One sample "
        "for each image may give a negative number; changing it makes the estimate biased."
    )
    slips = {hint: [value.clamp(min=0), value.abs()]}
    return Case("With codes under other posteriors, ", arguments, slips=slips)


def _general() -> Case:
    mean, log_var = uniform(-1.5, 1.5, 6, 3, seed=120), uniform(-0.6, 1.4, 6, 3, seed=121)
    z = mean + (log_var / 2).exp() * uniform(-1.5, 1.5, 6, 3, seed=122)
    return Case("With N = 6 and D = 3, ", dict(zip(_NAMES, (mean, log_var, z), strict=True)))


FunctionTask(
    "mixtures.mutual_information",
    number="4.6",
    title="How much the code knows about the index",
    answer="mutual_information",
    reference=_exact,
    slips=_slips,
    read=single,
    cases=[_general(), *_limits(), _foreign()],
    also_right={
        _with_entropies: "Right, with exact entropies in the place of log q(z_n | x_n). At the "
        "same sample the errors of the two logarithms often cancel; here they can't, and log N may "
        "be exceeded."
    },
    praise="It never exceeds log N: an index holds no more. (It may be negative.)",
)
