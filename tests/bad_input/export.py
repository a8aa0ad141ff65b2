"""Bad input of the export: name, call, exception, and a part of the message."""

import torch
from torch import nn

from companion.networks import ConvDecoder, LinearEncoder, MLPEncoder
from companion.page._export import export_mlp


class Squashed(nn.Sequential):
    """A network with a step that is no module."""

    def __init__(self):
        super().__init__(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 4))

    def forward(self, z):
        return torch.sigmoid(super().forward(z))


def huge(value):
    network = nn.Linear(2, 1)
    nn.init.constant_(network.weight, value)
    return network


def export(network, **options):
    return lambda: export_mlp(network, name="x", **options)


LINES = "must be linear layers with one activation between them, ReLU or tanh, but it is: "

# fmt: off
CASES = [
    ("weights for a network", export(nn.Linear(2, 1).state_dict()),
     TypeError, "`network` must be a torch.nn.Module, but it is "),
    ("convolutions", export(ConvDecoder(2)),
     ValueError, LINES + "linear, relu, linear, relu, Conv"),
    ("another activation", export(nn.Sequential(nn.Linear(2, 3), nn.GELU(), nn.Linear(3, 1))),
     ValueError, LINES + "linear, GELU, linear. Pass only that part"),
    ("two activations", export(nn.Sequential(
        nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 1))),
     ValueError, LINES + "linear, relu, linear, tanh, linear"),
    ("activation at the end", export(nn.Sequential(nn.Linear(2, 3), nn.Tanh())),
     ValueError, LINES + "linear, tanh."),
    ("linear layers in a row", export(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))),
     ValueError, LINES + "linear, linear."),
    ("dropout", export(nn.Sequential(nn.Linear(2, 3), nn.Dropout(), nn.Linear(3, 1))),
     ValueError, LINES + "linear, Dropout, linear"),
    ("no layer at all", export(nn.Identity()), ValueError, LINES + "nothing."),
    ("a step that is no module", export(Squashed()),
     ValueError, "`network` computes something else than its linear layers and activations"),
    ("an encoder", export(MLPEncoder((4,), 2)), ValueError, "`network` computes something else"),
    ("an encoder with a free log-variance", export(LinearEncoder((4,), 2)),
     ValueError, "`network` computes something else"),
    ("a weight beyond float16", export(huge(7e4)),
     ValueError, "`layers.0.weight` holds 70000, which float16 cannot: it ends at 65,504"),
    ("a weight that is no number", export(huge(float("nan"))),
     ValueError, "`layers.0.weight` holds 2 values that are NaN or infinite"),
    ("a whole number beyond 2,048", export(nn.Linear(2, 1), arrays={"i": torch.tensor([2049])}),
     ValueError, "`i` holds 2049, which float16 cannot"),
    ("a list for a tensor", export(nn.Linear(2, 1), arrays={"codes": [1.0]}),
     TypeError, "`arrays['codes']` must be a torch.Tensor, but it is a list"),
]
# fmt: on
