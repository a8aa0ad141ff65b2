"""`check`: judging an answer, showing the verdict, keeping the progress."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from companion.checks import _progress, _sandbox
from companion.checks._call import is_blank
from companion.checks._display import Shown, block_html, inline_html, wrap
from companion.checks._registry import (
    Exercise,
    NotAttempted,
    NotYet,
    all_exercises,
    closest,
    find,
)

Status = Literal["correct", "not attempted", "not yet", "not finished", "no such exercise"]

# What is kept as an attempt. Code that was stopped was not judged, right or wrong.
_JUDGED = ("correct", "not yet")

_HEADINGS = {
    "correct": ("✓", "Correct"),
    "not attempted": ("○", "Not attempted yet"),
    "not yet": ("✗", "Not yet"),
    "not finished": ("…", "Not finished"),
    "no such exercise": ("?", "No such exercise"),
}
_BORDERS = {
    "correct": "#2e9e5b",
    "not attempted": "#8a8f98",
    "not yet": "#d9822b",
    "not finished": "#4a7fb5",
    "no such exercise": "#8a8f98",
}
_STYLE = "border-left:4px solid {}; padding:0.1em 1em; margin:0.5em 0;"


@dataclass(repr=False)
class Verdict(Shown):
    """What `check` found: a status, a message and the exercise it belongs to.

    A verdict is true, as in `assert check(...)`, only if the answer is correct.
    """

    key: str
    title: str
    status: Status
    message: str
    note: str = field(default="", compare=False)
    ours: bool = field(default=False, compare=False)  # the book's solution, not the reader's

    def __bool__(self) -> bool:
        return self.status == "correct"

    def __repr__(self) -> str:
        return f"<Verdict {self.key}: {self.status}>"

    def text(self) -> str:
        """Return the verdict as plain text."""
        symbol, words = _HEADINGS[self.status]
        name = f" ({self.key})" if self.key else ""
        parts = [self.message, *([self.note] if self.note else [])]
        return "\n".join([f"{symbol} {words}: {self._heading()}{name}", *map(wrap, parts)])

    def _heading(self) -> str:
        return f"our solution to {self.title}" if self.ours and self else self.title

    def html(self) -> str:
        """Return the verdict as HTML; its words say all that its color does."""
        symbol, words = _HEADINGS[self.status]
        title = inline_html(self._heading())
        note = f"<p><small>{inline_html(self.note)}</small></p>" if self.note else ""
        return (
            f'<div class="companion-verdict" data-status="{self.status}" role="status" '
            f'style="{_STYLE.format(_BORDERS[self.status])}">'
            f'<p><strong><span aria-hidden="true">{symbol}</span> {words}:</strong> {title}</p>'
            f"{block_html(self.message)}{note}</div>"
        )


class Check:
    """The object behind `check(...)` and `check.progress()`."""

    def __call__(self, key: object = None, /, *answer: object, record: bool = True) -> Verdict:
        """Judge an answer, show the verdict at once and return it.

        Args:
            key: The exercise's name, such as "elbo.kl", or its number, such as "1.2".
            answer: What the exercise asks for: a function (without parentheses), a number...
                Several values count as one tuple.
            record: Whether to keep the result for `check.progress()`. The book's own
                solutions do not; a correct verdict then says that the solution is ours.

        Returns:
            The verdict. It never raises an exception, whatever the answer is.
        """
        try:
            verdict = _verdict(key, answer)
            verdict.ours = not record
            if record and verdict.key and verdict.status in _JUDGED:
                verdict.note = _progress.record(verdict.key, solved=bool(verdict))
        except Exception as error:
            verdict = _our_fault(error)
        verdict.show()
        return verdict

    def progress(self) -> _progress.Progress:
        """Show which exercises of the course are solved, and return the same as an object."""
        titles = {exercise.key: exercise.title for exercise in all_exercises()}
        progress = _progress.read(titles)
        progress.show()
        return progress

    def __repr__(self) -> str:
        return 'check("name of the exercise", your_answer)'


def _verdict(key: object, answer: tuple[object, ...]) -> Verdict:
    key = key if issubclass(type(key), str) else None  # isinstance would ask the object itself
    exercise = find(str(key)) if key is not None else None
    if exercise is None:
        name = "(no name)" if key is None else str(key)[:60]
        return Verdict("", name, "no such exercise", _unknown(key))
    if not answer:
        remedy = f'You passed no answer: write `check("{exercise.key}", {exercise.answer})`.'
        return Verdict(exercise.key, exercise.title, "not attempted", remedy)
    status, message = _judge(exercise, answer)
    return Verdict(exercise.key, exercise.title, status, message)


def _unknown(key: object) -> str:
    """Say that there is no such exercise, and which ones resemble it."""
    if not isinstance(key, str):
        return (
            "The exercise's name comes first, as a text in quotes, then your answer: "
            '`check("elbo.kl", kl)`.'
        )
    known = [exercise.key for exercise in all_exercises()]
    names = ", ".join(f'`"{name}"`' for name in closest(key, known))
    hint = f"Did you mean {names}?" if names else "`check.progress()` lists all of them."
    return f'There is no exercise called "{key[:60]}". {hint}'


def _judge(exercise: Exercise, answer: tuple[object, ...]) -> tuple[Status, str]:
    """Return the status and message of an answer; none of the learner's code runs outside."""
    value = answer[0] if len(answer) == 1 else answer
    if is_blank(value):
        remedy = "Replace the placeholder with your answer, then run the cell again."
        if value is None:
            remedy = f"Your answer is `None`. {remedy[:-1]} (or does your line only print?)."
        return "not attempted", remedy
    outcome = _sandbox.run(lambda: _explained(exercise.judge, value), exercise.seconds)
    if outcome.timed_out:
        return "not finished", _too_slow(outcome, exercise.seconds)
    if outcome.error is not None or not isinstance(outcome.value, tuple):
        return "not yet", "The check could not make sense of this answer."
    return outcome.value


def _explained(judge: Callable[..., object], value: object) -> tuple[Status, str]:
    try:
        remark = judge(value)
    except NotAttempted as reason:
        return "not attempted", str(reason)
    except NotYet as reason:
        return "not yet", str(reason)
    except Exception as error:
        details = _sandbox.describe(error)
        return "not yet", f"The check could not make sense of this answer:\n\n{details}"
    return "correct", str(remark or "Well done.")


def _too_slow(outcome: _sandbox.Outcome, seconds: float | None = None) -> str:
    computing, waiting = _sandbox.limits(seconds)
    message = (
        f"Your code did not finish within {computing:g} seconds of computing, or "
        f"{waiting:g} of waiting, so it was not judged: it may be right. Is "
        "there a loop that never ends? If it is only slow, let torch work on whole tensors."
    )
    if outcome.where:
        message += f" It was here:\n\n    {outcome.where}"
    if outcome.still_running:
        message += (
            "\n\nIt could not be stopped and may still run in the background. "
            "Restart the kernel if things become slow."
        )
    return message


def _our_fault(error: Exception) -> Verdict:
    message = (
        "The check itself failed; this is our fault, not yours. "
        f"Please report it:\n\n{_sandbox.describe(error)}"
    )
    return Verdict("", "error in the check", "not yet", message)


check = Check()
