"""Check of a GAN that is built from nothing: whose parameters move in which step, and which modes.

Every step of an optimizer is watched: which parameters are others after it than before.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import optimizer as optim

from companion.checks._registry import Exercise, register
from companion.checks.authoring import NotAttempted, NotYet, call, is_blank
from companion.data.toys import ring, ring_centers
from companion.samples import ModeCount, count_modes

ROUNDS, FEW = 1_500, 12
# Modes of eight, and the share of good samples. Five seeds of the chapter's networks find 8 each,
# with 64 % or more; three seeds with a discriminator four times slower find 1 or 2.
MODES, QUALITY = 7, 0.3
_SECONDS = 30.0


@dataclass
class Watch:
    """Which parameters each step of an optimizer has moved."""

    steps: list[set[int]] = field(default_factory=list)
    kept: list[Tensor] = field(default_factory=list)  # so that no number is used again
    before: dict[int, Tensor] = field(default_factory=dict)

    def start(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """Copy what an optimizer may move."""
        weights = [w for group in optimizer.param_groups for w in group["params"]]
        self.before = {id(w): w.detach().clone() for w in weights}
        if len(self.steps) < 2:
            self.kept += weights

    def end(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """Note what has moved."""
        weights = [w for group in optimizer.param_groups for w in group["params"]]
        moved = {id(w) for w in weights if not torch.equal(w, self.before.get(id(w), w))}
        self.steps.append(moved)


@contextmanager
def _watching() -> Iterator[Watch]:
    watch = Watch()
    hooks = [
        optim.register_optimizer_step_pre_hook(watch.start),
        optim.register_optimizer_step_post_hook(watch.end),
    ]
    try:
        yield watch
    finally:
        for hook in hooks:
            hook.remove()


def _train(answer: Any, rounds: int) -> tuple[nn.Module, nn.Module, Watch]:
    points = ring(6_400, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(0)  # the caller's state is put back afterwards
    with _watching() as watch:
        result = call(answer, points=points, rounds=rounds)
    pair = list(result) if isinstance(result, (tuple, list)) else []
    if len(pair) != 2 or not all(isinstance(each, nn.Module) for each in pair):
        raise NotYet("Return the two networks: `return generator, discriminator`.")
    return pair[0], pair[1], watch


def sample(generator: nn.Module, n: int = 2_500) -> Tensor:
    """Return points of a generator."""
    noise = torch.randn(n, 2, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        points = generator.eval()(noise)
    if not isinstance(points, Tensor) or points.shape != (n, 2):
        found = tuple(points.shape) if isinstance(points, Tensor) else type(points).__name__
        raise NotYet(f"The generator should map noise ({n}, 2) to points ({n}, 2), not {found}.")
    if not torch.isfinite(points).all():
        raise NotYet("The generator gives NaN or infinity. Is a learning rate too large?")
    return points


def _judge_steps(generator: nn.Module, discriminator: nn.Module, watch: Watch) -> None:
    """Leave with a hint unless the two take turns, each with its own parameters."""
    mine = {id(w) for w in generator.parameters()}
    other = {id(w) for w in discriminator.parameters()}
    if not watch.steps:
        raise NotYet("No optimizer has taken a step. Call `step()` after `backward()`.")
    if mine & other:
        raise NotYet("The two networks share parameters. Each player needs its own.")
    if any(step & mine and step & other for step in watch.steps):
        raise NotYet(
            "One step moves both networks. Each optimizer must hold the parameters of one player."
        )
    turns = ["G" if step & mine else "D" if step & other else "-" for step in watch.steps]
    if "G" not in turns:
        raise NotYet(
            "The generator never moves. Does its optimizer hold its parameters, and does a "
            "gradient arrive there? Something may cut the graph between the judge and the samples."
        )
    if "D" not in turns:
        raise NotYet("The discriminator never moves. Does its optimizer hold its parameters?")
    if turns.count("G") != FEW:
        raise NotYet(
            f"In {FEW} rounds the generator took {turns.count('G')} steps that moved it. One step "
            "in each round is asked for."
        )
    first, last = turns.index("G"), len(turns) - 1 - turns[::-1].index("G")
    if "GG" in "".join(turns) or "D" not in turns[first : last + 1]:
        raise NotYet("The generator moves twice without the discriminator. The two take turns.")


def _judge_verdicts(discriminator: nn.Module, points: Tensor) -> None:
    """Leave with a hint if the discriminator takes samples for real and data for samples."""
    data = ring(2_500, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        real, fake = (discriminator.eval()(x) for x in (data, points))
    if not isinstance(real, Tensor) or len(real) != len(data):
        raise NotYet("The discriminator should give one number for each point.")
    # Far from both sets nothing is known, so only clear cases count.
    if real.double().mean() < fake.double().mean() - 1:
        raise NotYet(
            "Your discriminator gives generated points a larger number than real ones. Look at the "
            "labels in its loss."
        )


def _judge_modes(found: ModeCount) -> None:
    if found.found >= MODES and found.high_quality >= QUALITY:
        return
    told = (
        f"The two take turns as they should. After {ROUNDS} rounds the samples find {found.found} "
        f"of 8 modes, and {found.high_quality:.0%} are of high quality; {MODES} modes and "
        f"{QUALITY:.0%} are asked for. "
    )
    if found.high_quality < 0.05:
        raise NotYet(
            told + "Hardly a sample lies near the data. Which way does each loss move the samples, "
            "and is a learning rate far too small or too large?"
        )
    if found.found <= 5:
        raise NotYet(
            told + "That is mode collapse. Which player is too slow? The chapter's healthy setting "
            "has a momentum of 0, and a faster discriminator."
        )
    raise NotYet(
        told + "That is close. More hidden units, other learning rates or more points in a batch "
        "may help."
    )


def build(answer: Any) -> str:
    """Judge a GAN by who moves in which step, and by the modes that it finds."""
    if is_blank(answer):
        raise NotAttempted("Write the two networks and the loop, then run the cell again.")
    generator, discriminator, watch = _train(answer, FEW)
    sample(generator)
    _judge_steps(generator, discriminator, watch)
    generator, discriminator, _ = _train(answer, ROUNDS)
    points = sample(generator)
    _judge_verdicts(discriminator, points)
    found = count_modes(points, ring_centers())
    _judge_modes(found)
    return (
        f"Each step moves one player, the two take turns, and the samples find {found.found} of 8 "
        f"modes, with {found.high_quality:.0%} of high quality."
    )


register(
    Exercise(
        "gan.build",
        "9.6 Build it: two players on the ring",
        build,
        "9.6",
        "my_gan",
        seconds=_SECONDS,
    )
)
