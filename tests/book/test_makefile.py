"""`make book` does nothing where nothing has changed, and everything where anything has."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FAKE = '#!/bin/sh\necho "ran $*"\n'  # in place of Python and of Jupyter Book


@pytest.fixture
def project(tmp_path):
    """A folder with the real Makefile, one chapter, and an environment that only says what runs."""
    for folder in (".venv/bin", "book", "companion", "tools", "_build"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("Makefile", "_config.yml", "_toc.yml", "constraints.txt", "pyproject.toml"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    for name in ("book/chapter.md", "companion/module.py", "tools/install.py"):
        (tmp_path / name).write_text("")
    for program in ("python", "jupyter-book"):
        path = tmp_path / ".venv" / "bin" / program
        path.write_text(FAKE)
        path.chmod(0o755)
    return tmp_path


def make_book(project, **environment):
    """Return what `make book` prints; its time stamps are a moment apart."""
    time.sleep(0.02)
    own = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "COMPANION_PROFILE")}
    done = subprocess.run(
        ["make", "--no-print-directory", "book"],
        cwd=project,
        env=own | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "The book is ready" in done.stdout
    return done.stdout


def builds(output):
    return "ran build" in output and "ran -m tools.check_book" in output


def test_an_unchanged_book_is_not_built_again(project):
    assert builds(make_book(project))
    assert not builds(make_book(project))


@pytest.mark.parametrize(
    "name", ["book/chapter.md", "companion/module.py", "_toc.yml", "constraints.txt"]
)
def test_a_change_builds_it_again(project, name):
    make_book(project)
    time.sleep(0.02)
    (project / name).touch()
    assert builds(make_book(project))
    assert not builds(make_book(project))


def test_another_profile_builds_it_again(project):
    make_book(project)
    assert builds(make_book(project, COMPANION_PROFILE="full"))
    assert builds(make_book(project))


def test_a_failed_build_is_repeated(project):
    (project / ".venv" / "bin" / "jupyter-book").write_text("#!/bin/sh\nexit 1\n")
    failed = subprocess.run(["make", "book"], cwd=project, capture_output=True)
    assert failed.returncode != 0
    (project / ".venv" / "bin" / "jupyter-book").write_text(FAKE)
    assert builds(make_book(project))
