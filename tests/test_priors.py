"""The standard normal prior."""

import oracles
import pytest
import torch

from companion.gaussian import DiagonalGaussian
from companion.priors import StandardNormal


def test_log_prob_equals_torch_distributions(device):
    oracles.assert_standard_log_prob(StandardNormal(4).to(device).log_prob, device)


def test_kl_equals_torch_distributions(device):
    prior = StandardNormal(4).to(device)

    def kl(mean, log_var):
        return prior.kl(DiagonalGaussian(mean, log_var), mean)

    oracles.assert_kl_to_standard(kl, device)


def test_samples_are_standard_normal(device):
    n = 20_000
    z = StandardNormal(3).double().to(device).sample(n, generator=oracles.generator(1, device))
    zero, one = torch.zeros_like(z[0]), torch.ones_like(z[0])
    oracles.assert_within(z.mean(0), zero, one / n**0.5)
    oracles.assert_within(z.var(0), one, one * (2 / (n - 1)) ** 0.5)


def test_same_generator_same_codes_and_no_other_is_touched():
    prior, before = StandardNormal(3), torch.get_rng_state()
    first, second = (prior.sample(5, generator=oracles.generator(4)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_prior_moves_with_its_module_and_is_no_part_of_a_checkpoint():
    prior = StandardNormal(3)
    assert prior.dim == 3
    assert not prior.state_dict()
    assert prior.double().sample(2).dtype == torch.float64
    assert prior.to("meta").origin.device.type == "meta"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_density_keeps_its_dtype_under_autocast(dtype):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert StandardNormal(2).log_prob(torch.zeros(3, 2, dtype=dtype)).dtype == dtype
