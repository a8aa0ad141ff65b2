"""PGD with 40 steps on one network: the companion, foolbox, ART, torchattacks, the bare passes.

    python -m benchmarks.attack_speed

All run in turns in one process, from x itself, with the same step size, in linf. "passes" are the
40 forward and backward passes that no such attack can do without, and nothing else. The script
prints how far the results agree, and ratios of times.
"""

import argparse
import os
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.ratios import print_ratio
from companion.attacks import pgd
from companion.classifiers import ConvClassifier, DeepConvClassifier, MLPClassifier
from companion.data import mnist5k

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # foolbox loads GitPython, which looks for git
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # they import names that SciPy has moved
    import eagerpy
    import foolbox
    import torchattacks
    from art.attacks.evasion import ProjectedGradientDescentPyTorch
    from art.estimators.classification import PyTorchClassifier

STEPS, EPS, STEP_SIZE = 40, 0.1, 0.01

Program = Callable[[], Any]

NETWORKS = {
    "mlp": lambda: MLPClassifier((1, 28, 28), 10),
    "conv": ConvClassifier,
    "deep": DeepConvClassifier,
}


def programs(model: nn.Module, x: Tensor, y: Tensor) -> dict[str, Program]:
    """Return one program for each library, and the bare passes last."""
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device=x.device)
    criterion = foolbox.criteria.Misclassification(eagerpy.astensor(y))
    of_foolbox = foolbox.attacks.LinfProjectedGradientDescentAttack(
        abs_stepsize=STEP_SIZE, steps=STEPS, random_start=False
    )
    of_torchattacks = torchattacks.PGD(
        model, eps=EPS, alpha=STEP_SIZE, steps=STEPS, random_start=False
    )
    estimator = PyTorchClassifier(
        model,
        loss=nn.CrossEntropyLoss(),
        input_shape=tuple(x.shape[1:]),
        nb_classes=10,
        clip_values=(0, 1),
        device_type="gpu" if x.is_cuda else "cpu",
    )
    of_art = ProjectedGradientDescentPyTorch(
        estimator,
        eps=EPS,
        eps_step=STEP_SIZE,
        max_iter=STEPS,
        batch_size=len(x),
        verbose=False,
    )
    arrays = x.cpu().numpy(), y.cpu().numpy()

    def passes() -> Tensor:
        leaf = x.clone().requires_grad_()
        for _ in range(STEPS):
            loss = F.cross_entropy(model(leaf), y, reduction="sum")
            torch.autograd.grad(loss, leaf)
        return x

    options = {"steps": STEPS, "step_size": STEP_SIZE, "random_start": False}
    return {
        "companion": lambda: pgd(model, x, y, eps=EPS, **options),
        "foolbox": lambda: of_foolbox.run(wrapped, x, criterion, epsilon=EPS),
        "torchattacks": lambda: of_torchattacks(x, y),
        "art": lambda: torch.as_tensor(of_art.generate(*arrays)).to(x.device),
        "passes": passes,
    }


def measure(
    candidates: dict[str, Program], rounds: int, clock: Callable[[], float], device: torch.device
) -> dict[str, list[float]]:
    """Return seconds for a call, by program; the programs take turns, in changing order."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    names = list(candidates)
    for turn in range(rounds + 1):
        for name in names if turn % 2 else reversed(names):
            begin = clock()
            candidates[name]()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if turn > 0:  # the first round warms up
                times[name].append(clock() - begin)
    return times


def compare(kind: str, options: argparse.Namespace) -> None:
    """Measure all programs on one network, and print agreement and ratios."""
    torch.manual_seed(0)
    device = torch.device(options.device)
    model = NETWORKS[kind]().to(device).eval()
    x, y = (tensor[: options.images].to(device) for tensor in mnist5k("test"))
    candidates = programs(model, x, y)
    ours = candidates["companion"]()
    others = ("foolbox", "torchattacks", "art")
    away = [f"{name} {(candidates[name]() - ours).abs().max():.0e}" for name in others]
    print(f"{kind}, {len(x)} images. Largest difference from the companion: {', '.join(away)}")
    clock = time.process_time if options.cpu_time else time.perf_counter
    times = measure(candidates, options.rounds, clock, device)
    print("  best of each: " + ", ".join(f"{name} {min(t):.3f} s" for name, t in times.items()))
    for name in others:
        print_ratio(f"{name} / companion", times[name], times["companion"], "aim: above 1")
    print_ratio("companion / passes", times["companion"], times["passes"], "aim: at most 1.1")


def main() -> None:
    """Compare on each network that is asked for."""
    parser = argparse.ArgumentParser(description="Compare the speed of attacks.")
    parser.add_argument("networks", nargs="*", default=["mlp", "conv"], help=", ".join(NETWORKS))
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cpu-time", action="store_true", help="for a busy machine")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for kind in options.networks:
        compare(kind, options)


if __name__ == "__main__":
    main()
