"""How long the build will take, said before it starts."""

import subprocess
import sys

import pytest

from tools.estimate import cores, minutes
from tools.pages import ROOT


@pytest.mark.parametrize(
    ("chapters", "jobs", "slowdown", "expected"),
    [
        (4, 2, 1.0, 4),  # 2 rounds of 75 s and 70 s for the pages: 220 s
        (5, 2, 1.0, 5),  # 3 rounds: 295 s
        (4, 8, 1.0, 3),  # 1 round: 145 s
        (4, 2, 2.0, 8),  # 440 s
        (0, 2, 1.0, 2),
    ],
)
def test_minutes(chapters, jobs, slowdown, expected):
    """Chapters run in rounds, and a slow machine needs more time for everything."""
    assert minutes(chapters, jobs, slowdown) == expected


def test_cores():
    """At least the one that this test runs on."""
    assert cores() >= 1


@pytest.mark.parametrize("option", [[], ["--install"]])
def test_the_line_needs_nothing_installed(option):
    """An isolated interpreter without third-party packages prints it."""
    command = [sys.executable, "-I", "-S", str(ROOT / "tools/estimate.py"), "--jobs", "2", *option]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("The book takes about ")
    assert ("installing" in done.stdout) is bool(option)
