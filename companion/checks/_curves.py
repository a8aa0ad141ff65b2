"""The recorded curves of one run: their numbers, their panels as SVG, and a table for a terminal.

The drawings hold text in the page's own color and need no style sheet, so that they look alike in
the book, JupyterLab and Colab, on a light and on a dark page.
"""

import html
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class Number(float):
    """A number that a sentence shows readably.

    >>> f"The KL ends at {Number(21.4932)} nats, a deviation at {Number(1e-7)}."
    'The KL ends at 21.5 nats, a deviation at less than 0.001.'
    """

    def __format__(self, form: str) -> str:
        return readable(float(self)).replace("<", "less than")


class Curve(tuple[float, ...]):
    """One number for each epoch, from epoch 1 on."""

    @property
    def first(self) -> Number:
        """The number after the first epoch."""
        return Number(self[0])

    @property
    def last(self) -> Number:
        """The number after the last epoch."""
        return Number(self[-1])

    @property
    def lowest(self) -> Number:
        """The lowest number."""
        return Number(min(self))

    @property
    def highest(self) -> Number:
        """The highest number."""
        return Number(max(self))


Run = Mapping[str, Curve]


def load_runs(path: Path) -> dict[str, Run]:
    """Read what `tools.record_runs` wrote: the curves of each run, by its name."""
    recorded = json.loads(path.read_text(encoding="utf-8"))["runs"]
    return {
        name: {curve: Curve(map(float, values)) for curve, values in curves.items()}
        for name, curves in recorded.items()
    }


def readable(value: float) -> str:
    """Return a number as a sentence or a label shows it: three digits and a true minus.

    >>> [readable(value) for value in (-121.7, 21.49, 1.007, 0.0893, 20.0, 4e-7)]
    ['−122', '21.5', '1.01', '0.089', '20', '< 0.001']
    """
    size = abs(value)
    if 0 < size < 0.001:
        return "< 0.001"
    digits = 0 if size >= 100 or value == int(value) else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:.{digits}f}".replace("-", "−")


class Line(NamedTuple):
    """One curve of a panel: the name of its numbers, and what the reader calls it."""

    curve: str
    label: str


@dataclass(frozen=True)
class Panel:
    """A small plot, the same for all runs, so that they can be compared.

    Attributes:
        lines: one curve, or two; the second is dashed.
        ticks: numbers on the vertical axis, rising. What lies beyond the first or the last is
            drawn at the edge; a logarithmic axis says so at its lower end, where 0 has no place.
        unit: the unit for somebody who hears the curve, such as "nats".
        logarithmic: whether the vertical axis is.
    """

    lines: tuple[Line, ...]
    ticks: tuple[float, ...]
    unit: str = ""
    logarithmic: bool = False

    def height(self, value: float) -> float:
        """Return where a value stands between the lowest tick, 0, and the highest, 1."""
        scale = math.log if self.logarithmic else float
        low, high = self.ticks[0], self.ticks[-1]
        inside = min(max(value, low), high)
        return (scale(inside) - scale(low)) / (scale(high) - scale(low))


# The drawing in pixels, about as large as it is shown; its plot, inside the numbers of the axes.
_WIDTH, _HEIGHT = 152, 132
_LEFT, _RIGHT, _TOP, _BOTTOM = 48.0, 144.0, 10.0, 110.0


def panels_html(panels: tuple[Panel, ...], run: Run) -> str:
    """Return the panels of one run, side by side as far as the page is wide enough."""
    figures = "".join(_figure(panel, run) for panel in panels)
    grid = "display:grid;gap:0.7rem;grid-template-columns:repeat(auto-fit,minmax(8.25rem,1fr))"
    return f'<div style="{grid};margin-bottom:0.8rem;max-width:52rem">{figures}</div>'


def _figure(panel: Panel, run: Run) -> str:
    ends = "<br>".join(_ends(line, mark, run) for line, mark in _marked(panel))
    caption = f'<figcaption style="font-size:0.8rem;line-height:1.35;margin:0">{ends}</figcaption>'
    apart = "margin:0;padding:0;display:flex;flex-direction:column;justify-content:space-between"
    return f'<figure style="{apart}">{caption}{_svg(panel, run)}</figure>'


def _marked(panel: Panel) -> list[tuple[Line, str]]:
    marks = ("━ ", "╍ ") if len(panel.lines) > 1 else ("",)
    return list(zip(panel.lines, marks, strict=True))


def _ends(line: Line, mark: str, run: Run) -> str:
    first, last = (readable(value) for value in (run[line.curve].first, run[line.curve].last))
    key = f'<span aria-hidden="true">{mark}</span>' if mark else ""
    return (
        f"{key}<strong>{html.escape(line.label)}</strong> "
        f'<span style="white-space:nowrap">{html.escape(f"{first} → {last}")}</span>'
    )


def _svg(panel: Panel, run: Run) -> str:
    spoken = "; ".join(_spoken(line, panel.unit, run) for line in panel.lines)
    epochs = len(run[panel.lines[0].curve])
    below = "".join(
        _text(_across(epoch, epochs), _HEIGHT - 6.0, "middle", str(epoch))
        for epoch in (1, epochs // 2, epochs)
    )
    return (
        f'<svg role="img" aria-label="{html.escape(spoken)}" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'style="display:block;width:100%;height:auto;overflow:visible" '
        f'fill="currentColor" font-size="11.5">'
        f"{''.join(_tick(panel, tick) for tick in panel.ticks)}{below}"
        f"{''.join(_path(panel, number, run) for number in range(len(panel.lines)))}</svg>"
    )


def _spoken(line: Line, unit: str, run: Run) -> str:
    values = ", ".join(
        f"{readable(run[line.curve][epoch - 1])} after epoch {epoch}"
        for epoch in _told(len(run[line.curve]))
    )
    return f"{line.label}{f' in {unit}' if unit else ''}: {values}"


def _told(epochs: int) -> list[int]:
    return sorted({1, 2, max(1, epochs // 4), max(1, epochs // 2), epochs})


def _across(epoch: int, epochs: int) -> float:
    return _LEFT + (_RIGHT - _LEFT) * (epoch - 1) / max(1, epochs - 1)


def _up(panel: Panel, value: float) -> float:
    return _BOTTOM - (_BOTTOM - _TOP) * panel.height(value)


def _tick(panel: Panel, tick: float) -> str:
    y = _up(panel, tick)
    rule = f'<path d="M{_LEFT} {y:.1f}H{_RIGHT}" stroke="currentColor" stroke-opacity="0.25"/>'
    below = "≤ " if panel.logarithmic and tick == panel.ticks[0] else ""
    return rule + _text(_LEFT - 5, y + 4, "end", f"{below}{tick:g}".replace("-", "−"))


def _text(x: float, y: float, anchor: str, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'


def _path(panel: Panel, number: int, run: Run) -> str:
    curve = run[panel.lines[number].curve]
    points = (
        f"{_across(epoch, len(curve)):.1f} {_up(panel, value):.1f}"
        for epoch, value in enumerate(curve, 1)
    )
    dashes = ' stroke-dasharray="2 3" stroke-width="3"' if number else ' stroke-width="1.8"'
    return f'<path d="M{"L".join(points)}" fill="none" stroke="currentColor"{dashes}/>'


def panels_text(panels: tuple[Panel, ...], run: Run) -> str:
    """Return the numbers of one run as a table, a line for each curve."""
    lines = [line for panel in panels for line in panel.lines]
    epochs = _told(len(run[lines[0].curve]))
    rows = [("epoch", [str(epoch) for epoch in epochs])]
    for line in lines:
        rows.append((line.label, [readable(run[line.curve][epoch - 1]) for epoch in epochs]))
    return "\n".join(
        f"   {label:<24}" + "".join(f"{value:>9}" for value in values) for label, values in rows
    )
