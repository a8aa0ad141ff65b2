"""Answers to the exercises of chapter 5: right ones in several styles, and wrong ones."""

import math
from fractions import Fraction

import numpy as np
import torch
from scipy.optimize import linprog
from torch.nn import functional as F

from companion.attacks import fgsm, margin, project

# --- 5.1 and 5.5 ---------------------------------------------------------------------------


def gains_by_attacks():
    """The gains of a linear loss, found by the companion's steps and by trying pixels."""
    g, x = torch.tensor([[3.0, -4.0, 0.0, 12.0]]), torch.full((1, 4), 0.5)
    edge = torch.tensor([[0.95, 0.02, 0.5, 0.5]])

    def gain(x, norm):
        step = fgsm(lambda u: u, x, None, eps=0.1, norm=norm, loss=lambda u, _: u @ g[0]) - x
        return (step @ g[0]).item()

    pixels = 0.1 * torch.cat([torch.eye(4), -torch.eye(4)])
    one = (pixels @ g[0]).max().item()
    return {"a": gain(x, "linf"), "b": gain(x, "l2"), "c": one, "d": gain(edge, "linf")}


def units_by_distances():
    """Each limit as the distance of two images in both scales."""
    images = torch.tensor([[0.2], [0.5]], dtype=torch.float64)
    norm = (images - 0.1307) / 0.3081
    stretch = (norm[1] - norm[0]).abs().item() / 0.3
    return {"a": 8 / 255, "b": 0.1 * 2, "c": 0.3 / stretch, "d": 1.5 * stretch,
            "e": torch.full((28, 28), 0.1).norm().item()}  # fmt: skip


# --- 5.2 -----------------------------------------------------------------------------------


def l1_in_a_loop(gradient, x, eps):
    change = torch.zeros_like(x)
    for i in range(len(x)):
        left = eps
        for p in sorted(range(x.shape[1]), key=lambda p: -abs(gradient[i, p].item())):
            slope = gradient[i, p].item()
            if slope == 0 or left <= 0:
                continue
            room = 1 - x[i, p].item() if slope > 0 else x[i, p].item()
            step = min(room, left)
            change[i, p] = math.copysign(step, slope)
            left -= step
    return change


def l1_by_linear_programming(gradient, x, eps):
    """Up and down moves of each pixel as separate variables; a tiny price keeps idle ones still."""
    rows = []
    for g, image in zip(gradient.double().numpy(), x.double().numpy(), strict=True):
        limits = [(0, room) for room in (*(1 - image), *image)]
        found = linprog(np.concatenate([-g, g]) + 1e-7, np.ones((1, 2 * len(g))), [eps],
                        bounds=limits)  # fmt: skip
        rows.append(found.x[: len(g)] - found.x[len(g) :])
    return torch.tensor(np.array(rows))


def l1_steepest(gradient, x, eps):
    best = gradient.abs().argmax(1, keepdim=True)
    change = torch.zeros_like(x).scatter(1, best, eps * gradient.gather(1, best).sign())
    return (x + change).clamp(0, 1) - x


# --- 5.3 -----------------------------------------------------------------------------------


def nearest_by_descent(u, x, eps):
    """Alternating projections with Dykstra's corrections, in float64."""
    v, x = u.double(), x.double()
    p, q = torch.zeros_like(v), torch.zeros_like(v)
    for _ in range(4_000):
        change = v + p - x
        ball = x + change * (eps / change.norm(dim=1, keepdim=True)).clamp(max=1)
        p = v + p - ball
        v = (ball + q).clamp(0, 1)
        q = ball + q - v
    return v


def nearest_by_sorting(u, x, eps):
    """One image at a time: try 200,001 scales."""
    rows = []
    for a, b in zip(u.double(), x.double(), strict=True):
        low, high = 0.0, 1.0
        for _ in range(50):
            s = (low + high) / 2
            length = np.linalg.norm(np.clip((b + s * (a - b)).numpy(), 0, 1) - b.numpy())
            low, high = (s, high) if length <= eps else (low, s)
        rows.append(torch.from_numpy(np.clip((b + high * (a - b)).numpy(), 0, 1)))
    return torch.stack(rows)


# --- 5.4 -----------------------------------------------------------------------------------


def worst_by_the_companion(logits, y):
    margins = torch.stack([margin(each, y) for each in logits])
    return (margins.max(0).values <= 0).float().mean(), margins.max(0).indices


def worst_in_a_loop(logits, y):
    safe, kept = 0, []
    for i in range(logits.shape[1]):
        margins = []
        for r in range(logits.shape[0]):
            row = logits[r, i].tolist()
            own = row.pop(int(y[i]))
            margins.append(max(row) - own)
        safe += max(margins) <= 0
        kept.append(int(np.argmax(margins)))
    return safe / logits.shape[1], torch.tensor(kept)


def smallest_accuracy(logits, y):
    correct = logits.argmax(-1) == y
    return correct.float().mean(1).min(), worst_by_the_companion(logits, y)[1]


def by_cross_entropy(logits, y):
    losses = torch.stack([F.cross_entropy(each, y, reduction="none") for each in logits])
    return worst_by_the_companion(logits, y)[0], losses.argmax(0)


def by_probabilities(logits, y):
    own = F.one_hot(y, logits.shape[-1])
    wrong = (logits.softmax(-1) - 2 * own).amax(-1)
    margins = wrong - (logits.softmax(-1) * own).sum(-1)
    return worst_by_the_companion(logits, y)[0], margins.argmax(0)


# --- 5.6 -----------------------------------------------------------------------------------


def attack_by_change(gradient_of, x, eps, step_size, steps):
    delta = torch.zeros_like(x)
    for _ in range(steps):
        delta = (delta + step_size * gradient_of(x + delta).sign()).clamp(-eps, eps)
        delta = (x + delta).clamp(0, 1) - x
    return x + delta


def attack_by_projection(gradient_of, x, eps, step_size, steps):
    x_adv = x.clone()
    for _ in range(steps):
        x_adv = project(x_adv + step_size * torch.sign(gradient_of(x_adv)), x, eps=eps)
    return x_adv


def attack_left(gradient_of, x, eps, step_size, steps):
    x_adv = x
    for _ in range(steps):
        x_adv = (x_adv + step_size * gradient_of(x_adv).sign()).clamp(0, 1)
    return x_adv


def attack_of_the_text(gradient_of, x, eps, step_size, steps):
    x_adv = x
    for _ in range(steps):
        gradient = gradient_of(x)
        x_adv = x_adv - step_size * gradient.sign()
        x_adv = x_adv.clamp(x_adv - eps, x_adv + eps)
        x_adv.clamp(0, 1)
    return x_adv


# What the text begins with.
STUBS = {"attacks.repair": [attack_of_the_text]}

RIGHT = {
    "attacks.gains": [gains_by_attacks(), [1.9, 1.3, 1.2, Fraction(143, 100)]],
    "attacks.units": [units_by_distances(), [0.0314, 0.2, 0.0924, 4.87, 2.8]],
    "attacks.l1_step": [
        l1_in_a_loop,
        lambda *a: l1_in_a_loop(*a).numpy(),
        l1_by_linear_programming,
    ],
    "attacks.nearest": [nearest_by_descent, nearest_by_sorting],
    "attacks.worst_case": [worst_by_the_companion, worst_in_a_loop],
    "attacks.repair": [attack_by_change, attack_by_projection],
}

# Written as a learner would, not taken from the check: each with a part of its hint.
WRONG = {
    "attacks.gains": [
        ({"a": 1.1, "b": 1.3, "c": 1.2, "d": 1.43}, "with their signs"),
        ({"a": 1.9, "b": 1.3, "c": 1.2, "d": 1.9}, "The box is missing"),
    ],
    "attacks.units": [
        ({"a": 8 / 255, "b": 0.2, "c": 0.3 / 0.3081, "d": 4.87, "e": 2.8}, "shrinks"),
    ],
    "attacks.l1_step": [
        (l1_steepest, "not spent"),
        (lambda g, x, eps: eps * g.sign(), "linf ball"),
        (lambda g, x, eps: x + l1_in_a_loop(g, x, eps), "Return the change"),
    ],
    "attacks.nearest": [
        (lambda u, x, eps: project(u, x, eps=eps, norm="l2"), "the ball first and then the box"),
        (lambda u, x, eps: u.clamp(0, 1), "not in the ball"),
    ],
    "attacks.worst_case": [
        (smallest_accuracy, "the smallest of the restarts' accuracies"),
        (by_cross_entropy, "largest cross-entropy"),
        (by_probabilities, "margin of probabilities"),
    ],
    "attacks.repair": [(attack_left, "around which image")],
}
