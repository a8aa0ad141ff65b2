"""Wrappers that change what a VAE is trained on, for use with `fit`.

A wrapper is a module around a VAE and shares its weights: train the wrapper, then use the VAE.

Axis: B batch.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from companion._require.arguments import require_count, require_module
from companion.data import binarize
from companion.vae import VAE, Elbo, WarmElbo


class DynamicBinarization(nn.Module):
    """Gives the model a fresh black-and-white version of its gray images at each call.

    Fixed binary images are soon learned by heart. Fresh ones are new data in every epoch.

    Args:
        model: a VAE for binary pixels, or a `KLWarmUp` around one.

    Reference: Burda, Grosse and Salakhutdinov (2016), section 5.1.

    >>> from companion.likelihoods import Bernoulli
    >>> from companion.networks import MLPDecoder, MLPEncoder
    >>> from companion.priors import StandardNormal
    >>> vae = VAE(MLPEncoder((4,), 2), MLPDecoder(2, (4,)), Bernoulli(), StandardNormal(2))
    >>> DynamicBinarization(vae)(torch.full((3, 4), 0.5)).kl.shape
    torch.Size([3])
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        require_module(model=model)
        self.model = model

    def forward(
        self, x: Float[Tensor, " B *event"], *, generator: torch.Generator | None = None
    ) -> Elbo | WarmElbo:
        """Binarize x, values in [0, 1], and return what the model says about it."""
        return self.model(binarize(x, generator=generator), generator=generator)


class KLWarmUp(nn.Module):
    """Lets the weight of the KL grow from 0 to 1 over the first training steps.

    The step is a buffer, so a training run that resumes from a checkpoint goes on where it was.
    In evaluation mode beta is 1: held-out curves show the bound itself.

    Args:
        model: a VAE.
        n_steps: number of training steps until beta is 1.

    Reference: Bowman et al. (2016), section 3.1; Sønderby et al. (2016), section 2.3.

    >>> from companion.pretrained import load
    >>> warm = KLWarmUp(load("vae_2d"), n_steps=2)
    >>> [warm(torch.ones(1, 1, 28, 28)).beta.item() for _ in range(4)]
    [0.0, 0.5, 1.0, 1.0]
    """

    step: Tensor

    def __init__(self, model: VAE, n_steps: int) -> None:
        super().__init__()
        require_module(model=model)
        require_count(n_steps=n_steps)
        self.model = model
        self.n_steps = n_steps
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def forward(
        self, x: Float[Tensor, " B *event"], *, generator: torch.Generator | None = None
    ) -> WarmElbo:
        """Return the two terms and beta; `fit(..., loss=negative_elbo)` does the rest."""
        log_likelihood, kl = self.model(x, generator=generator)
        return WarmElbo(log_likelihood, kl, self._beta().to(kl).expand_as(kl))

    def _beta(self) -> Tensor:
        if not self.training:
            return torch.ones_like(self.step)
        beta = (self.step / self.n_steps).clamp(max=1)
        self.step += 1
        return beta
