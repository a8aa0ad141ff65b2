"""The likelihoods against torch.distributions and quadrature, and their properties."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from oracles import densities as oracles
from torch.distributions import Normal

from companion.likelihoods import Bernoulli, ContinuousBernoulli, Gaussian, cross_entropy

LOGIT = st.floats(-80, 80)
ALL = [Bernoulli, ContinuousBernoulli, Gaussian]


def gaussian_log_prob(x, output, log_var):
    likelihood = Gaussian().to(output)
    likelihood.log_var = log_var
    return likelihood.log_prob(x, output)


@pytest.mark.parametrize(
    ("function", "assertion"),
    [
        (Bernoulli().log_prob, oracles.assert_bernoulli),
        (ContinuousBernoulli().log_prob, oracles.assert_continuous_bernoulli),
        (gaussian_log_prob, oracles.assert_gaussian_likelihood),
    ],
)
def test_equals_the_oracle(function, assertion, device):
    assertion(function, device)


@pytest.mark.parametrize("likelihood", [ContinuousBernoulli(), Gaussian(-1.0).double()])
def test_gradients_equal_finite_differences(likelihood):
    x = torch.rand(2, 3, dtype=torch.float64, generator=oracles.generator())
    logits = torch.tensor([[0.02, 0.5, -3.0], [-0.03, 9.0, -0.2]], dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda output: likelihood.log_prob(x, output), logits.requires_grad_()
    )


@given(LOGIT)
def test_continuous_bernoulli_integrates_to_one(logit):
    mass = oracles.total_mass(ContinuousBernoulli().log_prob, logit)
    assert mass == pytest.approx(1.0, abs=1e-9)


def test_continuous_bernoulli_has_the_right_gradient_at_zero():
    logit = torch.zeros(1, 1, requires_grad=True)
    with torch.autograd.set_detect_anomaly(True):  # no NaN on the way either, masked or not
        ContinuousBernoulli().log_prob(torch.full((1, 1), 0.8), logit).sum().backward()
    assert logit.grad.item() == pytest.approx(0.3, abs=1e-7)


def test_continuous_bernoulli_mean_has_the_right_gradient_at_zero():
    logit = torch.zeros(1, 1, requires_grad=True)
    with torch.autograd.set_detect_anomaly(True):
        ContinuousBernoulli().mean(logit).sum().backward()
    assert logit.grad.item() == pytest.approx(1 / 12, abs=1e-7)  # the variance of U(0, 1)


def test_continuous_bernoulli_joins_its_series_smoothly():
    logits = torch.linspace(0.0995, 0.1005, 41, dtype=torch.float64)[:, None].requires_grad_()
    value = ContinuousBernoulli().log_prob(torch.zeros_like(logits).detach(), logits)
    (slope,) = torch.autograd.grad(value.sum(), logits, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), logits)
    # A jump at the seam would stand out among the second differences, which are near 1e-16.
    assert slope.detach().diff(n=2, dim=0).abs().max() < 1e-11
    assert (bend + 1 / 12).abs().max() < 1e-3


@pytest.mark.parametrize("logit", oracles.LOGITS)
def test_continuous_bernoulli_mean_equals_quadrature(logit):
    expected = oracles.exponential_moments(logit)[1]
    for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 3e-6)):
        found = ContinuousBernoulli().mean(torch.tensor([[logit]], dtype=dtype)).item()
        assert found == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("logit", oracles.LOGITS)
def test_continuous_bernoulli_samples_have_the_moments(logit):
    _, mean, variance = oracles.exponential_moments(logit)
    n = 20_000
    output = torch.full((n, 1), logit)
    drawn = ContinuousBernoulli().sample(output, generator=oracles.generator(1)).double()
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    oracles.assert_within(drawn.mean(), torch.tensor(mean), torch.tensor((variance / n) ** 0.5))
    # The fourth moment of any density on [0, 1] with this tail is below 9 variances squared.
    error = torch.tensor(variance * (8 / n) ** 0.5)
    oracles.assert_within(drawn.var(), torch.tensor(variance), error)


def test_bernoulli_samples_are_binary_with_the_mean(device):
    logits = torch.tensor([[-2.0, 0.0, 3.0]], device=device).expand(20_000, 3)
    drawn = Bernoulli().sample(logits, generator=oracles.generator(1, device))
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    mean = torch.sigmoid(logits[0])
    torch.testing.assert_close(Bernoulli().mean(logits)[0], mean)
    oracles.assert_within(drawn.mean(0), mean, (mean * (1 - mean) / 20_000).sqrt())


def test_gaussian_samples_have_the_moments(device):
    likelihood = Gaussian(-1.0).to(device)
    output = torch.tensor([[-2.0, 5.0]], device=device).expand(20_000, 2)
    drawn = likelihood.sample(output, generator=oracles.generator(1, device))
    variance = torch.exp(torch.full((2,), -1.0, device=device))
    oracles.assert_within(drawn.mean(0), likelihood.mean(output)[0], (variance / 20_000).sqrt())
    oracles.assert_within(drawn.var(0), variance, variance * (2 / 19_999) ** 0.5)


@pytest.mark.parametrize("make", ALL)
def test_samples_lead_and_rows_do_not_meet(make):
    likelihood = make()
    x = (torch.rand(100, 1, 3, 2, generator=oracles.generator()) > 0.5).float()
    output = torch.randn(4, 100, 1, 3, 2, generator=oracles.generator(1))
    together = likelihood.log_prob(x, output)
    assert together.shape == (4, 100)
    alone = likelihood.log_prob(x[37:38], output[2, 37:38])
    torch.testing.assert_close(alone, together[2, 37:38], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("make", ALL)
def test_same_generator_same_sample_and_no_other_is_touched(make):
    likelihood = make()
    output = torch.randn(3, 4, generator=oracles.generator())
    before = torch.get_rng_state()
    first, second = (likelihood.sample(output, generator=oracles.generator(2)) for _ in range(2))
    assert torch.equal(first, second)
    assert first.shape == output.shape
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_dtype_follows_the_input_also_under_autocast(make, dtype):
    x = torch.ones(2, 3, dtype=dtype)
    likelihood = make().to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        results = likelihood.log_prob(x, x), likelihood.mean(x), likelihood.sample(x)
    assert {result.dtype for result in results} == {dtype}


@given(
    st.lists(st.sampled_from([0.0, 1.0]), min_size=3, max_size=3),
    st.lists(LOGIT, min_size=3, max_size=3),
)
def test_cross_entropy_of_binary_pixels_is_minus_the_log_probability(pixels, logits):
    x, output = torch.tensor([pixels]), torch.tensor([logits])
    torch.testing.assert_close(cross_entropy(x, output), -Bernoulli().log_prob(x, output))


@given(st.floats(0, 1), LOGIT)
def test_cross_entropy_has_the_entropy_of_the_pixel_as_its_floor(pixel, logit):
    x = torch.tensor([[pixel]], dtype=torch.float64)
    floor = -(torch.xlogy(x, x) + torch.xlogy(1 - x, 1 - x)).item()
    assert cross_entropy(x, torch.full_like(x, logit)).item() >= floor - 1e-12


def test_a_learned_variance_reaches_its_maximum_likelihood_value():
    likelihood = Gaussian(learned=True)
    x = oracles.normal(50, 4, seed=1, scale=3.0).float()
    likelihood.log_prob(x, torch.zeros_like(x)).sum().backward()
    assert likelihood.log_var.grad.item() == pytest.approx(
        0.5 * (x.square().sum().item() - x.numel()), rel=1e-5
    )
    assert dict(likelihood.named_parameters())
    assert not dict(Gaussian().named_parameters())
    assert "log_var" in Gaussian().state_dict()


def test_gaussian_draws_from_the_density_it_reports():
    likelihood = Gaussian(1.2).double()
    output = torch.zeros(4_000, 1, dtype=torch.float64)
    drawn = likelihood.sample(output, generator=oracles.generator(3))
    entropy = Normal(0.0, torch.exp(torch.tensor(0.6, dtype=torch.float64))).entropy()
    values = -likelihood.log_prob(drawn, output)
    oracles.assert_within(values.mean(), entropy, values.std() / 4_000**0.5)


def test_an_empty_batch_has_no_log_densities():
    for make in ALL:
        assert make().log_prob(torch.zeros(0, 3), torch.zeros(0, 3)).shape == (0,)


def test_a_perfect_fit_with_a_vanishing_variance_is_finite():
    likelihood = Gaussian(-200.0, learned=True)
    log_density = likelihood.log_prob(torch.ones(2, 3), torch.ones(2, 3))
    expected = -1.5 * (math.log(2 * math.pi) - 200.0)
    torch.testing.assert_close(log_density, torch.full((2,), expected))
    (slope,) = torch.autograd.grad(log_density.sum(), [likelihood.log_var])
    assert slope.item() == -3.0


def test_the_series_of_the_continuous_bernoulli_mean_holds_up_to_its_limit():
    logit = torch.tensor([-0.0999, 0.05, 0.0999], dtype=torch.float64)
    exact = 0.5 + 0.5 / torch.tanh(logit / 2) - 1 / logit
    torch.testing.assert_close(ContinuousBernoulli().mean(logit), exact, rtol=0, atol=1e-12)
