"""The sensitivity of every state to every input, time × time, one map per network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnviz.errors import RnnvizError
from rnnviz.locale import labels
from rnnviz.plots.drawing import Drawing, as_figure
from rnnviz.plots.networks import by_label, check_labels, check_shown, is_kind
from rnnviz.plots.style import Palette, Scale, axis, layout, palette, titled
from rnnviz.stability import sensitivity_norms
from rnnviz.trace import Trace

if TYPE_CHECKING:
    import xarray

LEFT, RIGHT, TOP, BOTTOM = 58, 62, 30, 44  # pixels around the maps
LEAST = 200  # pixels of a map in which its names have room
BETWEEN = 0.02  # gap between two maps, as a fraction of the width
DECADES = 12  # colours end this far below the largest value
DIMS = ("time", "source")
MOST = 480  # steps along each axis of a map; longer ones are subsampled


@as_figure
def plot_sensitivity(
    sensitivities: xarray.DataArray | Trace | Mapping[str, xarray.DataArray | Trace],
    *,
    height: int = 380,
    language: str = "en",
    dark: bool = False,
) -> Drawing:
    """Heatmaps of log₁₀ ‖∂h_t/∂x_k‖: k, the input's step, across; t, the state's, down.

    sensitivities: one, or several by label: results of ``sensitivity_norms``, over ("time",
    "source"), or traces, for which they are computed. One scale for all; it ends 12 decades below
    the largest. An exact 0, such as for later inputs, has no colour.

    >>> import xarray
    >>> norms = xarray.DataArray([[0.0, -np.inf], [-1.0, 0.0]], dims=("time", "source"))
    >>> plot_sensitivity({"RNN": norms}).data[0].z.tolist()
    [[0.0, nan], [-1.0, 0.0]]
    """
    words, colours = labels(language), palette(dark=dark)
    shown = _by_label(sensitivities)
    arrays = {label: found.values for label, found in shown.items()}
    finite = np.concatenate([v[np.isfinite(v)].ravel() for v in arrays.values()])
    top = float(finite.max(initial=-np.inf)) if finite.size else 0.0
    low = max(float(finite.min(initial=top)), top - DECADES) if finite.size else -1.0
    low = min(low, top - 1)
    width = (1 - BETWEEN * (len(arrays) - 1)) / len(arrays)
    maps: list[dict[str, Any]] = []
    parts: dict[str, Any] = {}
    notes: list[dict[str, Any]] = []
    for number, (label, found) in enumerate(shown.items()):
        n = "" if number == 0 else str(number + 1)
        steps, sources = _places(found, "time"), _places(found, "source")
        down, across = (-(-len(places) // MOST) for places in (steps, sources))
        z = found.values[::down, ::across].astype(np.float32)
        maps.append(
            {
                "type": "heatmap",
                "z": np.where(np.isfinite(z), z, np.nan),
                "x": sources[::across],
                "y": steps[::down],
                "xaxis": f"x{n}",
                "yaxis": f"y{n}",
                "coloraxis": "coloraxis",
                "name": label,
                "hoverongaps": False,
                "zhoverformat": ".2f",
                "hovertemplate": words["plot.hover_sensitivity"],
            }
        )
        left = number * (width + BETWEEN)
        same: dict[str, Any] = {"matches": "x"} if number else {}
        parts[f"xaxis{n}"] = _axis(colours, **same) | {
            "domain": [left, min(1.0, left + width)],
            "range": [0.5, float(max(steps.max(), sources.max())) + 0.5],
            "anchor": f"y{n}",
            "title": titled(words["plot.source"], colours),
        }
        same = {"matches": "y", "showticklabels": False} if number else {}
        parts[f"yaxis{n}"] = _axis(colours, **same) | {
            "range": [float(steps.max()) + 0.5, 0.5],
            "anchor": f"x{n}",
            "title": None if number else titled(words["plot.state_step"], colours),
        }
        notes.append(_name(label, n))
    bar = {
        "thickness": 8,
        "outlinewidth": 0,
        "x": 1,
        "xpad": 8,
        "tickfont": {"size": 10, "color": colours.muted},
        "title": titled("log₁₀ ‖∂h<sub>t</sub>/∂x<sub>k</sub>‖", colours) | {"side": "right"},
        "nticks": 7,
    }
    figure = layout(
        colours,
        height=height,
        margin={"l": LEFT, "r": RIGHT, "t": TOP, "b": BOTTOM},
        annotations=notes,
        coloraxis={"cmin": low, "cmax": top, "colorscale": _norms(colours), "colorbar": bar},
        meta={"time": _time_axes(len(maps)), "least_width": LEAST * len(maps)},
        **parts,
    )
    return Drawing(maps, figure)


def _by_label(given: Any) -> Mapping[str, xarray.DataArray]:
    """The norms by label, computed for traces; RnnvizError for anything else."""
    if isinstance(given, Trace):
        given = by_label(given)
    elif is_kind(given, "DataArray"):
        given = {"": given}
    if isinstance(given, Mapping) and not is_kind(given, "Dataset"):
        given = {n: sensitivity_norms(v) if isinstance(v, Trace) else v for n, v in given.items()}
    check_labels("sensitivities", given, "DataArray")
    check_shown(given)
    for label, found in given.items():
        if found.dims != DIMS or 0 in found.shape:
            came, expected = str(dict(found.sizes)), ", ".join(f"{dim} ≥ 1" for dim in DIMS)
            name = "sensitivities"
            raise RnnvizError(
                "error.plot_result", name=name, label=label, came=came, expected=expected
            )
    return given


def _places(found: xarray.DataArray, dim: str) -> np.ndarray[Any, np.dtype[Any]]:
    """The step numbers along an axis, from 1."""
    if dim in found.coords:
        return np.asarray(found[dim].values) + 1
    return np.arange(1, found.sizes[dim] + 1)


def _time_axes(count: int) -> list[str]:
    """Plotly's ids of the axes of all maps, both of which are times."""
    return [f"{letter}{n + 1 if n else ''}" for n in range(count) for letter in "xy"]


def _axis(colours: Palette, **rest: Any) -> dict[str, Any]:
    frame = {"zeroline": False, "showline": True, "mirror": True, "linecolor": colours.line}
    return axis(colours, nticks=6, **frame, **rest)


def _name(label: str, n: str) -> dict[str, Any]:
    return {
        "text": f"<b>{label}</b>",
        "xref": f"x{n} domain",
        "yref": "paper",
        "x": 0,
        "y": 1,
        "yshift": 4,
        "xanchor": "left",
        "yanchor": "bottom",
        "showarrow": False,
    }


def _norms(colours: Palette) -> Scale:
    """The colours of norms, which are neither signed nor bounded by 1: from light grey to ink."""
    return [(0.0, colours.line), (0.5, colours.muted), (1.0, colours.ink)]
