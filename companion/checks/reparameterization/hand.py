"""Check of the two estimators by hand: six numbers for f(z) = z³ at one draw of the noise."""

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from companion.checks.authoring import NotAttempted, NotYet, exercise, is_blank, number

_M, _V, _EPS = -1.0, 0.25, -2.0
_STD = _V**0.5
_Z = _M + _STD * _EPS
_F, _SLOPE = _Z**3, 3 * _Z**2
_SCORE_M, _SCORE_LV = (_Z - _M) / _V, (_EPS**2 - 1) / 2
_EXACT_M, _EXACT_LV = 3 * _M**2 + 3 * _V, 3 * _M * _V

_PATHWISE_CHAIN = "the chain rule needs dz/d(log v). From z = m + exp(log v / 2) ε, what is it?"
_STD_IS_V = "v is the variance: the standard deviation is √v = 1/2, so z = -2."
_Z_BY_V = _M + _V * _EPS
_OTHER_PARAMETER = "that is the derivative by σ or by v. The parameter is log v."

# For each letter: the right value, then known wrong ones with their hints.
ANSWERS: dict[str, tuple[float, dict[float, str]]] = {
    "a": (
        _F * _SCORE_M,
        {
            _F * (_Z - _M) / _STD: "in the score, z - m is divided by the variance, not by the "
            "standard deviation.",
            _F * _EPS / _V: "noise is (z − m) / σ already: divide it by σ once more, not by σ².",
            _Z_BY_V**3 * _EPS / _V: _STD_IS_V,
            _Z_BY_V**3 * _EPS * 1.0: _STD_IS_V,
            -_F * _SCORE_M: "the sign: for z above m, log q(z) grows with m.",
            _SCORE_M: "that is the score alone. Multiply it by f(z).",
            _F * (_Z - _M): "the score is (z - m) / v: you left the division out.",
            _SLOPE * _SCORE_M: "the score function multiplies f(z) itself, not its derivative.",
            _SLOPE: "that is the pathwise estimate.",
        },
    ),
    "b": (
        _SLOPE,
        {
            _F * _SCORE_M: "that is the score-function estimate.",
            _F: "that is f(z). The pathwise estimate needs its derivative.",
            _SLOPE * _EPS: "that is the derivative by σ. What is dz/dm?",
            3 * _M**2: "you took the derivative of f at m. Take it at z.",
            -_SLOPE: "the sign: z grows with m.",
            3 * _Z_BY_V**2: _STD_IS_V,
            _Z**2: "the derivative of z³ has a factor 3.",
            _EXACT_M: "that is the exact derivative, (e). Here one draw of z is asked for.",
        },
    ),
    "c": (
        _F * _SCORE_LV,
        {
            2 * _F * _SCORE_LV: "a one half is missing: log q(z) holds -(log v) / 2 and "
            "-(z - m)² / (2 v).",
            _F * _SCORE_LV / _V: _OTHER_PARAMETER,
            _Z_BY_V**3 * _SCORE_LV: _STD_IS_V,
            _SCORE_LV: "that is the score alone. Multiply it by f(z).",
            _F * _EPS**2 / 2: "you left out the derivative of the constant in front of the "
            "exponential, -(log v) / 2.",
            -_F * _SCORE_LV: "the sign: far from m, log q(z) grows with v.",
            _SLOPE * (_Z - _M) / 2: "that is the pathwise estimate.",
            -_F / 2: "that is the constant's part. The exponent, -(z - m)² / (2 v), depends on "
            "v too.",
            _F * ((_Z - _M) ** 2 / _STD - 1) / 2: "(z - m)² is divided by the variance, not by "
            "the standard deviation.",
            _SLOPE * _SCORE_LV: "the score function multiplies f(z) itself, not its derivative.",
        },
    ),
    "d": (
        _SLOPE * (_Z - _M) / 2,
        {
            _SLOPE * (_Z - _M): "that is (c), or a one half is missing: σ = exp(log v / 2), so "
            "dσ/d(log v) = σ / 2.",
            _SLOPE * _EPS: _OTHER_PARAMETER,
            3 * _Z_BY_V**2 * (_Z_BY_V - _M) / 2: _STD_IS_V,
            _SLOPE * _STD / 2: "the noise is missing from dz/d(log v).",
            _SLOPE: _PATHWISE_CHAIN,
            -_SLOPE * (_Z - _M) / 2: "dz/d(log v) is (z - m) / 2, and z - m is negative here.",
            _SLOPE * _V * _EPS / 2: "z moves with the standard deviation, not with the variance.",
            _F * (_Z - _M) / 2: "the pathwise estimate needs the derivative of f, not f(z).",
            _EXACT_LV: "that is the exact derivative, (f). Here one draw of z is asked for.",
        },
    ),
    "e": (
        _EXACT_M,
        {
            3 * _M**2: "that is the derivative of f at m. Average over q: E[z²] is not m².",
            3 * _M**2 + 3 * _STD: "v is the variance, one quarter; you used one half.",
            3 * _M**2 + 3 * _V**2: "v is the variance already: E[(√v ε)²] = v, not v².",
            3 * _V: "the derivative of m³ is missing.",
            3 * _M**2 + _V: "in (m + σ ε)³ the term with ε² has the factor 3.",
            _M**3 + 3 * _M * _V: "that is E[f(z)]. Differentiate it by m.",
            _SLOPE: "that is one draw, (b). The exact derivative averages over all draws.",
        },
    ),
    "f": (
        _EXACT_LV,
        {
            3 * _M: _OTHER_PARAMETER,
            _EXACT_LV / 2: "there is no one half: dv/d(log v) = v.",
            3 * _M * _STD: "that is the derivative by log σ, or you used v = 1/2.",
            3 * _M * _V**2: "v is the variance already: E[(√v ε)²] = v, not v².",
            _SLOPE * (_Z - _M) / 2: "that is one draw, (d). The exact derivative averages over all "
            "draws.",
            _M**3 + 3 * _M * _V: "that is E[f(z)]. Differentiate it by log v.",
            _M * _V: "in (m + σ ε)³ the term with ε² has the factor 3.",
            -_EXACT_LV: "the sign: m is negative.",
        },
    ),
}


@exercise(
    "reparameterization.by_hand", number="2.1", answer="estimates", title="Two estimators by hand"
)
def by_hand(answer: object) -> str:
    """Judge six numbers: in order, or in a dict with the keys a to f."""
    answers = _six(answer)
    blank = [letter for letter, value in answers.items() if is_blank(value)]
    if len(blank) == len(answers):
        raise NotAttempted("Fill in the six numbers, then run the cell again.")
    lines = []
    for letter, value in answers.items():
        remark = "no answer yet." if letter in blank else _remark(letter, value)
        if remark:
            lines.append(f"- ({letter}) {remark}")
    if lines:
        right = len(answers) - len(lines)
        verb = "is" if right == 1 else "are"
        raise NotYet(f"{right} of 6 {verb} right. Look again at:\n\n" + "\n".join(lines))
    return (
        "All six. One draw is far from the exact value, and the two estimators are far from each "
        "other. Both are right on average."
    )


def _six(answer: object) -> dict[str, object]:
    """Return the six answers by their letters."""
    if isinstance(answer, (Tensor, np.ndarray)):
        answer = answer.reshape(-1).tolist()
    if isinstance(answer, Mapping):
        named = {str(key).strip("() ").lower(): value for key, value in answer.items()}
        if not set(named) <= set(ANSWERS):
            raise NotYet("The dict's keys must be `a`, `b`, `c`, `d`, `e` and `f`.")
        return {letter: named.get(letter) for letter in ANSWERS}
    if not isinstance(answer, (list, tuple)):
        name = type(answer).__name__
        raise NotYet(f"Pass six numbers, as a dict or as a list; this is of type `{name}`.")
    if len(answer) != len(ANSWERS):
        raise NotYet(f"Pass six numbers, (a) to (f); you passed {len(answer)}.")
    return dict(zip(ANSWERS, answer, strict=True))


def _remark(letter: str, value: object) -> str:
    """Return what to look at in one of the answers; empty if it is right."""
    right, hints = ANSWERS[letter]
    if isinstance(value, str):
        return "write it without quotes."
    try:
        given = number(value, "the answer")
    except NotYet as reason:
        return str(reason)
    if near(given, right):
        return ""
    for wrong, hint in hints.items():
        if near(given, wrong):
            return hint
    if letter in "ef":
        return f"{given:.6g} is not it. No draw enters here: differentiate E[z³] = E[(m + √v ε)³]."
    return f"{given:.6g} is not it. Here z = {_Z:g}, f(z) = {_F:g} and f'(z) = {_SLOPE:g}."


def near(value: float, other: float) -> bool:
    """Tell whether two values agree to half a percent."""
    return abs(value - other) <= 5e-3 * abs(other)
