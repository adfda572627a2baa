"""The order of time steps: that of the input, and that in which a direction reads."""

from typing import Any

import torch
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
