"""Singular values of a product of Jacobians without forming it, and Lyapunov exponents."""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rnnviz.errors import RnnvizError, at_least, described, integer
from rnnviz.stability.products import (
    SMALL,
    Progress,
    Shifts,
    Values,
    blocks,
    check_jacobians,
    multiply,
    tell,
    threads_for,
)
from rnnviz.stability.rounding import EPS

RUN, ENTRIES = 32, 2**18  # most steps at a time, and most entries
LN_2 = math.log(2)


def lyapunov_exponents(
    jacobians: Any,
    *,
    warmup: int = 0,
    leading: int | None = None,
    progress: Progress | None = None,
) -> Values:
    """Lyapunov exponents, largest first, in nats per time step, (S,).

    jacobians: (T, S, S), ds_t/ds_{t−1}. J_t Q_{t−1} = Q_t R_t at every step from Q_0 = I,
    λ_i = mean of ln |R_ii| over the steps after ``warmup`` (Benettin et al. 1980). Their sum is the
    mean of ln |det J_t|. A direction that vanishes, to rounding, gives −inf.
    leading: compute only that many, (leading,), with as many columns of Q, at S² per step instead
    of S³; Q_0 is random, since the first units may have no component along them.
    RnnvizError for another shape, values that are not finite, a warm-up that leaves no step and
    leading below 1.

    >>> lyapunov_exponents(np.broadcast_to(np.diag([0.5, 2.0, 0.0]), (10, 3, 3))).round(4)
    array([ 0.6931, -0.6931,    -inf])
    """
    steps, states = check_jacobians(jacobians)
    first = integer(warmup)
    if first is None or not 0 <= first < steps:
        raise RnnvizError("error.warmup", came=described(warmup), steps=steps)
    columns = states if leading is None else at_least(1, "leading", leading)
    q = np.eye(states)
    if columns < states:
        q = np.linalg.qr(np.random.default_rng(0).standard_normal((states, columns)))[0]
    wanted, done = q.shape[1], 0
    sums = np.zeros(wanted)
    report = progress and (lambda done: tell(progress, done, steps, done))
    with threads_for(wanted):
        for r, shifts, alive in _sweep(blocks(jacobians), q, report):
            counted = slice(max(first - done, 0), None)
            sizes = np.ascontiguousarray(np.abs(r[counted, np.arange(len(alive)), alive]))
            logs = np.log(sizes) + shifts[counted, None] * LN_2
            # Summed in sequence: the result is the same however steps are grouped.
            sums = np.concatenate((sums[None, alive], logs)).cumsum(0)[-1]
            done += len(r)
    dead = np.full(wanted - len(sums), -np.inf)
    return np.concatenate((np.sort(sums / (steps - first))[::-1], dead))


def log_singular_values(jacobians: Any, *, progress: Progress | None = None) -> Values:
    """Natural logarithms of the singular values of J_T … J_1, (S,), largest first.

    Small values are as accurate as large ones: the product is never formed. Two sweeps of QR, the
    second over the transposed factors of the first, give a triangular product with rows of
    decreasing size (Stewart 1995); one-sided Jacobi on its rows, each with its own logarithm,
    preserves them (Demmel & Veselić 1992). Relative error: about T times the condition number of
    one step times the machine epsilon. A direction that vanishes, to rounding, gives −inf.
    jacobians, progress and errors as in ``lyapunov_exponents``.

    >>> log_singular_values(np.broadcast_to(np.diag([0.5, 2.0, 0.0]), (1000, 3, 3))).round(4)
    array([ 693.1472, -693.1472,      -inf])
    """
    from rnnviz.stability.kernels import orthogonalise

    steps, states = check_jacobians(jacobians)
    with threads_for(states):
        rows, logs = _triangular_product(jacobians, steps, states, progress)
    orthogonalise(rows, logs, EPS * np.sqrt(states), 60)
    dead = np.full(states - len(logs), -np.inf)
    return np.concatenate((np.sort(logs)[::-1], dead))


def _triangular_product(
    jacobians: Any, steps: int, states: int, progress: Progress | None
) -> tuple[Values, Values]:
    """A triangular matrix with the product's singular values: unit rows and log norms."""
    factors: list[Values] = []
    total = 0
    report = progress and (lambda done: tell(progress, done, 2 * steps, done))
    for r, shifts, _ in _sweep(blocks(jacobians), np.eye(states), report):
        factors += list(r)
        total += int(shifts.sum())
    width = len(factors[-1])
    rows, logs = np.eye(width), np.zeros(width)
    if width == 0:
        return rows, logs
    report = progress and (lambda done: tell(progress, steps + done, 2 * steps, steps - done - 1))
    for found, _, _ in _sweep(_transposed(factors), rows, report):
        for r in found:
            rows, logs = _multiply(r, rows, logs)
    return rows, logs + total * LN_2


def _transposed(factors: list[Values]) -> Iterator[tuple[Values, Shifts]]:
    """The transposed factors from last to first, as parts of a sweep; empties the list."""
    while factors:
        alike = [factors.pop().T]
        while factors and factors[-1].T.shape == alike[0].shape and len(alike) < RUN:
            alike.append(factors.pop().T)
        yield np.array(alike), np.zeros(len(alike), np.int64)


def _sweep(
    parts: Iterable[tuple[Values, Shifts]], q: Values, report: Callable[[int], None] | None
) -> Iterator[tuple[Values, Shifts, NDArray[np.intp]]]:
    """R_t of F_t Q_{t−1} = Q_t R_t, in runs of steps with the same independent columns.

    parts: F_t, (steps, row, column), each to be multiplied by 2^shift. A run: R_t without rows for
    dropped columns, (steps, kept, before), the shifts, and the indices of the kept columns. report:
    called with the steps done, before each.
    """
    done = 0
    for factors, shifts in parts:
        maximum = 1 if report else max(1, min(RUN, ENTRIES // factors[0].size))
        first = 0
        while first < len(factors):
            if report:
                report(done)
            q, r, alive = _run(factors[first : first + maximum], q)
            yield r, shifts[first : first + len(r)], alive
            first += len(r)
            done += len(r)


def _run(factors: Values, q: Values) -> tuple[Values, Values, NDArray[np.intp]]:
    """Q and all R before the first step with a dependent column; of that step if it is first."""
    from rnnviz.stability.kernels import factorise

    steps, states, wanted = len(factors), factors.shape[1], q.shape[1]
    bases, r = np.empty((steps, states, wanted)), np.empty((steps, wanted, wanted))
    before = [q, *bases[:-1]]
    if states <= SMALL and wanted:
        factorise(factors, np.ascontiguousarray(q), bases, r)
    else:
        for t in range(steps):
            product = torch.from_numpy(multiply(factors[t], before[t]))
            bases[t], r[t] = (part.numpy() for part in torch.linalg.qr(product))
    diagonal = np.abs(np.diagonal(r, axis1=1, axis2=2))
    dead = np.any(_dead(diagonal, factors, np.stack(before)), axis=1)
    if dead[0]:
        return _drop_dependent_columns(factors[0], q)
    steps = int(np.argmax(dead)) if dead.any() else len(r)
    return bases[steps - 1], r[:steps], np.arange(wanted)


def _drop_dependent_columns(factor: Values, q: Values) -> tuple[Values, Values, NDArray[np.intp]]:
    """A single step at which columns of F Q become linearly dependent, as a run.

    A column that depends on those before it, to rounding, gets no direction in Q′: a random one
    would absorb components of the columns after it.
    """
    y = multiply(factor, q)
    alive = np.arange(y.shape[1])
    while True:
        basis, r = (part.numpy() for part in torch.linalg.qr(torch.from_numpy(y[:, alive])))
        dead = _dead(np.abs(np.diagonal(r))[None], factor[None], q[None, :, alive])[0]
        if not dead.any():
            break
        alive = np.delete(alive, np.argmax(dead))
    whole = basis.T @ y
    whole[:, alive] = r
    return basis, whole[None], alive


def _dead(diagonal: Values, factors: Values, q: Values) -> NDArray[np.bool_]:
    """Whether a column's independent component is within rounding error, (steps, column).

    diagonal: |R_ii|, (steps, column). The rounding error is relative to the terms of this column,
    |F| |q|, not to the largest of all.
    """
    rounding = factors.shape[1] * EPS
    above = np.abs(factors).max(1) * math.sqrt(factors.shape[1])  # bounds every column's norm
    dead = diagonal <= rounding * (above[:, None] @ np.abs(q))[:, 0]
    for t in np.flatnonzero(dead.any(1)):
        terms = multiply(np.abs(factors[t]), np.abs(q[t][:, dead[t]]))
        largest = terms.max(0, initial=np.finfo(np.float64).tiny)  # whose square stays in range
        sizes = largest * np.linalg.norm(terms / largest, axis=0)
        dead[t, dead[t]] = diagonal[t, dead[t]] <= rounding * sizes
    return dead


def _multiply(r: Values, rows: Values, logs: Values) -> tuple[Values, Values]:
    """R times D(e^logs) rows, again as unit rows and the logarithms of their norms."""
    with np.errstate(divide="ignore"):
        sizes = np.log(np.abs(r)) + logs
    largest = sizes.max(1)
    product = multiply(np.sign(r) * np.exp(sizes - largest[:, None]), rows)
    norms = np.linalg.norm(product, axis=1)
    return product / norms[:, None], largest + np.log(norms)
