"""How fast are the mixture's density and a step of EM, next to others' and to the bare arithmetic?

Run it from the root of the repository: `python -m benchmarks.mixture_speed`.

5,000 codes, D = 8, K = 10, float32, as in chapter 4. The programs take turns in one process:

* `companion`: `GaussianMixture.log_prob`, and `em_step`, with all their checks;
* `torch`: `torch.distributions.MixtureSameFamily`, for the density;
* `sklearn`: a fit of one step by `sklearn.mixture.GaussianMixture` from given parameters;
* `products`: only the matrix products that the formula needs, into memory that is there already.

Last, whole fits with diagonal covariances to overlapping clusters in 40 dimensions, by `fit_em`
and by scikit-learn with as many starts: how many seeds come within 0.01 nats of the best, and the
ratio of times. With 160 components for 2,000 codes only the time says something: there some
components shrink to one code, and the more of them, the larger the likelihood.
"""

import argparse
import time
import warnings
from collections.abc import Callable

import torch
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

from benchmarks.ratios import print_ratio
from companion.em import em_step, fit_em
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


def clusters(k: int, n: int, d: int = 40) -> Tensor:
    """Return codes (N, D) of K clusters that overlap."""
    generator = torch.Generator().manual_seed(2)
    mean = 0.6 * torch.randn(k, d, generator=generator)
    var = 0.3 + 1.4 * torch.rand(k, d, generator=generator)
    truth = GaussianMixture.from_parameters(torch.full((k,), 1 / k), mean, var)
    return truth.sample(n, generator=generator)


def fit_ours(z: Tensor, k: int, starts: int, seed: int) -> float:
    """Return the mean log-likelihood of the companion's fit."""
    source = torch.Generator().manual_seed(seed)
    options = {"covariance": "diagonal", "tolerance": 1e-3, "n_starts": starts}
    return fit_em(z, k, generator=source, **options).log_likelihood[-1]  # type: ignore[arg-type]


def fit_theirs(z: Tensor, k: int, starts: int, seed: int) -> float:
    """Return the mean log-likelihood of scikit-learn's fit."""
    options = {"covariance_type": "diag", "tol": 1e-3, "max_iter": 200, "n_init": starts}
    return SklearnMixture(k, random_state=seed, **options).fit(z.numpy()).score(z.numpy())


def compare_fits(k: int, n: int, starts: int, seeds: int) -> None:
    """Print how often each program comes near the best known fit, and the ratio of times."""
    z = clusters(k, n)
    times: dict[str, list[float]] = {"companion": [], "sklearn": []}
    found: dict[str, list[float]] = {"companion": [], "sklearn": []}
    for seed in range(seeds):
        for name, program in (("companion", fit_ours), ("sklearn", fit_theirs)):
            begin = time.perf_counter()
            found[name].append(program(z, k, starts, seed))
            times[name].append(time.perf_counter() - begin)
    best = max(map(max, found.values()))
    seconds = [f"{name} {min(series):.3f} s" for name, series in times.items()]
    near = [f"{name} {sum(v > best - 0.01 for v in runs)}" for name, runs in found.items()]
    print(f"fit, K = {k}, {starts} start(s): {', '.join(seconds)}")
    print(f"  of {seeds} seeds near the best: {', '.join(near)}")
    print_ratio("sklearn / companion", times["sklearn"], times["companion"], "aim: 1 or more")


@torch.no_grad()
def main() -> None:
    """Measure the three tasks and the whole fits, and print the ratios."""
    parser = argparse.ArgumentParser(description="Compare the speed of mixtures.")
    parser.add_argument("--codes", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=10, help="calls in each round")
    parser.add_argument("--seeds", type=int, default=20, help="whole fits")
    parser.add_argument("--starts", type=int, default=1, help="starts of each whole fit")
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
    compare_fits(16, 2_000, options.starts, options.seeds)
    compare_fits(160, 2_000, 1, 5)


if __name__ == "__main__":
    main()
