"""Exercises that ask for a sampler: its slips are samplers too, told apart by statistics.

A statistic is a tensor of numbers that `look` reads off the samples. What chance makes of it comes
from the reference and from each slip, drawn again and again, so that no limit is set by hand.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from companion.checks._call import call
from companion.checks._compare import as_tensor, nearest
from companion.checks._registry import Exercise, NotYet, register

Sampler = Callable[..., Tensor]
Look = Callable[[Tensor], dict[str, Tensor]]

_LIMIT = 6.0  # standard deviations of a right sampler, so that no right answer meets bad luck
_SLIP_LIMIT = 8.0  # of a slip, whose spread is known from fewer draws


class SamplingTask:
    """An exercise that asks for a function `draw(n, ..., generator)` of samples (n, D).

    Args:
        key, number, title, answer: as of `exercise`.
        arguments: those between `n` and `generator`, by name and in their order.
        shape: returns the shape of one sample; called with the arguments.
        n: how many samples are drawn; a loop over them has to pass.
        reference: the right sampler, called like the answer.
        slips: for each hint a wrong sampler, or several.
        look: returns the statistics of samples, in the order in which they are told.
        floors: for each statistic the smallest difference that counts.
        tell: for some statistics what to say of the learner's and the right numbers.
        otherwise: for each statistic the hint if it differs and no slip fits.
        wrong_shape: what to add if the samples' shape is wrong; called with them.
        further: further judges, each called with a function `draw(n, seed, **arguments)`.
        praise: the closing remark of a right answer.
    """

    def __init__(
        self,
        key: str,
        *,
        title: str,
        number: str,
        answer: str,
        arguments: Mapping[str, Tensor],
        shape: Callable[..., Sequence[int]],
        n: int,
        reference: Sampler,
        slips: Mapping[str, Sampler | Sequence[Sampler]],
        look: Look,
        floors: Mapping[str, float],
        tell: Mapping[str, Callable[[Tensor, Tensor], str]],
        otherwise: Mapping[str, str],
        wrong_shape: Callable[[Tensor], str],
        further: Sequence[Callable[[Callable[..., Tensor]], None]] = (),
        praise: str,
    ) -> None:
        self.key, self.arguments, self.shape, self.n = key, dict(arguments), shape, n
        self.reference, self.look, self.floors = reference, look, dict(floors)
        self.slips: dict[str, list[Sampler]] = {
            hint: list(each) if isinstance(each, Sequence) else [each]
            for hint, each in slips.items()
        }
        self.tell, self.otherwise, self.wrong_shape = dict(tell), dict(otherwise), wrong_shape
        self.further, self.praise = list(further), praise
        self.chance = cache(self._chance)
        register(Exercise(key, f"{number} {title}", self.judge, number, answer, self))

    def judge(self, answer: object) -> str:
        """Return the closing remark for a right answer; raise NotYet for another."""
        self._judge_randomness(answer)
        found = self.look(self.draw(answer, self.n, seed=1, **self.arguments))
        right = self.chance(self.reference, 100)
        different = [name for name in found if self._off(found, right, name) > _LIMIT]
        if different:
            raise NotYet(self._hint(found, different[0]))
        for judge in self.further:
            judge(lambda n, seed, **other: self.draw(answer, n, seed, **(other or self.arguments)))
        return self.praise

    def draw(self, answer: object, n: int, seed: int, **arguments: Tensor) -> Tensor:
        """Return the learner's samples as float64, with the right shape."""
        generator = torch.Generator().manual_seed(seed)
        z = as_tensor(call(answer, n=n, **arguments, generator=generator))
        shape = (n, *self.shape(**arguments))
        if z.shape != shape:
            raise NotYet(
                f"With n = {n} your result has shape {tuple(z.shape)}; it should be {shape}."
                f"{self.wrong_shape(z)}"
            )
        if not torch.isfinite(z).all():
            raise NotYet("Your samples hold NaN or infinity.")
        return z.double()

    def _judge_randomness(self, answer: object) -> None:
        """Judge that the samples depend on the generator, and on nothing else."""
        first, again, other = (
            self.draw(answer, 40, seed=seed, **self.arguments) for seed in (2, 2, 3)
        )
        if not torch.equal(first, again):
            raise NotYet(
                "Two calls with generators in the same state give different samples. Every random "
                "function has to get the generator: `torch.multinomial` and `torch.randn` take it "
                "(`torch.randn_like` may not)."
            )
        if torch.equal(first, other):
            raise NotYet(
                "The samples are the same whatever the generator. Is a seed fixed inside, or is "
                "there no randomness at all?"
            )
        generator = torch.Generator().manual_seed(4)
        one, two = (
            as_tensor(call(answer, n=40, **self.arguments, generator=generator)) for _ in range(2)
        )
        if torch.equal(one, two):
            raise NotYet(
                "Two calls in a row with one generator give the same samples twice. Draw from the "
                "generator itself instead of starting another one with its seed."
            )

    def _chance(self, sampler: Sampler, times: int) -> dict[str, tuple[Tensor, Tensor]]:
        """Return mean and standard deviation of each statistic of a sampler."""
        generator = torch.Generator().manual_seed(0)
        draws = (sampler(self.n, *self.arguments.values(), generator) for _ in range(times))
        looks = [self.look(z.double()) for z in draws]
        tables = {name: torch.stack([each[name] for each in looks]) for name in looks[0]}
        return {name: (table.mean(0), table.std(0)) for name, table in tables.items()}

    def _off(self, found: dict[str, Tensor], chance: Any, name: str) -> float:
        """Return how many standard deviations a statistic is away, at the most."""
        mean, std = chance[name]
        beyond = ((found[name] - mean).abs() - self.floors[name]).clamp_min(0)
        return float((beyond / (std + 1e-9)).max())

    def _hint(self, found: dict[str, Tensor], name: str) -> str:
        """Return the hint of the slip whose statistics are nearest, or what differs."""
        known: dict[str, list[float]] = {}
        for hint, samplers in self.slips.items():
            chances = [self.chance(each, 16) for each in samplers]
            known[hint] = [
                max(self._off(found, chance, each) for each in found) / _SLIP_LIMIT
                for chance in chances
            ]
        hint = nearest(known) or self.otherwise[name]
        if name not in self.tell:
            return hint
        return f"{hint} {self.tell[name](found[name], self.chance(self.reference, 100)[name][0])}"
