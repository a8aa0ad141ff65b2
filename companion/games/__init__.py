"""Games: networks that learn against each other.

`play` lets players take turns on a batch: each `Player` has its own network, loss and optimizer.
`GAN` has the two losses of a generative adversarial network, built from a `Pair` such as
`NON_SATURATING`. Discriminators give logits, never probabilities; losses give one number for each
example, shape (B,), and each is minimized.
"""

from companion.games.gan import GAN
from companion.games.losses import (
    HINGE,
    LEAST_SQUARES,
    MINIMAX,
    NON_SATURATING,
    WASSERSTEIN,
    Pair,
    hinge_discriminator,
    least_squares_discriminator,
    least_squares_generator,
    logistic_discriminator,
    minimax_generator,
    non_saturating_generator,
    wasserstein_critic,
    wasserstein_generator,
)
from companion.games.networks import (
    ConvDiscriminator,
    ConvGenerator,
    MLPDiscriminator,
    MLPGenerator,
    ParallelMLP,
)
from companion.games.play import Player, play
from companion.games.remedies import gradient_penalty, packed, r1, spectrally_normalized

__all__ = [
    "GAN",
    "HINGE",
    "LEAST_SQUARES",
    "MINIMAX",
    "NON_SATURATING",
    "WASSERSTEIN",
    "ConvDiscriminator",
    "ConvGenerator",
    "MLPDiscriminator",
    "MLPGenerator",
    "Pair",
    "ParallelMLP",
    "Player",
    "gradient_penalty",
    "hinge_discriminator",
    "least_squares_discriminator",
    "least_squares_generator",
    "logistic_discriminator",
    "minimax_generator",
    "non_saturating_generator",
    "packed",
    "play",
    "r1",
    "spectrally_normalized",
    "wasserstein_critic",
    "wasserstein_generator",
]
