"""Check of the best discriminator under smoothed labels."""

import torch
from torch import Tensor

from companion.checks.authoring import Case, FunctionTask, Slips, uniform


def _best(log_p: Tensor, log_q: Tensor, alpha: float, beta: float) -> Tensor:
    share = torch.sigmoid(log_p - log_q)
    return alpha * share + beta * (1 - share)


def _slips(log_p: Tensor, log_q: Tensor, alpha: float, beta: float) -> Slips:
    share = torch.sigmoid(log_p - log_q)
    right = _best(log_p, log_q, alpha, beta)
    p, q = log_p.exp(), log_q.exp()
    return {
        "That is the answer for the labels 1 and 0. With others, each term of the "
        "cross-entropy has two parts.": share,
        "The densities have changed places: alpha is the label of real examples.": [
            _best(log_q, log_p, alpha, beta),
            1 - share,
        ],
        "You forgot the label of generated examples: it is no longer 0.": alpha * share,
        "The labels do not weigh the densities against each other. Write the cross-entropy of one "
        "place with soft labels, and set its derivative to zero.": [
            alpha * p / (alpha * p + beta * q),
            alpha * p / (alpha * p + (1 - beta) * q),
        ],
        "Those are log-densities: the ratio needs densities.": (
            (alpha * log_p + beta * log_q) / (log_p + log_q)
        ),
        "Return the probability, not its logit or logarithm.": [
            torch.logit(right),
            right.log(),
            log_p - log_q,
        ],
        "Is something not normalized? The result is a mean of the two labels.": [
            alpha * p + beta * q,
        ],
    }


FunctionTask(
    "gan.smoothed",
    number="9.2",
    title="Smoothed labels",
    answer="smoothed",
    reference=_best,
    slips=_slips,
    cases=[
        Case(
            "With alpha = 0.9 and beta = 0.2, ",
            {
                "log_p": uniform(-3, 0.5, 8, seed=1),
                "log_q": uniform(-3, 0.5, 8, seed=2),
                "alpha": 0.9,
                "beta": 0.2,
            },
        ),
        Case(
            "Far from the data, where both densities are below the smallest float, ",
            {
                "log_p": torch.tensor([-900.0, -1200.0, -800.0]),
                "log_q": torch.tensor([-901.0, -1100.0, -800.0]),
                "alpha": 0.9,
                "beta": 0.0,
            },
        ),
    ],
    praise="The generator's label matters: with beta > 0 the best discriminator says beta, not 0, "
    "where there are no data, and so it calls a bad sample a little real. So only the real side is "
    "smoothed.",
)
