"""The Jacobian of each state with respect to the one before, ∂s_t/∂s_{t−1}, in closed form."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rnnviz.engine.step_gradients import state_jacobians
from rnnviz.stability.slopes import Slopes, slopes_of
from rnnviz.trace import Trace
from rnnviz.trace_part import TracePart

Array = NDArray[Any]

LARGE = 2**22  # entries from which a second thread saves time


def jacobians(
    trace: Trace, *, layer: int = 0, direction: str = "forward", batch: int = 0
) -> NDArray[np.float64]:
    """∂s_t/∂s_{t−1} at every time step, (T, S, S) in float64; s = h, for an LSTM s = (h, c).

    In the order of the direction: the backward one starts at the last step of the input. T is the
    length of the sequence without its masked steps, whose Jacobian is the identity. With D(·) a
    diagonal matrix:

    RNN: D(φ′) U.  GRU: D(z) + D((h₋ − n) z (1 − z)) U_z
    + D((1 − z)(1 − n²)) [D(r) U_n + D((U_n h₋ + b_hn) r (1 − r)) U_r], reset before the product:
    … U_n [D(r) + D(h₋ r (1 − r)) U_r] in the brackets.
    LSTM: [[D(tanh c · o (1 − o)) U_o + D(q) A, D(q f)], [A, D(f)]], q = o (1 − tanh² c),
    A = D(c₋ f (1 − f)) U_f + D(g i (1 − i)) U_i + D(i (1 − g²)) U_g;
    a projection V multiplies the two blocks of h. Peepholes add tanh c · o (1 − o) p_o to q, and
    c₋ f (1 − f) p_f + g i (1 − i) p_i to f. Coupled: c₋ − g in place of c₋, without U_i.
    Held values have derivative 0. Other activations, and cells with a step of their own: by
    autograd through the step, at all recorded states at once.

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
    """The result of ``jacobians``, computed only for the time steps that are sliced.

    For states too large to hold all Jacobians in memory: blocks[first:last] is an array
    (last − first, S, S), and every function of this package accepts it in place of an array.

    >>> blocks = JacobianBlocks(rnnviz.trace(torch.nn.LSTM(2, 3), torch.ones(5, 2)))
    >>> blocks.shape, blocks[3:].shape
    ((5, 6, 6), (2, 6, 6))
    """

    def __init__(
        self, trace: Trace, *, layer: int = 0, direction: str = "forward", batch: int = 0
    ) -> None:
        part = TracePart(trace, layer, direction, batch)
        self._points = part.step_points()
        if self._points is not None:
            states = sum(self._points.widths)
            self.shape = (self._points.steps, states, states)
            return
        self._slopes, u = slopes_of(part), part.weight_hh
        n = self._slopes.carry.shape[1]
        if trace.form.coupled:  # no gate i has weights
            u = np.concatenate((np.zeros((n, u.shape[1])), u))
        self._u, self._v = u, part.parameter("weight_hr")
        self._form = trace.form
        states = u.shape[1] + (n if trace.cell == "lstm" else 0)
        self.shape = (len(self._slopes.carry), states, states)

    def __len__(self) -> int:
        return self.shape[0]

    @np.errstate(invalid="ignore", over="ignore")
    def __getitem__(self, times: slice) -> NDArray[np.float64]:
        from rnnviz.stability.kernels import fill_gated, fill_lstm

        if self._points is not None:
            return state_jacobians(self._points.cut(times))[:, 0]
        slopes = Slopes(*(values[times] for values in self._slopes))
        steps, n, states = len(slopes.carry), slopes.carry.shape[-1], self.shape[1]
        if self._form.cell == "lstm":
            found = np.empty((steps, 2 * n, states))
            _fill(fill_lstm, list(slopes), self._u, found)
            if self._v is None:
                return found
            hidden = slopes.out[:, :, None] * (self._v @ found[:, :n])
            return np.concatenate((hidden, found[:, n:]), axis=1)
        if not self._form.reset_after:
            return self._reset_before(slopes)
        by = [slopes.gates[:, k] for k in range(slopes.gates.shape[1])]
        if self._form.cell == "gru":
            by[2] = by[2] * slopes.out  # r multiplies U_n h + b_hn
        factors = np.stack((slopes.carry, *by), axis=1)
        found = np.empty((steps, states, states))
        _fill(fill_gated, [factors], self._u, found)
        return found

    def _reset_before(self, slopes: Slopes) -> NDArray[np.float64]:
        """D(z) + D(by z) U_z + D(by n) U_n [D(r) + D(by r) U_r]."""
        u_r, u_z, u_n = np.split(self._u, 3)
        by_r, by_z, by_n = (slopes.gates[:, k, :, None] for k in range(3))
        inner = u_n * slopes.out[:, None] + u_n @ (by_r * u_r)
        found = by_z * u_z + by_n * inner
        places = np.arange(len(u_r))
        found[:, places, places] += slopes.carry
        return found


def _fill(kernel: Callable[..., None], values: list[Array], u: Array, found: Array) -> None:
    """Runs the kernel over all time steps; for a large result, in as many threads as torch has.

    Steps are independent. Page faults on fresh memory cost more than the arithmetic, and threads
    share them.
    """
    threads = torch.get_num_threads() if found.size >= LARGE else 1
    if threads == 1:
        kernel(*values, u, found)
        return
    *split, split_found = [np.array_split(array, threads) for array in (*values, found)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(kernel, *split, repeat(u), split_found))
