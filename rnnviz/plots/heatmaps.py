"""Stacked heatmaps of time × unit with one time axis, used for gates and states."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from rnnviz.errors import RnnvizError
from rnnviz.locale import labels
from rnnviz.locale.numbers import write_number
from rnnviz.plots.style import MONOSPACE, as_float32, axis, layout, palette
from rnnviz.plots.view import View
from rnnviz.trace import Trace
from rnnviz.trace_part import TracePart

MOST_LABELS = 130  # characters that fit below a figure of usual width
LEFT, RIGHT, GAP, TOP, BOTTOM = 118, 64, 10, 6, 46  # pixels around and between the rows


class Row(NamedTuple):
    """One heatmap: the name of its array and the range of its colours, centred on 0 if signed."""

    name: str
    minimum: float
    maximum: float


def plot_rows(
    trace: Trace, rows: Sequence[Row], view: View, *, row_height: int, language: str, dark: bool
) -> go.Figure:
    """One heatmap per row; units downwards in the view's order, time steps counted from 1."""
    if not isinstance(view, View):  # pyright: ignore[reportUnnecessaryIsInstance]  # a user may pass anything
        raise RnnvizError("error.view_type", came=type(view).__name__)
    words, colours = labels(language), palette(dark=dark)
    part = TracePart(trace, view.layer, view.direction, view.batch)
    span = view.span(trace.steps)
    names = _step_names(view.characters, span)
    inner = len(rows) * row_height + (len(rows) - 1) * GAP
    parts = layout(
        colours,
        height=inner + TOP + BOTTOM,
        margin={"l": LEFT, "r": RIGHT, "t": TOP, "b": BOTTOM},
        annotations=[],
        xaxis=axis(
            colours,
            type="category",
            anchor=f"y{len(rows)}" if len(rows) > 1 else "y",
            title={
                "text": words["plot.time_characters" if view.characters else "plot.time"],
                "font": {"size": 11, "color": colours.muted},
            },
        )
        | _ticks(view.characters, span, colours.muted),
    )
    heatmaps: list[go.Heatmap] = []
    for number, row in enumerate(rows):
        y = f"y{number + 1}" if number else "y"
        values = part.array(row.name)[span.start : span.stop]
        order = view.order(values.shape[1])
        name = words.get(f"gate.{row.name}", row.name)  # of one's own cell: as it calls it
        heatmap = go.Heatmap(
            z=as_float32(values[:, order].T),
            x=names,
            y=[str(unit) for unit in order],
            yaxis=y,
            name=name,
            zmin=row.minimum,
            zmax=row.maximum,
            colorscale=colours.signed if row.minimum < 0 else colours.gate,
            colorbar=_colour_bar(
                row, number, row_height, inner, colours.muted, beyond=_beyond(trace, row)
            ),
            zhoverformat=".4f",
            hovertemplate=words["plot.hover_unit"],
            meta=row.name,
        )
        heatmaps.append(heatmap)
        top = 1 - number * (row_height + GAP) / inner
        parts[y.replace("y", "yaxis")] = axis(
            colours,
            type="category",
            autorange="reversed",
            showticklabels=False,
            anchor="x",
            domain=[max(0.0, top - row_height / inner), top],
        )
        count = words("plot.units", n=len(order))
        parts["annotations"].append(_row_name(name, count, y, colours.muted))
    return go.Figure(heatmaps, parts)


def _row_name(name: str, count: str, y: str, muted: str) -> dict[str, Any]:
    """The annotation left of a row: its name and its number of units."""
    return {
        "text": f"<b>{name}</b><br><span style='font-size:11px;color:{muted}'>{count}</span>",
        "xref": "paper",
        "yref": f"{y} domain",
        "x": 0,
        "y": 0.5,
        "xshift": -10,
        "xanchor": "right",
        "align": "right",
        "showarrow": False,
    }


def _step_names(characters: Sequence[str] | None, span: range) -> list[str]:
    if characters is None:
        return [str(t + 1) for t in span]
    return [f"{t + 1} {characters[t]}" for t in span]


def _ticks(characters: Sequence[str] | None, span: range, colour: str) -> dict[str, Any]:
    """Every character if they fit, else about ten step numbers."""
    if characters is not None and len(span) <= MOST_LABELS:
        font = {"family": MONOSPACE, "size": 12 if len(span) <= 90 else 9, "color": colour}
        texts = [characters[t] for t in span]
        return {
            "tickvals": list(range(len(span))),
            "ticktext": texts,
            "tickangle": 0,
            "tickfont": font,
        }
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 10**9) if len(span) / s <= 12)
    at = [t for t in span if (t + 1) % step == 0]
    return {
        "tickvals": [t - span.start for t in at],
        "ticktext": [str(t + 1) for t in at],
        "tickangle": 0,
    }


def _beyond(trace: Trace, row: Row) -> bool:
    """Whether values lie outside the row's colour range."""
    return bool((np.abs(trace.array(row.name)) > row.maximum).any())


def _colour_bar(
    row: Row, number: int, height: int, inner: int, colour: str, *, beyond: bool
) -> dict[str, object]:
    middle = 1 - (number * (height + GAP) + height / 2) / inner
    ticks = [row.minimum, 0.0, row.maximum] if row.minimum < 0 else [0.0, 1.0]
    texts = [write_number(tick, ".2g") for tick in ticks]
    if beyond:
        texts[0], texts[-1] = f"≤ {texts[0]}", f"≥ {texts[-1]}"
    return {
        "len": height - 8,
        "lenmode": "pixels",
        "y": middle,
        "thickness": 8,
        "outlinewidth": 0,
        "x": 1,
        "xpad": 8,
        "tickvals": ticks,
        "ticktext": texts,
        "tickfont": {"size": 10, "color": colour},
    }
