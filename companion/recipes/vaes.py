"""Recipes of the VAEs: what is trained, on what, for how long, and what is measured.

All four share one protocol, so their figures can be compared: MNIST's training images without
the first 6,000, binarized afresh at each step; the decoder starts at the mean image; three phases
with a falling learning rate (half as long for the plane, which is for looking at); figures on
test images, binarized once with a fixed seed.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from companion import pretrained
from companion.data import binarize
from companion.metrics import active_units, mean_with_error
from companion.priors import VampPrior
from companion.training import Run, fit, generator_for, steps
from companion.training.wrappers import DynamicBinarization
from companion.vae import VAE, importance_weighted_bound, negative_elbo

EVALUATION_SEED = 2026


class Phase(NamedTuple):
    """A number of epochs at one learning rate."""

    epochs: int
    learning_rate: float


class Recipe(NamedTuple):
    """All that decides a model but the versions of the libraries and the kind of device."""

    architecture: dict[str, Any]
    phases: tuple[Phase, ...] = (Phase(80, 1e-3), Phase(40, 3e-4), Phase(30, 1e-4))
    batch_size: int = 100
    seed: int = 0


_SIZES: dict[str, Any] = {"latent_dim": 50, "hidden_dims": [200, 200]}

RECIPES = {
    "vae": Recipe({**_SIZES, "prior": "normal"}),
    "vae_2d": Recipe(
        {**_SIZES, "latent_dim": 2, "prior": "normal"},
        (Phase(40, 1e-3), Phase(20, 3e-4), Phase(15, 1e-4)),
    ),
    "vae_mixture": Recipe({**_SIZES, "prior": "mixture", "n_components": 20}),
    "vae_vamp": Recipe({**_SIZES, "prior": "vamp", "n_components": 100}),
}


def facts(recipe: Recipe) -> dict[str, Any]:
    """Return what the card of a model tells about its recipe."""
    return {
        "architecture": recipe.architecture,
        "data": "MNIST, training images 6,001 to 60,000, binarized afresh at each step",
        "epochs": sum(phase.epochs for phase in recipe.phases),
        "phases": [phase._asdict() for phase in recipe.phases],
        "batch_size": recipe.batch_size,
        "seed": recipe.seed,
    }


def train(recipe: Recipe, images: Tensor, run: Run) -> VAE:
    """Train a model by its recipe; the checkpoint of `run` is continued, not repeated.

    Args:
        recipe: one of `RECIPES`.
        images: gray training images (N, 1, 28, 28).
        run: device, progress bar, checkpoint.

    Returns:
        The trained model.
    """
    model = start(recipe, images)
    first, *later = recipe.phases
    epochs, factors = first.epochs, {}
    for phase in later:
        factors[epochs] = phase.learning_rate / first.learning_rate
        epochs += phase.epochs
    fit(
        DynamicBinarization(model),
        images,
        loss=negative_elbo,
        epochs=epochs,
        batch_size=recipe.batch_size,
        learning_rate=first.learning_rate,
        schedule=steps({begin / epochs: factor for begin, factor in factors.items()}),
        seed=recipe.seed,
        run=run,
    )
    return model


def start(recipe: Recipe, images: Tensor) -> VAE:
    """Return the untrained model of a recipe, the same at each call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)  # layers draw their weights from the global generator
        model = pretrained.build(recipe.architecture)
    # From zero, the first steps teach the output bias the mean image, and the codes are mere noise
    # to them. A normal prior holds the scale of the codes through that time. A VampPrior moves
    # with the encoder: without this line the posteriors of all images become the same, for good.
    mean_image = images.mean(0).flatten().clamp(1e-3, 1 - 1e-3)
    *_, output_bias = model.decoder.parameters()
    with torch.no_grad():
        output_bias.copy_(mean_image.logit())
    if isinstance(model.prior, VampPrior):
        # Seeing every 540th image or so, the pseudo-inputs start as a sample of all digits.
        step = len(images) // recipe.architecture["n_components"]
        seeds = images[::step][: recipe.architecture["n_components"]]
        model.prior = VampPrior(model.encoder, seeds)
    return model


@torch.no_grad()
def measure(model: VAE, images: Tensor, *, n_samples: int, n_bounds: int) -> dict[str, Any]:
    """Measure a trained model on held-out gray images, binarized once.

    Args:
        model: a VAE in evaluation mode.
        images: shape (N, 1, 28, 28).
        n_samples: S of the importance-weighted bound.
        n_bounds: on how many of the images, strided, that bound is measured.

    Returns:
        Means over images in nats, each with its standard error, and counts.
    """
    x = binarize(images, generator=generator_for(images.device, EVALUATION_SEED))
    noise = generator_for(images.device, EVALUATION_SEED, 1)
    elbo = mean_with_error(
        torch.cat([model(part, generator=noise).value() for part in x.split(500)])
    )
    subset = strided(x, n_bounds)
    parts = [
        importance_weighted_bound(model, part, n_samples, max_rows=1_000, generator=noise)
        for part in subset.split(100)
    ]
    bound = mean_with_error(torch.cat(parts))
    return {
        "elbo": elbo._asdict() | {"n_images": len(x)},
        "importance_weighted_bound": bound._asdict()
        | {"n_images": len(subset), "n_samples": n_samples},
        "active_units": int(active_units(model, x).sum()),
    }


def strided(x: Tensor, n: int) -> Tensor:
    """Return about n examples, evenly spread over the set."""
    return x[:: math.ceil(len(x) / n)]
