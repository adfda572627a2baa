"""All gates of torch's cells at once, from the states that torch itself computed.

Once the module has run every h_{t−1} is known, so all pre-activations are one matrix product and
all gates one array operation; only c_t needs a compiled loop (``kernels``). The sums are torch's in
another order, so h recomputed from the gates (``Steps.replayed``) is compared with the module's
own, and the tests compare all of it with autograd.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import linear

from rnnviz.cells import GATE_NAMES
from rnnviz.engine.steps import GRUStates, LSTMStates, RNNStates, Steps, split_gates
from rnnviz.recurrent import Network, Weights

Array = NDArray[Any]


def replay_gates(
    network: Network, weights: Weights, x: Tensor, h_0: Tensor, c_0: Tensor | None, hidden: Tensor
) -> Steps:
    """Every gate of one layer in one direction.

    x: (time, batch, input); h_0, c_0: (batch, unit); hidden: (time, batch, unit) as computed.
    """
    before = torch.cat((h_0[None], hidden[:-1]))
    if network.cell == "lstm":
        assert c_0 is not None
        return _lstm(weights, x, before, c_0, hidden)
    if network.cell == "gru":
        return _gru(weights, x, before, hidden)
    a = _preactivations(weights, x, before)
    h = torch.tanh(a) if network.form.nonlinearity == "tanh" else torch.relu(a)
    return Steps({"hidden_preactivation": a.numpy()}, h.numpy(), RNNStates(_contiguous(hidden)))


def with_states(network: Network, weights: Weights, steps: Steps, h_0: Tensor) -> Steps:
    """Steps that a cell took itself, with the states that the backward kernels read."""
    form, arrays, h = network.form, steps.arrays, steps.states.h
    if form.cell == "rnn":
        return steps
    s = np.concatenate([arrays[name] for name in GATE_NAMES[form.cell]], -1)
    if form.cell == "lstm":
        c = arrays["cell_state"]
        return steps._replace(states=LSTMStates(s, c, np.tanh(c), h))
    m = np.empty((0, 0, 0), h.dtype)
    if form.reset_after:
        n = len(weights.hh) // 3
        before = torch.cat((h_0[None], steps.hidden[:-1]))
        bias = None if weights.bias_hh is None else weights.bias_hh[2 * n :]
        m = linear(before, weights.hh[2 * n :], bias).numpy()
    return steps._replace(states=GRUStates(s, m, h))


def _contiguous(hidden: Tensor) -> Array:
    return hidden.contiguous().numpy()  # numba compiles once per memory layout


def _preactivations(weights: Weights, x: Tensor, before: Tensor) -> Tensor:
    """W x + U h_{t−1} + b of all steps."""
    a = linear(x, weights.ih, weights.bias_ih)
    if weights.bias_hh is not None:
        a += weights.bias_hh
    a.flatten(0, 1).addmm_(before.flatten(0, 1), weights.hh.T)
    return a


def _lstm(weights: Weights, x: Tensor, before: Tensor, c_0: Tensor, hidden: Tensor) -> Steps:
    from rnnviz.engine.kernels import cell_states

    n = c_0.shape[-1]
    a = _preactivations(weights, x, before)
    s = torch.sigmoid(a)
    torch.tanh(a[..., 2 * n : 3 * n], out=s[..., 2 * n : 3 * n])
    c = torch.empty(*a.shape[:2], n, dtype=a.dtype, device="cpu")
    cell_states(s.numpy(), c_0.numpy(), c.numpy())
    q = torch.tanh(c)
    h = s[..., 3 * n :] * q
    if weights.hr is not None:
        h = linear(h, weights.hr)
    arrays = split_gates("lstm", s.numpy(), a.numpy()) | {"cell_state": c.numpy()}
    states = LSTMStates(s.numpy(), c.numpy(), q.numpy(), _contiguous(hidden))
    return Steps(arrays, h.numpy(), states)


def _gru(weights: Weights, x: Tensor, before: Tensor, hidden: Tensor) -> Steps:
    n = before.shape[-1]
    a = linear(x, weights.ih, weights.bias_ih)
    u = linear(before, weights.hh, weights.bias_hh)
    m = u[..., 2 * n :]
    a[..., : 2 * n] += u[..., : 2 * n]
    s = torch.sigmoid(a)
    r, z = s[..., :n], s[..., n : 2 * n]
    a[..., 2 * n :] += r * m
    torch.tanh(a[..., 2 * n :], out=s[..., 2 * n :])
    h = (1 - z) * s[..., 2 * n :] + z * before
    states = GRUStates(s.numpy(), m.contiguous().numpy(), _contiguous(hidden))
    return Steps(split_gates("gru", s.numpy(), a.numpy()), h.numpy(), states)
