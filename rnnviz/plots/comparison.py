"""Networks side by side: corresponding gates and states in one row, one column per network."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from unicodedata import east_asian_width

import numpy as np
from numpy.typing import NDArray

from rnnviz.errors import RnnvizError
from rnnviz.locale import Labels, labels
from rnnviz.locale.numbers import write_number
from rnnviz.plots.drawing import Drawing, as_figure
from rnnviz.plots.matching import (
    are_alike,
    matched,
    name_of,
    parts_by_label,
    pool,
    range_of,
    shown_rows,
)
from rnnviz.plots.networks import Traces, by_label
from rnnviz.plots.style import Palette, axis, layout, palette, titled
from rnnviz.trace import Trace
from rnnviz.trace_part import TracePart

Array = NDArray[Any]
Fields = dict[str, Any]  # of a figure, as plotly names them

LEFT, RIGHT, TOP, BOTTOM = 104, 52, 26, 42  # pixels around the grid, without the headings
NAME, BETWEEN = 19, 0.016  # pixels above each heatmap for its name; gap, as a fraction of the width
LINE, LETTERS, SMALL = 17, 76, 92  # pixels per heading line; letters that fit across the figure
LEAST = 150  # pixels of a column in which its gates' names have room
MOST_COLUMNS, MOST_ROWS = 960, 128  # cells across all heatmaps of a row, and down one


class Column(NamedTuple):
    """One network: its arrays by row, (time, unit), its names for them, and a note on the part."""

    trace: Trace
    rows: Mapping[str, Array]
    names: Mapping[str, str]
    note: str


class Grid(NamedTuple):
    """Positions of columns and rows, as fractions of the area inside the margins."""

    columns: int
    rows: int
    inner: float  # pixels of all rows

    @property
    def width(self) -> float:
        """Of a column."""
        return (1 - BETWEEN * (self.columns - 1)) / self.columns

    def across(self, column: int) -> list[float]:
        """The left and right end of a column."""
        left = column * (self.width + BETWEEN)
        return [left, min(1.0, left + self.width)]

    def down(self, row: int) -> list[float]:
        """The bottom and top of a row's heatmaps."""
        top = 1 - row / self.rows - NAME / self.inner
        return [max(0.0, 1 - (row + 1) / self.rows), top]

    def pixels(self) -> float:
        """The height of a heatmap."""
        return self.inner / self.rows - NAME


@as_figure
def plot_comparison(
    traces: Traces,
    *,
    layer: int | None = None,
    direction: str = "forward",
    batch: int = 0,
    difference: bool = False,
    row_height: int = 84,
    language: str = "en",
    dark: bool = False,
) -> Drawing:
    """Heatmaps of time × unit: a column per network, a row per corresponding gate or state.

    One scale per row. traces: one, or several by label. A forget gate corresponds to a GRU's z,
    its input gate to 1 − z, the candidates to an RNN's own tanh. layer: counted from 0, None for
    the last; networks with fewer layers show their last. direction: networks without a backward
    one show forward. RnnvizError if no network has the layer or direction. Steps and units beyond
    the resolution of the figure are averaged in blocks. difference: each network minus the first,
    unit by unit; RnnvizError if no other has the same gates and size.

    >>> modules = {"LSTM": torch.nn.LSTM(1, 2), "GRU": torch.nn.GRU(1, 2)}
    >>> traces = {label: rnnviz.trace(m, torch.ones(3, 1)) for label, m in modules.items()}
    >>> figure = rnnviz.plot_comparison(traces)
    >>> [heatmap.name for heatmap in figure.data[:4]]
    ['LSTM: forget gate f', 'GRU: update gate z', 'LSTM: input gate i', 'GRU: 1 − z']
    """
    traces = by_label(traces)
    words, colours = labels(language), palette(dark=dark)
    selected = parts_by_label(traces, layer, direction, batch)
    columns = {label: _column(part, words) for label, part in selected.items()}
    if difference:
        columns = _differences(columns)
    shown = shown_rows([column.trace for column in columns.values()])
    grid = Grid(len(columns), len(shown), len(shown) * (row_height + NAME))
    heads = [_head(label, column, len(columns), colours) for label, column in columns.items()]
    top = TOP + LINE * max(head.count("<br>") for head in heads)
    axes: Fields = {
        _key("x", n): _time(grid, n, column, colours, words)
        for n, column in enumerate(columns.values())
    }
    notes = [_above(grid, n, head) for n, head in enumerate(heads)]
    drawn: list[Fields] = []
    shapes: list[Fields] = []
    for number, row in enumerate(shown):
        found = [column.rows[row] for column in columns.values() if row in column.rows]
        ends = range_of(row, found, signed=difference)
        axes[_numbered("coloraxis", number)] = _scale(grid, number, ends, found, colours)
        notes.append(_row_name(grid, number, row, colours, words))
        for place, (label, column) in enumerate(columns.items()):
            at = number * grid.columns + place
            x, y = _numbered("x", place), _numbered("y", at)
            axes[_key("y", at)] = _units(grid, number, place, column, colours)
            domain: Fields = {"xref": f"{x} domain", "yref": f"{y} domain"}
            if row in column.rows:
                scale = _numbered("coloraxis", number)
                drawn.append(_heatmap(column.rows[row], x, y, grid.columns, words) | {"meta": row})
                drawn[-1] |= {"name": f"{label}: {column.names[row]}", "coloraxis": scale}
                notes.append(domain | _name(column.names[row], colours))
            else:
                drawn.append({"type": "scatter", "x": [None], "y": [None], "xaxis": x, "yaxis": y})
                notes.append(domain | _nothing(words[f"match.without_{row}"], colours))
                shapes.append(domain | _ground(colours))
    figure = layout(
        colours,
        height=int(grid.inner) + top + BOTTOM,
        margin={"l": LEFT, "r": RIGHT, "t": top, "b": BOTTOM},
        annotations=notes,
        shapes=shapes,
        meta={
            "time": [_numbered("x", n) for n in range(grid.columns)],
            "least_width": LEFT + RIGHT + LEAST * grid.columns,
        },
        **axes,
    )
    return Drawing(drawn, figure)


def comparable(traces: Mapping[str, Trace]) -> list[str]:
    """The labels of the networks that can be subtracted from the first unit by unit."""
    (_, first), *others = traces.items()
    return [label for label, trace in others if are_alike(first, trace)]


def _column(part: TracePart, words: Labels) -> Column:
    trace = part.trace
    found = {row: matched(part, row) for row in shown_rows([trace])}
    rows = {row: values for row, values in found.items() if values is not None}
    notes = [words("plot.units", n=part.output_units)]
    if trace.layers > 1:
        notes.append(words("match.layer", layer=part.layer + 1, layers=trace.layers))
    if trace.directions > 1:
        notes.append(words[f"direction.{part.direction}"])
    return Column(trace, rows, {row: name_of(trace, row, words) for row in rows}, ", ".join(notes))


def _differences(columns: Mapping[str, Column]) -> dict[str, Column]:
    (label, first), *others = columns.items()
    found: dict[str, Column] = {}
    for name, column in others:
        shapes = [{row: v.shape for row, v in c.rows.items()} for c in (first, column)]
        if are_alike(first.trace, column.trace) and shapes[0] == shapes[1]:
            rows = {row: values - first.rows[row] for row, values in column.rows.items()}
            found[f"{name} − {label}"] = column._replace(rows=rows)
    if not found:
        raise RnnvizError("error.not_alike", label=label)
    return found


def _heatmap(values: Array, x: str, y: str, columns: int, words: Labels) -> Fields:
    z, wide, high = pool(values, MOST_COLUMNS // columns, MOST_ROWS)
    hover = "plot.hover_unit" if wide == high == 1 else "plot.hover_block"
    places = {"x0": (wide + 1) / 2, "dx": wide, "y0": (high - 1) / 2, "dy": high}
    return {
        "type": "heatmap",
        "z": z,
        **places,
        "xaxis": x,
        "yaxis": y,
        "zhoverformat": ".4f",
        "hovertemplate": words[hover],
    }


def _time(grid: Grid, place: int, column: Column, colours: Palette, words: Labels) -> Fields:
    """A column's time axis below its last row; zooming one zooms all."""
    steps = column.trace.steps
    found = axis(
        colours,
        domain=grid.across(place),
        range=[0.5, steps + 0.5],
        anchor=_numbered("y", (grid.rows - 1) * grid.columns + place),
        title=titled(words["plot.time"], colours),
        nticks=6,
        zeroline=False,
    )
    return found | ({"matches": "x"} if place else {})


def _units(grid: Grid, number: int, place: int, column: Column, colours: Palette) -> Fields:
    units = max(values.shape[1] for values in column.rows.values())
    found = axis(
        colours,
        domain=grid.down(number),
        range=[units - 0.5, -0.5],
        anchor=_numbered("x", place),
        showticklabels=False,
        zeroline=False,
    )
    return found | ({"matches": _numbered("y", place)} if number else {})


def _head(label: str, column: Column, columns: int, colours: Palette) -> str:
    """The heading of a column: the network, and the part of it that is shown."""
    name = "<br>".join(folded(label, LETTERS / columns))
    note = "<br>".join(folded(column.note, SMALL / columns))
    small = f"<span style='font-size:11px;color:{colours.muted}'>{note}</span>"
    return f"<span style='color:{colours.cells[column.trace.cell]}'><b>{name}</b></span><br>{small}"


def folded(text: str, letters: float) -> list[str]:
    """A text in lines of at most that many letters; a Hangul syllable counts as two.

    >>> folded("GRU, 2 layers, both directions", 16)
    ['GRU, 2 layers,', 'both directions']
    """
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and sum(1 + (east_asian_width(c) in "WF") for c in longer) > letters:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _above(grid: Grid, place: int, text: str) -> Fields:
    at: Fields = {
        "xref": "paper",
        "yref": "paper",
        "x": grid.across(place)[0],
        "y": 1,
        "yshift": 4,
    }
    ends: Fields = {"xanchor": "left", "yanchor": "bottom", "align": "left", "showarrow": False}
    return {"text": text, **at, **ends}


def _row_name(grid: Grid, number: int, row: str, colours: Palette, words: Labels) -> Fields:
    small = (
        f"<span style='font-size:10px;color:{colours.muted}'>{words[f'match.{row}_says']}</span>"
    )
    middle = sum(grid.down(number)) / 2
    at: Fields = {"xref": "paper", "yref": "paper", "x": 0, "y": middle, "xshift": -8}
    ends: Fields = {
        "xanchor": "right",
        "yanchor": "middle",
        "align": "right",
        "showarrow": False,
    }
    return {"text": f"<b>{words[f'match.{row}']}</b><br>{small}", **at, **ends}


def _name(text: str, colours: Palette) -> Fields:
    """The cell's own name for a row, above its heatmap."""
    at: Fields = {"x": 0, "y": 1, "xanchor": "left", "yanchor": "bottom", "showarrow": False}
    return {"text": text, "font": {"size": 11, "color": colours.muted}, **at}


def _nothing(text: str, colours: Palette) -> Fields:
    at: Fields = {
        "x": 0.5,
        "y": 0.5,
        "xanchor": "center",
        "yanchor": "middle",
        "showarrow": False,
    }
    return {"text": text, "font": {"size": 11, "color": colours.muted}, **at}


def _ground(colours: Palette) -> Fields:
    """The background of a place without a heatmap."""
    corners = {"type": "rect", "x0": 0, "x1": 1, "y0": 0, "y1": 1, "layer": "below"}
    return {**corners, "fillcolor": colours.line, "opacity": 0.28, "line": {"width": 0}}


def _scale(
    grid: Grid,
    number: int,
    ends: tuple[float, float],
    found: Sequence[Array],
    colours: Palette,
) -> Fields:
    low, high = ends
    ticks = [low, 0.0, high] if low < 0 else [0.0, 1.0]
    texts = [write_number(tick, ".2g") for tick in ticks]
    if any((np.abs(values) > high).any() for values in found):
        texts[0], texts[-1] = f"≤ {texts[0]}", f"≥ {texts[-1]}"
    bar = {
        "len": grid.pixels() - 4,
        "lenmode": "pixels",
        "y": sum(grid.down(number)) / 2,
        "yanchor": "middle",
        "thickness": 8,
        "outlinewidth": 0,
        "x": 1,
        "xpad": 8,
        "tickvals": ticks,
        "ticktext": texts,
        "tickfont": {"size": 10, "color": colours.muted},
    }
    scale = colours.signed if low < 0 else colours.gate
    return {"cmin": low, "cmax": high, "colorscale": scale, "colorbar": bar}


def _numbered(name: str, number: int) -> str:
    """Plotly's axis ids: x, then x2, then x3."""
    return name if number == 0 else f"{name}{number + 1}"


def _key(letter: str, number: int) -> str:
    """Plotly's axis keys in a layout: xaxis, then xaxis2."""
    return _numbered(f"{letter}axis", number)
