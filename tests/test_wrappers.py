"""Wrappers of a VAE: fresh binarization at each step, and the warm-up of the KL."""

import math

import pytest
import torch
from oracles import densities as oracles

from companion.data import binarize
from companion.likelihoods import Bernoulli
from companion.networks import MLPDecoder, MLPEncoder
from companion.priors import StandardNormal
from companion.training import Run, fit
from companion.training.wrappers import DynamicBinarization, KLWarmUp
from companion.vae import VAE, Elbo, negative_elbo

GRAY = torch.rand(12, 4, generator=oracles.generator(1))


@pytest.fixture
def vae():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return VAE(MLPEncoder((4,), 2), MLPDecoder(2, (4,)), Bernoulli(), StandardNormal(2))


class Seen(torch.nn.Module):
    """Keeps the batches that it is given."""

    def __init__(self):
        super().__init__()
        self.batches = []

    def forward(self, x, *, generator=None):
        self.batches.append(x)
        return Elbo(x.sum(1), x.sum(1))


def test_each_call_sees_other_binary_images_with_the_gray_mean():
    seen = Seen()
    wrapper, noise = DynamicBinarization(seen), oracles.generator(2)
    for _ in range(4_000):
        wrapper(GRAY, generator=noise)
    batches = torch.stack(seen.batches)
    assert set(batches.unique().tolist()) == {0.0, 1.0}
    assert not torch.equal(batches[0], batches[1])
    oracles.assert_within(batches.mean(0), GRAY, (GRAY * (1 - GRAY) / 4_000).sqrt() + 1e-9)


def test_the_same_generator_gives_the_same_bound(vae):
    wrapper = DynamicBinarization(vae)
    first, second = (wrapper(GRAY, generator=oracles.generator(5)).value() for _ in range(2))
    assert torch.equal(first, second)


def test_beta_grows_by_the_step_and_only_in_training(vae):
    wrapper, x = KLWarmUp(vae, 4), binarize(GRAY, generator=oracles.generator(1))
    betas = [wrapper(x).beta[0].item() for _ in range(6)]
    assert betas == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    held_out = KLWarmUp(vae, 4).eval()(x)
    assert held_out.beta.eq(1).all()
    elbo = wrapper(x, generator=oracles.generator(3))
    torch.testing.assert_close(elbo.value(), vae(x, generator=oracles.generator(3)).value())


def test_the_value_weighs_the_kl_by_beta(vae):
    wrapper, x = KLWarmUp(vae, 4), binarize(GRAY, generator=oracles.generator(1))
    wrapper.step += 1
    elbo = wrapper(x)
    torch.testing.assert_close(elbo.value(), elbo.log_likelihood - 0.25 * elbo.kl)


def test_fit_records_beta_and_resumes_where_the_warm_up_was(vae, tmp_path):
    def train(epochs, checkpoint=None):
        model = DynamicBinarization(KLWarmUp(vae, 5))
        vae.load_state_dict(start)
        settings = {"epochs": epochs, "batch_size": 6, "loss": negative_elbo, "heldout": GRAY}
        run = Run("cpu", progress=False, checkpoint=checkpoint)
        return fit(model, GRAY, **settings, run=run)

    start = {name: tensor.clone() for name, tensor in vae.state_dict().items()}
    whole = train(4)
    torch.testing.assert_close(whole.train["beta"], [0.1, 0.5, 0.9, 1.0])
    assert whole.heldout["beta"] == [1.0] * 4
    train(2, tmp_path / "run")
    assert train(4, tmp_path / "run") == whole
    assert all(math.isfinite(loss) for loss in whole.train["loss"])
