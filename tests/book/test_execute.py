"""The execution of the chapters: never stale, never twice, never silently failing."""

import gc
import os
from pathlib import Path

import pytest
from jupyter_cache import get_cache

from tools import execute, reference

# The libraries that run notebooks leave event loops and sockets for the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def collect_here():
    """Let the collector find them in this test, not in whichever test comes next."""
    yield
    gc.collect()


CHAPTER = """---
kernelspec: {{display_name: Python 3, language: python, name: python3}}
---

# A chapter

```{{code-cell}} ipython3
{code}
```
"""


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A course of one module and one chapter."""
    (tmp_path / "companion").mkdir()
    (tmp_path / "companion" / "core.py").write_text("VALUE = 1\n")
    (tmp_path / "constraints.txt").write_text("torch==2\n")
    (tmp_path / "01-a.md").write_text(CHAPTER.format(code="print(6 * 7)"))
    return tmp_path


class Steady(reference.Meter):
    """A machine that is always so many times slower than the reference machine."""

    def __init__(self, slowdown: float = 1.0):
        self.slowdowns = self.costs = [slowdown]

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass


def run(course: Path, slowdown: float = 1.0, names: tuple[str, ...] = ("01-a.md",)) -> list[str]:
    """Execute chapters into the cache of this course."""
    paths = [course / name for name in names]
    return execute.execute(paths, execute.open_cache(course), 2, lambda: Steady(slowdown))


@pytest.fixture
def command(course, monkeypatch):
    """The whole command on this course: a function of the chapter's CPU time and the slowdown."""

    def call(seconds: float, slowdown: float) -> int:
        with monkeypatch.context() as patch:
            patch.setattr(execute, "ROOT", course)
            patch.setattr(execute, "chapters", lambda: [course / "01-a.md"])
            patch.setattr(reference, "cpu_seconds", lambda pid: seconds)
            patch.setattr(execute.execute, "__defaults__", (lambda: Steady(slowdown),))
            patch.setattr("sys.argv", ["execute"])
            patch.setenv("COMPANION_PROGRESS", "")  # the command sets it; put it back afterwards
            with pytest.raises(SystemExit) as exit_:
                execute.main()
        return int(exit_.value.code)

    return call


def test_chapter_is_executed_once(course, capfd):
    """A second run takes the outputs from the cache, and knows the time of the first."""
    assert run(course) == []
    assert "executed   01-a.md" in capfd.readouterr().out
    assert run(course) == []
    assert capfd.readouterr().out == ""
    (timing,) = execute.timings([course / "01-a.md"], execute.open_cache(course))
    assert timing.seconds > 0
    assert timing.reference_seconds > 0
    assert "[A chapter](/01-a.md)" in execute.timings_page([timing], course)


@pytest.mark.parametrize("changed", ["companion/core.py", "companion/new.json", "constraints.txt"])
def test_a_change_elsewhere_empties_the_cache(course, changed):
    """jupyter-cache itself looks at the chapter's code alone, and would keep old numbers."""
    folder = course / "_build" / ".jupyter_cache"
    execute.open_cache(course)
    marker = folder / "marker"
    marker.touch()
    execute.open_cache(course)
    assert marker.exists()
    (course / changed).write_text("VALUE = 2\n")
    execute.open_cache(course)
    assert not marker.exists()


def test_another_profile_empties_the_cache(course, monkeypatch):
    """The full profile's numbers are not the quick profile's."""
    before = execute.fingerprint(course)
    monkeypatch.setenv("COMPANION_PROFILE", "full")
    assert execute.fingerprint(course) != before


def test_changed_chapter_is_executed_again(course, capfd):
    """Its own code is part of the key; its prose is not."""
    run(course)
    page = course / "01-a.md"
    page.write_text(page.read_text().replace("# A chapter", "# Another title"))
    capfd.readouterr()
    run(course)
    assert capfd.readouterr().out == ""
    page.write_text(page.read_text().replace("6 * 7", "6 * 8"))
    run(course)
    assert "executed   01-a.md" in capfd.readouterr().out


def test_failing_cell_is_reported_and_not_cached(course):
    """The fault names the chapter and shows the traceback; the next run tries again."""
    (course / "01-a.md").write_text(CHAPTER.format(code="1 / 0"))
    for _ in range(2):
        (fault,) = run(course)
        assert "01-a.md: a cell failed" in fault
        assert "ZeroDivisionError" in fault


def test_the_cell_that_runs_is_noted(course, monkeypatch):
    """Its number counts the code cells only."""
    noted = []
    monkeypatch.setattr(execute.Progress, "cell", lambda self, *cell: noted.append(cell))
    page = course / "01-a.md"
    page.write_text(page.read_text() + "\nText.\n\n```{code-cell} ipython3\nprint(1)\n```\n")
    assert run(course) == []
    assert noted == [("01-a.md", 1, 2), ("01-a.md", 2, 2)]


def test_failing_chapter_does_not_lose_the_others(course, capfd):
    """What succeeded is kept, whichever ends first."""
    (course / "02-b.md").write_text(CHAPTER.format(code="1 / 0"))
    (fault,) = run(course, names=("02-b.md", "01-a.md"))
    assert "02-b.md: a cell failed" in fault
    capfd.readouterr()
    assert run(course) == []
    assert capfd.readouterr().out == ""


def test_dead_kernel_does_not_lose_the_others(course):
    """For example for lack of memory."""
    (course / "02-b.md").write_text(CHAPTER.format(code="import os\nos._exit(1)"))
    (fault,) = run(course, names=("02-b.md", "01-a.md"))
    assert "02-b.md: its kernel failed" in fault
    assert len(execute.open_cache(course).list_cache_records()) == 1


@pytest.mark.parametrize("ci", ["", "true"])
def test_machine_four_times_slower_builds(command, monkeypatch, capfd, ci):
    """80 reference seconds are 320 s of its CPU, and within the budget."""
    monkeypatch.setenv("CI", ci)
    assert command(seconds=320, slowdown=4) == 0
    assert "(80 reference seconds)" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("ci", "reference", "status"), [("", 100, 0), ("", 120, 0), ("true", 100, 0), ("true", 120, 1)]
)
def test_chapter_over_its_budget_is_kept_and_named(
    command, course, monkeypatch, capfd, ci, reference, status
):
    """It is an error in continuous integration only, and there beyond the scatter only.

    Also when it comes from the cache.
    """
    monkeypatch.setenv("CI", ci)
    for _ in range(2):
        assert command(seconds=2 * reference, slowdown=2) == status
        assert f"01-a.md takes {reference} reference seconds" in capfd.readouterr().out
        assert len(execute.open_cache(course).list_cache_records()) == 1
        assert f"| {reference} | 90 |" in (course / "_build/timings.md").read_text()


def test_full_profile_has_no_budget(monkeypatch):
    """It is made for long runs."""
    rows = [execute.Timing(Path("01-a.md"), 1000.0, 1000.0)]
    assert len(execute.over_budget(rows)) == 1
    monkeypatch.setenv("COMPANION_PROFILE", "full")
    assert execute.over_budget(rows) == []


def test_meter_takes_the_least_since_the_chapter_began():
    """Slow moments do not count, nor does what was before."""
    meter = Steady()
    meter.costs = [1.0, 9.0, 4.0, 8.0, 3.0]
    assert meter.cost(1) == 3.0
    assert meter.cost(5) == 3.0  # none is newer: the latest
    assert meter.cost() == 1.0


def test_reference_seconds_are_cpu_time(course):
    """A chapter that waits, as it does for other processes, has not worked."""
    waits, works = "import time; time.sleep(6)", "sum(i * i for i in range(30_000_000))"
    for name, code in [("01-a.md", waits), ("02-b.md", works)]:
        (course / name).write_text(CHAPTER.format(code=code))
    assert run(course, names=("01-a.md", "02-b.md")) == []
    paths = [course / "01-a.md", course / "02-b.md"]
    waited, worked = execute.timings(paths, execute.open_cache(course))
    assert waited.seconds > 6
    assert waited.reference_seconds < worked.reference_seconds


def test_meter_measures_this_machine():
    """A process of its own, which ends with the block."""
    with reference.Meter() as meter:
        assert meter.slowdowns[0] > 0
        assert 0 < meter.costs[0] < 1.1 * meter.slowdowns[0]
    assert meter._process.poll() is not None


def test_the_cache_is_the_one_that_sphinx_reads(course):
    """Sphinx opens it under the default name in the build folder."""
    run(course)
    records = get_cache(str(course / "_build" / ".jupyter_cache")).list_cache_records()
    assert [os.path.basename(record.uri) for record in records] == ["01-a.md"]
