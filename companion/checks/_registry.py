"""The list of exercises: every chapter's module adds its own when it is first needed."""

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from math import inf
from pathlib import Path
from types import ModuleType
from typing import Any

_NOT_CHAPTERS = {"authoring"}


class NotYet(Exception):
    """The answer is not right yet; the message says what to look at."""


class NotAttempted(Exception):
    """There is no answer yet."""


@dataclass(frozen=True)
class Exercise:
    """One exercise of the course.

    Attributes:
        key: Its name, "elbo.kl".
        title: Its title, which begins with its number, if it has one.
        judge: The function that judges an answer.
        number: Its number in the book, "1.2".
        answer: What its stub calls the answer.
        task: The exercise as data, if it is written so (`companion.checks._tasks`).
        seconds: How long it may compute; None is the usual limit.
    """

    key: str
    title: str
    judge: Callable[..., object]
    number: str = ""
    answer: str = "answer"
    task: Any = None
    seconds: float | None = None


_exercises: dict[str, Exercise] = {}


def register(exercise: Exercise) -> None:
    """Enter an exercise into the list; an earlier one of that key gives way."""
    _exercises[exercise.key] = exercise


def exercise(
    key: str, *, title: str, number: str = "", answer: str = "answer"
) -> Callable[[Callable], Callable]:
    """Register the decorated function as the judge of the exercise `key` ("chapter.name").

    Readers may write the number ("1.2") instead of the key. Loading a chapter's module again
    replaces its exercises.
    """

    def decorate(judge: Callable) -> Callable:
        register(Exercise(key, f"{number} {title}".strip(), judge, number, answer))
        return judge

    return decorate


def chapters() -> list[str]:
    """Return the names of the chapters that have checks."""
    names = (module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))
    return sorted(name for name in names if name[0] != "_" and name not in _NOT_CHAPTERS)


def load(chapter: str) -> ModuleType | None:
    """Import a chapter's checks; None if there is no such chapter."""
    if chapter not in chapters():
        return None
    return import_module(f"companion.checks.{chapter}")


def find(key: str) -> Exercise | None:
    """Return an exercise by its key or its number; None if there is none."""
    if key[:1].isdigit():
        return next((each for each in all_exercises() if each.number == key), None)
    if load(key.partition(".")[0]) is None:
        return None
    return _exercises.get(key)


def all_exercises() -> list[Exercise]:
    """Return every exercise of the course, by its number; those without one come last."""
    for chapter in chapters():
        load(chapter)
    return sorted(_exercises.values(), key=_place)


def _place(exercise: Exercise) -> tuple[float, ...]:
    return tuple(float(part) for part in exercise.number.split(".")) if exercise.number else (inf,)


def closest(key: str, known: list[str]) -> list[str]:
    """Return up to three of the known names that resemble the key, best first.

    >>> closest("elbo.lk", ["elbo.kl", "gan.loss"])
    ['elbo.kl']
    >>> closest("KL", ["elbo.kl", "gan.loss"])
    ['elbo.kl']
    """
    wanted = key.lower()
    endings = [name for name in known if name.partition(".")[2] == wanted]
    return endings or get_close_matches(wanted, known, n=3, cutoff=0.6)
