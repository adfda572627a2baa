"""Gradients step by step back through time, compiled.

Everything else is one array operation over all time steps (``replay``). Gates come in
the module's float type; gradients are worked out in the type of the array that takes them.
Arrays: (time, batch, rows), rows = gates × hidden in torch's order. δ is the total derivative of
the loss; ``output_grad`` is ∂ℓ/∂output, what the loss itself puts in at each step.

Beyond the float range gradients go as x · 2^e with one whole number e a (time, batch) row, which
rounds nothing: where ``scale`` is given, (time + 1, batch) with zeros in its last row, it takes
each row's e, and ``output_grad_scale``, (time, batch), holds those of ``output_grad``. ``kept`` is where
rows are kept then, by ``room_for``.

``held``, (time, batch, columns), is true where a gate or state is held at a value: nothing flows
back through it. Its columns: the cell's gates, then a cell state, then the hidden state. Empty
where nothing is held.
"""

import math
from typing import Any

import numpy as np

from rnnviz.engine.kernels.compiling import compiled

# Rows are kept around 2^600, and let be within 2^±100 of that: below are 1,600 more binary places
# for entries that are small now and the only ones left later; above, room for one step to grow by
# 2^300. Where weights are larger than that, rows are kept lower.
KEPT, AROUND, ROOM = 600, 100, 300
MOST = 1200  # binary places that one step may grow by; rows would be kept too low for more
# Entries of U up to which the BLAS, which shares a product out among threads, costs more than it
# saves where one row is multiplied: for each product another thread waits and keeps its core busy,
# and only one product at a time is shared out. Not in float32, near whose end the order of a sum
# shows (``plain_pass``).
SHARED_FROM = 2**18
RNN_FORMS = ("tanh", "relu", "sigmoid", "identity")  # of rnn_gradients, by number


def growth(*weights: Any) -> int:
    """The binary places that a row can grow by when it is multiplied by all of these."""
    return sum(math.frexp(abs(w).max(initial=0.0))[1] + len(w).bit_length() for w in weights)


def room_for(places: int) -> int:
    """The binary exponent at which to keep rows that one step multiplies by up to 2^places."""
    return KEPT - max(0, places - ROOM)


@compiled
def _exponent(first: Any, second: Any) -> int:
    """Exponent e with the largest entry of both rows in [2^(e−1), 2^e); very low if all are 0."""
    top = 0.0
    for j in range(len(first)):
        top = max(top, abs(first[j]))
    for j in range(len(second)):
        top = max(top, abs(second[j]))
    return math.frexp(top)[1] if 0 < top < math.inf else -(1 << 40)


@compiled
def _shift(row: Any, by: int) -> None:
    """Row · 2^by."""
    by = min(max(by, -5000), 5000)
    for j in range(len(row)):
        row[j] = math.ldexp(row[j], by)


@compiled
def _align(
    d_h: Any, d_c: Any, scale: int, output_grad: Any, output_grad_scale: int, kept: int
) -> tuple[int, float]:
    """The scale for one row of one step, and what to multiply ``output_grad`` by to stand at it.

    d_h, d_c: what is carried from the step after, at ``scale``; shifted in place to the new one.
    """
    carried = scale + _exponent(d_h, d_c)
    largest = max(carried, output_grad_scale + _exponent(output_grad, output_grad[:0]))
    if largest > -(1 << 39) and not -AROUND <= largest - scale - kept <= AROUND:
        _shift(d_h, scale - largest + kept)
        _shift(d_c, scale - largest + kept)
        scale = largest - kept
    return scale, math.ldexp(1.0, min(max(output_grad_scale - scale, -5000), 1000))


@compiled
def _multiply_row(row: Any, u: Any, found: Any) -> None:
    """Row times u into found, four rows of u at a time."""
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
    """Uᵀ δa into d_h; where δa has come to be all 0 without reading U, which is finite."""
    if not d_a.any():
        d_h[:] = 0
    elif len(d_a) == 1 and u.itemsize == 8 and u.size <= SHARED_FROM:
        _multiply_row(d_a[0], u, d_h[0])
    else:
        np.dot(d_a, u, d_h)


@compiled
def rnn_gradients(
    h: Any,
    form: int,
    output_grad: Any,
    u: Any,
    d_h: Any,
    d_a: Any,
    d_h0: Any,
    held: Any,
    output_grad_scale: Any = None,
    scale: Any = None,
    kept: int = KEPT,
) -> None:
    """δh_t = output_grad_t + Uᵀ δa_{t+1};  δa_t = φ′(a_t) δh_t.

    form: φ by its number in RNN_FORMS; φ′ = 1 − h², [h > 0], h (1 − h) or 1.
    """
    steps, batch, hidden = h.shape
    holding = len(held) > 0
    d_h0[:] = 0
    for t in range(steps - 1, -1, -1):
        for b in range(batch):
            by = d_h.dtype.type(1)
            if scale is not None:
                row, row_scale = output_grad[t, b], output_grad_scale[t, b]
                scale[t, b], by = _align(
                    d_h0[b], d_h0[b, :0], scale[t + 1, b], row, row_scale, kept
                )
            for j in range(hidden):
                y = d_h.dtype.type(h[t, b, j])
                d = by * output_grad[t, b, j] + d_h0[b, j]
                d_h[t, b, j] = d
                if holding and held[t, b, j]:
                    d_a[t, b, j] = 0
                elif form == 1:
                    d_a[t, b, j] = 0 if y <= 0 else d  # not 0 · d, which may be NaN
                elif form == 2:
                    d_a[t, b, j] = y * (1 - y) * d
                elif form == 3:
                    d_a[t, b, j] = d
                else:
                    d_a[t, b, j] = (1 - y * y) * d
        _pass_back(d_a[t], u, d_h0)


@compiled
def gru_gradients(
    s: Any,
    m: Any,
    h: Any,
    h_0: Any,
    output_grad: Any,
    u: Any,
    d_h: Any,
    d_a: Any,
    d_h0: Any,
    held: Any,
    output_grad_scale: Any = None,
    scale: Any = None,
    kept: int = KEPT,
) -> None:
    """δh_t = output_grad_t + z_{t+1} δh_{t+1} + Uᵀ (δa_r, δa_z, r δa_n)_{t+1}.

    δa_n = (1 − z)(1 − n²) δh;  δa_z = (h_{t−1} − n) z (1 − z) δh;  δa_r = m r (1 − r) δa_n.

    s: gates r, z, n side by side; m: U_n h_{t−1} + b_hn.
    """
    steps, batch, hidden = h.shape
    real = d_h.dtype.type
    towards_u = np.empty((batch, 3 * hidden), d_h.dtype)
    holding = len(held) > 0
    d_h0[:] = 0
    for t in range(steps - 1, -1, -1):
        previous = h_0 if t == 0 else h[t - 1]
        for b in range(batch):
            by = real(1)
            if scale is not None:
                row, row_scale = output_grad[t, b], output_grad_scale[t, b]
                scale[t, b], by = _align(
                    d_h0[b], d_h0[b, :0], scale[t + 1, b], row, row_scale, kept
                )
            for j in range(hidden):
                r, z = real(s[t, b, j]), real(s[t, b, hidden + j])
                n = real(s[t, b, 2 * hidden + j])
                d = by * output_grad[t, b, j] + d_h0[b, j]
                d_h[t, b, j] = d
                if holding and held[t, b, 3 * hidden + j]:
                    d = real(0)
                d_n = (1 - z) * (1 - n * n) * d
                if holding and held[t, b, 2 * hidden + j]:
                    d_n = real(0)
                d_r = real(m[t, b, j]) * r * (1 - r) * d_n
                d_z = (real(previous[b, j]) - n) * z * (1 - z) * d
                if holding:
                    d_r = real(0) if held[t, b, j] else d_r
                    d_z = real(0) if held[t, b, hidden + j] else d_z
                d_a[t, b, j], d_a[t, b, hidden + j], d_a[t, b, 2 * hidden + j] = d_r, d_z, d_n
                towards_u[b, j], towards_u[b, hidden + j] = d_r, d_z
                towards_u[b, 2 * hidden + j] = r * d_n
        _pass_back(towards_u, u, d_h0)
        for b in range(batch):
            for j in range(hidden):
                if not holding or not held[t, b, 3 * hidden + j]:
                    d_h0[b, j] += real(s[t, b, hidden + j]) * d_h[t, b, j]


@compiled
def gru_reset_before_gradients(
    s: Any,
    h: Any,
    h_0: Any,
    output_grad: Any,
    u: Any,
    u_n: Any,
    d_h: Any,
    d_a: Any,
    d_h0: Any,
    held: Any,
    output_grad_scale: Any = None,
    scale: Any = None,
    kept: int = KEPT,
) -> None:
    """δh_t = output_grad_t + z_{t+1} δh_{t+1} + (U_rᵀ δa_r + U_zᵀ δa_z + r U_nᵀ δa_n)_{t+1}.

    δa_n = (1 − z)(1 − n²) δh;  δa_z = (h_{t−1} − n) z (1 − z) δh;
    δa_r = h_{t−1} r (1 − r) U_nᵀ δa_n.

    s: gates r, z, n side by side; u: the rows of U_r and U_z; u_n: those of U_n.
    """
    steps, batch, hidden = h.shape
    real = d_h.dtype.type
    towards_u, towards_n = np.empty((batch, 2 * hidden), d_h.dtype), np.empty_like(d_h0)
    by_reset = np.empty_like(d_h0)
    holding = len(held) > 0
    d_h0[:] = 0
    for t in range(steps - 1, -1, -1):
        previous = h_0 if t == 0 else h[t - 1]
        for b in range(batch):
            by = real(1)
            if scale is not None:
                row, row_scale = output_grad[t, b], output_grad_scale[t, b]
                scale[t, b], by = _align(
                    d_h0[b], d_h0[b, :0], scale[t + 1, b], row, row_scale, kept
                )
            for j in range(hidden):
                z, n = real(s[t, b, hidden + j]), real(s[t, b, 2 * hidden + j])
                d = by * output_grad[t, b, j] + d_h0[b, j]
                d_h[t, b, j] = d
                if holding and held[t, b, 3 * hidden + j]:
                    d = real(0)
                d_n = (1 - z) * (1 - n * n) * d
                d_z = (real(previous[b, j]) - n) * z * (1 - z) * d
                if holding:
                    d_n = real(0) if held[t, b, 2 * hidden + j] else d_n
                    d_z = real(0) if held[t, b, hidden + j] else d_z
                d_a[t, b, hidden + j], d_a[t, b, 2 * hidden + j] = d_z, d_n
                towards_u[b, hidden + j], towards_n[b, j] = d_z, d_n
        _pass_back(towards_n, u_n, by_reset)
        for b in range(batch):
            for j in range(hidden):
                r = real(s[t, b, j])
                d_r = real(previous[b, j]) * r * (1 - r) * by_reset[b, j]
                if holding and held[t, b, j]:
                    d_r = real(0)
                d_a[t, b, j] = towards_u[b, j] = d_r
        _pass_back(towards_u, u, d_h0)
        for b in range(batch):
            for j in range(hidden):
                d_h0[b, j] += real(s[t, b, j]) * by_reset[b, j]
                if not holding or not held[t, b, 3 * hidden + j]:
                    d_h0[b, j] += real(s[t, b, hidden + j]) * d_h[t, b, j]


@compiled
def lstm_gradients(
    s: Any,
    c: Any,
    c_0: Any,
    q: Any,
    output_grad: Any,
    u: Any,
    v: Any,
    p: Any,
    coupled: bool,
    d_h: Any,
    d_c: Any,
    d_a: Any,
    d_h0: Any,
    d_c0: Any,
    held: Any,
    output_grad_scale: Any = None,
    scale: Any = None,
    kept: int = KEPT,
) -> None:
    """δh_t = output_grad_t + Uᵀ δa_{t+1};  δc_t = o (1 − q²) δm_t + p_o δa_o + κ_{t+1}, q = tanh c_t.

    κ = f δc + p_i δa_i + p_f δa_f;  p: peepholes p_i, p_f, p_o, or no rows.
    δa_i = g i (1 − i) δc;  δa_f = c_{t−1} f (1 − f) δc;  δa_g = i (1 − g²) δc;
    δa_o = q o (1 − o) δm, with δm = δh, or Vᵀ δh where a projection V of any rows stands.
    coupled, i = 1 − f: δa_i = 0 and δa_f = (c_{t−1} − g) f (1 − f) δc.
    """
    steps, batch, hidden = c.shape
    real = d_h.dtype.type
    width = d_h.shape[2]
    projected, peephole = v.shape[0] > 0, p.shape[0] > 0
    d_m, d_y = np.empty((batch, hidden), d_h.dtype), np.empty((batch, width), d_h.dtype)
    holding = len(held) > 0
    d_h0[:] = 0
    d_c0[:] = 0
    for t in range(steps - 1, -1, -1):
        previous = c_0 if t == 0 else c[t - 1]
        for b in range(batch):
            by = real(1)
            if scale is not None:
                row, row_scale = output_grad[t, b], output_grad_scale[t, b]
                scale[t, b], by = _align(d_h0[b], d_c0[b], scale[t + 1, b], row, row_scale, kept)
            for j in range(width):
                d = by * output_grad[t, b, j] + d_h0[b, j]
                d_h[t, b, j] = d
                d_y[b, j] = real(0) if holding and held[t, b, 5 * hidden + j] else d
        if projected:
            _pass_back(d_y, v, d_m)
        else:
            d_m[:] = d_y
        for b in range(batch):
            for j in range(hidden):
                i, f = real(s[t, b, j]), real(s[t, b, hidden + j])
                g, o = real(s[t, b, 2 * hidden + j]), real(s[t, b, 3 * hidden + j])
                q_t, c_t = real(q[t, b, j]), real(previous[b, j])
                d_o = q_t * o * (1 - o) * d_m[b, j]
                if holding and held[t, b, 3 * hidden + j]:
                    d_o = real(0)
                d = d_c0[b, j] + o * (1 - q_t * q_t) * d_m[b, j]
                if peephole:
                    d += p[2, j] * d_o
                d_c[t, b, j] = d
                if holding and held[t, b, 4 * hidden + j]:
                    d = real(0)
                by_i = g * d
                d_g = i * (1 - g * g) * d
                if holding:
                    by_i = real(0) if held[t, b, j] else by_i
                    d_g = real(0) if held[t, b, 2 * hidden + j] else d_g
                if coupled:
                    d_i, d_f = real(0), (c_t * d - by_i) * f * (1 - f)
                else:
                    d_i, d_f = by_i * i * (1 - i), c_t * f * (1 - f) * d
                if holding and held[t, b, hidden + j]:
                    d_f = real(0)
                d_a[t, b, j], d_a[t, b, hidden + j] = d_i, d_f
                d_a[t, b, 2 * hidden + j], d_a[t, b, 3 * hidden + j] = d_g, d_o
                d_c0[b, j] = f * d
                if peephole:
                    d_c0[b, j] += p[0, j] * d_i + p[1, j] * d_f
        _pass_back(d_a[t], u, d_h0)


@compiled
def forget_path(f: Any, source: Any, source_scale: Any, d: Any, scale: Any) -> None:
    """D_t = source_t + f_{t+1} D_{t+1}, as rows of d · 2^scale; source: rows · 2^source_scale."""
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
