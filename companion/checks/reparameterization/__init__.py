"""Checks of chapter 2, "Gradients through randomness: the reparameterization trick".

Axes: S samples, B batch, D dimensions, K categories or components.
"""

from companion.checks.reparameterization import (  # noqa: I001 - the chapter's order
    hand,
    estimators,
    baseline,
    repair,
    discrete,
    implicit,
)
from companion.checks.reparameterization.questions import QUIZ

__all__ = ["QUIZ", "baseline", "discrete", "estimators", "hand", "implicit", "repair"]
