"""What games ask of players, critics and samples, with messages that name the remedy."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from companion._require.arguments import (
    require_count,
    require_function,
    require_module,
    require_positive,
)
from companion._require.signature import Rule

CRITIC = Rule("a function", require_function)


def require_divisible(x: Tensor, n: int) -> None:
    """Raise ValueError unless x can be cut into packs of n."""
    if x.dim() < 2 or len(x) % n:
        raise ValueError(
            f"`x` has shape {tuple(x.shape)}, but a batch (B, *event) of packs of {n} is expected: "
            f"B must be a multiple of {n}. Leave the last {len(x) % n} out: x[:{len(x) // n * n}]."
        )


def check_player(moves: Any, loss: Any, learning_rate: Any, optimizer: Any, steps: Any) -> None:
    """Raise unless a player has something to move, a loss, and numbers in range."""
    require_module(moves=moves)
    require_function(loss=loss)
    require_positive(learning_rate=learning_rate)
    require_count(steps=steps)
    if optimizer is not None:
        require_function(optimizer=optimizer)
    if not any(weight.requires_grad for weight in moves.parameters()):
        raise ValueError(
            "`moves` has no parameters to train. Pass the network that this player changes; "
            "several go into one nn.ModuleList."
        )


def check_players(players: Any, kind: type) -> None:
    """Raise unless players are named, and there is one at least."""
    if not isinstance(players, Mapping) or not players:
        raise TypeError(
            f"`players` must name the players, but it is {players!r}. Pass a dict in the order of "
            f"their turns, such as {{'discriminator': Player(...), 'generator': Player(...)}}."
        )
    for name, player in players.items():
        if not isinstance(player, kind):
            raise TypeError(
                f"`players[{name!r}]` must be a {kind.__name__}, but it is a "
                f"{type(player).__name__}. Pass {kind.__name__}(network, loss)."
            )


def check_turns(batch_size: int, n_examples: int, most: int) -> None:
    """Raise ValueError if a batch can't give an example to each step of a player."""
    smallest = min(batch_size, n_examples, n_examples % batch_size or batch_size)
    if smallest < most:
        raise ValueError(
            f"A player takes {most} steps in its turn, each on its own share of the batch, but the "
            f"smallest batch holds {smallest} of {n_examples} examples. Choose a `batch_size` of "
            f"at least {most} that leaves no smaller batch at the end."
        )


def check_pair(losses: Any) -> None:
    """Raise TypeError unless there are a discriminator's and a generator's loss."""
    pair = {
        f"losses.{name}": getattr(losses, name, None) for name in ("discriminator", "generator")
    }
    require_function(**pair)


def require_logits(logits: Tensor, network: nn.Module) -> Tensor:
    """Return logits as (B,); raise unless there is one for each example."""
    if logits.dim() == 2 and logits.shape[1] == 1:
        return logits[:, 0]
    if logits.dim() != 1:
        raise ValueError(
            f"The discriminator, a {type(network).__name__}, returned shape {tuple(logits.shape)}, "
            f"but one logit for each example, (B,) or (B, 1), is expected."
        )
    return logits
