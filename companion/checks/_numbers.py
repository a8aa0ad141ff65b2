"""Exercises that ask for numbers, worked out on paper: one, or several with letters."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from torch import Tensor

from companion.checks._call import is_blank
from companion.checks._compare import number as as_number
from companion.checks._registry import Exercise, NotAttempted, NotYet, register

Numbers = Mapping[str, float | Sequence[float]]  # for each hint the wrong number, or several

_WORDS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def _listed(slips: Numbers) -> dict[str, list[float]]:
    return {
        hint: [wrong] if isinstance(wrong, (int, float)) else list(wrong)
        for hint, wrong in slips.items()
    }


class NumberTask:
    """An exercise that asks for one number.

    Args:
        key, number, title: as of `exercise`.
        value: the right number.
        within: how far a coarse rounding may be from it.
        slips: for each hint the wrong number, or several.
        slip_within: how far from a slip an answer still counts as that slip.
        rules: for what is neither: pairs of a test of the number and the hint if it holds.
        otherwise: the last hint; `{value}` is the learner's number.
        praise: the closing remark of a right answer.
    """

    def __init__(
        self,
        key: str,
        *,
        title: str,
        number: str,
        value: float,
        within: float,
        slips: Numbers,
        slip_within: float,
        rules: Sequence[tuple[Callable[[float], bool], str]] = (),
        otherwise: str,
        praise: str,
    ) -> None:
        self.key, self.value, self.within = key, value, within
        self.slips, self.slip_within = _listed(slips), slip_within
        self.rules, self.otherwise, self.praise = list(rules), otherwise, praise
        register(Exercise(key, f"{number} {title}", self.judge, number, "answer", self))

    def judge(self, answer: object) -> str:
        """Return the closing remark for a right answer; raise NotYet for another."""
        given = as_number(answer)
        if abs(given - self.value) < self.within:
            return self.praise
        off = {hint: min(abs(given - w) for w in wrong) for hint, wrong in self.slips.items()}
        hint = min(off, key=lambda each: off[each])
        if off[hint] < self.slip_within:
            raise NotYet(hint)
        for holds, rule in self.rules:
            if holds(given):
                raise NotYet(rule)
        raise NotYet(self.otherwise.format(value=f"{given:.6g}"))


class NumbersTask:
    """An exercise that asks for several numbers, (a), (b), ...: in order, or in a dict.

    Args:
        key, number, title, answer: as of `exercise`.
        values: the right numbers by their letters.
        slips: for each letter its hints, each with the wrong number, or several.
        within: relative tolerance, of right and of wrong numbers.
        close: up to which relative error a number is only called close; 0: none is.
        otherwise: the last hint, one for all or one for each letter; `{value}` is the number.
        praise: the closing remark if all are right.
    """

    def __init__(
        self,
        key: str,
        *,
        title: str,
        number: str,
        answer: str,
        values: Mapping[str, float],
        slips: Mapping[str, Numbers],
        within: float = 5e-3,
        close: float = 0.0,
        otherwise: str | Mapping[str, str],
        praise: str,
    ) -> None:
        self.key, self.values, self.within, self.close = key, dict(values), within, close
        self.slips = {letter: _listed(slips[letter]) for letter in values}
        if isinstance(otherwise, str):
            otherwise = dict.fromkeys(values, otherwise)
        self.otherwise = dict(otherwise)
        self.praise = praise
        register(Exercise(key, f"{number} {title}", self.judge, number, answer, self))

    def judge(self, answer: object) -> str:
        """Return the closing remark if all are right; raise NotYet with a line for each other."""
        answers = self._by_letter(answer)
        if all(is_blank(value) for value in answers.values()):
            raise NotAttempted(f"Fill in the {self._count()} numbers, then run the cell again.")
        remarks = {letter: self.remark(letter, value) for letter, value in answers.items()}
        lines = [f"- ({letter}) {remark}" for letter, remark in remarks.items() if remark]
        if not lines:
            return self.praise
        right = len(remarks) - len(lines)
        verb = "is" if right == 1 else "are"
        raise NotYet(
            f"{right} of {len(remarks)} {verb} right. Look again at:\n\n" + "\n".join(lines)
        )

    def remark(self, letter: str, value: object) -> str:
        """Return what to look at in one of the answers; empty if it is right."""
        if is_blank(value):
            return "no answer yet."
        if isinstance(value, str):
            return "write it without quotes."
        try:
            given = as_number(value, "the answer")
        except NotYet as reason:
            return str(reason)
        right = self.values[letter]
        if self.off(given, right) <= 1:
            return ""
        if abs(given - right) < self.close * abs(right):
            return "close; give three digits or write the product."
        slips = self.slips[letter]
        off = {hint: min(self.off(given, w) for w in wrong) for hint, wrong in slips.items()}
        hint = min(off, key=lambda each: off[each])
        return hint if off[hint] <= 1 else self.otherwise[letter].format(value=f"{given:.6g}")

    def off(self, value: float, other: float) -> float:
        """Return how far a value is from another, 1 at the tolerance."""
        return abs(value - other) / (self.within * abs(other) + 1e-12)

    def _count(self) -> str:
        return _WORDS[len(self.values)]

    def _by_letter(self, answer: object) -> dict[str, object]:
        letters = list(self.values)
        if isinstance(answer, (Tensor, np.ndarray)):
            answer = answer.reshape(-1).tolist()
        if isinstance(answer, Mapping):
            named = {str(key).strip("() ").lower(): value for key, value in answer.items()}
            if not set(named) <= set(letters):
                names = ", ".join(f"`{each}`" for each in letters[:-1])
                raise NotYet(f"The dict's keys must be {names} and `{letters[-1]}`.")
            return {letter: named.get(letter) for letter in letters}
        if not isinstance(answer, (list, tuple)):
            raise NotYet(
                f"Pass {self._count()} numbers, as a list or as a dict; this is of type "
                f"`{type(answer).__name__}`."
            )
        if len(answer) != len(letters):
            raise NotYet(
                f"Pass {self._count()} numbers, (a) to ({letters[-1]}); you passed {len(answer)}."
            )
        return dict(zip(letters, answer, strict=True))
