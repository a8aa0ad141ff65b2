"""Colors and settings of the figures.

The colors follow Paul Tol's bright scheme, with three of them darkened and others added. The
color-blind do not tell all pairs apart (not `exact` from `kl`), so lines differ in dashes or
markers too.
"""

from typing import Any

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
