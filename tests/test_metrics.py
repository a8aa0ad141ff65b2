"""Means and their standard errors; the metrics of a VAE, against closed forms."""

import itertools
import math

import pytest
import torch
from oracles import densities as oracles
from oracles import mixtures as oracles_mixture
from oracles import models as oracles_model

from companion import metrics
from companion.likelihoods import Gaussian
from companion.metrics import (
    Estimate,
    active_units,
    aggregated_log_prob,
    cluster_accuracy,
    kl_decomposition,
    mean_with_error,
)
from companion.networks import LinearEncoder, MLPDecoder
from companion.priors import StandardNormal
from companion.vae import VAE


def test_equals_scipy():
    oracles_model.assert_mean_with_error(mean_with_error)


def test_float32_values_are_averaged_in_float64():
    # Both values exist in float32, but their mean, 2^24 + 1, does not.
    values = torch.tensor([2.0**24, 2.0**24 + 2] * 5_000)
    mean, error = mean_with_error(values)
    assert mean == 2.0**24 + 1
    assert abs(error - 1 / 9_999**0.5) < 1e-9


def test_covers_the_truth_as_often_as_it_says():
    draws = torch.randn(2_000, 50, generator=torch.Generator().manual_seed(1))
    estimates = [mean_with_error(row) for row in draws]
    covered = sum(abs(e.mean) < 1.96 * e.standard_error for e in estimates)
    # Student's t with 49 degrees of freedom: 0.944 of 2,000 rows; 5 sd of the count are 51.
    assert abs(covered - 0.944 * 2_000) < 51


def test_it_prints_with_its_error():
    assert str(Estimate(1.23456, 0.01234)) == "1.235 ± 0.012"


def test_axes_and_gradients_do_not_matter():
    values = torch.randn(4, 5, generator=torch.Generator().manual_seed(1), requires_grad=True)
    assert mean_with_error(values) == mean_with_error(values.detach().flatten())


# Metrics of a VAE: a linear encoder makes every quantity known


def linear_vae(means, log_var):
    """A VAE whose posteriors have these means (N, D), given as its inputs, and this variance."""
    encoder = LinearEncoder((means.shape[1],), means.shape[1]).double()
    with torch.no_grad():
        encoder.mean.weight.copy_(torch.eye(means.shape[1]))
        encoder.mean.bias.zero_()
        encoder.log_var.copy_(log_var)
    decoder = MLPDecoder(means.shape[1], (means.shape[1],)).double()
    return VAE(encoder, decoder, Gaussian(), StandardNormal(means.shape[1]).double()).eval()


def test_active_units_are_those_whose_mean_moves():
    means = oracles.normal(500, 4, seed=1) * torch.tensor([1.0, 0.15, 0.05, 0.0])
    vae = linear_vae(means, torch.tensor([-2.0, 0.0, 3.0, 1.0]).double())
    assert active_units(vae, means).tolist() == [True, True, False, False]
    assert active_units(vae, means, threshold=0.5).tolist() == [True, False, False, False]
    pair = torch.tensor([[0.0], [1.0]]).double()  # a variance of 1/2, which does not exceed 1/2
    assert not active_units(linear_vae(pair, pair[0]), pair, threshold=0.5)


def test_the_aggregated_posterior_is_the_equal_mixture():
    means, log_var = oracles.normal(30, 2, seed=1), torch.tensor([-1.0, 0.5]).double()
    z = oracles.normal(50, 2, seed=2)
    theirs = oracles_mixture.torch_mixture(torch.ones(30), means, log_var.expand(30, 2))
    ours = aggregated_log_prob(linear_vae(means, log_var), means, z)
    torch.testing.assert_close(ours, theirs.log_prob(z))


def test_the_parts_add_up_to_the_mean_kl():
    means, log_var = oracles.normal(400, 2, seed=1), torch.tensor([-1.0, 0.5]).double()
    vae = linear_vae(means, log_var)
    information, misfit = kl_decomposition(
        vae, means, n_samples=200, generator=oracles.generator(3)
    )
    exact = vae.prior.kl(vae.encode(means), means).mean().item()
    error = math.hypot(information.standard_error, misfit.standard_error)
    assert abs(information.mean + misfit.mean - exact) < oracles.SIGMAS * error
    assert 0 < information.mean < math.log(400)


def test_every_sample_counts_in_both_parts():
    means, log_var = oracles.normal(20, 2, seed=1), torch.tensor([-1.0, 0.5]).double()
    vae = linear_vae(means, log_var)
    parts = kl_decomposition(vae, means, n_samples=3, generator=oracles.generator(3))
    noise = torch.randn(3, 20, 2, generator=oracles.generator(3), dtype=torch.float64)
    q = torch.distributions.Normal(means, (log_var / 2).exp())
    z = means + (log_var / 2).exp() * noise
    mixture = oracles_mixture.torch_mixture(torch.ones(20), means, log_var.expand(20, 2))
    log_q = mixture.log_prob(z)
    log_p = torch.distributions.Normal(torch.zeros(2).double(), 1.0).log_prob(z).sum(-1)
    assert parts.mutual_information.mean == pytest.approx((q.log_prob(z).sum(-1) - log_q).mean())
    assert parts.marginal_kl.mean == pytest.approx((log_q - log_p).mean())


def test_codes_that_name_their_example_hold_log_n_nats():
    """Posteriors far apart: the code says which of the N examples it came from."""
    means = 100 * torch.arange(8).double()[:, None]
    vae = linear_vae(means, torch.zeros(1).double())
    information, misfit = kl_decomposition(vae, means, n_samples=50, generator=oracles.generator(4))
    assert information.mean == pytest.approx(math.log(8), abs=1e-9)
    # The 50 codes of one example are no independent examples: the error is that of 8 numbers.
    by_example = means[:, 0].square() / 2
    assert misfit.standard_error == pytest.approx(by_example.std().item() / 8**0.5, rel=0.02)
    # And a VAE that ignores its input holds none, whatever the prior.
    same = linear_vae(torch.ones(8, 1).double(), torch.zeros(1).double())
    information, misfit = kl_decomposition(
        same, torch.ones(8, 1).double(), n_samples=5_000, generator=oracles.generator(5)
    )
    assert information.mean == pytest.approx(0, abs=1e-9)
    assert abs(misfit.mean - 0.5) < oracles.SIGMAS * misfit.standard_error


def test_memory_is_bounded_without_a_change_of_the_result(monkeypatch):
    means, log_var = oracles.normal(30, 2, seed=1), torch.tensor([-1.0, 0.5]).double()
    vae, z = linear_vae(means, log_var), oracles.normal(50, 2, seed=2)
    whole = aggregated_log_prob(vae, means, z)
    sizes, log_prob = [], metrics.gaussian.pairwise_log_prob

    def watched(part, mean, log_var):
        sizes.append(len(part) * mean.numel())
        return log_prob(part, mean, log_var)

    monkeypatch.setattr(metrics.gaussian, "pairwise_log_prob", watched)
    for limit, largest in ((1, 30 * 2), (7 * 30 * 2, 7 * 30 * 2)):  # at least one code at a time
        sizes.clear()
        monkeypatch.setattr(metrics, "_MAX_NUMBERS", limit)
        torch.testing.assert_close(aggregated_log_prob(vae, means, z), whole)
        assert max(sizes) == largest


# Clusters


@pytest.mark.parametrize(
    ("clusters", "labels", "expected"),
    [
        ([2, 2, 0, 0, 1], [0, 0, 1, 1, 2], 1.0),  # another numbering
        ([0, 0, 0, 0], [0, 1, 2, 2], 0.5),  # all in one cluster
        ([0, 1, 0, 1], [0, 0, 1, 1], 0.5),  # no better than chance
        ([0, 0, 0, 1, 1, 1], [0, 0, 1, 0, 0, 1], 0.5),  # one to one: not both for class 0
        ([0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 1, 1], 1.0),  # a cluster left over takes its majority
        ([0, 0, 1, 1, 2, 2, 3, 3], [0, 0, 0, 0, 1, 1, 1, 1], 1.0),  # so does each of several
        ([0, 7, 7], [0, 1, 1], 1.0),  # clusters without examples
        ([0, 1], [1, 1], 1.0),  # a class without examples takes no cluster
        ([0, 0, 1], [10**9, 10**9, 3], 1.0),  # a large number takes no memory
    ],
)
def test_cluster_accuracy_by_hand(clusters, labels, expected):
    accuracy = cluster_accuracy(torch.tensor(clusters), torch.tensor(labels))
    assert accuracy == pytest.approx(expected)


def test_cluster_accuracy_is_the_best_over_all_matchings():
    labels = torch.randint(4, (60,), generator=oracles.generator(1))
    clusters = torch.randint(4, (60,), generator=oracles.generator(2))
    best = max(
        (torch.tensor(order)[clusters] == labels).double().mean().item()
        for order in itertools.permutations(range(4))
    )
    assert cluster_accuracy(clusters, labels) == pytest.approx(best)
