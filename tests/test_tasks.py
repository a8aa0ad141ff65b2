"""What every exercise that is data must fulfil: one file for all of them."""

import math
from itertools import combinations

import pytest
import torch
from check_helpers import judge

from companion.checks import _registry
from companion.checks._compare import as_tensor, distance
from companion.checks._tasks import FunctionTask, NumberTask

TASKS = [each.task for each in _registry.all_exercises() if each.task is not None]
FUNCTIONS = [task for task in TASKS if isinstance(task, FunctionTask)]
NUMBERS = [task for task in TASKS if isinstance(task, NumberTask)]
of_functions = pytest.mark.parametrize("task", FUNCTIONS, ids=lambda task: task.key)
of_numbers = pytest.mark.parametrize("task", NUMBERS, ids=lambda task: task.key)


def learners(task, change=lambda value: value, dtype=torch.float64):
    """The reference as a learner would have it: by position, in one precision."""

    def function(*values):
        names = list(task.cases[0].arguments)
        given = {
            name: value.to(dtype) if isinstance(value, torch.Tensor) else value
            for name, value in zip(names, values, strict=True)
        }
        return change(task.reference(**given))

    return function


def slip_tables(task, *values):
    """The wrong values of the slips, (hint, value), for arguments by position."""
    names = list(task.cases[0].arguments)
    double = (v.double() if isinstance(v, torch.Tensor) else v for v in values)
    table = task.slips(**dict(zip(names, double, strict=True)))
    return [
        (hint, value)
        for hint, wrong in table.items()
        for value in ([wrong] if isinstance(wrong, torch.Tensor) else wrong)
    ]


def first(task):
    return list(task.cases[0].arguments.values())


def test_some_exercises_are_data():
    assert len(FUNCTIONS) >= 5
    assert len(NUMBERS) >= 2


@of_functions
def test_the_reference_passes_in_both_precisions(task):
    for dtype in (torch.float64, torch.float32):
        verdict = judge(task.key, learners(task, dtype=dtype))
        # A reference is written for moderate numbers; extremes and gradients may be lost in it.
        lost = verdict.message.startswith(("Right for ", "The values are right"))
        assert verdict.status == "correct" or lost, str(verdict)
        assert verdict.status != "correct" or verdict.message == task.praise


@of_functions
def test_the_stub_is_not_attempted(task):
    for stub in (..., None, lambda *values: ..., lambda *values: None):
        assert judge(task.key, stub).status == "not attempted"


@of_functions
def test_each_slip_gets_its_own_hint(task):
    for index, (hint, _) in enumerate(slip_tables(task, *first(task))):
        verdict = judge(task.key, lambda *values, i=index: slip_tables(task, *values)[i][1])
        assert verdict.status == "not yet", f"accepted: {hint}"
        assert verdict.message == hint


@of_functions
def test_no_two_misconceptions_give_the_same_numbers(task):
    case = task.cases[0]
    right = task.expected(case)
    table = slip_tables(task, *first(task))
    for hint, value in table:
        assert distance(value, right, case.rtol, case.atol) > 10, hint
        assert not value.isnan().any(), hint
    for (hint, value), (other, wrong) in combinations(table, 2):
        assert hint == other or distance(value, wrong, case.rtol, case.atol) > 2, (hint, other)


@of_functions
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda value: value * math.nan, "NaN"),
        (lambda value: value[..., None].expand(*value.shape, 3), "shape"),
        (lambda value: "text", "must be a tensor"),
    ],
)
def test_what_is_no_answer_is_refused(task, change, words):
    verdict = judge(task.key, learners(task, change))
    assert verdict.status == "not yet"
    assert words in verdict.message


@of_functions
def test_a_lost_gradient_is_noticed(task):
    verdict = judge(task.key, learners(task, lambda value: value.detach()))
    if task.gradients_by:
        assert verdict.status == "not yet"
        assert "gradient" in verdict.message or verdict.message.startswith("Right for ")


@of_functions
def test_an_argument_must_not_change(task):
    def greedy(*values):
        values[0].mul_(2)
        return learners(task)(*values)

    assert "in place" in judge(task.key, greedy).message


@of_numbers
def test_a_number_passes_rounded_and_its_slips_do_not(task):
    assert judge(task.key, task.value).message == task.praise
    assert judge(task.key, round(task.value, 2)).status == "correct"
    for stub in (..., None):
        assert judge(task.key, stub).status == "not attempted"
    for hint, wrong in task.slips.items():
        for value in wrong:
            assert judge(task.key, as_tensor(value)).message == hint
    others = [value for wrong in task.slips.values() for value in wrong]
    assert min(abs(value - task.value) for value in others) > 2 * task.within
    for rule, hint in task.rules:
        assert callable(rule)
        assert hint
