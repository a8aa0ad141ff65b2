"""Several networks that minimize different losses in turns: `loop` with a step for players.

A `Player` says what moves, what it minimizes, and how. In a player's turn only its parameters
require gradients, so no other network can move, and a sample of another player carries no graph.

Axis: B batch.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from companion._require import games as require
from companion._require import training as require_training
from companion.training.averaging import WeightAverage
from companion.training.distributed import descend
from companion.training.loop import Batch, History, Run, Step, Tensors, default_device, loop
from companion.training.schedules import Schedule

Loss = Callable[..., Tensor]
Optimizer = Callable[..., torch.optim.Optimizer]


@dataclass(frozen=True)
class Player:
    """One player of a game: what moves, down which loss, and how.

    Args:
        moves: the network that this player changes. Several go into one nn.ModuleList. Two players
            may move the same network, each with its own optimizer.
        loss: called as `loss(*batch, generator=g)`; returns one number for each example, (B,).
        learning_rate: the optimizer's step size.
        optimizer: makes the optimizer, called as `optimizer(parameters, lr=learning_rate)`.
            None: Adam with betas (0.5, 0.999), as in Radford, Metz and Chintala (2016).
        steps: steps in each turn, each with its own share of the batch.
        average: a `WeightAverage` of `moves`, updated after each turn.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: a number is out of range, or `moves` has nothing to train.

    >>> net = nn.Linear(1, 1)
    >>> Player(net, lambda x, generator: net(x)[:, 0], learning_rate=0.1).steps
    1
    """

    moves: nn.Module
    loss: Loss
    learning_rate: float = 1e-3
    optimizer: Optimizer | None = None
    steps: int = 1
    average: WeightAverage | None = None

    def __post_init__(self) -> None:
        require.check_player(self.moves, self.loss, self.learning_rate, self.optimizer, self.steps)
        if self.average is not None:
            require_training.check_descent(None, None, None, self.average, WeightAverage)


def play(
    players: Mapping[str, Player],
    data: Tensors,
    *,
    epochs: int = 10,
    batch_size: int = 100,
    seed: int = 0,
    schedule: Schedule | None = None,
    heldout: Tensors | None = None,
    evaluate: Step | None = None,
    run: Run = Run(),
) -> History:
    r"""Let players take turns on each batch, and return each one's curve.

    .. math:: \text{for each batch, for each player } i: \quad
        \theta_i \leftarrow \text{optimizer}_i\big(\theta_i, \nabla_{\theta_i} L_i(\theta)\big)

    A turn sees what the turns before it have changed. If a player takes k steps, the batch is cut
    into k shares, one for each step; a player with fewer steps gets the first ones. So a batch of
    5 x 64 examples gives five steps of 64 to the critic and one of 64 to the generator.

    All else is as in `loop`: order, seeds, resuming, device, ranks, graphs, modes.

    Args:
        players: by name, in the order of their turns.
        data: a tensor whose first axis counts the examples, or a tuple of such tensors.
        epochs: number of passes through the data.
        batch_size: number of examples in a batch.
        seed: whole number that decides the order of the examples and all noise.
        schedule: the factor of all learning rates as a function of progress. None: they stay.
        heldout: more data like `data`, for `evaluate`.
        evaluate: called as `evaluate(batch, generator)` on held-out batches after each epoch, in
            evaluation mode and without gradients; returns numbers to record.
        run: device, progress bar, checkpoint, graph.

    Returns:
        `History(train, heldout)`: `train` has one curve for each player, the mean of its loss.

    Raises:
        TypeError, ValueError, TrainingDiverged: as `loop`, and if the players do not fit.

    Reference: Goodfellow et al. (2014), algorithm 1.

    >>> x, y = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    >>> payoff = lambda batch, generator: (x(batch) * y(batch)).squeeze(1)
    >>> players = {
    ...     "x": Player(x, payoff, learning_rate=0.1),
    ...     "y": Player(y, lambda *a, **k: -payoff(*a, **k), learning_rate=0.1),
    ... }
    >>> history = play(players, torch.ones(8, 1), epochs=2, run=Run(device="cpu"))
    >>> sorted(history.train)
    ['x', 'y']
    """
    require_training.check_run(run, Run)
    require.check_players(players, Player)
    device = require_training.usable_device(run.device or default_device())
    for player in players.values():
        player.moves.to(device)
        if player.average is not None:
            player.average.to(device)
    most = max(player.steps for player in players.values())
    first = data[0] if isinstance(data, (tuple, list)) else data
    if isinstance(first, Tensor) and first.dim():
        require.check_turns(batch_size, len(first), most)
    optimizers = {name: _optimizer(player, device) for name, player in players.items()}
    return loop(
        _round(players, optimizers, most),
        _state(players, optimizers),
        data,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        heldout=heldout,
        evaluate=evaluate,
        before_step=None if schedule is None else partial(_set_rates, optimizers, schedule),
        settings={f"{name}: learning_rate": p.learning_rate for name, p in players.items()}
        | {f"{name}: steps": p.steps for name, p in players.items()},
        run=run,
    )


def _round(
    players: Mapping[str, Player], optimizers: Mapping[str, torch.optim.Optimizer], most: int
) -> Step:
    """Return the step of `loop`: each player's turn on one batch."""
    others = {name: _others(player, players) for name, player in players.items()}

    def step(batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        shares = [batch]
        if most > 1:
            shares = list(zip(*(tensor.tensor_split(most) for tensor in batch), strict=True))
        record = {}
        for name, player in players.items():
            losses = []
            with _still(others[name]):
                for share in shares[: player.steps]:
                    losses.append(player.loss(*share, generator=generator))
                    descend(losses[-1], optimizers[name])
            if player.average is not None:
                player.average.update(player.moves)
            seen = (losses[0] if len(losses) == 1 else torch.cat(losses)).detach()
            record[name] = seen if len(seen) == len(batch[0]) else seen.mean()
        return record

    return step


def _others(player: Player, players: Mapping[str, Player]) -> list[nn.Parameter]:
    """Return the parameters that must not move in a player's turn."""
    mine = set(_weights(player))
    return [w for other in players.values() for w in _weights(other) if w not in mine]


@contextmanager
def _still(weights: list[nn.Parameter]) -> Iterator[None]:
    """In this block these parameters require no gradients."""
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)


def _weights(player: Player) -> list[nn.Parameter]:
    return [weight for weight in player.moves.parameters() if weight.requires_grad]


def _state(
    players: Mapping[str, Player], optimizers: Mapping[str, torch.optim.Optimizer]
) -> dict[str, Any]:
    state: dict[str, Any] = {name: player.moves for name, player in players.items()}
    for name, player in players.items():
        if player.average is not None:
            state[f"{name}: average"] = player.average
        state[f"{name}: optimizer"] = optimizers[name]
    return state


def _optimizer(player: Player, device: torch.device) -> torch.optim.Optimizer:
    fused = device.type in ("cpu", "cuda")
    make = player.optimizer or partial(torch.optim.Adam, betas=(0.5, 0.999), fused=fused)
    made = make(_weights(player), lr=player.learning_rate)
    require_training.check_optimizer(made)
    for group in made.param_groups:
        group["base_lr"] = float(group["lr"])
    return made


def _set_rates(
    optimizers: Mapping[str, torch.optim.Optimizer], schedule: Schedule, progress: float
) -> None:
    for group in (group for each in optimizers.values() for group in each.param_groups):
        rate = group["base_lr"] * schedule(progress)
        if isinstance(group["lr"], Tensor):  # which a captured graph reads
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate
