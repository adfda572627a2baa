"""Corresponding gates and states of different cells: the rows of every comparison."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnviz.errors import whole_number
from rnnviz.locale import Labels
from rnnviz.plots.gates import largest_of
from rnnviz.plots.style import as_float32
from rnnviz.trace import Trace
from rnnviz.trace_part import TracePart

Array = NDArray[Any]

# By row, the array of each cell; in "writes" a GRU has 1 − z.
ROWS: Mapping[str, Mapping[str, str]] = {
    "keeps": {"lstm": "forget_gate", "gru": "update_gate"},
    "writes": {"lstm": "input_gate", "gru": "update_gate"},
    "candidate": {"lstm": "cell_candidate", "gru": "hidden_candidate", "rnn": "hidden_state"},
    "reset": {"gru": "reset_gate"},
    "output": {"lstm": "output_gate"},
    "cell_state": {"lstm": "cell_state"},
    "hidden_state": {"lstm": "hidden_state", "gru": "hidden_state", "rnn": "hidden_state"},
}
GATES = ("keeps", "writes", "reset", "output")  # those from 0 to 1
SYMBOLS = {
    "forget_gate": "f",
    "input_gate": "i",
    "cell_candidate": "g",
    "output_gate": "o",
    "update_gate": "z",
    "hidden_candidate": "n",
    "reset_gate": "r",
    "cell_state": "c",
    "hidden_state": "h",
}
PHI = {"tanh": "tanh(a)", "relu": "ReLU(a)", "sigmoid": "σ(a)", "identity": "a"}


def matched(part: TracePart, row: str) -> Array | None:
    """The array of one sequence in a row, (time, unit); None if the cell has nothing there.

    >>> part = TracePart(rnnviz.trace(torch.nn.GRU(1, 2), torch.ones(3, 1)), batch=0)
    >>> z, i = matched(part, "keeps"), matched(part, "writes")
    >>> float(abs(z + i - 1).max()), matched(part, "output")
    (0.0, None)
    """
    cell = part.trace.cell
    name = ROWS[row].get(cell)
    if name is None or name not in part.trace:  # a cell of one's own need not have it
        return None
    values = part.array(name)
    return 1 - values if row == "writes" and cell == "gru" else values


def nearest_part(
    trace: Trace, *, layer: int | None = None, direction: str = "forward", batch: int = 0
) -> TracePart:
    """The part of a network that is compared: its last layer for None or if it has fewer.

    Forward if the network has no backward direction.
    """
    last = trace.layers - 1
    nearest = last if layer is None else min(whole_number("layer", layer, trace.layers), last)
    only_forward = direction == "backward" and trace.directions == 1
    return TracePart(trace, nearest, "forward" if only_forward else direction, batch)


def parts_by_label(
    traces: Mapping[str, Trace], layer: int | None, direction: str, batch: int
) -> dict[str, TracePart]:
    """``nearest_part`` of every network; RnnvizError if none has the layer or direction."""
    deepest = max(traces.values(), key=lambda trace: trace.layers)
    widest = max(traces.values(), key=lambda trace: trace.directions)
    TracePart(deepest, deepest.layers - 1 if layer is None else layer)
    TracePart(widest, direction=direction)
    return {
        label: nearest_part(trace, layer=layer, direction=direction, batch=batch)
        for label, trace in traces.items()
    }


def shown_rows(traces: Sequence[Trace]) -> list[str]:
    """The rows in which at least one of the networks has an array."""
    return [
        row
        for row, cells in ROWS.items()
        if any(cells.get(trace.cell) in trace for trace in traces)
    ]


def name_of(trace: Trace, row: str, words: Labels) -> str:
    """The cell's own name for a row, with its symbol."""
    name, phi = ROWS[row][trace.cell], trace.nonlinearity
    symbol = SYMBOLS[name]
    if row == "candidate" and trace.cell == "rnn":
        return "h" if trace.own_step else f"{PHI.get(phi, f'{phi}(a)')} = h"
    if row == "writes" and trace.cell == "gru":
        return f"1 − {symbol}"
    if row == "writes" and trace.form.coupled:
        return f"{words[f'gate.{name}']} 1 − f"
    return f"{words[f'gate.{name}']} {symbol}"


def are_alike(first: Trace, other: Trace) -> bool:
    """Whether two networks can be subtracted unit by unit: the same gates, widths and steps."""
    same_gates = (first.cell, first.form.gates) == (other.cell, other.form.gates)
    first_sizes, other_sizes = ((set(t.widths), t.steps) for t in (first, other))
    return same_gates and first_sizes == other_sizes


def range_of(row: str, found: Sequence[Array], *, signed: bool = False) -> tuple[float, float]:
    """The ends of a row's colour scale: 0 and 1 for gates, else −maximum and maximum.

    signed: for differences, which have no fixed range.
    """
    if row in GATES and not signed:
        return 0.0, 1.0
    maximum = largest_of(*found)
    if row != "cell_state" and not signed:
        maximum = max(1.0, maximum)
    return -maximum, maximum


def pool(values: Array, columns: int, rows: int) -> tuple[NDArray[np.float32], int, int]:
    """(unit, time) means of at most columns × rows blocks, and the steps and units of a block.

    >>> pool(np.arange(10.0).reshape(5, 2), 3, 9)
    (array([[1., 5., 8.],
           [2., 6., 9.]], dtype=float32), 2, 1)
    """
    steps, units = values.shape
    wide, high = -(-steps // columns), -(-units // rows)
    if wide > 1:
        values = _means(values, wide)
    if high > 1:
        values = _means(values.T, high).T
    return as_float32(values.T), wide, high


def _means(values: Array, block: int) -> Array:
    starts = np.arange(0, len(values), block)
    counts = np.diff(starts, append=len(values))
    return np.add.reduceat(values, starts, axis=0) / counts[:, None]
