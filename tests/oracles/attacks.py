"""Independent oracles of attacks, as assertions on a function (see `oracles/densities.py`).

Other people's attacks: foolbox, ART and torchattacks. They must be installed: nothing is skipped.

Axes: B batch, K classes.
"""

import copy
import math
import os
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from oracles.densities import generator

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # foolbox loads GitPython, which looks for git
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # they import names that SciPy has moved
    import eagerpy
    import foolbox
    import torchattacks
    from art.attacks.evasion import ProjectedGradientDescentPyTorch
    from art.estimators.classification import PyTorchClassifier

SHAPE, CLASSES, BATCH = (1, 12, 12), 5, 40
EXACT = {"rtol": 0.0, "atol": 1e-6}


def network(seed: int = 0) -> nn.Sequential:
    """A small network with the kinks of a real one, in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = nn.Conv2d(1, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU()
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(72, CLASSES)).eval()


def images(seed: int = 1, n: int = BATCH) -> tuple[Tensor, Tensor]:
    """Gray images, a third of whose pixels are black or white, as in MNIST; their classes."""
    source = generator(seed)
    x = (1.5 * torch.rand(n, *SHAPE, generator=source) - 0.25).clamp(0, 1)
    return x, torch.randint(CLASSES, (n,), generator=source)


# What others make of it. `options`: eps, and for pgd steps and step_size.


def foolbox_attack(name: str, norm: str, model, x, y, *, eps, targeted=False, **pgd) -> Tensor:
    model = copy.deepcopy(model)  # foolbox leaves gradients on the parameters
    if name == "fgsm":
        kinds = {"linf": foolbox.attacks.FGSM, "l2": foolbox.attacks.FGM}
        attack = kinds[norm](random_start=False)
    else:
        kinds = {
            "linf": foolbox.attacks.LinfProjectedGradientDescentAttack,
            "l2": foolbox.attacks.L2ProjectedGradientDescentAttack,
        }
        steps = {"abs_stepsize": pgd["step_size"], "steps": pgd["steps"]}
        attack = kinds[norm](random_start=False, **steps)
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device=x.device)
    kind = foolbox.criteria.TargetedMisclassification if targeted else foolbox.Misclassification
    return attack.run(wrapped, x, kind(eagerpy.astensor(y)), epsilon=eps)


def torchattacks_attack(name: str, norm: str, model, x, y, *, eps, targeted=False, **pgd) -> Tensor:
    if name == "fgsm":
        attack = torchattacks.FGSM(model, eps=eps)
    elif name == "momentum":
        alpha, decay = pgd["step_size"], pgd["momentum"]
        attack = torchattacks.MIFGSM(model, eps=eps, alpha=alpha, steps=pgd["steps"], decay=decay)
    else:
        kinds = {"linf": torchattacks.PGD, "l2": torchattacks.PGDL2}
        # Its loss is a mean over the batch: only without the 1e-10 in its division is the l2 step
        # of a batch that of its examples.
        more = {"eps_for_division": 1e-30} if norm == "l2" else {}
        options = {"alpha": pgd["step_size"], "steps": pgd["steps"], "random_start": False, **more}
        attack = kinds[norm](model, eps=eps, **options)
    if targeted:
        attack.set_mode_targeted_by_label(quiet=True)
    return attack(x, y)


def art_attack(name: str, norm: str, model, x, y, *, eps, targeted=False, **pgd) -> Tensor:
    model = copy.deepcopy(model)  # ART leaves gradients and the mode behind
    wrapped = PyTorchClassifier(
        model,
        loss=nn.CrossEntropyLoss(),
        input_shape=SHAPE,
        nb_classes=CLASSES,
        clip_values=(0, 1),
        device_type=x.device.type.replace("cuda", "gpu"),
    )
    one = {"steps": 1, "step_size": eps} if name == "fgsm" else pgd
    attack = ProjectedGradientDescentPyTorch(
        wrapped,
        norm={"linf": np.inf, "l2": 2}[norm],
        eps=eps,
        eps_step=one["step_size"],
        max_iter=one["steps"],
        decay=one.get("momentum"),
        num_random_init=0,
        targeted=targeted,
        batch_size=len(x),
        verbose=False,
    )
    return torch.as_tensor(attack.generate(x.cpu().numpy(), y.cpu().numpy())).to(x.device)


def problem(device: Any = "cpu") -> tuple[nn.Module, Tensor, Tensor]:
    x, y = images()
    return network().to(device), x.to(device), y.to(device)


PGD = {"linf": {"eps": 0.1, "step_size": 0.02}, "l2": {"eps": 1.0, "step_size": 0.2}}


def assert_fgsm(fgsm: Callable, device: Any = "cpu") -> None:
    """`fgsm(model, x, y, eps=, targeted=)` equals the three, for both signs of the loss."""
    model, x, y = problem(device)
    ours = fgsm(model, x, y, eps=0.1)
    for theirs in (foolbox_attack, torchattacks_attack, art_attack):
        _close(ours, theirs("fgsm", "linf", model, x, y, eps=0.1))
    ours = fgsm(model, x, y, eps=0.1, targeted=True)
    _close(ours, art_attack("fgsm", "linf", model, x, y, eps=0.1, targeted=True))


def assert_pgd_linf(pgd: Callable, device: Any = "cpu") -> None:
    """`pgd(model, x, y, eps=, norm=, steps=, step_size=, targeted=)` from x equals the three."""
    _assert_pgd(pgd, "linf", (foolbox_attack, torchattacks_attack, art_attack), device)


def assert_pgd_l2(pgd: Callable, device: Any = "cpu") -> None:
    """The same in l2, with the two that project first and clip then."""
    _assert_pgd(pgd, "l2", (foolbox_attack, torchattacks_attack), device)


def _assert_pgd(pgd: Callable, norm: str, others: tuple[Callable, ...], device: Any) -> None:
    model, x, y = problem(device)
    for targeted in (False, True):
        options = {**PGD[norm], "steps": 40, "targeted": targeted}
        ours = pgd(model, x, y, norm=norm, **options)
        for theirs in others:
            _close(ours, theirs("pgd", norm, model, x, y, **options))


def _close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, **EXACT)


# What every attack must keep: the ball, the pixels, the model


def assert_allowed(attack: Callable, eps: float = 0.3, norm: str = "linf") -> None:
    """`attack(model, x, y, eps=, norm=)` returns images in the ball and in [0, 1], detached."""
    model, x, y = problem()
    x_adv = attack(model, x, y, eps=eps, norm=norm)
    assert x_adv.shape == x.shape
    assert x_adv.dtype == x.dtype
    assert not x_adv.requires_grad
    length = (x_adv - x).flatten(1).norm(dim=1, p={"linf": torch.inf, "l2": 2}[norm])
    assert length.max() <= eps + 1e-6, "outside the ball"
    assert length.max() > 0.5 * eps, "does not use the ball"
    assert 0 <= x_adv.min() <= x_adv.max() <= 1, "pixels outside [0, 1]"


class Fails(nn.Module):
    """Passes x on, and raises at one of its calls."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at, self.calls = at, 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        if self.calls == self.at:
            raise RuntimeError("no answer")
        return x


def assert_untouched(attack: Callable) -> None:
    """`attack(model, x, y, eps=)` leaves modes, gradients, buffers and x, also after an error."""
    for last in (nn.Dropout(0.5), Fails(at=1), Fails(at=2)):
        model, x, y = problem()
        model.insert(0, nn.BatchNorm2d(1))
        model.append(last)
        model.eval()
        model[1].training = True  # a part that its owner left in training mode
        for p in list(model.parameters())[::2]:
            p.grad = torch.full_like(p, 0.5)
        model[1].weight.requires_grad_(False)
        before = _state(model, x)
        with warnings.catch_warnings(), suppress(RuntimeError):
            warnings.simplefilter("ignore")  # of the mode
            attack(model, x, y, eps=0.1)
        assert _state(model, x) == before, "state of the model or of x has changed"


def _state(model: nn.Module, x: Tensor) -> list[Any]:
    def plain(tensor: Tensor | None) -> Any:
        return None if tensor is None else tensor.detach().flatten().tolist()

    parameters = [(plain(p), plain(p.grad), p.requires_grad) for p in model.parameters()]
    buffers = [plain(buffer) for buffer in model.buffers()]
    modes = [module.training for module in model.modules()]
    return [parameters, buffers, modes, plain(x), plain(x.grad), x.requires_grad]


def assert_row_of_batch(attack: Callable, tolerance: float = 1e-6) -> None:
    """A batch of one equals its row in a batch of a hundred, also where gradients are tiny."""
    x, y = images(n=100)
    for scale in (1.0, 1e-6):
        model = network()
        with torch.no_grad():
            model[-1].weight.mul_(scale)
        together = attack(model, x, y, eps=1.0, norm="l2")
        for i in (0, 37, 99):
            alone = attack(model, x[i : i + 1], y[i : i + 1], eps=1.0, norm="l2")
            torch.testing.assert_close(alone, together[i : i + 1], rtol=0, atol=tolerance)


# Random starts


def assert_start(start: Callable) -> None:
    """`start(x, eps=, norm=, generator=)` is uniform in the ball: distribution of the radius."""
    n, count = 5, 4_000
    x = torch.full((count, n), 0.5)
    inside = start(x, eps=0.2, norm="l2", generator=generator(1)) - x
    _assert_uniform((inside.norm(dim=1) / 0.2) ** n)
    # Each direction is as likely as its opposite, in every coordinate.
    assert (inside.mean(0).abs() < 5 * 0.2 / count**0.5).all()
    inside = start(x, eps=0.2, norm="linf", generator=generator(2)) - x
    for pixel in inside.T:
        _assert_uniform(pixel / 0.4 + 0.5)
    # Pixels and examples are drawn apart.
    correlation = torch.corrcoef(inside.T) - torch.eye(n)
    assert correlation.abs().max() < 5 / count**0.5
    assert (torch.corrcoef(inside[:50]) - torch.eye(50)).abs().max() < 1


def _assert_uniform(values: Tensor) -> None:
    """Kolmogorov's test at a level of about 1e-6."""
    ordered = values.sort().values
    steps = torch.arange(1, len(ordered) + 1) / len(ordered)
    distance = torch.maximum(
        (steps - ordered).abs().max(), (ordered - steps + 1 / len(ordered)).max()
    )
    assert distance < 2.7 / len(ordered) ** 0.5, f"not uniform: distance {distance:.3f}"


# Exact answers: linear models, and a search


def linear(seed: int = 0) -> tuple[nn.Module, Tensor, Tensor]:
    """Two classes that a linear model tells apart, with room in [0, 1] for the whole ball."""
    source = generator(seed)
    model = nn.Linear(6, 2).eval()
    with torch.no_grad():
        model.weight.copy_(torch.randn(2, 6, generator=source))
        model.bias.copy_(torch.randn(2, generator=source))
    x = 0.3 + 0.4 * torch.rand(20, 6, generator=source)
    return model, x, torch.arange(20) % 2


def assert_linear(attack: Callable, tolerance: float = 1e-6) -> None:
    """`attack(model, x, y, eps=, norm=)`: the margin grows by eps times the dual norm of w."""
    model, x, y = linear()
    w = (model.weight[1] - model.weight[0]).detach()
    toward = 1.0 - 2.0 * y  # away from class 0 is along w
    for norm, direction in (("linf", w.sign()), ("l2", w / w.norm())):
        expected = x + 0.2 * toward[:, None] * direction
        actual = attack(model, x, y, eps=0.2, norm=norm)
        torch.testing.assert_close(actual, expected, rtol=0, atol=tolerance)


def assert_worst_logistic_loss(loss: Callable) -> None:
    """`loss(w, b, x, y, eps)`, y in {-1, 1}, is the largest logistic loss in the linf ball."""
    source = generator(3)
    w, b = torch.randn(3, generator=source), torch.randn((), generator=source)
    x, y = torch.rand(6, 3, generator=source), torch.tensor([1.0, -1.0] * 3)
    corners = torch.cartesian_prod(*[torch.tensor([-0.1, 0.1])] * 3)
    values = torch.nn.functional.softplus(-y[:, None] * ((x[:, None] + corners) @ w + b))
    torch.testing.assert_close(loss(w, b, x, y, 0.1), values.amax(1))


def two_pixels(seed: int = 0) -> nn.Sequential:
    """A model of two pixels whose loss has hills and valleys within the ball."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 3)).eval()


def assert_finds_maximum(attack: Callable) -> None:
    """`attack(model, x, y, eps=, norm=, loss=)` against every point of a fine grid in the ball.

    y are weights of the classes, not a class: then the loss alone decides which start is kept.
    """
    source = generator(4)
    x, y = torch.rand(12, 2, generator=source), torch.rand(12, 3, generator=source)
    model, eps = two_pixels(), 0.4
    with torch.no_grad():
        model[0].weight.mul_(4.0)
    line = torch.linspace(-eps, eps, 401)
    grid = torch.cartesian_prod(line, line)
    for norm in ("linf", "l2"):
        inside = grid[grid.norm(dim=1) <= eps] if norm == "l2" else grid
        best = []
        for row, label in zip(x, y, strict=True):
            points = row + inside
            points = points[((points >= 0) & (points <= 1)).all(1)]
            best.append(_weighted(model(points), label).max())
        found = _weighted(model(attack(model, x, y, eps=eps, norm=norm, loss=_weighted)), y)
        torch.testing.assert_close(found, torch.stack(best), rtol=0, atol=5e-3)


def _weighted(logits: Tensor, weights: Tensor) -> Tensor:
    return -(weights * logits.log_softmax(-1)).sum(-1)


# Losses, by a loop over plain numbers


def assert_cross_entropy(cross_entropy: Callable) -> None:
    for logits, y in _logits():
        rows = zip(logits.tolist(), y.tolist(), strict=True)
        expected = [math.log(sum(map(math.exp, z))) - z[k] for z, k in rows]
        torch.testing.assert_close(cross_entropy(logits, y), torch.tensor(expected))


def assert_margin(margin: Callable) -> None:
    for logits, y in _logits():
        rows = zip(logits.tolist(), y.tolist(), strict=True)
        expected = [max(z[:k] + z[k + 1 :]) - z[k] for z, k in rows]
        torch.testing.assert_close(margin(logits, y), torch.tensor(expected))


def assert_dlr(dlr: Callable) -> None:
    for logits, y in _logits():
        expected = []
        for z, k in zip(logits.tolist(), y.tolist(), strict=True):
            first, _, third = sorted(z, reverse=True)[:3]
            expected.append(-(z[k] - max(z[:k] + z[k + 1 :])) / (first - third))
        torch.testing.assert_close(dlr(logits, y), torch.tensor(expected))
        torch.testing.assert_close(dlr(logits, y), dlr(100 * logits + 7, y), rtol=1e-4, atol=1e-4)


def _logits() -> list[tuple[Tensor, Tensor]]:
    source = generator(5)
    return [
        (4 * torch.randn(30, k, generator=source), torch.randint(k, (30,), generator=source))
        for k in (3, 10)
    ]
