"""Answers to the exercises of chapter 1, right ones written in several ways, and integrals.

The integrals use no closed form: they are sums over a fine grid of z.
"""

import math
from decimal import Decimal

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Normal, kl_divergence

GRID = torch.linspace(-30, 30, 60_001, dtype=torch.float64)


def double(value):
    """A number in float64, not rounded to float32 on the way."""
    return torch.tensor(value, dtype=torch.float64)


def normal(mean, std):
    """A normal distribution in float64."""
    return Normal(double(mean), double(std))


def integrate(values):
    return torch.trapezoid(values, GRID)


def grid_elbo(x, mean, var, weight, noise_var):
    """The ELBO as an integral over z: no closed form used."""
    log_q = normal(mean, math.sqrt(var)).log_prob(GRID)
    return integrate(log_q.exp() * (grid_log_joint(x, weight, noise_var) - log_q))


def grid_log_joint(x, weight, noise_var):
    likelihood = Normal(weight * GRID, torch.full_like(GRID, noise_var).sqrt())
    return normal(0.0, 1.0).log_prob(GRID) + likelihood.log_prob(double(x))


def kl_closed(mean_q, log_var_q, mean_p, log_var_p):
    square = (mean_q - mean_p) ** 2
    terms = log_var_p - log_var_q + (log_var_q.exp() + square) / log_var_p.exp() - 1
    return 0.5 * terms.sum(dim=-1)


def kl_by_torch(a, b, c, d):
    return kl_divergence(Normal(a, (b / 2).exp()), Normal(c, (d / 2).exp())).sum(1)


def kl_in_a_loop(mean_q, log_var_q, mean_p, log_var_p):
    rows = []
    for m, v, n, w in zip(mean_q, log_var_q.exp(), mean_p, log_var_p.exp(), strict=True):
        rows.append(sum((w[i] / v[i]).log() + v[i] / w[i] - 1 + (m[i] - n[i]) ** 2 / w[i]
                        for i in range(len(m))) / 2)  # fmt: skip
    return torch.stack(rows)


def kl_in_float64(*arguments):
    return kl_closed(*[argument.double() for argument in arguments])


class KlModule(nn.Module):
    def forward(self, mean_q, log_var_q, mean_p, log_var_p):
        return kl_closed(mean_q, log_var_q, mean_p, log_var_p)


def kl_stub(mean_q, log_var_q, mean_p, log_var_p):
    return ...


def kl_stub_raising(mean_q, log_var_q, mean_p, log_var_p):
    raise NotImplementedError


def kl_with(log_weight=1.0, one=1.0, use=torch.exp, reduce=lambda each: each.sum(-1), half=0.5):
    """A KL with one thing wrong."""

    def kl(mean_q, log_var_q, mean_p, log_var_p):
        q, p = use(log_var_q), use(log_var_p)
        log_ratio = log_weight * (log_var_p - log_var_q)
        return reduce(half * (log_ratio + (q + (mean_q - mean_p) ** 2) / p - one))

    return kl


def kl_from_terms(each):
    """A KL whose dimension is a function of log p/q, q's and p's variance and the shift."""

    def kl(mean_q, log_var_q, mean_p, log_var_p):
        return each(log_var_p - log_var_q, log_var_q.exp(), log_var_p.exp(), mean_q - mean_p).sum(
            -1
        )

    return kl


def kl_in_numpy(mean_q, log_var_q, mean_p, log_var_p):
    arrays = [value.numpy() for value in (mean_q, log_var_q, mean_p, log_var_p)]
    return kl_closed(*[torch.from_numpy(np.array(array)) for array in arrays])


def kl_of_all(mean, log_var):
    """One number for the whole batch; the KL to N(0, 1)."""
    return kl_closed(mean, log_var, 0 * mean, 0 * log_var).sum()


def kl_to_prior(x, mean, var, weight, noise_var):
    return kl_divergence(Normal(mean, var.sqrt()), Normal(0 * mean, 0 * mean + 1))


def kl_to_posterior(x, mean, var, weight, noise_var):
    post_mean, post_var = q_closed(x, weight, noise_var)
    return kl_divergence(Normal(mean, var.sqrt()), Normal(post_mean, post_var.sqrt()))


def elbo_closed(x, mean, var, weight, noise_var):
    error = (x - weight * mean) ** 2 + weight**2 * var
    likelihood = -0.5 * math.log(2 * math.pi * noise_var) - error / (2 * noise_var)
    return likelihood - 0.5 * (var + mean**2 - 1 - math.log(var))


def elbo_from_the_gap(x, mean, var, weight, noise_var):
    post_var = noise_var / (noise_var + weight**2)
    post = Normal(weight * x / (noise_var + weight**2), post_var.sqrt())
    evidence = Normal(torch.zeros_like(x), (weight**2 + noise_var).sqrt()).log_prob(x)
    return evidence - kl_divergence(Normal(mean, var.sqrt()), post)


def elbo_by_integral(*arguments):
    return grid_elbo(*(float(value) for value in arguments))


def elbo_parts(x, mean, var, weight, noise_var):
    constant = -0.5 * (2 * math.pi * noise_var).log()
    error, spread = (x - weight * mean) ** 2 / (2 * noise_var), weight**2 * var / (2 * noise_var)
    return constant, error, spread, 0.5 * (var + mean**2 - 1 - var.log())


def from_parts(combine):
    return lambda *arguments: combine(*elbo_parts(*arguments))


def elbo_noise(x, mean, var, weight, noise_var):
    """What using noise_var squared changes."""
    return elbo_closed(x, mean, var, weight, noise_var**2) - elbo_closed(
        x, mean, var, weight, noise_var
    )


def q_closed(x, weight, noise_var):
    total = noise_var + weight**2
    return weight * x / total, noise_var / total


def q_by_completing_the_square(x, weight, noise_var):
    precision = 1 + weight**2 / noise_var
    return torch.stack([weight * x / noise_var, torch.ones_like(x)]) / precision


def q_from_a_grid(x, weight, noise_var):
    log_joint = grid_log_joint(float(x), float(weight), float(noise_var))
    density = (log_joint - log_joint.max()).exp()
    density = density / integrate(density)
    mean = integrate(density * GRID)
    return [float(mean), float(integrate(density * (GRID - mean) ** 2))]


BETAS = ["a", "b", "c", "d"]
# Each loss, the variance of the Gaussian it is read as (None: Bernoulli), its batch size.
LOSSES = {
    "a": (lambda bce, se, kl: bce.mean() + kl.mean(), None, 1),
    "b": (lambda bce, se, kl: se.sum() + kl.sum(), 0.1, 1),
    "c": (lambda bce, se, kl: (bce.sum() + kl.sum()) / 100, None, 100),
    "d": (lambda bce, se, kl: se.mean() + 0.00025 * kl.sum(), 1.0, 1),
    "averaged KL": (lambda bce, se, kl: bce.sum() + kl.mean(), None, 1),
    "averaged pixels": (lambda bce, se, kl: bce.mean() + kl.sum(), None, 1),
}


def effective_beta_by_autograd(name):
    """Scale the loss until its gradient in the output is that of -log p(x | z); read beta."""
    loss_of, variance, batch = LOSSES[name]
    torch.manual_seed(0)
    x, output = torch.rand(batch, 784).double(), torch.randn(batch, 784).double().requires_grad_()
    mean = torch.randn(batch, 20).double().requires_grad_()
    bce = F.binary_cross_entropy_with_logits(output, x, reduction="none")
    loss = loss_of(bce, (x - output) ** 2, 0.5 * mean**2)
    log_likelihood = -bce.sum()
    if variance is not None:
        log_likelihood = Normal(output, math.sqrt(variance)).log_prob(x).sum()
    wanted = torch.autograd.grad(-log_likelihood, output, retain_graph=True)[0]
    got, got_kl = torch.autograd.grad(loss, [output, mean])
    factor = (wanted / got).flatten()
    assert torch.allclose(factor, factor[0])
    ratio = factor[0] * (got_kl / mean.detach()).flatten()  # the KL's gradient is the mean
    assert torch.allclose(ratio, ratio[0])
    return ratio[0].item()


def bound_by_torch(log_w):
    return torch.logsumexp(log_w, dim=0) - math.log(log_w.shape[0])


def bound_by_shifting(log_w):
    top = log_w.max(dim=0).values
    return top + (log_w - top).exp().mean(dim=0).log()


def bound_by_softplus(log_w):
    """Add the weights one by one: log(e^a + e^b) = logaddexp(a, b)."""
    total = log_w[0]
    for row in log_w[1:]:
        total = torch.logaddexp(total, row)
    return total - torch.log(torch.tensor(len(log_w)))


def bound_in_decimals(log_w):
    """Exact arithmetic with exponents of any size; correct, but nothing to train with."""
    columns = [[Decimal(value).exp() for value in column] for column in log_w.T.tolist()]
    return [float((sum(column) / len(column)).ln()) for column in columns]


def shifted(log_w, by):
    return by + (log_w - by).exp().mean(0).log()


def loss_stub(log_likelihood, mean, log_var):
    std = log_var.exp()
    kl = 0.5 * (std**2 + mean**2 - 1) - std.log()
    return log_likelihood - kl.mean(dim=-1)


def loss_fixed(log_likelihood, mean, log_var):
    std = (0.5 * log_var).exp()
    kl = 0.5 * (std**2 + mean**2 - 1) - std.log()
    return kl.sum(dim=-1) - log_likelihood


def loss_with(sign=(-1, 1), use=0.5, reduce=torch.Tensor.sum):
    """The stub with only some of its faults repaired."""

    def loss(log_likelihood, mean, log_var):
        std = (use * log_var).exp()
        kl = 0.5 * (std**2 + mean**2 - 1) - std.log()
        return sign[0] * log_likelihood + sign[1] * reduce(kl, -1)

    return loss


RIGHT: dict = {}
WRONG: dict = {}
