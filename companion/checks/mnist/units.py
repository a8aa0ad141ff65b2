"""Check of the active units."""

import numpy as np
import torch
from torch import Tensor

from companion.checks.authoring import NotYet, as_tensor, call, exercise

_N = 40


def _codes() -> tuple[Tensor, Tensor]:
    """Return means and log-variances (N, D) of units that differ in whatever can be mistaken.

    Every combination of the mean's spread and offset with the log-variance's spread and offset
    occurs once.
    """
    pattern = torch.linspace(-1, 1, _N, dtype=torch.float64)
    pattern = pattern / pattern.var().sqrt()
    other = pattern.roll(7) * torch.tensor([1.0, -1.0]).repeat(_N // 2)
    other = (other - other.mean()) / other.var().sqrt()
    means, log_vars = [], []
    for variance in (1e-6, 0.002, 0.06, 0.7):
        for offset in (0.0, 1.5, -1.5):
            for log_var in (0.0, -6.0):
                for spread in (0.0, 1.0):
                    means.append(offset + variance**0.5 * pattern)
                    log_vars.append(log_var + spread * other)
    order = torch.randperm(len(means), generator=torch.Generator().manual_seed(5))
    return torch.stack(means, 1)[:, order].float(), torch.stack(log_vars, 1)[:, order].float()


def _statistics(mean: Tensor, log_var: Tensor) -> dict[str, list[Tensor]]:
    """Return what is compared with the threshold, right (no hint) and wrong; each (D,)."""
    spread, variances = mean.var(0), log_var.exp()
    return {
        "": [spread],
        "You compared the standard deviation of the means. The definition has the variance, its "
        "square.": [mean.std(0)],
        "You took the variance of `log_var`. It is the mean of q(z | x) that has to change with "
        "x.": [log_var.var(0)],
        "You took the variance of the posterior variances. It is the mean of q(z | x) that has to "
        "change with x.": [variances.var(0)],
        "You compared the posterior variance, how uncertain a code is. Ask how its mean varies "
        "from image to image.": [variances.mean(0), log_var.mean(0).exp()],
        "This is the variance of z itself, noise included: near 1 for every unit, active or not. "
        "Leave the posterior variance out.": [spread + variances.mean(0)],
        "You took the mean square. A unit whose mean is the same for every image says nothing "
        "about the image: subtract the average first.": [(mean**2).mean(0)],
        "You compared the size of the means. A unit whose mean is the same for every image says "
        "nothing about the image.": [mean.mean(0).abs(), mean.abs().mean(0), mean.abs().amax(0)],
        "You compared the means themselves, not their variance.": [mean.mean(0), mean.amax(0)],
        "You compared the KL divergence of each unit. A constant mean or variance costs "
        "divergence too, and says nothing about the image.": [
            0.5 * (mean**2 + variances - 1 - log_var).mean(0)
        ],
    }


def _slips(mean: Tensor, log_var: Tensor, threshold: float) -> dict[str, list[Tensor]]:
    """Return wrong results by their hints."""
    statistics = _statistics(mean, log_var)
    spread = statistics.pop("")[0]
    masks = {hint: [each > threshold for each in values] for hint, values in statistics.items()}
    active = spread > threshold
    return {
        **masks,
        "You marked the inactive units. Active ones vary by more than the threshold.": [~active],
        "You compared with 0.01, whatever `threshold` is.": [spread > 0.01],
        "You return how many units are active. Return which: one entry for each unit.": [
            active.sum()
        ],
        "You return the positions of the active units. Return a mask: True or False for each "
        "unit.": [active.nonzero()[:, 0], active.nonzero()],
        "You return the variances. Compare them with the threshold.": [
            spread,
            mean.var(0, correction=0),
        ],
        "Your result has one entry for each image. Take the variance over the images, the first "
        "axis, so that one entry is left for each unit.": [
            value > threshold for value in (mean.var(1), mean.std(1), log_var.var(1))
        ],
        "You took one variance over all images and units. Each unit has its own: reduce the first "
        "axis only.": [mean.var() > threshold],
    }


def _as_mask(result: object) -> Tensor:
    """Return a mask, or whatever else the learner returned, as a tensor of numbers."""
    if isinstance(result, Tensor) and result.dtype == torch.bool:
        result = result.float()
    if isinstance(result, (np.ndarray, np.generic)) and result.dtype == bool:
        result = result.astype(float)
    if isinstance(result, bool):
        result = float(result)
    if isinstance(result, (list, tuple)):
        result = [float(each) if isinstance(each, (bool, np.bool_)) else each for each in result]
        result = [each.float() if isinstance(each, Tensor) else each for each in result]
    return as_tensor(result).double()


def _equals(got: Tensor, other: Tensor) -> bool:
    return got.shape == other.shape and torch.allclose(got, other.double(), rtol=1e-3, atol=1e-9)


@exercise("mnist.active_units", number="3.3", answer="is_active", title="Which units are active?")
def active_units(answer: object) -> str:
    """Judge `is_active(mean, log_var, threshold)`: (N, D) codes to a mask (D,)."""
    mean, log_var = _codes()
    for threshold in (0.01, 0.25):
        arguments = {"mean": mean, "log_var": log_var, "threshold": threshold}
        result = _as_mask(call(answer, **arguments))
        right = mean.double().var(0) > threshold
        if _equals(result, right):
            continue
        for hint, wrong in _slips(mean.double(), log_var.double(), threshold).items():
            if any(_equals(result, value) for value in wrong):
                raise NotYet(hint)
        raise NotYet(_difference(result, right, mean, threshold))
    return (
        "Both thresholds are right. The log-variances were not needed at all. And a unit with one "
        "Gaussian for every image is not active, whatever it costs: the run with the learning rate "
        "0.1 has twenty of them."
    )


def _difference(result: Tensor, right: Tensor, mean: Tensor, threshold: float) -> str:
    """Say in which unit the result differs, or that it has a wrong shape."""
    n_images, n_units = mean.shape
    begin = f"With N = {n_images}, D = {n_units} and threshold = {threshold}, "
    if result.shape != right.shape:
        return f"{begin}your result has shape {tuple(result.shape)}; it should be ({n_units},)."
    if not ((result == 0) | (result == 1)).all():
        return f"{begin}your result holds other numbers than True and False (or 1 and 0)."
    unit = int((result != right).nonzero()[0])
    values = mean[:, unit].double()
    return (
        f"{begin}unit {unit} should be {'active' if right[unit] else 'inactive'}, and yours says "
        f"the contrary. The variance of its means is {values.var():.3g}."
    )
