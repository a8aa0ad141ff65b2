r"""The ball of allowed images: projection, random start, and the steepest direction.

An attack may return any image within `eps` of x, in the norm of the threat model, with pixels in
[0, 1].

Axes: B batch, `event` the shape of one x, n = its number of pixels.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from companion._require.attacks import Images, Norm, Radius, require_pixel_units
from companion._require.signature import checked


@checked
def project(
    x_adv: Float[Tensor, " B *event"],
    x: Images,
    *,
    eps: Radius,
    norm: Norm = "linf",
) -> Float[Tensor, " B *event"]:
    r"""Bring images back into the ball around x, and their pixels into [0, 1].

    .. math:: \text{linf: } \min(\max(x', x - \epsilon), x + \epsilon), \qquad
        \text{l2: } x + \min\!\left(1, \frac{\epsilon}{\|x' - x\|_2}\right) (x' - x)

    and then each pixel to the nearest one in [0, 1]. In linf the two steps commute, and together
    they give the nearest allowed image. In l2 the result is allowed, because the second step only
    shortens the way to x, but it need not be the nearest.

    Args:
        x_adv: images to bring back, shape (B, *event), any values.
        x: the images that they come from, same shape, values in [0, 1].
        eps: radius of the ball, in units of pixels in [0, 1].
        norm: "linf", the largest change of a pixel, or "l2", the Euclidean length.

    Returns:
        Allowed images, shape (B, *event).

    Reference: Madry et al. (2018), section 2.1.

    >>> project(torch.tensor([[0.9, 0.5]]), torch.tensor([[0.4, 0.45]]), eps=0.1)
    tensor([[0.5000, 0.5000]])
    """
    return ball_around(x, eps, norm).project(x_adv.clone())


@checked
def random_start(
    x: Images,
    *,
    eps: Radius,
    norm: Norm = "linf",
    generator: torch.Generator | None = None,
) -> Float[Tensor, " B *event"]:
    r"""Draw a point uniformly from the ball around each image; pixels may leave [0, 1].

    .. math:: \text{linf: } x + \epsilon u, \; u \sim U[-1, 1]^n, \qquad
        \text{l2: } x + \epsilon \, U^{1/n} \frac{g}{\|g\|_2}, \; g \sim N(0, I), \; U \sim U[0, 1]

    In n dimensions almost all of a ball's volume lies near its surface. A radius that is uniform in
    [0, eps] would start far too near to x.

    Args:
        x: images, shape (B, *event), values in [0, 1].
        eps: radius of the ball, in units of pixels in [0, 1].
        norm: "linf" or "l2".
        generator: source of the noise, on the device of x.

    Returns:
        Shape (B, *event). Not projected: `project` brings the pixels into [0, 1].

    >>> x = torch.full((1000, 784), 0.5)
    >>> (random_start(x, eps=2.0, norm="l2") - x).norm(dim=1).mean() > 1.99
    tensor(True)
    """
    return x + ball_around(x, eps, norm).offset(generator)


class Ball(ABC):
    """The allowed images around x; `companion.attacks` works with them through these verbs."""

    def __init__(self, x: Tensor, eps: float | Tensor) -> None:
        self.x, self.eps = x, eps

    @abstractmethod
    def project(self, x_adv: Tensor) -> Tensor:
        """Bring images back into the ball and their pixels into [0, 1]; may overwrite x_adv."""

    @abstractmethod
    def direction(self, gradient: Tensor) -> Tensor:
        """Return the step of length one, in the norm, along which a linear loss grows most."""

    @abstractmethod
    def offset(self, generator: torch.Generator | None) -> Tensor:
        """Draw uniformly from the ball around the origin."""

    def start(self, generator: torch.Generator | None) -> Tensor:
        """Draw uniformly from the ball around x, and bring the pixels into [0, 1]."""
        return self.project(self.x + self.offset(generator))

    @abstractmethod
    def corner(self, generator: torch.Generator | None) -> Tensor:
        """Draw uniformly from the points that lie farthest from the origin."""


class LinfBall(Ball):
    """No pixel changes by more than eps."""

    def __init__(self, x: Tensor, eps: float | Tensor) -> None:
        super().__init__(x, eps)
        self.low, self.high = (x - eps).clamp(0, 1), (x + eps).clamp(0, 1)

    def project(self, x_adv: Tensor) -> Tensor:
        """Clamp each pixel to its interval."""
        return x_adv.clamp_(self.low, self.high)

    def direction(self, gradient: Tensor) -> Tensor:
        """Return the sign of each pixel's gradient."""
        return gradient.sign()

    def offset(self, generator: torch.Generator | None) -> Tensor:
        """Draw each pixel's change from [-eps, eps]."""
        return self.eps * (2 * _like(torch.rand, self.x, generator) - 1)

    def corner(self, generator: torch.Generator | None) -> Tensor:
        """Draw each pixel's change from {-eps, eps}."""
        signs = 2 * (_like(torch.rand, self.x, generator) < 0.5) - 1
        return self.eps * signs.to(self.x.dtype)


class L2Ball(Ball):
    """The Euclidean length of the change is at most eps."""

    def project(self, x_adv: Tensor) -> Tensor:
        """Shorten the change to eps if it is longer, then clamp the pixels."""
        change = x_adv - self.x
        length = _norm(change).clamp_min(torch.finfo(change.dtype).tiny)
        return (self.x + change * (self.eps / length).clamp_max(1)).clamp_(0, 1)

    def direction(self, gradient: Tensor) -> Tensor:
        """Return the gradient at length one; a gradient of zero stays zero."""
        # Squares of float32 numbers below 1e-19 would underflow: scale to 1 first.
        largest = gradient.flatten(1).abs().amax(1).clamp_min(torch.finfo(gradient.dtype).tiny)
        scaled = gradient / column(largest, gradient)
        return scaled / _norm(scaled).clamp_min(torch.finfo(gradient.dtype).tiny)

    def offset(self, generator: torch.Generator | None) -> Tensor:
        """Draw a direction, and a radius eps U^(1/n)."""
        uniform = _like(torch.rand, self.x.flatten(1)[:, 0], generator)
        radius = uniform ** (1 / math.prod(self.x.shape[1:]))
        return self.corner(generator) * column(radius, self.x)

    def corner(self, generator: torch.Generator | None) -> Tensor:
        """Draw a direction, at length eps."""
        return self.eps * self.direction(_like(torch.randn, self.x, generator))


def ball_around(x: Tensor, eps: float, norm: str) -> Ball:
    """Return the ball of a norm around images."""
    require_pixel_units(eps, norm)
    return {"linf": LinfBall, "l2": L2Ball}[norm](x.detach(), eps)


def _norm(change: Tensor) -> Tensor:
    return column(torch.linalg.vector_norm(change.flatten(1), dim=1), change)


def column(numbers: Tensor, images: Tensor) -> Tensor:
    """Give one number for each example as many axes as the images have."""
    return numbers.reshape(-1, *[1] * (images.dim() - 1))


def _like(draw: Callable[..., Tensor], x: Tensor, generator: torch.Generator | None) -> Tensor:
    return draw(x.shape, generator=generator, device=x.device, dtype=x.dtype)
