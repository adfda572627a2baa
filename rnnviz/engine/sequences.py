"""Inputs and states as modules take them → one padded layout, (time, batch, feature)."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from rnnviz.array_likes import check_dense, read_array, unmasked
from rnnviz.errors import RnnvizError
from rnnviz.recurrent import Network
from rnnviz.torch_names import dtype_name


@dataclass(frozen=True)
class Sequence:
    """Inputs and initial state of one run.

    x: (time, batch, feature), zero where padded. h, c: (layer, direction, batch, unit); c for an
    LSTM, else None. lengths: (batch,) valid time steps; None if all steps are valid.
    packed: the inputs if they came packed, else None. batched: the inputs have a batch dimension.
    batch_first: the inputs are (batch, time, feature). started: the initial state was not given.
    """

    x: Tensor
    h: Tensor
    c: Tensor | None
    lengths: Tensor | None
    packed: PackedSequence | None
    batched: bool
    batch_first: bool
    started: bool

    @property
    def valid(self) -> Tensor | None:
        """(time, batch), false where padded; None if all steps are valid."""
        if self.lengths is None:
            return None
        return torch.arange(len(self.x), device="cpu")[:, None] < self.lengths[None, :]

    def given(self) -> Any:
        """The inputs as the module takes them: packed where lengths differ."""
        if self.packed is not None:
            return self.packed
        if self.lengths is not None:
            return pack_padded_sequence(self.x, self.lengths, enforce_sorted=False)
        return self.laid_out(self.x)

    def given_state(self) -> Any:
        """The initial state as the module takes it."""
        h = self.h.flatten(0, 1)
        states = [h if self.batched else h[:, 0]]
        if self.c is not None:
            c = self.c.flatten(0, 1)
            states.append(c if self.batched else c[:, 0])
        return states[0] if self.c is None else tuple(states)

    def laid_out(self, values: Tensor) -> Tensor:
        """(time, batch, …) → the layout of the inputs."""
        if not self.batched:
            return values[:, 0]
        return values.transpose(0, 1) if self.batch_first else values

    def time_first(self, values: Tensor) -> Tensor:
        """The layout of the inputs → (time, batch, …)."""
        if not self.batched:
            return values[:, None]
        return values.transpose(0, 1) if self.batch_first else values


def read_sequence(network: Network, inputs: Any, state: Any, lengths: Any) -> Sequence:
    """Inputs, state and lengths as the module takes them → a Sequence.

    Float arrays are converted to the module's dtype and device; a tensor must have both.
    RnnvizError for what does not fit: shape, dtype, device, lengths, values not finite.
    """
    if isinstance(inputs, PackedSequence):
        return _read_packed(network, inputs, state, lengths)
    x = _tensor(network, inputs, "inputs")
    if x.dim() not in (2, 3) or x.shape[-1] != network.input_size:
        raise RnnvizError(
            "error.inputs_shape", came=tuple(x.shape), expected=_expected_inputs(network)
        )
    if 0 in x.shape:
        raise RnnvizError("error.inputs_empty", came=tuple(x.shape))
    batched = x.dim() == 3
    batch_first = batched and network.batch_first
    x = x.transpose(0, 1) if batch_first else x if batched else x[:, None]
    sizes = _lengths(lengths, x, batched)
    if sizes is not None:
        valid = torch.arange(len(x), device="cpu")[:, None] < sizes[None, :]
        x = x.where(valid[:, :, None].to(x.device), x.new_zeros(()))
    _check_finite(x.transpose(0, 1) if batch_first else x if batched else x[:, 0], "inputs")
    h, c = _read_state(network, state, x, batched)
    return Sequence(x, h, c, sizes, None, batched, batch_first, state is None)


def _read_packed(network: Network, inputs: PackedSequence, state: Any, lengths: Any) -> Sequence:
    if network.is_cell:
        raise RnnvizError("error.packed_cell")
    if lengths is not None:
        raise RnnvizError("error.packed_lengths")
    x, sizes = pad_packed_sequence(inputs)
    x = _tensor(network, x, "inputs")
    if x.dim() != 3 or x.shape[-1] != network.input_size:
        raise RnnvizError(
            "error.inputs_shape", came=tuple(x.shape), expected=_expected_inputs(network)
        )
    _check_finite(x, "inputs")
    h, c = _read_state(network, state, x, True)
    return Sequence(x, h, c, sizes, inputs, True, network.batch_first, state is None)


def _expected_inputs(network: Network) -> str:
    d = network.input_size
    batch = f"(batch, time, {d})" if network.batch_first else f"(time, batch, {d})"
    return f"(time, {d}), {batch}"


def _tensor(network: Network, values: Any, what: str) -> Tensor:
    values = unmasked(what, values)
    expected = dtype_name(network.dtype)
    if not isinstance(values, Tensor):
        array = read_array(what, values)
        _check_dtype(array.dtype.kind, str(array.dtype), expected, what)
        doubles = array.astype(np.float64, order="C")  # a copy: torch warns of read-only arrays
        values = torch.from_numpy(doubles).to(network.device, network.dtype)
    check_dense(values, what)
    if values.dtype != network.dtype:
        whole = not (
            values.is_floating_point() or values.is_complex() or values.dtype == torch.bool
        )
        _check_dtype("i" if whole else "", dtype_name(values.dtype), expected, what)
    if values.device != network.device:
        raise RnnvizError(
            "error.device", what=what, came=str(values.device), expected=str(network.device)
        )
    return values.detach()


def _check_dtype(kind: str, came: str, expected: str, what: str) -> None:
    """RnnvizError unless kind is that of floats; whole numbers may be the codes of tokens."""
    if kind == "f":
        return
    tokens = kind in ("i", "u") and what == "inputs"
    key = "error.dtype_tokens" if tokens else "error.dtype"
    raise RnnvizError(key, what=what, came=came, expected=expected)


def _lengths(lengths: Any, x: Tensor, batched: bool) -> Tensor | None:
    if lengths is None:
        return None
    if not batched:
        raise RnnvizError("error.lengths_unbatched")
    given = read_array("lengths", lengths)
    steps, batch = x.shape[:2]
    if given.dtype.kind not in "iu" or given.shape != (batch,):
        raise RnnvizError("error.lengths_shape", dtype=given.dtype, shape=given.shape, batch=batch)
    for index in np.flatnonzero((given < 1) | (given > steps))[:1]:
        raise RnnvizError("error.lengths_range", index=index, came=given[index], steps=steps)
    return torch.from_numpy(given.astype(np.int64))


def _check_finite(values: Tensor, what: str) -> None:
    # Fast check: a sum is finite only if all terms are. It may overflow, so check each entry then.
    if math.isfinite(values.sum()):
        return
    bad = ~torch.isfinite(values)
    if bad.any():
        raise RnnvizError(
            "error.not_finite",
            what=what,
            bad=int(bad.sum()),
            first=tuple(bad.nonzero()[0].tolist()),
        )


def _read_state(
    network: Network, state: Any, x: Tensor, batched: bool
) -> tuple[Tensor, Tensor | None]:
    layers, directions, batch = len(network.layers), network.directions, x.shape[1]
    sizes = [network.output_size] + [network.hidden_size] * (network.cell == "lstm")
    if state is None and network.has_own_step:
        return _own_start(network, x)
    if state is None:
        zeros = [x.new_zeros(layers, directions, batch, size) for size in sizes]
        return zeros[0], zeros[1] if len(zeros) == 2 else None
    parts = state if network.cell == "lstm" else (state,)
    if not isinstance(parts, tuple | list) or len(parts) != len(sizes):
        count = f" ({len(parts)})" if isinstance(parts, tuple | list) else ""
        raise RnnvizError("error.state_pair", came=type(state).__name__ + count)
    found: list[Tensor] = []
    for part, size, name in zip(parts, sizes, ("h_0", "c_0"), strict=False):
        tensor = _tensor(network, part, name)
        shape = (batch, size) if batched else (size,)
        shape = shape if network.is_cell else (layers * directions, *shape)
        if tuple(tensor.shape) != shape:
            raise RnnvizError(
                "error.state_shape", what=name, came=tuple(tensor.shape), expected=shape
            )
        _check_finite(tensor, name)
        found.append(tensor.reshape(layers, directions, batch, size))
    return found[0], found[1] if len(found) == 2 else None


def _own_start(network: Network, x: Tensor) -> tuple[Tensor, Tensor | None]:
    """The initial states that the cells themselves start from, (layer, direction, batch, unit)."""
    below = x.new_zeros(x.shape[1], network.directions * network.output_size)
    with torch.no_grad():
        rows = [
            [cell.initial_state(below if number else x[0]) for cell in layer]
            for number, layer in enumerate(network.cells or ())
        ]
    pairs = [[s if isinstance(s, tuple | list) else (s,) for s in row] for row in rows]
    found = [
        torch.stack([torch.stack([s[k].expand(x.shape[1], -1) for s in row]) for row in pairs])
        for k in range(1 + (network.cell == "lstm"))
    ]
    for states, name in zip(found, ("h_0", "c_0"), strict=False):
        _check_finite(states.detach(), name)
    return found[0].detach(), found[1].detach() if len(found) == 2 else None
