"""The API page shows types, not the rules that stand beside them."""

import importlib.util
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / "book" / "_ext" / "plain_signatures.py"
SPEC = importlib.util.spec_from_file_location("plain_signatures", FILE)
plain_signatures = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(plain_signatures)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("(n: int)", "(n: int)"),
        ("(n: ~typing.Annotated[int, at least 1] | None = None)", "(n: int | None = None)"),
        (
            "(f: Annotated[Callable[[Tensor], Tensor], a function], x: Annotated[int, in [0, 1]])",
            "(f: Callable[[Tensor], Tensor], x: int)",
        ),
        ("(x: Annotated[Float[Tensor, ' B *event'], EndsLike(other='y')])",
         "(x: Float[Tensor, ' B *event'])"),
    ],
)  # fmt: skip
def test_only_the_type_is_left(before, after):
    assert plain_signatures.plain(before) == after
