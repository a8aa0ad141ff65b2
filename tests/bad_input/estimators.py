"""Bad input of the gradient estimators (see `bad_input/densities.py`)."""

import torch

from companion.estimators import (
    Baseline,
    gumbel_softmax,
    optimal_baseline,
    pathwise,
    score_function,
)

ZERO = torch.zeros(2)


def square(z):
    return z.square().sum(-1)


def score(f=square, mean=ZERO, log_var=ZERO, **kwargs):
    return score_function(f, mean, log_var, **{"n_samples": 3, **kwargs})


def path(f=square, mean=ZERO, log_var=ZERO, **kwargs):
    return pathwise(f, mean, log_var, **{"n_samples": 3, **kwargs})


# fmt: off
CASES = [
    ("value for an integrand", lambda: score(square(ZERO)),
     TypeError, "Pass the function itself, not its value"),
    ("integrand that keeps the axis D", lambda: score(lambda z: z.square()),
     ValueError, "`f` gave shape (3, 2) for samples of shape (3, 2)"),
    ("integrand that averages over samples", lambda: path(lambda z: z.square().mean()),
     ValueError, "one number for each is expected: (3,)"),
    ("integrand that gives a number", lambda: path(lambda z: 3.0), ValueError, "`f` gave 3.0"),
    ("integrand that gives NaN", lambda: score(lambda z: z.sum(-1) / 0 * 0),
     ValueError, "`f(z)` holds 3 values that are NaN"),
    ("integrand under no_grad", lambda: path(torch.no_grad()(square)),
     ValueError, "Remove torch.no_grad(), .detach()"),
    ("integrand that detaches", lambda: path(lambda z: square(z.detach())),
     ValueError, "take `score_function`, which needs no gradient"),
    ("step function for a path", lambda: path(lambda z: (z > 0).float().sum(-1)),
     ValueError, "`f` passes no gradient back"),
    ("batch of means", lambda: path(mean=ZERO[None], log_var=ZERO[None]),
     ValueError, "a row of a batch by mean[0]"),
    ("number for a mean", lambda: score(mean=0.0), TypeError, "`mean` must be a torch.Tensor"),
    ("mean without axes", lambda: score(mean=ZERO[0], log_var=ZERO[0]),
     ValueError, "One number becomes a vector by mean[None]"),
    ("one log-variance for two means", lambda: score(log_var=ZERO[:1]),
     ValueError, "`mean` has shape (2,) and `log_var` has shape (1,)"),
    ("log-variance of zero variance", lambda: score(log_var=ZERO.log()),
     ValueError, "`log_var` holds 2 values"),
    ("float64 mean", lambda: path(mean=ZERO.double()), TypeError, "`mean` is torch.float64"),
    ("no gradient samples", lambda: path(n_samples=0),
     ValueError, "`n_samples` must be at least 1"),
    ("1e3 gradient samples", lambda: score(n_samples=1e3), TypeError, "int(n_samples)"),
    ("seed for a gradient", lambda: score(generator=3), TypeError, "manual_seed"),
    ("tensor for a baseline", lambda: score(baseline=ZERO),
     TypeError, "`baseline` must be a number, but it is a Tensor"),
    ("baseline of another width", lambda: score(baseline=Baseline(ZERO, ZERO[:1])),
     ValueError, "`baseline.log_var` has shape (1,)"),
    ("baseline of three parts", lambda: score(baseline=(ZERO, ZERO, ZERO)),
     ValueError, "Baseline(mean, log_var)"),
    ("baseline that is NaN", lambda: score(baseline=Baseline(ZERO / 0, ZERO)),
     ValueError, "`baseline.mean` holds 2 values"),
    ("float64 baseline", lambda: score(baseline=Baseline(ZERO.double(), ZERO)),
     TypeError, "`baseline.mean` is torch.float64"),
    ("infinite baseline", lambda: score(baseline=float("inf")),
     ValueError, "`baseline` must be finite"),
    ("no samples for a baseline", lambda: optimal_baseline(square, ZERO, ZERO, n_samples=0),
     ValueError, "`n_samples` must be at least 1"),
    ("zero temperature", lambda: gumbel_softmax(ZERO, temperature=0),
     ValueError, "`temperature` must be positive"),
    ("tensor for a temperature", lambda: gumbel_softmax(ZERO, temperature=ZERO[0]),
     TypeError, "temperature.item()"),
    ("logits without an axis", lambda: gumbel_softmax(ZERO[0], temperature=1.0),
     ValueError, "but (..., K) is expected"),
    ("log of a zero probability", lambda: gumbel_softmax(ZERO.log(), temperature=1.0),
     ValueError, "`logits` holds 2 values"),
    ("seed for a relaxed vector", lambda: gumbel_softmax(ZERO, temperature=1.0, generator=3),
     TypeError, "manual_seed"),
]
