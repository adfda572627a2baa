"""How large the gradient is at every time step, one line a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from rnnviz.gradients import PlainPass, gradient_norms
from rnnviz.gradients.backpropagation import valid_lengths
from rnnviz.gradients.diagnosis import check_part
from rnnviz.locale import labels
from rnnviz.plots.drawing import Drawing, as_figure
from rnnviz.plots.lines import Line, draw_lines
from rnnviz.plots.style import check_shown
from rnnviz.trace import Trace

if TYPE_CHECKING:
    import xarray


@as_figure
def plot_gradient_norms(
    traces: Mapping[str, Trace],
    *,
    name: str = "hidden_state",
    norms: Mapping[str, xarray.Dataset] | None = None,
    float32: Mapping[str, PlainPass] | None = None,
    layer: int = 0,
    direction: str = "forward",
    batch: int = 0,
    height: int = 360,
    language: str = "en",
    dark: bool = False,
) -> Drawing:
    """log₁₀ ‖∂L/∂·_t‖ over time, with the limits of float32 and float64 where they are reached.

    traces: by the label of their lines, each made with a loss. name: the state or pre-activation
    by which is differentiated. An exact 0 stands as a cross at the foot. norms: by label, where
    ``gradient_norms`` have been worked out before. float32: by label what plain backpropagation
    gives, drawn thin where it is wrong, with a mark where it is lost.

    >>> trace = rnnviz.trace(torch.nn.LSTM(1, 2), torch.ones(4, 1), loss="last")
    >>> rnnviz.plot_gradient_norms({"LSTM": trace}).data[0].y.shape
    (4,)
    """
    check_shown(traces)
    words = labels(language)
    lines: dict[str, Line] = {}
    for label, trace in traces.items():
        number = check_part(trace, layer, direction, batch)
        found = (norms or {}).get(label)
        found = gradient_norms(trace) if found is None else found
        trace.array(f"grad_{name}")  # an error where there is none
        steps = int(valid_lengths(trace)[batch])
        values = found[name].values[layer, number, :steps, batch].astype(np.float64)
        plain = None if float32 is None else float32.get(label)
        lines[label] = Line(trace.cell, np.arange(1, len(values) + 1), values, plain)
    return draw_lines(
        lines,
        x_title=words["plot.time"],
        y_title=words["plot.log_gradient"],
        height=height,
        language=language,
        dark=dark,
    )
