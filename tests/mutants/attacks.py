"""Published bugs of attacks, and their near relatives, as functions (see `mutants/densities.py`).

Axes: B batch, K classes.
"""

from collections.abc import Callable

import torch
from oracles import attacks as oracles
from torch import Tensor
from torch.nn import functional as F

from companion import attacks
from companion.attacks import ball, project
from mutants.densities import fault


def mutant(
    *,
    reduction: str = "sum",
    divide: float = 0.0,
    whole_batch: bool = False,
    output: Callable = lambda logits: logits,
    scale: float = 1.0,
    finish: Callable = project,
    sign: Callable = torch.sign,
    turn: float = -1.0,
) -> Callable:
    """An attack by hand, right unless an option makes it wrong. 40 steps of a fifth of eps."""

    def attack(model, x, y, *, eps, norm="linf", targeted=False, steps=40, step_size=None):
        eps, step_size = scale * eps, scale * (step_size or eps / 5)
        x_adv = x.clone()
        for _ in range(steps):
            leaf = x_adv.detach().requires_grad_()
            loss = F.cross_entropy(output(model(leaf)), y, reduction=reduction)
            (gradient,) = torch.autograd.grad(loss, leaf)
            gradient = gradient * (turn if targeted else 1.0)
            if norm == "l2":
                rows = gradient.flatten(0 if whole_batch else 1)
                length = rows.norm(dim=-1, keepdim=True).reshape(-1, 1, 1, 1)
                direction = gradient / (length + divide)
            else:
                direction = sign(gradient)
            x_adv = finish(x_adv + step_size * direction, x, eps=eps, norm=norm)
        return x_adv.detach()

    return attack


def fgsm(attack: Callable) -> Callable:
    """One step of the whole eps."""
    return lambda *a, eps, **k: attack(*a, eps=eps, steps=1, step_size=eps, **k)


def clip_only(x_adv, x, *, eps, norm):
    return x_adv.clamp(0, 1)


def ball_only(x_adv, x, *, eps, norm):
    return ball.ball_around(x, eps, norm).x + (x_adv - x).clamp(-eps, eps)


RIGHT = mutant()  # passes every assertion: `test_attacks_oracles.py` shows it

# The direction and the loss


@fault("descends: turned for an untargeted attack", oracles.assert_fgsm)
def _(model, x, y, *, eps, targeted=False):
    return fgsm(RIGHT)(model, x, y, eps=eps, targeted=not targeted)


@fault("a target is left, not reached", oracles.assert_pgd_linf)
def _(*args, **options):
    return mutant(turn=1.0)(*args, **options)


@fault("attacks the softmax: a second softmax in the loss", oracles.assert_fgsm)
def _(*args, **options):
    return fgsm(mutant(output=lambda logits: logits.softmax(1)))(*args, **options)


@fault("the gradient's size in place of its sign", oracles.assert_pgd_linf)
def _(*args, **options):
    return mutant(sign=lambda gradient: gradient)(*args, **options)


@fault("eps in normalized units", oracles.assert_pgd_linf)
def _(*args, **options):
    return mutant(scale=1 / 0.3081)(*args, **options)


@fault("averages the loss, and adds a small number before it divides", oracles.assert_row_of_batch)
def _(*args, **options):
    return mutant(reduction="mean", divide=1e-10)(*args, **options)


@fault("one length for the whole batch", oracles.assert_row_of_batch)
def _(*args, **options):
    return mutant(whole_batch=True)(*args, **options)


@fault("one length for the whole batch", oracles.assert_pgd_l2)
def _(*args, **options):
    return mutant(whole_batch=True)(*args, **options)


# The projection


@fault("no projection into the ball", oracles.assert_allowed)
def _(*args, **options):
    return mutant(finish=clip_only)(*args, **options)


@fault("pixels are not brought into [0, 1]", oracles.assert_allowed)
def _(*args, **options):
    return mutant(finish=ball_only)(*args, **options)


@fault("projects the last step only", oracles.assert_pgd_linf)
def _(model, x, y, *, eps, **options):
    far = mutant(finish=lambda x_adv, x, **_: x_adv)(model, x, y, eps=eps, **options)
    return project(far, x, eps=eps)


@fault("projects onto the ball around the last step, not around x", oracles.assert_allowed)
def _(model, x, y, *, eps, norm):
    x_adv = x
    for _ in range(5):
        x_adv = attacks.fgsm(model, x_adv, y, eps=eps, norm=norm)
    return x_adv


@fault("clips to the cube in l2", oracles.assert_pgd_l2)
def _(*args, **options):
    return mutant(finish=lambda x_adv, x, *, eps, norm: project(x_adv, x, eps=eps))(
        *args, **options
    )


# What is left behind


@fault("backward() leaves gradients on the parameters", oracles.assert_untouched)
def _(model, x, y, *, eps):
    leaf = x.clone().requires_grad_()
    F.cross_entropy(model(leaf), y, reduction="sum").backward()
    return project(x + eps * leaf.grad.sign(), x, eps=eps)


@fault("gradients are set to zero, those of the owner too", oracles.assert_untouched)
def _(model, x, y, *, eps):
    x_adv = attacks.fgsm(model, x, y, eps=eps)
    model.zero_grad()
    return x_adv


@fault("x itself is asked for its gradient", oracles.assert_untouched)
def _(model, x, y, *, eps):
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(model(x), y, reduction="sum"), x)
    return project(x.detach() + eps * gradient.sign(), x.detach(), eps=eps)


@fault("x is changed in place", oracles.assert_untouched)
def _(model, x, y, *, eps):
    return x.copy_(attacks.fgsm(model, x, y, eps=eps))


@fault("model.train() at the end thaws what was frozen", oracles.assert_untouched)
def _(model, x, y, *, eps):
    model.eval()
    x_adv = attacks.fgsm(model, x, y, eps=eps)
    model.train()
    return x_adv


@fault("the model stays in evaluation mode", oracles.assert_untouched)
def _(model, x, y, *, eps):
    return attacks.fgsm(model.eval(), x, y, eps=eps)


@fault("the model stays in evaluation mode after an error", oracles.assert_untouched)
def _(model, x, y, *, eps):
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    x_adv = attacks.fgsm(model, x, y, eps=eps)
    for part, training in modes:
        part.training = training
    return x_adv


@fault("parameters stay frozen", oracles.assert_untouched)
def _(model, x, y, *, eps):
    model.requires_grad_(False)
    x_adv = attacks.fgsm(model, x, y, eps=eps)
    model.requires_grad_(True)
    return x_adv


@fault("the answer carries a graph", oracles.assert_allowed)
def _(model, x, y, *, eps, norm):
    return attacks.fgsm(model, x, y, eps=eps, norm=norm).requires_grad_()


# Random starts


def _noise(x: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(x.shape, generator=generator)


@fault("l2: a radius uniform in [0, eps], half as far in the mean", oracles.assert_start)
def _(x, *, eps, norm, generator):
    if norm == "linf":
        return attacks.random_start(x, eps=eps, generator=generator)
    radius = eps * torch.rand(len(x), 1, generator=generator)
    return x + radius * F.normalize(_noise(x, generator))


@fault("l2: always on the surface", oracles.assert_start)
def _(x, *, eps, norm, generator):
    if norm == "linf":
        return attacks.random_start(x, eps=eps, generator=generator)
    return x + eps * F.normalize(_noise(x, generator))


@fault("l2: from the cube, then projected", oracles.assert_start)
def _(x, *, eps, norm, generator):
    start = attacks.random_start(x, eps=eps, generator=generator)
    return start if norm == "linf" else project(start, x, eps=eps, norm=norm)


@fault("linf: only in [0, eps]", oracles.assert_start)
def _(x, *, eps, norm, generator):
    if norm == "l2":
        return attacks.random_start(x, eps=eps, norm=norm, generator=generator)
    return x + eps * torch.rand(x.shape, generator=generator)


@fault("linf: from the normal distribution", oracles.assert_start)
def _(x, *, eps, norm, generator):
    if norm == "l2":
        return attacks.random_start(x, eps=eps, norm=norm, generator=generator)
    return x + (eps * _noise(x, generator)).clamp(-eps, eps)


@fault("one start for the whole batch", oracles.assert_start)
def _(x, *, eps, norm, generator):
    return x + attacks.random_start(x[:1], eps=eps, norm=norm, generator=generator) - x[:1]


# The maximum


@fault("one step only", oracles.assert_finds_maximum)
def _(model, x, y, *, eps, norm, loss):
    return attacks.fgsm(model, x, y, eps=eps, norm=norm, loss=loss)


@fault("one start only", oracles.assert_finds_maximum)
def _(model, x, y, **options):
    return attacks.pgd(model, x, y, random_start=False, **options)


@fault("the best start of the whole batch, not of each example", oracles.assert_finds_maximum)
def _(model, x, y, *, loss, **options):
    source = torch.Generator().manual_seed(0)
    runs = [
        attacks.pgd(model, x, y, loss=loss, generator=source, **options)
        for _ in range(10)
    ]  # fmt: skip
    return max(runs, key=lambda x_adv: loss(model(x_adv), y).sum().item())


# Closed forms and losses


@fault("softplus(y (eps |w| - w x - b)): right for y = 1 only", oracles.assert_worst_logistic_loss)
def _(w, b, x, y, eps):
    return F.softplus(y * (eps * w.abs().sum() - x @ w - b))


@fault("softplus with the l2 norm of w", oracles.assert_worst_logistic_loss)
def _(w, b, x, y, eps):
    return F.softplus(eps * w.norm() - y * (x @ w + b))


@fault("probability of y in place of its logarithm", oracles.assert_cross_entropy)
def _(logits, y):
    return -logits.softmax(1).gather(1, y[:, None])[:, 0]


@fault("averaged over the batch", oracles.assert_cross_entropy)
def _(logits, y):
    return F.cross_entropy(logits, y).expand(len(y))


@fault("the largest logit, y's own too", oracles.assert_margin)
def _(logits, y):
    return logits.amax(1) - logits.gather(1, y[:, None])[:, 0]


@fault("margin with its sign turned", oracles.assert_margin)
def _(logits, y):
    return -attacks.margin(logits, y)


@fault("margin with y's logit set to zero, not left out", oracles.assert_margin)
def _(logits, y):
    own = F.one_hot(y, logits.shape[1])
    return (logits * (1 - own)).amax(1) - (logits * own).sum(1)


@fault("divided by the gap of the two largest", oracles.assert_dlr)
def _(logits, y):
    top = logits.topk(2, dim=1).values
    return attacks.margin(logits, y) / (top[:, 0] - top[:, 1])


@fault("divided by the whole range", oracles.assert_dlr)
def _(logits, y):
    return attacks.margin(logits, y) / (logits.amax(1) - logits.amin(1)).clamp_min(1e-9)


@fault("dlr with its sign turned", oracles.assert_dlr)
def _(logits, y):
    return -attacks.dlr(logits, y)


@fault("logits shifted by their smallest before the ratio of the two", oracles.assert_dlr)
def _(logits, y):
    return attacks.margin(logits, y) / logits.amax(1).abs().clamp_min(1e-9)
