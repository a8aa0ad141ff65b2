r"""Exercises that ask the reader to build networks and to train them: "build it".

The answer is two functions. `build()` returns untrained networks, `train(*networks, images,
epochs)` trains them in place. The check judges what they do, not how they are written: it
watches the calls of the networks and the gradients that come back, compares parameters before
and after, and measures the result with a ruler of its own. Networks are `nn.Module`s or any
other callables.

What is said about an answer is data: functions of the `Evidence` that return a hint, or None.
`faults` are refused whatever came out; `causes` are looked for, in their order, only where the
figure falls short of its limit. So a right answer in a style that nobody thought of is accepted.
"""

import random
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from tqdm.std import tqdm

from companion.checks._call import _invoke, _require_callable, call, is_blank
from companion.checks._registry import Exercise, NotAttempted, NotYet, register
from companion.page.shell import somebody_watches

SECONDS = 30.0  # of computing, for build, train and ruler together
_KEPT = 16  # calls, the latest ones: a training is judged by how it ends
_SEED = 0


@dataclass
class Call:
    """One call of a network in training, which a gradient has reached.

    Attributes:
        part: the network's name.
        inputs: its first argument, detached.
        outputs: the tensors that it returned, detached.
        input_grad, grads: what came back to them; None where nothing did.
        attached: whether a gradient can pass to the input.
        before: the latest call of each other network, at that time.
    """

    part: str
    inputs: Tensor
    outputs: list[Tensor]
    grads: list[Tensor | None]
    attached: bool
    before: dict[str, "Call"]
    input_grad: Tensor | None = None


@dataclass
class Evidence:
    """What is known about an answer once it has been trained.

    Attributes:
        parts: the networks by name.
        images: what they were trained on.
        epochs: how many passes were asked for.
        passes: how many there were, counted by the images that the first network saw.
        moved: which networks changed.
        still: for each network, the parameters that are bit by bit as before.
        calls: the latest calls that a gradient reached.
        stale: for each backward pass, whether gradients of an earlier one were still there.
        figures: what the ruler measured.
    """

    parts: dict[str, Any]
    images: Tensor
    epochs: int
    passes: float
    moved: dict[str, bool]
    still: dict[str, list[str]]
    calls: list[Call]
    stale: list[bool]
    figures: dict[str, float] = field(default_factory=dict)


Symptom = Callable[[Evidence], str | None]


class _Watch:
    """Follows the calls of the networks while they are trained."""

    def __init__(self, parts: Mapping[str, Any], bar: "tqdm[Any]") -> None:
        self.parts, self.bar = parts, bar
        self.first = next(iter(parts))
        self.rows = 0
        self.calls: deque[Call] = deque(maxlen=_KEPT)
        self.stale: list[bool] = []
        self._latest: dict[str, Call] = {}
        self._forward = True  # since the last backward pass

    def note(self, part: str, arguments: tuple[Any, ...], result: Any) -> None:
        """Enter one call, if gradients are on and a tensor went in and came out."""
        outputs = tensors(result)
        if not torch.is_grad_enabled() or not outputs:
            return
        if not arguments or not isinstance(arguments[0], Tensor):
            return
        inputs = arguments[0]
        for earlier in self._latest.values():  # else no call would ever be forgotten
            for call_before in earlier.before.values():
                call_before.before = {}
        made = Call(
            part,
            inputs.detach(),
            [each.detach() for each in outputs],
            [None] * len(outputs),
            inputs.requires_grad,
            dict(self._latest),
        )
        self._latest[part], self._forward = made, True
        if part == self.first and inputs.ndim:
            self.rows += len(inputs)
            self.bar.update(len(inputs))
        for index, output in enumerate(outputs):
            if output.requires_grad:
                output.register_hook(lambda grad, i=index: self._arrived(made, i, grad))
        if inputs.requires_grad:
            inputs.register_hook(lambda grad: _add_to_input(made, grad))

    def _arrived(self, made: Call, index: int, grad: Tensor) -> None:
        if self._forward:
            self.stale.append(any(map(_has_gradient, self.parts.values())))
            self._forward = False
        if all(each is None for each in made.grads):
            self.calls.append(made)
        made.grads[index] = _sum(made.grads[index], grad)


def _sum(earlier: Tensor | None, grad: Tensor) -> Tensor:
    """Add what one more `backward` of the same step brings."""
    return grad.detach() if earlier is None else earlier + grad.detach()


def _add_to_input(made: Call, grad: Tensor) -> None:
    made.input_grad = _sum(made.input_grad, grad)


def _has_gradient(network: Any) -> bool:
    """Tell whether the first parameter of a network holds a gradient, before it is added to."""
    if not isinstance(network, nn.Module):
        return False
    first = next(iter(network.parameters()), None)
    return first is not None and first.grad is not None and bool(first.grad.any())


class _Watched:
    """A network that is no `nn.Module`, with its calls watched and all else as it was."""

    def __init__(self, network: Any, note: Callable[[tuple[Any, ...], Any], None]) -> None:
        self._network, self._note = network, note

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        result = self._network(*arguments, **named)
        self._note(arguments, result)
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)


def tensors(result: Any) -> list[Tensor]:
    """Return the tensors of a network's result, in their order."""
    if isinstance(result, Tensor):
        return [result]
    values = result.values() if isinstance(result, Mapping) else result
    if not isinstance(result, (tuple, list, Mapping)):
        return []
    return [each for each in values if isinstance(each, Tensor)]


class BuildTask:
    """An exercise that asks for `build()` and `train(*networks, images, epochs)`.

    Args:
        key, title, number: as of `exercise`.
        parts: the names of the networks, in the order in which `build` returns them.
        images: returns what they are trained on; its first axis counts the images.
        epochs: how many passes over them `train` may make.
        inspect: looks at the untrained networks, by name; leaves through `NotYet`.
        probe: for each network an input on which a change of it shows.
        measure: returns figures of the trained networks, by name.
        figure: the one that decides, larger is better.
        limit: what it must reach. Measure it over seeds, and say so beside it.
        faults, causes: the known slips (see above).
        short: what to say if it falls short and no cause is seen; `{limit}`, `{bound}`...
        praise: the closing remark; the same fields.
        reference: the companion's own answer, for the tests.
        seconds: computing time.
    """

    def __init__(
        self,
        key: str,
        *,
        title: str,
        number: str,
        parts: Sequence[str],
        images: Callable[[], Tensor],
        epochs: int,
        inspect: Callable[[dict[str, Any]], None],
        probe: Callable[[dict[str, Any]], dict[str, Tensor]],
        measure: Callable[[dict[str, Any]], dict[str, float]],
        figure: str,
        limit: float,
        faults: Sequence[Symptom],
        causes: Sequence[Symptom],
        short: str,
        praise: str,
        reference: tuple[Callable[..., Any], Callable[..., Any]],
        seconds: float = SECONDS,
    ) -> None:
        self.key, self.parts = key, list(parts)
        self.images, self.epochs = images, epochs
        self.inspect, self.probe, self.measure = inspect, probe, measure
        self.figure, self.limit = figure, limit
        self.faults, self.causes = list(faults), list(causes)
        self.short, self.praise, self.reference = short, praise, reference
        title = f"{number} {title}"
        register(Exercise(key, title, self.judge, number, "build, train", self, seconds))

    def judge(self, answer: object) -> str:
        """Return the closing remark for a right answer; raise NotYet for another."""
        build, train = _two(answer)
        seen = self.observe(build, train)
        _raise_first(self.faults, seen)
        figures = seen.figures | {"limit": self.limit}
        if not figures[self.figure] >= self.limit:  # NaN falls short
            _raise_first(self.causes, seen)
            raise NotYet(self.short.format(**figures))
        return self.praise.format(**figures)

    def observe(self, build: object, train: object, seed: int = _SEED) -> Evidence:
        """Build and train under our eyes, measure, and return what was seen."""
        images = self.images()
        with _seeded(seed):
            parts = self._built(build)
            self.inspect(parts)
            before = self._state(parts)
            _seed(seed)
            watch = self._train(train, parts, images)
            after = self._state(parts)
        moved = {name: _differ(before[name], after[name]) for name in parts}
        if not watch.rows and not any(moved.values()):
            raise NotAttempted("`train` changes no network yet. Write its body, then run again.")
        seen = Evidence(
            parts=parts,
            images=images,
            epochs=self.epochs,
            passes=watch.rows / len(images),
            moved=moved,
            still={name: _equal(before[name], after[name]) for name in parts},
            calls=list(watch.calls),
            stale=watch.stale,
        )
        seen.figures = self.measure(parts)
        return seen

    def _built(self, build: object) -> dict[str, Any]:
        result = call(build)
        names = ", ".join(f"`{name}`" for name in self.parts)
        if not isinstance(result, (tuple, list)) or len(result) != len(self.parts):
            raise NotYet(
                f"`build` has to return {len(self.parts)} networks, in this order: {names}."
            )
        for name, network in zip(self.parts, result, strict=True):
            if not callable(network):
                kind = type(network).__name__
                raise NotYet(f"The {name} that `build` returns can't be called: it is a `{kind}`.")
        return dict(zip(self.parts, result, strict=True))

    def _state(self, parts: dict[str, Any]) -> dict[str, dict[str, Tensor]]:
        """Return copies of all parameters; for what has none, its answer to the probe."""
        probes = self.probe(parts)
        return {name: _parameters(net, probes[name]) for name, net in parts.items()}

    def _train(self, train: object, parts: dict[str, Any], images: Tensor) -> _Watch:
        arguments = {**parts, "images": images, "epochs": self.epochs}
        _require_callable(train, arguments)
        with _bar(len(images) * self.epochs) as bar:
            watch = _Watch(parts, bar)
            with _watched(parts, watch) as networks:
                copies = {"images": images.clone(), "epochs": self.epochs}
                _invoke(train, {**networks, **copies})
        return watch


def _two(answer: object) -> tuple[object, object]:
    if isinstance(answer, tuple) and any(map(is_blank, answer)):
        raise NotAttempted("Replace the placeholders with your functions, then run again.")
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise NotYet(
            "This exercise asks for two functions. Pass both, without parentheses after their "
            "names: `build, train`."
        )
    return answer


def _raise_first(symptoms: Sequence[Symptom], seen: Evidence) -> None:
    for symptom in symptoms:
        hint = symptom(seen)
        if hint:
            raise NotYet(hint)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the global generators: the sandbox puts their states back afterwards."""
    _seed(seed)
    with torch.enable_grad():
        yield


def _seed(seed: int) -> None:
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - learners use it
    random.seed(seed)


def _bar(total: int) -> "tqdm[Any]":
    return tqdm(total=total, unit=" images", file=sys.stdout, disable=not somebody_watches())


@contextmanager
def _watched(parts: dict[str, Any], watch: _Watch) -> Iterator[dict[str, Any]]:
    """Return the networks with their calls watched, for as long as the context lasts."""
    hooks: list[RemovableHandle] = []
    networks: dict[str, Any] = {}
    for name, network in parts.items():
        note = partial(watch.note, name)
        if isinstance(network, nn.Module):
            hooks.append(network.register_forward_hook(_as_hook(note)))
            networks[name] = network
        else:
            networks[name] = _Watched(network, note)
    try:
        yield networks
    finally:
        for hook in hooks:
            hook.remove()


def _as_hook(note: Callable[[tuple[Any, ...], Any], None]) -> Callable[..., None]:
    return lambda network, arguments, result: note(arguments, result)


def _parameters(network: Any, probe: Tensor) -> dict[str, Tensor]:
    if isinstance(network, nn.Module):
        return {name: p.detach().clone() for name, p in network.named_parameters()}
    with torch.no_grad():
        return {str(i): each.clone() for i, each in enumerate(tensors(network(probe)))}


def _differ(before: dict[str, Tensor], after: dict[str, Tensor]) -> bool:
    return len(_equal(before, after)) < max(len(before), 1)


def _equal(before: dict[str, Tensor], after: dict[str, Tensor]) -> list[str]:
    return [n for n, old in before.items() if n in after and torch.equal(old, after[n].cpu())]
