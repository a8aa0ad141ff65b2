"""Numbers that a chapter reports, with their uncertainty where they are estimates.

Axes: B batch, N examples, M and S samples, D latent dimensions.
"""

import math
from typing import Annotated, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from companion import gaussian
from companion._require.labels import require_classes
from companion._require.signature import FINITE, Count, Positive, checked
from companion.gaussian import DiagonalGaussian
from companion.vae import VAE, Model

# Numbers (codes x posteriors x dimensions) that a mixture density holds in memory at a time.
_MAX_NUMBERS = 1_000_000


class Estimate(NamedTuple):
    """A mean and its standard error."""

    mean: float
    standard_error: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} ± {self.standard_error:.3f}"


@checked
def mean_with_error(values: Annotated[Float[Tensor, "*n"], FINITE]) -> Estimate:
    r"""Return the mean of independent values, and the standard error of that mean.

    .. math:: \bar v \pm \sqrt{\frac{1}{n(n-1)} \sum_i (v_i - \bar v)^2}

    Args:
        values: at least two independent numbers.

    Returns:
        `Estimate(mean, standard_error)`, Python floats in the unit of the values.

    >>> import torch
    >>> mean_with_error(torch.tensor([1.0, 3.0]))
    Estimate(mean=2.0, standard_error=1.0)
    """
    if values.numel() < 2:
        raise ValueError(
            f"`values` holds {values.numel()} numbers, but a standard error needs at least two. "
            f"Draw more samples."
        )
    values = values.detach().cpu().double()
    return Estimate(values.mean().item(), values.std().item() / math.sqrt(values.numel()))


@torch.no_grad()
@checked
def active_units(
    model: Model, x: Float[Tensor, " B *event"], *, threshold: Positive = 0.01
) -> Bool[Tensor, " D"]:
    r"""Say which latent dimensions carry information about x.

    .. math:: \operatorname{Var}_x \left( E_{q(z \mid x)}[z_d] \right) > \text{threshold}

    The threshold presumes codes of about unit scale, as under N(0, I). A learned prior need not
    hold that scale: do not compare counts across priors.

    Args:
        model: a VAE in evaluation mode.
        x: a batch of at least two examples, shape (B, *event).
        threshold: a variance, positive.

    Returns:
        One truth value for each latent dimension, shape (D,).

    Reference: Burda, Grosse and Salakhutdinov (2016), section 5.2.

    >>> from companion.likelihoods import Bernoulli
    >>> from companion.networks import MLPDecoder, MLPEncoder
    >>> from companion.priors import StandardNormal
    >>> vae = VAE(MLPEncoder((4,), 2), MLPDecoder(2, (4,)), Bernoulli(), StandardNormal(2))
    >>> active_units(vae, torch.ones(3, 4))
    tensor([False, False])
    """
    q = _posteriors(model, x)
    return q.mean.var(0) > threshold


class KLDecomposition(NamedTuple):
    """The two parts of the mean KL of a VAE, in nats."""

    mutual_information: Estimate
    marginal_kl: Estimate


@torch.no_grad()
@checked
def kl_decomposition(
    model: Model,
    x: Float[Tensor, " N *event"],
    *,
    n_samples: Count = 1,
    generator: torch.Generator | None = None,
) -> KLDecomposition:
    r"""Split the mean KL into the information in the codes and the misfit of the prior.

    .. math:: \frac1N \sum_n \mathrm{KL}(q(z \mid x_n) \,\|\, p(z))
        = I(n; z) + \mathrm{KL}(q(z) \,\|\, p(z)), \qquad q(z) = \frac1N \sum_n q(z \mid x_n)

    Both parts are means over codes z drawn from each posterior; the aggregated posterior q(z) is
    the mixture of all N given ones. The information is about the index n among those N examples,
    so it is at most log N.

    Args:
        model: a VAE in evaluation mode.
        x: at least two examples, shape (N, *event). The time grows with N squared.
        n_samples: codes drawn for each example.
        generator: source of the noise, on the device of x.

    Returns:
        `KLDecomposition(mutual_information, marginal_kl)`, each with its standard error, which
        accounts for the draw of the codes and the examples, not for q(z) being built of them.

    Reference: Hoffman and Johnson (2016).

    >>> from companion.pretrained import load
    >>> x = torch.ones(5, 1, 28, 28)  # five times the same image: nothing to tell them apart by
    >>> kl_decomposition(load("vae_2d"), x).mutual_information.mean < 1e-5
    True
    """
    q = _posteriors(model, x)
    z = gaussian.rsample(*q, n_samples=n_samples, generator=generator)
    log_q_given_x = gaussian.log_prob(z, *q)
    log_q = _log_mixture(z.flatten(0, 1), q).reshape(log_q_given_x.shape)
    information = (log_q_given_x - log_q).mean(0)
    misfit = (log_q - model.prior.log_prob(z)).mean(0)
    return KLDecomposition(mean_with_error(information), mean_with_error(misfit))


@torch.no_grad()
@checked
def aggregated_log_prob(
    model: Model, x: Float[Tensor, " N *event"], z: Float[Tensor, "M D"]
) -> Float[Tensor, " M"]:
    r"""Log-density of the aggregated posterior of N examples at M codes, in nats.

    .. math:: \log q(z) = \log \frac1N \sum_{n=1}^{N} q(z \mid x_n)

    Args:
        model: a VAE in evaluation mode.
        x: at least two examples, shape (N, *event).
        z: codes, shape (M, D).

    Returns:
        Shape (M,).

    >>> from companion.pretrained import load
    >>> aggregated_log_prob(load("vae_2d"), torch.ones(5, 1, 28, 28), torch.zeros(3, 2)).shape
    torch.Size([3])
    """
    q = _posteriors(model, x)
    return _log_mixture(z, q)


def cluster_accuracy(clusters: Int[Tensor, " N"], labels: Int[Tensor, " N"]) -> float:
    r"""Return the share of examples whose cluster is matched with their class.

    The clusters and classes that occur are matched one to one so that the share is largest (the
    Hungarian method). With more clusters than classes, each cluster that is left over takes the
    class that most of its examples have.

    Args:
        clusters: whole numbers from 0 on, shape (N,).
        labels: classes, whole numbers from 0 on, shape (N,).

    Returns:
        A number in [0, 1].

    Reference: Xie, Girshick and Farhadi (2016), for the one-to-one matching.

    >>> cluster_accuracy(torch.tensor([1, 1, 0, 0]), torch.tensor([0, 0, 1, 0]))
    0.75
    """
    from scipy.optimize import linear_sum_assignment  # comes with scikit-learn; slow to import

    require_classes(clusters=clusters, labels=labels)
    # Numbered anew: a class without examples must not take a cluster, nor a large number memory.
    (found, rows), (classes, columns) = (t.unique(return_inverse=True) for t in (clusters, labels))
    table = np.zeros((len(found), len(classes)), dtype=np.int64)
    np.add.at(table, (rows.cpu().numpy(), columns.cpu().numpy()), 1)
    matches = linear_sum_assignment(table, maximize=True)
    left_over = np.delete(table, matches[0], axis=0)
    matched = table[matches].sum() + left_over.max(axis=1, initial=0).sum()
    return float(matched / len(labels))


def _posteriors(model: VAE, x: Tensor) -> DiagonalGaussian:
    q = model.encode(x)
    if len(x) < 2:
        raise ValueError("`x` holds one example, but at least two are needed. Pass a larger batch.")
    return q


def _log_mixture(z: Tensor, q: DiagonalGaussian) -> Tensor:
    """Log-density of the equal mixture of all rows of q, at the rows of z, in bounded memory."""
    count, dim = q.mean.shape
    rows = max(1, _MAX_NUMBERS // (count * dim))
    parts = [gaussian.pairwise_log_prob(part, *q).logsumexp(1) for part in z.split(rows)]
    return torch.cat(parts) - math.log(count)
