"""The checks and the quiz of chapter 1: right answers, stubs, misconceptions, and their keys."""

import math
from fractions import Fraction
from itertools import combinations, product

import numpy as np
import pytest
import torch
from check_helpers import assert_correct, assert_hints, assert_not_attempted, judge
from elbo_answers import (
    BETAS,
    GRID,
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
    elbo_parts,
    from_parts,
    grid_elbo,
    integrate,
    kl_by_torch,
    kl_closed,
    kl_from_terms,
    kl_in_a_loop,
    kl_in_float64,
    kl_in_numpy,
    kl_of_all,
    kl_stub,
    kl_stub_raising,
    kl_to_posterior,
    kl_to_prior,
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
        "elbo.kl_by_hand",
        integral,
        2 - math.log(2),
        1.31,
        1.306,
        np.float32(1.307),
        Fraction(131, 100),
        torch.tensor([1.307], requires_grad=True),
    )
    assert "1.3" not in judge("elbo.kl_by_hand", 1.31).message
    assert_not_attempted("elbo.kl_by_hand", ..., None)
    backwards = kl_divergence(p, q).item()
    wrong = {
        0.5 * (16 - math.log(16)): "standard deviation",
        2 * integral.item(): "one half",
        backwards: "other way round",
        (2 - math.log(2)) / math.log(2): "in bits",
        -1.307: "never negative. Which",
        -0.4: "A KL divergence is never negative.",
        0.807: "left out q's mean",
        1.807: "left out a term of log q(z)",
        0.5 * (4 - math.log(2)): "logarithm of the variance",
        0.5 * (4 + math.log(4)): "log q(z) holds -1/2 log 4, so it lowers the result",
        1.3: "two decimals",
        1.32: "Close, but not a rounding",
        17.0: "expand the squares",
    }
    assert_hints("elbo.kl_by_hand", wrong)
    assert "Close" in judge("elbo.kl_by_hand", 1.302).message
    for hint in kl._BY_HAND_SLIPS:  # nobody has shown a formula yet
        assert "bracket" not in hint
        assert "formula" not in hint
    assert_hints(
        "elbo.kl_by_hand",
        [("1.307", "without quotes"), (lambda: 1.307, "a function"), (float("nan"), "finite")],
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
        kl_from_terms(lambda d, q, p, m: 0.5 * (d + q + m**2 / p - 1)): "p's. Is a pair of",
        kl_from_terms(lambda d, q, p, m: 0.5 * d + (q + m**2) / p - 1): "yours only a part",
        kl_from_terms(lambda d, q, p, m: 0.5 * (d + (q + m) / p - 1)): "means enters squared",
        lambda a, b, c, d: (
            0.5 * (d - b + (b.exp() + a**2 - c**2) / d.exp() - 1).sum(-1)
        ): "Subtract first",
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
    partly = kl_from_terms(lambda d, q, p, m: 0.5 * d + (q + m**2) / p - 1)
    for terms in [
        lambda d, q, p, m: 0.5 * (d + q / p) + m**2 / p - 1,
        lambda d, q, p, m: 0.5 * (d + (q + m**2) / p) - 1,
        lambda d, q, p, m: d + 0.5 * ((q + m**2) / p - 1),
        lambda d, q, p, m: d + 0.5 * (q + m**2) / p - 0.5,
        lambda d, q, p, m: 0.5 * (d + m**2 / p - 1) + q / p,
        lambda d, q, p, m: 0.5 * (d + q / p - 1) + m**2 / p,
    ]:
        alike.append((partly, kl_from_terms(terms)))
    alike.append((kl_with(one=0), lambda *a: kl_with(one=0)(*a) - 1))
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
        detached: "Is there a `.detach()`, `.item()` or NumPy call on the way?",
        kl_in_numpy: "a step is NumPy's or math's",
        lambda *a: kl_closed(*a)[:, None] + 0 * kl_closed(*a): "(4, 4); it should be (4,). Sh",
        in_place: "`mean_p` in place",
        lambda *a: kl_closed(*a).detach(): "no gradient",
        lambda *a: kl_closed(*a)[:, None]: "(4, 1); it should be (4,)",
        lambda *a: 3 * kl_closed(*a): "3 times",
        lambda *a: kl_closed(*a) + 0.25: "same amount, +0.25",
        lambda *a: kl_closed(*a).round().int(): "whole numbers",
        lambda *a: kl_closed(*[v.bfloat16() for v in a]): "too coarse",
        lambda *a: kl_closed(*a) * float("nan"): "holds NaN at",
        lambda *a: kl_closed(*a) > 0: "real numbers",
        lambda *a: kl_closed(*a).tolist(): "no gradient passes",
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
        from_parts(lambda c, e, s, k: c - e - k): "Compare the numbers 9 and 11 in the text",
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
        lambda *a: elbo_closed(*a) + kl_to_prior(*a) - kl_to_posterior(*a): "to the posterior",
        lambda *a: elbo_closed(*a) + 0.1: "it should be",
    }
    assert_hints(key, wrong)
    for answer in wrong:
        assert "weight**2" not in judge(key, answer).message
    point = 1.7, -0.45, 0.35, 1.3, 0.6  # the first that the check tries
    constant, error, spread, divergence = elbo_parts(*[double(value) for value in point])
    assert judge(key, lambda *a: elbo_closed(*a) + 0.1).message.endswith(
        f"There E_q[log p(x | z)] is {constant - error - spread:.5g} and the KL divergence from "
        f"the prior is {divergence:.5g}. Which of your two terms differs?"
    )
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
        changed(mean=lambda m, x, w, s: x / w): "Your mean is x / weight",
        changed(mean=lambda m, x, w, s: w * x / s): "Multiply it by the posterior variance",
        changed(mean=lambda m, x, w, s: w * x / (1 + w**2)): "Your mean leaves the noise",
        changed(mean=lambda m, x, w, s: -m): "wrong sign",
        changed(var=lambda v, w, s: v.sqrt()): "is the standard deviation",
        changed(var=lambda v, w, s: 1 / v): "is one over the variance",
        changed(var=lambda v, w, s: v.log()): "is the logarithm",
        changed(var=lambda v, w, s: s / w**2): "Your variance: you left out the prior",
        changed(var=lambda v, w, s: 1 / (1 + w**2)): "variance leaves the noise",
        changed(var=lambda v, w, s: 1 / (1 + w / s)): "not squared",
        lambda x, w, s: x: "Return two numbers",
        lambda x, w, s: (10 / 7, 3 / 7): "the numbers of the example",
        lambda x, w, s: (..., s / (s + w**2)): "One of the two is still the placeholder `...`.",
        changed(mean=lambda m, x, w, s: x / (w**2 + s)): "does not change its sign",
        changed(var=lambda v, w, s: 1 / (w**2 + s)): "Without noise",
        changed(var=lambda v, w, s: w**2 / (w**2 + s)): "grows as the noise falls",
        changed(var=lambda v, w, s: v + 0.1): "the variance is",
    }
    assert_hints(key, wrong)
    assert judge(key, lambda x, w, s: [x, None]).message == (
        "One of the two is still the placeholder `...`."
    )
    for answer in wrong:
        assert "precision" not in judge(key, answer).message  # the solution introduces it


def test_the_gap_vanishes_at_the_key_of_optimal_q():
    x, weight, noise_var = 1.5, -0.8, 0.4
    evidence = normal(0.0, math.sqrt(weight**2 + noise_var)).log_prob(double(x))
    mean, var = q_closed(x, weight, noise_var)
    assert grid_elbo(x, mean, var, weight, noise_var) == pytest.approx(evidence.item(), abs=1e-9)
    assert grid_elbo(x, mean + 0.1, var, weight, noise_var) < evidence - 1e-3


# --- elbo.effective_beta -------------------------------------------------------------------


BETA_SLIPS = [  # the wrong answer, which one it is, its hint
    ("a", 20 / 784, "you inverted it"),
    ("a", 1 / 20, "you forgot P"),
    ("a", 784, "you forgot D"),
    ("a", 1, "both terms are averaged"),
    ("b", 0.2, "you inverted it"),
    ("b", 10, "you forgot the one half"),
    ("b", 50, "you took 0.1 as the standard deviation"),
    ("b", 0.5, "you left the variance out"),
    ("b", 5 * 784, "the squared error is summed"),
    ("b", 1, "a Gaussian with variance 0.1"),
    ("c", 100, "the batch size divides both terms alike"),
    ("c", 1 / 100, "the batch size divides both terms alike"),
    ("c", 784, "the pixels are summed already"),
    ("d", 0.196, "you forgot the one half"),
    ("d", 0.000125, "you forgot P"),
    ("d", 0.00025, "undo the average"),
    ("d", 1 / 0.098, "you inverted it"),
    ("d", 0.1, "close; give three digits or write the product."),
    ("a", 39, "close; give three digits"),
    ("d", 12.3, "12.3 is not it"),
    ("d", None, "no answer yet"),
    ("d", "1/20", "write it without quotes."),
    ("d", object(), "the answer must be a number"),
]


def test_effective_beta():
    key = "elbo.effective_beta"
    computed = {letter: effective_beta_by_autograd(letter) for letter in BETAS}
    right = list(computed.values())
    assert right == pytest.approx([39.2, 5, 1, 0.098])
    assert_correct(
        key,
        computed,
        [784 / 20, 1 / (2 * 0.1), 1, 0.098],
        torch.tensor(right),
        np.array(right),
        {"(A)": 39.2, "B": 5, "c": Fraction(1), "d": Fraction(98, 1000)},
    )
    assert_not_attempted(key, [None] * 4, {"a": ..., "b": ...}, {}, ...)
    wrong = [
        ({**computed, letter: value}, f"({letter}) {hint}") for letter, value, hint in BETA_SLIPS
    ]
    wrong += [([39.2, 5, 1], "you passed 3"), ({"e": 1}, "keys must be"), (0.05, "type `float`")]
    assert_hints(key, wrong)
    both = judge(key, [39.2, 50, 100, 0.098]).message
    assert "2 of 4 are right" in both
    assert "(b) you took" in both
    assert "(c) the batch size" in both
    assert "1 of 4 is right" in judge(key, [39.2, 50, 100, 1]).message
    assert "0 of 4 are right" in judge(key, ["39.2", 50, 100, 1]).message


def test_effective_beta_has_no_two_hints_for_one_number():
    for right, hints in scale._BETAS.values():
        for a, b in combinations([right, *hints], 2):
            assert not scale._near(a, b)
            assert not scale._near(b, a)
        assert all(abs(wrong - right) > 0.05 * right for wrong in hints)  # none is "close"


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
        lambda log_w: (log_w.exp().mean(0) + 1e-30).log(): "near -2000 the result is far off",
        lambda log_w: log_w.max(dim=0): "gives values and positions; take `.values`.",
        lambda log_w: bound_by_torch(log_w).detach(): "no gradient",
        lambda log_w: bound_by_torch(log_w).detach() + 0 * log_w.sum(0): "the gradient differs",
    }
    assert_hints(key, wrong)
    assert "near +2000" in judge(key, lambda log_w: shifted(log_w, log_w.clamp(max=0)[0])).message
    for answer in wrong:
        assert "logsumexp" not in judge(key, answer).message


@pytest.mark.parametrize("row", range(6))
def test_iw_bound_accepts_no_shift_by_a_fixed_sample(row):
    def answer(log_w):
        return shifted(log_w, log_w[min(row, len(log_w) - 1)])

    for given in (answer, lambda log_w: shifted(log_w, log_w[row - 6 if len(log_w) > 1 else 0])):
        verdict = judge("elbo.iw_bound", given)
        assert verdict.status == "not yet"
        assert "not by the mean, the first or the last" in verdict.message


def test_iw_bound_sees_through_clamps():
    for answer in (
        lambda log_w: (log_w.exp().mean(0) + 1e-8).log(),
        lambda log_w: log_w.exp().mean(0).clamp(min=1e-8).log(),
        lambda log_w: bound_by_torch(log_w.clamp(-80, 80)),
    ):
        message = judge("elbo.iw_bound", answer).message
        assert message.endswith(
            "A small number added, or a clamp, hides the infinity but not the error."
        )
    middle = judge("elbo.iw_bound", lambda log_w: shifted(log_w, log_w.median(0).values))
    assert middle.status == "not yet"


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
    broadcast = lambda ll, m, v: loss_fixed(0 * ll, m, v)[:, None] - ll  # noqa: E731
    cut = lambda ll, m, v: loss_fixed(ll.detach(), m, v)  # noqa: E731
    wrong = {
        loss_with((1, -1)): "which way the loss should move.",
        loss_with((-1, -1)): "move when the KL",
        loss_with((1, 1)): "move when the log-likelihood",
        loss_with(reduce=torch.Tensor.mean): "how the dimensions are reduced",
        loss_with(use=1): "what `exp(log_var)` is",
        lambda ll, m, v: loss_fixed(0 * ll, m, v) + ll.abs(): "an absolute value?",
        lambda ll, m, v: loss_fixed(0 * ll, m, v).sum() - ll: "of the whole batch",
        broadcast: "Shapes (4, 1) and (4,) together make (4, 4)",
        cut: "gradient with respect to `log_likelihood`",
        no_square: "its square that stands",
        full_log: "half its logarithm",
        lambda *a: loss_fixed(*a).mean(): "one number for each example",
        lambda *a: loss_fixed(*a) + 1: "same amount",
    }
    assert_hints(key, wrong)
    assert judge(key, lambda ll, m, v: loss_fixed(ll, m, v.abs())).status == "not yet"
    assert "absolute value" in judge(key, lambda *a: loss_fixed(*a).abs()).message
    assert "whole batch" in judge(key, lambda ll, m, v: kl_of_all(m, 2 * v) - ll).message


def test_fix_the_loss_names_every_fault_that_is_left():
    faults = {
        "sign": ({"sign": (1, -1)}, "which way the loss should move."),
        "reduce": ({"reduce": torch.Tensor.mean}, "how the dimensions are reduced."),
        "use": ({"use": 1}, "what `exp(log_var)` is."),
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
    bounds = [(-2, 2), (0.2, 1.4), (-2, 2), (0.2, 1.4)]
    arguments = [kl.uniform(*b, 4, 3, seed=seed).double() for seed, b in enumerate(bounds)]
    assert_distinct(kl._kl_exact(*arguments), kl._kl_slips(*arguments))
    point = [double(v) for v in (1.7, -0.45, 0.35, 1.3, 0.6)]
    assert_distinct(elbo_from_the_gap(*point), oracle._gaussian_slips(*point))
    x, weight, noise = torch.tensor(1.5), torch.tensor(1.3), torch.tensor(0.5)
    mean, var = q_closed(x, weight, noise)
    assert_distinct(mean, oracle._mean_slips(x, weight, noise, mean))
    assert_distinct(var, oracle._var_slips(weight, noise, var))
    arguments = (
        torch.tensor([-7.5, 3.25, -4.125, 9.0]),
        kl.uniform(-1.5, 1.5, 4, 3, seed=2),
        kl.uniform(-1.2, 1.2, 4, 3, seed=3),
    )
    assert_distinct(loss_fixed(*arguments), scale._faulty_losses(*arguments))
