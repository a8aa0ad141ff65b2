"""Numbers for the prose: recorded, handed to the book, and put into sentences."""

import numpy as np
import pytest
import torch

from companion.page import report as module
from companion.page.report import report, say

PREFIX = "application/papermill.record/"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.25, "0.25"),
        (-103.456789, "-103.456789"),
        (7, "7"),
        (torch.tensor(0.5), "0.5"),
        (torch.tensor([[0.5]], requires_grad=True), "0.5"),
        (np.float64(1.5), "1.5"),
    ],
)
def test_a_sentence_gets_the_number_and_the_report_shows_nothing(value, shown, capsys):
    report(gap=value)
    assert capsys.readouterr().out == ""
    say("It is {glue:text}`gap`.")
    assert capsys.readouterr().out == f"It is {shown}.\n"


def test_a_sentence_gets_the_last_report(capsys):
    report(gap=1.0)
    report(gap=2.0)
    say("{glue:text}`gap:.1f`")
    assert capsys.readouterr().out == "2.0\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (r"$\frac{a}{gap:.1f}$, {glue:text}`gap:.1f`", r"$\frac{a}{gap:.1f}$, -1234.6"),
        ("| {glue:text}`gap:+,.0f` | `gap:.1f` |", "| -1,235 | `gap:.1f` |"),
        ("- [a](b.ipynb#c) {glue:text}`gap:.2g`\n- {cite}", "- [a](b.ipynb#c) -1.2e+03\n- {cite}"),
    ],
)
def test_only_the_numbers_of_a_text_change(text, shown, capsys):
    report(gap=-1234.56)
    say(text)
    assert capsys.readouterr().out == shown + "\n"


def test_a_number_that_no_cell_reported_says_what_to_do():
    with pytest.raises(KeyError, match=r"quotes `nowhere`.*Run the cells above first"):
        say("{glue:text}`nowhere:.1f`")


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
    assert capsys.readouterr().out == ""


def test_in_a_notebook_a_sentence_is_shown_as_markdown(displayed):
    report(gap=0.25)
    say("*Gap* {glue:text}`gap:.1f`")
    markdown, _ = displayed[-1]
    assert markdown.data == "*Gap* 0.2"
