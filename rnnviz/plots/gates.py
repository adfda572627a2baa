"""Every gate and candidate of a trace over time."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from rnnviz.cells import GATES_AS_READ
from rnnviz.plots.heatmaps import Row, plot_rows
from rnnviz.plots.networks import Traces, only_one
from rnnviz.plots.style import LARGEST
from rnnviz.plots.view import WHOLE, View
from rnnviz.trace import Trace


def plot_gates(
    trace: Traces,
    *,
    view: View = WHOLE,
    row_height: int = 96,
    language: str = "en",
    dark: bool = False,
) -> go.Figure:
    """Heatmaps of time × unit: gates from 0 to 1, candidates from −1 to 1.

    A plain RNN has no gates; its figure shows the pre-activation, scaled to its values.
    trace: one, or a mapping with one. view: the part, steps and units shown; the whole first layer
    by default. row_height: pixels.
    RnnvizError for a view of a part, step or unit that the trace lacks, and for several traces.

    >>> figure = rnnviz.plot_gates(rnnviz.trace(torch.nn.GRU(1, 2), torch.ones(3, 1)))
    >>> [heatmap.name for heatmap in figure.data]
    ['update gate', 'reset gate', 'candidate']
    """
    trace = only_one(trace)
    if trace.cell == "rnn":
        maximum = largest(trace, "hidden_preactivation")
        rows = [Row("hidden_preactivation", -maximum, maximum)]
    else:
        signed = ("cell_candidate", "hidden_candidate")
        rows = [Row(g, -1 if g in signed else 0, 1) for g in GATES_AS_READ[trace.cell]]
    return plot_rows(trace, rows, view, row_height=row_height, language=language, dark=dark)


def largest(trace: Trace, name: str) -> float:
    """The end of a scale centred on 0 for an array of a trace; see ``largest_of``."""
    return largest_of(trace.array(name))


def largest_of(*arrays: NDArray[Any]) -> float:
    """The end of a scale centred on 0 for arrays: their largest absolute value.

    If the largest is over four times the 90th percentile, the percentile instead, so that a
    few outliers do not leave all other values white; 1 if all are 0.

    >>> largest_of(np.array([0.0, -3.0]), np.array([2.0]))
    3.0
    """
    sizes = np.abs(np.concatenate([values.ravel() for values in arrays]))
    sizes = sizes[np.isfinite(sizes)]
    top = min(float(sizes.max(initial=0.0)), LARGEST)
    usual = float(np.quantile(sizes, 0.9)) if top > 0 else 0.0
    if 0 < 4 * usual < top:
        return usual
    return top if top > 0 else 1.0
