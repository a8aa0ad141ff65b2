"""A progress bar for people, and silence for machines."""

import sys

from tqdm.std import tqdm

from companion.page.shell import running_shell


def epoch_bar(done: int, epochs: int, enabled: bool) -> "tqdm[int]":
    """Return an iterator over the epochs to come that shows how far it is.

    It is a bar of text, which needs no notebook extension. It goes to standard output, because
    notebooks paint the other stream red.
    """
    return tqdm(
        range(done, epochs),
        initial=done,
        total=epochs,
        unit="epoch",
        file=sys.stdout,
        disable=not (enabled and somebody_watches()),
    )


def somebody_watches() -> bool:
    """Whether a person sees the output: in a terminal, or in a live notebook.

    The programs that execute a notebook for a book or a test tell the kernel that nobody can
    answer `input()`; Jupyter, Colab and editors tell it that somebody can.
    """
    kernel = getattr(running_shell(), "kernel", None)
    if kernel is None:
        return sys.stdout is not None and sys.stdout.isatty()
    return bool(getattr(kernel, "_allow_stdin", True))
