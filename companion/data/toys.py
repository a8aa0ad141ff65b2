r"""Toy data in the plane, made on the spot, with moments known in closed form.

Each function draws `n` points in random order and returns them as float32 on the device of
its generator. "Noise" is an isotropic Gaussian with standard deviation `std` per axis.

Axes: N points, two coordinates.
"""

import math

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from companion._require.signature import Count, Positive, checked


@checked
def ring(
    n: Count,
    *,
    generator: Generator,
    modes: Count = 8,
    radius: Positive = 1.0,
    std: Positive = 0.05,
) -> Float[Tensor, "N 2"]:
    r"""Draw from a mixture of equal Gaussians, evenly spaced on a circle.

    .. math:: x = r (\cos\theta, \sin\theta) + \text{noise}, \qquad
        \theta = 2\pi k / K, \quad k \text{ uniform on } 0, \dots, K - 1

    Mean zero; for K > 2 the covariance is :math:`(r^2 / 2 + \text{std}^2) I`.

    Args:
        n: number of points.
        generator: source of randomness.
        modes: number K of Gaussians.
        radius: radius r of the circle.
        std: standard deviation of each Gaussian, along each axis.

    Returns:
        Points, shape (n, 2).

    Reference: Srivastava et al. (2017).

    >>> ring(100, generator=torch.Generator().manual_seed(0)).shape
    torch.Size([100, 2])
    """
    angle = _modes(n, modes, generator) * (2 * math.pi / modes)
    return radius * _on_circle(angle) + std * _noise(n, generator)


@checked
def ring_centers(*, modes: Count = 8, radius: Positive = 1.0) -> Float[Tensor, "K 2"]:
    """Return the means of the Gaussians of `ring`, counterclockwise from the right.

    Args:
        modes: number K of Gaussians.
        radius: radius of the circle.

    Returns:
        Points, shape (K, 2).

    Raises:
        TypeError: a number has the wrong type.
        ValueError: a number is not positive.

    >>> ring_centers(modes=2)[0]
    tensor([1., 0.])
    """
    return radius * _on_circle(torch.arange(modes) * (2 * math.pi / modes))


@checked
def grid(
    n: Count,
    *,
    generator: Generator,
    side: Count = 5,
    spacing: Positive = 0.5,
    std: Positive = 0.05,
) -> Float[Tensor, "N 2"]:
    r"""Draw from a mixture of equal Gaussians on a square grid around the origin.

    .. math:: x = s \left(k - \tfrac{K - 1}{2}\right) + \text{noise}, \qquad
        k \text{ uniform on } \{0, \dots, K - 1\}^2

    Mean zero, covariance :math:`(s^2 (K^2 - 1) / 12 + \text{std}^2) I`.

    Args:
        n: number of points.
        generator: source of randomness.
        side: number K of Gaussians along each axis.
        spacing: distance s of neighbors.
        std: standard deviation of each Gaussian, along each axis.

    Returns:
        Points, shape (n, 2).

    Reference: Srivastava et al. (2017).

    >>> grid(100, generator=torch.Generator().manual_seed(0)).abs().max() < 1.5
    tensor(True)
    """
    cell = torch.stack([_modes(n, side, generator), _modes(n, side, generator)], dim=-1)
    return spacing * (cell - (side - 1) / 2) + std * _noise(n, generator)


@checked
def grid_centers(*, side: Count = 5, spacing: Positive = 0.5) -> Float[Tensor, "K 2"]:
    """Return the means of the Gaussians of `grid`, row by row.

    Args:
        side: number of Gaussians along each axis; K is its square.
        spacing: distance of neighbors.

    Returns:
        Points, shape (K, 2).

    Raises:
        TypeError: a number has the wrong type.
        ValueError: a number is not positive.

    >>> grid_centers(side=2, spacing=2.0).tolist()
    [[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]]
    """
    axis = spacing * (torch.arange(side) - (side - 1) / 2)
    return torch.cartesian_prod(axis, axis)


@checked
def two_moons(n: Count, *, generator: Generator, std: Positive = 0.05) -> Float[Tensor, "N 2"]:
    r"""Draw from two half circles that reach into each other.

    .. math:: x = (\cos\theta, \sin\theta) + \text{noise} \quad\text{or}\quad
        x = (1 - \cos\theta, \tfrac12 - \sin\theta) + \text{noise}, \qquad
        \theta \text{ uniform on } [0, \pi]

    Mean (1/2, 1/4), variances :math:`3/4 + \text{std}^2` and
    :math:`9/16 - 1/\pi + \text{std}^2`, covariance :math:`1/8 - 1/\pi`.

    Args:
        n: number of points.
        generator: source of randomness.
        std: standard deviation of the noise, along each axis.

    Returns:
        Points, shape (n, 2).

    >>> two_moons(100, generator=torch.Generator().manual_seed(0)).shape
    torch.Size([100, 2])
    """
    angle = math.pi * _uniform(n, generator)
    upper = _on_circle(angle)
    lower = upper.new_tensor([1.0, 0.5]) - upper
    first = _modes(n, 2, generator)[:, None] == 0
    return torch.where(first, upper, lower) + std * _noise(n, generator)


@checked
def pinwheel(
    n: Count,
    *,
    generator: Generator,
    arms: Count = 5,
    radial_std: Positive = 0.3,
    tangential_std: Positive = 0.1,
    rate: Positive = 0.25,
) -> Float[Tensor, "N 2"]:
    r"""Draw from a pinwheel: long Gaussians around the origin, bent by a rotation.

    .. math:: x = R\!\left(2\pi k / K + \rho\, e^{a}\right) (a, b), \qquad
        a \sim N(1, \sigma_a^2), \quad b \sim N(0, \sigma_b^2)

    Mean zero; for K > 2 the covariance is :math:`\tfrac12 (1 + \sigma_a^2 + \sigma_b^2) I`.

    Args:
        n: number of points.
        generator: source of randomness.
        arms: number K of arms.
        radial_std: standard deviation along an arm.
        tangential_std: standard deviation across an arm.
        rate: strength rho of the bend, in radians.

    Returns:
        Points, shape (n, 2).

    Reference: Johnson et al. (2016).

    >>> pinwheel(100, generator=torch.Generator().manual_seed(0)).shape
    torch.Size([100, 2])
    """
    noise = _noise(n, generator)
    along, across = 1 + radial_std * noise[:, 0], tangential_std * noise[:, 1]
    angle = _modes(n, arms, generator) * (2 * math.pi / arms) + rate * along.exp()
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([along * cos - across * sin, along * sin + across * cos], dim=-1)


def _modes(n: int, modes: int, generator: Generator) -> Float[Tensor, " N"]:
    number = torch.randint(modes, (n,), generator=generator, device=generator.device)
    return number.to(torch.float32)


def _uniform(n: int, generator: Generator) -> Float[Tensor, " N"]:
    return torch.rand(n, generator=generator, device=generator.device, dtype=torch.float32)


def _noise(n: int, generator: Generator) -> Float[Tensor, "N 2"]:
    return torch.randn(n, 2, generator=generator, device=generator.device, dtype=torch.float32)


def _on_circle(angle: Float[Tensor, " N"]) -> Float[Tensor, "N 2"]:
    return torch.stack([angle.cos(), angle.sin()], dim=-1)
