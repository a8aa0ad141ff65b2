"""Citations for readers of a notebook, where no bibliography is at hand."""

import re
from collections.abc import Mapping
from pathlib import Path

from pybtex.database import Entry, Person, parse_file
from pybtex.richtext import Text

CITATION = re.compile(r"\{cite:(?P<role>[a-z]+)\}`(?P<keys>[^`]+)`")


def load(path: Path) -> dict[str, Entry]:
    """Read a BibTeX file."""
    return dict(parse_file(str(path), bib_format="bibtex").entries.items())


def plain(latex: str) -> str:
    """Turn a field with LaTeX accents and braces into plain text."""
    return str(Text.from_latex(latex))


def names(people: list[Person]) -> str:
    """Return the last names as a citation gives them: one, two, or the first "et al."."""
    last = [plain(" ".join((*person.prelast_names, *person.last_names))) for person in people]
    if len(last) > 2:
        return f"{last[0]} et al."
    return " and ".join(last)


def address(entry: Entry) -> str | None:
    """Return where the work can be read: its page, its DOI or its preprint."""
    fields = entry.fields
    if "url" in fields:
        return str(fields["url"]).replace("\\", "")
    if "doi" in fields:
        return f"https://doi.org/{fields['doi']}"
    if "eprint" in fields:
        return f"https://arxiv.org/abs/{fields['eprint']}"
    return None


def link(key: str, role: str, entries: Mapping[str, Entry]) -> str:
    """Return one citation as a Markdown link.

    Raises:
        KeyError: the bibliography has no such entry.
    """
    if key not in entries:
        raise KeyError(f"references.bib has no entry {key!r}")
    entry = entries[key]
    people = entry.persons.get("author") or entry.persons.get("editor") or []
    who = names(people) or plain(entry.fields["title"])
    year = entry.fields.get("year", "n.d.")
    text = f"{who}, {year}" if role.startswith("p") else f"{who} ({year})"
    target = address(entry)
    return f"[{text}]({target})" if target else text


def resolve(text: str, entries: Mapping[str, Entry]) -> str:
    """Replace every cite role in a text by links."""

    def replacement(match: re.Match[str]) -> str:
        role = match["role"]
        keys = [key.strip() for key in match["keys"].split(",")]
        links = [link(key, role, entries) for key in keys]
        return f"({'; '.join(links)})" if role.startswith("p") else ", ".join(links)

    return CITATION.sub(replacement, text)
