"""Answers that a check must survive: odd values, and functions that misbehave."""

import sys

import numpy as np
import torch
from torch import nn

from companion.checks.authoring import NotYet


class Hostile:
    """Every look at it fails, and not with an ordinary exception."""

    def __getattribute__(self, name):
        raise KeyboardInterrupt(name)

    def __repr__(self):
        sys.exit("repr")

    def __eq__(self, other):
        raise GeneratorExit

    __hash__ = None

    def __bool__(self):
        raise SystemExit

    def __float__(self):
        raise MemoryError

    def __len__(self):
        return -1


class BadMessage(Exception):
    def __str__(self):
        raise RuntimeError("no message")


class Unforward(nn.Module):
    pass


ENDLESS: list = []
ENDLESS.append(ENDLESS)

VALUES = {
    "zero": 0,
    "huge": 10**400,
    "true": True,
    "nan": float("nan"),
    "inf": float("inf"),
    "complex": 1j,
    "empty text": "",
    "text": "a tensor",
    "bytes": b"1.5",
    "empty list": [],
    "list": [1, "two", None],
    "ragged": [torch.ones(2), torch.ones(3)],
    "endless": ENDLESS,
    "dict": {"a": 1, "q": object()},
    "set": {1},
    "object": object(),
    "type": int,
    "exception": ValueError("not raised"),
    "exception type": ValueError,
    "module": nn.Linear(2, 2),
    "empty module": Unforward(),
    "hostile": Hostile(),
    "generator": (i for i in range(3)),
    "range": range(4),
    "empty tensor": torch.empty(0),
    "scalar": torch.tensor(7.25),
    "nan tensor": torch.full((4,), float("nan")),
    "bool tensor": torch.ones(4, dtype=torch.bool),
    "int tensor": torch.arange(4),
    "complex tensor": torch.ones(4, dtype=torch.complex64),
    "half tensor": torch.ones(4, dtype=torch.float16),
    "meta tensor": torch.ones(4, device="meta"),
    "sparse tensor": torch.eye(4).to_sparse(),
    "expanded tensor": torch.ones(1).expand(10**12),
    "leaf": torch.ones(4, requires_grad=True),
    "object array": np.array([object()]),
    "text array": np.array(["1"]),
    "reversed array": np.arange(4.0)[::-1],
    "distribution": torch.distributions.Normal(0.0, 1.0),
    "print": print,
    "builtin": len,
    "partial method": "abc".join,
}


def raises(error):
    def function(*arguments):
        raise error

    return function


FUNCTIONS = {
    "no arguments": lambda: 1,
    "too many": lambda a, b, c, d, e, f, g, h: 1,
    "keywords only": lambda *, x: x,
    "ValueError": raises(ValueError("one\ntwo\nthree")),
    "long message": raises(ValueError("x" * 10_000)),
    "bad message": raises(BadMessage()),
    "SystemExit": raises(SystemExit(1)),
    "KeyboardInterrupt": raises(KeyboardInterrupt()),
    "GeneratorExit": raises(GeneratorExit()),
    "BaseException": raises(BaseException("base")),
    "NotYet": raises(NotYet("mine")),
    "StopIteration": raises(StopIteration()),
    "MemoryError": raises(MemoryError()),
    "AssertionError": raises(AssertionError()),
    "exit": lambda *a: sys.exit(),
    "recursion": lambda *a: FUNCTIONS["recursion"](*a),
    "wrong shapes": lambda *a: a[0] @ torch.ones(17, 3),
    "prints": lambda *a: print("hello"),
    "closes": lambda *a: _generator(),
}


def _generator():
    yield 1


async def _async(*arguments):
    return arguments


FUNCTIONS["async"] = _async
