"""Check of the size after a transposed convolution."""

from itertools import product

import torch
from torch import Tensor
from torch.nn import functional as F

from companion.checks.authoring import Case, FunctionTask, Slips

_NAMES = ("n", "kernel", "stride", "padding", "output_padding", "dilation")
# Few enough for an answer that builds a real layer each time.
_ROWS = [
    (n, kernel, stride, padding, output_padding, dilation)
    for n, kernel, stride, dilation in product((7, 1, 4), (4, 3, 2), (2, 1, 3), (2, 1, 3))
    for padding in range((kernel + 1) // 2)
    for output_padding in range(min(stride, 2))
]
_COLUMNS = dict(zip(_NAMES, torch.tensor(_ROWS).T, strict=True))


def _layer(**columns: Tensor) -> Tensor:
    """Return the sizes that torch's own layer gives."""
    sizes = []
    for row in zip(*(columns[name].int().tolist() for name in _NAMES), strict=True):
        n, kernel, *options = row
        x, weight = torch.zeros(1, 1, n), torch.zeros(1, 1, kernel)
        stride, padding, output_padding, dilation = options
        y = F.conv_transpose1d(x, weight, None, stride, padding, output_padding, 1, dilation)
        sizes.append(y.shape[-1])
    return torch.tensor(sizes, dtype=torch.float64)


def _slips(
    n: Tensor,
    kernel: Tensor,
    stride: Tensor,
    padding: Tensor,
    output_padding: Tensor,
    dilation: Tensor,
) -> Slips:
    extra, span, steps = output_padding, dilation * (kernel - 1) + 1, (n - 1) * stride
    right = steps + span - 2 * padding + extra
    slips = {
        "This is the size after an ordinary convolution, as in (3.1). The transposed one maps "
        "sizes the other way: (3.2).": [
            (n + 2 * padding - kernel).div(stride, rounding_mode="floor") + 1,
            (n + 2 * padding - span).div(stride, rounding_mode="floor") + 1,
        ],
        "This is (3.2) as it stands. Now extend it by the dilation and the output padding.": [
            steps + kernel - 2 * padding
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
            steps * dilation + span - 2 * padding + extra,
            steps * dilation + kernel - 2 * padding + extra,
            dilation * (steps + kernel) - 2 * padding + extra,
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
        "There are n inputs, so n - 1 steps between them: the last window begins at (n - 1) times "
        "the stride.": [right + stride],
        "You left the window out: each input writes to as many places as the window spans.": [
            right - span,
            right - span + 1,
        ],
        "One too large: count the places from the first to the last one.": [right + 1],
    }
    return {hint: [value.double() for value in values] for hint, values in slips.items()}


def _first_difference(case: Case, sizes: Tensor, right: Tensor) -> str:
    """Say where an answer is wrong first, and in how many of the rows."""
    wrong = (sizes - right).abs() >= 1e-6
    first = int(wrong.nonzero()[0])
    names = ", ".join(f"{name} = {v}" for name, v in zip(_NAMES, _ROWS[first], strict=True))
    whole = bool((sizes == sizes.round()).all())
    remark = "" if whole else " A size is a whole number, and yours is not always one."
    return (
        f"Wrong in {int(wrong.sum())} of {len(_ROWS)} cases, first for {names}: yours gives "
        f"{sizes[first]:g}, torch's layer gives {right[first]:g}.{remark} Draw which outputs the "
        "first and the last input reach."
    )


FunctionTask(
    "mnist.transposed_size",
    number="3.1",
    title="The size after a transposed convolution",
    answer="size",
    reference=_layer,
    slips=_slips,
    each_row=True,
    cases=[Case("", _COLUMNS, rtol=0.0, atol=1e-6)],
    difference=_first_difference,
    praise=f"It agrees with torch's own layer in {len(_ROWS)} cases. Now use it for the two "
    "questions at the end: which windows double every size?",
)
