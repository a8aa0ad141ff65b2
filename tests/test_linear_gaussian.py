"""The exact linear-Gaussian model against torch.distributions and scikit-learn."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from oracles import densities as oracles
from oracles import models as oracles_model
from oracles.models import diagonal_q, exact_log_prob, exact_posterior, problem
from scipy.integrate import quad
from torch.distributions import kl_divergence

from companion.linear_gaussian import (
    LinearGaussian,
    fit_ppca,
    from_linear_decoder,
    posterior_gap,
)
from companion.networks import MLPDecoder


def model_of(case):
    return LinearGaussian(case.weight, case.bias, case.log_var)


def test_log_prob_equals_torch_distributions(device):
    oracles_model.assert_linear_gaussian(
        lambda x, weight, bias, log_var: LinearGaussian(weight, bias, log_var).log_prob(x), device
    )


@pytest.mark.parametrize(("p", "d"), [(5, 2), (2, 2), (2, 4)])
def test_posterior_equals_conditioning(p, d, device):
    case = problem(p, d, device=device)
    found, expected = model_of(case).posterior(case.x), exact_posterior(case)
    torch.testing.assert_close(found.mean, expected.mean, rtol=1e-10, atol=1e-10)
    covariance = expected.covariance_matrix[0]
    torch.testing.assert_close(found.covariance, covariance, rtol=1e-10, atol=1e-10)


def test_elbo_is_the_log_density_minus_the_gap(device):
    oracles_model.assert_exact_elbo(lambda case, m, v: model_of(case).elbo(case.x, m, v), device)


def test_posterior_gap_equals_torch_distributions(device):
    case = problem(device=device)
    posterior = model_of(case).posterior(case.x)
    oracles.assert_same(
        lambda mean, log_var: posterior_gap(posterior, mean, log_var),
        lambda mean, log_var: kl_divergence(diagonal_q(mean, log_var), exact_posterior(case)),
        oracles.normal(6, 2, seed=7).to(device),
        oracles.normal(6, 2, seed=8).to(device),
    )


@given(st.integers(0, 10**6), st.integers(1, 3), st.floats(-3, 2))
def test_log_prob_is_elbo_plus_gap(seed, d, log_var):
    case = problem(4, d)._replace(log_var=torch.tensor(log_var, dtype=torch.float64))
    model = model_of(case)
    mean, q_log_var = oracles.normal(6, d, seed=seed), oracles.normal(6, d, seed=seed + 1)
    gap = posterior_gap(model.posterior(case.x), mean, q_log_var)
    assert gap.min() >= 0
    bound = model.elbo(case.x, mean, q_log_var)
    torch.testing.assert_close(bound + gap, model.log_prob(case.x), rtol=1e-10, atol=1e-10)


def test_the_identity_holds_by_numerical_integration():
    """log p(x), ELBO and gap of a model with one code, each as an integral over z."""
    w, b, log_var, x, mean, q_log_var = 1.3, -0.4, -0.5, 2.0, 0.7, -1.1

    def log_normal(value, center, log_variance):
        scaled = (value - center) ** 2 / math.exp(log_variance)
        return -0.5 * (math.log(2 * math.pi) + log_variance + scaled)

    def log_joint(z):
        return log_normal(z, 0, 0) + log_normal(x, w * z + b, log_var)

    def log_q(z):
        return log_normal(z, mean, q_log_var)

    def integral(f):
        return quad(f, -12, 12, points=(-1, 0, 1, 2), epsabs=1e-13, epsrel=1e-13, limit=200)[0]

    evidence = math.log(integral(lambda z: math.exp(log_joint(z))))
    elbo = integral(lambda z: math.exp(log_q(z)) * (log_joint(z) - log_q(z)))
    gap = integral(lambda z: math.exp(log_q(z)) * (log_q(z) - log_joint(z) + evidence))

    def tensor(value):
        return torch.tensor(value, dtype=torch.float64)

    model, data = LinearGaussian(tensor([[w]]), tensor([b]), tensor(log_var)), tensor([[x]])
    q = tensor([[mean]]), tensor([[q_log_var]])
    assert model.log_prob(data).item() == pytest.approx(evidence, abs=1e-10)
    assert model.elbo(data, *q).item() == pytest.approx(elbo, abs=1e-10)
    assert posterior_gap(model.posterior(data), *q).item() == pytest.approx(gap, abs=1e-10)


def test_the_gap_vanishes_at_the_posterior_and_only_there():
    case = oracles_model.orthogonal_problem(6, 3)
    posterior = model_of(case).posterior(case.x)
    log_var = posterior.covariance.diagonal().log().expand_as(posterior.mean)
    assert posterior_gap(posterior, posterior.mean, log_var).abs().max() < 1e-12
    assert posterior_gap(posterior, posterior.mean + 1e-3, log_var).min() > 1e-7
    assert posterior_gap(posterior, posterior.mean, log_var + 1e-3).min() > 1e-7


def test_gradients_equal_finite_differences():
    case = problem(3, 2, 2)
    inputs = [tensor.requires_grad_() for tensor in (case.weight, case.bias, case.log_var)]
    assert torch.autograd.gradcheck(lambda *t: LinearGaussian(*t).log_prob(case.x), inputs)
    q = oracles.normal(2, 2, seed=1).requires_grad_(), oracles.normal(2, 2, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(lambda m, v: model_of(case).elbo(case.x, m, v), q)


def test_samples_have_the_moments_of_the_marginal(device):
    case, n = problem(3, 2, device=device), 40_000
    drawn = model_of(case).sample(n, generator=oracles.generator(1, device))
    covariance = case.weight @ case.weight.T + case.log_var.exp() * torch.eye(3, device=device)
    variance = covariance.diagonal()
    oracles.assert_within(drawn.mean(0), case.bias, (variance / n).sqrt())
    # Wishart: the variance of an entry is (c_ij^2 + c_ii c_jj) / n.
    error = ((covariance**2 + variance[:, None] * variance) / n).sqrt()
    oracles.assert_within(torch.cov(drawn.T), covariance, error)


def test_same_generator_same_points_and_no_other_is_touched():
    model, before = model_of(problem()), torch.get_rng_state()
    first, second = (model.sample(5, generator=oracles.generator(4)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)


def test_fit_equals_scikit_learn(device):
    oracles_model.assert_ppca(fit_ppca, device)


def test_the_fit_has_the_highest_likelihood():
    x = oracles.normal(60, 5, seed=1) @ oracles.normal(5, 5, seed=2)
    model = fit_ppca(x, 2)
    parameters = [tensor.requires_grad_() for tensor in (model.weight, model.bias, model.log_var)]
    best = LinearGaussian(*parameters).log_prob(x).mean()
    for gradient in torch.autograd.grad(best, parameters):
        assert gradient.abs().max() < 1e-10
    for seed in range(20):
        nearby = [t.detach() + 0.02 * oracles.normal(*t.shape, seed=seed) for t in parameters]
        assert LinearGaussian(*nearby).log_prob(x).mean() < best


def test_the_fit_survives_pixels_that_never_change_and_float32():
    x = torch.rand(50, 8, generator=oracles.generator())
    x[:, 3] = 0.25
    model = fit_ppca(x, 3)
    assert model.weight.dtype == torch.float64
    expected = exact_log_prob(x.double(), model.weight, model.bias, model.log_var)
    torch.testing.assert_close(model.log_prob(x), expected, rtol=1e-9, atol=1e-9)


def test_the_fit_finds_little_noise_and_refuses_none():
    """Columns of a Hadamard matrix, so that the eigenvalues of the covariance are exact."""
    one = torch.ones(4).double()
    first, second = torch.tensor([[1.0, 1, -1, -1], [1.0, -1, 1, -1]]).double()
    x = torch.stack([first, 1e-5 * second, 1e-5 * first * second], 1)
    torch.testing.assert_close(fit_ppca(x, 1).log_var.exp(), 1e-10 * one[0], rtol=1e-5, atol=0)
    with pytest.raises(ValueError, match="varies in no more than 1 directions"):
        fit_ppca(x * torch.tensor([1.0, 0.0, 0.0]).double(), 1)
    for seed in range(8):  # flat but for rounding, of either sign
        flat = oracles.normal(50, 2, seed=seed) @ oracles.normal(2, 5, seed=seed + 1)
        with pytest.raises(ValueError, match="varies in no more than 2 directions"):
            fit_ppca(flat, 2)


@pytest.mark.parametrize("p", [4, 5, 6, 8])
def test_the_fit_survives_equal_eigenvalues(p):
    """Plus and minus each axis: all directions vary alike, and the weight is zero up to rounding.

    For some of these scales rounding puts an eigenvalue below the noise, which is their mean.
    """
    for scale in (0.1, 0.3, 0.7, 1.0, 1.1, 1.3, 3.3):
        axes = scale * torch.eye(p, dtype=torch.float64)
        for latent_dim in range(1, p):
            model = fit_ppca(torch.cat([axes, -axes]), latent_dim)
            assert model.log_var.exp().item() == pytest.approx(scale**2 / p)
            assert model.weight.abs().max() < 1e-6  # NaN fails here


def test_a_linear_decoder_is_the_model():
    decoder = MLPDecoder(2, (5,), hidden_dims=())
    layer = decoder.layers[0]
    model = from_linear_decoder(layer.weight, layer.bias, torch.tensor(-0.5))
    assert model.weight.dtype == torch.float64
    assert not model.weight.requires_grad
    assert torch.equal(model.weight, layer.weight.double())


def test_densities_keep_their_precision_under_autocast():
    case = problem()
    single = LinearGaussian(*(t.float() for t in (case.weight, case.bias, case.log_var)))
    x, q = case.x.float(), (torch.zeros(6, 2), torch.ones(6, 2))

    def results():
        posterior = single.posterior(x)
        gap = posterior_gap(posterior, *q)
        drawn = single.sample(5, generator=oracles.generator(1))
        return single.log_prob(x), single.elbo(x, *q), gap, drawn, *posterior

    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = results()
    for found, expected in zip(inside, results(), strict=True):
        assert torch.equal(found, expected)


def test_the_density_forms_the_precision_and_centers_the_data_once(monkeypatch):
    calls = []
    for name in ("_precision", "_center"):
        method = getattr(LinearGaussian, name)
        monkeypatch.setattr(
            LinearGaussian, name, lambda *args, m=method: (calls.append(m.__name__), m(*args))[1]
        )
    case = problem()
    model_of(case).log_prob(case.x)
    assert sorted(calls) == ["_center", "_precision"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [1e-30, 1.0, 1e3])
def test_noise_that_the_dtype_cannot_hold_is_refused(dtype, size):
    """The limit is where a coordinate of the data is rounded by as much as the noise moves it."""
    weight, bias = torch.tensor([[size], [-size / 2]], dtype=dtype), torch.zeros(2, dtype=dtype)

    def model(log_var):
        return LinearGaussian(weight, bias, torch.tensor(log_var, dtype=dtype))

    numbers = torch.finfo(dtype)
    visible, highest = 2 * math.log(numbers.eps * size), 0.9 * math.log(numbers.max)
    lowest = max(visible, -highest)
    for log_var in (lowest + 0.1, highest - 0.1):
        fitting = model(log_var)
        x = fitting.sample(3, generator=oracles.generator(1))
        assert fitting.log_prob(x).isfinite().all()
        assert all(part.isfinite().all() for part in fitting.posterior(x))
    for log_var in (lowest - 0.1, highest + 0.1, -800.0):
        with pytest.raises(ValueError, match=r"`log_var` is .* check its sign and unit"):
            model(log_var)


def test_noise_without_a_weight_has_limits_as_well():
    zero = torch.zeros(2, 1)
    assert LinearGaussian(zero, zero[:, 0], torch.tensor(-79.0)).log_prob(zero.T).isfinite().all()
    with pytest.raises(ValueError, match=r"log-variance from -79\.9 to 79\.9"):
        LinearGaussian(zero, zero[:, 0], torch.tensor(-300.0))
