"""Lines over time on a log axis, one per network, used by the norm figures."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnviz.gradients.plain import APART, PlainPass
from rnnviz.locale import Labels, labels
from rnnviz.plots.drawing import Drawing
from rnnviz.plots.style import Palette, axis, ends_of_axis, layout, legend_above, palette, titled

DASHES = {"lstm": "solid", "gru": "dot", "rnn": "dash"}
OVER = ("solid", "dot", "dash")  # drawn from the bottom up: a line with gaps over one without
MORE_DASHES = ("longdash", "dashdot", "longdashdot")
PALER = (0.0, 0.45, 0.25, 0.6)  # fraction of the background in the colour of a cell's next networks

# log₁₀ of the largest and the smallest normal number of a float type.
LIMITS = {
    "float32": (128 * math.log10(2), -126 * math.log10(2)),
    "float64": (1024 * math.log10(2), -1022 * math.log10(2)),
}


Drawn = dict[str, Any]  # a trace of a figure


class Line(NamedTuple):
    """One network's values; its cell determines colour and dash.

    steps: (n,) the time step of each value; values: (n,) log₁₀, −inf for an exact 0. plain: the
    result of plain backpropagation.
    """

    cell: str
    steps: NDArray[np.integer[Any]]
    values: NDArray[np.float64]
    plain: PlainPass | None = None


def draw_lines(
    lines: Mapping[str, Line],
    *,
    x_title: str,
    y_title: str,
    limits: bool = True,
    looks: Mapping[str, Drawn] | None = None,
    height: int,
    language: str,
    dark: bool,
) -> Drawing:
    """One line per network, lines at the limits of float types, and crosses where a value is 0.

    limits: whether to draw the limits. looks: by label, from ``looks_of``, if the figure is one of
    several with the same networks.
    """
    words, colours = labels(language), palette(dark=dark)
    finite = np.concatenate([line.values[np.isfinite(line.values)] for line in lines.values()])
    top = float(finite.max(initial=0.0))
    bottom = float(finite.min(initial=top - 1))
    room = max(0.25, 0.03 * (top - bottom))
    low, high = ends_of_axis(bottom - room, top + room)
    drawn: list[Drawn] = []
    looks = looks or looks_of({label: line.cell for label, line in lines.items()}, colours)
    for label, line in lines.items():
        look = looks[label]
        drawn.append(_drawn(label, line, look, words))
        colour = look["color"]
        marks = (
            ("plot.exactly_zero", np.isneginf(line.values), low, "x"),
            (
                "plot.not_finite",
                np.isposinf(line.values) | np.isnan(line.values),
                high,
                "triangle-up",
            ),
        )
        for key, there, y, symbol in marks:
            if there.any():
                name = words(key, label=label)
                drawn.append(_marks(name, line.steps[there], y, symbol, colour, len(lines) == 1))
        if line.plain is not None:
            drawn += _plain(label, line, line.plain, look, words)
    text = words["plot.limit"]
    shapes, notes = _limits(colours, text) if limits else ([], [])
    figure = layout(
        colours,
        height=height,
        margin={"l": 64, "r": 24, "t": 8, "b": 44},
        xaxis=axis(colours, title=titled(x_title, colours), range=_ends(lines.values())),
        yaxis=axis(
            colours,
            title=titled(y_title, colours),
            range=[low, high],
            hoverformat=".2f",
            showgrid=True,
            gridcolor=colours.line,
        ),
        shapes=shapes,
        annotations=notes,
    )
    return Drawing(drawn, figure | legend_above())


def scatter(**parts: Any) -> Drawn:
    """Lines or points; properties that are None are left out."""
    return {"type": "scatter"} | {name: part for name, part in parts.items() if part is not None}


def dashes_of(cells: Mapping[str, str]) -> dict[str, str]:
    """A dash for every label: its cell's own, and other ones for further networks of the cell."""
    used: dict[str, int] = {}
    found: dict[str, str] = {}
    for label, cell in cells.items():
        again = used[cell] = used.get(cell, -1) + 1
        found[label] = MORE_DASHES[(again - 1) % len(MORE_DASHES)] if again else DASHES[cell]
    return found


def looks_of(cells: Mapping[str, str], colours: Palette) -> dict[str, Drawn]:
    """Line styles by label: the cell's colour, paler for further networks of the same cell."""
    dashes, before = dashes_of(cells), list(cells.values())
    found: dict[str, Drawn] = {}
    for place, (label, cell) in enumerate(cells.items()):
        again = before[:place].count(cell)
        colour = mixed(colours.cells[cell], colours.ground, PALER[min(again, len(PALER) - 1)])
        found[label] = {"color": colour, "dash": dashes[label], "width": 2}
    return found


def mixed(colour: str, other: str, share: float) -> str:
    """A colour mixed with a share of another.

    >>> mixed("#000000", "#ffffff", 0.5)
    '#808080'
    """
    pairs = ([int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in (colour, other))
    return "#" + "".join(f"{round(a + share * (b - a)):02x}" for a, b in zip(*pairs, strict=True))


def _drawn(label: str, line: Line, look: dict[str, Any], words: Labels) -> Drawn:
    finite = np.isfinite(line.values)
    # A value without neighbours is no line: it gets a dot.
    alone = _alone(finite)
    return scatter(
        x=line.steps,
        y=np.where(finite, line.values, np.nan),
        name=label,
        mode="lines+markers" if alone.any() else "lines",
        line=look,
        zorder=OVER.index(look["dash"]) if look["dash"] in OVER else len(OVER),
        marker={"size": np.where(alone, 6, 0)} if alone.any() else None,
        hovertemplate=f"{label}<br>{words['plot.hover_norm']}<extra></extra>",
    )


def _marks(
    name: str, x: NDArray[Any], y: float, symbol: str, colour: str, in_legend: bool
) -> Drawn:
    """Markers at the bottom or top for values that are not finite."""
    return scatter(
        x=x,
        y=np.full(len(x), y),
        name=name,
        mode="markers",
        marker={"symbol": symbol, "size": 6, "color": colour},
        cliponaxis=False,
        showlegend=in_legend,
        hovertemplate=f"{name}<extra></extra>",
    )


def _plain(
    label: str, line: Line, plain: PlainPass, look: dict[str, Any], words: Labels
) -> list[Drawn]:
    """Plain backpropagation where it is wrong, and where it becomes 0, inf or NaN."""
    drawn: list[Drawn] = []
    name = words("plot.plain", label=label)
    norms = plain.log10_norms[: len(line.values)]  # without padding
    off = np.isfinite(norms) & ~np.isclose(norms, line.values, rtol=0, atol=APART)
    if off.any():
        drawn.append(
            scatter(
                x=line.steps,
                y=np.where(off, norms, np.nan),
                name=name,
                mode="lines",
                line=look | {"width": 1, "dash": "solid"},
                opacity=0.6,
                hovertemplate=f"{name}<br>{words['plot.hover_norm']}<extra></extra>",
            )
        )
    if plain.lost is not None:
        at, shows = plain.lost.time, plain.lost.shows
        drawn.append(
            scatter(
                x=line.steps[[at]],
                y=np.nan_to_num(line.values[[at]], posinf=0.0, neginf=0.0),
                name=words("plot.plain_shows", label=label, shows=shows),
                mode="markers",
                marker={
                    "symbol": "circle-open",
                    "size": 11,
                    "color": look["color"],
                    "line": {"width": 2},
                },
                hovertemplate=f"{words('plot.plain_shows', label=label, shows=shows)}"
                f"<br>{words['plot.hover_norm']}<extra></extra>",
            )
        )
    return drawn


def _ends(lines: Iterable[Line]) -> list[float]:
    """All steps, with room for a marker at either end, whether or not there is one."""
    steps = np.concatenate([line.steps for line in lines])
    first, last = float(steps.min(initial=1)), float(steps.max(initial=1))
    room = 0.012 * (last - first) or 0.5
    return [first - room, last + room]


def _alone(there: NDArray[np.bool_]) -> NDArray[np.bool_]:
    beside = np.zeros_like(there)
    beside[1:] |= there[:-1]
    beside[:-1] |= there[1:]
    return there & ~beside


def _limits(colours: Palette, text: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Limit lines and their names; Plotly hides those out of view."""
    shapes: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    for name, ends in LIMITS.items():
        for end in ends:
            line = {"color": colours.muted, "width": 1, "dash": "dot"}
            shapes.append(
                {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": end, "y1": end}
                | {"line": line}
            )
            notes.append(
                {
                    "xref": "paper",
                    "x": 1,  # on the side away from 0
                    "xanchor": "right",
                    "xshift": -6,
                    "y": end,
                    "yanchor": "bottom" if end > 0 else "top",
                    "showarrow": False,
                    "text": text.format(name=name),
                    "font": {"size": 10, "color": colours.muted},
                }
            )
    return shapes, notes
