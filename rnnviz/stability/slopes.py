"""Derivatives of gates and states at each recorded step, of which Jacobians are made."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnviz.trace_part import TracePart

Array = NDArray[Any]


class Slopes(NamedTuple):
    """One part of a trace for one sequence, (time, …, unit) in the direction's order, float64.

    carry: the direct dependence on the previous state, with all pre-activations fixed:
    ∂c_t/∂c_{t−1} of an LSTM, ∂h_t/∂h_{t−1} of a GRU, 0 of an RNN.
    gates: (time, gate, unit), the derivative of the state with respect to each gate's
    pre-activation, in torch's order; for an LSTM's output gate ∂h_t/∂a_o; for a GRU's reset gate
    through the candidate or, with the reset before the product, ∂(r h_{t−1})/∂a_r.
    out: (time, unit or projection); LSTM: 1, and 0 where the hidden state is held; GRU: r; RNN: 1.
    by_cell: LSTM: ∂(o tanh c)/∂c_t.
    """

    carry: NDArray[np.float64]
    gates: NDArray[np.float64]
    out: NDArray[np.float64]
    by_cell: NDArray[np.float64]


@np.errstate(invalid="ignore", over="ignore")  # states that overflowed
def slopes_of(part: TracePart) -> Slopes:
    """The slopes at the recorded states of one sequence."""
    trace, own, before = part.trace, part.in_order, part.before
    held = part.held()

    def free(values: NDArray[np.float64], *names: str) -> NDArray[np.float64]:
        """0 where any of these gates and states is held."""
        for name in () if held is None else names:
            values = np.where(np.isnan(getattr(held, name)[: part.length, part.batch]), values, 0.0)
        return values

    if trace.cell == "rnn":
        slope = free(_slope(trace.nonlinearity, own("hidden_state")), "hidden_state")
        return Slopes(np.zeros_like(slope), slope[:, None], np.ones_like(slope), slope)
    if trace.cell == "gru":
        r, z, n = own("reset_gate"), own("update_gate"), own("hidden_candidate")
        h = before("hidden_state")
        by_n = free((1 - z) * (1 - n * n), "hidden_candidate", "hidden_state")
        by_r = h * r * (1 - r)
        if trace.form.reset_after:
            m = part.candidate_recurrence()[: part.length, part.batch]
            by_r = by_n * m * r * (1 - r)
        by_z = free((h - n) * z * (1 - z), "update_gate", "hidden_state")
        by_r = free(by_r, "reset_gate")
        return Slopes(free(z, "hidden_state"), np.stack((by_r, by_z, by_n), 1), r, by_n)
    i, f, g, o = (
        own(name) for name in ("input_gate", "forget_gate", "cell_candidate", "output_gate")
    )
    c, tanh_c = before("cell_state"), np.tanh(own("cell_state"))
    by_i = free(g * i * (1 - i), "input_gate", "cell_state")
    by_f = c * f * (1 - f)
    if trace.form.coupled:
        by_f, by_i = (c - free(g, "input_gate")) * f * (1 - f), np.zeros_like(by_i)
    by_f = free(by_f, "forget_gate", "cell_state")
    by_g = free(i * (1 - g * g), "cell_candidate", "cell_state")
    by_o = free(tanh_c * o * (1 - o), "output_gate")
    by_cell, carry = o * (1 - tanh_c * tanh_c), free(f, "cell_state")
    p = part.parameter("weight_peephole")
    if p is not None:
        *p_i, p_f, p_o = p
        carry = carry + by_f * p_f + (by_i * p_i[0] if p_i else 0.0)
        by_cell = by_cell + by_o * p_o
    width = part.output_units
    out = free(np.ones((part.length, width)), "hidden_state")
    if width == by_o.shape[1]:  # no projection
        by_o, by_cell = out * by_o, out * by_cell
    return Slopes(carry, np.stack((by_i, by_f, by_g, by_o), 1), out, by_cell)


def _slope(nonlinearity: str, h: NDArray[np.float64]) -> NDArray[np.float64]:
    return {
        "tanh": 1 - h * h,
        "relu": np.where(np.isnan(h), h, h > 0),  # NaN has no derivative
        "sigmoid": h * (1 - h),
        "identity": np.ones_like(h),
    }[nonlinearity]
