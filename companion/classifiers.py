"""The few classifiers that the course attacks and defends.

Each takes pixels in [0, 1] and normalizes them in its first layer, so that the size of a
perturbation is always in pixel units. Each gives logits, never probabilities.

Axes: B batch, K classes, F features, `event` the shape of one x.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from companion._require.networks import as_event_shape, require_event_shape
from companion._require.signature import Count, Number, Positive, checked
from companion.networks import IMAGE, mlp


class Normalize(nn.Module):
    r"""Shift and scale all pixels, as a part of the model.

    .. math:: x \mapsto \frac{x - m}{s}

    Args:
        mean: m, one number for all pixels.
        std: s, positive.

    >>> Normalize(0.5, 0.25)(torch.ones(1, 2))
    tensor([[2., 2.]])
    """

    mean: Tensor
    std: Tensor

    @checked
    def __init__(self, mean: Number = 0.0, std: Positive = 1.0) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(float(mean)))
        self.register_buffer("std", torch.tensor(float(std)))

    def forward(self, x: Float[Tensor, " B *event"]) -> Float[Tensor, " B *event"]:
        """Return the normalized images."""
        return (x - self.mean) / self.std


class Classifier(nn.Module):
    """A normalization, and layers of which the last is linear: from pixels to logits.

    Args:
        layers: the layers behind the normalization. The last one gives the logits.
        event_shape: shape of one x.
        mean: mean that the normalization takes off, one number for all pixels.
        std: standard deviation by which it divides.

    >>> layers = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    >>> Classifier(layers, (1, 2, 2))(torch.zeros(5, 1, 2, 2)).shape
    torch.Size([5, 3])
    """

    def __init__(
        self,
        layers: nn.Sequential,
        event_shape: Sequence[int],
        mean: float = 0.0,
        std: float = 1.0,
    ) -> None:
        super().__init__()
        self.event_shape = as_event_shape(event_shape)
        self.normalize = Normalize(mean, std)
        self.layers = layers

    def forward(self, x: Float[Tensor, " B *event"]) -> Float[Tensor, "B K"]:
        """Return logits, shape (B, K), for images with values in [0, 1]."""
        return self.layers[-1](self.features(x))

    def features(self, x: Float[Tensor, " B *event"]) -> Float[Tensor, "B F"]:
        """Return what the last layer reads, shape (B, F)."""
        require_event_shape(x, self.event_shape, self)
        return self.layers[:-1](self.normalize(x))


class MLPClassifier(Classifier):
    """A multilayer perceptron from pixels to logits.

    Args:
        event_shape: shape of one x, for example (1, 28, 28).
        n_classes: the number K of classes.
        hidden_dims: width of each hidden layer. An empty tuple makes it softmax regression.
        mean: mean that the normalization takes off.
        std: standard deviation by which it divides.

    >>> MLPClassifier((1, 28, 28), 10)(torch.zeros(5, 1, 28, 28)).shape
    torch.Size([5, 10])
    """

    @checked
    def __init__(
        self,
        event_shape: Sequence[int],
        n_classes: Count,
        hidden_dims: Sequence[int] = (256, 128),
        mean: Number = 0.0,
        std: Positive = 1.0,
    ) -> None:
        n_inputs = math.prod(as_event_shape(event_shape))
        layers = nn.Sequential(nn.Flatten(), *mlp(n_inputs, hidden_dims, n_classes))
        super().__init__(layers, event_shape, mean, std)


class ConvClassifier(Classifier):
    """Two strided convolutions and a hidden layer, for images of 28 x 28 pixels.

    Args:
        n_classes: the number K of classes.
        channels: number of filters of the first convolution; the second has twice as many.
        mean: mean that the normalization takes off.
        std: standard deviation by which it divides.

    Reference: the network of Wong, Rice and Kolter (2020) for MNIST, in their code.

    >>> ConvClassifier(10)(torch.zeros(5, 1, 28, 28)).shape
    torch.Size([5, 10])
    """

    @checked
    def __init__(
        self,
        n_classes: Count = 10,
        channels: Count = 16,
        mean: Number = 0.0,
        std: Positive = 1.0,
    ) -> None:
        layers = nn.Sequential(
            nn.Conv2d(1, channels, kernel_size=4, stride=2, padding=1),  # 28 -> 14
            nn.ReLU(),
            nn.Conv2d(channels, 2 * channels, kernel_size=4, stride=2, padding=1),  # 14 -> 7
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(2 * channels * 7 * 7, 100),
            nn.ReLU(),
            nn.Linear(100, n_classes),
        )
        super().__init__(layers, IMAGE, mean, std)


class DeepConvClassifier(Classifier):
    """Four convolutions with pooling and a hidden layer, for images of 28 x 28 pixels.

    Args:
        n_classes: the number K of classes.
        channels: number of filters of the first two convolutions; the next two have twice as many.
        mean: mean that the normalization takes off.
        std: standard deviation by which it divides.

    >>> DeepConvClassifier(10, channels=4)(torch.zeros(5, 1, 28, 28)).shape
    torch.Size([5, 10])
    """

    @checked
    def __init__(
        self,
        n_classes: Count = 10,
        channels: Count = 48,
        mean: Number = 0.0,
        std: Positive = 1.0,
    ) -> None:
        layers = nn.Sequential(
            nn.Conv2d(1, channels, kernel_size=3),  # 28 -> 26
            nn.ReLU(),
            nn.Conv2d(channels, channels, kernel_size=3),  # 26 -> 24
            nn.ReLU(),
            nn.MaxPool2d(2),  # 24 -> 12
            nn.Conv2d(channels, 2 * channels, kernel_size=3),  # 12 -> 10
            nn.ReLU(),
            nn.Conv2d(2 * channels, 2 * channels, kernel_size=3),  # 10 -> 8
            nn.ReLU(),
            nn.MaxPool2d(2),  # 8 -> 4
            nn.Flatten(),
            nn.Linear(2 * channels * 4 * 4, 256),
            nn.ReLU(),
            nn.Linear(256, n_classes),
        )
        super().__init__(layers, IMAGE, mean, std)
