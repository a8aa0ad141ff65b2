"""Answers to the exercises of chapter 3: right ones in several styles, and wrong ones."""

import math

import numpy as np
import torch
from torch import nn
from torch.distributions import Bernoulli, ContinuousBernoulli, Normal, kl_divergence
from torch.nn import functional as F

from companion import gaussian, likelihoods

# --- 3.1 -----------------------------------------------------------------------------------


def size_formula(n, kernel, stride, padding, output_padding, dilation):
    return (n - 1) * stride + dilation * (kernel - 1) + 1 - 2 * padding + output_padding


def size_by_a_layer(n, kernel, stride, padding, output_padding, dilation):
    layer = nn.ConvTranspose2d(
        1, 1, kernel, stride, padding, output_padding, dilation=dilation, bias=False
    )
    return torch.tensor(layer(torch.zeros(1, 1, n, n)).shape[-1])


def size_by_counting(n, kernel, stride, padding, output_padding, dilation):
    reached = {i * stride + j * dilation for i in range(n) for j in range(kernel)}
    return float(max(reached) + 1 + output_padding - 2 * padding)


# --- 3.2 -----------------------------------------------------------------------------------


def require_binary(x):
    if not ((x == 0) | (x == 1)).all():
        raise ValueError("gray")


def bce(logits, x):
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)


def kl_each(mean, log_var):
    return 0.5 * (log_var.exp() + mean**2 - 1 - log_var)


def loss_by_torch(logits, x, mean, log_var):
    # It refuses gray pixels itself. Said aloud: torch.compile switches the default off.
    likelihood = Bernoulli(logits=logits, validate_args=True).log_prob(x).sum()
    q = Normal(mean, (0.5 * log_var).exp())
    return (kl_divergence(q, Normal(0.0, 1.0)).sum() - likelihood) / len(x)


def loss_closed(logits, x, mean, log_var):
    require_binary(x)
    return (bce(logits, x) - 0.5 * (1 + log_var - mean**2 - log_var.exp()).sum(1)).mean()


def loss_by_the_companion(logits, x, mean, log_var):
    log_likelihood = likelihoods.Bernoulli().log_prob(x, logits)
    return -(log_likelihood - gaussian.kl_to_standard(mean, log_var)).mean()


def loss_in_a_loop(logits, x, mean, log_var):
    if set(np.unique(x.numpy())) - {0.0, 1.0}:
        raise ValueError("gray")
    total = 0
    for row in range(len(x)):
        signs = 2 * x[row].double().flatten() - 1
        total = total - F.logsigmoid(signs * logits[row].double().flatten()).sum()
        for m, v in zip(mean[row], log_var[row], strict=True):
            total = total + (m**2 + v.exp() - v - 1) / 2
    return [total / len(x)][0].reshape(1)


def loss_with(reconstruction=bce, guard=require_binary, combine=lambda r, k: (r + k).mean()):
    """A loss with one thing wrong."""

    def loss(logits, x, mean, log_var):
        guard(x)
        return combine(reconstruction(logits, x), kl_each(mean, log_var).sum(1))

    return loss


def clamped_probability(a, x):
    return F.binary_cross_entropy(a.sigmoid(), x, reduction="none").flatten(1).sum(1)


def by_the_exponential(a, x):
    return ((1 + a.exp()).log() - x * a).flatten(1).sum(1)


def refusing(is_gray):
    """A loss that refuses only some of the images that are not binary."""

    def guard(x):
        if is_gray(x):
            raise ValueError("gray")

    return loss_with(guard=guard)


def asserting(logits, x, mean, log_var):
    assert ((x == 0) | (x == 1)).all()
    return loss_closed(logits, x, mean, log_var)


# --- 3.3 and 3.4 ---------------------------------------------------------------------------


def active_by_moments(mean, log_var, threshold):
    mean = mean.double()
    return ((mean**2).mean(0) - mean.mean(0) ** 2 > threshold).int()


def active_in_a_loop(mean, log_var, threshold):
    return [bool(((u - u.mean()) ** 2).sum() / (len(u) - 1) > threshold) for u in mean.T]


def variances_closed(x, output, floor):
    mse = ((x - output) ** 2).mean(dim=0)
    var = mse.clamp(min=floor)
    return var, -0.5 * (torch.log(2 * math.pi * var) + mse / var).sum()


def variances_by_torch(x, output, floor):
    var = F.mse_loss(output, x, reduction="none").mean(0, keepdim=True)
    var = torch.maximum(var, torch.tensor(floor))
    return [var, Normal(output, var**0.5).log_prob(x).sum() / x.shape[0]]


def variances_in_numpy(x, output, floor):
    residual = (x - output).double().numpy().reshape(len(x), -1)
    var = np.maximum(np.mean(residual**2, axis=0), floor)
    each = -0.5 * (np.log(2 * np.pi * var) + residual**2 / var)
    return var, each.sum(1).mean()


def variances_by_search(x, output, floor):
    """Golden-section search of every pixel's log-variance, above the floor: no derivative."""
    mse = ((x - output).double() ** 2).mean(0)

    def value(log_var):
        return -log_var - mse * (-log_var).exp()

    low, high = torch.full_like(mse, math.log(floor)), torch.full_like(mse, 3.0)
    ratio = (5**0.5 - 1) / 2
    for _ in range(70):
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        left = value(a) > value(b)
        low, high = torch.where(left, low, a), torch.where(left, b, high)
    var = ((low + high) / 2).exp()
    return var, Normal(output.double(), var.sqrt()).log_prob(x.double()).flatten(1).sum(1).mean()


# --- 3.5 -----------------------------------------------------------------------------------


def straight(start, end, n):
    return torch.lerp(start, end, torch.linspace(0, 1, n)[:, None, None])


def arc(start, end, n, angle):
    """The formula at an angle (B,), however it was found."""
    t, angle = torch.linspace(0, 1, n)[:, None, None], angle[:, None]
    return (((1 - t) * angle).sin() * start + (t * angle).sin() * end) / angle.sin()


def choosing(straight_if, cosine=F.cosine_similarity):
    """A path that is straight where a condition on the cosines, (B,), holds."""

    def path(start, end, n):
        close = straight_if(cosine(start, end))
        angle = cosine(start, end).clamp(-1, 1).acos()
        found = arc(start, end, n, torch.where(close, 1.0, angle))
        return torch.where(close[:, None], straight(start, end, n).to(found), found)

    return path


def path_closed(start, end, n):
    return choosing(lambda cosine: cosine > 0.9999995)(start, end, n)


def clamping(least, most):
    return lambda a, b, n: arc(a, b, n, F.cosine_similarity(a, b).clamp(least, most).acos())


def path_in_a_loop(start, end, n):
    points = []
    for i in range(n):
        t, row = i / (n - 1), []
        for a, b in zip(start.double(), end.double(), strict=True):
            angle = math.acos(min(max(float(a @ b / (a.norm() * b.norm())), -1.0), 1.0))
            if math.sin(angle) < 1e-7:
                row.append((1 - t) * a + t * b)
            else:
                u, v = math.sin((1 - t) * angle), math.sin(t * angle)
                row.append((u * a + v * b) / math.sin(angle))
        points.append(torch.stack(row))
    return torch.stack(points)


def path_by_rotation(start, end, n):
    """Turn the start's direction towards the end's within their plane."""
    length, other = start.norm(dim=1, keepdim=True), end.norm(dim=1, keepdim=True)
    a, b = start.double() / length, end.double() / other
    angle = 2 * torch.atan2((a - b).norm(dim=1), (a + b).norm(dim=1))[:, None] + 1e-9
    steps = []
    for t in np.linspace(0, 1, n):
        ease = torch.sin(t * angle) / torch.sin(angle)
        steps.append((torch.cos(t * angle) - torch.cos(angle) * ease) * start + ease * end)
    return torch.stack(steps).numpy()


COSINES = [
    lambda a, b: (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1)),
    lambda a, b: (F.normalize(a, dim=1) * F.normalize(b, dim=1)).sum(1),
    lambda a, b: torch.einsum("bd,bd->b", a, b) / ((a**2).sum(1) * (b**2).sum(1)).sqrt(),
    lambda a, b: F.cosine_similarity(a.double(), b.double()),
]


def with_one_if(decide):
    def path(a, b, n):
        cosine = F.cosine_similarity(a, b).clamp(-1, 1)
        return straight(a, b, n) if decide(cosine > 0.999999) else arc(a, b, n, cosine.acos())

    return path


def stays(a, b, n):
    found = clamping(-1, 1)(a, b, n)
    return torch.where(found.isnan(), a, found)


def with_a_small_number(a, b, n):
    t = torch.linspace(0, 1, n)[:, None, None]
    angle = F.cosine_similarity(a, b).clamp(-1, 1).acos()[:, None]
    return (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / (angle.sin() + 1e-8)


def turned(a, b, n):  # as for quaternions
    sign = torch.where((a * b).sum(1) < 0, -1.0, 1.0)
    return arc(a, sign[:, None] * b, n, F.cosine_similarity(a, b).abs().acos())


def for_equal_codes(a, b, n):  # or for codes in the same direction, bit by bit
    cosine = F.cosine_similarity(a.double(), b.double()).float().clamp(-1, 1)
    same = torch.isclose(F.normalize(a), F.normalize(b), rtol=0, atol=1e-6).all(1)
    found = arc(a, b, n, torch.where(same, 1.0, cosine.acos()))
    return torch.where(same[:, None], straight(a, b, n), found)


def of_single_vectors(a, b, n):
    angles = [F.cosine_similarity(u, v).acos() for u, v in zip(a, b, strict=True)]
    return arc(a, b, n, torch.stack(angles))


# --- 3.6 -----------------------------------------------------------------------------------


def losses_of_the_text(encode, decode, x, eps, read=F.softplus):
    mean, log_var = encode(x)
    log_var = read(log_var)
    z = mean + log_var.exp() * eps
    bce = F.binary_cross_entropy_with_logits(decode(z), x)
    kl = 0.5 * (log_var.exp() + mean**2 - 1 - log_var).sum(dim=-1).mean()
    training = bce + kl
    reported = kl
    return training, reported


def losses_fixed(encode, decode, x, eps, read=lambda raw: raw):
    mean, log_var = encode(x)
    log_var = read(log_var)
    z = mean + (log_var / 2).exp() * eps
    bce = F.binary_cross_entropy_with_logits(decode(z), x, reduction="sum") / len(x)
    kl = 0.5 * (log_var.exp() + mean**2 - 1 - log_var).sum(dim=-1).mean()
    return bce + kl, bce + kl


def losses_by_torch(encode, decode, x, eps):
    mean, log_var = encode(x.reshape(-1, 784))
    q = Normal(mean, log_var.exp().sqrt())
    likelihood = Bernoulli(logits=decode(mean + q.stddev * eps).flatten(1)).log_prob(x.flatten(1))
    loss = (kl_divergence(q, Normal(0, 1)).sum(-1) - likelihood.sum(-1)).mean()
    return [loss, loss.item()]


def losses_reading(read):
    """Another meaning of the encoder's second output, in z and in the KL divergence alike."""
    return lambda *arguments: losses_fixed(*arguments, read=read)


# --- 3.7 -----------------------------------------------------------------------------------


def normalizer_even(logits):
    size = logits.abs()
    near = size < 0.1
    safe = torch.where(near, torch.ones_like(size), size)
    exact = logits / 2 + safe / 2 + torch.log1p(-torch.exp(-safe)) - safe.log()
    return torch.where(near, logits / 2 + logits**2 / 24 - logits**4 / 2880, exact)


def normalizer_in_float64(logits):
    value = logits.double()
    near = value.abs() < 1e-4
    safe = torch.where(near, 1.0, value)
    negative = -safe.abs()
    exact = torch.log(torch.expm1(negative) / negative) + safe.relu()
    return torch.where(near, value / 2 + value**2 / 24, exact)


def normalizer_of_the_chapter(logits):
    """The Bernoulli's normalizer, corrected by tanh(l / 2) / l."""
    safe = torch.where(logits.abs() < 1e-3, 1e-3, logits)
    return F.softplus(logits) + torch.log(torch.tanh(safe / 2) / safe)


def normalizer_by_quadrature(logits):
    """Gauss-Legendre quadrature of the integral, its largest value taken out first."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    x, w = torch.tensor((nodes + 1) / 2), torch.tensor(weights / 2)
    top = logits.double().clamp(min=0)
    return top + ((x * logits.double()[..., None] - top[..., None]).exp() @ w).log()


def closed_form(x):
    return (-torch.expm1(-x.abs()) / x.abs()).log() + x.clamp(min=0)


def naive(x):
    return ((x.exp() - 1) / x).log()


def log1p_of_exp(x):
    return torch.log1p(-torch.exp(-x.abs())) - x.abs().log() + x.clamp(min=0)


def overflows(x):
    return (x.expm1() / x).log()


def switching(reach, order=3, closed=closed_form, series=None):
    """A series within `reach`, and beyond it the closed form."""

    def function(x):
        near = x.abs() < reach
        safe = torch.where(near, 1.0, x)
        terms = [x / 2, x**2 / 24, -(x**4) / 2880][:order]
        return torch.where(near, series(x) if series else sum(terms), closed(safe))

    return function


def unsafe_where(x):
    return torch.where(x.abs() < 0.1, x / 2 + x**2 / 24 - x**4 / 2880, closed_form(x))


def bent(x, positive=torch.relu, size=torch.abs):
    """A series in |x|: right in its values, with a kink at 0."""
    s = size(x)
    series = positive(x) - s / 2 + s**2 / 24
    return torch.where(s < 0.1, series, closed_form(torch.where(s < 0.1, 1.0, x)))


def clamped(x):  # at its end a clamp passes the whole gradient on
    return bent(x, lambda x: x.clamp(min=0), lambda x: torch.maximum(x, -x))


def flat(x):
    return torch.where((x != 0) & (x.abs() < 1e-5), 0 * x, normalizer_even(x))


# --- tables --------------------------------------------------------------------------------

# What the text begins with.
STUBS = {"mnist.repair": [losses_of_the_text]}

RIGHT = {
    "mnist.transposed_size": [size_formula, size_by_a_layer, size_by_counting],
    "mnist.batch_loss": [
        loss_by_torch,
        loss_closed,
        loss_by_the_companion,
        loss_in_a_loop,
        lambda *a: loss_closed(*[value.double() for value in a]),
    ],
    "mnist.active_units": [
        lambda mean, log_var, threshold: mean.var(dim=0) > threshold,
        lambda mean, log_var, threshold: mean.numpy().astype(np.float64).var(axis=0) > threshold,
        active_by_moments,
        active_in_a_loop,
    ],
    "mnist.best_variances": [
        variances_closed,
        variances_by_torch,
        variances_in_numpy,
        variances_by_search,
    ],
    "mnist.path": [
        path_closed,
        path_in_a_loop,
        path_by_rotation,
        lambda a, b, n: path_in_a_loop(a, b, n).float(),
        *(choosing(lambda c: c > 1 - 2e-6, cosine) for cosine in COSINES),
        *(choosing(lambda c, least=least: c > least) for least in (0.99, 0.999, 0.9995)),
        clamping(-1 + 1e-6, 1 - 1e-6),
    ],
    "mnist.repair": [
        losses_fixed,
        losses_by_torch,
        losses_reading(lambda raw: 2 * raw),
        losses_reading(lambda raw: F.softplus(raw).log()),
        losses_reading(lambda raw: 2 * F.softplus(raw).log()),
    ],
    "mnist.log_normalizer": [
        normalizer_even,
        normalizer_in_float64,
        normalizer_of_the_chapter,
        normalizer_by_quadrature,
        *(switching(reach) for reach in (2e-4, 1e-3, 0.1, 0.5)),
        *(switching(reach, 2) for reach in (2e-4, 0.05, 0.4)),
        switching(0.01, 1),
        lambda x: switching(1e-3, 1)(x.double()),
    ],
}

# Written as a learner would, not taken from the check: each with a part of its hint.
WRONG = {
    "mnist.transposed_size": [
        (lambda n, k, s, p, o, c: (n - 1) * s + k - 2 * p + o, "left the dilation"),
        (lambda n, k, s, p, o, c: size_formula(n, k, s, p, o, c) + (s == 3), "yours gives"),
        (lambda *a: size_formula(*a) / 2, "A size is a whole number"),
        (lambda *a: (size_formula(*a), 0), "must be a number"),
        (  # right for the layers of the chapter only
            lambda *a: size_formula(*a) if a[1:5] == (4, 2, 1, 0) else 0,
            "Wrong in",
        ),
    ],
    "mnist.batch_loss": [
        (loss_with(lambda a, x: bce(a, x) / 784), "averaged over the pixels"),
        (loss_with(combine=lambda r, k: (r + k).sum()), "the sum over the batch"),
        (loss_with(lambda a, x: bce(a.sigmoid(), x)), "applied twice"),
        (lambda a, x, m, v: loss_closed(a, x, m, F.softplus(v)), "through a softplus"),
        (
            lambda a, x, m, v: loss_closed(a, x, m, v / 2) - v.sum(1).mean() / 4,
            "where the formula wants the var",
        ),
        (lambda a, x, m, v: loss_closed(a, x, m, 2 * v), "as the standard deviation"),
        (
            lambda a, x, m, v: loss_closed(a, x, m, v) + v.sum(1).mean() / 2,
            "left out the logarithm",
        ),
        (loss_with(clamped_probability), "For logits of 100 and more", "exactly 0 or 1"),
        (loss_with(by_the_exponential), "not finite", "their `exp` is infinite"),
        (loss_with(lambda a, x: bce(a.clamp(-50, 50), x)), "a clamp cuts them off"),
        (loss_with(guard=lambda x: None), "for gray images yours raises no exception"),
        (asserting, "raises `AssertionError`"),
        (refusing(lambda x: x.mean() > 0.49 and (x != x.round()).sum() > 10), "one gray pixel"),
        (refusing(lambda x: len(x.unique()) > 2), "how many different values"),
        (refusing(lambda x: ((x > 0.1) & (x < 0.9)).any()), "one pixel that is nearly black"),
        (refusing(lambda x: (x % 1 != 0).any() or (x > 1).any()), "a pixel of -1 (images scaled"),
        (refusing(lambda x: (x % 1 != 0).any() or (x < 0).any()), "never divided by 255"),
        (lambda a, x, m, v: loss_closed(a, x.round(), m, v), "raises no exception"),
        (lambda a, x, m, v: loss_closed(a, x, m.detach(), v), "with respect to `mean`"),
        (lambda *a: loss_closed(*a).item(), "no gradient"),
        (lambda a, x, m, v: loss_closed(a, x, m, v) * len(x) / 4, "With B = 7"),
    ],
    "mnist.active_units": [
        (lambda m, v, t: m.std(0) > t, "compared the standard deviation"),
        (lambda m, v, t: m.amax(0) - m.amin(0) > t, "not by their variance"),
        (lambda m, v, t: (m - m.mean(0)).abs().mean(0) > t, "not by their variance"),
        (lambda m, v, t: (m - m.mean(0)).norm(dim=0) ** 2 > t, "Their mean is the variance"),
        (lambda m, v, t: ((m - m.mean()) ** 2).mean(0) > t, "one average for all units"),
        (lambda m, v, t: kl_each(m, v).mean(0) > t, "compared the KL divergence"),
        (lambda m, v, t: m.var(0) > 0.01, "whatever `threshold` is"),
        (lambda m, v, t: m.var(0) > 0.25, "should be active, and yours says the contrary"),
        (lambda m, v, t: m.var(0) + 7, "other numbers than True and False"),
        (lambda m, v, t: m > t, "your result has shape (40, 96); it should be (96,)"),
    ],
    "mnist.best_variances": [
        (lambda x, o, f: (((x - o) ** 2).mean(0), 0.0), "ignored the floor"),
        (lambda x, o, f: ((x - o).var(0).clamp(min=f), 0.0), "around their own mean"),
        *(
            (lambda x, o, f, dim=dim: (((x - o) ** 2).mean(dim), 0.0), "One variance serves all")
            for dim in ((0, 2, 3), (0, 1, 2, 3))
        ),
        (lambda x, o, f: variances_closed(x, o, 0.0), "What is the floor for?"),
        (lambda x, o, f: variances_by_torch(x, o, 0.0), "What is the floor for?"),
        (lambda *a: variances_closed(*a)[::-1], "wrong order"),
        (lambda x, o, f: variances_closed(x, o, 0.03), "With B = 3 and floor = 0.004"),
        (lambda *a: variances_closed(*a)[0], "Return 2 results"),
        (lambda *a: (variances_closed(*a)[0], ...), "still the placeholder"),
        (
            lambda *a: (variances_closed(*a)[0], 1 + variances_closed(*a)[1]),
            "the log-likelihood is ",
            "The tensor of variances is right.",
        ),
    ],
    "mnist.path": [
        (straight, "This is the straight line"),
        (lambda a, b, n: path_closed(b, a, n), "from the end to the start"),
        (lambda a, b, n: arc(a, b, n, (a * b).sum(1).acos()), "holds NaN at"),
        (
            lambda a, b, n: arc(a, b, n, F.cosine_similarity(a, b).acos().mean()[None]),
            "one angle for the whole batch",
        ),
        (turned, "You turned a code around"),
        (of_single_vectors, "vectors, say `dim=0`"),
        (lambda a, b, n: path_closed(a, b, n) + 0.1, "off by the same amount"),
        (
            lambda a, b, n: arc(a, b, n, F.cosine_similarity(a, b).acos()),
            "for equal codes the path holds NaN",
        ),
        (stays, "For codes in the same direction, your path differs"),
        (with_a_small_number, "For equal codes, your path differs"),
        (clamping(-0.9, 0.9), "differs"),
        *((with_one_if(decide), "choose with `torch.where`") for decide in (torch.any, torch.all)),
        (choosing(lambda c: c > math.cos(0.4)), "For codes at an angle of 0.3, your path differs"),
        *(
            (choosing(lambda c, most=most: c.abs() > most), "the straight line from you")
            for most in (0.99, 0.999, 0.9995)
        ),
        *((clamping(-most, most), "The cosine is cut off") for most in (0.999, 0.9995, 0.99999)),
        (for_equal_codes, "for nearly equal codes the path holds NaN"),
    ],
    "mnist.repair": [
        (
            lambda *a: losses_of_the_text(*a, read=lambda raw: raw),
            "3 faults left. If you are stuck, look at what multiplies the noise",
        ),
        (
            lambda e, d, x, noise: losses_fixed(e, d, x, torch.randn_like(noise)),
            "noise of its own",
        ),
        (
            lambda e, d, x, noise: (
                losses_fixed(e, d, x, noise)[0],
                losses_fixed(e, d, x, 0 * noise)[1],
            ),
            "decodes the mean",
            "the same `noise`",
        ),
        (lambda e, d, x, noise: losses_fixed(e, d, x, 0 * noise), "No noise reaches the code"),
        (lambda e, d, x, noise: losses_fixed(e, lambda z: d(z).sigmoid(), x, noise), "twice"),
        (lambda *a: losses_fixed(*a)[0], "the training loss, the second number"),
        (lambda *a: (losses_fixed(*a)[0], ...), "still the placeholder"),
        (lambda *a: (losses_fixed(*a)[0].detach(), losses_fixed(*a)[1]), "no gradient"),
        (lambda *a: tuple(1 + loss for loss in losses_fixed(*a)), "The training loss is"),
    ],
    "mnist.log_normalizer": [
        (F.softplus, "the normalizer of a Bernoulli"),
        (lambda x: 1 + normalizer_even(x), "off by the same amount"),
        (naive, "at a logit of 0 (here 0) the value is nan: the formula divides 0 by 0"),
        (closed_form, "at a logit of 0 (here 0) the value is nan"),
        (switching(1e-12, closed=naive), "for logits near 0 (here 1e-08) the value is -inf"),
        (switching(1e-5, closed=naive), "near 0 the value is inexact", "cancels"),
        (switching(1e-4, closed=log1p_of_exp), "near 0 the value is inexact", "cancels"),
        (switching(2e-3, closed=log1p_of_exp), "near 0 the gradient is inexact", "larger logit"),
        (switching(1e-6), "near 0 the gradient is inexact", "larger logit"),
        (switching(2e-5), "near 0 the gradient is inexact", "larger logit"),
        *(  # a series inside the logarithm
            (switching(reach, series=lambda x: torch.log1p(x / 2)), "near 0 the", "inside a log")
            for reach in (0.006, 0.02, 0.3)
        ),
        *(
            (
                switching(reach, series=lambda x, by=by: x / 2 + x**2 / by),
                "a coefficient of your series",
            )
            for reach, by in ((0.01, 8), (0.02, -24), (0.05, 12), (0.1, 48), (0.3, 8), (0.1, -24))
        ),
        *(
            (
                switching(0.7, series=lambda x, by=by: x / 2 + x**2 / 24 + x**4 / by),
                "a coefficient of your series",
            )
            for by in (2880, -1440, -720)
        ),
        (switching(0.35, 1), "between 0.01 and 1.5 the value is inexact", "Use it closer to 0"),
        (switching(1.4, 2), "A series with few terms is exact only"),
        (switching(0.015, 1), "1.5 the gradient is inexact", "Use it closer to 0"),
        (switching(2.4, 3), "a series reaches too far"),
        (switching(0.05, closed=overflows), "`exp` overflows at 89"),
        (lambda x: switching(0.05, closed=overflows)(x.clamp(-80, 80)), "a clamp, or a"),
        (unsafe_where, "both branches are computed"),
        (lambda x: torch.where(x == 0, 0.0, normalizer_even(x)), "is 0 and should be 0.5"),
        (clamped, "at a logit of 0 the gradient is inexact. At 0 it is 1 and should be 0.5"),
        (bent, "`abs`, `relu` and `clamp` bend at 0"),
        (flat, "Something is constant"),
        (lambda x: -ContinuousBernoulli(logits=x).log_prob(0 * x), "`torch.distributions.Cont"),
        (lambda x: normalizer_even(x).detach(), "no gradient"),
        *(
            (lambda x, o=o: ((x.exp() - 1 + o) / (x + o)).log(), hint)
            for o, hint in (
                (1e-8, "inexact"),
                (1e-6, "inexact"),
                (1e-4, "a series reaches too far"),
            )
        ),
    ],
}
