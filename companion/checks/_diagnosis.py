"""Blind diagnosis: recorded runs without labels; the reader names the fault of each.

A fault is described once, by clues that are functions of the curves. From them come the
feedback for the right pick, what speaks against each wrong one, and the tests: all clues of a
fault hold for its own run, and for no other run.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from companion.checks._curves import Panel, Run, load_runs, panels_html, panels_text
from companion.checks._quiz import Option, Question, Quiz
from companion.checks._registry import load


@dataclass(frozen=True)
class Clue:
    """One thing that a fault does to the curves.

    Attributes:
        holds: says whether the curves of a run show it.
        seen: what is seen in a run that shows it.
        against: why a run that does not show it can't have the fault.
    """

    holds: Callable[[Run], bool]
    seen: Callable[[Run], str]
    against: Callable[[Run], str]


@dataclass(frozen=True)
class Fault:
    """A fault, or none, as an option to pick.

    Attributes:
        text: what the option says.
        clues: what it does to the curves, the strongest first.
        lesson: how it does that; added to the tell-tale.
    """

    text: str
    clues: tuple[Clue, ...]
    lesson: str = ""

    def explains(self, run: Run) -> bool:
        """Say whether a run shows all clues."""
        return all(clue.holds(run) for clue in self.clues)

    def feedback(self, run: Run) -> str:
        """Return the tell-tale, or what in the curves speaks against this fault."""
        for clue in self.clues:
            if not clue.holds(run):
                return clue.against(run)
        return " ".join([*(clue.seen(run) for clue in self.clues), self.lesson]).strip()


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
    result = Quiz(f"{chapter}-runs", diagnosis.questions(), answers, f'diagnose("{chapter}"')
    result.show()
    return result
