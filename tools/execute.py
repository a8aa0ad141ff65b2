"""Execute the chapters in parallel, into the cache from which Sphinx takes their outputs.

What `make test` has executed is there already (tools/keep_outputs.py).

jupyter-cache recognizes a chapter by its code alone. So this tool empties the cache when
anything else that shapes the outputs has changed: the companion package, the installed
versions, the profile, or this file. It also measures each chapter. One that is over its budget is
kept and named; only where CI=true, and more than the scatter over it, is it an error.
"""

import argparse
import hashlib
import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import NamedTuple

from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn, JupyterCacheAbstract
from jupyter_cache.executors.utils import ExecutionResult, single_nb_execution
from myst_nb.core.read import myst_nb_reader_plugin
from nbformat import NotebookNode

from tools.estimate import cores, minutes
from tools.pages import ROOT, chapters
from tools.progress import Progress
from tools.reference import Meter, kernel_manager

BUDGET = 90.0  # reference seconds, see tools/reference.py
SCATTER = 1.3  # how much more one measurement may say, on a machine with other work
CELL_TIMEOUT_SECONDS = 3600  # ends an endless loop, not a cell on a slow machine


class Timing(NamedTuple):
    """How long one chapter took, from the start of its kernel to the last output."""

    chapter: Path
    seconds: float
    reference_seconds: float


def fingerprint(root: Path) -> str:
    """Hash everything but the chapter's own code that can change its outputs."""
    total = hashlib.sha256()
    files = [*sorted((root / "companion").rglob("*")), root / "constraints.txt", Path(__file__)]
    for path in files:
        if path.is_file() and path.suffix != ".pyc":
            total.update(f"{path.name}\0".encode())
            total.update(path.read_bytes())
    profile = os.environ.get("COMPANION_PROFILE", "quick")
    torch = importlib.metadata.version("torch")
    total.update(f"{profile} {torch} {platform.python_version()}".encode())
    return total.hexdigest()


def open_cache(root: Path) -> JupyterCacheAbstract:
    """Open the cache, emptied first if it was filled under other circumstances."""
    folder = root / "_build" / ".jupyter_cache"
    stamp = folder / "fingerprint.txt"
    current = fingerprint(root)
    if not stamp.is_file() or stamp.read_text() != current:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        stamp.write_text(current)
    return get_cache(str(folder))


def is_cached(cache: JupyterCacheAbstract, notebook: NotebookNode) -> bool:
    """Say whether the cache holds the outputs of this very code."""
    try:
        cache.match_cache_notebook(notebook)
    except KeyError:
        return False
    return True


def store(cache: JupyterCacheAbstract, notebook: NotebookNode, timing: Timing) -> None:
    """Put an executed chapter into the cache."""
    data = {
        "execution_seconds": timing.seconds,
        "reference_seconds": timing.reference_seconds,
    }
    bundle = CacheBundleIn(notebook, str(timing.chapter), data=data)
    cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


def run(
    chapter: Path, notebook: NotebookNode, meter: Meter, progress: Progress
) -> tuple[ExecutionResult, Timing]:
    """Execute one chapter in a kernel of its own."""
    code = [i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code"]

    def starts(cell: NotebookNode, cell_index: int) -> None:
        progress.cell(chapter.name, code.index(cell_index) + 1, len(code))

    progress.say(f"executing  {chapter.name}")
    begin = len(meter.costs)
    spent: list[float] = []
    result = single_nb_execution(
        notebook,
        cwd=str(chapter.parent),
        timeout=CELL_TIMEOUT_SECONDS,
        allow_errors=False,
        extra_arguments=["--log-level=ERROR"],  # else each kernel warns about local sockets
        on_cell_execute=starts,
        kernel_manager_class=kernel_manager(spent),
    )
    return result, Timing(chapter, result.time, sum(spent) / meter.cost(begin))


def keep(
    future: "Future[tuple[ExecutionResult, Timing]]",
    chapter: Path,
    cache: JupyterCacheAbstract,
    progress: Progress,
) -> str | None:
    """Put an executed chapter into the cache, or say why it can't be."""
    progress.end(chapter.name)
    try:
        result, timing = future.result()
    except RuntimeError as error:  # the kernel could not start, or died
        return f"{chapter}: its kernel failed. {error}"
    if result.err is not None:
        return f"{chapter}: a cell failed.\n{result.exc_string}"
    _, seconds, reference = timing
    progress.say(
        f"executed   {chapter.name} in {seconds:.1f} s ({reference:.0f} reference seconds)"
    )
    store(cache, result.nb, timing)
    return None


def execute(
    paths: Sequence[Path],
    cache: JupyterCacheAbstract,
    jobs: int,
    new_meter: Callable[[], Meter] = Meter,
) -> list[str]:
    """Execute what the cache lacks, and keep what succeeds; return the faults, a text for each."""
    todo = [(path, myst_nb_reader_plugin(str(path))) for path in paths]
    todo = [(path, notebook) for path, notebook in todo if not is_cached(cache, notebook)]
    if not todo:
        return []
    progress = Progress()
    faults = []
    with new_meter() as meter, ThreadPoolExecutor(jobs) as pool:
        expected = minutes(len(todo), jobs, meter.slowdown())
        progress.say(f"to execute: {len(todo)}; with all pages about {expected} min, now")
        pending = {pool.submit(run, *item, meter, progress): item[0] for item in todo}
        while pending:
            done, _ = wait(pending, timeout=1, return_when=FIRST_COMPLETED)
            faults += [keep(future, pending.pop(future), cache, progress) for future in done]
            progress.show()
    return [fault for fault in faults if fault is not None]


def timings(paths: Sequence[Path], cache: JupyterCacheAbstract) -> list[Timing]:
    """Read from the cache how long each chapter took when it was executed."""
    rows = []
    for path in paths:
        data = cache.match_cache_notebook(myst_nb_reader_plugin(str(path))).data
        rows.append(Timing(path, data["execution_seconds"], data["reference_seconds"]))
    return rows


def over_budget(rows: Sequence[Timing]) -> list[str]:
    """Name the chapters that take too long in the quick profile; the full one has no budget."""
    if os.environ.get("COMPANION_PROFILE") == "full":
        return []
    return [
        f"{row.chapter.name} takes {row.reference_seconds:.0f} reference seconds, more than its "
        f"budget of {BUDGET:.0f}. Shorten its quick profile. (Its result is kept.)"
        for row in rows
        if row.reference_seconds > BUDGET
    ]


def timings_page(rows: Sequence[Timing], root: Path) -> str:
    """Write the table for the appendix."""
    torch = importlib.metadata.version("torch")
    lines = [
        f"Measured when this book was built: {platform.system()} on {platform.machine()}, "
        f"{os.cpu_count()} CPU cores, Python {platform.python_version()}, PyTorch {torch}.",
        "",
        "| Chapter | Seconds | Reference seconds | Budget |",
        "| :-- | --: | --: | --: |",
    ]
    for chapter, *seconds in rows:
        name = f"/{chapter.relative_to(root).as_posix()}"
        numbers = " | ".join(f"{number:.0f}" for number in (*seconds, BUDGET))
        lines.append(f"| [{title(chapter)}]({name}) | {numbers} |")
    return "\n".join(lines) + "\n"


def title(chapter: Path) -> str:
    """Return the first heading of a chapter."""
    lines = chapter.read_text(encoding="utf-8").splitlines()
    return next(line[2:].strip() for line in lines if line.startswith("# "))


def main() -> None:
    """Execute what is missing, write the table of times, and fail on any fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=cores(), help="chapters at a time")
    options = parser.parse_args()
    paths = chapters()
    cache = open_cache(ROOT)
    with tempfile.TemporaryDirectory() as folder:
        # What the author's cells solve must not count as the reader's progress.
        os.environ["COMPANION_PROGRESS"] = str(Path(folder) / "progress.json")
        faults = execute(paths, cache, options.jobs)
    if faults:
        sys.exit("\n".join(faults))
    rows = timings(paths, cache)
    (ROOT / "_build" / "timings.md").write_text(timings_page(rows, ROOT), encoding="utf-8")
    late = over_budget(rows)
    print("".join(f"{line}\n" for line in late), end="")
    far = late and max(row.reference_seconds for row in rows) > SCATTER * BUDGET
    sys.exit(bool(far) and os.environ.get("CI") == "true")


if __name__ == "__main__":
    main()
