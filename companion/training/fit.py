"""Minimize a loss: `loop` with the standard step.

Axis: B batch.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from companion._require import training as require
from companion.training._graph import Record
from companion.training.averaging import WeightAverage
from companion.training.distributed import descend
from companion.training.loop import Batch, History, Run, Tensors, default_device, loop
from companion.training.schedules import Schedule

Optimizer = Callable[..., torch.optim.Optimizer]


def fit(
    model: nn.Module,
    data: Tensors,
    *,
    loss: Callable[[Any], Tensor] | None = None,
    epochs: int = 10,
    batch_size: int = 100,
    learning_rate: float = 1e-3,
    optimizer: Optimizer | None = None,
    schedule: Schedule | None = None,
    max_norm: float | None = None,
    average: WeightAverage | None = None,
    seed: int = 0,
    heldout: Tensors | None = None,
    run: Run = Run(),
) -> History:
    """Train a model, and return the curves.

    Each step minimizes the mean loss of one batch. The last batch of an epoch may be smaller: its
    mean is over its own examples. `History` holds means over all examples, each counted once.

    The model is left on the run's device, in the mode in which it came, without gradients. A part
    that came in evaluation mode and has nothing to train, such as a frozen nn.BatchNorm1d, stays
    in that mode.

    Args:
        model: called as `model(*batch, generator=g)` in training mode. Its answer is the loss,
            shape (B,), or a NamedTuple of tensors of shape (B,), such as `Elbo`. With
            `Run(compile=True)` g is None, and noise comes from the seeded global generator.
        data: a tensor whose first axis counts the examples, or a tuple of such tensors. It is
            moved to the device once.
        loss: turns the model's answer into one number for each example, shape (B,). None: the
            answer is the loss.
        epochs: number of passes through the data.
        batch_size: number of examples in a batch.
        learning_rate: the optimizer's step size.
        optimizer: makes the optimizer, called as `optimizer(parameters, lr=learning_rate)`, for
            example `torch.optim.AdamW` or `partial(torch.optim.SGD, momentum=0.9)`. None: Adam.
        schedule: the factor of the learning rate as a function of progress; see
            `companion.training.schedules`. None: it stays.
        max_norm: a longer gradient is scaled down to this Euclidean norm. None: it stays.
        average: a `WeightAverage` of the model, updated after each step. The held-out curves
            are then the average's.
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
    require.check_descent(optimizer, schedule, max_norm, average, WeightAverage)
    require.trainable_parameters(model)  # raises, if at all, before the model is moved
    device = require.usable_device(run.device or default_device())
    train, unseen = require.check_data(data, heldout)
    require.check_call(model, data)
    require.check_float64(model, (*train, *unseen), device)
    model.to(device)
    state: dict[str, Any] = {"model": model}
    if average is not None:
        state["average"] = average.to(device)
    trained = _optimizer(optimizer, require.trainable_parameters(model), learning_rate, device)
    state["optimizer"] = trained  # after `to`, which may replace parameters
    objective = Objective(model, loss, run)

    def step(batch: Batch, generator: torch.Generator) -> Record:
        record = objective(batch, generator)
        descend(record["loss"], trained, max_norm=max_norm)
        if average is not None:
            average.update(model)
        return record

    settings = {
        "learning_rate": learning_rate,
        "max_norm": max_norm,
        "autocast": str(run.autocast),
        "compile": run.compile,
    }
    return loop(
        step,
        state,
        train,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        heldout=unseen or None,
        evaluate=Objective(average or model, loss, Run(autocast=run.autocast)),
        before_step=None if schedule is None else partial(_set_rate, trained, schedule),
        settings=settings,
        run=run,
    )


class Objective:
    """What `fit` minimizes and records: forward and loss of a batch.

    Args:
        model: called as `model(*batch, generator=generator)`.
        loss: turns the model's answer into the loss, shape (B,). None: the answer is the loss.
        run: precision and compilation.
    """

    def __init__(self, model: nn.Module, loss: Callable[[Any], Tensor] | None, run: Run) -> None:
        # Sizes as symbols are not for torch.randn(size, generator=None), in torch 2.13.
        compiled = torch.compile(model, dynamic=False) if run.compile else model
        self.forward: Callable[..., Any] = compiled
        self.loss = loss
        self.run = run

    def __call__(self, batch: Batch, generator: torch.Generator | None) -> Record:
        """Return the loss of each example, and each field of the model's answer."""
        # torch.compile can't trace a generator: it would cut the step into four graphs.
        noise = None if self.run.compile else generator
        half = self.run.autocast
        kind = batch[0].device.type
        # Weights that autocast keeps would be stale in a replayed graph.
        keep = kind != "cuda"
        with torch.autocast(kind, dtype=half, enabled=half is not None, cache_enabled=keep):
            output = self.forward(*batch, generator=noise)
        fields = require.checked_fields(output, self.loss, len(batch[0]))
        losses = output if self.loss is None else self.loss(output)
        require.check_loss(losses, fields, len(batch[0]))
        return {**fields, "loss": losses}


def _optimizer(
    make: Optimizer | None,
    weights: Iterable[nn.Parameter],
    learning_rate: float,
    device: torch.device,
) -> torch.optim.Optimizer:
    if make is None:
        make = partial(torch.optim.Adam, fused=device.type in ("cpu", "cuda"))
    made = make(weights, lr=learning_rate)
    require.check_optimizer(made)
    for group in made.param_groups:
        group["base_lr"] = float(group["lr"])
    return made


def _set_rate(optimizer: torch.optim.Optimizer, schedule: Schedule, progress: float) -> None:
    for group in optimizer.param_groups:
        rate = group["base_lr"] * schedule(progress)
        if isinstance(group["lr"], Tensor):  # which a captured graph reads
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate
