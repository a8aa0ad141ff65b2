"""One training loop for everything that is trained in the course.

`loop` knows the order of the examples, the seeds, the device, progress, saving and resuming,
several processes, and graphs. A step knows losses and optimizers.

Noise comes from generators that are seeded anew for each epoch, by `(seed, epoch)`. So an epoch
does not depend on how many came before it in this process, and a run that was interrupted ends
with the same weights, bit for bit, as one that was not. Torch's global generator, from which
nn.Dropout draws, is seeded alike inside, and afterwards is what it was.

Axis: B batch.
"""

import hashlib
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from companion._require import training as require
from companion._require.arguments import without_value_checks
from companion.training import distributed
from companion.training._bar import epoch_bar
from companion.training._graph import CapturedStep, Record, can_capture, make_capturable
from companion.training._resume import SavedRun
from companion.training._state import (
    Modes,
    State,
    as_found,
    modules,
    optimizers,
    parameters,
    put_back_if_refused,
)

Tensors = Tensor | tuple[Tensor, ...]
Batch = tuple[Tensor, ...]
Step = Callable[[Batch, torch.Generator], Mapping[str, Tensor]]

# What a generator is for: the last number of its key.
_ORDER, _NOISE, _HELDOUT, _CHECK = range(4)


@dataclass(frozen=True)
class Run:
    """Where and how a training runs; none of it is part of the mathematics.

    Args:
        device: where to train, for example "cpu" or "cuda:1". None takes `default_device()`.
        autocast: torch.bfloat16 lets the network of `fit` compute in half precision. None: float32.
        compile: `fit` compiles the model with torch.compile, which needs a C++ compiler.
        graph: capture a step in a CUDA graph, which makes small networks several times faster.
            None: where it is possible, on CUDA with an optimizer such as Adam.
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
    graph: bool | None = None
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
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
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
    return torch.Generator(device).manual_seed(_hash(*key))


def loop(
    step: Step,
    state: State,
    data: Tensors,
    *,
    epochs: int = 10,
    batch_size: int = 100,
    seed: int = 0,
    heldout: Tensors | None = None,
    evaluate: Step | None = None,
    before_step: Callable[[float], object] | None = None,
    settings: Mapping[str, Any] | None = None,
    run: Run = Run(),
) -> History:
    """Call a step for each batch of each epoch, and return the curves of what it records.

    Values are checked in the first epoch, and what is refused there leaves `state` as it was. In
    later epochs, which see the same data, the checks of values are off.

    Modules of `state` are in training mode in `step`, in evaluation mode in `evaluate`, and
    afterwards in the mode in which they came, without gradients. A part that came in evaluation
    mode and has nothing to train, such as a frozen nn.BatchNorm1d, stays in it.

    Args:
        step: called as `step(batch, generator)` with a tuple of tensors. It computes losses, moves
            weights (see `descend`), and returns numbers to record: tensors (B,) or (), by name.
            All noise is drawn from the generator.
        state: by name all that a step changes and a resumed run needs: modules, optimizers,
            anything with `state_dict` and `load_state_dict`. The modules are on their device.
        data: a tensor whose first axis counts the examples, or a tuple of such tensors. It is
            moved to the device once.
        epochs: number of passes through the data.
        batch_size: number of examples in a batch; the last of an epoch may be smaller.
        seed: whole number that decides the order of the examples and all noise.
        heldout: more data like `data`, for `evaluate`.
        evaluate: called like `step`, without gradients, on the held-out batches after each epoch,
            each time with the same noise. A checkpoint is refused if it now gives another record
            of the first batch.
        before_step: called before each step with the progress, from 0 at the start towards 1 at
            the end: sets what changes with it. A resumed run must then have the same `epochs`.
            In a captured graph, write it into a tensor.
        settings: what else decides the result; a checkpoint with other settings is refused.
        run: progress bar, checkpoint, graph. (The device is the modules'.)

    Returns:
        `History(train, heldout)`: for each recorded name one list.

    Raises:
        TypeError: an argument has the wrong type, or a record is no tensor.
        ValueError: an argument is out of range; data are not finite; a record has another shape
            than (B,) or (); the checkpoint belongs to another run.
        TrainingDiverged: the loss of an epoch, or a weight after it, is NaN or infinite.

    >>> weight = torch.nn.Linear(1, 1, bias=False)
    >>> optimizer = torch.optim.SGD(weight.parameters(), lr=0.1)
    >>> def step(batch, generator):
    ...     losses = (weight(batch[0]) - 3).square().squeeze(1)
    ...     distributed.descend(losses, optimizer)
    ...     return {"loss": losses}
    >>> state = {"weight": weight, "optimizer": optimizer}
    >>> history = loop(step, state, torch.ones(40, 1), epochs=20, batch_size=10)
    >>> round(weight.weight.item(), 4)
    3.0
    """
    require.check_run(run, Run)
    require.check_loop(step, state, evaluate, before_step, epochs, batch_size, seed)
    device = require.device_of(parameters(state))
    train, unseen = require.checked_data(data, heldout, device)
    ranks = distributed.ranks(device)
    require.check_share(len(train[0]), batch_size, ranks.size)
    history = History({}, {})
    generator = torch.Generator(device)
    numbers = {"batch_size": batch_size, "seed": int(seed), "device": device.type}
    if before_step is not None:
        numbers["epochs"] = epochs
    passes = _Evaluation(evaluate, state, batch_size, seed, device)
    saved = SavedRun(run.checkpoint, state, history._asdict(), lambda: passes.first(train), ranks)
    with as_found(state), _seeded_alone(device):
        ranks.start_alike(state)
        done = saved.restore(
            epochs, {**numbers, **(settings or {})}, {"data": train, "heldout": unseen}
        )
        if done == epochs:
            return history
        take_step = _take_step(step, train, state, batch_size, generator, run)
        if isinstance(take_step, CapturedStep):  # it can't look at values, so somebody else must
            passes(train, _CHECK)

        def train_epoch(epoch: int) -> list[Record]:
            _seed(device, generator, seed, epoch, _NOISE, *ranks.key)
            passes.modes.train()
            order = _order(len(train[0]), seed, epoch).to(device)
            batches = ranks.share(order.split(batch_size))
            records = []
            for number, rows in enumerate(batches):
                if before_step is not None:
                    before_step((epoch + number / len(batches)) / epochs)
                records.append(take_step(rows))
            return records

        with epoch_bar(done, epochs, run.progress and ranks.leads) as bar:
            for epoch in bar:
                with put_back_if_refused(state) if epoch == done else without_value_checks():
                    seen, new = train_epoch(epoch), passes(unseen, _HELDOUT)
                _append_means(history.train, seen, ranks)
                _append_means(history.heldout, new, distributed.Ranks())
                _require_convergence(history, state)
                saved.save()
                bar.set_postfix_str(_last(history.train))
    return history


class _Evaluation:
    """Calls `evaluate` for batch after batch, with noise that is the same each time."""

    def __init__(
        self,
        evaluate: Step | None,
        state: State,
        batch_size: int,
        seed: int,
        device: torch.device,
    ) -> None:
        self.evaluate = evaluate
        self.modes = Modes(modules(state))
        self.batch_size = batch_size
        self.seed = seed
        self.device = device

    @torch.no_grad()
    def __call__(self, data: Sequence[Tensor], purpose: int) -> list[Record]:
        """Return the record of each batch in order."""
        if self.evaluate is None or not data:
            return []
        generator = torch.Generator(self.device)
        _seed(self.device, generator, self.seed, purpose)
        self.modes.eval()
        batches = zip(*(tensor.split(self.batch_size) for tensor in data), strict=True)
        return [_checked(self.evaluate(batch, generator), len(batch[0])) for batch in batches]

    def first(self, data: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return mean and mean absolute value of each number of the first batch, shape (2,)."""
        records = self([tensor[: self.batch_size] for tensor in data], _CHECK)
        return {
            name: torch.stack([value.mean(), value.abs().mean()])
            for record in records
            for name, value in ((n, v.cpu().double()) for n, v in record.items())
        }


def _take_step(
    step: Step,
    train: Batch,
    state: State,
    batch_size: int,
    generator: torch.Generator,
    run: Run,
) -> Callable[[Tensor], Record]:
    def take_step(rows: Tensor) -> Record:
        batch = tuple(tensor.index_select(0, rows) for tensor in train)
        with require.batch_of_one_explained(len(rows)):
            return _checked(step(batch, generator), len(rows))

    possible = can_capture(state, generator.device) and not run.compile
    if run.graph is False or not possible or len(train[0]) < batch_size:
        require.check_graph(run.graph, possible)
        return take_step
    make_capturable(state, generator.device)
    with without_value_checks():
        return CapturedStep(take_step, state, batch_size, generator)


def _checked(record: Any, n: int) -> Record:
    """Return a record without gradients, one number for each of n examples."""
    require.check_record(record, n)
    return {name: value.detach().expand(n) for name, value in record.items()}


def _order(n: int, seed: int, epoch: int) -> Tensor:
    # Drawn on the CPU, so that every device sees the same batches.
    generator = generator_for("cpu", seed, epoch, _ORDER)
    return torch.randperm(n, generator=generator, device="cpu")


def _append_means(
    curves: dict[str, list[float]], records: list[Record], ranks: distributed.Ranks
) -> None:
    """Append the mean over all examples (not over batches, the last of which may be smaller).

    The device is read at the end of an epoch, never in a step.
    """
    names = list(records[0]) if records else []
    if not names:
        return
    table = torch.stack([torch.cat([record[name] for record in records]) for name in names])
    if ranks.size > 1:
        sums = torch.cat([table.sum(1), table.new_tensor([table.shape[1]])])
        *totals, count = ranks.total(sums).cpu().double().tolist()
        means = [total / count for total in totals]
    else:
        means = table.cpu().double().mean(dim=1).tolist()
    for name, mean in zip(names, means, strict=True):
        curves.setdefault(name, []).append(mean)


def _last(curves: dict[str, list[float]]) -> str:
    name = "loss" if "loss" in curves else next(iter(curves), None)
    return "" if name is None else f"{name} {curves[name][-1]:.5g}"


def _require_convergence(history: History, state: State) -> None:
    loss = history.train.get("loss", [0.0])[-1]
    weights = [weight.detach().isfinite().all() for weight in parameters(state)]
    finite = not weights or bool(torch.stack(weights).all())
    if math.isfinite(loss) and finite:
        return
    groups = [group for each in optimizers(state).values() for group in each.param_groups]
    rates = ", ".join(f"{float(group['lr']):g}" for group in groups) or "not known here"
    epochs = max((len(curve) for curve in history.train.values()), default=0)
    raise TrainingDiverged(
        f"Training diverged in epoch {epochs}: the mean loss is {loss:g}, and "
        f"{'all' if finite else 'not all'} weights are finite after it. Try a smaller "
        f"learning_rate (now {rates}), and look in the loss for log(0), 0/0 and exp of "
        f"a large number. The attribute `history` of this error holds the curves.",
        history,
    )


@contextmanager
def _seeded_alone(device: torch.device) -> Iterator[None]:
    """Afterwards torch's global generators are what they were before."""
    if device.type == "cpu":
        with torch.random.fork_rng(devices=[]):
            yield
    else:
        with torch.random.fork_rng(devices=[device.index or 0], device_type=device.type):
            yield


def _seed(device: torch.device, generator: torch.Generator, *key: int) -> None:
    """Seed a generator, and with another number those that nn.Dropout draws from."""
    generator.manual_seed(_hash(*key))
    other = _hash(*key, *key)
    torch.default_generator.manual_seed(other)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(other)


def _hash(*key: Any) -> int:
    # The CPU's generator keeps only 32 bits of its seed, so those must hold the whole key.
    numbers = [require.whole_number(number) for number in key]
    return int.from_bytes(hashlib.sha256(repr(numbers).encode()).digest()[:8], "little")
