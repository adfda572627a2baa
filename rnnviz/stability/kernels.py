"""What Jacobians and their products need compiled: one pass over the memory, no array between."""

import math
from typing import Any

import numpy as np

from rnnviz.recursions.compiling import compiled

TOLERANCE = 1e-12  # of a singular triplet's residual, which bounds the norm's relative error
KEPT, HIGH, LOW = 600, 700, 500  # binary exponents of a product's largest entry


@compiled
def fill_gated(factors: Any, u: Any, found: Any) -> None:
    """J_t = D(factor 0) + Σ_k D(factor k) U_k, U_k the k-th gate's rows of u, into found."""
    steps, parts, n = factors.shape
    for t in range(steps):
        for j in range(n):
            row = found[t, j]
            by = factors[t, 1, j]
            for i in range(n):
                row[i] = by * u[j, i]
            for k in range(2, parts):
                by = factors[t, k, j]
                for i in range(n):
                    row[i] += by * u[(k - 1) * n + j, i]
            row[j] += factors[t, 0, j]


@compiled
def fill_lstm(keep: Any, gates: Any, _out: Any, by_cell: Any, u: Any, found: Any) -> None:
    """[[D(by o) U_o + D(q) A, D(q keep)], [A, D(keep)]] into found, q = by_cell.

    A = D(by f) U_f + D(by i) U_i + D(by g) U_g; gates: by i, f, g and o (``slopes``).
    """
    steps, n = keep.shape
    p = u.shape[1]
    for t in range(steps):
        for j in range(n):
            by_i, by_f = gates[t, 0, j], gates[t, 1, j]
            by_g, by_o = gates[t, 2, j], gates[t, 3, j]
            q = by_cell[t, j]
            hidden, cell = found[t, j], found[t, n + j]
            for k in range(p):
                cell[k] = by_i * u[j, k] + by_f * u[n + j, k] + by_g * u[2 * n + j, k]
            for k in range(p):
                hidden[k] = by_o * u[3 * n + j, k] + q * cell[k]
            hidden[p:] = 0
            cell[p:] = 0
            hidden[p + j] = q * keep[t, j]
            cell[p + j] = keep[t, j]


@compiled
def _exponent(product: Any) -> int:
    """Exponent e with the largest entry in [2^(e−1), 2^e); 0 if all are 0."""
    top = 0.0
    for row in product:
        for value in row:
            top = max(top, abs(value))
    return math.frexp(top)[1]


@compiled
def keep(product: Any, scale: int) -> int:
    """Shifts the product in place to a largest entry near 2^600, rounding nothing; the new scale.

    Product · 2^scale stays the same. A product of 0 stays as it is.
    """
    exponent = _exponent(product)
    if LOW <= exponent <= HIGH or not product.any():
        return scale
    for row in product:
        for j in range(len(row)):
            row[j] = math.ldexp(row[j], KEPT - exponent)
    return scale + exponent - KEPT


@compiled
def _combine(weights: Any, rows: Any, found: Any) -> None:
    """Σ_k weights_k rows_k into found, which the BLAS would share out among threads."""
    found[:] = 0
    for k in range(len(rows)):
        by = weights[k]
        for j in range(len(found)):
            found[j] += by * rows[k, j]


@compiled
def largest_singular_value(
    product: Any, turned: Any, start: Any, left: Any, right: Any, tolerance: float, found: Any
) -> float:
    """‖P‖₂ by Golub–Kahan–Lanczos from the left vector start, fully reorthogonalised.

    P V_k = U_{k+1} B_k with B lower bidiagonal; the residual of its largest singular triplet
    (x, θ, y) is α_{k+1} |x_{k+1}|. Ends when that is below tolerance · θ; found takes U x.
    turned: Pᵀ. left, right: room for the vectors, (steps, state); state + 1 are always enough.
    """
    most = len(left)
    b = np.zeros((most + 1, most + 1))
    left[0] = start / math.sqrt(np.dot(start, start))
    theta = 0.0
    r, s = np.empty(len(start)), np.empty(len(start))
    for k in range(most):
        _combine(left[k], product, r)
        for _ in range(2):
            for j in range(k):
                r -= np.dot(right[j], r) * right[j]
        alpha = math.sqrt(np.dot(r, r))
        if k > 0 and (k % 3 == 0 or k + 1 == most or alpha == 0):
            x, sigma, _ = np.linalg.svd(b[: k + 1, :k])
            theta = sigma[0]
            if alpha * abs(x[k, 0]) <= tolerance * theta or k + 1 == most:
                found[:] = np.dot(x[: k + 1, 0], left[: k + 1])
                return theta
        if alpha == 0:
            found[:] = start
            return theta
        right[k] = r / alpha
        _combine(right[k], turned, s)
        for _ in range(2):
            for j in range(k + 1):
                s -= np.dot(left[j], s) * left[j]
        beta = math.sqrt(np.dot(s, s))
        b[k, k], b[k + 1, k] = alpha, beta
        if beta == 0:
            x, sigma, _ = np.linalg.svd(b[: k + 1, : k + 1])
            found[:] = np.dot(x[:, 0], left[: k + 1])
            return sigma[0]
        left[k + 1] = s / beta
    return theta


@compiled
def log_norms(
    product: Any,
    scale: int,
    factors: Any,
    shifts: Any,
    chances: Any,
    left: Any,
    right: Any,
    vector: Any,
    found: Any,
) -> int:
    """log₁₀ ‖P‖₂ of P = product · 2^scale times the factors from the last down, into found.

    Each factor stands at 2^shift; None: the product has been multiplied by the only one. The
    product takes P at the scale that comes back. vector: the left singular vector of the product
    before; takes that of this one. A search starts from it and from its row of chances, standard
    normal: what the vector has nothing of may be the largest now. left, right: room, as in
    ``largest_singular_value``.
    """
    states = len(product)
    unit, turned = np.empty_like(product), np.empty_like(product)
    for k in range(len(shifts) - 1, -1, -1):
        if factors is not None:
            unit[:] = product
            np.dot(unit, factors[k], product)
        scale = keep(product, scale + shifts[k])
        exponent = _exponent(product)
        by = math.ldexp(1.0, -exponent)  # squares stay in range then
        for i in range(states):
            for j in range(states):
                unit[i, j] = turned[j, i] = by * product[i, j]
        start = vector + 0.3 * chances[k] / math.sqrt(states)
        norm = largest_singular_value(unit, turned, start, left, right, TOLERANCE, vector)
        found[k] = -math.inf
        if norm > 0:
            found[k] = math.log10(norm) + (scale + exponent) * math.log10(2.0)
    return scale


@compiled
def factorise(factors: Any, q: Any, bases: Any, found: Any) -> None:
    """Q_t into bases and R_t into found, F_t Q_{t−1} = Q_t R_t from this first Q on."""
    for t in range(len(factors)):
        bases[t], found[t] = np.linalg.qr(np.dot(factors[t], q))
        q = bases[t]


@compiled
def orthogonalise(rows: Any, logs: Any, tolerance: float, sweeps: int) -> None:
    """One-sided Jacobi (Demmel & Veselić 1992) on unit rows, each times e^log.

    The rows are turned until they are orthogonal; logs are then those of the singular values.
    Rows of any two sizes are turned without leaving the float range.
    """
    n, width = rows.shape
    for _ in range(sweeps):
        largest = 0.0
        for p in range(n - 1):
            for q in range(p + 1, n):
                big, small = (p, q) if logs[p] >= logs[q] else (q, p)
                if logs[small] == -math.inf:
                    continue
                a, b = rows[big], rows[small]
                c = np.dot(a, b)
                if abs(c) <= tolerance:
                    continue
                largest = max(largest, abs(c))
                r = math.exp(logs[small] - logs[big])
                gap = (1 - r) * (1 + r)
                slope = 2 * c / (gap + math.sqrt(gap * gap + 4 * r * r * c * c))
                t = slope * r
                cosine = 1 / math.sqrt(1 + t * t)
                for j in range(width):
                    x, y = a[j], b[j]
                    a[j] = cosine * (x + t * r * y)
                    b[j] = cosine * (y - slope * x)
                for k in (big, small):
                    norm = math.sqrt(np.dot(rows[k], rows[k]))
                    if norm > 0:
                        rows[k] /= norm
                        logs[k] += math.log(norm)
                    else:
                        logs[k] = -math.inf
        if largest == 0:
            return
