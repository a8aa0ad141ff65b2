"""The notebooks beside the chapters: in step with their source, and readable by themselves."""

import json
from pathlib import Path

import nbformat
import pytest

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
    text = converted.cells[0].source
    assert "By [Kingma and Welling (2014)](https://example.org/one)" in text
    assert "([Müller et al., 2015](https://doi.org/10.1/x); van den Oord, 2016)" in text


def test_unknown_citation_is_an_error(course):
    """A mistyped key does not get through."""
    with pytest.raises(KeyError, match="no entry 'four'"):
        bibliography.resolve("{cite:t}`four`", bibliography.load(course / "references.bib"))


def test_quoted_numbers_show_their_name(converted):
    """The cell before prints the number under this name."""
    assert "the gap is `gap`." in converted.cells[0].source


def test_links_lead_to_notebooks(converted):
    """Only those to chapters change, and none inside code."""
    text = converted.cells[0].source
    assert "[next](02-b.ipynb#part)" in text
    assert "[notation](../notes.md)" in text
    assert "`[not a link](02-b.md)`" in text


def test_code_and_its_metadata_survive(converted):
    """Code is copied as it is; solutions stay folded in Jupyter and Colab."""
    cell = converted.cells[1]
    assert cell.source == "# not a heading {cite:t}`one`\nprint(1)"
    assert cell.metadata["cellView"] == "form"
    assert "solution" in cell.metadata["tags"]
    assert cell.outputs == []
    assert cell.execution_count is None


def test_cells_split_at_headings_but_not_inside_solutions(converted):
    """A folded solution stays in one piece."""
    kinds = [cell.cell_type for cell in converted.cells]
    assert kinds == ["markdown", "code", "markdown", "code"]
    assert converted.cells[2].source.startswith("## Second")
    assert "## folded heading" in converted.cells[2].source


def test_conversion_is_stable(course):
    """Byte for byte the same, with cell names made from the file name."""
    entries = bibliography.load(course / "references.bib")
    texts = {sync_notebooks.convert(course / "vae" / "01-a.md", entries) for _ in range(3)}
    assert len(texts) == 1
    ids = [cell["id"] for cell in json.loads(texts.pop())["cells"]]
    assert ids == ["01-a-000", "01-a-001", "01-a-002", "01-a-003"]


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


@pytest.mark.parametrize("chapter", chapters(), ids=lambda path: path.stem)
def test_notebook_reads_well_by_itself(chapter):
    """No role or directive of the book is left in the text of a committed notebook."""
    notebook = nbformat.read(chapter.with_suffix(".ipynb"), 4)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert not sync_notebooks.ROLE.search(text)
    assert "```{" not in text
