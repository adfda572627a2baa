"""Compiled backward loops: backpropagation through time of every cell.

Arrays: (time, batch, rows), rows = gates × hidden in torch's order. Gates come in the module's
float type; gradients are computed in the type of the arrays that receive them. δ is the total
derivative of the loss; ``output_grad`` is ∂ℓ/∂output, the upstream gradient at each step.

Outside the float range gradients are rows x · 2^e with one integer e per (time, batch) row, so
that scaling rounds nothing: ``scaling`` (a ``Scaling``) holds the exponents, None means e = 0.

``held``: ``HeldRNN``, ``HeldGRU`` or ``HeldLSTM`` of (time, batch, unit) arrays, NaN where free;
no gradient flows through a held entry. None if nothing is held: numba compiles that case apart,
without its tests, which is a fifth faster for a GRU.

``end``: ``EndGradients``, ∂ℓ/∂(h_n, c_n), which enters at the last step of each sequence; None if
the loss does not read the final state.
"""

import math
from typing import Any

import numpy as np

from rnnviz.engine.kernels.compiling import compiled

# A row is rescaled to 2^600 once its largest entry is more than 2^100 away from there. Below are
# 1,600 binary orders for entries that are small now and may be the only ones left later; above,
# one step may grow by 2^300. For larger weights rows are kept lower.
KEPT, TOLERANCE, GROWTH = 600, 100, 300
MAX_GROWTH = 1200  # binary orders that one step may grow by
# Up to this many entries of U a hand-written product of one float64 row beats BLAS, whose threads
# wait for each other. Float32 always uses BLAS: near the end of its range the order of a sum
# shows in the result (``plain_pass``).
BLAS_FROM = 2**18
NONLINEARITIES = ("tanh", "relu", "sigmoid", "identity")  # the RNN kernels take an index


def growth(*weights: Any) -> int:
    """Binary orders that a row can grow by when it is multiplied by all of these matrices."""
    return sum(math.frexp(abs(w).max(initial=0.0))[1] + len(w).bit_length() for w in weights)


def kept_exponent(orders: int) -> int:
    """The exponent to keep rows near if one step multiplies them by up to 2^orders."""
    return KEPT - max(0, orders - GROWTH)


@compiled
def _exponent(first: Any, second: Any) -> int:
    """Exponent e with the largest entry of both rows in [2^(e−1), 2^e); −2^40 if all are 0."""
    top = 0.0
    for j in range(len(first)):
        top = max(top, abs(first[j]))
    for j in range(len(second)):
        top = max(top, abs(second[j]))
    return math.frexp(top)[1] if 0 < top < math.inf else -(1 << 40)


@compiled
def _shift(row: Any, by: int) -> None:
    """Multiplies a row by 2^by, in place."""
    by = int(min(max(by, -5000), 5000))  # math.ldexp takes no NumPy integer
    for j in range(len(row)):
        row[j] = math.ldexp(row[j], by)


@compiled
def _align(
    d_h: Any, d_c: Any, scale: int, output_grad: Any, output_grad_scale: int, kept: int
) -> tuple[int, float]:
    """The exponent of one row of one step, and the factor that brings ``output_grad`` to it.

    d_h, d_c: gradients carried from the step after, with exponent ``scale``; rescaled in place.
    """
    carried = scale + _exponent(d_h, d_c)
    largest = max(carried, output_grad_scale + _exponent(output_grad, output_grad[:0]))
    if largest > -(1 << 39) and not -TOLERANCE <= largest - scale - kept <= TOLERANCE:
        _shift(d_h, scale - largest + kept)
        _shift(d_c, scale - largest + kept)
        scale = largest - kept
    return scale, math.ldexp(1.0, int(min(max(output_grad_scale - scale, -5000), 1000)))


@compiled
def _multiply_row(row: Any, u: Any, found: Any) -> None:
    """Writes row @ u to found, four rows of u at a time."""
    whole = len(u) - len(u) % 4
    found[:] = 0
    for k in range(0, whole, 4):
        a, b, c, d = row[k], row[k + 1], row[k + 2], row[k + 3]
        for j in range(len(found)):
            sum_ = found[j] + a * u[k, j] + b * u[k + 1, j]
            found[j] = sum_ + c * u[k + 2, j] + d * u[k + 3, j]
    for k in range(whole, len(u)):
        for j in range(len(found)):
            found[j] += row[k] * u[k, j]


@compiled
def _pass_back(d_a: Any, u: Any, d_h: Any) -> None:
    """Writes Uᵀ δa to d_h; does not read U, which is finite, once δa is all 0."""
    if not d_a.any():
        d_h[:] = 0
    elif len(d_a) == 1 and u.itemsize == 8 and u.size <= BLAS_FROM:
        _multiply_row(d_a[0], u, d_h[0])
    else:
        np.dot(d_a, u, d_h)


@compiled
def _enter_end(end: Any, t: int, d_h: Any, d_c: Any, scaling: Any) -> None:
    """Sets the carried gradients of the sequences that end at step t, which are 0 until then."""
    for b in range(len(d_h)):
        if end.last[b] == t:
            d_h[b] = end.h[b]
            d_c[b] = end.c[b]
            if scaling is not None:
                scaling.rows[t + 1, b] = end.scale[b]


@compiled
def rnn_gradients(
    states: Any,
    nonlinearity: int,
    output_grad: Any,
    u: Any,
    out: Any,
    held: Any,
    end: Any,
    scaling: Any = None,
) -> None:
    """δh_t = output_grad_t + Uᵀ δa_{t+1};  δa_t = φ′(a_t) δh_t.

    nonlinearity: index of φ in NONLINEARITIES; φ′ = 1 − h², [h > 0], h (1 − h) or 1.
    states: RNNStates. out: StateGradients.
    """
    (h,) = states
    d_h, d_a, d_h0 = out
    steps, batch, hidden = h.shape
    d_h0[:] = 0
    for t in range(steps - 1, -1, -1):
        if end is not None:
            _enter_end(end, t, d_h0, d_h0[:, :0], scaling)
        for b in range(batch):
            by = d_h.dtype.type(1)
            if scaling is not None:
                row, row_scale = output_grad[t, b], scaling.output_grad[t, b]
                scale = scaling.rows
                scale[t, b], by = _align(
                    d_h0[b], d_h0[b, :0], scale[t + 1, b], row, row_scale, scaling.kept
                )
            for j in range(hidden):
                y = d_h.dtype.type(h[t, b, j])
                d = by * output_grad[t, b, j] + d_h0[b, j]
                d_h[t, b, j] = d
                if held is not None and not math.isnan(held.hidden_state[t, b, j]):
                    d_a[t, b, j] = 0
                elif nonlinearity == 1:
                    d_a[t, b, j] = 0 if y <= 0 else d  # not 0 · d, which may be NaN
                elif nonlinearity == 2:
                    d_a[t, b, j] = y * (1 - y) * d
                elif nonlinearity == 3:
                    d_a[t, b, j] = d
                else:
                    d_a[t, b, j] = (1 - y * y) * d
        _pass_back(d_a[t], u, d_h0)


@compiled
def gru_gradients(
    states: Any,
    h_0: Any,
    output_grad: Any,
    u: Any,
    out: Any,
    held: Any,
    end: Any,
    scaling: Any = None,
) -> None:
    """δh_t = output_grad_t + z_{t+1} δh_{t+1} + Uᵀ (δa_r, δa_z, r δa_n)_{t+1}.

    δa_n = (1 − z)(1 − n²) δh;  δa_z = (h_{t−1} − n) z (1 − z) δh;  δa_r = m r (1 − r) δa_n.

    states: GRUStates. out: StateGradients.
    """
    s, m, h = states
    d_h, d_a, d_h0 = out
    steps, batch, hidden = h.shape
    real = d_h.dtype.type
    towards_u = np.empty((batch, 3 * hidden), d_h.dtype)
    d_h0[:] = 0
    for t in range(steps - 1, -1, -1):
        previous = h_0 if t == 0 else h[t - 1]
        if end is not None:
            _enter_end(end, t, d_h0, d_h0[:, :0], scaling)
        for b in range(batch):
            by = real(1)
            if scaling is not None:
                row, row_scale = output_grad[t, b], scaling.output_grad[t, b]
                scale = scaling.rows
                scale[t, b], by = _align(
                    d_h0[b], d_h0[b, :0], scale[t + 1, b], row, row_scale, scaling.kept
                )
            for j in range(hidden):
                r, z = real(s[t, b, j]), real(s[t, b, hidden + j])
                n = real(s[t, b, 2 * hidden + j])
                d = by * output_grad[t, b, j] + d_h0[b, j]
                d_h[t, b, j] = d
                if held is not None and not math.isnan(held.hidden_state[t, b, j]):
                    d = real(0)
                d_n = (1 - z) * (1 - n * n) * d
                if held is not None and not math.isnan(held.hidden_candidate[t, b, j]):
                    d_n = real(0)
                d_r = real(m[t, b, j]) * r * (1 - r) * d_n
                d_z = (real(previous[b, j]) - n) * z * (1 - z) * d
                if held is not None:
                    d_r = real(0) if not math.isnan(held.reset_gate[t, b, j]) else d_r
                    d_z = real(0) if not math.isnan(held.update_gate[t, b, j]) else d_z
                d_a[t, b, j], d_a[t, b, hidden + j], d_a[t, b, 2 * hidden + j] = d_r, d_z, d_n
                towards_u[b, j], towards_u[b, hidden + j] = d_r, d_z
                towards_u[b, 2 * hidden + j] = r * d_n
        _pass_back(towards_u, u, d_h0)
        for b in range(batch):
            for j in range(hidden):
                if held is None or math.isnan(held.hidden_state[t, b, j]):
                    d_h0[b, j] += real(s[t, b, hidden + j]) * d_h[t, b, j]


@compiled
def gru_reset_before_gradients(
    states: Any,
    h_0: Any,
    output_grad: Any,
    u: Any,
    u_n: Any,
    out: Any,
    held: Any,
    end: Any,
    scaling: Any = None,
) -> None:
    """δh_t = output_grad_t + z_{t+1} δh_{t+1} + (U_rᵀ δa_r + U_zᵀ δa_z + r U_nᵀ δa_n)_{t+1}.

    δa_n = (1 − z)(1 − n²) δh;  δa_z = (h_{t−1} − n) z (1 − z) δh;
    δa_r = h_{t−1} r (1 − r) U_nᵀ δa_n.

    states: GRUStates without m. u: the rows of U_r and U_z; u_n: those of U_n.
    out: StateGradients.
    """
    s, _, h = states
    d_h, d_a, d_h0 = out
    steps, batch, hidden = h.shape
    real = d_h.dtype.type
    towards_u, towards_n = np.empty((batch, 2 * hidden), d_h.dtype), np.empty_like(d_h0)
    by_reset = np.empty_like(d_h0)
    d_h0[:] = 0
    for t in range(steps - 1, -1, -1):
        previous = h_0 if t == 0 else h[t - 1]
        if end is not None:
            _enter_end(end, t, d_h0, d_h0[:, :0], scaling)
        for b in range(batch):
            by = real(1)
            if scaling is not None:
                row, row_scale = output_grad[t, b], scaling.output_grad[t, b]
                scale = scaling.rows
                scale[t, b], by = _align(
                    d_h0[b], d_h0[b, :0], scale[t + 1, b], row, row_scale, scaling.kept
                )
            for j in range(hidden):
                z, n = real(s[t, b, hidden + j]), real(s[t, b, 2 * hidden + j])
                d = by * output_grad[t, b, j] + d_h0[b, j]
                d_h[t, b, j] = d
                if held is not None and not math.isnan(held.hidden_state[t, b, j]):
                    d = real(0)
                d_n = (1 - z) * (1 - n * n) * d
                d_z = (real(previous[b, j]) - n) * z * (1 - z) * d
                if held is not None:
                    d_n = real(0) if not math.isnan(held.hidden_candidate[t, b, j]) else d_n
                    d_z = real(0) if not math.isnan(held.update_gate[t, b, j]) else d_z
                d_a[t, b, hidden + j], d_a[t, b, 2 * hidden + j] = d_z, d_n
                towards_u[b, hidden + j], towards_n[b, j] = d_z, d_n
        _pass_back(towards_n, u_n, by_reset)
        for b in range(batch):
            for j in range(hidden):
                r = real(s[t, b, j])
                d_r = real(previous[b, j]) * r * (1 - r) * by_reset[b, j]
                if held is not None and not math.isnan(held.reset_gate[t, b, j]):
                    d_r = real(0)
                d_a[t, b, j] = towards_u[b, j] = d_r
        _pass_back(towards_u, u, d_h0)
        for b in range(batch):
            for j in range(hidden):
                d_h0[b, j] += real(s[t, b, j]) * by_reset[b, j]
                if held is None or math.isnan(held.hidden_state[t, b, j]):
                    d_h0[b, j] += real(s[t, b, hidden + j]) * d_h[t, b, j]


@compiled
def lstm_gradients(
    states: Any,
    c_0: Any,
    output_grad: Any,
    weights: Any,
    coupled: bool,
    out: Any,
    held: Any,
    end: Any,
    scaling: Any = None,
) -> None:
    """δh_t = output_grad_t + Uᵀ δa_{t+1};  δc_t = o (1 − q²) δm_t + p_o δa_o + κ_{t+1}.

    q = tanh c;  κ = f δc + p_i δa_i + p_f δa_f;
    δa_i = g i (1 − i) δc;  δa_f = c_{t−1} f (1 − f) δc;  δa_g = i (1 − g²) δc;
    δa_o = q o (1 − o) δm, with δm = δh, or Vᵀ δh with a projection V.
    coupled, i = 1 − f: δa_i = 0 and δa_f = (c_{t−1} − g) f (1 − f) δc.

    states: LSTMStates. weights: LSTMWeights. out: LSTMGradients.
    """
    s, c, q, _ = states
    u, v, p = weights
    d_h, d_c, d_a, d_h0, d_c0 = out
    steps, batch, hidden = c.shape
    real = d_h.dtype.type
    width = d_h.shape[2]
    projected, peephole = v.shape[0] > 0, p.shape[0] > 0
    d_m, d_y = np.empty((batch, hidden), d_h.dtype), np.empty((batch, width), d_h.dtype)
    d_h0[:] = 0
    d_c0[:] = 0
    for t in range(steps - 1, -1, -1):
        previous = c_0 if t == 0 else c[t - 1]
        if end is not None:
            _enter_end(end, t, d_h0, d_c0, scaling)
        for b in range(batch):
            by = real(1)
            if scaling is not None:
                row, row_scale = output_grad[t, b], scaling.output_grad[t, b]
                scale = scaling.rows
                scale[t, b], by = _align(
                    d_h0[b], d_c0[b], scale[t + 1, b], row, row_scale, scaling.kept
                )
            for j in range(width):
                d = by * output_grad[t, b, j] + d_h0[b, j]
                d_h[t, b, j] = d
                d_y[b, j] = d
                if held is not None and not math.isnan(held.hidden_state[t, b, j]):
                    d_y[b, j] = 0
        if projected:
            _pass_back(d_y, v, d_m)
        else:
            for b in range(batch):
                for j in range(hidden):
                    d_m[b, j] = d_y[b, j]
        for b in range(batch):
            for j in range(hidden):
                i, f = real(s[t, b, j]), real(s[t, b, hidden + j])
                g, o = real(s[t, b, 2 * hidden + j]), real(s[t, b, 3 * hidden + j])
                q_t, c_t = real(q[t, b, j]), real(previous[b, j])
                d_o = q_t * o * (1 - o) * d_m[b, j]
                if held is not None and not math.isnan(held.output_gate[t, b, j]):
                    d_o = real(0)
                d = d_c0[b, j] + o * (1 - q_t * q_t) * d_m[b, j]
                if peephole:
                    d += p[2, j] * d_o
                d_c[t, b, j] = d
                if held is not None and not math.isnan(held.cell_state[t, b, j]):
                    d = real(0)
                by_i = g * d
                d_g = i * (1 - g * g) * d
                if held is not None:
                    by_i = real(0) if not math.isnan(held.input_gate[t, b, j]) else by_i
                    d_g = real(0) if not math.isnan(held.cell_candidate[t, b, j]) else d_g
                if coupled:
                    d_i, d_f = real(0), (c_t * d - by_i) * f * (1 - f)
                else:
                    d_i, d_f = by_i * i * (1 - i), c_t * f * (1 - f) * d
                if held is not None and not math.isnan(held.forget_gate[t, b, j]):
                    d_f = real(0)
                d_a[t, b, j], d_a[t, b, hidden + j] = d_i, d_f
                d_a[t, b, 2 * hidden + j], d_a[t, b, 3 * hidden + j] = d_g, d_o
                d_c0[b, j] = f * d
                if peephole:
                    d_c0[b, j] += p[0, j] * d_i + p[1, j] * d_f
        _pass_back(d_a[t], u, d_h0)


@compiled
def forget_path(f: Any, source: Any, source_scale: Any, d: Any, scale: Any) -> None:
    """D_t = source_t + f_{t+1} D_{t+1}, rows d · 2^scale; source: rows · 2^source_scale."""
    steps, batch, hidden = source.shape
    carried = np.zeros((batch, hidden))
    for t in range(steps - 1, -1, -1):
        for b in range(batch):
            row, row_scale = source[t, b], source_scale[t, b]
            scale[t, b], by = _align(
                carried[b], carried[b, :0], scale[t + 1, b], row, row_scale, KEPT
            )
            for j in range(hidden):
                d[t, b, j] = by * source[t, b, j] + carried[b, j]
                carried[b, j] = f[t, b, j] * d[t, b, j]
