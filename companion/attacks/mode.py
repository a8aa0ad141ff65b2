"""Evaluation mode for the time of an attack."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from companion._require.arguments import require_module


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode until the block ends, also when it ends in an error.

    Each module of the model then gets back the mode it had. `model.train()` would not do: it also
    thaws the parts that were frozen on purpose.

    Args:
        model: the model, for example one that is being trained on attacked images.

    >>> from torch import nn
    >>> model = nn.Sequential(nn.BatchNorm1d(2).eval(), nn.Dropout())
    >>> with evaluating(model):
    ...     print([part.training for part in model.modules()])
    [False, False, False]
    >>> [part.training for part in model.modules()]
    [True, False, True]
    """
    require_module(model=model)
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training
