"""Check of the size after a transposed convolution."""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import torch
from torch.nn import functional as F

from companion.checks.authoring import NotYet, call, exercise, number


class Case(NamedTuple):
    """The arguments of one call."""

    n: int
    kernel: int
    stride: int
    padding: int
    output_padding: int
    dilation: int


# Few enough for an answer that builds a real layer each time.
_CASES = [
    Case(n, kernel, stride, padding, output_padding, dilation)
    for n, kernel, stride, dilation in product((7, 1, 4), (4, 3, 2), (2, 1, 3), (2, 1, 3))
    for padding in range((kernel + 1) // 2)
    for output_padding in range(min(stride, 2))
]


def _size(case: Case) -> int:
    """Return the size that torch's own layer gives."""
    result = F.conv_transpose1d(
        torch.zeros(1, 1, case.n),
        torch.zeros(1, 1, case.kernel),
        stride=case.stride,
        padding=case.padding,
        output_padding=case.output_padding,
        dilation=case.dilation,
    )
    return result.shape[-1]


def _slips(case: Case) -> dict[str, list[float | int]]:
    """Return what the known slips lead to, by their hints."""
    n, kernel, stride, padding, extra, dilation = case
    span = dilation * (kernel - 1) + 1
    right = (n - 1) * stride + span - 2 * padding + extra
    return {
        "This is the size after an ordinary convolution, as in (3.1). The transposed one maps "
        "sizes the other way: (3.2).": [
            (n + 2 * padding - kernel) // stride + 1,
            (n + 2 * padding - span) // stride + 1,
        ],
        "This is (3.2) as it stands. Now extend it by the dilation and the output padding.": [
            (n - 1) * stride + kernel - 2 * padding
        ],
        "You left the dilation out. It stretches the window: count the places from its first to "
        "its last.": [right - span + kernel],
        "A dilated window spans fewer places than `dilation * kernel`: between `kernel` places "
        "there are one fewer gaps.": [right - span + kernel * dilation],
        "One too small: gaps alone. The window's first place counts, too.": [right - 1],
        "You inserted `dilation` places between two neighbors. A dilation of 1 inserts none.": [
            right - span + kernel + (kernel - 1) * dilation
        ],
        "The dilation multiplies the window's gaps only, not the stride or the whole size.": [
            (n - 1) * stride * dilation + span - 2 * padding + extra,
            (n - 1) * stride * dilation + kernel - 2 * padding + extra,
            dilation * ((n - 1) * stride + kernel) - 2 * padding + extra,
        ],
        "The dilation belongs to the window. It does not stretch the padding.": [
            right + 2 * padding - 2 * padding * dilation
        ],
        "You double the input. That is right for one kernel, stride and padding; the function "
        "must work for any.": [2 * n],
        "You added the padding. In a transposed convolution the padding crops the output.": [
            right + 4 * padding
        ],
        "The padding crops both ends: subtract it twice.": [right + padding],
        "You left the padding out. It crops the output at both ends.": [right + 2 * padding],
        "You left the output padding out.": [right - extra],
        "The output padding is added at one end only.": [right + extra],
        "You subtracted the output padding. It is added.": [right - 2 * extra],
        "There are n inputs, so n - 1 steps between them: the last window begins at "
        "(n - 1) times the stride.": [right + stride],
        "You left the window out: each input writes to as many places as the window spans.": [
            right - span,
            right - span + 1,
        ],
        "One too large: count the places from the first to the last one.": [right + 1],
    }


@exercise(
    "mnist.transposed_size",
    number="3.1",
    answer="size",
    title="The size after a transposed convolution",
)
def transposed_size(answer: object) -> str:
    """Judge `size(n, kernel, stride, padding, output_padding, dilation)` in many cases."""
    sizes = [number(call(answer, **case._asdict()), "Your result") for case in _CASES]
    wanted = [_size(case) for case in _CASES]
    if _agree(sizes, wanted):
        return (
            f"It agrees with torch's own layer in {len(_CASES)} cases. Now use it for the two "
            "questions at the end: which windows double every size?"
        )
    slips = [_slips(case) for case in _CASES]
    for hint, first in slips[0].items():
        for index in range(len(first)):
            if _agree(sizes, [each[hint][index] for each in slips]):
                raise NotYet(hint)
    raise NotYet(_first_difference(sizes, wanted))


def _agree(sizes: Sequence[float | int], others: Sequence[float | int]) -> bool:
    return all(abs(a - b) < 1e-6 for a, b in zip(sizes, others, strict=True))


def _first_difference(sizes: list[float], wanted: list[int]) -> str:
    """Say where an answer is wrong first, and in how many of the cases."""
    pairs = list(zip(_CASES, sizes, wanted, strict=True))
    wrong = [(case, got, want) for case, got, want in pairs if abs(got - want) >= 1e-6]
    case, got, want = wrong[0]
    names = ", ".join(f"{name} = {value}" for name, value in case._asdict().items())
    whole = all(each.is_integer() for each in sizes)
    remark = "" if whole else " A size is a whole number, and yours is not always one."
    return (
        f"Wrong in {len(wrong)} of {len(_CASES)} cases, first for {names}: yours gives {got:g}, "
        f"torch's layer gives {want}.{remark} Draw which outputs the first and the last input "
        "reach."
    )
