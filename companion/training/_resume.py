"""How a training saves its state after each epoch, and continues from it.

The file holds the state (weights, moments, whatever else changes), the curves, and the settings of
the run. It also holds what the first batch gives under the saved weights: a changed loss function
or `forward` cannot be told from its name, but it gives another number.
"""

import hashlib
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from companion.training import checkpoints
from companion.training._state import State, Stateful, pack, put_back_if_refused, unpack
from companion.training.distributed import Ranks

_KIND = "companion.training"
# Of the mean absolute loss: another number of threads, or another GPU, rounds differently.
_TOLERANCE = 1e-3

Curves = dict[str, dict[str, list[float]]]


class _Saved(NamedTuple):
    """What a file of `SavedRun` holds."""

    epochs: int
    settings: dict[str, Any]
    curves: Curves
    parts: dict[str, Any]
    first: dict[str, Tensor]


class SavedRun:
    """The state of one training, and the file that it is saved to.

    Args:
        path: the file. None: nothing is saved, and nothing restored.
        state: what is saved.
        curves: the lists that a restored history is written into.
        first: gives, under the present weights, the mean and the mean absolute value of each
            recorded number of the first batch, shape (2,), by name.
        ranks: the processes that train together; the first one saves.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        state: State,
        curves: Curves,
        first: Callable[[], dict[str, Tensor]],
        ranks: Ranks,
    ) -> None:
        self.path = None if path is None else Path(path).expanduser()
        self.state = state
        self.curves = curves
        self.settings: dict[str, Any] = {}
        self.first = first
        self.ranks = ranks

    def save(self) -> None:
        """Write the state, whole or not at all."""
        if self.path is None:
            return
        first = self.first()
        if self.ranks.leads:
            tensors, parts = pack(self.state)
            # Curves are tensors, because JSON has no NaN, which a held-out curve may hold.
            curves = {
                f"curve.{kind}.{name}": torch.tensor(curve, dtype=torch.float64, device="cpu")
                for kind, curves in self.curves.items()
                for name, curve in curves.items()
            }
            checkpoints.save(
                self.path,
                {**tensors, **curves, **{f"first.{name}": v for name, v in first.items()}},
                kind=_KIND,
                epochs=max((len(c) for c in self.curves["train"].values()), default=0),
                settings=self.settings,
                curves={kind: list(curves) for kind, curves in self.curves.items()},
                first=list(first),
                parts=parts,
            )
        self.ranks.wait()

    def restore(
        self, epochs: int, settings: Mapping[str, Any], data: Mapping[str, tuple[Tensor, ...]]
    ) -> int:
        """Load the state and the curves; save the present ones if there is no file.

        What is there before the first epoch is saved too: an interrupted first epoch must not
        become the start of the next run.

        Args:
            epochs: how many are asked for.
            settings: what must be equal for a run to continue.
            data: compared by a hash.

        Returns:
            How many epochs are done.
        """
        if self.path is None:
            return 0
        self.settings = {
            **settings,
            **{name: _describe(part) for name, part in self.state.items()},
            **{name: _describe_data(tensors) for name, tensors in data.items()},
        }
        there = self.path.exists()
        self.ranks.wait()  # else one rank finds what another has just written
        if not there:
            self.save()
            return 0
        saved = self._read()
        self._check_settings(saved, epochs)
        with put_back_if_refused(self.state):
            for name, part in self.state.items():
                part.load_state_dict(saved.parts[name])
            self._check_first(saved.first)
        for kind, curves in saved.curves.items():
            self.curves[kind].update(curves)
        return saved.epochs

    def _read(self) -> _Saved:
        assert self.path is not None
        tensors, metadata = checkpoints.load(self.path)
        if metadata.get("kind") != _KIND:
            raise ValueError(
                f"`{self.path}` was not written by fit or loop, so they cannot continue from it, "
                f"and do not overwrite it. Name another file in Run(checkpoint=...)."
            )
        try:
            saved = _taken_apart(tensors, metadata)
            if saved.parts.keys() != self.state.keys():
                raise KeyError(", ".join(saved.parts.keys() ^ self.state.keys()))
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"The checkpoint `{self.path}` has an entry that this version does not know, or "
                f"lacks one ({error!r}). Delete the file or name another in Run(checkpoint=...)."
            ) from error
        return saved

    def _check_settings(self, saved: _Saved, epochs: int) -> None:
        for name in {**self.settings, **saved.settings}:
            then, now = saved.settings.get(name), self.settings.get(name)
            if then != now:
                self._refuse(f"with {name} = {then}, but now {name} = {now}")
        if saved.epochs > epochs:
            self._refuse(f"after {saved.epochs} epochs, but now epochs = {epochs}")

    def _check_first(self, saved: dict[str, Tensor]) -> None:
        for name, now in self.first().items():
            then, scale = saved[name].tolist()
            if not _same_number(then, now[0].item(), scale):
                self._refuse(
                    f"by a model whose {name} on the first batch was {then:.6g}, but with the same "
                    f"weights it is now {now[0].item():.6g}: forward or loss has changed"
                )

    def _refuse(self, difference: str) -> None:
        raise ValueError(
            f"The checkpoint `{self.path}` was saved {difference}. Undo the change to continue "
            f"that run. To begin a new one, delete the file or name another."
        )


def _taken_apart(tensors: dict[str, Tensor], metadata: dict[str, Any]) -> _Saved:
    left = dict(tensors)
    curves = {
        kind: {name: left.pop(f"curve.{kind}.{name}").tolist() for name in metadata["curves"][kind]}
        for kind in ("train", "heldout")
    }
    first = {name: left.pop(f"first.{name}") for name in metadata["first"]}
    epochs = int(metadata["epochs"])
    lengths = {len(curve) for curve in curves["train"].values()}
    if lengths - {epochs} or (not lengths and epochs != 0):
        raise ValueError(f"epochs = {epochs}, but curves over {sorted(lengths)} epochs")
    return _Saved(
        epochs, dict(metadata["settings"]), curves, unpack(left, metadata["parts"]), first
    )


def _same_number(saved: float, now: float, scale: float) -> bool:
    if math.isnan(saved) or math.isnan(now):
        return math.isnan(saved) and math.isnan(now)
    return math.isclose(saved, now, abs_tol=max(1e-9, _TOLERANCE * scale))


def _describe(part: Stateful) -> str:
    name = type(part).__name__
    if isinstance(part, nn.Module):
        frozen = {name for name, weight in part.named_parameters() if not weight.requires_grad}
        entries = [
            (name, tuple(value.shape), str(value.dtype), name in frozen)
            for name, value in part.state_dict().items()
        ]
        size = sum(weight.numel() for weight in part.parameters())
        return f"{name} of {size:,} weights ({_digest(repr(entries).encode())})"
    if isinstance(part, torch.optim.Optimizer):
        how = {"foreach", "fused", "capturable", "differentiable"}  # the same up to rounding
        facts = [f"{k}={v}" for k, v in sorted(part.defaults.items()) if k not in how]
        return f"{name}({', '.join(facts)})"
    return name


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
