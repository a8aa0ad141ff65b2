"""The keys of chapter 3's quiz, found again by computing them."""

import math

import pytest
import torch
from answers.mnist import kl_each, size_by_a_layer
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from companion.checks.mnist import QUIZ
from companion.likelihoods import Bernoulli, ContinuousBernoulli
from companion.linear_gaussian import LinearGaussian


def right_option(fragment):
    (question,) = [question for question in QUIZ if fragment in question.text]
    return next(option for option in question.options if option.right).text


def options(fragment):
    (question,) = [question for question in QUIZ if fragment in question.text]
    return [option.text for option in question.options]


def test_quiz_floor_of_the_cross_entropy():
    grid = torch.linspace(-6, 6, 2001, dtype=torch.float64)
    floor = F.binary_cross_entropy_with_logits(grid, torch.full_like(grid, 0.5), reduction="none")
    assert right_option("gray pixel perfectly") == f"{floor.min():.2f} nats"


def test_quiz_transposed_convolution():
    def text(size):
        return f"${size} \\times {size}$"

    assert right_option("transposed convolution") == text(size_by_a_layer(6, 5, 2, 1, 0, 1))
    others = options("transposed convolution")
    assert text(size_by_a_layer(6, 4, 2, 1, 0, 1)) in others  # doubled
    assert text(size_by_a_layer(6, 5, 2, 0, 0, 1)) in others  # without padding
    ordinary = F.conv1d(torch.zeros(1, 1, 6), torch.zeros(1, 1, 5), stride=2, padding=1)
    assert text(ordinary.shape[-1]) in others


def test_quiz_idle_dimensions():
    prior = Normal(0.0, 1.0)
    assert kl_divergence(Normal(0.0, 1.0), prior) == 0
    assert right_option("50 latent dimensions").startswith("Nothing in the KL divergence")
    assert f"{prior.entropy():.2f} nats" in " ".join(options("50 latent dimensions"))


def test_quiz_gain_of_a_smaller_error():
    def best(error):  # at the variance that a fine grid finds
        var = error * torch.linspace(0.5, 2, 3001, dtype=torch.float64)
        return (-0.5 * 784 * (math.log(2 * math.pi) + var.log() + error / var)).max()

    gain = best(0.01) - best(0.04)
    assert right_option("learns one variance") == f"By {gain:.0f} nats"
    others = options("learns one variance")
    assert f"By {2 * gain:.0f} nats" in others
    assert f"By {gain / 784:.2f} nats" in others


def test_quiz_density_and_probability():
    black, sure = torch.zeros(1, 784), torch.full((1, 784), -10.0)
    assert ContinuousBernoulli().log_prob(black, sure) > 1200
    assert Bernoulli().log_prob(black, sure) <= 0
    assert right_option("+1,200 nats") == "The two numbers can't be compared"


def test_quiz_rate_and_distortion():
    # z ~ N(0, 1), x = 2 z + noise of variance 0.5: the best q for each beta, on a grid
    model = LinearGaussian(torch.tensor([[2.0]]), torch.zeros(1), torch.tensor(math.log(0.5)))
    x = torch.tensor([[1.5]])
    mean, log_var = torch.meshgrid(
        torch.linspace(-1, 2, 301), torch.linspace(-5, 1, 301), indexing="ij"
    )
    mean, log_var = mean.reshape(-1, 1), log_var.reshape(-1, 1)
    rate = kl_each(mean, log_var).sum(1)
    distortion = -(model.elbo(x.expand(len(mean), 1), mean, log_var) + rate)
    found = [(distortion + beta * rate).argmin() for beta in (1, 4)]
    assert rate[found[1]] < rate[found[0]] - 0.1
    assert distortion[found[1]] > distortion[found[0]] + 0.1
    assert rate[found[1]] != pytest.approx(rate[found[0]].item() / 4, rel=0.05)
    assert right_option("You raise $\\beta$") == "The rate falls, the distortion rises"


def test_quiz_batches():
    data = torch.randn(12, 3, dtype=torch.float64)
    weight = torch.randn(3, dtype=torch.float64, requires_grad=True)

    def gradient(rows):
        return torch.autograd.grad(((rows @ weight - 1) ** 2).mean(), weight)[0]

    batches = [gradient(data[rows]) for rows in torch.combinations(torch.arange(12), 3)]
    assert torch.allclose(torch.stack(batches).mean(0), gradient(data))
    assert not torch.allclose(batches[0], gradient(data))
    assert right_option("Each training step") == "It is an unbiased estimate of that gradient."


def test_the_text_of_exercise_3_1():
    assert size_by_a_layer(3, 3, 2, 1, 1, 2) == 8
    for kernel, dilation in [(4, 1), (2, 3)]:  # the windows that double every size
        sizes = [size_by_a_layer(n, kernel, 2, 1, 0, dilation) for n in range(1, 9)]
        assert sizes == [2 * n for n in range(1, 9)]
