"""Learning-rate schedules: pure functions of progress, which goes from 0 to 1.

`fit` multiplies its learning rate by what a schedule returns before each step. Nothing is
remembered between steps, so a run that resumes needs no state of it.
"""

import math
from collections.abc import Callable, Mapping

from companion._require import training as require

Schedule = Callable[[float], float]


def constant(progress: float) -> float:
    """Return 1: the learning rate stays.

    >>> constant(0.5)
    1.0
    """
    return 1.0


def cosine(*, warm_up: float = 0.0, final: float = 0.0) -> Schedule:
    r"""Fall along half a cosine wave, $f + (1 - f)(1 + \cos \pi t) / 2$, after a linear warm-up.

    Args:
        warm_up: the fraction of the training in which the rate rises from 0 to its maximum.
        final: the factor f at the end.

    Reference: Loshchilov and Hutter (2017), equation (5), without restarts.

    >>> schedule = cosine(final=0.1)
    >>> [round(schedule(t), 3) for t in (0.0, 0.5, 1.0)]
    [1.0, 0.55, 0.1]
    """
    require.check_fractions(warm_up=warm_up, final=final)

    def schedule(progress: float) -> float:
        if progress < warm_up:
            return progress / warm_up
        t = (progress - warm_up) / (1 - warm_up) if warm_up < 1 else 1.0
        return final + (1 - final) * (1 + math.cos(math.pi * t)) / 2

    return schedule


def steps(factors: Mapping[float, float]) -> Schedule:
    """Change the rate at given moments, and keep it in between.

    Args:
        factors: the factor from each moment on, a fraction of the training; 1 before the first.

    >>> schedule = steps({0.5: 0.3, 0.8: 0.1})
    >>> [schedule(t) for t in (0.0, 0.5, 0.7, 0.9)]
    [1.0, 0.3, 0.3, 0.1]
    """
    require.check_fractions(**{f"factors' moment {at}": at for at in factors})

    def schedule(progress: float) -> float:
        passed = [at for at in factors if at <= progress]
        return factors[max(passed)] if passed else 1.0

    return schedule
