"""The recorded runs of chapter 3 and their faults: `python -m tools.record_runs mnist`."""

from pathlib import Path

from companion.checks._curves import Line, Panel, Run
from companion.checks._diagnosis import Clue, Diagnosis, Fault

NATS = (-400.0, -300.0, -200.0, -100.0, 0.0)
PANELS = (
    Panel((Line("elbo", "ELBO"), Line("own", "own score")), NATS, "nats"),
    Panel((Line("log_likelihood", "log-likelihood"),), NATS, "nats"),
    Panel((Line("kl", "KL"),), (0.1, 1.0, 10.0, 100.0, 1000.0), "nats", logarithmic=True),
    Panel((Line("active", "active units"),), (0.0, 5.0, 10.0, 15.0, 20.0)),
    Panel((Line("std", "smallest std"),), (0.001, 0.01, 0.1, 1.0, 10.0), logarithmic=True),
)


def same(run: Run, one: str, other: str) -> bool:
    """Say whether two curves, in nats, can't be told apart in any epoch."""
    return all(abs(a - b) < 0.1 for a, b in zip(run[one], run[other], strict=True))


FAULTS = {
    "right": Fault(
        "Nothing is wrong",
        (
            Clue(
                lambda run: same(run, "own", "elbo"),
                "a right program reports what the ruler measures. Here its own score ends at "
                "{own.last}, the ELBO at {elbo.last}.",
            ),
            Clue(
                lambda run: run["active"].last > 0,
                "no unit is active at the end: the code says the same of every digit, and the ELBO "
                "is no better than with one picture for all of them.",
            ),
            Clue(
                lambda run: run["elbo"].last > -140,
                "it looks healthy. But network and digits are the same in all runs, and another "
                "run ends far above {elbo.last} nats. Compare the other panels.",
            ),
        ),
        "own score and ELBO are one curve, {active.last} of 20 units are active, and the ELBO ends "
        "higher than in any other run. Compare the others with this one.",
    ),
    "softplus": Fault(
        "Softplus makes the log-variance positive",
        (
            Clue(
                lambda run: run["active"].last > 0,
                "softplus makes codes wide, not useless. Here no unit is active at the end.",
            ),
            Clue(
                lambda run: run["std"].lowest >= 1,
                "softplus is positive, so no standard deviation could be below 1. Here the "
                "smallest ends at {std.last}.",
            ),
        ),
        "all {active.last} units are active, yet no standard deviation ever falls below 1. Wide "
        "codes must lie far from each other to be told apart, and the KL charges for the distance: "
        "a worse log-likelihood for the same KL.",
    ),
    "means": Fault(
        "Both terms are means, over the pixels and over the latent dimensions",
        (
            Clue(
                lambda run: abs(run["own"].last) < 1,
                "its own score would be an average, a fraction of a nat. Here it ends at "
                "{own.last}, as a sum over 784 pixels does.",
            ),
        ),
        "the own score, {own.last}, is no sum over 784 pixels. Dividing one term by 784 and the "
        "other by 20 is β = 39.2: a code costs more than it brings, and the KL never "
        "exceeds {kl.highest} nats.",
    ),
    "forgotten": Fault(
        "The loss lacks the KL divergence",
        (
            Clue(
                lambda run: run["elbo"].last < run["elbo"].first - 10,
                "nothing would hold the codes near the prior: the KL would grow, and the ELBO "
                "fall. Here the KL ends at {kl.last} nats, and the ELBO goes from {elbo.first} to "
                "{elbo.last}.",
            ),
        ),
        "the ELBO falls from {elbo.first} to {elbo.last}, while the KL grows to {kl.last} nats: "
        "nothing holds the codes near the prior. The own score is the log-likelihood, epoch for "
        "epoch, so nothing else is in it. And the smallest standard deviation goes to 0, because "
        "noise disturbs the decoder and nothing rewards it.",
    ),
    "variance": Fault(
        "The noise is multiplied by `exp(log_var)`",
        (
            Clue(
                lambda run: run["own"].last > run["elbo"].last + 5,
                "the program would decode codes with less noise than the ELBO assumes, and score "
                "itself higher. Here its own score ends at {own.last}, the ELBO at {elbo.last}.",
            ),
            Clue(
                lambda run: not same(run, "own", "log_likelihood"),
                "the own score does lie above the ELBO. But it is the log-likelihood, epoch for "
                "epoch, and wrong noise would not make the two equal.",
            ),
            Clue(
                lambda run: run["own"].last < -10,
                "the own score, {own.last}, is no sum over 784 pixels. Wrong noise would not "
                "change its scale.",
            ),
        ),
        "on the same digits the program gives itself {own.last} nats, the ruler {elbo.last}: they "
        "disagree about the noise or about the KL. The KL is not missing, for then the own score "
        "would be the log-likelihood. So it is the noise. Below 1, a variance is smaller than its "
        "root. The KL charges for codes of width σ, and the decoder gets codes of width σ², more "
        "certain than was paid for.",
    ),
    "detached": Fault(
        "No gradient passes through the sample to the encoder",
        (
            Clue(
                lambda run: run["kl"].highest < 0.1,
                "the encoder would hear of the KL alone and bring it to 0 at once. Here the KL "
                "ends at {kl.last} nats.",
            ),
            Clue(
                lambda run: same(run, "own", "elbo"),
                "a detached sample changes the gradient, not the value of the loss. Here the own "
                "score ends at {own.last}, the ELBO at {elbo.last}.",
            ),
        ),
        "the KL is {kl.first} nats after the first epoch already, and no unit is ever active. The "
        "own score is the ELBO, so the value of the loss is right, and its gradient is wrong. "
        "Without the path through the sample the encoder hears of the KL alone, which is lowest "
        "for a code that says nothing.",
    ),
    "sigmoid": Fault(
        "The decoder's probabilities are taken for logits",
        (
            Clue(
                lambda run: run["log_likelihood"].highest < -500,
                "a logit between 0 and 1 can't make a pixel dark. Each black pixel would cost at "
                "least log 2 = 0.69 nats, and a picture more than 500 on average. Here the "
                "log-likelihood ends at {log_likelihood.last} nats.",
            ),
        ),
    ),
    "rate": Fault(
        "The learning rate is far too large",
        (
            Clue(
                lambda run: run["active"].last == 0,
                "the first large steps would have thrown the weights to where the code says "
                "nothing. Here {active.last} units are active at the end.",
            ),
            Clue(
                lambda run: run["kl"].lowest > 1,
                "large steps would keep the weights, and with them the KL, from settling. Here the "
                "KL is brought down to {kl.last} nats.",
            ),
        ),
        "no unit is active at the end, yet the KL never falls below {kl.lowest} nats. A collapsed "
        "code costs nothing. This one costs and says nothing: nearly the same for every digit, and "
        "not the prior. And the ELBO goes up and down instead of up.",
    ),
}

DIAGNOSIS = Diagnosis(
    Path(__file__).with_name("runs.json"),
    PANELS,
    FAULTS,
    shown=("variance", "detached", "right", "forgotten", "rate", "means", "softplus"),
)
