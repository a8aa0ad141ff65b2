"""What likelihoods ask of their arguments, with messages that name the remedy."""

import torch
from torch import Tensor

from companion._require.arguments import (
    require_finite,
    require_generator,
    require_same_device,
    require_tensor,
)


def require_output(output: Tensor, generator: torch.Generator | None) -> None:
    """Raise unless one can draw from a decoder's output with the generator."""
    require_tensor(output=output)
    require_generator(generator, output.device)
    require_finite(output=output)


def require_event(x: Tensor, output: Tensor, name: str = "output") -> None:
    """Raise unless x is (B, *event), and the output is the same or (S, B, *event)."""
    require_tensor(x=x, **{name: output})
    require_same_device(x=x, **{name: output})
    if x.dim() < 2 or output.shape[max(output.dim() - x.dim(), 0) :] != x.shape:
        raise ValueError(
            f"`{name}` has shape {tuple(output.shape)} and `x` has shape {tuple(x.shape)}. "
            f"x is (B, *event), and `{name}` must be the same or (S, B, *event). "
            f"Reshape one of them, for example x.reshape(len(x), -1)."
        )
    require_finite(x=x, **{name: output})
