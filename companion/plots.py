"""Figures in one style. Drawing functions take and return `Axes`.

Text and axes are mid-gray and the background is transparent, so that a figure can be read on a
light and on a dark page. The colors follow Paul Tol's bright scheme, with
three of them darkened and others added. The color-blind do not tell all pairs apart (not `exact`
from `kl`), so lines differ in dashes or markers too. One method keeps one color in every chapter.
"""

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.colors import is_color_like
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from companion._validate import require_count, require_finite, require_number, require_tensor

GRAY = "#7d7d7d"

COLORS = {
    "elbo": "#4477AA",
    "exact": "#228833",
    "gap": "#EE6677",
    "importance_weighted": "#AA3377",
    "optimum": "#BBA02C",
    "log_likelihood": "#33A3C4",
    "kl": "#CC5C2B",
    "prior": GRAY,
}

# One color for each of ten classes. Colors alone do not tell ten things apart: label them too.
CLASS_COLORS = (
    "#4477AA",
    "#EE6677",
    "#228833",
    "#BBA02C",
    "#33A3C4",
    "#AA3377",
    "#CC5C2B",
    "#7d7d7d",
    "#6A8F1F",
    "#8F6FD6",
)

STYLE: dict[Any, Any] = {
    "figure.figsize": (7.0, 3.6),
    "figure.facecolor": "none",
    "figure.constrained_layout.use": True,
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "savefig.transparent": True,
    "axes.edgecolor": GRAY,
    "axes.labelcolor": GRAY,
    "axes.titlecolor": GRAY,
    "axes.titlesize": 12,
    "axes.labelsize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRAY,
    "grid.alpha": 0.22,
    "grid.linewidth": 0.8,
    "text.color": GRAY,
    "xtick.color": GRAY,
    "ytick.color": GRAY,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "lines.linewidth": 2.0,
    "image.cmap": "gray",
    "svg.hashsalt": "companion",
    "svg.fonttype": "path",
}


def use_style() -> None:
    """Use the style of the course for all figures that follow in this kernel.

    In a notebook, figures become SVG. Importing this module changes nothing; this call does.

    >>> with mpl.rc_context():
    ...     use_style()
    ...     mpl.rcParams["savefig.transparent"]
    True
    """
    mpl.rcParams.update(STYLE)
    try:
        from matplotlib_inline.backend_inline import set_matplotlib_formats
    except ImportError:
        return
    from IPython.core.getipython import get_ipython

    if get_ipython() is not None:
        set_matplotlib_formats("svg")


def image_grid(
    images: Float[Tensor, "N C H W"], ax: Axes, *, columns: int = 10, title: str = ""
) -> Axes:
    """Draw images in a grid, row by row, with a gap of one pixel.

    Args:
        images: gray images in [0, 1], shape (N, 1, H, W).
        ax: where to draw.
        columns: images in a row.
        title: a title above the grid.

    Returns:
        The same axes.

    Raises:
        TypeError: `images` is no tensor of floating-point numbers.
        ValueError: `images` has another shape, or `columns` is below 1.
    """
    require_tensor(images=images)
    require_count(columns=columns)
    if images.dim() != 4 or images.shape[1] != 1 or len(images) == 0:
        raise ValueError(
            f"`images` has shape {tuple(images.shape)}, but (N, 1, H, W) with N >= 1 is expected. "
            f"Add the channel axis: images[:, None]."
        )
    canvas = _tile(images.detach().cpu().clamp(0, 1)[:, 0], columns)
    ax.imshow(canvas, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    ax.set_axis_off()
    if title:
        ax.set_title(title, loc="left")
    return ax


def latent_map(
    decode: Callable[[Tensor], Tensor], ax: Axes, *, limit: float = 3.0, n: int = 20
) -> Axes:
    """Draw what a decoder makes of a square of a two-dimensional code space.

    The square is cut into n x n cells. Each cell shows the image of the code at its center, so
    that codes drawn over the map stand on the image that belongs to them.

    Args:
        decode: maps codes (N, 2) to gray images (N, 1, H, W) in [0, 1].
        ax: where to draw.
        limit: the square runs from -limit to limit along both axes.
        n: cells along each axis.

    Returns:
        The same axes.

    Raises:
        TypeError: `limit` is no number, or `n` is not whole.
        ValueError: `limit` or `n` is not positive, or `decode` returns another shape.
    """
    require_number(limit=limit)
    require_count(n=n)
    if limit <= 0:
        raise ValueError(f"`limit` is {limit}, but the side of a square is positive.")
    centers = (torch.arange(n) + 0.5) * (2 * limit / n) - limit
    rows, columns = torch.meshgrid(centers.flip(0), centers, indexing="ij")  # top row first
    with torch.no_grad():
        images = decode(torch.stack([columns, rows], -1).reshape(-1, 2))
    if images.dim() != 4 or images.shape[:2] != (n * n, 1):
        raise ValueError(
            f"`decode` returned shape {tuple(images.shape)} for {n * n} codes, but "
            f"({n * n}, 1, H, W) is expected. Return images, not logits of another layout."
        )
    height, width = images.shape[2:]
    tiles = images.cpu().clamp(0, 1).reshape(n, n, height, width).transpose(1, 2)
    canvas = tiles.reshape(n * height, n * width).numpy()
    extent = (-limit, limit, -limit, limit)
    ax.imshow(canvas, cmap="gray", vmin=0, vmax=1, extent=extent, interpolation="nearest")
    ax.grid(False)
    return ax


def codes_by_class(
    z: Float[Tensor, "N 2"], labels: Int[Tensor, " N"], ax: Axes, *, size: float = 5.0
) -> Axes:
    """Draw two-dimensional codes as dots, one color for each class, with the class as a number.

    The number stands at the median of its class, coordinate by coordinate.

    Args:
        z: codes, shape (N, 2).
        labels: the class of each code, 0 to 9.
        ax: where to draw.
        size: area of a dot, in square points.

    Returns:
        The same axes.

    Raises:
        TypeError: `z` is no tensor of floating-point numbers, or `labels` is no tensor.
        ValueError: shapes do not match, a code is not finite, or a label is not in 0..9.
    """
    require_tensor(z=z)
    require_finite(z=z)
    _require_labels(z, labels)
    for label in labels.unique().tolist():
        group = z[labels == label].detach().cpu()
        ax.scatter(
            group[:, 0], group[:, 1], s=size, color=CLASS_COLORS[label], alpha=0.75, linewidths=0
        )
        x, y = group.median(0).values.tolist()
        badge = {"boxstyle": "circle,pad=0.15", "facecolor": CLASS_COLORS[label], "linewidth": 0}
        ax.text(
            x, y, str(label), color="white", weight="bold", ha="center", va="center", bbox=badge
        )
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
    """
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


def _require_labels(z: Tensor, labels: Tensor) -> None:
    if not isinstance(labels, Tensor) or labels.is_floating_point():
        raise TypeError(
            f"`labels` must be a tensor of whole numbers, but it is a {type(labels).__name__}. "
            f"Pass the labels of the data set: mnist5k('test').labels."
        )
    if z.dim() != 2 or z.shape[1] != 2 or labels.shape != z.shape[:1] or len(z) == 0:
        raise ValueError(
            f"`z` has shape {tuple(z.shape)} and `labels` has shape {tuple(labels.shape)}, but "
            f"(N, 2) and (N,) with N >= 1 are expected."
        )
    if labels.min() < 0 or labels.max() >= len(CLASS_COLORS):
        raise ValueError(
            f"`labels` run from {labels.min()} to {labels.max()}, but 0 to "
            f"{len(CLASS_COLORS) - 1} are expected: there are {len(CLASS_COLORS)} colors."
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
