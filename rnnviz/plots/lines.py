"""Lines over time on a log axis, one a network: what the norm figures share."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from rnnviz.locale import labels
from rnnviz.plots.style import Palette, axis, layout, palette

DASHES = {"lstm": "solid", "gru": "dot", "rnn": "dash"}
MORE_DASHES = ("longdash", "dashdot", "longdashdot")

# log₁₀ of the largest and the smallest normal number of a float type.
LIMITS = {
    "float32": (128 * math.log10(2), -126 * math.log10(2)),
    "float64": (1024 * math.log10(2), -1022 * math.log10(2)),
}


class Line(NamedTuple):
    """One network's values: the kind of its cell gives colour and dash.

    steps: (n,) where each value stands; values: (n,) log₁₀, −inf for an exact 0, NaN for none.
    """

    cell: str
    steps: NDArray[np.integer[Any]]
    values: NDArray[np.float64]


def plot_lines(
    lines: Mapping[str, Line], *, x_title: str, y_title: str, height: int, language: str, dark: bool
) -> go.Figure:
    """One line a network, fixed lines where a float type ends, and crosses where a value is 0."""
    words, colours = labels(language), palette(dark=dark)
    finite = np.concatenate([line.values[np.isfinite(line.values)] for line in lines.values()])
    top = float(finite.max(initial=0.0))
    bottom = float(finite.min(initial=top - 1))
    room = max(0.5, 0.06 * (top - bottom))
    low, high = bottom - room, top + room
    drawn: list[go.Scatter] = []
    used: dict[str, int] = {}
    for label, line in lines.items():
        again = used[line.cell] = used.get(line.cell, -1) + 1
        dash = MORE_DASHES[(again - 1) % len(MORE_DASHES)] if again else DASHES[line.cell]
        look = {"color": colours.cells[line.cell], "dash": dash, "width": 2}
        hover = f"{label}<br>{words['plot.hover_norm']}<extra></extra>"
        shown = np.where(np.isfinite(line.values), line.values, np.nan)
        drawn.append(
            go.Scatter(
                x=line.steps, y=shown, name=label, mode="lines", line=look, hovertemplate=hover
            )
        )
        zero = np.isneginf(line.values)
        if zero.any():
            name = words("plot.exactly_zero", label=label)
            drawn.append(
                go.Scatter(
                    x=line.steps[zero],
                    y=np.full(int(zero.sum()), low),
                    name=name,
                    mode="markers",
                    marker={"symbol": "x", "size": 6, "color": look["color"]},
                    cliponaxis=False,
                    hovertemplate=f"{name}<extra></extra>",
                )
            )
    shapes, notes = _limits(low, high, colours, words["plot.limit"])
    figure = layout(
        colours,
        height=height,
        margin={"l": 64, "r": 24, "t": 8, "b": 44},
        xaxis=axis(colours, title=_title(x_title, colours)),
        yaxis=axis(
            colours,
            title=_title(y_title, colours),
            range=[low, high],
            showgrid=True,
            gridcolor=colours.line,
        ),
        shapes=shapes,
        annotations=notes,
    )
    legend = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}
    return go.Figure(drawn, figure | {"showlegend": True, "legend": legend})


def _title(text: str, colours: Palette) -> dict[str, Any]:
    return {"text": text, "font": {"size": 11, "color": colours.muted}}


def _limits(
    low: float, high: float, colours: Palette, text: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    shapes: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    for name, ends in LIMITS.items():
        for end in ends:
            if not low <= end <= high:
                continue
            line = {"color": colours.muted, "width": 1, "dash": "dot"}
            shapes.append(
                {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": end, "y1": end}
                | {"line": line}
            )
            notes.append(
                {
                    "xref": "paper",
                    "x": 1,
                    "xanchor": "right",
                    "y": end,
                    "yanchor": "bottom",
                    "showarrow": False,
                    "text": text.format(name=name),
                    "font": {"size": 10, "color": colours.muted},
                }
            )
    return shapes, notes
