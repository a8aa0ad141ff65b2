"""What nbval has executed is what the pages show: once for both."""

import subprocess
import sys
from pathlib import Path

import pytest
from myst_nb.core.read import myst_nb_reader_plugin

from tools import execute, sync_notebooks
from tools.pages import ROOT

CHAPTER = """---
kernelspec: {{display_name: Python 3, language: python, name: python3}}
---

# A chapter

```{{code-cell}} ipython3
:tags: [hide-input]

from companion.page.report import report
report(answer=6 * 7)
```

The answer is {{glue:text}}`answer`.

```{{code-cell}} ipython3
{code}
```
"""
SCRIPT = """
import sys
from pathlib import Path
import pytest
from tools import execute, keep_outputs, reference

class Steady(reference.Meter):
    def start(self):
        self.costs = self.costs or [2.0]

    def stop(self):
        pass

course = Path(sys.argv[1])
plugin = keep_outputs.KeepOutputs(execute.open_cache(course), Steady())
options = ["--nbval-lax", "--nbval-current-env", "--nbval-kernel-startup-timeout", "600"]
options += ["-p", "no:cacheprovider", "-c", "/dev/null"]
sys.exit(pytest.main([*options, *sys.argv[2:]], plugins=[plugin]))
"""


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """Three chapters with their notebooks: a good one, one that fails, one that has changed."""
    (tmp_path / "companion").mkdir()
    (tmp_path / "constraints.txt").touch()
    chapters = [tmp_path / name for name in ("01-good.md", "02-fails.md", "03-stale.md")]
    for chapter, code in zip(chapters, ["print('seen')", "1 / 0", "print('old')"], strict=True):
        chapter.write_text(CHAPTER.format(code=code))
    sync_notebooks.synchronize(chapters, {}, write=True)
    chapters[2].write_text(CHAPTER.format(code="print('new')"))
    return tmp_path


def nbval(course: Path, target: str) -> subprocess.CompletedProcess[str]:
    """Run nbval with the plugin, in a process of its own."""
    command = [sys.executable, "-c", SCRIPT, str(course), target]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def kept(course: Path) -> list[str]:
    """Name the chapters in the cache."""
    return [Path(record.uri).name for record in execute.open_cache(course).list_cache_records()]


def test_outputs_of_a_passing_notebook_are_kept(course, capfd):
    """And only those: not of one with a fault, nor of one that is not its chapter's."""
    done = nbval(course, str(course))
    assert "1 failed, 8 passed" in done.stdout
    assert kept(course) == ["01-good.md"]
    chapter, cache = course / "01-good.md", execute.open_cache(course)
    assert execute.execute([chapter], cache, 1) == []
    assert capfd.readouterr().out == ""  # nothing was left to execute
    merged = cache.merge_match_into_notebook(myst_nb_reader_plugin(str(chapter)))[1]
    glue, printed = (cell.outputs[0] for cell in merged.cells if cell.cell_type == "code")
    assert glue.metadata["scrapbook"]["name"] == "answer"
    assert printed.text == "seen\n"
    (timing,) = execute.timings([chapter], cache)
    assert 0 < timing.reference_seconds < timing.seconds


def test_part_of_a_notebook_is_not_kept(course):
    """A page would lack the other outputs."""
    done = nbval(course, f"{course / '01-good.ipynb'}::Cell 0")
    assert "1 passed" in done.stdout
    assert kept(course) == []
