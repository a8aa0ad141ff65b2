"""Execute the chapters in parallel, into the cache from which Sphinx takes their outputs.

jupyter-cache recognizes a chapter by its code alone. So this tool empties the cache when
anything else that shapes the outputs has changed: the companion package, the installed
versions, the profile, or this file. It also measures each chapter, and holds it to its budget.
"""

import argparse
import hashlib
import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn, JupyterCacheAbstract
from jupyter_cache.executors.utils import ExecutionResult, single_nb_execution
from myst_nb.core.read import myst_nb_reader_plugin
from nbformat import NotebookNode

from tools.pages import ROOT, chapters

BUDGET_SECONDS = 90.0
CELL_TIMEOUT_SECONDS = 600


class Timing(NamedTuple):
    """How long one chapter took, from the start of its kernel to the last output."""

    chapter: Path
    seconds: float


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


def run(chapter: Path, notebook: NotebookNode) -> ExecutionResult:
    """Execute one chapter in a kernel of its own."""
    print(f"executing  {chapter.name}", flush=True)
    return single_nb_execution(
        notebook,
        cwd=str(chapter.parent),
        timeout=CELL_TIMEOUT_SECONDS,
        allow_errors=False,
        extra_arguments=["--log-level=ERROR"],  # else each kernel warns about local sockets
    )


def fault(chapter: Path, result: ExecutionResult, budget: float) -> str | None:
    """Say what is wrong with an executed chapter, if anything."""
    if result.err is not None:
        return f"{chapter}: a cell failed.\n{result.exc_string}"
    within = result.time <= budget or os.environ.get("COMPANION_PROFILE") == "full"
    if within:
        return None
    return (
        f"{chapter}: took {result.time:.0f} s, more than its budget of {budget:.0f} s. "
        f"Shorten its quick profile. (If only this machine is busy or slow: make book BUDGET=300)"
    )


def execute(
    paths: Sequence[Path], cache: JupyterCacheAbstract, jobs: int, budget: float = BUDGET_SECONDS
) -> list[str]:
    """Execute what the cache lacks; return the faults, one text for each."""
    todo = [(path, myst_nb_reader_plugin(str(path))) for path in paths]
    todo = [(path, notebook) for path, notebook in todo if not is_cached(cache, notebook)]
    with ThreadPoolExecutor(jobs) as pool:
        results = list(pool.map(lambda item: run(*item), todo))
    faults = []
    for (path, notebook), result in zip(todo, results, strict=True):
        problem = fault(path, result, budget)
        if problem:
            faults.append(problem)
            continue
        print(f"executed   {path.name} in {result.time:.1f} s", flush=True)
        bundle = CacheBundleIn(notebook, str(path), data={"execution_seconds": result.time})
        cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
    return faults


def timings(paths: Sequence[Path], cache: JupyterCacheAbstract) -> list[Timing]:
    """Read from the cache how long each chapter took when it was executed."""
    notebooks = [myst_nb_reader_plugin(str(path)) for path in paths]
    records = [cache.match_cache_notebook(notebook) for notebook in notebooks]
    seconds = [float(record.data["execution_seconds"]) for record in records]
    return [Timing(path, number) for path, number in zip(paths, seconds, strict=True)]


def timings_page(rows: Sequence[Timing], root: Path) -> str:
    """Write the table for the appendix."""
    torch = importlib.metadata.version("torch")
    lines = [
        f"Measured when this book was built: {platform.system()} on {platform.machine()}, "
        f"{os.cpu_count()} CPU cores, Python {platform.python_version()}, PyTorch {torch}.",
        "",
        "| Chapter | Seconds | Budget |",
        "| :-- | --: | --: |",
    ]
    for chapter, seconds in rows:
        name = f"/{chapter.relative_to(root).as_posix()}"
        lines.append(f"| [{title(chapter)}]({name}) | {seconds:.0f} | {BUDGET_SECONDS:.0f} |")
    return "\n".join(lines) + "\n"


def title(chapter: Path) -> str:
    """Return the first heading of a chapter."""
    lines = chapter.read_text(encoding="utf-8").splitlines()
    return next(line[2:].strip() for line in lines if line.startswith("# "))


def main() -> None:
    """Execute what is missing, write the table of times, and fail on any fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2, help="chapters at a time")
    parser.add_argument("--budget", type=float, default=BUDGET_SECONDS, help="seconds a chapter")
    options = parser.parse_args()
    paths = chapters()
    cache = open_cache(ROOT)
    with tempfile.TemporaryDirectory() as folder:
        # What the author's cells solve must not count as the reader's progress.
        os.environ["COMPANION_PROGRESS"] = str(Path(folder) / "progress.json")
        faults = execute(paths, cache, options.jobs, options.budget)
    if faults:
        sys.exit("\n".join(faults))
    page = timings_page(timings(paths, cache), ROOT)
    (ROOT / "_build" / "timings.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
