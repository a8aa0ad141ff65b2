"""Answers to the exercises of chapter 4, right ones written in several ways, and faulty ones."""

import math

import numpy as np
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture
from torch.distributions import (
    Categorical,
    Independent,
    MixtureSameFamily,
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


def density_by_expanded_squares(z, logits, mean, log_var):
    """Squares multiplied out, as matrix products; components last."""
    precision = (-log_var).exp()
    quadratic = z**2 @ precision.T - 2 * z @ (mean * precision).T + (mean**2 * precision).sum(1)
    constant = logits - torch.logsumexp(logits, 0) - 0.5 * (LOG_2PI + log_var).sum(1)
    return torch.logsumexp(constant - 0.5 * quadratic, dim=1)


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


def kl_in_float64(mean, log_var, noise, log_prior):
    return kl_closed(mean.double(), log_var.double(), noise.double(), log_prior)


def kl_by_change_of_variables(mean, log_var, noise, log_prior):
    std = torch.exp(0.5 * log_var)
    log_q = Normal(0.0, 1.0).log_prob(noise).sum(-1) - std.log().sum(-1)
    return log_q.mean(0) - log_prior(torch.addcmul(mean, std, noise)).mean(0)


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
