"""The checks of chapter 3, exercises 3.1 to 3.4: right answers, stubs, misconceptions."""

import math
from itertools import combinations

import torch
from check_helpers import assert_correct, assert_hints, assert_not_attempted, judge
from mnist_answers import (
    active_by_moments,
    active_by_var,
    active_in_a_loop,
    active_in_numpy,
    kl_each,
    loss_by_the_companion,
    loss_by_torch,
    loss_closed,
    loss_in_a_loop,
    loss_with,
    size_by_a_layer,
    size_by_counting,
    size_formula,
    size_with,
    variances_by_search,
    variances_by_torch,
    variances_closed,
    variances_in_numpy,
)
from torch.nn import functional as F

from companion.checks.mnist import loss, shapes, units, variance


def bce(logits, x):
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)


# --- mnist.transposed_size -----------------------------------------------------------------


def test_transposed_size():
    key = "mnist.transposed_size"
    assert_correct(key, size_formula, size_by_a_layer, size_by_counting)
    assert_not_attempted(key, lambda n, kernel, stride, padding, output, dilation: ..., ..., None)
    wrong = {
        size_with(lambda n, k, s, p, o, c, r: (n + 2 * p - k) // s + 1): "ordinary convolution",
        size_with(lambda n, k, s, p, o, c, r: (n - 1) * s + k - 2 * p): "(3.2) as it stands",
        size_with(lambda n, k, s, p, o, c, r: (n - 1) * s + k - 2 * p + o): "left the dilation",
        size_with(lambda n, k, s, p, o, c, r: r + c - 1): "spans fewer places",
        size_with(lambda n, k, s, p, o, c, r: r + k - 1): "A dilation of 1 inserts none",
        size_with(lambda n, k, s, p, o, c, r: r + (n - 1) * s * (c - 1)): "not the stride or",
        size_with(lambda n, k, s, p, o, c, r: r - 2 * p * (c - 1)): "not stretch the padding",
        size_with(lambda n, k, s, p, o, c, r: 2 * n): "You double the input",
        size_with(lambda n, k, s, p, o, c, r: r + 4 * p): "You added the padding",
        size_with(lambda n, k, s, p, o, c, r: r + p): "subtract it twice",
        size_with(lambda n, k, s, p, o, c, r: r + 2 * p): "left the padding out",
        size_with(lambda n, k, s, p, o, c, r: r - o): "left the output padding out",
        size_with(lambda n, k, s, p, o, c, r: r + o): "at one end only",
        size_with(lambda n, k, s, p, o, c, r: r - 2 * o): "You subtracted the output padding",
        size_with(lambda n, k, s, p, o, c, r: r + s): "n - 1 steps",
        size_with(lambda n, k, s, p, o, c, r: r - 1 - c * (k - 1)): "left the window out",
        size_with(lambda n, k, s, p, o, c, r: r - 1): "One too small",
        size_with(lambda n, k, s, p, o, c, r: r + 1): "One too large",
        size_with(lambda n, k, s, p, o, c, r: r + (s == 3)): "yours gives",
        size_with(lambda n, k, s, p, o, c, r: r / 2): "A size is a whole number",
        size_with(lambda n, k, s, p, o, c, r: (r, r)): "must be a number",
    }
    assert_hints(key, wrong)


def test_transposed_size_looks_beyond_the_layers_of_the_chapter():
    doubles = size_with(lambda n, k, s, p, o, c, r: r if (k, s, p, o) == (4, 2, 1, 0) else 0)
    assert "Wrong in" in judge("mnist.transposed_size", doubles).message
    assert len(shapes._CASES) > 100
    assert shapes.Case(7, 4, 2, 1, 0, 1) in shapes._CASES


def test_the_verdict_on_transposed_size_leaves_the_questions_of_the_text_open():
    message = judge("mnist.transposed_size", size_formula).message
    assert f"in {len(shapes._CASES)} cases. Now use it for the two questions" in message
    assert "window of" not in message
    assert "7, 14" not in message


def test_the_text_of_transposed_size():
    assert size_by_a_layer(3, 3, 2, 1, 1, 2) == 8
    for kernel, dilation in [(4, 1), (2, 3)]:
        sizes = [size_by_a_layer(n, kernel, 2, 1, 0, dilation) for n in range(1, 9)]
        assert sizes == [2 * n for n in range(1, 9)]


def test_the_cases_tell_all_slips_apart():
    slips = [shapes._slips(case) for case in shapes._CASES]
    columns = {("right", 0): tuple(shapes._size(case) for case in shapes._CASES)}
    for hint, values in slips[0].items():
        for index in range(len(values)):
            columns[hint, index] = tuple(each[hint][index] for each in slips)
    for (a, left), (b, right) in combinations(columns.items(), 2):
        assert a[0] == b[0] or left != right, f"{a} / {b}"


# --- mnist.batch_loss ----------------------------------------------------------------------


def test_batch_loss():
    key = "mnist.batch_loss"
    assert_correct(key, loss_by_torch, loss_closed, loss_by_the_companion, loss_in_a_loop)
    in_float64 = lambda *a: loss_closed(*[value.double() for value in a])  # noqa: E731
    assert_correct(key, in_float64, loss_with())
    assert_not_attempted(key, lambda logits, x, mean, log_var: ..., ...)
    sigmoid = torch.sigmoid
    wrong = {
        loss_with(lambda a, x: bce(a, x) / 784): "averaged over the pixels",
        loss_with(kl=lambda m, v: kl_each(m, v).mean(1)): "averaged the KL over the latent",
        loss_with(lambda a, x: bce(a, x) / 784, lambda m, v: kl_each(m, v).mean(1)): "Both terms",
        loss_with(combine=lambda r, k: (r + k).sum()): "the sum over the batch",
        loss_with(combine=lambda r, k: r + k): "one number for each example",
        loss_with(combine=lambda r, k: r.sum() + k.mean()): "One term is averaged",
        loss_with(combine=lambda r, k: (r + k).mean() / len(k)): "batch size twice",
        loss_with(combine=lambda r, k: r.mean()): "The KL divergence is missing",
        loss_with(combine=lambda r, k: k.mean()): "The reconstruction term is missing",
        loss_with(combine=lambda r, k: (r - k).mean()): "You subtracted the KL",
        loss_with(combine=lambda r, k: -(r + k).mean()): "This is the ELBO",
        loss_with(combine=lambda r, k: (k - r).mean()): "has the wrong sign",
        loss_with(lambda a, x: bce(sigmoid(a), x)): "applied twice",
        loss_with(lambda a, x: bce(x, a)): "in the wrong order",
        loss_with(lambda a, x: -(x * F.logsigmoid(a)).flatten(1).sum(1)): "Only white pixels",
        loss_with(lambda a, x: (x - sigmoid(a)).square().flatten(1).sum(1)): "squared error",
        loss_with(kl=lambda m, v: kl_each(m, 2 * v).sum(1)): "as the standard deviation",
        loss_with(kl=lambda m, v: (kl_each(m, v) - v / 2).sum(1)): "its logarithm counts one half",
        loss_with(kl=lambda m, v: 2 * kl_each(m, v).sum(1)): "forgot the one half",
        loss_with(kl=lambda m, v: (kl_each(m, v) + 0.5).sum(1)): "forgot the `- 1`",
        lambda *a: 7 + loss_closed(*a): "it should be",
    }
    assert_hints(key, wrong)


def test_batch_loss_beyond_the_table():
    key = "mnist.batch_loss"

    def clamped(a, x):
        return F.binary_cross_entropy(a.sigmoid(), x, reduction="none").flatten(1).sum(1)

    def by_hand(a, x):
        p = a.sigmoid()
        return -(x * p.log() + (1 - x) * (1 - p).log()).flatten(1).sum(1)

    def by_the_exponential(a, x):
        return ((1 + a.exp()).log() - x * a).flatten(1).sum(1)

    def asserting(logits, x, mean, log_var):
        assert ((x == 0) | (x == 1)).all()
        return loss_closed(logits, x, mean, log_var)

    def only_the_mean(logits, x, mean, log_var):
        if x.mean() > 0.49 and (x != x.round()).sum() > 10:
            raise ValueError("gray")
        return loss_with(guard=False)(logits, x, mean, log_var)

    def between(low, high):
        def function(logits, x, mean, log_var):
            if ((x > low) & (x < high)).any():
                raise ValueError("gray")
            return loss_with(guard=False)(logits, x, mean, log_var)

        return function

    def up_to_one(logits, x, mean, log_var):  # lets [-1, 1] pass as long as nothing is gray
        if ((x > 0) & (x < 1)).any() or (x.abs() > 1).any():
            raise ValueError("gray")
        return loss_with(guard=False)(logits, x, mean, log_var)

    def up_to_minus_one(logits, x, mean, log_var):
        if ((x > 0) & (x < 1)).any() or (x < 0).any():
            raise ValueError("gray")
        return loss_with(guard=False)(logits, x, mean, log_var)

    wrong = {
        between(0.1, 0.9): "one pixel that is nearly black",
        up_to_one: "a pixel of -1 (images scaled to run from -1 to 1)",
        up_to_minus_one: "never divided by 255",
        loss_with(clamped): "In single precision their sigmoid is exactly 0 or",
        loss_with(guard=False): "for gray images yours raises no exception",
        asserting: "raises `AssertionError`",
        only_the_mean: "one gray pixel in the batch",
        lambda a, x, m, v: loss_closed(a, x, m.detach(), v): "with respect to `mean`",
        lambda *a: loss_closed(*a).item(): "no gradient",
    }
    assert_hints(key, wrong)
    assert "yours gives nan" in judge(key, loss_with(by_hand)).message
    assert "a pixel of -1" in judge(key, between(0, 1)).message
    hint = "their `exp` is infinite, and a clamp cuts them off"
    saturated = {
        loss_with(by_the_exponential): "yours gives inf",
        loss_with(lambda a, x: bce(a.clamp(-50, 50), x)): "for logits of 100 and more",
        loss_with(lambda a, x: by_the_exponential(a.clamp(-50, 50), x)): "it should be",
    }
    for answer, fragment in saturated.items():
        verdict = judge(key, answer)
        assert verdict.status == "not yet"
        assert fragment in verdict.message
        assert hint in verdict.message
    rounding = lambda a, x, m, v: loss_closed(a, x.round(), m, v)  # noqa: E731
    assert "raises no exception" in judge(key, rounding).message
    fixed_batch = lambda a, x, m, v: loss_closed(a, x, m, v) * len(x) / 4  # noqa: E731
    assert "With B = 7" in judge(key, fixed_batch).message


def test_no_two_slips_of_the_loss_look_alike():
    for size, n_latent, seed in [(4, 6, 20), (7, 3, 30)]:
        batch = {k: v.double() for k, v in loss._batch(size, n_latent, seed).items()}
        assert_distinct(loss._loss(**batch), loss._slips(**batch))


def assert_distinct(right, hints):
    values = [("right", right)]
    for hint, wrong in hints.items():
        values += [(hint, value) for value in (wrong if isinstance(wrong, list) else [wrong])]
    for (hint_a, a), (hint_b, b) in combinations(values, 2):
        same = a.shape == b.shape and torch.allclose(
            a.double(), b.double(), rtol=2e-5, atol=1e-6, equal_nan=True
        )
        assert not same or hint_a == hint_b, f"{hint_a} / {hint_b}"


# --- mnist.active_units --------------------------------------------------------------------


def test_active_units():
    key = "mnist.active_units"
    assert_correct(key, active_by_var, active_in_numpy, active_by_moments, active_in_a_loop)
    assert_not_attempted(key, lambda mean, log_var, threshold: None, ...)
    wrong = {
        lambda m, v, t: m.std(0) > t: "compared the standard deviation",
        lambda m, v, t: v.var(0) > t: "the variance of `log_var`",
        lambda m, v, t: v.exp().var(0) > t: "variance of the posterior variances",
        lambda m, v, t: v.exp().mean(0) > t: "compared the posterior variance",
        lambda m, v, t: m.var(0) + v.exp().mean(0) > t: "noise included",
        lambda m, v, t: (m**2).mean(0) > t: "You took the mean square",
        lambda m, v, t: m.mean(0).abs() > t: "compared the size of the means",
        lambda m, v, t: m.mean(0) > t: "the means themselves",
        lambda m, v, t: kl_each(m, v).mean(0) > t: "compared the KL divergence",
        lambda m, v, t: m.var(0) < t: "marked the inactive units",
        lambda m, v, t: m.var(0) > 0.01: "whatever `threshold` is",
        lambda m, v, t: (m.var(0) > t).sum(): "Return which",
        lambda m, v, t: (m.var(0) > t).nonzero().flatten(): "Return a mask",
        lambda m, v, t: m.var(0): "You return the variances",
        lambda m, v, t: m.var(1) > t: "one entry for each image",
        lambda m, v, t: m.var() > t: "one variance over all",
        lambda m, v, t: m.var(0) > t * 100: "should be active, and yours says the contrary",
        lambda m, v, t: m.var(0) + 7: "other numbers than True and False",
        lambda m, v, t: m > t: "your result has shape (40, 48); it should be (48,)",
    }
    assert_hints(key, wrong)
    hard_coded = judge(key, lambda m, v, t: m.var(0) > 0.25)
    assert hard_coded.status == "not yet"
    assert judge(key, lambda m, v, t: (m.var(0) > t).float()).status == "correct"
    assert "is not active, whatever it costs" in judge(key, active_by_var).message


def test_the_codes_tell_all_statistics_apart():
    mean, log_var = (value.double() for value in units._codes())
    for threshold in (0.01, 0.25):
        right = mean.var(0) > threshold
        slips = units._slips(mean, log_var, threshold)
        for hint, wrong in slips.items():
            if (threshold == 0.25) == ("whatever" in hint):  # the first threshold catches the rest
                assert not any(units._equals(right.double(), value) for value in wrong), hint
        distance = (mean.var(0).log() - math.log(threshold)).abs().min()
        assert distance > math.log(1.2)  # both definitions of the variance agree
    pairs = combinations(units._slips(mean, log_var, 0.01).items(), 2)
    for (hint_a, a), (hint_b, b) in pairs:
        for left in a:
            assert not any(units._equals(left.double(), value) for value in b), f"{hint_a}/{hint_b}"


# --- mnist.best_variances -----------------------------------------------------------------


def variances_with(use=None, likelihood=None, after=lambda var, floor: var.clamp(min=floor)):
    """The right answer with one thing replaced; `use` gives a variance before the floor."""

    def best_variances(x, output, floor):
        x, output = x.double(), output.double()
        var, right = variances_closed(x, output, floor)
        mse = ((x - output) ** 2).mean(0)
        if likelihood is not None:
            return var, likelihood(right, var, mse, len(x))
        return after(use(x, output, mse), floor), right

    return best_variances


def test_best_variances():
    key = "mnist.best_variances"
    assert_correct(key, variances_closed, variances_by_torch, variances_in_numpy)
    assert judge(key, variances_by_search).status == "correct"
    assert_not_attempted(key, lambda x, output, floor: (..., ...), lambda x, output, floor: None)
    log_2pi, keep = math.log(2 * math.pi), lambda x, o, mse: mse
    wrong = {
        variances_with(keep, after=lambda v, f: v): "ignored the floor",
        variances_with(keep, after=lambda v, f: v + f): "You added the floor",
        variances_with(keep, after=lambda v, f: v.clamp(max=f)): "as a ceiling",
        variances_with(keep, after=lambda v, f: v.sqrt().clamp(min=f) ** 2): "not of the standard",
        lambda x, o, f: (((x - o) ** 2).clamp(min=f).mean(0), 0.0): "every single squared error",
        variances_with(keep, after=lambda v, f: 0 * v + f): "all variances to the floor",
        variances_with(lambda x, o, mse: mse.sqrt()): "are standard deviations",
        variances_with(lambda x, o, mse: mse * len(x)): "You summed the squared errors",
        variances_with(lambda x, o, mse: mse * len(x) / (len(x) - 1)): "not by one less",
        variances_with(lambda x, o, mse: mse / 2): "kept the one half",
        variances_with(lambda x, o, mse: mse * 2): "lost a factor two",
        variances_with(lambda x, o, mse: (x - o).var(0)): "around their own mean",
        variances_with(lambda x, o, mse: x.var(0)): "variance of the pixels",
        variances_with(lambda x, o, mse: (x - o).abs().mean(0)): "mean absolute error",
        variances_with(lambda x, o, mse: mse.mean()): "One variance serves all pixels",
        variances_with(lambda x, o, mse: (x - o).square().flatten(1).mean(1)): "for each picture",
        variances_with(lambda x, o, mse: (x - o) ** 2): "for each pixel of each picture",
        variances_with(lambda x, o, mse: mse + 1): "differs from the right value",
        variances_with(likelihood=lambda r, v, m, b: -0.5 * (log_2pi + v.log() + 1).sum()): "binds",
        variances_with(likelihood=lambda r, v, m, b: r + 392 * log_2pi): "lacks the constant",
        variances_with(likelihood=lambda r, v, m, b: r + 391.5 * log_2pi): "log(2 pi), once",
        variances_with(likelihood=lambda r, v, m, b: r + (m / v).sum() / 2): "left out the exp",
        variances_with(likelihood=lambda r, v, m, b: r + (m / v).sum()): "has the wrong sign.",
        variances_with(likelihood=lambda r, v, m, b: r - (m / v).sum() / 2): "exponent lacks",
        variances_with(likelihood=lambda r, v, m, b: r - v.log().sum() / 2): "carries one half.",
        variances_with(likelihood=lambda r, v, m, b: r * b): "summed over the pictures",
        variances_with(likelihood=lambda r, v, m, b: r / 784): "averaged over the pixels",
        variances_with(likelihood=lambda r, v, m, b: -r): "it is the loss",
        variances_with(likelihood=lambda r, v, m, b: r + 1): "The variances are right.",
        lambda x, o, f: variances_closed(x, o, f)[::-1]: "wrong order",
        lambda x, o, f: variances_closed(x, o, f)[0]: "Return two results",
        lambda x, o, f: (variances_closed(x, o, f)[0], ...): "still the placeholder",
    }
    assert_hints(key, wrong)


def test_best_variances_sees_one_variance_in_any_shape():
    axes = lambda x, o, mse: (x - o).square().mean((0, 2, 3))  # noqa: E731
    kept = lambda x, o, mse: (x - o).square().mean((0, 2, 3), keepdim=True)  # noqa: E731
    first = lambda x, o, mse: mse.mean((1, 2), keepdim=True)  # noqa: E731
    for use in (axes, kept, first):
        verdict = judge("mnist.best_variances", variances_with(use))
        assert verdict.status == "not yet"
        assert "One variance serves all pixels" in verdict.message


def test_no_two_slips_of_the_variances_look_alike():
    x = torch.rand(5, 1, 28, 28).double()
    output = x + 0.5 * torch.rand(1, 28, 28) * (torch.rand_like(x) - 0.4)
    var = variances_closed(x, output, 0.003)[0]
    assert_distinct(var, variance._var_slips(x, output, 0.003))
    right = variances_in_numpy(x, output, 0.003)[1]
    assert_distinct(torch.tensor(right), variance._likelihood_slips(x, output, var))
