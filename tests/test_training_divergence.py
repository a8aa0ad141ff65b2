"""A run that diverges is reported, with its curves."""

import math

import pytest
import torch
from training_models import CPU, Constant, points

from companion.likelihoods import Gaussian
from companion.networks import MLPDecoder, MLPEncoder
from companion.priors import StandardNormal
from companion.training import History, Run, TrainingDiverged, checkpoints, fit
from companion.vae import VAE, negative_elbo


class Explodes(Constant):
    def __init__(self, after):
        super().__init__()
        self.after = after

    def forward(self, x, *, generator=None):
        self.after -= self.training
        return super().forward(x) + (math.nan if self.after < 0 else 0)


def test_a_loss_that_is_not_finite_ends_the_training(tmp_path):
    run = Run(device="cpu", progress=False, checkpoint=tmp_path / "run")
    model = Explodes(after=3)
    with pytest.raises(TrainingDiverged, match=r"diverged in epoch 2: the mean loss is nan") as e:
        fit(model, torch.ones(4), batch_size=2, epochs=5, learning_rate=0.5, run=run)
    assert "Try a smaller learning_rate (now 0.5)" in str(e.value)
    assert isinstance(e.value.history, History)
    assert e.value.history.train["loss"][0] == 1
    assert math.isnan(e.value.history.train["loss"][1])
    assert model.training
    tensors, _ = checkpoints.load(run.checkpoint)  # the last good epoch
    assert tensors["curve.train.loss"].tolist() == [1]


def test_weights_that_are_not_finite_end_the_training():
    class Steep(Constant):
        def forward(self, x, *, generator=None):
            return x * self.weight

    with pytest.raises(TrainingDiverged, match="not all weights are finite"):
        # The only step makes the weight infinite, after the last loss was seen.
        fit(Steep(), torch.ones(3), epochs=1, batch_size=3, learning_rate=3e38, run=CPU)


def test_divergence_of_a_vae_is_reported_as_such():
    vae = VAE(MLPEncoder((3,), 2), MLPDecoder(2, (3,)), Gaussian(), StandardNormal(2))
    with pytest.raises(TrainingDiverged):
        fit(vae, points()[0], loss=negative_elbo, epochs=3, learning_rate=1e6, run=CPU)
