"""Published bugs of densities, and their near relatives, as functions.

A `Mutant` names the fault, and holds the broken function and the assertion of
`oracles/densities.py` that must reject it; `test_mutants.py` shows that it does. The bugs of
models are in `models.py`.

Axes: S importance samples, B batch, D latent dimensions.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from oracles import densities as oracles
from torch import Tensor
from torch.distributions import ContinuousBernoulli
from torch.nn import functional as F

from companion import gaussian
from companion.gaussian import LOG_2PI


class Mutant(NamedTuple):
    fault: str
    function: Callable
    assertion: Callable


MUTANTS: list[Mutant] = []


def fault(description: str, assertion: Callable) -> Callable[[Callable], Callable]:
    """Enter a function into the table."""

    def enter(function: Callable) -> Callable:
        MUTANTS.append(Mutant(description, function, assertion))
        return function

    return enter


# log_prob(value, mean, log_var)


@fault("misplaced parenthesis: (log_var + (z - mean)^2) / var", oracles.assert_log_prob)
def _(z, mean, log_var):
    return -0.5 * (LOG_2PI + (log_var + (z - mean) ** 2) / log_var.exp()).sum(-1)


@fault("log-density without its constant", oracles.assert_log_prob)
def _(z, mean, log_var):
    return -0.5 * (log_var + (z - mean) ** 2 / log_var.exp()).sum(-1)


@fault("constant counted once, not once for each dimension", oracles.assert_log_prob)
def _(z, mean, log_var):
    return -0.5 * (LOG_2PI + (log_var + (z - mean) ** 2 / log_var.exp()).sum(-1))


@fault("log_var read as log sigma", oracles.assert_log_prob)
def _(z, mean, log_var):
    return -0.5 * (LOG_2PI + 2 * log_var + (z - mean) ** 2 / (2 * log_var).exp()).sum(-1)


@fault("minus log-density under the name log_prob", oracles.assert_log_prob)
def _(z, mean, log_var):
    return -gaussian.log_prob(z, mean, log_var)


@fault("averaged over the dimensions", oracles.assert_log_prob)
def _(z, mean, log_var):
    return gaussian.log_prob(z, mean, log_var) / z.shape[-1]


@fault("gradient of the scale lost", oracles.assert_log_prob)
def _(z, mean, log_var):
    return gaussian.log_prob(z, mean, log_var.detach())


# kl(mean_q, log_var_q, mean_p, log_var_p) and kl_to_standard(mean, log_var)


@fault("reversed: KL(p || q)", oracles.assert_kl)
def _(mean_q, log_var_q, mean_p, log_var_p):
    return gaussian.kl(mean_p, log_var_p, mean_q, log_var_q)


@fault("distance of the means divided by q's variance", oracles.assert_kl)
def _(mean_q, log_var_q, mean_p, log_var_p):
    ratio = log_var_q - log_var_p
    return 0.5 * (ratio.exp() - 1 - ratio + (mean_q - mean_p) ** 2 / log_var_q.exp()).sum(-1)


@fault("sign of the log-ratio", oracles.assert_kl)
def _(mean_q, log_var_q, mean_p, log_var_p):
    ratio = log_var_q - log_var_p
    return 0.5 * (ratio.exp() - 1 + ratio + (mean_q - mean_p) ** 2 / log_var_p.exp()).sum(-1)


@fault("averaged over the latent dimensions: a silent beta of 1/D", oracles.assert_kl_to_standard)
def _(mean, log_var):
    return -0.5 * (1 + log_var - mean**2 - log_var.exp()).mean(-1)


@fault("summed over the batch as well", oracles.assert_kl_to_standard)
def _(mean, log_var):
    return -0.5 * (1 + log_var - mean**2 - log_var.exp()).sum()


@fault("factor of one half forgotten", oracles.assert_kl_to_standard)
def _(mean, log_var):
    return -(1 + log_var - mean**2 - log_var.exp()).sum(-1)


@fault("sign: minus the divergence", oracles.assert_kl_to_standard)
def _(mean, log_var):
    return 0.5 * (1 + log_var - mean**2 - log_var.exp()).sum(-1)


@fault("exp(log sigma) used as the variance", oracles.assert_kl_to_standard)
def _(mean, log_var):
    return -0.5 * (1 + log_var - mean**2 - (log_var / 2).exp()).sum(-1)


@fault("entropy without log 2 pi", oracles.assert_entropy)
def _(log_var):
    return 0.5 * (1 + log_var).sum(-1)


@fault("prior's log-density without its constant", oracles.assert_standard_log_prob)
def _(z):
    return -0.5 * (z**2).sum(-1)


# rsample(mean, log_var, n_samples=, generator=)


def _noise(mean: Tensor, n_samples: int, generator: torch.Generator) -> Tensor:
    shape = (n_samples, *mean.shape)
    return torch.randn(shape, generator=generator, dtype=mean.dtype, device=mean.device)


@fault("standard deviation = exp(log_var)", oracles.assert_rsample)
def _(mean, log_var, *, n_samples, generator):
    return mean + log_var.exp() * _noise(mean, n_samples, generator)


@fault("standard deviation = exp(log_var / 4)", oracles.assert_rsample)
def _(mean, log_var, *, n_samples, generator):
    return mean + (log_var / 4).exp() * _noise(mean, n_samples, generator)


@fault("one draw of noise shared by the whole batch", oracles.assert_rsample)
def _(mean, log_var, *, n_samples, generator):
    return mean + (log_var / 2).exp() * _noise(mean[:1], n_samples, generator)


@fault("noise from the uniform distribution", oracles.assert_rsample)
def _(mean, log_var, *, n_samples, generator):
    shape = (n_samples, *mean.shape)
    uniform = torch.rand(shape, generator=generator, dtype=mean.dtype, device=mean.device)
    return mean + (log_var / 2).exp() * uniform


@fault("a sample that no gradient reaches", oracles.assert_rsample)
def _(mean, log_var, *, n_samples, generator):
    sampled = mean + (log_var / 2).exp() * _noise(mean, n_samples, generator)
    return sampled.detach() + 0 * (mean + log_var)


# Likelihoods


@fault("averaged over the pixels: a silent beta of 784", oracles.assert_bernoulli)
def _(x, logits):
    loss = F.binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none")
    return -loss.flatten(logits.dim() - x.dim() + 1).mean(-1)


@fault("cross-entropy under the name log_prob: the sign", oracles.assert_bernoulli)
def _(x, logits):
    loss = F.binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none")
    return loss.flatten(logits.dim() - x.dim() + 1).sum(-1)


@fault("sigmoid, then log with a small number added", oracles.assert_bernoulli)
def _(x, logits):
    p = torch.sigmoid(logits)
    terms = x * (p + 1e-8).log() + (1 - x) * (1 - p + 1e-8).log()
    return terms.flatten(logits.dim() - x.dim() + 1).sum(-1)


@fault("squared error without the constant", oracles.assert_gaussian_likelihood)
def _(x, output, log_var):
    squared = (x - output) ** 2 / log_var.exp()
    return -0.5 * (squared + log_var).flatten(output.dim() - x.dim() + 1).sum(-1)


@fault("the variance's own term counted once for each image", oracles.assert_gaussian_likelihood)
def _(x, output, log_var):
    squared = (x - output) ** 2 / log_var.exp() + LOG_2PI
    return -0.5 * (squared.flatten(output.dim() - x.dim() + 1).sum(-1) + log_var)


@fault("mean squared error called a log-likelihood", oracles.assert_gaussian_likelihood)
def _(x, output, log_var):
    return -((x - output) ** 2).flatten(output.dim() - x.dim() + 1).mean(-1) + 0 * log_var


@fault("clamped probabilities: wrong for large logits", oracles.assert_continuous_bernoulli)
def _(x, logits):
    terms = ContinuousBernoulli(logits=logits).log_prob(x.expand_as(logits))
    return terms.flatten(logits.dim() - x.dim() + 1).sum(-1)


@fault("no normalizer: a Bernoulli on gray pixels", oracles.assert_continuous_bernoulli)
def _(x, logits):
    terms = -F.binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none")
    return terms.flatten(logits.dim() - x.dim() + 1).sum(-1)


@fault("|logit| without half a logit: no gradient at 0", oracles.assert_continuous_bernoulli)
def _(x, logits):
    # For a negative logit, flip the pixel; then log((e^|l| - 1) / |l|). Right, but not at l = 0:
    # there torch takes the derivative of |l| as 0, and the gradient x - 1/2 is lost.
    size = logits.abs()
    safe = torch.where(size > 0, size, torch.ones_like(size))
    log_norm = torch.where(size > 0, safe + torch.log(-torch.expm1(-safe) / safe), size / 2)
    pixel = torch.where(logits < 0, 1 - x, x.expand_as(logits))
    return (pixel * size - log_norm).flatten(logits.dim() - x.dim() + 1).sum(-1)


@fault("log((e^l - 1) / l) as written: overflows", oracles.assert_continuous_bernoulli)
def _(x, logits):
    near_zero = logits.abs() < 1e-3
    safe = torch.where(near_zero, torch.ones_like(logits), logits)
    log_norm = torch.log(torch.expm1(safe) / safe)
    log_norm = torch.where(near_zero, logits / 2 + logits**2 / 24, log_norm)
    return (x * logits - log_norm).flatten(logits.dim() - x.dim() + 1).sum(-1)
