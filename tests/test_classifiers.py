"""Classifiers: shapes, logits, the normalization as their first layer, weights of the recipe."""

import pytest
import torch
from torch import nn

from companion.attacks import fgsm
from companion.classifiers import (
    Classifier,
    ConvClassifier,
    DeepConvClassifier,
    MLPClassifier,
    Normalize,
)

IMAGE = (1, 28, 28)
MAKE = [
    lambda **more: MLPClassifier(IMAGE, 7, hidden_dims=(16,), **more),
    lambda **more: MLPClassifier(list(IMAGE), 7, hidden_dims=(), **more),
    lambda **more: ConvClassifier(7, channels=4, **more),
    lambda **more: DeepConvClassifier(7, channels=4, **more),
]
every = pytest.mark.parametrize("make", MAKE)


@every
def test_logits_of_every_sign_and_the_features_behind_them(make, device):
    model, x = make().to(device), torch.rand(60, *IMAGE, device=device)
    logits = model(x)
    assert logits.shape == (60, 7)
    assert logits.min() < 0 < logits.max()
    torch.testing.assert_close(model.layers[-1](model.features(x)), logits)
    torch.testing.assert_close(model(x[31:32]), logits[31:32], rtol=1e-4, atol=1e-5)


@every
def test_normalization_is_the_first_layer_and_eps_stays_in_pixels(make):
    plain, normalized = make().eval(), make(mean=0.1307, std=0.3081).eval()
    normalized.layers.load_state_dict(plain.layers.state_dict())
    x, y = torch.rand(5, *IMAGE), torch.arange(5)
    torch.testing.assert_close(normalized(x), plain.layers((x - 0.1307) / 0.3081))
    x_adv = fgsm(normalized, x, y, eps=0.1)
    assert ((x_adv - x).abs().amax((1, 2, 3)) - 0.1).abs().max() < 1e-6


def test_normalization_travels_with_the_weights_and_the_dtype():
    one, other = MLPClassifier(IMAGE, 3, mean=0.5, std=0.25), MLPClassifier(IMAGE, 3)
    other.load_state_dict(one.state_dict())
    assert (other.normalize.mean, other.normalize.std) == (0.5, 0.25)
    assert other.double()(torch.rand(2, *IMAGE).double()).dtype == torch.float64
    assert list(Normalize(0.1, 2.0).parameters()) == []


def test_sizes_are_those_of_the_published_networks():
    def count(model):
        return sum(parameter.numel() for parameter in model.parameters())

    assert count(ConvClassifier()) == 166_406  # Wong, Rice and Kolter's network for MNIST
    assert count(DeepConvClassifier()) == 541_914
    assert count(MLPClassifier(IMAGE, 10, hidden_dims=())) == 7_850


def test_own_layers():
    layers = nn.Sequential(nn.Flatten(), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2))
    model = Classifier(layers, (2, 3))
    assert model(torch.rand(5, 2, 3)).shape == (5, 2)
    assert model.features(torch.rand(5, 2, 3)).shape == (5, 4)
