"""Rows of numbers of any size: values · 2^scale, one scale per row."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = tuple[NDArray[np.float64], NDArray[np.int64]]


def normalised(values: NDArray[Any], scale: NDArray[np.int64]) -> Rows:
    """The same rows values · 2^scale, each with its largest entry in [0.5, 1)."""
    _, exponent = np.frexp(np.abs(values).max(-1, initial=0.0))
    return np.ldexp(values, -exponent[..., None]), scale + exponent


def times(values: NDArray[Any], scale: NDArray[np.int64], w: NDArray[np.float64]) -> Rows:
    """Rows values · 2^scale times the matrix w, scaled likewise; large weights do not overflow."""
    rows, scale = normalised(values, scale)
    _, exponent = np.frexp(np.abs(w).max(initial=0.0))
    return normalised(rows @ np.ldexp(w, -exponent), scale + exponent)


def add_rows(terms: list[Rows]) -> Rows:
    """The sum of rows · 2^scale, as rows and scale."""
    # A row of zeros fits any scale, so it must not set the common one.
    scales = [np.where(x.any(-1), scale, -(1 << 40)) for x, scale in terms]
    largest = np.maximum.reduce(scales)
    largest = np.where(largest == -(1 << 40), 0, largest)
    total = np.zeros_like(terms[0][0])
    for x, scale in terms:
        total += np.ldexp(x, np.clip(scale - largest, -5000, 5000)[..., None])
    return total, largest
