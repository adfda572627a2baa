"""How steep gates and states are at each recorded step: what Jacobians are made of."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnviz.gradients.backpropagation import (
    candidate_recurrence,
    held_steps,
    own_order,
    parameter,
    valid_lengths,
)
from rnnviz.gradients.diagnosis import check_part
from rnnviz.trace import Trace

Array = NDArray[Any]


class Slopes(NamedTuple):
    """One layer in one direction for one sequence, (time, …, unit) in its own order, float64.

    keep: what of the state before stays, apart from the sums of the gates: ∂c_t/∂c_{t−1} of an
    LSTM, ∂h_t/∂h_{t−1} of a GRU; 0 of an RNN.
    gates: (time, gate, unit), ∂ of the state by each gate's pre-activation, in torch's order; of
    an LSTM's output gate ∂h_t/∂a_o; of a GRU's reset gate by way of the candidate, and where the
    reset comes before the product ∂(r h_{t−1})/∂a_r.
    out: (time, unit or projection), of an LSTM 1, and 0 where the hidden state is held; of a GRU
    r; of an RNN 1. by_cell: of an LSTM ∂(o tanh c)/∂c_t.
    """

    keep: NDArray[np.float64]
    gates: NDArray[np.float64]
    out: NDArray[np.float64]
    by_cell: NDArray[np.float64]


@np.errstate(invalid="ignore", over="ignore")  # states that overflowed
def slopes_of(trace: Trace, *, layer: int, direction: str, batch: int) -> Slopes:
    """The slopes at the recorded states; RnnvizError for a part that the trace lacks."""
    number = check_part(trace, layer, direction, batch)
    length = int(valid_lengths(trace)[batch])

    def own(name: str) -> NDArray[np.float64]:
        values = trace.array(name)[layer, number, :length, batch]
        return np.array(values[::-1] if number else values, np.float64, order="C")

    def before(name: str) -> NDArray[np.float64]:
        first = trace.initial_array(name)[layer, number, batch]
        return np.concatenate((first[None], own(name)[:-1]))

    held = held_steps(trace, layer, number)

    def free(values: NDArray[np.float64], *names: str) -> NDArray[np.float64]:
        """0 where any of these gates and states is held."""
        for name in () if held is None else names:
            values = np.where(np.isnan(getattr(held, name)[:length, batch]), values, 0.0)
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
            m = own_order(trace, candidate_recurrence(trace, layer, number), 0)[:length, batch]
            by_r = by_n * m * r * (1 - r)
        by_z = free((h - n) * z * (1 - z), "update_gate", "hidden_state")
        by_r = free(by_r, "reset_gate")
        return Slopes(free(z, "hidden_state"), np.stack((by_r, by_z, by_n), 1), r, by_n)
    i, f, g, o = (
        own(f"{name}") for name in ("input_gate", "forget_gate", "cell_candidate", "output_gate")
    )
    c, tanh_c = before("cell_state"), np.tanh(own("cell_state"))
    by_i = free(g * i * (1 - i), "input_gate", "cell_state")
    by_f = c * f * (1 - f)
    if trace.form.coupled:
        by_f, by_i = (c - free(g, "input_gate")) * f * (1 - f), np.zeros_like(by_i)
    by_f = free(by_f, "forget_gate", "cell_state")
    by_g = free(i * (1 - g * g), "cell_candidate", "cell_state")
    by_o = free(tanh_c * o * (1 - o), "output_gate")
    by_cell, keep = o * (1 - tanh_c * tanh_c), free(f, "cell_state")
    p = parameter(trace, "weight_peephole", layer, number)
    if p is not None:
        *p_i, p_f, p_o = p
        keep = keep + by_f * p_f + (by_i * p_i[0] if p_i else 0.0)
        by_cell = by_cell + by_o * p_o
    width = trace.array("hidden_state").shape[-1]
    out = free(np.ones((length, width)), "hidden_state")
    if width == by_o.shape[1]:  # no projection stands between
        by_o, by_cell = out * by_o, out * by_cell
    return Slopes(keep, np.stack((by_i, by_f, by_g, by_o), 1), out, by_cell)


def _slope(nonlinearity: str, h: NDArray[np.float64]) -> NDArray[np.float64]:
    return {
        "tanh": 1 - h * h,
        "relu": np.where(np.isnan(h), h, h > 0),  # NaN is not flat
        "sigmoid": h * (1 - h),
        "identity": np.ones_like(h),
    }[nonlinearity]
