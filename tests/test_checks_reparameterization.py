"""The checks of chapter 2: right answers, stubs and misconceptions."""

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import torch
from check_helpers import assert_correct, assert_hints, assert_not_attempted, judge
from reparameterization_answers import (
    NOISE,
    Pathwise,
    baseline_by_dropping,
    baseline_by_masks,
    baseline_by_search,
    baseline_by_sums,
    baseline_in_loops,
    baseline_of_all,
    expect,
    pathwise_averaged,
    pathwise_by_chain_rule,
    pathwise_by_copies,
    pathwise_by_differences,
    pathwise_by_vmap,
    pathwise_from,
    pathwise_one_by_one,
    pathwise_with,
    score_by_autograd,
    score_by_formula,
    score_in_a_loop,
    score_in_float64,
    score_with,
)

from companion.checks import _registry

NAME = "reparameterization."


def test_every_exercise_is_tested():
    keys = {e.key for e in _registry.all_exercises() if e.key.startswith(NAME)}
    tested = {"by_hand", "pathwise", "score_function", "baseline"}
    tested |= {"fix_the_trick", "straight_through", "implicit"}  # in ..._samples.py
    assert keys == {NAME + name for name in tested}


# --- by_hand -------------------------------------------------------------------------------


def numbers_by_autograd():
    """The six numbers, with autograd for the derivatives and a grid for the expectations."""
    leaves = torch.tensor([-1.0, np.log(0.25)], dtype=torch.float64, requires_grad=True)
    mean, log_var = leaves
    z = mean + (log_var / 2).exp() * -2.0
    path = torch.autograd.grad(z**3, leaves, retain_graph=True)[0]
    fixed = z.detach()
    log_q = torch.distributions.Normal(mean, (log_var / 2).exp()).log_prob(fixed)
    score = fixed**3 * torch.autograd.grad(log_q, leaves)[0]
    exact = torch.autograd.grad(expect((mean + (log_var / 2).exp() * NOISE) ** 3), leaves)[0]
    pairs = zip(score.tolist(), path.tolist(), strict=True)
    return [value for pair in pairs for value in pair] + exact.tolist()


BY_HAND_SLIPS = [  # the wrong answer, which one it is, its hint
    ("a", 16, "not by the standard deviation"),
    ("a", -32, "the sign: for z above m"),
    ("a", -4, "the score alone"),
    ("a", 8, "left the division out"),
    ("a", 12, "that is the pathwise estimate"),
    ("a", 64, "divide it by σ once more"),
    ("a", 27, "so z = -2"),
    ("b", 6.75, "so z = -2"),
    ("c", -5.0625, "so z = -2"),
    ("d", -1.6875, "so z = -2"),
    ("e", 3.1875, "not v²"),
    ("f", -0.1875, "not v²"),
    ("b", 32, "that is the score-function estimate"),
    ("b", -8, "that is f(z)"),
    ("b", 3, "Take it at z"),
    ("b", 3.75, "the exact derivative, (e)"),
    ("c", -24, "a one half is missing: log q(z)"),
    ("c", -48, "by σ or by v"),
    ("c", 4, "that is the constant's part"),
    ("c", -16, "the constant in front of the exponential"),
    ("c", -6, "that is the pathwise estimate"),
    ("d", -12, "that is (c), or a one half is missing"),
    ("d", -24, "by σ or by v"),
    ("d", 12, "dz/d(log v)"),
    ("d", 3, "the noise is missing"),
    ("d", 6, "z - m is negative"),
    ("e", 3, "derivative of f at m"),
    ("e", 12, "that is one draw, (b)"),
    ("e", -1.75, "that is E[f(z)]"),
    ("e", 0.75, "the derivative of m³ is missing"),
    ("e", 12.75, "12.75 is not it. No draw enters here"),
    ("f", -6, "that is one draw, (d)"),
    ("f", -1.5, "the derivative by log σ, or you used v = 1/2"),
    ("f", -3, "by σ or by v"),
    ("f", 0.75, "the sign: m is negative"),
    ("f", 17.5, "17.5 is not it. No draw enters here"),
    ("b", 17.5, "17.5 is not it. Here z = -2"),
    ("f", None, "no answer yet"),
    ("f", "-3/4", "write it without quotes."),
    ("f", object(), "the answer must be a number"),
]


def test_by_hand():
    key = NAME + "by_hand"
    found = numbers_by_autograd()
    assert found == pytest.approx([32, 12, -12, -6, 3.75, -0.75])
    letters = dict(zip("abcdef", found, strict=True))
    fractions = [32, 12, -12, -6, Fraction(15, 4), Fraction(-3, 4)]
    assert_correct(
        key,
        letters,
        fractions,
        np.array(found),
        torch.tensor(found, requires_grad=True),
        {"(A)": 32, "B": 12.0, "c": -12, "d": np.float32(-6), "e": 3.75, "F": -0.75},
    )
    stub = dict.fromkeys("abcdef", ...)
    assert_not_attempted(key, stub, [None] * 6, {}, ...)
    wrong = [({**letters, at: value}, f"({at}) {hint}" if at == "x" else hint)
             for at, value, hint in BY_HAND_SLIPS]  # fmt: skip
    wrong += [([1, 2], "you passed 2"), ({"g": 1}, "keys must be"), (3.75, "type `float`")]
    assert_hints(key, wrong)
    assert "so z = -2" in judge(key, {**letters, "a": 6.75}).message
    swapped = judge(key, [12, 32, -6, -12, 3.75, -0.75]).message
    assert "2 of 6 are right" in swapped
    assert all(f"- ({letter})" in swapped for letter in "abcd")


# --- pathwise ------------------------------------------------------------------------------


def test_pathwise():
    key = NAME + "pathwise"
    right = [pathwise_by_chain_rule, pathwise_by_copies, pathwise_one_by_one, Pathwise()]
    assert_correct(key, *right, pathwise_by_differences)
    assert_not_attempted(key, lambda f, mean, log_var, noise: ..., lambda f, m, v, e: (..., ...))
    own_noise = lambda f, m, v, e: pathwise_by_copies(f, m, v, torch.randn_like(e))  # noqa: E731
    wrong = {
        pathwise_with(torch.exp): "`exp(log_var)` as the standard deviation",
        pathwise_with(lambda v: v): "`log_var` itself",
        pathwise_with(lambda v: (v / 4).exp()): "square root twice",
        pathwise_from(lambda d, s, e: d * s * e): "a one half is missing",
        pathwise_from(lambda d, s, e: d * e): "The parameter is `log_var`",
        pathwise_from(lambda d, s, e: d * s / 2): "lacks the noise",
        pathwise_from(lambda d, s, e: d): "the chain rule's last step",
        pathwise_with(lambda v: (v / 2).exp().detach() + 0 * v): "Does z depend on `log_var`",
        pathwise_from(lambda d, s, e: 0 * d): "Does z depend on `log_var`",
        lambda f, m, v, e: pathwise_by_copies(f, m, v, 0 * e): "Differentiate it at each",
        pathwise_averaged: "the average over the samples. Return the estimate",
        pathwise_with(end=lambda each: each.sum(0)): "the sum over the samples",
        pathwise_with(end=lambda each: each / len(each)): "did you differentiate `f(z).mean()`",
        pathwise_with(end=lambda each: each.mean(0).expand_as(each)): "All rows are the same",
        pathwise_with(end=lambda each: each.mean(1)): "You reduced the dimensions",
        pathwise_with(end=lambda each: each.T): "axes are swapped",
        lambda *a: pathwise_by_copies(*a)[::-1]: "wrong order",
        pathwise_with(end=torch.neg): "not of its negative",
        own_noise: "draw none of your own",
        lambda *a: pathwise_by_copies(*a)[0]: "Return two tensors",
        lambda *a: (pathwise_by_copies(*a)[0], None): "until `backward()`",
        score_by_formula: "This is the score-function estimate",
        lambda f, m, v, e: pathwise_by_copies(f, m, v, e + 1): "The first sample z should be",
        pathwise_with(end=lambda each: each[:, :, None]): "axis of size 1",
    }
    assert_hints(key, {k: v for k, v in wrong.items() if v != "Does z depend on `log_var`"})
    for answer, fragment in wrong.items():
        assert fragment in judge(key, answer).message


def test_pathwise_by_vmap():
    pathwise_by_vmap(
        lambda z: z.sum(), *[torch.ones(2)] * 2, torch.ones(1, 2)
    )  # slow the first time
    assert judge(NAME + "pathwise", pathwise_by_vmap).status == "correct"


def test_pathwise_sees_a_path_that_is_cut():
    def cut_mean(f, mean, log_var, noise):
        first, second = pathwise_by_copies(f, mean, log_var, noise)
        return 0 * first, second

    def no_path(f, mean, log_var, noise):
        mean.requires_grad_()
        z = (mean + (log_var / 2).exp() * noise).detach()
        return torch.autograd.grad(f(z).mean(), [mean, log_var])

    assert "gradient for `mean` is zero" in judge(NAME + "pathwise", cut_mean).message
    message = judge(NAME + "pathwise", no_path).message
    assert "torch finds no way from f(z) back to your parameters" in message


@pytest.mark.parametrize(
    ("name", "right"), [("pathwise", pathwise_by_chain_rule), ("score_function", score_by_formula)]
)
def test_a_right_z_is_not_blamed(name, right):
    def off(answer):
        return lambda *a: tuple(part + 0.3 * a[3] for part in answer(*a))

    def one_by_one(f, mean, log_var, noise):
        rows = [right(lambda z: f(z[0])[None], mean, log_var, each[None]) for each in noise]
        return tuple(torch.cat(parts) for parts in zip(*rows, strict=True))

    def never(f, mean, log_var, noise):
        return noise, 0.7 * noise

    message = judge(NAME + name, off(right)).message
    assert "Your z is right; the slip is after it." in message
    assert "Is yours?" not in message
    if name == "score_function":
        assert "Your z is right" in judge(NAME + name, off(one_by_one)).message
    for answer in (never, lambda f, m, v, e: off(right)(f, m + 1, v, e)):
        assert "Is yours?" in judge(NAME + name, answer).message


def test_a_z_inside_of_vmap_is_not_blamed_on_us():
    def off(*a):
        return {name: part + 0.3 * a[3] for name, part in pathwise_by_vmap(*a).items()}

    assert "z should be" in judge(NAME + "pathwise", off).message


@pytest.mark.parametrize("name", ["pathwise", "score_function"])
def test_nan_is_not_called_another_result(name):
    def nan(f, mean, log_var, noise):
        return mean.log() * noise, log_var.log() * noise

    message = judge(NAME + name, nan).message
    assert message.startswith("The estimate for `mean` holds NaN at entry")


def test_pathwise_with_one_sample():
    def standardized(f, mean, log_var, noise):
        noise = noise if len(noise) > 1 else noise / noise.std()
        return pathwise_by_copies(f, mean, log_var, noise)

    assert "With S = 1" in judge(NAME + "pathwise", standardized).message


# --- score_function ------------------------------------------------------------------------


def test_score_function():
    key = NAME + "score_function"
    assert_correct(key, score_by_formula, score_by_autograd, score_in_a_loop, score_in_float64)
    assert_not_attempted(key, lambda f, mean, log_var, noise: ..., None)

    def wide(f, mean, log_var, noise):
        first, second = score_by_formula(f, mean, 2 * log_var, noise)
        return first, 2 * second

    def with_values(change):
        return lambda f, m, v, e: score_by_formula(lambda z: change(f(z)), m, v, e)

    wrong = {
        pathwise_by_copies: "f is a step function",
        lambda *a: score_by_autograd(*a, attached=True): "`z.detach()`",
        with_values(torch.ones_like): "the score alone",
        with_values(lambda f: f.mean().expand_as(f)): "of its own sample",
        wide: "`exp(log_var)` as",
        score_with(lambda e, s: e): "not by the standard deviation",
        score_with(lambda e, s: e / s**2): "divide it by σ once more",
        score_with(lambda e, s: e * s): "You left the division out",
        score_with(lambda e, s: -e / s): "sign for `mean`",
        score_with(None, lambda e, s: e**2 / 2): "lacks its constant",
        score_with(None, lambda e, s: 0 * e - 0.5): "lacks the exponent",
        score_with(None, lambda e, s: e**2 - 1): "lacks a one half",
        score_with(None, lambda e, s: (e**2 - 1) / s): "The parameter is `log_var`",
        score_with(end=lambda each: each / 3): "the sum over D, not the mean",
        score_with(end=lambda each: each.sum(0)): "the sum over the samples",
        score_with(end=lambda each: each.mean(0)): "the average over the samples. Return the",
        score_with(end=lambda each: each / len(each)): "Every entry is divided by S",
        score_with(end=lambda each: each.mean(1)): "You reduced the dimensions",
        lambda *a: score_by_formula(*a)[::-1]: "wrong order",
        score_with(end=torch.neg): "not of its negative",
        lambda f, m, v, e: score_by_formula(f, m, v, torch.randn_like(e)): "none of your own",
        lambda f, m, v, e: score_by_formula(f, m, v, -e): "The first sample z should be",
        lambda f, m, v, e: f(m + e): "Return two tensors",
    }
    assert_hints(key, wrong)


def test_the_steps_are_far_from_every_sample():
    from companion.checks.reparameterization import estimators

    for n_samples, seed in ((6, 0), (1, 10)):  # rounding must not move a sample over a step
        mean, log_var, noise = estimators.inputs(n_samples, seed)
        z = mean + (log_var / 2).exp() * noise
        for shift in (-0.01, 0.01):
            for d in range(3):
                moved = z + shift * torch.eye(3)[d]
                assert torch.equal(estimators.steps(moved), estimators.steps(z))


# --- baseline ------------------------------------------------------------------------------


def test_baseline():
    key = NAME + "baseline"
    right = [baseline_by_sums, baseline_by_masks, baseline_by_dropping, baseline_by_search]
    assert_correct(key, *right, baseline_in_loops, lambda f, s: baseline_by_sums(f, s).tolist())
    assert_not_attempted(key, lambda values, score: ..., ...)

    def others(f):
        return ((f.sum() - f) / (len(f) - 1))[:, None]

    wrong = {
        baseline_of_all: "Each sample is in its own baseline",
        lambda f, s: others(f).expand_as(s): "the mean of f over the others",
        lambda f, s: f.mean(): "the mean of f over all samples",
        lambda f, s: baseline_by_sums(f, s.square().sum(1, keepdim=True).sqrt()).expand_as(
            s
        ): "one baseline for all",
        lambda f, s: baseline_of_all(f, s) - f[:, None] * s**2 / (s**2).sum(0): "but not below",
        lambda f, s: (f @ s**2) / ((s**2).sum(0) - s**2): "but not above",
        lambda f, s: baseline_by_sums(f, s) * (len(f) - 1) / len(f): "S - 1 samples are left",
        lambda f, s: baseline_by_sums(f, s)[:, :1]: "shape (10, 1)",
        lambda f, s: baseline_by_sums(f**2, s): "You squared f",
        lambda f, s: ((f @ s) - f[:, None] * s) / (s.sum(0) - s): "You weighted by the score.",
        lambda f, s: baseline_by_sums(f, s.abs().sqrt()): "the size of the score",
        lambda f, s: baseline_by_sums(f, s) * ((s**2).sum(0) - s**2): "forgot the denominator",
        lambda f, s: f[:, None] - baseline_by_sums(f, s): "Return b.",
        lambda f, s: baseline_by_sums(f, s).T: "axes are swapped",
        lambda f, s: -baseline_by_sums(f, s): "the baseline is subtracted",
        lambda f, s: baseline_by_sums(f, s) + 1: "Every entry is off by the same amount",
    }
    assert_hints(key, wrong)
    same = judge(key, lambda f, s: baseline_of_all(f, s).expand_as(s)).message
    assert same == judge(key, baseline_of_all).message


def test_baseline_is_judged_beyond_the_table():
    def remembered(values, score):
        return baseline_by_sums(values, score) if len(values) < 20 else 0 * score + values.mean()

    def not_two(values, score):
        return baseline_by_sums(values, score) if len(values) > 2 else 0 * score

    assert "f(z) = exp(z)" in judge(NAME + "baseline", remembered).message
    assert "With S = 2" in judge(NAME + "baseline", not_two).message


def test_baseline_closed_form():
    mean, var = 0.5, 0.1  # the numbers that the check prints, from a sum over a grid
    f = (mean + math.sqrt(var) * NOISE).exp()
    for score, factor in (
        (NOISE / math.sqrt(var), 1 + var),
        ((NOISE**2 - 1) / 2, 1 + 2 * var + var**2 / 2),
    ):
        best = expect(f * score**2) / expect(score**2)
        assert best.item() == pytest.approx(math.exp(mean + var / 2) * factor)


# --- no two misconceptions may look alike --------------------------------------------------


def test_hand_has_no_two_hints_for_one_number():
    from companion.checks.reparameterization import hand

    written = 6 + sum(len(hints) for _, hints in hand.ANSWERS.values())
    assert written == 6 + 9 + 8 + 10 + 9 + 7 + 8  # a number twice would drop a hint silently
    for right, hints in hand.ANSWERS.values():
        for a, b in product([right, *hints], repeat=2):
            assert a is b or a == b or not hand.near(a, b)


def test_the_inputs_tell_all_misconceptions_apart():
    from companion.checks.reparameterization import baseline, estimators

    values = [value.double() for value in estimators.inputs()]
    for exact, slips in (
        (estimators.pathwise_exact, estimators.pathwise_slips),
        (estimators.score_exact, estimators.score_slips),
    ):
        assert_distinct({"right": [exact(*values)], **slips(*values)})
    score = baseline._scores().double()
    values = baseline._VALUES.double()
    table = {"right": [baseline.exact(values, score)], **baseline.slips(values, score)}
    assert_distinct({hint: [(each,) for each in wrong] for hint, wrong in table.items()})


def assert_distinct(table):
    entries = [(hint, pair) for hint, pairs in table.items() for pair in pairs]
    for (hint_a, a), (hint_b, b) in product(entries, repeat=2):
        same = all(
            x.shape == y.shape and torch.allclose(x, y, rtol=1e-3, atol=1e-3)
            for x, y in zip(a, b, strict=False)
        )
        assert not same or hint_a == hint_b, f"{hint_a} / {hint_b}"
