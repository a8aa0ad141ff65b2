"""Measures of samples against independent answers."""

import torch
from oracles import games as oracles
from oracles.densities import generator

from companion import samples
from companion.data.toys import grid, grid_centers, ring, ring_centers


def test_measures_equal_independent_ones():
    oracles.assert_frechet(samples.frechet_distance)
    oracles.assert_class_score(samples.class_score)
    oracles.assert_precision_recall(samples.precision_recall)
    oracles.assert_precision_recall_curve(samples.precision_recall_curve)
    oracles.assert_count_modes(samples.count_modes)


def test_centers_are_the_means_of_the_toys():
    for draw, centers in (
        (ring, ring_centers(modes=5, radius=2.0)),
        (grid, grid_centers(side=3, spacing=1.5)),
    ):
        options = {"modes": 5, "radius": 2.0} if draw is ring else {"side": 3, "spacing": 1.5}
        x = draw(20_000, generator=generator(0), **options)
        nearest = torch.cdist(x, centers).argmin(1)
        for number, center in enumerate(centers):
            mean = x[nearest == number].mean(0)
            torch.testing.assert_close(mean, center, rtol=0, atol=0.01)


def test_more_samples_of_the_same_come_closer():
    """The bias of the Frechet distance: compare only at equal numbers of examples."""
    means = []
    for n in (50, 500):
        pairs = [torch.randn(2, n, 8, generator=generator(seed)) for seed in range(8)]
        means.append(sum(samples.frechet_distance(a, b) for a, b in pairs) / 8)
    assert means[0] > 5 * means[1] > 0


def test_the_answer_is_a_python_number_whatever_the_precision():
    x = torch.randn(30, 4, generator=generator(1))
    for dtype in (torch.float32, torch.float64):
        value = samples.frechet_distance(x.to(dtype), x.to(dtype) + 1)
        assert isinstance(value, float)
        assert abs(value - 4) < 1e-5
    assert all(isinstance(v, float) for v in samples.precision_recall(generated=x, real=x))
