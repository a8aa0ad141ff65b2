"""What verdicts and quizzes look like in a terminal and in a notebook."""

import io
import json
import re
import sys
from html.parser import HTMLParser

import pytest
from check_fixtures import SQUARE, X, in_a_new_process, make_progress_file, make_square, raising  # noqa: F401

from companion.checks import Option, Question, _registry, check, quiz
from companion.checks._display import plain

pytestmark = pytest.mark.usefixtures("progress_file", "square")


def test_the_verdict_is_shown_at_once_and_only_once(capsys):
    verdict = check(SQUARE, lambda x: 2 * x)
    assert capsys.readouterr().out == f"✗ Not yet: The square ({SQUARE})\n  You doubled `x`.\n"
    assert repr(verdict) == f"<Verdict {SQUARE}: not yet>"
    assert str(verdict).startswith("✗ Not yet")
    assert capsys.readouterr().out == ""


def test_a_console_without_unicode_gets_the_verdict_too(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="cp1252", write_through=True))
    check(SQUARE, lambda x: x**2)
    assert b"? Correct: The square" in raw.getvalue()


def test_the_books_own_solution_is_called_so():
    ours, theirs = (check(SQUARE, lambda x: x**2, record=record) for record in (False, True))
    assert str(ours).startswith("✓ Correct: our solution to The square (")
    assert "</span> Correct:</strong> our solution to The square</p>" in ours._repr_html_()
    assert "our solution" not in str(theirs)
    assert "our solution" not in str(check(SQUARE, X, record=False))  # it isn't right


def test_html_says_in_words_what_it_shows_in_color():
    for answer, words in ((..., "Not attempted yet"), (X, "Not yet"), (lambda x: x**2, "Correct")):
        html = check(SQUARE, answer)._repr_html_()
        assert f"{words}:</strong>" in html
        assert '<span aria-hidden="true">' in html
        assert 'role="status"' in html
        assert "<script" not in html


def test_html_of_the_learners_text_is_escaped():
    html = check(SQUARE, lambda x: raising("<script>alert(1)</script>"))._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


IPYTHON = """
import json
import re
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
shell = InteractiveShell.instance()
counts = []
for cell in [
    "from companion.checks import check, quiz",
    'check("elbo.kl_by_hand", 3, record=False)',
    'v = check("elbo.kl_by_hand", 3, record=False)\\n0',
    "v",
    'check("elbo.kl_by_hand", 3, record=False)\\ncheck("elbo.kl_by_hand", 1.31, record=False)',
    'quiz("elbo")',
    "check.progress()",
]:
    with capture_output() as captured:
        shell.run_cell(cell, store_history=True)
    counts.append([sorted(output.data) for output in captured.outputs])
print(json.dumps(counts))
"""


def test_a_notebook_shows_each_verdict_once(tmp_path):
    shown = json.loads(in_a_new_process(IPYTHON, IPYTHONDIR=str(tmp_path)).splitlines()[-1])
    rich = ["text/html", "text/plain"]
    assert [[kind for kind in cell if kind == rich] for cell in shown] == (
        [[], [rich], [rich], [rich], [rich, rich], [rich], [rich]]
    )
    assert sum(len(cell) for cell in shown) == 7  # and nothing else; `0` is not captured


def test_importing_check_loads_no_chapter_and_no_notebook_library():
    code = (
        "import sys; from companion.checks import check, quiz; "
        "print([n for n in ('companion.checks.elbo', 'IPython', 'matplotlib') if n in sys.modules])"
    )
    assert in_a_new_process(code).strip() == "[]"


class Reader(HTMLParser):
    """Collects what matters of a quiz's HTML, and checks that its tags are balanced."""

    def __init__(self):
        super().__init__()
        self.open, self.names, self.tags, self.ids, self.labels = [], [], set(), [], []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.open.append(tag)
        self.tags.add(tag)
        if tag == "details":
            self.names.append(attributes["name"])
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.labels += [attributes["aria-labelledby"]] if "aria-labelledby" in attributes else []

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_quiz_needs_no_script():
    shown = quiz("elbo")
    html = shown._repr_html_()
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    assert "script" not in reader.tags
    assert (
        reader.ids == reader.labels == [f"quiz-elbo-{n + 1}" for n in range(len(shown.questions))]
    )
    for name, question in zip(reader.ids, shown.questions, strict=True):
        assert reader.names.count(name) == len(question.options)
    assert html.count("Right:") == len(shown.questions)
    assert html.startswith('<div class="companion-quiz tex2jax_process">')
    assert "$" not in html  # the page's MathJax knows only \( and \)
    assert html.count(r"\(") == html.count(r"\)") > 0
    assert ">softplus</code>" in html


def test_code_is_readable_on_any_background():
    html = check(SQUARE, raising)._repr_html_() + check(SQUARE, lambda x: 2 * x)._repr_html_()
    for tag in ("<pre", "<code"):
        assert html.count(f'{tag} style="color:inherit;background:transparent"') == html.count(tag)
        assert tag in html


def test_the_quiz_in_a_terminal(capsys):
    quiz("elbo")
    text = capsys.readouterr().out
    assert "1. For one" in text
    assert "(a) " in text
    assert "Right:" not in text
    assert "answers=True" in text
    quiz("elbo", answers=True)
    assert "Right:" in capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 88


def test_a_terminal_shows_no_latex(capsys):
    quiz("elbo", answers=True)
    text = capsys.readouterr().out
    assert "\\" not in text
    assert "$" not in text
    words = " ".join(text.split())
    for line in (
        "KL(q ‖ p(z | x))",
        "L_S-hat estimates",
        "E[log w] < log E[w]",
        "σ > 1",
        "1/2 log",
    ):
        assert line in words


def test_an_unknown_quiz_names_the_known():
    with pytest.raises(ValueError, match="elbo"):
        quiz("ebol")


def test_a_question_has_one_right_option():
    for rights in ((False, False), (True, True)):
        options = tuple(Option("text", "feedback", right) for right in rights)
        with pytest.raises(ValueError, match="Exactly one option"):
            Question("Which?", options)
    options = (Option("no", "feedback"), Option("yes", "feedback", right=True))
    assert Question("Which?", options).key == "b"


def test_no_quiz_shows_the_name_of_a_latex_command_in_a_terminal():
    for chapter in _registry.chapters():
        for question in _registry.load(chapter).QUIZ:
            texts = [question.text]
            texts += [text for each in question.options for text in (each.text, each.feedback)]
            for math in re.findall(r"\$([^$]+)\$", " ".join(texts)):
                shown = plain(f"${math}$")
                words = set(re.findall(r"[a-zA-Z]+", shown))
                assert not words & set(re.findall(r"\\([a-zA-Z]+)", math)) - {
                    "log",
                    "exp",
                    "max",
                    "hat",
                }, shown
                assert "\\" not in shown, shown
