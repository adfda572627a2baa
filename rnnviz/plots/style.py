"""Colours, scales and layout of every figure, in light and in dark.

Gates are 0–1 on teal; states, candidates and sums are signed, blue through the background colour
to orange, centred on 0. Both scales vary in lightness, so they are legible without colour.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Scale = list[tuple[float, str]]

# Plotly subtracts and divides the ends of a scale: these leave room for it in a float.
LARGEST, SMALLEST = 1e300, 1e-300

FONT = "Inter, 'Noto Sans', 'Noto Sans KR', 'Noto Sans CJK KR', sans-serif"
MONOSPACE = "'JetBrains Mono', 'DejaVu Sans Mono', 'Noto Sans Mono CJK KR', monospace"


@dataclass(frozen=True)
class Palette:
    """Colours by their meaning."""

    ink: str
    muted: str
    line: str
    ground: str
    gate: Scale  # 0–1
    signed: Scale  # −1–1, 0 in the middle
    selected: str
    accent: str  # of letters that are chosen, or a link
    cells: dict[str, str]  # a cell keeps its colour, and its dash, in every line chart
    lines: dict[str, str]  # of gates and states, by symbol


LIGHT = Palette(
    ink="#1c2330",
    muted="#5d6673",
    line="#d9dce1",
    ground="#ffffff",
    gate=[(0, "#ffffff"), (0.25, "#cfe3e5"), (0.5, "#8fbdc4"), (0.75, "#3f8793"), (1, "#005f73")],
    signed=[(0, "#1f4e9e"), (0.25, "#8ba7d9"), (0.5, "#fbfbfa"), (0.75, "#efa680"), (1, "#c9480c")],
    selected="#e69f00",
    accent="#005f73",
    cells={"lstm": "#005f73", "gru": "#7b4fa3", "rnn": "#c9480c"},
    lines={
        **dict.fromkeys("fz", "#00798c"),
        **dict.fromkeys("ir", "#7b4fa3"),
        "o": "#9a6700",
        **dict.fromkeys("gn", "#c9480c"),
        **dict.fromkeys("ca", "#1f4e9e"),
        "h": "#1c2330",
    },
)
DARK = Palette(
    ink="#e6e9ee",
    muted="#9aa4b2",
    line="#363e4a",
    ground="#1b212a",
    gate=[(0, "#161b22"), (0.25, "#12404b"), (0.5, "#1a6e7c"), (0.75, "#3ba3ad"), (1, "#9be8ea")],
    signed=[(0, "#8db8ff"), (0.25, "#3f66ab"), (0.5, "#1b212a"), (0.75, "#a9522a"), (1, "#ffae7d")],
    selected="#f2b134",
    accent="#5bb8c4",
    cells={"lstm": "#5bc8d3", "gru": "#c3a1ea", "rnn": "#ffae7d"},
    lines={
        **dict.fromkeys("fz", "#5bc8d3"),
        **dict.fromkeys("ir", "#c3a1ea"),
        "o": "#f2b134",
        **dict.fromkeys("gn", "#ffae7d"),
        **dict.fromkeys("ca", "#8db8ff"),
        "h": "#e6e9ee",
    },
)


def palette(*, dark: bool = False) -> Palette:
    """The colours for a light or a dark page."""
    return DARK if dark else LIGHT


def layout(colours: Palette, **rest: Any) -> dict[str, Any]:
    """A figure's layout with the common font and background; ``rest`` adds to it.

    A plain dict: plotly applies one dict faster than many small updates.
    """
    return {
        "template": "none",
        "font": {"family": FONT, "color": colours.ink, "size": 12},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "hoverlabel": {
            "bgcolor": colours.ground,
            "bordercolor": colours.line,
            "font": {"family": MONOSPACE, "color": colours.ink, "size": 12},
        },
        "showlegend": False,
        **rest,
    }


def as_float32(values: NDArray[Any]) -> NDArray[np.float32]:
    """The values in float32, contiguous; those beyond its range are at its ends."""
    if values.dtype != np.float32:
        end = np.finfo(np.float32).max
        values = np.clip(values, -end, end)
    return np.ascontiguousarray(values, dtype=np.float32)


def end_of_scale(maximum: float) -> float:
    """A round number at or slightly above ``maximum``, as the end of a scale; 1 for 0.

    The scale seldom changes while numbers are edited, so that colours stay comparable. It ends at
    LARGEST at most.

    >>> end_of_scale(0.23), end_of_scale(0.3), end_of_scale(72.0), end_of_scale(0.0)
    (0.3, 0.3, 100.0, 1.0)
    """
    if not maximum >= SMALLEST:
        return SMALLEST if maximum else 1.0
    power = math.floor(math.log10(min(maximum, LARGEST)))
    # parsed from text, since 3 * 10**-1 is not 0.3
    ends = (float(f"{digits}e{power}") for digits in ("1", "1.5", "2", "3", "5", "7", "10"))
    return next((end for end in ends if maximum <= end <= LARGEST), LARGEST)


def ends_of_axis(low: float, high: float, parts: int = 8) -> list[float]:
    """A range that includes both, and seldom changes while numbers are edited.

    Multiples of a round step, at most ``parts`` of which cover the data; within ±LARGEST.

    >>> ends_of_axis(-12.3, 0.7), ends_of_axis(-math.inf, math.inf)
    ([-14.0, 2.0], [-1e+300, 1e+300])
    """
    low, high = max(low, -LARGEST), min(high, LARGEST)
    step = end_of_scale((high - low) / parts)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [float(f"{min(max(step * n, -LARGEST), LARGEST):.12g}") for n in (first, last)]


def axis(colours: Palette, **rest: Any) -> dict[str, Any]:
    """An axis with thin lines and small muted labels, without a grid; ``rest`` adds to it.

    Tick labels are level and margins fixed: otherwise plotly measures every label at every redraw,
    its slowest step.
    """
    return {
        "showgrid": False,
        "showline": False,
        "ticks": "",
        "zerolinecolor": colours.line,
        "tickfont": {"color": colours.muted, "size": 11},
        "automargin": False,
        "tickangle": 0,
        "ticklabeloverflow": "allow",
        **rest,
    }


def titled(text: str, colours: Palette) -> dict[str, Any]:
    """An axis title, small and muted."""
    return {"text": text, "font": {"size": 11, "color": colours.muted}}


def legend_above() -> dict[str, Any]:
    """A legend in one row above the plot."""
    legend = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 11}}
    return {"showlegend": True, "legend": legend}
