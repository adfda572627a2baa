"""Inputs and states as modules take them → one padded layout, (time, batch, feature)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from rnnviz.array_likes import holds_bool, read_array
from rnnviz.engine.given_tensors import check_finite, read_tensor
from rnnviz.engine.initial_states import Layers, read_state
from rnnviz.engine.state_layout import lay_out_state
from rnnviz.engine.time_order import valid_first
from rnnviz.errors import RnnvizError
from rnnviz.recurrent import Network


@dataclass(frozen=True)
class Sequence:
    """Inputs and initial state of one run.

    x: (time, batch, feature), zero where padded. h, c: by layer (direction, batch, unit); c for an
    LSTM, else None. lengths: (batch,) steps that the module runs over; None if all.
    packed: the inputs if they came packed, else None. batched: the inputs have a batch dimension.
    batch_first: the inputs are (batch, time, feature). is_cell: the module takes one step per call.
    started: the initial state was not given.
    mask: (time of the input, batch), true at the steps that are read; else None. A step that is not
    read changes no state and no gradient, so x has only the steps read, one after the other. A
    sequence without any has one step of zeros in x, which counts as padding.
    """

    x: Tensor
    h: Layers
    c: Layers | None
    lengths: Tensor | None
    packed: PackedSequence | None
    batched: bool
    batch_first: bool
    is_cell: bool
    started: bool
    mask: Tensor | None = None

    @property
    def steps(self) -> int:
        """Time steps of the input."""
        return len(self.x if self.mask is None else self.mask)

    @property
    def counts(self) -> Tensor:
        """(batch,) steps of each sequence that are neither padded nor masked."""
        if self.mask is not None:
            return self.mask.sum(0)
        steps, batch = self.x.shape[:2]
        return torch.full((batch,), steps, device="cpu") if self.lengths is None else self.lengths

    @property
    def valid(self) -> Tensor | None:
        """(time, batch), false where padded; None if all steps are valid."""
        if self.lengths is None:
            return None
        return torch.arange(len(self.x), device="cpu")[:, None] < self.counts

    def read_steps(self, values: Tensor) -> Tensor:
        """(time of the input, batch, …) → those at the steps of x."""
        return values if self.mask is None else _gathered(values, self.mask, len(self.x))

    def spread(self, values: NDArray[Any], fill: float) -> NDArray[Any]:
        """(…, time, batch, unit) → over all steps of the input, with the fill where masked."""
        if self.mask is None:
            return values
        shape = (*values.shape[:-3], *self.mask.shape, values.shape[-1])
        found = np.full(shape, fill, values.dtype)
        places = valid_first(self.mask.numpy())[: len(self.x)]
        found[..., places, np.arange(places.shape[1]), :] = values
        return found

    def given(self) -> Any:
        """The inputs as the module takes them: packed where lengths differ."""
        if self.packed is not None:
            return self.packed
        if self.lengths is not None:
            return pack_padded_sequence(self.x, self.lengths, enforce_sorted=False)
        return self.laid_out(self.x)

    def given_state(self) -> Any:
        """The initial state as the module takes it."""
        states = [self.h] if self.c is None else [self.h, self.c]
        return lay_out_state(states, batched=self.batched, is_cell=self.is_cell)

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


def read_sequence(
    network: Network, inputs: Any, state: Any, lengths: Any, mask: Any = None
) -> Sequence:
    """Inputs, state, lengths and mask as the module takes them → a Sequence.

    Float arrays are converted to the module's dtype and device; a tensor must have both, except
    that a state may be on the CPU. RnnvizError for what does not fit: shape, dtype, device,
    lengths, mask, values not finite.
    """
    if isinstance(inputs, PackedSequence):
        if mask is not None:
            raise RnnvizError("error.packed_mask")
        return _read_packed(network, inputs, state, lengths)
    x = read_tensor(network, inputs, "inputs")
    if x.dim() not in (2, 3) or x.shape[-1] != network.input_size:
        raise RnnvizError(
            "error.inputs_shape", came=tuple(x.shape), expected=_expected_inputs(network)
        )
    if 0 in x.shape:
        raise RnnvizError("error.inputs_empty", came=tuple(x.shape))
    batched = x.dim() == 3
    batch_first = batched and network.batch_first
    x = x.transpose(0, 1) if batch_first else x if batched else x[:, None]
    sizes, read = _lengths(lengths, x, batched), _mask(mask, x, batched, batch_first)
    valid = None
    if sizes is not None:
        valid = torch.arange(len(x), device="cpu")[:, None] < sizes[None, :]
    if read is not None:
        valid = read = read if valid is None else read & valid
    if valid is not None:
        x = x.where(valid[:, :, None].to(x.device), x.new_zeros(()))
    check_finite(x.transpose(0, 1) if batch_first else x if batched else x[:, 0], "inputs")
    if read is not None:
        x, sizes = _drop_masked(x, read)
    h, c = read_state(network, state, x, batched)
    layout = None, batched, batch_first, network.is_cell, state is None
    return Sequence(x, h, c, sizes, *layout, read)


def _drop_masked(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor | None]:
    """The steps that a mask leaves, one after the other, and their number if it differs."""
    counts = mask.sum(0)
    longest = max(int(counts.max()), 1)
    lengths = None if bool((counts == longest).all()) else counts.clamp(min=1)
    return _gathered(x, mask, longest), lengths


def _gathered(values: Tensor, mask: Tensor, steps: int) -> Tensor:
    places = torch.from_numpy(valid_first(mask.numpy())[:steps])
    return values[places.to(values.device), torch.arange(places.shape[1], device=values.device)]


def _read_packed(network: Network, inputs: PackedSequence, state: Any, lengths: Any) -> Sequence:
    if network.is_cell:
        raise RnnvizError("error.packed_cell")
    if lengths is not None:
        raise RnnvizError("error.packed_lengths")
    x, sizes = pad_packed_sequence(inputs)
    x = read_tensor(network, x, "inputs")
    if x.dim() != 3 or x.shape[-1] != network.input_size:
        raise RnnvizError(
            "error.inputs_shape", came=tuple(x.shape), expected=_expected_inputs(network)
        )
    check_finite(x, "inputs")
    h, c = read_state(network, state, x, True)
    return Sequence(x, h, c, sizes, inputs, True, network.batch_first, False, state is None)


def _expected_inputs(network: Network) -> str:
    d = network.input_size
    batch = f"(batch, time, {d})" if network.batch_first else f"(time, batch, {d})"
    return f"(time, {d}), {batch}"


def _lengths(lengths: Any, x: Tensor, batched: bool) -> Tensor | None:
    if lengths is None:
        return None
    if not batched:
        raise RnnvizError("error.lengths_unbatched")
    given = read_array("lengths", lengths)
    steps, batch = x.shape[:2]
    dtype = "bool" if holds_bool(lengths) else given.dtype
    if given.dtype.kind not in "iu" or dtype == "bool" or given.shape != (batch,):
        raise RnnvizError("error.lengths_shape", dtype=dtype, shape=given.shape, batch=batch)
    for index in np.flatnonzero((given < 1) | (given > steps))[:1]:
        raise RnnvizError("error.lengths_range", index=index, came=given[index], steps=steps)
    return torch.from_numpy(given.astype(np.int64))


def _mask(mask: Any, x: Tensor, batched: bool, batch_first: bool) -> Tensor | None:
    """(time, batch), true at the steps that are read."""
    if mask is None:
        return None
    given = read_array("mask", mask)
    steps, batch = x.shape[:2]
    expected = (batch, steps) if batch_first else (steps, batch) if batched else (steps,)
    if given.dtype.kind != "b" or given.shape != expected:
        raise RnnvizError(
            "error.mask_shape", dtype=given.dtype, shape=given.shape, expected=expected
        )
    read = torch.from_numpy(given.copy())
    return read.T if batch_first else read if batched else read[:, None]
