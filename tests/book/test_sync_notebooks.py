"""The notebooks beside the chapters: in step with their source, and readable by themselves."""

import ast
import json
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tools import bibliography, sync_notebooks
from tools.pages import ROOT, chapters, is_notebook, pages

CHAPTER = """---
kernelspec: {display_name: Python 3, language: python, name: python3}
---

# A chapter

By {cite:t}`one` and {cite:p}`two,three`; the gap is {glue:text}`gap:.2f`.
See [next](02-b.md#part), [notation](../notes.md) and `[not a link](02-b.md)`.

```{code-cell} ipython3
:tags: [solution, hide-cell]
:cellView: form

# @title Solution
# not a heading {cite:t}`one`
print(1)
```

## Second

<details class="solution"><summary>Solution</summary>

## folded heading

</details>

```{code-cell} ipython3
print(2)
```
"""

BIBTEX = r"""
@article{one, author = {Kingma, Diederik P. and Welling, Max}, title = {A}, year = 2014,
  url = {https://example.org/one}}
@article{two, author = {M{\"u}ller, A. and B, C. and D, E.}, title = {B}, year = 2015,
  doi = {10.1/x}}
@article{three, author = {van den Oord, A.}, title = {C}, year = 2016}
"""


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A chapter, its neighbor and a page that is no notebook."""
    (tmp_path / "vae").mkdir()
    (tmp_path / "vae" / "01-a.md").write_text(CHAPTER)
    (tmp_path / "vae" / "02-b.md").write_text(CHAPTER)
    (tmp_path / "notes.md").write_text("# Notes\n")
    (tmp_path / "references.bib").write_text(BIBTEX)
    return tmp_path


@pytest.fixture
def converted(course: Path):
    """The first chapter as a notebook."""
    entries = bibliography.load(course / "references.bib")
    return nbformat.reads(sync_notebooks.convert(course / "vae" / "01-a.md", entries), 4)


def test_committed_notebooks_are_in_step():
    """Whoever edits a chapter must also run `make notebooks`."""
    entries = bibliography.load(ROOT / "book" / "references.bib")
    assert sync_notebooks.synchronize(chapters(), entries, write=False) == []
    assert sync_notebooks.orphans(chapters(), ROOT) == []


def test_the_book_has_chapters():
    """The test above is not empty."""
    assert ROOT / "book" / "vae" / "01-elbo.md" in chapters()
    assert len(pages()) > len(chapters())


def test_citations_become_links(converted):
    """A reader of the notebook can follow them."""
    text = converted.cells[1].source
    assert "By [Kingma and Welling (2014)](https://example.org/one)" in text
    assert "([Müller et al., 2015](https://doi.org/10.1/x); van den Oord, 2016)" in text


def test_unknown_citation_is_an_error(course):
    """A mistyped key does not get through."""
    with pytest.raises(KeyError, match="no entry 'four'"):
        bibliography.resolve("{cite:t}`four`", bibliography.load(course / "references.bib"))


LIVE = """---
kernelspec: {display_name: Python 3, language: python, name: python3}
---

# Numbers

```{code-cell} ipython3
from companion.page.report import report
report(gap=0.256, count=3)
```

Nothing measured here.

By {cite:t}`one`, {glue:text}`gap:.2f` nats of $\\frac{a}{\\text{gap}}$ and "\"\"quotes";
see [next](02-b.md).

- an item with $2^{10}$
  and a second line

  and a second paragraph: {glue:text}`gap:.1f`
- {glue:text}`count`

| a | b |
| --: | --: |
| {glue:text}`gap:+.0%` | $\\mathbb{R}^{d}$ |

$$
a = b

\\tag{1.1}
$$

The end: {glue:text}`gap:.3f`.
"""


@pytest.fixture
def live(course: Path):
    """A chapter whose sentences quote its run, as a notebook."""
    (course / "vae" / "03-c.md").write_text(LIVE)
    entries = bibliography.load(course / "references.bib")
    return nbformat.reads(sync_notebooks.convert(course / "vae" / "03-c.md", entries), 4)


def test_paragraphs_with_numbers_are_folded_cells(live):
    """In JupyterLab and in Colab; the rest stays text."""
    assert [cell.cell_type for cell in live.cells] == [
        *("markdown", "code", "markdown", "code", "markdown", "code")
    ]
    for cell in (live.cells[3], live.cells[5]):
        assert cell.source.startswith("# @title ")
        assert cell.metadata["cellView"] == "form"
        assert cell.metadata["jupyter"]["source_hidden"] is True
    assert live.cells[4].source == "$$\na = b\n\n\\tag{1.1}\n$$"


def test_after_running_the_sentences_hold_their_numbers(live):
    """A kernel runs the notebook; formulas, links, lists and tables come through."""
    NotebookClient(live, timeout=None, kernel_name="python3").execute()
    shown, last = (live.cells[index].outputs[0]["data"]["text/markdown"] for index in (3, 5))
    assert last.strip() == "The end: 0.256."
    assert "[Kingma and Welling (2014)](https://example.org/one), 0.26 nats" in shown
    assert '$\\frac{a}{\\text{gap}}$ and """quotes";\nsee [next](02-b.ipynb).' in shown
    assert "  and a second paragraph: 0.3\n- 3\n" in shown
    assert "| +26% | $\\mathbb{R}^{d}$ |" in shown
    assert "glue" not in shown


def test_both_triple_quotes_in_one_paragraph_are_refused():
    """No Python string could hold it as it is."""
    with pytest.raises(ValueError, match="both kinds of triple quotes"):
        sync_notebooks.say_cell("\"\"\" and '''")


def test_links_lead_to_notebooks(converted):
    """Only those to chapters change, and none inside code."""
    text = converted.cells[1].source
    assert "[next](02-b.ipynb#part)" in text
    assert "[notation](../notes.md)" in text
    assert "`[not a link](02-b.md)`" in text


def test_code_and_its_metadata_survive(converted):
    """Code is copied as it is; solutions stay folded in Jupyter and Colab."""
    cell = converted.cells[2]
    assert cell.source == "# @title Solution\n# not a heading {cite:t}`one`\nprint(1)"
    assert cell.metadata["cellView"] == "form"
    assert "solution" in cell.metadata["tags"]
    assert cell.outputs == []
    assert cell.execution_count is None


FIGURES = """---
kernelspec: {display_name: Python 3, language: python, name: python3}
---

# Pictures

{numref}`fig-b` comes after {numref}`fig-a`.

```{code-cell} ipython3
:mystnb: {figure: {name: fig-a, caption: "The first."}}
1
```

```{code-cell} ipython3
:mystnb: {figure: {name: fig-b, caption: "As {numref}`fig-a`, by {cite:t}`one`."}}
2
```
"""


def test_chapter_and_figures_are_numbered(course):
    """As in the book, and the references to them."""
    chapter = course / "vae" / "03-c.md"
    chapter.write_text(FIGURES)
    entries = bibliography.load(course / "references.bib")
    notebook = nbformat.reads(sync_notebooks.convert(chapter, entries), 4)
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    assert texts == [
        "# 3. Pictures\n\nFig. 3.2 comes after Fig. 3.1.",
        "*Fig. 3.1.* The first.",
        "*Fig. 3.2.* As Fig. 3.1, by [Kingma and Welling (2014)](https://example.org/one).",
    ]


def test_cells_split_at_headings_but_not_inside_solutions(converted):
    """A folded solution stays in one piece."""
    kinds = [cell.cell_type for cell in converted.cells]
    assert kinds == ["markdown", "code", "code", "markdown", "code"]
    assert converted.cells[3].source.startswith("## Second")
    assert "## folded heading" in converted.cells[3].source


def test_conversion_is_stable(course):
    """Byte for byte the same, with cell names made from the file name."""
    entries = bibliography.load(course / "references.bib")
    texts = {sync_notebooks.convert(course / "vae" / "01-a.md", entries) for _ in range(3)}
    assert len(texts) == 1
    ids = [cell["id"] for cell in json.loads(texts.pop())["cells"]]
    assert ids == [f"01-a-{index:03d}" for index in range(5)]


def test_drift_is_found_and_repaired(course):
    """One changed letter is noticed; checking alone writes nothing."""
    entries = bibliography.load(course / "references.bib")
    chapter = course / "vae" / "01-a.md"
    target = chapter.with_suffix(".ipynb")
    assert sync_notebooks.synchronize([chapter], entries, write=False) == [target]
    assert not target.exists()
    assert sync_notebooks.synchronize([chapter], entries, write=True) == [target]
    assert sync_notebooks.synchronize([chapter], entries, write=False) == []
    target.write_text(target.read_text().replace("print(2)", "print(3)"))
    assert sync_notebooks.synchronize([chapter], entries, write=False) == [target]


def test_only_pages_with_a_kernel_are_notebooks(course):
    """The front matter decides."""
    assert is_notebook(course / "vae" / "01-a.md")
    assert not is_notebook(course / "notes.md")


def reported(code):
    """The names that a cell hands to the text."""
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    return {
        word.arg for call in calls if ast.unparse(call.func) == "report" for word in call.keywords
    }


@pytest.mark.parametrize("chapter", chapters(), ids=lambda path: path.stem)
def test_each_quoted_number_was_reported_by_a_cell_above(chapter):
    """Else a notebook that is run from the top would stop at the sentence."""
    known: set[str] = set()
    for cell in nbformat.read(chapter.with_suffix(".ipynb"), 4).cells:
        if cell.cell_type == "code":
            known |= reported(cell.source)
            quoted = set(re.findall(r"\{glue:text\}`(\w+)", cell.source))
            assert quoted <= known


def only_checks(code):
    """Whether a cell does nothing but check results and report numbers."""
    heads = ("report(", "torch.testing.assert_close(")
    return all(
        isinstance(node, ast.Assert)
        or (isinstance(node, ast.Expr) and ast.unparse(node).startswith(heads))
        for node in ast.parse(code).body
    )


@pytest.mark.parametrize("chapter", chapters(), ids=lambda path: path.stem)
def test_what_is_no_lesson_is_folded_everywhere(chapter):
    """Set-up, scoring, checks and plots: in the page, in JupyterLab and in Colab."""
    notebook = nbformat.read(chapter.with_suffix(".ipynb"), 4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert "setup" in code[0].metadata["tags"]
    for cell in code:
        tags = cell.metadata.get("tags", [])
        folded = bool({"hide-input", "hide-cell", "remove-input"} & set(tags))
        assert folded == bool(cell.metadata.get("jupyter", {}).get("source_hidden"))
        assert folded == (cell.metadata.get("cellView") == "form")
        assert folded == cell.source.startswith("# @title ")
        assert folded or not ({"setup", "scoring", "checks"} & set(tags) or caption(cell))
        assert folded or not only_checks(cell.source)


def caption(cell):
    """The caption of the figure that a cell draws, if it draws one."""
    return cell.metadata.get("mystnb", {}).get("figure", {}).get("caption", "")


@pytest.mark.parametrize(
    ("tags", "title"),
    [
        ("hide-input, setup", "Set-up"),
        ("hide-input, scoring", "Scoring"),
        ("hide-input, checks", "Checks of the results"),
        ("hide-input", "Plot"),
    ],
)
def test_a_folded_cell_says_what_it_does(course, tags, title):
    """Colab and JupyterLab show the first line of the form."""
    chapter = course / "vae" / "01-a.md"
    chapter.write_text(
        CHAPTER.replace("solution, hide-cell", tags)
        .replace(":cellView: form\n", "")
        .replace("# @title Solution\n", "")
    )
    notebook = nbformat.reads(
        sync_notebooks.convert(chapter, bibliography.load(course / "references.bib")), 4
    )
    assert notebook.cells[2].source.startswith(f"# @title {title}\n# not a heading")
    assert notebook.cells[2].metadata["cellView"] == "form"


@pytest.mark.parametrize("chapter", chapters(), ids=lambda path: path.stem)
def test_notebook_reads_well_by_itself(chapter):
    """No role or directive of the book is left in the text of a committed notebook."""
    notebook = nbformat.read(chapter.with_suffix(".ipynb"), 4)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert not sync_notebooks.ROLE.search(text)
    assert "```{" not in text
