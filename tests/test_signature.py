"""The decorator that reads a signature: what it lets pass, refuses and leaves alone."""

from typing import Annotated

import pytest
import torch
from jaxtyping import Float
from torch import Tensor, nn

from companion._require.arguments import without_value_checks
from companion._require.signature import FINITE, Count, EndsLike, checked, one_of, within

NAN, INF = float("nan"), float("inf")
calls = []


@checked
def ratio(
    value: Annotated[Float[Tensor, "*sample D"], EndsLike("scale")],
    scale: Float[Tensor, "*batch D"],
    *,
    n: Count = 1,
    kind: Annotated[str, one_of("sum", "mean")] = "sum",
    generator: torch.Generator | None = None,
) -> Float[Tensor, "..."]:
    """Divide."""
    calls.append(value.dtype)
    return n * getattr(value / scale, kind)(-1)


@checked
def product(rows: Float[Tensor, "N D"], matrix: Float[Tensor, "D K"]) -> Tensor:
    """Multiply."""
    return rows @ matrix


@checked
def sign(x: Annotated[Float[Tensor, " B *event"], FINITE], y: Float[Tensor, " B"] | None = None):
    """Hide what is not finite."""
    return (x > 0).float()


@checked
def pixels(x: Annotated[Float[Tensor, "..."], within(0.0, 1.0, "Scale.")]) -> Tensor:
    """Take pixels."""
    return x


class Box(nn.Module):
    @checked
    def __init__(self, dim: Count, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.dim = dim
        self.weight = nn.Parameter(torch.ones(dim))

    @checked
    def forward(self, z: Float[Tensor, "*batch {self.dim}"]) -> Tensor:
        return z * self.weight

    @checked
    def draw(self, n: Count, *, generator: torch.Generator | None = None) -> Tensor:
        return torch.randn(n, self.dim, generator=generator)


ONE = torch.ones(3, 2)

FAILS = [
    (lambda: ratio([1.0], ONE), TypeError, "`value` must be a torch.Tensor"),
    (lambda: ratio(ONE.long(), ONE), TypeError, "value.float()"),
    (lambda: ratio(ONE.to("meta"), ONE), ValueError, "Move both to one device"),
    (lambda: ratio(torch.ones(3, 5, 2), ONE), ValueError, "does not end in the shape of `scale`"),
    (lambda: ratio(torch.ones(2), ONE), ValueError, "Samples lead"),
    (lambda: ratio(torch.ones(3, 4), ONE), ValueError, "its last axis must have size 2"),
    (lambda: ratio(torch.tensor(1.0), ONE), ValueError, "(..., 2) is expected"),
    (lambda: ratio(ONE[:, :0], ONE[:, :0]), ValueError, "last axis is empty"),
    (lambda: ratio(ONE, ONE, n=0), ValueError, "`n` must be at least 1"),
    (lambda: ratio(ONE, ONE, n=None), TypeError, "`n` must be a whole number"),
    (lambda: ratio(ONE, ONE, kind="max"), ValueError, "one of 'sum', 'mean'"),
    (lambda: ratio(ONE, ONE, generator=3), TypeError, "manual_seed"),
    (lambda: ratio(ONE, ONE * NAN), ValueError, "`scale` holds 6 values"),
    (lambda: ratio(ONE), TypeError, "missing a required argument: 'scale'"),
    (lambda: ratio(ONE, ONE, 3), TypeError, "positional argument"),
    (lambda: ratio(ONE, ONE, k=3), TypeError, "unexpected keyword argument 'k'"),
    (lambda: product(ONE, torch.ones(3, 4)), ValueError, "`matrix` has shape (3, 4), but (2, K)"),
    (lambda: product(ONE[0], torch.ones(2, 4)), ValueError, "becomes a batch by rows[None]"),
    (lambda: product(ONE[None], torch.ones(2, 4)), ValueError, "rows[0]"),
    (lambda: sign(ONE / 0), ValueError, "`x` holds 6 values"),
    (lambda: sign(ONE[0]), ValueError, "(B, ...) is expected"),
    (lambda: sign(ONE, ONE[:2, 0]), ValueError, "`x` has shape (3, 2), but (2, ...) is expected"),
    (lambda: pixels(255 * ONE), ValueError, "must lie in [0, 1]"),
    (lambda: Box(2)(torch.ones(3)), ValueError, "its last axis must have size 2"),
    (lambda: Box(0), ValueError, "`dim` must be at least 1"),
    (lambda: Box(2, generator=1), TypeError, "manual_seed"),
    (lambda: Box(2).to("meta").draw(1, generator=torch.Generator()), ValueError, "on meta"),
]


@pytest.mark.parametrize(("call", "error", "message"), FAILS)
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)


def test_what_fits_passes_by_position_and_by_name():
    expected = torch.full((5, 3), 4.0)
    assert torch.equal(ratio(2 * torch.ones(5, 3, 2), ONE), expected)
    assert torch.equal(ratio(scale=ONE, value=2 * torch.ones(5, 3, 2), n=1), expected)
    assert sign(ONE, None).shape == (3, 2)
    assert Box(2)(torch.ones(4, 5, 2)).shape == (4, 5, 2)
    assert Box(2, generator=torch.Generator()).draw(3, generator=torch.Generator()).shape == (3, 2)


def test_a_shape_that_passed_once_does_not_open_the_door_for_another():
    box = Box(2)
    box(torch.ones(3, 2))
    box.dim = 3
    with pytest.raises(ValueError, match="size 3"):
        box(torch.ones(3, 2))
    ratio(ONE, ONE)
    with pytest.raises(TypeError, match=r"value\.float"):
        ratio(ONE.int(), ONE)


def test_an_infinite_result_of_finite_numbers_is_the_callers():
    assert ratio(ONE, 0 * ONE).tolist() == [INF] * 3


def test_a_parameter_that_is_not_finite_is_named():
    box = Box(2)
    nn.init.constant_(box.weight, NAN)
    with pytest.raises(ValueError, match="`weight` holds 2 values"):
        box(ONE)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32_with_checks_and_without(half):
    calls.clear()
    for _ in range(2):
        assert ratio(ONE.to(half), scale=ONE.to(half)).dtype == torch.float32
    with without_value_checks():
        assert ratio(ONE.to(half), ONE.to(half)).dtype == torch.float32
    assert calls == [torch.float32] * 3


def test_nothing_is_checked_inside_a_training_step():
    with without_value_checks():
        assert ratio(ONE, ONE * NAN).isnan().all()
        assert ratio(torch.ones(3, 5, 2), torch.ones(5, 2)).shape == (3, 5)


def test_a_checked_function_compiles_to_one_graph():
    compiled = torch.compile(ratio, backend="eager", fullgraph=True)
    assert torch.equal(compiled(2 * ONE, scale=ONE), torch.full((3,), 4.0))


def test_the_result_keeps_its_graph_and_the_memory_of_shapes_is_bounded(monkeypatch):
    from companion._require import signature

    monkeypatch.setattr(signature, "_REMEMBERED", 2)
    for n in range(1, 6):
        x = torch.ones(n, 2, requires_grad=True)
        ratio(x, torch.ones(n, 2)).sum().backward()
        assert torch.equal(x.grad, torch.ones(n, 2))


def test_the_documentation_reads_the_rules():
    assert repr(one_of("sum", "mean")) == "'sum' or 'mean'"
    assert "at least 1" in repr(Count)
