"""What is asked of labels and clusters, with messages that name the remedy."""

from typing import Any

from torch import Tensor


def require_classes(**tensors: Tensor) -> None:
    """Raise unless all tensors hold classes, whole numbers from 0 on, and have one length."""
    for name, tensor in tensors.items():
        require_whole_numbers(name, tensor)
        if tensor.dim() != 1 or len(tensor) == 0 or bool((tensor < 0).any()):
            raise ValueError(
                f"`{name}` must have shape (N,) with N >= 1 and hold no negative number, but its "
                f"shape is {tuple(tensor.shape)}. Number the classes from 0 on."
            )
    if len({len(tensor) for tensor in tensors.values()}) > 1:
        lengths = ", ".join(f"`{name}` has {len(tensor)}" for name, tensor in tensors.items())
        raise ValueError(f"One cluster and one label for each example are expected, but {lengths}.")


def require_labels_of_points(z: Tensor, labels: Tensor, n_classes: int) -> None:
    """Raise unless z are points of the plane, and labels give each one of the classes."""
    require_whole_numbers("labels", labels)
    if z.dim() != 2 or z.shape[1] != 2 or labels.shape != z.shape[:1] or len(z) == 0:
        raise ValueError(
            f"`z` has shape {tuple(z.shape)} and `labels` has shape {tuple(labels.shape)}, but "
            f"(N, 2) and (N,) with N >= 1 are expected."
        )
    if labels.min() < 0 or labels.max() >= n_classes:
        raise ValueError(
            f"`labels` run from {labels.min()} to {labels.max()}, but 0 to {n_classes - 1} are "
            f"expected: there are {n_classes} colors."
        )


def require_whole_numbers(name: str, value: Any, remedy: str = "") -> None:
    """Raise TypeError unless the argument is a tensor of whole numbers."""
    if isinstance(value, Tensor) and not (value.is_floating_point() or value.is_complex()):
        return
    found, convert = f"a {type(value).__name__}", f"torch.as_tensor({name}).long()"
    if isinstance(value, Tensor):
        found, convert = f"of {value.dtype}", f"{name}.long()"
    raise TypeError(
        f"`{name}` must be a tensor of whole numbers, but it is {found}. Convert it first: "
        f"{convert}. {remedy}".rstrip()
    )
