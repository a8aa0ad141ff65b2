r"""What a chapter's module of checks is written with.

An exercise is data: inputs, a reference and the known slips (`FunctionTask`, `NumberTask`,
`NumbersTask`, `RepairTask`); CONTRIBUTING shows a whole one. Give every misconception you know its
own hint, and pass inputs on which no two of them give the same numbers: `tests/test_tasks.py` tests
it.

Where equality of values can't judge, a check is a function that receives the learner's answer. It
returns (perhaps with a closing remark) if the answer is right, and leaves through `NotYet(hint)`
if it is not; the helpers raise that for it. Whatever else goes wrong becomes a friendly verdict
too::

    @exercise("elbo.square", title="The square")
    def square(answer: object) -> str:
        x = torch.linspace(-1, 2, 5)
        got = call(answer, x=x)
        compare(got, x**2, {"You doubled `x`; the exercise asks for its square.": 2 * x})
        return "It even works for negative numbers."
"""

from companion.checks._call import DETACHED, call, gradients, is_blank
from companion.checks._compare import (
    Hints,
    as_tensor,
    compare,
    distance,
    nearest,
    number,
    require_no_nan,
    uniform,
)
from companion.checks._numbers import NumbersTask, NumberTask
from companion.checks._registry import NotAttempted, NotYet, exercise
from companion.checks._repair import RepairTask
from companion.checks._sampling import SamplingTask
from companion.checks._tasks import Case, FunctionTask, Slips, several, single

__all__ = [
    "DETACHED",
    "Case",
    "FunctionTask",
    "Hints",
    "NotAttempted",
    "NotYet",
    "NumberTask",
    "NumbersTask",
    "RepairTask",
    "SamplingTask",
    "Slips",
    "as_tensor",
    "call",
    "compare",
    "distance",
    "exercise",
    "gradients",
    "is_blank",
    "nearest",
    "number",
    "require_no_nan",
    "several",
    "single",
    "uniform",
]
