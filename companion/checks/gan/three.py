"""Check of a game on three places, by hand."""

import math

from companion.checks.authoring import NumbersTask

_JS = 0.75 * math.log(4 / 3)

NumbersTask(
    "gan.three_places",
    number="9.1",
    title="A game on three places",
    answer="game",
    values={"a": 2 / 3, "b": 0.0, "c": _JS, "d": math.log(4) - 2 * _JS, "e": 49.0},
    slips={
        "a": {
            "That is the probability of a generated example. The discriminator gives that of a "
            "real one.": 1 / 3,
            "Only the odds of the two count: how often does either produce this place?": [
                0.5,
                0.25,
            ],
            "That is the ratio of the two, not the share of the real ones.": 2.0,
        },
        "b": {
            "Who produces the third place, and who never does?": [1.0, 0.5, 0.25],
            "At the third place one of the two probabilities is zero, so nothing is left to "
            "weigh up.": [1 / 3, 2 / 3],
        },
        "c": {
            "That is in bits. The chapter's logarithms are natural.": _JS / math.log(2),
            "That is the sum of both divergences from the middle: half of it is missing.": 2 * _JS,
            "That is KL(p || q). Jensen and Shannon compare each of the two with their middle.": (
                math.log(2)
            ),
            "That is one of the two divergences from the middle.": [
                math.log(4 / 3),
                0.5 * math.log(4 / 3),
            ],
        },
        "d": {
            "That is V, which the discriminator maximizes. Its loss has the other sign.": (
                2 * _JS - math.log(4)
            ),
            "That is the loss where the two distributions agree.": math.log(4),
            "In (9.3) the divergence counts twice.": math.log(4) - _JS,
            "A discriminator that can tell something has a smaller loss than one that guesses.": (
                math.log(4) + 2 * _JS
            ),
        },
        "e": {
            "You inverted it: which of the two is the small one?": 1 / 49,
            "The larger of the two is not quite 1.": 50.0,
            "Those are the losses. The derivatives in the logit are asked for.": [
                -math.log(0.02) / -math.log(0.98),
            ],
        },
    },
    otherwise="{value} is not it. Write down p and q at each place, and their middle.",
    praise="(b) is the place that only the generator visits: a sure verdict there costs "
    "nothing. And by (e) a bad sample moves the generator 49 times as much with the second loss.",
)
