"""The sizes of rows: of each (time, batch) row of a gradient."""

import math
from functools import partial
from typing import Any

import numpy as np

from rnnviz.engine.kernels.compiling import compiled

SAFE = 1e-140, 1e140  # norms whose squares keep all of their digits


@compiled
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


@partial(compiled, reorder=True)
def _sum_of_squares(row: Any, room: Any) -> float:
    """Of a row, in float64; room takes the row, side by side in memory."""
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
    """log₁₀ of the norm of every row values · 2^scale, (time, batch), into out; NaN where padded.

    Of a row of zeros −inf; NaN or inf where an entry is.

    Says whether all largest entries are of a size between the two; a row of zeros is where
    ``zeros`` says so, and in the last time steps.
    lengths: (batch,) valid steps. backward: the recursion went from the first step to the last.
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
            if SAFE[0] < norm < SAFE[1] and smallest * units < norm < largest:
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
                first = math.ldexp(1.0, -exponent // 2)  # in two, each of which a float can hold
                second = math.ldexp(1.0, -exponent - (-exponent // 2))
                for j in range(units):
                    row[j] = row[j] * first * second
                total = _sum_of_squares(row, row)
            out[t, b] = 0.5 * math.log10(total) + (exponent + scale[t, b]) * math.log10(2.0)
    return safe
