"""Check of implicit reparameterization: how a sample of a mixture moves with the means."""

import torch
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, Normal

from companion.checks._gaussians import wrong_terms
from companion.checks.authoring import Case, FunctionTask, Hints


def move_exact(z: Tensor, weights: Tensor, means: Tensor, stds: Tensor) -> Tensor:
    """Return dz/dmean, (S, K), from torch's mixture: -(dF/dmean) / q(z), F its cdf."""
    means = means.clone().requires_grad_()
    mixture = MixtureSameFamily(Categorical(weights), Normal(means, stds))
    rows = [torch.autograd.grad(mixture.cdf(each), means)[0] for each in z]
    return -torch.stack(rows) / mixture.log_prob(z).exp().detach()[:, None]


def slips(z: Tensor, weights: Tensor, means: Tensor, stds: Tensor) -> Hints:
    """Return the wrong derivatives that we know of."""
    each = Normal(means, stds)
    joint = weights * each.log_prob(z[:, None]).exp()
    right = joint / joint.sum(1, keepdim=True)
    plain = each.log_prob(z[:, None]).exp()
    wide = weights * Normal(means, stds**2).log_prob(z[:, None]).exp()
    narrow = weights * Normal(means, stds.sqrt()).log_prob(z[:, None]).exp()
    masses = weights * each.cdf(z[:, None])
    tilted = joint * (z[:, None] - means)
    bare = joint * stds  # without the factor 1 / std
    return {
        "The sign is wrong: F falls as a mean grows, so z has to move up to keep F(z) = u.": [
            -right
        ],
        "You did not divide by q(z), the density of the whole mixture.": [joint, -joint],
        "You left out the weights.": [
            plain / plain.sum(1, keepdim=True),
            plain / joint.sum(1, keepdim=True),
            joint / plain.sum(1, keepdim=True),
        ],
        "The weights enter the softmax wrongly: a weight multiplies the density, so its logarithm "
        "adds to the log-density.": [
            (weights + plain.log()).softmax(1),
            (weights * plain.log()).softmax(1),
        ],
        "Each z moves with every component, in proportion to its share of the density at z. You "
        "gave one component everything.": [
            torch.zeros_like(right).scatter(1, right.argmax(1, keepdim=True), 1.0)
        ],
        "These are the weights: the components' shares before z is known. Near a component's "
        "mean its share is larger.": [weights.expand_as(right), weights],
        "You squared the standard deviations where they were not asked for, or took a root.": [
            wide / wide.sum(1, keepdim=True),
            narrow / narrow.sum(1, keepdim=True),
            (weights.log() - stds.log() - 0.5 * (z[:, None] - means) ** 2 / stds).softmax(1),
        ],
        "The weights count twice.": [weights * right, (2 * weights.log() + plain.log()).softmax(1)],
        "You compared distances only. Weights and widths count too.": [
            (-(z[:, None] - means).abs()).softmax(1),
            (-((z[:, None] - means) ** 2)).softmax(1),
            (-0.5 * (z[:, None] - means) ** 2).softmax(1),
        ],
        **{
            hint: [(weights.log() + terms).softmax(1) for terms in wrong]
            for hint, wrong in wrong_terms(
                z[:, None] - means, 2 * stds.log(), constant=False
            ).items()
            if "log" not in hint  # the widths are given as such
        },
        "The densities lack their factor 1/σ_k; it differs between components.": [
            bare / bare.sum(1, keepdim=True)
        ],
        "The chain rule: dΦ((z − μ)/σ)/dμ has a factor 1/σ.": [
            bare / joint.sum(1, keepdim=True),
            -bare / joint.sum(1, keepdim=True),
            right / stds,
        ],
        "You used the distribution functions of the components. Their derivative by the mean is "
        "minus a density.": [
            masses / masses.sum(1, keepdim=True),
            masses / joint.sum(1, keepdim=True),
        ],
        "You divided in the wrong direction: this is one over the result.": [1 / right],
        "You divided by the sum over the samples. The components share out q(z): sum over the "
        "last axis.": [joint / joint.sum(0)],
        "The axes are swapped: return shape (S, K).": [right.T],
        "This is the derivative of log q(z) or of q(z) by the means. z moves here so that F(z) "
        "stays the same.": [
            tilted / stds**2 / joint.sum(1, keepdim=True),
            tilted / stds**2,
        ],
        "This is the logarithm of the result.": [right.log()],
    }


_Z = torch.tensor([-1.4, 0.3, 1.1, 2.6, -0.2, 0.8, 1.9])
_WEIGHTS, _MEANS = torch.tensor([0.5, 0.2, 0.3]), torch.tensor([-1.0, 0.6, 1.7])
_MIXTURE = {"weights": _WEIGHTS, "means": _MEANS, "stds": torch.tensor([0.8, 0.5, 1.3])}
_TWO = {name: value[:2] for name, value in _MIXTURE.items()}
_TWO["weights"] = _TWO["weights"] / _TWO["weights"].sum()
_FAR = {
    "z": torch.tensor([90.0, -90.0]),
    "weights": torch.tensor([0.4, 0.6]),
    "means": torch.tensor([-1.0, 1.0]),
    "stds": torch.tensor([1.0, 2.0]),
}
_SHARES = torch.tensor([[0.0, 1.0], [0.0, 1.0]])  # the wide component's, near or not

FunctionTask(
    "reparameterization.implicit",
    number="2.7",
    title="How a mixture's sample moves",
    answer="move",
    reference=move_exact,
    slips=slips,
    cases=[
        Case("With S = 5 and K = 3, ", {"z": _Z[:5], **_MIXTURE}, atol=1e-5),
        Case("With S = 2 and K = 2, ", {"z": _Z[5:], **_TWO}, atol=1e-5),
        Case(  # every density underflows in float32
            "At z = 90 and z = -90, ",
            _FAR,
            expected=_SHARES,
            atol=1e-3,
            not_finite="Right for moderate z, but at z = 90 the result is not finite: all "
            "densities round to zero there, and 0 / 0 is NaN. Stay with logarithms until after "
            "the division.",
            slips={
                "At z = 90 every density rounds to zero; the information is lost before you "
                "divide. Stay with logarithms.": [
                    0 * _SHARES,
                    0.5 + 0 * _SHARES,
                    _FAR["weights"].expand(2, 2),
                ],
                "At z = -90 you gave all to the nearest mean. Distances count in standard "
                "deviations, and the wider component is fewer of them away.": torch.eye(2).flip(0),
            },
        ),
    ],
    praise="These are the responsibilities of the components for z. Chapter 4 meets them again.",
)
