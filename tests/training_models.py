"""Small models, data and settings for the tests of `fit`."""

from typing import NamedTuple

import torch
from torch import nn

from companion.training import Run, fit

CPU = Run(device="cpu", progress=False)


class Answer(NamedTuple):
    error: torch.Tensor
    size: torch.Tensor


class Regression(nn.Module):
    """A line with noise on its input, and batch norm."""

    def __init__(self, noise=0.0, norm=False, dtype=torch.float32):
        super().__init__()
        self.noise = noise
        self.norm = nn.BatchNorm1d(3) if norm else nn.Identity()
        self.linear = nn.Linear(3, 1, dtype=dtype)
        with torch.no_grad():
            self.linear.weight.copy_(torch.tensor([[0.3, -0.2, 0.1]]))
            self.linear.bias.zero_()

    def forward(self, x, y, *, generator=None):
        x = x + self.noise * torch.randn(
            x.shape, generator=generator, dtype=x.dtype, device=x.device
        )
        out = self.linear(self.norm(x)).squeeze(1)
        return Answer((out - y) ** 2, self.linear.weight.square().sum().expand(len(x)))


def penalized(answer):
    return answer.error + 0.01 * answer.size


def error(answer):
    return answer.error


def points(n=50, seed=1, dtype=torch.float32):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 3, generator=g, dtype=dtype)
    y = x @ torch.tensor([1.0, -2.0, 0.5], dtype=dtype) + 0.7
    return x, y + 0.1 * torch.randn(n, generator=g, dtype=dtype)


def weights(model):
    return torch.cat([value.flatten().cpu().double() for value in model.state_dict().values()])


SETTINGS = {
    "loss": penalized,
    "epochs": 4,
    "batch_size": 8,
    "learning_rate": 0.02,
    "seed": 3,
    "run": CPU,
}


def trained(data=None, model=None, **changes):
    model = Regression(noise=0.1, norm=True) if model is None else model
    history = fit(model, points() if data is None else data, **{**SETTINGS, **changes})
    return model, history


class Constant(nn.Module):
    """A loss that the weights do not change: its mean can be known."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, x, *, generator=None):
        return x + 0 * self.weight


class Interrupted(Regression):
    """Stops in its n-th training step."""

    def __init__(self, at, kind=KeyboardInterrupt):
        super().__init__(noise=0.1, norm=True)
        self.left = at
        self.kind = kind

    def forward(self, x, y, *, generator=None):
        self.left -= self.training
        if self.left < 0:
            raise self.kind("stop")
        return super().forward(x, y, generator=generator)


def mode_pattern(model):
    return [module.training for module in model.modules()]


def same_class(model):
    # The name of the class is part of a checkpoint.
    model.__class__ = type("Regression", (type(model),), {})
    return model


def order_of(model_class, data, **settings):
    """Return the rows of each batch, as the model sees them: column 0 of x tells the row."""
    seen = []

    class Spy(model_class):
        def forward(self, x, y, *, generator=None):
            if self.training:
                seen.append((x[:, 0, None] == data[0][:, 0]).int().argmax(1))
            return super().forward(x, y, generator=generator)

    fit(Spy(), data, **{**SETTINGS, **settings})
    return seen
