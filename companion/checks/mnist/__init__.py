"""Checks of chapter 3, "A variational autoencoder on MNIST".

Axes: B batch, D latent dimensions, N images, n steps of a path.
"""

from companion.checks.mnist import (  # noqa: I001 - the chapter's order
    shapes,
    loss,
    units,
    variance,
    path,
    repair,
    normalizer,
    build,
)
from companion.checks.mnist.questions import QUIZ
from companion.checks.mnist.runs import DIAGNOSIS

__all__ = [
    "DIAGNOSIS",
    "QUIZ",
    "build",
    "loss",
    "normalizer",
    "path",
    "repair",
    "shapes",
    "units",
    "variance",
]
