"""One layer of a trace in one direction, for one sequence of the batch or for all of them."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rnnviz.cells import GATE_NAMES
from rnnviz.engine.time_order import flip_valid_time, valid_first
from rnnviz.errors import RnnvizError, whole_number
from rnnviz.holding import Held, held_for_kernels, holdable
from rnnviz.torch_names import parameter_suffix
from rnnviz.trace import Trace

Array = NDArray[Any]
Floats = NDArray[np.float64]

DIRECTIONS = ("forward", "backward")
ALL = slice(None)  # every sequence of the batch


@dataclass(frozen=True, eq=False)
class TracePart:
    """One layer of a trace in one direction, for one sequence or, with ALL, for the whole batch.

    layer, batch: Python or NumPy integers counted from 0. Negative numbers, bools and floats are
    refused, here and so in every function that takes a layer or a sequence. Unless named, a part
    is the first layer, forward.
    RnnvizError if the trace has no such layer, direction or sequence, or if the sequence is wholly
    masked.

    Arrays are (time, unit) for one sequence and (time, batch, unit) for ALL; units are those of
    this layer. "In order" means the order in which the direction reads: reversed in time for the
    backward one, and without masked steps.

    >>> trace = rnnviz.trace(torch.nn.GRU(1, 2, bidirectional=True), torch.ones(3, 1))
    >>> part = TracePart(trace, direction="backward", batch=0)
    >>> part.times.tolist(), part.array("update_gate").shape, part.weight_hh.shape
    ([2, 1, 0], (3, 2), (6, 2))
    """

    trace: Trace
    layer: int = 0
    direction: str = "forward"
    batch: int | slice = field(default_factory=lambda: ALL)

    def __post_init__(self) -> None:
        trace, names = self.trace, DIRECTIONS[: self.trace.directions]
        if not isinstance(self.direction, str) or self.direction not in names:  # pyright: ignore[reportUnnecessaryIsInstance]  # a user may pass anything
            raise RnnvizError("error.direction", came=self.direction, expected=", ".join(names))
        layer = whole_number("layer", self.layer, trace.layers)
        batch = 0 if self.batch is ALL else whole_number("batch", self.batch, trace.batch)
        if not (0 <= layer < trace.layers and 0 <= batch < trace.batch):
            counts = {"layers": trace.layers, "sequences": trace.batch}
            raise RnnvizError("error.part", layer=layer, batch=batch, **counts)
        if trace.mask is not None and self.batch is not ALL and not trace.mask[:, batch].any():
            raise RnnvizError("error.part_masked", batch=batch)
        object.__setattr__(self, "layer", layer)
        object.__setattr__(self, "batch", ALL if self.batch is ALL else batch)

    @property
    def direction_number(self) -> int:
        """0 forward, 1 backward: the index along the direction axis."""
        return DIRECTIONS.index(self.direction)

    @property
    def is_backward(self) -> bool:
        """Whether the direction reads from the last step to the first."""
        return self.direction == "backward"

    @property
    def of_all(self) -> "TracePart":
        """The same layer and direction for every sequence."""
        return replace(self, batch=ALL)

    @property
    def length(self) -> int:
        """Steps that are read of the one sequence."""
        return int(self.trace.valid_lengths[self.batch])

    @property
    def end(self) -> int:
        """One past the last step of the input that is read of the one sequence."""
        return int(self.times.max()) + 1

    @property
    def times(self) -> NDArray[np.intp]:
        """Positions in the input of the one sequence's steps that are read, in order, (length,)."""
        mask = self.trace.mask
        times = np.arange(self.length) if mask is None else np.flatnonzero(mask[:, self.batch])
        return times[::-1] if self.is_backward else times

    @property
    def units(self) -> int:
        """Width of this layer's gates and cell state."""
        return self.trace.widths[self.layer][0]

    @property
    def output_units(self) -> int:
        """Width of this layer's hidden state in one direction."""
        return self.trace.widths[self.layer][1]

    def array(self, name: str) -> Array:
        """``trace.array(name)`` of this part, over all time steps as the input has them."""
        own = self.trace.array(name)[self.layer, self.direction_number][:, self.batch]
        return own[..., self._own_units(name)]

    def initial(self, name: str) -> Array:
        """h₀ or c₀ of this part, (unit,) or (batch, unit)."""
        own = self.trace.initial_array(name)[self.layer, self.direction_number, self.batch]
        return own[..., self._own_units(name)]

    def final_grad(self, name: str) -> Floats | None:
        """∂ℓ/∂h_n or ∂ℓ/∂c_n, (unit,) or (batch, unit); None if the loss does not read them."""
        found = self.trace.final_grad.get(name)
        if found is None:
            return None
        own = found[self.layer, self.direction_number, self.batch]
        return own[..., self._own_units(name)]

    def _own_units(self, name: str) -> slice:
        """The units of this layer, where a wider one is recorded beside it."""
        if name.endswith("hidden_state"):
            return slice(self.output_units)
        recorded = name.removeprefix("grad_").removesuffix("_preactivation")
        known = recorded in ("cell_state", *GATE_NAMES[self.trace.cell])
        return slice(self.units) if known else slice(None)

    def read(self, name: str) -> Array:
        """``array(name)`` of the one sequence in order: the steps that are read alone."""
        values = self.array(name)
        if self.trace.mask is not None:
            return values[self.times]
        values = values[: self.length]
        return values[::-1] if self.is_backward else values

    def in_order(self, name: str) -> Floats:
        """``array(name)`` in order, in float64: steps read alone; for ALL, 0 after them."""
        if isinstance(self.batch, slice):
            return self.reorder(self.array(name))
        return np.array(self.read(name), np.float64, order="C")

    def before(self, name: str) -> Floats:
        """The state before each step, h_{t−1} or c_{t−1}, in order; laid out as ``in_order``."""
        first = self.initial(name)[None].astype(np.float64)
        return np.concatenate((first, self.in_order(name)[:-1]))

    def reorder(self, values: Array, dtype: Any = np.float64) -> Array:
        """(time, batch, …) from the input's order to this direction's; 0 after the steps read."""
        flipped = np.asarray(self.flip(values), dtype)
        if self.trace.lengths is not None or self.trace.mask is not None:
            flipped = flipped.copy()
            flipped[np.arange(len(flipped))[:, None] >= self.trace.valid_lengths] = 0
        return flipped

    def restore(self, values: Array, dtype: Any = np.float64) -> Array:
        """The inverse of ``reorder``; 0 where padded or masked."""
        back = np.asarray(self.flip_back(values), dtype)
        if self.trace.lengths is not None or self.trace.mask is not None:
            back = back.copy()
            back[~self.trace.valid] = 0
        return back

    def flip(self, values: Array) -> Array:
        """``reorder`` without a copy or a change of padded steps: a view where that is possible."""
        mask = self.trace.mask
        if mask is None:
            return flip_valid_time(values, self.direction_number, self._lengths())
        order = valid_first(mask)
        read = values[order, np.arange(order.shape[1])]
        return flip_valid_time(read, self.direction_number, self._lengths())

    def flip_back(self, values: Array) -> Array:
        """The inverse of ``flip``."""
        read, mask = (
            flip_valid_time(values, self.direction_number, self._lengths()),
            self.trace.mask,
        )
        if mask is None:
            return read
        place = valid_first(mask).argsort(0)
        return read[place, np.arange(place.shape[1])]

    def _lengths(self) -> torch.Tensor | None:
        trace = self.trace
        whole = trace.lengths is None and trace.mask is None
        return None if whole else torch.tensor(trace.valid_lengths)

    def inputs(self, time: int | slice = slice(None)) -> Array:
        """What the layer reads at a time or at all, (…, feature), in the input's order."""
        if self.layer == 0:
            return self.trace.array("input")[time, self.batch]
        below = self.trace.array("hidden_state")[self.layer - 1]
        width = self.trace.widths[self.layer - 1][1]
        return np.concatenate([h[time, self.batch][..., :width] for h in below], -1)

    def recorded_parameter(self, name: str) -> Array | None:
        """A parameter by torch's name without its suffix; None if there is none."""
        suffix = parameter_suffix(self.layer, self.direction_number)
        return self.trace.parameters.get(name + suffix)

    def parameter(self, name: str) -> Floats | None:
        """A copy of ``recorded_parameter`` in float64."""
        values = self.recorded_parameter(name)
        return None if values is None else np.array(values, np.float64)

    @property
    def weight_ih(self) -> Floats:
        """W of all gates, (gates · unit, feature)."""
        return self._weight("weight_ih")

    @property
    def weight_hh(self) -> Floats:
        """U of all gates, (gates · unit, unit)."""
        return self._weight("weight_hh")

    def _weight(self, name: str) -> Floats:
        values = self.parameter(name)
        assert values is not None
        return values

    def held(self) -> Held | None:
        """What gates and states are held at, for ALL, in order; None if nothing is held."""
        trace = self.trace
        rows: dict[str, Array] = {}
        for name, values in trace.held.items():
            own = values[self.layer, self.direction_number][:, None, self._own_units(name)]
            rows[name] = self.reorder(np.repeat(own, trace.batch, axis=1))
        widths = {name: self.array(name).shape[-1] for name in holdable(trace.form)}
        return held_for_kernels(rows, trace.form, (trace.steps, trace.batch), widths)

    def candidate_recurrence(self) -> Floats:
        """U_n h_{t−1} + b_hn of a reset-after GRU, (time, batch, unit), in order, for ALL."""
        before = self.of_all.before("hidden_state")
        n = self.units
        b = self.parameter("bias_hh")
        return before @ self.weight_hh[2 * n :].T + (0.0 if b is None else b[2 * n :])


def parts_by_layer(trace: Trace) -> list[list[TracePart]]:
    """Every layer and direction of a trace, each for all sequences: one list per layer.

    >>> trace = rnnviz.trace(torch.nn.GRU(1, 2, bidirectional=True), torch.ones(3, 1))
    >>> [(part.layer, part.direction) for row in parts_by_layer(trace) for part in row]
    [(0, 'forward'), (0, 'backward')]
    """
    return [
        [TracePart(trace, layer, direction) for direction in DIRECTIONS[: trace.directions]]
        for layer in range(trace.layers)
    ]
