"""What goes wrong in a Gaussian's log-density or divergence: slips that many exercises share."""

import math
from collections.abc import Mapping, Sequence

from torch import Tensor
from torch.nn import functional as F

_LOG_2PI = math.log(2 * math.pi)
PARENTHESIS = "Only the squared distance is divided by the variance. Is a parenthesis misplaced?"
HALF = "The one half reaches every term of the Gaussian. Is a parenthesis misplaced?"
CONSTANT = "The constant is missing, or a part of it: each dimension has its own -1/2 log(2 pi)."
LOGARITHM = "The variance is right, but not its logarithm. Whose logarithm is `log_var`?"


def misread(log_var: Tensor) -> dict[str, list[tuple[Tensor, Tensor]]]:
    """Return for each hint what stands in the places of the variance's logarithm and of itself."""
    var, std, double = log_var.exp(), (log_var / 2).exp(), (2 * log_var).exp()
    soft = F.softplus(log_var)
    slips = {
        "You used `exp(log_var)` as the standard deviation. It is the variance already.": [
            (2 * log_var, double),
            (log_var, double),
        ],
        "You used the standard deviation where the formula wants the variance. Half of `log_var` "
        "is the logarithm of which?": [(log_var / 2, std), (log_var, std)],
        "You sent `log_var` through a softplus. The variance is its exponential, and a "
        "log-variance may be negative.": [(soft, soft.exp()), (soft.log(), soft), (log_var, soft)],
        LOGARITHM: [(2 * log_var, var), (log_var / 2, var)],
        "You left out the logarithm of the variance: what being narrow costs, or wide.": [
            (0 * log_var, var)
        ],
        "The logarithm of the variance has the wrong sign.": [(-log_var, var)],
    }
    if (log_var > 0).all():
        slips["You used `log_var` as if it were the variance. It is the variance's logarithm."] = [
            (log_var.log(), log_var),
            (log_var, log_var),
        ]
        slips["You used `log_var` as if it were the standard deviation. It is a logarithm."] = [
            (2 * log_var.log(), log_var**2)
        ]
    return slips


def wrong_terms(
    distance: Tensor, log_var: Tensor, *, constant: bool = True
) -> dict[str, list[Tensor]]:
    """Return wrong log-densities of a Gaussian, each dimension by itself, at z - mean.

    `constant` tells whether a constant in them counts, or cancels later.
    """
    square, var = distance**2, log_var.exp()

    def term(log: Tensor, share: Tensor) -> Tensor:
        return -0.5 * (_LOG_2PI + log + share)

    share = square / var
    right = term(log_var, share)
    doubled = [share, log_var + share]
    if constant:
        doubled += [_LOG_2PI + 0 * share, _LOG_2PI + log_var, -2 * right]
    table = {
        hint: [term(log, square / v) for log, v in pairs]
        for hint, pairs in misread(log_var).items()
    }
    if constant:
        table[CONSTANT] = [
            right + 0.5 * each for each in (_LOG_2PI, math.log(2), math.log(math.pi))
        ]
    return table | {
        PARENTHESIS: [
            term(0 * log_var, (log_var + square) / var),
            -0.5 * (_LOG_2PI + log_var + square) / var,
        ],
        HALF: [
            *(right - 0.5 * each for each in doubled),
            *(right + 1.5 * each for each in (share, log_var, log_var + share)),
        ],
        "The sign of the squared distance is wrong: far from the mean a density falls.": [
            right + share
        ],
        "The squared distance is to be divided by the variance.": [term(log_var, square)],
        "The distance to the mean enters squared.": [
            term(log_var, each) for each in (distance / var, distance.abs() / var.sqrt())
        ],
    }


def wrong_kls(mean: Tensor, log_var: Tensor) -> dict[str, list[Tensor]]:
    """Return wrong divergences from a Gaussian to N(0, 1), each dimension by itself."""
    var = log_var.exp()

    def kl(log: Tensor, var: Tensor, square: Tensor = mean**2, one: float = 1.0) -> Tensor:
        return 0.5 * (var + square - one - log)

    readings = {hint: [kl(*pair) for pair in pairs] for hint, pairs in misread(log_var).items()}
    return readings | {
        "In the KL divergence the mean enters squared.": [
            kl(log_var, var, mean),
            kl(log_var, var, mean.abs()),
        ],
        "You forgot the one half of the KL divergence.": [2 * kl(log_var, var)],
        "In the KL divergence you forgot the `- 1`.": [kl(log_var, var, one=0.0)],
    }


def merged(*tables: Mapping[str, Tensor | Sequence[Tensor]]) -> dict[str, list[Tensor]]:
    """Return tables of slips as one, in which a hint stands for what each of them has under it."""
    found: dict[str, list[Tensor]] = {}
    for hint, wrong in (row for table in tables for row in table.items()):
        found.setdefault(hint, []).extend([wrong] if isinstance(wrong, Tensor) else wrong)
    return found
