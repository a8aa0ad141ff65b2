"""An exercise as data: inputs, a reference and the known slips. The judging is the same for all.

A slip is what a misconception makes of the inputs, with the hint that names it. Slips are written
as one function of the arguments that returns them all, so that terms are computed once::

    def slips(x):
        return {"You doubled `x`; the exercise asks for its square.": 2 * x}

    SQUARE = FunctionTask(
        "elbo.square", number="1.9", title="The square", answer="square",
        reference=lambda x: x**2, slips=slips,
        cases=[Case("With five numbers, ", {"x": torch.linspace(-1, 2, 5)})],
        gradients_by=("x",), praise="It even works for negative numbers.",
    )

A function that returns several results has `parts`, their names. Its reference then returns a
tuple, and so does each slip; None in a slip stands for any value of that part.

`tests/test_tasks.py` holds all of them to the same: the reference passes, the stub is not
attempted, each slip gets its own hint, no two slips give the same numbers, and NaN and another
shape are refused.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from companion.checks._call import DETACHED, call, gradients, is_blank
from companion.checks._compare import (
    Hints,
    as_tensor,
    compare,
    distance,
    nearest,
    number,
    require_no_nan,
)
from companion.checks._registry import Exercise, NotYet, register

Parts = tuple[Tensor, ...]
Slips = Mapping[str, Any]  # for each hint the wrong value, a tensor or a tuple, or a list of them

RANDOM = (
    "Your function draws random numbers: two calls with the same arguments need not agree. "
    "Nothing random is asked for here."
)


class Case:
    """One set of arguments, and how exact the answer must be there.

    Args:
        setting: how to name it in messages: "With S = 6 and B = 4, ".
        arguments: those of the learner's function, by name and in its order.
        expected: the right value. None: the task's reference gives it.
        rtol, atol: the tolerances of `compare`.
        remark: what to add where no slip fits.
        near: what to add then if the result is less than 2 percent off.
        not_finite: what to say if the result is not finite, where the right one is.
        far_off: what to say if it is off by more than `beyond`.
        slips: what else may come out here alone.
    """

    def __init__(
        self,
        setting: str,
        arguments: Mapping[str, Any],
        *,
        expected: Any = None,
        rtol: float = 1e-5,
        atol: float = 1e-4,
        remark: str = "",
        near: str = "",
        not_finite: str = "",
        far_off: str = "",
        beyond: float = 100.0,
        slips: Slips | None = None,
    ) -> None:
        self.setting = setting
        self.expected = expected
        self.rtol, self.atol = rtol, atol
        self.remark, self.near = remark, near
        self.not_finite, self.far_off, self.beyond = not_finite, far_off, beyond
        self.slips = slips or {}
        self.arguments = dict(arguments)

    @classmethod
    def at(cls, point: Mapping[str, float], **options: Any) -> "Case":
        """Return a case of single numbers in float64, named as a point: "At x = 1.7, "."""
        setting = "At " + ", ".join(f"{name} = {value:g}" for name, value in point.items()) + ", "
        numbers = {name: torch.tensor(v, dtype=torch.float64) for name, v in point.items()}
        return cls(setting, numbers, **options)

    def double(self) -> dict[str, Any]:
        """Return the arguments, numbers in float64."""
        return {
            name: v.double() if isinstance(v, Tensor) and v.is_floating_point() else v
            for name, v in self.arguments.items()
        }


class FunctionTask:
    """An exercise that asks for a function of tensors.

    Args:
        key, number, title, answer: as of `exercise`.
        reference: the right function; it is called in float64, by name.
        slips: what the known misconceptions make of the first case; called like the reference.
        cases: where the answer is tried, the general one first.
        also_right: other right functions, which give other values, each with a remark of its own.
        parts: the names of the results, "The mean" and "The variance", if there are several.
        each_row: the arguments are columns, and the answer gets one row of numbers at a time.
        read: makes a tensor of what the answer returns (or a tuple of them, of several parts).
        gradients_by: names of arguments by which its gradient is compared, in the first case.
        gradient_remark: what to add where a gradient differs.
        gradient_atol: absolute tolerance of gradients.
        gradient_slips: what the known misconceptions make of the first gradient of those, where the
            values are right; called like the reference.
        gradients_also: functions whose gradients are right as well.
        further: further judges, each called with the answer; they leave through `NotYet`.
        difference: what to say if no slip fits; called with the case, the result and the right one.
        random: what to say if the answer draws random numbers.
        praise: the closing remark of a right answer.
    """

    def __init__(
        self,
        key: str,
        *,
        title: str,
        number: str,
        answer: str,
        reference: Callable[..., Any],
        slips: Callable[..., Slips],
        cases: Sequence[Case],
        parts: Sequence[str] = ("Your result",),
        each_row: bool = False,
        read: Callable[[Any], Any] | None = None,
        gradients_by: Sequence[str] = (),
        gradient_remark: str = DETACHED,
        gradient_atol: float = 1e-4,
        gradient_slips: Callable[..., Hints] | None = None,
        gradients_also: Sequence[Callable[..., Tensor]] = (),
        also_right: Mapping[Callable[..., Any], str] | None = None,
        further: Sequence[Callable[[Any], None]] = (),
        difference: Callable[[Case, Tensor, Tensor], str] | None = None,
        random: str = RANDOM,
        praise: str = "",
    ) -> None:
        self.key = key
        self.reference, self.slips, self.cases = reference, slips, list(cases)
        self.parts, self.each_row = tuple(parts), each_row
        self.read: Callable[[Any], Any] = read or (
            as_tensor if len(self.parts) == 1 else lambda result: several(result, self.parts)
        )
        self.gradients_by, self.gradient_remark = list(gradients_by), gradient_remark
        self.gradient_atol, self.further = gradient_atol, list(further)
        self.gradient_slips, self.gradients_also = gradient_slips, list(gradients_also)
        self.also_right = dict(also_right or {})
        self.difference, self.random, self.praise = difference, random, praise
        register(Exercise(key, f"{number} {title}", self.judge, number, answer, self))

    def judge(self, answer: object, reference: Callable[..., Any] | None = None) -> str:
        """Return the closing remark for a right answer; raise NotYet for another."""
        reference = reference or self._meant(answer)
        for case in self.cases:
            self.judge_case(answer, case, reference)
        self.judge_further(answer)
        if self.gradients_by:
            self._judge_gradients(answer, self.cases[0], reference)
        return self.also_right.get(reference, self.praise)

    def _meant(self, answer: object) -> Callable[..., Any]:
        """Return the right function that the answer equals in the first case, or the reference."""
        case = self.cases[0]
        result = self.ask(answer, case) if self.also_right else ()
        for other in self.also_right:
            if off(result, self.expected(case, other), case) <= 1:
                return other
        return self.reference

    @cached_property
    def _slips_of_first(self) -> Slips:
        return self.slips(**self.cases[0].double())

    def judge_further(self, answer: object) -> None:
        """Ask the further judges."""
        for judge in self.further:
            judge(answer)

    def ask(self, answer: object, case: Case) -> Parts:
        """Return the answer's results in a case, one tensor for each part."""
        if not self.each_row:
            return as_parts(self.read(call(answer, **case.arguments)))
        names, columns = list(case.arguments), [v.tolist() for v in case.arguments.values()]
        rows = (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))
        values = [number(call(answer, **row), "Your result") for row in rows]
        return (torch.tensor(values, dtype=torch.float64),)

    def expected(self, case: Case, reference: Callable[..., Any] | None = None) -> Parts:
        """Return the right values of a case."""
        if case.expected is not None:
            return as_parts(case.expected)
        return as_parts((reference or self.reference)(**case.double()))

    def judge_case(
        self, answer: object, case: Case, reference: Callable[..., Any] | None = None
    ) -> None:
        """Raise NotYet unless the answer is right in one case."""
        result, right = self.ask(answer, case), self.expected(case, reference)
        if off(result, right, case) <= 1:
            return
        _require_moderate(result, right, case)
        for name, part in zip(self.parts, result, strict=True):
            require_no_nan(part, name, case.setting)
        general = self._slips_of_first if case is self.cases[0] else {}
        table = {**general, **case.slips}
        for loose in (False, True):  # a slip of all parts goes before one of some
            hint = nearest(
                {
                    hint: [off(result, w, case) for w in wrongs(wrong) if _is_loose(w) == loose]
                    for hint, wrong in table.items()
                }
            )
            if hint:
                raise NotYet(hint)
        self._require_no_draws(answer, case, result)
        self._tell(result, right, case)

    def _require_no_draws(self, answer: object, case: Case, first: Parts) -> None:
        """Raise NotYet if the answer uses random numbers, also with a seed of its own."""
        before = torch.Generator().manual_seed(20).get_state()
        torch.set_rng_state(before)  # the caller's is put back afterwards
        again = self.ask(answer, case)
        same = all(map(torch.equal, first, again))
        if not same or not torch.equal(before, torch.get_rng_state()):
            raise NotYet(self.random)

    def _tell(self, result: Parts, right: Parts, case: Case) -> None:
        """Raise NotYet with the first part that differs; the others are right as far as it goes."""
        if self.difference is not None:
            raise NotYet(self.difference(case, result[0], right[0]))
        remark = case.remark
        if case.near and off(result, right, Case("", {}, rtol=0.02, atol=0.0)) <= 1:
            remark = f"{remark} {case.near}".strip()
        for name, part, expected in zip(self.parts, result, right, strict=True):
            compare(
                part,
                expected,
                what=name,
                setting=case.setting,
                rtol=case.rtol,
                atol=case.atol,
                remark=remark,
            )
            remark = f"{remark} {name} is right.".strip()

    def _judge_gradients(
        self, answer: Any, case: Case, reference: Callable[..., Any] | None = None
    ) -> None:
        fixed = {n: v for n, v in case.arguments.items() if n not in self.gradients_by}
        moved = {n: case.arguments[n] for n in self.gradients_by}

        def of_answer(*values: Tensor) -> object:
            given = fixed | dict(zip(moved, values, strict=True))
            return answer(*(given[name] for name in case.arguments))

        def right(function: Callable[..., Any]) -> dict[str, Tensor]:
            def of_reference(*values: Tensor) -> Tensor:
                return function(**case.double() | dict(zip(moved, values, strict=True)))

            return gradients(of_reference, **{n: v.double() for n, v in moved.items()})

        found, atol = gradients(of_answer, **moved), self.gradient_atol
        for other in map(right, self.gradients_also):
            if all(distance(found[n], other[n], 1e-5, atol) <= 1 for n in moved):
                return
        slips = self.gradient_slips(**case.double()) if self.gradient_slips else {}
        for name, wanted in right(reference or self.reference).items():
            what = f"The gradient with respect to `{name}`"
            compare(found[name], wanted, slips, what=what, remark=self.gradient_remark, atol=atol)
            slips = {}


def as_parts(value: Any) -> Any:
    """Return a tuple of parts; a single tensor is the only one."""
    return value if isinstance(value, tuple) else (value,)


def wrongs(wrong: Any) -> list[Any]:
    """Return the wrong values of a slip, each a tuple of parts."""
    return [as_parts(each) for each in (wrong if isinstance(wrong, list) else [wrong])]


def _is_loose(wrong: Sequence[Tensor | None]) -> bool:
    return any(part is None for part in wrong)


def off(result: Parts, other: Sequence[Tensor | None], case: Case) -> float:
    """Return how far a result is from another, 1 at the tolerance; None equals everything."""
    pairs = zip(result, other, strict=True)
    return max(0.0 if b is None else distance(a, b, case.rtol, case.atol) for a, b in pairs)


def several(result: Any, names: Sequence[str]) -> Parts:
    """Return the parts of a result, each a tensor, a single number without axes.

    Raises:
        NotYet: if they are not as many as the names, or some are still placeholders.
    """
    what = ", ".join(name[0].lower() + name[1:] for name in names)
    if isinstance(result, (Tensor, np.ndarray)) and result.ndim and len(result) == len(names):
        result = list(result)
    if isinstance(result, (tuple, list)) and any(is_blank(part) for part in result):
        raise NotYet("One of the results is still the placeholder `...`.")
    if not isinstance(result, (tuple, list)) or len(result) != len(names):
        raise NotYet(f"Return {len(names)} results, in this order: {what}.")
    return tuple(single(part, name) for part, name in zip(result, names, strict=True))


def single(result: object, what: str = "Your result") -> Tensor:
    """Return a tensor of one number without axes; any other tensor as it is."""
    tensor = as_tensor(result, what)
    return tensor.reshape(()) if tensor.numel() == 1 else tensor


def _require_moderate(result: Parts, expected: Parts, case: Case) -> None:
    for part, right in zip(result, expected, strict=True):
        if part.shape != right.shape:
            continue  # the comparison says so
        if case.not_finite and not torch.isfinite(part).all():
            raise NotYet(case.not_finite)
        if case.far_off and (part - right).abs().max() > case.beyond:
            raise NotYet(case.far_off)
