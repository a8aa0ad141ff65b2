"""A plugin for pytest: what nbval has executed need not be executed again for the pages.

nbval runs the notebook beside a chapter, as a reader opens it. When all its cells have passed,
their outputs go into the cache from which Sphinx takes them, under the chapter's own code cells.
"""

import os
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from jupyter_cache.base import JupyterCacheAbstract
from myst_nb.core.read import myst_nb_reader_plugin
from nbformat import NotebookNode
from nbval.plugin import IPyNbCell

from tools.execute import Timing, open_cache, store
from tools.pages import ROOT
from tools.reference import Meter, cpu_seconds
from tools.sync_notebooks import SAY


class Begin(NamedTuple):
    """When a notebook began: by the clock, and after how many measurements of the machine."""

    clock: float
    measured: int


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """Return the cells that run."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def as_chapter(executed: NotebookNode, source: NotebookNode) -> NotebookNode | None:
    """Give the cells of a chapter the outputs of its notebook; None if that has other code.

    The notebook has more code cells, which show text with numbers, and a title above folded code.
    """
    outputs = [cell for cell in code_cells(executed) if not cell.source.startswith(SAY)]
    cells = code_cells(source)
    if len(cells) != len(outputs):
        return None
    for number, (cell, run) in enumerate(zip(cells, outputs, strict=True), start=1):
        if run.execution_count is None or not run.source.endswith(cell.source):
            return None
        cell.outputs, cell.execution_count = run.outputs, number
    return source


class KeepOutputs:
    """Watches the cells of each notebook, and stores the outputs after the last."""

    def __init__(self, cache: JupyterCacheAbstract, meter: Meter) -> None:
        self.cache = cache
        self.meter = meter
        self.begun: dict[Any, Begin] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Note when the first cell of a notebook begins; before that its kernel starts."""
        if isinstance(item, IPyNbCell) and item.parent not in self.begun:
            self.meter.start()
            self.begun[item.parent] = Begin(time.perf_counter(), len(self.meter.costs))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Note the outputs of a cell that passes. One that fails raises here."""
        result = yield
        if isinstance(item, IPyNbCell):
            item.cell.outputs, item.cell.execution_count = item.test_outputs, item.cell_num + 1
        return result

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        """Store a notebook after its last cell, while its kernel is there to say what it took."""
        if isinstance(item, IPyNbCell) and (nextitem is None or nextitem.parent is not item.parent):
            self.keep(item.parent)

    def keep(self, file: Any) -> None:
        """Store the outputs of a notebook if every cell has passed."""
        chapter = file.path.with_suffix(".md")
        if not chapter.is_file():
            return
        notebook = as_chapter(file.nb, myst_nb_reader_plugin(str(chapter)))
        if notebook is not None:
            clock, measured = self.begun[file]
            spent = cpu_seconds(file.kernel.km.provisioner.pid)
            seconds = time.perf_counter() - clock
            timing = Timing(chapter, seconds, spent / self.meter.cost(measured))
            store(self.cache, notebook, timing)

    def pytest_unconfigure(self) -> None:
        """Stop measuring."""
        self.meter.stop()


def pytest_configure(config: pytest.Config) -> None:
    """Open the cache once, before the workers of pytest-xdist start and open it too."""
    folder = tempfile.TemporaryDirectory()
    config.add_cleanup(folder.cleanup)
    # What the author's cells solve must not count as the reader's progress.
    os.environ["COMPANION_PROGRESS"] = str(Path(folder.name) / "progress.json")
    config.pluginmanager.register(KeepOutputs(open_cache(ROOT), Meter()))
