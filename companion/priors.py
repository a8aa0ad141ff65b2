"""Priors p(z): modules with `log_prob`, `sample` and `kl`.

The mixture of Gaussians has a file of its own, `companion.mixture`.

Axes: S importance samples, B batch, D latent dimensions, K components, `event` the shape of one x.
"""

import math
from abc import ABC, abstractmethod
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from companion import gaussian
from companion._require.models import require_gaussian
from companion._require.signature import Count, Module, checked, within
from companion.gaussian import LOG_2PI, DiagonalGaussian, kl_to_standard
from companion.precision import at_least_float32


class Prior(nn.Module, ABC):
    """What a `VAE` asks of its prior."""

    @abstractmethod
    def log_prob(self, z: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch"]:
        """Return log p(z) in nats, summed over the latent dimensions."""

    @abstractmethod
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Float[Tensor, "n D"]:
        """Draw n codes."""

    def kl(self, q: DiagonalGaussian, z: Float[Tensor, "*S B D"]) -> Float[Tensor, " B"]:
        r"""Estimate KL(q || p) in nats from samples of q, without bias.

        .. math:: \frac1S \sum_{s=1}^{S} \left[ \log q(z_s) - \log p(z_s) \right]

        A single estimate may be negative. A prior with a closed form overrides this.

        Args:
            q: mean and log-variance, shapes (B, D).
            z: samples of q, shape (S, B, D), or (B, D) for one sample.

        Returns:
            Shape (B,).
        """
        require_gaussian(q=q)
        mean, log_var = q
        difference = gaussian.log_prob(z, mean, log_var) - self.log_prob(z)
        return difference if z.dim() == mean.dim() else difference.mean(0)


class StandardNormal(Prior):
    r"""The standard normal distribution N(0, I) in D dimensions.

    .. math:: \log p(z) = -\tfrac12 \sum_{d=1}^{D} \left[ \log 2\pi + z_d^2 \right]

    Args:
        dim: the number D of latent dimensions.

    >>> StandardNormal(2).log_prob(torch.zeros(1, 2))
    tensor([-1.8379])
    """

    origin: Tensor

    @checked
    def __init__(self, dim: Count) -> None:
        super().__init__()
        # A buffer, so that the prior moves with the model and knows its device.
        self.register_buffer("origin", torch.zeros(dim), persistent=False)

    @property
    def dim(self) -> int:
        """The number D of latent dimensions."""
        return len(self.origin)

    @checked
    def log_prob(self, z: Float[Tensor, "*batch {self.dim}"]) -> Float[Tensor, "*batch"]:
        """Log-density in nats, summed over the latent dimensions.

        Args:
            z: codes, shape (B, D) or (S, B, D).

        Returns:
            Shape (B,) or (S, B).
        """
        return -0.5 * (LOG_2PI + z.square()).sum(-1)

    @checked
    def sample(self, n: Count, *, generator: torch.Generator | None = None) -> Float[Tensor, "n D"]:
        """Draw n codes, on the device of the prior."""
        shape = (n, self.dim)
        origin = self.origin
        return torch.randn(shape, generator=generator, device=origin.device, dtype=origin.dtype)

    def kl(self, q: DiagonalGaussian, z: Float[Tensor, "*S B D"]) -> Float[Tensor, " B"]:
        """Divergence KL(q || p) in nats, in closed form: the samples z are not needed.

        Args:
            q: mean and log-variance, shapes (B, D).
            z: samples of q. Priors without a closed form estimate the divergence from them.

        Returns:
            Shape (B,).
        """
        require_gaussian(self.dim, q=q)
        return kl_to_standard(*q)


class VampPrior(Prior):
    r"""An equal mixture of the posteriors of K learned inputs, the pseudo-inputs u_k.

    .. math:: p(z) = \frac1K \sum_{k=1}^{K} q(z \mid u_k)

    The encoder is the VAE's own, and is trained through the prior too. It is held but not
    registered: its weights appear once in the model's `state_dict`. The prior follows when the
    VAE is moved, copied or loads weights, because it holds the same module. It does not follow
    when the VAE gets another encoder (`vae.encoder = ...`): then make a new prior, too. Move and
    save the whole VAE, not the prior alone, which would leave the encoder behind.

    Args:
        encoder: the encoder of the same VAE, not a copy of it.
        pseudo_inputs: where they start, for example training images, values in [0, 1],
            shape (K, *event). Their logits are learned, so they stay within (0, 1).

    Reference: Tomczak and Welling (2018).

    >>> from companion.networks import MLPEncoder
    >>> VampPrior(MLPEncoder((4,), 2), torch.rand(5, 4)).log_prob(torch.zeros(3, 2)).shape
    torch.Size([3])
    """

    # A start at exactly 0 or 1 would have an infinite logit, and no gradient.
    MARGIN = 0.02

    @checked
    def __init__(
        self,
        encoder: Module,
        pseudo_inputs: Annotated[
            Float[Tensor, " K *event"], within(0.0, 1.0, "Start from images in [0, 1].")
        ],
    ) -> None:
        super().__init__()
        if pseudo_inputs.dim() < 2 or len(pseudo_inputs) == 0:
            raise ValueError(
                f"`pseudo_inputs` has shape {tuple(pseudo_inputs.shape)}, but (K, *event) with "
                f"K >= 1 is expected. Start from a few training examples: images[:100]."
            )
        # A tuple hides the module from nn.Module, which would register it a second time.
        self._encoder = (encoder,)
        inside = pseudo_inputs.detach().clamp(self.MARGIN, 1 - self.MARGIN)
        self.pseudo_input_logits = nn.Parameter(inside.logit())

    @property
    def pseudo_inputs(self) -> Float[Tensor, " K *event"]:
        """The pseudo-inputs, values in (0, 1), shape (K, *event)."""
        return self.pseudo_input_logits.sigmoid()

    def components(self) -> DiagonalGaussian:
        """Return the posteriors of the pseudo-inputs: mean and log-variance, shapes (K, D)."""
        q = self._encoder[0](self.pseudo_inputs)
        require_gaussian(**{"encoder(pseudo_inputs)": q})
        mean, log_var = q
        return DiagonalGaussian(at_least_float32(mean), at_least_float32(log_var))

    @checked
    def log_prob(self, z: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch"]:
        """Log-density in nats, summed over the latent dimensions.

        Args:
            z: codes, shape (B, D) or (S, B, D).

        Returns:
            Shape (B,) or (S, B).
        """
        components = self.components()
        log_densities = gaussian.pairwise_log_prob(z, *components)
        return log_densities.logsumexp(-1) - math.log(len(components.mean))

    @torch.no_grad()
    @checked
    def sample(self, n: Count, *, generator: torch.Generator | None = None) -> Float[Tensor, "n D"]:
        """Draw n codes: for each a pseudo-input, then a code of its posterior. No gradients."""
        device = self.pseudo_input_logits.device
        mean, log_var = self.components()
        chosen = torch.randint(len(mean), (n,), generator=generator, device=device)
        return gaussian.rsample(mean[chosen], log_var[chosen], generator=generator)
