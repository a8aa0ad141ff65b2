r"""What an attack on a classifier maximizes: losses of logits, one number for each example.

A loss is any function `loss(output, y)` of the model's output and of y that gives one number for
each example. To attack something else than a classifier, write another one.

Axes: S samples of a random model (leading), B batch, K classes.
"""

from typing import Annotated, Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from companion._require.attacks import LOGITS, require_classes_for, require_labels
from companion._require.signature import checked

_TINY = 1e-12  # keeps 0 / 0 away where the three largest logits are equal


@checked
def cross_entropy(
    logits: Annotated[Float[Tensor, "*S B K"], LOGITS], y: Any
) -> Float[Tensor, "*S B"]:
    r"""Cross-entropy of each example, in nats.

    .. math:: \ell(z, y) = -\log \frac{e^{z_y}}{\sum_k e^{z_k}}

    Its gradient vanishes where the network is sure and right: by the factor 1 - p(y | x), which is
    zero in float32 once z_y leads by more than about 100. Scaling all logits up is enough.

    Args:
        logits: shape (B, K), or (S, B, K).
        y: classes, whole numbers from 0 to K - 1, shape (B,).

    Returns:
        Shape (B,) or (S, B).

    Reference: Goodfellow, Shlens and Szegedy (2015), section 4, where the loss is called J.

    >>> cross_entropy(torch.zeros(1, 10), torch.tensor([3]))
    tensor([2.3026])
    """
    require_labels(logits, y)
    classes = y.long().expand(logits.shape[:-1])
    return F.cross_entropy(logits.movedim(-1, 1), classes, reduction="none")  # one fused pass


@checked
def margin(logits: Annotated[Float[Tensor, "*S B K"], LOGITS], y: Any) -> Float[Tensor, "*S B"]:
    r"""By how much the best other class beats y: above zero exactly if y is not predicted.

    .. math:: \ell(z, y) = \max_{k \ne y} z_k - z_y

    Args:
        logits: shape (B, K), or (S, B, K), with K >= 2.
        y: classes, whole numbers from 0 to K - 1, shape (B,).

    Returns:
        Shape (B,) or (S, B).

    Reference: Carlini and Wagner (2017), section V.A, objective f_6, without its floor at zero.

    >>> margin(torch.tensor([[2.0, 5.0, 1.0]]), torch.tensor([1]))
    tensor([-3.])
    """
    require_classes_for("margin", logits, 2)
    require_labels(logits, y)
    return _best_other(logits, y) - _of_class(logits, y)


@checked
def dlr(logits: Annotated[Float[Tensor, "*S B K"], LOGITS], y: Any) -> Float[Tensor, "*S B"]:
    r"""The difference of logits ratio: the margin in units of a gap between the largest logits.

    .. math:: \ell(z, y) = -\frac{z_y - \max_{k \ne y} z_k}{z_{\pi_1} - z_{\pi_3}}

    where pi orders the logits from the largest on. It does not change when all logits are scaled or
    shifted, so a network cannot hide its gradients by being loud.

    Args:
        logits: shape (B, K), or (S, B, K), with K >= 3.
        y: classes, whole numbers from 0 to K - 1, shape (B,).

    Returns:
        Shape (B,) or (S, B).

    Reference: Croce and Hein (2020).

    >>> dlr(torch.tensor([[2.0, 5.0, 1.0]]), torch.tensor([1]))
    tensor([-0.7500])
    """
    require_classes_for("dlr", logits, 3)
    require_labels(logits, y)
    largest = logits.topk(3, dim=-1).values
    gap = largest[..., 0] - largest[..., 2]
    return (_best_other(logits, y) - _of_class(logits, y)) / (gap + _TINY)


def _of_class(numbers: Tensor, y: Tensor) -> Tensor:
    index = y.long().expand(numbers.shape[:-1])[..., None]
    return numbers.gather(-1, index).squeeze(-1)


def _best_other(logits: Tensor, y: Tensor) -> Tensor:
    others = F.one_hot(y.long(), logits.shape[-1]).bool()
    return logits.masked_fill(others, -torch.inf).amax(-1)
