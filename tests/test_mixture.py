"""The mixture of Gaussians and EM, against torch.distributions and scikit-learn."""

import math
from itertools import pairwise

import pytest
import torch
from oracles import mixtures as oracles_mixture
from oracles.densities import assert_same, assert_within, generator, normal
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal
from torch.utils._python_dispatch import TorchDispatchMode

from companion import em
from companion.em import em_step, fit_em
from companion.gaussian import DiagonalGaussian
from companion.mixture import GaussianMixture


def with_parameters(covariance, **tensors):
    """A mixture whose parameters are these very tensors, so that gradients reach them."""
    k, d = tensors["mean"].shape
    mixture = GaussianMixture(k, d, covariance=covariance)
    for name, tensor in tensors.items():
        del mixture._parameters[name]
        setattr(mixture, name, tensor)
    return mixture


def diagonal(weights, mean, log_var):
    return with_parameters("diagonal", logits=weights.log(), mean=mean, log_var=log_var)


def full_mixture():
    weights, mean, _ = oracles_mixture.parameters()
    return GaussianMixture.from_parameters(weights, mean, oracles_mixture.covariances())


def test_log_prob_equals_torch_distributions(device):
    oracles_mixture.assert_mixture_log_prob(lambda z, *given: diagonal(*given).log_prob(z), device)


def test_log_prob_with_full_covariances_equals_torch_distributions(device):
    def ours(z, logits, mean, tril):
        return with_parameters("full", logits=logits, mean=mean, tril=tril).log_prob(z)

    def theirs(z, logits, mean, tril):
        factor = tril.tril(-1) + torch.diag_embed(tril.diagonal(dim1=-2, dim2=-1).exp())
        components = MultivariateNormal(mean, scale_tril=factor)
        return MixtureSameFamily(Categorical(logits=logits), components).log_prob(z)

    given = normal(3, seed=1), normal(3, 2, seed=2), normal(3, 2, 2, seed=3)
    for z in (normal(6, 2, seed=4), normal(4, 6, 2, seed=5), 30 + normal(6, 2, seed=6)):
        assert_same(ours, theirs, *(t.to(device) for t in (z, *given)), tolerance=1e-8)


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_parameters_come_back(covariance):
    weights, mean, log_var = oracles_mixture.parameters()
    given = log_var.exp() if covariance == "diagonal" else oracles_mixture.covariances()
    mixture = GaussianMixture.from_parameters(weights, mean, given)
    matrices = torch.diag_embed(given) if covariance == "diagonal" else given
    torch.testing.assert_close(mixture.weights, weights)
    torch.testing.assert_close(mixture.mean.detach(), mean)
    torch.testing.assert_close(mixture.covariances, matrices)
    assert (mixture.n_components, mixture.dim) == (3, 2)


def test_responsibilities_are_the_posterior_of_the_component():
    weights, mean, log_var = oracles_mixture.parameters()
    z = normal(9, 2, seed=3)
    densities = torch.distributions.Normal(mean, (log_var / 2).exp()).log_prob(z[:, None]).sum(-1)
    joint = weights * densities.exp()
    ours = diagonal(weights, mean, log_var).responsibilities(z)
    torch.testing.assert_close(ours, joint / joint.sum(1, keepdim=True))


def test_samples_have_the_moments_and_quantiles_of_torch_distributions(device):
    oracles_mixture.assert_mixture_samples(
        lambda n, *given, generator: diagonal(*given).sample(n, generator=generator), device
    )


@pytest.mark.parametrize("make", [lambda: diagonal(*oracles_mixture.parameters()), full_mixture])
def test_samples_fit_the_density(make):
    mixture = make()
    oracles_mixture.assert_samples_fit_the_density(mixture.sample, mixture.log_prob)


def test_samples_with_full_covariances_have_the_right_covariance():
    n, mixture = 40_000, full_mixture()
    weights, mean, covariance = mixture.weights, mixture.mean, mixture.covariances
    z = mixture.sample(n, generator=generator(1))
    center = weights @ mean
    spread = mean - center
    expected = (weights[:, None, None] * (covariance + spread[:, :, None] * spread[:, None])).sum(0)
    products = (z - center)[:, :, None] * (z - center)[:, None]
    assert_within(products.mean(0), expected.detach(), products.std(0).detach() / n**0.5)


def test_the_kl_is_estimated_without_bias():
    """One component is a Gaussian, and between Gaussians the KL has a closed form."""
    mean, log_var = normal(4, 3, seed=1), normal(4, 3, seed=2)
    q = DiagonalGaussian(mean, log_var)
    mixture = diagonal(torch.ones(1).double(), normal(1, 3, seed=3), normal(1, 3, seed=4))
    p = oracles_mixture.Independent(
        oracles_mixture.Normal(mixture.mean, (mixture.log_var / 2).exp()), 1
    )
    theirs = oracles_mixture.Independent(oracles_mixture.Normal(mean, (log_var / 2).exp()), 1)
    z = mean + (log_var / 2).exp() * normal(20_000, 4, 3, seed=5)
    each = torch.stack([mixture.kl(q, part) for part in z.split(100)])
    exact = torch.distributions.kl_divergence(theirs, p)
    assert_within(each.mean(0), exact, each.std(0) / len(each) ** 0.5)
    torch.testing.assert_close(mixture.kl(q, z), each.mean(0))
    torch.testing.assert_close(mixture.kl(q, z[0]), mixture.kl(q, z[:1]))


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_em_steps_equal_those_of_scikit_learn(covariance):
    def step(z, weights, mean, given):
        mixture = em_step(GaussianMixture.from_parameters(weights, mean, given), z, floor=0.0)
        matrices = mixture.covariances
        variances = matrices if covariance == "full" else matrices.diagonal(dim1=-2, dim2=-1)
        return mixture.weights, mixture.mean, variances

    oracles_mixture.assert_em_step(step, covariance)


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_em_never_loses_likelihood_and_finds_the_clusters(covariance):
    mixture = GaussianMixture.from_parameters(
        torch.tensor([0.3, 0.7]).double(),
        torch.tensor([[-4.0, 0.0], [4.0, 1.0]]).double(),
        torch.tensor([[1.0, 0.2], [0.5, 2.0]]).double(),
    )
    z = mixture.sample(2_000, generator=generator(1))
    fitted, curve = fit_em(
        z, 2, covariance=covariance, floor=1e-9, tolerance=1e-7, generator=generator(2)
    )
    gains = [after - before for before, after in pairwise(curve)]
    assert len(gains) > 1
    assert gains[-1] < 1e-7 <= min(gains[:-1])
    assert len(fit_em(z, 5, max_steps=3, tolerance=1e-12).log_likelihood) == 4
    assert curve[-1] == pytest.approx(fitted.log_prob(z).mean().item(), abs=1e-9)
    assert curve[-1] >= mixture.log_prob(z).mean().item()  # the truth is no better a fit
    order = fitted.mean[:, 0].argsort()
    assert_within(fitted.weights[order].detach(), mixture.weights.detach(), torch.tensor(0.011))


def test_em_starts_at_codes_far_apart_with_the_variance_within_the_clusters():
    far = torch.tensor([[-100.0, 0.0], [100.0, 0.0]])
    z = torch.cat([torch.randn(98, 2, generator=generator(1)), far]).double()
    for seed in range(5):
        means = fit_em(z, 3, max_steps=1, n_starts=1, generator=generator(seed)).mixture.mean
        assert torch.cdist(far.double(), means).amin(1).max() < 1
    start = fit_em(z, 3, max_steps=1, floor=1e-9, generator=generator(1)).log_likelihood[0]
    near = z[:98]
    covariance = torch.diag((near - near.mean(0)).square().sum(0) / len(z))
    theirs = MixtureSameFamily(
        Categorical(torch.ones(3).double()),
        MultivariateNormal(torch.stack([near.mean(0), *far.double()]), covariance),
    )
    assert start == pytest.approx(theirs.log_prob(z).mean().item(), abs=1e-7)


def test_em_with_several_starts_comes_as_near_the_optimum_as_scikit_learn():
    """Sixteen clusters that overlap in five dimensions: one start often leaves two in one."""
    truth = GaussianMixture.from_parameters(
        torch.full((16,), 1 / 16), 2 * torch.randn(16, 5, generator=generator(1)), torch.ones(16, 5)
    )
    z = truth.sample(600, generator=generator(2)).double()
    ours = [
        fit_em(z, 16, covariance="diagonal", n_starts=3, floor=1e-3, generator=generator(seed))
        for seed in range(6)
    ]
    optima = sorted(fit.log_likelihood[-1] for fit in ours)
    theirs = sorted(oracles_mixture.scikit_learn_optima(z, 16, n_starts=3, n_seeds=6))
    assert optima[2] > theirs[2] - 0.02


def test_em_keeps_the_best_of_its_starts():
    z = torch.randn(60, 2, generator=generator(3))
    source = generator(4)
    single = [fit_em(z, 8, n_starts=1, generator=source).log_likelihood for _ in range(4)]
    several = fit_em(z, 8, n_starts=4, generator=generator(4))
    assert several.log_likelihood == max(single, key=lambda curve: curve[-1])
    assert single[0][-1] < several.log_likelihood[-1]
    end = several.mixture.log_prob(z).mean().item()
    assert end == pytest.approx(several.log_likelihood[-1], abs=1e-5)


def test_em_stops_at_the_first_step_that_gains_less_than_the_tolerance():
    z = torch.randn(300, 2, generator=generator(3)).double()
    for tolerance in (1e-2, 1e-3, 1e-4):
        curve = fit_em(z, 3, tolerance=tolerance, generator=generator(4)).log_likelihood
        *earlier, last = [after - before for before, after in pairwise(curve)]
        assert last < tolerance <= min(earlier)
    default = fit_em(z, 3, generator=generator(4)).log_likelihood
    assert default == curve


def test_em_far_from_the_origin_loses_nothing():
    z = 1e4 + torch.tensor([[0.0], [2.0]])
    mixture = fit_em(z, 1).mixture
    assert mixture.mean.item() == 1e4 + 1
    assert mixture.covariances.item() == pytest.approx(1, abs=1e-4)
    same = torch.full((10, 2), 1e6)
    curve = fit_em(same, 2, generator=generator(0)).log_likelihood
    assert curve[-1] >= curve[0] - 1e-4


def test_codes_in_double_precision_suit_both_covariances():
    z = torch.zeros(3, 2).double()
    for covariance in ("diagonal", "full"):
        assert GaussianMixture(2, 2, covariance=covariance).log_prob(z).dtype == torch.float64


def test_a_mixture_that_diverged_says_so():
    for covariance in ("diagonal", "full"):
        mixture = GaussianMixture(2, 2, covariance=covariance)
        torch.nn.init.constant_(mixture.mean, math.nan)
        with pytest.raises(ValueError, match="`mean` holds 4 values that are NaN"):
            mixture.log_prob(torch.zeros(1, 2))


def test_what_stands_above_the_diagonal_is_ignored():
    mixture, z = full_mixture(), normal(5, 3, seed=1)
    z = z[:, : mixture.dim].to(mixture.mean.dtype)

    def everything():
        sample = mixture.sample(9, generator=generator(2))
        return torch.cat([mixture.log_prob(z), sample.flatten(), mixture.covariances.flatten()])

    before = everything()
    with torch.no_grad():
        mixture.tril += torch.ones_like(mixture.tril).triu(1)
    assert torch.equal(everything(), before)


def test_samples_carry_no_gradients():
    assert not GaussianMixture(2, 2).sample(3).requires_grad
    assert not full_mixture().sample(3).requires_grad


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_the_floor_keeps_a_component_from_shrinking_to_a_code(covariance):
    z = torch.cat([torch.zeros(1, 2), 5 + torch.randn(50, 2, generator=generator(1))])
    start = GaussianMixture.from_parameters(
        torch.tensor([0.5, 0.5]),
        torch.tensor([[0.0, 0.0], [5.0, 5.0]]),
        torch.ones(2, 2) if covariance == "diagonal" else torch.eye(2).expand(2, 2, 2),
    )
    for _ in range(30):
        start = em_step(start, z, floor=1e-3)
    assert torch.linalg.eigvalsh(start.covariances).min().item() == pytest.approx(1e-3, rel=1e-3)
    assert math.isfinite(start.log_prob(z).sum().item())


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_the_floor_is_a_millionth_by_default(covariance):
    z = torch.tensor([[0.0, 3.0], [2.0, 3.0]])  # no variance along the second axis
    start = fit_em(z, 1, covariance=covariance, max_steps=1).mixture
    for mixture in (start, em_step(start, z)):
        spread = mixture.covariances[0].diagonal().detach()
        torch.testing.assert_close(spread, torch.tensor([1 + 1e-6, 1e-6]), rtol=1e-5, atol=0)


def test_em_survives_equal_codes_and_an_empty_component():
    same = torch.ones(20, 2)
    assert fit_em(same, 3, generator=generator(0)).mixture.log_prob(same).isfinite().all()
    far = GaussianMixture.from_parameters(
        torch.tensor([0.5, 0.5]), torch.tensor([[0.0], [1e4]]), torch.ones(2, 1)
    )
    after = em_step(far, torch.randn(30, 1, generator=generator(1)))
    assert after.weights.min().item() < 1e-6
    assert after.mean[1].item() == 1e4  # it stays, and does not jump to the origin
    assert after.log_prob(torch.zeros(1, 1)).isfinite().all()


def test_the_start_draws_from_its_generator_only():
    before = torch.get_rng_state()
    first, second = (GaussianMixture(3, 2, generator=generator(4)).mean for _ in range(2))
    assert torch.equal(first, second)
    weights, mean, log_var = oracles_mixture.parameters()
    GaussianMixture.from_parameters(weights, mean, log_var.exp())
    z = normal(30, 2, seed=1)
    fits = [fit_em(z, 2, generator=generator(5)).mixture.mean for _ in range(2)]
    assert torch.equal(*fits)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_means_start_as_standard_normal_draws():
    z = GaussianMixture(4_000, 2, generator=generator(1)).mean.detach().flatten()
    assert z.mean().abs() < 5 / 8_000**0.5
    assert (z.var() - 1).abs() < 5 * (2 / 8_000) ** 0.5


def test_the_density_keeps_its_dtype_under_autocast():
    mixture = full_mixture().float()
    z = torch.randn(4, 2, generator=generator(1))
    exact = mixture.log_prob(z)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(mixture.log_prob(z), exact)


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_samples_covariances_and_em_steps_keep_their_precision_under_autocast(covariance):
    def results():
        z = torch.randn(40, 2, generator=generator(1))
        mixture = GaussianMixture(3, 2, covariance=covariance, generator=generator(2))
        after = em_step(mixture, z)
        drawn = after.sample(4, generator=generator(3))
        return after.weights, after.mean, after.covariances, drawn

    expected = results()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = results()
    for found, exact in zip(inside, expected, strict=True):
        assert torch.equal(found, exact)


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_a_fit_evaluates_the_densities_once_for_each_mixture(monkeypatch, covariance):
    """The same numbers give the likelihood, and the responsibilities of the next step."""
    calls, name = [], f"_log_joint_{covariance}"
    log_joint = getattr(em, name)
    monkeypatch.setattr(em, name, lambda *args: (calls.append(args[2]), log_joint(*args))[1])
    z = torch.randn(50, 2, generator=generator(5))
    options = {"max_steps": 4, "tolerance": 1e-9, "n_starts": 1, "generator": generator(6)}
    curve = fit_em(z, 3, covariance=covariance, **options).log_likelihood
    assert len(calls) == len({id(mean) for mean in calls}) == len(curve) == 5


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_a_fit_goes_on_by_steps_of_em(covariance):
    z = normal(80, 3, seed=2)

    def fitted(steps):
        options = {"max_steps": steps, "tolerance": 1e-12, "n_starts": 1}
        return fit_em(z, 4, covariance=covariance, generator=generator(3), **options)

    (before, _), (after, curve) = fitted(4), fitted(5)
    step = em_step(before, z)
    for name in ("weights", "mean", "covariances"):
        torch.testing.assert_close(getattr(after, name), getattr(step, name), rtol=1e-9, atol=1e-9)
    densities = [mixture.log_prob(z).mean().item() for mixture in (before, after)]
    assert curve[-2:] == pytest.approx(densities, abs=1e-10)


class _Largest(TorchDispatchMode):
    """Records the largest tensor that any operation returns."""

    def __init__(self):
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.numbers = max(self.numbers, result.numel())
        return result


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_a_fit_holds_no_table_of_codes_components_and_dimensions(covariance):
    n, k, d = 300, 20, 30
    z = torch.randn(n, d, generator=generator(1))
    with _Largest() as largest:
        fit_em(z, k, covariance=covariance, max_steps=2, n_starts=1, generator=generator(2))
    assert largest.numbers <= max(2 * n * d, n * k, k * d * d)


@pytest.mark.parametrize("distance", [1e3, 1e6])
@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_a_narrow_component_far_away_keeps_its_digits(covariance, distance):
    """Squares that are multiplied out would lose all: (1e6)^2 against (1e-3)^2."""
    sides = torch.arange(400)[:, None] % 2 * 2 - 1
    z = distance * sides + 1e-3 * normal(400, 2, seed=1)
    mixture, curve = fit_em(z, 2, covariance=covariance, floor=1e-9, generator=generator(1))
    groups = [z[sides[:, 0] == side] for side in (-1, 1)]
    order = mixture.mean[:, 0].argsort()
    for k, group in zip(order.tolist(), groups, strict=True):
        exact = torch.cov(group.T, correction=0)
        if covariance == "diagonal":
            exact = torch.diag(exact.diagonal())
        expected = exact + 1e-9 * torch.eye(2, dtype=torch.float64)
        torch.testing.assert_close(mixture.covariances[k].detach(), expected, rtol=1e-6, atol=0)
    assert curve[-1] == pytest.approx(mixture.log_prob(z).mean().item(), abs=1e-6)


def test_a_component_without_spread_is_refused_without_a_floor():
    z = torch.tensor([[0.0], [0.0], [9.0], [9.5]])
    for covariance, message in (("diagonal", "`floor`"), ("full", "not positive definite")):
        with pytest.raises(ValueError, match=message):
            fit_em(z, 2, covariance=covariance, floor=0.0, generator=generator(1))


def test_a_mixture_for_codes_in_half_precision_is_in_float32():
    z = torch.randn(50, 2, generator=generator(1)).half()
    for covariance in ("diagonal", "full"):
        mixture = fit_em(z, 2, covariance=covariance, generator=generator(2)).mixture
        wide = fit_em(z.float(), 2, covariance=covariance, generator=generator(2)).mixture
        assert torch.equal(mixture.mean, wide.mean)
        assert torch.equal(em_step(mixture, z).mean, em_step(mixture, z.float()).mean)


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_large_codes_are_fitted_up_to_the_limit_and_refused_beyond(covariance):
    z = torch.randn(60, 2, generator=generator(1))
    z = z / z.abs().max()
    fitted = fit_em(1.8e16 * z, 2, covariance=covariance, generator=generator(2))
    assert all(math.isfinite(value) for value in fitted.log_likelihood)
    assert fitted.mixture.log_prob(1.8e16 * z).isfinite().all()
    with pytest.raises(ValueError, match=r"`z` reaches 1\.9e\+16"):
        fit_em(1.9e16 * z, 2, covariance=covariance)
