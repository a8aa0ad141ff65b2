"""torchvision, also where its compiled part does not fit this PyTorch.

A package index often offers torchvision only as a CUDA build. Beside a CPU build of PyTorch,
its compiled library cannot be loaded, and then even `import torchvision` fails with
"operator torchvision::nms does not exist", although data sets, transforms and image grids
need no compiled code at all. This module imports torchvision, and only after that very
error declares the missing operators (their signatures, without an implementation) and tries
once more. Where torchvision imports by itself, nothing is touched.

Take torchvision's modules from here instead of importing it first:

    from companion.data.vision import datasets, transforms

Nothing happens before you ask for one of them: importing `companion.data.vision` neither imports
torchvision nor changes anything. After a repair, calling a compiled operator
(`ops.nms`, `io.decode_image`) still raises torchvision's own explanation.
"""

import functools
import importlib
import re
import sys
from types import ModuleType
from typing import Any

import torch

_SUBMODULES = ("datasets", "io", "models", "ops", "transforms", "utils")

# The operators whose signature torchvision needs during its import.
_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_OPERATORS = ("nms", "qnms")

_MISSING_OPERATOR = re.compile(r"operator torchvision::\w+ does not exist")


@functools.cache
def torchvision() -> ModuleType:
    """Import torchvision, declaring its operators first if it cannot be imported without.

    Returns:
        The module `torchvision`.

    Raises:
        ImportError: torchvision is not installed, or fails for another reason.

    >>> torchvision().utils.make_grid(torch.zeros(4, 1, 28, 28), nrow=2).shape
    torch.Size([3, 62, 62])
    """
    try:
        return _import()
    except RuntimeError as error:
        if not _MISSING_OPERATOR.search(str(error)):
            raise ImportError(f"torchvision is installed but fails to import: {error}") from error
    _forget_half_import()
    _declare_operators()
    try:
        return _import()
    except RuntimeError as error:
        raise ImportError(
            f"torchvision does not fit PyTorch {torch.__version__}: {error}. "
            f"Install the torchvision release that belongs to it."
        ) from error


def _import() -> ModuleType:
    try:
        return importlib.import_module("torchvision")
    except ModuleNotFoundError as error:
        if error.name != "torchvision":
            raise
        raise ModuleNotFoundError(
            "torchvision is not installed. Install the release that belongs to PyTorch "
            f"{torch.__version__}: pip install torchvision. The data set mnist5k needs none.",
            name="torchvision",
        ) from error


def _forget_half_import() -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] == "torchvision":
            del sys.modules[name]


@functools.cache
def _declare_operators() -> torch.library.Library:
    # Cached because the declarations last as long as this object. A fragment, not a
    # definition of the whole namespace: it does not stand in the way of anyone else's.
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in _OPERATORS:
        library.define(operator + _SIGNATURE)
    return library


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        torchvision()
        return importlib.import_module(f"torchvision.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
