r"""Means to begin with: greedy k-means++, then Lloyd's algorithm.

Squared distances are multiplied out, which one matrix product does. That costs digits where codes
lie closer together than a millionth of their distance from the origin, and a start needs few.

Axes: N codes, K means, C candidates, D latent dimensions.
"""

import math

import torch
from torch import Tensor


def spread(z: Tensor, n_means: int, generator: torch.Generator | None) -> Tensor:
    """Draw codes that lie far apart, (K, D), by greedy k-means++.

    Of a few candidates, each drawn in proportion to its squared distance from the codes that are
    chosen, the one is kept that leaves the smallest sum of squared distances.
    """
    n_candidates = 2 + int(math.log(n_means))
    norms = z.square().sum(1)
    first = torch.randint(len(z), (1,), generator=generator, device=z.device)
    chosen, nearest = [first], _squared_distances(z, norms, first)[0]
    for _ in range(n_means - 1):
        drawn = _draw(nearest, n_candidates, generator)
        left = torch.minimum(_squared_distances(z, norms, drawn), nearest)
        best = left.sum(1).argmin()
        chosen.append(drawn[best, None])
        nearest = left[best]
    return z[torch.cat(chosen)]


def k_means(z: Tensor, mean: Tensor, max_steps: int = 20) -> tuple[Tensor, Tensor]:
    """Return the means (K, D) of Lloyd's algorithm, and the index of each code's nearest (N,)."""
    nearest = _nearest(z, mean)
    for _ in range(max_steps):
        counts = nearest.bincount(minlength=len(mean))[:, None]
        sums = torch.zeros_like(mean).index_add_(0, nearest, z)
        mean = torch.where(counts > 0, sums / counts.clamp_min(1), mean)
        before, nearest = nearest, _nearest(z, mean)
        if torch.equal(before, nearest):
            break
    return mean, nearest


def _squared_distances(z: Tensor, norms: Tensor, chosen: Tensor) -> Tensor:
    """From the chosen codes to all, (C, N)."""
    squares = torch.addmm(norms, z[chosen], z.T, alpha=-2).add_(norms[chosen, None])
    return squares.clamp_min_(0)  # rounding may have made it negative


def _nearest(z: Tensor, mean: Tensor) -> Tensor:
    # The squared distance without the square of the code, which is the same for all means.
    return torch.addmm(mean.square().sum(1), z, mean.T, alpha=-2).argmin(1)


def _draw(chances: Tensor, n: int, generator: torch.Generator | None) -> Tensor:
    """Draw n indices in proportion to chances (N,). `torch.multinomial` takes at most 2^24."""
    edges = chances.cumsum(0)
    places = torch.rand(n, generator=generator, dtype=edges.dtype, device=edges.device) * edges[-1]
    # Among equal codes none has a chance: then the last one.
    return torch.searchsorted(edges, places, right=True).clamp_max(len(chances) - 1)
