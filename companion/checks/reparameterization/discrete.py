"""Check of the straight-through estimator for a coin, from uniform noise."""

import torch
from torch import Tensor

from companion.checks.authoring import Hints, NotYet, call, compare, exercise, uniform

_NO_PATH = (
    "The values are right, but no gradient reaches the logits: a comparison is flat. Add "
    "something that is zero in value and has the gradient of the soft coin."
)


def example(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return logits (4, 3) and uniform noise (4, 3) on which all known slips differ."""
    logits = [[-1.4, 0.2, -0.5], [0.7, -0.4, 0.2], [1.2, 0.3, -0.6], [-0.2, 2.8, -0.5]]
    noise = [[0.11, 0.67, 0.17], [0.39, 0.57, 0.36], [0.70, 0.49, 0.20], [0.34, 0.82, 0.73]]
    return torch.tensor(logits).roll(seed, 0), torch.tensor(noise).roll(seed, 0)


def _value_slips(logits: Tensor, noise: Tensor, temperature: float) -> Hints:
    shift = noise.logit()
    z = (noise < logits.sigmoid()).float()
    soft = ((logits - shift) / temperature).sigmoid()
    gumbel = -(-noise.log()).log()
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
        "You compared the noise with the logit. Compare it with the probability.": [
            (noise < logits).float()
        ],
        "Yours is 1 where u exceeds the probability. It should be 1 where u is smaller.": [1 - z],
        "You used log(u / (1 - u)) with the wrong sign: it makes z = 1 where u > 1 - π. The "
        "probability is right, but the exercise fixes which u belong to which z.": [
            (logits + shift > 0).float()
        ],
        "The temperature must not change z: it belongs into the soft coin only.": [
            (noise < (logits / temperature).sigmoid()).float()
        ],
        "You left the noise out: z would be the same every time.": [(logits > 0).float()],
        "You added one Gumbel number. A coin has two outcomes: it takes the difference of two.": [
            (logits + gumbel > 0).float()
        ],
        "The outcomes are 0 and 1, not -1 and 1.": [2 * z - 1],
        "You added the soft coin to z: its value has to be taken away again, without its "
        "gradient.": [z + soft, z - soft],
    }


def _slope(scores: Tensor) -> Tensor:
    return scores.sigmoid() * (1 - scores.sigmoid())


def gradient_slips(logits: Tensor, noise: Tensor, temperature: float, weight: Tensor) -> Hints:
    """Return the wrong gradients that we know of, for right values."""
    shift, t = noise.logit(), temperature
    right = _slope((logits - shift) / t) / t
    gumbel = -(-noise.log()).log()
    table = {
        "No gradient reaches the logits: is the soft coin detached as well?": [0 * right],
        "The gradient is that of the probability π. That is an older straight-through estimator; "
        "here the soft coin holds the noise and the temperature.": [
            _slope(logits),
            _slope(logits / t) / t,
        ],
        "The gradient passes as if z were the logit itself. Here the soft coin's gradient is asked "
        "for.": [torch.ones_like(right), torch.ones_like(right) / t],
        "In the soft coin the noise has the wrong sign: it is above one half where z is 0.": [
            _slope((logits + shift) / t) / t
        ],
        "In the soft coin the temperature is missing.": [_slope(logits - shift)],
        "In the soft coin you multiply by the temperature. Divide by it.": [
            _slope((logits - shift) * t) * t
        ],
        "The division by the temperature belongs to the graph too: a factor 1 / τ is missing.": [
            right * t
        ],
        "In the soft coin the temperature divides the logit alone. Divide the sum.": [
            _slope(logits / t - shift) / t
        ],
        "In the soft coin the noise is not the one that decides z. Solve u < sigmoid(ℓ) for ℓ: x "
        "is minus what then stands on the other side.": [
            _slope((logits + noise) / t) / t,
            _slope((logits - noise) / t) / t,
            _slope((logits - noise.log()) / t) / t,
            _slope((logits + gumbel) / t) / t,
            _slope((logits.sigmoid() - noise) / t) * _slope(logits) / t,
        ],
        "The gradient has the wrong sign: add the soft coin, and subtract its detached copy.": [
            -right
        ],
        "The gradient is twice the soft coin's: is it added twice?": [2 * right],
    }
    return {hint: [weight * each for each in wrong] for hint, wrong in table.items()}


@exercise(
    "reparameterization.straight_through",
    number="2.6",
    answer="coin",
    title="A coin that passes gradients",
)
def straight_through(answer: object) -> str:
    """Judge `coin(logits, noise, temperature)`: (B, D) to zeros and ones (B, D)."""
    for seed, temperature in ((0, 0.4), (1, 2.5)):
        logits, noise = example(seed)
        leaf = logits.clone().requires_grad_()
        result = call(answer, logits=leaf, noise=noise, temperature=temperature)
        setting = f"With B = 4, D = 3 and temperature {temperature}, "
        right = (noise < logits.sigmoid()).float()
        compare(result, right, _value_slips(logits, noise, temperature), setting=setting)
        _judge_gradient(answer, (logits, noise, temperature), setting)
    _judge_rare(answer)
    logits, noise = torch.tensor([[300.0, -300.0]]), torch.tensor([[0.98, 0.01]])
    result = call(answer, logits=logits, noise=noise, temperature=0.5)
    compare(result, torch.tensor([[1.0, 0.0]]), setting="With the logits 300 and -300, ")
    return (
        "Forwards 0 or 1, backwards the soft coin. The gradient belongs to another function than "
        "the value: it has a bias."
    )


def _judge_rare(answer: object) -> None:
    """Judge coins that seldom fall on their other side, when they do: no noise may be cut off."""
    logits, noise = (
        torch.tensor([[-5.1, 5.1, -2.5, 2.5]]),
        torch.tensor([[0.005, 0.995, 0.06, 0.94]]),
    )
    result = call(answer, logits=logits.clone().requires_grad_(), noise=noise, temperature=1.0)
    remark = (
        "This noise is close to 0 or to 1, and it decides for the rare side. Is it cut off, with "
        "a `clamp` that takes too much?"
    )
    right = (noise < logits.sigmoid()).float()
    compare(result, right, setting="For rare outcomes, ", remark=remark)
    found = _gradient(answer, (logits, noise, 1.0), torch.ones_like(logits))
    wanted = _slope(logits.double() - noise.double().logit())
    compare(found, wanted, what="The gradient", setting="For rare outcomes, ", remark=remark)


def _judge_gradient(answer: object, values: tuple[Tensor, Tensor, float], setting: str) -> None:
    logits, noise, temperature = values
    weight = uniform(0.5, 3, *logits.shape, seed=5)
    found = _gradient(answer, values, weight)
    wanted = weight * _slope((logits - noise.logit()) / temperature) / temperature
    slips = gradient_slips(logits, noise, temperature, weight)
    compare(found, wanted, slips, what="The gradient", setting=setting)


def _gradient(answer: object, values: tuple[Tensor, Tensor, float], weight: Tensor) -> Tensor:
    """Return the gradient of the weighted sum of the coins by the logits."""
    logits, noise, temperature = values
    leaf = logits.clone().requires_grad_()
    result = answer(leaf, noise.clone(), temperature)  # type: ignore[operator]  # called before
    if not isinstance(result, Tensor) or not result.requires_grad:
        raise NotYet(_NO_PATH)
    (found,) = torch.autograd.grad((result * weight).sum(), leaf, allow_unused=True)
    return torch.zeros_like(logits) if found is None else found
