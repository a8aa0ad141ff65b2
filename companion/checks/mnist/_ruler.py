"""Before and after a training that the reader wrote: are the networks networks, and how good?

Axes: B batch, D latent dimensions, N images.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from companion.checks._build import tensors
from companion.checks._call import call
from companion.checks.authoring import NotYet
from companion.data import Digits, binarize, mnist5k

IMAGE_SHAPE = (1, 28, 28)
PIXELS = 28 * 28
HELDOUT = 1_000


@cache
def digits_of(split: str) -> tuple[Digits, Tensor]:
    """Return the digits of a split, gray, and drawn black and white once and for all."""
    digits = mnist5k(split)
    coin = torch.Generator().manual_seed(310)
    return digits, binarize(digits.images, generator=coin)


def inspect_networks(parts: dict[str, Any]) -> None:
    """Raise NotYet unless the untrained networks have the right shapes."""
    x = digits_of("train")[1][:3]
    mean, log_var = two(call(parts["encoder"], images=x))
    for name, each in {"mean": mean, "log-variance": log_var}.items():
        if each.ndim != 2 or len(each) != len(x):
            raise NotYet(
                f"For 3 images the encoder's {name} has shape {tuple(each.shape)}. It should be "
                "(3, D): one row for each image."
            )
    if mean.shape != log_var.shape:
        raise NotYet(
            f"The encoder's mean has shape {tuple(mean.shape)} and its log-variance "
            f"{tuple(log_var.shape)}. They should be equal: (B, D)."
        )
    spread = 20 * torch.linspace(-1, 1, 50 * mean.shape[1]).reshape(-1, 50).T.contiguous()
    _require_logits(logits_of(call(parts["decoder"], codes=spread), len(spread)))


def two(result: object) -> tuple[Tensor, Tensor]:
    found = tensors(result)
    if len(found) == 2:
        return found[0], found[1]
    if isinstance(result, Tensor):
        raise NotYet(
            f"The encoder returns one tensor of shape {tuple(result.shape)}. It has to return two: "
            "the mean and the log-variance of q(z | x), each (B, D)."
        )
    raise NotYet(
        "The encoder has to return two tensors, the mean and the log-variance of q(z | x), each "
        f"(B, D). Yours returns {len(found)} tensors in a `{type(result).__name__}`."
    )


def logits_of(result: object, n_codes: int) -> Tensor:
    if not isinstance(result, Tensor):
        kind = type(result).__name__
        raise NotYet(f"The decoder has to return one tensor, the logits. Yours returns a `{kind}`.")
    if result.numel() != n_codes * PIXELS or len(result) != n_codes:
        raise NotYet(
            f"For {n_codes} codes the decoder's logits have shape {tuple(result.shape)}. They "
            f"should be ({n_codes}, 1, 28, 28): one logit for each pixel."
        )
    return result.detach().reshape(n_codes, -1)


def _require_logits(logits: Tensor) -> None:
    """Refuse probabilities: codes far out show them. (Equal outputs are no sign of anything.)"""
    low, high = float(logits.min()), float(logits.max())
    if 0 <= low < high <= 1:
        raise NotYet(PROBABILITIES)


PROBABILITIES = (
    "The decoder returns probabilities: all its outputs lie in [0, 1], even for codes far "
    "from 0. Return the logits, without a sigmoid; the likelihood applies it."
)


def probe(parts: dict[str, Any]) -> dict[str, Tensor]:
    x = digits_of("train")[1][:8]
    with torch.no_grad():
        mean = tensors(parts["encoder"](x))[0]
    # Not the codes of the images: they change with the encoder.
    return {"encoder": x, "decoder": torch.linspace(-1, 1, mean.numel()).reshape(mean.shape)}


@torch.no_grad()
def measure(parts: dict[str, Any]) -> dict[str, float]:
    """Return the ELBO on held-out images with its two terms, in nats, and the passes."""
    for network in parts.values():
        if isinstance(network, nn.Module):
            network.cpu().eval()
    x = digits_of("test")[1][:HELDOUT]
    noise = torch.Generator().manual_seed(311)
    mean, log_var = (each.float() for each in two(parts["encoder"](x.clone())))
    epsilon = torch.randn(mean.shape, generator=noise)
    logits = logits_of(parts["decoder"](mean + (log_var / 2).exp() * epsilon), len(x)).float()
    cross_entropy = F.binary_cross_entropy_with_logits(logits, x.flatten(1), reduction="none")
    reconstruction = float(cross_entropy.sum(1).mean())
    kl = float((0.5 * (log_var.exp() + mean**2 - 1 - log_var)).sum(1).mean())
    figures = {"bound": -reconstruction - kl, "reconstruction": reconstruction, "kl": kl}
    lowest, highest = float(logits.min()), float(logits.max())
    return figures | {"log_var": float(log_var.min()), "low": lowest, "high": highest}
