"""The notebook that runs this code, if there is one."""

import sys
from typing import Any


def running_shell() -> Any:
    """Return the IPython shell, or None outside of a notebook. It never imports IPython.

    Where a shell runs, IPython is imported already; where none does, it may not be installed.
    """
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()
