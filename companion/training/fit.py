"""One training loop for every model of the course.

Noise comes from generators that are seeded anew for each epoch, by `(seed, epoch)`. So an epoch
does not depend on how many came before it in this process, and a run that was interrupted ends
with the same weights, bit for bit, as one that was not. Torch's global generator is not touched.

Axis: B batch.
"""

import hashlib
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from companion._require import training as require
from companion._require.arguments import without_value_checks
from companion.training._bar import epoch_bar
from companion.training._objective import Objective, Record, append_means, as_found
from companion.training._resume import SavedRun

Tensors = Tensor | tuple[Tensor, ...]

# What a generator is for: the last number of its key.
_ORDER, _NOISE, _HELDOUT, _CHECK = range(4)


@dataclass(frozen=True)
class Run:
    """Where and how `fit` runs; none of it is part of the mathematics.

    Args:
        device: where to train, for example "cpu" or "cuda:1". None takes `default_device()`.
        autocast: torch.bfloat16 lets the network compute in half precision. None: float32.
        compile: compile the model with torch.compile, which needs a C++ compiler.
        progress: show a bar, if a person watches: in a terminal or in a live notebook. Nothing
            is shown when a notebook is executed without a person, as in a book's build.
        checkpoint: a file to save to after every epoch, and to continue from if it exists.

    Raises:
        ValueError: `autocast` is neither None nor torch.bfloat16.

    >>> Run(device="cpu", progress=False).device
    'cpu'
    """

    device: str | torch.device | None = None
    autocast: torch.dtype | None = None
    compile: bool = False
    progress: bool = True
    checkpoint: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        require.check_autocast(self.autocast)


class History(NamedTuple):
    """The mean over all examples of each recorded quantity, one number for each epoch.

    `train["loss"][3]` belongs to the fourth epoch. `heldout` has the same keys, or none.
    """

    train: dict[str, list[float]]
    heldout: dict[str, list[float]]


class TrainingDiverged(RuntimeError):
    """The loss or a weight became NaN or infinite; `history` holds the epochs up to then."""

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history


def default_device() -> torch.device:
    """Return the fastest device of this machine: CUDA, else MPS (Apple), else CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def generator_for(device: torch.device | str, *key: int) -> torch.Generator:
    """Return a generator on a device, seeded by a hash of whole numbers.

    Different keys, `(1, 2)` and `(2, 1)` or `(1,)` and `(1, 0)`, give unrelated numbers. One key
    gives the same numbers again, but other numbers on a CPU than on a GPU.

    Args:
        device: where the generator draws.
        key: whole numbers, for example a seed and an epoch.

    Raises:
        TypeError: a number of the key is not whole.

    >>> torch.rand(2, generator=generator_for("cpu", 0, 7))
    tensor([0.6557, 0.8862])
    """
    numbers = [require.whole_number(number) for number in key]
    # The CPU's generator keeps only 32 bits of its seed, so those must hold the whole key.
    digest = hashlib.sha256(repr(numbers).encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:8], "little"))


def fit(
    model: nn.Module,
    data: Tensors,
    *,
    loss: Callable[[Any], Tensor] | None = None,
    epochs: int = 10,
    batch_size: int = 100,
    learning_rate: float = 1e-3,
    seed: int = 0,
    heldout: Tensors | None = None,
    run: Run = Run(),
) -> History:
    """Train a model with Adam, and return the curves.

    Each step minimizes the mean loss of one batch. The last batch of an epoch may be smaller: its
    mean is over its own examples. `History` holds means over all examples, each counted once.

    The model is left on the run's device, in the mode in which it came, without gradients. A part
    that came in evaluation mode and has nothing to train, such as a frozen nn.BatchNorm1d, stays
    in that mode.
    Layers that draw from torch's global generator, such as nn.Dropout, are not governed by `seed`.

    Args:
        model: called as `model(*batch, generator=g)` in training mode. Its answer is the loss,
            shape (B,), or a NamedTuple of tensors of shape (B,), such as `Elbo`.
        data: a tensor whose first axis counts the examples, or a tuple of such tensors. It is
            moved to the device once.
        loss: turns the model's answer into one number for each example, shape (B,). None: the
            answer is the loss.
        epochs: number of passes through the data.
        batch_size: number of examples in a batch.
        learning_rate: Adam's step size.
        seed: whole number that decides the order of the examples and all noise.
        heldout: more data like `data`, measured after each epoch in evaluation mode, each time
            with the same noise.
        run: device, progress bar, checkpoint.

    Returns:
        `History(train, heldout)`: for the loss and each field of the NamedTuple one list.

    Raises:
        TypeError: an argument has the wrong type, or the model cannot be called as above.
        ValueError: an argument is out of range; data are not finite; the loss has another shape
            than (B,) or does not depend on the weights; the checkpoint belongs to another run.
        TrainingDiverged: the loss of an epoch, or a weight after it, is NaN or infinite.

    >>> class Square(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.center = nn.Parameter(torch.zeros(()))
    ...     def forward(self, x, *, generator=None):
    ...         return (x - self.center) ** 2
    >>> history = fit(Square(), torch.ones(50), epochs=3, run=Run(device="cpu"))
    >>> history.train["loss"][0] > history.train["loss"][-1]
    True
    """
    require.check_run(run, Run)
    require.check_settings(loss, epochs, batch_size, learning_rate, seed)
    require.trainable_parameters(model)  # raises, if at all, before the model is moved
    device = require.usable_device(run.device or default_device())
    train, unseen = require.checked_data(model, data, heldout, device)
    objective = Objective(model.to(device), loss, batch_size, run.autocast)
    trainable = require.trainable_parameters(model)  # `to` may have replaced them
    optimizer = torch.optim.Adam(trainable, learning_rate, fused=device.type in ("cpu", "cuda"))
    history = History({}, {})
    first_loss = partial(_first_loss, objective, train, seed)
    saved = SavedRun(run.checkpoint, model, optimizer, history._asdict(), first_loss)
    numbers = {"batch_size": batch_size, "learning_rate": learning_rate, "seed": int(seed)}
    places = {"device": device.type, "autocast": str(run.autocast), "compile": run.compile}
    with as_found(model, trainable):
        done = saved.restore(epochs, data=train, heldout=unseen, **numbers, **places)
        if done == epochs:
            return history
        for part in (train, unseen):  # with all checks of values, which the loop leaves out
            objective.evaluate(part, generator_for(device, seed, _CHECK))
        if run.compile:
            objective.compile()
        with without_value_checks(), epoch_bar(done, epochs, enabled=run.progress) as bar:
            for epoch in bar:
                order = _order(len(train[0]), seed, epoch).to(device)
                generator = generator_for(device, seed, epoch, _NOISE)
                records = _train_epoch(objective, optimizer, train, order, generator)
                append_means(history.train, records)
                records = objective.evaluate(unseen, generator_for(device, seed, _HELDOUT))
                append_means(history.heldout, records)
                _require_convergence(history, trainable, learning_rate)
                saved.save()
                bar.set_postfix_str(f"loss {history.train['loss'][-1]:.5g}")
    return history


def _order(n: int, seed: int, epoch: int) -> Tensor:
    # Drawn on the CPU, so that every device sees the same batches.
    generator = generator_for("cpu", seed, epoch, _ORDER)
    return torch.randperm(n, generator=generator, device="cpu")


def _train_epoch(
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    train: tuple[Tensor, ...],
    order: Tensor,
    generator: torch.Generator,
) -> list[Record]:
    objective.train_mode()
    records = []
    for rows in order.split(objective.batch_size):
        with require.batch_of_one_explained(len(rows)):
            record = objective([tensor.index_select(0, rows) for tensor in train], generator)
        optimizer.zero_grad()
        record["loss"].mean().backward()
        optimizer.step()
        records.append({name: value.detach() for name, value in record.items()})
    return records


def _first_loss(objective: Objective, train: tuple[Tensor, ...], seed: int) -> Tensor:
    first = [tensor[: objective.batch_size] for tensor in train]
    generator = generator_for(first[0].device, seed, _CHECK)
    losses = objective.evaluate(first, generator)[0]["loss"].cpu().double()
    return torch.stack([losses.mean(), losses.abs().mean()])


def _require_convergence(
    history: History, trainable: list[nn.Parameter], learning_rate: float
) -> None:
    loss = history.train["loss"][-1]
    finite = torch.stack([weight.detach().isfinite().all() for weight in trainable]).all()
    if math.isfinite(loss) and finite:
        return
    raise TrainingDiverged(
        f"Training diverged in epoch {len(history.train['loss'])}: the mean loss is {loss:g}, and "
        f"{'all' if finite else 'not all'} weights are finite after it. Try a smaller "
        f"learning_rate (now {learning_rate:g}), and look in the loss for log(0), 0/0 and exp of "
        f"a large number. The attribute `history` of this error holds the curves.",
        history,
    )
