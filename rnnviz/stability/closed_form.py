"""How each state depends on the one before it: ∂s_t/∂s_{t−1}, all time steps at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rnnviz.gradients.backpropagation import (
    candidate_recurrence,
    parameter,
    valid_lengths,
)
from rnnviz.gradients.diagnosis import check_part
from rnnviz.trace import Trace

Array = NDArray[Any]

LARGE = 2**22  # entries from which a second thread does more than wait


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
            values = trace.array(name)[layer, number, :length, batch]
            return np.array(values[::-1] if number else values, np.float64, order="C")

        def before(name: str) -> NDArray[np.float64]:
            first = trace.initial_array(name)[layer, number, batch]
            return np.concatenate((first[None], own(name)[:-1]))

        u = parameter(trace, "weight_hh", layer, number)
        assert u is not None
        self._u, self._v = u, parameter(trace, "weight_hr", layer, number)
        if trace.cell == "rnn":
            self._values = (_rnn_factors(trace.nonlinearity, own("hidden_state")),)
        elif trace.cell == "gru":
            m = candidate_recurrence(trace, layer, number)[:length, batch]
            gates = own("reset_gate"), own("update_gate"), own("hidden_candidate")
            self._values = (_gru_factors(*gates, m, before("hidden_state")),)
        else:
            gates = ("input_gate", "forget_gate", "cell_candidate", "output_gate")
            tanh_c = np.tanh(own("cell_state"))
            self._values = (*map(own, gates), tanh_c, before("cell_state"))
        self._cell = trace.cell
        states = u.shape[1] + (self._values[0].shape[-1] if trace.cell == "lstm" else 0)
        self.shape = (length, states, states)

    def __len__(self) -> int:
        return self.shape[0]

    @np.errstate(invalid="ignore", over="ignore")
    def __getitem__(self, times: slice) -> NDArray[np.float64]:
        from rnnviz.stability.kernels import fill_gated, fill_lstm

        values = [part[times] for part in self._values]
        steps, n, states = len(values[0]), values[0].shape[-1], self.shape[1]
        if self._cell != "lstm":
            found = np.empty((steps, states, states))
            _fill(fill_gated, values, self._u, found)
            return found
        found = np.empty((steps, 2 * n, states))
        _fill(fill_lstm, values, self._u, found)
        if self._v is None:
            return found
        return np.concatenate((self._v @ found[:, :n], found[:, n:]), axis=1)


def _fill(kernel: Callable[..., None], values: list[Array], u: Array, found: Array) -> None:
    """The kernel over all time steps; where found is large, in as many threads as torch has.

    Each step stands alone. Memory that nobody has touched yet costs more than the arithmetic, and
    threads share that cost.
    """
    threads = torch.get_num_threads() if found.size >= LARGE else 1
    if threads == 1:
        kernel(*values, u, found)
        return
    *split, split_found = [np.array_split(part, threads) for part in (*values, found)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(kernel, *split, repeat(u), split_found))


def _rnn_factors(nonlinearity: str, h: NDArray[np.float64]) -> NDArray[np.float64]:
    slope = {
        "tanh": 1 - h * h,
        "relu": np.where(np.isnan(h), h, h > 0),  # NaN is not flat
        "sigmoid": h * (1 - h),
        "identity": np.ones_like(h),
    }[nonlinearity]
    return np.stack((np.zeros_like(h), slope), axis=1)


def _gru_factors(r: Array, z: Array, n: Array, m: Array, before: Array) -> NDArray[np.float64]:
    """Of I, U_r, U_z and U_n."""
    by_n = (1 - z) * (1 - n * n)
    return np.stack((z, by_n * m * r * (1 - r), (before - n) * z * (1 - z), by_n * r), axis=1)
