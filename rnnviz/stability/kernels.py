"""Compiled kernels for Jacobians and their products: one pass over memory, no temporaries."""

import math
from functools import partial
from typing import Any

import numpy as np

from rnnviz.engine.kernels.compiling import compiled
from rnnviz.stability.rounding import EPS

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
def fill_lstm(carry: Any, gates: Any, _out: Any, by_cell: Any, u: Any, found: Any) -> None:
    """[[D(by o) U_o + D(q) A, D(q carry)], [A, D(carry)]] into found, q = by_cell.

    A = D(by f) U_f + D(by i) U_i + D(by g) U_g; gates: by i, f, g and o (``slopes``).
    """
    steps, n = carry.shape
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
            hidden[p + j] = q * carry[t, j]
            cell[p + j] = carry[t, j]


@compiled
def _exponent(product: Any) -> int:
    """Exponent e with the largest entry in [2^(e−1), 2^e); 0 if all are 0."""
    top = 0.0
    for row in product:
        for value in row:
            top = max(top, abs(value))
    return math.frexp(top)[1]


@compiled
def rescale(product: Any, scale: int) -> int:
    """Shifts the product in place to a largest entry near 2^600, exactly; returns the new scale.

    Product · 2^scale is unchanged. A product of 0 is left alone.
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
    """Σ_k weights_k rows_k into found, in one thread, unlike the BLAS."""
    found[:] = 0
    for k in range(len(rows)):
        by = weights[k]
        for j in range(len(found)):
            found[j] += by * rows[k, j]


@partial(compiled, reorder=True)
def _dot(first: Any, second: Any) -> float:
    total = 0.0
    for j in range(len(first)):
        total += first[j] * second[j]
    return total


@compiled
def _leave_out(vectors: Any, count: int, row: Any) -> float:
    """Projects the first orthonormal vectors out of the row; returns the norm that remains."""
    for _ in range(2 if count else 0):
        for k in range(count):
            by = _dot(vectors[k], row)
            for j in range(len(row)):
                row[j] -= by * vectors[k, j]
    return math.sqrt(_dot(row, row))


@compiled
def largest_pair(diagonal: Any, beside: Any, n: int, near: float, x: Any, pivots: Any) -> float:
    """The largest eigenvalue of a symmetric tridiagonal n × n matrix without negative entries.

    beside: the entries above the diagonal. near: the first guess. x: output, the unit eigenvector.
    pivots: workspace.

    Newton's method on the last pivot of λ − T, factorised from below, safeguarded by bisection; the
    vector from both factorisations, joined where it is largest (Dhillon & Parlett 2004).
    """
    low, high = 0.0, 0.0
    for i in range(n):
        low = max(low, diagonal[i])
        across = (beside[i - 1] if i > 0 else 0.0) + (beside[i] if i + 1 < n else 0.0)
        high = max(high, diagonal[i] + across)
    value = near if low < near < high else high
    for _ in range(200):  # bisection alone needs about half of these
        pivot, slope, i = value - diagonal[n - 1], 1.0, n - 1
        while i > 0 and pivot > 0:
            i -= 1
            share = beside[i] / pivot
            pivot = value - diagonal[i] - share * beside[i]
            slope = 1 + share * share * slope
        if pivot >= 0 and i == 0:
            high = min(high, value)
        else:
            low = max(low, value)
        better = value - pivot / slope if i == 0 else high
        if not low < better < high:
            better = 0.5 * (low + high)
        done = abs(better - value) <= 2 * EPS * value
        value = better
        if done:
            break
    _fill_vector(diagonal, beside, n, value * (1 + 4 * EPS), x, pivots)
    return value


@compiled
def _fill_vector(diagonal: Any, beside: Any, n: int, above: float, x: Any, pivots: Any) -> None:
    """The unit vector of ``largest_pair`` into x, from pivots slightly above its eigenvalue."""
    floor = above * EPS * EPS  # for a pivot that cancelled to nothing
    pivots[n - 1] = max(above - diagonal[n - 1], floor)
    for i in range(n - 2, -1, -1):
        share = beside[i] / pivots[i + 1]
        pivots[i] = max(above - diagonal[i] - share * beside[i], floor)
    top, smallest, meet = above - diagonal[0], pivots[0], 0
    for i in range(1, n):  # x holds the pivots from above
        x[i - 1] = max(top, floor)
        share = beside[i - 1] / x[i - 1] * beside[i - 1]
        top = above - diagonal[i] - share
        if pivots[i] - share < smallest:
            smallest, meet = pivots[i] - share, i
    total, entry = 1.0, 1.0
    for i in range(meet, 0, -1):
        entry *= beside[i - 1] / x[i - 1]
        x[i - 1] = entry
        total += entry * entry
    x[meet] = entry = 1.0
    for i in range(meet + 1, n):
        entry *= beside[i - 1] / pivots[i]
        x[i] = entry
        total += entry * entry
    for i in range(n):
        x[i] /= math.sqrt(total)


@compiled
def largest_singular_value(
    product: Any, transposed: Any, start: Any, left: Any, right: Any, tolerance: float, found: Any
) -> float:
    """‖P‖₂ by Golub–Kahan–Lanczos from the left vector start, fully reorthogonalised.

    P V_k = U_{k+1} B_k with B lower bidiagonal; the residual of its largest singular triplet
    (x, θ, y) is α_{k+1} |x_{k+1}|. Stops when that is below tolerance · θ; found: output, U x.
    transposed: Pᵀ. left, right: workspace, (steps, state); state + 1 steps are always enough.
    """
    maximum = len(left)
    diagonal, beside = np.zeros(maximum + 1), np.empty(maximum + 1)  # of B Bᵀ
    x, pivots = np.empty(maximum + 1), np.empty(maximum + 1)
    left[0] = start / math.sqrt(np.dot(start, start))
    theta, k = 0.0, 0
    r, s = np.empty(len(start)), np.empty(len(start))
    for k in range(maximum):
        _combine(left[k], product, r)
        alpha = _leave_out(right, k, r)
        if k > 0:
            theta = math.sqrt(largest_pair(diagonal, beside, k + 1, theta * theta, x, pivots))
            if alpha * x[k] <= tolerance * theta or k + 1 == maximum:
                break
        if alpha == 0:
            found[:] = start
            return theta
        right[k] = r / alpha
        _combine(right[k], transposed, s)
        beta = _leave_out(left, k + 1, s)
        diagonal[k] += alpha * alpha
        diagonal[k + 1], beside[k] = beta * beta, alpha * beta
        if beta == 0:
            theta = math.sqrt(largest_pair(diagonal, beside, k + 1, theta * theta, x, pivots))
            break
        left[k + 1] = s / beta
    _combine(x[: k + 1], left[: k + 1], found)
    return theta


@compiled
def _copy(matrix: Any, found: Any) -> None:
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            found[i, j] = matrix[i, j]


@compiled
def log_spectral_norms(
    product: Any,
    scale: int,
    factors: Any,
    shifts: Any,
    noise: Any,
    left: Any,
    right: Any,
    vector: Any,
    found: Any,
) -> int:
    """log₁₀ ‖P‖₂ of P = product · 2^scale times the factors from the last down, into found.

    Each factor is to be multiplied by 2^shift; None: the product already includes the only factor.
    The product is updated in place to P at the returned scale. vector: in, the left singular vector
    of the previous product; out, of this one. A search starts from it plus a row of ``noise``,
    standard normal, because the new largest direction may be orthogonal to it. left, right:
    workspace, as in ``largest_singular_value``.
    """
    states = len(product)
    unit, transposed = np.empty_like(product), np.empty_like(product)
    for k in range(len(shifts) - 1, -1, -1):
        if factors is not None:
            _copy(product, unit)
            np.dot(unit, factors[k], product)
        scale = rescale(product, scale + shifts[k])
        exponent = _exponent(product)
        by = math.ldexp(1.0, -exponent)  # squares stay in range then
        for i in range(states):
            for j in range(states):
                unit[i, j] = transposed[j, i] = by * product[i, j]
        start = vector + 0.3 * noise[k] / math.sqrt(states)
        norm = largest_singular_value(unit, transposed, start, left, right, TOLERANCE, vector)
        found[k] = -math.inf
        if norm > 0:
            found[k] = math.log10(norm) + (scale + exponent) * math.log10(2.0)
    return scale


@compiled
def factorise(factors: Any, q: Any, bases: Any, found: Any) -> None:
    """Q_t into bases and R_t into found: F_t Q_{t−1} = Q_t R_t, starting from q."""
    for t in range(len(factors)):
        basis, triangle = np.linalg.qr(np.dot(factors[t], q))
        _copy(basis, bases[t])
        _copy(triangle, found[t])
        q = bases[t]


@compiled
def orthogonalise(rows: Any, logs: Any, tolerance: float, sweeps: int) -> None:
    """One-sided Jacobi (Demmel & Veselić 1992) on unit rows, each times e^log.

    Rotates rows until they are orthogonal; logs are then those of the singular values. Rows of
    very different sizes are rotated without leaving the float range.
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
