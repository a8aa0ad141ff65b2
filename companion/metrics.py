"""Numbers that a chapter reports, each with its uncertainty."""

import math
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from companion._validate import require_finite, require_tensor


class Estimate(NamedTuple):
    """A mean and its standard error."""

    mean: float
    standard_error: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} ± {self.standard_error:.3f}"


def mean_with_error(values: Float[Tensor, "*n"]) -> Estimate:
    r"""Return the mean of independent values, and the standard error of that mean.

    .. math:: \bar v \pm \sqrt{\frac{1}{n(n-1)} \sum_i (v_i - \bar v)^2}

    Args:
        values: at least two independent numbers.

    Returns:
        `Estimate(mean, standard_error)`, Python floats in the unit of the values.

    Raises:
        TypeError: `values` is no tensor of floating-point numbers.
        ValueError: fewer than two values, or a value is not finite.

    >>> import torch
    >>> mean_with_error(torch.tensor([1.0, 3.0]))
    Estimate(mean=2.0, standard_error=1.0)
    """
    require_tensor(values=values)
    if values.numel() < 2:
        raise ValueError(
            f"`values` holds {values.numel()} numbers, but a standard error needs at least two. "
            f"Draw more samples."
        )
    require_finite(values=values)
    values = values.detach().cpu().double()
    return Estimate(values.mean().item(), values.std().item() / math.sqrt(values.numel()))
