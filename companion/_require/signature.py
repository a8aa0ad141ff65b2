"""The signature is the check: one decorator reads a function's annotations and holds calls to them.

    @checked
    def log_prob(
        value: Annotated[Float[Tensor, "*sample D"], EndsLike("mean")],
        mean: Float[Tensor, "*batch D"],
        log_var: Float[Tensor, "*batch D"],
    ) -> Float[Tensor, "*sample"]: ...

Tensors must be tensors of floating-point numbers, on one device, finite, of the shapes that their
annotations say: one letter has one size in all of them, and `{self.dim}` is an attribute of the
object. Half precision is computed in float32. A generator must draw where the tensors are. Whatever
else an argument must fulfil stands beside its type, as a `Rule`: `n_samples: Count`.

A combination of shapes, dtypes and devices that passed once is remembered. Whether numbers are
finite is asked of the *result*, and of the arguments only if it is not.
"""

import inspect
from collections.abc import Callable, Iterator
from functools import partial, wraps
from types import NoneType
from typing import Annotated, Any, NamedTuple, ParamSpec, TypeVar, get_args, get_origin

import torch
from torch import Tensor, nn

from companion._require import arguments
from companion._require.arguments import checks_values
from companion.precision import at_least_float32

P = ParamSpec("P")
T = TypeVar("T")

_REMEMBERED = 4096  # combinations of shapes for each function: beyond, it begins anew


class Rule(NamedTuple):
    """What an argument must fulfil beside its type.

    Attributes:
        text: how the documentation says it.
        require: called as `require(name=value)`; raises if the value breaks the rule.
    """

    text: str
    require: Callable[..., object]

    def __repr__(self) -> str:
        return self.text


class EndsLike(NamedTuple):
    """The shape of this argument ends in the shape of another one: samples lead."""

    other: str


Count = Annotated[int, Rule("at least 1", arguments.require_count)]
Number = Annotated[float, Rule("finite", arguments.require_number)]
Positive = Annotated[float, Rule("above 0", arguments.require_positive)]
AtLeastZero = Annotated[float, Rule("at least 0", arguments.require_at_least_zero)]
FINITE = Rule("finite", arguments.require_finite)  # where a result does not show it


Integrand = Annotated[Callable[[Tensor], Tensor], Rule("a function", arguments.require_function)]
MODULE = Rule("an instance", arguments.require_module)
Module = Annotated[nn.Module, MODULE]


def _require_examples(**tensors: Tensor) -> None:
    for name, tensor in tensors.items():
        if len(tensor) == 0:
            raise ValueError(
                f"`{name}` has shape {tuple(tensor.shape)}, but a batch (B, *event) with B >= 1 is "
                f"expected. Pass at least one example."
            )


EXAMPLES = Rule("at least one", _require_examples)


def one_of(*choices: str) -> Rule:
    """Return the rule that a text is one of the choices."""
    return Rule(" or ".join(map(repr, choices)), partial(arguments.require_choice, choices))


def instance(kind: type, remedy: str) -> Rule:
    """Return the rule that a value is an instance of a class."""
    return Rule(f"a {kind.__name__}", partial(arguments.require_instance, kind, remedy))


def within(low: float, high: float, remedy: str) -> Rule:
    """Return the rule that a tensor's values lie in [low, high]."""
    text = f"in [{low:g}, {high:g}]"
    return Rule(text, partial(arguments.require_range, low, high, remedy))


def binary(remedy: str) -> Rule:
    """Return the rule that a tensor holds zeros and ones only."""
    return Rule("zeros and ones", partial(arguments.require_binary, remedy))


def checked(function: Callable[P, T]) -> Callable[P, T]:
    """Hold every call of a function to its signature.

    Off while `torch.compile` traces, and inside `without_value_checks`.
    """
    signature = _Signature(function)

    def compute(*args: P.args, **kwargs: P.kwargs) -> T:
        if kwargs:  # an empty dict costs as much as an argument
            kwargs = {name: at_least_float32(value) for name, value in kwargs.items()}  # type: ignore[assignment]
        return function(*map(at_least_float32, args), **kwargs)  # type: ignore[arg-type]

    @wraps(function)
    def hold(*args: P.args, **kwargs: P.kwargs) -> T:
        if not checks_values():
            return compute(*args, **kwargs)
        signature.accept(args, kwargs)
        try:
            result = compute(*args, **kwargs)
        except Exception:
            signature.require_finite(args, kwargs)
            raise
        if not all(map(_is_finite, _tensors(result))):
            signature.require_finite(args, kwargs)
        return result

    return hold


class _Parameter(NamedTuple):
    name: str
    place: int
    default: Any
    dims: tuple[str, ...] | None  # of a tensor; None: no tensor
    optional: bool
    rules: tuple[Rule, ...]
    ends_like: str | None
    is_generator: bool

    def value(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return what a call passes for this parameter."""
        return args[self.place] if self.place < len(args) else kwargs.get(self.name, self.default)


class _Signature:
    """What a function's annotations ask of its arguments."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.signature = inspect.signature(function)
        parameters = enumerate(self.signature.parameters.values())
        read = [_read(parameter, place) for place, parameter in parameters]
        self.tensors = [each for each in read if each.dims is not None]
        self.others = [each for each in read if each.rules or each.is_generator]
        self.attributes = sorted(
            {dim[6:-1] for each in self.tensors for dim in each.dims or () if dim[:6] == "{self."}
        )
        self.passed: set[tuple[Any, ...]] = set()

    def accept(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Raise unless the arguments fit the annotations; finite numbers come later."""
        key = self._key(args, kwargs)
        if key is None or key not in self.passed:
            self.signature.bind(*args, **kwargs)  # Python's own message for one that is missing
            self._compare(args, kwargs)
            if len(self.passed) >= _REMEMBERED:
                self.passed.clear()
            if key is not None:
                self.passed.add(key)
        for each in self.others:
            value = each.value(args, kwargs)
            if value is None and each.optional:
                continue
            if each.is_generator:
                arguments.require_generator(value, self._device(args, kwargs))
            for rule in each.rules:
                rule.require(**{each.name: value})

    def require_finite(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Raise if a tensor among the arguments, or of the object, holds NaN or infinity."""
        arguments.require_finite(**self._present(args, kwargs), **_state(args))

    def _present(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        values = ((each, each.value(args, kwargs)) for each in self.tensors)
        return {each.name: v for each, v in values if not (v is None and each.optional)}

    def _key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...] | None:
        key: list[Any] = [getattr(args[0], name) for name in self.attributes]
        for each in self.tensors:
            value = each.value(args, kwargs)
            if not isinstance(value, Tensor):
                return None
            key += (value.shape, value.dtype, value.device)
        return tuple(key)

    def _device(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.device | None:
        """Return where the numbers are drawn; None if that is the generator's own choice."""
        tensors = [*self._present(args, kwargs).values(), *_state(args).values()]
        return tensors[0].device if tensors else None

    def _compare(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        present = self._present(args, kwargs)
        arguments.require_tensor(**present)
        if present:
            arguments.require_same_device(**present)
        sizes = {f"{{self.{name}}}": getattr(args[0], name) for name in self.attributes}
        self._compare_alike(present)
        # What decides comes first: all axes named, then some, then those that follow another.
        for each in sorted(self.tensors, key=_rank):
            if each.name in present:
                _require_dims(each, present[each.name], sizes)
        for each in self.tensors:
            if each.ends_like is not None and each.name in present:
                _require_ending(each.name, present[each.name], each.ends_like, present)

    def _compare_alike(self, present: dict[str, Tensor]) -> None:
        alike: dict[tuple[str, ...], dict[str, Tensor]] = {}
        for each in self.tensors:
            if each.name in present:
                alike.setdefault(each.dims or (), {})[each.name] = present[each.name]
        for group in alike.values():
            arguments.require_same_shape(**group)
            arguments.require_same_dtype(**{n: at_least_float32(t) for n, t in group.items()})


def _state(args: tuple[Any, ...]) -> dict[str, Tensor]:
    """Return the parameters and buffers of the module whose method is called."""
    if not args or not isinstance(args[0], nn.Module) or "_parameters" not in vars(args[0]):
        return {}
    return {**dict(args[0].named_parameters()), **dict(args[0].named_buffers())}


def _rank(parameter: _Parameter) -> tuple[bool, bool]:
    return parameter.ends_like is not None, any("*" in dim for dim in parameter.dims or ())


def _read(parameter: inspect.Parameter, place: int) -> _Parameter:
    kind, extra = _unwrapped(parameter.annotation)
    options = get_args(kind) if get_origin(kind) is not None else (kind,)
    options = options if NoneType in options else (kind,)
    described = [_unwrapped(option) for option in options if option is not NoneType]
    kind, inner = described[0] if described else (kind, ())
    dims = getattr(kind, "dim_str", None)
    extra = (*extra, *inner)
    return _Parameter(
        parameter.name,
        place,
        None if parameter.default is inspect.Parameter.empty else parameter.default,
        None if dims is None else tuple(dims.split()),
        NoneType in options,
        tuple(each for each in extra if isinstance(each, Rule)),
        next((each.other for each in extra if isinstance(each, EndsLike)), None),
        kind is torch.Generator,
    )


def _unwrapped(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    if get_origin(annotation) is Annotated:
        kind, *extra = get_args(annotation)
        return kind, tuple(extra)
    return annotation, ()


def _require_dims(parameter: _Parameter, tensor: Tensor, sizes: dict[str, int]) -> None:
    """Raise unless a tensor has the axes that its annotation names; note their sizes."""
    dims, name = parameter.dims or (), parameter.name
    named = [dim for dim in dims if dim[0] not in "*."]
    variadic = len(named) < len(dims)
    fewest = len(named) + ("*event" in dims)  # an event has at least one axis
    if tensor.dim() < fewest or (tensor.dim() > fewest and not variadic):
        raise ValueError(
            f"`{name}` has shape {tuple(tensor.shape)}, but {_shown(dims, sizes)} is expected. "
            f"{_remedy(parameter, tensor.dim(), fewest)}"
        )
    if named and dims[-1] == named[-1] and tensor.shape[-1] == 0:
        raise ValueError(
            f"`{name}` has shape {tuple(tensor.shape)}: its last axis is empty. "
            f"At least one is expected on it."
        )
    place = next((i for i, dim in enumerate(dims) if dim[0] in "*."), len(dims))
    front = list(zip(dims[:place], tensor.shape, strict=False))
    back = list(zip(reversed(dims[place + 1 :]), reversed(tensor.shape), strict=False))
    for dim, size in front + back:
        expected = int(dim) if dim.isdigit() else sizes.setdefault(dim, size)
        if expected == size:
            continue
        if dim == dims[-1]:
            arguments.require_last_axis(expected, **{name: tensor})
        raise ValueError(
            f"`{name}` has shape {tuple(tensor.shape)}, but {_shown(dims, sizes)} is expected. "
            f"Reshape it, or pass the arguments that belong together."
        )


def _shown(dims: tuple[str, ...], sizes: dict[str, int]) -> str:
    known = [str(sizes.get(dim, "..." if dim[0] in "*." else dim)) for dim in dims]
    return f"({', '.join(known)}{',' if len(known) == 1 else ''})"


def _remedy(parameter: _Parameter, found: int, expected: int) -> str:
    name = parameter.name
    if found > expected:
        merged = f"{name}.flatten(1), or {name}.flatten(0, -2) if samples lead"
        return f"Take one of them, a row of a batch by {name}[0], or merge axes: {merged}."
    if "*event" in (parameter.dims or ()):
        return f"One example becomes a batch of one by {name}[None]."
    one, many = ("number", "vector") if expected == 1 else ("row", "batch")
    return f"One {one} becomes a {many} by {name}[None]."


def _require_ending(name: str, tensor: Tensor, other: str, present: dict[str, Tensor]) -> None:
    shape, ending = tensor.shape, present[other].shape
    if len(shape) < len(ending) or shape[len(shape) - len(ending) :] != ending:
        raise ValueError(
            f"`{name}` has shape {tuple(shape)}, which does not end in the shape of `{other}`, "
            f"{tuple(ending)}. Samples lead: (S, B, D) goes with (B, D), and nothing is broadcast."
        )


def _tensors(result: Any) -> Iterator[Tensor]:
    if isinstance(result, Tensor):
        yield result
    elif isinstance(result, tuple):
        for part in result:
            yield from _tensors(part)


def _is_finite(tensor: Tensor) -> bool:
    if tensor.is_meta or not tensor.is_floating_point():
        return True
    return bool(torch.isfinite(tensor.detach().sum()))
