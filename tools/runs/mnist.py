"""Small VAEs on MNIST (chapter 3), each with one fault, or with none.

After every epoch all are measured on the same held-out digits by the same ruler, the companion's
own VAE. What a program believes about itself is one more curve, `own`.
"""

from collections.abc import Callable
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

SETTINGS: dict[str, Any] = {
    "data": "mnist5k, binarized afresh at each step; held out: the test digits, binarized once",
    "latent_dim": 20,
    "hidden_dims": [128],
    "epochs": 20,
    "batch_size": 100,
    "learning_rate": 3e-3,
    "large_learning_rate": 0.1,
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
    learning_rate: float = SETTINGS["learning_rate"]


PROGRAMS = {
    "right": Program(),
    "softplus": Program(encoder=SoftplusEncoder),
    "means": Program(score=lambda log_likelihood, kl: log_likelihood / 784 - kl / 20),
    "forgotten": Program(score=lambda log_likelihood, kl: log_likelihood),
    "variance": Program(std=torch.exp),
    "detached": Program(code=torch.Tensor.detach),
    "sigmoid": Program(decoder=SigmoidDecoder),
    "rate": Program(learning_rate=SETTINGS["large_learning_rate"]),
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
