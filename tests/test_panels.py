"""Where a figure of several panels may be cut, so that nothing is cut in two."""

import re

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from companion.page import _panels, plots


@pytest.fixture(autouse=True)
def style():
    with mpl.rc_context():
        plots.use_style()
        yield


def figure(columns=2, rows=1, **options):
    made = Figure(**options)
    FigureCanvasAgg(made)
    axes = made.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.plot([0, 1], [0, 1000])
        ax.set(xlabel="x", ylabel="a label", title="a title")
    return made, axes


def drawn(made):
    """The places where the figure, drawn as in a notebook, may be cut."""
    text = _panels.svg(made)
    found = re.search(r'<svg data-cuts="([\d. ]+)" ', text)
    return [float(place) for place in found[1].split()] if found else []


def ink(made, tmp_path):
    """Which columns of the cropped figure hold something."""
    path = tmp_path / "figure.png"
    made.savefig(path, bbox_inches="tight", pad_inches=_panels.PAD, dpi=100)
    return (mpl.image.imread(path)[..., 3] > 0).any(0)


@pytest.mark.parametrize("columns", [2, 3])
def test_each_cut_goes_through_empty_space(columns, tmp_path):
    made, _ = figure(columns)
    places = drawn(made)
    assert len(places) == columns - 1
    columns_with_ink = ink(made, tmp_path)
    for place in places:
        middle = round(place * len(columns_with_ink))
        assert not columns_with_ink[middle - 1 : middle + 2].any()
        assert columns_with_ink[:middle].any()
        assert columns_with_ink[middle:].any()


def test_a_color_bar_stays_with_its_panel(tmp_path):
    made, axes = figure()
    image = axes[0, 0].imshow(np.eye(3))
    made.colorbar(image, ax=axes[0, 0], label="nats")
    (place,) = drawn(made)
    columns_with_ink = ink(made, tmp_path)
    middle = round(place * len(columns_with_ink))
    assert not columns_with_ink[middle - 1 : middle + 2].any()
    assert place > made.axes[2].get_position().x1  # the bar is left of the cut


def test_two_axes_in_one_place_are_one_panel():
    made, axes = figure()
    axes[0, 1].twinx().set_ylabel("another")
    assert len(drawn(made)) == 1


@pytest.mark.parametrize("rows", [1, 2])
def test_what_is_no_row_is_not_cut(rows):
    made, _ = figure(columns=2 if rows == 2 else 1, rows=rows)
    assert drawn(made) == []


def test_a_legend_across_forbids_it():
    made, axes = figure()
    made.legend(axes[0, 0].lines, ["a long name of a line in both of the panels"], loc="center")
    assert drawn(made) == []
