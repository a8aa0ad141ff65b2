"""What `fit` minimizes and records: forward and loss of one batch after the other.

Axis: B batch.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from companion import _fit_checks

Record = dict[str, Tensor]  # one number for each example, by name


class Objective:
    """Forward and loss of a batch.

    Args:
        model: called as `model(*batch, generator=noise)`.
        loss: turns the model's answer into the loss, shape (B,). None: the answer is the loss.
        batch_size: number of examples in a batch of `evaluate`.
        autocast: dtype in which the network may compute; None switches autocast off.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[[Any], Tensor] | None,
        batch_size: int,
        autocast: torch.dtype | None,
    ) -> None:
        self.model = model
        self.forward: Callable[..., Any] = model
        self.loss = loss
        self.batch_size = batch_size
        self.autocast = autocast

    def compile(self) -> None:
        """From now on run the model through torch.compile."""
        self.forward = torch.compile(self.model)

    def __call__(self, batch: Sequence[Tensor], noise: torch.Generator) -> Record:
        """Return the loss of each example, and each field of the model's answer."""
        half = self.autocast is not None
        with torch.autocast(batch[0].device.type, dtype=self.autocast, enabled=half):
            output = self.forward(*batch, generator=noise)
        fields = _fit_checks.checked_fields(output, self.loss, len(batch[0]))
        losses = output if self.loss is None else self.loss(output)
        _fit_checks.check_loss(losses, len(batch[0]))
        return {**fields, "loss": losses}

    @torch.no_grad()
    def evaluate(self, data: Sequence[Tensor], noise: torch.Generator) -> list[Record]:
        """Return the record of each batch in order, in evaluation mode, without gradients."""
        self.model.eval()
        batches = zip(*(tensor.split(self.batch_size) for tensor in data), strict=True)
        return [self(batch, noise) for batch in batches]


def append_means(curves: dict[str, list[float]], records: list[Record]) -> None:
    """Append the mean over all examples (not over batches, the last of which may be smaller).

    This is the only place where `fit` reads from the device in an epoch.
    """
    names = list(records[0]) if records else []
    columns = [torch.cat([record[name] for record in records]) for name in names]
    means = torch.stack(columns).cpu().double().mean(dim=1).tolist() if columns else []
    for name, mean in zip(names, means, strict=True):
        curves.setdefault(name, []).append(mean)
