"""The states of a network from its equations alone, all steps in compiled code.

For networks that no module runs, as where something is held, and where torch's own loop over time
would take too long. What comes out is what a module computes but for rounding, which a chaotic
network makes grow; the tests compare every form with the cells' own steps and with torch.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, from_numpy
from torch.nn.functional import linear

from rnnviz.engine.replay import Steps, by_gate
from rnnviz.holding import held_values
from rnnviz.recurrent import Network, Weights

Array = NDArray[Any]


def run(
    network: Network,
    weights: Weights,
    x: Tensor,
    h_0: Tensor,
    c_0: Tensor | None,
    held: Mapping[str, Tensor],
) -> Steps:
    """Every gate and state of one layer in one direction.

    network: on the CPU. x: (time, batch, input); h_0, c_0: (batch, unit), c_0 for an LSTM.
    held: by name the values that gates and states are held at, (time, batch, unit), NaN where free.
    """
    own = weights.hh.dtype
    x, h = x.to(own), h_0.to(own).contiguous().numpy()
    at = np.empty((0, 0, 0), h.dtype)
    if held:
        values = {name: rows.numpy() for name, rows in held.items()}
        at = held_values(values, network.form, x.shape[:2], network.widths).astype(h.dtype)
    if network.kind == "lstm":
        assert c_0 is not None
        return _lstm(network, weights, x, h, c_0.to(own).contiguous().numpy(), at)
    return (_gru if network.kind == "gru" else _rnn)(network, weights, x, h, at)


def _rnn(network: Network, weights: Weights, x: Tensor, h_0: Array, at: Array) -> Steps:
    from rnnviz.engine.kernels import RNN_FORMS, rnn_states

    a = linear(x, weights.ih, _sum(weights)).numpy()
    h = np.empty_like(a)
    rnn_states(a, _transposed(weights.hh), h_0, RNN_FORMS.index(network.nonlinearity), at, h)
    return Steps(from_numpy(h), {"hidden_preactivation": a}, h, ())


def _gru(network: Network, weights: Weights, x: Tensor, h_0: Array, at: Array) -> Steps:
    from rnnviz.engine.kernels import gru_states

    n, after = network.hidden_size, network.form.reset_after
    bias, inner = _sum(weights), np.zeros(n, h_0.dtype)
    if bias is not None and weights.bias_ih is not None and weights.bias_hh is not None:
        bias[2 * n :] = weights.bias_ih[2 * n :]
        inner = weights.bias_hh[2 * n :].contiguous().numpy()
    a = linear(x, weights.ih, bias).numpy()
    s, h = np.empty_like(a), np.empty((*a.shape[:2], n), a.dtype)
    m = np.empty_like(h)
    parts = _transposed(weights.hh[: 2 * n]), _transposed(weights.hh[2 * n :])
    gru_states(a, *parts, inner, after, h_0, at, s, m, h)
    return Steps(from_numpy(h), by_gate("gru", s, a), h, (s, m, h_0) if after else (s, h_0))


def _lstm(
    network: Network, weights: Weights, x: Tensor, h_0: Array, c_0: Array, at: Array
) -> Steps:
    from rnnviz.engine.kernels import lstm_states

    form, n = network.form, network.hidden_size
    a, u = linear(x, weights.ih, _sum(weights)).numpy(), _transposed(weights.hh)
    v, p = (
        np.empty((0, 0), a.dtype) if w is None else w.contiguous().numpy()
        for w in (weights.hr, weights.peephole)
    )
    if form.coupled:  # no gate i has weights; what stands in their place is not read
        a = np.concatenate((np.zeros((*a.shape[:2], n), a.dtype), a), -1)
        u = np.concatenate((np.zeros((len(u), n), a.dtype), u), -1)
        p = np.concatenate((np.zeros((1, n), a.dtype), p)) if len(p) else p
    s, c = np.empty_like(a), np.empty((*a.shape[:2], n), a.dtype)
    q, h = np.empty_like(c), np.empty((*a.shape[:2], network.output_size), a.dtype)
    v = np.ascontiguousarray(v.T)
    lstm_states(a, u, v, p, form.coupled, h_0, c_0, at, s, c, q, h)
    arrays = by_gate("lstm", s, a) | {"cell_state": c}
    if form.coupled:
        del arrays["input_gate_preactivation"]
    return Steps(from_numpy(h), arrays, h, (s, c, c_0, q))


def _sum(weights: Weights) -> Tensor | None:
    """b_ih + b_hh."""
    if weights.bias_ih is None or weights.bias_hh is None:
        return weights.bias_ih
    return weights.bias_ih + weights.bias_hh


def _transposed(u: Tensor) -> Array:
    return u.T.contiguous().numpy()
