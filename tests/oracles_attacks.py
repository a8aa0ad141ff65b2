"""Independent oracles of attacks, as assertions on a function (see `oracles.py`).

Other people's attacks: foolbox, ART and torchattacks. They must be installed: nothing is skipped.

Axes: B batch, K classes.
"""

import copy
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from oracles import generator
from torch import Tensor, nn

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
