"""Singular values of a whole product of Jacobians, and Lyapunov exponents, without forming it."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rnnviz.errors import RnnvizError
from rnnviz.stability.products import (
    Progress,
    blocks,
    check_jacobians,
    few_threads,
    moderate,
    multiply,
    tell,
)

Values = NDArray[np.float64]
EPS = float(np.finfo(np.float64).eps)
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
    λ_i = mean of ln |R_ii| over the steps after ``warmup`` (Benettin et al. 1980). They add up to
    the mean of ln |det J_t|. A direction that dies, to rounding, gives −inf.
    leading: only so many of the largest, (leading,), by as many columns Q, at S² a step in place
    of S³; from a Q_0 at random, since the first units may have no part in them.
    RnnvizError for another shape, values that are not finite, a warm-up that leaves no step and
    leading below 1.

    >>> lyapunov_exponents(np.broadcast_to(np.diag([0.5, 2.0, 0.0]), (10, 3, 3))).round(4)
    array([ 0.6931, -0.6931,    -inf])
    """
    steps, states = check_jacobians(jacobians)
    if not 0 <= warmup < steps:
        raise RnnvizError("error.warmup", came=warmup, steps=steps)
    if leading is not None and leading < 1:
        raise RnnvizError("error.initialise_number", name="leading", came=leading, expected="x ≥ 1")
    q = np.eye(states)
    if leading is not None and leading < states:
        q = np.linalg.qr(np.random.default_rng(0).standard_normal((states, leading)))[0]
    wanted = q.shape[1]
    sums = np.zeros(wanted)
    with few_threads(wanted):
        for done, jacobian in enumerate(j for _, block in blocks(jacobians) for j in block):
            tell(progress, done, steps, done)
            factor, shift = moderate(jacobian)
            q, r, alive = _qr_step(factor, q)
            sums = sums[alive]
            if done >= warmup:
                sums += np.log(np.abs(np.diagonal(r[:, alive]))) + shift * LN_2
    dead = np.full(wanted - len(sums), -np.inf)
    return np.concatenate((np.sort(sums / (steps - warmup))[::-1], dead))


def log_singular_values(jacobians: Any, *, progress: Progress | None = None) -> Values:
    """Natural logarithms of the singular values of J_T … J_1, (S,), largest first.

    The small ones are as right as the large: the product is never formed. Two sweeps of QR, the
    second over the transposed factors of the first, leave a triangular product whose rows fall off
    in size (Stewart 1995); one-sided Jacobi on its rows, each with its own logarithm, keeps them
    all (Demmel & Veselić 1992): each to about T times the condition of one step times the float
    spacing. A direction that dies, to rounding, gives −inf.
    jacobians, progress and errors as in ``lyapunov_exponents``.

    >>> log_singular_values(np.broadcast_to(np.diag([0.5, 2.0, 0.0]), (1000, 3, 3))).round(4)
    array([ 693.1472, -693.1472,      -inf])
    """
    from rnnviz.stability.kernels import orthogonalise

    steps, states = check_jacobians(jacobians)
    with few_threads(states):
        rows, logs = _triangular_product(jacobians, steps, states, progress)
    orthogonalise(rows, logs, EPS * np.sqrt(states), 60)
    dead = np.full(states - len(logs), -np.inf)
    return np.concatenate((np.sort(logs)[::-1], dead))


def _triangular_product(
    jacobians: Any, steps: int, states: int, progress: Progress | None
) -> tuple[Values, Values]:
    """A triangular matrix with the product's singular values: unit rows and their logarithms."""
    moderated = (moderate(j) for _, block in blocks(jacobians) for j in block)
    factors: list[Values] = []
    shifts = 0
    for r, shift in _sweep(moderated, states):
        tell(progress, len(factors), 2 * steps, len(factors))
        factors.append(r)
        shifts += shift
    width = len(factors[-1])
    rows, logs = np.eye(width), np.zeros(width)
    if width == 0:
        return rows, logs
    for done, (r, _) in enumerate(_sweep(((r.T, 0) for r in reversed(factors)), width)):
        tell(progress, steps + done, 2 * steps, steps - done - 1)
        rows, logs = _multiply(r, rows, logs)
    return rows, logs + shifts * LN_2


def _sweep(factors: Iterable[tuple[Values, int]], states: int) -> Iterator[tuple[Values, int]]:
    """R_t of F_t Q_{t−1} = Q_t R_t from Q_0 = I, without rows for what is dead.

    Each factor goes with the power of two that it is to be multiplied by, and so does its R.
    """
    q = np.eye(states)
    for factor, shift in factors:
        q, r, _ = _qr_step(factor, q)
        yield r, shift


def _qr_step(factor: Values, q: Values) -> tuple[Values, Values, NDArray[np.intp]]:
    """Q′ and R of F Q = Q′ R, and the columns that are alive.

    A column of F Q that depends on those before it, to rounding, gets no direction in Q′: one at
    random would take its share of the columns behind it. R has a row for each column alive.
    """
    y = multiply(factor, q)
    alive = np.arange(y.shape[1])
    while True:
        found, r = (part.numpy() for part in torch.linalg.qr(torch.from_numpy(y[:, alive])))
        dead = _first_dead(np.abs(np.diagonal(r)), factor, q[:, alive])
        if dead is None and len(alive) <= len(y):
            break
        alive = np.delete(alive, len(y) if dead is None else dead)
    if len(alive) == y.shape[1]:
        return found, r, alive
    whole = found.T @ y
    whole[:, alive] = r
    return found, whole, alive


def _first_dead(diagonal: Values, factor: Values, q: Values) -> int | None:
    """The first column whose new part is no larger than what rounding leaves, or None."""
    rounding = len(factor) * EPS
    suspects = np.flatnonzero(diagonal <= rounding * np.linalg.norm(factor))
    for i in suspects:
        # What rounding leaves is by the terms of this column, not by the largest of all.
        if diagonal[i] <= rounding * np.linalg.norm(np.abs(factor) @ np.abs(q[:, i])):
            return int(i)
    return None


def _multiply(r: Values, rows: Values, logs: Values) -> tuple[Values, Values]:
    """R times D(e^logs) rows, again as unit rows and the logarithms of their norms."""
    with np.errstate(divide="ignore"):
        sizes = np.log(np.abs(r)) + logs
    largest = sizes.max(1)
    product = multiply(np.sign(r) * np.exp(sizes - largest[:, None]), rows)
    norms = np.linalg.norm(product, axis=1)
    return product / norms[:, None], largest + np.log(norms)
