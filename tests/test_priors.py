"""The standard normal prior and the VampPrior."""

import copy

import pytest
import torch
from oracles import densities as oracles
from oracles import mixtures as oracles_mixture

from companion.gaussian import DiagonalGaussian
from companion.likelihoods import Bernoulli
from companion.networks import MLPDecoder, MLPEncoder
from companion.priors import StandardNormal, VampPrior
from companion.vae import VAE


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


# The VampPrior


@pytest.fixture
def vamp():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        encoder = MLPEncoder((4,), 2, (8,)).double()
        for weight in encoder.parameters():
            weight.data *= 3  # components that differ
        return VampPrior(encoder, torch.rand(3, 4, dtype=torch.float64))


def test_the_vamp_prior_is_the_equal_mixture_of_its_encodings(vamp):
    def theirs(z):
        mean, log_var = vamp._encoder[0](vamp.pseudo_inputs)
        return oracles_mixture.torch_mixture(torch.ones(3).double(), mean, log_var).log_prob(z)

    oracles.assert_same(vamp.log_prob, theirs, oracles.normal(6, 2, seed=1))
    oracles.assert_same(vamp.log_prob, theirs, oracles.normal(5, 6, 2, seed=2))


def test_samples_of_the_vamp_prior_fit_its_density(vamp):
    oracles_mixture.assert_samples_fit_the_density(vamp.sample, vamp.log_prob)


def test_the_encoder_learns_through_the_vamp_prior_and_is_registered_once(vamp):
    vae = VAE(vamp._encoder[0], MLPDecoder(2, (4,)).double(), Bernoulli(), vamp)
    names = [name for name in vae.state_dict() if name.startswith("prior")]
    assert names == ["prior.pseudo_input_logits"]
    z = oracles.normal(6, 2, seed=1)
    wanted = [vamp.pseudo_input_logits, *vae.encoder.parameters()]
    for gradient in torch.autograd.grad(vamp.log_prob(z).sum(), wanted):
        assert gradient.abs().max() > 0


def test_a_copy_of_the_vae_has_a_prior_with_its_own_encoder(vamp):
    vae = copy.deepcopy(VAE(vamp._encoder[0], MLPDecoder(2, (4,)).double(), Bernoulli(), vamp))
    assert vae.prior._encoder[0] is vae.encoder
    assert vae.encoder is not vamp._encoder[0]


def test_the_vamp_prior_follows_when_the_vae_is_moved_or_loads_weights(vamp):
    vae = VAE(vamp._encoder[0], MLPDecoder(2, (4,)).double(), Bernoulli(), vamp)
    other = copy.deepcopy(vae)
    with torch.no_grad():
        for weight in other.parameters():
            weight += 1
    z = oracles.normal(6, 2, seed=1)
    assert not torch.equal(vae.prior.log_prob(z), other.prior.log_prob(z))
    vae.load_state_dict(other.state_dict())
    assert torch.equal(vae.prior.log_prob(z), other.prior.log_prob(z))
    single = vae.float()
    assert single.prior.components().mean.dtype == torch.float32
    assert single.to("meta").prior.components().mean.device.type == "meta"


def test_the_vamp_prior_does_not_follow_when_the_vae_gets_another_encoder(vamp):
    vae = VAE(vamp._encoder[0], MLPDecoder(2, (4,)).double(), Bernoulli(), vamp)
    z = oracles.normal(6, 2, seed=1)
    before = vae.prior.log_prob(z)
    vae.encoder = MLPEncoder((4,), 2, (8,)).double()
    assert torch.equal(vae.prior.log_prob(z), before)
    vae.prior = VampPrior(vae.encoder, vae.prior.pseudo_inputs)  # what the docstring advises
    assert vae.prior._encoder[0] is vae.encoder
    assert not torch.equal(vae.prior.log_prob(z), before)


def test_pseudo_inputs_start_where_they_are_put_but_inside_the_range():
    start = torch.tensor([[0.0, 0.3, 1.0, 0.9]])
    prior = VampPrior(MLPEncoder((4,), 2), start)
    torch.testing.assert_close(prior.pseudo_inputs.detach(), torch.tensor([[0.02, 0.3, 0.98, 0.9]]))


def test_a_vamp_prior_answers_in_single_precision_under_autocast():
    prior = VampPrior(MLPEncoder((4,), 2), torch.rand(3, 4))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert prior.log_prob(torch.zeros(3, 2)).dtype == torch.float32
        assert prior.sample(3).dtype == torch.float32
        assert {part.dtype for part in prior.components()} == {torch.float32}


def test_vamp_samples_draw_from_their_generator_only(vamp):
    before = torch.get_rng_state()
    first, second = (vamp.sample(20, generator=oracles.generator(4)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)
