"""The few networks that the course needs.

Encoders map x (B, *event) to a `DiagonalGaussian` over codes. Decoders map codes (B, D), or
(S, B, D), to an output (B, *event), or (S, B, *event), that a likelihood reads.

Axes: S importance samples, B batch, D latent dimensions, `event` the shape of one x.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from companion._require.networks import (
    as_event_shape,
    require_activation,
    require_codes,
    require_event_shape,
    require_sizes,
)
from companion._require.signature import Count, checked
from companion.gaussian import DiagonalGaussian

IMAGE = (1, 28, 28)


class MLPEncoder(nn.Module):
    """A multilayer perceptron that gives a mean and a log-variance.

    The log-variance is the output of a linear layer: any real number, never squashed.

    Args:
        event_shape: shape of one x, for example (1, 28, 28).
        latent_dim: the number D of latent dimensions.
        hidden_dims: width of each hidden layer.
        activation: the class of the nonlinearity after each hidden layer.

    >>> MLPEncoder((1, 28, 28), latent_dim=2)(torch.zeros(5, 1, 28, 28)).log_var.shape
    torch.Size([5, 2])
    """

    @checked
    def __init__(
        self,
        event_shape: Sequence[int],
        latent_dim: Count,
        hidden_dims: Sequence[int] = (400,),
        activation: type[nn.Module] = nn.ReLU,
    ) -> None:
        super().__init__()
        self.event_shape = as_event_shape(event_shape)
        n_inputs = math.prod(self.event_shape)
        self.layers = mlp(n_inputs, hidden_dims, 2 * latent_dim, activation)

    def forward(self, x: Float[Tensor, " B *event"]) -> DiagonalGaussian:
        """Return q(z | x), shapes (B, D)."""
        return _split(self.layers(_flatten(x, self.event_shape, self)))


class MLPDecoder(nn.Module):
    """A multilayer perceptron from codes to the parameters of a likelihood.

    Args:
        latent_dim: the number D of latent dimensions.
        event_shape: shape of one x, for example (1, 28, 28).
        hidden_dims: width of each hidden layer. An empty tuple makes the decoder linear.
        activation: the class of the nonlinearity after each hidden layer.

    >>> MLPDecoder(2, (1, 28, 28))(torch.zeros(7, 5, 2)).shape
    torch.Size([7, 5, 1, 28, 28])
    """

    @checked
    def __init__(
        self,
        latent_dim: Count,
        event_shape: Sequence[int],
        hidden_dims: Sequence[int] = (400,),
        activation: type[nn.Module] = nn.ReLU,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.event_shape = as_event_shape(event_shape)
        n_outputs = math.prod(self.event_shape)
        self.layers = mlp(latent_dim, hidden_dims, n_outputs, activation)

    def forward(self, z: Float[Tensor, "*S B D"]) -> Float[Tensor, "..."]:
        """Return the output, shape (B, *event) or (S, B, *event)."""
        require_codes(z, self.latent_dim, self)
        return self.layers(z).unflatten(-1, self.event_shape)


class LinearEncoder(nn.Module):
    """A mean that is linear in x, and one learned log-variance for all x.

    This family holds the exact posterior of a linear-Gaussian model whose weight has orthogonal
    columns.

    Args:
        event_shape: shape of one x.
        latent_dim: the number D of latent dimensions.

    Reference: Lucas et al. (2019), section 4.

    >>> LinearEncoder((4,), 2)(torch.zeros(3, 4)).log_var.shape
    torch.Size([3, 2])
    """

    @checked
    def __init__(self, event_shape: Sequence[int], latent_dim: Count) -> None:
        super().__init__()
        self.event_shape = as_event_shape(event_shape)
        self.mean = nn.Linear(math.prod(self.event_shape), latent_dim)
        self.log_var = nn.Parameter(torch.zeros(latent_dim))

    def forward(self, x: Float[Tensor, " B *event"]) -> DiagonalGaussian:
        """Return q(z | x), shapes (B, D)."""
        mean = self.mean(_flatten(x, self.event_shape, self))
        return DiagonalGaussian(mean, self.log_var.expand_as(mean))


class ConvEncoder(nn.Module):
    """Two strided convolutions and a hidden layer, for images of 28 x 28 pixels.

    Args:
        latent_dim: the number D of latent dimensions.
        channels: number of filters of the first convolution; the second has twice as many.

    >>> ConvEncoder(2, channels=4)(torch.zeros(5, 1, 28, 28)).mean.shape
    torch.Size([5, 2])
    """

    @checked
    def __init__(self, latent_dim: Count, channels: Count = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, channels, kernel_size=4, stride=2, padding=1),  # 28 -> 14
            nn.ReLU(),
            nn.Conv2d(channels, 2 * channels, kernel_size=4, stride=2, padding=1),  # 14 -> 7
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(2 * channels * 7 * 7, 256),
            nn.ReLU(),
            nn.Linear(256, 2 * latent_dim),
        )

    def forward(self, x: Float[Tensor, "B 1 28 28"]) -> DiagonalGaussian:
        """Return q(z | x), shapes (B, D)."""
        require_event_shape(x, IMAGE, self)
        return _split(self.layers(x))


class ConvDecoder(nn.Module):
    """A hidden layer and two transposed convolutions, for images of 28 x 28 pixels.

    Args:
        latent_dim: the number D of latent dimensions.
        channels: number of filters before the last layer; the layer before has twice as many.

    >>> ConvDecoder(2, channels=4)(torch.zeros(7, 5, 2)).shape
    torch.Size([7, 5, 1, 28, 28])
    """

    @checked
    def __init__(self, latent_dim: Count, channels: Count = 32) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, 256),
            nn.ReLU(),
            nn.Linear(256, 2 * channels * 7 * 7),
            nn.ReLU(),
            nn.Unflatten(1, (2 * channels, 7, 7)),
            nn.ConvTranspose2d(2 * channels, channels, kernel_size=4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(channels, 1, kernel_size=4, stride=2, padding=1),
        )

    def forward(self, z: Float[Tensor, "*S B D"]) -> Float[Tensor, "*S B 1 28 28"]:
        """Return the output, shape (B, 1, 28, 28) or (S, B, 1, 28, 28)."""
        require_codes(z, self.latent_dim, self)
        return self.layers(z.reshape(-1, self.latent_dim)).reshape(*z.shape[:-1], *IMAGE)


def mlp(
    n_inputs: int,
    hidden_dims: Sequence[int],
    n_outputs: int,
    activation: type[nn.Module] = nn.ReLU,
) -> nn.Sequential:
    """Return linear layers with a nonlinearity between each two: a multilayer perceptron.

    Args:
        n_inputs: size of the last axis of the input.
        hidden_dims: width of each hidden layer. An empty tuple makes one linear layer.
        n_outputs: size of the last axis of the output.
        activation: the class of the nonlinearity.

    >>> mlp(4, (8,), 2)(torch.zeros(3, 4)).shape
    torch.Size([3, 2])
    """
    require_sizes(hidden_dims=hidden_dims)
    require_activation(activation)
    sizes = (n_inputs, *hidden_dims, n_outputs)
    linears = [nn.Linear(a, b) for a, b in pairwise(sizes)]
    between = [layer for linear in linears[:-1] for layer in (linear, activation())]
    return nn.Sequential(*between, linears[-1])


def _split(output: Tensor) -> DiagonalGaussian:
    mean, log_var = output.chunk(2, dim=-1)
    return DiagonalGaussian(mean, log_var)


def _flatten(x: Tensor, event_shape: tuple[int, ...], network: nn.Module) -> Tensor:
    require_event_shape(x, event_shape, network)
    return x.flatten(start_dim=1)
