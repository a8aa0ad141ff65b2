"""The checks of chapter 3, exercises 3.5 to 3.7: right answers, stubs, misconceptions."""

import math
from itertools import product

import pytest
import torch
from check_helpers import assert_correct, assert_hints, assert_not_attempted, judge
from mnist_answers import (
    kl_each,
    losses_by_torch,
    losses_fixed,
    losses_stub,
    losses_with,
    losses_with_positive,
    normalizer_by_quadrature,
    normalizer_even,
    normalizer_in_float64,
    normalizer_of_the_chapter,
    normalizer_with,
    path_by_rotation,
    path_closed,
    path_in_a_loop,
)
from test_checks_mnist import assert_distinct
from torch.distributions import ContinuousBernoulli
from torch.nn import functional as F

from companion.checks import _registry
from companion.checks.mnist import normalizer, path, repair


def test_every_exercise_is_tested():
    import test_checks_mnist

    keys = {e.key for e in _registry.all_exercises() if e.key.startswith("mnist.")}
    names = {name.removeprefix("test_") for name in [*globals(), *vars(test_checks_mnist)]}
    keys.remove("mnist.build")  # in a file of its own
    assert len(keys) == 7
    assert {key.removeprefix("mnist.") for key in keys} <= names


def test_exercises_are_found_by_their_number():
    numbers = {e.number: e.key for e in _registry.all_exercises() if e.key.startswith("mnist.")}
    assert list(numbers) == [*(f"3.{i}" for i in range(1, 8)), "3.10"]
    assert judge("mnist.path", ...).title.startswith("3.5 ")


# --- mnist.path ----------------------------------------------------------------------------


def straight(start, end, n):
    return torch.lerp(start, end, torch.linspace(0, 1, n)[:, None, None])


def arc(start, end, steps, angle=None, first=None, last=None):
    """The right path, with some piece replaced."""
    if angle is None:
        angle = F.cosine_similarity(start, end, dim=1).acos()[:, None]
    t = steps[:, None, None]
    first, last = (start if first is None else first), (end if last is None else last)
    return (((1 - t) * angle).sin() * first + (t * angle).sin() * last) / angle.sin()


def steps(n):
    return torch.linspace(0, 1, n)


def unit(codes):
    return F.normalize(codes, dim=1)


def test_path():
    key = "mnist.path"
    assert_correct(key, path_closed, path_in_a_loop, path_by_rotation)
    in_float64 = lambda a, b, n: path_in_a_loop(a, b, n).float()  # noqa: E731
    assert judge(key, in_float64).status == "correct"
    assert_not_attempted(key, lambda start, end, n: ..., None)
    one_angle = lambda a, b: F.cosine_similarity(a.flatten(), b.flatten(), dim=0).acos()  # noqa: E731
    length = lambda a, b, n: torch.lerp(  # noqa: E731
        a.norm(dim=1, keepdim=True), b.norm(dim=1, keepdim=True), steps(n)[:, None, None]
    )
    wrong = {
        straight: "This is the straight line",
        lambda a, b, n: path_closed(a, b, n).transpose(0, 1): "the n steps come first",
        lambda a, b, n: path_closed(a, b, n).flip(0): "from the end to the start",
        lambda a, b, n: arc(a, b, torch.arange(n) / n): "stops one step before the end",
        lambda a, b, n: arc(a, b, (torch.arange(n) + 1) / n): "leaves its start out",
        lambda a, b, n: arc(a, b, steps(n + 2)[1:-1]): "both the start and the end",
        lambda a, b, n: arc(a, b, steps(n + 1)): "one point too many",
        lambda a, b, n: path_closed(a, b, n).flatten(0, 1): "stacked into one axis",
        lambda a, b, n: arc(a, b, steps(n), (a * b).sum(1).acos()[:, None]): "holds NaN at",
        lambda a, b, n: arc(
            a.double(),
            b,
            steps(n),
            (a * b).sum(1).double().clamp(-1 + 1e-6, 1 - 1e-6).acos()[:, None],
        ): "inner product alone",
        lambda a, b, n: arc(a, b, steps(n), one_angle(a, b)): "one angle for the whole batch",
        lambda a, b, n: arc(a, b, steps(n), None, unit(a), unit(b)): "codes of length 1",
        lambda a, b, n: F.normalize(straight(a, b, n), dim=-1) * length(a, b, n): "stretched the",
        lambda a, b, n: arc(a, b, steps(n), None, unit(a), unit(b)) * length(a, b, n): "by itself",
        lambda a, b, n: arc(a, b, steps(n)) * one_angle_sines(a, b): "the sine of the angle is mis",
        lambda a, b, n: arc(a, b, steps(n), torch.tensor([[math.pi / 2]])): "at a right angle",
        lambda a, b, n: arc(a, b, steps(n), F.cosine_similarity(a, b)[:, None]): "the arc cosine.",
        turned: "You turned a code around",
        lambda a, b, n: arc(a, b, steps(n), acute(a, b)): "You took the acute angle",
        lambda a, b, n: path_closed(a, b, n) + 0.1: "Every entry is off by the same amount",
        lambda a, b, n: path_closed(a[:1], b[:1], n)[:, 0]: "it should be (5, 4, 6)",
    }
    assert_hints(key, wrong)
    mean_angle = lambda a, b: F.cosine_similarity(a, b).acos().mean()  # noqa: E731
    averaged = judge(key, lambda a, b, n: arc(a, b, steps(n), mean_angle(a, b)))
    assert averaged.status == "not yet"
    assert "one angle for the whole batch" in averaged.message
    backwards = judge(key, lambda a, b, n: path_closed(b, a, n))
    assert "from the end to the start" in backwards.message


def acute(a, b):
    return F.cosine_similarity(a, b, dim=1).abs().acos()[:, None]


def turned(a, b, n):  # as for quaternions
    sign = torch.where((a * b).sum(1, keepdim=True) < 0, -1.0, 1.0)
    return arc(a, sign * b, steps(n))


def one_angle_sines(a, b):
    return F.cosine_similarity(a, b, dim=1).acos().sin()[:, None]


def test_path_where_the_angle_is_zero():
    key = "mnist.path"

    def unguarded(a, b, n):
        return arc(a, b, steps(n))

    def stays(a, b, n):
        found = arc(a, b, steps(n), F.cosine_similarity(a, b).clamp(-1, 1).acos()[:, None])
        return torch.where(found.isnan(), a, found)

    def only_equal(a, b, n):
        same = (a == b).all(1)
        found = arc(a, b, steps(n), F.cosine_similarity(a, b).clamp(-1, 1).acos()[:, None])
        return torch.where(same[:, None], a, found)

    def with_a_small_number(a, b, n):
        angle = F.cosine_similarity(a, b).clamp(-1, 1).acos()[:, None]
        t = steps(n)[:, None, None]
        return (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / (angle.sin() + 1e-8)

    def inside(a, b, n):  # a common way to keep the arc cosine finite
        cosine = F.cosine_similarity(a, b).clamp(-1 + 1e-6, 1 - 1e-6)
        return arc(a, b, steps(n), cosine.acos()[:, None])

    wrong = {
        unguarded: "for equal codes the path holds NaN",
        stays: "for codes in the same direction the path is off",
        only_equal: "for codes in the same direction the path holds NaN",
        with_a_small_number: "for equal codes the path is off by up to",
    }
    assert_hints(key, wrong)
    assert judge(key, inside).status == "correct"


def test_path_decides_for_each_pair():
    def with_one_if(decide):
        def function(a, b, n):
            cosine = F.cosine_similarity(a, b).clamp(-1, 1)
            if decide(cosine > 0.999999):
                return straight(a, b, n)
            return arc(a, b, steps(n), cosine.acos()[:, None])

        return function

    messages = set()
    for decide in (torch.any, torch.all):
        verdict = judge("mnist.path", with_one_if(decide))
        assert verdict.status == "not yet"
        assert "choose with `torch.where`" in verdict.message
        messages.add(verdict.message)
    assert len(messages) == 1


@pytest.mark.parametrize("threshold", [0.99, 0.999, 0.9995])
def test_path_between_opposite_codes_is_no_straight_line(threshold):
    def by_the_size_of_the_cosine(a, b, n):
        close = (F.cosine_similarity(a, b).abs() > threshold)[:, None]
        return torch.where(close, straight(a, b, n), path_closed(a, b, n))

    def by_the_cosine(a, b, n):
        close = (F.cosine_similarity(a, b) > threshold)[:, None]
        return torch.where(close, straight(a, b, n), path_closed(a, b, n))

    verdict = judge("mnist.path", by_the_size_of_the_cosine)
    assert verdict.status == "not yet"
    assert "For nearly opposite codes, your path differs" in verdict.message
    assert judge("mnist.path", by_the_cosine).status == "correct"


@pytest.mark.parametrize("double", [False, True])
def test_path_accepts_any_way_to_the_cosine(double):
    cosines = (
        lambda a, b: (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1)),
        lambda a, b: (unit(a) * unit(b)).sum(1),
        lambda a, b: torch.einsum("bd,bd->b", a, b) / ((a**2).sum(1) * (b**2).sum(1)).sqrt(),
    )
    for cosine in cosines:

        def function(a, b, n, cosine=cosine):
            angle = cosine(*(code.double() if double else code for code in (a, b)))
            angle = angle.clamp(-1, 1).acos()[:, None]
            found = arc(a, b, steps(n), torch.where(angle < 2e-3, 1.0, angle))
            return torch.where(angle < 2e-3, straight(a, b, n).to(found), found)

        verdict = judge("mnist.path", function)
        assert verdict.status == "correct", str(verdict)


def test_path_where_the_angle_is_small_or_nearly_pi():
    def straight_below(limit):
        def function(a, b, n):
            narrow = (F.cosine_similarity(a, b) > math.cos(limit))[:, None]
            return torch.where(narrow, straight(a, b, n), path_closed(a, b, n))

        return function

    def by_the_sine(a, b, n):  # takes codes at an angle near pi for parallel ones
        narrow = (F.cosine_similarity(a, b).abs() > 0.99)[:, None]
        return torch.where(narrow, straight(a, b, n), path_closed(a, b, n))

    wrong = {
        straight_below(0.4): "For codes at an angle of 0.3, your path differs",
        by_the_sine: "For nearly opposite codes, your path differs",
        lambda a, b, n: path_with_cosine_inside(a, b, n, 0.9): "for equal codes the path is off",
    }
    assert_hints("mnist.path", wrong)
    assert judge("mnist.path", straight_below(0.03)).status == "correct"
    inside = lambda a, b, n: path_with_cosine_inside(a, b, n, 0.99999)  # noqa: E731
    assert judge("mnist.path", inside).status == "correct"


def path_with_cosine_inside(a, b, n, limit):
    return arc(a, b, steps(n), F.cosine_similarity(a, b).clamp(-limit, limit).acos()[:, None])


@pytest.mark.parametrize("most", [0.999, 0.9995, 0.9999])
def test_path_sees_a_cosine_that_is_cut_off(most):
    def cut(a, b, n):
        cosine = F.cosine_similarity(a, b, dim=1).clamp(-most, most)
        return arc(a, b, steps(n), cosine.acos()[:, None])

    assert judge("mnist.path", cut).status == "not yet"


def test_path_of_single_vectors_names_the_axis():
    def in_a_loop(a, b, n):
        angles = [F.cosine_similarity(u, v).acos() for u, v in zip(a, b, strict=True)]
        return arc(a, b, steps(n), torch.stack(angles)[:, None])

    assert "vectors, say `dim=0`" in " ".join(judge("mnist.path", in_a_loop).message.split())


def test_no_two_slips_of_the_path_look_alike():
    start, end = path.uniform(-2, 2, 4, 6, seed=70), path.uniform(-2, 2, 4, 6, seed=71)
    right = path_in_a_loop(start, end, 5)
    assert_distinct(right, path._slips(start.double(), end.double(), 5))


# --- mnist.repair --------------------------------------------------------------------------


def test_repair():
    key = "mnist.repair"
    assert_correct(key, losses_fixed, losses_by_torch, losses_with())
    for power, name in ((1, "variance"), (2, "standard deviation")):
        verdict = judge(key, losses_with_positive(power))
        assert verdict.status == "correct"
        assert f"as the {name}, which" in verdict.message
    assert_not_attempted(key, losses_stub, lambda encode, decode, x, noise: (..., ...), ...)
    kl_only = lambda bce, kl: kl  # noqa: E731
    softplus = {"read": F.softplus}
    wrong = {
        losses_with(**softplus): "which values the log-variance can take",
        losses_with(power=2): "what multiplies the noise",
        losses_with(bce_scale=1 / 784): "how the cross-entropy is reduced",
        losses_with(report=kl_only): "what the second number tells",
        losses_with(report=lambda bce, kl: -bce - kl): "The second number is the ELBO",
        losses_with(report=lambda bce, kl: bce): "The second number is the cross-entropy alone",
        losses_with(train=lambda bce, kl: 6 * bce + kl): "a silent beta of 1/B",
        losses_with(train=lambda bce, kl: 6 * (bce + kl)): "Both terms are summed",
        losses_with(train=lambda bce, kl: bce + kl / 3): "averaged over the latent dimensions",
        losses_with(train=lambda bce, kl: (bce + kl) / 784): "smaller by the number of pixels",
        losses_with(train=lambda bce, kl: -bce - kl): "a loss falls",
        losses_with(train=lambda bce, kl: bce): "missing in the training loss",
        losses_with(train=kl_only): "is the KL divergence alone.",
        losses_with(z_read=F.softplus): "different variances",
        losses_with(z_read=lambda raw: 2 * F.softplus(raw).log()): "different variances",
        losses_with(power=3): "The training loss is",
        losses_with(train=lambda bce, kl: bce + kl + 1): "The training loss is",
        lambda *a: losses_fixed(*a)[0]: "Return two numbers",
        lambda *a: (losses_fixed(*a)[0], ...): "still the placeholder",
        lambda *a: (losses_fixed(*a)[0].detach(), losses_fixed(*a)[1]): "no gradient",
    }
    pairs = list(wrong.items())
    assert_hints_but(key, pairs, shared="different variances")


def assert_hints_but(key, pairs, shared):
    """As `assert_hints`, but several answers may share one hint."""
    same = [pair for pair in pairs if pair[1] == shared]
    assert_hints(key, [pair for pair in pairs if pair[1] != shared] + same[:1])
    assert len({judge(key, answer).message for answer, _ in same}) == 1


def test_repair_accepts_the_logarithm_of_the_standard_deviation():
    verdict = judge("mnist.repair", losses_with(read=lambda raw: 2 * raw))
    assert verdict.status == "correct"
    assert "as the logarithm of the standard deviation, in z and in the KL" in verdict.message
    half = judge("mnist.repair", losses_with(z_read=lambda raw: 2 * raw))
    assert half.status == "not yet"  # in z alone it is the published fault
    assert "what multiplies the noise" in half.message
    other_half = judge(
        "mnist.repair", losses_with(read=lambda raw: 2 * raw, z_read=lambda raw: raw)
    )
    assert "different variances" in other_half.message


def test_repair_wants_a_sample_decoded_for_the_report():
    def decoded_mean(encode, decode, x, noise):
        training, _ = losses_fixed(encode, decode, x, noise)
        return training, losses_fixed(encode, decode, x, 0 * noise)[0]

    verdict = judge("mnist.repair", decoded_mean)
    assert verdict.status == "not yet"
    assert "decodes the mean" in verdict.message
    assert "the same `noise`" in verdict.message


def test_repair_counts_the_faults_that_are_left_and_names_one():
    options = {
        "which values the log-variance can take": {"read": F.softplus},
        "what multiplies the noise": {"power": 2},
        "how the cross-entropy is reduced": {"bce_scale": 1 / 784},
        "what the second number tells": {"report": lambda bce, kl: kl},
    }
    seen = set()
    for chosen in product([False, True], repeat=4):
        left = [name for name, on in zip(options, chosen, strict=True) if on]
        if len(left) not in (1, 2, 3):
            continue
        answer = losses_with(**{k: v for name in left for k, v in options[name].items()})
        message = judge("mnist.repair", answer).message
        count = "1 fault" if len(left) == 1 else f"{len(left)} faults"
        assert message.startswith(f"{count} left. If you are stuck, look at ")
        assert [name for name in options if name in message] == left[:1]
        seen.add(message)
    assert len(seen) == 9  # four names alone, three first of two, two first of three


def test_repair_names_faults_beside_another_reading():
    read = lambda raw: 2 * F.softplus(raw).log()  # noqa: E731
    message = judge("mnist.repair", losses_with(read=read, bce_scale=1 / 784)).message
    assert message.startswith("1 fault left")
    assert "how the cross-entropy is reduced" in message


def test_no_two_slips_of_the_repair_look_alike():
    setup = repair.Setup()
    mean, raw = setup.mean.double(), setup.raw.double()
    bce, kl = setup.parts(mean, raw)
    assert torch.allclose(kl, kl_each(mean, raw))
    right = (bce + kl.sum(1)).mean()
    assert_distinct(right, repair._training_slips(setup, bce, kl, right))


# --- mnist.log_normalizer ------------------------------------------------------------------


def test_log_normalizer():
    key = "mnist.log_normalizer"
    assert_correct(key, normalizer_even, normalizer_in_float64, normalizer_of_the_chapter)
    assert_not_attempted(key, lambda logits: ..., ...)
    soft = F.softplus
    wrong = {
        lambda logits: soft(logits): "the normalizer of a Bernoulli",
        normalizer_with(lambda x, a: soft(x) - a): "added to a Bernoulli's log-likelihood",
        normalizer_with(lambda x, a: -a): "The sign is wrong",
        normalizer_with(lambda x, a: a.exp()): "This is the integral",
        lambda x: x.expm1().abs().log(): "You forgot to divide by the logit",
        lambda x: (x.expm1() * x).log(): "You multiplied by the logit",
        lambda x: (x.exp() / x.abs()).log(): "the lower end of the integral",
        normalizer_with(lambda x, a: a - x): "The sign of the logit is wrong",
        lambda x: x / 2: "half the logit alone",
        normalizer_with(lambda x, a: a - x / 2): "the even part alone",
        lambda x: x / 2 + (x.sinh() / x).log(): "the logit has to be halved",
        normalizer_with(lambda x, a: a.sum()): "You summed over the entries",
        normalizer_with(lambda x, a: a + 1): "off by the same amount",
    }
    assert_hints(key, wrong)


def normalizer_switching(reach, order=3, closed=None):
    """A series within `reach`, and beyond it the closed form."""

    def function(x):
        near = x.abs() < reach
        safe = torch.where(near, 1.0, x)
        terms = [x / 2, x**2 / 24, -(x**4) / 2880][:order]
        return torch.where(near, sum(terms), (closed or closed_form)(safe))

    return function


def closed_form(x):
    return (-torch.expm1(-x.abs()) / x.abs()).log() + x.clamp(min=0)


def test_log_normalizer_where_the_formula_breaks():
    key = "mnist.log_normalizer"

    def naive(x):
        return ((x.exp() - 1) / x).log()

    def log1p_of_exp(x):
        return torch.log1p(-torch.exp(-x.abs())) - x.abs().log() + x.clamp(min=0)

    def overflows(x):
        return (x.expm1() / x).log()

    def unsafe_where(x):
        series = x / 2 + x**2 / 24 - x**4 / 2880
        return torch.where(x.abs() < 0.1, series, closed_form(x))

    def zero(x):
        return torch.where(x == 0, 0.0, normalizer_even(x))

    def of_the_size(x):
        size = x.abs()
        series = x.relu() - size / 2 + size**2 / 24
        near = size < 0.1
        return torch.where(near, series, closed_form(torch.where(near, 1.0, x)))

    def clamped(x):  # at its end a clamp passes the whole gradient on
        size = torch.maximum(x, -x)
        series = x.clamp(min=0) - size / 2 + size**2 / 24
        near = size < 0.1
        return torch.where(near, series, closed_form(torch.where(near, 1.0, x)))

    def flat(x):
        return torch.where((x != 0) & (x.abs() < 1e-5), 0 * x, normalizer_even(x))

    wrong = {
        naive: "at a logit of 0 (here 0) the value is nan: the formula divides 0 by 0",
        closed_form: "at a logit of 0 (here 0) the value is nan",
        normalizer_switching(
            1e-12, closed=naive
        ): "for logits near 0 (here 1e-08) the value is -inf",
        normalizer_switching(1e-5, closed=naive): "for logits near 0 the value is inexact",
        normalizer_switching(1e-4, closed=log1p_of_exp): "for logits near 0 the value is inexact",
        normalizer_switching(2e-3, closed=log1p_of_exp): "near 0 the gradient is inexact",
        normalizer_switching(1e-6): "for logits near 0 the gradient is inexact",
        normalizer_switching(2e-5): "Let the series take over at a larger logit",
        normalizer_switching(0.35, order=1): "between 0.01 and 1.5 the value is inexact",
        normalizer_switching(1.4, order=2): "a series with few terms is exact only",
        normalizer_switching(0.015, order=1): "1.5 the gradient is inexact",
        normalizer_switching(2.4, order=3): "a series reaches too far",
        normalizer_switching(0.05, closed=overflows): "`exp` overflows at 89",
        lambda x: normalizer_switching(0.05, closed=overflows)(x.clamp(-80, 80)): "a clamp, or a",
        unsafe_where: "both branches are computed",
        zero: "at a logit of 0 the gradient is inexact. At 0 it is 0 and should be 0.5",
        clamped: "at a logit of 0 the gradient is inexact. At 0 it is 1 and should be 0.5",
        flat: "Something is constant",
        lambda x: -ContinuousBernoulli(logits=x).log_prob(0 * x): "`torch.distributions.Cont",
        lambda x: normalizer_even(x).detach(): "no gradient",
    }
    bent = judge(key, of_the_size)
    assert bent.status == "not yet"
    assert "`abs`, `relu` and `clamp` bend at 0" in bent.message
    pairs = [pair for pair in wrong.items() if pair[0] is not closed_form]  # naive's message
    assert_hints(key, pairs)
    assert judge(key, closed_form).message == judge(key, naive).message


def test_log_normalizer_accepts_any_sensible_switch():
    accepted = {(3, 2e-4), (3, 1e-3), (3, 0.1), (3, 0.5), (2, 2e-4), (2, 0.05), (2, 0.4), (1, 0.01)}
    for order, reach in sorted(accepted):
        verdict = judge("mnist.log_normalizer", normalizer_switching(reach, order))
        assert verdict.status == "correct", f"{order} terms below {reach}:\n{verdict}"
    in_float64 = lambda x: normalizer_switching(1e-3, 1)(x.double())  # noqa: E731
    assert judge("mnist.log_normalizer", in_float64).status == "correct"


@pytest.mark.parametrize("offset", [1e-8, 1e-6, 1e-4])
def test_log_normalizer_sees_a_small_number_added(offset):
    def patched(x):
        return ((x.exp() - 1 + offset) / (x + offset)).log()

    assert judge("mnist.log_normalizer", patched).status == "not yet"


def test_the_key_of_log_normalizer_agrees_with_quadrature():
    logits = torch.tensor([-300.0, -40, -5, -1e-3, -1e-6, 0, 1e-9, 1e-4, 0.03, 2, 17, 90, 300])
    logits = logits.double()
    key = normalizer._each(normalizer._exact, logits)
    assert torch.allclose(key, normalizer_by_quadrature(logits), rtol=1e-9, atol=1e-12)
    leaf = logits.clone().requires_grad_()
    (slope,) = torch.autograd.grad(normalizer_by_quadrature(leaf).sum(), leaf)
    assert torch.allclose(normalizer._each(normalizer._slope, logits), slope, atol=1e-9)


def test_no_two_slips_of_the_normalizer_look_alike():
    logits = normalizer._MODERATE.double()
    assert_distinct(normalizer_by_quadrature(logits), normalizer._slips(logits))
