"""The order of time steps: that of the input, and that in which a direction reads."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def flip_valid_time(values: Any, direction: int, lengths: Tensor | None) -> Any:
    """Converts between the order of the input and that of a direction; its own inverse.

    The valid steps of a sequence are reversed, its padding stays at the end.
    """
    if direction == 0:
        return values
    if lengths is None:
        return values.flip(0) if isinstance(values, Tensor) else values[::-1]
    steps = torch.arange(len(values), device="cpu")[:, None]
    index = torch.where(steps < lengths, lengths - 1 - steps, steps)
    batch = torch.arange(len(lengths), device="cpu")
    if isinstance(values, Tensor):
        return values[index, batch]
    return values[index.numpy(), batch.numpy()]


def valid_first(valid: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The positions of each sequence's valid steps in turn, then of its other steps.

    valid, result: (time, batch).

    >>> valid_first(np.array([[False], [True], [False], [True]])).ravel()
    array([1, 3, 0, 2])
    """
    return np.argsort(~valid, axis=0, kind="stable")
