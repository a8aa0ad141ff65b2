"""The two profiles: `quick` for a laptop and the built book, `full` for the whole data."""

import os
from typing import TypeVar

from companion._require.arguments import require_choice

VARIABLE = "COMPANION_PROFILE"

T = TypeVar("T")


def profile() -> str:
    """Return the chosen profile: `quick`, unless the environment says `full`.

    Raises:
        ValueError: the environment variable COMPANION_PROFILE names another profile.
    """
    chosen = os.environ.get(VARIABLE, "quick")
    require_choice(("quick", "full"), **{VARIABLE: chosen})
    return chosen


def budget(*, quick: T, full: T) -> T:
    """Return the value for the chosen profile.

    Args:
        quick: the value that keeps a chapter within 90 seconds on two CPU cores.
        full: the value for the whole data set, and a GPU if there is one.

    >>> budget(quick=20, full=200) in (20, 200)
    True
    """
    return full if profile() == "full" else quick
