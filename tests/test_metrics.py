"""Means and their standard errors."""

import oracles_model
import torch

from companion.metrics import Estimate, mean_with_error


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
