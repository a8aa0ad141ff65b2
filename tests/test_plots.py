"""Figures: what is drawn, and that nothing else is touched."""

import io
import sys

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from companion.page import plots
from companion.page._style import CLASS_PAIRS


@pytest.fixture
def ax():
    return Figure().add_subplot()


def canvas(ax):
    (image,) = ax.images
    return np.ma.filled(image.get_array().astype(float), np.nan)


def test_images_stand_row_by_row_with_gaps_that_stay_transparent(ax):
    images = torch.arange(5.0).reshape(5, 1, 1, 1).expand(5, 1, 2, 3) / 10
    assert plots.image_grid(images, ax, columns=3) is ax
    found = canvas(ax)
    assert found.shape == (2 * 2 + 1, 3 * 3 + 2)
    for index in range(5):
        top, left = 3 * (index // 3), 4 * (index % 3)
        assert np.allclose(found[top : top + 2, left : left + 3], index / 10)
    assert np.isfinite(found).sum() == 5 * 6
    assert ax.images[0].get_array().mask.sum() == found.size - 5 * 6


def test_gray_runs_from_zero_to_one_whatever_the_images_hold(ax):
    plots.image_grid(torch.full((1, 1, 2, 2), 0.3), ax)
    (image,) = ax.images
    assert image.get_clim() == (0, 1)
    assert image.get_cmap().name == "gray"
    assert image.get_interpolation() == "nearest"


def test_pixels_outside_the_range_are_drawn_as_its_ends(ax):
    plots.image_grid(torch.tensor([-0.5, 0.5, 1.5]).reshape(3, 1, 1, 1), ax, columns=3)
    assert canvas(ax)[0, ::2].tolist() == [0.0, 0.5, 1.0]


@pytest.mark.parametrize(("low", "high"), [(0.0, 255.0), (-1.0, 1.0), (-8.0, 0.0), (0.0, 1.6)])
def test_images_in_another_range_are_refused(ax, low, high):
    images = torch.linspace(low, high, 8).reshape(2, 1, 2, 2)
    with pytest.raises(ValueError, match=rf"from {low:.3g} to {high:.3g}, but gray values"):
        plots.image_grid(images, ax)
    assert not ax.images


def test_images_may_carry_gradients_and_stay_as_they_are(ax):
    images = torch.rand(2, 1, 3, 3, requires_grad=True)
    before = images.detach().clone()
    plots.image_grid(images, ax, title="Reconstructions")
    assert torch.equal(images, before)
    assert ax.get_title(loc="left") == "Reconstructions"
    assert not ax.axison


def test_a_curve_starts_at_epoch_one_and_knows_the_course_colors(ax):
    assert plots.curve([3.0, 2.0, 1.5], ax, label="ELBO", color="elbo", dashed=True) is ax
    plots.curve([1.0], ax, label="other", color="red")
    first, second = ax.lines
    assert first.get_xydata().tolist() == [[1, 3.0], [2, 2.0], [3, 1.5]]
    assert (first.get_color(), second.get_color()) == (plots.COLORS["elbo"], "red")
    assert (first.get_linestyle(), second.get_linestyle()) == ("--", "-")
    assert (first.get_label(), ax.get_xlabel()) == ("ELBO", "epoch")


def decode_to_corners(z):
    """Images of 2 x 3 pixels whose gray value encodes the code: 0.1 for each unit of z."""
    gray = 0.5 + 0.1 * z[:, 0] + 0.01 * z[:, 1]
    return gray.reshape(-1, 1, 1, 1).expand(-1, 1, 2, 3)


def test_a_latent_map_shows_each_code_where_it_lies(ax):
    assert plots.latent_map(decode_to_corners, ax, limit=2.0, n=4) is ax
    (image,) = ax.images
    assert tuple(image.get_extent()) == (-2, 2, -2, 2)
    found = canvas(ax)
    assert found.shape == (4 * 2, 4 * 3)
    for row, y in enumerate([1.5, 0.5, -0.5, -1.5]):  # up is up
        for column, x in enumerate([-1.5, -0.5, 0.5, 1.5]):
            cell = found[2 * row : 2 * row + 2, 3 * column : 3 * column + 3]
            assert np.allclose(cell, 0.5 + 0.1 * x + 0.01 * y)


def test_a_latent_map_keeps_the_pixels_of_an_image_together(ax):
    picture = torch.arange(6.0).reshape(1, 1, 2, 3) / 10
    plots.latent_map(lambda z: picture.expand(len(z), -1, -1, -1), ax, n=2)
    assert np.allclose(canvas(ax), np.tile(picture[0, 0].numpy(), (2, 2)))


def test_a_latent_map_needs_no_gradients(ax):
    layer = torch.nn.Linear(2, 4)
    plots.latent_map(lambda z: layer(z).reshape(-1, 1, 2, 2), ax, n=3)
    assert layer.weight.grad is None


def test_a_latent_map_makes_the_codes_where_the_model_is(ax, device):
    layer = torch.nn.Linear(2, 4).to(device)
    plots.latent_map(lambda z: layer(z).reshape(-1, 1, 2, 2), ax, n=3, device=device)
    # This device is on every machine, but its tensors hold no numbers that could come back.
    seen = []

    def decode(z):
        seen.append(z.device.type)
        return torch.full((len(z), 1, 2, 2), 0.5, requires_grad=True, dtype=torch.bfloat16)

    plots.latent_map(decode, ax, n=2, device="meta")
    assert seen == ["meta"]
    assert np.allclose(ax.images[-1].get_array(), 0.5)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"limit": 0.0}, ValueError, "`limit` is 0.0"),
        ({"n": 0}, ValueError, "`n`"),
    ],
)
def test_a_latent_map_says_what_is_wrong(ax, options, error, said):
    with pytest.raises(error, match=said):
        plots.latent_map(decode_to_corners, ax, **options)


def test_a_latent_map_wants_images(ax):
    with pytest.raises(ValueError, match=r"returned shape \(9, 2\) for 9 codes"):
        plots.latent_map(lambda z: z, ax, n=3)


def test_codes_carry_the_color_and_the_number_of_their_class(ax):
    z = torch.tensor([[0.0, 0.0], [2.0, 4.0], [4.0, 2.0], [-1.0, -1.0]])
    assert plots.codes_by_class(z, torch.tensor([3, 3, 3, 7]), ax) is ax
    three, seven = ax.collections
    assert three.get_offsets().tolist() == z[:3].tolist()
    assert seven.get_offsets().tolist() == z[3:].tolist()
    assert to_rgb(three.get_facecolor()[0][:3]) == to_rgb(plots.CLASS_COLORS[3])
    texts = {text.get_text(): text.get_position() for text in ax.texts}
    assert texts == {"3": (2.0, 2.0), "7": (-1.0, -1.0)}


@pytest.mark.parametrize(
    ("z", "labels", "error", "said"),
    [
        (torch.zeros(3, 2), torch.full((3,), 10), ValueError, "10 colors"),
        (torch.full((3, 2), torch.nan), torch.zeros(3, dtype=torch.long), ValueError, "`z`"),
    ],
)
def test_codes_by_class_says_what_is_wrong(ax, z, labels, error, said):
    with pytest.raises(error, match=said):
        plots.codes_by_class(z, labels, ax)


def test_ten_classes_have_ten_colors():
    assert len(set(plots.CLASS_COLORS)) == 10


def test_epochs_are_whole_numbers(ax):
    plots.curve([1.0, 2.0, 3.0], ax, label="", color="elbo")
    assert all(float(tick).is_integer() for tick in ax.get_xticks())


def test_the_style_holds_from_the_call_on_and_only_valid_settings():
    with mpl.rc_context():
        plots.use_style()
        assert {key: mpl.rcParams[key] for key in plots.STYLE if "figsize" not in key} == {
            key: value for key, value in plots.STYLE.items() if "figsize" not in key
        }


def test_in_colab_a_figure_brings_its_ground(monkeypatch):
    """Colab's dark theme shows a transparent figure on black, in the colors for white."""
    monkeypatch.setitem(sys.modules, "google.colab", object())
    with mpl.rc_context():
        plots.use_style()
        assert mpl.rcParams["figure.facecolor"] == mpl.rcParams["savefig.facecolor"] == "white"
        assert not mpl.rcParams["savefig.transparent"]


def test_dots_on_black_are_bright(ax):
    z, labels = torch.zeros(2, 2), torch.tensor([3, 7])
    plots.codes_by_class(z, labels, ax, on_black=True)
    for group, digit in zip(ax.collections, (3, 7), strict=True):
        assert to_rgb(group.get_facecolor()[0][:3]) == to_rgb(CLASS_PAIRS[digit][1])


def test_the_same_figure_gives_the_same_bytes():
    def drawn():
        figure = Figure()
        ax = plots.curve([1.0, 2.0], figure.add_subplot(), label="a", color="elbo")
        ax.legend()
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
        return file.getvalue()

    with mpl.rc_context():
        plots.use_style()
        assert drawn() == drawn()
