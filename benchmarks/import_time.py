"""How long does `import companion` take, next to `import torch`?

Run it from the root of the repository: `python -m benchmarks.import_time`.

Each import runs in a fresh process, whose start is subtracted. The programs take turns, so that a
busy machine slows all alike; the median counts. The aim is a ratio of at most 1.3.
"""

import argparse
import statistics
import subprocess
import sys
import time

PROGRAMS = {
    "nothing": "pass",
    "torch": "import torch",
    "companion": "import companion",
    "the modules of chapter 1": (
        "import companion.gaussian, companion.likelihoods, companion.linear_gaussian, "
        "companion.metrics, companion.networks, companion.priors, companion.page.report, "
        "companion.training, companion.vae"
    ),
    "the same and companion.page.plots": (
        "import companion.gaussian, companion.likelihoods, companion.linear_gaussian, "
        "companion.metrics, companion.networks, companion.priors, companion.page.report, "
        "companion.training, companion.vae, companion.page.plots"
    ),
}


def seconds(program: str) -> float:
    """Wall time of one fresh process."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True)
    return time.perf_counter() - start


def main() -> None:
    """Measure and print one line for each program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    repeats = parser.parse_args().repeats
    for program in PROGRAMS.values():  # fill the file cache, and write the byte code
        seconds(program)
    rounds = [{name: seconds(code) for name, code in PROGRAMS.items()} for _ in range(repeats)]
    start = statistics.median(times["nothing"] for times in rounds)
    torch = statistics.median(times["torch"] for times in rounds) - start
    print(f"{'import':30} seconds   ratio to torch")
    for name in PROGRAMS:
        if name != "nothing":
            taken = statistics.median(times[name] for times in rounds) - start
            print(f"{name:30} {taken:7.2f}   {taken / torch:.2f}")


if __name__ == "__main__":
    main()
