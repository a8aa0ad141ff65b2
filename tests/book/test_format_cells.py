"""The formatting of code inside the chapters."""

import pytest

from tools import format_cells

CHAPTER = """# A chapter

```python
left = alone( here )
```

```{code-cell} ipython3
---
mystnb:
  figure: {name: a}
---
x = f( 1,2 )
```

```{code-cell} ipython3
:tags: [solution]

y = 'text'
```

```{code-cell} ipython3
z  =  3
```
"""


def test_cells_are_formatted_and_nothing_else_changes():
    formatted = format_cells.format_cells(CHAPTER)
    expected = CHAPTER.replace("f( 1,2 )", "f(1, 2)").replace("'text'", '"text"')
    assert formatted == expected.replace("z  =  3", "z = 3")
    assert format_cells.format_cells(formatted) == formatted


def test_lines_fit_the_column():
    long = "```{code-cell} ipython3\nname = function(" + ", ".join(["argument"] * 9) + ")\n```\n"
    assert max(map(len, format_cells.format_cells(long).splitlines())) <= format_cells.WIDTH


def test_a_cell_that_is_no_python_is_named():
    with pytest.raises(SystemExit, match="cannot be formatted"):
        format_cells.format_cells("```{code-cell} ipython3\nx = (\n```\n")


def test_check_writes_nothing_and_names_the_chapter(monkeypatch, tmp_path):
    path = tmp_path / "a-chapter.md"
    path.write_text(CHAPTER, encoding="utf-8")
    monkeypatch.setattr(format_cells, "ROOT", tmp_path)
    monkeypatch.setattr("sys.argv", ["format_cells", "--check", str(path)])
    with pytest.raises(SystemExit, match=r"a-chapter\.md"):
        format_cells.main()
    assert path.read_text(encoding="utf-8") == CHAPTER
