"""The two losses of a generative adversarial network, for `play`.

Axes: B batch, D latent dimensions, `event` the shape of one x.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from companion._require import games as require
from companion._require.arguments import require_count, require_module
from companion.games.losses import NON_SATURATING, Pair
from companion.games.remedies import packed

Penalty = Callable[..., Tensor]


@dataclass(frozen=True)
class GAN:
    r"""A generator and a discriminator, and what each of them minimizes.

    .. math:: z \sim N(0, I), \quad L_D = \ell_D(f(x), f(G(z))), \quad L_G = \ell_G(f(G(z)))

    Each loss draws its own noise. Who moves is for the players to say::

        gan = GAN(generator_network, discriminator, latent_dim=2)
        players = {
            "discriminator": Player(discriminator, gan.discriminator_loss),
            "generator": Player(generator_network, gan.generator_loss),
        }
        play(players, x)

    Args:
        generator_network: from codes (B, D) to examples (B, *event).
        discriminator: from examples to logits, (B,) or (B, 1); with packing from packs.
        latent_dim: the number D of latent dimensions.
        losses: the pair of losses.
        packing: examples that the discriminator sees at once, see `packed`. The size of every batch
            must be a multiple of it.
        penalty: called as `penalty(critic, real, fake, generator=g)`; its result, shape (B,), is
            added to the discriminator's loss.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: a count is below 1.

    Reference: Goodfellow et al. (2014).

    >>> gan = GAN(nn.Linear(2, 3), nn.Linear(3, 1), latent_dim=2)
    >>> gan.sample(5).shape, gan.generator_loss(torch.zeros(4, 3)).shape
    (torch.Size([5, 3]), torch.Size([4]))
    """

    generator_network: nn.Module
    discriminator: nn.Module
    latent_dim: int
    losses: Pair = NON_SATURATING
    packing: int = 1
    penalty: Penalty | None = None

    def __post_init__(self) -> None:
        require_module(generator_network=self.generator_network, discriminator=self.discriminator)
        require.check_pair(self.losses)
        require_count(latent_dim=self.latent_dim, packing=self.packing)

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Return n generated examples, shape (n, *event), with the gradient of the weights."""
        weight = next(self.generator_network.parameters())
        noise = torch.randn(
            n, self.latent_dim, generator=generator, device=weight.device, dtype=weight.dtype
        )
        return self.generator_network(noise)

    def logits(self, x: Tensor) -> Tensor:
        """Return the discriminator's logits, shape (B,), for packs or examples."""
        return require.require_logits(self.discriminator(x), self.discriminator)

    def discriminator_loss(
        self, x: Tensor, *labels: Any, generator: torch.Generator | None = None
    ) -> Tensor:
        """Return the discriminator's loss, shape (B,); the samples carry no graph."""
        with torch.no_grad():
            fake = self.sample(len(x), generator=generator)
        real, fake = packed(x, self.packing), packed(fake, self.packing)
        losses = self.losses.discriminator(self.logits(real), self.logits(fake))
        if self.penalty is None:
            return losses
        return losses + self.penalty(self.logits, real, fake, generator=generator)

    def generator_loss(
        self, x: Tensor, *labels: Any, generator: torch.Generator | None = None
    ) -> Tensor:
        """Return the generator's loss, shape (B,), on as many new samples as x has examples."""
        fake = packed(self.sample(len(x), generator=generator), self.packing)
        return self.losses.generator(self.logits(fake))
