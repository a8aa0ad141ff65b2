"""How the benchmarks print two series of times that were measured in turns."""

import statistics


def print_ratio(label: str, above: list[float], below: list[float], remark: str) -> None:
    """Print the ratio of two series, turn by turn: median, range, and ratio of the minima."""
    ratios = sorted(a / b for a, b in zip(above, below, strict=True))
    print(
        f"  {label:<20} median {statistics.median(ratios):5.2f}   range {ratios[0]:.2f} to "
        f"{ratios[-1]:.2f}   of minima {min(above) / min(below):5.2f}   ({remark})"
    )
