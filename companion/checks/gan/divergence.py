"""Check of the divergence that a discriminator reports."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from companion.checks.authoring import Case, FunctionTask, Slips, uniform


def _estimate(real: Tensor, fake: Tensor) -> Tensor:
    return math.log(2) - (F.softplus(-real).mean() + F.softplus(fake).mean()) / 2


def _slips(real: Tensor, fake: Tensor) -> Slips:
    loss = F.softplus(-real).mean() + F.softplus(fake).mean()
    joined = torch.cat([F.softplus(-real), F.softplus(fake)]).mean()
    swapped = F.softplus(real).mean() + F.softplus(-fake).mean()
    return {
        "That is twice the divergence: the half of (9.4) is missing.": math.log(4) - loss,
        "That is the discriminator's loss, or minus it. (9.4) makes a divergence of it.": [
            loss,
            -loss,
        ],
        "log 2 is missing: with logits of 0 the estimate is 0.": -loss / 2,
        "The sign is wrong: a discriminator that tells everything apart must report log 2.": (
            loss / 2 - math.log(2)
        ),
        "Real and generated have changed places: a large logit says real.": (
            math.log(2) - swapped / 2
        ),
        "There are fewer real examples than generated ones here. Average each set by itself: the "
        "two expectations count the same.": math.log(2) - joined,
        "The half belongs to the loss alone, not to log 2.": (math.log(2) - loss) / 2,
        "You took the sum over the examples. An expectation is a mean.": (
            math.log(2) - (F.softplus(-real).sum() + F.softplus(fake).sum()) / 2
        ),
        "Did you take the logits for probabilities, or apply the sigmoid twice?": (
            math.log(2)
            - (F.softplus(-real.sigmoid()).mean() + F.softplus(fake.sigmoid()).mean()) / 2
        ),
    }


FunctionTask(
    "gan.divergence",
    number="9.3",
    title="What a discriminator reports",
    answer="divergence",
    reference=_estimate,
    slips=_slips,
    cases=[
        Case(
            "With 5 real and 12 generated examples, ",
            {"real": uniform(-1, 3, 5, seed=3), "fake": uniform(-4, 2, 12, seed=4)},
        ),
        Case(
            "Where the discriminator is very sure, and once very wrong, ",
            {"real": torch.tensor([900.0, 700.0, -150.0]), "fake": torch.tensor([-800.0, -950.0])},
        ),
    ],
    praise="A weak discriminator reports less than there is, a lucky one on few examples "
    "more: as an estimate it needs examples that it was not trained on.",
)
