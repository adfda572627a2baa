"""Initial states as modules take them, or as cells of one's own start → tensors by layer."""

from typing import Any

import torch
from torch import Tensor

from rnnviz.engine.given_tensors import check_finite, read_tensor
from rnnviz.errors import RnnvizError
from rnnviz.recurrent import Network

Layers = tuple[Tensor, ...]  # a state by layer, (direction, batch, unit)


def read_state(
    network: Network, state: Any, x: Tensor, batched: bool
) -> tuple[Layers, Layers | None]:
    """h_0, and c_0 of an LSTM: as given, or as the module starts.

    x: (time, batch, feature), for the batch and what cells of one's own start from. RnnvizError
    for a state that does not fit: shape, dtype, device, values not finite.
    """
    if state is None and network.has_own_step:
        return _own_start(network, x)
    widths = [network.output_sizes] + [network.hidden_sizes] * (network.cell == "lstm")
    if state is None:
        shape = network.directions, x.shape[1]
        h, *c = (tuple(x.new_zeros(*shape, size) for size in sizes) for sizes in widths)
        return h, c[0] if c else None
    parts = state if network.cell == "lstm" else (state,)
    if not isinstance(parts, tuple | list) or len(parts) != len(widths):
        count = f" ({len(parts)})" if isinstance(parts, tuple | list) else ""
        raise RnnvizError("error.state_pair", came=type(state).__name__ + count)
    h, *c = (
        _read_layers(network, part, sizes, x.shape[1] if batched else None, name)
        for part, sizes, name in zip(parts, widths, ("h_0", "c_0"), strict=False)
    )
    return h, c[0] if c else None


def _read_layers(
    network: Network, given: Any, sizes: tuple[int, ...], batch: int | None, name: str
) -> Layers:
    """One state by layer. sizes: its width in each layer. batch: None without a batch dimension."""
    layers, directions = len(sizes), network.directions
    lead = () if batch is None else (batch,)
    if len(set(sizes)) == 1:
        shape = (*lead, sizes[0])
        shape = shape if network.is_cell else (layers * directions, *shape)
        whole = _state_tensor(network, given, name, shape)
        return tuple(whole.reshape(layers, directions, batch or 1, sizes[0]))
    if not isinstance(given, tuple | list) or len(given) != layers * directions:
        count = f" ({len(given)})" if isinstance(given, tuple | list) else ""
        came = type(given).__name__ + count
        raise RnnvizError("error.state_list", what=name, came=came, expected=layers * directions)
    rows = [
        _state_tensor(network, row, f"{name}[{k}]", (*lead, sizes[k // directions]))
        for k, row in enumerate(given)
    ]
    rows = [row.reshape(batch or 1, -1) for row in rows]
    return tuple(torch.stack(rows[k : k + directions]) for k in range(0, len(rows), directions))


def _state_tensor(network: Network, given: Any, name: str, shape: tuple[int, ...]) -> Tensor:
    if isinstance(given, Tensor) and given.device.type == "cpu":  # as ``Trace.final_state`` is
        given = given.to(network.device)
    tensor = read_tensor(network, given, name)
    if tuple(tensor.shape) != shape:
        raise RnnvizError("error.state_shape", what=name, came=tuple(tensor.shape), expected=shape)
    check_finite(tensor, name)
    return tensor


def _own_start(network: Network, x: Tensor) -> tuple[Layers, Layers | None]:
    """The initial states that the cells themselves start from."""
    below, rows = x[0], list[list[Any]]()
    with torch.no_grad():
        for layer, width in zip(network.cells or (), network.output_sizes, strict=True):
            rows.append([cell.initial_state(below) for cell in layer])
            below = x.new_zeros(x.shape[1], network.directions * width)
    pairs = [[s if isinstance(s, tuple | list) else (s,) for s in row] for row in rows]
    h, *c = (
        tuple(torch.stack([s[k].expand(x.shape[1], -1) for s in row]).detach() for row in pairs)
        for k in range(1 + (network.cell == "lstm"))
    )
    for states, name in zip((h, *c), ("h_0", "c_0"), strict=False):
        for layer in states:
            check_finite(layer, name)
    return h, c[0] if c else None
