"""Compiled norms and ranges of gradient rows, one row per (time, batch)."""

import math
from functools import partial
from typing import Any

import numpy as np

from rnnviz.engine.kernels.compiling import compiled

EXACT_SQUARES = 1e-140, 1e140  # norms whose squares neither underflow nor overflow


@compiled
def stays_within(values: Any, smallest: float, largest: float) -> bool:
    """Whether the largest |entry| of every (time, batch) row is in [smallest, largest].

    Rows of zeros are allowed in the last time steps only: earlier ones may have underflowed.
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


@partial(compiled, reorder=True)
def _sum_of_squares(row: Any, room: Any) -> float:
    """Sum of squares of a row in float64. room: contiguous work space for a copy."""
    for j in range(len(row)):
        room[j] = row[j]
    total = 0.0
    for j in range(len(row)):
        total += room[j] * room[j]
    return total


@compiled
def log_norms(
    values: Any,
    scale: Any,
    lengths: Any,
    backward: bool,
    zeros: bool,
    smallest: float,
    largest: float,
    out: Any,
) -> bool:
    """Writes log₁₀ of the norm of every row values · 2^scale, (time, batch), to out.

    −inf for a row of zeros, NaN or inf if the row has such an entry, NaN where padded.
    Returns whether the largest |entry| of every row is in [smallest, largest]; rows of zeros count
    as inside with ``zeros``, and in any case in the last time steps.
    lengths: (batch,) valid steps. backward: the direction reads the input from its end.
    """
    batch, units = values.shape[1:]
    row = np.empty(units)
    safe = True
    for b in range(batch):
        alive = False
        out[lengths[b] :, b] = math.nan
        for step in range(lengths[b] - 1, -1, -1):
            t = lengths[b] - 1 - step if backward else step
            total = _sum_of_squares(values[t, b], row)
            norm, exponent = math.sqrt(total), 0
            if EXACT_SQUARES[0] < norm < EXACT_SQUARES[1] and smallest * units < norm < largest:
                alive = True  # no entry is larger than the norm, and the largest is norm / √units
            else:
                top = 0.0
                for j in range(units):
                    top = max(top, abs(row[j]))
                if math.isnan(total):
                    top = math.nan
                if not smallest <= top <= largest and (top != 0 or (alive and not zeros)):
                    safe = False
                alive = top > 0
                if top == 0 or not top < math.inf:
                    out[t, b] = -math.inf if top == 0 else top
                    continue
                exponent = math.frexp(top)[1]
                first = math.ldexp(1.0, -exponent // 2)  # two factors, as 2^−exponent may overflow
                second = math.ldexp(1.0, -exponent - (-exponent // 2))
                for j in range(units):
                    row[j] = row[j] * first * second
                total = _sum_of_squares(row, row)
            out[t, b] = 0.5 * math.log10(total) + (exponent + scale[t, b]) * math.log10(2.0)
    return safe
