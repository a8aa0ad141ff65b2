"""Checks of the linear-Gaussian model, where everything has a closed form."""

import math

import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from companion.checks.authoring import Case, FunctionTask, Slips, single


def _terms(
    x: Tensor, mean: Tensor, var: Tensor, weight: Tensor, noise_var: Tensor
) -> tuple[Tensor, Tensor]:
    """Return E_q[log p(x | z)] and KL(q || N(0, 1))."""
    spread = weight**2 * var / (2 * noise_var)
    fit = Normal(weight * mean, noise_var.sqrt()).log_prob(x) - spread
    return fit, kl_divergence(Normal(mean, var.sqrt()), Normal(0 * mean, torch.ones_like(mean)))


def _elbo(x: Tensor, mean: Tensor, var: Tensor, weight: Tensor, noise_var: Tensor) -> Tensor:
    fit, kl = _terms(x, mean, var, weight, noise_var)
    return fit - kl


def _elbo_slips(x: Tensor, mean: Tensor, var: Tensor, weight: Tensor, noise_var: Tensor) -> Slips:
    fit, kl = _terms(x, mean, var, weight, noise_var)
    right, spread = fit - kl, weight**2 * var / (2 * noise_var)
    constant = -0.5 * (2 * torch.pi * noise_var).log()
    total = weight**2 + noise_var
    posterior = Normal(weight * x / total, (noise_var / total).sqrt())
    wide, wide_kl = _terms(x, mean, var**2, weight, noise_var)
    under_prior = _terms(x, 0 * mean, torch.ones_like(var), weight, noise_var)[0]
    return {
        "You put q's mean into the likelihood and stopped there. z varies under q, so the squared "
        "error has a second term. Compare the numbers 9 and 11 in the text.": right + spread,
        "You left out the likelihood's constant, or a part of it: the logarithm of what stands "
        "in front of the Gaussian's exponential.": [
            right - constant,
            right + 0.5 * noise_var.log(),
            right + 0.5 * math.log(2 * math.pi),
        ],
        "The KL term has the wrong sign: the ELBO is the expected log-likelihood minus the KL "
        "divergence.": fit + kl,
        "This is log p(x) itself. The exercise asks for the bound, which depends on q's mean and "
        "variance.": Normal(0 * x, total.sqrt()).log_prob(x),
        "You took `var` as a standard deviation and squared it. It is the variance.": [
            wide - wide_kl,
            wide - kl,
            fit - wide_kl,
        ],
        "This is -ELBO, a loss to minimize. The ELBO itself is a lower bound of log p(x).": -right,
        "This is the expected log-likelihood alone. Subtract KL(q || N(0, 1)).": fit,
        "You took `noise_var` as a standard deviation and squared it. It is the variance.": _elbo(
            x, mean, var, weight, noise_var**2
        ),
        "In the spread of z under q the weight does not enter as it is, or is missing: a variance "
        "scales with its square.": [
            right + spread - factor * var / (2 * noise_var) for factor in (weight, 1)
        ],
        "You forgot the one half in front of the KL divergence.": right - kl,
        "You subtracted the KL divergence to the posterior. In the ELBO it is the one to the "
        "prior, N(0, 1).": fit - kl_divergence(Normal(mean, var.sqrt()), posterior),
        "You forgot the one half in front of the squared error.": right + fit - constant,
        "In the KL divergence the logarithm is missing. Without it nothing keeps q from shrinking "
        "to a point.": right - 0.5 * var.log(),
        "In the KL divergence the logarithm has the wrong sign: a narrow q costs more.": right
        - var.log(),
        "In the KL divergence the 1 is missing. It makes the divergence of q to itself zero.": right
        - 0.5,
        "You took the expectation of log p(x | z) under the prior. In the ELBO z comes from q.": [
            under_prior - kl,
            under_prior,
        ],
    }


def _elbo_case(**point: float) -> Case:
    case = Case.at(
        point, near="(It is close, as an average over samples would be. None is needed.)"
    )
    fit, kl = _terms(**case.arguments)
    case.remark = (
        f"There E_q[log p(x | z)] is {fit:.5g} and the KL divergence from the prior is {kl:.5g}. "
        "Which of your two terms differs?"
    )
    return case


FunctionTask(
    "elbo.linear_gaussian",
    number="1.3",
    title="The ELBO of a linear-Gaussian model",
    answer="elbo",
    reference=_elbo,
    slips=_elbo_slips,
    read=single,
    cases=[
        _elbo_case(x=1.7, mean=-0.45, var=0.35, weight=1.3, noise_var=0.6),
        _elbo_case(x=-2.0, mean=0.9, var=0.3, weight=-0.7, noise_var=1.7),
        _elbo_case(x=0.3, mean=-1.1, var=2.2, weight=0.4, noise_var=0.2),
    ],
    random="Your function averages over samples, so it gives another number each time. The "
    "expectation has a closed form: z is Gaussian under q, and log p(x | z) is a square in z.",
    praise="It lies below log p(x) for every q; the next exercise asks where it touches.",
)


def _best(x: Tensor, weight: Tensor, noise_var: Tensor) -> tuple[Tensor, Tensor]:
    total = weight**2 + noise_var
    return weight * x / total, noise_var / total


_NO_PRIOR = (
    "ou left out the prior. This would be right if every z were equally likely before you saw x."
)


def _best_slips(x: Tensor, weight: Tensor, noise_var: Tensor) -> Slips:
    (mean, var), total = _best(x, weight, noise_var), weight**2 + noise_var
    means = {
        "Your mean is x / weight, the guess without a prior. The prior pulls it towards 0.": x
        / weight,
        "Your mean does not change its sign with the weight, but then x and z have opposite "
        "signs. Its denominator is right.": x / total,
        "Your mean is weight x / noise_var. Multiply it by the posterior variance.": (
            weight * x / noise_var
        ),
        "Your mean leaves the noise variance out: it decides how far the prior pulls.": (
            weight * x / (1 + weight**2)
        ),
        "Your mean has the wrong sign.": -mean,
    }
    variances = {
        "Your second number is the standard deviation. Return the variance, its square.": (
            var.sqrt()
        ),
        "Your second number is one over the variance. Return the variance.": 1 / var,
        "Your second number is the logarithm of the variance. Return the variance.": var.log(),
        f"Your variance: y{_NO_PRIOR}": noise_var / weight**2,
        "Your variance leaves the noise variance out.": 1 / (1 + weight**2),
        "In your variance the weight is not squared.": 1 / (1 + weight / noise_var),
        "Without noise, x would fix z, and the variance would be 0. Yours would not. Its "
        "denominator is right.": 1 / total,
        "Your variance grows as the noise falls. With less noise you know z better. Its "
        "denominator is right.": weight**2 / total,
    }
    return {
        "This is the prior, N(0, 1). Having seen x, you know more about z.": (0 * x, 0 * x + 1),
        f"Y{_NO_PRIOR}": (x / weight, noise_var / weight**2),
        "These are the numbers of the example; the function must work for any x, weight and "
        "noise_var.": (0 * x + 10 / 7, 0 * x + 3 / 7),
        "You took `noise_var` as a standard deviation and squared it. It is the variance.": _best(
            x, weight, noise_var**2
        ),
        "The two are in the wrong order: return the mean first, then the variance.": (var, mean),
        **{hint: (wrong, None) for hint, wrong in means.items()},
        **{hint: (None, wrong) for hint, wrong in variances.items()},
    }


FunctionTask(
    "elbo.optimal_q",
    number="1.4",
    title="Where the gap vanishes",
    answer="best_q",
    parts=("The mean", "The variance"),
    reference=_best,
    slips=_best_slips,
    cases=[
        Case.at({"x": 1.5, "weight": 1.3, "noise_var": 0.5}, atol=1e-5),
        Case.at({"x": -2.0, "weight": -0.7, "noise_var": 1.7}, atol=1e-5),
        Case.at({"x": 0.4, "weight": 2.5, "noise_var": 0.3}, atol=1e-5),
    ],
    praise="This q is the posterior p(z | x): with it the bound equals log p(x).",
)
