"""Check of sampling from a mixture: by its components' moments and by a closed-form CDF.

Every limit is six standard errors wide or wider, so that no correct answer meets bad luck:
the generator's seed is fixed, but each way of writing the code uses its numbers differently.
"""

import math

import torch
from torch import Tensor
from torch.distributions import Normal

from companion.checks.authoring import NotYet, as_tensor, call, exercise, nearest

_N = 3999  # no multiple of ten, so that counts n * weight must be rounded; a loop may take it
_WEIGHTS = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)
_LOGITS = (_WEIGHTS.log() + 3).float()  # positive: as raw weights they would be 0.5, 0.36, 0.14
_MEAN = torch.tensor([[-30.0, 0.0], [0.0, 30.0], [30.0, -30.0]])
_STD = torch.tensor([[0.5, 1.4], [1.4, 0.4], [1.7, 0.6]])
_LOG_VAR = 2 * _STD.log()

_AVERAGED = (
    "Your samples lie between the components, where the mixture has no density. A sample comes "
    "from one component, drawn anew for each sample; it is not an average of the components."
)
_MIXED_DIMS = (
    "Some samples take one coordinate from one component and the other from another. Draw one "
    "component for the whole code, not one for each dimension."
)
_NO_MEAN = (
    "Your samples lie around the origin, where no component does: add the mean of the component "
    "that was drawn."
)
_NOT_NORMAL = (
    "Your noise has the right mean and the right variance at most: its shape is not that of a "
    "Gaussian. {} Draw it with `torch.randn`, and leave it as it is."
)
_SORTED = (
    "Your samples come sorted by component: all of the first, then all of the next. So the first "
    "ten of them are no sample of the mixture. Draw a component for each sample, or shuffle."
)
_ONE_COMPONENT = (
    "All samples of a call come from the same component. Draw a component for each sample."
)


@exercise("mixtures.sample", number="4.5", answer="draw", title="Sampling from a mixture")
def sample(answer: object) -> str:
    """Judge `draw(n, logits, mean, log_var, generator)`: samples (n, D)."""
    far_apart = {"logits": _LOGITS, "mean": _MEAN, "log_var": _LOG_VAR}
    _judge_randomness(answer, far_apart)
    z = _draw(answer, _N, seed=1, **far_apart)
    component = _components(z)
    _judge_components(z, component)
    _judge_shape(_standardized(z, component))
    _judge_order(component)
    _judge_weights(torch.bincount(component, minlength=3).double() / len(z))
    _judge_single_draws(answer, far_apart)
    _judge_overlap(answer)
    return "Its weights, means, spreads and distribution function agree with the density."


def _draw(answer: object, n: int, seed: int, **arguments: Tensor) -> Tensor:
    """Return the learner's samples as float64, with the right shape."""
    generator = torch.Generator().manual_seed(seed)
    z = as_tensor(call(answer, n=n, **arguments, generator=generator), "Your result")
    dim = arguments["mean"].shape[1]
    if z.shape != (n, dim):
        remedy = ""
        if z.shape == (dim,):
            remedy = " Draw n samples, not one."
        elif z.ndim == 3:
            remedy = " Keep only the drawn component of each sample."
        elif z.ndim == 2 and z.shape[1] == dim:
            remedy = " Do you draw a rounded number from each component? Draw a component for each."
        raise NotYet(
            f"With n = {n}, K = {len(arguments['mean'])} and D = {dim}, your result has shape "
            f"{tuple(z.shape)}; it should be {(n, dim)}.{remedy}"
        )
    if not torch.isfinite(z).all():
        raise NotYet("Your samples hold NaN or infinity.")
    return z.double()


def _judge_randomness(answer: object, arguments: dict[str, Tensor]) -> None:
    """Judge that the samples depend on the generator, and on nothing else."""
    first, again = (_draw(answer, 40, seed=2, **arguments) for _ in range(2))
    if not torch.equal(first, again):
        raise NotYet(
            "Two calls with generators in the same state give different samples. Pass "
            "`generator=generator` to every random function: to `torch.multinomial` and to "
            "`torch.randn` (which has it; `torch.randn_like` may not)."
        )
    if torch.equal(first, _draw(answer, 40, seed=3, **arguments)):
        raise NotYet(
            "The samples are the same whatever the generator. Is a seed fixed inside, or is there "
            "no randomness at all?"
        )
    generator = torch.Generator().manual_seed(4)
    one, two = (as_tensor(call(answer, n=40, **arguments, generator=generator)) for _ in range(2))
    if torch.equal(one, two):
        raise NotYet(
            "Two calls in a row with one generator give the same samples twice. Draw from the "
            "generator itself instead of starting another one with its seed."
        )


def _components(z: Tensor) -> Tensor:
    """Return the component of each sample, (n,); raise if some belong to none."""
    distance = (z[:, None] - _MEAN.double()).abs()  # (n, K, D)
    belongs = (distance < 14).all(-1)  # eight standard deviations of the widest and more
    component = (z[:, None] - _MEAN.double()).norm(dim=-1).argmin(1)
    if belongs.any(1).double().mean() > 0.99:
        if len(component.unique()) == 1:
            raise NotYet(_ONE_COMPONENT)
        return component
    if (z.abs() < 9).double().mean() > 0.99:
        raise NotYet(_NO_MEAN)
    if _is_centered(z, component):  # only the spread is too wide
        return component
    per_dimension = (distance < 14).any(1).all(-1)
    raise NotYet(_MIXED_DIMS if per_dimension.double().mean() > 0.99 else _AVERAGED)


def _is_centered(z: Tensor, component: Tensor) -> bool:
    """Tell whether the samples nearest to each component have its mean, roughly."""
    centers = [z[component == k].mean(0) for k in range(len(_MEAN))]
    return all(bool(((a - b).abs() < 2).all()) for a, b in zip(centers, _MEAN, strict=True))


_WEIGHT_SLIPS = {
    "You draw every component with the same probability.": torch.full_like(_WEIGHTS, 1 / 3),
    "You used the logits as if they were the weights: `softmax(logits)` makes weights of "
    "them.": _LOGITS.double() / _LOGITS.double().sum(),
    "You used a sigmoid, which is for two outcomes. With more it takes `softmax(logits)`.": (
        _LOGITS.double().sigmoid() / _LOGITS.double().sigmoid().sum()
    ),
}


def _judge_weights(share: Tensor) -> None:
    def off(weights: Tensor) -> float:
        """Return the largest deviation, 1 at six standard errors."""
        return float(((share - weights).abs() / (weights * (1 - weights) / _N).sqrt()).max()) / 6

    if off(_WEIGHTS) <= 1:
        return
    shares = ", ".join(f"{value:.2f}" for value in share.tolist())
    found = f"For weights 0.60, 0.30, 0.10 the components' shares of your samples are {shares}. "
    hint = nearest({text: [off(weights)] for text, weights in _WEIGHT_SLIPS.items()})
    if hint:
        raise NotYet(found + hint)
    if share.max() > 0.999:
        raise NotYet(found + "You take the most likely component. Draw one at random.")
    raise NotYet(found + "Draw component k with probability `softmax(logits)[k]`.")


def _judge_components(z: Tensor, component: Tensor) -> None:
    """Judge each component's spread, center and independence of dimensions."""
    for k in component.unique().tolist():
        part = z[component == k]
        if len(part) < 60:  # too few to judge; the weights are judged next
            continue
        _judge_spread(part, _STD[k].double(), k)
        error = 6 * _STD[k].double() / math.sqrt(len(part))
        off = part.mean(0) - _MEAN[k].double()
        if (off.abs() > error).any():
            raise NotYet(
                f"Component {k} has the mean {_MEAN[k].tolist()}, but your samples of it have "
                f"{[round(value, 2) for value in part.mean(0).tolist()]}."
            )
        if torch.corrcoef(part.T)[0, 1].abs() > 6 / math.sqrt(len(part)):
            raise NotYet(
                "Within a component the two dimensions of your samples go together, but they are "
                "independent. Draw a noise of its own for each dimension: shape (n, D)."
            )


def _spread_slips(std: Tensor) -> dict[str, list[Tensor]]:
    """Return the wrong standard deviations that we know of, for a component that has `std`."""
    drawn_again = (_WEIGHTS[:, None] * _STD.double() ** 2).sum(0).sqrt()
    return {
        "You used `exp(log_var)` as the standard deviation. It is the variance: the standard "
        "deviation is its root.": [std**2],
        "You doubled `log_var` where it is to be halved: the standard deviation is the root of "
        "the variance.": [std**4],
        "`torch.rand` is uniform on [0, 1]; the noise is normal: `torch.randn`.": [
            std / math.sqrt(12)
        ],
        "The noise is not scaled: multiply it by the standard deviation.": [torch.ones_like(std)],
        "You took the root twice: `exp(log_var / 2)` is the root already.": [std.sqrt()],
        "You used `log_var` itself. It is the logarithm of the variance.": [(2 * std.log()).abs()],
        "You divided by the standard deviation. Multiply by it.": [1 / std],
        "The component is drawn twice, once for the mean and once for the spread. Draw it once, "
        "and use it for both.": [drawn_again],
        "All of your noise has the same sign: is there an `abs`?": [
            std * math.sqrt(1 - 2 / math.pi)
        ],
        "The spread belongs to another component. Index `log_var` too.": [
            other.double() for other in _STD if not torch.equal(other.double(), std)
        ],
    }


def _judge_spread(part: Tensor, std: Tensor, k: int) -> None:
    """Judge the standard deviations of the samples (n, D) of component k."""
    got, limit = part.std(0), 6 / math.sqrt(2 * len(part))
    limit += limit**2

    def off(value: Tensor) -> float:
        return float((got / value).log().abs().max()) / limit

    if off(std) <= 1:
        return
    if (got < 1e-3).all():
        raise NotYet(
            "All samples of a component are the same point. Add noise of its own to each sample."
        )
    numbers = [round(value, 3) for value in got.tolist()]
    found = f"Component {k} has the standard deviations {[round(v, 3) for v in std.tolist()]}, "
    found += f"but your samples of it have {numbers}. "
    slips = _spread_slips(std)
    hint = nearest({text: [off(value) for value in values] for text, values in slips.items()})
    if hint:
        raise NotYet(found + hint)
    if len(part) > 1000:  # a cut narrows the spread as well
        _judge_shape(((part - part.mean(0)) / got).flatten())
    raise NotYet(found + "Each component has its own, the root of its variance.")


def _standardized(z: Tensor, component: Tensor) -> Tensor:
    """Return the noise behind the samples, as far as they show it; (n * D,)."""
    return ((z - _MEAN.double()[component]) / _STD.double()[component]).flatten()


def _judge_shape(noise: Tensor) -> None:
    """Judge third and fourth moments and the tails of standardized noise, some thousand numbers.

    The limits are six standard errors, and for the tails a count that chance gives once in ten
    million times. The sum of three uniform numbers has no number beyond 3 at all.
    """
    size = len(noise)
    skew, kurtosis = float((noise**3).mean()), float((noise**4).mean() / noise.var() ** 2)
    beyond, expected = int((noise.abs() > 3).sum()), 0.0027 * size
    if expected > 10 and beyond < expected - 4.2 * math.sqrt(expected):
        raise NotYet(
            _NOT_NORMAL.format(
                f"Of {size} numbers {beyond} lie beyond three standard deviations; of a Gaussian's "
                f"it would be about {expected:.0f}."
            )
        )
    if abs(skew) > 6 * math.sqrt(15 / size):
        raise NotYet(_NOT_NORMAL.format("It leans to one side."))
    if abs(kurtosis - 3) > 6 * math.sqrt(24 / size):
        raise NotYet(
            _NOT_NORMAL.format(
                f"Its fourth moment is {kurtosis:.3g} times the squared variance, not 3."
            )
        )


def _judge_order(component: Tensor) -> None:
    """Judge that neighbors differ about as often as independent draws do."""
    changes = (component[1:] != component[:-1]).double().mean()
    if changes < 0.5 * (1 - (_WEIGHTS**2).sum()):
        raise NotYet(_SORTED)


def _judge_single_draws(answer: object, arguments: dict[str, Tensor]) -> None:
    """Judge forty calls for one sample: all the components must turn up."""
    z = torch.cat([_draw(answer, 1, seed=100 + s, **arguments) for s in range(40)])
    component = (z[:, None] - _MEAN.double()).square().sum(-1).argmin(1)
    if len(component.unique()) < 2:
        raise NotYet(
            "Right for many samples, but forty calls for a single one all gave the same "
            "component. Draw the components at random; don't fix how many come from each."
        )


def _judge_overlap(answer: object) -> None:
    """Judge two overlapping components in one dimension by the distribution function."""
    weights = torch.tensor([0.25, 0.75], dtype=torch.float64)
    mean, std = torch.tensor([[-1.0], [0.8]]), torch.tensor([[0.5], [1.5]])
    n = 1000
    z = _draw(answer, n, seed=5, logits=weights.log().float(), mean=mean, log_var=2 * std.log())
    ordered = z[:, 0].sort().values
    cdf = (weights * Normal(mean[:, 0].double(), std[:, 0].double()).cdf(ordered[:, None])).sum(1)
    steps = torch.arange(n + 1, dtype=torch.float64) / n
    gap = torch.maximum(steps[1:] - cdf, cdf - steps[:-1]).max().item()
    if gap > 3.3 / math.sqrt(n):  # a correct sampler exceeds it once in a billion
        raise NotYet(
            "For two overlapping components in one dimension, the share of your samples below "
            f"some point is off by {gap:.3f} from the distribution function, which is more than "
            "chance allows."
        )
