"""What robust accuracy asks of attacks, with messages that name the remedy."""

from typing import Any

import torch
from torch import Tensor

from companion._require.arguments import require_function

_ROUNDING = 1e-5  # how far outside the ball or [0, 1] float32 arithmetic may leave an image


def require_share(n_successes: Any, n: Any, confidence: Any) -> None:
    """Raise unless n_successes are some of n, and confidence lies between 0 and 1."""
    if not 0 <= n_successes <= n or n < 1:
        raise ValueError(
            f"`n_successes` is {n_successes} and `n` is {n}, but 0 <= n_successes <= n with "
            f"n >= 1 is expected. Pass counts, not shares."
        )
    if not 0 < confidence < 1:
        raise ValueError(
            f"`confidence` must lie between 0 and 1, but it is {confidence}. Write 0.95 for 95 %."
        )


def require_one_each(x: Tensor, y: Tensor) -> None:
    """Raise ValueError unless there is one class for each image."""
    if len(x) != len(y):
        raise ValueError(
            f"`x` holds {len(x)} images and `y` {len(y)} classes, but one class for each image is "
            f"expected. Take both from the same split of the data."
        )


def require_attacks(attacks: Any) -> None:
    """Raise unless the argument is a mapping from names to functions."""
    if not hasattr(attacks, "items"):
        raise TypeError(
            f"`attacks` must be a dict of named attacks, but it is a {type(attacks).__name__}. "
            f'Pass {{"pgd": functools.partial(pgd, eps=0.1)}}.'
        )
    require_function(**{f"attacks[{name!r}]": attack for name, attack in attacks.items()})


def require_allowed(name: str, x_adv: Any, x: Tensor, eps: float | None, norm: str) -> None:
    """Raise unless an attack returned images like x, in [0, 1], no farther away than eps."""
    if not isinstance(x_adv, Tensor) or x_adv.shape != x.shape:
        found = f"shape {tuple(x_adv.shape)}" if isinstance(x_adv, Tensor) else repr(x_adv)
        raise ValueError(
            f"The attack {name!r} returned {found}, but images of shape {tuple(x.shape)} are "
            f"expected. An attack is a function (model, x, y) -> x_adv."
        )
    if not bool(((x_adv >= -_ROUNDING) & (x_adv <= 1 + _ROUNDING)).all()):
        raise ValueError(
            f"The attack {name!r} returned pixels from {x_adv.min():g} to {x_adv.max():g}, but "
            f"[0, 1] is expected. Its last step must be a projection: project(x_adv, x, eps=...)."
        )
    order = {"linf": torch.inf, "l2": 2}[norm]
    length = torch.linalg.vector_norm((x_adv - x).flatten(1), ord=order, dim=1).max().item()
    if eps is not None and length > eps + _ROUNDING:
        raise ValueError(
            f"The attack {name!r} returned an image at the distance {length:g}, but `eps` is "
            f"{eps:g}. Its last step must be a projection: project(x_adv, x, eps=...)."
        )
