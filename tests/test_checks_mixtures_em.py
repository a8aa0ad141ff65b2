"""The checks of chapter 4, EM, samples and information: right answers, stubs, misconceptions."""

import math
from itertools import pairwise

import pytest
import torch
from check_helpers import assert_correct, assert_hints, assert_not_attempted, judge
from mixture_answers import (
    draw_by_counts,
    draw_by_gumbel,
    draw_by_shuffled_counts,
    draw_closed,
    draw_in_a_loop,
    draw_in_numpy,
    draw_with,
    gaussian_terms,
    information_by_torch,
    information_closed,
    information_in_loops,
    information_with,
    information_with_entropies,
    m_by_moments,
    m_by_sklearn,
    m_closed,
    m_in_loops,
    m_with,
    r_by_autograd,
    r_by_ratios,
    r_by_scipy,
    r_closed,
    r_with,
)
from torch.distributions import Normal

# --- mixtures.responsibilities -------------------------------------------------------------


def one_hot(joint):
    return torch.nn.functional.one_hot(joint.argmax(1), joint.shape[1]).float()


def test_responsibilities():
    key = "mixtures.responsibilities"
    assert_correct(key, r_closed, r_by_autograd, r_by_ratios, r_by_scipy)
    assert_not_attempted(key, lambda z, logits, mean, log_var: ..., None)

    def std_mistaken(z, logits, mean, log_var):
        return r_closed(z, logits, mean, 2 * log_var)

    def distances(z, logits, mean, log_var):
        return (-0.5 * ((z[:, None] - mean) ** 2).sum(-1)).softmax(1)

    def without_log_var(z, logits, mean, log_var):
        return (logits - 0.5 * ((z[:, None] - mean) ** 2 / log_var.exp()).sum(-1)).softmax(1)

    def logits_as_weights(z, logits, mean, log_var):
        joint = logits * gaussian_terms(z, mean, log_var).sum(-1).exp()
        return joint / joint.sum(1, keepdim=True)

    def by_division(z, logits, mean, log_var):
        joint = logits.softmax(0) * gaussian_terms(z, mean, log_var).sum(-1).exp()
        return joint / joint.sum(1, keepdim=True)

    def by_division_with_epsilon(z, logits, mean, log_var):
        joint = logits.softmax(0) * gaussian_terms(z, mean, log_var).sum(-1).exp()
        return joint / (joint.sum(1, keepdim=True) + 1e-12)

    def half_missing(z, logits, mean, log_var):
        square = (z[:, None] - mean) ** 2
        return (logits - (log_var + square / log_var.exp()).sum(-1)).softmax(1)

    def clamped(z, logits, mean, log_var):
        joint = logits.softmax(0) * gaussian_terms(z, mean, log_var).sum(-1).exp()
        joint = joint.clamp(min=1e-30)
        return joint / joint.sum(1, keepdim=True)

    def misplaced(z, logits, mean, log_var):
        terms = (log_var + (z[:, None] - mean) ** 2) / log_var.exp()
        return (logits - 0.5 * terms.sum(-1)).softmax(1)

    wrong = {
        r_with(lambda w, t: t.sum(-1).softmax(1)): "You left out the weights",
        r_with(lambda w, t: (w + t.sum(-1)).softmax(0)): "sum to one over the batch",
        r_with(lambda w, t: (w + t.sum(-1)).exp() / (w + t.sum(-1)).exp().sum()): "whole table",
        r_with(lambda w, t: (w + t.sum(-1)).log_softmax(1)): "logarithms of the responsib",
        r_with(lambda w, t: (w + t.sum(-1)).exp()): "These are the joint densities",
        r_with(lambda w, t: w + t.sum(-1)): "logarithms of the joint",
        r_with(lambda w, t: (w + t.sum(-1)).exp().softmax(1)): "softmax of the densities",
        r_with(lambda w, t: one_hot(w + t.sum(-1))): "You decided for one",
        r_with(lambda w, t: (w[:, None] + t).softmax(1)): "one table for each dimension",
        r_with(lambda w, t: (w[:, None] + t).softmax(1).mean(-1)): "put the results together",
        r_with(lambda w, t: (w[:, None] + t).sum(-1).softmax(1)): "in every dimension",
        r_with(lambda w, t: (w + t.mean(-1)).softmax(1)): "averaged over the latent",
        r_with(lambda w, t: (w + t.sum(-1)).softmax(1).T): "Components are the last axis",
        r_with(lambda w, t: (w.exp() + t.sum(-1)).softmax(1)): "You added the weights",
        r_with(lambda w, t: (w.exp() * t.sum(-1)).softmax(1)): "You multiplied",
        logits_as_weights: "as if they were the weights",
        std_mistaken: "You used `exp(log_var)`",
        without_log_var: "It does not cancel",
        distances: "You compared distances only",
        misplaced: "Is a parenthesis misplaced",
        r_with(lambda w, t: w.exp() * t.sum(-1).softmax(1)): "don't sum to one",
        half_missing: "one half of the Gaussian's exponent",
        clamped: "a clamp makes them all equal",
        by_division: "your row is [nan, nan, nan]",
        by_division_with_epsilon: "your row is [0.0, 0.0, 0.0]",
        lambda *a: r_closed(*a) ** 2: "differs from the right value",
    }
    assert_hints(key, wrong)


# --- mixtures.m_step -----------------------------------------------------------------------


def spread(z, r, center):
    return (r[..., None] * (z[:, None] - center) ** 2).sum(0)


def column(r):
    return r.sum(0)[:, None]


def hard(z, r, old_weights, old_mean):
    return m_closed(z, one_hot(r), old_weights, old_mean)


def test_m_step():
    key = "mixtures.m_step"
    assert_correct(key, m_closed, m_by_moments, m_in_loops, m_by_sklearn)
    assert_not_attempted(key, lambda z, r, w, m: (..., ..., ...), lambda z, r, w, m: None)
    wrong = {
        m_with(weights=lambda z, r, m, w, o: w): "Your weights are the old ones",
        m_with(weights=lambda z, r, m, w, o: r.sum(0)): "Your weights are N_k",
        m_with(weights=lambda z, r, m, w, o: 0 * w + 1 / len(w)): "all the same",
        m_with(weights=lambda z, r, m, w, o: r.mean(1)): "over the components",
        m_with(weights=lambda z, r, m, w, o: r.mean(0).softmax(0)): "through a softmax",
        hard: "as k-means does",
        m_with(weights=lambda z, r, m, w, o: (r * w).mean(0)): "contain the old weights already",
        m_with(weights=lambda z, r, m, w, o: r.sum(0) / r.shape[1]): "Divide by N",
        m_with(var=lambda z, r, m, w, o: r.T @ z**2 / column(r) - o**2): "the *new* mean",
        m_with(var=lambda z, r, m, w, o: spread(z, 0 * r + 1, m) / len(z)): "in the variance too",
        m_with(mean=lambda z, r, m, w, o: r.T @ z / len(z)): "Your means are divided by N",
        m_with(mean=lambda z, r, m, w, o: r.T @ z): "Your means are sums",
        m_with(mean=lambda z, r, m, w, o: o): "Your means are the old ones",
        m_with(mean=lambda z, r, m, w, o: z.mean(0) + 0 * m): "the mean of all codes",
        m_with(mean=lambda z, r, m, w, o: m.T): "Return (K, D).",
        m_with(var=lambda z, r, m, w, o: spread(z, r, o) / column(r)): "around the old means",
        m_with(var=lambda z, r, m, w, o: spread(z, r, m) / len(z)): "variances are divided by N",
        m_with(var=lambda z, r, m, w, o: spread(z, r, m)): "sums of squares",
        m_with(
            var=lambda z, r, m, w, o: (spread(z, r, m) / column(r)).sqrt()
        ): "These are standard deviations",
        m_with(
            var=lambda z, r, m, w, o: (spread(z, r, m) / column(r)).log()
        ): "logarithms of the variances",
        m_with(var=lambda z, r, m, w, o: r.T @ z**2 / column(r)): "did not subtract the mean",
        m_with(var=lambda z, r, m, w, o: spread(z, r, m) / (column(r) - 1)): "by N_k - 1",
        m_with(var=lambda z, r, m, w, o: spread(z, r, z.mean(0)) / column(r)): "Each component has",
        m_with(var=lambda z, r, m, w, o: z.var(0) + 0 * m): "variance of all codes",
        m_with(
            var=lambda z, r, m, w, o: (spread(z, r, m) / column(r)).mean(1)
        ): "would be a sphere",
        m_with(
            var=lambda z, r, m, w, o: torch.einsum(
                "nk,nkd,nke->kde", r / r.sum(0), z[:, None] - m, z[:, None] - m
            )
        ): "full covariance",
        m_with(
            var=lambda z, r, m, w, o: spread(z, r**2, m) / column(r)
        ): "squared the responsibilities",
        m_with(var=lambda z, r, m, w, o: spread(z, r, m) / column(r) + 0.1): "your `var` differs",
        lambda z, r, w, m: m_closed(z, r, w, m)[:2]: "Return three tensors",
        lambda z, r, w, m: (*m_closed(z, r, w, m)[:2], ...): "still the placeholder",
    }
    assert_hints(key, wrong)


@pytest.mark.parametrize("floor", [0.001, 0.01, 0.1])
def test_m_step_sees_a_floor_under_the_variances(floor):
    for change in (lambda var: var.clamp(min=floor), lambda var: var + floor):

        def floored(z, r, w, m, change=change):
            weights, mean, var = m_closed(z, r, w, m)
            return weights, mean, change(var)

        message = judge("mixtures.m_step", floored).message
        assert "differs from the right value" in message


def test_the_key_of_m_step_never_lowers_the_likelihood():
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(60, 2, generator=generator, dtype=torch.float64)
    z[:30] += 3
    weights, mean, var = (
        torch.full((3,), 1 / 3).double(), z[:3].clone(), torch.ones(3, 2).double()
    )  # fmt: skip
    values = []
    for _ in range(12):
        joint = weights.log() + Normal(mean, var.sqrt()).log_prob(z[:, None]).sum(-1)
        values.append(joint.logsumexp(1).mean().item())
        weights, mean, var = m_closed(z, joint.softmax(1), weights, mean)
    assert all(b >= a - 1e-12 for a, b in pairwise(values))
    assert values[-1] > values[0] + 0.1


# --- mixtures.sample -----------------------------------------------------------------------


def averaged(n, logits, mean, log_var, generator):
    noise = torch.randn(n, *mean.shape, generator=generator)
    every = mean + (log_var / 2).exp() * noise
    return (logits.softmax(0)[:, None] * every).sum(1)


def averaged_parameters(n, logits, mean, log_var, generator):
    w = logits.softmax(0)
    noise = torch.randn(n, mean.shape[1], generator=generator)
    return w @ mean + (w @ (log_var / 2).exp()) * noise


def component_per_dimension(n, logits, mean, log_var, generator):
    columns = [
        draw_closed(n, logits, mean[:, [d]], log_var[:, [d]], generator)
        for d in range(mean.shape[1])
    ]
    return torch.cat(columns, dim=1)


def one_component(n, logits, mean, log_var, generator):
    k = torch.multinomial(logits.softmax(0), 1, generator=generator)
    noise = torch.randn(n, mean.shape[1], generator=generator)
    return mean[k] + (log_var[k] / 2).exp() * noise


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


def shared_noise(n, logits, mean, log_var, generator):
    component = torch.multinomial(logits.softmax(0), n, replacement=True, generator=generator)
    noise = torch.randn(n, 1, generator=generator)
    return mean[component] + (log_var[component] / 2).exp() * noise


def one_noise(n, logits, mean, log_var, generator):
    component = torch.multinomial(logits.softmax(0), n, replacement=True, generator=generator)
    noise = torch.randn(mean.shape[1], generator=generator)
    return mean[component] + (log_var[component] / 2).exp() * noise


def most_likely(n, logits, mean, log_var, generator):
    k = logits.argmax()
    noise = torch.randn(n, mean.shape[1], generator=generator)
    return mean[k] + (log_var[k] / 2).exp() * noise


def all_components(n, logits, mean, log_var, generator):
    noise = torch.randn(n, *mean.shape, generator=generator)
    return mean + (log_var / 2).exp() * noise


def one_spread(n, logits, mean, log_var, generator):
    return draw_closed(n, logits, mean, log_var[:1].expand_as(log_var), generator)


def uniform_of_unit_variance(generator, *shape):
    return (torch.rand(shape, generator=generator) - 0.5) * math.sqrt(12)


def sum_of_uniforms(generator, *shape):
    return 2 * (torch.rand(3, *shape, generator=generator) - 0.5).sum(0)


def component_drawn_twice(n, logits, mean, log_var, generator):
    k, other = torch.multinomial(
        logits.softmax(0), 2 * n, replacement=True, generator=generator
    ).chunk(2)
    noise = torch.randn(n, mean.shape[1], generator=generator)
    return mean[k] + (log_var[other] / 2).exp() * noise


@pytest.mark.parametrize("limit", [2.0, 2.5])
def test_sample_sees_that_the_noise_is_cut_off(limit):
    noise = lambda g, *s: torch.randn(s, generator=g).clamp(-limit, limit)  # noqa: E731
    message = judge("mixtures.sample", draw_with(noise=noise)).message
    assert "0 lie beyond three standard deviations" in message


def test_sample():
    key = "mixtures.sample"
    assert_correct(key, draw_closed, draw_in_a_loop, draw_by_gumbel, draw_in_numpy)
    assert_correct(key, draw_by_shuffled_counts, draw_with())
    assert_not_attempted(key, lambda n, logits, mean, log_var, generator: ..., None)

    def uniform_noise(n, logits, mean, log_var, generator):
        k = torch.multinomial(logits.softmax(0), n, replacement=True, generator=generator)
        noise = torch.rand(n, mean.shape[1], generator=generator)
        return mean[k] + (log_var[k] / 2).exp() * noise

    wrong = {
        uniform_noise: "`torch.rand` is uniform",
        averaged: "not an average of the components",
        component_per_dimension: "one component for the whole code",
        one_component: "come from the same component",
        draw_with(weights=torch.ones_like): "with the same probability",
        draw_with(weights=lambda logits: logits.clamp(min=1e-6)): "as if they were the weights",
        draw_with(std=torch.exp): "You used `exp(log_var)` as the standard deviation",
        draw_with(std=torch.ones_like): "The noise is not scaled",
        draw_with(std=lambda v: (v / 4).exp()): "took the root twice",
        draw_with(std=lambda v: v): "`log_var` itself",
        draw_with(std=lambda v: (-v / 2).exp()): "You divided",
        draw_with(std=torch.zeros_like): "the same point",
        draw_with(std=lambda v: (2 * v).exp()): "You doubled `log_var`",
        draw_with(weights=torch.sigmoid): "You used a sigmoid",
        draw_with(noise=uniform_of_unit_variance): "of a Gaussian's it would be about 22",
        draw_with(noise=lambda g, *s: torch.randn(s, generator=g).abs()): "is there an `abs`",
        draw_by_counts: "sorted by component",
        component_drawn_twice: "drawn twice",
        lambda n, w, m, v, g: draw_closed(n, w, 0 * m, v, g): "around the origin",
        one_spread: "belongs to another component",
        unseeded: "Pass `generator=generator`",
        own_seed: "the same whatever the generator",
        restarted: "the same samples twice",
        shared_noise: "go together",
        fixed_counts: "forty calls for a single one",
        rounded_counts: "a rounded number",
        all_components: "Keep only the drawn component",
        lambda n, w, m, v, g: draw_closed(1, w, m, v, g)[0]: "Draw n samples, not one",
        lambda n, w, m, v, g: draw_closed(n, w, m + 0.7, v, g): "has the mean",
        lambda n, w, m, v, g: draw_closed(n, 0.5 * w, m, v, g): "Draw component k with prob",
        lambda n, w, m, v, g: draw_closed(n, w, m, v, g) * math.nan: "NaN or infinity",
    }
    assert_hints(key, wrong)
    for other, like in [
        (averaged_parameters, averaged),
        (half_seeded, unseeded),
        (draw_with(noise=sum_of_uniforms), draw_with(noise=uniform_of_unit_variance)),
        (most_likely, one_component),
    ]:
        assert judge(key, other).message == judge(key, like).message


def test_right_samplers_do_not_depend_on_luck(monkeypatch):
    """Whatever numbers a right way of drawing gets, it passes: here with twenty other streams."""
    for shift in range(20):

        def draw(n, logits, mean, log_var, generator, shift=shift):
            torch.rand(shift, generator=generator)
            return draw_closed(n, logits, mean, log_var, generator)

        assert judge("mixtures.sample", draw), shift


# --- mixtures.mutual_information -----------------------------------------------------------


def test_mutual_information():
    key = "mixtures.mutual_information"
    assert_correct(
        key,
        information_closed,
        information_by_torch,
        information_in_loops,
        information_with_entropies,
        lambda *a: [information_closed(*a)],
    )
    assert "exact entropies" in judge(key, information_with_entropies).message
    assert_not_attempted(key, lambda mean, log_var, z: ..., None)

    def own(t):
        return t.sum(-1).diagonal()

    def others(t):
        return t.sum(-1).masked_fill(torch.eye(len(t), dtype=torch.bool), -math.inf)

    def to_the_prior(mean, log_var, z):
        return (own(gaussian_terms(z, mean, log_var)) - Normal(0, 1).log_prob(z).sum(-1)).mean()

    def marginal_part(mean, log_var, z):
        return to_the_prior(mean, log_var, z) - information_closed(mean, log_var, z)

    def std_mistaken(mean, log_var, z):
        return information_closed(mean, 2 * log_var, z)

    def by_densities(mean, log_var, z):
        table = gaussian_terms(z, mean, log_var).sum(-1).exp()
        return (table.diagonal() / table.mean(1)).log().mean()

    def by_densities_and_epsilon(mean, log_var, z):
        table = gaussian_terms(z, mean, log_var).sum(-1).exp()
        return ((table.diagonal() + 1e-30).log() - (table.mean(1) + 1e-30).log()).mean()

    make = information_with
    wrong = {
        make(lambda t, c: (own(t) - t.sum(-1).logsumexp(1)).mean()): "log N is missing",
        make(lambda t, c: (own(t) - t.sum(-1).logsumexp(1) - c).mean()): "log N has the wrong",
        make(lambda t, c: (own(t) - t.sum(-1).logsumexp(0) + c).mean()): "summed over the codes",
        make(
            lambda t, c: (own(t) - others(t).logsumexp(1)).mean() + math.log(len(t) - 1)
        ): "left the code's own posterior out",
        make(lambda t, c: (own(t) - t.sum(-1).mean(1)).mean()): "averaged the logarithms",
        make(
            lambda t, c: (t.diagonal().T - t.logsumexp(1) + c).sum(-1).mean()
        ): "in each dimension and added up",
        to_the_prior: "the left side",
        marginal_part: "the other part",
        make(lambda t, c: (c - t.sum(-1).logsumexp(1)).mean()): "log q(z | x) is missing",
        make(lambda t, c: -(own(t) - t.sum(-1).logsumexp(1) + c).mean()): "The sign is wrong",
        make(lambda t, c: (own(t) - t.sum(-1).logsumexp(1) + c).sum()): "You summed over the ex",
        make(lambda t, c: own(t) - t.sum(-1).logsumexp(1) + c): "one number for each example",
        make(
            lambda t, c: (own(t) - t.sum(-1).logsumexp(1) + c).mean() / t.shape[-1]
        ): "averaged over the latent",
        make(
            lambda t, c: own(t).mean() - t.sum(-1).flatten().logsumexp(0) + 2 * c
        ): "one logarithm over the whole",
        make(
            lambda t, c: t.sum(-1).mean() - t.sum(-1).logsumexp(1).mean() + c
        ): "under its own posterior",
        make(lambda t, c: (own(t) - t.sum(-1).logsumexp(1) + c).mean() / math.log(2)): "in bits",
        std_mistaken: "`exp(log_var)` as the standard",
        make(lambda t, c: (own(t) - t.sum(-1).logsumexp(1) + c).exp().mean().log()): "then average",
        by_densities: "is not finite",
        lambda *a: information_closed(*a).clamp_min(0): "you cut it off",
        make(lambda t, c: (own(t) - t.sum(-1).amax(1) + c).mean()): "most likely posterior alone",
        lambda m, v, z: information_closed(m, v, m): "Use the rows of `z`",
        by_densities_and_epsilon: "hides the infinity",
        lambda *a: information_closed(*a) + 0.1: "it should be",
    }
    assert_hints(key, wrong)


def test_mutual_information_may_be_negative():
    for change in (
        lambda value: value.clamp_min(0),
        lambda value: value.abs(),
        lambda value: value.clamp(0, 7),
    ):
        wrong = judge(
            "mixtures.mutual_information", lambda *a, change=change: change(information_closed(*a))
        )
        assert wrong.status == "not yet"
        assert "you cut it off" in wrong.message


def test_the_key_of_mutual_information_obeys_its_limits():
    noise = torch.linspace(-1, 1, 12).reshape(6, 2).double()
    same = information_closed(torch.zeros(6, 2).double(), torch.zeros(6, 2).double(), noise)
    assert same.abs() < 1e-12
    mean = 100 * torch.arange(12.0).reshape(6, 2).double()
    apart = information_closed(mean, torch.zeros(6, 2).double(), mean + noise)
    assert abs(apart.item() - math.log(6)) < 1e-12
