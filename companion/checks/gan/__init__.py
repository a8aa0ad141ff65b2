"""Checks of chapter 9, "Generative adversarial networks".

Axes: B batch, N and M examples, P coordinates, D features.
"""

from companion.checks.gan import (  # noqa: I001 - the chapter's order
    three,
    labels,
    divergence,
    frechet,
    repair,
    build,
)
from companion.checks.gan.questions import QUIZ

__all__ = ["QUIZ", "build", "divergence", "frechet", "labels", "repair", "three"]
