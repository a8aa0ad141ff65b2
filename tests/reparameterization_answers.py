"""Answers to the exercises of chapter 2, right ones written in several ways.

The quantities behind the keys come from sums over a fine grid of the noise, not from our formulas.
"""

import math
import random
from itertools import product
from typing import NamedTuple

import torch
from torch import nn
from torch.distributions import Normal

NOISE = torch.linspace(-12, 12, 48_001, dtype=torch.float64)
DENSITY = torch.exp(-0.5 * NOISE**2) / math.sqrt(2 * math.pi)


def expect(values):
    """The expectation of values, given on the grid of standard normal noise."""
    return torch.trapezoid(values * DENSITY, NOISE)


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


class Estimates(NamedTuple):
    mean: torch.Tensor
    log_var: torch.Tensor


class Pathwise(nn.Module):
    def forward(self, f, mean, log_var, noise):
        arguments = (value.double() for value in (mean, log_var, noise))
        return Estimates(*pathwise_by_copies(f, *arguments))


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


def pathwise_from(second):
    """By the chain rule, with a wrong second part."""

    def pathwise(f, mean, log_var, noise):
        std = (log_var / 2).exp()
        z = (mean + std * noise).requires_grad_()
        (slope,) = torch.autograd.grad(f(z).sum(), z)
        return slope, second(slope, std, noise)

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


def baseline_by_masks(values, score):
    keep = 1.0 - torch.eye(len(values), dtype=torch.float64)
    weight = score.double() ** 2
    return (keep @ (values.double()[:, None] * weight)) / (keep @ weight)


def baseline_by_dropping(values, score):
    rows = []
    for s in range(len(values)):
        f = torch.cat([values[:s], values[s + 1 :]])
        square = torch.cat([score[:s], score[s + 1 :]]).square()
        rows.append((f @ square) / square.sum(dim=0))
    return torch.stack(rows)


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


def trick_stub(mean, log_var):
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


def coin_by_softmax(logits, noise, temperature):
    """Two categories in float64, as in the Gumbel-softmax; the values by Python."""
    scores = logits.double() - torch.log(noise / (1 - noise)).double()
    pair = torch.stack([0 * scores, scores], -1) / temperature
    soft = pair.softmax(-1)[..., 1]
    hard = torch.tensor([[float(each > 0) for each in row] for row in scores.tolist()])
    return hard - soft.detach() + soft


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


def move_by_logsumexp(z, weights, means, stds):
    square = ((z.double()[:, None] - means.double()) / stds.double()) ** 2
    log_joint = torch.log(weights) - torch.log(stds) - 0.5 * square
    return torch.exp(log_joint - torch.logsumexp(log_joint, dim=1, keepdim=True))


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
