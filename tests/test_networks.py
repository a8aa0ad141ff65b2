"""Shapes of the networks, and what their outputs can reach."""

import re

import pytest
import torch
from oracles import models as oracles_model
from torch import nn

from companion.networks import ConvDecoder, ConvEncoder, LinearEncoder, MLPDecoder, MLPEncoder

IMAGE = (1, 28, 28)
ENCODERS = [
    lambda: MLPEncoder(IMAGE, 3),
    lambda: MLPEncoder(list(IMAGE), 3, hidden_dims=()),
    lambda: MLPEncoder(torch.Size(IMAGE), 3, hidden_dims=[16, 8]),
    lambda: LinearEncoder(IMAGE, 3),
    lambda: ConvEncoder(3, channels=4),
]
DECODERS = [
    lambda: MLPDecoder(3, IMAGE),
    lambda: MLPDecoder(3, IMAGE, hidden_dims=()),
    lambda: MLPDecoder(3, IMAGE, hidden_dims=(8, 16)),
    lambda: ConvDecoder(3, channels=4),
]


@pytest.mark.parametrize("make", ENCODERS)
def test_encoders_give_a_mean_and_a_log_variance_of_any_size(make, device):
    encoder, x = make().to(device), torch.rand(5, *IMAGE, device=device)
    mean, log_var = encoder(x)
    assert mean.shape == log_var.shape == (5, 3)
    oracles_model.assert_log_var_unbounded(lambda: make().to(device), x)


@pytest.mark.parametrize("make", DECODERS)
def test_decoders_take_samples_in_front(make, device):
    decoder = make().to(device)
    z = torch.randn(4, 5, 3, device=device)
    together = decoder(z)
    assert together.shape == (4, 5, *IMAGE)
    assert decoder(z[2]).shape == (5, *IMAGE)
    torch.testing.assert_close(together[2], decoder(z[2]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [*ENCODERS, *DECODERS])
def test_a_batch_of_one_equals_its_row_in_a_batch_of_a_hundred(make):
    network = make()
    is_encoder = "Encoder" in type(network).__name__
    batch = torch.rand(100, *IMAGE) if is_encoder else torch.randn(100, 3)
    together, alone = network(batch), network(batch[37:38])
    pairs = zip(together, alone, strict=True) if is_encoder else [(together, alone)]
    for many, one in pairs:
        torch.testing.assert_close(one, many[37:38], rtol=1e-4, atol=1e-5)


def test_a_decoder_without_hidden_layers_is_affine():
    decoder = MLPDecoder(2, (3, 2), hidden_dims=()).double()
    (layer,) = decoder.layers
    z = torch.randn(7, 2, dtype=torch.float64)
    expected = (z @ layer.weight.T + layer.bias).reshape(7, 3, 2)
    torch.testing.assert_close(decoder(z), expected)


def test_a_linear_encoder_has_one_log_variance_for_all_x():
    mean, log_var = LinearEncoder((4,), 2)(torch.randn(6, 4))
    assert (log_var == log_var[0]).all()
    assert not (mean == mean[0]).all()


@pytest.mark.parametrize("hidden_dims", [(), (5,), (5, 4)])
def test_relu_stands_between_linear_layers_only(hidden_dims):
    kinds = [type(layer) for layer in MLPDecoder(2, (3,), hidden_dims=hidden_dims).layers]
    assert kinds == [nn.Linear, nn.ReLU] * len(hidden_dims) + [nn.Linear]


def test_relu_stands_between_the_layers_with_weights_of_convolutional_networks():
    for network in (ConvEncoder(2, channels=4), ConvDecoder(2, channels=4)):
        kinds = [type(layer) for layer in network.layers]
        kinds = [kind for kind in kinds if kind not in (nn.Flatten, nn.Unflatten)]
        assert len(kinds) == 7
        assert all(kind is nn.ReLU for kind in kinds[1::2])
        assert nn.ReLU not in kinds[::2]


def test_event_axes_keep_their_places():
    # A decoder that copies its code must give x back as it was flattened by the encoder.
    x = torch.arange(6.0).reshape(1, 1, 3, 2)
    encoder, decoder = MLPEncoder((1, 3, 2), 6, hidden_dims=()), MLPDecoder(6, (1, 3, 2), ())
    with torch.no_grad():
        for layer in (encoder.layers[0], decoder.layers[0]):
            layer.weight.copy_(torch.eye(*layer.weight.shape))
            layer.bias.zero_()
    assert torch.equal(decoder(encoder(x).mean), x)


@pytest.mark.usefixtures("without_shape_checker")
def test_networks_compile_to_one_graph():
    encoder, decoder = MLPEncoder((4,), 2, (3,)), MLPDecoder(2, (4,), (3,))
    x = torch.rand(5, 4)

    def both(x):
        return decoder(encoder(x).mean)

    compiled = torch.compile(both, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), both(x))


def test_the_remedy_for_a_shape_moves_no_pixel_to_another_place():
    encoder = MLPEncoder((3, 4, 5), 2)
    for shape, remedy in (
        ((2, 4, 5, 3), "x.permute(0, 3, 1, 2)"),
        ((2, 60), "x.reshape(-1, 3, 4, 5)"),
        ((3, 4, 5), "x[None]"),
        ((2, 3, 4, 6), "build the network for the other one"),
    ):
        with pytest.raises(ValueError, match=re.escape(remedy)):
            encoder(torch.zeros(shape))
