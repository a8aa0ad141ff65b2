r"""Attacks on defenses that hide their gradients: fit the model to the attack, then attack.

Both functions return a module that any attack of `companion.attacks` can take in place of the
model, or of a part of it.

Axes: S samples (leading), B batch, `event` the shape of one x.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from companion._require.attacks import Attackable, module_of, require_attackable
from companion._require.signature import Count, checked


@checked
def expectation_over_transformation(
    model: Attackable,
    n_samples: Count,
    *,
    transform: Callable[[Tensor], Tensor] | None = None,
) -> nn.Module:
    r"""Ask a random model several times, so that an attack follows the expected loss.

    .. math:: \nabla_x E_t[\ell(f(t(x)), y)]
        \approx \frac1S \sum_{s=1}^{S} \nabla_x \ell(f(t_s(x)), y)

    A single gradient of a random model is noise around this one. The outputs are stacked, samples
    lead, and an attack averages their losses: the expected loss, not the loss of a mean output.

    Args:
        model: a random model, or one behind a random `transform`: a module or a function of x.
        n_samples: the number S of samples of each step of the attack.
        transform: random function of x that comes before the model. None: the model is random.

    Returns:
        A module that gives what the model gives, each tensor with an axis S in front.

    Reference: Athalye, Carlini and Wagner (2018), who call it EOT.

    >>> noisy = lambda x: x + 0.1 * torch.randn(x.shape)
    >>> eot = expectation_over_transformation(nn.Linear(4, 3), 20, transform=noisy)
    >>> eot(torch.zeros(5, 4)).shape
    torch.Size([20, 5, 3])
    """
    if transform is not None:
        require_attackable(transform=transform)
    return _Expectation(model, n_samples, transform)


@checked
def bpda(forward: Attackable, backward: Callable[[Tensor], Any] | None = None) -> nn.Module:
    r"""Give a part of a model another backward pass: backward pass differentiable approximation.

    .. math:: g(x) = \text{forward}(x), \qquad
        \nabla g(x) := \nabla \, \text{backward}(x)

    A part that rounds, samples or searches has no useful gradient. If it returns nearly what it
    gets, as purifiers and denoisers do, the identity is a good approximation.

    Args:
        forward: the part, a module or a function of x that returns one tensor.
        backward: differentiable function of x that is close to `forward` and returns the same
            shape. None takes the identity; `forward` must then keep the shape of x.

    Returns:
        A module. Its output is exactly that of `forward`.

    Reference: Athalye, Carlini and Wagner (2018), who call it BPDA.

    >>> rounding = bpda(torch.round)
    >>> x = torch.tensor([[0.2, 0.7]], requires_grad=True)
    >>> rounding(x).sum().backward()
    >>> rounding(x).detach(), x.grad
    (tensor([[0., 1.]]), tensor([[1., 1.]]))
    """
    if backward is not None:
        require_attackable(backward=backward)
    return _Substitute(forward, backward)


class _Wrapper(nn.Module):
    """Holds parts, which may be methods or functions, and the modules behind them."""

    def __init__(self, *parts: Callable | None) -> None:
        super().__init__()
        self.parts: tuple[Any, ...] = parts
        found = (module_of(part) for part in parts if part is not None)
        self.owners = nn.ModuleList(module for module in found if module is not None)
        # A new module would be in training mode, and an attack would warn of that.
        self.training = self.owners.training = any(owner.training for owner in self.owners)


class _Expectation(_Wrapper):
    def __init__(self, model: Callable, n_samples: int, transform: Callable | None) -> None:
        super().__init__(model, transform)
        self.n_samples = n_samples

    def forward(self, x: Tensor) -> Any:
        model, transform = self.parts
        views = (x if transform is None else transform(x) for _ in range(self.n_samples))
        return _stack([model(view) for view in views])


def _stack(outputs: list[Any]) -> Any:
    """Stack tensors; of tuples, field by field."""
    first = outputs[0]
    if isinstance(first, Tensor):
        return torch.stack(outputs)
    fields = [_stack(list(field)) for field in zip(*outputs, strict=True)]
    return type(first)(*fields) if hasattr(first, "_fields") else tuple(fields)


class _Substitute(_Wrapper):
    def forward(self, x: Tensor) -> Tensor:
        return _Replace.apply(x, *self.parts)


class _Replace(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, forward: Callable, backward: Callable | None) -> Tensor:
        ctx.save_for_backward(x)
        ctx.substitute = backward
        output = forward(x)
        return output.clone() if output is x else output

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        if ctx.substitute is None:
            return gradient, None, None
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            output = ctx.substitute(leaf)
        return torch.autograd.grad(output, leaf, gradient)[0], None, None
