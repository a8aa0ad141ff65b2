"""The machinery of checks: whatever a learner passes, there is a verdict and no traceback."""

import random
import threading
import time
import warnings
from contextlib import suppress

import numpy as np
import pytest
import torch
from check_fixtures import ELBO_KEYS, SQUARE, X, make_progress_file, make_square, raising  # noqa: F401
from check_helpers import assert_hints
from nasty import FUNCTIONS, VALUES, Hostile, _async, raises
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
        lambda a, b: a: "with 1 argument, in this order: `x`",
        lambda x: 2 * x: "You doubled",
        lambda x: X**2: "no gradient can flow back",
        lambda x: (x**2)[None]: "an axis of size 1",
        lambda x: x[:2]: "has shape (2,); it should be (5,).",
        lambda x: "x": "type `str`",
        lambda x: x**3: "first here: entry [0] is -1, expected 1",
        lambda x: x.log(): "NaN or infinity",
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
    assert check().status == "not yet"
    for key in ("", ".", "os.system", "authoring.call", "_core.check", "../elbo.kl", "x" * 10_000):
        verdict = check(key, 1)
        assert verdict.status == "not yet"
        assert len(verdict.message) < 300


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
    time.sleep(2)


@pytest.fixture
def short_limit(monkeypatch):
    monkeypatch.setattr(_sandbox, "LIMIT_SECONDS", 0.3)


@pytest.mark.parametrize("answer", [forever, lambda x: [0 for _ in iter(int, 1)]])
def test_an_endless_loop_is_stopped(answer, short_limit):
    start = time.perf_counter()
    verdict = check(SQUARE, answer)
    assert time.perf_counter() - start < 2
    assert "did not finish" in verdict.message
    assert "could not be stopped" not in verdict.message
    time.sleep(0.1)
    assert not any(thread.name == "companion-check" for thread in threading.enumerate())


def test_the_line_of_an_endless_loop_is_shown(short_limit):
    assert "in forever: " in check(SQUARE, forever).message


@pytest.mark.parametrize("answer", [asleep, stubborn])
def test_code_that_cannot_be_stopped_is_left_behind(answer, short_limit):
    RELEASED.clear()
    verdict = check(SQUARE, answer)
    assert "did not finish" in verdict.message
    assert "could not be stopped" in verdict.message
    RELEASED.set()
    for thread in threading.enumerate():  # leave none to the other tests
        if thread.name == "companion-check":
            thread.join(6)


def test_the_limit_is_two_seconds():
    start = time.perf_counter()
    assert "within 2 seconds" in check(SQUARE, forever).message
    assert 1.9 < time.perf_counter() - start < 4


def test_checks_work_in_any_thread(short_limit):
    verdicts = []

    def work():
        verdicts.extend([check(SQUARE, lambda x: x**2), check(SQUARE, forever)])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert [verdict.status for verdict in verdicts] == ["correct", "not yet"]


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


def test_as_tensor_names_what_came():
    with pytest.raises(NotYet, match="Your mean must be a tensor"):
        as_tensor("x", "Your mean")
