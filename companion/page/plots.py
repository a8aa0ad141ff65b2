"""Figures in one style. Drawing functions take and return `Axes`.

The background is transparent. Colors are made for a light page; the book replaces them in a copy
for its dark theme. One method keeps one color, one of `COLORS`, in every chapter.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.colors import is_color_like
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from companion._require.arguments import (
    require_count,
    require_finite,
    require_function,
    require_number,
    require_tensor,
)
from companion._require.labels import require_labels_of_points
from companion.page import _panels
from companion.page._style import CLASS_COLORS, CLASS_COLORS_ON_BLACK, COLORS, PAPER, STYLE
from companion.page._style import FAINT as FAINT  # for the chapters
from companion.page._style import GRAY as GRAY
from companion.page.shell import running_shell


def use_style() -> None:
    """Use the style of the course for all figures that follow in this kernel.

    In a notebook, figures become SVG. Importing this module changes nothing; this call does.

    >>> with mpl.rc_context():
    ...     use_style()
    ...     mpl.rcParams["savefig.transparent"]
    True
    """
    mpl.rcParams.update(STYLE)
    if "google.colab" in sys.modules:  # its dark theme would leave our colors on black
        mpl.rcParams.update({"figure.facecolor": "white", "savefig.transparent": False})
        mpl.rcParams["savefig.facecolor"] = "white"
    shell = running_shell()
    if shell is not None:
        from matplotlib_inline.backend_inline import set_matplotlib_formats  # IPython brings it

        set_matplotlib_formats("svg")
        shell.display_formatter.formatters["image/svg+xml"].for_type(Figure, _panels.svg)


def image_grid(
    images: Float[Tensor, "N C H W"], ax: Axes, *, columns: int = 10, title: str = ""
) -> Axes:
    """Draw images in a grid, row by row, with a gap of one pixel.

    Args:
        images: gray images in [0, 1], shape (N, 1, H, W). What lies a little outside, as the
            mean of a Gaussian may, is drawn as black or white.
        ax: where to draw.
        columns: images in a row.
        title: a title above the grid.

    Returns:
        The same axes.

    Raises:
        TypeError: `images` is no tensor of floating-point numbers.
        ValueError: `images` has another shape or range, or `columns` is below 1.

    >>> from matplotlib.figure import Figure
    >>> ax = image_grid(torch.zeros(5, 1, 28, 28), Figure().add_subplot(), columns=3)
    >>> ax.images[0].get_array().shape  # two rows, three columns, and the gaps
    (57, 86)
    """
    _require_axes(ax)
    require_tensor(images=images)
    require_count(columns=columns)
    if images.dim() != 4 or images.shape[1] != 1 or len(images) == 0:
        raise ValueError(
            f"`images` has shape {tuple(images.shape)}, but (N, 1, H, W) with N >= 1 is expected. "
            f"Add the channel axis: images[:, None]."
        )
    _require_gray(images)
    canvas = _tile(images.detach().cpu().clamp(0, 1)[:, 0], columns)
    ax.imshow(canvas, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    ax.set_axis_off()
    if title:
        ax.set_title(title, loc="left")
    return ax


def latent_map(
    decode: Callable[[Tensor], Tensor],
    ax: Axes,
    *,
    limit: float = 3.0,
    n: int = 20,
    device: torch.device | str = "cpu",
) -> Axes:
    """Draw what a decoder makes of a square of a two-dimensional code space.

    The square is cut into n x n cells. Each cell shows the image of the code at its center, so
    that codes drawn over the map stand on the image that belongs to them.

    Args:
        decode: maps codes (N, 2) to gray images (N, 1, H, W) in [0, 1].
        ax: where to draw.
        limit: the square runs from -limit to limit along both axes.
        n: cells along each axis.
        device: where the codes are made: the device of the model behind `decode`. The images are
            brought back from wherever they are.

    Returns:
        The same axes.

    Raises:
        TypeError: `decode` is no function or returns no tensor of floating-point numbers, `limit`
            is no number, or `n` is not whole.
        ValueError: `limit` or `n` is not positive, or `decode` returns another shape.

    >>> from matplotlib.figure import Figure
    >>> from companion.pretrained import load
    >>> vae = load("vae_2d")
    >>> ax = latent_map(lambda z: vae.decode(z).sigmoid(), Figure().add_subplot(), n=3)
    >>> ax.images[0].get_array().shape
    (84, 84)
    """
    require_function(decode=decode)
    _require_axes(ax)
    require_number(limit=limit)
    require_count(n=n)
    if limit <= 0:
        raise ValueError(f"`limit` is {limit}, but the side of a square is positive.")
    centers = (torch.arange(n, device=device) + 0.5) * (2 * limit / n) - limit
    rows, columns = torch.meshgrid(centers.flip(0), centers, indexing="ij")  # top row first
    with torch.no_grad():
        images = decode(torch.stack([columns, rows], -1).reshape(-1, 2))
    require_tensor(**{"decode(z)": images})
    if images.dim() != 4 or images.shape[:2] != (n * n, 1):
        raise ValueError(
            f"`decode` returned shape {tuple(images.shape)} for {n * n} codes, but "
            f"({n * n}, 1, H, W) is expected. Return images, not logits of another layout."
        )
    height, width = images.shape[2:]
    tiles = images.detach().cpu().float().clamp(0, 1).reshape(n, n, height, width).transpose(1, 2)
    canvas = tiles.reshape(n * height, n * width).numpy()
    extent = (-limit, limit, -limit, limit)
    ax.imshow(canvas, cmap="gray", vmin=0, vmax=1, extent=extent, interpolation="nearest")
    ax.grid(False)
    return ax


def codes_by_class(
    z: Float[Tensor, "N 2"],
    labels: Int[Tensor, " N"],
    ax: Axes,
    *,
    size: float = 5.0,
    on_black: bool = False,
) -> Axes:
    """Draw two-dimensional codes as dots, one color for each class, with the class as a number.

    The number stands at the median of its class, coordinate by coordinate.

    Args:
        z: codes, shape (N, 2).
        labels: the class of each code, 0 to 9.
        ax: where to draw.
        size: area of a dot, in square points.
        on_black: whether the dots lie on a dark picture, such as a latent map.

    Returns:
        The same axes.

    Raises:
        TypeError: `z` is no tensor of floating-point numbers, or `labels` is no tensor.
        ValueError: shapes do not match, a code is not finite, or a label is not in 0..9.

    >>> from matplotlib.figure import Figure
    >>> codes, labels = torch.zeros(3, 2), torch.tensor([0, 7, 7])
    >>> ax = codes_by_class(codes, labels, Figure().add_subplot())
    >>> [text.get_text() for text in ax.texts]
    ['0', '7']
    """
    _require_axes(ax)
    require_tensor(z=z)
    require_finite(z=z)
    require_labels_of_points(z, labels, len(CLASS_COLORS))
    z, labels = z.detach().cpu(), labels.cpu()
    colors = CLASS_COLORS_ON_BLACK if on_black else CLASS_COLORS
    for label in labels.unique().tolist():
        group = z[labels == label]
        ax.scatter(group[:, 0], group[:, 1], s=size, color=colors[label], alpha=0.75, linewidths=0)
        x, y = group.median(0).values.tolist()
        badge = {"boxstyle": "circle,pad=0.15", "facecolor": CLASS_COLORS[label], "linewidth": 0}
        ax.text(x, y, str(label), color=PAPER, weight="bold", ha="center", va="center", bbox=badge)
    return ax


def curve(
    values: Sequence[float], ax: Axes, *, label: str, color: str, dashed: bool = False
) -> Axes:
    """Draw one number per epoch, from epoch 1 on.

    Args:
        values: one number for each epoch.
        ax: where to draw.
        label: text of the legend.
        color: a color, or a key of `COLORS`.
        dashed: whether to draw a dashed line, so that color is not the only difference.

    Returns:
        The same axes.

    Raises:
        ValueError: `values` is empty, or `color` is neither a color nor a key of `COLORS`.

    >>> from matplotlib.figure import Figure
    >>> curve([-110.0, -104.0], Figure().add_subplot(), label="ELBO", color="elbo").get_xlabel()
    'epoch'
    """
    _require_axes(ax)
    color = COLORS.get(color, color)
    if len(values) == 0 or not is_color_like(color):
        raise ValueError(
            f"`values` holds {len(values)} numbers and `color` is {color!r}: at least one number "
            f"and a color are expected. Colors of the course: {', '.join(COLORS)}."
        )
    epochs = np.arange(1, len(values) + 1)
    style = "--" if dashed else "-"
    ax.plot(epochs, values, style, color=color, label=label)
    ax.set_xlabel("epoch")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))  # there is no epoch 2.5
    return ax


def _require_axes(ax: Any) -> None:
    if not isinstance(ax, Axes):
        raise TypeError(
            f"`ax` must be a matplotlib Axes, but it is a {type(ax).__name__}. "
            f"Take one of a figure: fig, ax = plt.subplots(), or one of several: axes[0]."
        )


def _require_gray(images: Tensor) -> None:
    lowest, highest = images.min().item(), images.max().item()
    if lowest < -0.5 or highest > 1.5:
        raise ValueError(
            f"`images` run from {lowest:.3g} to {highest:.3g}, but gray values in [0, 1] are "
            f"expected. Divide 0..255 by 255, map -1..1 by (images + 1) / 2, and logits by "
            f"images.sigmoid()."
        )


def _tile(images: Tensor, columns: int) -> np.ndarray:
    count, height, width = images.shape
    rows = -(-count // columns)
    # NaN leaves the gaps transparent.
    size = (rows * (height + 1) - 1, columns * (width + 1) - 1)
    canvas = torch.full(size, torch.nan, device="cpu")
    for index, image in enumerate(images):
        top, left = (index // columns) * (height + 1), (index % columns) * (width + 1)
        canvas[top : top + height, left : left + width] = image
    return canvas.numpy()
