"""One palette: text of a contrast of 4.5 to 1 on both grounds, and the same colors everywhere."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from companion.page import _style as style
from companion.page import widget
from tools.pages import chapters

ROOT = Path(__file__).parents[1]
BOOK = (ROOT / "book" / "_static" / "book.css").read_text(encoding="utf-8")
GROUNDS = (
    "#ffffff",
    re.search(r"--pst-color-background: (#[0-9a-f]{6})", BOOK)[1],
)
NAMED = {**style.PAIRS, **{str(digit): pair for digit, pair in enumerate(style.CLASS_PAIRS)}}

# How a color reaches somebody without one of the three kinds of cones: Machado, Oliveira and
# Fernandes (2009), on linear RGB. And the perceptual space Oklab, by its published matrices.
VISION = {
    "all cones": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                   [0.004733, 0.691367, 0.303900]],
}  # fmt: skip
LMS = np.array([[0.4122214708, 0.5363325363, 0.0514459929],
                [0.2119034982, 0.6806995451, 0.1073969566],
                [0.0883024619, 0.2817188376, 0.6299787005]])  # fmt: skip
LAB = np.array([[0.2104542553, 0.7936177850, -0.0040720468],
                [1.9779984951, -2.4285922050, 0.4505937099],
                [0.0259040371, 0.7827717662, -0.8086757660]])  # fmt: skip


def linear(color):
    channels = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    """The ratio of the Web Content Accessibility Guidelines."""
    low, high = sorted(linear(color) @ [0.2126, 0.7152, 0.0722] + 0.05 for color in (one, other))
    return high / low


def seen(color, vision):
    """A color in Oklab, as somebody with this vision sees it."""
    return LAB @ np.cbrt(LMS @ np.clip(np.asarray(VISION[vision]) @ linear(color), 0, 1))


def test_the_contrast_is_that_of_the_guidelines():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#7d7d7d", "#ffffff") == pytest.approx(4.12, abs=0.01)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("name", NAMED)
def test_text_can_be_read_in_each_color(name, theme):
    assert contrast(NAMED[name][theme], GROUNDS[theme]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("digit", range(10))
def test_a_number_can_be_read_on_a_spot_of_its_class(digit, theme):
    paper = (style.PAPER, style.DARK[style.PAPER])[theme]
    assert contrast(style.CLASS_PAIRS[digit][theme], paper) >= 4.5


@pytest.mark.parametrize("ground", GROUNDS)
def test_dots_that_keep_their_color_are_seen_on_both_grounds(ground):
    assert contrast(style.FAINT, ground) >= 3


@pytest.mark.parametrize("name", NAMED)
def test_both_colors_of_a_pair_have_one_hue(name):
    hues = [np.arctan2(*seen(color, "all cones")[:0:-1]) for color in NAMED[name]]
    apart = np.degrees(np.abs((hues[0] - hues[1] + np.pi) % (2 * np.pi) - np.pi))
    assert apart < 30


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("vision", VISION)
def test_the_color_blind_can_tell_the_classes_apart(theme, vision):
    places = [seen(pair[theme], vision) for pair in style.CLASS_PAIRS]
    for a, b in itertools.combinations(places, 2):
        # About 0.02 can just be noticed.
        assert np.linalg.norm(a - b) > 0.075


def test_the_dark_theme_replaces_each_color_by_one():
    lights = {light for light, _ in NAMED.values()}
    assert lights < set(style.DARK)
    assert not set(style.DARK) & set(style.DARK.values())
    for light, dark in NAMED.values():
        assert style.DARK[light] == dark


def colors_of(css):
    return dict(re.findall(r"--widget-([a-z0-9-]+): (#[0-9a-f]{6});", css))


def test_interactive_figures_take_their_colors_from_the_palette():
    light, dark = widget.palette().split(":is(html")
    for theme, css in enumerate((light, dark)):
        found = colors_of(css)
        for name, pair in style.PAIRS.items():
            assert found[name.replace("_", "-")] == pair[theme]
        for digit, pair in enumerate(style.CLASS_PAIRS):
            assert found[f"class-{digit}"] == pair[theme]
        assert found["q"] == style.PAIRS["elbo"][theme]
        assert found["posterior"] == style.PAIRS["exact"][theme]


@pytest.mark.parametrize("path", sorted(widget.FOLDER.iterdir()), ids=lambda path: path.name)
def test_their_files_name_no_color_but_what_a_host_may_replace(path):
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"@media print \{.*?\n\}\n", "", text, flags=re.DOTALL)  # paper has no theme
    text = re.sub(r"var\(--(?:pst|jp)-.*?\)+;", "", text)
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b(?=[^)\w]*[;\"'])", text) == []


@pytest.mark.parametrize("chapter", chapters(), ids=lambda path: path.stem)
def test_chapters_name_no_color_of_their_own(chapter):
    cells = re.findall(
        r"^```\{code-cell\}.*?^```$", chapter.read_text(encoding="utf-8"), re.M | re.S
    )
    code = "\n".join(cells)
    assert re.findall(r"[\"']#[0-9a-fA-F]{3,8}[\"']", code) == []
    assert re.findall(r"[\"'](?:C\d|tab:\w+|tab10|Set\d)[\"']", code) == []
    named = re.findall(r"\b(?:color|c|ec|fc|mfc|facecolor|edgecolor)=[\"'](\w+)[\"']", code)
    assert set(named) <= {"black", "white", "none", *style.COLORS}
