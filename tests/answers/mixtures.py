"""Answers to the exercises of chapter 4, right ones written in several ways, and faulty ones."""

import math
from fractions import Fraction

import numpy as np
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture
from torch.distributions import (
    Categorical,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
)

LOG_2PI = math.log(2 * math.pi)


def torch_mixture(logits, mean, log_var):
    parts = Independent(Normal(mean, (log_var / 2).exp()), 1)
    return MixtureSameFamily(Categorical(logits=logits), parts)


def gaussian_terms(z, mean, log_var):
    """The log-density of each component in each dimension, (B, K, D)."""
    return -0.5 * (LOG_2PI + log_var + (z[:, None] - mean) ** 2 / log_var.exp())


# --- log-densities and responsibilities: functions of (z, logits, mean, log_var) --------------


def density_closed(z, logits, mean, log_var):
    joint = logits.log_softmax(0) + gaussian_terms(z, mean, log_var).sum(-1)
    return joint.logsumexp(-1)


def density_by_torch(z, logits, mean, log_var):
    return torch_mixture(logits, mean, log_var).log_prob(z)


def density_in_loops(z, logits, mean, log_var):
    """One code and one component at a time, shifted by hand, the normalizer subtracted last."""
    rows = []
    for code in z:
        terms = []
        for k in range(len(logits)):
            term = logits[k]
            for d in range(len(code)):
                std = (log_var[k, d] / 2).exp()
                term = term - 0.5 * LOG_2PI - std.log() - 0.5 * ((code[d] - mean[k, d]) / std) ** 2
            terms.append(term)
        top = max(term.item() for term in terms)
        rows.append(top + sum((term - top).exp() for term in terms).log())
    return torch.stack(rows) - (logits - logits.max()).exp().sum().log() - logits.max()


def density_by_matrices(z, logits, mean, log_var):
    """Full covariance matrices, components first, in float64."""
    z, logits, mean, log_var = (value.double() for value in (z, logits, mean, log_var))
    factors = torch.linalg.cholesky(torch.diag_embed(log_var.exp()))  # (K, D, D)
    white = torch.linalg.solve_triangular(factors, (z - mean[:, None]).mT, upper=False)  # (K, D, B)
    volume = 0.5 * LOG_2PI * mean.shape[1] + factors.diagonal(dim1=1, dim2=2).log().sum(1)
    by_component = -0.5 * white.square().sum(1) - volume[:, None]  # (K, B)
    joint = by_component + (logits - logits.logsumexp(0))[:, None]
    return joint.logsumexp(dim=0)


def density_with(each=gaussian_terms, weights=lambda logits: logits.log_softmax(0), combine=None):
    """A log-density with one thing wrong."""

    def log_density(z, logits, mean, log_var):
        terms, log_w = each(z, mean, log_var), weights(logits)
        if combine is not None:
            return combine(terms, log_w)
        return (log_w + terms.sum(-1)).logsumexp(-1)

    return log_density


def terms_from(formula):
    """Terms (B, K, D) of log_var and the squared distance."""
    return lambda z, mean, log_var: formula(log_var, (z[:, None] - mean) ** 2)


def r_closed(z, logits, mean, log_var):
    joint = logits.log_softmax(0) + gaussian_terms(z, mean, log_var).sum(-1)
    return (joint - joint.logsumexp(-1, keepdim=True)).exp()


def r_by_autograd(z, logits, mean, log_var):
    """The gradient of log p(z) in the logits is the responsibilities minus the weights."""
    rows = []
    for code in z:
        leaf = logits.clone().requires_grad_()
        with torch.enable_grad():
            density_closed(code[None], leaf, mean, log_var).sum().backward()
        rows.append(leaf.grad + logits.softmax(0))
    return torch.stack(rows)


def r_by_ratios(z, logits, mean, log_var):
    """One over the sum of ratios; constants and the weights' normalizer left out."""
    joint = logits - 0.5 * (log_var + (z[:, None] - mean) ** 2 / log_var.exp()).sum(-1)
    return torch.stack(
        [1 / (joint - joint[:, [k]]).exp().sum(1) for k in range(len(logits))], dim=1
    )


def r_by_scipy(z, logits, mean, log_var):
    """NumPy and SciPy, in float64."""
    z, logits, mean, log_var = (
        value.detach().double().numpy() for value in (z, logits, mean, log_var)
    )
    joint = np.stack(
        [
            logits[k] + np.atleast_1d(multivariate_normal(m, np.diag(np.exp(v))).logpdf(z))
            for k, (m, v) in enumerate(zip(mean, log_var, strict=True))
        ],
        axis=1,
    )
    return np.exp(joint - logsumexp(joint, axis=1, keepdims=True))


def r_with(combine):
    """Responsibilities from log-weights and terms, (K,) and (B, K, D)."""

    def responsibilities(z, logits, mean, log_var):
        return combine(logits.log_softmax(0), gaussian_terms(z, mean, log_var))

    return responsibilities


# --- m_step(z, responsibilities, old_weights, old_mean) ---------------------------------------


def m_closed(z, responsibilities, old_weights, old_mean):
    counts = responsibilities.sum(0)
    mean = responsibilities.T @ z / counts[:, None]
    square = (z[:, None] - mean) ** 2
    return counts / len(z), mean, (responsibilities[..., None] * square).sum(0) / counts[:, None]


def m_by_moments(z, responsibilities, old_weights, old_mean):
    """Mean square minus squared mean, in float64, as a list."""
    z, r = z.double(), responsibilities.double()
    mean = (r.T @ z) / r.sum(0).unsqueeze(1)
    return [r.mean(0), mean, (r.T @ z**2) / r.sum(0).unsqueeze(1) - mean**2]


def m_in_loops(z, responsibilities, old_weights, old_mean):
    weights, means, variances = [], [], []
    for column in responsibilities.T:
        total = sum(column)
        center = sum(r * code for r, code in zip(column, z, strict=True)) / total
        means.append(center)
        variances.append(
            sum(r * (code - center) ** 2 for r, code in zip(column, z, strict=True)) / total
        )
        weights.append(float(total) / len(z))
    return weights, torch.stack(means), torch.stack(variances)


def m_by_sklearn(z, responsibilities, old_weights, old_mean):
    mixture = GaussianMixture(responsibilities.shape[1], covariance_type="diag", reg_covar=0)
    mixture._initialize(z.double().numpy(), responsibilities.double().numpy())
    return mixture.weights_, mixture.means_, mixture.covariances_


def m_with(weights=None, mean=None, var=None):
    """A step with one part replaced by a function of (z, r, new mean, old weights, old mean)."""

    def m_step(z, responsibilities, old_weights, old_mean):
        right = m_closed(z, responsibilities, old_weights, old_mean)
        arguments = z, responsibilities, right[1], old_weights, old_mean
        return tuple(
            part if change is None else change(*arguments)
            for part, change in zip(right, (weights, mean, var), strict=True)
        )

    return m_step


# --- draw(n, logits, mean, log_var, generator) ------------------------------------------------


def draw_closed(n, logits, mean, log_var, generator):
    component = torch.multinomial(logits.softmax(0), n, replacement=True, generator=generator)
    noise = torch.randn(n, mean.shape[1], generator=generator)
    return mean[component] + (log_var[component] / 2).exp() * noise


def draw_in_a_loop(n, logits, mean, log_var, generator):
    """The component by the cumulative weights, one sample at a time."""
    edges = logits.softmax(0).cumsum(0)
    edges[-1] = 1.0
    rows = []
    for _ in range(n):
        k = int((torch.rand(1, generator=generator) > edges).sum())
        noise = torch.randn(mean.shape[1], generator=generator)
        rows.append(torch.normal(mean[k], (log_var[k] / 2).exp(), generator=generator) + 0 * noise)
    return torch.stack(rows)


def draw_by_gumbel(n, logits, mean, log_var, generator):
    """The Gumbel trick, and every component's sample, of which one is kept."""
    uniform = torch.rand(n, len(logits), generator=generator, dtype=torch.float64)
    chosen = (logits - (-uniform.log()).log()).argmax(1)
    noise = torch.randn(n, *mean.shape, generator=generator, dtype=torch.float64)
    every = mean + (log_var / 2).exp() * noise
    return every[torch.arange(n), chosen]


def draw_by_counts(n, logits, mean, log_var, generator):
    """As scikit-learn does: random counts, then the components one after the other."""
    drawn = torch.multinomial(logits.softmax(0), n, replacement=True, generator=generator)
    counts = torch.bincount(drawn, minlength=len(logits)).tolist()
    return torch.cat(
        [
            mean[k] + (log_var[k] / 2).exp() * torch.randn(c, mean.shape[1], generator=generator)
            for k, c in enumerate(counts)
        ]
    )


def draw_by_shuffled_counts(n, logits, mean, log_var, generator):
    z = draw_by_counts(n, logits, mean, log_var, generator)
    return z[torch.randperm(n, generator=generator)]


def draw_in_numpy(n, logits, mean, log_var, generator):
    seed = int(torch.randint(2**40, (), generator=generator))
    random = np.random.default_rng(seed)
    weights = logits.double().softmax(0).numpy()
    component = random.choice(len(weights), size=n, p=weights / weights.sum())
    std = (log_var / 2).exp().numpy()
    return random.normal(mean.numpy()[component], std[component])


def draw_with(
    weights=lambda logits: logits.softmax(0),
    std=lambda log_var: (log_var / 2).exp(),
    noise=lambda generator, *shape: torch.randn(shape, generator=generator),
):
    """A sampler whose weights, standard deviations or noise are wrong."""

    def draw(n, logits, mean, log_var, generator):
        component = torch.multinomial(weights(logits), n, replacement=True, generator=generator)
        every = noise(generator, n, mean.shape[1])
        return mean[component] + std(log_var)[component] * every

    return draw


# --- mutual_information(mean, log_var, z) -----------------------------------------------------


def information_closed(mean, log_var, z):
    table = gaussian_terms(z, mean, log_var).sum(-1)
    return (table.diagonal() - table.logsumexp(1) + math.log(len(z))).mean()


def information_by_torch(mean, log_var, z):
    """With the aggregated posterior as a mixture of torch's own."""
    marginal = torch_mixture(torch.zeros(len(mean)), mean, log_var)
    own = Normal(mean, (log_var / 2).exp()).log_prob(z).sum(1)
    return float((own - marginal.log_prob(z)).double().mean())


def information_in_loops(mean, log_var, z):
    mean, log_var, z = mean.double(), log_var.double(), z.double()
    total = 0.0
    for n in range(len(z)):
        row = [Normal(m, (v / 2).exp()).log_prob(z[n]).sum() for m, v in zip(mean, log_var)]  # noqa: B905
        ratios = sum(math.exp(min(float(each - row[n]), 700)) for each in row)
        total += math.log(len(z)) - math.log(ratios)
    return total / len(z)


def information_with_entropies(mean, log_var, z):
    """The posterior's own term in closed form."""
    marginal = torch_mixture(torch.zeros(len(mean)), mean, log_var).log_prob(z)
    return (-0.5 * (LOG_2PI + 1 + log_var).sum(-1) - marginal).mean()


def information_with(combine):
    """An estimate from the table log q(z_n | x_m) per dimension (N, N, D) and log N."""

    def mutual_information(mean, log_var, z):
        return combine(gaussian_terms(z, mean, log_var), math.log(len(z)))

    return mutual_information


# --- kl_estimate(mean, log_var, noise, log_prior) ---------------------------------------------


def kl_closed(mean, log_var, noise, log_prior):
    z = mean + (log_var / 2).exp() * noise
    log_q = -0.5 * (LOG_2PI + log_var + (z - mean) ** 2 / log_var.exp()).sum(-1)
    return (log_q - log_prior(z)).mean(0)


def kl_in_a_loop(mean, log_var, noise, log_prior):
    """Sample by sample, with torch's own density; the prior sees (B, D)."""
    q = Normal(mean, (log_var / 2).exp())
    total = 0
    for each in noise:
        z = q.loc + q.scale * each
        total = total + q.log_prob(z).sum(1) - log_prior(z)
    return total / len(noise)


def kl_with_entropy(mean, log_var, noise, log_prior):
    z = mean + (log_var / 2).exp() * noise
    return -0.5 * (LOG_2PI + 1 + log_var).sum(-1) - log_prior(z).mean(0)


def kl_sticking_the_landing(mean, log_var, noise, log_prior):
    z = mean + (log_var / 2).exp() * noise
    q = Normal(mean.detach(), (log_var.detach() / 2).exp())
    return (q.log_prob(z).sum(-1) - log_prior(z)).mean(0)


def kl_with(combine, std=lambda log_var: (log_var / 2).exp()):
    """An estimate from log q per dimension (S, B, D) and log p (S, B)."""

    def kl_estimate(mean, log_var, noise, log_prior):
        z = mean + std(log_var) * noise
        log_q = -0.5 * (LOG_2PI + log_var + (z - mean) ** 2 / log_var.exp())
        return combine(log_q, log_prior(z))

    return kl_estimate


# --- all of them ---------------------------------------------------------------------------


def half(formula):
    return density_with(terms_from(lambda v, s: -0.5 * formula(v, s)))


def density_by_densities(z, logits, mean, log_var):
    each = (-0.5 * (LOG_2PI + log_var + (z[:, None] - mean) ** 2 / log_var.exp())).exp()
    return (logits.softmax(0) * each.prod(-1)).sum(-1).log()


def only_this_k(z, logits, mean, log_var):
    return density_closed(z, logits, mean, log_var) if len(logits) == 5 else z.sum(1)


def joint_of(z, logits, mean, log_var):
    return logits.softmax(0) * gaussian_terms(z, mean, log_var).sum(-1).exp()


def r_by_division(change=lambda joint: joint, epsilon=0.0):
    def responsibilities(*arguments):
        joint = change(joint_of(*arguments))
        return joint / (joint.sum(1, keepdim=True) + epsilon)

    return responsibilities


def r_with_std_for_var(z, logits, mean, log_var):
    std = (log_var / 2).exp()
    return (logits - 0.5 * (std.log() + (z[:, None] - mean) ** 2 / std).sum(-1)).softmax(1)


def spread(z, r, center):
    return (r[..., None] * (z[:, None] - center) ** 2).sum(0)


def m_floored(change):
    def maximize(*arguments):
        weights, mean, var = m_closed(*arguments)
        return weights, mean, change(var)

    return maximize


def m_of(change):
    """A step whose responsibilities are misread first."""
    return lambda z, r, w, m: m_closed(z, change(r), w, m)


def one_hot(r):
    return torch.nn.functional.one_hot(r.argmax(1), r.shape[1]).float()


def fixed_counts(n, logits, mean, log_var, generator):
    counts = [round(n * w) for w in logits.softmax(0).tolist()]
    counts[0] += n - sum(counts)
    rows = [mean[[k] * c] for k, c in enumerate(counts)]
    std = [(log_var[[k] * c] / 2).exp() for k, c in enumerate(counts)]
    noise = torch.randn(n, mean.shape[1], generator=generator)
    z = torch.cat(rows) + torch.cat(std) * noise
    return z[torch.randperm(n, generator=generator)]


def rounded_counts(n, logits, mean, log_var, generator):
    parts = [draw_closed(int(n * w), logits[[k]], mean[[k]], log_var[[k]], generator)
             for k, w in enumerate(logits.softmax(0).tolist()) if int(n * w)]  # fmt: skip
    return torch.cat(parts) if parts else mean[:0]


def unseeded(n, logits, mean, log_var, generator):
    return draw_closed(n, logits, mean, log_var, None)


def half_seeded(n, logits, mean, log_var, generator):
    component = torch.multinomial(logits.softmax(0), n, replacement=True, generator=generator)
    return mean[component] + (log_var[component] / 2).exp() * torch.randn(n, mean.shape[1])


def own_seed(n, logits, mean, log_var, generator):
    return draw_closed(n, logits, mean, log_var, torch.Generator().manual_seed(0))


def restarted(n, logits, mean, log_var, generator):
    fresh = torch.Generator().manual_seed(generator.initial_seed())
    return draw_closed(n, logits, mean, log_var, fresh)


def all_components(n, logits, mean, log_var, generator):
    noise = torch.randn(n, *mean.shape, generator=generator)
    return mean + (log_var / 2).exp() * noise


def sum_of_uniforms(generator, *shape):
    return 2 * (torch.rand(3, *shape, generator=generator) - 0.5).sum(0)


def antithetic(generator, n, dim):
    half = torch.randn(n // 2 + 1, dim, generator=generator)
    return torch.cat([half, -half])[:n]


def stratified(generator, n, dim):
    order = torch.rand(n, dim, generator=generator).argsort(0)
    return Normal(0.0, 1.0).icdf((order + torch.rand(n, dim, generator=generator)) / n)


def stratified_components(n, logits, mean, log_var, generator):
    u = (torch.arange(n) + torch.rand(n, generator=generator)) / n
    k = torch.searchsorted(logits.softmax(0).cumsum(0), u).clamp(max=len(logits) - 1)
    k = k[torch.randperm(n, generator=generator)]
    noise = torch.randn(n, mean.shape[1], generator=generator)
    return mean[k] + (log_var[k] / 2).exp() * noise


def component_drawn_twice(n, logits, mean, log_var, generator):
    k, other = torch.multinomial(
        logits.softmax(0), 2 * n, replacement=True, generator=generator
    ).chunk(2)
    noise = torch.randn(n, mean.shape[1], generator=generator)
    return mean[k] + (log_var[other] / 2).exp() * noise


def information_by_densities(epsilon=0.0):
    def mutual_information(mean, log_var, z):
        table = gaussian_terms(z, mean, log_var).sum(-1).exp()
        return ((table.diagonal() + epsilon) / (table.mean(1) + epsilon)).log().mean()

    return mutual_information


def kl_of_noise(mean, log_var, noise, log_prior):
    """The density of the noise instead of the code's."""
    z = mean + (log_var / 2).exp() * noise
    return (Normal(0.0, 1.0).log_prob(noise).sum(-1) - log_prior(z)).mean(0)


def kl_std_for_var(mean, log_var, noise, log_prior):
    var = (log_var / 2).exp()
    z = mean + var.sqrt() * noise
    return (Normal(mean, var.sqrt()).log_prob(z).sum(-1) - log_prior(z)).mean(0)


def repaired(gaussian=True, order="whole", weights="log_softmax"):
    """The exercise's code with some of its faults repaired."""

    def mixture_log_prob(z, logits, mean, log_var):
        square, var = (z[:, None] - mean) ** 2, log_var.exp()
        inner = log_var + square / var if gaussian else (log_var + square) / var
        each = -0.5 * (LOG_2PI + inner)
        log_w = {
            "logits": logits,
            "softmax": logits.softmax(0),
            "log_softmax": logits.log_softmax(0),
            "none": 0 * logits,
        }[weights]
        if order == "whole":
            return (log_w + each.sum(-1)).logsumexp(1)
        each = log_w[:, None] + each
        return each.logsumexp(1).sum(-1) if order == "start" else each.sum(-1).logsumexp(1)

    return mixture_log_prob


def r_nan(z, logits, mean, log_var):
    return (logits / logits.sum()).log().sum() + z.sum(1)


def tilted_closed(mean, factor, noise):
    z = mean + (factor @ noise[..., None])[..., 0]
    each = -0.5 * (LOG_2PI + noise**2) - factor.diagonal(dim1=1, dim2=2).log()
    return z, each.sum(1)


def tilted_by_covariance(mean, factor, noise):
    """The density from the covariance, as if the factor were not at hand."""
    z = mean + torch.einsum("bij,bj->bi", factor, noise)
    covariance = factor.tril() @ factor.tril().mT
    return z, MultivariateNormal(mean, covariance.double()).log_prob(z.double())


def tilted_in_loops(mean, factor, noise):
    codes, densities = [], []
    for m, low, e in zip(mean, factor, noise, strict=True):
        code, log_q = [], 0.0
        for i in range(len(m)):
            code.append(m[i] + sum(low[i, j] * e[j] for j in range(i + 1)))
            log_q = log_q - 0.5 * LOG_2PI - 0.5 * e[i] ** 2 - low[i, i].log()
        codes.append(torch.stack(code))
        densities.append(log_q)
    return torch.stack(codes), torch.stack(densities)


def tilted_with(move=None, density=None):
    """One of the two parts wrong: a function of (mean, factor, noise), of (z, mean, factor)."""

    def tilted(mean, factor, noise):
        z, log_q = tilted_closed(mean, factor, noise)
        z = mean + (move(factor) @ noise[..., None])[..., 0] if move else z
        return z, density(z, mean, factor) if density else log_q

    return tilted


JOINT = [
    w * Normal(m, s).log_prob(torch.tensor(1.0)).exp().item()
    for w, m, s in ((0.4, 0.0, 1.0), (0.6, 3.0, 2.0))
]
SHARE = JOINT[0] / sum(JOINT)
HIDDEN = "hides the infinity but not the error"

STUBS = {"mixtures.fix_the_density": [repaired(False, "start", "logits")]}

RIGHT = {
    "mixtures.by_hand": [
        SHARE,
        0.57,
        0.571,
        Fraction(4, 7),
        np.float32(0.5714),
        torch.tensor([4 / 7]),
    ],
    "mixtures.log_density": [
        density_closed,
        density_by_torch,
        density_in_loops,
        density_by_matrices,
    ],
    "mixtures.responsibilities": [r_closed, r_by_autograd, r_by_ratios, r_by_scipy],
    "mixtures.m_step": [m_closed, m_by_moments, m_in_loops, m_by_sklearn],
    "mixtures.sample": [
        draw_closed,
        draw_in_a_loop,
        draw_by_gumbel,
        draw_in_numpy,
        draw_by_shuffled_counts,
        draw_with(),
    ],
    "mixtures.mutual_information": [
        information_closed,
        information_by_torch,
        information_in_loops,
        information_with_entropies,
        lambda *a: [information_closed(*a)],
    ],
    "mixtures.fix_the_density": [repaired(), density_by_torch, density_in_loops],
    "mixtures.kl": [
        kl_closed,
        kl_in_a_loop,
        kl_with_entropy,
        kl_sticking_the_landing,
    ],
    "mixtures.tilted": [tilted_closed, tilted_by_covariance, tilted_in_loops],
}

# Written as a learner would, not taken from the check: each with a part of its hint.
WRONG = {
    "mixtures.by_hand": [
        (1 - SHARE, "second component's responsibility"),
        (JOINT[0] / JOINT[1], "Divide by their sum"),
        (sum(JOINT), "what you divide by"),
        (57.1, "in percent"),
        (-0.2, "lies between 0 and 1"),
        (0.6, "at least two decimals"),
        (0.55, "0.55 is not it"),
        ("4/7", "without quotes"),
    ],
    "mixtures.log_density": [
        (density_with(combine=lambda t, w: (w[:, None] + t).logsumexp(1).sum(-1)),
         "a product of one-dimensional mixtures"),
        (density_with(weights=lambda logits: logits), "up to a constant, and it counts"),
        (half(lambda v, s: LOG_2PI + 2 * v + s / (2 * v).exp()), "`exp(log_var)` as the standard"),
        (half(lambda v, s: LOG_2PI + v / 2 + s / (v / 2).exp()), "where the formula wants the var"),
        (half(lambda v, s: LOG_2PI + (v + s) / v.exp()), "Only the squared distance"),
        (half(lambda v, s: (LOG_2PI + v + s) / v.exp()), "Only the squared distance"),
        (density_with(terms_from(lambda v, s: -0.5 * (LOG_2PI + v) - s / v.exp())), "The one half"),
        (half(lambda v, s: v + s / v.exp()), "The constant is missing"),
        (lambda *a: density_closed(*a) + LOG_2PI, "The constant is missing"),  # once, not 3 times
        (density_by_densities, "far from every component the result is not finite"),
        (lambda *a: density_by_densities(*[v.double() for v in a]), "not finite"),
        (lambda *a: (density_closed(*a).exp() + 1e-30).log(), HIDDEN),
        (only_this_k, "With negative logits and log-variances, B = 3, K = 2 and D = 2, "),
        (lambda z, w, m, v: density_closed(z, w, m, v.abs()), "With negative logits and log-var"),
        (lambda z, w, m, v: density_closed(z, w.detach(), m, v), "with respect to `logits`"),
        (lambda *a: density_closed(*a)[:, None], "(4, 1); it should be (4,)"),
        (lambda *a: density_closed(*[v.bfloat16() for v in a]), "too coarse"),
    ],
    "mixtures.responsibilities": [
        (r_with(lambda w, t: (w + t.sum(-1)).softmax(0)), "sum to one over the batch"),
        (lambda z, w, m, v: r_closed(z, w, m, 2 * v), "You used `exp(log_var)`"),
        (r_with_std_for_var, "where the formula wants the variance"),
        (r_with(lambda w, t: (w.exp() + t.sum(-1)).softmax(1)), "You added the weights"),
        (r_with(lambda w, t: (2 * w + t.sum(-1)).softmax(1)), "The weights count twice"),
        (r_with(lambda w, t: (w + t.logsumexp(-1)).softmax(1)), "Independent dimensions multiply"),
        (r_with(lambda w, t: (-w - t.sum(-1)).softmax(1)), "The sign is wrong"),
        (lambda *a: r_closed(*a).softmax(1), "a softmax too many"),
        (r_by_division(), "your row is [nan, nan, nan]"),
        (r_by_division(epsilon=1e-12), "your row is [0.0, 0.0, 0.0]"),
        (r_by_division(lambda joint: joint.clamp(min=1e-30)), "a clamp makes them all equal"),
        (lambda *a: r_closed(*a) ** 2, "differs from the right value"),
    ],
    "mixtures.m_step": [
        (m_with(weights=lambda z, r, m, w, o: w), "Your weights are the old ones"),
        (m_of(one_hot), "as k-means does"),
        (m_with(weights=lambda z, r, m, w, o: one_hot(r).mean(0)), "as k-means does"),
        (m_of(torch.log), "with the logarithms of the responsibilities"),
        (m_with(mean=lambda z, r, m, w, o: r.log().T @ z / r.log().sum(0)[:, None]),
         "with the logarithms of the responsibilities"),
        (m_of(lambda r: r.softmax(1)), "They are probabilities already"),
        (m_of(lambda r: r / r.sum(0)), "normalized the responsibilities over the codes"),
        (m_of(lambda r: r.softmax(0)), "normalized the responsibilities over the codes"),
        (m_with(var=lambda z, r, m, w, o: spread(z, r, o) / r.sum(0)[:, None]), "the old means"),
        (m_with(var=lambda z, r, m, w, o: r.T @ z**2 / r.sum(0)[:, None] - o**2), "*new* mean"),
        (m_with(var=lambda z, r, m, w, o: spread(z, r, m) / len(z)), "variances are divided by N"),
        (m_with(var=lambda z, r, m, w, o: spread(z, r, m)), "sums of squares"),
        (m_with(mean=lambda z, r, m, w, o: r.T @ z / r.mean(0)[:, None]), "by a weight, a share"),
        (m_with(mean=lambda z, r, m, w, o: m + o), "added the old means"),
        (m_with(var=lambda z, r, m, w, o: r.T @ z**2 / r.sum(0)[:, None] - m), "*square* of the"),
        (lambda z, r, w, m: m_closed(z, r * w / (r * w).sum(1, True), w, m), "yours count twice"),
        (lambda *a: m_closed(*a)[::-1], "in the wrong order"),
        *((m_floored(lambda var, by=by: var.clamp(min=by)), "Is there a floor")
          for by in (0.001, 0.01)),
        *((m_floored(lambda var, by=by: var + by), "your `var` differs") for by in (0.001, 0.1)),
        (lambda *a: m_closed(*a)[:2], "Return 3 results"),
        (lambda *a: (*m_closed(*a)[:2], ...), "still the placeholder"),
    ],
    "mixtures.sample": [
        (draw_with(weights=torch.ones_like), "with the same probability"),
        (draw_with(weights=torch.sigmoid), "You used a sigmoid"),
        (draw_with(std=torch.exp), "You used `exp(log_var)` as the standard deviation"),
        (draw_with(std=lambda v: (2 * v).exp()), "You doubled `log_var`"),
        (lambda n, w, m, v, g: draw_closed(n, w, 0 * m, v, g), "around the origin"),
        (component_drawn_twice, "drawn twice"),
        (draw_with(noise=lambda g, *s: torch.randn(s, generator=g).abs()), "is there an `abs`"),
        (draw_with(noise=sum_of_uniforms), "only nearly normal", "about 22"),
        *((draw_with(noise=lambda g, *s, at=at: torch.randn(s, generator=g).clamp(-at, at)),
           "Is it cut off?") for at in (2.0, 2.5)),
        (draw_by_counts, "sorted by component"),
        (all_components, "Keep only the drawn component"),
        (fixed_counts, "hardly varies from call to call. Draw the components"),
        (rounded_counts, "a rounded number"),
        (draw_with(noise=antithetic), "paired, with either sign"),
        (draw_with(noise=stratified), "spread evenly"),
        (stratified_components, "hardly varies from call to call. Draw the components"),
        (unseeded, "has to get the generator"),
        (half_seeded, "has to get the generator"),
        (own_seed, "the same whatever the generator"),
        (restarted, "the same samples twice"),
        (lambda n, w, m, v, g: draw_closed(1, w, m, v, g)[0], "Draw n samples, not one"),
        (lambda n, w, m, v, g: draw_closed(n, w, m + 0.7, v, g), "samples' means are off by [[0.7"),
        (lambda n, w, m, v, g: draw_closed(n, 0.5 * w, m, v, g), "with the probability that the"),
        (lambda *a: draw_closed(*a) * math.nan, "NaN or infinity"),
    ],
    "mixtures.mutual_information": [
        (lambda m, v, z: information_closed(m, 2 * v, z), "`exp(log_var)` as the standard"),
        (lambda m, v, z: information_closed(m, v / 2, z), "where the formula wants the var"),
        (lambda m, v, z: information_closed(m, v, m), "Use the rows of `z`"),
        (information_by_densities(), "is not finite"),
        (information_by_densities(1e-30), HIDDEN),
        *((lambda *a, change=change: change(information_closed(*a)), "you cut it off")
          for change in (torch.relu, torch.abs, lambda value: value.clamp(0, 7))),
        (lambda *a: information_closed(*a) + 0.1, "it should be"),
    ],
    "mixtures.fix_the_density": [
        (repaired(False, "start"), "2 faults left", "what the variance divides", "each of its co"),
        (repaired(True, "swapped", "logits"), "2 faults left", "how often", "sum to one"),
        (repaired(weights="softmax"), "1 fault left", "A softmax it is"),
        (repaired(weights="none"), "You left out the weights"),
        (half(lambda v, s: LOG_2PI + s / v.exp()), "left out the logarithm"),
        (lambda *a: -density_closed(*a), "This is -log p(z)"),
        (lambda *a: density_closed(*a).exp(), "This is the density"),
        (r_nan, "holds NaN at entry"),
        (lambda *a: density_closed(*a).exp().log(), "far from every component"),
        (lambda *a: density_closed(*a).detach(), "no gradient"),
    ],
    "mixtures.kl": [
        (kl_with(lambda q, p: (q.sum(-1) - p).mean(0), torch.exp), "You used `exp(log_var)`"),
        (kl_std_for_var, "where the formula wants the var"),
        (kl_of_noise, "left out the logarithm"),
        (lambda m, v, e, p: kl_closed(m, v, 0 * e, p), "both densities at q's mean"),
        (lambda m, v, e, p: kl_closed(m, v, torch.randn_like(e), p), "differs from call to call"),
        *((lambda *a, cut=cut: cut(kl_closed(*a)), "cut it off at zero")
          for cut in (torch.relu, torch.abs)),
        (lambda *a: kl_with_entropy(*a).clamp_min(0), "cut it off at zero"),
        (lambda *a: kl_closed(*a).detach(), "no gradient"),
        (lambda m, v, e, p: kl_closed(m, v.detach(), e, p), "gradient with respect to `log_var`"),
        (lambda m, v, e, p: kl_closed(m, v, e, lambda z: p(z.detach())), "respect to `mean`"),
        (lambda *a: kl_closed(*a) + 0.1, "same amount, +0.1"),
        (lambda m, v: m, "4 arguments, in this order: `mean, log_var, noise, log_prior`"),
        (lambda m, v, e, p: (m.log().sum(-1) * p(m + e)).mean(0), "holds NaN at entry"),
    ],
    "mixtures.tilted": [
        (tilted_with(lambda low: low @ low.mT), "You took the covariance for its factor"),
        (tilted_with(density=lambda z, m, low: MultivariateNormal(m, scale_tril=low).log_prob(z)
                     + low.diagonal(dim1=1, dim2=2).log().sum(1)), "determinant is missing"),
        (lambda m, low, e: tilted_closed(m, low @ low.mT, e), "You took the covariance for its f"),
        (tilted_with(lambda low: low.mT), "the transposed factor"),
        (tilted_with(density=lambda z, m, low: Normal(m, low.diagonal(dim1=1, dim2=2)).log_prob(z)
                     .sum(1)), "independent coordinates"),
        (lambda m, low, e: (tilted_closed(m, low.mT, e)[0], Normal(0, 1).log_prob(e).sum(1)),
         "Both parts. Your z is stretched by the transposed factor", "determinant is missing"),
        (tilted_with(density=lambda z, m, low: Normal(0, 1).log_prob(z).sum(1)), "of the prior"),
        (lambda m, low, e: tilted_closed(m, low.detach(), e), "with respect to `factor`"),
        (lambda m, low, e: tilted_closed(m, low, e)[0], "Return 2 results"),
        (lambda m, low, e: (tilted_closed(m, low, e)[0], tilted_closed(m, low, e)[1] + 0.1),
         "same amount, +0.1", "Your `z` is right"),
    ],
}  # fmt: skip
