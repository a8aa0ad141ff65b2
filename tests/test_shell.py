"""The running notebook, looked for without importing IPython."""

import subprocess
import sys

from companion.page.shell import running_shell

OUTSIDE = """
import sys
from companion.page.shell import running_shell
assert running_shell() is None
assert "IPython" not in sys.modules
import IPython
assert running_shell() is None  # imported, but none runs
"""

INSIDE = """
from IPython.core.interactiveshell import InteractiveShell
from companion.training import _bar
from companion.page import plots
from companion.page.report import report, say
from companion.page.shell import running_shell
from matplotlib.figure import Figure
shell = InteractiveShell.instance()
assert running_shell() is shell
plots.use_style()
assert Figure in shell.display_formatter.formatters["image/svg+xml"]
report(gap=0.25)
say("{glue:text}`gap`")
shell.kernel = None
assert not _bar.somebody_watches()  # no terminal
"""


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_outside_of_a_notebook_there_is_none_and_ipython_is_not_imported():
    result = run(OUTSIDE)
    assert result.returncode == 0, result.stderr


def test_inside_it_is_the_shell_and_figures_become_svg():
    result = run(INSIDE)
    assert result.returncode == 0, result.stderr
    assert "IPython.core.display.Markdown object" in result.stdout


def test_the_test_run_is_no_notebook():
    assert running_shell() is None
