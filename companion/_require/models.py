"""What models ask of their parts and their data, with messages that name the remedy."""

from typing import Any

from torch import Tensor, nn

from companion._require.arguments import require_finite, require_last_axis, require_tensor


def require_vae(model: Any) -> None:
    """Raise TypeError unless the argument is a module that encodes, decodes and has a prior."""
    if not isinstance(model, nn.Module) or not hasattr(model, "encode"):
        raise TypeError(
            f"`model` must be a VAE, but it is a {type(model).__name__}. "
            f"Pass the whole model: VAE(encoder, decoder, likelihood, prior)."
        )


def require_gaussian(dim: int | None = None, /, **pairs: Any) -> None:
    """Raise unless every argument is a pair, a mean and a log-variance, of D = dim if given."""
    for name, pair in pairs.items():
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise TypeError(
                f"`{name}` must be a pair (mean, log_var), but it is a {type(pair).__name__}. "
                f"Collect the two tensors: DiagonalGaussian(mean, log_var)."
            )
        if dim is not None:
            require_tensor(mean=pair[0])
            require_last_axis(dim, mean=pair[0])


def require_batch(x: Tensor) -> None:
    """Raise unless x is a batch (B, *event) of finite numbers."""
    require_tensor(x=x)
    if x.dim() < 2 or len(x) == 0:
        raise ValueError(
            f"`x` has shape {tuple(x.shape)}, but a batch (B, *event) with B >= 1 is expected. "
            f"One example becomes a batch of one by x[None]."
        )
    require_finite(x=x)
