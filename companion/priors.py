"""Priors p(z): modules with `log_prob`, `sample` and `kl`.

Axes: S importance samples, B batch, D latent dimensions.
"""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from companion._validate import (
    require_count,
    require_finite,
    require_generator,
    require_last_axis,
    require_tensor,
)
from companion.gaussian import LOG_2PI, DiagonalGaussian, kl_to_standard


class Prior(nn.Module, ABC):
    """What a `VAE` asks of its prior."""

    @abstractmethod
    def log_prob(self, z: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch"]:
        """Return log p(z) in nats, summed over the latent dimensions."""

    @abstractmethod
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Float[Tensor, "n D"]:
        """Draw n codes."""

    @abstractmethod
    def kl(self, q: DiagonalGaussian, z: Float[Tensor, "*S B D"]) -> Float[Tensor, " B"]:
        """Return KL(q || p), in closed form or estimated from samples z of q, shape (B,)."""


class StandardNormal(Prior):
    r"""The standard normal distribution N(0, I) in D dimensions.

    .. math:: \log p(z) = -\tfrac12 \sum_{d=1}^{D} \left[ \log 2\pi + z_d^2 \right]

    Args:
        dim: the number D of latent dimensions.

    >>> StandardNormal(2).log_prob(torch.zeros(1, 2))
    tensor([-1.8379])
    """

    origin: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        require_count(dim=dim)
        # A buffer, so that the prior moves with the model and knows its device.
        self.register_buffer("origin", torch.zeros(dim), persistent=False)

    @property
    def dim(self) -> int:
        """The number D of latent dimensions."""
        return len(self.origin)

    def log_prob(self, z: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch"]:
        """Log-density in nats, summed over the latent dimensions.

        Args:
            z: codes, shape (B, D) or (S, B, D).

        Returns:
            Shape (B,) or (S, B).

        Raises:
            TypeError: z is no tensor of floating-point numbers.
            ValueError: the last axis is not D, or a value is not finite.
        """
        require_tensor(z=z)
        require_last_axis(self.dim, z=z)
        require_finite(z=z)
        return -0.5 * (LOG_2PI + z.square()).sum(-1)

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Float[Tensor, "n D"]:
        """Draw n codes, on the device of the prior."""
        require_count(n=n)
        shape = (n, self.dim)
        origin = self.origin
        require_generator(generator, origin.device)
        return torch.randn(shape, generator=generator, device=origin.device, dtype=origin.dtype)

    def kl(self, q: DiagonalGaussian, z: Float[Tensor, "*S B D"]) -> Float[Tensor, " B"]:
        """Divergence KL(q || p) in nats, in closed form: the samples z are not needed.

        Args:
            q: mean and log-variance, shapes (B, D).
            z: samples of q. Priors without a closed form estimate the divergence from them.

        Returns:
            Shape (B,).
        """
        require_last_axis(self.dim, mean=q.mean)
        return kl_to_standard(q.mean, q.log_var)
