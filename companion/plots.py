"""Figures in one style. Drawing functions take and return `Axes`.

Text and axes are mid-gray and the background is transparent, so that a figure can be read on a
light and on a dark page. The colors follow Paul Tol's bright scheme, which the color-blind can
tell apart, with two of them darkened; one method keeps one color in every chapter.
"""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import is_color_like
from torch import Tensor

from companion._validate import require_count, require_tensor

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
    return ax


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
