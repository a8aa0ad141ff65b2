"""The export of small networks: the numbers in the script, and what is refused."""

import base64
import hashlib
import json
import re

import jaxtyping
import numpy as np
import pytest
import torch
from bad_input.export import CASES, Squashed
from torch import nn

from companion.networks import MLPDecoder
from companion.page import _export as export
from companion.page._export import export_mlp

FORM = re.compile(
    r"\(window\.CompanionExports \?\?= \{\}\)\[(?P<name>.+)\] = \{\n"
    r"  manifest: (?P<manifest>\{.*\}),\n"
    r'  base64: "(?P<base64>[A-Za-z0-9+/]*=*)",\n\};\n'
)


def read(script):
    """Read a script back: manifest, bytes, and the arrays as NumPy sees them."""
    found = FORM.fullmatch(script)
    manifest, content = json.loads(found["manifest"]), base64.b64decode(found["base64"])
    assert json.loads(found["name"]) == manifest["name"]
    arrays, numbers = {}, np.frombuffer(content, dtype="<f2")
    for entry in manifest["arrays"]:
        size = int(np.prod(entry["shape"]))
        arrays[entry["name"]] = numbers[:size].reshape(entry["shape"])
        numbers = numbers[size:]
    assert numbers.size == 0
    return manifest, content, arrays


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh])
def test_a_decoder_comes_back_in_half_precision(activation):
    torch.manual_seed(0)
    decoder = MLPDecoder(2, (1, 6, 5), (20, 10), activation)
    manifest, content, arrays = read(export_mlp(decoder, name='a "name"'))
    assert manifest == {
        "name": 'a "name"',
        "input_dim": 2,
        "output_shape": [1, 6, 5],
        "activation": {nn.ReLU: "relu", nn.Tanh: "tanh"}[activation],
        "n_layers": 3,
        "dtype": "float16",
        "sha256": hashlib.sha256(content).hexdigest(),
        "arrays": [
            {"name": "layers.0.weight", "shape": [20, 2]},
            {"name": "layers.0.bias", "shape": [20]},
            {"name": "layers.1.weight", "shape": [10, 20]},
            {"name": "layers.1.bias", "shape": [10]},
            {"name": "layers.2.weight", "shape": [30, 10]},
            {"name": "layers.2.bias", "shape": [30]},
        ],
    }
    for ours, theirs in zip(arrays.values(), decoder.parameters(), strict=True):
        np.testing.assert_array_equal(ours, theirs.detach().numpy().astype(np.float16))


def test_other_arrays_travel_along():
    codes, labels = torch.tensor([[0.5, -1.25], [2**-24, 65504.0]]), torch.tensor([9, 2048])
    script = export_mlp(nn.Linear(2, 3), name="x", arrays={"codes": codes, "labels": labels})
    manifest, _, arrays = read(script)
    assert manifest["activation"] is None
    assert [entry["name"] for entry in manifest["arrays"]][:2] == ["codes", "labels"]
    np.testing.assert_array_equal(arrays["codes"], codes.numpy())
    np.testing.assert_array_equal(arrays["labels"], labels.numpy())


def test_weights_in_bytes_and_bytes_among_the_arrays():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 3), nn.ReLU(), nn.Linear(3, 2))
    with torch.no_grad():
        network[0].weight[1] = 0
    pixels = torch.tensor([[0, 255, 7]], dtype=torch.uint8)
    script = export_mlp(network, name="x", arrays={"pixels": pixels}, weights_in_bytes=True)
    found = FORM.fullmatch(script)
    content = base64.b64decode(found["base64"])
    assert json.loads(found["manifest"])["arrays"] == [
        {"name": "pixels", "shape": [1, 3], "dtype": "uint8"},
        {"name": "layers.0.weight", "shape": [3, 6], "dtype": "int8"},
        {"name": "layers.0.bias", "shape": [3]},
        {"name": "layers.1.weight", "shape": [2, 3], "dtype": "int8"},
        {"name": "layers.1.bias", "shape": [2]},
    ]
    assert [*content[:3]] == [0, 255, 7]
    scales = np.frombuffer(content[3:9], "<f2").astype(float)
    whole = np.frombuffer(content[9:27], "i1").reshape(3, 6)
    weight = network[0].weight.detach().numpy()
    assert np.abs(scales[:, None] * whole - weight).max() <= 0.51 * scales.max()
    assert np.abs(whole).max(1).tolist() == [127, 0, 127]
    assert content[27:33] == network[0].bias.detach().numpy().astype("<f2").tobytes()
    assert len(content) == 33 + 4 + 6 + 4


def nested():
    inside = nn.Sequential(nn.Linear(4, 3), nn.Tanh())
    return nn.Sequential(nn.Flatten(), inside, nn.Linear(3, 2))


def with_one_activation_used_twice():
    tanh = nn.Tanh()
    return nn.Sequential(nn.Linear(4, 3), tanh, nn.Linear(3, 3), tanh, nn.Linear(3, 2))


@pytest.mark.parametrize(
    ("make", "n_layers"),
    [
        (nested, 2),
        (with_one_activation_used_twice, 3),
        (lambda: nn.Linear(4, 2, bias=False), 1),
        (lambda: nn.Linear(4, 2).double(), 1),
        (lambda: nn.Linear(4, 2).bfloat16(), 1),
    ],
)
def test_other_perceptrons(make, n_layers):
    network = make()
    manifest, _, arrays = read(export_mlp(network, name="other"))
    assert manifest["n_layers"] == n_layers
    assert manifest["output_shape"] == [2]
    assert len(arrays) == len(network.state_dict())


def test_the_network_stays_as_it_was():
    network = nested().train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    export_mlp(network, name="same")
    assert network.training
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize(
    ("call", "error", "message"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_bad_input(call, error, message):
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        with pytest.raises(error, match=re.escape(message)):
            call()
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


def test_the_layers_alone_would_not_do(monkeypatch):
    """Without the trial run, a network that squashes its output would be exported wrongly."""
    with pytest.raises(ValueError, match="computes something else"):
        export_mlp(Squashed(), name="x")
    monkeypatch.setattr(export, "_output", lambda network, *_: network(torch.zeros(3, 2)))
    export_mlp(Squashed(), name="x")
