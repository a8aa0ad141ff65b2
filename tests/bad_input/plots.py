"""Bad input of the maps of a code space (see `bad_input/densities.py`)."""

import torch
from matplotlib.figure import Figure

from companion.page import plots

CODES = torch.zeros(3, 2)
LABELS = torch.zeros(3, dtype=torch.int64)


def axes():
    return Figure().add_subplot()


def pictures(z):
    return torch.zeros(len(z), 1, 4, 4)


# fmt: off
CASES = [
    ("map of a square without size", lambda: plots.latent_map(pictures, axes(), limit=0.0),
     ValueError, "the side of a square is positive"),
    ("map of images", lambda: plots.latent_map(pictures(CODES), axes()),
     TypeError, "Pass the function itself, not its value: decode, not decode(...)"),
    ("map into a figure", lambda: plots.latent_map(pictures, Figure()),
     TypeError, "`ax` must be a matplotlib Axes"),
    ("map of an array", lambda: plots.latent_map(lambda z: pictures(z).numpy(), axes()),
     TypeError, "`decode(z)` must be a torch.Tensor, but it is a ndarray"),
    ("classes into a figure", lambda: plots.codes_by_class(CODES, LABELS, Figure()),
     TypeError, "`ax` must be a matplotlib Axes"),
    ("map with a limit in words", lambda: plots.latent_map(pictures, axes(), limit="3"),
     TypeError, "`limit`"),
    ("map without cells", lambda: plots.latent_map(pictures, axes(), n=0), ValueError, "`n`"),
    ("map of flat images", lambda: plots.latent_map(lambda z: torch.zeros(len(z), 16), axes(), n=2),
     ValueError, "`decode` returned shape (4, 16) for 4 codes"),
    ("codes in three dimensions", lambda: plots.codes_by_class(torch.zeros(3, 3), LABELS, axes()),
     ValueError, "`z` has shape (3, 3)"),
    ("codes without their labels", lambda: plots.codes_by_class(CODES, LABELS[:2], axes()),
     ValueError, "`labels` has shape (2,)"),
    ("labels that are no whole numbers", lambda: plots.codes_by_class(CODES, CODES[:, 0], axes()),
     TypeError, "`labels` must be a tensor of whole numbers"),
    ("an eleventh class", lambda: plots.codes_by_class(CODES, LABELS + 10, axes()),
     ValueError, "there are 10 colors"),
    ("codes that are NaN", lambda: plots.codes_by_class(CODES / 0, LABELS, axes()),
     ValueError, "`z`"),
]
