"""The norm of the gradient at every time step, one line per network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from rnnviz.errors import RnnvizError
from rnnviz.gradients import PlainPass, gradient_norms
from rnnviz.gradients.norms import reused
from rnnviz.locale import labels
from rnnviz.plots.drawing import Drawing, as_figure
from rnnviz.plots.lines import Line, draw_lines
from rnnviz.plots.networks import Traces, by_label, check_shape, results_by_label
from rnnviz.shapes import GRAD_INPUT
from rnnviz.trace_part import TracePart

if TYPE_CHECKING:
    import xarray


@as_figure
def plot_gradient_norms(
    traces: Traces,
    *,
    name: str = "hidden_state",
    norms: xarray.Dataset | Mapping[str, xarray.Dataset] | None = None,
    float32: PlainPass | Mapping[str, PlainPass] | None = None,
    layer: int = 0,
    direction: str = "forward",
    batch: int = 0,
    height: int = 360,
    language: str = "en",
    dark: bool = False,
) -> Drawing:
    """log₁₀ ‖∂L/∂·_t‖ over time, with the limits of float32 and float64 where they are reached.

    traces: one, or several by label, each made with a loss. name: the state or pre-activation that
    the loss is differentiated with respect to. An exact 0 is a cross at the bottom. norms:
    results of ``gradient_norms`` to reuse. float32: results of ``plain_pass``, drawn as a thin line
    where they are wrong, with a marker where the gradient is lost. Both are one result for one
    trace, or by label. RnnvizError for the result of another trace.

    >>> trace = rnnviz.trace(torch.nn.LSTM(1, 2), torch.ones(4, 1), loss="last")
    >>> rnnviz.plot_gradient_norms({"LSTM": trace}).data[0].y.shape
    (4,)
    """
    traces = by_label(traces)
    words = labels(language)
    known = results_by_label("norms", norms, traces, "Dataset")
    plain_passes = results_by_label("float32", float32, traces, "PlainPass")
    lines: dict[str, Line] = {}
    for label, trace in traces.items():
        part = TracePart(trace, layer, direction, batch)
        found = known.get(label)
        found = gradient_norms(trace) if found is None else found
        if name not in trace.differentiated:
            expected = ", ".join(n for n in trace if n != GRAD_INPUT)  # not of a layer
            raise RnnvizError("error.trace_name", came=f"grad_{name}", expected=expected)
        values = reused(found, [name], trace, gradient_norms)[name]
        values = values[part.layer, part.direction_number, : part.end, part.batch]
        plain = plain_passes.get(label)
        if plain is not None:
            check_shape("float32", label, plain.log10_norms, (trace.steps,))
        lines[label] = Line(trace.cell, np.arange(1, len(values) + 1), values, plain)
    return draw_lines(
        lines,
        x_title=words["plot.time"],
        y_title=words["plot.log_gradient"],
        height=height,
        language=language,
        dark=dark,
    )
