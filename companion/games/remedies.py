r"""What keeps a discriminator tame, or lets it see more: penalties, normalization, packs.

Axes: B batch, D coordinates, C channels, `event` the shape of one x.
"""

from collections.abc import Callable
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from companion._require.games import CRITIC, require_divisible
from companion._require.signature import Count, Module, checked

Examples = Float[Tensor, " B *event"]
Critic = Annotated[Callable[[Tensor], Tensor], CRITIC]


@checked
def gradient_penalty(
    critic: Critic,
    real: Examples,
    fake: Examples,
    *,
    generator: torch.Generator | None = None,
) -> Float[Tensor, " B"]:
    r"""Punish slopes other than one, at random points between real and generated examples.

    .. math:: (\lVert \nabla_{\hat x} f(\hat x) \rVert_2 - 1)^2, \qquad
        \hat x = u x + (1 - u) G(z), \quad u \sim U[0, 1]

    Args:
        critic: f, a function of x. No example's score may depend on another example: no batch norm.
        real: real examples, shape (B, *event).
        fake: generated examples, shape (B, *event). No gradient goes into them.
        generator: source of u, on the device of `real`.

    Returns:
        Shape (B,); the paper adds ten times this to the critic's loss.

    Reference: Gulrajani et al. (2017), equation (3).

    >>> critic = lambda x: x @ torch.tensor([3.0, 4.0])  # its slope is 5
    >>> gradient_penalty(critic, torch.ones(2, 2), torch.zeros(2, 2))
    tensor([16., 16.])
    """
    shape = (len(real), *[1] * (real.dim() - 1))
    u = torch.rand(shape, generator=generator, device=real.device, dtype=real.dtype)
    return (_slope(critic, torch.lerp(fake.detach(), real.detach(), u)).norm(dim=1) - 1).square()


@checked
def r1(critic: Critic, real: Examples) -> Float[Tensor, " B"]:
    r"""Punish every slope at real examples.

    .. math:: \tfrac12 \lVert \nabla_x f(x) \rVert_2^2

    Args:
        critic: f, a function of x that gives logits.
        real: real examples, shape (B, *event).

    Returns:
        Shape (B,); the paper adds gamma times this to the discriminator's loss.

    Reference: Mescheder, Geiger and Nowozin (2018), equation (9).

    >>> r1(lambda x: x @ torch.tensor([3.0, 4.0]), torch.ones(2, 2))
    tensor([12.5000, 12.5000])
    """
    return _slope(critic, real.detach()).square().sum(1) / 2


@checked
def spectrally_normalized(network: Module) -> nn.Module:
    r"""Divide each layer's weight matrix by its largest singular value.

    .. math:: W \mapsto W / \sigma(W)

    Linear and convolutional layers are normalized, by torch's parametrizations. One step of the
    power iteration in each forward pass in training mode follows the singular value.

    Args:
        network: what is normalized, for example a discriminator.

    Returns:
        The same network.

    Reference: Miyato et al. (2018), equation (8).

    >>> layer = nn.Linear(2, 2)
    >>> _ = spectrally_normalized(nn.Sequential(layer)).train()
    >>> for _ in range(100):
    ...     _ = layer(torch.zeros(1, 2))
    >>> round(torch.linalg.matrix_norm(layer.weight, 2).item(), 3)
    1.0
    """
    for layer in [*network.modules()]:
        if isinstance(layer, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            spectral_norm(layer)
    return network


@checked
def packed(x: Examples, n: Count) -> Float[Tensor, "..."]:
    r"""Put n examples each into one, side by side along the first axis of the event.

    .. math:: (x_1, \dots, x_B) \mapsto ((x_1, \dots, x_n), (x_{n+1}, \dots, x_{2n}), \dots)

    A discriminator that sees several examples at once can see that they are too much alike.

    Args:
        x: shape (B, *event), B a multiple of n.
        n: examples in a pack.

    Returns:
        Points (B / n, n D) for points (B, D), images (B / n, n C, H, W) for images (B, C, H, W).

    Reference: Lin et al. (2018).

    >>> packed(torch.arange(8.0).reshape(4, 2), 2)
    tensor([[0., 1., 2., 3.],
            [4., 5., 6., 7.]])
    """
    require_divisible(x, n)
    return x.reshape(len(x) // n, n * x.shape[1], *x.shape[2:])


def _slope(critic: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return the gradient of each example's score, (B, event), with a graph for the weights."""
    with torch.enable_grad():
        leaf = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(critic(leaf).sum(), leaf, create_graph=True)
    return gradient.flatten(1)
