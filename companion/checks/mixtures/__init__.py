"""Checks of chapter 4, "Better priors: mixtures and beyond".

Axes: B batch, D latent dimensions, K components, N examples, S importance samples.
"""

from companion.checks.mixtures import (  # noqa: I001 - the chapter's order
    density,
    em,
    sampling,
    information,
    repair,
    divergence,
    tilted,
)
from companion.checks.mixtures.questions import QUIZ

__all__ = ["QUIZ", "density", "divergence", "em", "information", "repair", "sampling", "tilted"]
