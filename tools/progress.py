"""What one sees while chapters run: which cell of which chapter, and for how long."""

import shutil
import sys
import time
from collections.abc import Callable
from typing import NamedTuple, TextIO


class Cell(NamedTuple):
    """A cell that runs: its number, of how many, and when it started."""

    number: int
    total: int
    started: float


class Progress:
    """One line that overwrites itself in a terminal; elsewhere a new line now and then."""

    def __init__(
        self,
        stream: TextIO | None = None,
        every: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stream = stream or sys.stdout
        self.every = every
        self.clock = clock
        self.running: dict[str, Cell] = {}
        self.last = clock()

    def cell(self, name: str, number: int, total: int) -> None:
        """Note that a cell starts."""
        self.running[name] = Cell(number, total, self.clock())

    def end(self, name: str) -> None:
        """Note that a chapter has ended."""
        self.running.pop(name, None)

    def say(self, text: str) -> None:
        """Print a line that stays."""
        clear = "\r\x1b[K" if self.stream.isatty() else ""
        print(f"{clear}{text}", file=self.stream, flush=True)

    def show(self) -> None:
        """Show what runs now, if it is time to."""
        now = self.clock()
        cells = sorted(self.running.copy().items())
        parts = [
            f"{name}: cell {cell.number} of {cell.total}, {now - cell.started:.0f} s"
            for name, cell in cells
        ]
        text = " | ".join(parts)
        if self.stream.isatty():
            width = shutil.get_terminal_size().columns - 1  # a full line would wrap
            print(f"\r\x1b[K{text[:width]}", end="", file=self.stream, flush=True)
        elif text and now - self.last >= self.every:
            self.last = now
            self.say(f"  {text}")
