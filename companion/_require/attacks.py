"""What attacks ask of the model, the images, the labels and the loss, and what they warn of.

An error says that no attack is possible. A warning says that an attack is, but that its result may
mean less than it seems to: a network that does not break may only hide its gradients.
"""

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from companion._require.arguments import (
    checks_values,
    require_finite,
    require_function,
    require_in,
    require_range,
    require_same_device,
    require_same_dtype,
)
from companion._require.labels import require_whole_numbers
from companion._require.signature import EXAMPLES, AtLeastZero, Rule, one_of

_PACKAGE = str(Path(__file__).resolve().parents[1])
_ROUNDING = 1e-6  # how far a pixel may lie outside [0, 1]: float32 arithmetic leaves so much
_MANY = 0.01  # the share of examples without a gradient that calls for a warning


def _warn(message: str) -> None:
    """Warn at the line of the caller's own program, however deep in this package we are."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)


# What is attacked


def require_attackable(**models: Any) -> None:
    """Raise TypeError unless every argument is a module or a function of x."""
    for name, model in models.items():
        if isinstance(model, type) or not callable(model):
            found = f"the class {model.__name__}" if isinstance(model, type) else repr(model)
            raise TypeError(
                f"`{name}` must be a module or a function of x, but it is {found}. Pass an "
                f"instance, a method such as vae.encode, or lambda x: classifier(purifier(x))."
            )


def module_of(model: Any) -> nn.Module | None:
    """Return the module that a model is, or whose method it is; None for a plain function."""
    owner = model if isinstance(model, nn.Module) else getattr(model, "__self__", None)
    return owner if isinstance(owner, nn.Module) else None


def require_like_model(model: Any, x: Tensor) -> None:
    """Raise unless x is on the device and of the dtype of the model's first parameter."""
    module = module_of(model)
    weight = next(module.parameters(), None) if module is not None else None
    if weight is not None and weight.is_floating_point():
        require_same_device(model=weight, x=x)
        if weight.element_size() >= 4:  # a network in half precision may convert by itself
            require_same_dtype(model=weight, x=x)


def warn_of_training_mode(model: Any) -> None:
    """Warn if a module of the model is in training mode."""
    module = module_of(model)
    if not checks_values() or module is None:
        return
    training = [type(part).__name__ for part in module.modules() if part.training]
    if training:
        _warn(
            f"{len(training)} of the model's modules are in training mode, a {training[-1]} among "
            f"them: dropout and batch norm then answer differently, and batch norm changes its "
            f"statistics. Call model.eval() first, or attack inside `with evaluating(model):`."
        )


# Images, and the size of a perturbation


def require_pixels(**images: Tensor) -> None:
    """Raise ValueError if images leave [0, 1] by more than rounding."""
    for name, image in images.items():
        if checks_values() and not image.is_meta and not _in_range(image):
            require_range(
                0, 1, "Scale pixels to [0, 1], and normalize in the model's first layer.",
                **{name: image},
            )  # fmt: skip


def _in_range(image: Tensor) -> bool:
    low, high = torch.aminmax(image.detach())  # one pass; NaN lies in no range
    return bool((low >= -_ROUNDING) & (high <= 1 + _ROUNDING))


def require_pixel_units(eps: float, norm: str) -> None:
    """Raise ValueError if eps is larger than the whole range of a pixel."""
    if norm == "linf" and eps > 1:
        raise ValueError(
            f"`eps` is {eps:g}, but pixels lie in [0, 1], and eps = 1 already allows every image. "
            f"If pixels run to 255 elsewhere, write eps={eps:g} / 255."
        )


def require_step_size(**numbers: Any) -> None:
    """Raise unless every argument is a finite number above zero."""
    remedy = (
        " Leave it out for 2.5 * eps / steps; targeted=True turns the direction, not a negative "
        "step."
    )
    require_in(lambda size: 0 < size < torch.inf, "positive and finite", remedy, **numbers)


def require_restarts(restarts: int, random_start: bool) -> None:
    """Raise ValueError if several starts would all be the same."""
    if restarts > 1 and not random_start:
        raise ValueError(
            f"`restarts` is {restarts}, but without a random start every one is the same. "
            f"Pass random_start=True."
        )


# Labels and logits


def require_labels(logits: Tensor, y: Any) -> None:
    """Raise unless y holds one class for each row of logits."""
    require_whole_numbers("y", y, "If they are no classes, pass another `loss`.")
    if y.shape != logits.shape[-2:-1]:
        raise ValueError(
            f"`y` has shape {tuple(y.shape)}, but the logits have shape {tuple(logits.shape)}: "
            f"one class for each example, {tuple(logits.shape[-2:-1])}, is expected. One-hot "
            f"rows become classes by y.argmax(1)."
        )
    require_same_device(y=y, logits=logits)
    if checks_values() and not y.is_meta and (y.min() < 0 or y.max() >= logits.shape[-1]):
        raise ValueError(
            f"`y` runs from {y.min()} to {y.max()}, but there are {logits.shape[-1]} logits: "
            f"classes 0 to {logits.shape[-1] - 1} are expected. Number the classes from 0 on."
        )


def require_classes_for(loss: str, logits: Tensor, fewest: int) -> None:
    """Raise ValueError if there are too few classes for a loss."""
    if logits.shape[-1] < fewest:
        raise ValueError(
            f"`logits` has shape {tuple(logits.shape)}, but {loss} compares the {fewest} largest "
            f"of an example. Take `margin` or `cross_entropy` for fewer than {fewest} classes."
        )


def warn_of_probabilities(**logits: Tensor) -> None:
    """Warn if logits look like probabilities: no number is negative, and each row sums to one."""
    for name, tensor in logits.items():
        if not checks_values() or tensor.is_meta or tensor.shape[-1] < 2:
            continue
        sums = tensor.detach().sum(-1)
        if bool(((tensor >= 0).all()) & ((sums - 1).abs() < 1e-4).all()):
            _warn(
                f"`{name}` look like probabilities: no number is negative, and each row sums to 1. "
                f"Attack the logits, before the softmax: a second softmax hides the gradients."
            )


# The loss and its gradient


def require_losses(losses: Any, n: int) -> None:
    """Raise unless the loss gave one number for each example, (B,), or for samples, (S, B)."""
    if not isinstance(losses, Tensor):
        raise TypeError(
            f"`loss` must return a tensor, one number for each example, but it returned a "
            f"{type(losses).__name__}. Stay in torch: .item() and numpy cut gradients off."
        )
    if losses.dim() not in (1, 2) or losses.shape[-1] != n:
        raise ValueError(
            f"`loss` returned shape {tuple(losses.shape)}, but one number for each example, "
            f"({n},), is expected, or (S, {n}) for S samples. Neither sum nor average over the "
            f"batch: reduction='none'."
        )


def require_path(reaches: bool) -> None:
    """Raise ValueError unless the loss depends on x in a way that autograd can see."""
    if not reaches:
        raise ValueError(
            "No gradient of the loss reaches x. Look for torch.no_grad(), .detach(), .argmax() or "
            "numpy inside the model, and for torch.inference_mode() around the attack. Give a part "
            "of the model another backward pass: companion.attacks.bpda(part)."
        )


def require_usable(gradient: Tensor) -> None:
    """Raise if a gradient is not finite; warn if it is exactly zero for many examples."""
    if not checks_values() or gradient.is_meta:
        return
    if not bool(torch.isfinite(gradient.sum())):
        require_finite(**{"the gradient of the loss": gradient})
    zero = int((gradient.flatten(1).count_nonzero(1) == 0).sum())
    if zero > _MANY * len(gradient):
        _warn(
            f"The gradient of the loss is exactly zero for {zero} of {len(gradient)} examples: "
            f"the attack can't move them, and they may only look robust (masked gradients). Try "
            f"random_start=True, the loss `margin` or `dlr`, and `bpda` for a part that is "
            f"constant or rounds."
        )


def require_finite_result(x_adv: Tensor) -> None:
    """Raise ValueError if an attack has run into NaN."""
    if checks_values() and not x_adv.is_meta and not bool(torch.isfinite(x_adv.sum())):
        bad = int((~torch.isfinite(x_adv.flatten(1))).any(1).sum())
        raise ValueError(
            f"The attack met gradients that are NaN or infinite in {bad} of {len(x_adv)} examples. "
            f"Find where they arise; torch.autograd.set_detect_anomaly(True) helps."
        )


Attackable = Annotated[Callable[..., Any], Rule("a module or a function of x", require_attackable)]
Images = Annotated[Float[Tensor, " B *event"], EXAMPLES, Rule("in [0, 1]", require_pixels)]
LOGITS = Rule("logits, not probabilities", warn_of_probabilities)
Radius = AtLeastZero
StepSize = Annotated[float | None, Rule("above 0", require_step_size)]
Norm = Annotated[str, one_of("linf", "l2")]
Loss = Annotated[Callable[[Any, Any], Tensor], Rule("a function", require_function)]
