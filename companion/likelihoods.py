r"""Likelihoods: what a decoder's output says about a pixel.

Each class turns a decoder's output into log p(x | z). The event is everything after the batch
axis of x; log-densities are summed over it, in nats, with all constants.

Axes: S importance samples (leading, optional), B batch, `event` the pixels or coordinates.
"""

from abc import ABC, abstractmethod
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from companion._require.signature import FINITE, EndsLike, Number, binary, checked, within
from companion.gaussian import LOG_2PI
from companion.precision import inverse_std

Output = Annotated[Float[Tensor, "..."], EndsLike("x")]
Drawn = Annotated[Float[Tensor, "..."], FINITE]  # from infinite logits one may draw finite pixels

_BINARY = binary(
    "Binarize gray pixels first (companion.data.binarize), or take ContinuousBernoulli. "
    "On gray pixels this sum is no log-likelihood: see companion.likelihoods.cross_entropy"
)
_UNIT = within(0.0, 1.0, "Scale pixels to [0, 1]: x / 255.")

# Below this |logit| the continuous Bernoulli takes a series: its closed form divides 0 by 0.
_SERIES_LIMIT = 0.1


class Likelihood(nn.Module, ABC):
    """What a `VAE` asks of its likelihood."""

    @abstractmethod
    def log_prob(
        self, x: Float[Tensor, " B *event"], output: Float[Tensor, "..."]
    ) -> Float[Tensor, "..."]:
        """Return log p(x | output) in nats, shape (B,) or (S, B)."""

    @abstractmethod
    def mean(self, output: Tensor) -> Tensor:
        """Return the expected x, of the shape of `output`."""

    @abstractmethod
    def sample(self, output: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw x, of the shape of `output`."""


class Bernoulli(Likelihood):
    r"""Pixels that are zero or one; the decoder gives their logits.

    .. math:: \log p(x \mid \ell) = \sum_p x_p \log s(\ell_p) + (1 - x_p) \log(1 - s(\ell_p)),
        \qquad s(\ell) = \frac{1}{1 + e^{-\ell}}

    >>> Bernoulli().log_prob(torch.ones(1, 2), torch.zeros(1, 2))
    tensor([-1.3863])
    """

    @checked
    def log_prob(
        self, x: Annotated[Float[Tensor, " B *event"], _BINARY], output: Output
    ) -> Float[Tensor, "..."]:
        """Log-probability of binary pixels.

        Args:
            x: zeros and ones, shape (B, *event).
            output: the decoder's logits, shape (B, *event) or (S, B, *event).

        Returns:
            Log-probabilities in nats, shape (B,) or (S, B).
        """
        return -_binary_cross_entropy(x, output)

    @checked
    def mean(self, output: Float[Tensor, "..."]) -> Tensor:
        """Return the expected pixel, the sigmoid of the logit."""
        return torch.sigmoid(output)

    @checked
    def sample(self, output: Drawn, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw pixels: zeros and ones, of the shape of `output`."""
        return torch.bernoulli(torch.sigmoid(output), generator=generator)


class ContinuousBernoulli(Likelihood):
    r"""Pixels anywhere in [0, 1]; the decoder gives logits.

    .. math:: \log p(x \mid \ell) = \sum_p x_p \ell_p - \log\frac{e^{\ell_p} - 1}{\ell_p}

    The normalizer is computed as half the logit plus an even function of it, which neither
    overflows nor loses the gradient at a logit of zero.

    Reference: Loaiza-Ganem and Cunningham (2019), section 3.

    >>> ContinuousBernoulli().log_prob(torch.full((1, 2), 0.3), torch.zeros(1, 2)).abs()
    tensor([0.])
    """

    @checked
    def log_prob(
        self, x: Annotated[Float[Tensor, " B *event"], _UNIT], output: Output
    ) -> Float[Tensor, "..."]:
        """Log-density of pixels in [0, 1].

        Args:
            x: gray pixels in [0, 1], shape (B, *event).
            output: the decoder's logits, shape (B, *event) or (S, B, *event).

        Returns:
            Log-densities in nats, shape (B,) or (S, B). They may be positive.
        """
        return _sum_event((x - 0.5) * output - _log_sinhc(output / 2), x)

    @checked
    def mean(self, output: Float[Tensor, "..."]) -> Tensor:
        """Return the expected pixel, which is not the sigmoid of the logit."""
        near_zero = output.abs() < _SERIES_LIMIT
        safe = torch.where(near_zero, torch.ones_like(output), output)
        exact = 0.5 + 0.5 / torch.tanh(safe / 2) - 1 / safe
        series = 0.5 + output / 12 - output**3 / 720 + output**5 / 30_240
        return torch.where(near_zero, series, exact)

    @checked
    def sample(self, output: Drawn, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw pixels in [0, 1], of the shape of `output`, by inverting the distribution."""
        u = torch.rand(output.shape, generator=generator, device=output.device, dtype=output.dtype)
        at_zero = output == 0
        safe = torch.where(at_zero, torch.ones_like(output), output)
        # For a positive logit, sample 1 - x with the opposite logit: exp never overflows.
        size = -safe.abs()
        x = torch.log1p(u * torch.expm1(size)) / size
        x = torch.where(safe > 0, 1 - x, x)
        return torch.where(at_zero, u, x).clamp(0, 1)


class Gaussian(Likelihood):
    r"""Real-valued pixels around the decoder's output, with one variance for all of them.

    .. math:: \log p(x \mid \mu) = -\tfrac12 \sum_p \left[
        \log 2\pi + \log\sigma^2 + \frac{(x_p - \mu_p)^2}{\sigma^2} \right]

    Args:
        log_var: logarithm of the variance.
        learned: whether training adapts the variance.

    >>> Gaussian().log_prob(torch.zeros(1, 2), torch.zeros(1, 2))
    tensor([-1.8379])
    """

    log_var: Tensor

    @checked
    def __init__(self, log_var: Number = 0.0, *, learned: bool = False) -> None:
        super().__init__()
        value = torch.tensor(float(log_var))
        if learned:
            self.log_var = nn.Parameter(value)
        else:
            self.register_buffer("log_var", value)

    @checked
    def log_prob(self, x: Float[Tensor, " B *event"], output: Output) -> Float[Tensor, "..."]:
        """Log-density of real-valued pixels.

        Args:
            x: pixels, shape (B, *event).
            output: the decoder's means, shape (B, *event) or (S, B, *event).

        Returns:
            Log-densities in nats, shape (B,) or (S, B). They may be positive.
        """
        # Scale before squaring: the square of a tiny variance's inverse would overflow.
        squared = _sum_event(((x - output) * inverse_std(self.log_var)).square(), x)
        n_coordinates = x.shape[1:].numel()
        return -0.5 * (n_coordinates * (LOG_2PI + self.log_var) + squared)

    @checked
    def mean(self, output: Float[Tensor, "..."]) -> Tensor:
        """Return the expected pixel, which is the decoder's output."""
        return output

    @checked
    def sample(self, output: Drawn, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw pixels, of the shape of `output`."""
        noise = torch.randn(
            output.shape, generator=generator, device=output.device, dtype=output.dtype
        )
        return output + (self.log_var / 2).exp() * noise


@checked
def cross_entropy(
    x: Annotated[Float[Tensor, " B *event"], _UNIT], logits: Output
) -> Float[Tensor, "..."]:
    """Binary cross-entropy between gray pixels and logits, summed over the event, in nats.

    For zeros and ones this is -log p(x) under a Bernoulli. For gray pixels it is a discrepancy
    with a floor above zero, and no log-likelihood of anything: chapter 3 measures what that costs.

    Args:
        x: pixels in [0, 1], shape (B, *event).
        logits: shape (B, *event) or (S, B, *event).

    Returns:
        Cross-entropies, shape (B,) or (S, B). Lower is better.

    >>> cross_entropy(torch.full((1, 2), 0.5), torch.zeros(1, 2))
    tensor([1.3863])
    """
    return _binary_cross_entropy(x, logits)


def _binary_cross_entropy(x: Tensor, logits: Tensor) -> Tensor:
    loss = F.binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none")
    return _sum_event(loss, x)


def _log_sinhc(t: Tensor) -> Tensor:
    """Return log(sinh(t) / t), an even function, without overflow and with its gradient at 0."""
    near_zero = t.abs() < _SERIES_LIMIT / 2
    safe = torch.where(near_zero, torch.ones_like(t), t).abs()
    exact = safe + torch.log(-torch.expm1(-2 * safe)) - torch.log(2 * safe)
    return torch.where(near_zero, t**2 / 6 - t**4 / 180 + t**6 / 2835, exact)


def _sum_event(values: Tensor, x: Tensor) -> Tensor:
    return values.flatten(start_dim=values.dim() - x.dim() + 1).sum(-1)
