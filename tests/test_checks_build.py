"""The check of exercise 3.10, "build it". Faults show in a few steps, so most budgets are small."""

from dataclasses import replace

import pytest
import torch
from answers.build import (
    PIXELS,
    by_distributions,
    convolutions,
    cross_entropy,
    kl_each,
    loop,
    monte_carlo,
    perceptrons,
    plain_loop,
    plain_networks,
    sticking_the_landing,
    warm_up,
)
from check_helpers import assert_hints, assert_not_attempted, judge
from torch import nn
from torch.nn import functional as F

from companion.checks import _registry, _sandbox
from companion.checks.mnist import build
from companion.data import binarize, mnist5k

KEY = "mnist.build"
TASK = build.TASK


@pytest.fixture
def small(monkeypatch):
    """Two passes over 1,500 images, and no limit: what is refused is refused for its fault."""
    images = TASK.images()[:1_500]
    monkeypatch.setattr(TASK, "images", lambda: images)
    monkeypatch.setattr(TASK, "epochs", 2)
    monkeypatch.setattr(TASK, "limit", -1e9)


# --- right answers -------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [TASK.reference, (convolutions, loop())])
def test_right_answers_reach_the_limit(answer):
    verdict = judge(KEY, answer)
    assert verdict.status == "correct", str(verdict)
    assert "your bound is -1" in verdict.message


@pytest.mark.parametrize(
    "answer",
    [
        (perceptrons, by_distributions),
        (perceptrons, monte_carlo),
        (perceptrons, sticking_the_landing),
        (perceptrons, warm_up),
        (plain_networks, plain_loop),
        (convolutions, loop()),
        (lambda: perceptrons(n_latent=2), loop()),
        (perceptrons, loop(kl=lambda m, v: kl_each(m, v).mean(0).clamp(min=0.2).sum())),
    ],
)
def test_no_style_of_a_right_answer_looks_like_a_fault(answer, small, monkeypatch):
    # So few steps end near -206, the bound of a model whose code says nothing.
    monkeypatch.setattr(TASK, "limit", -260.0)
    verdict = judge(KEY, answer)
    assert verdict.status == "correct", str(verdict)


def test_the_same_code_gets_the_same_verdict(small):
    torch.rand(7)
    first = judge(KEY, (perceptrons, loop()))
    torch.rand(7)
    assert judge(KEY, (perceptrons, loop())).message == first.message


# --- stubs ---------------------------------------------------------------------------------


def test_a_stub_is_not_attempted(small):
    def stub(encoder, decoder, images, epochs): ...

    blank = lambda: (..., ...)  # noqa: E731
    assert_not_attempted(KEY, ..., None, (blank, stub), (perceptrons, stub), (..., ...))


# --- wrong answers -------------------------------------------------------------------------


def held(*names):
    return lambda encoder, decoder: [
        p for name in names for p in {"e": encoder, "d": decoder}[name].parameters()
    ]


def test_each_fault_gets_its_own_hint_whatever_the_bound(small):
    x_test = binarize(mnist5k("test").images[:750], generator=torch.Generator().manual_seed(9))
    slips = {
        loop(draw=lambda m, v: m): "no noise",
        loop(draw=lambda m, v: m + v.exp() * torch.randn_like(m)): "multiplied by `exp(log_var)`",
        loop(draw=lambda m, v: m + torch.randn_like(m)): "takes no part in z",
        loop(draw=lambda m, v: torch.normal(m, (v / 2).exp()).detach()): "cut off from the",
        loop(reconstruction=lambda y, x: cross_entropy(y.sigmoid(), x).mean()): "applied twice",
        loop(reconstruction=lambda y, x: ((y.sigmoid() - x) ** 2).sum() / 50): "a squared error. B",
        loop(reconstruction=lambda y, x: ((y - x) ** 2).sum() / 50): "between logits and pixels",
        loop(reconstruction=lambda y, x: -(x * F.logsigmoid(y)).sum() / 50): "Only white pixels",
        loop(combine=lambda a, b: -a - b): "wrong sign",
        loop(combine=lambda a, b: a - b): "is subtracted",
        loop(combine=lambda a, b: a + b / 2): "counts 0.5 times",
        loop(kl=lambda m, v: kl_each(m, v).mean()): "averaged over the latent dimensions? They",
        loop(kl=lambda m, v: kl_each(m, v).sum()): "divergence summed over the batch",
        loop(reconstruction=F.binary_cross_entropy_with_logits): "averaged over the pixels? They",
        loop(reconstruction=lambda y, x: cross_entropy(y, x).sum()): "term summed over the batch",
        loop(kl=lambda m, v: kl_each(m, 2 * v).sum(1).mean()): "logarithm of the standard dev",
        loop(kl=lambda m, v: kl_each(m, 3 - v).sum(1).mean()): "the part with `log_var` is not",
        loop(forget=True): "zero_grad",
        loop(held=held("d")): "The encoder never moved",
        loop(held=held("e")): "The decoder never moved",
        loop(idle=True): "No parameter of the two networks moved",
        loop(repeat=2): "saw 4.0 times as many images",
        loop(fed=lambda images: x_test): "uses held-out digits",
        loop(fed=lambda images: mnist5k("test").images): "uses held-out digits",
    }
    pairs = [((perceptrons, train), hint) for train, hint in slips.items()]
    distinct = [pair for pair in pairs if pair[0][1] is not list(slips)[-1]]
    assert_hints(KEY, distinct, minimum=20)
    assert "held-out digits" in judge(KEY, pairs[-1][0]).message


def test_a_low_bound_gets_its_cause(small, monkeypatch):
    monkeypatch.setattr(TASK, "limit", build.LIMIT)

    def without_a_head(encoder, decoder):
        return [*encoder.body.parameters(), *encoder.mean.parameters(), *decoder.parameters()]

    def to_noise(encoder, decoder, images, epochs):
        loop(fed=lambda images: torch.bernoulli(torch.full_like(images, 0.5)))(
            encoder, decoder, images, epochs
        )

    wrong = [
        ((perceptrons, loop(combine=lambda a, b: a)), "Is the KL divergence in your loss?"),
        ((perceptrons, loop(held=without_a_head)), "`encoder.log_var.weight`"),
        ((lambda: perceptrons(last=nn.Softplus()), loop()), "No log-variance"),
        ((lambda: perceptrons(nn.Tanh()), loop()), "no nonlinearity"),
        ((perceptrons, loop(fed=lambda images: images[:500])), "saw the images 0.7 times"),
        ((perceptrons, loop(rate=1e-7)), "next to nothing"),
        ((perceptrons, loop(rate=1e3)), "diverged"),
        ((perceptrons, loop()), "It should reach"),
    ]
    assert_hints(KEY, wrong)
    assert judge(KEY, (perceptrons, to_noise)).status == "not yet"


def test_networks_of_wrong_shapes_are_refused_before_any_training(small):
    def never(encoder, decoder, images, epochs):
        raise AssertionError("trained")

    encoder, decoder = perceptrons()
    flat = nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, 40))
    wrong = [
        ((lambda: (flat, decoder), never), "returns one tensor of shape (3, 40)"),
        ((lambda: (lambda x: (encoder(x)[0], flat(x)), decoder), never), "They should be equal"),
        ((lambda: (lambda x: (x, x), decoder), never), "It should be (3, D)"),
        ((lambda: (encoder, lambda z: decoder(z)[:, :, 1:]), never), "one logit for each pixel"),
        ((lambda: (encoder, encoder.mean), never), "Your code raised an exception"),
        ((lambda: (encoder, lambda z: (z, z)), never), "Yours returns a `tuple`"),
        ((lambda: perceptrons(nn.Sigmoid()), never), "The decoder returns probabilities"),
        ((lambda: encoder, never), "`build` has to return 2 networks"),
        ((lambda: (encoder, 3), never), "can't be called: it is a `int`"),
        ((perceptrons, lambda images: None), "`encoder, decoder, images, epochs`"),
        ((perceptrons, never), "AssertionError: trained"),
        (perceptrons, "Pass both"),
    ]
    assert_hints(KEY, wrong)


def test_a_training_that_takes_too_long_is_not_finished(small, monkeypatch):
    def endless(encoder, decoder, images, epochs):
        while True:
            encoder(images[:10])

    exercise = replace(_registry.find(KEY), seconds=0.5)
    monkeypatch.setitem(_registry._exercises, KEY, exercise)
    verdict = judge(KEY, (perceptrons, endless))
    assert verdict.status == "not finished"
    assert "within 0.5 seconds of computing, or 3 of waiting" in verdict.message


def test_checks_that_train_have_thirty_seconds():
    assert _sandbox.limits(_registry.find(KEY).seconds) == (30, 180)
    assert _sandbox.limits() == (10, 60)


def test_the_check_leaves_no_hook_behind(small):
    encoder, decoder = perceptrons()
    judge(KEY, (lambda: (encoder, decoder), loop()))
    assert not encoder._forward_hooks
    assert not decoder._forward_hooks
