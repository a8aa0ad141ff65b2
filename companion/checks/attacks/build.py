"""Check of an attack that is built from nothing: it is judged on a network that nobody shows.

The network's loss has many hills, so that one start is not enough. What decides is what the attack
does: how many images it breaks, in which limits, for how many passes, and what it leaves behind.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from companion.checks.authoring import NotAttempted, NotYet, as_tensor, call, exercise, is_blank

EPS, STEPS, RESTARTS = 0.25, 15, 8
LIMIT = 0.8  # of the images; see tests/test_checks_attacks.py for what right and wrong ones reach
_SIZE, _PIXELS, _HILLS = 64, 12, 160


class Hidden(nn.Module):
    """A network of two classes, whose loss has many hills; it remembers the images that it saw."""

    def __init__(self) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(5)
        self.norm = nn.BatchNorm1d(_PIXELS)
        self.dropout = nn.Dropout(0.3)
        self.waves = nn.Linear(_PIXELS, _HILLS)
        self.out = nn.Linear(_HILLS, 2)
        with torch.no_grad():
            self.waves.weight.copy_(5.0 * torch.randn(_HILLS, _PIXELS, generator=draw))
            self.waves.bias.copy_(6.3 * torch.rand(_HILLS, generator=draw))
            self.out.weight.copy_(torch.randn(2, _HILLS, generator=draw) / 8)
            self.out.bias.copy_(torch.tensor([4.8, 0.0]))
        self.out.bias.requires_grad_(False)
        self.waves.bias.grad = torch.full_like(self.waves.bias, 0.5)  # somebody's, to be kept
        self.eval()
        self.seen = 0
        self.asked: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, 2)."""
        self.seen += len(x)
        self.asked.append(x.detach())
        return self.out(self.dropout(torch.cos(self.waves(self.norm(x)))))


@dataclass
class State:
    """What an attack must leave as it was."""

    weights: dict[str, Tensor]
    gradients: dict[str, Tensor | None]
    wanted: dict[str, bool]
    modes: dict[str, bool]

    @classmethod
    def of(cls, model: nn.Module) -> "State":
        """Copy the state of a model."""
        named = dict(model.named_parameters())
        return cls(
            {name: value.clone() for name, value in model.state_dict().items()},
            {n: None if p.grad is None else p.grad.clone() for n, p in named.items()},
            {name: p.requires_grad for name, p in named.items()},
            {name: part.training for name, part in model.named_modules()},
        )


def _same(a: Tensor | None, b: Tensor | None) -> bool:
    return a is b if a is None or b is None else torch.equal(a, b)


def _require_untouched(before: State, after: State) -> None:
    if before.modes != after.modes:
        raise NotYet(
            "Your attack leaves a module of the network in another mode. The network came in "
            "evaluation mode: there is nothing to switch."
        )
    if any(not torch.equal(before.weights[n], after.weights[n]) for n in before.weights):
        raise NotYet("Your attack changes the network's weights, or the statistics of a layer.")
    if any(not _same(before.gradients[n], after.gradients[n]) for n in before.gradients):
        raise NotYet(
            "Your attack changes the `.grad` of the network's parameters, which somebody may be "
            "about to use. Ask for the gradient of x alone: `torch.autograd.grad`."
        )
    if before.wanted != after.wanted:
        raise NotYet("Your attack freezes or thaws parameters of the network.")


def images() -> tuple[Tensor, Tensor]:
    """Return images that the network classifies right, with their class."""
    x = torch.rand(8 * _SIZE, _PIXELS, generator=torch.Generator().manual_seed(6))
    with torch.no_grad():
        x = x[Hidden()(x).argmax(1) == 0][:_SIZE]
    return x, torch.zeros(len(x), dtype=torch.long)


def _require_allowed(x_adv: Tensor, x: Tensor, eps: float) -> None:
    if x_adv.shape != x.shape:
        raise NotYet(f"Return one image for each: {tuple(x.shape)}, not {tuple(x_adv.shape)}.")
    if x_adv.isnan().any():
        raise NotYet("Your images hold NaN.")
    change = float((x_adv - x).abs().max())
    if change > eps + 1e-5:
        raise NotYet(
            f"A pixel changes by {change:.3g}, and eps is {eps:g}. Is the ball around x, in every "
            "step and also at the start?"
        )
    if float(x_adv.min()) < -1e-6 or float(x_adv.max()) > 1 + 1e-6:
        raise NotYet("Your pixels leave [0, 1].")


def _distance(seen: Tensor, x: Tensor) -> float:
    """Return the largest change of a pixel; 0 for a part of the batch, which could be any part."""
    if len(seen) % len(x):
        return 0.0
    copies = len(seen) // len(x)  # of the whole batch, or of each image
    sources = (x.repeat(copies, 1), x.repeat_interleave(copies, 0))
    return min(float((seen - source).abs().max()) for source in sources)


def _require_asked_inside(asked: list[Tensor], x: Tensor, eps: float) -> None:
    """Refuse an attack that asks about images outside the ball or the box, on its way."""
    for seen in asked:
        if seen.min() < -1e-6 or seen.max() > 1 + 1e-6 or _distance(seen, x) > eps + 1e-5:
            raise NotYet(
                "What you return is allowed. But on its way your attack asks the network about "
                "images outside the ball or the box. Project after each step, the start included."
            )


def broken(model: nn.Module, x_adv: Tensor, y: Tensor) -> float:
    """Return the share of images that the network gets wrong."""
    with torch.no_grad():
        return float((model(x_adv).argmax(1) != y).float().mean())


def _run(answer: Any, steps: int, restarts: int) -> tuple[float, int]:
    """Return the share of broken images, and how many images the network saw."""
    model = Hidden()
    x, y = images()
    before = State.of(model)
    torch.manual_seed(7)  # the caller's state is put back afterwards
    result = call(answer, model=model, x=x, y=y, eps=EPS, steps=steps, restarts=restarts)
    seen = model.seen
    _require_untouched(before, State.of(model))
    if isinstance(result, Tensor) and result.requires_grad:
        raise NotYet("Your result carries a graph. Return it detached.")
    x_adv = as_tensor(result)
    _require_allowed(x_adv, x, EPS)
    _require_asked_inside(model.asked, x, EPS)
    return broken(model, x_adv.to(x.dtype), y), seen


@exercise(
    "attacks.build",
    number="5.7",
    title="Build it: PGD with restarts",
    answer="my_pgd",
)
def build(answer: Any) -> str:
    """Judge an attack by what it does to a network that it has never seen."""
    if is_blank(answer):
        raise NotAttempted("Write the attack, then run the cell again.")
    found, seen = _run(answer, STEPS, RESTARTS)
    allowed = _SIZE * RESTARTS * (STEPS + 2)
    if seen > allowed:
        raise NotYet(
            f"The network saw {seen} images. With {RESTARTS} restarts of {STEPS} steps, two more "
            f"passes for each restart and {_SIZE} images, {allowed} are enough."
        )
    single, _ = _run(answer, STEPS, 1)
    if found < LIMIT or (found < 0.97 and found < single + 0.05):
        raise NotYet(_why(found, single))
    return (
        f"Your attack breaks {found:.0%} of the images, with {seen // _SIZE} passes for each, and "
        "leaves the network as it was."
    )


def _why(found: float, single: float) -> str:
    """Say what an attack lacks that breaks too little, or no more than from a single start."""
    short = f"Everything is allowed and untouched, but only {found:.0%} of the images break. "
    if found < 0.1:
        return short + (
            "Does the loss rise from step to step, or fall? Or is each step as long as the ball is "
            "wide?"
        )
    if found <= single + 0.15:
        return short + (
            f"One start alone breaks {single:.0%}. Do the starts begin at different points, and do "
            "you keep the worst end for each image, not one end for all?"
        )
    return short + (
        "More restarts help, so each climb may be too weak: is every step taken from where the "
        "last one ended, and is the step size large enough to cross the ball, and "
        "small enough to stop?"
    )
