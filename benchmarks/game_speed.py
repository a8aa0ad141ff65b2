"""A round of a game, next to the same round written by hand.

    python -m benchmarks.game_speed

A GAN on the ring (two hidden layers of 32, batch 64) and one on digits (multilayer perceptrons,
batch 64), each trained by `companion.games.play`, by the shortest loop in plain PyTorch, and by the
loop of most tutorials, which computes gradients for the discriminator in the generator's turn, too,
and reads both losses in each step. All three start from the same weights with the same optimizers,
and take turns.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.ratios import print_ratio
from companion.data.toys import ring
from companion.games import GAN, MLPDiscriminator, MLPGenerator, Player, play
from companion.networks import mlp
from companion.training import Run

Networks = tuple[nn.Module, nn.Module, int]
BATCH = 64
ADAM = partial(torch.optim.Adam, lr=1e-3, betas=(0.5, 0.999), fused=True)


class Column(nn.Module):
    """A discriminator of points, one logit each."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = mlp(2, (32, 32), 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B,)."""
        return self.layers(x)[:, 0]


def on_ring() -> tuple[Networks, Tensor]:
    """Return the networks and the data of the game in the plane."""
    data = ring(64 * 100, generator=torch.Generator().manual_seed(0))
    return (mlp(2, (32, 32), 2), Column(), 2), data


def on_digits() -> tuple[Networks, Tensor]:
    """Return the networks and synthetic images."""
    data = torch.rand(64 * 30, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    return (MLPGenerator(32, (1, 28, 28)), MLPDiscriminator((1, 28, 28)), 32), data


def with_play(networks: Networks, data: Tensor, epochs: int) -> None:
    """Train with the companion."""
    first, second, latent_dim = networks
    gan = GAN(first, second, latent_dim)
    players = {
        "discriminator": Player(second, gan.discriminator_loss, optimizer=ADAM),
        "generator": Player(first, gan.generator_loss, optimizer=ADAM),
    }
    run = Run(device="cpu", progress=False)
    play(players, data, epochs=epochs, batch_size=BATCH, run=run)


def by_hand(networks: Networks, data: Tensor, epochs: int, *, tutorial: bool = False) -> None:
    """Train with a loop of ten lines."""
    first, second, latent_dim = networks
    adam_g, adam_d = ADAM(first.parameters()), ADAM(second.parameters())
    weights = list(second.parameters())
    for _ in range(epochs):
        for rows in torch.randperm(len(data)).split(BATCH):
            x = data[rows]
            with torch.set_grad_enabled(tutorial):
                fake = first(torch.randn(len(x), latent_dim)).detach()
            adam_d.zero_grad()
            loss_d = (F.softplus(-second(x)) + F.softplus(second(fake))).mean()
            loss_d.backward()
            adam_d.step()
            for weight in weights:
                weight.requires_grad_(tutorial)
            adam_g.zero_grad()
            loss_g = F.softplus(-second(first(torch.randn(len(x), latent_dim)))).mean()
            loss_g.backward()
            adam_g.step()
            for weight in weights:
                weight.requires_grad_(True)
            if tutorial:
                loss_d.item(), loss_g.item()


PROGRAMS: dict[str, Callable[..., None]] = {
    "play": with_play,
    "by hand": by_hand,
    "tutorial": partial(by_hand, tutorial=True),
}
GAMES = {"ring": on_ring, "digits": on_digits}


def measure(
    make: Callable[[], tuple[Networks, Tensor]],
    epochs: int,
    repeats: int,
    clock: Callable[[], float],
) -> dict[str, list[float]]:
    """Return seconds for a training, by program; the programs take turns."""
    times: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for turn in range(repeats + 1):
        for name in PROGRAMS if turn % 2 else reversed(PROGRAMS):
            torch.manual_seed(0)
            networks, data = make()
            begin = clock()
            PROGRAMS[name](networks, data, epochs)
            if turn > 0:  # the first round warms up
                times[name].append(clock() - begin)
    return times


def main() -> None:
    """Compare on both games."""
    parser = argparse.ArgumentParser(description="Compare the speed of three loops.")
    parser.add_argument("games", nargs="*", default=["ring", "digits"], help=", ".join(GAMES))
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cpu-time", action="store_true", help="for a busy machine")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clock = time.process_time if options.cpu_time else time.perf_counter
    for name in options.games:
        times = measure(GAMES[name], options.epochs, options.repeats, clock)
        print(name + ": " + ", ".join(f"{each} {min(t):.3f} s" for each, t in times.items()))
        print_ratio("play / by hand", times["play"], times["by hand"], "aim: at most 1.05")
        print_ratio("tutorial / play", times["tutorial"], times["play"], "aim: above 1")


if __name__ == "__main__":
    main()
