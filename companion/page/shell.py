"""The notebook that runs this code, if there is one, and whether a person sees it."""

import sys
from typing import Any


def running_shell() -> Any:
    """Return the IPython shell, or None outside of a notebook. It never imports IPython.

    Where a shell runs, IPython is imported already; where none does, it may not be installed.
    """
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()


def somebody_watches() -> bool:
    """Whether a person sees the output: in a terminal, or in a live notebook.

    The programs that execute a notebook for a book or a test tell the kernel that nobody can
    answer `input()`; Jupyter, Colab and editors tell it that somebody can.
    """
    kernel = getattr(running_shell(), "kernel", None)
    if kernel is None:
        return sys.stdout is not None and sys.stdout.isatty()
    return bool(getattr(kernel, "_allow_stdin", True))
