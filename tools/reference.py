"""Reference seconds: how long a chapter takes on the machine that budgets are written for.

A small fixed workload runs beside the chapters again and again. Where it needs twice the CPU time
that the reference machine needs, so may a chapter. Both are CPU time, because waiting for other
processes says nothing about either.
"""

import subprocess
import sys
import threading
import time
from typing import IO, Any, Self

import psutil
from jupyter_client.manager import AsyncKernelManager

from tools.pages import ROOT

# The workload's seconds on the reference machine, two cores of a server of 2026, with one thread.
# Alone: the least of many runs. Beside chapters each of them costs more CPU time. With this value
# four chapters, two at a time and little else running, took as many reference seconds as seconds
# (290 in all), and five runs of chapter 2 under loads of 2 to 15 came to 51 to 60.
ALONE_SECONDS = 0.26
BESIDE_SECONDS = 0.40
PAUSE_SECONDS = 5.0  # so the measurement itself takes one twentieth of a core


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process and its finished children have used."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system + times.children_user + times.children_system


def kernel_manager(spent: list[float]) -> type[AsyncKernelManager]:
    """Return a manager that notes the CPU seconds of its kernel before it ends the kernel."""

    class Watched(AsyncKernelManager):
        async def shutdown_kernel(  # type: ignore[override]
            self, now: bool = False, restart: bool = False
        ) -> None:
            process: Any = self.provisioner
            spent.append(cpu_seconds(process.pid))
            await super().shutdown_kernel(now=now, restart=restart)

    return Watched


def workload() -> tuple[float, float]:
    """Time some matrix products and a short training loop: by the clock, and of the CPU."""
    import torch

    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(512, 512, generator=generator)
    x = torch.rand(100, 784, generator=generator)
    model = torch.nn.Sequential(
        torch.nn.Linear(784, 100), torch.nn.Tanh(), torch.nn.Linear(100, 784)
    )
    optimizer = torch.optim.Adam(model.parameters())
    start, cpu = time.perf_counter(), time.process_time()
    for _ in range(20):
        matrix @ matrix
    for _ in range(80):
        optimizer.zero_grad()
        (model(x) - x).square().mean().backward()
        optimizer.step()
    return time.perf_counter() - start, time.process_time() - cpu


class Meter:
    """Measures, in a process of its own, how many times slower than the reference machine this is.

    The first measurement ends before the chapters start, the others run beside them.
    """

    def __init__(self) -> None:
        self.slowdowns: list[float] = []  # by the clock: this machine may be busy
        self.costs: list[float] = []  # in CPU time
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self) -> None:
        """Measure once, then go on in the background. A second call does nothing."""
        if self._process is not None:
            return
        command = [sys.executable, "-m", "tools.reference"]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        lines = self._process.stdout
        assert lines is not None
        self._note(lines.readline())
        self._listener = threading.Thread(target=self._listen, args=(lines,), daemon=True)
        self._listener.start()

    def stop(self) -> None:
        """Stop measuring."""
        if self._process is None:
            return
        self._process.terminate()
        self._process.wait()
        self._listener.join()

    def _note(self, line: str) -> None:
        seconds, cpu = map(float, line.split())
        self.slowdowns.append(seconds / ALONE_SECONDS)
        self.costs.append(cpu / BESIDE_SECONDS)

    def _listen(self, lines: IO[str]) -> None:
        with lines:
            for line in lines:
                self._note(line)

    def slowdown(self) -> float:
        """Return how many times longer things take here and now, by the clock."""
        return self.slowdowns[-1]

    def cost(self, since: int = 0) -> float:
        """Return the CPU seconds that a reference second costs here.

        It is the least from measurement number `since` on, or the latest if none is newer. Other
        processes raise the CPU time of the workload, too (twofold on two cores with a load of
        seven), and the least of many is disturbed the least.
        """
        return min(self.costs[since:] or self.costs[-1:])


def main() -> None:
    """Print the workload's seconds again and again, until nobody listens."""
    workload()  # the first run also pays for the import
    while True:
        print(*workload(), flush=True)
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main()
