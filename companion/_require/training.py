"""What `fit` asks of its arguments, with messages that name the remedy."""

import inspect
import operator
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from companion._require.arguments import (
    require_count,
    require_finite,
    require_function,
    require_in,
    require_instance,
    require_module,
    require_positive,
)


def whole_number(number: Any) -> int:
    """Return an int for an int of Python, NumPy or torch, or raise TypeError."""
    try:
        return operator.index(number)
    except TypeError:
        raise TypeError(
            f"A seed must be a whole number, but it is {number!r} ({type(number).__name__}). "
            f"Pass an int, for example 0."
        ) from None


def check_autocast(dtype: torch.dtype | None) -> None:
    """Raise ValueError unless the dtype needs no scaling of the loss."""
    if dtype not in (None, torch.bfloat16):
        raise ValueError(
            f"`autocast` must be None or torch.bfloat16, but it is {dtype}. Other half-precision "
            f"types need the loss scaled, which fit does not do: pass torch.bfloat16."
        )


def check_run(run: Any, kind: type) -> None:
    """Raise TypeError unless `run` is a `Run`, the class `kind`."""
    example = f"device={run!r}" if isinstance(run, str) else "..."
    require_instance(kind, f"Pass run=Run({example}).", run=run)


@contextmanager
def batch_of_one_explained(n_examples: int) -> Iterator[None]:
    """Add the remedy to what batch norm says about a batch of one example."""
    try:
        yield
    except ValueError as error:
        if n_examples > 1 or "more than 1 value per channel" not in str(error):
            raise
        raise ValueError(
            "A batch holds a single example, and batch norm needs two in training mode: it is the "
            "last batch of an epoch, or `batch_size` is 1. Choose a `batch_size` that does not "
            "leave one example over, or leave one example of `data` out."
        ) from error


def usable_device(device: torch.device | str) -> torch.device:
    """Return the device, or raise ValueError if this machine cannot compute on it."""
    try:
        return torch.zeros((), device=device).add(1).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"`device` is {str(device)!r}, which this machine cannot use: "
            f"{str(error).splitlines()[0]} Leave it out to take the fastest device there is."
        ) from error


def check_settings(loss: Any, epochs: Any, batch_size: Any, learning_rate: Any, seed: Any) -> None:
    """Raise unless the loss is a function or None, and the numbers are in range."""
    require_function(**_given(loss=loss))
    require_count(epochs=epochs, batch_size=batch_size)
    require_positive(learning_rate=learning_rate)
    whole_number(seed)


def _given(**values: Any) -> dict[str, Any]:
    """Leave out what is None: an option that was not taken."""
    return {name: value for name, value in values.items() if value is not None}


def trainable_parameters(model: Any) -> list[nn.Parameter]:
    """Return the parameters that require gradients, or raise if there is none."""
    require_module(model=model)
    trainable = [weight for weight in model.parameters() if weight.requires_grad]
    if not trainable:
        raise ValueError(
            "`model` has no parameters to train. Register them as nn.Parameter or in submodules, "
            "and unfreeze them: weight.requires_grad_(True)."
        )
    return trainable


def check_descent(
    optimizer: Any, schedule: Any, max_norm: Any, average: Any, average_kind: type
) -> None:
    """Raise unless what `fit` descends with is a function, a number, an average, or None."""
    require_function(**_given(optimizer=optimizer, schedule=schedule))
    require_positive(**_given(max_norm=max_norm))
    remedy = f"Pass {average_kind.__name__}(model, decay=0.999)."
    require_instance(average_kind, remedy, **_given(average=average))


def check_optimizer(optimizer: Any) -> None:
    """Raise TypeError unless the factory has made an optimizer."""
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(
            f"`optimizer` must make a torch.optim.Optimizer, but it made a "
            f"{type(optimizer).__name__}. Pass a class such as torch.optim.AdamW, or "
            f"functools.partial of one."
        )


def check_average(model: Any, decay: Any) -> None:
    """Raise unless the model is a module and the decay is in [0, 1)."""
    require_module(model=model)
    require_in(lambda d: 0 <= d < 1, "in [0, 1)", " Pass for example 0.999.", decay=decay)


def check_fractions(**fractions: Any) -> None:
    """Raise unless each number is in [0, 1]."""
    expected = "in [0, 1], a fraction of the training or of the rate"
    remedy = " Divide epochs by all epochs: 40 / 150."
    require_in(lambda share: 0 <= share <= 1, expected, remedy, **fractions)


def check_losses(losses: Any) -> None:
    """Raise unless there is one loss for each example, and it depends on weights."""
    if not isinstance(losses, Tensor) or losses.dim() != 1:
        what = f"shape {tuple(losses.shape)}" if isinstance(losses, Tensor) else repr(losses)
        raise ValueError(
            f"`losses` must be one number for each example, shape (B,), but it is {what}. Leave "
            f"the mean over the batch to descend."
        )
    if not losses.requires_grad:
        raise ValueError(
            "The loss does not depend on the weights that require gradients. Remove detach(), "
            "item() and no_grad() between the weights and the loss."
        )


def check_loop(
    step: Any,
    state: Any,
    evaluate: Any,
    before_step: Any,
    epochs: Any,
    batch_size: Any,
    seed: Any,
) -> None:
    """Raise unless the functions are functions, the state can be saved, the numbers in range."""
    require_function(step=step, **_given(evaluate=evaluate, before_step=before_step))
    named = isinstance(state, Mapping)
    for name, part in state.items() if named else [("state", state)]:
        if not (named and hasattr(part, "state_dict") and hasattr(part, "load_state_dict")):
            raise TypeError(
                f"`state` must name what has state_dict and load_state_dict, but `{name}` is a "
                f"{type(part).__name__}. Pass a dict such as {{'model': model, 'optimizer': adam}}."
            )
    require_count(epochs=epochs, batch_size=batch_size)
    whole_number(seed)


def device_of(weights: list[nn.Parameter]) -> torch.device:
    """Return the one device of all parameters, the CPU if there are none."""
    devices = sorted({str(weight.device) for weight in weights}) or ["cpu"]
    if len(devices) > 1:
        raise ValueError(
            f"The modules of `state` are on {' and '.join(devices)}. Move them to one device, "
            f"model.to(device), before their optimizers are made."
        )
    return torch.device(devices[0])


def check_share(n_examples: int, batch_size: int, n_ranks: int) -> None:
    """Raise ValueError unless every rank has an example of every batch."""
    smallest = min(batch_size, n_examples, n_examples % batch_size or batch_size)
    if smallest < n_ranks:
        raise ValueError(
            f"A batch has {smallest} example(s), too few for {n_ranks} processes: {n_examples} "
            f"examples in batches of {batch_size}. Choose another `batch_size`."
        )


def check_graph(asked: bool | None, possible: bool) -> None:
    """Raise ValueError if a graph was asked for where none can be captured."""
    if asked and not possible:
        raise ValueError(
            "`graph` is True, but a step can be captured only on CUDA, without torch.compile, "
            "and with optimizers that have `capturable`, such as Adam. Leave it out."
        )


def check_record(record: Any, n_examples: int) -> None:
    """Raise unless a step has returned numbers by name, one for each example or one for all."""
    if not isinstance(record, Mapping):
        raise TypeError(
            f"A step must return a dict of tensors, but it returned a {type(record).__name__}. "
            f"Return for example {{'loss': losses}}."
        )
    for name, value in record.items():
        if not isinstance(value, Tensor) or value.dim() > 0:  # or one number for all
            _check_per_example(f"The record `{name}`", value, n_examples)


def checked_data(
    data: Any, heldout: Any, device: torch.device
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Return data and held-out data (if there is none: no tensors) on the device, or raise."""
    train, unseen = check_data(data, heldout)
    for tensors in (train, unseen):
        for index, tensor in enumerate(tensors):
            name = "data" if tensors is train else "heldout"
            require_finite(**{f"{name}[{index}]" if len(tensors) > 1 else name: tensor})
    return tuple(t.to(device) for t in train), tuple(t.to(device) for t in unseen)


def check_data(data: Any, heldout: Any) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Return data and held-out data as tuples of tensors, or raise; values are not looked at."""
    train = _checked_tensors("data", data)
    unseen = () if heldout is None else _checked_tensors("heldout", heldout)
    if unseen:
        _check_alike(train, unseen)
    return train, unseen


def _checked_tensors(name: str, value: Any) -> tuple[Tensor, ...]:
    tensors = value if isinstance(value, (tuple, list)) else (value,)
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"`{name}` must be a torch.Tensor or a tuple of them, but it is or holds a "
                f"{type(tensor).__name__}. fit makes the batches itself: pass all examples as "
                f"tensors, for example torch.as_tensor(array)."
            )
    _check_lengths(name, tensors)
    return tuple(tensor.detach() for tensor in tensors)


def _check_lengths(name: str, tensors: tuple[Tensor, ...] | list[Tensor]) -> None:
    if not tensors or any(tensor.dim() == 0 or len(tensor) == 0 for tensor in tensors):
        raise ValueError(
            f"`{name}` holds no examples (shapes: {_shapes(tensors)}). "
            f"The first axis of each tensor counts the examples, and must be at least 1."
        )
    if len({len(tensor) for tensor in tensors}) > 1:
        raise ValueError(
            f"The tensors of `{name}` differ in length: {_shapes(tensors)}. The first axis "
            f"counts the examples, so it must be the same for all."
        )


def _check_alike(data: tuple[Tensor, ...], heldout: tuple[Tensor, ...]) -> None:
    if _structure(data) != _structure(heldout):
        raise ValueError(
            f"`heldout` must be built like `data`: `data` has shapes {_shapes(data)} "
            f"({_dtypes(data)}), `heldout` has {_shapes(heldout)} ({_dtypes(heldout)}). "
            f"Only the number of examples may differ."
        )


def check_call(model: nn.Module, data: Any) -> None:
    """Raise TypeError unless forward takes the tensors of data, and a generator."""
    n_tensors = len(data) if isinstance(data, (tuple, list)) else 1
    signature = inspect.signature(model.forward)
    try:
        signature.bind(*range(n_tensors), generator=None)
    except TypeError as error:
        raise TypeError(
            f"fit calls the model with the {n_tensors} tensor(s) of `data` and generator=..., but "
            f"{type(model).__name__}.forward{signature} does not take that: {error}. "
            f"Give forward one argument for each tensor, and the keyword `generator`."
        ) from None


def check_float64(model: nn.Module, data: tuple[Tensor, ...], device: torch.device) -> None:
    """Raise TypeError if data or model are in float64 and the device does not have it."""
    if device.type != "mps":
        return
    parts = {"data": data, "model": (*model.parameters(), *model.buffers())}
    for name, tensors in parts.items():
        if any(tensor.dtype == torch.float64 for tensor in tensors):
            raise TypeError(
                f"`{name}` holds float64, but the device is {device}, and MPS has no float64. "
                f"Convert data and model with .float(), or pass run=Run(device='cpu')."
            )


def checked_fields(output: Any, loss: Any, n_examples: int) -> dict[str, Tensor]:
    """Return the fields of forward's answer if it is a NamedTuple, nothing if it is the loss."""
    if isinstance(output, Tensor):
        return {}
    if not hasattr(output, "_asdict"):
        raise TypeError(
            f"The model must return a tensor or a NamedTuple of tensors, but it returned a "
            f"{type(output).__name__}. Collect the tensors in a typing.NamedTuple."
        )
    if loss is None:
        raise TypeError(
            f"The model's answer is of type {type(output).__name__}, and `loss` does not say what "
            f"to minimize. Pass loss=..., a function of it that gives one number for each example."
        )
    fields: dict[str, Tensor] = output._asdict()
    for name, value in fields.items():
        _check_per_example(f"The field `{name}` of the model's answer", value, n_examples)
    return fields


def check_loss(losses: Any, fields: dict[str, Tensor], n_examples: int) -> None:
    """Raise unless the loss has shape (B,), depends on the weights, and has its name alone."""
    _check_per_example("The loss", losses, n_examples)
    if fields.get("loss", losses) is not losses:
        raise ValueError(
            "The model's answer has a field `loss`, but the function `loss` returns something "
            "else. Rename the field: `loss` is the name of the training loss."
        )


def _check_per_example(what: str, value: Any, n_examples: int) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(
            f"{what} must be a torch.Tensor, but it is a {type(value).__name__}. Compute it from "
            f"tensors with torch's functions, one number for each example, and without item()."
        )
    if value.shape != (n_examples,):
        raise ValueError(
            f"{what} has shape {tuple(value.shape)}, but ({n_examples},), one number for each "
            f"example of the batch, is expected. Sum over the event, and leave the mean over the "
            f"batch to the loop."
        )


def _structure(tensors: tuple[Tensor, ...]) -> list[tuple[torch.Size, torch.dtype]]:
    return [(tensor.shape[1:], tensor.dtype) for tensor in tensors]


def _shapes(tensors: tuple[Tensor, ...] | list[Tensor]) -> str:
    return ", ".join(str(tuple(tensor.shape)) for tensor in tensors) or "none"


def _dtypes(tensors: tuple[Tensor, ...]) -> str:
    return ", ".join(str(tensor.dtype).removeprefix("torch.") for tensor in tensors)
