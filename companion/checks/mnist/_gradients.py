"""What the gradients of a training say about its loss.

With the weights 1/B, c/B of the two terms,

    dL/dlogits = (sigmoid(logits) - x) / B
    dL/dmean - dL/dz = c mean / B

so c, the weight of the KL divergence, is a ratio of two slopes.

Axes: B batch, D latent dimensions, P = 784 pixels.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from companion.checks._build import Call, Evidence
from companion.checks.mnist._ruler import PIXELS


class Step(NamedTuple):
    """One training step: x went in, z was drawn, logits came out, and gradients came back."""

    x: Tensor
    mean: Tensor
    log_var: Tensor
    z: Tensor
    logits: Tensor
    attached: bool  # whether a gradient can pass from z to the encoder
    by_mean: Tensor | None
    by_log_var: Tensor | None
    by_z: Tensor | None
    by_logits: Tensor | None


def steps_of(seen: Evidence) -> list[Step]:
    """Return the latest steps that draw one code for each image; others can't be read."""
    steps = (_step(each) for each in seen.calls if each.part == "decoder")
    return [step for step in steps if step is not None]


def _step(decoder: Call) -> Step | None:
    encoder = decoder.before.get("encoder")
    if encoder is None or len(encoder.outputs) != 2 or len(decoder.outputs) != 1:
        return None
    mean, log_var = encoder.outputs
    shapes = {mean.shape, log_var.shape, decoder.inputs.shape}
    size = mean.shape[0] * PIXELS
    if len(shapes) > 1 or encoder.inputs.numel() != size or decoder.outputs[0].numel() != size:
        return None
    return Step(
        encoder.inputs.flatten(1),
        mean,
        log_var,
        decoder.inputs,
        decoder.outputs[0].reshape(len(mean), -1),
        decoder.attached,
        encoder.grads[0],
        encoder.grads[1],
        decoder.input_grad,
        None if decoder.grads[0] is None else decoder.grads[0].reshape(len(mean), -1),
    )


class Slope(NamedTuple):
    """A regression through the origin: its slope, and how much of the square it explains."""

    value: float
    explained: float


def slope_of(pairs: list[tuple[Tensor, Tensor]]) -> Slope | None:
    """Return the slope of the second tensors on the first ones; None if there is nothing."""
    if not pairs:
        return None
    x, y = (torch.cat([pair[i].double().flatten() for pair in pairs]) for i in (0, 1))
    xx, xy, yy = float(x @ x), float(x @ y), float(y @ y)
    if xx == 0 or not math.isfinite(xx + yy):  # the training diverged
        return None
    return Slope(xy / xx, 1.0 if yy == 0 else xy**2 / (xx * yy))


def slopes_by_logits(steps: list[Step]) -> dict[str, Slope]:
    """Return how well each known loss explains the gradient at the logits."""
    fields: dict[str, Any] = {
        "cross-entropy": lambda p, x, logits: p - x,
        "sigmoid twice": lambda p, x, logits: p * (1 - p) * (p.sigmoid() - x),
        "squared error": lambda p, x, logits: p * (1 - p) * (p - x),
        "squared error of logits": lambda p, x, logits: logits - x,
        "white pixels": lambda p, x, logits: -x * (1 - p),
        "swapped": lambda p, x, logits: -x,
    }
    given = [(s, s.by_logits) for s in steps if s.by_logits is not None]
    slopes = {}
    for name, make in fields.items():
        pairs = [(make(s.logits.sigmoid(), s.x, s.logits), g * len(g)) for s, g in given]
        slope = slope_of(pairs)
        if slope is not None:
            slopes[name] = slope
    return slopes


def kl_weight(steps: list[Step]) -> tuple[float, float] | None:
    """Return the weight of the KL beside a reconstruction term of weight 1, and how surely.

    None if the gradients can't be read so: a KL divergence by Monte Carlo, free bits.
    """
    reconstruction = slopes_by_logits(steps).get("cross-entropy")
    pairs = [
        (s.mean, (s.by_mean - s.by_z) * len(s.mean))
        for s in steps
        if s.by_mean is not None and s.by_z is not None
    ]
    kl = slope_of(pairs)
    if reconstruction is None or kl is None or reconstruction.explained < 0.98:
        return None
    return kl.value / reconstruction.value, kl.explained
