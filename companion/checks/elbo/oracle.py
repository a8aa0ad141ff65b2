"""Checks of the linear-Gaussian model, where everything has a closed form."""

import math

import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from companion.checks.authoring import (
    Hints,
    NotYet,
    as_tensor,
    call,
    compare,
    exercise,
    is_blank,
)


def _gaussian_slips(x: Tensor, mean: Tensor, var: Tensor, weight: Tensor, noise: Tensor) -> Hints:
    """Return the wrong values of the linear-Gaussian ELBO that we know of."""
    constant = -0.5 * (2 * torch.pi * noise).log()
    square, spread = (x - weight * mean) ** 2, weight**2 * var
    likelihood = constant - (square + spread) / (2 * noise)
    kl = 0.5 * (var + mean**2 - 1 - var.log())
    right = likelihood - kl
    posterior = Normal(weight * x / (weight**2 + noise), (noise / (weight**2 + noise)).sqrt())
    to_posterior = kl_divergence(Normal(mean, var.sqrt()), posterior)
    evidence = Normal(torch.zeros_like(x), (weight**2 + noise).sqrt()).log_prob(x)
    wide_kl = 0.5 * (var**2 + mean**2 - 1 - (var**2).log())
    wide = constant - (square + weight**2 * var**2) / (2 * noise)
    rough = -0.5 * (2 * torch.pi * noise**2).log() - (square + spread) / (2 * noise**2)
    return {
        "You put q's mean into the likelihood and stopped there. z varies under q, "
        "so the squared error has a second term. Compare the numbers 9 and 11 in the text.": right
        + spread / (2 * noise),
        "You left out the likelihood's constant, or a part of it: the logarithm of what stands "
        "in front of the Gaussian's exponential.": [
            right - constant,
            right - constant - 0.5 * noise.log(),
            right + 0.5 * math.log(2 * math.pi),
        ],
        "The KL term has the wrong sign: the ELBO is the expected log-likelihood minus the "
        "KL divergence.": likelihood + kl,
        "This is log p(x) itself. The exercise asks for the bound, which depends on q's mean "
        "and variance.": evidence,
        "You took `var` as a standard deviation and squared it. It is the variance.": [
            wide - wide_kl,
            wide - kl,
            likelihood - wide_kl,
        ],
        "This is -ELBO, a loss to minimize. The ELBO itself is a lower bound of log p(x).": -right,
        "This is the expected log-likelihood alone. Subtract KL(q || N(0, 1)).": likelihood,
        "You took `noise_var` as a standard deviation and squared it. It is the variance.": rough
        - kl,
        "In the spread of z under q you wrote `weight * var`: the weight enters squared.": right
        + (spread - weight * var) / (2 * noise),
        "You forgot the one half in front of the KL divergence.": right - kl,
        "You subtracted the KL divergence to the posterior. In the ELBO it is the one to the "
        "prior, N(0, 1).": likelihood - to_posterior,
        "You forgot the one half in front of the squared error.": right
        - (square + spread) / (2 * noise),
    }


@exercise(
    "elbo.linear_gaussian", number="1.3", answer="elbo", title="The ELBO of a linear-Gaussian model"
)
def linear_gaussian(answer: object) -> str:
    """Judge `elbo(x, mean, var, weight, noise_var)`: the closed form, one number."""
    points = [(1.7, -0.45, 0.35, 1.3, 0.6), (-2.0, 0.9, 0.3, -0.7, 1.7), (0.3, -1.1, 2.2, 0.4, 0.2)]
    for point in points:
        x, mean, var, weight, noise = (torch.tensor(v, dtype=torch.float64) for v in point)
        result = call(answer, x=x, mean=mean, var=var, weight=weight, noise_var=noise)
        q, prior = Normal(mean, var.sqrt()), Normal(0 * mean, torch.ones_like(mean))
        spread = weight**2 * var / (2 * noise)
        fit = Normal(weight * mean, noise.sqrt()).log_prob(x) - spread
        kl = kl_divergence(q, prior)
        remark = (
            f"There E_q[log p(x | z)] is {fit:.5g} and the KL divergence from the prior is "
            f"{kl:.5g}. Which of your two terms differs?"
        )
        setting = "At x = {}, mean = {}, var = {}, weight = {}, noise_var = {}, ".format(*point)
        slips = _gaussian_slips(x, mean, var, weight, noise)
        compare(_single(result), fit - kl, slips, setting=setting, remark=remark)
    return "It lies below log p(x) for every q; the next exercise asks where it touches."


def _single(result: object) -> Tensor:
    """Return a result of one number as a tensor without axes."""
    tensor = as_tensor(result)
    return tensor.reshape(()) if tensor.numel() == 1 else tensor


@exercise("elbo.optimal_q", number="1.4", answer="best_q", title="Where the gap vanishes")
def optimal_q(answer: object) -> str:
    """Judge `best_q(x, weight, noise_var)`: the posterior's mean and variance."""
    for point in [(1.5, 1.3, 0.5), (-2.0, -0.7, 1.7), (0.4, 2.5, 0.3)]:
        x, weight, noise = (torch.tensor(v, dtype=torch.float64) for v in point)
        pair = call(answer, x=x, weight=weight, noise_var=noise)
        if isinstance(pair, (tuple, list)) and any(is_blank(part) for part in pair):
            raise NotYet("One of the two is still the placeholder `...`.")
        result = as_tensor(pair).squeeze()
        if result.shape != (2,):
            raise NotYet(
                "Return two numbers, the mean and the variance: `return mean, var`. "
                f"Your result has shape {tuple(result.shape)}."
            )
        setting = "At x = {}, weight = {}, noise_var = {}, ".format(*point)
        _judge_q(result, (x, weight, noise), setting)
    return "This q is the posterior p(z | x): with it the bound equals log p(x)."


_WITHOUT_PRIOR = (
    "You left out the prior. This would be right if every z were equally likely before you saw x."
)


def _judge_q(result: Tensor, point: tuple[Tensor, Tensor, Tensor], setting: str) -> None:
    """Judge mean and variance together, for ideas that spoil both, then each by itself."""
    x, weight, noise = point
    total = weight**2 + noise
    mean, var = weight * x / total, noise / total
    joint = {
        "This is the prior, N(0, 1). Having seen x, you know more about z.": (0 * x, 0 * x + 1),
        _WITHOUT_PRIOR: (x / weight, noise / weight**2),
        "These are the numbers of the example; the function must work for any x, weight and "
        "noise_var.": (0 * x + 10 / 7, 0 * x + 3 / 7),
        "The two are in the wrong order: return the mean first, then the variance.": (var, mean),
    }
    for hint, wrong in joint.items():
        if torch.allclose(result.double(), torch.stack(wrong), rtol=1e-5, atol=1e-5):
            raise NotYet(hint)
    means, variances = _mean_slips(x, weight, noise, mean), _var_slips(weight, noise, var)
    compare(result[0], mean, means, what="The mean", setting=setting, atol=1e-5)
    compare(result[1], var, variances, what="The variance", setting=setting, atol=1e-5)


def _mean_slips(x: Tensor, weight: Tensor, noise: Tensor, mean: Tensor) -> Hints:
    unscaled, noiseless = weight * x / noise, weight * x / (1 + weight**2)
    return {
        "Your mean is x / weight, the guess without a prior. The prior pulls it towards 0.": (
            x / weight
        ),
        "Your mean does not change its sign with the weight, but then x and z have opposite "
        "signs. Its denominator is right.": x / (weight**2 + noise),
        "Your mean is weight x / noise_var. Multiply it by the posterior variance.": unscaled,
        "Your mean leaves the noise variance out: it decides how far the prior pulls.": noiseless,
        "Your mean has the wrong sign.": -mean,
    }


def _var_slips(weight: Tensor, noise: Tensor, var: Tensor) -> Hints:
    noiseless, total = 1 / (1 + weight**2), weight**2 + noise
    return {
        "Your second number is the standard deviation. Return the variance, its "
        "square.": var.sqrt(),
        "Your second number is one over the variance. Return the variance.": 1 / var,
        "Your second number is the logarithm of the variance. Return the variance.": var.log(),
        f"Your variance: {_WITHOUT_PRIOR[0].lower()}{_WITHOUT_PRIOR[1:]}": noise / weight**2,
        "Your variance leaves the noise variance out.": noiseless,
        "In your variance the weight is not squared.": 1 / (1 + weight / noise),
        "Without noise, x would fix z, and the variance would be 0. Yours would not. Its "
        "denominator is right.": 1 / total,
        "Your variance grows as the noise falls. With less noise you know z better. Its "
        "denominator is right.": weight**2 / total,
    }
