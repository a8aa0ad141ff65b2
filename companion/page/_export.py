"""Small networks for interactive figures: weights, and what else a figure needs, as JavaScript.

A page that was opened from disk may not fetch a file, but it may run a script. So the numbers
travel as a script that fills one entry of a global object, where the figure finds them:

    CompanionExports["vae_2d"] = {manifest: {...}, base64: "..."}

`base64` holds the arrays one after the other as `manifest.arrays` lists them, each row by row:
float16 numbers, little-endian, unless an entry has a `dtype` of its own. `widgets/network.js` reads
them and runs the network.

Axes: B batch.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from companion._require.arguments import require_finite, require_module

_KINDS: dict[type[nn.Module], str] = {nn.Linear: "linear", nn.ReLU: "relu", nn.Tanh: "tanh"}
_RESHAPING = (nn.Flatten, nn.Unflatten, nn.Identity)  # the numbers stay what they are


def export_mlp(
    network: nn.Module,
    *,
    name: str,
    arrays: Mapping[str, Tensor] | None = None,
    weights_in_bytes: bool = False,
) -> str:
    """Return a multilayer perceptron, and other tensors of a figure, as a script.

    The network is linear layers with one kind of activation between them. It is run on a few
    inputs, to be sure that a page, which knows nothing but the layers, computes the same.

    Args:
        network: maps (B, input_dim) to (B, *output_shape), with ReLU or tanh.
        name: where a figure finds the export, for example the name of the pretrained model.
        arrays: further tensors by name, for example codes and their classes. Those of dtype uint8
            take a byte for each number.
        weights_in_bytes: round each weight matrix to whole numbers from -127 to 127 times the scale
            of its row, and so to half the size. The entry says "int8", and its bytes are the
            scales, one float16 for each row, and then the whole numbers.

    Returns:
        JavaScript. Its manifest holds `name`, `input_dim`, `output_shape`, `activation` (None
        for a single layer), `n_layers`, `dtype`, the `sha256` of the bytes, and name and shape of
        each array: `arrays`, then `layers.0.weight` (n_outputs, n_inputs), `layers.0.bias`, ...

    Raises:
        TypeError: the network is no module, or one of the arrays no tensor.
        ValueError: the network is no such perceptron, or float16 cannot hold a number.

    >>> decoder = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 9))
    >>> '"activation": "tanh", "n_layers": 2' in export_mlp(decoder, name="tiny")
    True
    """
    linears, activation = _layers(network)
    weights = {
        f"layers.{i}.{key}": value
        for i, linear in enumerate(linears)
        for key, value in linear.state_dict().items()
    }
    tensors = {**(arrays or {}), **weights}
    small = {key for key in weights if weights_in_bytes and key.endswith(".weight")}
    packed = {key: _packed(key, tensor, key in small) for key, tensor in tensors.items()}
    content = b"".join(part for _, part in packed.values())
    manifest = {
        "name": name,
        "input_dim": linears[0].in_features,
        "output_shape": list(_output(network, linears, activation).shape[1:]),
        "activation": activation,
        "n_layers": len(linears),
        "dtype": "float16",
        "sha256": hashlib.sha256(content).hexdigest(),
        "arrays": [{"name": key, **form} for key, (form, _) in packed.items()],
    }
    return (
        f"(window.CompanionExports ??= {{}})[{json.dumps(manifest['name'])}] = {{\n"
        f"  manifest: {json.dumps(manifest)},\n"
        f'  base64: "{base64.b64encode(content).decode()}",\n}};\n'
    )


def _layers(network: nn.Module) -> tuple[list[nn.Linear], str | None]:
    """Return the linear layers and the name of the activation between them."""
    require_module(network=network)
    modules = [module for _, module in network.named_modules(remove_duplicate=False)]
    leaves = [module for module in modules if not [*module.children()]]
    layers = [layer for layer in leaves if not isinstance(layer, _RESHAPING)]
    kinds = [_KINDS.get(type(layer), type(layer).__name__) for layer in layers]
    activation = kinds[1] if len(kinds) > 1 else None
    expected = ["linear", activation] * (len(kinds) // 2) + ["linear"]
    if activation not in (None, "relu", "tanh") or kinds != expected:
        raise ValueError(
            f"`network` must be linear layers with one activation between them, ReLU or tanh, but "
            f"it is: {', '.join(kinds) or 'nothing'}. "
            f"Pass only that part of the model: model.decoder, or network.layers."
        )
    return [layer for layer in layers if isinstance(layer, nn.Linear)], activation


def _packed(name: str, tensor: Any, in_bytes: bool) -> tuple[dict[str, Any], bytes]:
    """Return shape and dtype of an array (no dtype: float16), and its bytes."""
    half = _half(name, tensor)
    form: dict[str, Any] = {"shape": list(half.shape)}
    if in_bytes:
        scale, whole = rows_in_bytes(tensor)
        return {**form, "dtype": "int8"}, _bytes_of(scale) + whole.numpy().tobytes()
    if tensor.dtype == torch.uint8:
        return {**form, "dtype": "uint8"}, tensor.cpu().contiguous().numpy().tobytes()
    return form, _bytes_of(half)


def rows_in_bytes(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return the scales (rows, 1) in float16 and whole numbers (rows, columns) in int8.

    >>> scale, whole = rows_in_bytes(torch.tensor([[0.5, -63.5, 63.5]]))
    >>> scale * whole
    tensor([[  0.5000, -63.5000,  63.5000]], dtype=torch.float16)
    """
    exact = matrix.detach().cpu().double()
    # No float16 is smaller: a row of zeros stays one.
    scale = (exact.abs().amax(1, keepdim=True) / 127).clamp_min(2.0**-24).half()
    return scale, (exact / scale.double()).round().clamp(-127, 127).to(torch.int8)


def _bytes_of(half: Tensor) -> bytes:
    return half.numpy().astype("<f2").tobytes()


def _half(name: str, tensor: Any) -> Tensor:
    if not isinstance(tensor, Tensor):
        raise TypeError(
            f"`arrays[{name!r}]` must be a torch.Tensor, but it is a {type(tensor).__name__}. "
            f"Convert it first: torch.as_tensor(...)."
        )
    exact = tensor.detach().cpu().double()
    require_finite(**{name: exact})
    half = exact.half()
    if half.isinf().any() or not (tensor.is_floating_point() or torch.equal(half.double(), exact)):
        raise ValueError(
            f"`{name}` holds {exact.abs().max():g}, which float16 cannot: it ends at 65,504, and "
            f"whole numbers are exact up to 2,048. Scale the numbers down."
        )
    return half


def _output(network: nn.Module, linears: list[nn.Linear], activation: str | None) -> Tensor:
    """Return an output of the network, once the layers alone are known to compute it."""
    x = torch.linspace(-2, 2, 3 * linears[0].in_features).reshape(3, -1).to(linears[0].weight)
    with torch.no_grad():
        output, expected = network(x), linears[0](x)
        for linear in linears[1:]:
            expected = linear(getattr(torch, str(activation))(expected))
    same = isinstance(output, Tensor) and output.numel() == expected.numel()
    if not same or not torch.allclose(output.flatten(1), expected, rtol=1e-4, atol=1e-5):
        raise ValueError(
            "`network` computes something else than its linear layers and activations, one after "
            "the other, and a page could not know. Pass a network without further steps."
        )
    return output
