"""The checks and the quiz of chapter 1: right answers, stubs, misconceptions, and their keys."""

import math
from fractions import Fraction
from itertools import combinations, product

import numpy as np
import pytest
import torch
from check_helpers import assert_correct, assert_hints, assert_not_attempted, judge
from elbo_answers import (
    GRID,
    LOSSES,
    KlModule,
    bound_by_shifting,
    bound_by_softplus,
    bound_by_torch,
    bound_in_decimals,
    double,
    effective_beta_by_autograd,
    elbo_by_integral,
    elbo_closed,
    elbo_from_the_gap,
    elbo_noise,
    from_parts,
    grid_elbo,
    integrate,
    kl_by_torch,
    kl_closed,
    kl_in_a_loop,
    kl_in_float64,
    kl_stub,
    kl_stub_raising,
    kl_with,
    loss_fixed,
    loss_stub,
    loss_with,
    normal,
    q_by_completing_the_square,
    q_closed,
    q_from_a_grid,
    shifted,
)
from torch.distributions import Normal, kl_divergence

from companion.checks import _registry
from companion.checks.elbo import kl, oracle, scale


def test_every_exercise_is_tested_here():
    keys = {e.key for e in _registry.all_exercises() if e.key.startswith("elbo.")}
    names = {name.removeprefix("test_") for name in globals()}
    assert {key.removeprefix("elbo.") for key in keys} <= names


# --- elbo.kl_by_hand -----------------------------------------------------------------------


def test_kl_by_hand():
    q, p = normal(1.0, 2.0), normal(0.0, 1.0)
    integral = integrate(q.log_prob(GRID).exp() * (q.log_prob(GRID) - p.log_prob(GRID)))
    assert_correct(
        "elbo.kl_by_hand", integral, 2 - math.log(2), 1.31, np.float32(1.307), Fraction(131, 100)
    )
    assert_not_attempted("elbo.kl_by_hand", ..., None)
    backwards = kl_divergence(p, q).item()
    wrong = {
        0.5 * (16 - math.log(16)): "standard deviation",
        2 * integral.item(): "one half",
        backwards: "other way round",
        (2 - math.log(2)) / math.log(2): "in bits",
        -1.307: "never negative",
        0.807: "left out the mean",
        1.807: "forgot the `- 1`",
        0.5 * (4 - math.log(2)): "logarithm of the variance",
        0.5 * (4 + math.log(4)): "sign of the logarithm",
        1.3: "two decimals",
        17.0: "expand the squares",
    }
    assert_hints("elbo.kl_by_hand", wrong)
    assert_hints(
        "elbo.kl_by_hand",
        [("1.307", "type `str`"), (lambda: 1.307, "a function"), (float("nan"), "finite")],
    )


# --- elbo.kl -------------------------------------------------------------------------------


def test_kl():
    kl_compiled_style = torch.no_grad()(kl_closed)
    assert judge("elbo.kl", kl_compiled_style).status == "not yet"  # no gradient
    assert_correct("elbo.kl", kl_closed, kl_by_torch, kl_in_a_loop, kl_in_float64, KlModule())
    assert_not_attempted("elbo.kl", kl_stub, kl_stub_raising, None, ...)
    wrong = {
        kl_with(reduce=lambda each: each.mean(-1)): "averaged the KL over the latent dimensions",
        kl_with(reduce=torch.mean): "its mean",
        kl_with(reduce=torch.sum): "the sum over the whole batch",
        kl_with(reduce=lambda each: each): "one number for each latent dimension",
        kl_with(reduce=lambda each: each.sum(0)): "summed over the batch",
        lambda *a: -kl_closed(*a): "never negative",
        lambda a, b, c, d: kl_closed(c, d, a, b): "KL(p || q)",
        lambda a, b, c, d: 0.5 * (d - b + (b - d).exp() + (a - c) ** 2 - 1).sum(-1): "divide",
        kl_with(one=0): "forgot the `- 1`",
        kl_with(half=1): "one half",
        kl_with(log_weight=-1): "logarithm's sign",
        lambda a, b, c, d: kl_closed(a, b, a, d): "difference of the means",
        lambda a, b, c, d: kl_closed(a, b, 0 * c, 0 * d): "standard normal",
        lambda a, b, c, d: kl_closed(a, 2 * b, c, 2 * d): "`exp(log_var)` as the standard",
        lambda a, b, c, d: kl_closed(a, b.log(), c, d.log()): "as if it were the variance",
        lambda a, b, c, d: kl_by_torch(a, 2 * b.log(), c, 2 * d.log()): "as if it were the stan",
        kl_with(use=lambda log_var: (log_var / 2).exp()): "where the formula wants",
    }
    assert_hints("elbo.kl", wrong)


def test_kl_hints_cover_variants():
    alike = [
        (kl_with(reduce=torch.mean), lambda *a: kl_closed(*a).mean()),
        (
            kl_with(use=lambda log_var: (2 * log_var).exp()),
            lambda a, b, c, d: kl_closed(a, 2 * b, c, 2 * d),
        ),
    ]
    for one, other in alike:
        assert judge("elbo.kl", one).message == judge("elbo.kl", other).message


def test_kl_beyond_the_table():
    def only_positive(a, b, c, d):
        return kl_closed(a, b.abs(), c, d.abs())

    def detached(a, b, c, d):
        return kl_closed(a, b.detach(), c, d)

    def in_place(a, b, c, d):
        return kl_closed(a, b, c.sub_(0.0).add_(1.0).sub_(1.0).mul_(1.0001), d)

    wrong = {
        only_positive: "negative log-variances",
        detached: "gradient with respect to `log_var_q`",
        in_place: "`mean_p` in place",
        lambda *a: kl_closed(*a).detach(): "no gradient",
        lambda *a: kl_closed(*a)[:, None]: "(4, 1); it should be (4,)",
        lambda *a: 3 * kl_closed(*a): "3 times",
        lambda *a: kl_closed(*a) + 0.25: "same amount, +0.25",
        lambda *a: kl_closed(*a).round().int(): "whole numbers",
        lambda *a: kl_closed(*[v.bfloat16() for v in a]): "too coarse",
        lambda *a: kl_closed(*a) * float("nan"): "NaN or infinity",
        lambda *a: kl_closed(*a) > 0: "real numbers",
        lambda *a: kl_closed(*a).tolist(): "no gradient can flow",
    }
    for answer, fragment in wrong.items():
        verdict = judge("elbo.kl", answer)
        assert verdict.status == "not yet"
        assert fragment in verdict.message, verdict


# --- elbo.linear_gaussian ------------------------------------------------------------------


def test_linear_gaussian():
    key = "elbo.linear_gaussian"
    as_float = lambda *a: float(elbo_closed(*a))  # noqa: E731
    as_list = lambda *a: [elbo_closed(*a)]  # noqa: E731
    assert_correct(key, elbo_by_integral, elbo_closed, elbo_from_the_gap, as_float, as_list)
    assert_not_attempted(key, lambda x, mean, var, weight, noise_var: ...)
    wrong = {
        from_parts(lambda c, e, s, k: c - e - k): "z varies under q",
        from_parts(lambda c, e, s, k: -e - s - k): "constant",
        from_parts(lambda c, e, s, k: c - e - s + k): "wrong sign",
        lambda x, m, v, w, s: Normal(0 * x, (w**2 + s).sqrt()).log_prob(x): "log p(x) itself",
        lambda x, m, v, w, s: elbo_closed(x, m, v**2, w, s): "`var` as a standard",
        from_parts(lambda c, e, s, k: -(c - e - s - k)): "-ELBO",
        from_parts(lambda c, e, s, k: c - e - s): "log-likelihood alone",
        lambda x, m, v, w, s: elbo_closed(x, m, v, w, s) + elbo_noise(x, m, v, w, s): "`noise_var`",
        from_parts(lambda c, e, s, k: c - e - s - 2 * k): "half in front of the KL",
        from_parts(lambda c, e, s, k: c - 2 * e - 2 * s - k): "half in front of the squared",
        lambda x, m, v, w, s: elbo_closed(x, m, v, w, s) + (w**2 - w) * v / 2 / s: "enters squared",
        lambda *a: elbo_closed(*a) + 0.1: "it should be",
    }
    assert_hints(key, wrong)
    half_constant = from_parts(lambda c, e, s, k: c + 0.5 * math.log(2 * math.pi) - e - s - k)
    assert "constant" in judge(key, half_constant).message


# --- elbo.optimal_q ------------------------------------------------------------------------


def test_optimal_q():
    key = "elbo.optimal_q"
    assert_correct(key, q_from_a_grid, q_closed, q_by_completing_the_square)
    assert_not_attempted(key, lambda x, w, s: (..., ...), lambda x, w, s: (None, None))

    def changed(mean=lambda m, x, w, s: m, var=lambda v, w, s: v):
        def best_q(x, weight, noise_var):
            right = q_closed(x, weight, noise_var)
            return mean(right[0], x, weight, noise_var), var(right[1], weight, noise_var)

        return best_q

    wrong = {
        lambda x, w, s: (0, 1): "the prior, N(0, 1)",
        lambda x, w, s: (x / w, s / w**2): "You left out the prior",
        lambda x, w, s: q_closed(x, w, s)[::-1]: "wrong order",
        changed(mean=lambda m, x, w, s: x / w): "maximum-likelihood",
        changed(mean=lambda m, x, w, s: w * x / s): "Multiply it by the posterior variance",
        changed(mean=lambda m, x, w, s: w * x / (1 + w**2)): "Your mean leaves the noise",
        changed(mean=lambda m, x, w, s: -m): "wrong sign",
        changed(var=lambda v, w, s: v.sqrt()): "is the standard deviation",
        changed(var=lambda v, w, s: 1 / v): "is the precision",
        changed(var=lambda v, w, s: v.log()): "is the logarithm",
        changed(var=lambda v, w, s: s / w**2): "Your variance leaves out the prior",
        changed(var=lambda v, w, s: 1 / (1 + w**2)): "variance leaves the noise",
        changed(var=lambda v, w, s: 1 / (1 + w / s)): "not squared",
        lambda x, w, s: x: "Return two numbers",
        changed(var=lambda v, w, s: v + 0.1): "the variance is",
    }
    assert_hints(key, wrong)


def test_the_gap_vanishes_at_the_key_of_optimal_q():
    x, weight, noise_var = 1.5, -0.8, 0.4
    evidence = normal(0.0, math.sqrt(weight**2 + noise_var)).log_prob(double(x))
    mean, var = q_closed(x, weight, noise_var)
    assert grid_elbo(x, mean, var, weight, noise_var) == pytest.approx(evidence.item(), abs=1e-9)
    assert grid_elbo(x, mean + 0.1, var, weight, noise_var) < evidence - 1e-3


# --- elbo.effective_beta -------------------------------------------------------------------


def test_effective_beta():
    key = "elbo.effective_beta"
    computed = {letter: effective_beta_by_autograd(letter) for letter in LOSSES}
    right = list(computed.values())
    assert_correct(
        key,
        computed,
        [1 / 20, 784, 0.5, 0.098],
        torch.tensor(right),
        np.array(right),
        {"(A)": 0.05, "B": 784, "c": 1 / 2, "d": Fraction(98, 1000)},
    )
    assert_not_attempted(key, [None] * 4, {"a": ..., "b": ...}, {}, ...)
    wrong = [
        ([20, 784, 0.5, 0.098], "(a) you inverted it"),
        ([1, 784, 0.5, 0.098], "(a) averaging over the latent"),
        ([1 / 20, 1 / 784, 0.5, 0.098], "(b) you inverted it"),
        ([1 / 20, 1, 0.5, 0.098], "(b) the average over pixels"),
        ([1 / 20, 784, 2, 0.098], "(c) you inverted it"),
        ([1 / 20, 784, 1, 0.098], "(c) a Gaussian with variance 1"),
        ([1 / 20, 784, 0.5, 0.196], "(d) you forgot the one half"),
        ([1 / 20, 784, 0.5, 0.000125], "(d) you forgot P"),
        ([1 / 20, 784, 0.5, 0.00025], "(d) undo the average"),
        ([1 / 20, 784, 0.5, 1 / 0.098], "(d) you inverted it"),
        ([1 / 20, 784, 0.5, 12.3], "(d) 12.3 is not it"),
        ([1 / 20, 784, 0.5, None], "(d) no answer yet"),
        ([1 / 20, 784, 0.5, "0.098"], "Answer (d) must be a number"),
        ([1 / 20, 784, 0.5], "you passed 3"),
        ({"e": 1}, "keys must be"),
        (0.05, "of type `float`"),
    ]
    assert_hints(key, wrong)
    both = judge(key, [20, 784, 1, 0.098]).message
    assert "2 of 4 are right" in both
    assert "(a) you inverted it" in both
    assert "(c) a Gaussian" in both


def test_effective_beta_has_no_two_hints_for_one_number():
    for right, hints in scale._BETAS.values():
        for a, b in combinations([right, *hints], 2):
            assert not scale._near(a, b)
            assert not scale._near(b, a)


# --- elbo.iw_bound -------------------------------------------------------------------------


def test_iw_bound():
    key = "elbo.iw_bound"
    assert_correct(key, bound_by_torch, bound_by_shifting, bound_by_softplus)
    assert "no gradient" in judge(key, bound_in_decimals).message  # its values are right
    assert_not_attempted(key, lambda log_w: None)
    wrong = {
        lambda log_w: log_w.mean(0): "the ELBO again",
        lambda log_w: log_w.logsumexp(0): "forgot to divide by S",
        lambda log_w: log_w.logsumexp(0) + math.log(len(log_w)): "added log S",
        lambda log_w: log_w.logsumexp(0) / len(log_w): "after the logarithm",
        lambda log_w: log_w.logsumexp(1) - math.log(log_w.shape[1]): "reduced over the batch",
        lambda log_w: bound_by_torch(log_w).mean(): "averaged over the batch",
        lambda log_w: log_w.flatten().logsumexp(0) - math.log(log_w.numel()): "one logarithm",
        lambda log_w: log_w.amax(0): "largest weight alone",
        lambda log_w: bound_by_torch(log_w).exp(): "Take its logarithm",
        lambda log_w: bound_by_torch(log_w - log_w.amax(0)): "has to be added back",
        lambda log_w: -bound_by_torch(log_w): "this is the loss",
        lambda log_w: log_w.exp().mean(0).log(): "near -2000",
        lambda log_w: shifted(log_w, log_w.mean(0)): "not by the mean",
        lambda log_w: shifted(log_w, log_w.max()): "all by the same",
        lambda log_w: (log_w.exp().mean(0) + 1e-30).log(): "near -2000, your result differs",
        lambda log_w: bound_by_torch(log_w).detach(): "no gradient",
        lambda log_w: bound_by_torch(log_w).detach() + 0 * log_w.sum(0): "the gradient differs",
    }
    assert_hints(key, wrong)
    assert "near +2000" in judge(key, lambda log_w: shifted(log_w, log_w.clamp(max=0)[0])).message


# --- elbo.fix_the_loss ---------------------------------------------------------------------


def test_fix_the_loss():
    key = "elbo.fix_the_loss"
    by_torch = lambda ll, m, v: (  # noqa: E731
        kl_divergence(Normal(m, v.exp().sqrt()), Normal(0.0, 1.0)).sum(-1) - ll
    )
    assert_correct(key, loss_fixed, by_torch, loss_with())
    assert_not_attempted(key, loss_stub, loss_with((1, -1), 1, torch.Tensor.mean), ...)
    no_square = lambda ll, m, v: (0.5 * (v.exp() ** 0.5 + m**2 - 1 - v)).sum(-1) - ll  # noqa: E731
    full_log = lambda ll, m, v: (0.5 * (v.exp() + m**2 - 1) - v).sum(-1) - ll  # noqa: E731
    wrong = {
        loss_with((1, -1)): "the sign: this is the ELBO",
        loss_with((-1, -1)): "the sign of the KL",
        loss_with((1, 1)): "the sign of the log-likelihood",
        loss_with(reduce=torch.Tensor.mean): "averaged over the latent",
        loss_with(use=1): "`exp(log_var)` is the variance",
        no_square: "its square that stands",
        full_log: "half its logarithm",
        lambda *a: loss_fixed(*a).mean(): "one number for each example",
        lambda *a: loss_fixed(*a) + 1: "same amount",
    }
    assert_hints(key, wrong)


def test_fix_the_loss_names_every_fault_that_is_left():
    faults = {
        "sign": ({"sign": (1, -1)}, "this is the ELBO"),
        "reduce": ({"reduce": torch.Tensor.mean}, "averaged over the latent"),
        "use": ({"use": 1}, "`exp(log_var)` is the variance"),
    }
    seen = set()
    for chosen in product([False, True], repeat=3):
        names = [name for name, on in zip(faults, chosen, strict=True) if on]
        if len(names) not in (1, 2):
            continue
        options = {k: v for name in names for k, v in faults[name][0].items()}
        message = judge("elbo.fix_the_loss", loss_with(**options)).message
        assert f"{len(names)} fault" in message
        for name, (_, fragment) in faults.items():
            assert (fragment in message) == (name in names)
        seen.add(message)
    assert len(seen) == 6


# --- no two misconceptions may look alike --------------------------------------------------


def assert_distinct(right, hints):
    values = [("right", right)]
    for hint, wrong in hints.items():
        values += [(hint, value) for value in (wrong if isinstance(wrong, list) else [wrong])]
    for (hint_a, a), (hint_b, b) in combinations(values, 2):
        same = a.shape == b.shape and torch.allclose(a, b, rtol=1e-3, atol=1e-3, equal_nan=True)
        assert not same or hint_a == hint_b, f"{hint_a} / {hint_b}"


def test_the_inputs_tell_all_misconceptions_apart():
    arguments = [kl.uniform(0.2, 1.4, 4, 3, seed=seed).double() for seed in range(4)]
    assert_distinct(kl._kl_exact(*arguments), kl._kl_slips(*arguments))
    point = [double(v) for v in (1.7, -0.45, 0.35, 1.3, 0.6)]
    assert_distinct(elbo_from_the_gap(*point), oracle._gaussian_slips(*point))
    x, weight, noise = torch.tensor(1.5), torch.tensor(1.3), torch.tensor(0.5)
    mean, var = q_closed(x, weight, noise)
    assert_distinct(mean, oracle._mean_slips(x, weight, noise, mean))
    assert_distinct(var, oracle._var_slips(weight, noise, var))
    arguments = (
        kl.uniform(-9, -4, 4, seed=1),
        *[kl.uniform(0.2, 1.2, 4, 3, seed=i) for i in (2, 3)],
    )
    assert_distinct(loss_fixed(*arguments), scale._faulty_losses(*arguments))
