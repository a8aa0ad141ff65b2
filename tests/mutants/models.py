"""Published bugs of models, and their near relatives, as functions (see `mutants/densities.py`).

Axes: S importance samples, B batch, D latent dimensions.
"""

import math
from collections.abc import Callable

import torch
from oracles import models as oracles_model
from torch import Tensor, nn
from torch.nn import functional as F

from companion import gaussian
from companion.gaussian import LOG_2PI, DiagonalGaussian
from companion.linear_gaussian import LinearGaussian, fit_ppca
from companion.vae import VAE, Elbo, log_importance_weights
from mutants.densities import fault

# The VAE: forward(vae, x, n_samples=, generator=)


@fault("KL averaged over the latent dimensions", oracles_model.assert_elbo_of_vae)
def _(vae: VAE, x, *, n_samples, generator):
    elbo = vae(x, n_samples=n_samples, generator=generator)
    return elbo._replace(kl=elbo.kl / vae.encode(x).mean.shape[-1])


@fault("reconstruction averaged over the pixels", oracles_model.assert_elbo_of_vae)
def _(vae: VAE, x, *, n_samples, generator):
    elbo = vae(x, n_samples=n_samples, generator=generator)
    return elbo._replace(log_likelihood=elbo.log_likelihood / x.shape[-1])


@fault("reconstruction at the mean code, without noise", oracles_model.assert_elbo_of_vae)
def _(vae: VAE, x, *, n_samples, generator):
    q = vae.encode(x)
    return Elbo(vae.likelihood.log_prob(x, vae.decode(q.mean)), vae.prior.kl(q, q.mean))


@fault("samples summed, not averaged", oracles_model.assert_elbo_of_vae)
def _(vae: VAE, x, *, n_samples, generator):
    elbo = vae(x, n_samples=n_samples, generator=generator)
    return elbo._replace(log_likelihood=elbo.log_likelihood * n_samples)


@fault("softplus of the output used as log-variance", oracles_model.assert_elbo_of_vae)
def _(vae: VAE, x, *, n_samples, generator):
    q = vae.encode(x)
    squashed = DiagonalGaussian(q.mean, F.softplus(q.log_var))
    z = gaussian.rsample(*squashed, n_samples=n_samples, generator=generator)
    return Elbo(vae.likelihood.log_prob(x, vae.decode(z)).mean(0), vae.prior.kl(squashed, z))


def _as_encoder_assertion(make: Callable) -> None:
    oracles_model.assert_log_var_unbounded(make, torch.zeros(3, 4))


class _Squashed(nn.Module):
    def __init__(self, squash: Callable) -> None:
        super().__init__()
        self.layer, self.squash = nn.Linear(4, 4), squash

    def forward(self, x: Tensor) -> DiagonalGaussian:
        mean, output = self.layer(x).chunk(2, dim=-1)
        return DiagonalGaussian(mean, self.squash(output))


@fault("encoder ends in softplus: sigma can never fall below 1", _as_encoder_assertion)
def _():
    return _Squashed(F.softplus)


@fault("encoder clamps its log-variance", _as_encoder_assertion)
def _():
    return _Squashed(lambda output: output.clamp(-4, 4))


# importance_weighted_bound(vae, x, n_samples, generator=)


@fault("log of the mean of exp: underflows to -inf", oracles_model.assert_bound)
def _(vae, x, n_samples, *, generator):
    weights = log_importance_weights(vae, x, n_samples, generator=generator).exp()
    return weights.mean(0).log().detach()


@fault("log S forgotten", oracles_model.assert_bound)
def _(vae, x, n_samples, *, generator):
    return log_importance_weights(vae, x, n_samples, generator=generator).logsumexp(0).detach()


@fault("mean of the log-weights: the ELBO under another name", oracles_model.assert_bound)
def _(vae, x, n_samples, *, generator):
    return log_importance_weights(vae, x, n_samples, generator=generator).mean(0).detach()


@fault("the largest weight only", oracles_model.assert_bound)
def _(vae, x, n_samples, *, generator):
    return log_importance_weights(vae, x, n_samples, generator=generator).amax(0).detach()


@fault("density of q left out of the weight", oracles_model.assert_bound)
def _(vae, x, n_samples, *, generator):
    q = vae.encode(x)
    z = gaussian.rsample(*q, n_samples=n_samples, generator=generator)
    weights = vae.likelihood.log_prob(x, vae.decode(z)) + vae.prior.log_prob(z)
    return (weights.logsumexp(0) - math.log(n_samples)).detach()


@fault("analytic KL in place of the sampled log-ratio", oracles_model.assert_bound)
def _(vae, x, n_samples, *, generator):
    q = vae.encode(x)
    z = gaussian.rsample(*q, n_samples=n_samples, generator=generator)
    weights = vae.likelihood.log_prob(x, vae.decode(z)) - vae.prior.kl(q, z)
    return (weights.logsumexp(0) - math.log(n_samples)).detach()


# Signs and conventions of the two terms


@fault("ELBO = reconstruction + KL", oracles_model.assert_elbo_value)
def _(log_likelihood, kl, beta):
    return log_likelihood + beta * kl


@fault("beta on the reconstruction", oracles_model.assert_elbo_value)
def _(log_likelihood, kl, beta):
    return beta * log_likelihood - kl


# The linear-Gaussian model


@fault("log_var read as log sigma", oracles_model.assert_linear_gaussian)
def _(x, weight, bias, log_var):
    return LinearGaussian(weight, bias, 2 * log_var).log_prob(x)


@fault("log-density without its constant", oracles_model.assert_linear_gaussian)
def _(x, weight, bias, log_var):
    return LinearGaussian(weight, bias, log_var).log_prob(x) + 0.5 * x.shape[-1] * LOG_2PI


@fault("covariance of the code's image without the noise's own", oracles_model.assert_ppca)
def _(x, latent_dim):
    model = fit_ppca(x, latent_dim)
    top = model.weight.square().sum(0)
    return LinearGaussian(
        model.weight * ((top + model.log_var.exp()) / top).sqrt(), model.bias, model.log_var
    )


@fault("covariance divided by n - 1", oracles_model.assert_ppca)
def _(x, latent_dim):
    model, n = fit_ppca(x, latent_dim), len(x)
    scale = math.sqrt(n / (n - 1))
    return LinearGaussian(model.weight * scale, model.bias, model.log_var + 2 * math.log(scale))


@fault("noise variance summed over the left-out directions", oracles_model.assert_ppca)
def _(x, latent_dim):
    model, n_left = fit_ppca(x, latent_dim), x.shape[1] - latent_dim
    return LinearGaussian(model.weight, model.bias, model.log_var + math.log(n_left))


@fault("data not centered", oracles_model.assert_ppca)
def _(x, latent_dim):
    model = fit_ppca(torch.cat([x, -x]), latent_dim)
    return LinearGaussian(model.weight, x.mean(0), model.log_var)


@fault("KL with the determinants' sign turned", oracles_model.assert_exact_elbo)
def _(case, mean, log_var):
    model = LinearGaussian(case.weight, case.bias, case.log_var)
    return model.elbo(case.x, mean, log_var) - log_var.sum(-1)


@fault("spread of q left out of the expected log-likelihood", oracles_model.assert_exact_elbo)
def _(case, mean, log_var):
    residual = (case.x - case.bias - mean @ case.weight.T).square().sum(-1)
    constant = case.x.shape[-1] * (LOG_2PI + case.log_var)
    expected = -0.5 * (constant + residual / case.log_var.exp())
    return expected - gaussian.kl_to_standard(mean, log_var)


# Uncertainty


@fault("standard deviation in place of the standard error", oracles_model.assert_mean_with_error)
def _(values):
    return values.mean().item(), values.std().item()


@fault("standard error divided by n, not by its root", oracles_model.assert_mean_with_error)
def _(values):
    return values.mean().item(), values.std().item() / len(values)


@fault("spread divided by n, not by n - 1", oracles_model.assert_mean_with_error)
def _(values):
    spread = values.std(correction=0).item()
    return values.mean().item(), spread / math.sqrt(len(values))
