"""What of one cell stands beside what of another: the rows of every comparison."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnviz.locale import Labels
from rnnviz.plots.gates import largest_of
from rnnviz.trace import Trace

Array = NDArray[Any]

# By row, what each cell has there; a GRU writes 1 − z.
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


def matched(
    trace: Trace, row: str, *, layer: int = -1, direction: str = "forward", batch: int = 0
) -> Array | None:
    """What a network has in a row, (time, unit); None where it has nothing.

    layer: from 0, or −1 for the last; the last of a network that has fewer. direction: forward
    where there is no other.

    >>> trace = rnnviz.trace(torch.nn.GRU(1, 2), torch.ones(3, 1))
    >>> z, i = matched(trace, "keeps"), matched(trace, "writes")
    >>> float(abs(z + i - 1).max()), matched(trace, "output")
    (0.0, None)
    """
    name = ROWS[row].get(trace.cell)
    if name is None:
        return None
    number, side = part_of(trace, layer, direction)
    values = trace.array(name)[number, side, :, batch]
    return 1 - values if row == "writes" and trace.cell == "gru" else values


def part_of(trace: Trace, layer: int, direction: str) -> tuple[int, int]:
    """Layer and direction by number, of those that the network has."""
    layers, directions = trace.array("hidden_state").shape[:2]
    number = layers - 1 if layer < 0 else min(layer, layers - 1)
    return number, min(int(direction == "backward"), directions - 1)


def shown_rows(traces: Sequence[Trace]) -> list[str]:
    """The rows in which at least one of the networks has something."""
    return [row for row, cells in ROWS.items() if any(trace.cell in cells for trace in traces)]


def name_of(trace: Trace, row: str, words: Labels) -> str:
    """What the cell itself calls it, with its symbol."""
    name = ROWS[row][trace.cell]
    symbol = SYMBOLS[name]
    if row == "candidate" and trace.cell == "rnn":
        return f"{PHI[trace.nonlinearity]} = h"
    if row == "writes" and trace.cell == "gru":
        return f"1 − {symbol}"
    if row == "writes" and trace.form.coupled:
        return f"{words[f'gate.{name}']} 1 − f"
    return f"{words[f'gate.{name}']} {symbol}"


def are_alike(first: Trace, other: Trace) -> bool:
    """Whether two networks can be subtracted unit by unit: the same gates and widths."""
    widths = (trace.array("hidden_state").shape[-1] for trace in (first, other))
    return (first.cell, first.form.gates) == (other.cell, other.form.gates) and len({*widths}) == 1


def range_of(row: str, found: Sequence[Array], *, signed: bool = False) -> tuple[float, float]:
    """Where a row's colours begin and end: 0 to 1 for gates, else −most to most.

    signed: of differences, which have no range of their own.
    """
    if row in GATES and not signed:
        return 0.0, 1.0
    most = largest_of(*found)
    if row != "cell_state" and not signed:
        most = max(1.0, most)
    return -most, most


def pool(values: Array, columns: int, rows: int) -> tuple[NDArray[np.float32], int, int]:
    """(unit, time) means of blocks, so many at most, and the steps and units of a block.

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
    return np.ascontiguousarray(values.T, np.float32), wide, high


def _means(values: Array, block: int) -> Array:
    starts = np.arange(0, len(values), block)
    counts = np.diff(starts, append=len(values))
    return np.add.reduceat(values, starts, axis=0) / counts[:, None]
