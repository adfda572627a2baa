"""Networks as lines: means of corresponding gates and states, outputs, gradient norms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnviz.gradients.norms import state_norms
from rnnviz.locale import Labels, labels
from rnnviz.plots.drawing import Drawing, as_figure
from rnnviz.plots.lines import Drawn, Line, draw_lines, looks_of, scatter
from rnnviz.plots.matching import GATES, matched, parts_by_label, shown_rows
from rnnviz.plots.networks import Traces, by_label, results_by_label
from rnnviz.plots.style import Palette, as_float32, axis, layout, legend_above, palette, titled
from rnnviz.trace import Trace
from rnnviz.trace_part import DIRECTIONS, TracePart

if TYPE_CHECKING:
    import xarray

Array = NDArray[Any]

LEFT, RIGHT, TOP, BOTTOM, GAP = 172, 16, 30, 42, 16  # pixels around and between the rows


@as_figure
def plot_comparison_lines(
    traces: Traces,
    *,
    outputs: Array | Mapping[str, Array] | None = None,
    output_name: str = "norm",
    layer: int | None = None,
    direction: str = "forward",
    batch: int = 0,
    difference: bool = False,
    row_height: int = 70,
    language: str = "en",
    dark: bool = False,
) -> Drawing:
    """Means over all units at every step: a row per gate or state, a line per network.

    traces: one, or several by label. outputs: one more row, (time,), for one trace or by label;
    output_name: "norm", ‖h‖, or "bits", of the next character. difference: each network minus the
    first. layer,
    direction: as in ``plot_comparison``.

    >>> modules = {"LSTM": torch.nn.LSTM(1, 2), "GRU": torch.nn.GRU(1, 2)}
    >>> traces = {label: rnnviz.trace(m, torch.ones(3, 1)) for label, m in modules.items()}
    >>> figure = plot_comparison_lines(traces)
    >>> [line["name"] for line in figure.data][:4], figure.data[0].y.shape
    (['LSTM', 'GRU', 'LSTM', 'GRU'], (3,))
    """
    traces = by_label(traces)
    parts = parts_by_label(traces, layer, direction, batch)
    rows: dict[str, dict[str, Array]] = {}
    for row in shown_rows(list(traces.values())):
        found = {label: matched(part, row) for label, part in parts.items()}
        rows[row] = {label: v.mean(-1) for label, v in found.items() if v is not None}
    if outputs is not None:
        rows[output_name] = dict(results_by_label("outputs", outputs, traces, "ndarray"))
    if difference:
        rows = {row: minus_first(lines, next(iter(traces))) for row, lines in rows.items()}
        rows = {row: lines for row, lines in rows.items() if lines}
    words, colours = labels(language), palette(dark=dark)
    look = looks_of({label: trace.cell for label, trace in traces.items()}, colours)
    return _rows(rows, look, colours, words, row_height, difference=difference)


@as_figure
def plot_gradient_comparison(
    traces: Traces,
    *,
    norms: xarray.Dataset | Mapping[str, xarray.Dataset] | None = None,
    layer: int | None = None,
    direction: str = "forward",
    batch: int = 0,
    difference: bool = False,
    height: int = 320,
    language: str = "en",
    dark: bool = False,
) -> Drawing:
    """log₁₀ ‖∂L/∂h_t‖ over time, a line per network; with difference, decades above the first.

    traces: one, or several by label, each made with a loss. norms: results of ``gradient_norms`` to
    reuse, one for one trace, or by label. A step where either of two norms is 0 or NaN has no
    difference. layer, direction: as in ``plot_comparison``.
    """
    traces = by_label(traces)
    words = labels(language)
    known = results_by_label("norms", norms, traces, "Dataset")
    lines: dict[str, Line] = {}
    for label, part in parts_by_label(traces, layer, direction, batch).items():
        values = state_norms(part, known.get(label))["hidden_state"].astype(np.float64)
        lines[label] = Line(part.trace.cell, np.arange(1, len(values) + 1), values)
    looks = looks_of({n: line.cell for n, line in lines.items()}, palette(dark=dark))
    if difference:
        values = minus_first({n: line.values for n, line in lines.items()}, next(iter(lines)))
        lines = {label: _finite(lines[label], values[label]) for label in values}
    title = "plot.decades_apart" if difference else "plot.log_gradient"
    return draw_lines(
        lines,
        x_title=words["plot.time"],
        y_title=words[title],
        limits=not difference,
        looks=looks,
        height=height,
        language=language,
        dark=dark,
    )


def minus_first(lines: Mapping[str, Array], first: str) -> dict[str, Array]:
    """Every other line minus the first, by label; empty if the first has no line.

    >>> minus_first({"a": np.array([1.0, 2.0]), "b": np.array([3.0, 2.0])}, "a")
    {'b': array([2., 0.])}
    """
    if first not in lines:
        return {}
    with np.errstate(invalid="ignore"):  # −∞ − −∞ is not a number
        return {n: values - lines[first] for n, values in lines.items() if n != first}


def _finite(line: Line, values: Array) -> Line:
    there = np.isfinite(values)
    return Line(line.cell, line.steps[there], values[there])


def _rows(
    rows: Mapping[str, Mapping[str, Array]],
    look: Mapping[str, dict[str, Any]],
    colours: Palette,
    words: Labels,
    row_height: int,
    *,
    difference: bool,
) -> Drawing:
    inner = len(rows) * (row_height + GAP) - GAP
    drawn: list[Drawn] = []
    notes: list[dict[str, Any]] = []
    parts: dict[str, Any] = {}
    listed: set[str] = set()
    for number, (row, lines) in enumerate(rows.items()):
        y = f"y{number + 1}" if number else "y"
        top = 1 - number * (row_height + GAP) / inner
        ends = {"range": [-0.02, 1.02]} if row in GATES and not difference else {}
        parts[y.replace("y", "yaxis")] = axis(
            colours,
            domain=[max(0.0, top - row_height / inner), top],
            **ends,
            showgrid=True,
            gridcolor=colours.line,
            zeroline=True,
            nticks=4,
            exponentformat="power",
            hoverformat=".4f",
        )
        notes.append(_row_name(row, y, colours, words, difference=difference))
        for label, values in lines.items():
            drawn.append(
                scatter(
                    x0=1,
                    dx=1,
                    y=as_float32(values),
                    yaxis=y,
                    name=label,
                    mode="lines" if len(values) > 1 else "markers",
                    line=look[label],
                    marker={"color": look[label]["color"]},
                    legendgroup=label,
                    legendrank=list(look).index(label),
                    showlegend=label not in listed,
                    hovertemplate=f"{label}<br>{words['plot.hover_mean']}<extra></extra>",
                )
            )
            listed.add(label)
    steps = _steps(rows)
    figure = layout(
        colours,
        height=inner + TOP + BOTTOM,
        margin={"l": LEFT, "r": RIGHT, "t": TOP, "b": BOTTOM},
        annotations=notes,
        xaxis=axis(
            colours,
            anchor=f"y{len(rows)}" if len(rows) > 1 else "y",
            title=titled(words["plot.time"], colours),
            zeroline=False,
            range=[1, steps] if steps > 1 else [0.5, 1.5],
        ),
        **parts,
    )
    return Drawing(drawn, figure | legend_above() | _legend_at(inner))


def _steps(rows: Mapping[str, Mapping[str, Array]]) -> int:
    return max((len(v) for lines in rows.values() for v in lines.values()), default=0)


def _legend_at(inner: int) -> dict[str, Any]:
    """A few pixels above the first row, for any number of rows."""
    above = legend_above()
    return above | {"legend": above["legend"] | {"y": 1 + 6 / inner}}


def _row_name(
    row: str, y: str, colours: Palette, words: Labels, *, difference: bool
) -> dict[str, Any]:
    small = words["match.minus_first"] if difference else words[f"match.{row}_line"]
    text = f"<span style='font-size:10px;color:{colours.muted}'>{small}</span>"
    return {
        "text": f"<b>{words[f'match.{row}']}</b><br>{text}",
        "xref": "paper",
        "yref": f"{y} domain",
        "x": 0,
        "y": 0.5,
        "xshift": -44,
        "xanchor": "right",
        "align": "right",
        "showarrow": False,
    }


def output_norms(traces: Mapping[str, Trace], *, batch: int = 0) -> dict[str, Array]:
    """‖h_t‖ of each network's output, the last layer in all directions, (time,) by label."""
    found: dict[str, Array] = {}
    for label, trace in traces.items():
        names = DIRECTIONS[: trace.directions]
        parts = [TracePart(trace, trace.layers - 1, name, batch) for name in names]
        h = np.array([part.array("hidden_state") for part in parts])
        found[label] = np.sqrt(np.square(h).sum((0, -1)))
    return found
