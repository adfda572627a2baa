"""By how much each step changes the state of a network."""

import numpy as np
from numpy.typing import NDArray

from rnnviz.trace import Trace
from rnnviz.trace_part import TracePart


def state_changes(trace: Trace, *, layer: int = -1) -> NDArray[np.float64]:
    """‖h_t − h_{t−1}‖ / ‖h_{t−1}‖ of a layer's forward direction in the first sequence, (time,).

    layer: from 0; by default the last. NaN at a step whose state before is 0, as at the first step
    without an initial state. RnnvizError for a layer that the trace lacks.

    >>> cell = torch.nn.RNN(1, 1, nonlinearity="relu", bias=False)
    >>> with torch.no_grad(): _ = cell.weight_hh_l0.fill_(3), cell.weight_ih_l0.fill_(0)
    >>> trace = rnnviz.trace(cell, torch.zeros(2, 1), state=torch.ones(1, 1))
    >>> state_changes(trace).tolist()
    [2.0, 2.0]
    """
    part = TracePart(trace, trace.layers - 1 if layer == -1 else layer, batch=0)
    after = part.array("hidden_state").astype(np.float64)
    before = np.concatenate([part.initial("hidden_state")[None].astype(np.float64), after[:-1]])
    change, size = np.linalg.norm(after - before, axis=1), np.linalg.norm(before, axis=1)
    return np.divide(change, size, out=np.full(len(size), np.nan), where=size > 0)
