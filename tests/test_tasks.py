"""What every exercise that is data must fulfil: one file for all of them.

A module of answers adds rows of its own: right answers in odd styles (`RIGHT`), wrong ones as a
learner would write them, with a part of their hint (`WRONG`), and functions that the text gives and
that still have all their faults (`STUBS`).
"""

import math
import re
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from answers import attacks, elbo, gan, mixtures, mnist, reparameterization
from check_helpers import judge

from companion.checks import _registry
from companion.checks._compare import as_tensor, distance
from companion.checks._display import plain
from companion.checks._numbers import NumbersTask, NumberTask
from companion.checks._repair import RepairTask
from companion.checks._sampling import SamplingTask
from companion.checks._tasks import FunctionTask, as_parts, off, wrongs

ANSWERS = [elbo, mixtures, mnist, reparameterization, attacks, gan]
EXERCISES = {each.key: each for each in _registry.all_exercises()}
TASKS = [each.task for each in EXERCISES.values() if each.task is not None]


def of(kind, but=lambda task: False):
    tasks = [task for task in TASKS if isinstance(task, kind) and not but(task)]
    return pytest.mark.parametrize("task", tasks, ids=lambda task: task.key)


def finds(task):
    return isinstance(task, RepairTask) and task.find is not None


of_functions = of(FunctionTask, but=finds)
of_repairs = of(RepairTask)


def rows(table):
    found = [(key, row) for module in ANSWERS for key, rows in getattr(module, table).items()
             for row in rows]  # fmt: skip
    return pytest.mark.parametrize(("key", "row"), found, ids=[key for key, _ in found])


@rows("RIGHT")
def test_right_answers_in_other_styles_pass(key, row):
    verdict = judge(key, row)
    assert verdict.status == "correct", str(verdict)


@rows("STUBS")
def test_what_the_text_begins_with_is_not_attempted(key, row):
    assert judge(key, row).status == "not attempted"


@rows("WRONG")
def test_wrong_answers_get_their_hint(key, row):
    answer, *fragments = row
    verdict = judge(key, answer)
    assert verdict.status == "not yet", str(verdict)
    for fragment in fragments:
        assert fragment in verdict.message, str(verdict)


def test_every_exercise_has_right_answers_in_other_styles():
    known = {key for module in ANSWERS for key in module.RIGHT}
    chapters = {key.partition(".")[0] for key in known}
    kinds = (FunctionTask, NumberTask, NumbersTask)
    keys = {task.key for task in TASKS if isinstance(task, kinds)}
    assert {key for key in keys if key.partition(".")[0] in chapters} <= known <= set(EXERCISES)


def test_every_exercise_is_found_by_its_number():
    for key, exercise in EXERCISES.items():
        assert _registry.find(exercise.number).key == key


def test_the_example_for_authors_is_an_exercise(monkeypatch):
    monkeypatch.setattr(_registry, "_exercises", dict(_registry._exercises))
    text = Path("CONTRIBUTING.md").read_text(encoding="utf-8")
    exec(text[text.index("import torch\nfrom") :].partition("```")[0], {})
    key = "elbo.entropy"
    entropy = lambda log_var: (log_var + math.log(2 * math.pi * math.e)).sum(-1) / 2  # noqa: E731
    assert judge(key, entropy).message == "The mean does not enter."
    for wrong, hint in {
        lambda v: entropy(v) / 3: "You averaged over the dimensions",
        lambda v: entropy(2 * v): "You took `log_var` for",
        lambda v: -entropy(v): "The sign is wrong",
        lambda v: entropy(v.abs()): "With negative log-variances",
        lambda v: entropy(v).detach(): "no gradient",
    }.items():
        assert hint in judge(key, wrong).message


@pytest.mark.parametrize("chapter", _registry.chapters())
def test_every_option_of_a_quiz_has_a_feedback_of_its_own(chapter):
    quiz = _registry.load(chapter).QUIZ
    assert len(quiz) >= 7
    for question in quiz:
        assert len(question.options) >= 3
        feedbacks = {option.feedback for option in question.options}
        assert len(feedbacks) == len({each.text for each in question.options})
        assert len(feedbacks) == len(question.options)
        assert all(text.count("$") % 2 == 0 for text in feedbacks | {question.text})
        in_a_terminal = " ".join(map(plain, [*feedbacks, question.text]))
        assert not re.search(r"[\\{}$]|cdot|mathrm|frac", in_a_terminal)
    assert len({question.key for question in quiz}) > 2  # not always in the same place


# --- functions -----------------------------------------------------------------------------


def learners(task, of_arguments, change=lambda value: value, dtype=torch.float64):
    """A function of the arguments by name as a learner would have it: by position."""
    names = list(task.cases[0].arguments)

    def function(*values):
        if task.each_row:
            values = [torch.tensor([float(value)]) for value in values]
        given = {
            name: v.to(dtype) if isinstance(v, torch.Tensor) and v.is_floating_point() else v
            for name, v in zip(names, values, strict=True)
        }
        result = tuple(change(part) for part in as_parts(of_arguments(**given)))
        result = tuple(part[0] for part in result) if task.each_row else result
        return result[0] if len(result) == 1 else result

    return function


def slip_table(task, **arguments):
    """(hint, parts) of each wrong value; a part that may be anything is the right one."""
    right = as_parts(task.reference(**arguments))
    return [
        (hint, tuple(r if w is None else w for w, r in zip(wrong, right, strict=True)))
        for hint, given in task.slips(**arguments).items()
        for wrong in wrongs(given)
    ]


def first(task):
    return task.cases[0].double()


@of_functions
def test_the_reference_passes_in_both_precisions(task):
    for dtype in (torch.float64, torch.float32):
        verdict = judge(task.key, learners(task, task.reference, dtype=dtype))
        # A reference is written for moderate numbers; extremes, gradients, refusals may lack.
        lost = verdict.message.startswith(("Right for ", "The values are right"))
        assert verdict.status == "correct" or lost, str(verdict)
        assert verdict.status != "correct" or verdict.message == task.praise


@of(FunctionTask)
def test_the_stub_is_not_attempted(task):
    blank = (...,) * len(task.parts)
    for stub in (..., None, lambda *values: ..., lambda *values: None, lambda *values: blank):
        assert judge(task.key, stub).status == "not attempted"


@of_functions
def test_each_slip_gets_its_own_hint(task):
    for hint, value in slip_table(task, **first(task)):
        answer = learners(task, lambda value=value, **given: value)
        if task.each_row:
            column = iter(value[0].tolist())
            answer = lambda *row, column=column: next(column)  # noqa: E731
        verdict = judge(task.key, answer)
        assert verdict.status == "not yet", f"accepted: {hint}"
        assert verdict.message == hint


@of_functions
def test_no_two_misconceptions_give_the_same_numbers(task):
    case, right = task.cases[0], task.expected(task.cases[0])
    table = slip_table(task, **first(task))
    for hint, value in table:
        assert off(value, right, case) > 10, hint
        assert not any(part.isnan().any() for part in value), hint
    for (hint, value), (other, wrong) in combinations(table, 2):
        assert hint == other or off(value, wrong, case) > 2, (hint, other)


@of_functions
def test_what_is_no_answer_is_refused(task):
    changes = {
        "NaN": lambda value: value * math.nan,
        "shape": lambda value: value[..., None].expand(*value.shape, 3),
        "must be": lambda value: "text",
    }
    if task.each_row:
        changes = {"nan": changes["NaN"], "one number": changes["shape"]}
    for words, change in changes.items():
        verdict = judge(task.key, learners(task, task.reference, change))
        assert verdict.status == "not yet"
        assert words in verdict.message, str(verdict)


@of_functions
def test_random_numbers_are_named(task):
    def noisy(value):
        return value + 0.7 + 0.3 * torch.rand(value.shape).to(value)

    assert judge(task.key, learners(task, task.reference, noisy)).message == task.random


@of_functions
def test_a_lost_gradient_is_noticed(task):
    verdict = judge(task.key, learners(task, task.reference, lambda value: value.detach()))
    if task.gradients_by:
        assert verdict.status == "not yet"
        assert "gradient" in verdict.message or verdict.message.startswith("Right for ")


@of_functions
def test_each_wrong_gradient_gets_its_own_hint(task):
    table = task.gradient_slips(**first(task)) if task.gradient_slips else {}
    by = task.gradients_by[0] if table else ""
    flat = [(hint, each) for hint, wrong in table.items() for (each,) in wrongs(wrong)]
    for hint, slope in flat:

        def with_slope(slope=slope, **given):
            if given[by].shape != first(task)[by].shape:
                return task.reference(**given)
            moved = (slope * (given[by] - given[by].detach())).reshape_as(slope)
            return task.reference(**given).detach() + moved

        assert judge(task.key, learners(task, with_slope)).message == hint
    for (hint, value), (other, wrong) in combinations(flat, 2):
        near = distance(value, wrong, 1e-5, task.gradient_atol) <= 2
        assert hint == other or not near, (hint, other)


@of_functions
def test_other_right_functions_get_their_remark(task):
    for other, remark in task.also_right.items():
        assert judge(task.key, learners(task, other)).message == remark
    for other in task.gradients_also:
        assert judge(task.key, learners(task, other)).message == task.praise


@of_functions
def test_an_argument_must_not_change(task):
    place = next(
        (i for i, v in enumerate(first(task).values()) if isinstance(v, torch.Tensor)), None
    )
    if place is None or task.each_row:
        return

    def greedy(*values):
        result = learners(task, task.reference)(*values)
        values[place].mul_(2).add_(1)
        return result

    assert "in place" in judge(task.key, greedy).message


# --- repairs -------------------------------------------------------------------------------


def repaired(task, codes):
    return learners(task, lambda **given: task.version(*codes, **given))


@of_repairs
def test_every_fault_that_is_left_is_named_and_no_other(task):
    assert len(task.versions()) >= 8
    messages = set()
    for faults, codes in task.versions():
        verdict = judge(task.key, repaired(task, codes))
        if not faults:
            remarks = [task.also[c] for c in codes if callable(c) and c in task.also]
            assert verdict.message in [*remarks, task.praise], str(verdict)
            assert verdict.message == [*remarks, task.praise][0]
        elif faults == task.first():
            assert verdict.status == "not attempted"
            assert verdict.message.endswith(f"still there. {task.begin}")
        else:
            assert verdict.status == "not yet", faults
            assert verdict.message == task.left(faults)
            assert verdict.message.startswith(f"{len(faults)} fault")
            messages.add(verdict.message)
    assert len(messages) >= 5


@of(RepairTask, but=finds)
def test_no_two_versions_give_the_same_numbers(task):
    case = task.cases[0]
    table = [(faults, as_parts(task.version(*codes, **first(task))))
             for faults, codes in task.versions()]  # fmt: skip
    table += slip_table(task, **first(task))
    for (faults, value), (others, wrong) in combinations(table, 2):
        assert faults == others or off(value, wrong, case) > 2, (faults, others)


# --- samplers ------------------------------------------------------------------------------


@of(SamplingTask)
def test_each_slip_of_a_sampler_gets_its_own_hint(task):
    assert judge(task.key, task.reference).message == task.praise
    for hint, samplers in task.slips.items():
        for sampler in samplers:
            assert judge(task.key, sampler).message.startswith(hint), hint
    for hint in [*task.otherwise.values(), *task.slips]:
        assert hint.endswith((".", "?"))


@of(SamplingTask)
def test_what_is_no_sample_is_refused(task):
    for stub in (..., None, lambda *values: ..., lambda *values: None):
        assert judge(task.key, stub).status == "not attempted"
    for words, change in (
        ("NaN", lambda z: z * math.nan),
        ("shape", lambda z: z[:, :1]),
        ("must be", lambda z: "text"),
    ):
        verdict = judge(task.key, lambda *values, change=change: change(task.reference(*values)))
        assert words in verdict.message


# --- numbers -------------------------------------------------------------------------------


@of(NumberTask)
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


@of(NumbersTask)
def test_numbers_pass_in_any_container(task):
    values = list(task.values.values())
    named = {f"({letter.upper()}) ": Fraction(value) for letter, value in task.values.items()}
    for answer in (task.values, values, tuple(values), torch.tensor(values), np.array(values)):
        assert judge(task.key, answer).message == task.praise
    assert judge(task.key, named).status == "correct"
    for stub in (..., [None] * len(values), dict.fromkeys(task.values, ...), {}):
        assert judge(task.key, stub).status == "not attempted"
    for wrong, words in ((values[1:], f"you passed {len(values) - 1}"), ({"z": 1}, "keys must"),
                         (0.05, "type `float`")):  # fmt: skip
        assert words in judge(task.key, wrong).message


@of(NumbersTask)
def test_each_wrong_number_is_named_by_its_letter(task):
    letters = list(task.values)
    for letter, slips in task.slips.items():
        count = f"{len(letters) - 1} of {len(letters)} are right. Look again at:"
        wrong = [(value, hint) for hint, values in slips.items() for value in values]
        for value, hint in [*wrong, (None, "no answer yet."), ("1/20", "write it without quotes."),
                            (object(), "the answer must be a number"), (math.nan, "finite"),
                            (12.345678, "12.3457 is not it")]:  # fmt: skip
            message = judge(task.key, {**task.values, letter: value}).message
            assert message.startswith(f"{count}\n\n- ({letter}) "), message
            assert hint in message, message
        value, hint = wrong[0]
        beside = {**task.values, letter: value * (1 + 3 * task.within)}
        assert hint not in judge(task.key, beside).message
        if task.close:
            near = {**task.values, letter: task.values[letter] * (1 + 0.7 * task.close)}
            assert "close; give three digits" in judge(task.key, near).message
    every = judge(task.key, [value + 99 for value in task.values.values()]).message
    assert every.startswith(f"0 of {len(letters)} are right")
    assert every.count("- (") == len(letters)


@of(NumbersTask)
def test_no_two_hints_stand_for_one_number(task):
    for letter, slips in task.slips.items():
        known = [("", task.values[letter])]
        known += [(hint, value) for hint, values in slips.items() for value in values]
        for (hint, a), (other, b) in combinations(known, 2):
            assert hint == other or min(task.off(a, b), task.off(b, a)) > 1.5, (letter, a, b)
        far = task.close * abs(task.values[letter])
        assert all(abs(value - task.values[letter]) >= far for _, value in known[1:])
