"""The keys of chapter 2's quiz, found again by computing them."""

import math

import pytest
import torch
from answers.reparameterization import NOISE, expect
from torch import nn
from torch.distributions import Normal

from companion.checks.reparameterization import QUIZ


def right_option(fragment):
    (question,) = [question for question in QUIZ if fragment in question.text]
    return next(option for option in question.options if option.right)


def test_quiz_drawn_numbers_hold_no_trace():
    mean = torch.tensor(1.0, requires_grad=True)
    assert not Normal(mean, 1.0).sample((5,)).requires_grad
    assert Normal(mean, 1.0).rsample((5,)).requires_grad
    assert "no trace" in right_option("`sample()`").text


def test_quiz_baseline():
    mean, f = 0.7, lambda z: z**2 + 1  # score of the mean of N(mean, 1): the noise itself
    estimates = [(f(mean + NOISE) - b) * NOISE for b in (0.0, 2.0, 50.0)]
    means = [expect(each).item() for each in estimates]
    assert means == pytest.approx([2 * mean] * 3)
    small, smaller, large = [expect(each**2).item() for each in estimates]
    assert smaller < small < large  # so "falls, whatever b is" is wrong
    option = right_option("constant baseline")
    assert option.text == "Its variance, but not its expectation"


def test_quiz_how_far_a_baseline_may_be_off():
    f = 0.7 + NOISE  # "between 0 and twice the best b": a parabola
    best = (expect(f * NOISE**2) / expect(NOISE**2)).item()
    spread = [expect(((f - b) * NOISE) ** 2).item() for b in (0.0, 2 * best)]
    assert spread[0] == pytest.approx(spread[1])


def test_quiz_log_var():
    text = right_option("`log_var = -2`").text
    assert text == f"{0 + math.exp(-2 / 2) * 1:.2f}"
    (question,) = [question for question in QUIZ if "`log_var = -2`" in question.text]
    others = {f"{math.exp(-2):.2f}", f"{-2:.2f}", f"{math.exp(-1 / 2):.2f}"}
    assert {option.text for option in question.options} - {text} == others


def test_quiz_no_grad_leaves_the_encoder_the_divergence_only():
    torch.manual_seed(0)
    encoder, decoder, x = nn.Linear(3, 2), nn.Linear(1, 3), torch.randn(4, 3)

    def gradients(with_reconstruction):
        mean, log_var = encoder(x).chunk(2, -1)
        with torch.no_grad():
            z = mean + (log_var / 2).exp() * torch.ones(4, 1)
        loss = 0.5 * (log_var.exp() + mean**2 - 1 - log_var).sum()
        if with_reconstruction:
            loss = loss + ((x - decoder(z)) ** 2).sum()
        parameters = [*encoder.parameters(), *decoder.parameters()]
        return torch.autograd.grad(loss, parameters, allow_unused=True)

    both, divergence = gradients(True), gradients(False)
    for with_it, without in zip(both[:2], divergence[:2], strict=True):
        assert torch.equal(with_it, without)  # the encoder never hears of the reconstruction
    assert both[2].abs().sum() > 0  # the decoder does
    assert right_option("`torch.no_grad()`").text.startswith("The encoder learns from the KL alone")


def test_quiz_kink():
    relu = NOISE.clamp_min(0)
    slope = (NOISE > 0).double()
    slope[NOISE == 0] = 0.5
    assert expect(slope).item() == pytest.approx(0.5, abs=1e-3)
    assert expect(relu * NOISE).item() == pytest.approx(0.5)
    step = 1e-3  # the exact derivative, by differences
    moved = [expect((NOISE + shift).clamp_min(0)).item() for shift in (step, -step)]
    assert (moved[0] - moved[1]) / (2 * step) == pytest.approx(0.5, abs=1e-3)
    assert right_option("ReLU").text == "Both give 0.5"


def test_quiz_dimension():
    def score_variance(dim):
        """f = (1 + e)² + R, with R the other dimensions; the moments of R are exact."""
        mean_r, var_r = 2.0 * (dim - 1), 6.0 * (dim - 1)  # of a sum of (1 + e)²
        own = (1 + NOISE) ** 2
        second = expect(NOISE**2 * ((own + mean_r) ** 2 + var_r))
        return second.item() - expect(own * NOISE).item() ** 2

    own = (1 + NOISE) ** 2
    assert expect(own).item() == pytest.approx(2)
    assert expect(own**2).item() - 4 == pytest.approx(6)
    growth = score_variance(4000) / score_variance(2000)
    assert growth == pytest.approx(4, rel=0.01)  # like D²
    pathwise = expect((2 * (1 + NOISE)) ** 2) - expect(2 * (1 + NOISE)) ** 2
    assert pathwise.item() == pytest.approx(4)
    option = right_option("grow with $D$")
    assert option.text == "Pathwise: not at all. Score function: like $D^2$"
    assert "variance 4" in option.feedback


def soft_coin_gradient(temperature, power, hard):
    """The mean and variance of the relaxed gradient of E[z^power], for the logit 1; exact."""
    u = (torch.arange(400_000, dtype=torch.float64) + 0.5) / 400_000
    soft = ((1 - u.logit()) / temperature).sigmoid()
    at = soft.round() if hard else soft
    gradient = power * at ** (power - 1) * soft * (1 - soft) / temperature
    return gradient.mean().item(), gradient.var().item()


def test_quiz_straight_through_is_biased():
    exact = torch.sigmoid(torch.tensor(1.0)).item() * torch.sigmoid(torch.tensor(-1.0)).item()
    mean, _ = soft_coin_gradient(0.05, 3, hard=True)
    assert mean > 1.4 * exact
    option = right_option("straight-through")
    assert option.text.endswith("the gradient of the soft one: biased")


def test_quiz_temperature():
    exact = torch.sigmoid(torch.tensor(1.0)).item() * torch.sigmoid(torch.tensor(-1.0)).item()
    found = [soft_coin_gradient(t, 3, hard=False) for t in (0.4, 0.2, 0.1, 0.05)]
    biases = [abs(mean - exact) for mean, _ in found]
    variances = [variance for _, variance in found]
    assert biases == sorted(biases, reverse=True)
    assert biases[-1] < 0.05 * exact < biases[0]
    assert variances == sorted(variances)
    assert variances[-1] / variances[-2] == pytest.approx(2, rel=0.15)  # like 1 / temperature
    assert right_option("lower the temperature").text == "Its bias vanishes, its variance grows"


def test_where_the_two_curves_of_exercise_8_cross():
    def difference(frequency):
        path = expect((frequency * torch.cos(frequency * NOISE)) ** 2)
        score = expect((torch.sin(frequency * NOISE) * NOISE) ** 2)
        damping = math.exp(-2 * frequency**2)
        closed = frequency**2 / 2 * (1 + damping), (1 - (1 - 4 * frequency**2) * damping) / 2
        assert (path.item(), score.item()) == pytest.approx(closed)
        return (path - score).item()

    assert difference(1.105) < 0 < difference(1.115)
    assert 2 * math.pi / 1.11 == pytest.approx(5.7, abs=0.05)
