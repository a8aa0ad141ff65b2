"""What a training run changes: its modules and optimizers, as tensors with names, and their modes.

A `State` names everything that a step changes and a checkpoint must hold: modules, optimizers,
whatever has `state_dict` and `load_state_dict`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn


@runtime_checkable
class Stateful(Protocol):
    """What can be saved and restored: a module, an optimizer, a sampler of one's own."""

    def state_dict(self) -> dict[str, Any]:
        """Return tensors, plain values, and containers of them."""

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any:
        """Take over what `state_dict` returned."""


State = Mapping[str, Stateful]


def modules(state: State) -> list[nn.Module]:
    """Return the modules of a state."""
    return [part for part in state.values() if isinstance(part, nn.Module)]


def optimizers(state: State) -> dict[str, torch.optim.Optimizer]:
    """Return the optimizers of a state, by name."""
    return {name: o for name, o in state.items() if isinstance(o, torch.optim.Optimizer)}


def parameters(state: State) -> list[nn.Parameter]:
    """Return the parameters of all modules, each once, in their order."""
    return list(dict.fromkeys(p for module in modules(state) for p in module.parameters()))


def pack(state: State) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Take a state apart: its tensors by name, and the rest, which JSON can hold.

    >>> tensors, rest = pack({"layer": nn.Linear(2, 1)})
    >>> sorted(tensors), unpack(tensors, rest)["layer"].keys()
    (['layer.bias', 'layer.weight'], dict_keys(['weight', 'bias']))
    """
    tensors: dict[str, Tensor] = {}

    def walk(name: str, value: Any) -> dict[str, Any]:
        if isinstance(value, Tensor):
            tensors[name] = value
            return {"tensor": name}
        if isinstance(value, dict):  # the keys of an optimizer are numbers, which JSON lacks
            return {"dict": [[key, walk(f"{name}.{key}", v)] for key, v in value.items()]}
        if isinstance(value, (list, tuple)):
            kind = "list" if isinstance(value, list) else "tuple"
            return {kind: [walk(f"{name}.{i}", v) for i, v in enumerate(value)]}
        return {"value": value}

    return tensors, {name: walk(name, part.state_dict()) for name, part in state.items()}


def unpack(tensors: dict[str, Tensor], rest: dict[str, Any]) -> dict[str, Any]:
    """Put together what `pack` took apart: the `state_dict` of each part.

    Raises:
        KeyError: a tensor is missing, or one is there that nobody asks for.
    """
    left = dict(tensors)

    def build(node: dict[str, Any]) -> Any:
        ((kind, content),) = node.items()
        if kind == "tensor":
            return left.pop(content)
        if kind == "dict":
            return {key: build(value) for key, value in content}
        if kind in ("list", "tuple"):
            return [*map(build, content)] if kind == "list" else tuple(map(build, content))
        return content

    result = {name: build(node) for name, node in rest.items()}
    if left:
        raise KeyError(", ".join(left))
    return result


@contextmanager
def put_back_if_refused(state: State) -> Iterator[None]:
    """Give each part what it had before, if the block refuses something."""
    before = {name: deepcopy(part.state_dict()) for name, part in state.items()}
    try:
        yield
    except (TypeError, ValueError):
        for name, part in state.items():
            part.load_state_dict(before[name])
        raise


class Modes:
    """Training and evaluation mode of modules; a part that came frozen stays frozen."""

    def __init__(self, roots: list[nn.Module]) -> None:
        self.roots = roots
        self.frozen = [part for root in roots for part in _frozen_parts(root)]

    def train(self) -> None:
        """Put everything into training mode but what came frozen."""
        for root in self.roots:
            root.train()
        for part in self.frozen:
            part.training = False

    def eval(self) -> None:
        """Put everything into evaluation mode."""
        for root in self.roots:
            root.eval()


@contextmanager
def as_found(state: State) -> Iterator[None]:
    """Afterwards restore each module's mode and drop gradients, also after an exception.

    Inside, `torch.no_grad` and `torch.autocast` of the caller are off: the step decides.
    """
    modes = {m: m.training for module in modules(state) for m in module.modules()}
    weights = parameters(state)
    kind = weights[0].device.type if weights else "cpu"
    try:
        with torch.enable_grad(), torch.autocast(kind, enabled=False):
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        for weight in weights:
            weight.grad = None


def _frozen_parts(model: nn.Module) -> list[nn.Module]:
    """Return the modules that are in evaluation mode on purpose, and have nothing to train.

    Training mode would move the statistics of a frozen batch norm. If the whole model is in
    evaluation mode, a part without weights, such as dropout, says nothing about its purpose.
    """

    def is_frozen(module: nn.Module) -> bool:
        weights = list(module.parameters())
        on_purpose = not module.training and (model.training or len(weights) > 0)
        return on_purpose and not any(weight.requires_grad for weight in weights)

    frozen = [part for module in model.modules() if is_frozen(module) for part in module.modules()]
    return [part for part in frozen if not part.training]
