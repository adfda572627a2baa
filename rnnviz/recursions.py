"""What in a replay really has to go step by step, compiled: states forward, gradients backward.

Everything else of a replay is one array operation over all time steps (``replay``). Gates come in
the module's float type; gradients are worked out in the type of the array that takes them.
Arrays: (time, batch, rows), rows = gates × hidden in torch's order. δ is the total derivative of
the loss; ``injected`` is ∂ℓ/∂output, what the loss itself puts in at each step.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit

F = TypeVar("F", bound=Callable[..., Any])


def _compiled(function: F) -> F:
    """The function as machine code, kept on disk where some place can be written."""
    try:
        return cast(F, njit(cache=True, nogil=True, error_model="numpy")(function))
    except RuntimeError:  # numba: no locator available; nowhere to keep a cache
        return cast(F, njit(nogil=True, error_model="numpy")(function))


@_compiled
def cell_states(s: Any, c_0: Any, c: Any) -> None:
    """c_t = f c_{t−1} + i g, into c. s: gates i, f, g, o side by side; c_0: (batch, hidden)."""
    steps, batch, hidden = c.shape
    for t in range(steps):
        previous = c_0 if t == 0 else c[t - 1]
        for b in range(batch):
            for j in range(hidden):
                f, i, g = s[t, b, hidden + j], s[t, b, j], s[t, b, 2 * hidden + j]
                c[t, b, j] = f * previous[b, j] + i * g


@_compiled
def rnn_gradients(h: Any, relu: bool, injected: Any, u: Any, d_h: Any, d_a: Any, d_h0: Any) -> None:
    """δh_t = injected_t + Uᵀ δa_{t+1};  δa_t = φ′(a_t) δh_t, φ′ = 1 − h² or [h > 0]."""
    steps, batch, hidden = h.shape
    d_h0[:] = 0
    for t in range(steps - 1, -1, -1):
        for b in range(batch):
            for j in range(hidden):
                y = d_h.dtype.type(h[t, b, j])
                d = injected[t, b, j] + d_h0[b, j]
                d_h[t, b, j] = d
                if relu:
                    d_a[t, b, j] = 0 if y <= 0 else d  # not 0 · d, which may be NaN
                else:
                    d_a[t, b, j] = (1 - y * y) * d
        np.dot(d_a[t], u, d_h0)


@_compiled
def gru_gradients(
    s: Any, m: Any, h: Any, h_0: Any, injected: Any, u: Any, d_h: Any, d_a: Any, d_h0: Any
) -> None:
    """δh_t = injected_t + z_{t+1} δh_{t+1} + Uᵀ (δa_r, δa_z, r δa_n)_{t+1}.

    δa_n = (1 − z)(1 − n²) δh;  δa_z = (h_{t−1} − n) z (1 − z) δh;  δa_r = m r (1 − r) δa_n.

    s: gates r, z, n side by side; m: U_n h_{t−1} + b_hn.
    """
    steps, batch, hidden = h.shape
    real = d_h.dtype.type
    towards_u = np.empty((batch, 3 * hidden), d_h.dtype)
    d_h0[:] = 0
    for t in range(steps - 1, -1, -1):
        previous = h_0 if t == 0 else h[t - 1]
        for b in range(batch):
            for j in range(hidden):
                r, z = real(s[t, b, j]), real(s[t, b, hidden + j])
                n = real(s[t, b, 2 * hidden + j])
                d = injected[t, b, j] + d_h0[b, j]
                d_n = (1 - z) * (1 - n * n) * d
                d_r = real(m[t, b, j]) * r * (1 - r) * d_n
                d_z = (real(previous[b, j]) - n) * z * (1 - z) * d
                d_h[t, b, j] = d
                d_a[t, b, j], d_a[t, b, hidden + j], d_a[t, b, 2 * hidden + j] = d_r, d_z, d_n
                towards_u[b, j], towards_u[b, hidden + j] = d_r, d_z
                towards_u[b, 2 * hidden + j] = r * d_n
        np.dot(towards_u, u, d_h0)
        for b in range(batch):
            for j in range(hidden):
                d_h0[b, j] += real(s[t, b, hidden + j]) * d_h[t, b, j]


@_compiled
def lstm_gradients(
    s: Any,
    c: Any,
    c_0: Any,
    q: Any,
    injected: Any,
    u: Any,
    v: Any,
    d_h: Any,
    d_c: Any,
    d_a: Any,
    d_h0: Any,
    d_c0: Any,
) -> None:
    """δh_t = injected_t + Uᵀ δa_{t+1};  δc_t = o (1 − q²) δm_t + f_{t+1} δc_{t+1}, q = tanh c_t.

    δa_i = g i (1 − i) δc;  δa_f = c_{t−1} f (1 − f) δc;  δa_g = i (1 − g²) δc;
    δa_o = q o (1 − o) δm, with δm = δh, or Vᵀ δh where a projection V of any rows stands.
    """
    steps, batch, hidden = c.shape
    real = d_h.dtype.type
    projected = v.shape[0] > 0
    d_m = np.empty((batch, hidden), d_h.dtype)
    d_h0[:] = 0
    d_c0[:] = 0
    for t in range(steps - 1, -1, -1):
        previous = c_0 if t == 0 else c[t - 1]
        for b in range(batch):
            for j in range(d_h.shape[2]):
                d_h[t, b, j] = injected[t, b, j] + d_h0[b, j]
        if projected:
            np.dot(d_h[t], v, d_m)
        else:
            d_m[:] = d_h[t]
        for b in range(batch):
            for j in range(hidden):
                i, f = real(s[t, b, j]), real(s[t, b, hidden + j])
                g, o = real(s[t, b, 2 * hidden + j]), real(s[t, b, 3 * hidden + j])
                q_t = real(q[t, b, j])
                d = d_c0[b, j] + o * (1 - q_t * q_t) * d_m[b, j]
                d_c[t, b, j] = d
                d_a[t, b, j] = g * i * (1 - i) * d
                d_a[t, b, hidden + j] = real(previous[b, j]) * f * (1 - f) * d
                d_a[t, b, 2 * hidden + j] = i * (1 - g * g) * d
                d_a[t, b, 3 * hidden + j] = q_t * o * (1 - o) * d_m[b, j]
                d_c0[b, j] = f * d
        np.dot(d_a[t], u, d_h0)


@_compiled
def stays_within(values: Any, smallest: float, largest: float) -> bool:
    """Whether every (time, batch) row's largest entry is of a size between the two.

    Or 0 in the last time steps of all: earlier ones can be 0 because they fell below the range.
    """
    steps, batch, units = values.shape
    for b in range(batch):
        alive = False
        for t in range(steps - 1, -1, -1):
            top = 0.0
            for j in range(units):
                size = abs(values[t, b, j])
                if not size <= largest:
                    return False
                top = max(top, size)
            if (alive or top > 0) and top < smallest:
                return False
            alive = top > 0
    return True
