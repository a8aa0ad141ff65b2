"""Say how long `make book` will take, before anything is installed (standard library only)."""

import argparse
import math
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Rough, measured on two idle cores: what the reader should expect, not what a test checks.
CHAPTER_SECONDS = 75  # reference seconds to execute one chapter, two at a time
PAGES_SECONDS = 70  # to build all pages and check them
INSTALL_MINUTES = 3  # with a fast network


def cores() -> int:
    """Return how many cores this process may use, or the machine has where no system call tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def minutes(chapters: int, jobs: int, slowdown: float = 1.0) -> int:
    """Estimate the minutes of the whole build, rounded up.

    `slowdown` says how many times slower than the reference machine this one is.
    """
    rounds = math.ceil(chapters / jobs)
    return math.ceil((rounds * CHAPTER_SECONDS + PAGES_SECONDS) * slowdown / 60)


def main() -> None:
    """Print the line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=cores(), help="chapters at a time")
    parser.add_argument("--install", action="store_true", help="nothing is installed yet")
    options = parser.parse_args()
    chapters = len(list((ROOT / "book").glob("*/[0-9][0-9]-*.md")))
    time = f"about {minutes(chapters, options.jobs)} minutes on an idle machine with these cores"
    more = f", after about {INSTALL_MINUTES} minutes of installing" if options.install else ""
    unchanged = "a minute where only text has changed, seconds where nothing has"
    print(f"The book takes {time}{more}; {unchanged}.", flush=True)


if __name__ == "__main__":
    main()
