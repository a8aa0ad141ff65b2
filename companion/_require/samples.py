"""What measures of samples ask of features and probabilities, with the remedy."""

from torch import Tensor

from companion._require.arguments import require_range


def require_more_than(n: int, **features: Tensor) -> None:
    """Raise ValueError unless every argument has more than n rows."""
    for name, rows in features.items():
        if len(rows) <= n:
            raise ValueError(
                f"`{name}` holds {len(rows)} examples, but more than {n} are expected. Draw more."
            )


def require_probabilities(probabilities: Tensor) -> None:
    """Raise ValueError unless each row holds probabilities that sum to one."""
    remedy = "Pass probabilities, not logits: logits.softmax(1)."
    require_range(0.0, 1.0, remedy, probabilities=probabilities)
    sums = probabilities.sum(1)
    if not bool(((sums - 1).abs() < 1e-3).all()):
        raise ValueError(
            f"The rows of `probabilities` sum to {sums.min():g} up to {sums.max():g}, but 1 is "
            f"expected. {remedy}"
        )
