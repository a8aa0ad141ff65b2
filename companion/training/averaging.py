"""An exponential moving average of a model's weights."""

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from companion._require import training as require


class WeightAverage(nn.Module):
    r"""A copy of a model whose weights follow the model's: $a \leftarrow d\,a + (1 - d)\,w$.

    Steps of a noisy gradient jump around a minimum; their average lies nearer to it. Pass it to
    `fit(..., average=...)`, and use it afterwards in place of the model.

    Args:
        model: what is averaged. It may have been trained before.
        decay: d in [0, 1). About 1 / (1 - d) steps are averaged.

    Reference: Polyak and Juditsky (1992) for the mean over steps; the moving one is usual today.

    >>> model = nn.Linear(1, 1)
    >>> average = WeightAverage(model, decay=0.5)
    >>> average(torch.ones(1)).equal(model(torch.ones(1)))
    True
    """

    def __init__(self, model: nn.Module, decay: float = 0.999) -> None:
        super().__init__()
        require.check_average(model, decay)
        self.model = deepcopy(model).requires_grad_(False)
        self.decay = decay

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the model with averaged weights returns."""
        return self.model(*args, **kwargs)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move towards the present weights; buffers, such as running means, are copied."""
        torch._foreach_lerp_(_weights(self.model), _weights(model), 1 - self.decay)
        for mine, theirs in zip(self.model.buffers(), model.buffers(), strict=True):
            mine.copy_(theirs)


def _weights(model: nn.Module) -> list[Tensor]:
    return [weight.detach() for weight in model.parameters()]
