"""Blind diagnosis: recorded runs without labels; the reader names the fault of each.

A fault is described once, by clues: what must be seen in the curves if the fault is there. A wrong
pick is answered by the first clue that is missing. The tests use the same clues: those of a fault
all hold for its own run, and for no other run.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from companion.checks._curves import Panel, Run, load_runs, panels_html, panels_text
from companion.checks._quiz import Option, Question, Quiz
from companion.checks._registry import load


class Clue(NamedTuple):
    """One thing that a fault does to the curves.

    Attributes:
        holds: says whether the curves of a run show it.
        missing: why a run that does not show it can't have the fault, with numbers of that run
            such as `{kl.last}`.
    """

    holds: Callable[[Run], bool]
    missing: str


@dataclass(frozen=True)
class Fault:
    """A fault, or none, as an option to pick.

    Attributes:
        text: what the option says.
        clues: what must be seen in the curves, the strongest first.
        tell_tale: by what its run is known, and why, with numbers of the run such as `{kl.last}`;
            empty if its run is not shown.
    """

    text: str
    clues: tuple[Clue, ...]
    tell_tale: str = ""

    def missing(self, run: Run) -> Clue | None:
        """Return the first clue that a run does not show; None if it shows all."""
        return next((clue for clue in self.clues if not clue.holds(run)), None)

    def feedback(self, run: Run) -> str:
        """Return the tell-tale, or what in the curves speaks against this fault."""
        clue = self.missing(run)
        return (clue.missing if clue else self.tell_tale).format_map(run)


@dataclass(frozen=True)
class Diagnosis:
    """The runs of a chapter, and what may be wrong with them.

    Attributes:
        recording: the file that `tools.record_runs` wrote.
        panels: what the reader sees of each run.
        faults: the options by the name of their run, in the order in which they are offered. A
            fault that no shown run has keeps the reader from finding the last one by elimination.
        shown: the names of the runs, in the order of their letters.
    """

    recording: Path
    panels: tuple[Panel, ...]
    faults: dict[str, Fault]
    shown: tuple[str, ...]

    def questions(self) -> tuple[Question, ...]:
        """Return one question for each run that is shown."""
        runs = load_runs(self.recording)
        return tuple(
            self._question(letter, name, runs[name])
            for letter, name in zip("ABCDEFGH", self.shown, strict=False)
        )

    def _question(self, letter: str, name: str, run: Run) -> Question:
        return Question(
            "What is wrong with it?",
            tuple(
                Option(fault.text, fault.feedback(run), right=key == name)
                for key, fault in self.faults.items()
            ),
            title=f"Run {letter}",
            figure_html=panels_html(self.panels, run),
            figure_text=panels_text(self.panels, run),
        )


def diagnose(chapter: str, *, answers: bool = False) -> Quiz:
    """Show a chapter's recorded runs without their labels, and what may be wrong with each.

    Args:
        chapter: The chapter's name, such as "mnist".
        answers: Whether the plain text (in a terminal) holds the answers too.

    Raises:
        ValueError: if the chapter has no recorded runs.
    """
    diagnosis = getattr(load(chapter), "DIAGNOSIS", None)
    if diagnosis is None:
        raise ValueError(
            f"There are no recorded runs of {chapter!r}. Pass the name of a chapter that has "
            f'some, for example diagnose("mnist").'
        )
    result = Quiz(chapter, diagnosis.questions(), answers, call="diagnose")
    result.show()
    return result
