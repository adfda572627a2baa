"""Cell and hidden state of a trace over time."""

import numpy as np
import plotly.graph_objects as go

from rnnviz.activations import find_activation
from rnnviz.plots.gates import largest
from rnnviz.plots.heatmaps import Row, plot_rows
from rnnviz.plots.networks import Traces, only_one
from rnnviz.plots.view import WHOLE, View
from rnnviz.trace import Trace


def is_bounded(trace: Trace) -> bool:
    """Whether every hidden state is between −1 and 1.

    >>> is_bounded(rnnviz.trace(torch.nn.RNN(1, 1, nonlinearity="relu"), torch.ones(1, 1)))
    False
    """
    if trace.own_step:
        return bool(np.nanmax(np.abs(trace.array("hidden_state"))) <= 1)
    form = trace.form
    outer = {"rnn": form.nonlinearity, "lstm": form.output_activation, "gru": form.activation}
    gate, state = find_activation(form.gate_activation), find_activation(str(outer[form.cell]))
    assert gate is not None
    assert state is not None
    return gate.low >= 0 and gate.high <= 1 and state.low >= -1 and state.high <= 1


def plot_states(
    trace: Traces,
    *,
    view: View = WHOLE,
    row_height: int = 96,
    language: str = "en",
    dark: bool = False,
) -> go.Figure:
    """Heatmaps of time × unit, centred on 0: the cell state of an LSTM, and the hidden state.

    A hidden state is shown from −1 to 1; a cell state, and the state of a ReLU or linear network,
    up to the largest value, or to the 90th percentile if a few are far larger. Arguments: as in
    ``plot_gates``.

    >>> figure = rnnviz.plot_states(rnnviz.trace(torch.nn.LSTM(1, 2), torch.ones(3, 1)))
    >>> [heatmap.name for heatmap in figure.data]
    ['cell state', 'hidden state']
    """
    trace = only_one(trace)
    rows: list[Row] = []
    if trace.cell == "lstm":
        maximum = largest(trace, "cell_state")
        rows.append(Row("cell_state", -maximum, maximum))
    maximum = 1.0 if is_bounded(trace) else largest(trace, "hidden_state")
    rows.append(Row("hidden_state", -maximum, maximum))
    return plot_rows(trace, rows, view, row_height=row_height, language=language, dark=dark)
