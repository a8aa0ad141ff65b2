"""Showing things once: in a notebook as HTML, in a terminal as text."""

import html
import re
import textwrap

from companion.page.shell import running_shell

# Themes color code for the page's background, but some put outputs on a background of their own.
_PLAIN = ' style="color:inherit;background:transparent"'


def _cell() -> object:
    """Return something that differs from one notebook cell to the next."""
    return getattr(running_shell(), "execution_count", None)


def _print(text: str) -> None:
    try:
        print(text)
    except UnicodeEncodeError:  # a console that knows no check mark
        print(text.encode("ascii", "replace").decode())


class Shown:
    """Something that is shown as soon as it is made, and not again as the cell's value.

    `show` displays it. A notebook would then display the value of a cell's last expression a
    second time: `_ipython_display_` leaves that out, but only in the cell that has shown it
    already. `repr` is one short line, so that a plain Python prompt repeats nothing either.
    """

    _shown_in: object = None

    def text(self) -> str:
        """Return what a terminal shows."""
        raise NotImplementedError

    def html(self) -> str:
        """Return what a notebook shows."""
        raise NotImplementedError

    def show(self) -> None:
        """Display it now: HTML in a notebook, text in a terminal or a script."""
        self._shown_in = _cell()
        if running_shell() is None:
            _print(self.text())
        else:
            from IPython.display import display

            display(self._repr_mimebundle_(), raw=True)

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return self.html()

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/plain": self.text(), "text/html": self.html()}

    def _ipython_display_(self) -> None:
        if self._shown_in is None or self._shown_in != _cell():
            self.show()


def inline_html(text: str, *, math: bool = False) -> str:
    r"""Return one line of text as HTML: `code` in backticks and, if asked, $math$.

    The page's MathJax knows only the delimiters \(...\); JupyterLab's knows them too.

    >>> inline_html("a < b costs $5")
    'a &lt; b costs $5'
    >>> inline_html(r"$\beta = 1$", math=True)
    '\\(\\beta = 1\\)'
    """
    result = html.escape(text, quote=False)
    if math:
        result = re.sub(r"\$([^$]+)\$", r"\\(\1\\)", result)
    return re.sub(r"`([^`]+)`", rf"<code{_PLAIN}>\1</code>", result)


_NAMES = {
    "\\,": "", "\\|": "‖", "\\mid": "|", "\\sigma": "σ", "\\beta": "β", "\\approx": "≈",
    "\\tfrac12": "1/2", "\\leq": "≤", "\\geq": "≥", "\\cdot": "·", "\\times": "×", "\\pi": "π",
    "\\phi": "φ", "\\epsilon": "ε", "\\mu": "μ", "\\tau": "τ", "\\nabla": "∇", "\\sum": "Σ",
    "^\\top": "ᵀ", "\\varepsilon": "ε", "\\lVert": "‖", "\\rVert": "‖", "\\in": "∈",
}  # fmt: skip


def plain(text: str) -> str:
    r"""Return a text with its $math$ as it reads in a terminal.

    >>> plain(r"$\mathrm{KL}(q \,\|\, p)$ with $\sigma > 1$")
    'KL(q ‖ p) with σ > 1'
    >>> plain(r"$e^{\log\sigma^2 / 2}$ and $E_{q_\phi}$")
    'e^(log σ² / 2) and E_q_φ'
    """
    return re.sub(r"\$([^$]+)\$", lambda found: _plain_math(found[1]), text)


def _plain_math(math: str) -> str:
    math = re.sub(r"\\hat (\w+)", r"\1-hat", math)
    math = re.sub(r"\\(log|exp)(?=\\)", r"\\\1 ", math)
    math = re.sub(r"\\(?:mathrm|mathbf|mathcal|text|operatorname)\{([^}]*)\}", r"\1", math)
    for command, name in _NAMES.items():
        end = r"(?![a-zA-Z])" if command[-1].isalnum() else ""
        math = re.sub(re.escape(command) + end, name, math)
    math = re.sub(r"\\([a-zA-Z]+)", r"\1", math)  # \log and its like keep their name
    math = re.sub(r"\^\{([^{}]*)\}", r"^(\1)", math)
    return re.sub(r" +", " ", re.sub(r"\^2(?!\d)", "²", re.sub(r"[{}]", "", math)))


def block_html(text: str) -> str:
    r"""Return paragraphs as HTML; an indented one is code, lines that start with "- " are a list.

    >>> block_html("One.")
    '<p>One.</p>'
    >>> block_html("- One.\n- Two.")
    '<ul><li>One.</li><li>Two.</li></ul>'
    """
    return "".join(_paragraph_html(part) for part in text.split("\n\n") if part.strip())


def _paragraph_html(text: str) -> str:
    lines = text.split("\n")
    if all(line.startswith("    ") for line in lines):
        code = "\n".join(line[4:] for line in lines)
        return f"<pre{_PLAIN}>{html.escape(code, quote=False)}</pre>"
    if all(line.startswith("- ") for line in lines):
        items = "".join(f"<li>{inline_html(line[2:])}</li>" for line in lines)
        return f"<ul>{items}</ul>"
    return f"<p>{inline_html(' '.join(lines))}</p>"


def wrap(text: str, margin: str = "  ", width: int = 88) -> str:
    """Break a text's lines for a terminal, behind a margin; leave indented code as it is.

    >>> print(wrap("One two.", margin="> "))
    > One two.
    """
    return "\n".join(_wrapped_line(line, margin, width) for line in text.split("\n"))


def _wrapped_line(line: str, margin: str, width: int) -> str:
    if line.startswith("    ") or not line:
        return (margin + line).rstrip()
    hanging = margin + ("  " if line.startswith("- ") else "")
    return textwrap.fill(
        line,
        width,
        initial_indent=margin,
        subsequent_indent=hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
