"""One training loop for every model of the course, and what it needs beside it."""

from companion.training.fit import (
    History,
    Run,
    TrainingDiverged,
    default_device,
    fit,
    generator_for,
)

__all__ = ["History", "Run", "TrainingDiverged", "default_device", "fit", "generator_for"]
