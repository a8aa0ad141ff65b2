"""Checks of chapter 5, "Adversarial examples".

Axes: R restarts, B batch, P pixels, K classes.
"""

from companion.checks.attacks import (  # noqa: I001 - the chapter's order
    norms,
    sparse,
    nearest,
    worst,
    units,
    repair,
    build,
)
from companion.checks.attacks.questions import QUIZ

__all__ = ["QUIZ", "build", "nearest", "norms", "repair", "sparse", "units", "worst"]
