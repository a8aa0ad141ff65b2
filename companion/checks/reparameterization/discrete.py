"""Check of the straight-through estimator for a coin, from uniform noise."""

import torch
from torch import Tensor

from companion.checks.authoring import DETACHED, Case, FunctionTask, Hints, NotYet, Slips, call

# The last row is of rare outcomes: its noise is close to 0 or to 1, and decides for them.
_LOGITS = [[-1.4, 0.2, -0.5], [0.7, -0.4, 0.2], [1.2, 0.3, -0.6], [-0.2, 2.8, -0.5]]
_NOISE = [[0.11, 0.67, 0.17], [0.39, 0.57, 0.36], [0.70, 0.49, 0.20], [0.34, 0.82, 0.73]]
_RARE = [[-5.1, 5.1, -2.5], [0.005, 0.995, 0.06]]
_EXAMPLE = {
    "logits": torch.tensor([*_LOGITS, _RARE[0]]),
    "noise": torch.tensor([*_NOISE, _RARE[1]]),
}


def coin(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """Return 0 or 1, with the gradient of the soft coin."""
    soft = ((logits - noise.logit()) / temperature).sigmoid()
    return (noise < logits.sigmoid()).to(soft) + soft - soft.detach()


_CUT_OFF = (
    "The noise is cut off: rare outcomes never happen, or don't pass their gradient. Is there a "
    "`clamp` that takes too much?"
)
_IN_LAST_ROW = (
    "If only the last row differs: its noise is close to 0 and to 1. Is it cut off, with a `clamp` "
    "that takes too much?"
)
_MARGINS = (0.01, 0.05, 0.1)


def _slips(logits: Tensor, noise: Tensor, temperature: float) -> Slips:
    shift, gumbel = noise.logit(), -(-noise.log()).log()
    z = (noise < logits.sigmoid()).double()
    soft = ((logits - shift) / temperature).sigmoid()
    return {
        "This is the soft coin. Forwards, return 0 or 1; only the gradient is the soft one's.": [
            soft,
            (logits - shift).sigmoid(),
            ((logits + shift) / temperature).sigmoid(),
        ],
        "These are the probabilities, without the noise.": [
            logits.sigmoid(),
            (logits / temperature).sigmoid(),
        ],
        "You compared the noise with the logit. Compare it with the probability.": (
            (noise < logits).double()
        ),
        "Yours is 1 where u exceeds the probability. It should be 1 where u is smaller.": 1 - z,
        "You used log(u / (1 - u)) with the wrong sign: it makes z = 1 where u > 1 - π. The "
        "probability is right, but the exercise fixes which u belong to which z.": (
            (logits + shift > 0).double()
        ),
        "The temperature must not change z: it belongs into the soft coin only.": (
            (noise < (logits / temperature).sigmoid()).double()
        ),
        "You left the noise out: z would be the same every time.": (logits > 0).double(),
        "You added one Gumbel number. A coin has two outcomes: it takes the difference of two.": (
            (logits + gumbel > 0).double()
        ),
        "The outcomes are 0 and 1, not -1 and 1.": 2 * z - 1,
        "You added the soft coin to z: its value has to be taken away again, without its "
        "gradient.": [z + soft, z - soft, z - 2 * soft],
        "You multiplied z by the soft coin. Something is to be added that is zero in value.": z
        * soft,
        "You compared the noise with one half, whatever the logit is.": (noise < 0.5).double(),
        _CUT_OFF: [
            (noise.clamp(margin, 1 - margin) < logits.sigmoid()).double() for margin in _MARGINS
        ],
    }


def _slope(scores: Tensor) -> Tensor:
    return scores.sigmoid() * (1 - scores.sigmoid())


def _gradient_slips(logits: Tensor, noise: Tensor, temperature: float) -> Hints:
    shift, t, gumbel = noise.logit(), temperature, -(-noise.log()).log()
    right = _slope((logits - shift) / t) / t
    return {
        "The gradient is zero. What you add and what you take away again both carry it, so they "
        "cancel (or neither does): only the value may be taken away.": 0 * right,
        "The gradient is that of the probability π. That is an older straight-through estimator; "
        "here the soft coin holds the noise and the temperature.": [
            _slope(logits),
            _slope(logits / t) / t,
        ],
        "The gradient passes as if z were the logit itself. Here the soft coin's gradient is asked "
        "for.": [torch.ones_like(right), torch.ones_like(right) / t],
        "In the soft coin the noise has the wrong sign: it is above one half where z is 0.": (
            _slope((logits + shift) / t) / t
        ),
        "In the soft coin the temperature is missing.": _slope(logits - shift),
        "In the soft coin you multiply by the temperature. Divide by it.": (
            _slope((logits - shift) * t) * t
        ),
        "The division by the temperature belongs to the graph too: a factor 1 / τ is missing.": (
            right * t
        ),
        "In the soft coin the temperature divides the logit alone. Divide the sum.": (
            _slope(logits / t - shift) / t
        ),
        "In the soft coin the noise is not the one that decides z. Solve u < sigmoid(ℓ) for ℓ: x "
        "is minus what then stands on the other side.": [
            _slope((logits + noise) / t) / t,
            _slope((logits - noise) / t) / t,
            _slope((logits - noise.log()) / t) / t,
            _slope((logits + noise.log()) / t) / t,
            _slope((logits + gumbel) / t) / t,
            _slope((logits.sigmoid() - noise) / t) * _slope(logits) / t,
        ],
        "The gradient is that of a `tanh`. The soft coin is a sigmoid.": 4
        * _slope(2 * (logits - shift) / t)
        / t,
        "The gradient has the wrong sign: the soft coin is to be added, its bare value to be "
        "subtracted.": -right,
        "The gradient is twice the soft coin's: is it added twice?": 2 * right,
        _CUT_OFF: [
            _slope((logits - noise.clamp(margin, 1 - margin).logit()) / t) / t
            for margin in _MARGINS
        ],
    }


def _require_path(answer: object) -> None:
    """Raise if no gradient reaches the logits at all."""
    logits = _EXAMPLE["logits"].clone().requires_grad_()
    result = call(answer, logits=logits, noise=_EXAMPLE["noise"], temperature=0.4)
    if not isinstance(result, Tensor) or not result.requires_grad:
        raise NotYet(
            "The values are right, but no gradient reaches the logits: a comparison is flat. "
            "Something has to be added that is zero in value, but not in its gradient."
        )


def _case(setting: str, temperature: float, **given: Tensor) -> Case:
    arguments = {**(given or _EXAMPLE), "temperature": temperature}
    return Case(setting, arguments, remark="" if given else _IN_LAST_ROW)


FunctionTask(
    "reparameterization.straight_through",
    number="2.6",
    title="A coin that passes gradients",
    answer="coin",
    reference=coin,
    slips=_slips,
    cases=[
        _case("With B = 5, D = 3 and temperature 0.4, ", 0.4),
        _case("With B = 5, D = 3 and temperature 2.5, ", 2.5),
        _case(
            "With the logits 300 and -300, ",
            0.5,
            logits=torch.tensor([[300.0, -300.0]]),
            noise=torch.tensor([[0.98, 0.01]]),
        ),
    ],
    gradients_by=("logits",),
    gradient_remark=f"{DETACHED} {_IN_LAST_ROW}",
    gradient_slips=_gradient_slips,
    further=[_require_path],
    praise="Forwards 0 or 1, backwards the soft coin. The gradient belongs to another function "
    "than the value: it has a bias.",
)
