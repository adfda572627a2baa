"""Every gate and candidate of a trace over time."""

import math
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from rnnviz.activations import find_activation
from rnnviz.cells import GATES_AS_READ
from rnnviz.errors import RnnvizError
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

    A plain RNN has no gates; its figure shows the pre-activation, scaled to its values. So are
    gates of other ranges, by their activation or in a cell with its own step, which shows all gates
    that its step returns, by their names.
    trace: one, or a mapping with one. view: the part, steps and units shown; the whole first layer
    by default. row_height: pixels.
    RnnvizError for a view of a part, step or unit that the trace lacks, and for several traces.

    >>> figure = rnnviz.plot_gates(rnnviz.trace(torch.nn.GRU(1, 2), torch.ones(3, 1)))
    >>> [heatmap.name for heatmap in figure.data]
    ['update gate', 'reset gate', 'candidate']
    """
    trace = only_one(trace)
    rows = [gate_row(trace, name) for name in gate_names(trace)]
    if not rows:
        raise RnnvizError("error.own_no_gates", module=trace.module_repr.partition("(")[0])
    return plot_rows(trace, rows, view, row_height=row_height, language=language, dark=dark)


def gate_names(trace: Trace) -> tuple[str, ...]:
    """The arrays to show as gates, in reading order: gates, else pre-activations.

    >>> gate_names(rnnviz.trace(torch.nn.RNN(1, 1), torch.ones(1, 1)))
    ('hidden_preactivation',)
    """
    usual = [gate for gate in GATES_AS_READ[trace.cell] if gate in trace.gates]
    others = [gate for gate in trace.gates if gate not in usual]
    return (*usual, *others) or trace.preactivations


def gate_row(trace: Trace, name: str) -> Row:
    """A gate's colours: from 0 or −1 to 1 where its activation has that range, else its values'."""
    values = trace.array(name)
    if name in trace.preactivations:
        low, high = -math.inf, math.inf
    elif trace.own_step:
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        low, high = (0.0 if low >= 0 else -1.0 if low >= -1 else low), (1.0 if high <= 1 else high)
    else:
        activation = find_activation(trace.form.activation_of(name))
        assert activation is not None
        low, high = activation.low, activation.high
    if (low, high) in ((0.0, 1.0), (-1.0, 1.0)):
        return Row(name, low, high)
    maximum = largest(trace, name)
    return Row(name, -maximum, maximum)


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
