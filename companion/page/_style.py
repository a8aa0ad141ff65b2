"""Colors and settings of the figures, for light pages and for dark ones.

Each color is a pair: of the same hue, and with a contrast of at least 4.5 to 1 to a white and to
the book's dark ground, so that text may have it too. Figures are drawn in the first of the two; the
build replaces it in a copy for the dark theme. Interactive figures take both from here.

The ten classes differ in lightness too, so that the color-blind can tell them apart. They can't for
all pairs of methods (not `exact` from `kl`), so lines differ in dashes or markers.
"""

from typing import Any

_PAIRS = {
    "elbo": ("#33699e", "#7ab3e8"),
    "exact": ("#1f7a2e", "#5ccb7b"),
    "gap": ("#c23350", "#ff8f9c"),
    "importance_weighted": ("#aa3377", "#ec8fc0"),
    "optimum": ("#806a00", "#d9bd45"),
    "log_likelihood": ("#0f7796", "#5cc4e6"),
    "kl": ("#b0491c", "#f2996b"),
    "prior": ("#5a636d", "#b0b8c1"),
}
# Methods have the color of a quantity that they don't meet in one figure.
_METHODS = {
    "pathwise": "elbo",
    "score_function": "gap",
    "baseline": "importance_weighted",
    "gumbel_softmax": "log_likelihood",
    "straight_through": "kl",
    "standard_normal": "prior",
    "two_stage": "log_likelihood",
    "mixture": "kl",
    "vamp": "importance_weighted",
}
PAIRS = {**_PAIRS, **{name: _PAIRS[like] for name, like in _METHODS.items()}}
CLASS_PAIRS = (
    ("#e3017b", "#fa2171"),
    ("#5c1a4f", "#c956b4"),
    ("#8844f8", "#b596fa"),
    ("#a6670a", "#eda147"),
    ("#460090", "#736ff8"),
    ("#006c58", "#55fece"),
    ("#5b5600", "#938105"),
    ("#028097", "#66c2ba"),
    ("#9136b0", "#eab9fd"),
    ("#034311", "#c5f04b"),
)
_PAPER = ("#fefefe", "#121619")

COLORS = {name: light for name, (light, _) in PAIRS.items()}
GRAY = COLORS["prior"]
PAPER = _PAPER[0]  # the page: text on a spot of a color
FAINT = "#858d96"  # for dots that become pixels and keep their color on both grounds
CLASS_COLORS = tuple(light for light, _ in CLASS_PAIRS)
CLASS_COLORS_ON_BLACK = tuple(dark for _, dark in CLASS_PAIRS)

# What the dark theme replaces, and by what.
DARK = dict([*PAIRS.values(), *CLASS_PAIRS, _PAPER])

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
