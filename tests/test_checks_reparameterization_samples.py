"""The checks of chapter 2 that judge how samples are made: the trick, the coin, the mixture."""

import math
from itertools import combinations, product

import pytest
import torch
from check_helpers import assert_correct, assert_hints, assert_not_attempted, judge
from reparameterization_answers import (
    coin_added,
    coin_by_function,
    coin_by_softmax,
    coin_with,
    joint_density,
    move_by_logsumexp,
    move_by_softmax,
    move_in_a_loop,
    trick_by_examples,
    trick_by_noise,
    trick_by_torch,
    trick_fixed,
    trick_in_a_loop,
    trick_stub,
    trick_with,
)
from torch.distributions import Laplace, Normal

from companion.checks._registry import find
from companion.checks.reparameterization import discrete, implicit

TRICK = "reparameterization.fix_the_trick"
COIN = "reparameterization.straight_through"
MOVE = "reparameterization.implicit"


# --- the broken trick ----------------------------------------------------------------------


def changed(z=lambda z, mean, log_var: z, log_q=lambda log_q, *_: log_q):
    """The right sample with its z, or its log q(z), changed afterwards."""

    def sample(mean, log_var):
        value, density = trick_fixed(mean, log_var)
        return z(value, mean, log_var), log_q(density, value, mean, log_var)

    return sample


def density_of(z, mean, log_var, *, detach=False):
    z = z.detach() if detach else z
    return Normal(mean, (log_var / 2).exp()).log_prob(z)


def with_noise(noise):
    return trick_with(noise=noise)


def test_fix_the_trick():
    assert_correct(TRICK, trick_fixed, trick_by_torch, trick_by_noise, trick_in_a_loop)
    assert_correct(TRICK, trick_by_examples, trick_with(density=2))
    # The stub's function comes from the book: every fault is still in it.
    assert_not_attempted(TRICK, trick_stub, trick_with(torch.rand_like, False, 1), ...)

    def no_path_for_log_var(mean, log_var):
        z = mean + (log_var.detach() / 2).exp() * torch.randn_like(mean)
        return z, density_of(z, mean, log_var).sum(-1)

    def by_sample(mean, log_var):
        q = Normal(mean, (log_var / 2).exp())
        z = q.sample()
        return z, q.log_prob(z).sum(-1)

    wrong = {
        with_noise(torch.rand_like): "- the noise: how often",
        trick_with(graph=False): "- the graph: what does autograd see",
        trick_with(density=1): "- log q(z): which of its terms",
        with_noise(lambda s: torch.rand_like(s) - 0.5): "has the variance 0.08",
        with_noise(lambda s: (torch.rand_like(s) - 0.5) * math.sqrt(12)): "it is not Gaussian",
        with_noise(lambda s: torch.randn(s.shape[1])): "used more than once",
        with_noise(torch.zeros_like): "the noise is gone",
        with_noise(lambda s: torch.randn_like(s) + 0.5): "has the mean 0.5",
        trick_with(scale=1.0): "multiply the noise by the variance",
        trick_with(scale=0.25): "by the root of the standard deviation",
        trick_with(scale=0.0): "does not depend on `log_var`",
        trick_with(noise=lambda s: 2 * s.log() / s * torch.randn_like(s)): "noise by `log_var`",
        no_path_for_log_var: "z's gradient by `log_var`",
        changed(log_q=lambda q, z, *a: density_of(z, *a, detach=True).sum(-1)): "total one",
        changed(log_q=lambda q, *a: q.detach()): "no gradient passes through log q(z)",
        changed(log_q=lambda q, *a: density_of(*a)): "sum over the last axis only",
        changed(log_q=lambda q, *a: q - a[2].sum(1) / 2): "Yours has log(var)",
        changed(log_q=lambda q, *a: -q): "sign of log q(z)",
        changed(log_q=lambda q, *a: q.exp()): "not its logarithm",
        changed(log_q=lambda q, *a: q + math.log(2 * math.pi)): "lost its constant",
        changed(log_q=lambda q, *a: q[:, None]): "(1500, 1); it should be (1500,)",
        changed(z=lambda z, *a: z[:, 0]): "z has shape (1500,)",
        changed(z=lambda z, *a: z * float("nan")): "NaN or infinity",
        lambda mean, log_var: trick_fixed(mean, log_var)[0]: "Return two tensors",
    }
    same = {answer: text for answer, text in wrong.items() if "how often" not in text}
    assert_hints(TRICK, same)
    for answer, fragment in wrong.items():
        assert fragment in judge(TRICK, answer).message
    assert "the graph: what" in judge(TRICK, by_sample).message


def test_fix_the_trick_tells_other_noise_from_gaussian():
    for noise in (
        lambda s: Laplace(0 * s, 0 * s + math.sqrt(0.5)).sample(),
        lambda s: torch.randn_like(s).sign(),
    ):
        assert "it is not Gaussian" in judge(TRICK, with_noise(noise)).message


def test_fix_the_trick_finds_shared_noise():
    for shape in ((1500, 1), (1, 2), (), (1,)):
        message = judge(TRICK, with_noise(lambda s, shape=shape: torch.randn(shape))).message
        assert "used more than once" in message


def test_fix_the_trick_names_every_fault_that_is_left():
    faults = {"noise": torch.rand_like, "graph": False, "density": 1}
    fragments = {"noise": "- the noise", "graph": "- the graph", "density": "- log q(z)"}
    for count in (1, 2):
        for names in combinations(faults, count):
            message = judge(TRICK, trick_with(**{name: faults[name] for name in names})).message
            assert message.startswith(f"{count} fault{'s' if count > 1 else ''} left")
            for name, fragment in fragments.items():
                assert (fragment in message) == (name in names)


def test_fix_the_trick_knows_half_repaired_densities():
    def half(of_log, of_square):
        def sample(mean, log_var):
            z, _ = trick_fixed(mean, log_var)
            std = (log_var / 2).exp()
            square = (z - mean) ** 2 / std**of_square
            return z, -0.5 * (math.log(2 * math.pi) + of_log * std.log() + square).sum(-1)

        return sample

    for answer in (half(1, 2), half(2, 1), half(1, 1)):
        assert "1 fault left" in judge(TRICK, answer).message
    for answer in (half(1, 2), half(2, 1)):
        assert "one of its two terms is right now" in judge(TRICK, answer).message
    assert judge(TRICK, half(2, 2)).status == "correct"
    assert "squared once too often" in judge(TRICK, half(2, 4)).message


@pytest.mark.parametrize("seed", [*range(20), 42, 123, 1234])
def test_fix_the_trick_accepts_every_seed(seed):
    generator = torch.Generator().manual_seed(seed)
    sample = trick_with(lambda s: torch.randn(s.shape, generator=generator))
    assert judge(TRICK, sample).status == "correct"
    torch.manual_seed(seed)
    assert judge(TRICK, trick_by_torch).status == "correct"


def test_fix_the_trick_wants_fresh_noise_in_each_call():
    def seeded_inside(mean, log_var):
        generator = torch.Generator().manual_seed(0)
        return trick_with(lambda s: torch.randn(s.shape, generator=generator))(mean, log_var)

    def seeded_globally(mean, log_var):
        torch.manual_seed(3)
        return trick_fixed(mean, log_var)

    for answer in (seeded_inside, seeded_globally):
        assert "do not set a seed inside" in judge(TRICK, answer).message


# --- the coin ------------------------------------------------------------------------------


def test_straight_through():
    assert_correct(COIN, coin_added, coin_by_function, coin_by_softmax, coin_with())
    assert_not_attempted(COIN, lambda logits, noise, temperature: ..., None)

    def gumbel(u):
        return -(-u.log()).log()

    wrong = {
        lambda a, u, t: ((a - u.logit()) / t).sigmoid(): "This is the soft coin",
        lambda a, u, t: a.sigmoid(): "These are the probabilities",
        coin_with(hard=lambda a, u, t: u < a): "Compare it with the probability",
        coin_with(hard=lambda a, u, t: u > a.sigmoid()): "1 where u is smaller",
        coin_with(hard=lambda a, u, t: a + u.logit() > 0): "with the wrong sign: it makes",
        coin_with(hard=lambda a, u, t: u < (a / t).sigmoid()): "must not change z",
        coin_with(hard=lambda a, u, t: a > 0): "left the noise out",
        coin_with(hard=lambda a, u, t: a + gumbel(u) > 0): "the difference of two",
        lambda a, u, t: 2 * coin_added(a, u, t) - 1: "not -1 and 1",
        lambda a, u, t: (u < a.sigmoid()) + ((a - u.logit()) / t).sigmoid(): "added the soft coin",
        lambda a, u, t: (u < a.sigmoid()).float(): "a comparison is flat",
        lambda a, u, t: u < a.sigmoid(): "dtype `torch.bool`",
        lambda a, u, t: coin_added(a.detach(), u, t) + 0 * a: "detached as well",
        coin_with(soft=lambda a, u, t: a): "that of the probability",
        lambda a, u, t: (u < a.sigmoid()).float() + a - a.detach(): "the logit itself",
        coin_with(soft=lambda a, u, t: (a + u.logit()) / t): "noise has the wrong sign",
        coin_with(soft=lambda a, u, t: a - u.logit()): "the temperature is missing",
        coin_with(soft=lambda a, u, t: (a - u.logit()) * t): "you multiply by the temperature",
        coin_with(soft=lambda a, u, t: a / t - u.logit()): "divides the logit alone",
        coin_with(soft=lambda a, u, t: (a + gumbel(u)) / t): "not the one that decides",
        coin_with(scale=-1.0): "The gradient has the wrong sign",
        coin_with(scale=2.0): "twice the soft coin's",
        coin_with(scale=0.5): "0.5 times what it should be",
    }
    assert_hints(COIN, wrong)


@pytest.mark.parametrize("margin", [0.1, 0.05, 0.01])
def test_straight_through_sees_noise_that_is_cut_off(margin):
    for inside in (False, True):  # everywhere, or in the soft coin only

        def coin(logits, noise, temperature, inside=inside):
            cut = noise.clamp(margin, 1 - margin)
            soft = torch.sigmoid((logits - cut.logit()) / temperature)
            hard = (noise if inside else cut) < logits.sigmoid()
            return hard.float() + soft - soft.detach()

        assert "Is it cut off" in judge(COIN, coin).message

    def careful(logits, noise, temperature):
        return coin_added(logits, noise.clamp(1e-6, 1 - 1e-6), temperature)

    assert judge(COIN, careful)


def test_straight_through_far_out():
    def overflows(logits, noise, temperature):
        odds = logits.exp() * (1 - noise) / noise
        soft = odds ** (1 / temperature) / (1 + odds ** (1 / temperature))
        return (soft > 0.5).float() + soft - soft.detach()

    message = judge(COIN, overflows).message
    assert "With the logits 300 and -300, " in message


# --- the mixture ---------------------------------------------------------------------------


def quantile(u, weights, means, stds):
    """The inverse of the mixture's distribution function, by bisection."""
    low, high = torch.full_like(u, -30.0), torch.full_like(u, 30.0)
    for _ in range(80):
        middle = (low + high) / 2
        below = (weights * Normal(means, stds).cdf(middle[:, None])).sum(1) < u
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return (low + high) / 2


def move_by_differences(z, weights, means, stds):
    """Moves each mean and inverts the distribution function again: no density is used."""
    z, weights, means, stds = (value.double() for value in (z, weights, means, stds))
    u = (weights * Normal(means, stds).cdf(z[:, None])).sum(1)
    steps = 1e-4 * torch.eye(len(means), dtype=torch.float64)
    pairs = [
        (quantile(u, weights, means + step, stds), quantile(u, weights, means - step, stds))
        for step in steps
    ]
    return torch.stack([(up - down) / 2e-4 for up, down in pairs], dim=1)


def test_the_key_of_implicit_is_how_the_quantile_moves():
    for case in find(MOVE).task.cases[:2]:
        values = list(case.double().values())
        torch.testing.assert_close(
            implicit.move_exact(*values), move_by_differences(*values), rtol=1e-6, atol=1e-6
        )


def test_implicit():
    assert_correct(MOVE, move_by_softmax, move_by_logsumexp, move_in_a_loop)
    assert_not_attempted(MOVE, lambda z, weights, means, stds: ..., ...)

    def shares(joint):
        return joint / joint.sum(1, keepdim=True)

    wrong = {
        lambda *a: -move_by_softmax(*a): "The sign is wrong",
        joint_density: "did not divide by q(z)",
        lambda z, w, m, s: move_by_softmax(z, torch.ones_like(w), m, s): "left out the weights",
        lambda *a: (move_by_softmax(*a) == move_by_softmax(*a).amax(1, True)).float(): (
            "one component everything"
        ),
        lambda z, w, m, s: w.expand(len(z), -1): "before z is known",
        lambda z, w, m, s: move_by_softmax(z, w, m, s**2): "You squared the standard",
        lambda z, w, m, s: (w.log() - ((z[:, None] - m) / s) ** 2 / 2).softmax(-1): "factor 1/σ_k",
        lambda z, w, m, s: joint_density(z, w, m, s) * s / joint_density(z, w, m, s).sum(1, True): (
            "has a factor 1/σ."
        ),
        lambda z, w, m, s: shares(w * Normal(m, s).cdf(z[:, None])): "distribution functions",
        lambda *a: 1 / move_by_softmax(*a): "wrong direction",
        lambda *a: joint_density(*a) / joint_density(*a).sum(0): "over the samples",
        lambda *a: move_by_softmax(*a).T: "axes are swapped",
        lambda z, w, m, s: move_by_softmax(z, w, m, s) * (z[:, None] - m) / s**2: "so that F(z)",
        lambda *a: move_by_softmax(*a).log(): "the logarithm of the result",
        lambda *a: shares(joint_density(*a)): "at z = 40 the result is not finite",
        lambda *a: move_by_softmax(*a) / 2: "Every entry is 0.5 times",
        lambda *a: joint_density(*a) / (joint_density(*a).sum(1, True) + 1e-30): "At z = 40",
    }
    assert_hints(MOVE, wrong)
    for lost in (
        lambda *a: shares(joint_density(*a)).nan_to_num(),
        lambda *a: joint_density(*a) / (joint_density(*a).sum(1, True) + 1e-12),
        lambda *a: joint_density(*a) / joint_density(*a).sum(1, True).clamp_min(1e-12),
    ):
        assert "the information is lost before you divide" in judge(MOVE, lost).message


# --- no two misconceptions may look alike --------------------------------------------------


def assert_distinct(table):
    entries = [(hint, value) for hint, values in table.items() for value in values]
    for (hint_a, a), (hint_b, b) in product(entries, repeat=2):
        same = a.shape == b.shape and torch.allclose(a, b, rtol=1e-3, atol=1e-3)
        assert not same or hint_a == hint_b, f"{hint_a} / {hint_b}"


def test_the_inputs_tell_all_misconceptions_apart():
    logits, noise = discrete.example()
    weight = discrete.uniform(0.5, 3, 4, 3, seed=5)
    gradient = weight * discrete._slope((logits - noise.logit()) / 0.4) / 0.4
    assert_distinct({"right": [gradient], **discrete.gradient_slips(logits, noise, 0.4, weight)})
    right = (noise < logits.sigmoid()).float()
    for temperature in (0.4, 2.5):
        slips = discrete._value_slips(logits, noise, temperature)
        assert_distinct({"right": [right], **slips})
