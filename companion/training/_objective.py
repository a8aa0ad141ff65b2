"""What `fit` minimizes and records: forward and loss of one batch after the other.

Axis: B batch.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from companion._require import training as require

Record = dict[str, Tensor]  # one number for each example, by name


class Objective:
    """Forward and loss of a batch.

    Args:
        model: called as `model(*batch, generator=generator)`.
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
        self.frozen = _frozen_parts(model)

    def compile(self) -> None:
        """From now on run the model through torch.compile."""
        self.forward = torch.compile(self.model)

    def train_mode(self) -> None:
        """Put the model into training mode, but not the parts that came frozen."""
        self.model.train()
        for part in self.frozen:
            part.training = False

    def __call__(self, batch: Sequence[Tensor], generator: torch.Generator) -> Record:
        """Return the loss of each example, and each field of the model's answer."""
        half = self.autocast is not None
        with torch.autocast(batch[0].device.type, dtype=self.autocast, enabled=half):
            output = self.forward(*batch, generator=generator)
        fields = require.checked_fields(output, self.loss, len(batch[0]))
        losses = output if self.loss is None else self.loss(output)
        require.check_loss(losses, fields, len(batch[0]))
        return {**fields, "loss": losses}

    @torch.no_grad()
    def evaluate(self, data: Sequence[Tensor], generator: torch.Generator) -> list[Record]:
        """Return the record of each batch in order, in evaluation mode, without gradients."""
        self.model.eval()
        batches = zip(*(tensor.split(self.batch_size) for tensor in data), strict=True)
        return [self(batch, generator) for batch in batches]


def append_means(curves: dict[str, list[float]], records: list[Record]) -> None:
    """Append the mean over all examples (not over batches, the last of which may be smaller).

    `fit` reads from the device at the end of an epoch, never in a step.
    """
    names = list(records[0]) if records else []
    columns = [torch.cat([record[name] for record in records]) for name in names]
    means = torch.stack(columns).cpu().double().mean(dim=1).tolist() if columns else []
    for name, mean in zip(names, means, strict=True):
        curves.setdefault(name, []).append(mean)


@contextmanager
def as_found(model: nn.Module, trainable: list[nn.Parameter]) -> Iterator[None]:
    """Afterwards restore each module's mode and drop gradients, also after an exception.

    Inside, `torch.no_grad` and `torch.autocast` of the caller are off: `Run` decides.
    """
    modes = {module: module.training for module in model.modules()}
    try:
        with torch.enable_grad(), torch.autocast(trainable[0].device.type, enabled=False):
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        for weight in trainable:
            weight.grad = None


def _frozen_parts(model: nn.Module) -> list[nn.Module]:
    """Return the modules that are in evaluation mode on purpose, and have nothing to train.

    Training mode would move the statistics of a frozen batch norm. If the whole model is in
    evaluation mode, a part without weights, such as dropout, says nothing about its purpose.
    """

    def is_frozen(module: nn.Module) -> bool:
        weights = list(module.parameters())
        on_purpose = not module.training and (model.training or len(weights) > 0)
        return on_purpose and not any(weight.requires_grad for weight in weights)

    frozen = [part for module in model.modules() if is_frozen(module) for part in module.modules()]
    return [part for part in frozen if not part.training]
