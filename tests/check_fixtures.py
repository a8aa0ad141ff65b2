"""Fixtures and small things that the tests of the machinery of checks share."""

import os
import subprocess
import sys

import pytest
import torch

from companion.checks import _registry
from companion.checks.authoring import call, compare, exercise, gradients

SQUARE = "elbo.square_in_the_tests"
X = torch.linspace(-1, 2, 5)
STUB_NAMES = {
    "elbo.kl_by_hand": "answer",
    "elbo.kl": "kl",
    "elbo.linear_gaussian": "elbo",
    "elbo.optimal_q": "best_q",
    "elbo.effective_beta": "betas",
    "elbo.fix_the_loss": "loss",
    "elbo.iw_bound": "bound",
}
ELBO_KEYS = list(STUB_NAMES)


def raising(message="boom"):
    raise ValueError(message)


@pytest.fixture(name="progress_file")
def make_progress_file(tmp_path, monkeypatch):
    file = tmp_path / "reader" / "progress.json"
    monkeypatch.setenv("COMPANION_PROGRESS", str(file))
    return file


@pytest.fixture(name="square")
def make_square(monkeypatch):
    """One small exercise of our own."""
    _registry.all_exercises()  # loads every chapter into the list that is kept
    monkeypatch.setattr(_registry, "_exercises", dict(_registry._exercises))

    @exercise(SQUARE, title="The square")
    def judge(answer):
        compare(call(answer, x=X), X**2, {"You doubled `x`.": 2 * X})
        gradients(answer, x=X)


def in_a_new_process(code, **environment):
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
    )
    return result.stdout
