"""A training step as one CUDA graph: recorded once, then replayed without Python.

A small network spends most of a step on launching kernels, one by one. A graph launches them all
at once. It always works on the same memory, so the rows of a batch, the learning rate and the
weights are written into place, and the recorded numbers are read from there.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from companion.training._state import State, optimizers, pack

Record = dict[str, Tensor]
TakeStep = Callable[[Tensor], Record]


def can_capture(state: State, device: torch.device) -> bool:
    """Say whether the device has graphs and every optimizer can step inside one."""
    every = [group for each in optimizers(state).values() for group in each.param_groups]
    return device.type == "cuda" and all("capturable" in group for group in every)


def make_capturable(state: State, device: torch.device) -> None:
    """Put all that an optimizer reads, its learning rate and its step count too, on the device."""
    for optimizer in optimizers(state).values():
        for group in optimizer.param_groups:
            group["capturable"] = True
            group["lr"] = torch.as_tensor(group["lr"], dtype=torch.float32, device=device)
        for moments in optimizer.state.values():
            for name, value in moments.items():
                moments[name] = value.to(device) if isinstance(value, Tensor) else value


class CapturedStep:
    """Takes a step as `take_step` does, for batches of one size by replaying a graph.

    Args:
        take_step: called with the row numbers of a batch.
        state: what it changes.
        batch_size: other sizes, such as the last batch of an epoch, go to `take_step`.
        generator: the noise of the step, on the device.
    """

    def __init__(
        self, take_step: TakeStep, state: State, batch_size: int, generator: torch.Generator
    ) -> None:
        self.take_step = take_step
        self.rows = torch.zeros(batch_size, dtype=torch.int64, device=generator.device)
        self.names: list[str] = []
        self.values = torch.empty(0)
        before = {name: tensor.clone() for name, tensor in pack(state)[0].items()}
        self.replay = record(self._work, generator)
        _write_back(state, before)

    def __call__(self, rows: Tensor) -> Record:
        """Take one step, and return its record."""
        if len(rows) != len(self.rows):
            return self.take_step(rows)
        self.rows.copy_(rows)
        self.replay()
        return dict(zip(self.names, self.values.clone(), strict=True))

    def _work(self) -> None:
        values = self.take_step(self.rows)
        self.names = list(values)
        self.values = torch.stack(list(values.values()))


def record(work: Callable[[], None], generator: torch.Generator) -> Callable[[], None]:
    """Run a function three times, then record it, and return what replays the recording.

    The first runs allocate what stays: gradients, moments, workspaces. (Stand-ins of this function
    let the rest be tested without a GPU.)
    """
    stream = torch.cuda.Stream(generator.device)
    stream.wait_stream(torch.cuda.current_stream(generator.device))
    with torch.cuda.stream(stream):
        for _ in range(3):
            work()
    torch.cuda.current_stream(generator.device).wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    graph.register_generator_state(generator)
    with torch.cuda.graph(graph, stream=stream):
        work()
    return graph.replay


def _write_back(state: State, before: Record) -> None:
    """Undo the steps of the recording in place: the graph knows addresses, not names.

    What the first step of an optimizer created (moments, the number of steps) starts from zero.
    """
    for name, tensor in pack(state)[0].items():
        if name in before:
            tensor.copy_(before[name])
        else:
            tensor.zero_()
