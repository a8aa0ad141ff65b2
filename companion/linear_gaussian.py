r"""The linear-Gaussian model, in which log p(x) and the posterior are exact.

.. math:: z \sim N(0, I_D), \qquad x \mid z \sim N(W z + b, \sigma^2 I_P)

With free W it is probabilistic principal component analysis (PPCA). It is the oracle of chapter 1
and of the tests: every bound can be held against the number that it bounds.

Axes: B batch, P coordinates of x, D latent dimensions.
"""

import math
from typing import Annotated, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from companion import gaussian
from companion._require.arguments import (
    require_float64_device,
    require_same_device,
    require_same_dtype,
    require_same_shape,
)
from companion._require.signature import FINITE, Count, Rule, checked, instance
from companion.gaussian import LOG_2PI
from companion.precision import outside_autocast

_ON_FLOAT64 = Rule("on a device that has float64", require_float64_device)


class Posterior(NamedTuple):
    """The exact posterior N(mean, covariance) over codes. The covariance does not depend on x."""

    mean: Float[Tensor, "B D"]
    covariance: Float[Tensor, "D D"]


class LinearGaussian:
    r"""A linear map of a standard normal code, plus isotropic noise.

    Args:
        weight: the matrix W, shape (P, D).
        bias: the vector b, shape (P,).
        log_var: log of the noise variance sigma^2, a tensor without axes.

    Reference: Tipping and Bishop (1999), section 3.

    >>> model = LinearGaussian(torch.full((1, 1), 2.0), torch.zeros(1), torch.tensor(0.0))
    >>> model.posterior(torch.full((1, 1), 2.0)).mean
    tensor([[0.8000]])
    """

    @checked
    def __init__(
        self,
        weight: Annotated[Float[Tensor, "P D"], FINITE],
        bias: Annotated[Float[Tensor, " P"], FINITE],
        log_var: Annotated[Float[Tensor, ""], FINITE],
    ) -> None:
        require_same_dtype(weight=weight, bias=bias, log_var=log_var)
        _require_visible_noise(weight.detach(), log_var.item())
        self.weight, self.bias, self.log_var = weight, bias, log_var

    @property
    def n_coordinates(self) -> int:
        """The number P of coordinates of x."""
        return self.weight.shape[0]

    @property
    def dim(self) -> int:
        """The number D of latent dimensions."""
        return self.weight.shape[1]

    @outside_autocast
    @checked
    def log_prob(self, x: Float[Tensor, "B {self.n_coordinates}"]) -> Float[Tensor, " B"]:
        r"""Exact log-density log p(x) = log N(x; b, W W^T + sigma^2 I), in nats, shape (B,).

        With the posterior mean m, the quadratic form is a sum of two squares, so that nothing
        cancels, however small the noise is:

        .. math:: \frac{\|x - b - W m\|^2}{\sigma^2} + \|m\|^2

        The determinant comes from the D x D posterior precision: no P x P matrix is formed.
        """
        centered, precision = self._center(x), self._precision()
        code = self._posterior(centered, precision).mean
        residual = (centered - code @ self.weight.T).square().sum(-1)
        squared = residual * (-self.log_var).exp() + code.square().sum(-1)
        log_det = self.n_coordinates * self.log_var + torch.linalg.slogdet(precision).logabsdet
        return -0.5 * (self.n_coordinates * LOG_2PI + log_det + squared)

    @outside_autocast
    @checked
    def posterior(self, x: Float[Tensor, "B {self.n_coordinates}"]) -> Posterior:
        r"""Exact posterior p(z | x) = N(M^{-1} W^T (x - b), sigma^2 M^{-1}), M = W^T W + sigma^2 I.

        Returns:
            `Posterior(mean, covariance)`, shapes (B, D) and (D, D).

        Reference: Tipping and Bishop (1999), equation (6).
        """
        return self._posterior(self._center(x), self._precision())

    @outside_autocast
    @checked
    def elbo(
        self,
        x: Float[Tensor, "B {self.n_coordinates}"],
        mean: Float[Tensor, "B {self.dim}"],
        log_var: Float[Tensor, "B {self.dim}"],
    ) -> Float[Tensor, " B"]:
        r"""Exact ELBO of q(z | x) = N(mean, exp(log_var)): no sampling.

        .. math:: E_q[\log p(x \mid z)] = \log N(x; W\mu + b, \sigma^2 I)
            - \frac{1}{2\sigma^2} \sum_{d} \|W_{:,d}\|^2 \, \sigma_{q,d}^2

        Args:
            x: data, shape (B, P).
            mean: mean of q, shape (B, D).
            log_var: log-variance of q, shape (B, D).

        Returns:
            One bound for each example, in nats, shape (B,).
        """
        divergence = gaussian.kl_to_standard(mean, log_var)
        centered = self._center(x)
        require_same_dtype(mean=mean, weight=self.weight)
        residual = (centered - mean @ self.weight.T).square().sum(-1)
        spread = log_var.exp() @ self.weight.square().sum(0)
        constant = self.n_coordinates * (LOG_2PI + self.log_var)
        expected = -0.5 * (constant + (residual + spread) * (-self.log_var).exp())
        return expected - divergence

    @outside_autocast
    @checked
    def sample(self, n: Count, *, generator: torch.Generator | None = None) -> Float[Tensor, "n P"]:
        """Draw n points x, on the device of the weight."""
        code = self.weight.new_empty(n, self.dim).normal_(generator=generator)
        noise = self.weight.new_empty(n, self.n_coordinates).normal_(generator=generator)
        return code @ self.weight.T + self.bias + (self.log_var / 2).exp() * noise

    def _posterior(self, centered: Tensor, precision: Tensor) -> Posterior:
        covariance = torch.linalg.inv(precision)
        projected = centered @ self.weight * (-self.log_var).exp()
        return Posterior(projected @ covariance, covariance)

    def _precision(self) -> Tensor:
        # Posterior precision I + W^T W / sigma^2, which is M / sigma^2.
        identity = torch.eye(self.dim, dtype=self.weight.dtype, device=self.weight.device)
        return identity + self.weight.T @ self.weight * (-self.log_var).exp()

    def _center(self, x: Tensor) -> Tensor:
        require_same_device(x=x, weight=self.weight)
        centered = x - self.bias  # float32 data meet a float64 model in float64
        require_same_dtype(x=centered, weight=self.weight)
        return centered


def _require_visible_noise(weight: Tensor, log_var: float) -> None:
    # Data with less noise differ from W z + b by their rounding alone, which a density would
    # divide by the noise: its value would have no correct digit.
    numbers = torch.finfo(weight.dtype)
    highest = 0.9 * math.log(numbers.max)  # room for the sum of squares
    smallest = numbers.eps * weight.abs().amax().item()
    lowest = max(-highest, 2 * math.log(smallest) if smallest > 0 else -highest)
    if not lowest <= log_var <= highest:
        raise ValueError(
            f"`log_var` is {log_var:g}, but beside this weight {weight.dtype} holds noise of a "
            f"log-variance from {lowest:.1f} to {highest:.1f}. It is the logarithm of the "
            f"variance: check its sign and unit, or rescale the data, or pass float64."
        )


@checked
def fit_ppca(
    x: Annotated[Float[Tensor, "B P"], _ON_FLOAT64, FINITE], latent_dim: Count
) -> LinearGaussian:
    r"""Fit the linear-Gaussian model by maximum likelihood, in closed form.

    With the eigenvalues :math:`\lambda_1 \ge \dots \ge \lambda_P` of the sample covariance and
    the first D eigenvectors U, the maximum is at

    .. math:: \sigma^2 = \frac{1}{P - D} \sum_{d > D} \lambda_d, \qquad
        W = U \, (\Lambda_D - \sigma^2 I)^{1/2}

    Args:
        x: data, shape (B, P), with B >= 2, on a device that has float64: any but MPS.
        latent_dim: the number D of latent dimensions, below P.

    Returns:
        The model of highest likelihood, in float64: pixels that never change make the smallest
        eigenvalues zero, which float32 would blur.

    Reference: Tipping and Bishop (1999), equations (7) and (8).

    >>> corners = torch.tensor([[2.0, 1.0], [2.0, -1.0], [-2.0, 1.0], [-2.0, -1.0]])
    >>> fit_ppca(corners, 1).log_var.exp()
    tensor(1., dtype=torch.float64)
    """
    if len(x) < 2 or latent_dim >= x.shape[1]:
        raise ValueError(
            f"`x` has shape {tuple(x.shape)} and `latent_dim` is {latent_dim}: x must be (B, P) "
            f"with B >= 2 and P > latent_dim. Flatten images first: images.flatten(1)."
        )
    bias = x.double().mean(0)
    centered = x.double() - bias
    values, vectors = torch.linalg.eigh(centered.T @ centered / len(x))
    noise = values[:-latent_dim].mean()
    if noise <= 1e-12 * values[-1]:
        raise ValueError(
            f"`x` varies in no more than {latent_dim} directions, so the noise variance would be "
            f"zero. Pass more rows, or a smaller `latent_dim`."
        )
    top = values[-latent_dim:].flip(0)
    directions = vectors[:, -latent_dim:].flip(1)
    # An eigenvalue can equal the noise; rounding must not make its scale imaginary.
    weight = directions * (top - noise).clamp_min(0).sqrt()
    return LinearGaussian(weight, bias, noise.log())


@checked
def from_linear_decoder(
    weight: Annotated[Float[Tensor, "P D"], _ON_FLOAT64],
    bias: Annotated[Float[Tensor, " P"], _ON_FLOAT64],
    log_var: Annotated[Float[Tensor, ""], _ON_FLOAT64],
) -> LinearGaussian:
    """Return the linear-Gaussian model that a linear decoder with Gaussian likelihood defines.

    Args:
        weight: weight of the decoder's linear layer, shape (P, D).
        bias: its bias, shape (P,).
        log_var: log-variance of the likelihood, a tensor without axes.

    Returns:
        The model in float64, detached from training.

    >>> layer = torch.nn.Linear(2, 5)
    >>> from_linear_decoder(layer.weight, layer.bias, torch.tensor(0.0)).sample(3).shape
    torch.Size([3, 5])
    """
    return LinearGaussian(*(t.detach().double() for t in (weight, bias, log_var)))


@outside_autocast
@checked
def posterior_gap(
    posterior: Annotated[
        Posterior, instance(Posterior, "Pass that of a model: model.posterior(x).")
    ],
    mean: Float[Tensor, "B D"],
    log_var: Float[Tensor, "B D"],
) -> Float[Tensor, " B"]:
    r"""KL(q || posterior) in nats for a diagonal q, against the full-covariance posterior.

    Args:
        posterior: the exact posterior, shapes (B, D) and (D, D).
        mean: mean of q, shape (B, D).
        log_var: log-variance of q, shape (B, D).

    Returns:
        The gap log p(x) - ELBO, shape (B,).

    >>> model = LinearGaussian(torch.zeros(1, 1), torch.zeros(1), torch.tensor(0.0))
    >>> posterior_gap(model.posterior(torch.ones(1, 1)), torch.ones(1, 1), torch.zeros(1, 1))
    tensor([0.5000])
    """
    for require in (require_same_shape, require_same_device, require_same_dtype):
        require(**{"mean": mean, "posterior.mean": posterior.mean})
    precision = torch.linalg.inv(posterior.covariance)
    delta = posterior.mean - mean
    distance = torch.einsum("bi,ij,bj->b", delta, precision, delta)
    trace = log_var.exp() @ precision.diagonal()
    log_det = torch.linalg.slogdet(posterior.covariance).logabsdet - log_var.sum(-1)
    return 0.5 * (trace + distance - mean.shape[-1] + log_det)
