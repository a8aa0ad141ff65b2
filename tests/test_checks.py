"""The machinery of checks: whatever a learner passes, there is a verdict and no traceback."""

import importlib
import math
import random
import sys
import threading
import time
import warnings
from contextlib import suppress
from itertools import permutations

import numpy as np
import pytest
import torch
from answers.nasty import FUNCTIONS, VALUES, Hostile, _async, raises
from check_fixtures import (  # noqa: F401
    ELBO_KEYS,
    SQUARE,
    STUB_NAMES,
    X,
    make_progress_file,
    make_square,
    raising,
)
from check_helpers import assert_hints
from torch import nn

from companion.checks import Verdict, _sandbox, check
from companion.checks.authoring import NotYet, as_tensor, compare

pytestmark = pytest.mark.usefixtures("progress_file", "square")


def assert_friendly(verdict, key):
    assert isinstance(verdict, Verdict)
    assert verdict.key == key
    assert verdict.status in {"not yet", "not attempted"}
    assert not verdict
    assert verdict.message
    assert "Traceback" not in verdict.message
    assert len(verdict.message) < 1500
    assert verdict.title in verdict._repr_html_()


@pytest.mark.parametrize("key", ELBO_KEYS)
def test_nasty_answers_get_a_verdict(key):
    for value in [*VALUES.values(), *FUNCTIONS.values()]:
        assert_friendly(check(key, value, record=False), key)


@pytest.mark.parametrize("key", ELBO_KEYS)
def test_functions_that_return_nasty_things_get_a_verdict(key):
    for value in VALUES.values():
        assert_friendly(check(key, lambda *a, value=value: value, record=False), key)


@pytest.mark.parametrize("value", [None, ..., NotImplemented])
def test_an_untouched_stub_is_not_attempted(value):
    def stub(x):
        raise NotImplementedError

    def returns(x):
        return value

    for answer in (value, returns, lambda x: (value, value), stub, raises(NotImplementedError())):
        assert check(SQUARE, answer).status == "not attempted"
    assert check(SQUARE).status == "not attempted"


def test_torchs_own_not_implemented_error_is_an_exception_like_any_other():
    def wants_ints(x):
        return torch.bitwise_and(x, x)

    with pytest.raises(NotImplementedError):
        wants_ints(X)
    verdict = check(SQUARE, wants_ints)
    assert verdict.status == "not yet"
    assert "NotImplementedError" in verdict.message


def test_an_exception_is_shown_with_the_line_in_the_learners_code():
    def answer(x):
        y = x.double()
        return y.frobnicate()  # the line to show

    message = check(SQUARE, answer).message
    assert "AttributeError: 'Tensor' object has no attribute 'frobnicate'" in message
    assert "in answer: return y.frobnicate()  # the line to show" in message


def test_the_line_shown_is_the_learners_even_if_a_library_raised():
    def answer(x):
        return nn.functional.softmax(x, dim=7)

    message = check(SQUARE, answer).message
    assert "IndexError" in message
    assert "in answer: return nn.functional.softmax(x, dim=7)" in message


def test_messages_of_the_commonest_slips():
    def changes(x):
        x *= x
        return x

    def resizes(x):
        y = x**2
        x.unsqueeze_(0)
        return y

    wrong = {
        changes: "changes its argument `x` in place",
        lambda x: raising(): "boom",
        lambda a, b: a: "in this order: `x`. Yours takes 2: `a`, `b`.",
        lambda x: 2 * x: "You doubled",
        lambda x: X**2: "no gradient passes",
        lambda x: (x**2)[None]: "an axis of size 1",
        lambda x: x[:2]: "has shape (2,); it should be (5,).",
        lambda x: "x": "type `str`",
        lambda x: x**3: "first here: entry [0] is -1, expected 1",
        lambda x: x.log(): "holds NaN at entry [0]. Look for a logarithm",
        lambda x: x**2 / 0: "holds infinity where it should not: entry [0] is inf",
        _async: "`async`",
    }
    assert_hints(SQUARE, wrong)
    assert "in place" in check(SQUARE, resizes).message
    value = check(SQUARE, X**2).message
    assert "asks for a function, but you passed a value of type `Tensor`" in value
    assert "`return`" in check(SQUARE, lambda x: None).message


def test_an_unknown_name_suggests_the_closest():
    for key in ("elbo.lk", "elbo.KL", "kl"):
        assert '`"elbo.kl"`' in check(key, 1).message
    assert "check.progress()" in check("zebra", 1).message
    for key in (None, 3, len, Hostile(), b"elbo.kl"):
        assert "comes first" in check(key, 1).message
    assert check().status == "no such exercise"
    assert str(check("zebra", 1)).startswith("? No such exercise: zebra\n")
    for key in ("", ".", "os.system", "authoring.call", "_core.check", "../elbo.kl", "x" * 10_000):
        verdict = check(key, 1)
        assert verdict.status == "no such exercise"
        assert not verdict
        assert len(verdict.message) < 300


def test_no_answer_at_all_is_said_so():
    for number, (key, name) in enumerate(STUB_NAMES.items(), 1):
        for call in (key, f"1.{number}"):
            verdict = check(call)
            assert verdict.status == "not attempted"
            assert verdict.message == f'You passed no answer: write `check("{key}", {name})`.'
    assert check(SQUARE).message.endswith(f'`check("{SQUARE}", answer)`.')


def test_an_answer_that_was_only_printed():
    assert "only print?" in check(SQUARE, None).message
    assert "only print?" not in check(SQUARE, ...).message
    assert "only print)?" in check(SQUARE, lambda x: print(x)).message


def test_the_number_of_an_exercise_is_a_name_too():
    for number, key in enumerate(ELBO_KEYS, 1):
        verdict = check(f"1.{number}", 1)
        assert verdict.key == key
        assert verdict.title.startswith(f"1.{number} ")
    for unknown in ("1.99", "1", "12.1", "1.2.3"):
        assert check(unknown, 1).status == "no such exercise"


def test_how_many_arguments_the_learners_function_takes():
    for answer, words in {
        lambda: 1: "Yours takes none.",
        lambda a, b, c=1: a: "Yours takes 3: `a`, `b`, `c`.",
        lambda *, x: x: "Yours can't be called so: ",
    }.items():
        assert words in check(SQUARE, answer).message


def test_max_with_an_axis_gives_two_tensors():
    words = "`max(dim=0)` gives values and positions; take `.values`."
    assert words in check(SQUARE, lambda x: x.max(dim=0)).message
    assert words in check(SQUARE, lambda x: x - x.max(dim=0)).message
    assert "`min(dim=0)`" in check(SQUARE, lambda x: x.min(dim=0)).message


@pytest.mark.parametrize("wants_a_number", [math.exp, float, torch.Tensor.item])
def test_functions_of_single_numbers_are_named(wants_a_number):
    message = check(SQUARE, lambda x: wants_a_number(x)).message
    assert "take a single number. Use torch's functions" in message


def test_keepdim_is_suspected():
    for answer in (lambda x: (x**2)[:, None], lambda x: (x**2)[:, None] + 0 * x):
        assert "`keepdim=True`" in check(SQUARE, answer).message
    assert "`keepdim=True`" not in check(SQUARE, lambda x: x[:2]).message


def test_numpy_on_the_way_is_named():
    def by_numpy(x):
        return torch.from_numpy(np.square(x.numpy()))

    def by_cutting(x):
        return x.detach() ** 2

    for answer in (by_numpy, by_cutting):
        message = check(SQUARE, answer).message
        assert message.startswith("The values are right, but a step is NumPy's or math's")
        assert "`torch.exp`, `torch.log`" in message


def test_a_fault_of_the_check_itself_is_no_traceback(monkeypatch):
    monkeypatch.setattr("companion.checks._core._judge", lambda *a: raising("broken check"))
    verdict = check(SQUARE, 1)
    assert "our fault" in verdict.message
    assert "broken check" in verdict.message


# --- time ----------------------------------------------------------------------------------


def forever(x):
    while True:
        x = x + 0


RELEASED = threading.Event()


def stubborn(x):
    while not RELEASED.is_set():
        with suppress(BaseException):
            time.sleep(0.001)


def asleep(x):
    time.sleep(3)


@pytest.fixture
def short_limit(monkeypatch):
    monkeypatch.setattr(_sandbox, "LIMIT_SECONDS", 0.3)


@pytest.fixture
def short_wait(monkeypatch):
    monkeypatch.setattr(_sandbox, "LONGEST_WAIT_SECONDS", 0.5)


@pytest.mark.parametrize("answer", [forever, lambda x: [0 for _ in iter(int, 1)]])
def test_an_endless_loop_is_stopped(answer, short_limit):
    verdict = check(SQUARE, answer)
    assert verdict.status == "not finished"
    assert "could not be stopped" not in verdict.message
    time.sleep(0.1)
    assert not any(thread.name == "companion-check" for thread in threading.enumerate())


def test_imports_do_not_count(short_limit, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    for number in range(6):
        text = (
            "import time\nend = time.thread_time() + 0.15\nwhile time.thread_time() < end: pass\n"
        )
        (tmp_path / f"slow_module_{number}.py").write_text(text, encoding="utf-8")

    def slow_at_first(x):
        for number in range(6):
            importlib.import_module(f"slow_module_{number}")
        return x**2

    assert check(SQUARE, slow_at_first)
    for number in range(6):
        del sys.modules[f"slow_module_{number}"]


def test_the_line_of_an_endless_loop_is_shown(short_limit):
    assert "in forever: " in check(SQUARE, forever).message


@pytest.mark.parametrize("answer", [asleep, stubborn])
def test_code_that_cannot_be_stopped_is_left_behind(answer, short_wait):
    RELEASED.clear()
    verdict = check(SQUARE, answer)
    assert verdict.status == "not finished"
    assert "could not be stopped" in verdict.message
    RELEASED.set()
    for thread in threading.enumerate():  # leave none to the other tests
        if thread.name == "companion-check":
            thread.join(6)


def test_the_limit_is_ten_seconds_of_computing():
    assert _sandbox.LIMIT_SECONDS == 10
    assert _sandbox.LONGEST_WAIT_SECONDS == 60


def test_waiting_for_the_processor_does_not_count(short_limit):
    def waits(x):
        time.sleep(0.9)  # three times the limit on the wall, next to nothing of computing
        return x**2

    assert check(SQUARE, waits)


@pytest.mark.skipif(
    not hasattr(time, "pthread_getcpuclockid"), reason="the system has no clock for each thread"
)
def test_the_computing_of_other_threads_does_not_count(short_limit):
    release = threading.Event()

    def busy():
        while not release.is_set():
            pass

    def waits(x):
        end = time.monotonic() + 0.9
        while time.monotonic() < end:
            time.sleep(0.02)
        return x**2

    other = threading.Thread(target=busy)
    other.start()
    verdict = check(SQUARE, waits)
    release.set()
    other.join()
    assert verdict


def test_without_a_clock_for_threads_the_limit_still_holds(short_limit, monkeypatch):
    monkeypatch.delattr(time, "pthread_getcpuclockid", raising=False)
    assert check(SQUARE, forever).status == "not finished"
    assert check(SQUARE, lambda x: x**2)


def test_unfinished_code_is_not_called_wrong(short_limit):
    verdict = check(SQUARE, forever)
    assert not verdict
    assert "it may be right" in verdict.message
    assert str(verdict).startswith("… Not finished: ")
    assert 'data-status="not finished"' in verdict.html()
    assert SQUARE not in check.progress().entries


def test_checks_work_in_any_thread(short_limit):
    verdicts = []

    def work():
        verdicts.extend([check(SQUARE, lambda x: x**2), check(SQUARE, forever)])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert [verdict.status for verdict in verdicts] == ["correct", "not finished"]


def test_an_interrupt_by_the_reader_is_theirs(monkeypatch):
    def interrupted(self, timeout=None):
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "join", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _sandbox.run(lambda: forever(X))
    assert not any(thread.name == "companion-check" for thread in threading.enumerate())


# --- global state --------------------------------------------------------------------------


def test_global_state_is_as_before():
    def meddles(x):
        torch.manual_seed(1)
        np.random.seed(1)  # noqa: NPY002
        torch.rand(3)
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        return X**2

    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    for answer in (meddles, lambda x: x**2 + 0 * torch.rand(5)):
        check(SQUARE, answer)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == np.random.get_state()[1].tolist()  # noqa: NPY002
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()


def test_pythons_random_state_is_as_before():
    before = random.getstate()  # not around `check`: beartype, in tests, draws from it too
    with suppress(ValueError), _sandbox.preserved_state():
        random.seed(1)
        raising()
    assert random.getstate() == before


@pytest.mark.parametrize("key", ELBO_KEYS)
def test_a_check_draws_nothing_and_keeps_the_grad_mode(key):
    before = torch.get_rng_state()
    with torch.no_grad():
        check(key, lambda *a: a[0], record=False)
        assert not torch.is_grad_enabled()
    assert torch.equal(before, torch.get_rng_state())


def test_the_readers_grad_mode_does_not_matter():
    with torch.inference_mode():
        assert check(SQUARE, lambda x: x**2)


def test_a_check_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check(SQUARE, lambda x: x * x)


# --- the authoring helpers -----------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        torch.tensor([1.0, 2.0], requires_grad=True),
        np.array([1.0, 2.0]),
        [1, 2.0],
        (torch.tensor(1), np.float32(2)),
    ],
)
def test_numbers_come_in_many_forms(value):
    compare(value, torch.tensor([1.0, 2.0]))


def test_a_hint_needs_the_same_shape():
    with pytest.raises(NotYet, match=r"has shape \(1,\)"):
        compare(torch.tensor([2.0]), torch.tensor(1.0), {"doubled": torch.tensor(2.0)})


def test_infinity_may_be_the_right_answer():
    right = torch.tensor([float("-inf"), 1.0])
    compare(right.clone(), right)
    with pytest.raises(NotYet, match="expected -inf"):
        compare(torch.tensor([0.0, 1.0]), right)


def test_nan_equals_nothing():
    nan = torch.tensor([1.0, math.nan])
    for right in (torch.tensor([1.0, 2.0]), nan):
        with pytest.raises(NotYet, match=r"Your result holds NaN at entry \[1\]"):
            compare(nan, right, {"a slip that is NaN": nan})
    with pytest.raises(NotYet, match="first here"):
        compare(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 2.0]), {"a slip that is NaN": nan})


def test_the_nearest_of_several_slips_is_named():
    right, got = torch.tensor([1.0, 2.0]), torch.tensor([5.0, 6.0])
    slips = {"near": got + 4e-5, "nearest": [right + 9, got + 2e-5], "far": got + 6e-5}
    for order in permutations(slips):
        with pytest.raises(NotYet, match=r"^nearest$"):
            compare(got, right, {hint: slips[hint] for hint in order})


@pytest.mark.parametrize(
    ("got", "remedy"),
    [
        (torch.zeros(6), "but it is flattened."),
        (torch.zeros(3, 2), "but it is reshaped or with its axes swapped."),
        (torch.zeros(2, 1, 3), "an axis of size 1 is too many or missing."),
    ],
)
def test_the_right_number_of_entries_in_a_wrong_shape(got, remedy):
    with pytest.raises(NotYet) as caught:
        compare(got, torch.ones(2, 3))
    assert remedy in str(caught.value)


def test_neither_zeros_nor_what_is_nearly_right_is_called_a_multiple():
    right = torch.tensor([1.0, 2.0])
    for got in (torch.zeros(2), right * 1.0005):
        with pytest.raises(NotYet) as caught:
            compare(got, right)
        assert "times what it should be" not in str(caught.value)


def test_as_tensor_names_what_came():
    with pytest.raises(NotYet, match="Your mean must be a tensor"):
        as_tensor("x", "Your mean")
