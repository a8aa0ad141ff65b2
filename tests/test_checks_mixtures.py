"""The checks of chapter 4, densities: right answers, stubs, and misconceptions."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from check_helpers import assert_correct, assert_hints, assert_not_attempted, judge
from mixture_answers import (
    LOG_2PI,
    density_by_expanded_squares,
    density_by_matrices,
    density_by_torch,
    density_closed,
    density_in_loops,
    density_with,
    gaussian_terms,
    kl_by_change_of_variables,
    kl_closed,
    kl_in_a_loop,
    kl_in_float64,
    kl_sticking_the_landing,
    kl_with,
    kl_with_entropy,
    terms_from,
)
from torch.distributions import Normal

from companion.checks import _registry

ANSWERS = {
    "mixtures.by_hand": "answer",
    "mixtures.log_density": "log_density",
    "mixtures.responsibilities": "responsibilities",
    "mixtures.m_step": "maximize",
    "mixtures.sample": "draw",
    "mixtures.mutual_information": "mutual_information",
    "mixtures.fix_the_density": "mixture_log_prob",
    "mixtures.kl": "kl_estimate",
}


def test_the_exercises_and_what_their_stubs_are_called():
    found = [e for e in _registry.all_exercises() if e.key.startswith("mixtures.")]
    assert {e.key: e.answer for e in found} == ANSWERS
    assert [e.number for e in found] == [f"4.{n}" for n in range(1, len(ANSWERS) + 1)]


# --- mixtures.by_hand ----------------------------------------------------------------------


def test_by_hand():
    key = "mixtures.by_hand"
    joint = [w * Normal(m, s).log_prob(torch.tensor(1.0)).exp().item()
             for w, m, s in ((0.4, 0.0, 1.0), (0.6, 3.0, 2.0))]  # fmt: skip
    right = joint[0] / sum(joint)
    assert_correct(
        key, right, 0.57, 0.571, Fraction(4, 7), np.float32(0.5714), torch.tensor([4 / 7])
    )
    assert_not_attempted(key, ..., None)
    one, three = (
        Normal(m, s).log_prob(torch.tensor(1.0)).exp().item() for m, s in ((0, 1), (3, 4))
    )
    wrong = {
        0.4: "the factor 1/σ",
        1 - right: "second component's responsibility",
        2 / 3: "left out the weights",
        joint[0] / joint[1]: "Divide by their sum",
        0.4 * one / (0.4 * one + 0.6 * three): "You took 4 as the standard deviation",
        0.4 / (0.4 + 0.6 / 4): "stands 1/σ",
        joint[0]: "This is the joint density",
        sum(joint): "what you divide by",
        joint[0] / 0.4: "The weight belongs to it",
        math.log(right): "the logarithm",
        1: "not a decision",
        0.4 / (0.4 + 0.3 * math.exp(-1.5)): "counts in standard deviations",
        0.4 / (0.4 + 0.3 * math.exp(0.375)): "divided (z - 3)² by 4²",
        57.1: "in percent",
        -0.2: "lies between 0 and 1",
        0.6: "at least two decimals",
        0.55: "0.55 is not it",
    }
    assert_hints(key, wrong)
    assert_hints(key, [("4/7", "without quotes"), (lambda: 1, "a function"), (math.nan, "finite")])


# --- mixtures.log_density ------------------------------------------------------------------


def stub(z, logits, mean, log_var):
    return ...


def stub_raising(z, logits, mean, log_var):
    raise NotImplementedError


def half(formula):
    return density_with(terms_from(lambda v, s: -0.5 * formula(v, s)))


DENSITY_SLIPS = {
    density_with(
        combine=lambda t, w: (w[:, None] + t).logsumexp(1).sum(-1)
    ): "a product of one-dimensional mixtures",
    density_with(combine=lambda t, w: (w[:, None] + t).sum(-1).logsumexp(1)): "in every dimension",
    density_with(combine=lambda t, w: (w.exp() * t.sum(-1)).sum(-1)): "A mixture adds densities",
    density_with(weights=lambda logits: 0 * logits): "You left out the weights.",
    density_with(weights=lambda logits: 0 * logits - math.log(5)): "the same weight",
    density_with(weights=lambda logits: logits): "only after a `log_softmax`",
    density_with(weights=lambda logits: logits.softmax(0)): "You added the weights",
    density_with(weights=lambda logits: logits.log()): "as if they were the weights",
    density_with(weights=lambda logits: logits.sigmoid().log()): "not a sigmoid",
    density_with(combine=lambda t, w: (w.exp() * t.sum(-1)).logsumexp(1)): "You multiplied the log",
    density_with(combine=lambda t, w: (w + t.mean(-1)).logsumexp(1)): "averaged over the latent",
    density_with(combine=lambda t, w: (w + t.sum(-1)).exp().sum(1)): "Return its logarithm",
    density_with(combine=lambda t, w: -(w + t.sum(-1)).logsumexp(1)): "This is -log p(z)",
    density_with(combine=lambda t, w: w + t.sum(-1)): "one number for each component",
    density_with(combine=lambda t, w: (w + t.sum(-1)).amax(1)): "most likely component alone",
    density_with(combine=lambda t, w: (w + t.sum(-1)).logsumexp(0)): "reduced over the batch",
    density_with(
        combine=lambda t, w: (w + t.sum(-1)).exp().mean(1).log()
    ): "averaged over the components",
    half(lambda v, s: LOG_2PI + 2 * v + s / (2 * v).exp()): "`exp(log_var)` as the standard",
    half(lambda v, s: LOG_2PI + v + s / (v / 2).exp()): "where the formula wants the variance",
    half(lambda v, s: LOG_2PI + v.log() + s / v): "as if it were the variance",
    half(lambda v, s: LOG_2PI + 2 * v.log() + s / v**2): "as if it were the standard",
    half(lambda v, s: LOG_2PI + (v + s) / v.exp()): "Only the squared distance",
    density_with(terms_from(lambda v, s: -0.5 * (LOG_2PI + v) - s / v.exp())): "The one half",
    half(lambda v, s: LOG_2PI - v + s / v.exp()): "logarithm of the variance has the wrong sign",
    half(lambda v, s: LOG_2PI + v - s / v.exp()): "far from every mean",
    half(lambda v, s: LOG_2PI + s / v.exp()): "a wide Gaussian is lower",
    half(lambda v, s: v + s / v.exp()): "The constant is missing",
    half(lambda v, s: LOG_2PI + v + s): "Divide the squared distance",
    half(lambda v, s: LOG_2PI + v + s.sqrt() / v.exp()): "enters squared",
}  # fmt: skip


def test_log_density():
    key = "mixtures.log_density"
    assert_correct(key, density_closed, density_by_torch, density_in_loops)
    assert_correct(key, density_by_matrices, density_by_expanded_squares)
    assert_not_attempted(key, stub, stub_raising, None, ...)
    assert_hints(key, DENSITY_SLIPS)


def test_log_density_hints_cover_variants():
    key = "mixtures.log_density"

    def constant(by):
        return lambda *a: density_closed(*a) + by

    alike = [
        (half(lambda v, s: v + s / v.exp()), constant(LOG_2PI)),  # once instead of three times
        (half(lambda v, s: v + s / v.exp()), constant(1.5 * math.log(2))),
        (
            half(lambda v, s: LOG_2PI + (v + s) / v.exp()),
            half(lambda v, s: (LOG_2PI + v + s) / v.exp()),
        ),
        (
            density_with(terms_from(lambda v, s: -0.5 * (LOG_2PI + v) - s / v.exp())),
            density_with(terms_from(lambda v, s: -0.5 * LOG_2PI - v - s / v.exp())),
        ),
    ]
    for one, other in alike:
        assert judge(key, one).message == judge(key, other).message


def test_log_density_beyond_the_table():
    def by_densities(z, logits, mean, log_var):
        each = (-0.5 * (LOG_2PI + log_var + (z[:, None] - mean) ** 2 / log_var.exp())).exp()
        return (logits.softmax(0) * each.prod(-1)).sum(-1).log()

    def by_densities_in_float64(*arguments):
        return by_densities(*[value.double() for value in arguments])

    def with_epsilon(z, logits, mean, log_var):
        return (density_closed(z, logits, mean, log_var).exp() + 1e-30).log()

    def only_this_k(z, logits, mean, log_var):
        return density_closed(z, logits, mean, log_var) if len(logits) == 5 else z.sum(1)

    wrong = {
        by_densities: "far from every component the result is not finite",
        with_epsilon: "hides the infinity but not the error",
        only_this_k: "With negative logits and log-variances, B = 3, K = 2 and D = 2, ",
        lambda z, w, m, v: density_closed(z, w.detach(), m, v): "with respect to `logits`",
        lambda z, w, m, v: density_closed(z, w, m, v.detach()): "with respect to `log_var`",
        lambda *a: density_closed(*a).detach(): "no gradient passes",
        lambda *a: density_closed(*a)[:, None]: "(4, 1); it should be (4,)",
        lambda *a: density_closed(*a) + 0.25: "same amount, +0.25",
        lambda *a: density_closed(*[v.bfloat16() for v in a]): "too coarse",
        lambda z, w, m, v: density_closed(z, w, m, v.abs()): "it should be",
    }
    key = "mixtures.log_density"
    del wrong[list(wrong)[-1]]  # a shared fragment; judged below
    assert_hints(key, wrong)
    assert "not finite" in judge(key, by_densities_in_float64).message
    positive_only = judge(key, lambda z, w, m, v: density_closed(z, w, m, v.abs()))
    assert positive_only.message.startswith("With negative logits and log-variances")


# --- mixtures.fix_the_density --------------------------------------------------------------


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


GAUSSIAN, AXIS = "- what the variance divides.", "- what is a mixture here"
OFTEN, SUM_TO_ONE = "- how often a component's weight", "- whether the weights sum to one."


@pytest.mark.parametrize(
    ("answer", "count", "left"),
    [
        (repaired(False), 1, {GAUSSIAN}),
        (repaired(order="start"), 1, {AXIS}),
        (repaired(weights="logits"), 1, {SUM_TO_ONE}),
        (repaired(order="swapped"), 1, {OFTEN}),
        (repaired(False, "start"), 2, {GAUSSIAN, AXIS}),
        (repaired(False, weights="logits"), 2, {GAUSSIAN, SUM_TO_ONE}),
        (repaired(True, "start", "logits"), 2, {AXIS, SUM_TO_ONE}),
        (repaired(True, "swapped", "logits"), 2, {OFTEN, SUM_TO_ONE}),
        (repaired(False, "swapped", "logits"), 3, {GAUSSIAN, OFTEN, SUM_TO_ONE}),
        (repaired(True, "whole", "softmax"), 1, {SUM_TO_ONE}),
        (repaired(True, "start", "softmax"), 2, {AXIS, SUM_TO_ONE}),
    ],
)
def test_fix_the_density_names_what_is_left(answer, count, left):
    verdict = judge("mixtures.fix_the_density", answer)
    assert verdict.status == "not yet"
    assert verdict.message.startswith(f"{count} fault{'s' if count > 1 else ''} left.")
    for fault in (GAUSSIAN, AXIS, OFTEN, SUM_TO_ONE):
        assert (fault in verdict.message) == (fault in left), verdict


def test_fix_the_density():
    key = "mixtures.fix_the_density"
    start = repaired(False, "start", "logits")
    assert_correct(key, repaired(), density_by_torch, density_in_loops, density_by_matrices)
    assert_not_attempted(key, start, None)
    assert "still there" in judge(key, start).message
    divided = density_with(terms_from(lambda v, s: -0.5 * (LOG_2PI + v + s) / v.exp()))
    wrong = {
        repaired(False): "1 fault left",
        repaired(order="start"): "1 fault left",
        repaired(weights="logits"): "1 fault left",
        repaired(weights="softmax"): "(A softmax it is",
        repaired(weights="none"): "The weights are gone",
        density_with(terms_from(lambda v, s: -0.5 * (LOG_2PI + v) + s / v.exp())): "squared dist",
        density_with(
            terms_from(lambda v, s: -0.5 * LOG_2PI + v - s / v.exp() / 2)
        ): "`log_var` too",
        density_with(terms_from(lambda v, s: -0.5 * (LOG_2PI + v + s / (v / 2).exp()))): (
            "not by the standard deviation"
        ),
        lambda z, w, m, v: (
            (w.log_softmax(0)[:, None] + gaussian_terms(z, m, v)).logsumexp(-1).sum(-1)
        ): "wants a plain sum",
        lambda z, w, m, v: (
            (w.log_softmax(0)[:, None] + gaussian_terms(z, m, v)).sum(1).logsumexp(-1)
        ): "You summed over components",
        lambda z, w, m, v: ((w / w.sum()).log() + gaussian_terms(z, m, v).sum(-1)).logsumexp(1): (
            "holds NaN at"
        ),
        divided: "divides the constant too",
        lambda *a: density_closed(*a).exp().log(): "far from every component",
        lambda *a: density_closed(*a).detach(): "no gradient",
    }
    assert_hints(key, wrong)


def test_which_test_finds_which_fault_of_fix_the_density():
    """What the solution on paper says: one Gaussian, the integral, an independent mixture."""
    line = torch.linspace(-14, 14, 400, dtype=torch.float64)
    grid, cell = torch.cartesian_prod(line, line), (line[1] - line[0]).item() ** 2
    logits = torch.tensor([0.4, -0.3]).double()
    mean = torch.tensor([[-2.0, -2.0], [2.0, 2.0]]).double()
    log_var = torch.tensor([[0.3, 0.8], [-0.4, 0.5]]).double()

    def one_gaussian(density, logit=0.4):
        arguments = grid, torch.tensor([logit]).double(), mean[:1], log_var[:1]
        return torch.allclose(density(*arguments), density_by_torch(*arguments))

    def integral(density):
        return density(grid, logits, mean, log_var).exp().sum().item() * cell

    def mixture(density):
        arguments = grid, logits, mean, log_var
        return torch.allclose(density(*arguments), density_by_torch(*arguments))

    right, parenthesis, unnormalized, product_density = (
        repaired(),
        repaired(False),
        repaired(weights="logits"),
        repaired(order="start"),
    )
    assert one_gaussian(right)
    assert mixture(right)
    assert integral(right) == pytest.approx(1, abs=1e-6)
    assert not one_gaussian(parenthesis)
    assert abs(integral(parenthesis) - 1) > 0.05
    assert not one_gaussian(unnormalized)
    assert one_gaussian(unnormalized, logit=0.0)
    assert integral(unnormalized) == pytest.approx(logits.exp().sum().item(), abs=1e-6)
    assert one_gaussian(product_density)
    assert integral(product_density) == pytest.approx(1, abs=1e-6)
    assert not any(map(mixture, (parenthesis, unnormalized, product_density)))


# --- mixtures.kl ---------------------------------------------------------------------------


def test_nan_is_named_before_all_else():
    def kl(mean, log_var, noise, log_prior):
        return (mean.log().sum(-1) * log_prior(mean + noise)).mean(0)

    def density(z, logits, mean, log_var):
        return (logits / logits.sum()).log().sum() + z.sum(1)

    assert judge("mixtures.kl", kl).message.startswith("Your result holds NaN at entry")
    assert "holds NaN at entry" in judge("mixtures.fix_the_density", density).message


def test_kl():
    key = "mixtures.kl"
    assert_correct(
        key,
        kl_closed,
        kl_in_a_loop,
        kl_in_float64,
        kl_by_change_of_variables,
        kl_with_entropy,
        kl_sticking_the_landing,
    )
    assert "exact entropy" in judge(key, kl_with_entropy).message
    assert_not_attempted(key, lambda mean, log_var, noise, log_prior: ..., None)

    def in_terms_of_noise(mean, log_var, noise, log_prior):
        z = mean + (log_var / 2).exp() * noise
        return (Normal(0.0, 1.0).log_prob(noise).sum(-1) - log_prior(z)).mean(0)

    def noise_with(scale):
        def estimate(mean, log_var, noise, log_prior):
            z = mean + scale(log_var) * noise
            log_q = Normal(0.0, 1.0).log_prob(noise) - log_var / 2
            return (log_q.sum(-1) - log_prior(z)).mean(0)

        return estimate

    def to_standard(mean, log_var, noise, log_prior):
        return 0.5 * (log_var.exp() + mean**2 - 1 - log_var).sum(-1)

    def at_the_mean(mean, log_var, noise, log_prior):
        return kl_closed(mean, log_var, 0 * noise, log_prior)

    def prior_of_noise(mean, log_var, noise, log_prior):
        return kl_closed(mean, log_var, noise, lambda z: log_prior(noise))

    def prior_of_mean(mean, log_var, noise, log_prior):
        return kl_closed(mean, log_var, noise, lambda z: log_prior(mean))

    def constant_missing(mean, log_var, noise, log_prior):
        return kl_closed(mean, log_var, noise, log_prior) + 0.5 * LOG_2PI * mean.shape[-1]

    wrong = {
        kl_with(lambda q, p: (p - q.sum(-1)).mean(0)): "The sign is wrong",
        kl_with(lambda q, p: (q.sum(-1) - p).mean(0), torch.exp): "You used `exp(log_var)`",
        in_terms_of_noise: "the density of the noise",
        to_standard: "This is the divergence from N(0, I)",
        kl_with(lambda q, p: (q.sum(-1) - p).sum(0)): "You summed over the samples",
        kl_with(lambda q, p: q.sum(-1) - p): "each sample and example",
        kl_with(lambda q, p: (q.sum(-1) - p).mean()): "averaged over the batch",
        kl_with(lambda q, p: (q.sum(-1) - p).sum()): "the sum over the whole batch",
        kl_with(lambda q, p: -p.mean(0)): "log q is missing",
        kl_with(lambda q, p: q.sum(-1).mean(0)): "subtract `log_prior(z)`",
        kl_with(lambda q, p: (q.sum(-1) + p).mean(0)): "You added",
        at_the_mean: "both densities at q's mean",
        prior_of_mean: "the mean instead of the codes",
        prior_of_noise: "gave `log_prior` the noise",
        kl_with(lambda q, p: (q.mean(-1) - p).mean(0)): "averaged log q over the latent",
        constant_missing: "the constant is missing",
        noise_with(lambda v: v): "The noise is scaled by",
        lambda m, v, e, p: (
            kl_closed(m, v, e, p) + 0.5 * (e**2 - e**2 / v.exp()).sum(-1).mean(0)
        ): "standardized already",
        lambda m, v, e, p: kl_closed(m, v, e, p) + v.sum(-1): "The sign of the term with",
        lambda m, v, e, p: kl_closed(m, v, e, p) - 0.5 * v.sum(-1): "one half reaches",
        lambda m, v, e, p: (
            kl_with_entropy(m, v, e, p) + 2 * Normal(m, (v / 2).exp()).entropy().sum(-1)
        ): "*minus* the entropy",
        lambda m, v, e, p: kl_closed(m, v, e[:1], p): "one of the S samples",
        kl_with(lambda q, p: (q.sum(-1) - p).exp().mean(0).log()): "averaged ratios",
        kl_with(lambda q, p: (q.sum(-1) - p).clamp(min=0).mean(0)): "cut it off at zero",
        lambda *a: kl_closed(*a).detach(): "no gradient",
        lambda m, v, e, p: kl_closed(m, v.detach(), e, p): "gradient with respect to `log_var`",
        lambda m, v, e, p: kl_closed(m, v, e, lambda z: p(z.detach())): "respect to `mean`",
        lambda *a: kl_closed(*a) + 0.1: "same amount, +0.1",
        lambda m, v, e, p: kl_closed(m, v, torch.randn_like(e), p): "differs from call to call",
    }
    assert_hints(key, wrong)
    for cut in (
        lambda *a: kl_closed(*a).clamp_min(0),
        lambda *a: kl_closed(*a).abs(),
        lambda *a: kl_with_entropy(*a).clamp_min(0),
    ):
        assert "cut it off at zero" in judge(key, cut).message
    assert "The noise is scaled by" in judge(key, noise_with(lambda v: 1.0)).message
    assert "It is the variance" in judge(key, noise_with(torch.exp)).message
    noise_density = judge(key, in_terms_of_noise).message  # the same number, by two ways of thought
    assert judge(key, lambda m, v, e, p: kl_closed(m, v, e, p) + 0.5 * v.sum(-1)).message == (
        noise_density
    )
    whole = judge(key, lambda m, v: m).message
    assert "4 arguments, in this order: `mean, log_var, noise, log_prior`" in whole
