"""Check of sampling from a mixture: by its components' moments and by a closed-form CDF."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Normal

from companion.checks.authoring import NotYet, SamplingTask

_N = 3999  # no multiple of ten, so that counts n * weight must be rounded; a loop may take it
_WEIGHTS = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)
_MEAN = torch.tensor([[-30.0, 0.0], [0.0, 30.0], [30.0, -30.0]])
_STD = torch.tensor([[0.5, 1.4], [1.4, 0.4], [1.7, 0.6]])
_MIXTURE = {
    "logits": (_WEIGHTS.log() + 3).float(),  # positive: as raw weights they would be .5, .36, .14
    "mean": _MEAN,
    "log_var": 2 * _STD.log(),
}

Sampler = Callable[..., Tensor]
Pick = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def _components(z: Tensor) -> Tensor:
    """Return the nearest component of each sample, (n,)."""
    return (z[:, None] - _MEAN.double()).square().sum(-1).argmin(1)


def _look(z: Tensor) -> dict[str, Tensor]:
    """Return shares, moments, tails and order; a component with few samples has no moments."""
    component = _components(z)
    belongs = ((z[:, None] - _MEAN.double()).abs() < 14).all(-1).any(1)  # eight of the widest stds
    shares = torch.bincount(component, minlength=3).double() / len(z)
    mean, std, together = torch.zeros(3, 2).double(), torch.ones(3, 2).double(), torch.zeros(3)
    for k in (shares * len(z) > 20).nonzero().flatten().tolist():
        part = z[component == k]
        mean[k], std[k] = part.mean(0) - _MEAN[k], part.std(0).clamp_min(1e-3)
        noise = (part - part.mean(0)) / std[k]
        together[k] = (noise[:, 0] * noise[:, 1]).mean()
    noise = (z - _MEAN.double()[component] - mean[component]) / std[component]
    beyond = (noise.abs() > 3).double().sum()
    return {
        "belongs": belongs.double().mean(),
        "shares": shares,
        "stds": std.log(),
        "means": mean,
        "together": together.double(),
        "tails": 2 * (beyond + 3 / 8).sqrt(),  # its spread is one, whatever its mean
        "skew": (noise**3).mean(),
        "kurtosis": (noise**4).mean(),
        "order": (component[1:] != component[:-1]).double().mean(),
    }


def _randn(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(shape, generator=generator)


def _draw(
    *,
    weigh: Callable[[Tensor], Tensor] = lambda logits: logits.softmax(0),
    scale: Callable[[Tensor], Tensor] = lambda log_var: (log_var / 2).exp(),
    noise: Callable[..., Tensor] = _randn,
    pick: Pick = lambda k, other: (k, k),
    add_mean: bool = True,
) -> Sampler:
    """Return a sampler, right or with something wrong.

    `pick` gets two components drawn for each sample, (n,), and returns the one that the mean and
    the one that the spread belongs to.
    """

    def draw(
        n: int, logits: Tensor, mean: Tensor, log_var: Tensor, generator: torch.Generator
    ) -> Tensor:
        drawn = torch.multinomial(weigh(logits), 2 * n, replacement=True, generator=generator)
        at, of = pick(*drawn.chunk(2))
        spread = scale(log_var)[of] * noise(generator, n, mean.shape[1])
        return mean[at] + spread if add_mean else spread

    return draw


def _averaged(
    n: int, logits: Tensor, mean: Tensor, log_var: Tensor, generator: torch.Generator
) -> Tensor:
    every = mean + (log_var / 2).exp() * _randn(generator, n, *mean.shape)
    return (logits.softmax(0)[:, None] * every).sum(1)


def _averaged_parameters(
    n: int, logits: Tensor, mean: Tensor, log_var: Tensor, generator: torch.Generator
) -> Tensor:
    weights = logits.softmax(0)
    return weights @ mean + (weights @ (log_var / 2).exp()) * _randn(generator, n, mean.shape[1])


def _by_dimension(
    n: int, logits: Tensor, mean: Tensor, log_var: Tensor, generator: torch.Generator
) -> Tensor:
    columns = zip(mean.T[..., None], log_var.T[..., None], strict=True)
    return torch.cat([_draw()(n, logits, m, v, generator) for m, v in columns], dim=1)


def _one(k: int) -> Pick:
    return lambda drawn, other: (0 * drawn + k, 0 * drawn + k)


def _spread_of(k: int) -> Pick:
    return lambda drawn, other: (drawn, 0 * drawn + k)


_UNIFORM = "`torch.rand` is uniform on [0, 1]; the noise is normal."
_SHAPE = (
    "Your noise has the right mean and the right variance at most: its shape is not that of a "
    "Gaussian. Draw it from the normal distribution, and leave it as it is."
)
_PROBABILITY = "A component is drawn with the probability that the logits give it."
_SAME_POINT = "All samples of a component are the same point. Add noise of its own to each sample."
_SPREAD = "Each component has its own standard deviations, the roots of its variances."

_SLIPS: dict[str, Sampler | list[Sampler]] = {
    "Your samples lie between the components, where the mixture has no density. A sample comes "
    "from one component, drawn anew for each sample; it is not an average of the components.": [
        _averaged,
        _averaged_parameters,
    ],
    "Some samples take one coordinate from one component and the other from another. Draw one "
    "component for the whole code, not one for each dimension.": _by_dimension,
    "Your samples lie around the origin, where no component does: add the mean of the component "
    "that was drawn.": _draw(add_mean=False),
    "All samples of a call come from the same component. Draw a component for each sample.": [
        _draw(pick=_one(k)) for k in range(3)
    ],
    "You draw every component with the same probability.": _draw(weigh=torch.ones_like),
    "You used the logits as if they were the weights. They become weights by a softmax.": _draw(
        weigh=lambda logits: logits.clamp(min=1e-6)
    ),
    "You used a sigmoid, which is for two outcomes. With more it takes a softmax.": _draw(
        weigh=torch.sigmoid
    ),
    "You used `exp(log_var)` as the standard deviation. It is the variance: the standard "
    "deviation is its root.": _draw(scale=torch.exp),
    "You doubled `log_var` where it is to be halved: the standard deviation is the root of the "
    "variance.": _draw(scale=lambda log_var: (2 * log_var).exp()),
    _UNIFORM: _draw(noise=lambda generator, *shape: torch.rand(shape, generator=generator)),
    "The noise is not scaled: multiply it by the standard deviation.": _draw(scale=torch.ones_like),
    "You took the root twice: half of `log_var` is the logarithm of the root already.": _draw(
        scale=lambda log_var: (log_var / 4).exp()
    ),
    "You used `log_var` itself. It is the logarithm of the variance.": _draw(
        scale=lambda log_var: log_var
    ),
    "You divided by the standard deviation. Multiply by it.": _draw(
        scale=lambda log_var: (-log_var / 2).exp()
    ),
    "The component is drawn twice, once for the mean and once for the spread. Draw it once, and "
    "use it for both.": _draw(pick=lambda k, other: (k, other)),
    "All of your noise has the same sign: is there an `abs`?": _draw(
        noise=lambda *given: _randn(*given).abs()
    ),
    "The spread belongs to another component: the one that was drawn decides it too.": [
        _draw(pick=_spread_of(k)) for k in range(3)
    ],
    _SAME_POINT: [
        _draw(scale=torch.zeros_like),
        _draw(noise=lambda generator, n, dim: _randn(generator, dim)),
    ],
    "Within a component the two dimensions of your samples go together, but they are "
    "independent. Draw a noise of its own for each dimension.": _draw(
        noise=lambda generator, n, dim: _randn(generator, n, 1)
    ),
    f"{_SHAPE} Is it cut off?": [
        _draw(noise=lambda *given, at=at: _randn(*given).clamp(-at, at)) for at in (1, 1.5, 2, 2.5)
    ],
    f"{_SHAPE} A uniform number stays uniform when it is scaled.": _draw(
        noise=lambda generator, *shape: (torch.rand(shape, generator=generator) - 0.5) * 12**0.5
    ),
    f"{_SHAPE} A sum of a few uniform numbers is only nearly normal.": _draw(
        noise=lambda generator, *shape: (
            2 * (torch.rand(3, *shape, generator=generator) - 0.5).sum(0)
        )
    ),
    "Your samples come sorted by component: all of the first, then all of the next. So the first "
    "ten of them are no sample of the mixture. Draw a component for each sample, or shuffle.": (
        _draw(pick=lambda k, other: (k.sort().values, k.sort().values))
    ),
}


def _rounded(values: Tensor, digits: int) -> str:
    return str([[round(v, digits) for v in row] for row in values.tolist()])


def _tell_shares(found: Tensor, right: Tensor) -> str:
    shares = ", ".join(f"{value:.2f}" for value in found.tolist())
    return f"(For weights 0.60, 0.30, 0.10 the components' shares of your samples are {shares}.)"


def _tell_stds(found: Tensor, right: Tensor) -> str:
    return (
        f"(The components have the standard deviations {_rounded(_STD, 2)}, your samples "
        f"{_rounded(found.exp(), 2)}.)"
    )


def _tell_means(found: Tensor, right: Tensor) -> str:
    return f"(Your samples' means are off by {_rounded(found, 2)}.)"


def _tell_tails(found: Tensor, right: Tensor) -> str:
    beyond = round(float((found / 2) ** 2 - 3 / 8))
    return (
        f"(Of {2 * _N} numbers {beyond} lie beyond three standard deviations; of a Gaussian's it "
        f"would be about {0.0027 * 2 * _N:.0f}.)"
    )


def _judge_calls(draw: Callable[..., Tensor]) -> None:
    """Judge a hundred small calls: shares and noise have to vary as much as chance makes them.

    A variance from a hundred calls is below 0.35 of its expectation once in a billion.
    """
    n, calls = 24, 100
    z = torch.stack([draw(n, seed=100 + s) for s in range(calls)])
    first = z[..., 0] < -15  # only the first component lies there
    if first.double().mean(1).var() < 0.35 * 0.24 / n:
        raise NotYet(
            "The share of a component hardly varies from call to call. Draw the components at "
            "random, each by itself; don't fix how many come from each."
        )
    component = _components(z.flatten(0, 1))
    noise = (z - _MEAN[component].view_as(z)) / _STD[component].view_as(z)
    if min((noise.mean(1).var(0) * n).min(), (noise**2).mean(1).var(0).min() * n / 2) < 0.35:
        raise NotYet(
            "The mean or the spread of your noise hardly varies from call to call. Are its "
            "numbers paired, with either sign, or spread evenly? Then samples depend on each "
            "other. Draw each by itself."
        )


def _judge_overlap(draw: Callable[..., Tensor]) -> None:
    """Judge two overlapping components in one dimension by the distribution function."""
    weights = torch.tensor([0.25, 0.75], dtype=torch.float64)
    mean, std = torch.tensor([[-1.0], [0.8]]), torch.tensor([[0.5], [1.5]])
    n = 1000
    z = draw(n, seed=5, logits=weights.log().float(), mean=mean, log_var=2 * std.log())
    ordered = z.flatten().sort().values
    cdf = (weights * Normal(mean[:, 0].double(), std[:, 0].double()).cdf(ordered[:, None])).sum(1)
    steps = torch.arange(n + 1, dtype=torch.float64) / n
    gap = torch.maximum(steps[1:] - cdf, cdf - steps[:-1]).max().item()
    if gap > 3.3 / math.sqrt(n):  # a correct sampler exceeds it once in a billion
        raise NotYet(
            "For two overlapping components in one dimension, the share of your samples below "
            f"some point is off by {gap:.3f} from the distribution function, which is more than "
            "chance allows."
        )


def _wrong_shape(z: Tensor) -> str:
    if z.ndim == 1:
        return " Draw n samples, not one."
    if z.ndim == 3:
        return " Keep only the drawn component of each sample."
    return " Do you draw a rounded number from each component? Draw a component for each."


SamplingTask(
    "mixtures.sample",
    number="4.5",
    title="Sampling from a mixture",
    answer="draw",
    arguments=_MIXTURE,
    shape=lambda mean, **_: mean.shape[1:],
    n=_N,
    reference=_draw(),
    slips=_SLIPS,
    look=_look,
    floors={"belongs": 0.01, "shares": 0.003, "stds": 0.01, "means": 0.02, "together": 0.01,
            "tails": 0.2, "skew": 0.02, "kurtosis": 0.05, "order": 0.01},
    tell={"shares": _tell_shares, "stds": _tell_stds, "means": _tell_means, "tails": _tell_tails},
    otherwise={
        "belongs": "Some of your samples belong to no component.",
        "shares": _PROBABILITY,
        "stds": _SPREAD,
        "means": "The means of the components are not those that you were given.",
        "together": "Within a component the two dimensions of your samples go together.",
        "tails": _SHAPE,
        "skew": f"{_SHAPE} It leans to one side.",
        "kurtosis": _SHAPE,
        "order": "Your samples' order says something: neighbors are too often of one component.",
    },
    wrong_shape=_wrong_shape,
    further=[_judge_calls, _judge_overlap],
    praise="Its weights, means, spreads and distribution function agree with the density.",
)  # fmt: skip
