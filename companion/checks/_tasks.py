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

`tests/test_tasks.py` holds all of them to the same: the reference passes, the stub is not
attempted, each slip gets its own hint, no two slips give the same numbers, and NaN and another
shape are refused.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from companion.checks._call import DETACHED, call, gradients
from companion.checks._compare import Hints, as_tensor, compare, number
from companion.checks._registry import Exercise, NotYet, register

Reference = Callable[..., Tensor]


class Case:
    """One set of arguments, and how exact the answer must be there.

    Args:
        setting: how to name it in messages: "With S = 6 and B = 4, ".
        arguments: those of the learner's function, by name and in its order.
        expected: the right value. None: the task's reference gives it.
        rtol, atol: the tolerances of `compare`.
        remark: what to add where no slip fits.
        not_finite: what to say if the result is not finite, where the right one is.
        far_off: what to say if it is off by more than 100.
        slips: what else may come out here alone.
    """

    def __init__(
        self,
        setting: str,
        arguments: Mapping[str, Any],
        *,
        expected: Tensor | None = None,
        rtol: float = 1e-5,
        atol: float = 1e-4,
        remark: str = "",
        not_finite: str = "",
        far_off: str = "",
        slips: Hints | None = None,
    ) -> None:
        self.setting = setting
        self.expected = expected
        self.rtol, self.atol = rtol, atol
        self.remark = remark
        self.not_finite, self.far_off = not_finite, far_off
        self.slips = slips or {}
        self.arguments = dict(arguments)

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
        gradients_by: names of arguments by which its gradient is compared, in the first case.
        gradient_remark: what to add where a gradient differs.
        gradient_atol: absolute tolerance of gradients.
        read: makes a tensor of what the answer returns.
        further: further judges, each called with the answer; they leave through `NotYet`.
        praise: the closing remark of a right answer.
    """

    def __init__(
        self,
        key: str,
        *,
        title: str,
        number: str,
        answer: str,
        reference: Reference,
        slips: Callable[..., Hints],
        cases: Sequence[Case],
        gradients_by: Sequence[str] = (),
        gradient_remark: str = DETACHED,
        gradient_atol: float = 1e-4,
        read: Callable[[object], Tensor] = as_tensor,
        further: Sequence[Callable[[object], None]] = (),
        praise: str = "",
    ) -> None:
        self.key = key
        self.reference, self.slips, self.cases = reference, slips, list(cases)
        self.gradients_by, self.gradient_remark = list(gradients_by), gradient_remark
        self.gradient_atol, self.read = gradient_atol, read
        self.further, self.praise = list(further), praise
        register(Exercise(key, f"{number} {title}", self.judge, number, answer, self))

    def judge(self, answer: object) -> str:
        """Return the closing remark for a right answer; raise NotYet for another."""
        self.judge_case(answer, self.cases[0], self.slips(**self.cases[0].double()))
        for case in self.cases[1:]:
            self.judge_case(answer, case)
        for judge in self.further:
            judge(answer)
        if self.gradients_by:
            self._judge_gradients(answer, self.cases[0])
        return self.praise

    def expected(self, case: Case) -> Tensor:
        """Return the right value of a case."""
        return self.reference(**case.double()) if case.expected is None else case.expected

    def judge_case(self, answer: object, case: Case, slips: Hints | None = None) -> None:
        """Raise NotYet unless the answer is right in one case."""
        result, expected = self.read(call(answer, **case.arguments)), self.expected(case)
        _require_moderate(result, expected, case)
        compare(
            result,
            expected,
            {**(slips or {}), **case.slips},
            setting=case.setting,
            rtol=case.rtol,
            atol=case.atol,
            remark=case.remark,
        )

    def _judge_gradients(self, answer: Any, case: Case) -> None:
        fixed = {n: v for n, v in case.arguments.items() if n not in self.gradients_by}
        moved = {n: case.arguments[n] for n in self.gradients_by}

        def of_answer(*values: Tensor) -> object:
            given = fixed | dict(zip(moved, values, strict=True))
            return answer(*(given[name] for name in case.arguments))

        def of_reference(*values: Tensor) -> Tensor:
            return self.reference(**case.double() | dict(zip(moved, values, strict=True)))

        found = gradients(of_answer, **moved)
        wanted = gradients(of_reference, **{n: v.double() for n, v in moved.items()})
        for name in moved:
            what = f"The gradient with respect to `{name}`"
            remark, atol = self.gradient_remark, self.gradient_atol
            compare(found[name], wanted[name], what=what, remark=remark, atol=atol)


def _require_moderate(result: Tensor, expected: Tensor, case: Case) -> None:
    if result.shape != expected.shape:
        return  # the comparison says so
    if case.not_finite and not torch.isfinite(result).all():
        raise NotYet(case.not_finite)
    if case.far_off and (result - expected).abs().max() > 100:
        raise NotYet(case.far_off)


def single(result: object) -> Tensor:
    """Return a tensor of one number without axes; any other tensor as it is."""
    tensor = as_tensor(result)
    return tensor.reshape(()) if tensor.numel() == 1 else tensor


class NumberTask:
    """An exercise that asks for one number, worked out on paper.

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
        slips: Mapping[str, float | Sequence[float]],
        slip_within: float,
        rules: Sequence[tuple[Callable[[float], bool], str]] = (),
        otherwise: str,
        praise: str,
    ) -> None:
        self.key, self.value, self.within = key, value, within
        self.slips = {
            hint: [wrong] if isinstance(wrong, (int, float)) else list(wrong)
            for hint, wrong in slips.items()
        }
        self.slip_within, self.rules, self.otherwise = slip_within, list(rules), otherwise
        self.praise = praise
        register(Exercise(key, f"{number} {title}", self.judge, number, "answer", self))

    def judge(self, answer: object) -> str:
        """Return the closing remark for a right answer; raise NotYet for another."""
        given = number(answer)
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
