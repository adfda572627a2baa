"""Norms of products of Jacobians, far beyond the float range."""

import math
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from rnnviz.array_likes import read_array, unmasked
from rnnviz.errors import RnnvizError, at_least

Values = NDArray[np.float64]
Shifts = NDArray[np.int64]
Progress = Callable[[int, int], bool | None]  # steps done and their total; False cancels

SMALL = 64  # states up to which a library call costs more than it saves
MANY = 256  # states from which a second thread saves time
BLOCK = 2**22  # entries of Jacobians held at a time
PROBES = 10  # the bound fails with probability 10^−PROBES
STEP = 300  # largest binary exponent of a Jacobian's entries: a product of two stays in range


class NormBounds(NamedTuple):
    """log₁₀ of bounds on ‖∂s_T/∂s_t‖₂, each (T + 1,)."""

    lower: Values
    upper: Values


class TransientGrowth(NamedTuple):
    """How far a small change of s_0 grows before it decays.

    log10_norms: (T + 1,) log₁₀ ‖∂s_t/∂s_0‖₂; largest: the highest of them; step: its t.
    """

    log10_norms: Values
    largest: float
    step: int


def backward_norms(jacobians: Any, *, progress: Progress | None = None) -> Values:
    """log₁₀ ‖∂s_T/∂s_t‖₂, (T + 1,) for t = 0…T; the last entry is 0.

    jacobians: (T, S, S), ds_t/ds_{t−1}, or JacobianBlocks. The product is accumulated from T down
    with a separate binary exponent; its largest singular value is computed by Golub–Kahan–Lanczos
    (Golub & Kahan 1965) to a residual of 1e−12. −inf only where the product is 0.
    progress: called with the steps done and their total; False cancels. RnnvizError for another
    shape, for values that are not real and finite, and when cancelled.

    >>> backward_norms(np.full((1000, 1, 1), 0.1))[[0, 500, 1000]].round(6)
    array([-1000.,  -500.,     0.])
    """
    from rnnviz.stability.kernels import log_spectral_norms

    steps, states = check_jacobians(jacobians)
    norms = np.zeros(steps + 1)
    product, scale = np.eye(states), 0
    random = np.random.default_rng(0)
    left, right = np.empty((2, states + 1, states))
    vector = np.zeros(states)
    room = left, right, vector
    small = states <= SMALL
    with threads_for(states):
        for t, factors, shifts in _from_last(jacobians, progress, together=small):
            # Reversed, so that each step draws the same numbers however steps are grouped.
            noise = random.standard_normal((len(shifts), states))[::-1]
            if not small:
                product = multiply(product, factors[0])
            found = norms[t : t + len(shifts)]
            scale = log_spectral_norms(
                product, scale, factors if small else None, shifts, noise, *room, found
            )
    return norms


def bound_backward_norms(
    jacobians: Any, *, rank: int = 16, exact: int = 64, progress: Progress | None = None
) -> NormBounds:
    """Bounds on ``backward_norms`` at a cost of S² per step instead of S³.

    The last ``exact`` steps are exact. For earlier ones, a forward pass finds the ``rank`` dominant
    directions W of s_T; lower is ‖Wᵀ P‖₂. upper adds a bound on the orthogonal complement B from 10
    random probes, ‖B‖ ≤ 10 √(2/π) max ‖Bᵀω‖ with probability 1 − 10⁻¹⁰ (Halko, Martinsson & Tropp
    2011, Lemma 4.1). The bounds coincide where few directions survive. RnnvizError as in
    ``backward_norms``, and for ``rank`` or ``exact`` below 1.

    >>> bounds = bound_backward_norms(np.full((1000, 1, 1), 0.1))
    >>> bounds.lower[0].round(6), bounds.upper[0].round(6)
    (np.float64(-1000.0), np.float64(-1000.0))
    """
    from rnnviz.stability.kernels import rescale

    steps, states = check_jacobians(jacobians)
    exact = min(at_least(1, "exact", exact), steps)
    rank = min(at_least(1, "rank", rank), states)
    lower = np.zeros(steps + 1)
    lower[steps - exact :] = backward_norms(jacobians[steps - exact :])
    upper = lower.copy()
    random = np.random.default_rng(0)
    basis = np.linalg.qr(random.standard_normal((states, rank)))[0]
    for factor in _from_first(jacobians, _part_of(progress, 0, 2 * steps)):
        basis = np.linalg.qr(factor @ basis)[0]
    probes = random.standard_normal((PROBES, states))
    probes -= probes @ basis @ basis.T
    rows, scale, probe_scale = basis.T.copy(), 0, 0
    for t, (factor,), (shift,) in _from_last(jacobians, _part_of(progress, steps, 2 * steps)):
        rows, probes = rows @ factor, probes @ factor
        scale, probe_scale = rescale(rows, scale + shift), rescale(probes, probe_scale + shift)
        if t < steps - exact:
            unit, exponent = _unit(rows)
            largest = np.linalg.eigvalsh(unit @ unit.T)[-1]
            lower[t] = _log10(math.sqrt(max(largest, 0)), scale + exponent)
            unit, exponent = _unit(probes)
            rest = np.linalg.norm(unit, axis=1).max() * 10 * math.sqrt(2 / math.pi)
            rest = _log10(rest if states > rank else 0.0, probe_scale + exponent)
            upper[t] = top = max(lower[t], rest)
            if top > -math.inf:
                upper[t] += 0.5 * math.log10(sum(100 ** (x - top) for x in (lower[t], rest)))
    return NormBounds(lower, upper)


def transient_growth(jacobians: Any, *, progress: Progress | None = None) -> TransientGrowth:
    """The largest growth of a small change of s_0, and when it occurs.

    A non-normal matrix can amplify a change for many steps although all its eigenvalues lie inside
    the unit circle (Trefethen & Embree 2005). jacobians, progress, errors: see ``backward_norms``.

    >>> found = transient_growth(np.broadcast_to([[0.9, 5.0], [0.0, 0.9]], (100, 2, 2)))
    >>> round(found.largest, 4), found.step, found.log10_norms[[0, 100]].round(4)
    (1.2873, 9, array([ 0.   , -1.831]))
    """
    check_jacobians(jacobians)
    transposed = _numbers(jacobians[:])[::-1].transpose(0, 2, 1)
    norms = backward_norms(transposed, progress=progress)[::-1]
    step = int(np.argmax(norms))
    return TransientGrowth(norms, float(norms[step]), step)


def check_jacobians(jacobians: Any) -> tuple[int, int]:
    """T and S; RnnvizError for another shape, and for masked values."""
    unmasked("jacobians", jacobians)
    if hasattr(jacobians, "shape"):
        shape = jacobians.shape
    else:
        shape = read_array("jacobians", jacobians).shape
    if len(shape) != 3 or shape[1] != shape[2] or 0 in shape:
        raise RnnvizError("error.jacobian_shape", came=tuple(shape))
    return shape[0], shape[1]


def blocks(jacobians: Any, *, backward: bool = False) -> Iterator[tuple[Values, Shifts]]:
    """Jacobians F · 2^shift in blocks of steps, in float64: each block's F and shifts, (steps,).

    The largest entry of F is within 2^±300; scaling is exact. RnnvizError if not finite.
    """
    steps, states = check_jacobians(jacobians)
    jacobians = unmasked("jacobians", jacobians)
    if not hasattr(jacobians, "shape"):
        jacobians = read_array("jacobians", jacobians)
    size = max(1, BLOCK // states**2)
    firsts = range(0, steps, size)
    for first in reversed(firsts) if backward else firsts:
        block = _numbers(jacobians[first : first + size])
        if block.shape != (min(size, steps - first), states, states):  # not an ndarray
            raise RnnvizError("error.jacobian_shape", came=block.shape)
        largest = np.maximum(block.max((1, 2)), -block.min((1, 2)))
        bad = ~np.isfinite(largest)
        if bad.any():
            raise RnnvizError("error.jacobian_values", time=first + int(np.argmax(bad)))
        exponents = np.frexp(largest)[1].astype(np.int64)
        shifts = exponents - exponents.clip(-STEP, STEP)
        yield np.ldexp(block, -shifts[:, None, None]) if shifts.any() else block, shifts


def _numbers(given: Any) -> Values:
    """Jacobians as an array to write to, in float64; RnnvizError for anything but real numbers."""
    values = read_array("jacobians", given)
    if values.dtype.kind not in "biuf":
        try:  # objects may be numbers all the same
            values = np.array(values.tolist()) if values.dtype.kind == "O" else values
        except ValueError as error:
            raise RnnvizError("error.ragged", what="jacobians") from error
    if values.dtype.kind not in "biuf":
        key = "error.jacobian_complex" if values.dtype.kind == "c" else "error.jacobian_type"
        raise RnnvizError(key, came=values.dtype)
    return np.require(values, np.float64, ("C", "W"))


def _from_first(jacobians: Any, progress: Progress | None) -> Iterator[Values]:
    steps, _ = check_jacobians(jacobians)
    t = 0
    for factors, _ in blocks(jacobians):
        for factor in factors:
            tell(progress, t, steps, t)
            yield factor
            t += 1


def _from_last(
    jacobians: Any, progress: Progress | None, *, together: bool = False
) -> Iterator[tuple[int, Values, Shifts]]:
    """First time, factors and shifts, step by step from the last; ``together``: many at a time."""
    t, _ = steps, _ = check_jacobians(jacobians)
    for factors, shifts in blocks(jacobians, backward=True):
        size = len(factors) if together and progress is None else 1
        for end in range(len(factors), 0, -size):
            t -= size
            tell(progress, steps - t - 1, steps, t)
            yield t, factors[end - size : end], shifts[end - size : end]


def _part_of(progress: Progress | None, first: int, total: int) -> Progress | None:
    """Progress for one pass of several."""
    return progress and (lambda done, _: progress(first + done, total))


def tell(progress: Progress | None, done: int, total: int, time: int) -> None:
    """Calls progress; RnnvizError if it returns False."""
    if progress is not None and progress(done, total) is False:
        raise RnnvizError("error.cancelled", time=time)


def multiply(first: Values, second: Values) -> Values:
    """The matrix product, computed by torch, whose number of threads can be set."""
    return (torch.from_numpy(first) @ torch.from_numpy(second)).numpy()


@contextmanager
def threads_for(states: int) -> Generator[None]:
    """One thread for matrices so small that splitting the work costs more than it saves."""
    before = torch.get_num_threads()
    torch.set_num_threads(before if states >= MANY else 1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _unit(product: Values) -> tuple[Values, int]:
    """The product with its largest entry in [0.5, 1), whose squares stay in range; the exponent."""
    exponent = math.frexp(max(product.max(), -product.min()))[1]
    return np.ldexp(product, -exponent), exponent


def _log10(norm: Any, scale: int) -> float:
    return math.log10(norm) + scale * math.log10(2) if norm > 0 else -math.inf
