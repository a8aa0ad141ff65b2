"""Check of sampling from a mixture: by its components' moments and by a closed-form CDF.

Every limit is six standard errors wide or wider, so that no correct answer meets bad luck:
the generator's seed is fixed, but each way of writing the code uses its numbers differently.
"""

import math

import torch
from torch import Tensor
from torch.distributions import Normal

from companion.checks.authoring import NotYet, as_tensor, call, exercise

_N = 1500  # and no more: a loop over the samples must not run into the time limit
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
    if belongs.any(1).double().mean() > 0.99:
        component = belongs.double().argmax(1)
        if len(component.unique()) == 1:
            raise NotYet(_ONE_COMPONENT)
        return component
    per_dimension = (distance < 14).any(1).all(-1)
    raise NotYet(_MIXED_DIMS if per_dimension.double().mean() > 0.99 else _AVERAGED)


def _judge_weights(share: Tensor) -> None:
    def near(weights: Tensor) -> bool:
        return bool(((share - weights).abs() < 6 * (weights * (1 - weights) / _N).sqrt()).all())

    if near(_WEIGHTS):
        return
    shares = ", ".join(f"{value:.2f}" for value in share.tolist())
    found = f"For weights 0.60, 0.30, 0.10 the components' shares of your samples are {shares}. "
    if near(torch.full_like(_WEIGHTS, 1 / 3)):
        raise NotYet(found + "You draw every component with the same probability.")
    if near(_LOGITS.double() / _LOGITS.double().sum()):
        raise NotYet(
            found + "You used the logits as if they were the weights: `softmax(logits)` makes "
            "weights of them."
        )
    if share.max() > 0.999:
        raise NotYet(found + "You take the most likely component. Draw one at random.")
    raise NotYet(found + "Draw component k with probability `softmax(logits)[k]`.")


def _judge_components(z: Tensor, component: Tensor) -> None:
    """Judge each component's spread, center and independence of dimensions."""
    for k in component.unique().tolist():
        part = z[component == k]
        if len(part) < 60:  # too few to judge; the weights are judged next
            continue
        _judge_spread(part.std(0), _STD[k].double(), k, len(part))
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


def _judge_spread(got: Tensor, std: Tensor, k: int, n: int) -> None:
    limit = 6 / math.sqrt(2 * n)

    def near(value: Tensor) -> bool:
        return bool(((got / value).log().abs() < limit + limit**2).all())

    if near(std):
        return
    numbers = [round(value, 3) for value in got.tolist()]
    found = f"Component {k} has the standard deviations {[round(v, 3) for v in std.tolist()]}, "
    found += f"but your samples of it have {numbers}. "
    if (got < 1e-3).all():
        raise NotYet(
            "All samples of a component are the same point. Add noise of its own to each sample."
        )
    if near(std**2):
        raise NotYet(
            found + "You used `exp(log_var)` as the standard deviation. It is the variance: use "
            "`exp(log_var / 2)`."
        )
    if near(std / math.sqrt(12)):
        raise NotYet(
            found + "`torch.rand` is uniform on [0, 1]; the noise is normal: `torch.randn`."
        )
    if near(torch.ones_like(std)):
        raise NotYet(found + "The noise is not scaled: multiply it by `exp(log_var / 2)`.")
    if near(std.sqrt()):
        raise NotYet(found + "You took the root twice: `exp(log_var / 2)` is the root already.")
    if near((2 * std.log()).abs()):
        raise NotYet(found + "You used `log_var` itself. Use `exp(log_var / 2)`.")
    if near(1 / std):
        raise NotYet(found + "You divided by the standard deviation. Multiply by it.")
    if any(near(other.double()) for other in _STD):
        raise NotYet(found + "The spread belongs to another component. Index `log_var` too.")
    raise NotYet(found + "Each component has its own: `exp(log_var / 2)`.")


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
