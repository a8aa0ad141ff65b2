"""Figures of a page: both themes, and panels that show each its part of one file."""

import re
from types import SimpleNamespace

import pytest
from bs4 import BeautifulSoup

from companion.page import _style as style
from tools.pages import ROOT, chapters

SVG = (
    '<?xml version="1.0"?>\n<svg {cuts}xmlns:xlink="http://www.w3.org/1999/xlink" width="300pt" '
    'height="120pt" viewBox="0 0 300 120"><path id="m33699e" style="fill: #33699e; '
    'stroke: #123456"/></svg>'
)
ROW = 'data-cuts="0.4000 0.7000" '


@pytest.fixture
def figures(monkeypatch):
    """The Sphinx extension, which is no part of a package."""
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    import figures

    return figures


def built(folder, svg, image='<img alt="A plot." class="wide" src="../_images/x.svg" />'):
    """A page with one figure, after the build."""
    for name, text in (("book/page.html", f"<figure>\n{image}\n</figure>"), ("_images/x.svg", svg)):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return SimpleNamespace(outdir=folder, builder=SimpleNamespace(format="html"))


def images(folder, theme):
    text = (folder / "book" / "page.html").read_text(encoding="utf-8")
    return BeautifulSoup(text, "html.parser").select(f".figure-{theme} > img")


def test_the_dark_copy_has_the_colors_of_the_dark_theme_and_nothing_else_changes(figures, tmp_path):
    figures.show_figures(built(tmp_path, SVG.format(cuts="")), None)
    light, dark = ((tmp_path / "_images" / f"x{end}.svg").read_text() for end in ("", ".dark"))
    assert light == SVG.format(cuts="")
    assert dark == light.replace("fill: #33699e", f"fill: {style.DARK['#33699e']}")
    assert [str(image["src"]) for image in images(tmp_path, "light")] == ["../_images/x.svg"]
    assert [str(image["src"]) for image in images(tmp_path, "dark")] == ["../_images/x.dark.svg"]


@pytest.mark.parametrize("cuts", ["", ROW])
def test_the_panels_together_are_the_figure(figures, tmp_path, cuts):
    figures.show_figures(built(tmp_path, SVG.format(cuts=cuts)), None)
    for theme in ("light", "dark"):
        shown = images(tmp_path, theme)
        shares = [float(re.search(r"--share: ([\d.]+)%", image["style"])[1]) for image in shown]
        assert shares == pytest.approx([40, 30, 30] if cuts else [100])
        for image, share in zip(shown, shares, strict=True):
            width, height = re.search(r"ratio: ([\d.]+) / ([\d.]+)", image["style"]).groups()
            assert float(width) / float(height) == pytest.approx(2.5 * share / 100)
        # Of a picture that is 100 wide, a box of width w at p percent shows what begins at
        # p (100 - w) / 100.
        places = [float(re.search(r"position: ([\d.]+)%", image["style"])[1]) for image in shown]
        begins = [p * (100 - w) / 100 for p, w in zip(places, shares, strict=True)]
        assert begins == pytest.approx([0, 40, 70] if cuts else [0], abs=1e-2)


def test_the_alternative_text_is_there_once(figures, tmp_path):
    figures.show_figures(built(tmp_path, SVG.format(cuts=ROW)), None)
    first, *others = images(tmp_path, "light")
    assert (first["alt"], first["class"]) == ("A plot.", ["wide"])
    assert [(image["alt"], image["aria-hidden"]) for image in others] == [("", "true")] * 2


def test_a_second_build_changes_nothing(figures, tmp_path):
    app = built(tmp_path, SVG.format(cuts=ROW))
    figures.show_figures(app, None)
    before = (tmp_path / "book" / "page.html").read_text()
    figures.show_figures(app, None)
    assert (tmp_path / "book" / "page.html").read_text() == before


def test_a_picture_of_pixels_is_left_alone(figures, tmp_path):
    image = '<img alt="A photo." src="../_images/x.png" />'
    figures.show_figures(built(tmp_path, "", image), None)
    assert image in (tmp_path / "book" / "page.html").read_text()


@pytest.mark.parametrize(("theme", "loaded"), [("light", "x.svg"), ("dark", "x.dark.svg")])
def test_a_browser_loads_the_copy_of_its_theme_only(browser, figures, tmp_path, theme, loaded):
    figures.show_figures(built(tmp_path, SVG.format(cuts=ROW)), None)
    look = (ROOT / "book" / "_static" / "book.css").as_uri()
    body = (tmp_path / "book" / "page.html").read_text()
    page = browser.new_page()
    requests = []
    page.on("request", lambda request: requests.append(request.url.rsplit("/", 1)[1]))
    (tmp_path / "book" / "page.html").write_text(
        f'<!doctype html><html data-theme="{theme}"><link rel="stylesheet" href="{look}">'
        f'<article class="bd-article"><div class="cell_output">{body}</div></article></html>'
    )
    page.goto((tmp_path / "book" / "page.html").as_uri())
    page.wait_for_timeout(300)
    page.close()
    assert {name for name in requests if name.endswith(".svg")} == {loaded}


PALETTE = {
    0: {*style.DARK, style.CLASS_COLORS_ON_BLACK[0], "#ffffff", "#000000", style.FAINT},
    1: {*style.DARK.values(), "#ffffff", "#000000", style.FAINT},
}
TEXT = re.compile(r'<g id="text_\d+">.*?</g>\s*</g>', re.DOTALL)


@pytest.mark.pages
@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_all_text_in_the_figures_of_the_book_has_a_color_of_the_palette(html, theme):
    """Their contrast is tested with the palette. Black and white stand on spots and pictures."""
    count = 0
    for chapter in chapters():
        page = html / chapter.relative_to(ROOT).with_suffix(".html")
        soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
        for image in soup.select(f".figure-{('light', 'dark')[theme]} > img"):
            svg = (page.parent / str(image["src"])).read_text(encoding="utf-8")
            for text in TEXT.findall(svg):
                colors = set(re.findall(r"fill: (#[0-9a-f]{6})", text))
                assert colors <= PALETTE[theme], image["src"]
                count += 1
    assert count > 100
