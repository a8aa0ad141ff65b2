"""How `fit` saves its state after each epoch, and continues from it.

The file holds weights, Adam's moments, the curves, and the settings of the run. It also holds the
mean loss of the first batch under the saved weights: a changed loss function or `forward` cannot be
told from its name, but it gives another number.
"""

import hashlib
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from companion.training import checkpoints

_KIND = "companion.training.fit"
# Of the mean absolute loss: another number of threads, or another GPU, rounds differently.
_TOLERANCE = 1e-3

Curves = dict[str, dict[str, list[float]]]


class _State(NamedTuple):
    """What a file of `SavedRun` holds."""

    epochs: int
    settings: dict[str, Any]
    curves: Curves
    weights: dict[str, Tensor]
    moments: dict[int, dict[str, Tensor]]
    first_loss: list[float]


class SavedRun:
    """The state of one call of `fit`, and the file that it is saved to.

    Args:
        path: the file. None: nothing is saved, and nothing restored.
        model: its state_dict is saved.
        optimizer: its state is saved.
        curves: the lists that a restored history is written into.
        first_loss: gives the mean loss and the mean absolute loss of the first batch under the
            present weights, shape (2,), on the CPU.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        curves: Curves,
        first_loss: Callable[[], Tensor],
    ) -> None:
        self.path = None if path is None else Path(path).expanduser()
        self.model = model
        self.optimizer = optimizer
        self.curves = curves
        self.settings: dict[str, Any] = {}
        self.first_loss = first_loss

    def save(self) -> None:
        """Write the state, whole or not at all."""
        if self.path is None:
            return
        moments = self.optimizer.state_dict()["state"]
        tensors = {
            **{f"model.{name}": value for name, value in self.model.state_dict().items()},
            **{f"adam.{i}.{key}": v for i, state in moments.items() for key, v in state.items()},
            # Curves are tensors, because JSON has no NaN, which a held-out curve may hold.
            **{
                f"curve.{part}.{name}": torch.tensor(curve, dtype=torch.float64, device="cpu")
                for part, curves in self.curves.items()
                for name, curve in curves.items()
            },
            "first_loss": self.first_loss(),
        }
        checkpoints.save(
            self.path,
            tensors,
            kind=_KIND,
            epochs=len(self.curves["train"].get("loss", ())),
            settings=self.settings,
            curves={part: list(curves) for part, curves in self.curves.items()},
        )

    def restore(self, epochs: int, **settings: Any) -> int:
        """Load the state into model, optimizer and curves; save the present one if there is none.

        The weights before the first epoch are saved too: an interrupted first epoch must not
        become the start of the next run.

        Args:
            epochs: how many are asked for.
            settings: what must be equal for a run to continue. Data are compared by a hash.

        Returns:
            How many epochs are done.
        """
        if self.path is None:
            return 0
        self.settings = _described(self.model, settings)
        if not self.path.exists():
            self.save()
            return 0
        state = _read(self.path)
        self._check_settings(state, epochs)
        self._load_weights(state)
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state.moments, "param_groups": groups})
        for part, curves in state.curves.items():
            self.curves[part].update(curves)
        return state.epochs

    def _load_weights(self, state: _State) -> None:
        before = {name: value.clone() for name, value in self.model.state_dict().items()}
        if state.weights.keys() != before.keys():
            names = ", ".join(sorted(state.weights.keys() ^ before.keys()))
            self._refuse(f"with other weights than the model has ({names})")
        self.model.load_state_dict(state.weights)
        saved, scale = state.first_loss
        now = self.first_loss()[0].item()
        if not _same_loss(saved, now, scale):
            self.model.load_state_dict(before)
            self._refuse(
                f"by a model whose loss on the first batch was {saved:.6g}, but with the same "
                f"weights it is now {now:.6g}: forward or loss has changed, or it draws noise from "
                f"torch's global generator: pass `generator` to every draw"
            )

    def _check_settings(self, state: _State, epochs: int) -> None:
        for name, now in self.settings.items():
            saved = state.settings.get(name)
            if saved != now:
                self._refuse(f"with {name} = {saved}, but now {name} = {now}")
        if state.epochs > epochs:
            self._refuse(f"after {state.epochs} epochs, but now epochs = {epochs}")

    def _refuse(self, difference: str) -> None:
        raise ValueError(
            f"The checkpoint `{self.path}` was saved {difference}. Undo the change to continue "
            f"that run. To begin a new one, delete the file or name another."
        )


def _read(path: Path) -> _State:
    tensors, metadata = checkpoints.load(path)
    if metadata.get("kind") != _KIND:
        raise ValueError(
            f"`{path}` was not written by fit, so fit cannot continue from it, and does "
            f"not overwrite it. Name another file in Run(checkpoint=...)."
        )
    try:
        return _State(
            epochs=_epochs(tensors, metadata),
            settings=dict(metadata["settings"]),
            curves=_curves(tensors, metadata["curves"]),
            weights=_below("model.", tensors),
            moments=_moments(_below("adam.", tensors)),
            first_loss=[tensors["first_loss"][i].item() for i in range(2)],
        )
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"The checkpoint `{path}` has an entry that this version of fit does not know, or "
            f"lacks one ({error!r}). Delete the file or name another in Run(checkpoint=...)."
        ) from error


def _epochs(tensors: dict[str, Tensor], metadata: dict[str, Any]) -> int:
    epochs = int(metadata["epochs"])
    lengths = {len(curve) for name, curve in tensors.items() if name.startswith("curve.train.")}
    if lengths - {epochs} or (not lengths and epochs != 0):
        raise ValueError(f"epochs = {epochs}, but curves over {sorted(lengths)} epochs")
    return epochs


def _curves(tensors: dict[str, Tensor], names: dict[str, list[str]]) -> Curves:
    return {
        part: {name: tensors[f"curve.{part}.{name}"].tolist() for name in names[part]}
        for part in ("train", "heldout")
    }


def _moments(tensors: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, key = name.split(".", 1)
        moments.setdefault(int(index), {})[key] = value
    return moments


def _same_loss(saved: float, now: float, scale: float) -> bool:
    if math.isnan(saved) or math.isnan(now):
        return math.isnan(saved) and math.isnan(now)
    return math.isclose(saved, now, abs_tol=max(1e-9, _TOLERANCE * scale))


def _described(model: nn.Module, settings: dict[str, Any]) -> dict[str, Any]:
    return {
        "model": _describe_model(model),
        **{k: _describe_data(v) if isinstance(v, tuple) else v for k, v in settings.items()},
    }


def _describe_model(model: nn.Module) -> str:
    frozen = {name for name, weight in model.named_parameters() if not weight.requires_grad}
    entries = [
        (name, tuple(value.shape), str(value.dtype), name in frozen)
        for name, value in model.state_dict().items()
    ]
    size = sum(weight.numel() for weight in model.parameters())
    return f"{type(model).__name__} of {size:,} weights ({_digest(repr(entries).encode())})"


def _describe_data(tensors: tuple[Tensor, ...]) -> str:
    if not tensors:
        return "none"
    parts: list[bytes | memoryview] = []
    for tensor in tensors:
        content = tensor.cpu().contiguous().flatten().view(torch.uint8).numpy()
        parts += [repr((tuple(tensor.shape), str(tensor.dtype))).encode(), content.data]
    return f"{len(tensors[0]):,} examples ({_digest(*parts)})"


def _digest(*parts: bytes | memoryview) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:8]


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
