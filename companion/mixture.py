r"""The mixture of Gaussians: a prior. `companion.em` fits one to codes.

Axes: S importance samples, B batch, K components, D latent dimensions.
"""

from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from companion import gaussian
from companion._require.mixtures import require_parameters
from companion._require.signature import Count, checked, one_of
from companion.gaussian import LOG_2PI
from companion.precision import outside_autocast
from companion.priors import Prior


class GaussianMixture(Prior):
    r"""A mixture of K Gaussians in D dimensions, with learnable parameters.

    .. math:: p(z) = \sum_{k=1}^{K} w_k \, N(z; \mu_k, \Sigma_k)

    The parameters are free of constraints: `logits` (K,) with w = softmax(logits), `mean` (K, D)
    and the covariances. A diagonal covariance is `log_var` (K, D). A full one is `tril`
    (K, D, D): the strictly lower triangle of the Cholesky factor of Sigma_k, and on the diagonal
    the logarithm of that factor's diagonal. What stands above the diagonal is ignored.

    Args:
        n_components: the number K of components.
        dim: the number D of latent dimensions.
        covariance: "diagonal" or "full".
        generator: source of the means at the start, which are N(0, I). The weights start equal,
            the covariances as the identity.

    Reference: Bishop (2006), section 9.2.

    >>> mixture = GaussianMixture(3, 2)
    >>> mixture.log_prob(torch.zeros(5, 2)).shape
    torch.Size([5])
    """

    @checked
    def __init__(
        self,
        n_components: Count,
        dim: Count,
        *,
        covariance: Annotated[str, one_of("diagonal", "full")] = "diagonal",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        device = getattr(generator, "device", torch.get_default_device())
        mean = torch.randn((n_components, dim), generator=generator, device=device)
        self.covariance = covariance
        self.logits = nn.Parameter(mean.new_zeros(n_components))
        self.mean = nn.Parameter(mean)
        if covariance == "diagonal":
            self.log_var = nn.Parameter(torch.zeros_like(mean))
        else:
            self.tril = nn.Parameter(mean.new_zeros(n_components, dim, dim))

    @classmethod
    @checked
    def from_parameters(
        cls,
        weights: Float[Tensor, " K"],
        mean: Float[Tensor, "K D"],
        covariance: Float[Tensor, "..."],
    ) -> "GaussianMixture":
        """Return the mixture with these weights, means and covariances.

        Args:
            weights: positive numbers that sum to one, shape (K,).
            mean: shape (K, D).
            covariance: variances (K, D), or symmetric positive definite matrices (K, D, D).

        >>> weights, mean = torch.tensor([0.5, 0.5]), torch.tensor([[-1.0], [1.0]])
        >>> mixture = GaussianMixture.from_parameters(weights, mean, torch.ones(2, 1))
        >>> mixture.log_prob(mean).detach()
        tensor([-1.4852, -1.4852])
        """
        require_parameters(weights, mean, covariance)
        n_components, dim = mean.shape
        kind = "diagonal" if covariance.dim() == 2 else "full"
        generator = torch.Generator(mean.device).manual_seed(0)  # the start is overwritten
        mixture = cls(n_components, dim, covariance=kind, generator=generator).to(mean.dtype)
        with torch.no_grad():
            mixture.logits.copy_(weights.log())
            mixture.mean.copy_(mean)
            if kind == "diagonal":
                mixture.log_var.copy_(covariance.log())
            else:
                factor = torch.linalg.cholesky(covariance)
                logs = factor.diagonal(dim1=-2, dim2=-1).log()
                mixture.tril.copy_(factor.tril(-1) + torch.diag_embed(logs))
        return mixture

    @property
    def n_components(self) -> int:
        """The number K of components."""
        return len(self.logits)

    @property
    def dim(self) -> int:
        """The number D of latent dimensions."""
        return self.mean.shape[1]

    @property
    def weights(self) -> Float[Tensor, " K"]:
        """The weights of the components, which sum to one, shape (K,)."""
        return self.logits.softmax(0)

    @property
    @outside_autocast
    def covariances(self) -> Float[Tensor, "K D D"]:
        """The covariance matrices, shape (K, D, D)."""
        if self.covariance == "diagonal":
            return torch.diag_embed(self.log_var.exp())
        factor = self._factor()
        return factor @ factor.mT

    @checked
    def log_joint(self, z: Float[Tensor, "*batch {self.dim}"]) -> Float[Tensor, "*batch K"]:
        r"""Log of weight times density of each component, in nats.

        .. math:: \log w_k + \log N(z; \mu_k, \Sigma_k)

        The density of a component is summed over the D dimensions here, before any sum over
        components: a mixture is over whole vectors.

        Args:
            z: codes, shape (B, D) or (S, B, D).

        Returns:
            Shape (B, K) or (S, B, K).
        """
        if self.covariance == "diagonal":
            log_density = gaussian.pairwise_log_prob(z, self.mean, self.log_var)
        else:
            log_density = self._log_density_full(z)
        return self.logits.log_softmax(0) + log_density

    def log_prob(self, z: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch"]:
        r"""Log-density of the mixture in nats, summed over the latent dimensions.

        .. math:: \log p(z) = \operatorname{logsumexp}_k [\log w_k + \log N(z; \mu_k, \Sigma_k)]

        Args:
            z: codes, shape (B, D) or (S, B, D).

        Returns:
            Shape (B,) or (S, B).
        """
        return self.log_joint(z).logsumexp(-1)

    def responsibilities(self, z: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch K"]:
        """Probability of each component given z: p(k | z), shape (*batch, K)."""
        return self.log_joint(z).softmax(-1)

    @torch.no_grad()
    @outside_autocast
    @checked
    def sample(self, n: Count, *, generator: torch.Generator | None = None) -> Float[Tensor, "n D"]:
        """Draw n codes: for each a component, then a point of its Gaussian. No gradients."""
        components = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        noise = torch.randn(
            (n, self.dim), generator=generator, device=self.mean.device, dtype=self.mean.dtype
        )
        if self.covariance == "diagonal":
            return self.mean[components] + (self.log_var / 2).exp()[components] * noise
        return self.mean[components] + (self._factor()[components] @ noise[:, :, None])[:, :, 0]

    def _factor(self) -> Float[Tensor, "K D D"]:
        diagonal = self.tril.diagonal(dim1=-2, dim2=-1).exp()
        return self.tril.tril(-1) + torch.diag_embed(diagonal)

    @outside_autocast
    def _log_density_full(self, z: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch K"]:
        # With Sigma = L L', the squared Mahalanobis distance is |L^-1 (z - mu)|^2.
        # Inverted once per component: one product for each code is faster than one solve.
        identity = torch.eye(self.dim, dtype=self.mean.dtype, device=self.mean.device)
        whiten = torch.linalg.solve_triangular(self._factor(), identity, upper=False)
        centered = z.unsqueeze(-2) - self.mean
        white = torch.einsum("kij,...kj->...ki", whiten.to(centered), centered)
        half_log_det = self.tril.diagonal(dim1=-2, dim2=-1).sum(-1)
        constant = half_log_det + self.dim / 2 * LOG_2PI
        return -0.5 * white.square().sum(-1) - constant
