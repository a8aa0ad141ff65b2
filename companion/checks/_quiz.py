"""Quizzes that need no kernel: every option is a native <details> with its feedback inside."""

from dataclasses import dataclass

from companion.checks._display import Shown, inline_html, plain, wrap
from companion.checks._registry import chapters, closest, load


@dataclass(frozen=True)
class Option:
    """One option of a question, and what the reader learns by choosing it.

    Texts may hold `code` in backticks and math between dollar signs.
    """

    text: str
    feedback: str
    right: bool = False


@dataclass(frozen=True)
class Question:
    """A question with its options, exactly one of them right.

    A title stands in place of its number, and a figure, as HTML and as text, above its options.
    """

    text: str
    options: tuple[Option, ...]
    title: str = ""
    figure_html: str = ""
    figure_text: str = ""

    def __post_init__(self) -> None:
        if sum(option.right for option in self.options) != 1:
            raise ValueError(f"Exactly one option must be right in the question {self.text!r}.")

    @property
    def key(self) -> str:
        """The letter of the right option."""
        return next(
            letter for letter, option in zip("abcdefgh", self.options, strict=False) if option.right
        )


@dataclass(repr=False)
class Quiz(Shown):
    """A chapter's questions; `answers` adds the feedback to the plain text.

    `call` is the function that the reader calls to see them.
    """

    name: str
    questions: tuple[Question, ...]
    answers: bool = False
    call: str = "quiz"

    def __repr__(self) -> str:
        return f"<Quiz {self.name}: {len(self.questions)} questions>"

    def text(self) -> str:
        """Return the quiz as plain text, with the feedback only if asked for."""
        parts = [
            _question_text(number, question, self.answers)
            for number, question in enumerate(self.questions, 1)
        ]
        if not self.answers:
            parts.append(f'For the answers: {self.call}("{self.name}", answers=True)')
        return "\n\n".join(parts)

    def html(self) -> str:
        """Return the quiz as HTML that works without JavaScript."""
        questions = "".join(
            _question_html(f"{self.call}-{self.name}-{number}", number, question)
            for number, question in enumerate(self.questions, 1)
        )
        return f'<div class="companion-quiz tex2jax_process">{questions}</div>'


def _verdict(option: Option) -> str:
    return "Right:" if option.right else "Not quite:"


def _question_text(number: int, question: Question, answers: bool) -> str:
    lines = [wrap(plain(f"{question.title or number}. {question.text}"), "")]
    if question.figure_text:
        lines.append(question.figure_text)
    for letter, option in zip("abcdefgh", question.options, strict=False):
        lines.append(wrap(plain(f"({letter}) {option.text}"), "   "))
        if answers:
            lines.append(wrap(plain(f"{_verdict(option)} {option.feedback}"), "       "))
    return "\n".join(lines)


def _question_html(name: str, number: int, question: Question) -> str:
    text = inline_html(question.text, math=True)
    options = "".join(
        _option_html(name, letter, option)
        for letter, option in zip("abcdefgh", question.options, strict=False)
    )
    return (
        f'<div role="group" aria-labelledby="{name}" style="margin:1.5em 0">'
        f'<p id="{name}"><strong>{question.title or f"Question {number}"}.</strong> {text}</p>'
        f"{question.figure_html}{options}</div>"
    )


def _option_html(name: str, letter: str, option: Option) -> str:
    symbol = "✓" if option.right else "✗"
    text = inline_html(option.text, math=True)
    return (
        f'<details name="{name}" style="margin:0.3em 0 0.3em 1em">'
        f'<summary style="cursor:pointer">({letter}) {text}</summary>'
        f'<p style="margin:0.3em 0 0.6em 1.2em"><strong><span aria-hidden="true">{symbol}</span> '
        f"{_verdict(option)}</strong> {inline_html(option.feedback, math=True)}</p></details>"
    )


def quiz(chapter: str, *, answers: bool = False) -> Quiz:
    """Show a chapter's quiz at once and return it.

    Args:
        chapter: The chapter's name, such as "elbo".
        answers: Whether the plain text (in a terminal) holds the answers too.

    Raises:
        ValueError: if the chapter has no quiz.
    """
    questions = getattr(load(chapter), "QUIZ", None)
    if questions is None:
        near = closest(chapter, chapters()) or chapters()
        raise ValueError(f"There is no quiz called {chapter!r}. Did you mean {', '.join(near)}?")
    result = Quiz(chapter, tuple(questions), answers)
    result.show()
    return result
