"""Links to the glossary, to the package and to other pages: which are made, and to where."""

import re
from types import SimpleNamespace

import pytest
from bs4 import BeautifulSoup
from docutils import nodes
from docutils.frontend import get_default_settings
from docutils.utils import new_document

from tools.pages import ROOT, chapters


@pytest.fixture
def extension(monkeypatch):
    """The Sphinx extension, which is no part of a package."""
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    import cross_references

    return cross_references


@pytest.mark.parametrize(
    ("entry", "names"),
    [
        ("Active unit", ["active unit"]),
        ("Code, latent variable · 隐变量", ["code", "latent variable"]),
        ("Evidence lower bound (ELBO) · 下界", ["evidence lower bound", "elbo"]),
    ],
)
def test_an_entry_of_the_glossary_has_these_names(extension, entry, names):
    assert list(extension.names_of(entry)) == names


def python_objects(*entries):
    objects = {
        name: SimpleNamespace(docname="api", node_id=name, objtype=kind) for name, kind in entries
    }
    return SimpleNamespace(domaindata={"py": {"objects": objects}})


def test_a_name_of_the_package_is_linked_only_if_it_is_unique_and_no_plain_word(extension):
    names = extension.api_names(
        python_objects(
            ("companion.vae.VAE", "class"),
            ("companion.vae.VAE.encode", "method"),
            ("companion.em.em_step", "function"),
            ("companion.training.fit", "function"),
            ("companion.data.load_all", "function"),
            ("companion.pretrained.load_all", "function"),
            ("companion.training.Epochs", "type"),
        )
    )
    assert {"VAE", "vae.VAE", "VAE.encode", "em_step", "em.em_step", "training.fit"} <= set(names)
    assert {"data.load_all", "pretrained.load_all"} <= set(names)
    assert not {"encode", "fit", "load_all", "Epochs"} & set(names)
    assert names["VAE.encode"] == ("api", "companion.vae.VAE.encode")


def linked(extension, kind, places, *children):
    document = new_document("page", get_default_settings())
    document += list(children)
    builder = SimpleNamespace(get_relative_uri=lambda page, to: f"{to}.html")
    page = SimpleNamespace(
        document=document,
        env=SimpleNamespace(docname="page"),
        app=SimpleNamespace(builder=builder),
    )
    extension.LinkNames.link(page, kind, places)
    return [(link.astext(), link["refuri"]) for link in document.findall(nodes.reference)]


def test_the_first_mention_is_linked_in_any_case_and_in_the_plural(extension):
    def term(text):
        return nodes.paragraph("", "", nodes.emphasis("", text))

    places = {"active unit": ("glossary", "term-active-unit")}
    title = nodes.title("", "", nodes.emphasis("", "Active unit"))
    found = linked(
        extension,
        nodes.emphasis,
        places,
        title,
        term("really"),
        term("Active units:"),
        term("active unit"),
    )
    assert found == [("Active units:", "glossary.html#term-active-unit")]


def test_code_is_linked_as_it_stands(extension):
    def code(text):
        return nodes.paragraph("", "", nodes.literal("", text))

    places = {"em_step": ("api", "companion.em.em_step")}
    found = linked(extension, nodes.literal, places, code("em_steps"), code("em_step()"))
    assert found == [("em_step()", "api.html#companion.em.em_step")]


def test_a_link_by_hand_may_lead_to_any_anchor(extension):
    doctree = new_document("page", get_default_settings())
    doctree += nodes.paragraph("", "text", ids=["term-rate"])
    slugs = {"a-heading": (3, "a-heading", "A heading")}
    env = SimpleNamespace(docname="page", metadata={"page": {"myst_slugs": slugs}})
    extension.note_anchors(SimpleNamespace(env=env), doctree)
    assert slugs["term-rate"][1] == "term-rate"
    assert slugs["a-heading"] == (3, "a-heading", "A heading")


@pytest.mark.pages
def test_each_chapter_leads_to_the_glossary_the_package_and_other_chapters(html):
    """That no link is dead is for tools.check_book; here, that there are some."""
    equations = 0
    for chapter in chapters():
        page = html / chapter.relative_to(ROOT).with_suffix(".html")
        soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
        links = [str(link["href"]) for link in soup.select("article a[href]")]
        assert sum("glossary.html#term-" in link for link in links) > 5
        assert any("api.html#companion." in link for link in links)
        equations += sum(bool(re.search(r"\d\d-\S+\.html#equation-", link)) for link in links)
    assert equations > 3
