"""The effect of a change of the state at each step on the last state, one line per network."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rnnviz.locale import labels
from rnnviz.plots.drawing import Drawing, as_figure
from rnnviz.plots.lines import Line, draw_lines
from rnnviz.plots.networks import Traces, by_label, check_shape, results_by_label
from rnnviz.stability import JacobianBlocks, backward_norms
from rnnviz.trace_part import TracePart


@as_figure
def plot_jacobian_norms(
    traces: Traces,
    *,
    norms: NDArray[np.float64] | Mapping[str, NDArray[np.float64]] | None = None,
    layer: int = 0,
    direction: str = "forward",
    batch: int = 0,
    height: int = 360,
    language: str = "en",
    dark: bool = False,
) -> Drawing:
    """log₁₀ ‖∂s_T/∂s_t‖₂ for t = 0…T, s = h, for an LSTM s = (h, c).

    traces: one, or several by label. norms: results of ``backward_norms``, (T + 1,), to reuse, one
    for one trace, or by label.

    >>> module = torch.nn.RNN(1, 1, nonlinearity="relu")
    >>> for p in module.parameters(): _ = torch.nn.init.constant_(p, 0.1)
    >>> trace = rnnviz.trace(module, torch.ones(3, 1))
    >>> rnnviz.plot_jacobian_norms({"RNN": trace}).data[0].y.round(4)
    array([-3., -2., -1.,  0.])
    """
    traces = by_label(traces)
    words = labels(language)
    known = results_by_label("norms", norms, traces, "ndarray")
    lines: dict[str, Line] = {}
    for label, trace in traces.items():
        part = TracePart(trace, layer, direction, batch)
        values = known.get(label)
        if values is None:
            blocks = JacobianBlocks(trace, layer=layer, direction=direction, batch=batch)
            values = backward_norms(blocks)
        check_shape("norms", label, values, (part.length + 1,))
        steps = np.arange(len(values))
        if trace.mask is not None:  # masked steps leave gaps
            steps[1:] = part.end - part.times if part.is_backward else part.times + 1
        lines[label] = Line(trace.cell, steps, values)
    return draw_lines(
        lines,
        x_title=words["plot.time"],
        y_title=words["plot.log_jacobian"],
        height=height,
        language=language,
        dark=dark,
    )
