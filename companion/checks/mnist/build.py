"""Check of a variational autoencoder that the reader builds and trains.

The gradients that arrive at the logits, at z and at the encoder's two outputs tell which loss was
minimized, whatever its code looks like.

Axes: B batch, D latent dimensions, P = 784 pixels, N images.
"""

import torch
from torch import Tensor, nn

from companion.checks._build import BuildTask, Evidence
from companion.checks.mnist._gradients import Step, kl_weight, slope_of, slopes_by_logits, steps_of
from companion.checks.mnist._ruler import (
    IMAGE_SHAPE,
    PIXELS,
    PROBABILITIES,
    digits_of,
    inspect_networks,
    measure,
    probe,
)
from companion.likelihoods import Bernoulli
from companion.networks import MLPDecoder, MLPEncoder
from companion.priors import StandardNormal
from companion.training import Run, fit
from companion.vae import VAE, negative_elbo

EPOCHS = 10
# In nats. The reference below reaches -128.3 on average over the seeds 0 to 7, with a standard
# deviation of 1.0 (`TASK.observe(*TASK.reference, seed=s).figures["bound"]`). The same perceptrons
# with Adam at 1e-3 reach -144, small convolutions at 3e-3 -125 to -132: the limit leaves slower
# trainings 16 nats. A KL divergence that is averaged over the dimensions ends at -168, a model
# without noise at -336. Other faults cost less (a squared error 16 nats, a standard deviation of
# exp(log_var) 5), so no limit could find them: they are seen in the gradients and in z.
LIMIT = -160.0

# --- faults: refused whatever the bound ----------------------------------------------------


def _still_networks(seen: Evidence) -> str | None:
    still = [name for name, moved in seen.moved.items() if not moved]
    if len(still) == 2:
        return (
            "No parameter of the two networks moved. Does the loop call `backward` and the "
            "optimizer's `step`, on the networks that `train` was given?"
        )
    if still == ["encoder"]:
        return (
            "The encoder never moved: all its parameters are as `build` made them. Does the "
            "optimizer hold them? Does a gradient reach them?"
        )
    if still == ["decoder"]:
        return (
            "The decoder never moved: all its parameters are as `build` made them. Does the "
            "optimizer hold them?"
        )
    return None


def _over_budget(seen: Evidence) -> str | None:
    if seen.passes <= seen.epochs + 0.5:
        return None
    return (
        f"The encoder saw {seen.passes:.1f} times as many images as there are. The budget is "
        f"`epochs`, {seen.epochs} passes."
    )


def _trained_on_heldout(seen: Evidence) -> str | None:
    """Find held-out digits, gray or drawn black and white, among what the encoder was fed."""
    fed = [each.inputs.flatten(1) for each in seen.calls if each.part == "encoder"]
    rows = torch.cat(fed)[:500] if fed and fed[0].shape[1] == PIXELS else torch.zeros(0, PIXELS)
    lit = (rows > 0).float()
    gray = digits_of("test")[0].images.flatten(1)
    off = lit @ (gray == 0).float().T + (1 - lit) @ (gray == 1).float().T
    # A drawing of a digit is black where the digit is black, and white where it is white.
    if len(rows) == 0 or ((off == 0).any(1) & (lit.sum(1) > 20)).float().mean() < 0.2:
        return None
    return (
        "`train` uses held-out digits: what the encoder is fed are not the `images` that `train` "
        "was given. A bound on digits that were trained on says nothing about new ones."
    )


def _noise(seen: Evidence) -> str | None:
    """Look at z, and at what the encoder said of it."""
    steps = steps_of(seen)
    if not steps:
        return None
    if all(torch.equal(s.z, s.mean) for s in steps):
        return (
            "There is no noise: the decoder is fed the encoder's mean itself. The bound expects "
            "over q(z | x), so z has to be drawn from it."
        )
    if not any(s.attached for s in steps):
        return (
            "No gradient can pass from the decoder through z to the encoder: z is cut off from the "
            "graph. (`.detach()`, `.sample()`, `.data`, `no_grad`?) So the encoder learns from the "
            "KL divergence alone."
        )
    return _size_of_noise(steps) or _unscaled(steps)


def _size_of_noise(steps: list[Step]) -> str | None:
    """Fit log|z - mean| = a + b log_var: it is b = 1/2 if z is drawn from q(z | x)."""
    log_var = torch.cat([s.log_var.double().flatten() for s in steps])
    size = torch.cat([(s.z - s.mean).double().abs().flatten() for s in steps]).clamp(min=1e-12)
    spread = log_var - log_var.mean()
    if spread.std() < 0.3:  # a collapsed code: nothing to fit
        return None
    power = float((spread @ size.log()) / (spread @ spread))
    if abs(power - 1) < 0.15:
        return (
            "The noise in z is multiplied by `exp(log_var)`. That is the variance of q(z | x), and "
            "noise is scaled by a standard deviation."
        )
    return _UNSCALED if abs(power) < 0.15 else None


def _unscaled(steps: list[Step]) -> str | None:
    """Find a log-variance that the KL divergence alone pulls at."""
    given = [s for s in steps if s.by_log_var is not None and s.by_z is not None]
    if not given:
        return None
    by_log_var = torch.cat([s.by_log_var.flatten() for s in given if s.by_log_var is not None])
    by_z = torch.cat([(s.by_z * (s.z - s.mean) / 2).flatten() for s in given if s.by_z is not None])
    alone = slope_of([(torch.cat([s.log_var.exp().flatten() - 1 for s in given]), by_log_var)])
    if alone is None or alone.explained < 0.98 or by_z.norm() < 0.3 * by_log_var.norm():
        return None
    return _UNSCALED


_UNSCALED = (
    "The log-variance takes no part in z: what is drawn has one size, or no gradient comes from "
    "there. The noise has to be scaled by the standard deviation of q(z | x)."
)


def _forgotten_zero(seen: Evidence) -> str | None:
    later = seen.stale[1:]
    if len(later) < 10 or sum(later) < 0.99 * len(later):
        return None
    return (
        "The gradients of all earlier steps are still there when those of a step arrive, and torch "
        "adds them up. Set them to zero in each step: `optimizer.zero_grad()`."
    )


def _wrong_loss(seen: Evidence) -> str | None:
    """Name the loss whose gradient is the one at the logits, if it is no cross-entropy."""
    slopes = slopes_by_logits(steps_of(seen))
    surest = max(slopes, key=lambda name: slopes[name].explained, default="")
    if not surest or slopes[surest].explained < 0.98:
        return None
    if surest == "cross-entropy":
        reversed_sign = slopes[surest].value < 0
        return _REVERSED if reversed_sign else None
    return _LOSSES[surest]


_REVERSED = (
    "Each step makes the reconstruction worse: the gradient at the logits has the wrong sign. "
    "What is minimized is the negative of the ELBO."
)
_LOSSES = {
    "sigmoid twice": "The sigmoid is applied twice: the gradient at the logits is that of a "
    "probability which was taken for a logit. A loss `with_logits` applies the sigmoid itself.",
    "squared error": "The gradient at the logits is that of a squared error. Black and white "
    "pixels are Bernoulli variables: their log-likelihood is a cross-entropy.",
    "squared error of logits": "The gradient at the logits is that of a squared error between "
    "logits and pixels. Their log-likelihood under a Bernoulli is a cross-entropy.",
    "white pixels": "Only white pixels count in the reconstruction term: the gradient at the "
    "logits of black ones is 0. A black pixel contributes log(1 - probability).",
    "swapped": "The logits and the pixels are in the wrong order: the gradient at the logits "
    "doesn't depend on them.",
}


def _weight_of_kl(seen: Evidence) -> str | None:
    """Name a weight of the KL divergence that is not 1, where it can be read off for sure."""
    steps = steps_of(seen)
    found = kl_weight(steps)
    if found is None or found[1] < 0.98 or 0.9 < found[0] < 1.1:
        return None
    weight, n_latent, batch = found[0], steps[-1].mean.shape[1], len(steps[-1].mean)
    if abs(weight) < 1e-3:
        return None  # it may also be an estimate by samples: `_missing_kl` decides
    if weight < 0:
        return (
            "The KL divergence is subtracted from the loss: it grows in training. In a loss, a "
            "larger divergence costs more."
        )
    known = {
        1 / n_latent: "Is it averaged over the latent dimensions? They add.",
        1 / batch: "Is the reconstruction term summed over the batch, the divergence averaged?",
        1 / (n_latent * batch): "Is it averaged over batch and latent dimensions, and the "
        "reconstruction term summed?",
        PIXELS: "Is the reconstruction term averaged over the pixels? They add.",
        PIXELS / n_latent: "Is each term averaged, one over pixels and one over dimensions? Sum.",
        batch: "Is the divergence summed over the batch, the reconstruction term averaged?",
        PIXELS * batch: "Is the reconstruction term averaged over pixels and batch, and the "
        "divergence summed?",
    }
    near = [text for value, text in known.items() if abs(weight / value - 1) < 0.05]
    reason = near[0] if near else "In the ELBO, each has the weight 1."
    return (
        f"In your loss the KL divergence counts {weight:.3g} times as much as the reconstruction "
        f"term. {reason}"
    )


def _log_var_in_kl(seen: Evidence) -> str | None:
    """Look at dL/dlog_var without what passes through z: it is (exp(log_var) - 1) / 2B."""
    steps = steps_of(seen)
    weight = kl_weight(steps)
    if weight is None or weight[1] < 0.98 or abs(weight[0]) < 1e-3:
        return None
    given = [
        (s.log_var, (s.by_log_var - s.by_z * (s.z - s.mean) / 2) * len(s.mean))
        for s in steps
        if s.by_log_var is not None and s.by_z is not None
    ]
    right = slope_of([((log_var.exp() - 1) / 2, grad) for log_var, grad in given])
    doubled = slope_of([((2 * log_var).exp() - 1, grad) for log_var, grad in given])
    by_logits = slopes_by_logits(steps).get("cross-entropy")
    if right is None or doubled is None or by_logits is None:
        return None
    # Near log_var = 0 all of these are lines: the slopes tell them apart.
    if right.explained > 0.9 and 0.8 < right.value / (weight[0] * by_logits.value) < 1.25:
        return None
    if doubled.explained > max(0.95, right.explained):
        return (
            "In the KL divergence `log_var` is taken for the logarithm of the standard deviation: "
            "`exp(log_var)` is the variance already."
        )
    return (
        "In the KL divergence the part with the mean is right, the part with `log_var` is not: "
        "its gradient differs from that of (exp(log_var) - 1 - log_var) / 2."
    )


FAULTS = [
    _still_networks,
    _over_budget,
    _trained_on_heldout,
    _noise,
    _forgotten_zero,
    _wrong_loss,
    _weight_of_kl,
    _log_var_in_kl,
]


# --- causes of a low bound -----------------------------------------------------------------


def _missing_kl(seen: Evidence) -> str | None:
    found = kl_weight(steps_of(seen))
    if (found is None or abs(found[0]) > 1e-3) and seen.figures["kl"] < 100:
        return None
    return (
        f"The reconstruction costs only {seen.figures['reconstruction']:.0f} nats, but the codes "
        f"lie {seen.figures['kl']:,.0f} nats from the prior. Is the KL divergence in your loss?"
    )


def _squashed(seen: Evidence) -> str | None:
    if seen.figures["log_var"] < 0:
        return None
    return (
        "No log-variance of the encoder is negative, for any held-out digit: no code is more "
        "certain than the prior. A log-variance may be any real number: no `softplus`, `relu` or "
        "`exp` after the last layer."
    )


def _squashed_logits(seen: Evidence) -> str | None:
    low, high = seen.figures["low"], seen.figures["high"]
    if low >= 0 and high <= 1:
        return PROBABILITIES
    if not (low >= 0 or (low >= -1 and high <= 1)):
        return None
    return (
        f"On held-out digits all logits lie between {low:.3g} and {high:.3g}. A logit may be any "
        "real number, and that of a pixel which is always black is far below 0: no nonlinearity "
        "after the decoder's last layer."
    )


def _still_parameters(seen: Evidence) -> str | None:
    still = [f"`{name}.{each}`" for name, some in seen.still.items() for each in some]
    if not still:
        return None
    return f"These parameters never moved: {', '.join(still[:4])}. Does the optimizer hold them?"


def _under_budget(seen: Evidence) -> str | None:
    if not 0 < seen.passes < 0.8 * seen.epochs:
        return None
    return (
        f"The encoder saw the images {seen.passes:.1f} times. You have `epochs`, {seen.epochs} "
        "passes over all of them."
    )


def _collapsed(seen: Evidence) -> str | None:
    if seen.figures["kl"] > 2:
        return None
    return (
        f"The code says next to nothing about the image: the KL divergence is "
        f"{seen.figures['kl']:.2f} nats. Does the decoder's input depend on the image? Is the "
        "learning rate too high?"
    )


def _diverged(seen: Evidence) -> str | None:
    if abs(seen.figures["bound"]) < 1e6:
        return None
    return (
        f"The held-out bound is {seen.figures['bound']:.3g}: the training diverged. Is the "
        "learning rate too high, or the loss summed over the batch?"
    )


CAUSES = [
    _diverged,
    _still_parameters,
    _missing_kl,
    _squashed_logits,
    _squashed,
    _under_budget,
    _collapsed,
]


# --- the companion's own -------------------------------------------------------------------


def _build() -> tuple[nn.Module, nn.Module]:
    return MLPEncoder(IMAGE_SHAPE, 20, (200,)), MLPDecoder(20, IMAGE_SHAPE, (200,))


def _train(encoder: nn.Module, decoder: nn.Module, images: Tensor, epochs: int) -> None:
    vae = VAE(encoder, decoder, Bernoulli(), StandardNormal(20))
    quiet = Run(device="cpu", progress=False)
    fit(vae, images, loss=negative_elbo, epochs=epochs, learning_rate=3e-3, run=quiet)


TASK = BuildTask(
    "mnist.build",
    number="3.10",
    title="Build it: a variational autoencoder",
    parts=("encoder", "decoder"),
    images=lambda: digits_of("train")[1],
    epochs=EPOCHS,
    inspect=inspect_networks,
    probe=probe,
    measure=measure,
    figure="bound",
    limit=LIMIT,
    faults=FAULTS,
    causes=CAUSES,
    short="The held-out bound is {bound:.1f} nats ({reconstruction:.1f} for the reconstruction, "
    "{kl:.1f} for the KL divergence). It should reach {limit:.0f}. The check sees none of the "
    "faults it knows, so it may be slow rather than wrong: try a learning rate between 1e-3 and "
    "5e-3 with Adam, batches of about 100, a hidden layer of 200 units or more.",
    praise="On held-out digits your bound is {bound:.1f} nats: {reconstruction:.1f} for the "
    "reconstruction, {kl:.1f} for the KL divergence. The companion's own perceptrons reach about "
    "-128 in as many passes.",
    reference=(_build, _train),
)
