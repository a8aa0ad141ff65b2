"""Check of the repaired training loss."""

from collections.abc import Callable
from itertools import permutations
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence
from torch.nn import functional as F

from companion.checks.authoring import (
    DETACHED,
    Case,
    RepairTask,
    Slips,
    as_tensor,
    call,
    compare,
    gradients,
    uniform,
)

_B, _D, _SIZE = 6, 3, 28
_PIXELS = _SIZE * _SIZE
_MEAN, _RAW = uniform(-1.5, 1.5, _B, _D, seed=1), uniform(-3, 1, _B, _D, seed=2)
_WEIGHT = uniform(-1, 1, _D, _PIXELS, seed=5)

Codes = Callable[[Tensor], tuple[Tensor, Tensor]]
Read = Callable[[Tensor], Tensor]


def _encode(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the outputs of a tiny encoder's two last layers, which are linear."""
    return _MEAN.clone(), _RAW.clone()


def _decode(z: Tensor) -> Tensor:
    """Return logits (B, 1, 28, 28)."""
    return ((z + 0.3 * z**2) @ _WEIGHT.to(z.dtype)).unflatten(-1, (1, _SIZE, _SIZE))


def _parts(
    mean: Tensor, z_log_var: Tensor, kl_log_var: Tensor, x: Tensor, noise: Tensor
) -> tuple[Tensor, Tensor]:
    """Return reconstruction terms (B,) and KL divergences (B, D)."""
    z = mean + (z_log_var / 2).exp() * noise
    log_prob = Bernoulli(logits=_decode(z)).log_prob(x)
    q, prior = Normal(mean, (kl_log_var / 2).exp()), Normal(0 * mean, 0 * mean + 1)
    return -log_prob.flatten(1).sum(1), kl_divergence(q, prior)


# Each reading of the second layer makes an ELBO of its own; the first one is the text's.
def _log_variance(raw: Tensor) -> Tensor:
    return raw


def _variance(raw: Tensor) -> Tensor:
    return F.softplus(raw).log()


def _std(raw: Tensor) -> Tensor:
    return 2 * F.softplus(raw).log()


def _log_std(raw: Tensor) -> Tensor:
    return 2 * raw


_READINGS: list[Read] = [_log_variance, _variance, _std, _log_std]
_POSITIVE = (
    "All four faults are gone. You kept `softplus` and read its output as the {}, which is "
    "positive: that is right, too."
)


def _losses(
    read: Read,
    power: int,
    scale: float,
    report: Callable[[Tensor, Tensor], Tensor],
    encode: Codes,
    decode: object,
    x: Tensor,
    noise: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return the training loss and the reported number; the noise is scaled by std**power."""
    mean, raw = (each.double() for each in encode(x))
    log_var = read(raw)
    bce, kl = _parts(mean, power * log_var, log_var, x.double(), noise.double())
    bce, kl = scale * bce.mean(), kl.sum(1).mean()
    return bce + kl, report(bce, kl)


def _slips(encode: Codes, decode: object, x: Tensor, noise: Tensor) -> Slips:
    """Return what a repair often goes wrong in, for each reading of the second layer."""
    mean, raw = (each.double() for each in encode(x))
    log_vars = [F.softplus(raw), *(read(raw) for read in _READINGS)]
    parts = [_parts(mean, each, each, x, noise) for each in log_vars[1:]]
    mixed = [(a, b) for a, b in permutations(log_vars, 2) if not torch.allclose(a, 2 * b)]
    bce, kl = (torch.stack(each) for each in zip(*parts, strict=True))
    b, k = bce.mean(1), kl.sum(2).mean(1)  # one entry for each reading
    b_mean = torch.stack([_parts(mean, v, v, x, 0 * noise)[0].mean() for v in log_vars[1:]])
    codes = [mean + (each / 2).exp() * noise for each in log_vars[1:]]
    twice = Bernoulli(logits=torch.stack([_decode(z).sigmoid() for z in codes]))
    b_twice = -twice.log_prob(x).flatten(2).sum(2).mean(1)

    def trained(*losses: Tensor) -> list:
        return [(value, None) for loss in losses for value in loss]

    def reported(losses: Tensor) -> list:
        return [(None, value) for value in losses]

    return {
        "No noise reaches the code: you decode the mean. The ELBO expects over z ~ q.": trained(
            b_mean + k, b_mean / _PIXELS + k
        ),
        "The decoder gives logits, and the cross-entropy with logits applies the sigmoid. Yours "
        "is applied twice.": trained(b_twice + k, b_twice / _PIXELS + k),
        "The cross-entropy is summed over the batch, the KL divergence averaged: a silent beta of "
        "1/B. Divide by the number of images.": trained(_B * b + k),
        "Both terms are summed over the batch. Average them over it.": trained(_B * (b + k)),
        "You return one number for each image. Average over the batch.": trained(bce + kl.sum(2)),
        "The KL divergence is averaged over the latent dimensions now. It was summed, and that was "
        "right.": trained(b + k / _D, b / _PIXELS + k / _D),
        "You made both terms smaller by the number of pixels. The minimum is right, but this is "
        "no negative ELBO in nats.": trained((b + k) / _PIXELS),
        "The sign is wrong: a loss falls as the ELBO rises.": trained(-b - k),
        "The KL divergence is missing in the training loss.": trained(b),
        "The training loss is the KL divergence alone.": trained(k),
        "The code z and the KL divergence use different variances. Both belong to one q.": [
            (bce.mean() + kl.sum(1).mean(), None)
            for bce, kl in (_parts(mean, *pair, x, noise) for pair in mixed)
        ],
        "The second number decodes the mean. The ELBO expects over z: decode a sample, with the "
        "same `noise`.": reported(b_mean + k),
        "The second number is the ELBO. Report its negative, like the training loss.": reported(
            -b - k
        ),
        "The second number is the cross-entropy alone. Add the KL divergence.": reported(b),
    }


def _judge_gradients(answer: Any) -> None:
    """Judge the gradient of the training loss with respect to what the encoder gives."""
    given = _CASE.arguments
    value = as_tensor(call(answer, **given)[0]).double().reshape(())  # type: ignore[index]
    read = min(
        _READINGS, key=lambda each: abs(_TASK.version(each, 1, 1.0, _TOTAL, **given)[0] - value)
    )

    def training(mean: Tensor, raw: Tensor) -> object:
        return answer(lambda x: (mean, raw), _decode, given["x"], given["noise"])[0]

    def wanted(mean: Tensor, raw: Tensor) -> Tensor:
        return _losses(read, 1, 1.0, _TOTAL, **{**given, "encode": lambda x: (mean, raw)})[0]

    found = gradients(training, mean=_MEAN, raw=_RAW)
    exact = gradients(wanted, mean=_MEAN.double(), raw=_RAW.double())
    for name, what in {"mean": "the mean", "raw": "the second output"}.items():
        title = f"The gradient with respect to {what} of the encoder"
        compare(found[name], exact[name], what=title, remark=DETACHED, atol=1e-3)


_TOTAL = torch.add
_CASE = Case(
    "",
    {
        "encode": _encode,
        "decode": _decode,
        "x": uniform(0, 1, _B, 1, _SIZE, _SIZE, seed=3).round(),
        "noise": uniform(-1.7, 1.7, _B, _D, seed=4),
    },
    atol=1e-3,
)

# What is left is counted, and one of it named, not explained: finding it is the exercise.
_TASK = RepairTask(
    "mnist.repair",
    number="3.6",
    title="Repair a published training loss",
    answer="losses",
    parts=("The training loss", "The second number"),
    places=[
        {"": _READINGS, "which values the log-variance can take.": F.softplus},
        {"": 1, "what multiplies the noise.": 2},
        {"": 1.0, "how the cross-entropy is reduced.": 1 / _PIXELS},
        {"": _TOTAL, "what the second number tells about the reconstructions.": lambda bce, kl: kl},
    ],
    version=_losses,
    begin="A start: for one image and one latent dimension, write down by hand what each line "
    "should give.",
    name_all=False,
    slips=_slips,
    cases=[_CASE],
    further=[_judge_gradients],
    random="Your function draws noise of its own. Use the `noise` that it is given, once: both "
    "numbers then belong to the same sample.",
    also={
        _variance: _POSITIVE.format("variance"),
        _std: _POSITIVE.format("standard deviation"),
        _log_std: "All four faults are gone. You read the second output as the logarithm of the "
        "standard deviation, in z and in the KL divergence: that is right, too.",
    },
    praise="All four faults are gone, and each of them would have trained without a complaint.",
)
