"""Check of the repaired gradient penalty."""

from collections.abc import Callable

import torch
from torch import Tensor

from companion.checks.authoring import Case, RepairTask, uniform

_WHERE = {
    "": lambda real, fake, u: u * real + (1 - u) * fake,
    "at which points the slope is taken.": [
        lambda real, fake, u: real,
        lambda real, fake, u: fake,
        lambda real, fake, u: (real + fake) / 2,
    ],
}
_LENGTH = {
    "": lambda gradient: gradient.norm(dim=1),
    "whose length is taken: each example has its own.": [
        lambda gradient: gradient.norm().expand(len(gradient)),
        lambda gradient: gradient.norm(dim=1).mean().expand(len(gradient)),
    ],
}
_AIM = {
    "": lambda length: (length - 1) ** 2,
    "what is punished: a slope below 1 should cost something, too, and never earn.": [
        lambda length: length**2 - 1,
        lambda length: length - 1,
    ],
}


def _penalty(
    where: Callable,
    length: Callable,
    aim: Callable,
    critic: Callable[[Tensor], Tensor],
    real: Tensor,
    fake: Tensor,
    u: Tensor,
) -> Tensor:
    leaf = where(real, fake, u).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(leaf).sum(), leaf)
    return aim(length(gradient))


def _bent(x: Tensor) -> Tensor:
    """Return the scores of a critic whose slope lies on both sides of one."""
    return 0.55 * (x.sin() + 0.3 * x.square()).sum(-1)


def _case(begin: str, size: int, n: int, seed: int) -> Case:
    return Case(
        begin,
        {
            "critic": _bent,
            "real": uniform(-1, 1, size, n, seed=seed),
            "fake": uniform(0, 2, size, n, seed=seed + 1),
            "u": uniform(0.1, 0.9, size, 1, seed=seed + 2),
        },
        atol=1e-4,
    )


RepairTask(
    "gan.penalty",
    number="9.5",
    title="Repair a gradient penalty",
    answer="penalty",
    places=[_WHERE, _LENGTH, _AIM],
    version=_penalty,
    begin="A start: for a critic of slope 1 everywhere the penalty is 0, for each example.",
    cases=[_case("With B = 6 and P = 3, ", 6, 3, 7), _case("With B = 4 and P = 4, ", 4, 4, 11)],
    praise="The points lie between the two sets, each slope has its own length, and only a "
    "slope of 1 is free. `create_graph=True` lets the penalty move the critic's weights.",
)
