"""Answers to the exercises of chapter 2: right ones in several styles, and wrong ones.

The quantities behind the keys come from sums over a fine grid of the noise, not from our formulas.
"""

import math
import random
from fractions import Fraction
from itertools import product

import numpy as np
import torch
from torch.distributions import Laplace, Normal

NOISE = torch.linspace(-12, 12, 48_001, dtype=torch.float64)
DENSITY = torch.exp(-0.5 * NOISE**2) / math.sqrt(2 * math.pi)


def expect(values):
    """The expectation of values, given on the grid of standard normal noise."""
    return torch.trapezoid(values * DENSITY, NOISE)


def numbers_by_autograd():
    """The six numbers, with autograd for the derivatives and a grid for the expectations."""
    leaves = torch.tensor([-1.0, np.log(0.25)], dtype=torch.float64, requires_grad=True)
    mean, log_var = leaves
    z = mean + (log_var / 2).exp() * -2.0
    path = torch.autograd.grad(z**3, leaves, retain_graph=True)[0]
    fixed = z.detach()
    log_q = Normal(mean, (log_var / 2).exp()).log_prob(fixed)
    score = fixed**3 * torch.autograd.grad(log_q, leaves)[0]
    exact = torch.autograd.grad(expect((mean + (log_var / 2).exp() * NOISE) ** 3), leaves)[0]
    return torch.stack([score, path, exact]).T.flatten()[[0, 1, 3, 4, 2, 5]].tolist()


# --- the estimators ------------------------------------------------------------------------


def pathwise_by_chain_rule(f, mean, log_var, noise):
    shift = (log_var / 2).exp() * noise
    z = (mean + shift).detach().requires_grad_()
    (slope,) = torch.autograd.grad(f(z).sum(), z)
    return [slope, slope * shift / 2]


def pathwise_by_copies(f, mean, log_var, noise):
    mean = mean.expand_as(noise).clone().requires_grad_()
    log_var = log_var.repeat(len(noise), 1).requires_grad_()
    f(mean + log_var.exp().sqrt() * noise).sum().backward()
    return mean.grad, log_var.grad


def pathwise_one_by_one(f, mean, log_var, noise):
    """One backward pass for each sample; the shared leaves are the arguments themselves."""
    mean.requires_grad_()
    log_var.requires_grad_()
    rows = []
    for row in noise:
        value = f(mean + (0.5 * log_var).exp() * row)
        rows.append(torch.stack(torch.autograd.grad(value, [mean, log_var])))
    return torch.stack(rows, dim=1)  # (2, S, D)


def pathwise_by_differences(f, mean, log_var, noise):
    """Central differences in float64: no autograd at all."""
    mean, log_var, noise = mean.double(), log_var.double(), noise.double()
    parts = torch.zeros(2, *noise.shape, dtype=torch.float64)
    for d, part, sign in product(range(len(mean)), range(2), (1, -1)):
        moved = [mean.clone(), log_var.clone()]
        moved[part][d] += sign * 1e-5
        parts[part, :, d] += sign * f(moved[0] + (moved[1] / 2).exp() * noise) / 2e-5
    return tuple(parts)


def pathwise_by_vmap(f, mean, log_var, noise):
    def one(mean, log_var, noise):
        return f(mean + torch.exp(0.5 * log_var) * noise)

    by = torch.func.vmap(torch.func.grad(one, argnums=(0, 1)), in_dims=(None, None, 0))
    return dict(zip(("mean", "log_var"), by(mean, log_var, noise), strict=True))


def pathwise_averaged(f, mean, log_var, noise):
    """What the chapter's function returns."""
    mean, log_var = mean.detach().requires_grad_(), log_var.detach().requires_grad_()
    return torch.autograd.grad(f(mean + (log_var / 2).exp() * noise).mean(), [mean, log_var])


def pathwise_with(sigma=lambda log_var: (log_var / 2).exp(), end=lambda each: each):
    """By autograd, sample by sample, with one thing wrong."""

    def pathwise(f, mean, log_var, noise):
        mean = mean.expand_as(noise).detach().clone().requires_grad_()
        log_var = log_var.expand_as(noise).detach().clone().requires_grad_()
        value = f(mean + sigma(log_var) * noise).sum()
        return tuple(end(each) for each in torch.autograd.grad(value, [mean, log_var]))

    return pathwise


def score_by_formula(f, mean, log_var, noise):
    std = (log_var / 2).exp()
    values = f(mean + std * noise)[:, None]
    return values * noise / std, values * (noise**2 - 1) / 2


def score_by_autograd(f, mean, log_var, noise, attached=False):
    mean = mean.expand_as(noise).clone().requires_grad_()
    log_var = log_var.expand_as(noise).clone().requires_grad_()
    std = (log_var / 2).exp()
    z = mean + std * noise
    z = z if attached else z.detach()
    surrogate = (f(z) * Normal(mean, std).log_prob(z).sum(-1)).sum()
    return torch.autograd.grad(surrogate, [mean, log_var])


def score_in_a_loop(f, mean, log_var, noise):
    parts = [[], []]
    for row in noise:
        value = float(f(mean + torch.sqrt(torch.exp(log_var)) * row))
        stds = [math.exp(each / 2) for each in log_var.tolist()]
        parts[0].append([value * e / s for e, s in zip(row.tolist(), stds, strict=True)])
        parts[1].append([value * 0.5 * (e**2 - 1) for e in row.tolist()])
    return parts


def score_in_float64(f, mean, log_var, noise):
    """One backward pass for each sample, on the log-density written out."""
    mean, log_var = mean.double().requires_grad_(), log_var.double().requires_grad_()
    rows = []
    for row in noise.double():
        z = (mean + (log_var / 2).exp() * row).detach()
        log_q = (-log_var / 2 - (z - mean) ** 2 / (2 * log_var.exp())).sum()
        rows.append(torch.stack(torch.autograd.grad(f(z[None])[0] * log_q, [mean, log_var])))
    return torch.stack(rows, 1)


def score_with(by_mean=None, by_log_var=None, end=lambda each: each):
    """By the formula, with a wrong score (a function of the noise and the std) or end."""

    def score_function(f, mean, log_var, noise):
        std = (log_var / 2).exp()
        values = f(mean + std * noise)[:, None]
        first = by_mean(noise, std) if by_mean else noise / std
        second = by_log_var(noise, std) if by_log_var else (noise**2 - 1) / 2
        return end(values * first), end(values * second)

    return score_function


# --- the baseline --------------------------------------------------------------------------


def baseline_by_sums(values, score):
    weight = score**2
    weighted = values[:, None] * weight
    return (weighted.sum(0) - weighted) / (weight.sum(0) - weight)


def baseline_by_search(values, score):
    """The minimum over b of the sum of (f - b)² s² over the others, from three points."""
    f, square = values.double()[:, None], score.double() ** 2
    costs = []
    for b in (-1.0, 0.0, 1.0):
        each = (f - b) ** 2 * square
        costs.append(each.sum(0) - each)
    return (costs[0] - costs[2]) / (2 * (costs[0] + costs[2] - 2 * costs[1]))


def baseline_in_loops(values, score):
    """Every pair of samples and every score by itself, by indexing tensors: slow, and right."""
    size, n_scores = score.shape
    result = torch.zeros(size, n_scores)
    for s in range(size):
        for d in range(n_scores):
            top, bottom = 0.0, 0.0
            for other in range(size):
                if other != s:
                    top = top + values[other] * score[other, d] ** 2
                    bottom = bottom + score[other, d] ** 2
            result[s, d] = top / bottom
    return result


def baseline_of_all(values, score):
    """The best baseline from all samples, each one's own included; (D,)."""
    return (values @ score**2) / (score**2).sum(0)


# --- the broken trick ----------------------------------------------------------------------


def trick_of_the_text(mean, log_var):
    std = (log_var / 2).exp()
    with torch.no_grad():
        z = mean + std * torch.rand_like(std)
    square = (z - mean) ** 2 / std
    log_q = -0.5 * (math.log(2 * math.pi) + std.log() + square)
    return z, log_q.sum(dim=-1)


def trick_fixed(mean, log_var):
    std = (log_var / 2).exp()
    z = mean + std * torch.randn_like(std)
    log_q = -0.5 * (math.log(2 * math.pi) + log_var + (z - mean) ** 2 / std**2)
    return z, log_q.sum(dim=-1)


def trick_by_torch(mean, log_var):
    q = Normal(mean, (0.5 * log_var).exp())
    z = q.rsample()
    return [z, q.log_prob(z).sum(1)]


def trick_by_noise(mean, log_var):
    """In float64, from uniform numbers by Box and Muller; the density from the noise."""
    u, v = torch.rand(2, *mean.shape, dtype=torch.float64).clamp_min(1e-300)
    noise = torch.sqrt(-2 * u.log()) * torch.cos(2 * math.pi * v)
    log_q = -0.5 * (noise**2 + math.log(2 * math.pi) + log_var.double())
    return mean.double() + (log_var.double() / 2).exp() * noise, torch.einsum("bd->b", log_q)


def trick_in_a_loop(mean, log_var):
    noise = torch.tensor([[random.gauss(0, 1) for _ in row] for row in mean])
    z = mean - torch.exp(log_var).sqrt() * noise  # minus is as good: the noise is symmetric
    return z, torch.distributions.Independent(Normal(mean, log_var.exp().sqrt()), 1).log_prob(z)


def trick_by_examples(mean, log_var):
    """One example after the other."""
    z, log_q = [], []
    for row, log_var_row in zip(mean, log_var, strict=True):
        std = torch.exp(log_var_row / 2)
        z.append(row + std * torch.randn(len(row)))
        terms = [
            -0.5 * math.log(2 * math.pi)
            - torch.log(std[d])
            - ((z[-1][d] - row[d]) / std[d]) ** 2 / 2
            for d in range(len(row))
        ]
        log_q.append(sum(terms))
    return torch.stack(z), torch.stack(log_q)


def trick_with(noise=torch.randn_like, graph=True, density=2, scale=0.5):
    """The stub with only some of its faults repaired, or with a new one."""

    def sample(mean, log_var):
        std = (log_var / 2).exp()
        z = mean + (scale * log_var).exp() * noise(std)
        z = z if graph else z.detach()
        square = (z - mean) ** 2 / std**density
        log_q = -0.5 * (math.log(2 * math.pi) + density * std.log() + square)
        return z, log_q.sum(dim=-1)

    return sample


# --- straight-through ----------------------------------------------------------------------


def coin_added(logits, noise, temperature):
    soft = torch.sigmoid((logits - torch.logit(noise)) / temperature)
    return soft + ((noise < torch.sigmoid(logits)).float() - soft).detach()


class _Coin(torch.autograd.Function):
    @staticmethod
    def forward(ctx, scores, temperature):
        ctx.save_for_backward(torch.sigmoid(scores / temperature))
        ctx.temperature = temperature
        return (scores > 0).to(scores.dtype)

    @staticmethod
    def backward(ctx, pull):
        (soft,) = ctx.saved_tensors
        return pull * soft * (1 - soft) / ctx.temperature, None


def coin_by_function(logits, noise, temperature):
    return _Coin.apply(logits + torch.log1p(-noise) - torch.log(noise), temperature)


def coin_with(hard=None, soft=None, scale=1.0):
    """A straight-through coin with one thing wrong; functions of logit, noise, temperature."""

    def coin(logits, noise, temperature):
        z = hard(logits, noise, temperature) if hard else noise < logits.sigmoid()
        scores = soft if soft else lambda a, u, t: (a - u.logit()) / t
        smooth = scale * scores(logits, noise, temperature).sigmoid()
        return z.float() + smooth - smooth.detach()

    return coin


# --- the mixture ---------------------------------------------------------------------------


def move_by_softmax(z, weights, means, stds):
    return (weights.log() + Normal(means, stds).log_prob(z[:, None])).softmax(-1)


def move_in_a_loop(z, weights, means, stds):
    rows = []
    for value in z.tolist():
        parts = list(zip(weights.tolist(), means.tolist(), stds.tolist(), strict=True))
        logs = [math.log(w / s) - ((value - m) / s) ** 2 / 2 for w, m, s in parts]
        shares = [math.exp(each - max(logs)) for each in logs]
        rows.append([share / sum(shares) for share in shares])
    return rows


def joint_density(z, weights, means, stds):
    return weights * Normal(means, stds).log_prob(z[:, None]).exp()


# --- all of them ---------------------------------------------------------------------------


def own_noise(f, mean, log_var, noise):
    return pathwise_by_copies(f, mean, log_var, torch.randn_like(noise))


def pathwise_without_a_path(f, mean, log_var, noise):
    mean.requires_grad_()
    z = (mean + (log_var / 2).exp() * noise).detach()
    return torch.autograd.grad(f(z).mean(), [mean, log_var])


def score_of_f(change):
    """The score-function estimate with the values of f (S,) changed."""
    return lambda f, m, v, e: score_by_formula(lambda z: change(f(z)), m, v, e)


def f_attached(f, mean, log_var, noise):
    """z is held fixed in log q, but f is differentiated."""
    mean = mean.expand_as(noise).clone().requires_grad_()
    log_var = log_var.expand_as(noise).clone().requires_grad_()
    z = mean + (log_var / 2).exp() * noise
    log_q = Normal(mean, (log_var / 2).exp()).log_prob(z.detach()).sum(-1)
    return torch.autograd.grad((f(z) * log_q).sum(), [mean, log_var])


def off(answer):
    return lambda *a: tuple(part + 0.3 * a[3] for part in answer(*a))


def standardized(f, mean, log_var, noise):
    noise = noise if len(noise) > 1 else noise / noise.std()
    return pathwise_by_copies(f, mean, log_var, noise)


def leave_one_out(f):
    return ((f.sum() - f) / (len(f) - 1))[:, None]


def trick_changed(z=lambda z, mean, log_var: z, log_q=lambda log_q, *_: log_q):
    """The right sample with its z, or its log q(z), changed afterwards."""

    def sample(mean, log_var):
        value, density = trick_fixed(mean, log_var)
        return z(value, mean, log_var), log_q(density, value, mean, log_var)

    return sample


def paired(like, sign, dim):
    """Noise that comes twice, perhaps with the other sign: in halves, or one after the other."""
    half = torch.randn(len(like) // 2, 2)
    return (
        torch.stack([half, sign * half], dim % 2).flatten(0, 1)
        if dim < 2
        else torch.cat([half, sign * half])
    )


def density_of(z, mean, log_var, *, detach=False):
    z = z.detach() if detach else z
    return Normal(mean, (log_var / 2).exp()).log_prob(z)


def trick_from(z_of):
    """A sample from a formula for z; the density is right."""

    def sample(mean, log_var):
        z = z_of(mean, (log_var / 2).exp())
        return z, density_of(z, mean, log_var).sum(-1)

    return sample


def no_path_for_log_var(mean, log_var):
    z = mean + (log_var.detach() / 2).exp() * torch.randn_like(mean)
    return z, density_of(z, mean, log_var).sum(-1)


def seeded_inside(mean, log_var):
    generator = torch.Generator().manual_seed(0)
    return trick_with(lambda s: torch.randn(s.shape, generator=generator))(mean, log_var)


def seeded_globally(mean, log_var):
    torch.manual_seed(3)
    return trick_fixed(mean, log_var)


def coin_cut(margin, inside=False):
    """Noise that is cut off everywhere, or in the soft coin only."""

    def coin(logits, noise, temperature):
        cut = noise.clamp(margin, 1 - margin)
        soft = torch.sigmoid((logits - cut.logit()) / temperature)
        hard = (noise if inside else cut) < logits.sigmoid()
        return hard.float() + soft - soft.detach()

    return coin


def coin_overflows(logits, noise, temperature):
    odds = logits.exp() * (1 - noise) / noise
    soft = odds ** (1 / temperature) / (1 + odds ** (1 / temperature))
    return (soft > 0.5).float() + soft - soft.detach()


def coin_without_detach(logits, noise, temperature):
    soft = torch.sigmoid((logits - noise.logit()) / temperature)
    return (noise < logits.sigmoid()).float() + soft - soft


def shares(joint):
    return joint / joint.sum(1, keepdim=True)


def nearest_far_out(z, weights, means, stds):
    found = shares(joint_density(z, weights, means, stds))
    nearest = torch.eye(len(means))[(z[:, None] - means).abs().argmin(1)]
    return torch.where(found.isnan(), nearest, found)


SIX = dict(zip("abcdef", numbers_by_autograd(), strict=True))
LOST = "the information is lost before you divide"

STUBS = {"reparameterization.fix_the_trick": [trick_of_the_text]}

RIGHT = {
    "reparameterization.by_hand": [
        SIX,
        [32, 12, -12, -6, Fraction(15, 4), Fraction(-3, 4)],
        {"(A)": 32, "B": 12.0, "c": -12, "d": np.float32(-6), "e": 3.75, "F": -0.75},
    ],
    "reparameterization.pathwise": [
        pathwise_by_chain_rule,
        pathwise_by_copies,
        pathwise_one_by_one,
        pathwise_by_differences,
        pathwise_by_vmap,
    ],
    "reparameterization.score_function": [
        score_by_formula,
        score_by_autograd,
        score_in_a_loop,
        score_in_float64,
    ],
    "reparameterization.baseline": [
        baseline_by_sums,
        baseline_by_search,
        baseline_in_loops,
        lambda f, s: baseline_by_sums(f, s).tolist(),
    ],
    "reparameterization.fix_the_trick": [
        trick_fixed,
        trick_by_torch,
        trick_by_noise,
        trick_in_a_loop,
        trick_by_examples,
    ],
    "reparameterization.straight_through": [
        coin_added,
        coin_by_function,
        coin_with(),
        lambda a, u, t: coin_added(a, u.clamp(1e-6, 1 - 1e-6), t),
    ],
    "reparameterization.implicit": [move_by_softmax, move_in_a_loop],
}

# Written as a learner would, not taken from the check: each with a part of its hint.
WRONG = {
    "reparameterization.by_hand": [
        ({**SIX, "a": 27}, "5 of 6", "- (a) v is the variance"),
        ({**SIX, "c": -24}, "- (c) a one half is missing"),
        ({**SIX, "e": 12.75}, "12.75 is not it. No draw enters here"),
        ([12, 32, -6, -12, 3.75, -0.75], "2 of 6", "- (a)", "- (b)", "- (c)", "- (d)"),
    ],
    "reparameterization.pathwise": [
        (pathwise_with(torch.exp), "`exp(log_var)` as the standard deviation"),
        (lambda f, m, v, e: pathwise_by_copies(f, m, v, e[:1].expand_as(e)), "One draw of the"),
        (lambda f, m, v, e: pathwise_by_copies(f, m, v, 0 * e), "Differentiate it at each"),
        (pathwise_with(lambda v: (v / 2).exp().detach() + 0 * v), "Does z depend on `log_var`"),
        (lambda *a: [0 * pathwise_by_copies(*a)[0], pathwise_by_copies(*a)[1]], "for `mean` is z"),
        (pathwise_averaged, "the average over the samples. Return the estimate"),
        (pathwise_with(end=lambda each: each / len(each)), "something is averaged"),
        (pathwise_without_a_path, "torch finds no way from f(z) back to your parameters"),
        (pathwise_with(torch.nn.functional.softplus), "through a softplus"),
        (pathwise_with(lambda v: (-v / 2).exp()), "divided the noise"),
        (lambda f, m, v, e: pathwise_by_copies(f, 0 * m, v, e), "the mean is not added"),
        (own_noise, "draw none of your own"),
        (lambda *a: pathwise_by_copies(*a)[0], "Return 2 results, in this order: the estimate"),
        (lambda *a: (pathwise_by_copies(*a)[0], None), "until `backward()`"),
        (lambda f, m, v, e: pathwise_by_copies(f, m, v, e + 1), "The first sample z should be"),
        (off(pathwise_by_chain_rule), "Your z is right; the slip is after it."),
        (off(lambda *a: tuple(pathwise_by_vmap(*a).values())), "z should be"),
        (lambda f, m, v, e: (e, 0.7 * e), "Is yours?"),
        (pathwise_with(end=lambda each: each[:, :, None]), "axis of size 1"),
        (lambda f, m, v, e: (m.log() * e, v * e), "the estimate for `mean` holds NaN at entry"),
        (standardized, "With S = 1"),
    ],
    "reparameterization.score_function": [
        (pathwise_by_copies, "This is the pathwise estimate"),
        (lambda *a: score_by_autograd(*a, attached=True), "through z as well. In the score z is"),
        (lambda f, *a: score_by_autograd(lambda z: f(z.detach()), *a, attached=True),
         "through z as well. In the score z is"),
        (f_attached, "f was differentiated through z as well"),
        (lambda f, *a: f_attached(lambda z: f(z) if z.requires_grad else 1 / 0, *a), "f was diff"),
        (score_of_f(lambda f: f - f.mean()), "holds the sample's own f(z)"),
        (score_of_f(lambda f: f - leave_one_out(f)[:, 0]), "the plain estimate is asked for"),
        (score_of_f(lambda f: f.mean().expand_as(f)), "of its own sample"),
        (lambda f, m, v, e: score_by_autograd(lambda z: f(z) / len(z), m, v, e), "averaged over"),
        (score_with(None, lambda e, s: (e**2 + 1) / 2), "a sign is wrong"),
        (score_with(None, lambda e, s: (e.abs() - 1) / 2), "the distance enters squared"),
        (score_of_f(lambda f: (f - f.mean()) / f.std()), "divided f by its spread"),
        (score_with(None, lambda e, s: e**2 - 1), "lacks a one half"),
        (lambda f, m, v, e: score_by_formula(f, m, v, torch.randn_like(e)), "none of your own"),
        (lambda f, m, v, e: score_by_formula(f, m, v, -e), "The first sample z should be"),
        (off(score_by_formula), "Your z is right"),
    ],
    "reparameterization.baseline": [
        (baseline_of_all, "Each sample is in its own baseline"),
        (lambda f, s: leave_one_out(f).expand_as(s), "the mean of f over the others"),
        (lambda f, s: 1 / baseline_by_sums(f, s), "upside down"),
        (lambda f, s: f[:, None].expand_as(s), "the sample's own f"),
        (lambda f, s: baseline_by_sums(f, s) / (len(f) - 1), "an average"),
        (lambda f, s: baseline_by_sums(f, s)[:, :1], "shape (10, 1)"),
        (lambda f, s: baseline_by_sums(f, s) + 1, "Every entry is off by the same amount"),
        (lambda f, s: baseline_by_sums(f, s) if len(f) < 20 else 0 * s + f.mean(), "f(z) = exp(z)"),
        (lambda f, s: baseline_by_sums(f, s) if len(f) > 2 else 0 * s, "With S = 2"),
    ],
    "reparameterization.fix_the_trick": [
        (trick_with(torch.rand_like), "1 fault left", "- the noise: how often"),
        (trick_with(lambda s: torch.randn_like(s).abs()), "- the noise: how often"),
        (trick_with(graph=False), "- the graph: what does autograd see"),
        (trick_from(lambda m, s: Normal(m, s).sample()), "- the graph: what does autograd see"),
        (trick_from(torch.normal), "- the graph: the gradient that arrives"),
        (trick_from(lambda m, s: (m + s * torch.randn_like(m)).detach().requires_grad_()),
         "- the graph: z asks for a gradient now"),
        (trick_with(torch.rand_like, False), "2 faults left"),
        (trick_with(density=1), "- log q(z): which of its terms"),
        (trick_with(lambda s: torch.rand_like(s) - 0.5), "has the variance 0.08"),
        (trick_with(lambda s: (torch.rand_like(s) - 0.5) * math.sqrt(12)), "it is not Gaussian"),
        (trick_with(lambda s: torch.randn_like(s).fmod(2.0)), "The noise"),
        (trick_with(lambda s: torch.randn_like(s).sign()), "it is not Gaussian"),
        (trick_with(lambda s: Laplace(0 * s, 0 * s + math.sqrt(0.5)).sample()), "not Gaussian"),
        *((trick_with(lambda s, at=at: torch.randn_like(s).clamp(-at, at)), "is cut off")
          for at in (1.0, 1.5, 2.0, 2.5, 2.8)),
        (trick_with(lambda s: torch.randn_like(s).clamp(max=2)), "is cut off"),
        *((trick_with(lambda s, sign=sign, dim=dim: paired(s, sign, dim)), "come twice")
          for sign in (1, -1) for dim in (0, 1, 2)),
        (trick_with(lambda s: torch.randn(len(s), 1) * torch.tensor([1.0, -1.0])), "come twice"),
        *((trick_with(lambda s, n=n: torch.randn(n)), "used more than once")
          for n in ((2,), (1500, 1), (1, 2), (), (1,))),
        (trick_with(torch.zeros_like), "the noise is gone"),
        (trick_with(lambda s: torch.randn_like(s) + 0.5), "has the mean 0.5"),
        (trick_with(scale=1.0), "multiply the noise by the variance"),
        (trick_with(scale=0.25), "by the root of the standard deviation"),
        (trick_with(scale=0.0), "does not depend on `log_var`"),
        (trick_with(scale=-0.5), "You divide the noise"),
        (trick_with(lambda s: 2 * s.log() / s * torch.randn_like(s)), "noise by `log_var`"),
        (trick_from(lambda m, s: m * torch.randn_like(m) + s), "have changed places"),
        (trick_from(lambda m, s: (m + torch.randn_like(m)) * s), "where is the parenthesis"),
        (trick_from(lambda m, s: 0 * m + s * torch.randn_like(m)), "the mean is not added"),
        (no_path_for_log_var, "z's gradient by `log_var`"),
        (trick_changed(log_q=lambda q, z, *a: density_of(z, *a, detach=True).sum(-1)), "total one"),
        (trick_changed(log_q=lambda q, *a: q.detach()), "no gradient passes through log q(z)"),
        (trick_changed(log_q=lambda q, *a: density_of(*a)), "sum over the last axis only"),
        (trick_changed(log_q=lambda q, *a: q - a[2].sum(1) / 2), "Whose logarithm is `log_var`"),
        (trick_changed(log_q=lambda q, *a: q / 2), "You averaged log q(z)"),
        (lambda m, v: (trick_fixed(m, v)[0], trick_of_the_text(m, v)[1]), "log q(z)"),
        (trick_with(density=4), "the variance already"),
        (trick_changed(log_q=lambda q, *a: -q), "sign of log q(z)"),
        (trick_changed(log_q=lambda q, *a: q.exp()), "not its logarithm"),
        (trick_changed(log_q=lambda q, *a: q + math.log(2 * math.pi)), "constant is missing"),
        (trick_changed(log_q=lambda q, *a: q[:, None]), "(1500, 1); it should be (1500,)"),
        (trick_changed(z=lambda z, *a: z[:, 0]), "z has shape (1500,)"),
        (trick_changed(z=lambda z, *a: z * math.nan), "NaN or infinity"),
        (lambda mean, log_var: trick_fixed(mean, log_var)[0], "Return 2 results"),
        (seeded_inside, "do not set a seed inside"),
        (seeded_globally, "do not set a seed inside"),
    ],
    "reparameterization.straight_through": [
        (lambda a, u, t: ((a - u.logit()) / t).sigmoid(), "This is the soft coin"),
        (coin_with(hard=lambda a, u, t: u > a.sigmoid()), "1 where u is smaller"),
        (lambda a, u, t: (u < a.sigmoid()).float(), "a comparison is flat"),
        (lambda a, u, t: coin_added(a, u, t).detach(), "a comparison is flat"),
        (lambda a, u, t: u < a.sigmoid(), "dtype `torch.bool`"),
        (coin_with(hard=lambda a, u, t: u < 0.5), "with one half"),
        (lambda a, u, t: (u < a.sigmoid()) * ((a - u.logit()) / t).sigmoid(), "You multiplied z"),
        (coin_without_detach, "so they cancel"),
        (coin_with(soft=lambda a, u, t: a), "that of the probability"),
        (coin_with(scale=0.5), "0.5 times what it should be"),
        *((coin_cut(margin, inside), "cut off")
          for margin in (0.1, 0.05, 0.01, 0.03) for inside in (False, True)),
        (coin_overflows, "With the logits 300 and -300, "),
    ],
    "reparameterization.implicit": [
        (lambda *a: -move_by_softmax(*a), "The sign is wrong"),
        (joint_density, "did not divide by q(z)"),
        (lambda *a: shares(joint_density(*a)), "at z = 90 the result is not finite"),
        (lambda *a: move_by_softmax(*a) / 2, "Every entry is 0.5 times"),
        (lambda *a: joint_density(*a) / (joint_density(*a).sum(1, True) + 1e-30), LOST),
        (lambda z, w, m, s: w * move_by_softmax(z, w, m, s), "The weights count twice"),
        (lambda z, w, m, s: (m - z[:, None]).abs().neg().softmax(1), "compared distances only"),
        (nearest_far_out, "At z = -90 you gave all to the nearest mean"),
        (lambda *a: shares(joint_density(*a)).nan_to_num(0.5), LOST),
        (lambda z, w, m, s: move_by_softmax(z, w / w, m, s), "You left out the weights"),
        (lambda z, w, m, s: (w + Normal(m, s).log_prob(z[:, None])).softmax(-1), "its logarithm"),
        (lambda *a: shares(joint_density(*a)).nan_to_num(), LOST),
        (lambda *a: joint_density(*a) / (joint_density(*a).sum(1, True) + 1e-12), LOST),
        (lambda *a: joint_density(*a) / joint_density(*a).sum(1, True).clamp_min(1e-12), LOST),
    ],
}  # fmt: skip
