"""Running a learner's code: with a time limit, and without a trace in global state."""

import contextvars
import ctypes
import dis
import linecache
import os
import random
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from traceback import walk_tb
from types import FrameType

import numpy as np
import torch

# Time that the learner's thread computes, so that a busy machine makes no right answer wrong.
LIMIT_SECONDS = 10.0
# Time on the wall, for code that sleeps or waits and so never uses its computing time up.
LONGEST_WAIT_SECONDS = 60.0
_POLL_SECONDS = 0.05
_COMPANION = str(Path(__file__).parent.parent) + os.sep
_LIBRARIES = tuple({sysconfig.get_path(name) + os.sep for name in ("stdlib", "purelib", "platlib")})


@dataclass
class Outcome:
    """What became of the work: a value, an exception, or neither because time was up."""

    value: object = None
    error: BaseException | None = None
    timed_out: bool = False
    where: str = ""
    still_running: bool = False


@contextmanager
def preserved_state() -> Iterator[None]:
    """Put the global random states and the default dtype back, whatever happens."""
    dtype, torch_state = torch.get_default_dtype(), torch.get_rng_state()
    cuda_states = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_rng_state(torch_state)
        if cuda_states:
            torch.cuda.set_rng_state_all(cuda_states)
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)


def limits(seconds: float | None = None) -> tuple[float, float]:
    """Return how long code may compute, and how long it may take on the wall."""
    if seconds is None:
        return LIMIT_SECONDS, LONGEST_WAIT_SECONDS
    return seconds, LONGEST_WAIT_SECONDS * seconds / LIMIT_SECONDS


def run(work: Callable[[], object], seconds: float | None = None) -> Outcome:
    """Run `work` in a thread of its own, for at most `seconds` of its computing time.

    None is `LIMIT_SECONDS`, the usual limit.

    A thread works on every system and inside any thread; signals do not. It also keeps
    torch's grad mode, which belongs to a thread, as it was. Python code that runs too long
    is stopped. Code that waits in C is left behind as a daemon. Nothing within Python can
    stop C code that never lets another thread run, such as `10 ** 10 ** 10`.
    """
    outcome, clock = Outcome(), _Clock()
    context = contextvars.copy_context()

    def body() -> None:
        try:
            clock.start()
            outcome.value = context.run(work)
        except BaseException as error:  # sys.exit in an exercise must not end the kernel
            outcome.error = error

    thread = threading.Thread(target=body, name="companion-check", daemon=True)
    with preserved_state():
        thread.start()
        try:
            _wait(thread, clock, *limits(seconds))
        except BaseException:  # the reader pressed "interrupt"
            _stop(thread)
            raise
        if not thread.is_alive():
            return outcome
        where = _current_line(thread)
        return Outcome(timed_out=True, where=where, still_running=not _stop(thread))


class _Clock:
    """The computing time of the thread that starts it, as another thread reads it."""

    def __init__(self) -> None:
        self._begin = time.monotonic(), time.process_time()
        self._id: int | None = None

    def start(self) -> None:
        """Note the calling thread's clock; its number stays safe to read when the thread ends."""
        if hasattr(time, "pthread_getcpuclockid"):
            self._id = time.pthread_getcpuclockid(threading.get_ident())

    def seconds(self) -> float:
        """Return the computing time; where the system has no such clock, the best upper bound."""
        try:
            if self._id is not None:
                return time.clock_gettime(self._id)
        except OSError:  # the thread has ended
            pass
        wall, process = self._begin
        return min(time.monotonic() - wall, time.process_time() - process)


def _wait(thread: threading.Thread, clock: _Clock, limit: float, longest: float) -> None:
    """Wait until the thread ends, or has computed for the limit without importing anything.

    The first use of some parts of torch imports hundreds of modules. That is no fault of the
    learner, and a thread that is stopped in mid-import leaves broken modules behind.
    """
    end = time.monotonic() + longest
    loaded, begin = len(sys.modules), 0.0
    while thread.is_alive() and time.monotonic() < end:
        if loaded != len(sys.modules):
            loaded, begin = len(sys.modules), clock.seconds()
        if clock.seconds() - begin > limit:
            return
        thread.join(_POLL_SECONDS)


def _stop(thread: threading.Thread) -> bool:
    """Raise SystemExit inside the thread, more than once if need be; True if it ended."""
    for _ in range(6):  # `except:` in a loop may swallow the first ones
        target = ctypes.c_ulong(thread.ident or 0)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(target, ctypes.py_object(SystemExit))
        thread.join(0.05)
        if not thread.is_alive():
            return True
    return False


def _is_learners(filename: str) -> bool:
    """Tell the learner's own files from ours, from libraries and from Python's."""
    return not filename.startswith((_COMPANION, *_LIBRARIES, "<frozen", "<__array"))


def _line(frame: FrameType, number: int) -> str:
    source = linecache.getline(frame.f_code.co_filename, number).strip()
    place = f"line {number}, in {frame.f_code.co_name}"
    return f"{place}: {source}" if source else place


def _current_line(thread: threading.Thread) -> str:
    """Say where in the learner's code a thread is now; empty if it is not there."""
    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None and not _is_learners(frame.f_code.co_filename):
        frame = frame.f_back
    return _line(frame, frame.f_lineno) if frame is not None else ""


def describe(error: BaseException) -> str:
    """Return an exception's type and message, and the innermost line of the learner's own."""
    lines = [safely(lambda: f"{type(error).__name__}: {error}", type(error).__name__)]
    theirs = [
        (frame, number)
        for frame, number in walk_tb(error.__traceback__)
        if _is_learners(frame.f_code.co_filename)
    ]
    if theirs:
        lines.append(_line(*theirs[-1]))
    return "\n".join("    " + line for line in _shortened(lines))


def _shortened(lines: list[str], width: int = 300) -> list[str]:
    """Cut each text to its first line, and that to a sensible length."""
    firsts = [next(iter(line.splitlines()), "") for line in lines]
    return [first if len(first) <= width else first[: width - 3] + "..." for first in firsts]


def safely(make: Callable[[], str], otherwise: str) -> str:
    """Return a text made from the learner's objects, whose methods may fail."""
    try:
        return make()
    except BaseException:
        return otherwise


def is_unwritten(error: BaseException) -> bool:
    """Tell `raise NotImplementedError`, written in a stub, from the one torch raises itself."""
    if not isinstance(error, NotImplementedError) or error.__traceback__ is None:
        return False
    step = error.__traceback__
    while step.tb_next is not None:
        step = step.tb_next
    code = step.tb_frame.f_code
    raised = code.co_code[step.tb_lasti] == dis.opmap["RAISE_VARARGS"]
    return raised and _is_learners(code.co_filename)
