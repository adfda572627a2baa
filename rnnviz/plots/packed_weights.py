"""Packed weights in two conventions: where each gate's block moves, and what changes sign."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnviz.conventions import Move, Rows
from rnnviz.locale import Labels, labels
from rnnviz.plots.drawing import Drawing, as_figure
from rnnviz.plots.style import Palette, axis, layout, palette

TOP, BOTTOM, SIDE = 32, 26, 108  # pixels around the two blocks
SPANS = ((0.0, 0.37), (0.63, 1.0))  # of the width: the two blocks, with the bands between them


@as_figure
def plot_packed_weights(
    before: Rows,
    after: Rows,
    moves: Sequence[Move],
    *,
    titles: tuple[str, str],
    height: int = 360,
    language: str = "en",
    dark: bool = False,
) -> Drawing:
    """Both packings as signed heatmaps, and a band from each gate's old position to its new one.

    moves: one per block of after. A negated block's band is marked "× (−1)". titles: one above
    each heatmap. Rows are units, columns their inputs; lines separate W, U and the biases.

    >>> from rnnviz.cells import Form
    >>> from rnnviz.conventions import ONNX, PROJECT, lay_out, moves
    >>> own = {"weight_ih": np.array([[1.0], [2.0], [3.0]]), "weight_hh": np.zeros((3, 1))}
    >>> rows = [lay_out(Form("gru"), own, convention) for convention in (PROJECT, ONNX)]
    >>> figure = plot_packed_weights(*rows, moves(Form("gru"), PROJECT, ONNX), titles=("a", "b"))
    >>> figure.data[1].z[:, 0].tolist()
    [2.0, 1.0, 3.0]
    """
    words, colours = labels(language), palette(dark=dark)
    maximum = max(float(np.abs(rows.values).max()) for rows in (before, after)) or 1.0
    parts = layout(
        colours,
        height=height,
        margin={"l": SIDE, "r": SIDE, "t": TOP, "b": BOTTOM},
        annotations=[],
        shapes=[],
    )
    heatmaps: list[dict[str, Any]] = []
    for side, (rows, title) in enumerate(zip((before, after), titles, strict=True)):
        end = "2" if side else ""
        heatmaps.append(_heatmap(rows, end, maximum, colours, words))
        parts[f"xaxis{end}"] = _across(rows, side, colours)
        parts[f"yaxis{end}"] = axis(
            colours, anchor=f"x{end}", autorange="reversed", showticklabels=False
        )
        parts["annotations"] += [_title(title, side), *_names(rows, side, words)]
        parts["shapes"] += _lines(rows, side, colours)
    for move in moves:
        parts["shapes"].append(_band(move, len(before.gates), len(after.gates), colours))
        if move.negated:
            parts["annotations"].append(_sign(move, len(before.gates), len(after.gates), colours))
    return Drawing(heatmaps, parts)


def _heatmap(
    rows: Rows, end: str, maximum: float, colours: Palette, words: Labels
) -> dict[str, Any]:
    units = len(rows.values) // len(rows.gates)
    texts = [
        [
            words("packed.hover", gate=words[f"gate.{gate}"], unit=unit, column=column)
            for column in rows.columns
        ]
        for gate in rows.gates
        for unit in range(units)
    ]
    return {
        "type": "heatmap",
        "z": rows.values,
        "customdata": texts,
        "xaxis": f"x{end}",
        "yaxis": f"y{end}",
        "zmin": -maximum,
        "zmax": maximum,
        "colorscale": colours.signed,
        "showscale": False,
        "zhoverformat": "+.3f",
        "hovertemplate": "%{customdata}: %{z}<extra></extra>",
    }


def _across(rows: Rows, side: int, colours: Palette) -> dict[str, Any]:
    """The axis with W, U and b below their columns."""
    kinds = [column[0] for column in rows.columns]
    spans = {kind: [k for k, own in enumerate(kinds) if own == kind] for kind in "xhb"}
    named = [
        (sum(at) / len(at), {"x": "W", "h": "U", "b": "b"}[k]) for k, at in spans.items() if at
    ]
    return axis(
        colours,
        domain=SPANS[side],
        anchor=f"y{'2' if side else ''}",
        tickvals=[place for place, _ in named],
        ticktext=[name for _, name in named],
        tickangle=0,
    )


def _title(title: str, side: int) -> dict[str, Any]:
    return {
        "text": f"<b>{title}</b>",
        "xref": "paper",
        "yref": "paper",
        "x": sum(SPANS[side]) / 2,
        "y": 1,
        "xanchor": "center",
        "yanchor": "middle",
        "yshift": 14,
        "showarrow": False,
    }


def _names(rows: Rows, side: int, words: Labels) -> list[dict[str, Any]]:
    """Each gate's name beside its block, on the outer side."""
    return [
        {
            "text": words[f"gate.{gate}"],
            "xref": "paper",
            "yref": "paper",
            "x": side,
            "y": 1 - (place + 0.5) / len(rows.gates),
            "xshift": 8 if side else -8,
            "xanchor": "left" if side else "right",
            "yanchor": "middle",
            "showarrow": False,
            "font": {"size": 12},
        }
        for place, gate in enumerate(rows.gates)
    ]


def _lines(rows: Rows, side: int, colours: Palette) -> list[dict[str, Any]]:
    """Lines between gates, and between W, U and the biases."""
    end = "2" if side else ""
    height, width = rows.values.shape
    units = height // len(rows.gates)
    line = {"color": colours.muted, "width": 1}
    kinds = [column[0] for column in rows.columns]
    found: list[dict[str, Any]] = []
    for k in range(0, height + 1, units):
        place = {"x0": -0.5, "x1": width - 0.5, "y0": k - 0.5, "y1": k - 0.5}
        found.append({"type": "line", "xref": f"x{end}", "yref": f"y{end}", "line": line, **place})
    for k in (0, *(n for n in range(1, width) if kinds[n] != kinds[n - 1]), width):
        place = {"x0": k - 0.5, "x1": k - 0.5, "y0": -0.5, "y1": height - 0.5}
        found.append({"type": "line", "xref": f"x{end}", "yref": f"y{end}", "line": line, **place})
    return found


def _band(move: Move, before: int, after: int, colours: Palette) -> dict[str, Any]:
    left, right = SPANS[0][1] + 0.008, SPANS[1][0] - 0.008
    middle, inset = (left + right) / 2, 0.012
    y = [1 - move.before / before - inset, 1 - (move.before + 1) / before + inset]
    z = [1 - move.after / after - inset, 1 - (move.after + 1) / after + inset]
    path = (
        f"M {left},{y[0]} C {middle},{y[0]} {middle},{z[0]} {right},{z[0]}"
        f" L {right},{z[1]} C {middle},{z[1]} {middle},{y[1]} {left},{y[1]} Z"
    )
    colour = colours.selected if move.negated else colours.muted
    return {
        "type": "path",
        "path": path,
        "xref": "paper",
        "yref": "paper",
        "layer": "below",
        "fillcolor": colour,
        "opacity": 0.45 if move.negated else 0.22,
        "line": {"width": 0},
        "name": move.gate,
    }


def _sign(move: Move, before: int, after: int, colours: Palette) -> dict[str, Any]:
    middle = 1 - ((move.before + 0.5) / before + (move.after + 0.5) / after) / 2
    return {
        "text": "<b>× (−1)</b>",
        "xref": "paper",
        "yref": "paper",
        "x": 0.5,
        "y": middle,
        "xanchor": "center",
        "yanchor": "middle",
        "showarrow": False,
        "font": {"size": 13, "color": colours.ink},
    }
