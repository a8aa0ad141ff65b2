"""The execution of the chapters: never stale, never twice, never silently failing."""

import gc
import os
from pathlib import Path

import pytest
from jupyter_cache import get_cache

from tools import execute

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


def run(course: Path, **options) -> list[str]:
    """Execute the chapter into the cache of this course."""
    return execute.execute([course / "01-a.md"], execute.open_cache(course), 1, **options)


def test_chapter_is_executed_once(course, capfd):
    """A second run takes the outputs from the cache, and knows the time of the first."""
    assert run(course) == []
    assert "executed   01-a.md" in capfd.readouterr().out
    assert run(course) == []
    assert capfd.readouterr().out == ""
    (timing,) = execute.timings([course / "01-a.md"], execute.open_cache(course))
    assert 0 < timing.seconds < 60
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


def test_slow_chapter_is_a_fault(course, monkeypatch):
    """Over its budget in the quick profile; the full profile has none."""
    (fault,) = run(course, budget=0.01)
    assert "more than its budget" in fault
    monkeypatch.setenv("COMPANION_PROFILE", "full")
    assert run(course, budget=0.01) == []


def test_the_cache_is_the_one_that_sphinx_reads(course):
    """Sphinx opens it under the default name in the build folder."""
    run(course)
    records = get_cache(str(course / "_build" / ".jupyter_cache")).list_cache_records()
    assert [os.path.basename(record.uri) for record in records] == ["01-a.md"]
