"""Answers to the exercises of chapter 3, right ones written in several ways."""

import math

import numpy as np
import torch
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence
from torch.nn import functional as F

from companion import gaussian, likelihoods

# --- 3.1 -----------------------------------------------------------------------------------


def size_formula(n, kernel, stride, padding, output_padding, dilation):
    return (n - 1) * stride + dilation * (kernel - 1) + 1 - 2 * padding + output_padding


def size_by_a_layer(n, kernel, stride, padding, output_padding, dilation):
    layer = nn.ConvTranspose2d(
        1, 1, kernel, stride, padding, output_padding, dilation=dilation, bias=False
    )
    return torch.tensor(layer(torch.zeros(1, 1, n, n)).shape[-1])


def size_by_counting(n, kernel, stride, padding, output_padding, dilation):
    reached = {i * stride + j * dilation for i in range(n) for j in range(kernel)}
    return float(max(reached) + 1 + output_padding - 2 * padding)


def size_with(f):
    """A size that is a function of the arguments and the right one."""
    return lambda n, k, s, p, o, c: f(n, k, s, p, o, c, size_formula(n, k, s, p, o, c))


# --- 3.2 -----------------------------------------------------------------------------------


def require_binary(x):
    if not ((x == 0) | (x == 1)).all():
        raise ValueError("gray")


def kl_each(mean, log_var):
    return 0.5 * (log_var.exp() + mean**2 - 1 - log_var)


def loss_by_torch(logits, x, mean, log_var):
    # It refuses gray pixels itself. Said aloud: torch.compile switches the default off.
    likelihood = Bernoulli(logits=logits, validate_args=True).log_prob(x).sum()
    q = Normal(mean, (0.5 * log_var).exp())
    return (kl_divergence(q, Normal(0.0, 1.0)).sum() - likelihood) / len(x)


def loss_closed(logits, x, mean, log_var):
    require_binary(x)
    bce = F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / x.shape[0]
    return bce - 0.5 * (1 + log_var - mean**2 - log_var.exp()).sum(1).mean()


def loss_by_the_companion(logits, x, mean, log_var):
    log_likelihood = likelihoods.Bernoulli().log_prob(x, logits)
    return -(log_likelihood - gaussian.kl_to_standard(mean, log_var)).mean()


def loss_in_a_loop(logits, x, mean, log_var):
    if set(np.unique(x.numpy())) - {0.0, 1.0}:
        raise ValueError("gray")
    total = 0
    for row in range(len(x)):
        signs = 2 * x[row].double().flatten() - 1
        total = total - F.logsigmoid(signs * logits[row].double().flatten()).sum()
        for m, v in zip(mean[row], log_var[row], strict=True):
            total = total + (m**2 + v.exp() - v - 1) / 2
    return [total / len(x)][0].reshape(1)


def loss_with(reconstruction=None, kl=None, combine=None, guard=True):
    """A loss with one thing wrong."""
    reconstruction = reconstruction or (
        lambda logits, x: (
            F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)
        )
    )
    kl = kl or (lambda mean, log_var: kl_each(mean, log_var).sum(1))
    combine = combine or (lambda r, k: (r + k).mean())

    def loss(logits, x, mean, log_var):
        if guard:
            require_binary(x)
        return combine(reconstruction(logits, x), kl(mean, log_var))

    return loss


# --- 3.3 -----------------------------------------------------------------------------------


def active_by_var(mean, log_var, threshold):
    return mean.var(dim=0) > threshold


def active_in_numpy(mean, log_var, threshold):
    return mean.numpy().astype(np.float64).var(axis=0) > threshold


def active_by_moments(mean, log_var, threshold):
    mean = mean.double()
    return ((mean**2).mean(0) - mean.mean(0) ** 2 > threshold).int()


def active_in_a_loop(mean, log_var, threshold):
    return [bool(((u - u.mean()) ** 2).sum() / (len(u) - 1) > threshold) for u in mean.T]


# --- 3.4 -----------------------------------------------------------------------------------


def variances_closed(x, output, floor):
    mse = ((x - output) ** 2).mean(dim=0)
    var = mse.clamp(min=floor)
    return var, -0.5 * (torch.log(2 * math.pi * var) + mse / var).sum()


def variances_by_torch(x, output, floor):
    var = F.mse_loss(output, x, reduction="none").mean(0, keepdim=True)
    var = torch.maximum(var, torch.tensor(floor))
    return [var, Normal(output, var**0.5).log_prob(x).sum() / x.shape[0]]


def variances_in_numpy(x, output, floor):
    residual = (x - output).double().numpy().reshape(len(x), -1)
    var = np.maximum(np.mean(residual**2, axis=0), floor)
    each = -0.5 * (np.log(2 * np.pi * var) + residual**2 / var)
    return var, each.sum(1).mean()


def variances_by_search(x, output, floor):
    """Golden-section search of every pixel's log-variance, above the floor: no derivative."""
    mse = ((x - output).double() ** 2).mean(0)

    def value(log_var):
        return -log_var - mse * (-log_var).exp()

    low, high = torch.full_like(mse, math.log(floor)), torch.full_like(mse, 3.0)
    ratio = (5**0.5 - 1) / 2
    for _ in range(70):
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        left = value(a) > value(b)
        low, high = torch.where(left, low, a), torch.where(left, b, high)
    var = ((low + high) / 2).exp()
    return var, Normal(output.double(), var.sqrt()).log_prob(x.double()).flatten(1).sum(1).mean()


# --- 3.5 -----------------------------------------------------------------------------------


def path_closed(start, end, n):
    cosine = F.cosine_similarity(start, end, dim=-1).clamp(-1, 1)[:, None]
    angle = cosine.acos()
    t = torch.linspace(0, 1, n)[:, None, None]
    flat = angle < 1e-3
    safe = torch.where(flat, torch.ones_like(angle), angle)
    first = torch.where(flat, 1 - t, ((1 - t) * safe).sin() / safe.sin())
    second = torch.where(flat, t, (t * safe).sin() / safe.sin())
    return first * start + second * end


def path_in_a_loop(start, end, n):
    points = []
    for i in range(n):
        t, row = i / (n - 1), []
        for a, b in zip(start.double(), end.double(), strict=True):
            cosine = float(a @ b / (a.norm() * b.norm()))
            angle = math.acos(min(max(cosine, -1.0), 1.0))
            if math.sin(angle) < 1e-7:
                row.append((1 - t) * a + t * b)
            else:
                u, v = math.sin((1 - t) * angle), math.sin(t * angle)
                row.append((u * a + v * b) / math.sin(angle))
        points.append(torch.stack(row))
    return torch.stack(points)


def path_by_rotation(start, end, n):
    """Turn the start's direction towards the end's within their plane."""
    length, other = start.norm(dim=1, keepdim=True), end.norm(dim=1, keepdim=True)
    a, b = start.double() / length, end.double() / other
    angle = 2 * torch.atan2((a - b).norm(dim=1), (a + b).norm(dim=1))[:, None] + 1e-9
    steps = []
    for t in np.linspace(0, 1, n):
        ease = torch.sin(t * angle) / torch.sin(angle)
        steps.append((torch.cos(t * angle) - torch.cos(angle) * ease) * start + ease * end)
    return torch.stack(steps).numpy()


# --- 3.6 -----------------------------------------------------------------------------------


def losses_stub(encode, decode, x, eps):
    mean, log_var = encode(x)
    log_var = F.softplus(log_var)
    z = mean + log_var.exp() * eps
    bce = F.binary_cross_entropy_with_logits(decode(z), x)
    kl = 0.5 * (log_var.exp() + mean**2 - 1 - log_var).sum(dim=-1).mean()
    training = bce + kl
    reported = kl
    return training, reported


def losses_fixed(encode, decode, x, eps):
    mean, log_var = encode(x)
    z = mean + (log_var / 2).exp() * eps
    bce = F.binary_cross_entropy_with_logits(decode(z), x, reduction="sum") / len(x)
    kl = 0.5 * (log_var.exp() + mean**2 - 1 - log_var).sum(dim=-1).mean()
    return bce + kl, bce + kl


def losses_by_torch(encode, decode, x, eps):
    mean, log_var = encode(x.reshape(-1, 784))
    q = Normal(mean, log_var.exp().sqrt())
    likelihood = Bernoulli(logits=decode(mean + q.stddev * eps).flatten(1)).log_prob(x.flatten(1))
    loss = (kl_divergence(q, Normal(0, 1)).sum(-1) - likelihood.sum(-1)).mean()
    return [loss, loss.item()]


def losses_with_positive(power):
    """Keep softplus, but as the variance (1) or the standard deviation (2)."""

    def losses(encode, decode, x, eps):
        mean, raw = encode(x)
        log_var = power * F.softplus(raw).log()
        return losses_fixed(lambda x: (mean, log_var), decode, x, eps)

    return losses


def losses_with(read=lambda raw: raw, bce_scale=1.0, report=lambda bce, kl: bce + kl, **options):
    """The loss with some things wrong."""
    train = options.get("train", lambda bce, kl: bce + kl)

    def losses(encode, decode, x, eps):
        mean, raw = encode(x)
        log_var = read(raw)
        std = (options.get("z_read", read)(raw) / 2).exp() ** options.get("power", 1)
        z = mean + std * eps
        bce = F.binary_cross_entropy_with_logits(decode(z), x, reduction="sum") / len(x)
        kl = kl_each(mean, log_var).sum(1).mean()
        return train(bce * bce_scale, kl), report(bce * bce_scale, kl)

    return losses


# --- 3.7 -----------------------------------------------------------------------------------


def normalizer_even(logits):
    size = logits.abs()
    near = size < 0.1
    safe = torch.where(near, torch.ones_like(size), size)
    exact = logits / 2 + safe / 2 + torch.log1p(-torch.exp(-safe)) - safe.log()
    return torch.where(near, logits / 2 + logits**2 / 24 - logits**4 / 2880, exact)


def normalizer_in_float64(logits):
    value = logits.double()
    near = value.abs() < 1e-4
    safe = torch.where(near, 1.0, value)
    negative = -safe.abs()
    exact = torch.log(torch.expm1(negative) / negative) + safe.relu()
    return torch.where(near, value / 2 + value**2 / 24, exact)


def normalizer_by_quadrature(logits):
    """Gauss-Legendre quadrature of the integral, its largest value taken out first."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    x, w = torch.tensor((nodes + 1) / 2), torch.tensor(weights / 2)
    top = logits.double().clamp(min=0)
    return top + ((x * logits.double()[..., None] - top[..., None]).exp() @ w).log()


def normalizer_with(f):
    """A function of the logits and the right values."""
    return lambda logits: f(logits, normalizer_in_float64(logits))


def normalizer_of_the_chapter(logits):
    """The Bernoulli's normalizer, corrected by tanh(l / 2) / l."""
    safe = torch.where(logits.abs() < 1e-3, 1e-3, logits)
    return F.softplus(logits) + torch.log(torch.tanh(safe / 2) / safe)


RIGHT: dict = {}
WRONG: dict = {}
