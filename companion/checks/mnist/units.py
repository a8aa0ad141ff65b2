"""Check of the active units."""

from itertools import product

import numpy as np
import torch
from torch import Tensor

from companion.checks.authoring import Case, FunctionTask, Slips, as_tensor

_N = 40
# Between them lie the thresholds of every other measure of spread, so that none equals another.
_VARIANCES = (1e-6, 1.7e-5, 6e-5, 1.15e-4, 1.9e-4, 0.002, 0.06, 0.7)


def _codes() -> tuple[Tensor, Tensor]:
    """Return means and log-variances (N, D) of units that differ in whatever can be mistaken.

    Every combination of the mean's spread and offset with the log-variance's spread and offset
    occurs once.
    """
    pattern = torch.linspace(-1, 1, _N, dtype=torch.float64)
    pattern = pattern / pattern.var().sqrt()
    other = pattern.roll(7) * torch.tensor([1.0, -1.0]).repeat(_N // 2)
    other = (other - other.mean()) / other.var().sqrt()
    units = list(product(_VARIANCES, (0.0, 1.5, -0.9), (0.0, -6.0), (0.0, 1.0)))
    order = torch.randperm(len(units), generator=torch.Generator().manual_seed(5))
    variance, offset, log_var, spread = torch.tensor(units, dtype=torch.float64)[order].T
    mean = offset + variance.sqrt() * pattern[:, None]
    return mean.float(), (log_var + spread * other[:, None]).float()


def _active(mean: Tensor, log_var: Tensor, threshold: float) -> Tensor:
    return (mean.var(0) > threshold).double()


def _other_statistics(mean: Tensor, log_var: Tensor) -> dict[str, list[Tensor]]:
    """Return what may be compared with the threshold in place of the variance; each (D,)."""
    variances, error = log_var.exp(), mean - mean.mean(0)
    quartiles = mean.quantile(torch.tensor([0.25, 0.75], dtype=mean.dtype), dim=0)
    return {
        "You compared the standard deviation of the means. The definition has the variance, its "
        "square.": [mean.std(0)],
        "You measured how far the means spread, but not by their variance: a range or an average "
        "distance is another number.": [
            mean.amax(0) - mean.amin(0),
            quartiles[1] - quartiles[0],
            error.abs().mean(0),
            error.abs().amax(0),
        ],
        "You summed the squared deviations over the images. Their mean is the variance.": [
            (error**2).sum(0)
        ],
        "You took the variance of `log_var`. It is the mean of q(z | x) that has to change with "
        "x.": [log_var.var(0)],
        "You took the variance of the posterior variances. It is the mean of q(z | x) that has to "
        "change with x.": [variances.var(0)],
        "You compared the posterior variance, how uncertain a code is. Ask how its mean varies "
        "from image to image.": [variances.mean(0), log_var.mean(0).exp()],
        "This is the variance of z itself, noise included: near 1 for every unit, active or not. "
        "Leave the posterior variance out.": [mean.var(0) + variances.mean(0)],
        "You took the mean square. A unit whose mean is the same for every image says nothing "
        "about the image: subtract the average first.": [(mean**2).mean(0)],
        "You subtracted one average for all units. Each unit has an average of its own.": [
            ((mean - mean.mean()) ** 2).mean(0)
        ],
        "You compared the size of the means. A unit whose mean is the same for every image says "
        "nothing about the image.": [mean.mean(0).abs(), mean.abs().mean(0), mean.abs().amax(0)],
        "You compared the means themselves, not their variance.": [mean.mean(0), mean.amax(0)],
        "You compared the KL divergence of each unit. A constant mean or variance costs "
        "divergence too, and says nothing about the image.": [
            0.5 * (mean**2 + variances - 1 - log_var).mean(0)
        ],
    }


def _slips(mean: Tensor, log_var: Tensor, threshold: float) -> Slips:
    active = mean.var(0) > threshold
    slips = {
        hint: [each > threshold for each in values]
        for hint, values in _other_statistics(mean, log_var).items()
    }
    slips |= {
        "You marked the inactive units. Active ones vary by more than the threshold.": [~active],
        "You return how many units are active. Return which: one entry for each unit.": [
            active.sum()
        ],
        "You return the positions of the active units. Return a mask: True or False for each "
        "unit.": [active.nonzero()[:, 0], active.nonzero()],
        "You return the variances. Compare them with the threshold.": [
            mean.var(0),
            mean.var(0, correction=0),
        ],
        "Your result has one entry for each image. Take the variance over the images, the first "
        "axis, so that one entry is left for each unit.": [
            value > threshold for value in (mean.var(1), mean.std(1), log_var.var(1))
        ],
        "You took one variance over all images and units. Each unit has its own: reduce the first "
        "axis only.": [mean.var() > threshold],
    }
    return {hint: [value.double() for value in values] for hint, values in slips.items()}


def _as_mask(result: object) -> Tensor:
    """Return a mask, or whatever else the learner returned, as a tensor of numbers."""
    if isinstance(result, (list, tuple)):
        result = [_as_mask(each) for each in result]
    elif isinstance(result, (bool, np.bool_)):
        result = float(result)
    elif isinstance(result, np.ndarray) and result.dtype == bool:
        result = result.astype(float)
    elif isinstance(result, Tensor) and result.dtype == torch.bool:
        result = result.float()
    return as_tensor(result).double()


def _difference(case: Case, result: Tensor, right: Tensor) -> str:
    """Say in which unit the result differs, or that it has a wrong shape."""
    mean = case.arguments["mean"].double()
    if result.shape != right.shape:
        return (
            f"{case.setting}your result has shape {tuple(result.shape)}; it should be "
            f"{tuple(right.shape)}."
        )
    if not ((result == 0) | (result == 1)).all():
        return f"{case.setting}your result holds other numbers than True and False (or 1 and 0)."
    unit = int((result != right).nonzero()[0])
    return (
        f"{case.setting}unit {unit} should be {'active' if right[unit] else 'inactive'}, and yours "
        f"says the contrary. The variance of its means is {mean[:, unit].var():.3g}."
    )


_MEAN, _LOG_VAR = _codes()


def _case(threshold: float, slips: Slips | None = None) -> Case:
    return Case(
        f"With N = {_N}, D = {_MEAN.shape[1]} and threshold = {threshold}, ",
        {"mean": _MEAN, "log_var": _LOG_VAR, "threshold": threshold},
        rtol=1e-3,
        atol=1e-9,
        slips=slips,
    )


_FIXED = "You compared with 0.01, whatever `threshold` is."

FunctionTask(
    "mnist.active_units",
    number="3.3",
    title="Which units are active?",
    answer="is_active",
    reference=_active,
    slips=_slips,
    read=_as_mask,
    cases=[_case(0.01), _case(0.25, {_FIXED: _active(_MEAN.double(), _LOG_VAR, 0.01)})],
    difference=_difference,
    praise="Both thresholds are right. The log-variances were not needed at all. And a unit with "
    "one Gaussian for every image is not active, whatever it costs: the run with the learning rate "
    "0.1 has twenty of them.",
)
