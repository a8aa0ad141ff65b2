"""Checks of chapter 4, "Better priors: mixtures and beyond".

Axes: B batch, D latent dimensions, K components, N examples, S importance samples.
"""

from companion.checks.mixtures import density, em, sampling, information, repair, divergence  # noqa: I001 - the chapter's order
from companion.checks.mixtures.questions import QUIZ

__all__ = ["QUIZ", "density", "divergence", "em", "information", "repair", "sampling"]
