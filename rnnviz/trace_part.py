"""One layer of a trace in one direction, for one sequence of the batch or for all of them."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rnnviz.cells import GATE_NAMES, Cell, make_cell
from rnnviz.engine.device import full_precision
from rnnviz.engine.step_points import StepPoints
from rnnviz.engine.time_order import flip_valid_time, valid_first
from rnnviz.errors import RnnvizError, index
from rnnviz.holding import Held, HeldRows, held_for_kernels, holdable
from rnnviz.own_cells import STANDARD, copy_cell
from rnnviz.torch_names import parameter_suffix
from rnnviz.trace import Trace, expect_trace

Array = NDArray[Any]
Floats = NDArray[np.float64]

DIRECTIONS = ("forward", "backward")
ALL = slice(None)  # every sequence of the batch


@dataclass(frozen=True, eq=False)
class TracePart:
    """One layer of a trace in one direction, for one sequence or, with ALL, for the whole batch.

    layer, batch: integers of Python, NumPy or torch, from 0. Negative numbers, bools and floats are
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
        expect_trace(self.trace)
        trace, names = self.trace, DIRECTIONS[: self.trace.directions]
        if not isinstance(self.direction, str) or self.direction not in names:  # pyright: ignore[reportUnnecessaryIsInstance]  # a user may pass anything
            raise RnnvizError("error.direction", came=self.direction, expected=", ".join(names))
        batch = self.batch if self.batch is ALL else index("batch", self.batch, trace.batch)
        object.__setattr__(self, "layer", index("layer", self.layer, trace.layers))
        object.__setattr__(self, "batch", batch)
        if self.batch is not ALL and not self.length:
            raise RnnvizError("error.part_masked", batch=batch)

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

    def grad_at_end(self, name: str) -> Floats:
        """``final_grad`` at the last step of each sequence, else 0; for ALL, in order."""
        final, last = self.final_grad(name), self.trace.valid_lengths - 1
        found = np.zeros(self.array(name).shape)
        read = np.flatnonzero(last >= 0)
        if final is not None:
            found[last[read], read] = final[read]
        return found

    def _own_units(self, name: str) -> slice:
        """The units of this layer, where a wider one is recorded beside it."""
        if name.endswith("hidden_state"):
            return slice(self.output_units)
        recorded = name.removeprefix("grad_").removesuffix("_preactivation")
        known = recorded in ("cell_state", *GATE_NAMES[self.trace.cell])
        return slice(self.units) if known or self._lacks(name) else slice(None)

    def _lacks(self, name: str) -> bool:
        """Whether a gate that only a cell with its own step has is as wide as each layer."""
        trace = self.trace
        if self.units == trace.units or name not in trace:
            return False
        values = trace.array(name)[self.layer]
        return values.shape[-1] == trace.units and bool(np.isnan(values[..., self.units :]).all())

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
        read = flip_valid_time(values, self.direction_number, self._lengths())
        mask = self.trace.mask
        if mask is None:
            return read
        place = valid_first(mask).argsort(0)
        return read[place, np.arange(place.shape[1])]

    def _lengths(self) -> torch.Tensor | None:
        trace = self.trace
        whole = trace.lengths is None and trace.mask is None
        return None if whole else torch.tensor(trace.valid_lengths, device="cpu")

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

    def recurrent_weights(self, gate: str | None = None) -> Floats:
        """``weight_hh``, or the rows of one gate.

        RnnvizError for a cell with its own step if it is not that of its form.
        """
        u, trace = self.parameter("weight_hh"), self.trace
        expected = len(trace.form.gates) * self.units, self.output_units
        if u is None or u.shape != expected:
            module = trace.module_repr.partition("(")[0]
            came = None if u is None else u.shape
            raise RnnvizError("error.own_weights", module=module, came=came, expected=expected)
        names = trace.form.gates
        return u if gate is None else np.split(u, len(names))[names.index(gate)]

    def _weight(self, name: str) -> Floats:
        values = self.parameter(name)
        assert values is not None
        return values

    def held(self) -> Held | None:
        """What gates and states are held at, for ALL, in order; None if nothing is held."""
        trace, rows = self.trace, self.held_rows()
        widths = dict.fromkeys(holdable(trace.form), self.units)
        widths["hidden_state"] = self.output_units
        return held_for_kernels(rows or {}, trace.form, (trace.steps, trace.batch), widths)

    def held_rows(self) -> HeldRows | None:
        """The same by name, (time, batch, unit), also of gates that only a cell's own step has."""
        rows: dict[str, Array] = {}
        for name, values in self.trace.held.items():
            own = values[self.layer, self.direction_number][:, None, self._own_units(name)]
            rows[name] = self.reorder(np.repeat(own, self.trace.batch, axis=1))
        return rows or None

    def candidate_recurrence(self) -> Floats:
        """U_n h_{t−1} + b_hn of a reset-after GRU, (time, batch, unit), in order, for ALL."""
        before = self.of_all.before("hidden_state")
        n = self.units
        b = self.parameter("bias_hh")
        return before @ self.weight_hh[2 * n :].T + (0.0 if b is None else b[2 * n :])

    def step_points(
        self, dtype: torch.dtype = torch.float64, *, by_kernels: bool = True
    ) -> StepPoints | None:
        """The steps of this part, in order, to be differentiated; None where kernels know them.

        by_kernels: false for steps of every cell, for a dtype that the kernels lack.
        RnnvizError for a loaded trace of a cell with its own step, and for one sequence of several
        that the step mixes.
        """
        if by_kernels and self.trace.own_cells is None and self.trace.form.has_kernels:
            return None
        cell = self._stepping_cell()
        one = isinstance(self.batch, int)
        if one and self.trace.batch > 1:
            whole = self.of_all.step_points()
            assert whole is not None
            if not whole.cut(slice(1)).rows_are_independent:
                name = type(cell).__name__
                raise RnnvizError("error.own_mixes", type=name, batch=self.trace.batch)
        x = self.inputs()
        x = np.array(x[self.times][:, None] if one else self.reorder(x))
        states = [self.before(name) for name in self.trace.form.states]
        states = [state[:, None] if one else state for state in states]
        held, valid = self.held_rows(), None
        if one and held is not None:
            rows = slice(self.length), np.array([self.batch])
            held = {name: values[rows] for name, values in held.items()}
        elif not one and self._lengths() is not None:
            read = np.arange(self.trace.steps)[:, None] < self.trace.valid_lengths
            valid = torch.from_numpy(read)
        with full_precision(torch.device("cpu")):  # tensors of inference mode have no gradient
            cell = cell if dtype == torch.float64 else copy_cell(cell, dtype)
            given = [torch.from_numpy(values).to(dtype) for values in (x, *states)]
            return StepPoints(cell, given[0], tuple(given[1:]), held, valid)

    def _stepping_cell(self) -> Cell[Any]:
        """The cell whose own step is followed, or one made of the parameters."""
        own = self.trace.own_cells
        if own is not None:
            return own.cells[self.layer][self.direction_number]
        with full_precision(torch.device("cpu")):
            return self._made_cell()

    def _made_cell(self) -> Cell[Any]:
        """A cell of the form with the parameters of this part."""
        trace, features = self.trace, self.weight_ih.shape[1]
        with torch.device("meta"):  # draws no random numbers
            cell = make_cell(
                trace.form,
                features,
                self.units,
                bias=self.recorded_parameter("bias_ih") is not None,
                proj_size=self.output_units if self.output_units < self.units else 0,
            )
        for name in STANDARD:
            values = self.parameter(name)
            if values is not None:
                setattr(cell, name, torch.nn.Parameter(torch.from_numpy(values)))
        return cell


def parts_by_layer(trace: Trace) -> list[list[TracePart]]:
    """Every layer and direction of a trace, each for all sequences: one list per layer.

    >>> trace = rnnviz.trace(torch.nn.GRU(1, 2, bidirectional=True), torch.ones(3, 1))
    >>> [(part.layer, part.direction) for row in parts_by_layer(trace) for part in row]
    [(0, 'forward'), (0, 'backward')]
    """
    expect_trace(trace)
    return [
        [TracePart(trace, layer, direction) for direction in DIRECTIONS[: trace.directions]]
        for layer in range(trace.layers)
    ]
