"""How each state depends on the one before it: ∂s_t/∂s_{t−1}, all time steps at once."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnviz.gradients.backpropagation import (
    candidate_recurrence,
    parameter,
    states_before,
    valid_lengths,
)
from rnnviz.gradients.diagnosis import check_part
from rnnviz.trace import Trace

Array = NDArray[Any]


def jacobians(
    trace: Trace, *, layer: int = 0, direction: str = "forward", batch: int = 0
) -> NDArray[np.float64]:
    """∂s_t/∂s_{t−1} at every time step, (T, S, S) in float64; s = h, for an LSTM s = (h, c).

    In the order of the direction, so that the backward one starts at the last step of the input;
    T is the sequence's own length. With D(·) a diagonal matrix:

    RNN: D(φ′) U.  GRU: D(z) + D((h₋ − n) z (1 − z)) U_z
    + D((1 − z)(1 − n²)) [D(r) U_n + D((U_n h₋ + b_hn) r (1 − r)) U_r].
    LSTM: [[D(tanh c · o (1 − o)) U_o + D(q) A, D(q f)], [A, D(f)]], q = o (1 − tanh² c),
    A = D(c₋ f (1 − f)) U_f + D(g i (1 − i)) U_i + D(i (1 − g²)) U_g;
    a projection V stands before the two blocks of h.

    RnnvizError for a layer, direction or sequence that the trace lacks.

    >>> module = torch.nn.RNN(1, 2, nonlinearity="relu", bias=False)
    >>> with torch.no_grad(): _ = module.weight_hh_l0.copy_(torch.tensor([[0.5, 2.0], [0.0, 0.5]]))
    >>> with torch.no_grad(): _ = module.weight_ih_l0.fill_(1)
    >>> jacobians(rnnviz.trace(module, torch.ones(3, 1)))[-1]
    array([[0.5, 2. ],
           [0. , 0.5]])
    """
    return JacobianBlocks(trace, layer=layer, direction=direction, batch=batch)[:]


class JacobianBlocks:
    """What ``jacobians`` gives, worked out only for the time steps that are asked for.

    For states so large that all of them do not fit into memory: blocks[first:last] is an array of
    (last − first, S, S), and every function of this package takes it in the place of an array.

    >>> blocks = JacobianBlocks(rnnviz.trace(torch.nn.LSTM(2, 3), torch.ones(5, 2)))
    >>> blocks.shape, blocks[3:].shape
    ((5, 6, 6), (2, 6, 6))
    """

    @np.errstate(invalid="ignore", over="ignore")  # states that overflowed
    def __init__(
        self, trace: Trace, *, layer: int = 0, direction: str = "forward", batch: int = 0
    ) -> None:
        number = check_part(trace, layer, direction, batch)
        length = int(valid_lengths(trace)[batch])

        def own(name: str) -> NDArray[np.float64]:
            values = trace.array(name)[layer, number, :length, batch].astype(np.float64)
            return values[::-1] if number else values

        def before(name: str) -> NDArray[np.float64]:
            return states_before(trace, name, layer, number)[:length, batch]

        u = parameter(trace, "weight_hh", layer, number)
        assert u is not None
        self._u, self._v = u, parameter(trace, "weight_hr", layer, number)
        if trace.cell == "rnn":
            self._factors = _rnn_factors(trace.nonlinearity, own("hidden_state"))
        elif trace.cell == "gru":
            m = candidate_recurrence(trace, layer, number)[:length, batch]
            gates = own("reset_gate"), own("update_gate"), own("hidden_candidate")
            self._factors = _gru_factors(*gates, m, before("hidden_state"))
        else:
            names = ("input_gate", "forget_gate", "cell_candidate", "output_gate")
            i, f, g, o = map(own, names)
            self._factors = _lstm_factors(i, f, g, o, own("cell_state"), before("cell_state"))
        self._cell = trace.cell
        states = u.shape[1] + (self._factors.shape[-1] if trace.cell == "lstm" else 0)
        self.shape = (length, states, states)

    def __len__(self) -> int:
        return self.shape[0]

    @np.errstate(invalid="ignore", over="ignore")
    def __getitem__(self, times: slice) -> NDArray[np.float64]:
        from rnnviz.stability.kernels import fill_gated, fill_lstm

        factors = self._factors[times]
        steps, n, states = len(factors), self._factors.shape[-1], self.shape[1]
        if self._cell != "lstm":
            found = np.empty((steps, states, states))
            fill_gated(factors, self._u, found)
            return found
        if self._v is None:
            found = np.empty((steps, states, states))
            fill_lstm(factors, self._u, found)
            return found
        p = states - n
        whole = np.empty((steps, 2 * n, p + n))
        fill_lstm(factors, self._u, whole)
        return np.concatenate((self._v @ whole[:, :n], whole[:, n:]), axis=1)


def _rnn_factors(nonlinearity: str, h: NDArray[np.float64]) -> NDArray[np.float64]:
    slope = {
        "tanh": 1 - h * h,
        "relu": (h > 0).astype(np.float64),
        "sigmoid": h * (1 - h),
        "identity": np.ones_like(h),
    }[nonlinearity]
    return np.stack((np.zeros_like(h), slope), axis=1)


def _gru_factors(r: Array, z: Array, n: Array, m: Array, before: Array) -> NDArray[np.float64]:
    """Of I, U_r, U_z and U_n."""
    by_n = (1 - z) * (1 - n * n)
    return np.stack((z, by_n * m * r * (1 - r), (before - n) * z * (1 - z), by_n * r), axis=1)


def _lstm_factors(
    i: Array, f: Array, g: Array, o: Array, c: Array, before: Array
) -> NDArray[np.float64]:
    """Of U_i, U_f, U_g (in A) and U_o, then q and f."""
    tanh_c = np.tanh(c)
    return np.stack(
        (
            g * i * (1 - i),
            before * f * (1 - f),
            i * (1 - g * g),
            tanh_c * o * (1 - o),
            o * (1 - tanh_c * tanh_c),
            f,
        ),
        axis=1,
    )
