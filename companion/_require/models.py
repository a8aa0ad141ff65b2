"""What models ask of their parts and their data, with messages that name the remedy."""

from typing import Any

from torch import nn

from companion._require.arguments import require_last_axis, require_tensor


def require_vae(**models: Any) -> None:
    """Raise TypeError unless every argument is a module that encodes, decodes and has a prior."""
    for name, model in models.items():
        if not isinstance(model, nn.Module) or not hasattr(model, "encode"):
            raise TypeError(
                f"`{name}` must be a VAE, but it is a {type(model).__name__}. "
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
