"""The recorded runs of chapter 3 and their faults.

`python -m tools.record_runs mnist` recorded them. Every sentence takes its numbers from the curves.
"""

from itertools import pairwise
from pathlib import Path

from companion.checks._curves import Line, Panel, Run, load_runs, readable
from companion.checks._diagnosis import Clue, Diagnosis, Fault

RECORDING = Path(__file__).with_name("runs.json")
BEST = max(run["elbo"].last for run in load_runs(RECORDING).values())

PANELS = (
    Panel((Line("elbo", "ELBO"), Line("own", "own score")), (-350, -250, -150, -50), "nats"),
    Panel((Line("log_likelihood", "log-likelihood"),), (-350, -250, -150, -50), "nats"),
    Panel((Line("kl", "KL"),), (0.1, 1, 10, 100, 1000), "nats", logarithmic=True),
    Panel((Line("active", "active units"),), (0, 5, 10, 15, 20)),
    Panel((Line("std", "smallest std"),), (0.01, 0.1, 1, 10), logarithmic=True),
)


def last(run: Run, curve: str) -> str:
    """Return the last number of a curve as a sentence says it."""
    return readable(run[curve].last).replace("<", "less than")


def largest_gap(run: Run, one: str, other: str) -> float:
    """Return the largest distance of two curves in any epoch, in nats."""
    return max(abs(a - b) for a, b in zip(run[one], run[other], strict=True))


def largest_fall(run: Run) -> float:
    """Return the largest loss of ELBO from one epoch to the next, in nats."""
    return max(before - after for before, after in pairwise(run["elbo"]))


_RIGHT = Fault(
    "Nothing is wrong",
    (
        Clue(
            lambda run: largest_gap(run, "own", "elbo") < 0.1,
            lambda run: "own score and ELBO are one curve,",
            lambda run: (
                "the program would then report what the ruler measures. Here its own score ends "
                f"at {last(run, 'own')}, the ELBO at {last(run, 'elbo')}."
            ),
        ),
        Clue(
            lambda run: run["active"].last > 0,
            lambda run: f"{last(run, 'active')} of 20 units are active,",
            lambda run: (
                "not one unit is active: the code says the same of every digit, and the "
                "ELBO stays where a single average picture would bring it."
            ),
        ),
        Clue(
            lambda run: run["elbo"].last == BEST,
            lambda run: f"and at {last(run, 'elbo')} the ELBO ends highest.",
            lambda run: (
                "it looks healthy, but the same network on the same digits ends "
                f"{readable(BEST - run['elbo'].last)} nats higher when nothing is wrong. Compare "
                "the other panels with those of the best run."
            ),
        ),
    ),
    "Compare the other runs with this one.",
)

_SOFTPLUS = Fault(
    "Softplus makes the log-variance positive",
    (
        Clue(
            lambda run: min(run["std"]) >= 1,
            lambda run: (
                "the smallest standard deviation never falls below 1, although "
                f"{last(run, 'active')} units are active."
            ),
            lambda run: (
                "softplus is positive, so no standard deviation could be below 1. Here the "
                f"smallest ends at {last(run, 'std')}."
            ),
        ),
    ),
    "All else looks healthy. But no code is ever more certain than the prior, and each costs more "
    "than it has to.",
)

_MEANS = Fault(
    "Both terms are means, over the pixels and over the latent dimensions",
    (
        Clue(
            lambda run: abs(run["own"].last) < 1,
            lambda run: f"the own score, {last(run, 'own')}, is no sum over 784 pixels.",
            lambda run: (
                "its own score would be an average, a fraction of a nat. Here it ends at "
                f"{last(run, 'own')}, as a sum over 784 pixels does."
            ),
        ),
        Clue(
            lambda run: max(run["kl"]) < 0.1,
            lambda run: f"The KL never exceeds {readable(max(run['kl']))} nats: collapsed.",
            lambda run: f"the code would have collapsed. Here the KL is {last(run, 'kl')} nats.",
        ),
    ),
    "Dividing one term by 784 and the other by 20 is $\\beta = 39.2$.",
)

_FORGOTTEN = Fault(
    "The loss lacks the KL divergence",
    (
        Clue(
            lambda run: run["elbo"].last < run["elbo"].first - 10,
            lambda run: (
                f"the ELBO falls from {readable(run['elbo'].first)} to {last(run, 'elbo')}, while "
                f"the KL grows to {last(run, 'kl')} nats."
            ),
            lambda run: (
                "nobody would hold the code near the prior: the KL would grow without end, and the "
                f"ELBO would fall. Here the KL ends at {last(run, 'kl')} nats, and the ELBO goes "
                f"from {readable(run['elbo'].first)} to {last(run, 'elbo')}."
            ),
        ),
        Clue(
            lambda run: largest_gap(run, "own", "log_likelihood") < 0.1,
            lambda run: "The own score is the log-likelihood, curve for curve: nothing else is in.",
            lambda run: (
                "the own score would be the log-likelihood. Here they end at "
                f"{last(run, 'own')} and {last(run, 'log_likelihood')}."
            ),
        ),
    ),
    "The smallest standard deviation goes to 0 as well: noise only hurts whoever need not pay.",
)

_VARIANCE = Fault(
    "The noise is multiplied by `exp(log_var)`",
    (
        Clue(
            lambda run: run["own"].last > run["elbo"].last + 5,
            lambda run: (
                "on the same digits the own score ends "
                f"{readable(run['own'].last - run['elbo'].last)} nats above the ELBO, so program "
                "and ruler disagree about the noise or about the KL."
            ),
            lambda run: (
                "the program would decode its codes with other noise than the ELBO assumes, and "
                f"its own score would leave the ELBO. Here they end at {last(run, 'own')} and "
                f"{last(run, 'elbo')}."
            ),
        ),
        Clue(
            lambda run: largest_gap(run, "own", "log_likelihood") > 0.1,
            lambda run: (
                "It is not a missing KL: the own score is not the log-likelihood, and the "
                f"KL stays at {last(run, 'kl')} nats."
            ),
            lambda run: (
                "own score and ELBO do part, but in every epoch the own score is the "
                "log-likelihood. Wrong noise would not make the two equal."
            ),
        ),
        Clue(
            lambda run: run["own"].last < -10,
            lambda run: "So it is the noise.",
            lambda run: (
                f"the own score, {last(run, 'own')}, is no sum over 784 pixels at all. Wrong noise "
                "would not change its scale."
            ),
        ),
    ),
    "Below 1 a variance is smaller than its root. The KL charges for codes of width $\\sigma$, the "
    "decoder gets codes of width $\\sigma^2$: more certain than was paid for.",
)

_DETACHED = Fault(
    "No gradient passes through the sample to the encoder",
    (
        Clue(
            lambda run: max(run["kl"]) < 0.1,
            lambda run: (
                f"the KL is {readable(run['kl'].first)} nats after the first epoch already and "
                f"{last(run, 'kl')} at the end, and no unit is ever active."
            ),
            lambda run: (
                "the encoder would hear of the KL alone and bring it to 0 at once. Here the KL "
                f"ends at {last(run, 'kl')} nats."
            ),
        ),
        Clue(
            lambda run: largest_gap(run, "own", "elbo") < 0.1,
            lambda run: (
                "The own score is the ELBO, a sum over pixels: the value of the loss is right, so "
                "its gradient must be wrong."
            ),
            lambda run: (
                "a detached sample leaves the value of the loss as it is, so the own score would "
                f"be the ELBO. Here they end at {last(run, 'own')} and {last(run, 'elbo')}."
            ),
        ),
    ),
    "It is the collapse of the last sections with another cause.",
)

_SIGMOID = Fault(
    "The decoder's probabilities are taken for logits",
    (
        Clue(
            lambda run: max(run["log_likelihood"]) < -500,
            lambda run: (
                f"the log-likelihood never rises above {readable(max(run['log_likelihood']))} nats."
            ),
            lambda run: (
                "a logit between 0 and 1 can't make a pixel dark: a black one would cost at least "
                "$\\log 2 = 0.69$ nats, and a picture more than 500 on average. Here the "
                f"log-likelihood ends at {last(run, 'log_likelihood')}."
            ),
        ),
    ),
    "A black pixel costs at least $\\log 2 = 0.69$ nats if logits lie between 0 and 1.",
)

_RATE = Fault(
    "The learning rate is far too large",
    (
        Clue(
            lambda run: run["active"].last == 0,
            lambda run: "no unit is active at the end,",
            lambda run: (
                "the first steps would have thrown the weights to where the code says nothing. "
                f"Here {last(run, 'active')} units are active at the end."
            ),
        ),
        Clue(
            lambda run: min(run["kl"]) > 1,
            lambda run: (
                "yet every epoch pays for a code: the KL never falls below "
                f"{readable(min(run['kl']))} nats."
            ),
            lambda run: (
                "large steps would keep the weights, and with them the KL, from settling. Here the "
                f"KL settles at {last(run, 'kl')} nats: somebody minimizes it in peace."
            ),
        ),
        Clue(
            lambda run: largest_fall(run) > 3,
            lambda run: (
                f"And the ELBO jumps: from one epoch to the next it loses up to "
                f"{readable(largest_fall(run))} nats."
            ),
            lambda run: "the ELBO would jump. Here it hardly ever falls.",
        ),
    ),
    "A collapsed code costs nothing; this one costs and says nothing.",
)

DIAGNOSIS = Diagnosis(
    RECORDING,
    PANELS,
    {
        "right": _RIGHT,
        "softplus": _SOFTPLUS,
        "means": _MEANS,
        "forgotten": _FORGOTTEN,
        "variance": _VARIANCE,
        "detached": _DETACHED,
        "sigmoid": _SIGMOID,
        "rate": _RATE,
    },
    shown=("variance", "detached", "right", "forgotten", "rate", "softplus"),
)
