"""States as modules take and return them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

States = Sequence[Sequence[Tensor]]  # h, and c of an LSTM, each by layer (direction, batch, unit)


@dataclass(frozen=True)
class StateLayout:
    """How a module takes and returns its state.

    batched: with a batch axis. is_cell: without an axis of layers and directions, as torch's cells.
    dtype: the module's, by torch's name.
    """

    batched: bool = True
    is_cell: bool = False
    dtype: str = "float32"


def lay_out_state(states: States, *, batched: bool, is_cell: bool) -> Any:
    """A state as a module takes and returns it: h, of an LSTM (h, c).

    Each is (layer · direction, batch, unit), of a cell (batch, unit); of layers of unequal width a
    tuple of (batch, unit), one per layer and direction. Not batched: without the batch axis.

    >>> h = [torch.zeros(2, 3, 4), torch.zeros(2, 3, 4)]
    >>> lay_out_state([h], batched=True, is_cell=False).shape
    torch.Size([4, 3, 4])
    """
    found = [_lay_out(layers, batched=batched, is_cell=is_cell) for layers in states]
    return tuple(found) if len(found) == 2 else found[0]


def _lay_out(layers: Sequence[Tensor], *, batched: bool, is_cell: bool) -> Any:
    if len({h.shape[-1] for h in layers}) > 1:
        return tuple(h if batched else h[0] for layer in layers for h in layer)
    whole = torch.cat(list(layers)) if len(layers) > 1 else layers[0]
    whole = whole if batched else whole[:, 0]
    return whole[0] if is_cell else whole
