"""Record the runs of a blind diagnosis: `python -m tools.record_runs mnist`.

Each program is the small VAE of chapter 3 with one fault, or with none. After every epoch all are
measured on the same held-out digits by the same ruler, the companion's own VAE: what a program
believes about itself is one more curve, `own`.
"""

import argparse
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from companion.data import binarize, mnist5k
from companion.gaussian import DiagonalGaussian
from companion.likelihoods import Bernoulli
from companion.metrics import active_units
from companion.networks import IMAGE, MLPDecoder, MLPEncoder
from companion.priors import StandardNormal
from companion.training import generator_for
from companion.vae import VAE

CHECKS = Path(__file__).parents[1] / "companion" / "checks"

SETTINGS: dict[str, Any] = {
    "data": "mnist5k, binarized afresh at each step; held out: the test digits, binarized once",
    "latent_dim": 20,
    "hidden_dims": [128],
    "epochs": 20,
    "batch_size": 100,
    "seed": 0,
    "heldout_seed": 2026,
}
# What a generator is for: the last number of its key.
_ORDER, _NOISE, _BINARY, _RULER = range(4)


class SoftplusEncoder(MLPEncoder):
    """An encoder whose log-variance is positive."""

    def forward(self, x: Tensor) -> DiagonalGaussian:
        """Return q(z | x), shapes (B, D)."""
        mean, raw = super().forward(x)
        return DiagonalGaussian(mean, F.softplus(raw))


class SigmoidDecoder(MLPDecoder):
    """A decoder whose probabilities are taken for logits."""

    def forward(self, z: Tensor) -> Tensor:
        """Return what should be logits, shape (B, 1, 28, 28)."""
        return super().forward(z).sigmoid()


def _half_exp(log_var: Tensor) -> Tensor:
    return (log_var / 2).exp()


def _elbo(log_likelihood: Tensor, kl: Tensor) -> Tensor:
    return log_likelihood - kl


class Program(NamedTuple):
    """One training program; the defaults are right.

    Attributes:
        encoder: class of the encoder.
        decoder: class of the decoder.
        std: the factor of the noise, from the log-variance.
        code: what happens to a sampled code before it is decoded.
        score: what a step maximizes, from log-likelihood and KL (B,) in nats.
        learning_rate: Adam's step size.
    """

    encoder: type[MLPEncoder] = MLPEncoder
    decoder: type[MLPDecoder] = MLPDecoder
    std: Callable[[Tensor], Tensor] = _half_exp
    code: Callable[[Tensor], Tensor] = nn.Identity()
    score: Callable[[Tensor, Tensor], Tensor] = _elbo
    learning_rate: float = 3e-3


PROGRAMS = {
    "right": Program(),
    "softplus": Program(encoder=SoftplusEncoder),
    "means": Program(score=lambda log_likelihood, kl: log_likelihood / 784 - kl / 20),
    "forgotten": Program(score=lambda log_likelihood, kl: log_likelihood),
    "variance": Program(std=torch.exp),
    "detached": Program(code=torch.Tensor.detach),
    "sigmoid": Program(decoder=SigmoidDecoder),
    "rate": Program(learning_rate=0.1),
}


def record_run(program: Program, epochs: int) -> dict[str, list[float]]:
    """Train one program on the CPU and return its curves, one number for each epoch.

    Args:
        program: one of `PROGRAMS`.
        epochs: passes through the 4,000 training digits.

    Returns:
        elbo, own, log_likelihood and kl in nats per held-out image (own in the program's unit),
        active (a count) and std, the smallest over all images and dimensions.
    """
    train, test = mnist5k("train").images, mnist5k("test").images
    heldout = binarize(test, generator=generator_for("cpu", SETTINGS["heldout_seed"], _BINARY))
    model = _model(program)
    optimizer = torch.optim.Adam(model.parameters(), program.learning_rate)
    rows = []
    for epoch in range(epochs):
        _train_epoch(program, model, optimizer, train, epoch)
        rows.append(_measure(program, model, heldout))
    return {name: [row[name] for row in rows] for name in rows[0]}


def _model(program: Program) -> VAE:
    latent_dim, hidden_dims = SETTINGS["latent_dim"], SETTINGS["hidden_dims"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SETTINGS["seed"])  # layers draw their weights from the global generator
        encoder = program.encoder(IMAGE, latent_dim, hidden_dims)
        decoder = program.decoder(latent_dim, IMAGE, hidden_dims)
    return VAE(encoder, decoder, Bernoulli(), StandardNormal(latent_dim))


def _own_score(program: Program, model: VAE, x: Tensor, noise: torch.Generator) -> Tensor:
    q = model.encode(x)
    epsilon = torch.randn(q.mean.shape, generator=noise)
    z = program.code(q.mean + program.std(q.log_var) * epsilon)
    return program.score(model.likelihood.log_prob(x, model.decode(z)), model.prior.kl(q, z))


def _train_epoch(
    program: Program, model: VAE, optimizer: torch.optim.Optimizer, images: Tensor, epoch: int
) -> None:
    order = torch.randperm(
        len(images), generator=generator_for("cpu", SETTINGS["seed"], epoch, _ORDER)
    )
    noise = generator_for("cpu", SETTINGS["seed"], epoch, _NOISE)
    for rows in order.split(SETTINGS["batch_size"]):
        x = binarize(images[rows], generator=noise)
        loss = -_own_score(program, model, x, noise).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@torch.no_grad()
def _measure(program: Program, model: VAE, x: Tensor) -> dict[str, float]:
    # The same noise for both scores, so that a program without a fault gets the ruler's number.
    ruler, own = (generator_for("cpu", SETTINGS["heldout_seed"], _RULER) for _ in range(2))
    elbo = model(x, generator=ruler)
    return {
        "elbo": elbo.value().mean().item(),
        "own": _own_score(program, model, x, own).mean().item(),
        "log_likelihood": elbo.log_likelihood.mean().item(),
        "kl": elbo.kl.mean().item(),
        "active": int(active_units(model, x).sum()),
        "std": _half_exp(model.encode(x).log_var).min().item(),
    }


def fingerprint(settings: dict[str, Any]) -> str:
    """Return the hash of settings, whatever the order of their names.

    >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def settings_of_all() -> dict[str, Any]:
    """Return all that decides the recording, but the versions of the libraries and the machine."""
    rates = {name: program.learning_rate for name, program in PROGRAMS.items()}
    return {**SETTINGS, "learning_rates": rates}


def main() -> None:
    """Record all runs of a chapter and write them beside its checks."""
    parser = argparse.ArgumentParser(prog="python -m tools.record_runs", description=__doc__)
    parser.add_argument("chapter", choices=["mnist"])
    folder = CHECKS / parser.parse_args().chapter
    runs = {}
    for name, program in PROGRAMS.items():
        curves = record_run(program, SETTINGS["epochs"])
        runs[name] = {
            curve: [_rounded(value) for value in values] for curve, values in curves.items()
        }
        print(f"{name}: the held-out ELBO ends at {curves['elbo'][-1]:.1f} nats")
    settings = settings_of_all()
    recording = {
        "recipe": "python -m tools.record_runs mnist",
        "settings": settings,
        "settings_sha256": fingerprint(settings),
        "torch": torch.__version__.partition("+")[0],
        "runs": runs,
    }
    (folder / "runs.json").write_text(_layout(recording), encoding="utf-8")


def _rounded(value: float) -> float:
    return value if isinstance(value, int) else float(f"{value:.4g}")


def _layout(recording: dict[str, Any]) -> str:
    """Return JSON with one line for each list, so that two recordings can be compared."""
    text = json.dumps(recording, indent=1)
    return re.sub(r"\[[^\]]*\]", lambda found: " ".join(found[0].split()), text) + "\n"


if __name__ == "__main__":
    main()
