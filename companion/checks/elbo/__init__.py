"""Checks of chapter 1, "The evidence lower bound".

Axes: B batch, D latent dimensions, S importance samples.
"""

from companion.checks.elbo import kl, oracle, scale, bound  # noqa: I001 - the chapter's order
from companion.checks.elbo.questions import QUIZ

__all__ = ["QUIZ", "bound", "kl", "oracle", "scale"]
