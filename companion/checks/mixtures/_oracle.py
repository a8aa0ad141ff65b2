"""What the checks of this chapter hold answers against: torch.distributions, in float64.

Axes: B batch, K components, D latent dimensions.
"""

import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from companion.checks.authoring import Case, uniform

NAMES = ("z", "logits", "mean", "log_var")


def mixture(logits: Tensor, mean: Tensor, log_var: Tensor) -> MixtureSameFamily:
    """Return a mixture of K diagonal Gaussians as torch's own object."""
    parts = Independent(Normal(mean, (log_var / 2).exp(), validate_args=False), 1)
    return MixtureSameFamily(Categorical(logits=logits), parts, validate_args=False)


def log_density(z: Tensor, logits: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """Return log p(z) of a mixture, (B,)."""
    return mixture(logits, mean, log_var).log_prob(z)


def per_dimension(z: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return the log-density of each component in each dimension, (B, K, D)."""
    return Normal(mean, std, validate_args=False).log_prob(z[:, None])


def a_mixture(seed: int, *, batch: int, components: int, dim: int) -> dict[str, Tensor]:
    """Return codes and a mixture whose logits and log-variances are positive, none of them 1."""
    return {
        "z": uniform(-2, 2, batch, dim, seed=seed),
        "logits": uniform(0.2, 1.9, components, seed=seed + 1),
        "mean": uniform(-1.5, 1.5, components, dim, seed=seed + 2),
        "log_var": uniform(0.2, 1.2, components, dim, seed=seed + 3),
    }


def a_narrow_mixture(seed: int, *, batch: int, components: int, dim: int) -> dict[str, Tensor]:
    """Return codes and a mixture whose logits and log-variances are negative."""
    return {
        "z": uniform(-1, 1, batch, dim, seed=seed),
        "logits": uniform(-3, -0.5, components, seed=seed + 1),
        "mean": uniform(-1, 1, components, dim, seed=seed + 2),
        "log_var": uniform(-2, -0.3, components, dim, seed=seed + 3),
    }


def cases(seed: int, narrow_seed: int, atol: float = 1e-4) -> list[Case]:
    """Return a general case, and narrow ones in which two of the three sizes are small."""
    found = [
        Case(
            "With B = 4, K = 5 and D = 3, ",
            a_mixture(seed, batch=4, components=5, dim=3),
            atol=atol,
        )
    ]
    for batch, components, dim in ((3, 2, 2), (2, 1, 3), (1, 4, 1)):
        sizes = f"B = {batch}, K = {components} and D = {dim}"
        arguments = a_narrow_mixture(narrow_seed, batch=batch, components=components, dim=dim)
        found.append(
            Case(f"With negative logits and log-variances, {sizes}, ", arguments, atol=atol)
        )
    return found


def doubled(arguments: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the arguments in float64."""
    return {name: value.double() for name, value in arguments.items()}


def component_axis_last(logits: Tensor, each: Tensor) -> Tensor:
    """Return the log-joint log w_k + log N_k(z), (B, K), from the terms (B, K, D)."""
    return torch.log_softmax(logits, 0) + each.sum(-1)


def wrong_joints(logits: Tensor, each: Tensor) -> dict[str, list[Tensor]]:
    """Return wrong log-joints (B, K), from right terms (B, K, D)."""
    log_w, parts = logits.log_softmax(0), each.sum(-1)
    weights = log_w.exp()
    slips = {
        "You left out the weights: a component that is rare to begin with is less likely for "
        "every code.": [parts],
        "You added the weights. Their logarithms are to be added.": [weights + parts],
        "Your weights don't sum to one: the logits pass through a softmax, not a sigmoid.": [
            logits.sigmoid().log() + parts
        ],
        "You multiplied the log-density by the weight. A weight multiplies the density, so its "
        "logarithm adds to the log-density.": [weights * parts],
        "The weights count twice.": [2 * log_w + parts],
        "You added the log-weight in every dimension. It counts once for each component: sum "
        "over dimensions first, then add it.": [(log_w[:, None] + each).sum(-1)],
        "You averaged over the latent dimensions. Independent dimensions add.": [
            log_w + each.mean(-1),
            (log_w[:, None] + each).mean(-1),
        ],
        "You added the densities of the dimensions. Independent dimensions multiply.": [
            log_w + each.logsumexp(-1)
        ],
    }
    if (logits > 0).all():
        slips["You used the logits as if they were weights. Those are `softmax(logits)`."] = [
            logits.log() + parts,
            (logits / logits.sum()).log() + parts,
        ]
    return slips
