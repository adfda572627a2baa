"""The contribution of every step to the gradient of the recurrent weights, per network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from rnnviz.gradients import weight_gradient_norms
from rnnviz.gradients.norms import reused
from rnnviz.locale import labels
from rnnviz.plots.drawing import Drawing, as_figure
from rnnviz.plots.lines import Line, draw_lines
from rnnviz.plots.networks import Traces, by_label, results_by_label
from rnnviz.trace_part import TracePart

if TYPE_CHECKING:
    import xarray


@as_figure
def plot_weight_gradients(
    traces: Traces,
    *,
    norms: xarray.Dataset | Mapping[str, xarray.Dataset] | None = None,
    layer: int = 0,
    direction: str = "forward",
    batch: int = 0,
    height: int = 360,
    language: str = "en",
    dark: bool = False,
) -> Drawing:
    """log₁₀ ‖δa_t h_{t−1}ᵀ‖ over time: the terms of ∂L/∂U.

    traces: one, or several by label, each made with a loss. norms: results of
    ``weight_gradient_norms`` to reuse, one for one trace, or by label. RnnvizError for the result
    of another trace.

    >>> trace = rnnviz.trace(torch.nn.GRU(1, 2), torch.ones(4, 1), loss="all")
    >>> [line.name for line in rnnviz.plot_weight_gradients({"GRU": trace}).data]
    ['GRU', 'GRU: exactly 0']
    """
    traces = by_label(traces)
    words = labels(language)
    known = results_by_label("norms", norms, traces, "Dataset")
    lines: dict[str, Line] = {}
    for label, trace in traces.items():
        part = TracePart(trace, layer, direction, batch)
        found = known.get(label)
        found = weight_gradient_norms(trace) if found is None else found
        name = "log10_contribution"
        values = reused(found, [name], trace, weight_gradient_norms)[name]
        values = values[part.layer, part.direction_number, : part.end, part.batch]
        lines[label] = Line(trace.cell, np.arange(1, len(values) + 1), values)
    return draw_lines(
        lines,
        x_title=words["plot.time"],
        y_title=words["plot.log_contribution"],
        height=height,
        language=language,
        dark=dark,
    )
