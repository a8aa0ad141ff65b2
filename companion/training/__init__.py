"""One training loop for every model of the course, and what it needs beside it."""

from companion.training.averaging import WeightAverage
from companion.training.distributed import descend
from companion.training.fit import fit
from companion.training.loop import (
    History,
    Run,
    TrainingDiverged,
    default_device,
    generator_for,
    loop,
)
from companion.training.schedules import constant, cosine, steps

__all__ = [
    "History",
    "Run",
    "TrainingDiverged",
    "WeightAverage",
    "constant",
    "cosine",
    "default_device",
    "descend",
    "fit",
    "generator_for",
    "loop",
    "steps",
]
