"""Cell and hidden state of a trace over time."""

import plotly.graph_objects as go

from rnnviz.plots.gates import largest
from rnnviz.plots.heatmaps import Row, plot_rows
from rnnviz.plots.networks import Traces, only_one
from rnnviz.plots.view import WHOLE, View

UNBOUNDED = ("relu", "identity")


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
    maximum = largest(trace, "hidden_state") if trace.nonlinearity in UNBOUNDED else 1.0
    rows.append(Row("hidden_state", -maximum, maximum))
    return plot_rows(trace, rows, view, row_height=row_height, language=language, dark=dark)
