"""Check of the Fréchet distance of two Gaussians with diagonal covariances."""

from torch import Tensor

from companion.checks.authoring import Case, FunctionTask, Slips, uniform


def _distance(mean_1: Tensor, log_var_1: Tensor, mean_2: Tensor, log_var_2: Tensor) -> Tensor:
    std_1, std_2 = (log_var_1 / 2).exp(), (log_var_2 / 2).exp()
    return ((mean_1 - mean_2) ** 2 + (std_1 - std_2) ** 2).sum()


def _slips(mean_1: Tensor, log_var_1: Tensor, mean_2: Tensor, log_var_2: Tensor) -> Slips:
    shift = (mean_1 - mean_2).square()
    std_1, std_2 = (log_var_1 / 2).exp(), (log_var_2 / 2).exp()
    var_1, var_2 = std_1**2, std_2**2
    right = _distance(mean_1, log_var_1, mean_2, log_var_2)
    kl = 0.5 * (var_1 / var_2 + shift / var_2 - 1 + log_var_2 - log_var_1).sum()
    return {
        "You compared variances. The root of their product turns them into standard deviations.": (
            (shift + (var_1 - var_2).square()).sum()
        ),
        "You compared log-variances.": (shift + (log_var_1 - log_var_2).square()).sum(),
        "The root over the product of the variances is missing.": (
            (shift + var_1 + var_2 - 2 * var_1 * var_2).sum()
        ),
        "You averaged over the features. A trace is a sum, and so is a squared length.": (
            right / len(mean_1)
        ),
        "The squared distance is asked for: no root at the end.": right.sqrt(),
        "The distance of the means is not squared.": (
            shift.sum().sqrt() + (std_1 - std_2).square().sum()
        ),
        "The spread is missing: two Gaussians around one point may still differ.": shift.sum(),
        "The means are missing.": (std_1 - std_2).square().sum(),
        "That is the KL divergence. This distance is symmetric.": kl,
        "`exp(log_var)` is the variance. You used it as the standard deviation once more: is there "
        "a root too few, or one too many?": [
            (shift + var_1 + var_2 - 2 * (std_1 * std_2).sqrt()).sum(),
            (shift + (std_1.sqrt() - std_2.sqrt()).square()).sum(),
        ],
        "Return one number, not one for each feature.": shift + (std_1 - std_2).square(),
    }


def _case(begin: str, n: int, seed: int) -> Case:
    return Case(
        begin,
        {
            "mean_1": uniform(-1, 1, n, seed=seed),
            "log_var_1": uniform(-1.5, 1, n, seed=seed + 1),
            "mean_2": uniform(-1, 2, n, seed=seed + 2),
            "log_var_2": uniform(-1, 1.5, n, seed=seed + 3),
        },
    )


FunctionTask(
    "gan.frechet",
    number="9.4",
    title="The Fréchet distance without a matrix root",
    answer="frechet",
    reference=_distance,
    slips=_slips,
    cases=[_case("With 4 features, ", 4, 5), _case("With one feature, ", 1, 21)],
    praise="So it is the squared distance of the points (mean, standard deviation), feature by "
    "feature. With correlations the matrix root takes the place of the products.",
)
