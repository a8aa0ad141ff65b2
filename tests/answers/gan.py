"""Answers to the exercises of chapter 9: right ones in several styles, and wrong ones."""

import math
from fractions import Fraction

import numpy as np
import torch
from scipy import linalg, optimize
from torch.nn import functional as F

# --- 9.1 -----------------------------------------------------------------------------------


def three_by_arrays():
    """The game on three places with NumPy, the loss by its definition."""
    p, q = np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.25, 0.5])
    best = p / (p + q)
    middle = (p + q) / 2

    def kl(a):
        return sum(x * math.log(x / m) for x, m in zip(a, middle, strict=True) if x > 0)

    loss = -sum(
        (x * math.log(d) if x else 0) + (y * math.log(1 - d) if y and d < 1 else 0)
        for x, y, d in zip(p, q, best, strict=True)
    )
    f = torch.logit(torch.tensor(0.02, dtype=torch.float64)).requires_grad_()
    slopes = [torch.autograd.grad(loss, f)[0].item() for loss in (F.softplus(-f), -F.softplus(f))]
    return {"a": best[0], "b": best[2], "c": (kl(p) + kl(q)) / 2, "d": loss,
            "e": slopes[0] / slopes[1]}  # fmt: skip


# --- 9.2 -----------------------------------------------------------------------------------


def smoothed_stably(log_p, log_q, alpha, beta):
    weights = torch.softmax(torch.stack([log_p, log_q]), dim=0)
    return alpha * weights[0] + beta * weights[1]


def smoothed_by_search(log_p, log_q, alpha, beta):
    """The minimum of the cross-entropy of each place, by SciPy."""
    found = []
    for a, b in zip(log_p.tolist(), log_q.tolist(), strict=True):
        top = max(a, b)
        p, q = math.exp(a - top), math.exp(b - top)

        def entropy(d, p=p, q=q):
            real = alpha * math.log(d) + (1 - alpha) * math.log(1 - d)
            fake = beta * math.log(d) + (1 - beta) * math.log(1 - d)
            return -p * real - q * fake

        best = optimize.minimize_scalar(
            entropy, bounds=(1e-12, 1 - 1e-12), method="bounded", options={"xatol": 1e-10}
        )
        found.append(best.x)
    return torch.tensor(found)


def smoothed_with_densities(log_p, log_q, alpha, beta):
    p, q = log_p.exp(), log_q.exp()
    return (alpha * p + beta * q) / (p + q)


# --- 9.3 -----------------------------------------------------------------------------------


def divergence_by_entropies(real, fake):
    entropy = F.binary_cross_entropy_with_logits
    loss = entropy(real, torch.ones_like(real)) + entropy(fake, torch.zeros_like(fake))
    return math.log(2) - loss / 2


def divergence_by_halves(real, fake):
    return math.log(2) + 0.5 * F.logsigmoid(real).mean() + 0.5 * F.logsigmoid(-fake).mean()


def divergence_by_logarithms(real, fake):
    d_real, d_fake = real.sigmoid(), fake.sigmoid()
    return math.log(2) + 0.5 * (d_real.log().mean() + (1 - d_fake).log().mean())


# --- 9.4 -----------------------------------------------------------------------------------


def frechet_by_the_root(mean_1, log_var_1, mean_2, log_var_2):
    a, b = (np.diag(v.double().exp().numpy()) for v in (log_var_1, log_var_2))
    root = linalg.sqrtm(a @ b).real
    return float(((mean_1 - mean_2) ** 2).sum()) + np.trace(a + b - 2 * root)


def frechet_in_a_loop(mean_1, log_var_1, mean_2, log_var_2):
    total = 0.0
    for m, v, n, w in zip(mean_1, log_var_1, mean_2, log_var_2, strict=True):
        total = total + (m - n) ** 2 + v.exp() + w.exp() - 2 * ((v + w) / 2).exp()
    return total


# --- 9.5 -----------------------------------------------------------------------------------


def penalty_by_change(critic, real, fake, u):
    x = torch.lerp(fake, real, u).detach().clone().requires_grad_()
    gradient = torch.autograd.grad(critic(x).sum(), x, create_graph=True)[0]
    return (gradient.square().sum(-1).sqrt() - 1).pow(2)


def penalty_one_by_one(critic, real, fake, u):
    rows = []
    for a, b, share in zip(real, fake, u, strict=True):
        x = (share * a + (1 - share) * b).detach().requires_grad_()
        (slope,) = torch.autograd.grad(critic(x[None]).sum(), x)
        rows.append((slope.norm() - 1) ** 2)
    return torch.stack(rows)


def penalty_of_the_text(critic, real, fake, u):
    x = real.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x).sum(), x)
    length = gradient.norm().expand(len(x))
    return length**2 - 1


def penalty_at_the_right_place(critic, real, fake, u):
    x = (u * real + (1 - u) * fake).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x).sum(), x)
    return gradient.norm().expand(len(x)) ** 2 - 1


# What the text begins with.
STUBS = {"gan.penalty": [penalty_of_the_text]}

RIGHT = {
    "gan.three_places": [three_by_arrays(), [Fraction(2, 3), 0, 0.2158, 0.9548, 49]],
    "gan.smoothed": [smoothed_stably, smoothed_by_search],
    "gan.divergence": [divergence_by_entropies, divergence_by_halves],
    "gan.frechet": [frechet_by_the_root, frechet_in_a_loop],
    "gan.penalty": [penalty_by_change, penalty_one_by_one],
}

# Written as a learner would, not taken from the check: each with a part of its hint.
WRONG = {
    "gan.three_places": [
        ({"a": 1 / 3, "b": 0, "c": 0.2158, "d": 0.9548, "e": 49}, "of a generated example"),
        ({"a": 2 / 3, "b": 0, "c": 0.3113, "d": 0.9548, "e": 49}, "in bits"),
        ({"a": 2 / 3, "b": 0, "c": 0.2158, "d": 0.9548, "e": 50}, "not quite 1"),
    ],
    "gan.smoothed": [
        (lambda log_p, log_q, a, b: torch.sigmoid(log_p - log_q), "labels 1 and 0"),
        (lambda log_p, log_q, a, b: a * torch.sigmoid(log_p - log_q), "no longer 0"),
        (smoothed_with_densities, "Far from the data"),
    ],
    "gan.divergence": [
        (lambda r, f: 2 * divergence_by_entropies(r, f), "twice the divergence"),
        (lambda r, f: divergence_by_entropies(f, r), "changed places"),
        (divergence_by_logarithms, "very sure"),
    ],
    "gan.frechet": [
        (lambda m, v, n, w: ((m - n) ** 2 + (v.exp() - w.exp()) ** 2).sum(), "compared variances"),
        (lambda m, v, n, w: frechet_in_a_loop(m, v, n, w) ** 0.5, "no root at the end"),
    ],
    "gan.penalty": [
        (penalty_at_the_right_place, "whose length is taken"),
    ],
}
