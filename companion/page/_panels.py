"""Figures as SVG that say where they may be cut, so that their panels stack on a phone."""

from typing import Any

from matplotlib.figure import Figure

PAD = 0.1  # inches around a figure: what matplotlib adds when it crops one to its content


def svg(figure: Figure) -> str | None:
    """Return a figure as SVG; `data-cuts` lists the places between its panels, if it has several.

    A place is a share of the width. The page shows each panel as a picture of its own.
    """
    from IPython.core.pylabtools import print_figure  # a notebook has it

    text: str | None = print_figure(figure, "svg", pad_inches=PAD)
    places = " ".join(f"{place:.4f}" for place in cuts(figure))
    if text is None or not places:
        return text
    return text.replace("<svg ", f'<svg data-cuts="{places}" ', 1)


def cuts(figure: Figure) -> list[float]:
    """Return the places between panels that stand side by side; none if something lies across.

    The figure must have been drawn, so that its layout is final.
    """
    frame = figure.get_tightbbox()
    drawn = [box for artist in (*figure.axes, *figure.legends) if (box := _inches(figure, artist))]
    places = []
    for panel in _row(figure)[1:]:
        left = min(_inches(figure, ax).x0 for ax in panel)
        before = max((box.x1 for box in drawn if box.x0 < left), default=0.0)
        if before > left:
            return []
        places.append((left + before) / 2)
    width = frame.width + 2 * PAD
    return [(place - frame.x0 + PAD) / width for place in places]


def _row(figure: Figure) -> list[list[Any]]:
    """Return the axes of each panel, from left to right, if all panels stand in one row."""
    columns: dict[int, list[Any]] = {}
    for ax in figure.axes:
        spec = ax.get_subplotspec()
        if spec is None:
            continue  # a color bar
        if spec.get_gridspec().nrows > 1:
            return []
        columns.setdefault(spec.colspan.start, []).append(ax)
    return [columns[start] for start in sorted(columns)]


def _inches(figure: Figure, artist: Any) -> Any:
    """Return the box around all that an artist draws, in inches, as that of the figure is."""
    box = artist.get_tightbbox()
    return None if box is None else box.transformed(figure.dpi_scale_trans.inverted())
