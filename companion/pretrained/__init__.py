"""Models that a committed recipe trained on the full MNIST, ready to load.

Each model is two files of this folder: `NAME.safetensors` with the weights, and `NAME.json`, its
card, which says how it was made and what was measured. `python -m companion.recipes NAME` makes
both again. The models never saw the first 6,000 training images of MNIST, which hold all of
`mnist5k`.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from companion._require.arguments import require_choice
from companion.classifiers import ConvClassifier, DeepConvClassifier, MLPClassifier
from companion.likelihoods import Bernoulli
from companion.mixture import GaussianMixture
from companion.networks import IMAGE, MLPDecoder, MLPEncoder
from companion.priors import Prior, StandardNormal, VampPrior
from companion.training import checkpoints
from companion.vae import VAE

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """Return the names of the models, in alphabetical order.

    >>> [name for name in names() if name.startswith("robust")]
    ['robust_fgsm', 'robust_mlp', 'robust_trades']
    """
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def card(name: str) -> dict[str, Any]:
    """Return the card of a model: recipe, data, seed, figures with standard errors, hash.

    Args:
        name: one of `names()`.

    Raises:
        ValueError: there is no such model.

    >>> card("vae")["architecture"]["latent_dim"]
    50
    """
    require_choice(tuple(names()), name=name)
    content: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return content


def load(name: str, *, device: torch.device | str = "cpu") -> Any:
    """Return a trained model, a VAE or a classifier, in evaluation mode.

    Args:
        name: one of `names()`.
        device: where it goes.

    Raises:
        ValueError: there is no such model, or its file is not the one that the card describes.

    >>> load("vae_2d").sample(3).shape
    torch.Size([3, 1, 28, 28])
    """
    facts = card(name)
    path = FOLDER / f"{name}.safetensors"
    found = file_hash(path)
    if found != facts["sha256"]:
        raise ValueError(
            f"`{path}` has the hash {found}, but its card says {facts['sha256']}. "
            f"Install the course again, or make the model: python -m companion.recipes {name}."
        )
    with torch.random.fork_rng(devices=[]):  # the weights drawn here are replaced at once
        model = build(facts["architecture"])
    model.load_state_dict(checkpoints.load(path).tensors)
    return model.to(device).eval()


def build(architecture: Mapping[str, Any]) -> Any:
    """Return the untrained model that a card describes.

    Args:
        architecture: of a VAE `latent_dim`, `hidden_dims` (the encoder's; the decoder mirrors
            them), `prior` ("normal", "mixture" or "vamp"), and `n_components` for the last two; of
            a classifier `network` ("mlp", "conv" or "deep") and the arguments of its class.

    Raises:
        ValueError: the prior or the network is unknown.

    >>> sizes = {"latent_dim": 2, "hidden_dims": [16, 8]}
    >>> build({**sizes, "prior": "mixture", "n_components": 5}).prior.n_components
    5
    """
    facts = dict(architecture)
    if "network" not in facts:
        return _vae(facts)
    network = facts.pop("network")
    require_choice(("mlp", "conv", "deep"), network=network)
    if network == "mlp":
        return MLPClassifier(IMAGE, 10, **facts)
    return {"conv": ConvClassifier, "deep": DeepConvClassifier}[network](10, **facts)


def _vae(architecture: Mapping[str, Any]) -> VAE:
    latent_dim, hidden_dims = architecture["latent_dim"], tuple(architecture["hidden_dims"])
    encoder = MLPEncoder(IMAGE, latent_dim, hidden_dims, nn.Tanh)
    decoder = MLPDecoder(latent_dim, IMAGE, hidden_dims[::-1], nn.Tanh)
    prior = _prior(architecture, encoder)
    return VAE(encoder, decoder, Bernoulli(), prior)


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _prior(architecture: Mapping[str, Any], encoder: nn.Module) -> Prior:
    kind, latent_dim = architecture["prior"], architecture["latent_dim"]
    require_choice(("normal", "mixture", "vamp"), prior=kind)
    if kind == "normal":
        return StandardNormal(latent_dim)
    if kind == "mixture":
        return GaussianMixture(architecture["n_components"], latent_dim)
    return VampPrior(encoder, torch.zeros(architecture["n_components"], *IMAGE))
