"""How the tests run the scripts of the figure "gan" in node, and what torch says of them."""

import json
import shutil
import subprocess

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import relu, softplus

from companion.page.widget import FOLDER

SIZES = {"generator": (2, 32, 32, 2), "discriminator": (2, 32, 32, 1)}
HEALTHY = {"loss": "non-saturating", "dSteps": 1, "gRate": 1e-3, "dRate": 3e-3, "beta1": 0}
COLLAPSE = HEALTHY | {"gRate": 2e-3, "dRate": 5e-4, "beta1": 0.5}

# What the discriminator and the generator pay for scores of data (r) and of generated points (f).
LOSSES = {
    "minimax": (
        lambda r, f: softplus(-r).mean() + softplus(f).mean(),
        lambda f: -softplus(f).mean(),
    ),
    "non-saturating": (
        lambda r, f: softplus(-r).mean() + softplus(f).mean(),
        lambda f: softplus(-f).mean(),
    ),
    "wasserstein": (lambda r, f: f.mean() - r.mean(), lambda f: -f.mean()),
    "hinge": (lambda r, f: relu(1 - r).mean() + relu(1 + f).mean(), lambda f: -f.mean()),
}

_RUN = """
globalThis.window = globalThis;
const input = JSON.parse(require("fs").readFileSync(0, "utf8"));
%s
const { adam, mlp } = CompanionWidgets.ganMlp;
const play = CompanionWidgets.ganPlay;
const flat = (values) => Float64Array.from(values);
const answer = (() => { %s })();
console.log(JSON.stringify(answer, (_, value) =>
    value instanceof Float64Array ? [...value] : value));
"""


def in_node(body: str, **values: object) -> dict:
    """The value that the JavaScript `body` returns; it finds `values` in `input`."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("No node found: the networks of the figure were not tested.")
    parts = ("widget.js", "gan-mlp.js", "gan-play.js")
    scripts = "\n".join((FOLDER / part).read_text(encoding="utf-8") for part in parts)
    done = subprocess.run(
        [node, "-e", _RUN % (scripts, body)],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def network(name: str, seed: int) -> nn.Sequential:
    """A network of the figure in torch, in float64."""
    torch.manual_seed(seed)
    a, b, c, d = SIZES[name]
    unit = nn.ReLU if name == "generator" else lambda: nn.LeakyReLU(0.2)
    layers = (nn.Linear(a, b), unit(), nn.Linear(b, c), unit(), nn.Linear(c, d))
    return nn.Sequential(*layers).double()


def flat(tensors) -> list[float]:
    """All numbers, in the order of the figure's flat arrays."""
    return torch.cat([tensor.detach().flatten() for tensor in tensors]).tolist()


def gradients(loss: Tensor, net: nn.Module) -> list[float]:
    return flat(torch.autograd.grad(loss, list(net.parameters())))
