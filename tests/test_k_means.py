"""Means to begin with, against scikit-learn."""

import torch
from oracles.densities import assert_within, generator, normal
from sklearn.cluster import KMeans, kmeans_plusplus

from companion._k_means import _draw, k_means, spread

N_MEANS = 9


def codes():
    centers = 3 * normal(N_MEANS, 4, seed=1)
    return centers.repeat(40, 1) + normal(40 * N_MEANS, 4, seed=2)


def left(z, mean):
    """The sum of squared distances from the nearest mean."""
    return torch.cdist(z, mean).square().amin(1).sum()


def test_a_start_is_as_good_as_that_of_scikit_learn():
    """The greedy variant: with one candidate, it would leave a quarter more."""
    z, seeds = codes(), range(150)
    ours = torch.stack([left(z, spread(z, N_MEANS, generator(seed))) for seed in seeds])
    starts = [kmeans_plusplus(z.numpy(), N_MEANS, random_state=seed)[0] for seed in seeds]
    theirs = torch.stack([left(z, torch.as_tensor(start)) for start in starts])
    error = ((ours.var() + theirs.var()) / len(seeds)).sqrt()
    assert_within(ours.mean(), theirs.mean(), error)


def test_a_start_is_made_of_different_codes():
    z = codes()
    chosen = spread(z, N_MEANS, generator(3))
    same = (chosen[:, None] == z).all(2)
    assert same.any(1).all()
    assert len(same.int().argmax(1).unique()) == N_MEANS


def test_k_means_end_where_those_of_scikit_learn_do():
    z = codes()
    for seed in range(5):
        start = spread(z, N_MEANS, generator(seed))
        mean, nearest = k_means(z, start, max_steps=300)
        theirs = KMeans(N_MEANS, init=start.numpy(), n_init=1, tol=0.0).fit(z.numpy())
        torch.testing.assert_close(mean, torch.as_tensor(theirs.cluster_centers_))
        assert torch.equal(nearest, torch.as_tensor(theirs.labels_).long())
        assert torch.equal(k_means(z, start)[1], nearest)  # these need fewer than the usual steps


def test_a_mean_without_codes_stays():
    z = normal(20, 2, seed=1)
    far = torch.tensor([[1e3, 0.0]]).double()
    mean, nearest = k_means(z, torch.cat([z[:1], far]))
    torch.testing.assert_close(mean, torch.cat([z.mean(0, keepdim=True), far]))
    assert (nearest == 0).all()


def test_a_start_draws_in_proportion_from_any_number_of_codes():
    """`torch.multinomial` stops at 2^24 of them."""
    n = 2**24 + 3
    chances = torch.zeros(n, dtype=torch.float64)
    chances[5], chances[-1] = 1, 3
    drawn = _draw(chances, 4_000, generator(1))
    assert set(drawn.tolist()) == {5, n - 1}
    share = (drawn == 5).double().mean()
    assert_within(share, torch.tensor(0.25).double(), torch.tensor((0.1875 / 4_000) ** 0.5))


def test_equal_codes_have_a_start():
    same = torch.zeros(7, 2).double()
    assert torch.equal(spread(same, 3, generator(1)), same[:3])
    assert _draw(same[:, 0], 2, generator(1)).tolist() == [6, 6]
