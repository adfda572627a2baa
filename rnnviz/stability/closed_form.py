"""How each state depends on the one before it: ∂s_t/∂s_{t−1}, all time steps at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rnnviz.gradients.backpropagation import parameter
from rnnviz.gradients.diagnosis import check_part
from rnnviz.stability.slopes import Slopes, slopes_of
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
    + D((1 − z)(1 − n²)) [D(r) U_n + D((U_n h₋ + b_hn) r (1 − r)) U_r], reset before the product:
    … U_n [D(r) + D(h₋ r (1 − r)) U_r] in the brackets.
    LSTM: [[D(tanh c · o (1 − o)) U_o + D(q) A, D(q f)], [A, D(f)]], q = o (1 − tanh² c),
    A = D(c₋ f (1 − f)) U_f + D(g i (1 − i)) U_i + D(i (1 − g²)) U_g;
    a projection V stands before the two blocks of h. Peepholes: in q tanh c · o (1 − o) p_o, and in
    f c₋ f (1 − f) p_f + g i (1 − i) p_i more. Coupled: c₋ − g for c₋, and no term of U_i.
    Nothing depends on what came before where it is held: 0.

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

    def __init__(
        self, trace: Trace, *, layer: int = 0, direction: str = "forward", batch: int = 0
    ) -> None:
        self._slopes = slopes_of(trace, layer=layer, direction=direction, batch=batch)
        number = check_part(trace, layer, direction, batch)
        u = parameter(trace, "weight_hh", layer, number)
        assert u is not None
        n = self._slopes.keep.shape[1]
        if trace.form.coupled:  # no gate i has weights
            u = np.concatenate((np.zeros((n, u.shape[1])), u))
        self._u, self._v = u, parameter(trace, "weight_hr", layer, number)
        self._form = trace.form
        states = u.shape[1] + (n if trace.cell == "lstm" else 0)
        self.shape = (len(self._slopes.keep), states, states)

    def __len__(self) -> int:
        return self.shape[0]

    @np.errstate(invalid="ignore", over="ignore")
    def __getitem__(self, times: slice) -> NDArray[np.float64]:
        from rnnviz.stability.kernels import fill_gated, fill_lstm

        part = Slopes(*(values[times] for values in self._slopes))
        steps, n, states = len(part.keep), part.keep.shape[-1], self.shape[1]
        if self._form.cell == "lstm":
            found = np.empty((steps, 2 * n, states))
            _fill(fill_lstm, list(part), self._u, found)
            if self._v is None:
                return found
            hidden = part.out[:, :, None] * (self._v @ found[:, :n])
            return np.concatenate((hidden, found[:, n:]), axis=1)
        if not self._form.reset_after:
            return self._reset_before(part)
        by = [part.gates[:, k] for k in range(part.gates.shape[1])]
        if self._form.cell == "gru":
            by[2] = by[2] * part.out  # r stands before U_n h + b_hn
        factors = np.stack((part.keep, *by), axis=1)
        found = np.empty((steps, states, states))
        _fill(fill_gated, [factors], self._u, found)
        return found

    def _reset_before(self, part: "Slopes") -> NDArray[np.float64]:
        """D(z) + D(by z) U_z + D(by n) U_n [D(r) + D(by r) U_r]."""
        u_r, u_z, u_n = np.split(self._u, 3)
        by_r, by_z, by_n = (part.gates[:, k, :, None] for k in range(3))
        inner = u_n * part.out[:, None] + u_n @ (by_r * u_r)
        found = by_z * u_z + by_n * inner
        places = np.arange(len(u_r))
        found[:, places, places] += part.keep
        return found


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
