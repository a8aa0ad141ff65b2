"""Reference seconds: how long a chapter takes on the machine that budgets are written for.

A small fixed workload runs beside the chapters again and again. Where it takes twice as long as on
the reference machine, because this one is slow or busy, so may a chapter.
"""

import statistics
import subprocess
import sys
import threading
import time
from typing import IO, Self

from tools.pages import ROOT

# The workload's time on the reference machine: two cores of a server of 2026, nothing else running,
# one thread. It is the smallest CPU time of many runs, which other processes can't disturb.
IDLE_SECONDS = 0.26
PAUSE_SECONDS = 5.0  # so the measurement itself takes one twentieth of a core


def workload() -> float:
    """Return the seconds that some matrix products and a short training loop take."""
    import torch

    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(512, 512, generator=generator)
    x = torch.rand(100, 784, generator=generator)
    model = torch.nn.Sequential(
        torch.nn.Linear(784, 100), torch.nn.Tanh(), torch.nn.Linear(100, 784)
    )
    optimizer = torch.optim.Adam(model.parameters())
    start = time.perf_counter()
    for _ in range(20):
        matrix @ matrix
    for _ in range(80):
        optimizer.zero_grad()
        (model(x) - x).square().mean().backward()
        optimizer.step()
    return time.perf_counter() - start


class Meter:
    """Measures, in a process of its own, how many times slower than the reference machine this is.

    The first measurement ends before the chapters start, the others run beside them.
    """

    def __init__(self) -> None:
        self.slowdowns: list[float] = []

    def __enter__(self) -> Self:
        """Measure once, then go on in the background."""
        command = [sys.executable, "-m", "tools.reference"]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        lines = self._process.stdout
        assert lines is not None
        self._note(lines.readline())
        self._listener = threading.Thread(target=self._listen, args=(lines,), daemon=True)
        self._listener.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Stop measuring."""
        self._process.terminate()
        self._process.wait()
        self._listener.join()

    def _note(self, line: str) -> None:
        self.slowdowns.append(float(line) / IDLE_SECONDS)

    def _listen(self, lines: IO[str]) -> None:
        with lines:
            for line in lines:
                self._note(line)

    def slowdown(self, since: int = 0) -> float:
        """Return the median from measurement number `since` on, or the latest if none is newer."""
        return statistics.median(self.slowdowns[since:] or self.slowdowns[-1:])


def main() -> None:
    """Print the workload's seconds again and again, until nobody listens."""
    workload()  # the first run also pays for the import
    while True:
        print(workload(), flush=True)
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main()
