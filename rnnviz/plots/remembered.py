"""Measured memory of networks, compared with claims about them."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from rnnviz.locale import labels
from rnnviz.plots.networks import check_shown
from rnnviz.plots.style import axis, layout, palette, titled


def plot_memory(
    remembered: Mapping[str, tuple[str, Sequence[int]]],
    *,
    claimed: Mapping[str, tuple[str, int]],
    length: int,
    height: int = 360,
    language: str = "en",
    dark: bool = False,
) -> go.Figure:
    """Steps remembered on a log axis: a row per network, a point per seed, a diamond at the median.

    remembered: by the label of the row, its cell and the steps of every seed, as counted by
    ``remembered_steps``. claimed: by the label of the row, the text and steps of a claim. length:
    steps of the sequences; networks that remember for longer are shown there.

    >>> figure = plot_memory({"LSTM": ("lstm", [7, 8, 9])}, claimed={}, length=100)
    >>> figure.data[0].x.tolist(), figure.data[1].x
    ([7.0, 8.0, 9.0], (8.0,))
    """
    check_shown(remembered)
    words, colours = labels(language), palette(dark=dark)
    drawn: list[go.Scatter] = []
    for label, (cell, steps) in remembered.items():
        shown = np.maximum(steps, 0.7)  # a log axis has no 0
        colour = colours.cells[cell]
        drawn.append(
            go.Scatter(
                x=shown,
                y=[label] * len(shown),
                customdata=list(steps),
                mode="markers",
                marker={"color": colour, "size": 7, "opacity": 0.45},
                hovertemplate=words["plot.hover_remembered"],
            )
        )
        middle = float(np.median(shown))
        text = f"≥ {middle:,.0f}" if middle >= length else f"{np.median(steps):,.0f}"
        drawn.append(
            go.Scatter(
                x=[middle],
                y=[label],
                mode="markers+text",
                marker={"color": colour, "size": 11, "symbol": "diamond"},
                text=[f"{text}  " if middle >= length else text],
                textposition="middle left" if middle >= length else "top center",
                textfont={"size": 12, "color": colours.ink},
                hoverinfo="skip",
            )
        )
    for label, (text, steps) in claimed.items():
        drawn.append(
            go.Scatter(
                x=[steps],
                y=[label],
                mode="markers+text",
                marker={
                    "symbol": "line-ns",
                    "size": 20,
                    "line": {"width": 3, "color": colours.selected},
                },
                text=[f"  {text}  "],
                textposition="middle left" if 4 * steps > length else "middle right",
                textfont={"size": 11, "color": colours.muted},
                hoverinfo="skip",
            )
        )
    top = np.log10(max(length, 1500)) + 0.35
    across = axis(
        colours,
        type="log",
        range=[-0.25, top],
        title=titled(words["plot.remembered"], colours),
        showgrid=True,
        gridcolor=colours.line,
        tickvals=[1, 10, 100, 1000],
        ticktext=["1", "10", "100", "1,000"],
    )
    end = {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": length, "x1": length}
    note = {
        "x": float(np.log10(length)),
        "y": 1,
        "yref": "paper",
        "yanchor": "bottom",
        "showarrow": False,
        "text": words("plot.sequence_ends", length=length),
        "font": {"size": 10, "color": colours.muted},
    }
    down = axis(colours, autorange="reversed", type="category", automargin=True)
    figure = layout(
        colours,
        height=height,
        margin={"l": 150, "r": 16, "t": 20, "b": 44},
        xaxis=across,
        yaxis=down | {"tickfont": {"size": 12, "color": colours.ink}, "automargin": True},
        shapes=[end | {"line": {"color": colours.muted, "width": 1, "dash": "dot"}}],
        annotations=[note],
    )
    return go.Figure(drawn, figure)
