"""Check of the loss of a batch."""

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence
from torch.nn import functional as F

from companion.checks._gaussians import wrong_kls
from companion.checks.authoring import Case, FunctionTask, NotYet, Slips, single, uniform


def _parts(logits: Tensor, x: Tensor, mean: Tensor, log_var: Tensor) -> tuple[Tensor, Tensor]:
    """Return the reconstruction term and the KL divergence of each example, both (B,)."""
    bernoulli = Bernoulli(logits=logits, validate_args=False)
    reconstruction = -bernoulli.log_prob(x).flatten(1).sum(1)
    q, prior = Normal(mean, (log_var / 2).exp()), Normal(0 * mean, torch.ones_like(mean))
    return reconstruction, kl_divergence(q, prior).sum(1)


def _loss(logits: Tensor, x: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    reconstruction, kl = _parts(logits, x, mean, log_var)
    return (reconstruction + kl).mean()


def _reduction_slips(reconstruction: Tensor, kl: Tensor, n_pixels: int, n_latent: int) -> Slips:
    """Return what comes out when a sum is a mean, or the other way round."""
    batch, total = len(kl), reconstruction + kl
    return {
        "You averaged over the pixels. Independent pixels add: sum over them. (The mean makes the "
        "KL count 784 times, a silent beta of 784.)": (reconstruction / n_pixels + kl).mean(),
        "You averaged the KL over the latent dimensions. They add: sum over the last axis.": (
            reconstruction + kl / n_latent
        ).mean(),
        "Both terms are averaged, over pixels and over latent dimensions. Sum over both; the mean "
        "is for the batch alone.": (reconstruction / n_pixels + kl / n_latent).mean(),
        "You return the sum over the batch. Take its mean, or the step size depends on the batch "
        "size.": total.sum(),
        "You return one number for each example. Average them over the batch.": [
            total,
            total[:, None],
        ],
        "One term is averaged over the batch, the other one summed. Both need the mean.": [
            reconstruction.sum() + kl.mean(),
            reconstruction.mean() + kl.sum(),
        ],
        "You divided by the batch size twice.": [
            total.mean() / batch,
            reconstruction.mean() / batch + kl.mean(),
            reconstruction.mean() + kl.mean() / batch,
        ],
    }


def _slips(logits: Tensor, x: Tensor, mean: Tensor, log_var: Tensor) -> Slips:
    reconstruction, kl = _parts(logits, x, mean, log_var)
    fit, kl_mean, size = reconstruction.mean(), kl.mean(), len(x)
    twice = F.binary_cross_entropy_with_logits(logits.sigmoid(), x, reduction="sum") / size
    swapped = F.binary_cross_entropy_with_logits(x, logits, reduction="sum") / size
    white = -(x * F.logsigmoid(logits)).sum() / size
    error = ((x - logits.sigmoid()) ** 2).sum() / size
    of_kl = {
        hint: [fit + terms.sum(1).mean() for terms in wrong]
        for hint, wrong in wrong_kls(mean, log_var).items()
    }
    return {
        "The KL divergence is missing. Without it this is an autoencoder, whose codes no prior "
        "can sample.": fit,
        "The reconstruction term is missing: this is the KL divergence alone.": kl_mean,
        "You subtracted the KL divergence. In a loss, a larger divergence costs more.": fit
        - kl_mean,
        "This is the ELBO. A loss is its negative.": -fit - kl_mean,
        "The reconstruction term has the wrong sign: add the cross-entropy.": kl_mean - fit,
        "The sigmoid is applied twice. A function that takes logits applies it itself.": twice
        + kl_mean,
        "The logits and the pixels are in the wrong order.": swapped + kl_mean,
        "Only white pixels count in yours. A black one contributes log(1 - probability).": white
        + kl_mean,
        "You took a squared error. A Bernoulli's log-likelihood is a cross-entropy.": [
            factor * error + kl_mean for factor in (1, 0.5, 1 / x[0].numel())
        ],
        **of_kl,
        **_reduction_slips(reconstruction, kl, x[0].numel(), mean.shape[1]),
    }


def _batch(size: int, n_latent: int, seed: int) -> dict[str, Tensor]:
    return {
        "logits": uniform(-4, 2, size, 1, 28, 28, seed=seed),
        "x": uniform(0, 1, size, 1, 28, 28, seed=seed + 1).round(),
        "mean": uniform(-1.5, 1.5, size, n_latent, seed=seed + 2),
        "log_var": uniform(-3, 2, size, n_latent, seed=seed + 3),
    }


_FIRST, _SECOND = _batch(4, 6, 20), _batch(7, 3, 30)


def _saturated() -> Case:
    """Return logits whose sigmoid is exactly 0 or 1 in single precision."""
    logits = 100 * _SECOND["logits"].sign()
    logits[0, 0, 0] = 250.0
    reason = (
        "In single precision their sigmoid is exactly 0 or 1, their `exp` is infinite, and a clamp "
        "cuts them off. torch has a cross-entropy that takes the logits themselves."
    )
    return Case(
        "For logits of 100 and more, ",
        {**_SECOND, "logits": logits},
        rtol=1e-4,
        not_finite="Right for small logits, but for logits of 100 and more the result is not "
        f"finite. {reason}",
        remark=reason,
    )


def _judge_gray(answer: Any) -> None:
    """Judge images that are not binary: one gray pixel in a batch is enough."""
    for what, x in _NOT_BINARY.items():
        try:
            answer(*{**_SECOND, "x": x.clone()}.values())
        except ValueError:
            continue
        except Exception as error:
            name = type(error).__name__
            raise NotYet(
                f"For {what} your function raises `{name}`. Raise a `ValueError`."
            ) from None
        raise NotYet(
            f"Right for binary images, but for {what} yours raises no exception. A Bernoulli "
            "gives a gray pixel no probability at all, so no number can be the negative ELBO. "
            "Raise a `ValueError`."
        )


def _with_pixel(value: float) -> Tensor:
    x = _SECOND["x"].clone()
    x[2, 0, 5, 7] = value
    return x


_NOT_BINARY = {
    "gray images": uniform(0, 1, *_SECOND["x"].shape, seed=41),
    "images of a single gray (how many different values there are says little)": torch.full_like(
        _SECOND["x"], 0.5
    ),
    "one gray pixel in the batch": _with_pixel(0.5),
    "one pixel that is nearly black": _with_pixel(0.004),
    "a pixel of -1 (images scaled to run from -1 to 1)": _with_pixel(-1.0),
    "a pixel of 255 (images that were never divided by 255)": _with_pixel(255.0),
}

FunctionTask(
    "mnist.batch_loss",
    number="3.2",
    title="The loss of a batch",
    answer="loss",
    reference=_loss,
    slips=_slips,
    read=single,
    cases=[
        Case("With B = 4 and D = 6, ", _FIRST),
        Case("With B = 7 and D = 3, ", _SECOND),
        _saturated(),
    ],
    further=[_judge_gray],
    gradients_by=("logits", "mean", "log_var"),
    gradient_atol=1e-6,
    praise="Summed over pixels and dimensions, averaged over the batch, and it refuses what a "
    "Bernoulli can't describe.",
)
