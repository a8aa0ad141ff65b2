"""How fast are the mixture's density and a step of EM, next to others' and to the bare arithmetic?

Run it from the root of the repository: `python benchmarks/mixture_speed.py`.

5,000 codes, D = 8, K = 10, float32, as in chapter 4. The programs take turns in one process:

* `companion`: `GaussianMixture.log_prob`, and `em_step`, with all their checks;
* `torch`: `torch.distributions.MixtureSameFamily`, for the density;
* `sklearn`: a fit of one step by `sklearn.mixture.GaussianMixture` from given parameters;
* `products`: only the matrix products that the formula needs, into memory that is there already.
"""

import argparse
import time
import warnings
from collections.abc import Callable

import torch
from ratios import print_ratio
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as SklearnMixture
from torch import Tensor
from torch.distributions import (
    Categorical,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
)

from companion.em import em_step
from companion.mixture import GaussianMixture

Program = Callable[[], object]


def parameters(k: int, d: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return weights (K,), means (K, D) and covariances (K, D, D)."""
    generator = torch.Generator().manual_seed(0)
    mean = torch.randn(k, d, generator=generator)
    root = torch.randn(k, d, d, generator=generator) / d**0.5
    return torch.full((k,), 1 / k), mean, root @ root.mT + 0.1 * torch.eye(d)


def densities_diagonal(z: Tensor, weights: Tensor, mean: Tensor, var: Tensor) -> dict[str, Program]:
    """Programs for log p(z) with variances (K, D)."""
    ours = GaussianMixture.from_parameters(weights, mean, var)
    parts = Independent(Normal(mean, var.sqrt()), 1)
    theirs = MixtureSameFamily(Categorical(weights), parts)
    square, linear, out = (1 / var).T.contiguous(), (mean / var).T.contiguous(), z @ mean.T

    def products() -> Tensor:  # (z - mean)^2 / var, multiplied out
        torch.mm(z.square(), square, out=out)
        return out.addmm_(z, linear, alpha=-2)

    return {
        "companion": lambda: ours.log_prob(z),
        "torch": lambda: theirs.log_prob(z),
        "products": products,
    }


def densities_full(z: Tensor, weights: Tensor, mean: Tensor, cov: Tensor) -> dict[str, Program]:
    """Programs for log p(z) with covariances (K, D, D)."""
    ours = GaussianMixture.from_parameters(weights, mean, cov)
    theirs = MixtureSameFamily(Categorical(weights), MultivariateNormal(mean, cov))
    whiten = torch.linalg.inv(torch.linalg.cholesky(cov)).flatten(0, 1).T.contiguous()
    out = z @ whiten
    return {
        "companion": lambda: ours.log_prob(z),
        "torch": lambda: theirs.log_prob(z),
        "products": lambda: torch.mm(z, whiten, out=out),
    }


def em_steps(z: Tensor, weights: Tensor, mean: Tensor, cov: Tensor) -> dict[str, Program]:
    """Programs for a step of EM with covariances (K, D, D)."""
    ours = GaussianMixture.from_parameters(weights, mean, cov)
    start = {
        "weights_init": weights.numpy(),
        "means_init": mean.numpy(),
        "precisions_init": torch.cholesky_inverse(torch.linalg.cholesky(cov)).numpy(),
    }
    theirs = SklearnMixture(len(weights), max_iter=1, tol=0, **start)
    rows = z.numpy()
    whiten = torch.linalg.inv(torch.linalg.cholesky(cov)).flatten(0, 1).T.contiguous()
    white, resp = z @ whiten, torch.rand(len(weights), len(z))
    scatter = torch.empty_like(cov)

    def products() -> None:
        torch.mm(z, whiten, out=white)
        for k in range(len(resp)):
            torch.mm(z.T * resp[k], z, out=scatter[k])

    return {
        "companion": lambda: em_step(ours, z),
        "sklearn": lambda: theirs.fit(rows),
        "products": products,
    }


def measure(programs: dict[str, Program], rounds: int, calls: int) -> dict[str, list[float]]:
    """Return seconds for a call, by program; the programs take turns."""
    times: dict[str, list[float]] = {name: [] for name in programs}
    for turn in range(rounds + 1):
        for name, program in programs.items():
            begin = time.perf_counter()
            for _ in range(calls):
                program()
            if turn > 0:  # the first round warms up
                times[name].append((time.perf_counter() - begin) / calls)
    return times


def report(title: str, times: dict[str, list[float]]) -> None:
    """Print the best time of each program and the ratios to the companion's, turn by turn."""
    best = ", ".join(f"{name} {1e3 * min(series):.2f} ms" for name, series in times.items())
    print(f"{title}: {best}")
    ours, other, floor = times.values()
    rival = list(times)[1]
    print_ratio(f"{rival} / companion", other, ours, "aim: 1 or more")
    print_ratio("companion / products", ours, floor, "what is lost to memory and to checks")


@torch.no_grad()
def main() -> None:
    """Measure the three tasks and print the ratios."""
    parser = argparse.ArgumentParser(description="Compare the speed of mixtures.")
    parser.add_argument("--codes", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=10, help="calls in each round")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore", ConvergenceWarning)  # one step is what we ask for
    weights, mean, cov = parameters(k=10, d=8)
    z = 1.5 * torch.randn(options.codes, 8, generator=torch.Generator().manual_seed(1))
    var = cov.diagonal(dim1=-2, dim2=-1).contiguous()
    tasks = {
        "density, diagonal": densities_diagonal(z, weights, mean, var),
        "density, full": densities_full(z, weights, mean, cov),
        "EM step, full": em_steps(z, weights, mean, cov),
    }
    for title, programs in tasks.items():
        report(title, measure(programs, options.rounds, options.calls))


if __name__ == "__main__":
    main()
