r"""How good are samples? Numbers that compare generated examples with real ones.

Distances in features depend on the features. Those here are our own classifier's, so none of these
numbers is an FID or an IS, which are defined by one particular network; compare them with one
another, and with their anchors: real against real, and noise against real.

Axes: N and M examples, F features, K modes or classes, C clusters.
"""

from typing import Annotated, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from companion import _k_means
from companion._require.samples import require_more_than, require_probabilities
from companion._require.signature import FINITE, Count, Positive, checked

Features = Annotated[Float[Tensor, "N F"], FINITE]
OtherFeatures = Annotated[Float[Tensor, "M F"], FINITE]


class ModeCount(NamedTuple):
    """How many modes samples reach, and how many samples lie near one."""

    found: int
    filled: int
    high_quality: float

    def __str__(self) -> str:
        return f"{self.found} found, {self.filled} filled, {self.high_quality:.1%} high quality"


@checked
def count_modes(
    samples: Annotated[Float[Tensor, "N 2"], FINITE],
    centers: Float[Tensor, "K 2"],
    *,
    std: Positive = 0.05,
    share: Positive = 0.2,
) -> ModeCount:
    r"""Count the modes of a mixture of equal Gaussians that samples reach.

    A sample is of high quality if it lies within three standard deviations of its nearest mode. A
    mode is found if one such sample is nearest to it, and filled if it has at least a share of what
    it would have if all modes had as many. Of true samples in the plane, a share of
    :math:`1 - e^{-9/2}`, 98.9 %, is of high quality; more means that the modes are too narrow.

    Args:
        samples: points, shape (N, 2).
        centers: means of the Gaussians, shape (K, 2), far apart compared with `std`.
        std: their standard deviation along each axis.
        share: a filled mode has at least share * N / K samples of high quality.

    Returns:
        `ModeCount(found, filled, high_quality)`: two counts of modes and a share of samples.

    Reference: Srivastava et al. (2017), section 4.1, for `found` and `high_quality`.

    >>> from companion.data.toys import ring, ring_centers
    >>> x = ring(1_000, generator=torch.Generator().manual_seed(0))
    >>> print(count_modes(x, ring_centers()))
    8 found, 8 filled, 99.1% high quality
    """
    distance, nearest = torch.cdist(samples, centers.to(samples)).min(dim=1)
    good = distance <= 3 * std
    counts = nearest[good].bincount(minlength=len(centers))
    enough = counts >= share * len(samples) / len(centers)
    return ModeCount(int((counts > 0).sum()), int(enough.sum()), good.double().mean().item())


@checked
def frechet_distance(a: Features, b: OtherFeatures) -> float:
    r"""Return the squared Frechet distance of two Gaussians that are fitted to features.

    .. math:: \lVert m_a - m_b \rVert^2
        + \operatorname{tr}\left( \Sigma_a + \Sigma_b - 2 (\Sigma_a \Sigma_b)^{1/2} \right)

    It is symmetric, zero only if means and covariances agree, and too large for few examples.

    Args:
        a: features, shape (N, F), N of at least two.
        b: features, shape (M, F).

    Returns:
        A number of at least 0, in squared units of the features.

    Reference: Dowson and Landau (1982), equation (4); Heusel et al. (2017) for its use.

    >>> x = torch.tensor([[0.0], [2.0]])
    >>> frechet_distance(x, x + 3), frechet_distance(x, 2 * x - 1)
    (9.0, 2.0)
    """
    require_more_than(1, a=a, b=b)
    a, b = a.detach().cpu().double(), b.detach().cpu().double()
    root = _square_root(a.T.cov().reshape(a.shape[1], -1))
    cov_b = b.T.cov().reshape(b.shape[1], -1)
    # The matrix of the paper has the eigenvalues of this one, which is symmetric.
    overlap = torch.linalg.eigvalsh(root @ cov_b @ root).clamp_min(0).sqrt().sum()
    spread = (root @ root).trace() + cov_b.trace() - 2 * overlap
    return max(((a.mean(0) - b.mean(0)).square().sum() + spread).item(), 0.0)


@checked
def class_score(probabilities: Annotated[Float[Tensor, "N K"], FINITE]) -> float:
    r"""Return how sure a classifier is of each sample, and how varied its answers are.

    .. math:: \exp E_x \left[ \mathrm{KL}(p(y \mid x) \,\|\, p(y)) \right], \qquad
        p(y) = E_x[p(y \mid x)]

    It is at most the number K of classes, and one if all answers are alike. It never looks at real
    data, nor at differences within a class.

    Args:
        probabilities: p(y | x), the softmax of the logits, shape (N, K), rows that sum to one.

    Returns:
        A number from 1 to K.

    Reference: Salimans et al. (2016), section 4, with another classifier.

    >>> class_score(torch.eye(4)), class_score(torch.full((4, 4), 0.25))
    (4.0, 1.0)
    """
    require_probabilities(probabilities)
    p = probabilities.detach().cpu().double()
    marginal = p.mean(0)
    divergence = (torch.xlogy(p, p) - torch.xlogy(p, marginal)).sum(1).mean()
    return divergence.exp().item()


class PrecisionRecall(NamedTuple):
    """The share of samples among the real ones, and the share of real ones among the samples."""

    precision: float
    recall: float


@checked
def precision_recall(
    *, generated: Features, real: OtherFeatures, neighbors: Count = 3
) -> PrecisionRecall:
    r"""Return the share of samples that look real, and the share of the real that is covered.

    A set of points covers balls around its points, each as large as the distance to the point's
    k-th nearest neighbor. Precision is the share of generated points in the real balls; recall is
    the share of real points in the generated balls. The arguments have no order, because swapping
    them would swap the two.

    Args:
        generated: features of samples, shape (N, F), N > k.
        real: features of real examples, shape (M, F), M > k.
        neighbors: k.

    Returns:
        `PrecisionRecall(precision, recall)`, shares in [0, 1].

    Reference: Kynkäänniemi et al. (2019), equations (1) and (2).

    >>> line = torch.arange(10.0)[:, None]
    >>> precision_recall(generated=line[:5], real=line, neighbors=1)
    PrecisionRecall(precision=1.0, recall=0.6)
    """
    require_more_than(neighbors, generated=generated, real=real)
    generated, real = generated.double(), real.double()
    between = torch.cdist(generated, real)
    in_real = (between <= _radius(real, neighbors)).any(1)
    in_generated = (_radius(generated, neighbors)[:, None] >= between).any(0)
    return PrecisionRecall(in_real.double().mean().item(), in_generated.double().mean().item())


@checked
def precision_recall_curve(
    *,
    generated: Features,
    real: OtherFeatures,
    clusters: Count = 20,
    n_angles: Count = 1001,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "n_angles 2"]:
    r"""Return the pairs of precision and recall that two distributions allow.

    .. math:: \alpha(\lambda) = \sum_c \min(\lambda p_c, q_c), \qquad
        \beta(\lambda) = \sum_c \min(p_c, q_c / \lambda)

    p and q are the shares of real and of generated examples in the clusters of k-means on both
    together. The slopes are the tangents of evenly spaced angles.

    Args:
        generated: features of samples, shape (N, F).
        real: features of real examples, shape (M, F). As many as generated ones: clusters follow
            the larger set.
        clusters: the number C of clusters.
        n_angles: number of slopes.
        generator: source of the first means of k-means, on the features' device.

    Returns:
        Rows (precision, recall) in [0, 1], from precision 0 to recall 0, shape (n_angles, 2).

    Reference: Sajjadi et al. (2018), equation (7) and algorithm 1.

    >>> x = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    >>> curve = precision_recall_curve(generated=x, real=x)
    >>> round(curve.min(dim=1).values.max().item(), 3)  # the same distribution: both are one
    1.0
    """
    both = torch.cat([generated, real]).detach()
    start = _k_means.spread(both, min(clusters, len(both)), generator)
    _, cluster = _k_means.k_means(both, start)
    n, m = len(generated), len(real)
    q = cluster[:n].bincount(minlength=clusters).double() / n
    p = cluster[n:].bincount(minlength=clusters).double() / m
    tiny = 1e-6
    angle = torch.linspace(tiny, torch.pi / 2 - tiny, n_angles, dtype=torch.float64)
    slope = angle.tan().to(p)[:, None]
    precision = torch.minimum(slope * p, q).sum(1)
    return torch.stack([precision, precision / slope[:, 0]], dim=1).clamp(0, 1)


def _square_root(covariance: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    return vectors * values.clamp_min(0).sqrt() @ vectors.T


def _radius(points: Tensor, neighbors: int) -> Tensor:
    """Return the distance of each point to its k-th nearest neighbor, itself not counted."""
    return torch.cdist(points, points).kthvalue(neighbors + 1, dim=1).values
