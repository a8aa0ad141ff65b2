"""Judging a pair of gradients: one by the mean, one by the log-variance, each of shape (S, D)."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from companion.checks.authoring import (
    NotYet,
    as_tensor,
    compare,
    distance,
    is_blank,
    nearest,
    require_no_nan,
)

Pair = tuple[Tensor, Tensor]
PairHints = Mapping[str, Sequence[Pair]]

_NAMES = ("mean", "log_var")


def two_parts(result: object) -> list[Tensor]:
    """Return the two entries of the learner's result as tensors."""
    if isinstance(result, Tensor) and result.ndim > 1 and len(result) == 2:
        result = list(result)
    if isinstance(result, Mapping) and set(result) == set(_NAMES):
        result = [result[name] for name in _NAMES]
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        found = f"{len(result)} values" if isinstance(result, (tuple, list)) else "one value"
        raise NotYet(
            "Return two tensors, the estimate for `mean` and the one for `log_var`. "
            f"Yours returns {found}."
        )
    for part, name in zip(result, _NAMES, strict=True):
        if is_blank(part):
            raise NotYet(
                f"The estimate for `{name}` is `{part}`. If you read it from `.grad`: that is "
                "`None` until `backward()` has run through a leaf that requires a gradient."
            )
    parts = []
    for part, name in zip(result, _NAMES, strict=True):
        what = f"The estimate for `{name}`"
        parts.append(as_tensor(part, what))
        require_no_nan(parts[-1], what)
    return parts


def _distance(got: Sequence[Tensor], pair: Pair) -> float:
    """Return how far a pair is from another, 1 at the tolerance."""
    return max(distance(*each, rtol=1e-4, atol=1e-4) for each in zip(got, pair, strict=True))


def judge_pair(
    result: object, right: Pair, hints: PairHints, *, setting: str = "", remark: str = ""
) -> None:
    """Return if both gradients are right; a hint fits if both parts equal its wrong pair.

    Raises:
        NotYet: with the misconception's hint, or with the part that differs.
    """
    parts = two_parts(result)
    if _distance(parts, right) <= 1:
        return
    found = nearest(
        {hint: [_distance(parts, pair) for pair in pairs] for hint, pairs in hints.items()}
    )
    if found:
        raise NotYet(found)
    for part, expected, name in zip(parts, right, _NAMES, strict=True):
        what = f"The estimate for `{name}`"
        compare(part, expected, what=what, setting=setting, rtol=1e-4, remark=remark)


def shape_slips(mean: Tensor, log_var: Tensor) -> dict[str, list[Pair]]:
    """Return what wrong reductions of the right estimates, each (S, D), lead to."""
    size = len(mean)
    averages = mean.mean(0), log_var.mean(0)
    return {
        "You return the average over the samples. Return the estimate of each sample, shape "
        "(S, D); only the caller averages.": [averages],
        "You return the sum over the samples: that is what autograd gives for one `mean` that "
        "all samples share. Return the estimate of each sample, shape (S, D).": [
            (mean.sum(0), log_var.sum(0))
        ],
        "Every entry is divided by S: did you differentiate `f(z).mean()`? Each sample's own "
        "estimate is asked for, and `f(z).sum()` keeps them whole.": [
            (mean / size, log_var / size)
        ],
        "All rows are the same: the average over the samples. Return the estimate of each "
        "sample.": [(averages[0].expand_as(mean), averages[1].expand_as(mean))],
        "You reduced the dimensions. Each has its own parameters: return shape (S, D).": [
            (mean.mean(1), log_var.mean(1)),
            (mean.sum(1), log_var.sum(1)),
            (mean.mean(), log_var.mean()),
            (mean.sum(), log_var.sum()),
        ],
        "The axes are swapped: return shape (S, D).": [(mean.T, log_var.T)],
        "The two are in the wrong order: return the estimate for `mean` first.": [(log_var, mean)],
        "The sign is wrong. Return the gradient of the expectation, not of its negative.": [
            (-mean, -log_var)
        ],
    }
