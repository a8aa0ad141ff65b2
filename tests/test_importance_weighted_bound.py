"""The importance-weighted bound, against a model whose log p(x) is exact.

Monte Carlo comparisons allow `SIGMAS` = 5 standard errors, a false alarm of 6e-7 each, and their
seeds are fixed.
"""

import math
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from oracles import densities as oracles
from oracles import models as oracles_model
from oracles.densities import SIGMAS
from oracles.models import exact_elbo, exact_log_prob, linear_vae, problem
from torch.distributions import Normal

from companion import gaussian
from companion.vae import importance_weighted_bound, log_importance_weights


def test_the_bound_equals_its_oracle(device):
    oracles_model.assert_bound(importance_weighted_bound, device)


def paired_bounds(counts, repeats=2_000):
    """L_S of one data point for each S, all from the same importance weights."""
    case = problem(b=1)
    vae = linear_vae(case, mean_shift=0.8, log_var_shift=0.7)
    rows = case.x.expand(repeats, -1)
    with torch.no_grad():
        weights = log_importance_weights(vae, rows, max(counts), generator=oracles.generator(3))
    exact = exact_log_prob(case.x, case.weight, case.bias, case.log_var)
    # The bound of the first S weights; for S = 1 its mean is the ELBO.
    bounds = [weights[:count].logsumexp(0) - math.log(count) for count in counts]
    return bounds, exact_elbo(case, vae), exact


def test_the_bound_rises_from_the_elbo_to_log_p():
    counts = (1, 2, 4, 16, 64, 256)
    bounds, elbo, exact = paired_bounds(counts)
    root = len(bounds[0]) ** 0.5
    oracles.assert_within(bounds[0].mean(), elbo[0], bounds[0].std() / root)
    for lower, upper in pairwise(bounds):
        rise = upper - lower
        assert rise.mean() > SIGMAS * rise.std() / root
    for bound in bounds:
        assert bound.mean() - SIGMAS * bound.std() / root < exact[0]
    assert (exact[0] - bounds[-1].mean()).item() < 0.02 * (exact[0] - elbo[0]).item()


def test_the_bound_is_the_logsumexp_of_its_weights():
    case = problem()
    vae = linear_vae(case)
    weights = log_importance_weights(vae, case.x, 9, generator=oracles.generator(4))
    found = importance_weighted_bound(vae, case.x, 9, generator=oracles.generator(4))
    torch.testing.assert_close(found, weights.logsumexp(0) - math.log(9))


def test_log_importance_weights_are_those_of_torch_distributions():
    case = problem()
    vae = linear_vae(case)
    q = vae.encode(case.x)
    found = log_importance_weights(vae, case.x, 5, generator=oracles.generator(4))
    z = gaussian.rsample(*q, n_samples=5, generator=oracles.generator(4))
    noise = Normal(case.x, (case.log_var / 2).exp())
    zeros = torch.zeros_like(q.mean)
    expected = noise.log_prob(z @ case.weight.T + case.bias).sum(-1)
    expected = expected + oracles.gaussian(zeros, zeros).log_prob(z)
    expected = expected - oracles.gaussian(*q).log_prob(z)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@pytest.fixture
def fixed_noise(monkeypatch):
    """Sample s of example b always gets the noise [s, b], however the work is cut up."""

    def use(noise):
        position = {"sample": 0, "row": 0}

        def rsample(mean, log_var, *, n_samples, generator):
            sample, row = position["sample"], position["row"]
            chunk = noise[sample : sample + n_samples, row : row + len(mean)]
            assert chunk.shape == (n_samples, *mean.shape)
            done = sample + n_samples == len(noise)
            position.update(sample=0 if done else sample + n_samples)
            position.update(row=row + len(mean) if done else row)
            return mean + (log_var / 2).exp() * chunk

        monkeypatch.setattr(gaussian, "rsample", rsample)

    return use


@pytest.mark.parametrize("max_rows", [1, 2, 5, 7, 12, 59, 60, 10_000])
def test_cutting_the_work_up_does_not_change_the_bound(max_rows, fixed_noise):
    case = problem(b=6)
    vae, noise = linear_vae(case), oracles.normal(10, 6, 2, seed=9)
    fixed_noise(noise)
    expected = log_importance_weights(vae, case.x, 10).logsumexp(0) - math.log(10)
    fixed_noise(noise)
    found = importance_weighted_bound(vae, case.x, 10, max_rows=max_rows)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("max_rows", [1, 7, 64])
def test_no_more_than_max_rows_are_decoded_at_once(max_rows, monkeypatch):
    vae, rows = linear_vae(problem()), []
    decode = vae.decode
    monkeypatch.setattr(vae, "decode", lambda z: (rows.append(z[..., 0].numel()), decode(z))[1])
    importance_weighted_bound(vae, problem().x, 20, max_rows=max_rows)
    assert max(rows) <= max_rows
    assert sum(rows) == 6 * 20


def test_memory_stays_below_one_gibibyte():
    """200 samples of 1,000 images: decoded at once, one tensor of pixels alone takes 0.6 GiB.

    The bound needs several such tensors, so without cutting the work up this test fails. That the
    peak does not grow with the number of samples, and so holds for 5,000 as well, follows from
    `test_no_more_than_max_rows_are_decoded_at_once`; `python tests/bound_memory.py 5000 400`
    measures the full size in a few minutes.
    """
    script = Path(__file__).with_name("bound_memory.py")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(script.parents[1])}
    command = [sys.executable, str(script), "200", "16"]
    child = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr
    assert float(child.stdout) < 1024
