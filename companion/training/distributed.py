"""Several processes train one model: `torchrun --nproc-per-node=2 program.py`.

Each process (rank) holds the whole data and the whole state. Of each batch it takes its share;
before each optimizer step the gradients are averaged over all examples of the batch. So the
ranks stay equal, and a model without noise ends where one process ends, up to rounding. Noise is
drawn independently in each rank. Batch norm sees a rank's own share only.

Axis: B batch.
"""

import os
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, distributed, nn

from companion._require import training as require
from companion.training._state import State, pack


class Ranks(NamedTuple):
    """The processes that train together: this one's number, and how many there are."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process saves, and shows the bar."""
        return self.rank == 0

    @property
    def key(self) -> tuple[int, ...]:
        """What tells this rank's noise from the others'; rank 0 draws what one process would."""
        return (self.rank,) if self.rank else ()

    def share(self, batches: Iterable[Tensor]) -> list[Tensor]:
        """Return this rank's part of each batch of row numbers."""
        if self.size == 1:
            return list(batches)
        return [batch.tensor_split(self.size)[self.rank] for batch in batches]

    def start_alike(self, state: State) -> None:
        """Give every rank what rank 0 has."""
        if self.size > 1:
            for tensor in pack(state)[0].values():
                distributed.broadcast(tensor, src=0)

    def wait(self) -> None:
        """Return when all ranks are here."""
        if self.size > 1:
            distributed.barrier()

    def total(self, numbers: Tensor) -> Tensor:
        """Return the sum over all ranks."""
        if self.size > 1:
            distributed.all_reduce(numbers)
        return numbers


def ranks(device: torch.device) -> Ranks:
    """Return the processes that `torchrun` started, one if it did not; join them if need be."""
    if not distributed.is_available():
        return Ranks()
    if not distributed.is_initialized():
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return Ranks()
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return Ranks(distributed.get_rank(), distributed.get_world_size())


def descend(
    losses: Tensor, optimizer: torch.optim.Optimizer, *, max_norm: float | None = None
) -> None:
    """Take one optimizer step down the mean of the losses, over all ranks.

    Args:
        losses: shape (B,), one loss for each example of this rank's share.
        optimizer: its parameters move, and only they.
        max_norm: the gradient's Euclidean norm is scaled down to it where it is longer.
            None: it is left as it is.

    >>> weight = nn.Parameter(torch.tensor(1.0))
    >>> descend((weight - torch.zeros(4)) ** 2, torch.optim.SGD([weight], lr=0.25))
    >>> weight.item()
    0.5
    """
    require.check_losses(losses)
    optimizer.zero_grad()
    weights = [p for group in optimizer.param_groups for p in group["params"]]
    if distributed.is_available() and distributed.is_initialized():
        losses.sum().backward()
        _average(weights, len(losses))
    else:
        losses.mean().backward()
    if max_norm is not None:
        nn.utils.clip_grad_norm_(weights, max_norm)
    optimizer.step()


def _average(weights: list[nn.Parameter], n_examples: int) -> None:
    """Replace sums over this rank's examples by the mean over the examples of all ranks."""
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    count = gradients[0].new_tensor([n_examples])
    flat = torch.cat([count, *(gradient.flatten() for gradient in gradients)])
    distributed.all_reduce(flat)
    parts = flat[1:].div_(flat[0]).split([gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))
