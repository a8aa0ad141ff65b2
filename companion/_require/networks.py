"""What networks ask of their arguments, with messages that name the remedy."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from companion._require.arguments import (
    checks_values,
    require_count,
    require_last_axis,
    require_same_device,
    require_same_dtype,
    require_tensor,
)


def require_sizes(**sizes: Any) -> None:
    """Raise unless every argument is a sequence of whole numbers of at least one."""
    for name, value in sizes.items():
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise TypeError(
                f"`{name}` must be a sequence of whole numbers, but it is {value!r}. "
                f"One number becomes a tuple by a comma: ({value},)."
            )
        for size in value:
            require_count(**{name: size})


def require_activation(activation: Any) -> None:
    """Raise TypeError unless the argument is a class of modules."""
    if not (isinstance(activation, type) and issubclass(activation, nn.Module)):
        raise TypeError(
            f"`activation` must be a class of torch.nn, but it is {activation!r}. "
            f"Pass the class itself: nn.Tanh, not nn.Tanh() and not torch.tanh."
        )


def require_codes(z: Tensor, latent_dim: int, network: nn.Module) -> None:
    """Raise unless z are codes, (B, D) or (S, B, D), that fit the network."""
    if not checks_values():
        return
    require_tensor(z=z)
    if z.dim() < 2:
        raise ValueError(
            f"`z` has shape {tuple(z.shape)}, but codes (B, {latent_dim}) or (S, B, {latent_dim}) "
            f"are expected. One code becomes a batch of one by z[None]."
        )
    require_last_axis(latent_dim, z=z)
    _require_like_weights(network, z=z)


def _require_like_weights(network: nn.Module, **tensors: Tensor) -> None:
    weight = next(network.parameters())
    require_same_device(**tensors, model=weight)
    if not _autocast_converts(weight.device.type):
        require_same_dtype(**tensors, model=weight)


def _autocast_converts(device: str) -> bool:
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


def require_event_shape(x: Tensor, event_shape: tuple[int, ...], network: nn.Module) -> None:
    """Raise unless x is a batch of events that fits the network."""
    if not checks_values():
        return
    require_tensor(x=x)
    if tuple(x.shape[1:]) != event_shape:
        raise ValueError(
            f"`x` has shape {tuple(x.shape)}, but this network expects (B, "
            f"{', '.join(map(str, event_shape))}). {_remedy(tuple(x.shape), event_shape)}"
        )
    _require_like_weights(network, x=x)


def _remedy(shape: tuple[int, ...], event_shape: tuple[int, ...]) -> str:
    """Say how the shape becomes a batch of events without moving pixels to other places."""
    channels_last = (*event_shape[1:], event_shape[0])
    if len(event_shape) == 3 and shape[1:] == channels_last:
        return "Move the channels in front: x.permute(0, 3, 1, 2). A reshape would mix the pixels."
    if shape and math.prod(shape[1:]) == math.prod(event_shape):
        return f"Reshape it: x.reshape(-1, {', '.join(map(str, event_shape))})."
    if shape == event_shape:
        return "One example becomes a batch of one by x[None]."
    return "Pass data of this shape, or build the network for the other one."
