r"""The variational autoencoder and its bounds.

Sign conventions: the evidence lower bound (ELBO) is a lower bound on log p(x), larger is
better, in nats, one number for each example. A training loss is its negative.

Axes: S importance samples (leading), B batch, D latent dimensions, `event` the shape of one x.
"""

import math
from typing import Annotated, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from companion import gaussian
from companion._require.arguments import require_tensor
from companion._require.models import require_gaussian, require_vae
from companion._require.signature import EXAMPLES, MODULE, Count, Module, Rule, checked, instance
from companion.gaussian import DiagonalGaussian
from companion.likelihoods import Likelihood
from companion.precision import at_least_float32
from companion.priors import Prior

# Rows (samples x examples) that the importance-weighted bound decodes at a time. A row of
# MNIST costs about 12 kB with the course's networks, so this stays near 100 MB.
MAX_ROWS = 8_000


_ORDER = "The order is VAE(encoder, decoder, likelihood, prior)."


Batch = Annotated[Float[Tensor, " B *event"], EXAMPLES]


class Elbo(NamedTuple):
    """The two terms of the evidence lower bound, in nats, one number for each example."""

    log_likelihood: Float[Tensor, " B"]
    kl: Float[Tensor, " B"]

    def value(self, beta: float = 1.0) -> Float[Tensor, " B"]:
        """Return log_likelihood - beta * kl, in nats.

        For beta >= 1 its expectation is a lower bound on log p(x), tightest at 1. For beta < 1 it
        may exceed log p(x).
        """
        return self.log_likelihood - beta * self.kl


class WarmElbo(NamedTuple):
    """The two terms of the bound in nats, and the weight beta that a warm-up gives the KL."""

    log_likelihood: Float[Tensor, " B"]
    kl: Float[Tensor, " B"]
    beta: Float[Tensor, " B"]

    def value(self) -> Float[Tensor, " B"]:
        """Return log_likelihood - beta * kl, in nats."""
        return self.log_likelihood - self.beta * self.kl


def negative_elbo(elbo: Elbo | WarmElbo) -> Float[Tensor, " B"]:
    """Return the training loss -ELBO of each example, for `fit(..., loss=negative_elbo)`.

    >>> negative_elbo(Elbo(torch.tensor([-5.0]), torch.tensor([2.0])))
    tensor([7.])
    """
    if not hasattr(elbo, "value"):
        raise TypeError(
            f"`elbo` must be an Elbo, but it is a {type(elbo).__name__}. "
            f"Pass what a VAE returns, or Elbo(log_likelihood, kl)."
        )
    return -elbo.value()


class VAE(nn.Module):
    r"""A variational autoencoder: encoder q(z | x), decoder p(x | z) and prior p(z).

    Args:
        encoder: maps x (B, *event) to a `DiagonalGaussian` over codes, shapes (B, D).
        decoder: maps codes (..., D) to the likelihood's parameters (..., *event).
        likelihood: a module of `companion.likelihoods`.
        prior: a module of `companion.priors`.

    Reference: Kingma and Welling (2014), section 2.

    >>> from companion.likelihoods import Bernoulli
    >>> from companion.networks import MLPDecoder, MLPEncoder
    >>> from companion.priors import StandardNormal
    >>> vae = VAE(MLPEncoder((4,), 2), MLPDecoder(2, (4,)), Bernoulli(), StandardNormal(2))
    >>> vae(torch.ones(3, 4)).kl.shape
    torch.Size([3])
    """

    @checked
    def __init__(
        self,
        encoder: Module,
        decoder: Module,
        likelihood: Annotated[Likelihood, MODULE, instance(Likelihood, _ORDER)],
        prior: Annotated[Prior, MODULE, instance(Prior, _ORDER)],
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood = likelihood
        self.prior = prior

    @checked
    def forward(
        self,
        x: Batch,
        *,
        n_samples: Count = 1,
        generator: torch.Generator | None = None,
    ) -> Elbo:
        r"""Estimate the two terms of the evidence lower bound.

        .. math:: \mathrm{ELBO}(x) = E_{q(z \mid x)}[\log p(x \mid z)]
            - \mathrm{KL}(q(z \mid x) \,\|\, p(z))

        Args:
            x: a batch, shape (B, *event).
            n_samples: number S of codes drawn for each example.
            generator: source of the noise, on the device of x.

        Returns:
            `Elbo(log_likelihood, kl)`, each of shape (B,), differentiable.
        """
        q = self.encode(x)
        z = gaussian.rsample(*q, n_samples=n_samples, generator=generator)
        log_likelihood = self.likelihood.log_prob(x, self.decode(z)).mean(0)
        return Elbo(log_likelihood, self.prior.kl(q, z))

    @checked
    def encode(self, x: Batch) -> DiagonalGaussian:
        """Return q(z | x): mean and log-variance, shapes (B, D), in float32 or better."""
        q = self.encoder(x)
        require_gaussian(**{"encoder(x)": q})
        mean, log_var = q
        return DiagonalGaussian(at_least_float32(mean), at_least_float32(log_var))

    @checked
    def decode(self, z: Float[Tensor, "*S B D"]) -> Float[Tensor, "..."]:
        """Return the likelihood's parameters for codes z, in float32 or better."""
        output = self.decoder(z)
        require_tensor(**{"decoder(z)": output})
        return at_least_float32(output)

    def reconstruct(self, x: Batch) -> Float[Tensor, " B *event"]:
        """Return the expected x at the mean code of each example, without noise."""
        return self.likelihood.mean(self.decode(self.encode(x).mean))

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Float[Tensor, "n ..."]:
        """Draw n codes from the prior and return the expected x of each."""
        return self.likelihood.mean(self.decode(self.prior.sample(n, generator=generator)))


Model = Annotated[VAE, Rule("a VAE", require_vae)]


@torch.no_grad()
@checked
def importance_weighted_bound(
    model: Model,
    x: Batch,
    n_samples: Count,
    *,
    max_rows: Count = MAX_ROWS,
    generator: torch.Generator | None = None,
) -> Float[Tensor, " B"]:
    r"""Estimate the importance-weighted bound on log p(x), in bounded memory, without gradients.

    .. math:: \hat L_S(x) = \log \frac1S \sum_{s=1}^{S} \frac{p(x, z_s)}{q(z_s \mid x)},
        \qquad z_s \sim q(z \mid x)

    Its expectation grows with S and tends to log p(x). For S = 1 it is a one-sample ELBO.

    Args:
        model: a VAE. Put it in evaluation mode first if it holds dropout or batch norm.
        x: a batch, shape (B, *event).
        n_samples: the number S of importance samples.
        max_rows: how many pairs of a sample and an example are decoded at once. Memory grows
            with it; the result does not depend on it, but for the noise that is drawn.
        generator: source of the noise, on the device of x.

    Returns:
        One bound for each example, in nats, shape (B,).

    Reference: Burda, Grosse and Salakhutdinov (2016), equation (8).

    >>> from companion.pretrained import load
    >>> importance_weighted_bound(load("vae_2d"), torch.ones(3, 1, 28, 28), n_samples=5).shape
    torch.Size([3])
    """
    bounds = [
        _bound_of_chunk(model, chunk, n_samples, max_rows, generator) for chunk in x.split(max_rows)
    ]
    return torch.cat(bounds)


@checked
def log_importance_weights(
    model: Model,
    x: Batch,
    n_samples: Count,
    *,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "S B"]:
    """Return log p(x, z) - log q(z | x) at S samples z of q, in nats, shape (S, B).

    Args:
        model: a VAE.
        x: a batch, shape (B, *event).
        n_samples: the number S of importance samples.
        generator: source of the noise, on the device of x.

    Reference: Burda, Grosse and Salakhutdinov (2016), section 3.

    >>> from companion.pretrained import load
    >>> log_importance_weights(load("vae_2d"), torch.ones(3, 1, 28, 28), n_samples=5).shape
    torch.Size([5, 3])
    """
    return _log_weights(model, x, model.encode(x), n_samples, generator)


def _log_weights(
    model: VAE,
    x: Tensor,
    q: DiagonalGaussian,
    n_samples: int,
    generator: torch.Generator | None,
) -> Tensor:
    z = gaussian.rsample(*q, n_samples=n_samples, generator=generator)
    log_joint = model.likelihood.log_prob(x, model.decode(z)) + model.prior.log_prob(z)
    return log_joint - gaussian.log_prob(z, *q)


def _bound_of_chunk(
    model: VAE, x: Tensor, n_samples: int, max_rows: int, generator: torch.Generator | None
) -> Tensor:
    # A running logsumexp: at no time are all S x B weights, let alone images, in memory.
    total = x.new_full((len(x),), -math.inf)  # the sum takes the dtype of the weights
    step = max(1, max_rows // len(x))
    q = model.encode(x)
    for start in range(0, n_samples, step):
        size = min(step, n_samples - start)
        log_weights = _log_weights(model, x, q, size, generator)
        total = torch.logaddexp(total, log_weights.logsumexp(0))
    return total - math.log(n_samples)
