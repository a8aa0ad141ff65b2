"""The few generators and discriminators of the course.

Generators map codes (B, D) to images in [0, 1]. Discriminators map images to one logit each.

Axes: S copies, B batch, D latent dimensions or inputs, E outputs, `event` the shape of one x.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from companion._require.networks import (
    as_event_shape,
    require_codes,
    require_event_shape,
    require_sizes,
)
from companion._require.signature import Count, Number, checked
from companion.networks import IMAGE, mlp


class MLPGenerator(nn.Module):
    """A multilayer perceptron from codes to images in [0, 1], with batch norm in between.

    Args:
        latent_dim: the number D of latent dimensions.
        event_shape: shape of one x, for example (1, 28, 28).
        hidden_dims: width of each hidden layer.

    >>> MLPGenerator(32, (1, 28, 28))(torch.zeros(5, 32)).shape
    torch.Size([5, 1, 28, 28])
    """

    @checked
    def __init__(
        self, latent_dim: Count, event_shape: Sequence[int], hidden_dims: Sequence[int] = (128, 256)
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.event_shape = as_event_shape(event_shape)
        require_sizes(hidden_dims=hidden_dims)
        hidden = [
            layer
            for a, b in pairwise((latent_dim, *hidden_dims))
            for layer in (nn.Linear(a, b), nn.BatchNorm1d(b), nn.ReLU())
        ]
        last = nn.Linear([latent_dim, *hidden_dims][-1], math.prod(self.event_shape))
        self.layers = nn.Sequential(*hidden, last, nn.Sigmoid())

    def forward(self, z: Float[Tensor, "B D"]) -> Float[Tensor, " B *event"]:
        """Return images, shape (B, *event)."""
        require_codes(z, self.latent_dim, self)
        return self.layers(z).unflatten(-1, self.event_shape)


class MLPDiscriminator(nn.Module):
    """A multilayer perceptron from x to one logit, with leaky ReLUs and dropout.

    Args:
        event_shape: shape of one x, for example (1, 28, 28).
        hidden_dims: width of each hidden layer.
        dropout: the share of hidden units that are set to zero in training mode.

    >>> MLPDiscriminator((1, 28, 28))(torch.zeros(5, 1, 28, 28)).shape
    torch.Size([5])
    """

    @checked
    def __init__(
        self,
        event_shape: Sequence[int],
        hidden_dims: Sequence[int] = (256, 128),
        dropout: Number = 0.3,
    ) -> None:
        super().__init__()
        self.event_shape = as_event_shape(event_shape)
        require_sizes(hidden_dims=hidden_dims)
        hidden = [
            layer
            for a, b in pairwise((math.prod(self.event_shape), *hidden_dims))
            for layer in (nn.Linear(a, b), nn.LeakyReLU(0.2), nn.Dropout(dropout))
        ]
        last = nn.Linear([math.prod(self.event_shape), *hidden_dims][-1], 1)
        self.layers = nn.Sequential(*hidden, last)

    def forward(self, x: Float[Tensor, " B *event"]) -> Float[Tensor, " B"]:
        """Return logits, shape (B,)."""
        require_event_shape(x, self.event_shape, self)
        return self.layers(x.flatten(1))[:, 0]


class ConvGenerator(nn.Module):
    """Transposed convolutions with batch norm, from codes to images of 28 x 28 pixels.

    Args:
        latent_dim: the number D of latent dimensions.
        channels: number of filters before the last layer; the layer before has twice as many.

    Reference: Radford, Metz and Chintala (2016), made smaller.

    >>> ConvGenerator(32, channels=4)(torch.zeros(5, 32)).shape
    torch.Size([5, 1, 28, 28])
    """

    @checked
    def __init__(self, latent_dim: Count, channels: Count = 32) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        wide = 2 * channels
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, wide * 7 * 7, bias=False),
            nn.Unflatten(1, (wide, 7, 7)),
            nn.BatchNorm2d(wide),
            nn.ReLU(),
            nn.ConvTranspose2d(wide, channels, 4, stride=2, padding=1, bias=False),  # 7 -> 14
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.ConvTranspose2d(channels, 1, 4, stride=2, padding=1),  # 14 -> 28
            nn.Sigmoid(),
        )

    def forward(self, z: Float[Tensor, "B D"]) -> Float[Tensor, "B 1 28 28"]:
        """Return images, shape (B, 1, 28, 28)."""
        require_codes(z, self.latent_dim, self)
        return self.layers(z)


class ConvDiscriminator(nn.Module):
    """Two strided convolutions with leaky ReLUs, from images of 28 x 28 pixels to one logit.

    Args:
        channels: number of filters of the first convolution; the second has twice as many.

    Reference: Radford, Metz and Chintala (2016), made smaller, without batch norm.

    >>> ConvDiscriminator(channels=4)(torch.zeros(5, 1, 28, 28)).shape
    torch.Size([5])
    """

    @checked
    def __init__(self, channels: Count = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, channels, 4, stride=2, padding=1),  # 28 -> 14
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels, 2 * channels, 4, stride=2, padding=1),  # 14 -> 7
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(2 * channels * 7 * 7, 1),
        )

    def forward(self, x: Float[Tensor, "B 1 28 28"]) -> Float[Tensor, " B"]:
        """Return logits, shape (B,)."""
        require_event_shape(x, IMAGE, self)
        return self.layers(x)[:, 0]


class ParallelMLP(nn.Module):
    """Several multilayer perceptrons of one shape that share nothing, computed at once.

    Adam moves each weight by its own gradient. So several seeds of an experiment, with the sum of
    their losses, train as they would alone, in a fraction of the time.

    Args:
        copies: the number S of networks.
        n_inputs: size of the last axis of the input.
        hidden_dims: width of each hidden layer.
        n_outputs: size of the last axis of the output.
        activation: the class of the nonlinearity.

    >>> ParallelMLP(5, 2, (32, 32), 1)(torch.zeros(5, 64, 2)).shape
    torch.Size([5, 64, 1])
    """

    @checked
    def __init__(
        self,
        copies: Count,
        n_inputs: Count,
        hidden_dims: Sequence[int],
        n_outputs: Count,
        activation: type[nn.Module] = nn.ReLU,
    ) -> None:
        super().__init__()
        alone = [mlp(n_inputs, hidden_dims, n_outputs, activation) for _ in range(copies)]
        layers = [[layer for layer in net if isinstance(layer, nn.Linear)] for net in alone]
        self.weights = nn.ParameterList(
            torch.stack([layer.weight.detach().T for layer in each])
            for each in zip(*layers, strict=True)
        )
        self.biases = nn.ParameterList(
            torch.stack([layer.bias.detach()[None] for layer in each])
            for each in zip(*layers, strict=True)
        )
        self.activation = activation()

    def forward(self, x: Float[Tensor, "S B D"]) -> Float[Tensor, "S B E"]:
        """Return the outputs, each network's for its own batch."""
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, self.activation(x) if number else x, weight)
        return x
