"""Check of the spherical path between codes."""

import math

import torch
from torch import Tensor

from companion.checks.authoring import Case, FunctionTask, Slips, uniform


def _unit(codes: Tensor) -> Tensor:
    return codes / codes.norm(dim=-1, keepdim=True)


def _angle(start: Tensor, end: Tensor) -> Tensor:
    """Return the angle between two batches of codes, (B, 1), without an arc cosine."""
    a, b = _unit(start), _unit(end)
    return 2 * torch.atan2((a - b).norm(dim=-1), (a + b).norm(dim=-1))[:, None]


def _arc(start: Tensor, end: Tensor, angle: Tensor, steps: Tensor) -> Tensor:
    """Return points (n, B, D) on the arc; `steps` runs from 0 to 1."""
    t = steps[:, None, None]
    return ((1 - t) * angle).sin() / angle.sin() * start + (t * angle).sin() / angle.sin() * end


def _acute(angle: Tensor) -> Tensor:
    return torch.minimum(angle, math.pi - angle)


def _steps(n: int) -> Tensor:
    return torch.arange(n, dtype=torch.float64) / (n - 1)


def _path(start: Tensor, end: Tensor, n: int) -> Tensor:
    return _arc(start, end, _angle(start, end), _steps(n))


def _step_slips(start: Tensor, end: Tensor, n: int) -> Slips:
    """Return what wrong steps or a wrong order of axes lead to."""
    angle, whole = _angle(start, end), torch.arange(n, dtype=torch.float64)
    right = _arc(start, end, angle, _steps(n))
    return {
        "The order of the axes is wrong: the n steps come first, then the batch.": [
            right.transpose(0, 1),
            right.permute(1, 2, 0),
        ],
        "Your path runs from the end to the start.": right.flip(0),
        "Your path stops one step before the end. Both codes belong to it.": [
            _arc(start, end, angle, whole / n)
        ],
        "Your path leaves its start out. Both codes belong to it.": [
            _arc(start, end, angle, (whole + 1) / n)
        ],
        "Your path leaves out both the start and the end.": [
            _arc(start, end, angle, (whole + 1) / (n + 1))
        ],
        "Your path has one point too many: n counts both ends.": [
            _arc(start, end, angle, _steps(n + 1))
        ],
        "Steps and batch are stacked into one axis. Return shape (n, B, D).": right.flatten(0, 1),
    }


def _slips(start: Tensor, end: Tensor, n: int) -> Slips:
    angle, steps = _angle(start, end), _steps(n)
    t = steps[:, None, None]
    line = (1 - t) * start + t * end
    lengths = (1 - t) * start.norm(dim=-1, keepdim=True) + t * end.norm(dim=-1, keepdim=True)
    dot = (start * end).sum(-1, keepdim=True)
    whole = torch.acos(torch.cosine_similarity(start.flatten(), end.flatten(), dim=0))
    return {
        "This is the straight line. Its middle is too close to the origin: weight the two codes by "
        "the sines.": [line, line.transpose(0, 1)],
        "Your angle comes from the inner product alone. Divide it by both lengths before the arc "
        "cosine.": [
            _arc(start, end, dot.clamp(margin - 1, 1 - margin).acos(), steps)
            for margin in (1e-4, 1e-5, 1e-6, 1e-7)
        ],
        "You took one angle for the whole batch. Each pair has its own: reduce the last axis "
        "only.": [
            _arc(start, end, whole.reshape(1, 1), steps),
            _arc(start, end, angle.mean().reshape(1, 1), steps),
        ],
        "Your path consists of codes of length 1. Use unit vectors for the angle only.": [
            _arc(_unit(start), _unit(end), angle, steps),
            _unit(line),
        ],
        "You stretched the straight line to the right length. That passes through the same "
        "directions, but at another speed than the sines.": [
            _unit(line) * lengths,
            _unit((1 - t) * _unit(start) + t * _unit(end)) * lengths,
        ],
        "You turned the direction and interpolated the length by itself. The formula weights the "
        "codes as they are, with their own lengths.": [
            _arc(_unit(start), _unit(end), angle, steps) * lengths
        ],
        "The division by the sine of the angle is missing.": [
            _arc(start, end, angle, steps) * angle.sin()
        ],
        "Your weights are right only for codes at a right angle. Measure the angle.": [
            (t * math.pi / 2).cos() * start + (t * math.pi / 2).sin() * end
        ],
        "You turned a code around where the angle is obtuse. That is done for rotations, where q "
        "and -q are the same. Codes of opposite sign are different pictures.": [
            _arc(torch.where(dot < 0, -start, start), end, _acute(angle), steps),
            _arc(start, torch.where(dot < 0, -end, end), _acute(angle), steps),
        ],
        "You took the acute angle where the codes are at an obtuse one: is there an `abs`, or a "
        "`clamp` at 0? The cosine may be negative.": [_arc(start, end, _acute(angle), steps)],
        "You used the cosine of the angle in place of the angle: take the arc cosine.": [
            _arc(start, end, angle.cos(), steps)
        ],
        **_step_slips(start, end, n),
    }


def _random(size: int, n_latent: int, n: int, seed: int) -> Case:
    start = uniform(-2, 2, size, n_latent, seed=seed)
    end = uniform(-2, 2, size, n_latent, seed=seed + 1)
    setting = f"With n = {n}, B = {size} and D = {n_latent}, "
    return Case(setting, {"start": start, "end": end, "n": n})


def _parallel(name: str, factor: float) -> Case:
    """Pairs that point in the same direction, where the formula divides 0 by 0."""
    start = uniform(-2, 2, 30, 7, seed=95)  # enough for roundings both ways
    limit = "What do the two weights tend to as the angle goes to 0?"
    return Case(
        f"For {name}, ",
        {"start": start, "end": factor * start, "n": 4},
        expected=torch.lerp(start, factor * start, _steps(4)[:, None, None].float()).double(),
        atol=1e-3,
        not_finite=f"Right for most codes, but for {name} the path holds NaN. The sine of the "
        f"angle is 0 there, and a cosine rounded to more than 1 has no arc cosine. {limit}",
        remark=f"{limit} (And what becomes of them if the cosine is rounded?)",
    )


def _mixed() -> Case:
    """A batch that holds parallel pairs and others: each pair decides for itself."""
    start, end = uniform(-2, 2, 6, 7, seed=98), uniform(-2, 2, 6, 7, seed=99)
    end[::2] = 1.7 * start[::2]
    expected = _path(start.double(), end.double(), 4)
    line = torch.lerp(start, end, _steps(4)[:, None, None].float()).double()
    expected[:, ::2] = line[:, ::2]
    remark = (
        "Right for a batch of parallel pairs and for a batch of others, but not for one that "
        "holds both. Does one `if` decide for the whole batch? Each pair has its own angle: "
        "choose with `torch.where`."
    )
    given = {"start": start, "end": end, "n": 4}
    setting = "For a batch of both, "
    return Case(setting, given, expected=expected, atol=1e-3, not_finite=remark, remark=remark)


_ROUNDED = "Single precision rounds their cosine to 1, or to more. Test the angle, not the codes."
_CUT_OFF = (
    "The cosine is cut off before it reaches -1, so nearly opposite codes get a smaller angle than "
    "they have. Only a cosine beyond -1 or 1 is a rounding error."
)
_GUARD = (
    "Nearly opposite codes get the straight line from you. Their sine is small, and their angle is "
    "not: a guard meant for angles near 0 is at work."
)


def _opposite_slips(start: Tensor, end: Tensor) -> Slips:
    cosines = -1 + torch.tensor([1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 1e-2]).double()
    arcs = [_arc(start, end, each.acos(), _steps(5)) for each in cosines]
    return {_CUT_OFF: arcs, _GUARD: torch.lerp(start, end, _steps(5)[:, None, None])}


def _extreme(name: str, angle: float, atol: float, remark: str) -> Case:
    """Nearly parallel or nearly opposite codes, where the formula holds as it stands."""
    start, other = uniform(-2, 2, 9, 7, seed=96), uniform(-2, 2, 9, 7, seed=97)
    unit = _unit(start.double())
    normal = _unit(other.double() - (other.double() * unit).sum(-1, keepdim=True) * unit)
    end = (3 * (math.cos(angle) * unit + math.sin(angle) * normal)).float()
    given = {"start": start, "end": end, "n": 5}
    return Case(
        f"For {name}, ",
        given,
        atol=atol,
        remark=remark,
        not_finite=f"Right for equal codes, but for {name} the path holds NaN. {_ROUNDED}",
        slips=_opposite_slips(start.double(), end.double()) if angle > 3 else None,
    )


FunctionTask(
    "mnist.path",
    number="3.5",
    title="A path between two codes",
    answer="path",
    parts=["Your path"],
    reference=_path,
    slips=_slips,
    cases=[
        _random(4, 6, 5, seed=70),
        _random(1, 3, 2, seed=80),
        _random(3, 50, 8, seed=90),
        _parallel("equal codes", 1.0),
        _parallel("codes in the same direction", 1.7),
        _mixed(),
        _extreme(
            "codes at an angle of 0.3",
            0.3,
            5e-3,
            "The straight line is the limit at an angle of 0. Here the arc still differs from it.",
        ),
        _extreme(
            "nearly equal codes",
            1e-4,
            1e-3,
            "The straight line is the limit at an angle of 0.",
        ),
        _extreme(
            "nearly opposite codes",
            math.pi - 0.003,
            12.0,  # several times the error of single precision; a cosine cut at 1e-5 is off by 35
            "Is the angle cut off, or a guard meant for angles near 0 at work?",
        ),
    ],
    praise="It starts and ends where it should, and where the two codes point in the same "
    "direction it becomes the straight line.",
)
