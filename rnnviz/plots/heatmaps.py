"""Heatmaps of time × unit below one another on one time axis: what gates and states share."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from rnnviz.locale import labels
from rnnviz.plots.style import MONOSPACE, dress, palette
from rnnviz.plots.view import View
from rnnviz.trace import Trace

MOST_LABELS = 130  # characters that fit below a figure of usual width without touching
LEFT, RIGHT, GAP, TOP, BOTTOM = 118, 64, 10, 6, 46  # pixels around and between the rows


class Row(NamedTuple):
    """One heatmap: which array, and the range of its colours; signed ones are centred on 0."""

    name: str
    least: float
    most: float


def plot_rows(
    trace: Trace, rows: Sequence[Row], view: View, *, row_height: int, language: str, dark: bool
) -> go.Figure:
    """One heatmap a row; units downwards in the view's order, time steps counted from 1."""
    words, colours = labels(language), palette(dark=dark)
    span = view.span(trace["hidden_state"].sizes["time"])
    names = _step_names(view.characters, span)
    inner = len(rows) * row_height + (len(rows) - 1) * GAP
    figure = make_subplots(rows=len(rows), cols=1, shared_xaxes=True, vertical_spacing=GAP / inner)
    for number, row in enumerate(rows, start=1):
        values = trace[row.name].sel(layer=view.layer, direction=view.direction).values
        values = values[span.start : span.stop, view.batch]
        order = view.order(values.shape[1])
        signed = row.least < 0
        heatmap = go.Heatmap(
            z=np.ascontiguousarray(values[:, order].T, dtype=np.float32),
            x=names,
            y=[str(unit) for unit in order],
            name=words[f"gate.{row.name}"],
            zmin=row.least,
            zmax=row.most,
            colorscale=colours.signed if signed else colours.gate,
            colorbar=_colour_bar(row, number, row_height, inner, colours.muted),
            hovertemplate=words["plot.hover_unit"],
            meta=row.name,
        )
        figure.add_trace(heatmap, row=number, col=1)
        figure.add_annotation(
            text=f"<b>{words[f'gate.{row.name}']}</b><br>"
            f"<span style='font-size:11px;color:{colours.muted}'>"
            f"{words('plot.units', n=len(order))}</span>",
            xref="paper",
            yref=f"y{number if number > 1 else ''} domain",
            x=0,
            y=0.5,
            xshift=-10,
            xanchor="right",
            align="right",
            showarrow=False,
        )
    height = inner + TOP + BOTTOM
    dress(figure, colours, height=height, margin={"l": LEFT, "r": RIGHT, "t": TOP, "b": BOTTOM})
    figure.update_yaxes(autorange="reversed", showticklabels=False, ticks="", type="category")
    figure.update_xaxes(type="category", showgrid=False, ticks="")
    figure.update_xaxes(row=len(rows), **_ticks(view.characters, span))
    title = words["plot.time_characters" if view.characters else "plot.time"]
    figure.update_xaxes(
        row=len(rows), title={"text": title, "font": {"size": 11, "color": colours.muted}}
    )
    return figure


def _step_names(characters: Sequence[str] | None, span: range) -> list[str]:
    if characters is None:
        return [str(t + 1) for t in span]
    return [f"{t + 1} {characters[t]}" for t in span]


def _ticks(characters: Sequence[str] | None, span: range) -> dict[str, Any]:
    """Every character where they fit, else about ten step numbers."""
    if characters is not None and len(span) <= MOST_LABELS:
        font = {"family": MONOSPACE, "size": 12 if len(span) <= 90 else 9}
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


def _colour_bar(row: Row, number: int, height: int, inner: int, colour: str) -> dict[str, object]:
    middle = 1 - ((number - 1) * (height + GAP) + height / 2) / inner
    ticks = [row.least, 0.0, row.most] if row.least < 0 else [0.0, 1.0]
    return {
        "len": height - 8,
        "lenmode": "pixels",
        "y": middle,
        "thickness": 8,
        "outlinewidth": 0,
        "x": 1,
        "xpad": 8,
        "tickvals": ticks,
        "ticktext": [f"{tick:.2g}".replace("-", "−") for tick in ticks],
        "tickfont": {"size": 10, "color": colour},
    }
