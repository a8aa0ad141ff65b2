"""Checks of a mixture's log-density, and of a responsibility by hand."""

import math

from torch import Tensor

from companion.checks._gaussians import CONSTANT, merged, wrong_terms
from companion.checks.authoring import Case, FunctionTask, Hints, NumberTask
from companion.checks.mixtures import _oracle

_BY_HAND = 4 / 7
_BY_HAND_SLIPS = {
    "This is the first component's weight: what you knew before you saw z. (If you did compute: "
    "the factor 1/σ in front of the exponential is missing.)": 0.4,
    "This is the second component's responsibility. The question is about the first.": 3 / 7,
    "You left out the weights: the joint density is weight times density.": 1 / (1 + 0.5),
    "This is the ratio of the two joint densities. Divide by their sum instead.": 4 / 3,
    "You took 4 as the standard deviation. It is the variance: the standard deviation is 2.": 0.4
    / (0.4 + 0.6 / 4 * math.exp(0.5 - 0.125)),
    "The density has 1/σ in front: divide by the standard deviation.": 0.25,
    "In front of the exponential stands 1/σ, not one over the variance.": 0.4 / (0.4 + 0.6 / 4),
    "In the second component's exponential the distance counts in standard deviations: divide "
    "(z - 3)² by the variance.": 0.4 / (0.4 + 0.3 * math.exp(0.5 - 2)),
    "In the second component's exponential you divided (z - 3)² by 4², but 4 is the variance "
    "already.": 0.4 / (0.4 + 0.3 * math.exp(0.5 - 0.125)),
    "This is the joint density of z and the first component. Divide it by the sum over both "
    "components.": 0.4 * math.exp(-0.5) / math.sqrt(2 * math.pi),
    "This is the density p(z). It is what you divide by.": 0.7
    * math.exp(-0.5)
    / math.sqrt(2 * math.pi),
    "This is the first component's density at z. The weight belongs to it, and then the "
    "division by the sum over both components.": math.exp(-0.5) / math.sqrt(2 * math.pi),
    "This is the logarithm of the responsibility.": math.log(_BY_HAND),
    "A responsibility is a probability, not a decision: z could have come from either "
    "component.": 1.0,
}

NumberTask(
    "mixtures.by_hand",
    number="4.1",
    title="A responsibility by hand",
    value=_BY_HAND,
    within=0.002,  # 0.57 is the coarsest rounding
    slips=_BY_HAND_SLIPS,
    slip_within=0.003,
    rules=[
        (
            lambda value: abs(value - 100 * _BY_HAND) < 0.2,
            "That is in percent. Give the probability itself, a number below 1.",
        ),
        (
            lambda value: not 0 <= value <= 1,
            "A responsibility is a probability: it lies between 0 and 1.",
        ),
        (
            lambda value: abs(value - 0.6) < 1e-9,
            "Give at least two decimals, correctly rounded. (Or is it the second component's "
            "weight?)",
        ),
    ],
    otherwise="{value} is not it. Write down weight times density for both components; then divide "
    "the first by the sum. How many standard deviations is z from each mean?",
    praise="The narrow component gains on the wide one: at one standard deviation from its mean, "
    "each is as high as its 1/σ.",
)


def combination_slips(logits: Tensor, each: Tensor) -> Hints:
    """Return what comes out when the right terms (B, K, D) are combined wrongly."""
    log_w, parts = logits.log_softmax(0), each.sum(-1)
    weights, joint = log_w.exp(), log_w + parts
    right = joint.logsumexp(1)
    joints = _oracle.wrong_joints(logits, each)
    return {hint: [wrong.logsumexp(1) for wrong in given] for hint, given in joints.items()} | {
        "You took the logsumexp over components in each dimension, then added up the dimensions. "
        "That is a product of one-dimensional mixtures: it has peaks where no component is. Sum "
        "over dimensions first.": [
            (log_w[:, None] + each).logsumexp(1).sum(-1),
            each.logsumexp(1).sum(-1),
            (logits[:, None] + each).logsumexp(1).sum(-1),
        ],
        "You averaged the components' log-densities. A mixture adds densities: the sum over "
        "components is inside the logarithm.": [
            (weights * parts).sum(1), parts.mean(1), parts.sum(1), joint.sum(1), joint.mean(1),
        ],
        "You gave all components the same weight. Use the logits.": parts.logsumexp(1)
        - math.log(len(logits)),
        "Your weights don't sum to one, so neither does the density integrate to one: the "
        "logits are log-weights up to a constant, and it counts.": (logits + parts).logsumexp(1),
        "This is the density. Return its logarithm.": right.exp(),
        "This is -log p(z). Return log p(z) itself.": -right,
        "This is the joint density's logarithm, one number for each component. Sum over the "
        "components, in the logarithm.": joint,
        "You took the most likely component alone. All of them contribute.": joint.amax(1),
        "You reduced over the batch. Return one number for each code, shape (B,).": [
            joint.logsumexp(0), right.sum(), right.mean(), joint.logsumexp((0, 1)),
        ],
        CONSTANT: right + 0.5 * (each.shape[2] - 1) * math.log(2 * math.pi),
        "You averaged over the components. The weights make the average already: add "
        "up.": right - math.log(len(logits)),
    }  # fmt: skip


def _slips(z: Tensor, logits: Tensor, mean: Tensor, log_var: Tensor) -> Hints:
    each = _oracle.per_dimension(z, mean, (log_var / 2).exp())

    def total(terms: Tensor) -> Tensor:
        return _oracle.component_axis_last(logits, terms).logsumexp(1)

    slips = {
        hint: [total(terms) for terms in wrong]
        for hint, wrong in wrong_terms(z[:, None] - mean, log_var).items()
    }
    return merged(combination_slips(logits, each), slips)


def _extreme(name: str, reason: str, arguments: dict[str, Tensor]) -> Case:
    where = f"Right for moderate densities, but for {name} the result is"
    return Case(
        f"For {name}, ",
        arguments,
        atol=0.02,
        not_finite=f"{where} not finite: {reason}. Stay with logarithms, and use "
        "`torch.logsumexp` for the sum.",
        far_off=f"{where} far off. A small number added, or a clamp, hides the infinity but not "
        "the error.",
    )


def extremes() -> list[Case]:
    """Return a code far from every component, and a density too high for `exp`."""
    far = _oracle.a_mixture(1, batch=4, components=5, dim=3)
    high = _oracle.a_narrow_mixture(40, batch=2, components=2, dim=150)
    high |= {name: 0.003 * high[name] for name in ("z", "mean")}
    high["log_var"] = 0 * high["log_var"] - 12
    far["z"] = far["z"] + 300
    return [
        _extreme("a code far from every component", "`exp` of it is 0", far),
        _extreme("150 dimensions with tiny variances", "`exp` of it is infinite", high),
    ]


FunctionTask(
    "mixtures.log_density",
    number="4.2",
    title="A mixture's log-density",
    answer="log_density",
    reference=_oracle.log_density,
    slips=_slips,
    cases=[*_oracle.cases(1, 20), *extremes()],
    gradients_by=_oracle.NAMES,
    praise="It agrees with `MixtureSameFamily`, also where the density is 0 in any floating point.",
)
