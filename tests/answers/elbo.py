"""Answers to the exercises of chapter 1: right ones in several styles, wrong ones, and integrals.

The integrals use no closed form: they are sums over a fine grid of z.
"""

import math
from decimal import Decimal
from fractions import Fraction

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


def kl_by_integral():
    q, p = normal(1.0, 2.0).log_prob(GRID), normal(0.0, 1.0).log_prob(GRID)
    return integrate(q.exp() * (q - p))


# --- 1.2 -----------------------------------------------------------------------------------


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


class KlModule(nn.Module):
    def forward(self, mean_q, log_var_q, mean_p, log_var_p):
        return kl_closed(mean_q, log_var_q, mean_p, log_var_p)


def kl_with_std(a, b, c, d):
    """A learner who thinks in standard deviations and never squares them."""
    q, p = (b / 2).exp(), (d / 2).exp()
    return 0.5 * (p.log() - q.log() + (q + (a - c) ** 2) / p - 1).sum(-1)


def kl_in_numpy(*arguments):
    return torch.from_numpy(kl_closed(*(torch.from_numpy(a.numpy()) for a in arguments)).numpy())


# --- 1.3 and 1.4 ---------------------------------------------------------------------------


def elbo_closed(x, mean, var, weight, noise_var):
    error = (x - weight * mean) ** 2 + weight**2 * var
    likelihood = -0.5 * math.log(2 * math.pi * noise_var) - error / (2 * noise_var)
    return likelihood - 0.5 * (var + mean**2 - 1 - math.log(var))


def elbo_from_the_gap(x, mean, var, weight, noise_var):
    post = Normal(
        weight * x / (noise_var + weight**2), (noise_var / (noise_var + weight**2)) ** 0.5
    )
    evidence = Normal(torch.zeros_like(x), (weight**2 + noise_var).sqrt()).log_prob(x)
    return evidence - kl_divergence(Normal(mean, var.sqrt()), post)


def elbo_by_samples(generator=None):
    def elbo(x, mean, var, weight, noise_var):
        q, prior = Normal(mean, var.sqrt()), normal(0.0, 1.0)
        z = mean + var.sqrt() * torch.randn(100_000, generator=generator() if generator else None)
        return Normal(weight * z, noise_var.sqrt()).log_prob(x).mean() - kl_divergence(q, prior)

    return elbo


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


# --- 1.5 -----------------------------------------------------------------------------------

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


# --- 1.6 and 1.7 ---------------------------------------------------------------------------


def loss_of_the_text(log_likelihood, mean, log_var):
    std = log_var.exp()
    kl = 0.5 * (std**2 + mean**2 - 1) - std.log()
    return log_likelihood - kl.mean(dim=-1)


def loss_fixed(log_likelihood, mean, log_var):
    std = (0.5 * log_var).exp()
    kl = 0.5 * (std**2 + mean**2 - 1) - std.log()
    return kl.sum(dim=-1) - log_likelihood


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


def shifted_by_row(row):
    return lambda log_w: shifted(log_w, log_w[row if len(log_w) > 1 else 0])


FIXED_ROW = "not by the mean, the median, the first or the last"
HIDDEN = "A small number added, or a clamp, hides the infinity but not the error."

# What the text begins with.
STUBS = {"elbo.fix_the_loss": [loss_of_the_text]}

RIGHT = {
    "elbo.kl_by_hand": [
        kl_by_integral(),
        2 - math.log(2),
        1.306,
        np.float32(1.307),
        Fraction(131, 100),
        torch.tensor([1.307], requires_grad=True),
    ],
    "elbo.kl": [
        kl_closed,
        kl_by_torch,
        kl_in_a_loop,
        lambda *a: kl_closed(*[v.double() for v in a]),
        KlModule(),
    ],
    "elbo.linear_gaussian": [
        lambda *a: grid_elbo(*(float(value) for value in a)),
        elbo_from_the_gap,
        lambda *a: float(elbo_closed(*a)),
        lambda *a: [elbo_closed(*a)],
    ],
    "elbo.optimal_q": [q_from_a_grid, q_by_completing_the_square, q_closed],
    "elbo.effective_beta": [{letter: effective_beta_by_autograd(letter) for letter in "abcd"}],
    "elbo.fix_the_loss": [
        loss_fixed,
        lambda ll, m, v: kl_divergence(Normal(m, v.exp().sqrt()), Normal(0.0, 1.0)).sum(-1) - ll,
    ],
    "elbo.iw_bound": [
        bound_by_torch,
        bound_by_shifting,
        bound_by_softplus,
        lambda log_w: log_w[0] - log_w.log_softmax(0)[0] - math.log(len(log_w)),
        lambda log_w: log_w.mean(0) + bound_by_torch(log_w - log_w.mean(0)),
    ],
}

# Written as a learner would, not taken from the check: each with a part of its hint.
WRONG = {
    "elbo.kl_by_hand": [
        (-0.4, "A KL divergence is never negative."),
        (1.3, "two decimals"),
        (1.32, "Close, but not a rounding"),
        (17.0, "expand the squares"),
        ("1.307", "without quotes"),
        (lambda: 1.307, "a function"),
    ],
    "elbo.kl": [
        (lambda *a: kl_closed(*a) / a[0].shape[-1], "averaged the KL over the latent dimensions"),
        (lambda a, b, c, d: kl_closed(c, d, a, b), "KL(p || q)"),
        (lambda a, b, c, d: kl_closed(a, 2 * b, c, 2 * d), "It is the variance already"),
        (lambda a, b, c, d: kl_closed(a, b.log(), c, d.log()), "as if it were the variance"),
        (lambda a, b, c, d: kl_closed(a, b, c, 0 * d), "left p's variance out"),
        (lambda a, b, c, d: kl_closed(a, b, c, d) - d.sum(1) / 2, "left p's variance out"),
        (lambda a, b, c, d: kl_closed(a, b, 0 * c, d), "left out p's mean"),
        (kl_with_std, "the standard deviation where the formula wants the variance"),
        (
            lambda a, b, c, d: 0.5 * ((b.exp() + (a - c) ** 2) / d.exp() - 1).sum(-1),
            "left out the logarithm",
        ),
        (
            lambda a, b, c, d: (0.5 * (d - b) + (b.exp() + (a - c) ** 2) / d.exp() - 1).sum(-1),
            "yours only a part",
        ),
        (lambda a, b, c, d: kl_closed(a, b.abs(), c, d.abs()), "negative log-variances"),
        (lambda a, b, c, d: kl_closed(a, b.detach(), c, d), "Is there a `.detach()`"),
        (torch.no_grad()(kl_closed), "no gradient"),
        (kl_in_numpy, "a step is NumPy's or math's"),
        (lambda *a: kl_closed(*a)[:, None] + 0 * kl_closed(*a), "(4, 4); it should be (4,). Sh"),
        (lambda *a: 3 * kl_closed(*a), "3 times"),
        (lambda *a: kl_closed(*a) + 0.25, "same amount, +0.25"),
        (lambda *a: kl_closed(*a).round().int(), "whole numbers"),
        (lambda *a: kl_closed(*[v.bfloat16() for v in a]), "too coarse"),
        (lambda *a: kl_closed(*a) > 0, "real numbers"),
        (lambda *a: kl_closed(*a).tolist(), "no gradient passes"),
    ],
    "elbo.linear_gaussian": [
        (
            lambda x, m, v, w, s: elbo_closed(x, m, v, w, s) + w**2 * v / 2 / s,
            "Compare the numbers 9 and 11 in the text",
        ),
        (
            lambda x, m, v, w, s: elbo_closed(x, m, v, w, s) - math.log(v) / 2,
            "the logarithm is missing",
        ),
        (elbo_by_samples(), "so it gives another number each time"),
        (elbo_by_samples(lambda: torch.manual_seed(0)), "so it gives another number each time"),
        (
            elbo_by_samples(lambda: torch.Generator().manual_seed(0)),
            "an average over samples would be",
        ),
        (
            lambda *a: elbo_closed(*a) + 0.1,
            "There E_q[log p(x | z)] is ",
            "Which of your two terms differs?",
        ),
    ],
    "elbo.optimal_q": [
        (lambda x, w, s: (x / w, s / (s + w**2)), "Your mean is x / weight"),
        (lambda x, w, s: (x / w, s / w**2), "You left out the prior"),
        (lambda x, w, s: x, "Return 2 results, in this order: the mean, the variance."),
        (lambda x, w, s: (..., s / (s + w**2)), "still the placeholder"),
        (lambda x, w, s: (q_closed(x, w, s)[0], 0.1), "the variance is", "The mean is right."),
    ],
    "elbo.fix_the_loss": [
        (
            lambda *a: -loss_of_the_text(*a),
            "2 faults left",
            "how the dimensions are reduced",
            "what `exp(log_var)` is",
        ),
        (
            lambda ll, m, v: loss_fixed(0 * ll, m, v)[:, None] - ll,
            "Shapes (4, 1) and (4,) together make (4, 4)",
        ),
        (lambda ll, m, v: loss_fixed(ll.detach(), m, v), "with respect to `log_likelihood`"),
        (lambda ll, m, v: loss_fixed(ll, m, v.abs()), "differs"),
        (lambda ll, m, v: loss_fixed(ll, m, v) + v.sum(1) / 2, "left out the logarithm"),
        (lambda ll, m, v: loss_fixed(0 * ll, m, v), "log-likelihood is missing"),
        (lambda ll, m, v: loss_fixed(ll, m, 4 * v), "1 fault left", "what a root does"),
        (lambda ll, m, v: loss_fixed(ll, m, v) - 1.5 * v.sum(1), "what a root does"),
    ],
    "elbo.iw_bound": [
        (bound_in_decimals, "no gradient"),  # its values are right
        (lambda log_w: log_w.mean(0), "the ELBO again"),
        (lambda log_w: log_w.exp().mean(0).log(), "near -2000"),
        (lambda log_w: shifted(log_w, log_w.mean(0)), FIXED_ROW),
        (lambda log_w: shifted(log_w, log_w.max()), "all by the same"),
        (lambda log_w: shifted(log_w, log_w.clamp(max=0)[0]), "near +2000"),
        *(
            (lambda log_w, at=at: shifted(log_w, log_w.quantile(at, 0)), FIXED_ROW)
            for at in (0.4, 0.5, 0.6, 0.8)
        ),
        (lambda log_w: log_w.logsumexp(0) + math.log(log_w.shape[1]), "number of examples, B"),
        (lambda log_w: log_w.logsumexp(1) + math.log(log_w.shape[1]), "reduced over the batch"),
        (lambda log_w: log_w.max(dim=0), "gives values and positions; take `.values`."),
        (lambda log_w: bound_by_torch(log_w).detach() + 0 * log_w.sum(0), "the gradient differs"),
        *((shifted_by_row(row), FIXED_ROW) for row in range(-6, 6)),
        (lambda log_w: (log_w.exp().mean(0) + 1e-30).log(), "near -2000 the result is far off"),
        (lambda log_w: (log_w.exp().mean(0) + 1e-8).log(), HIDDEN),
        (lambda log_w: log_w.exp().mean(0).clamp(min=1e-8).log(), HIDDEN),
        (lambda log_w: bound_by_torch(log_w.clamp(-80, 80)), HIDDEN),
    ],
}
