"""Check of the two estimators by hand: six numbers for f(z) = z³ at one draw of the noise."""

from companion.checks.authoring import NumbersTask

_M, _V, _EPS = -1.0, 0.25, -2.0
_STD = _V**0.5
_Z = _M + _STD * _EPS
_F, _SLOPE = _Z**3, 3 * _Z**2
_SCORE_M, _SCORE_LV = (_Z - _M) / _V, (_EPS**2 - 1) / 2
_EXACT_M, _EXACT_LV = 3 * _M**2 + 3 * _V, 3 * _M * _V
_Z_BY_V = _M + _V * _EPS

_STD_IS_V = "v is the variance: the standard deviation is √v = 1/2, so z = -2."
_V_SQUARED = "v is the variance already: E[(√v ε)²] = v, not v²."
_OTHER_PARAMETER = "that is the derivative by σ or by v. The parameter is log v."
_SCORE_ALONE = "that is the score alone. Multiply it by f(z)."
_VALUES_WANTED = "the score function multiplies f(z) itself, not its derivative."
_PATHWISE = "that is the pathwise estimate."
_CUBE = "in (m + σ ε)³ the term with ε² has the factor 3."
_ONE_DRAW = f"{{value}} is not it. Here z = {_Z:g}, f(z) = {_F:g} and f'(z) = {_SLOPE:g}."
_NO_DRAW = "{value} is not it. No draw enters here: differentiate E[z³] = E[(m + √v ε)³]."

NumbersTask(
    "reparameterization.by_hand",
    number="2.1",
    title="Two estimators by hand",
    answer="estimates",
    values={
        "a": _F * _SCORE_M,
        "b": _SLOPE,
        "c": _F * _SCORE_LV,
        "d": _SLOPE * (_Z - _M) / 2,
        "e": _EXACT_M,
        "f": _EXACT_LV,
    },
    slips={
        "a": {
            "in the score, z - m is divided by the variance, not by the standard deviation.": _F
            * (_Z - _M)
            / _STD,
            "noise is (z − m) / σ already: divide it by σ once more, not by σ².": _F * _EPS / _V,
            _STD_IS_V: [_Z_BY_V**3 * _EPS / _V, _Z_BY_V**3 * _EPS],
            "the sign: for z above m, log q(z) grows with m.": -_F * _SCORE_M,
            _SCORE_ALONE: _SCORE_M,
            "the score is (z - m) / v: you left the division out.": _F * (_Z - _M),
            _VALUES_WANTED: _SLOPE * _SCORE_M,
            _PATHWISE: _SLOPE,
        },
        "b": {
            "that is the score-function estimate.": _F * _SCORE_M,
            "that is f(z). The pathwise estimate needs its derivative.": _F,
            "that is the derivative by σ. What is dz/dm?": _SLOPE * _EPS,
            "you took the derivative of f at m. Take it at z.": 3 * _M**2,
            "the sign: z grows with m.": -_SLOPE,
            _STD_IS_V: 3 * _Z_BY_V**2,
            "the derivative of z³ has a factor 3.": _Z**2,
            "that is the exact derivative, (e). Here one draw of z is asked for.": _EXACT_M,
        },
        "c": {
            "a one half is missing: log q(z) holds -(log v) / 2 and -(z - m)² / (2 v).": 2
            * _F
            * _SCORE_LV,
            _OTHER_PARAMETER: _F * _SCORE_LV / _V,
            _STD_IS_V: _Z_BY_V**3 * _SCORE_LV,
            _SCORE_ALONE: _SCORE_LV,
            "you left out the derivative of the constant in front of the exponential, "
            "-(log v) / 2.": _F * _EPS**2 / 2,
            "the sign: far from m, log q(z) grows with v.": -_F * _SCORE_LV,
            _PATHWISE: _SLOPE * (_Z - _M) / 2,
            "that is the constant's part. The exponent, -(z - m)² / (2 v), depends on v too.": (
                -_F / 2
            ),
            "(z - m)² is divided by the variance, not by the standard deviation.": _F
            * ((_Z - _M) ** 2 / _STD - 1)
            / 2,
            _VALUES_WANTED: _SLOPE * _SCORE_LV,
        },
        "d": {
            "that is (c), or a one half is missing: σ = exp(log v / 2), so dσ/d(log v) = σ / 2.": (
                _SLOPE * (_Z - _M)
            ),
            _OTHER_PARAMETER: _SLOPE * _EPS,
            _STD_IS_V: 3 * _Z_BY_V**2 * (_Z_BY_V - _M) / 2,
            "the noise is missing from dz/d(log v).": _SLOPE * _STD / 2,
            "the chain rule needs dz/d(log v). From z = m + exp(log v / 2) ε, what is it?": _SLOPE,
            "dz/d(log v) is (z - m) / 2, and z - m is negative here.": -_SLOPE * (_Z - _M) / 2,
            "z moves with the standard deviation, not with the variance.": _SLOPE * _V * _EPS / 2,
            "the pathwise estimate needs the derivative of f, not f(z).": _F * (_Z - _M) / 2,
            "that is the exact derivative, (f). Here one draw of z is asked for.": _EXACT_LV,
        },
        "e": {
            "that is the derivative of f at m. Average over q: E[z²] is not m².": 3 * _M**2,
            "v is the variance, one quarter; you used one half.": 3 * _M**2 + 3 * _STD,
            _V_SQUARED: 3 * _M**2 + 3 * _V**2,
            "the derivative of m³ is missing.": 3 * _V,
            _CUBE: 3 * _M**2 + _V,
            "that is E[f(z)]. Differentiate it by m.": _M**3 + 3 * _M * _V,
            "that is one draw, (b). The exact derivative averages over all draws.": _SLOPE,
        },
        "f": {
            _OTHER_PARAMETER: 3 * _M,
            "there is no one half: dv/d(log v) = v.": _EXACT_LV / 2,
            "that is the derivative by log σ, or you used v = 1/2.": 3 * _M * _STD,
            _V_SQUARED: 3 * _M * _V**2,
            "that is one draw, (d). The exact derivative averages over all draws.": _SLOPE
            * (_Z - _M)
            / 2,
            "that is E[f(z)]. Differentiate it by log v.": _M**3 + 3 * _M * _V,
            _CUBE: _M * _V,
            "the sign: m is negative.": -_EXACT_LV,
        },
    },
    otherwise=dict.fromkeys("abcd", _ONE_DRAW) | dict.fromkeys("ef", _NO_DRAW),
    praise="All six. One draw is far from the exact value, and the two estimators are far from "
    "each other. Both are right on average.",
)
