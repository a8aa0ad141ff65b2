"""Exercises that ask for the repair of a function: what is left of its faults is named.

The function is written once, as a version for each way to be wrong. A place where it can be wrong
holds the right code and the faulty ones, each under the fault's name::

    SIGN = {"": 1, "which way the loss should move.": -1}
    REDUCTION = {"": torch.sum, "how the dimensions are reduced.": torch.mean}

    RepairTask(
        ...,
        places=[SIGN, REDUCTION],
        version=lambda sign, reduction, x: sign * reduction(x, -1),
    )

Every combination is a version; the answer is compared with all of them. The names are all that a
learner reads of a fault: they say where to look, not what to write.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import product
from typing import Any

from companion.checks._compare import nearest
from companion.checks._registry import NotAttempted, NotYet
from companion.checks._tasks import FunctionTask, Slips, as_parts, off

Place = Mapping[str, Any]  # each fault's name with its code, or a list of codes; "" is right
Faults = tuple[str, ...]

_WORDS = {1: "The fault is", 2: "Both faults are", 3: "All three faults are"}
_WORDS |= {4: "All four faults are", 5: "All five faults are"}


def no_slips(**arguments: Any) -> Slips:
    """Return no slips."""
    return {}


class RepairTask(FunctionTask):
    """An exercise that asks for the repair of a function.

    Args:
        places: where the function can be wrong. In each place the first fault is the one that
            the exercise begins with; several codes for one name are a list.
        version: the function: called with one code for each place, then with the arguments by
            name.
        begin: what to say, after the number of faults, if nothing has changed.
        name_all: whether all the faults that are left are named, or the first one only.
        also: for right code other than the first of its place, a closing remark of its own.
        find: returns the names of the faults that are left in an answer, where its values can't
            tell (because they are random); the cases are then not compared.
        slips: what else a repair may make of the first case: new faults.
        **others: as of `FunctionTask`.
    """

    def __init__(
        self,
        key: str,
        *,
        places: Sequence[Place],
        version: Callable[..., Any],
        begin: str,
        name_all: bool = True,
        also: Mapping[Any, str] | None = None,
        find: Callable[[Any], Sequence[str]] | None = None,
        slips: Callable[..., Slips] = no_slips,
        **others: Any,
    ) -> None:
        self.places, self.version, self.begin = list(places), version, begin
        self.name_all, self.also, self.find = name_all, dict(also or {}), find
        super().__init__(key, slips=slips, reference=self._reference(self._right()), **others)

    def judge(self, answer: object, reference: Callable[..., Any] | None = None) -> str:
        """Return the closing remark for a repaired function; name what is left in another."""
        codes = self._right()
        if self.find is not None:
            self._name(tuple(self.find(answer)))
            self.judge_further(answer)
            return self.praise
        faults, codes = self._nearest(answer) or ((), codes)
        self._name(faults)
        praise = super().judge(answer, self._reference(codes))
        return next((self.also[code] for code in codes if _known(code, self.also)), praise)

    def versions(self) -> list[tuple[Faults, tuple[Any, ...]]]:
        """Return every combination: the names of its faults, and its code for each place."""
        found = []
        for names in product(*self.places):
            choices = [_codes(place[name]) for place, name in zip(self.places, names, strict=True)]
            faults = tuple(name for name in names if name)
            found += [(faults, codes) for codes in product(*choices)]
        return found

    def left(self, faults: Faults) -> str:
        """Return the hint for the faults that are left."""
        count = f"{len(faults)} fault{'s' if len(faults) > 1 else ''} left."
        if not self.name_all:
            return f"{count} If you are stuck, look at {faults[0]}"
        return f"{count} Look at:\n\n" + "\n".join(f"- {fault}" for fault in faults)

    def first(self) -> Faults:
        """Return the faults that the exercise begins with."""
        return tuple(next(name for name in place if name) for place in self.places)

    def _right(self) -> tuple[Any, ...]:
        return tuple(_codes(place[""])[0] for place in self.places)

    def _reference(self, codes: tuple[Any, ...]) -> Callable[..., Any]:
        return lambda **arguments: self.version(*codes, **arguments)

    def _name(self, faults: Faults) -> None:
        if faults == self.first():
            raise NotAttempted(f"{_WORDS[len(faults)]} still there. {self.begin}")
        if faults:
            raise NotYet(self.left(faults))

    @cached_property
    def _values(self) -> list[Any]:
        """What each version makes of the first case."""
        given = self.cases[0].double()
        return [as_parts(self.version(*codes, **given)) for _, codes in self.versions()]

    def _nearest(self, answer: object) -> tuple[Faults, tuple[Any, ...]] | None:
        """Return the version that the answer equals in the first case; None if there is none."""
        values, result = self._values, self.ask(answer, self.cases[0])
        known = {str(i): [off(result, each, self.cases[0])] for i, each in enumerate(values)}
        index = nearest(known)
        return self.versions()[int(index)] if index else None


def _codes(code: Any) -> list[Any]:
    return code if isinstance(code, list) else [code]


def _known(code: Any, also: Mapping[Any, str]) -> bool:
    return callable(code) and code in also
