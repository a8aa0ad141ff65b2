r"""Numbers of equations are written by hand: consecutive, legal and referred to correctly."""

import re
from types import SimpleNamespace

import pytest
from docutils import nodes
from docutils.frontend import get_default_settings
from docutils.utils import new_document

from tools.pages import ROOT, chapters, pages

TAG = re.compile(r"\\tag\{([^}]+)\}")
REFERENCE = re.compile(r"(?<![\w)])\((\d+\.\d+)\)")
CODE = re.compile(r"^```.*?^```[ ]*$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
DISPLAY = re.compile(r"\$\$(.*?)\$\$", re.DOTALL)
INSIDE = re.compile(r"\\begin\{(aligned|split|cases|gathered)\}(.*?)\\end\{\1\}", re.DOTALL)


def prose(text: str) -> str:
    """Return a page without its code."""
    return CODE.sub("", text)


def tag_faults(text: str, chapter: int) -> list[str]:
    """Say what is wrong with the equation numbers of a chapter."""
    text = prose(text)
    tags = TAG.findall(text)
    faults = []
    expected = [f"{chapter}.{index}" for index in range(1, len(tags) + 1)]
    if tags != expected:
        faults.append(f"the numbers are {tags}, but should be {expected}")
    unknown = set(REFERENCE.findall(DISPLAY.sub("", text))) - set(tags)
    unknown = {number for number in unknown if number.split(".")[0] == str(chapter)}
    faults += [f"({number}) is no equation" for number in sorted(unknown)]
    for formula in DISPLAY.findall(text):
        if any(TAG.search(match[2]) for match in INSIDE.finditer(formula)):
            faults.append(f"MathJax allows no tag inside an environment: {formula.strip()[:60]}")
    in_formulas = TAG.findall("".join(DISPLAY.findall(text)))
    return faults + ([] if in_formulas == tags else ["a tag stands outside a displayed formula"])


@pytest.mark.parametrize("chapter", chapters(), ids=lambda path: path.stem)
def test_numbers_of_the_chapter(chapter):
    """Consecutive from 1, and every reference leads to an equation."""
    assert tag_faults(chapter.read_text(encoding="utf-8"), int(chapter.stem[:2])) == []


def known_numbers() -> set[str]:
    """Return the numbers of all equations of the book."""
    return {tag for path in chapters() for tag in TAG.findall(path.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("page", pages(), ids=lambda path: path.stem)
def test_references_to_other_chapters(page):
    """An equation that a page names exists in the chapter that the number says."""
    written = {str(int(chapter.stem[:2])) for chapter in chapters()}
    text = DISPLAY.sub("", prose(page.read_text(encoding="utf-8")))
    cited = {number for number in REFERENCE.findall(text) if number.split(".")[0] in written}
    assert cited <= known_numbers()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (r"$$a \tag{1.1}$$ and $$b \tag{1.3}$$", "should be"),
        (r"$$a \tag{1.1}$$ as (1.2) says", "(1.2) is no equation"),
        (r"$$\begin{aligned}a \tag{1.1}\end{aligned}$$", "inside an environment"),
        (r"$a \tag{1.1}$", "outside a displayed"),
    ],
)
def test_broken_numbers_are_found(text, fault):
    """The rule above can fail."""
    assert any(fault in found for found in tag_faults(text, 1))


def test_whole_numbers_pass():
    """Legal text, with a number in code that is no reference."""
    text = "$$\n\\begin{aligned}a\\\\b\\end{aligned}\n\\tag{1.1}\n$$\nBy (1.1), not `f(1.7)`."
    assert tag_faults(text, 1) == []


@pytest.fixture
def extension(monkeypatch):
    """The Sphinx extension that keeps the numbers."""
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    import hand_numbered_math

    return hand_numbered_math


def page_of(*children: nodes.Node) -> nodes.document:
    """A document of these nodes."""
    document = new_document("page", get_default_settings())
    document += list(children)
    return document


def test_tagged_formula_is_not_wrapped(extension):
    r"""Sphinx would put it into `split`, in which a tag is illegal."""
    formula = nodes.math_block("", "", nodes.Text(r"a \\ b \tag{1.2}"))
    document = page_of(formula)
    extension.keep_tag(formula)
    assert formula["nowrap"]
    assert formula.astext() == r"\[a \\ b \tag{1.2}\]"
    assert document.children[0]["ids"] == ["equation-1-2"]


def test_formula_without_tag_is_left_alone(extension):
    """It needs no help."""
    formula = nodes.math_block("", "", nodes.Text("a"))
    page_of(formula)
    extension.keep_tag(formula)
    assert formula.astext() == "a"


def test_references_become_links(extension):
    """In text, not in code, and only to equations of the book."""
    paragraph = nodes.paragraph("", "", nodes.Text("by (1.2), (3.4) and (9.9)"))
    code = nodes.literal("", "", nodes.Text("f(1.2)"))
    document = page_of(paragraph, nodes.paragraph("", "", code))
    places = {"1.2": "#equation-1-2", "3.4": "03-c.html#equation-3-4"}
    for text in list(document.findall(nodes.Text)):
        extension.link_references(text, places)
    links = [link["refuri"] for link in document.findall(nodes.reference)]
    assert links == ["#equation-1-2", "03-c.html#equation-3-4"]
    assert document.astext() == "by (1.2), (3.4) and (9.9)\n\nf(1.2)"


def test_the_page_of_each_equation_is_known(extension, tmp_path):
    """It is read from the sources, once."""
    (tmp_path / "02-b.md").write_text(r"$$a \tag{2.1}$$")
    (tmp_path / "03-c.md").write_text(r"$$b \tag{3.1}$$ $$c \tag{3.2}$$")
    env = SimpleNamespace(
        found_docs={"02-b", "03-c"}, doc2path=lambda page: str(tmp_path / f"{page}.md")
    )
    app = SimpleNamespace(env=env)
    assert extension.equations(app) == {"2.1": "02-b", "3.1": "03-c", "3.2": "03-c"}
    assert extension.equations(app) is extension.equations(app)
