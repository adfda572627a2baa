"""The states of a network from the compiled loops of `kernels`, without torch's own pass.

Used where something is held, and where torch's own loop over time would take too long. The result
is the module's except for rounding, whose effect grows over time in a chaotic network. The tests
compare every form with the cells' own steps and with torch.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import linear

from rnnviz.engine.steps import (
    GRUStates,
    GRUWeights,
    LSTMStates,
    LSTMWeights,
    RNNStates,
    Steps,
    split_gates,
)
from rnnviz.holding import Held
from rnnviz.recurrent import Network, Weights

Array = NDArray[Any]


def run_kernels(
    network: Network,
    weights: Weights,
    x: Tensor,
    h_0: Tensor,
    c_0: Tensor | None,
    held: Held | None,
) -> Steps:
    """Every gate and state of one layer in one direction.

    network: on the CPU. x: (time, batch, input); h_0, c_0: (batch, unit), c_0 of an LSTM.
    """
    h = h_0.numpy()
    if network.cell == "lstm":
        assert c_0 is not None
        return _lstm(network, weights, x, h, c_0.numpy(), held)
    return (_gru if network.cell == "gru" else _rnn)(network, weights, x, h, held)


def _rnn(network: Network, weights: Weights, x: Tensor, h_0: Array, held: Held | None) -> Steps:
    from rnnviz.engine.kernels import NONLINEARITIES, rnn_states

    a = linear(x, weights.ih, _summed_bias(weights)).numpy()
    out = RNNStates(np.empty_like(a))
    number = NONLINEARITIES.index(network.form.nonlinearity)
    rnn_states(a, _transposed(weights.hh), h_0, number, held, out)
    return Steps({"hidden_preactivation": a}, out.h, out)


def _gru(network: Network, weights: Weights, x: Tensor, h_0: Array, held: Held | None) -> Steps:
    from rnnviz.engine.kernels import gru_states

    n = len(weights.hh) // 3
    bias, b_n = _summed_bias(weights), np.zeros(n, h_0.dtype)
    if bias is not None and weights.bias_ih is not None and weights.bias_hh is not None:
        bias[2 * n :] = weights.bias_ih[2 * n :]
        b_n = weights.bias_hh[2 * n :].contiguous().numpy()
    a = linear(x, weights.ih, bias).numpy()
    h = np.empty((*a.shape[:2], n), a.dtype)
    out = GRUStates(np.empty_like(a), np.empty_like(h), h)
    u, u_n = _transposed(weights.hh[: 2 * n]), _transposed(weights.hh[2 * n :])
    gru_states(a, GRUWeights(u, u_n, b_n), network.form.reset_after, h_0, held, out)
    return Steps(split_gates("gru", out.gates, a), h, out)


def _lstm(
    network: Network, weights: Weights, x: Tensor, h_0: Array, c_0: Array, held: Held | None
) -> Steps:
    from rnnviz.engine.kernels import lstm_states

    form, n = network.form, len(weights.hh) // len(network.form.gates)
    a, u = linear(x, weights.ih, _summed_bias(weights)).numpy(), _transposed(weights.hh)
    v, p = (
        np.empty((0, 0), a.dtype) if w is None else w.contiguous().numpy()
        for w in (weights.hr, weights.peephole)
    )
    if form.coupled:  # the gate i has no weights; the kernel does not read its columns
        a = np.concatenate((np.zeros((*a.shape[:2], n), a.dtype), a), -1)
        u = np.concatenate((np.zeros((len(u), n), a.dtype), u), -1)
        p = np.concatenate((np.zeros((1, n), a.dtype), p)) if len(p) else p
    c, h = (np.empty((*a.shape[:2], size), a.dtype) for size in (n, weights.hh.shape[1]))
    out = LSTMStates(np.empty_like(a), c, np.empty_like(c), h)
    v = np.ascontiguousarray(v.T)
    lstm_states(a, LSTMWeights(u, v, p), form.coupled, h_0, c_0, held, out)
    arrays = split_gates("lstm", out.gates, a) | {"cell_state": c}
    if form.coupled:
        del arrays["input_gate_preactivation"]
    return Steps(arrays, h, out)


def _summed_bias(weights: Weights) -> Tensor | None:
    """b_ih + b_hh."""
    if weights.bias_ih is None or weights.bias_hh is None:
        return weights.bias_ih
    return weights.bias_ih + weights.bias_hh


def _transposed(u: Tensor) -> Array:
    return u.T.contiguous().numpy()
