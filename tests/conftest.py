"""Set-up for every test: the device, reproducible properties, and nobody's progress file."""

import os
from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import pytest
import torch
from hypothesis import settings

# The same examples on every machine and in every run; a slow machine is no failure.
settings.register_profile("course", derandomize=True, deadline=None)
settings.load_profile("course")

# Doctests are collected from every module; a conftest is none, and there are two of that name.
collect_ignore = ["conftest.py", "book/conftest.py"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `pytest --device cuda` run the same suite on a GPU."""
    parser.addoption("--device", default="cpu", help="where tensors live: cpu, cuda or mps")


@pytest.fixture
def device(request: pytest.FixtureRequest) -> torch.device:
    """The device that was asked for on the command line."""
    return torch.device(request.config.getoption("--device"))


@pytest.fixture(autouse=True)
def own_progress_file(tmp_path_factory: pytest.TempPathFactory, monkeypatch) -> Path:
    """Keep what a test solves out of the reader's own progress file."""
    file = tmp_path_factory.mktemp("progress") / "progress.json"
    monkeypatch.setenv("COMPANION_PROGRESS", str(file))
    return file


@pytest.fixture
def without_shape_checker() -> Iterator[None]:
    """Switch off the type checker of the tests, which torch.compile cannot trace."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


@pytest.fixture
def mnist_folder(capsys):
    """Return the folder of the real MNIST, or say aloud why the test cannot run."""
    folder = os.environ.get("COMPANION_TEST_MNIST")
    if folder is None:
        reason = "COMPANION_TEST_MNIST names no folder with MNIST/raw: not tried on MNIST"
        with capsys.disabled():
            print(f"\n{reason}")
        pytest.skip(reason)
    return folder
