"""How large the gradient is at every time step, one line a network."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from rnnviz.gradients import gradient_norms
from rnnviz.locale import labels
from rnnviz.plots.lines import Line, plot_lines
from rnnviz.trace import Trace


def plot_gradient_norms(
    traces: Mapping[str, Trace],
    *,
    name: str = "hidden_state",
    layer: int = 0,
    direction: str = "forward",
    batch: int = 0,
    height: int = 360,
    language: str = "en",
    dark: bool = False,
) -> go.Figure:
    """log₁₀ ‖∂L/∂·_t‖ over time, with the limits of float32 and float64 where they are reached.

    traces: by the label of their lines, each made with a loss. name: the state or pre-activation
    by which is differentiated. An exact 0 stands as a cross at the foot.

    >>> trace = rnnviz.trace(torch.nn.LSTM(1, 2), torch.ones(4, 1), loss="last")
    >>> rnnviz.plot_gradient_norms({"LSTM": trace}).data[0].y.shape
    (4,)
    """
    words = labels(language)
    lines: dict[str, Line] = {}
    for label, trace in traces.items():
        norms = gradient_norms(trace)[name].sel(layer=layer, direction=direction, batch=batch)
        values = norms.values.astype(np.float64)
        lines[label] = Line(trace.cell, np.arange(1, len(values) + 1), values)
    return plot_lines(
        lines,
        x_title=words["plot.time"],
        y_title=words["plot.log_gradient"],
        height=height,
        language=language,
        dark=dark,
    )
