"""Check of the repaired training loss."""

from collections.abc import Callable
from itertools import permutations, product
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence
from torch.nn import functional as F

from companion.checks.authoring import (
    DETACHED,
    Hints,
    NotAttempted,
    NotYet,
    as_tensor,
    call,
    compare,
    exercise,
    gradients,
    is_blank,
    uniform,
)

# What is left is counted, and one of it named, not explained: finding it is the exercise.
_SOFTPLUS = "which values the log-variance can take."
_NOISE = "what multiplies the noise."
_PIXELS = "how the cross-entropy is reduced."
_REPORT = "what the second number tells about the reconstructions."
_B, _D, _SIZE = 6, 3, 28


class Setup:
    """A tiny encoder and decoder, with fixed images and noise."""

    def __init__(self) -> None:
        self.mean, self.raw = uniform(-1.5, 1.5, _B, _D, seed=1), uniform(-3, 1, _B, _D, seed=2)
        self.x = uniform(0, 1, _B, 1, _SIZE, _SIZE, seed=3).round()
        self.noise = uniform(-1.7, 1.7, _B, _D, seed=4)
        self.weight = uniform(-1, 1, _D, _SIZE * _SIZE, seed=5)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the outputs of the encoder's two last layers, which are linear."""
        return self.mean.clone(), self.raw.clone()

    def decode(self, z: Tensor) -> Tensor:
        """Return logits (B, 1, 28, 28)."""
        weight = self.weight.to(z.dtype)
        return ((z + 0.3 * z**2) @ weight).unflatten(-1, (1, _SIZE, _SIZE))

    def run(self, answer: object) -> object:
        """Call the learner's function."""
        return call(answer, encode=self.encode, decode=self.decode, x=self.x, noise=self.noise)

    def parts(
        self, mean: Tensor, log_var: Tensor, kl_log_var: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return reconstruction terms (B,) and KL divergences (B, D)."""
        z = mean + (log_var / 2).exp() * self.noise.to(mean.dtype)
        log_prob = Bernoulli(logits=self.decode(z)).log_prob(self.x.to(mean.dtype))
        q = Normal(mean, ((log_var if kl_log_var is None else kl_log_var) / 2).exp())
        return -log_prob.flatten(1).sum(1), kl_divergence(q, Normal(0 * mean, 0 * mean + 1))


# Each reading of the second layer makes an ELBO of its own; the first one is the text's.
_READINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "log-variance": lambda raw: raw,
    "variance": lambda raw: F.softplus(raw).log(),
    "standard deviation": lambda raw: 2 * F.softplus(raw).log(),
    "logarithm of the standard deviation": lambda raw: 2 * raw,
}


@exercise("mnist.repair", number="3.6", answer="losses", title="Repair a published training loss")
def repair(answer: object) -> str:
    """Judge `losses(encode, decode, x, noise)`: the training loss and the reported number."""
    setup = Setup()
    training, reported = _two(setup.run(answer))
    mean, raw = setup.mean.double(), setup.raw.double()
    _name_faults(training, reported, setup)
    readings = {name: setup.parts(mean, read(raw)) for name, read in _READINGS.items()}
    losses = {name: (bce + kl.sum(1)).mean() for name, (bce, kl) in readings.items()}
    reading = next((name for name, loss in losses.items() if _near(training, loss)), "log-variance")
    right = losses[reading]
    bce, kl = readings[reading]
    slips = _training_slips(setup, bce, kl, right)
    compare(training, right, slips, what="The training loss", atol=1e-3)
    decoded_mean = (
        -Bernoulli(logits=setup.decode(mean)).log_prob(setup.x.double()).flatten(1).sum(1)
    )
    report_slips = {
        "The second number decodes the mean. The ELBO expects over z: decode a sample, with the "
        "same `noise`.": (decoded_mean + kl.sum(1)).mean(),
        "The second number is the ELBO. Report its negative, like the training loss.": -right,
        "The second number is the cross-entropy alone. Add the KL divergence.": bce.mean(),
        "The second number is the KL divergence alone. It is 0 for an encoder that says nothing: "
        "report the whole negative ELBO.": kl.sum(1).mean(),
    }
    compare(reported, right, report_slips, what="The second number", atol=1e-3)
    _judge_gradients(answer, setup, _READINGS[reading])
    if reading == "log-variance":
        return "All four faults are gone, and each of them would have trained without a complaint."
    if reading not in ("variance", "standard deviation"):
        return (
            "All four faults are gone. You read the second output as the logarithm of the standard "
            "deviation, in z and in the KL divergence: that is right, too."
        )
    return (
        f"All four faults are gone. You kept `softplus` and read its output as the {reading}, "
        "which is positive: that is right, too."
    )


def _near(value: Tensor, other: Tensor) -> bool:
    same = value.shape == other.shape
    return same and torch.allclose(value.double(), other.double(), rtol=1e-5, atol=1e-3)


def _two(result: object) -> tuple[Tensor, Tensor]:
    if isinstance(result, (tuple, list)) and any(is_blank(part) for part in result):
        raise NotYet("One of the two is still the placeholder `...`.")
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        raise NotYet("Return two numbers: `return training, reported`.")
    training = as_tensor(result[0], "The training loss")
    reported = as_tensor(result[1], "The second number")
    return _single(training), _single(reported)


def _single(tensor: Tensor) -> Tensor:
    return tensor.reshape(()) if tensor.numel() == 1 else tensor


def _name_faults(training: Tensor, reported: Tensor, setup: Setup) -> None:
    """Raise NotYet, or NotAttempted, if some of the original faults and nothing else is left."""
    mean, raw = setup.mean.double(), setup.raw.double()
    readings = [(False, read) for read in _READINGS.values()] + [(True, F.softplus)]
    yes_no = [False, True]
    for (softplus, read), noise, pixels, report in product(readings, yes_no, yes_no, yes_no):
        log_var = read(raw)
        bce, kl = setup.parts(mean, 2 * log_var if noise else log_var, log_var)
        bce = bce / (_SIZE * _SIZE) if pixels else bce
        total, kl_mean = (bce + kl.sum(1)).mean(), kl.sum(1).mean()
        chosen = {_SOFTPLUS: softplus, _NOISE: noise, _PIXELS: pixels, _REPORT: report}
        faults = [name for name, left in chosen.items() if left]
        if not faults or not (
            _near(training, total) and _near(reported, kl_mean if report else total)
        ):
            continue
        if len(faults) == len(chosen):
            raise NotAttempted(
                "It is still as it stands in the text. A start: for one image and one latent "
                "dimension, write down by hand what each line should give."
            )
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise NotYet(f"{count} left. If you are stuck, look at {faults[0]}")


def _training_slips(setup: Setup, bce: Tensor, kl: Tensor, right: Tensor) -> Hints:
    """Return what a repair often goes wrong in."""
    n_pixels, kl_mean = _SIZE * _SIZE, kl.sum(1).mean()
    mean, raw = setup.mean.double(), setup.raw.double()
    log_vars = [F.softplus(raw), *(read(raw) for read in _READINGS.values())]
    mixed = [setup.parts(mean, a, b) for a, b in permutations(log_vars, 2)]
    return {
        "The cross-entropy is summed over the batch, the KL divergence averaged: a silent beta of "
        "1/B. Divide by the number of images.": bce.sum() + kl_mean,
        "Both terms are summed over the batch. Average them over it.": bce.sum() + kl.sum(),
        "You return one number for each image. Average over the batch.": bce + kl.sum(1),
        "The KL divergence is averaged over the latent dimensions now. It was summed, and that was "
        "right.": [bce.mean() + kl.mean(), bce.mean() / n_pixels + kl.mean()],
        "You made both terms smaller by the number of pixels. The minimum is right, but this is "
        "no negative ELBO in nats.": right / n_pixels,
        "The sign is wrong: a loss falls as the ELBO rises.": -right,
        "The KL divergence is missing in the training loss.": bce.mean(),
        "The training loss is the KL divergence alone.": kl_mean,
        "The code z and the KL divergence use different variances. Both belong to one q.": [
            (each_bce + each_kl.sum(1)).mean() for each_bce, each_kl in mixed
        ],
    }


def _judge_gradients(answer: Any, setup: Setup, read: Callable[[Tensor], Tensor]) -> None:
    """Judge the gradient of the training loss with respect to what the encoder gives."""

    def training(mean: Tensor, raw: Tensor) -> object:
        return answer(lambda x: (mean, raw), setup.decode, setup.x, setup.noise)[0]

    def wanted(mean: Tensor, raw: Tensor) -> Tensor:
        bce, kl = setup.parts(mean, read(raw))
        return (bce + kl.sum(1)).mean()

    found = gradients(training, mean=setup.mean, raw=setup.raw)
    exact = gradients(wanted, mean=setup.mean.double(), raw=setup.raw.double())
    for name, what in {"mean": "the mean", "raw": "the second output"}.items():
        title = f"The gradient with respect to {what} of the encoder"
        compare(found[name], exact[name], what=title, remark=DETACHED, atol=1e-3)
