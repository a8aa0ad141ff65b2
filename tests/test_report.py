"""Numbers for the prose, printed and handed to the book."""

import numpy as np
import pytest
import torch

from companion.page import report as module
from companion.page.report import report

PREFIX = "application/papermill.record/"


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (0.25, "gap = 0.25"),
        (-103.456789, "gap = -103.46"),
        (7, "gap = 7"),
        (torch.tensor(0.5), "gap = 0.5"),
        (torch.tensor([[0.5]], requires_grad=True), "gap = 0.5"),
        (np.float64(1.5), "gap = 1.5"),
    ],
)
def test_it_prints_the_number(value, line, capsys):
    report(gap=value)
    assert capsys.readouterr().out == line + "\n"


def test_it_prints_in_the_order_of_the_call(capsys):
    report(b=1.0, a=2.0)
    assert capsys.readouterr().out == "b = 1\na = 2\n"


@pytest.fixture
def displayed(monkeypatch):
    """Pretend to be a notebook, and collect what it is shown."""
    shown = []
    monkeypatch.setattr(module, "running_shell", object)
    monkeypatch.setattr(
        "IPython.display.display", lambda *args, **kwargs: shown.append((*args, kwargs))
    )
    return shown


def test_in_a_notebook_it_glues_the_number_with_all_its_digits(displayed):
    report(gap=1 / 3, count=torch.tensor(2.0))
    (gap, gap_kwargs), (count, _) = displayed
    assert gap == {PREFIX + "text/plain": repr(1 / 3)}
    assert count == {PREFIX + "text/plain": "2.0"}
    assert gap_kwargs["raw"] is True
    assert gap_kwargs["metadata"] == {"scrapbook": {"name": "gap", "mime_prefix": PREFIX}}


def test_the_book_can_format_what_it_finds(displayed):
    # {glue:text}`gap:.2f` evaluates the text as a literal, and then formats it.
    report(gap=torch.tensor(-0.125), n=3)
    texts = [data[PREFIX + "text/plain"] for data, _ in displayed]
    assert [f"{float(text):.2f}" for text in texts] == ["-0.12", "3.00"]


def test_outside_a_notebook_nothing_is_displayed(monkeypatch, capsys):
    monkeypatch.setattr("IPython.display.display", lambda *args, **kwargs: pytest.fail("displayed"))
    report(gap=1.0)
    assert capsys.readouterr().out == "gap = 1\n"
