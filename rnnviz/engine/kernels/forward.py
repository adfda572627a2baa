"""Compiled forward loops: every gate and state of a cell, step by step.

Arrays: (time, batch, rows), rows = gates × hidden in torch's order. ``a`` holds W x + b on entry
and the pre-activations on return. ``u``: Uᵀ, (hidden, rows). ``out`` receives the states.

``held``: ``HeldRNN``, ``HeldGRU`` or ``HeldLSTM`` of (time, batch, unit) arrays with the values
that gates and states are held at, NaN where free; None if nothing is held.
"""

import math
from typing import Any

import numpy as np

from rnnviz.engine.kernels.compiling import compiled


@compiled
def cell_states(s: Any, c_0: Any, c: Any) -> None:
    """c_t = f c_{t−1} + i g, into c. s: gates i, f, g, o side by side; c_0: (batch, hidden)."""
    steps, batch, hidden = c.shape
    for t in range(steps):
        previous = c_0 if t == 0 else c[t - 1]
        for b in range(batch):
            for j in range(hidden):
                f, i, g = s[t, b, hidden + j], s[t, b, j], s[t, b, 2 * hidden + j]
                c[t, b, j] = f * previous[b, j] + i * g


@compiled
def _multiply(rows: Any, u: Any, found: Any) -> None:
    """Writes rows @ u to found. A single row goes four rows of u at a time: faster than BLAS."""
    if len(rows) > 1:
        np.dot(rows, u, found)
        return
    row, sums = rows[0], found[0]
    whole = len(u) - len(u) % 4
    sums[:] = 0
    for k in range(0, whole, 4):
        a, b, c, d = row[k], row[k + 1], row[k + 2], row[k + 3]
        for j in range(len(sums)):
            sum_ = sums[j] + a * u[k, j] + b * u[k + 1, j]
            sums[j] = sum_ + c * u[k + 2, j] + d * u[k + 3, j]
    for k in range(whole, len(u)):
        for j in range(len(sums)):
            sums[j] += row[k] * u[k, j]


@compiled
def _sigmoid(x: Any, one: Any) -> Any:
    return one / (one + math.exp(-x))


@compiled
def _hold(row: Any, held: Any) -> None:
    """Replaces the held units of a gate or state, one row, by their held values."""
    for j in range(len(row)):
        if not math.isnan(held[j]):
            row[j] = held[j]


@compiled
def rnn_states(a: Any, u: Any, h_0: Any, nonlinearity: int, held: Any, out: Any) -> None:
    """h_t = φ(W x_t + U h_{t−1} + b). nonlinearity: index of φ in NONLINEARITIES."""
    (h,) = out
    steps, batch, hidden = h.shape
    one = h.dtype.type(1)
    by_h = np.empty((batch, hidden), h.dtype)
    for t in range(steps):
        _multiply(h_0 if t == 0 else h[t - 1], u, by_h)
        for b in range(batch):
            for j in range(hidden):
                y = a[t, b, j] + by_h[b, j]
                a[t, b, j] = y
                if nonlinearity == 0:
                    y = math.tanh(y)
                elif nonlinearity == 1:
                    y = one - one if y <= 0 else y  # NaN stays NaN
                elif nonlinearity == 2:
                    y = _sigmoid(y, one)
                h[t, b, j] = y
            if held is not None:
                _hold(h[t, b], held.hidden_state[t, b])


@compiled
def gru_states(a: Any, weights: Any, reset_after: bool, h_0: Any, held: Any, out: Any) -> None:
    """h_t = (1 − z) n + z h_{t−1}.

    a_n = W_n x_t + b_in + r m_t with m_t = U_n h_{t−1} + b_hn; without reset_after
    a_n = W_n x_t + b_in + m_t with m_t = U_n (r h_{t−1}) + b_hn.

    weights: GRUWeights. out: GRUStates.
    """
    u, u_n, b_n = weights
    s, m, h = out
    steps, batch, hidden = h.shape
    one = h.dtype.type(1)
    by_h, kept = np.empty((batch, 2 * hidden), h.dtype), np.empty((batch, hidden), h.dtype)
    for t in range(steps):
        previous = h_0 if t == 0 else h[t - 1]
        _multiply(previous, u, by_h)
        for b in range(batch):
            for j in range(2 * hidden):
                a[t, b, j] += by_h[b, j]
                s[t, b, j] = _sigmoid(a[t, b, j], one)
            if held is not None:
                _hold(s[t, b, :hidden], held.reset_gate[t, b])
                _hold(s[t, b, hidden : 2 * hidden], held.update_gate[t, b])
            for j in range(hidden):
                kept[b, j] = previous[b, j] * (one if reset_after else s[t, b, j])
        _multiply(kept, u_n, m[t])
        for b in range(batch):
            r, z, n = s[t, b, :hidden], s[t, b, hidden : 2 * hidden], s[t, b, 2 * hidden :]
            for j in range(hidden):
                m[t, b, j] += b_n[j]
                a[t, b, 2 * hidden + j] += m[t, b, j] * (r[j] if reset_after else one)
                n[j] = math.tanh(a[t, b, 2 * hidden + j])
            if held is not None:
                _hold(n, held.hidden_candidate[t, b])
            for j in range(hidden):
                h[t, b, j] = (one - z[j]) * n[j] + z[j] * previous[b, j]
            if held is not None:
                _hold(h[t, b], held.hidden_state[t, b])


@compiled
def lstm_states(
    a: Any, weights: Any, coupled: bool, h_0: Any, c_0: Any, held: Any, out: Any
) -> None:
    """c_t = f c_{t−1} + i g;  q_t = tanh c_t;  h_t = o q_t, with a projection h_t = V (o q_t).

    weights: LSTMWeights with Uᵀ and Vᵀ. coupled: i = 1 − f, a_i and p_i are not used.
    out: LSTMStates.
    """
    u, v, p = weights
    s, c, q, h = out
    steps, batch, hidden = c.shape
    one = c.dtype.type(1)
    by_h, shown = np.empty((batch, 4 * hidden), c.dtype), np.empty((batch, hidden), c.dtype)
    for t in range(steps):
        h_before, c_before = (h_0, c_0) if t == 0 else (h[t - 1], c[t - 1])
        _multiply(h_before, u, by_h)
        for b in range(batch):
            a_t, c_t, q_t, before = a[t, b], c[t, b], q[t, b], c_before[b]
            i, f = s[t, b, :hidden], s[t, b, hidden : 2 * hidden]
            g, o = s[t, b, 2 * hidden : 3 * hidden], s[t, b, 3 * hidden :]
            a_t += by_h[b]
            if len(p):
                for j in range(hidden):
                    a_t[j] += p[0, j] * before[j]
                    a_t[hidden + j] += p[1, j] * before[j]
            for j in range(hidden):
                f[j] = _sigmoid(a_t[hidden + j], one)
            if held is not None:
                _hold(f, held.forget_gate[t, b])
            for j in range(hidden):
                i[j] = one - f[j] if coupled else _sigmoid(a_t[j], one)
                g[j] = math.tanh(a_t[2 * hidden + j])
            if held is not None:
                _hold(i, held.input_gate[t, b])
                _hold(g, held.cell_candidate[t, b])
            for j in range(hidden):
                c_t[j] = f[j] * before[j] + i[j] * g[j]
            if held is not None:
                _hold(c_t, held.cell_state[t, b])
            for j in range(hidden):
                if len(p):
                    a_t[3 * hidden + j] += p[2, j] * c_t[j]
                o[j] = _sigmoid(a_t[3 * hidden + j], one)
                q_t[j] = math.tanh(c_t[j])
            if held is not None:
                _hold(o, held.output_gate[t, b])
            for j in range(hidden):
                shown[b, j] = o[j] * q_t[j]
        if len(v):
            _multiply(shown, v, h[t])
        else:
            for b in range(batch):
                for j in range(hidden):
                    h[t, b, j] = shown[b, j]
        if held is not None:
            for b in range(batch):
                _hold(h[t, b], held.hidden_state[t, b])
