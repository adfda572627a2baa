"""Traces: every gate, state and gradient of a recurrent module at every time step."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from secrets import token_hex
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rnnviz.cells import Form
from rnnviz.engine.hooks import turn
from rnnviz.engine.loss import Loss, tensors_of
from rnnviz.engine.own_gates import find_own_gates
from rnnviz.engine.run import record_run
from rnnviz.engine.sequences import read_sequence
from rnnviz.engine.state_layout import StateLayout, lay_out_state
from rnnviz.errors import RnnvizError, type_name
from rnnviz.holding import Holds, held_values
from rnnviz.own_cells import OwnCells
from rnnviz.recurrent import read_module
from rnnviz.replica import draws_undone
from rnnviz.shapes import GRAD_INPUT, layer_widths
from rnnviz.storage import read_stored, write_dataset
from rnnviz.torch_names import dtype_name, parameter_suffix
from rnnviz.trace_check import check_trace
from rnnviz.trace_contents import read_contents

if TYPE_CHECKING:
    import xarray

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Trace:
    """What a module computed at every time step, as labelled read-only arrays.

    ``trace[name]`` is an xarray.DataArray over (layer, direction, time, batch, unit); the names
    are in ``trace.names``. ``time`` is the position in the input, for both directions; padded and
    masked steps are NaN, and so are the units that a layer lacks beside a wider one. ``input`` and
    ``grad_input`` are over (time, batch, feature). Gradients (``grad_…``) are total derivatives of
    the loss, in float64.

    form: cell and variant. module_repr: repr of the module. loss: its value, or None.
    replay_error: largest |output computed from these gates − the module's own output|.
    lengths: (batch,) valid time steps, or None. mask: (time, batch), true at the steps that were
    read, or None; includes the lengths given beside it. parameters: copies, by torch's names; those
    that the module shares are one array (``tied``).
    output_grad: ∂ℓ/∂output, the upstream gradient of the last layer at each step, (time, batch,
    directions · unit), in float64, 0 where padded; None without a loss. final_grad: ∂ℓ/∂h_n and
    ∂ℓ/∂c_n by state, (layer, direction, batch, unit), in float64; empty if the loss does not read
    the final state. held: the held values by the name of their gate or state, (layer, direction,
    time, unit), NaN where nothing is held. layout: how the module takes and returns its state.
    own_step: whether a cell has a step of its own, which ``form`` does not describe. What needs the
    step then follows it; a trace that was loaded from a file lacks it, and raises RnnvizError.
    """

    form: Form
    module_repr: str
    loss: float | None
    replay_error: float
    lengths: Array | None
    mask: Array | None = field(repr=False)
    layout: StateLayout
    parameters: Mapping[str, Array] = field(repr=False)
    output_grad: Array | None = field(repr=False)
    final_grad: Mapping[str, Array] = field(repr=False)
    held: Mapping[str, Array] = field(repr=False)
    _arrays: Mapping[str, Array] = field(repr=False)
    _initial: Mapping[str, Array] = field(repr=False)
    own_step: bool = False
    _own_cells: OwnCells | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_trace(
            self.form,
            self._arrays,
            self._initial,
            self.parameters,
            self.lengths,
            self.mask,
            self.layout,
            self.output_grad,
            self.final_grad,
            self.held,
            own_step=self.own_step,
        )

    @cached_property
    def identity(self) -> str:
        """A text that no other trace has, except for copies of this one; not saved."""
        return token_hex(16)

    @property
    def cell(self) -> str:
        """The cell's name, "rnn", "lstm" or "gru"."""
        return self.form.cell

    @property
    def nonlinearity(self) -> str:
        """The nonlinearity of an RNN: "tanh", "relu", "sigmoid" or "identity"."""
        return self.form.nonlinearity

    @property
    def layers(self) -> int:
        """Number of layers."""
        return self._arrays["hidden_state"].shape[0]

    @property
    def directions(self) -> int:
        """1, or 2 with a backward direction."""
        return self._arrays["hidden_state"].shape[1]

    @property
    def steps(self) -> int:
        """Time steps of the longest sequence."""
        return self._arrays["hidden_state"].shape[2]

    @property
    def batch(self) -> int:
        """Number of sequences."""
        return self._arrays["hidden_state"].shape[3]

    @property
    def units(self) -> int:
        """Units of a layer in one direction, of the widest: the width of gates and cell state."""
        return self._arrays.get("cell_state", self._arrays["hidden_state"]).shape[-1]

    @property
    def output_units(self) -> int:
        """Width of the hidden state in one direction: ``units``, or ``proj_size`` if projected."""
        return self._arrays["hidden_state"].shape[-1]

    @property
    def widths(self) -> tuple[tuple[int, int], ...]:
        """``units`` and ``output_units`` of every layer."""
        return tuple(zip(*layer_widths(self._initial), strict=True))

    @property
    def features(self) -> int:
        """Width of the input."""
        return self._arrays["input"].shape[-1]

    @property
    def valid_lengths(self) -> NDArray[np.int64]:
        """The number of time steps read of every sequence, (batch,)."""
        if self.mask is not None:
            return self.mask.sum(0)
        if self.lengths is None:
            return np.full(self.batch, self.steps)
        return self.lengths.astype(np.int64)

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(time, batch), false at padded and masked steps."""
        if self.mask is not None:
            return self.mask
        return np.arange(self.steps)[:, None] < self.valid_lengths

    @property
    def last_steps(self) -> NDArray[np.int64]:
        """Where in the input each direction reads last, (direction, batch); −1 if nowhere."""
        counts = self.valid_lengths
        last, first = counts - 1, np.minimum(counts - 1, 0)
        if self.mask is not None:
            last = np.where(counts > 0, self.steps - 1 - self.mask[::-1].argmax(0), -1)
            first = np.where(counts > 0, self.mask.argmax(0), -1)
        return np.array([last, first][: self.directions])

    @property
    def names(self) -> tuple[str, ...]:
        """The names that ``trace[name]`` takes."""
        computed = self.output_grad is not None and GRAD_INPUT not in self._arrays
        return (*self._arrays, GRAD_INPUT) if computed else tuple(self._arrays)

    @property
    def preactivations(self) -> tuple[str, ...]:
        """The names of the recorded pre-activations."""
        return tuple(n for n in self._arrays if n.endswith("_preactivation") and n[:5] != "grad_")

    @property
    def gates(self) -> tuple[str, ...]:
        """The names of the recorded gates and candidates; none for an RNN.

        >>> rnnviz.trace(torch.nn.GRU(1, 1), torch.ones(1, 1)).gates
        ('reset_gate', 'update_gate', 'hidden_candidate')
        """
        other = {"input", *self.form.states, *self.preactivations}
        return tuple(n for n in self._arrays if n not in other and n[:5] != "grad_")

    @property
    def own_cells(self) -> OwnCells | None:
        """Copies of the cells, if they have a step of their own; None otherwise.

        RnnvizError if this trace was loaded from a file, which holds no step.
        """
        if self.own_step and self._own_cells is None:
            module = self.module_repr.partition("(")[0]
            raise RnnvizError("error.own_step_gone", module=module)
        return self._own_cells

    @property
    def differentiated(self) -> tuple[str, ...]:
        """The states and pre-activations with a gradient, ``grad_<name>``."""
        prefix, own = "grad_", [name for name in self._arrays if name != GRAD_INPUT]
        return tuple(n.removeprefix(prefix) for n in own if n.startswith(prefix))

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __getitem__(self, name: str) -> xarray.DataArray:
        import xarray

        values = self.array(name)
        if name.startswith("grad_") and values.dtype != np.float64:
            values = _frozen(values.astype(np.float64))
        dims = self._dims(name)
        return xarray.DataArray(values, self._coords(dims, values), dims, name=name)

    def _dims(self, name: str) -> tuple[str, ...]:
        if name in ("input", GRAD_INPUT):
            return ("time", "batch", "feature")
        projected = name.endswith("hidden_state") and any("weight_hr" in p for p in self.parameters)
        return ("layer", "direction", "time", "batch", "projection" if projected else "unit")

    def _coords(self, dims: tuple[str, ...], values: Array) -> dict[str, Any]:
        labels: dict[str, Any] = {
            dim: np.arange(n) for dim, n in zip(dims, values.shape, strict=True)
        }
        if "direction" in dims:
            labels["direction"] = ["forward", "backward"][: values.shape[1]]
        return labels

    def array(self, name: str) -> Array:
        """The NumPy array of ``trace[name]``, in its recorded dtype; read-only."""
        if name not in self.names:
            raise RnnvizError("error.trace_name", came=name, expected=", ".join(self.names))
        return self._arrays[name] if name in self._arrays else _frozen(self._input_gradient())

    @np.errstate(invalid="ignore", over="ignore")  # states that overflowed
    def _input_gradient(self) -> Array:
        """Σ over directions of Wᵀ δa in the first layer: not recorded, as this is fast."""
        total = np.zeros((self.steps * self.batch, self.features))
        units = self.widths[0][0]
        for direction in range(self.directions):
            by_gate = [
                self._arrays[f"grad_{gate}_preactivation"][0, direction, :, :, :units]
                for gate in self.form.gates
            ]
            d_a = np.concatenate(by_gate, -1, dtype=np.float64).reshape(len(total), -1)
            total += d_a @ self.parameters[f"weight_ih{parameter_suffix(0, direction)}"]
        return total.reshape(self.steps, self.batch, self.features)

    def initial_array(self, name: str) -> Array:
        """The NumPy array of ``trace.initial_state[name]``; read-only."""
        return self._initial[name]

    @property
    def tied(self) -> dict[str, str]:
        """By name, each parameter that is the same as an earlier one, and that one's name."""
        first: dict[int, str] = {}
        names = {n: first.setdefault(id(values), n) for n, values in self.parameters.items()}
        return {name: earlier for name, earlier in names.items() if name != earlier}

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays: recorded quantities, initial state and parameters."""
        parts = (self._arrays, self._initial, self.parameters, self.final_grad)
        distinct = {id(values): values for arrays in parts for values in arrays.values()}
        own = sum(values.nbytes for values in distinct.values())
        return own + (0 if self.output_grad is None else self.output_grad.nbytes)

    @property
    def initial_state(self) -> xarray.Dataset:
        """h₀ (and c₀) as hidden_state and cell_state over (layer, direction, batch, unit).

        With a loss also its derivatives by them, grad_hidden_state and grad_cell_state.
        """
        import xarray

        found: dict[str, xarray.DataArray] = {}
        for name, values in self._initial.items():
            dims = tuple(dim for dim in self._dims(name) if dim != "time")
            found[name] = xarray.DataArray(values, self._coords(dims, values), dims, name=name)
        return xarray.Dataset(found)

    @property
    def final_state(self) -> Any:
        """h_n, of an LSTM (h_n, c_n), as the module returns it; to be passed on as ``state``.

        Tensors on the CPU in the module's dtype: the state after the last step that each layer and
        direction reads of each sequence. Layers of unequal width give a tuple of tensors, one per
        layer and direction, for h_n and c_n each.

        >>> module, x = torch.nn.GRU(1, 2), torch.ones(6, 1)
        >>> first = rnnviz.trace(module, x[:4])
        >>> second = rnnviz.trace(module, x[4:], first.final_state)
        >>> torch.allclose(second.final_state, module(x)[1])
        True
        """
        dtype, last = getattr(torch, self.layout.dtype), self.last_steps
        rows, batch = np.arange(self.directions)[:, None], np.arange(self.batch)
        states: list[list[torch.Tensor]] = []
        for name in self.form.states:
            ends = self._arrays[name][:, rows, last, batch]
            ends = np.where(last[:, :, None] < 0, self._initial[name], ends)
            column = name == "hidden_state"
            own = zip(ends, self.widths, strict=True)
            own_units = (np.array(h[..., : w[column]]) for h, w in own)
            states.append([torch.from_numpy(h).to(dtype) for h in own_units])
        return lay_out_state(states, batched=self.layout.batched, is_cell=self.layout.is_cell)

    def to_xarray(self) -> xarray.Dataset:
        """Everything in one xarray.Dataset; initial states and parameters have prefixed names."""
        import xarray

        dataset = xarray.Dataset({name: self[name] for name in self})
        initial = self.initial_state
        dataset = dataset.assign({f"initial_{name}": initial[name] for name in initial})
        for name, values in self.final_grad.items():
            dataset[f"final_grad_{name}"] = (initial[name].dims, values)
        for name, values in self.parameters.items():
            axes = ("row", "column", *(f"axis_{k}" for k in range(2, values.ndim)))
            dims = [f"{name}_{axis}" for axis in axes[: values.ndim]]
            dataset[f"parameter_{name}"] = (dims, values)
        if self.output_grad is not None:
            dims = [f"output_grad_{axis}" for axis in ("time", "batch", "unit")]
            dataset["output_grad"] = (dims, self.output_grad)
        for name, values in self.held.items():
            dims = [f"held_{name}_{axis}" for axis in ("layer", "direction", "time", "unit")]
            dataset[f"held_{name}"] = (dims, values)
        if self.lengths is not None:
            dataset["lengths"] = ("batch", self.lengths)
        if self.mask is not None:  # netCDF has no booleans
            dataset["mask"] = (("time", "batch"), self.mask.astype(np.int8))
        # The attributes of a file can only be texts and numbers.
        described = asdict(self.form) | asdict(self.layout)
        described = {n: int(v) if isinstance(v, bool) else v for n, v in described.items()}
        attributes = {
            **described,
            "module_repr": self.module_repr,
            "replay_error": self.replay_error,
        }
        attributes["names"] = ",".join(self)
        if self.own_step:
            attributes["own_step"] = 1
        if self.loss is not None:
            attributes["loss"] = self.loss
        if self.tied:
            attributes["tied"] = ",".join(map("=".join, self.tied.items()))
        return dataset.assign_attrs(attributes)

    def save(self, path: str | Path) -> None:
        """Writes .nc (netCDF), .npz, or .csv (one line per number), by the path's suffix.

        ``load_trace`` reads the first two back equal. An existing file is replaced once the new one
        is complete. "~" in the path is not expanded. RnnvizError for another suffix and for a path
        that cannot be written, such as one in a folder that does not exist; OSError if writing
        fails, as on a full disk. The old file is then unchanged.
        """
        write_dataset(self.to_xarray(), path)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Trace):
            return NotImplemented
        return self.to_xarray().identical(other.to_xarray())

    def __getstate__(self) -> dict[str, Any]:
        kept = vars(self).items()  # a read-only mapping does not pickle
        state = {n: dict(v) if isinstance(v, MappingProxyType) else v for n, v in kept}
        try:
            pickle.dumps(self._own_cells)
        except Exception:  # a class made in a function, or what it holds: as in a file
            state["_own_cells"] = None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)
        self.__post_init__()
        for name, value in state.items():
            value = _all_frozen(value) if isinstance(value, dict) else value
            object.__setattr__(self, name, value)
        for values in (self.lengths, self.mask):
            if values is not None:
                _frozen(values)

    __hash__ = None  # pyright: ignore[reportAssignmentType]  # compared by its arrays, like an array

    def __repr__(self) -> str:
        shape = self._arrays["hidden_state"].shape
        dims = ("layer", "direction", "time step", "sequence", "unit")
        sizes = ", ".join(f"{n} {d}{'s' * (n != 1)}" for n, d in zip(shape, dims, strict=True))
        return f"Trace of {self.module_repr}: {sizes}; {', '.join(self.names)}"


def expect_trace(came: Any) -> None:
    """RnnvizError unless it is a trace; every function that takes one begins with this.

    >>> expect_trace({})
    Traceback (most recent call last):
    ...
    rnnviz.errors.RnnvizError: Got a value of type dict; expected a trace. Call \
rnnviz.trace(module, inputs), or rnnviz.load_trace(path) for a saved one, and pass the result.
    """
    if not isinstance(came, Trace):
        raise RnnvizError("error.no_trace", came=type_name(type(came)))


def trace(
    module: nn.Module,
    inputs: Any,
    state: Any = None,
    *,
    lengths: Any = None,
    mask: Any = None,
    loss: Loss = None,
    hold: Holds | None = None,
) -> Trace:
    """Runs a recurrent module over a sequence and records every gate at every time step.

    module: torch.nn.RNN, LSTM, GRU or their cells, a cell of rnnviz.cells, or a Recurrent; in
    train or eval mode. Dropout between layers is off in both: a module in train mode is run as in
    eval mode. Its weights are those that a call of it would use: forward hooks and
    parametrizations take part, those of a cell in eval mode. It is left as it was, and so are the
    global random generators. A class of one's own that overrides ``step`` records the gates that
    its step returns. The step must give the same each time it gets the same x and state: it draws
    no random numbers in eval mode and keeps nothing from one call to the next.
    inputs, state: as the module takes them (tensor, array, PackedSequence; batched or not); for a
    cell a whole sequence, (time, feature) or (time, batch, feature).
    lengths: (batch,) valid time steps of padded inputs.
    mask: booleans, laid out as the inputs without features; false at a step that no layer and
    direction reads, as in Keras: states are carried over it, gradients pass it unchanged, and its
    values are NaN. With lengths, a step is read if both say so.
    loss: None (no gradients); "last" (sum of each sequence's last valid output), "all" (sum of
    all valid outputs), "final" (sum of h_n: every layer and direction after its last step); or a
    callable to a scalar tensor: of the output sequence or, if it has two positional parameters
    without a default, of the output sequence and the final state, both laid out as the module
    returns them. A criterion of (input, target) is refused: pass a function that has the target in
    it. It must not depend on the module's parameters, or on inputs and a state that
    require a gradient, in another way: detach them in it. A masked step has the output that Keras
    gives it: that of the step read before it, or 0 before the first and in two directions.
    hold: gates and states by name, with the values that replace what the network computes for them:
    a number for all units at every step, a Hold, or a list of Holds, of which later ones override
    earlier ones. A cell with a step of its own also holds gates of its own names, if its step takes
    ``held`` and calls held(name, value) for them. A network with a hold is run by its equations,
    and no gradient flows through held values. A module with hooks or a forward method of its own is
    run without the hold first, to check that these are its equations.

    Raises RnnvizError for invalid arguments, for values that are not finite, for hooks that change
    the inputs or the output, for a loss function or a step that fails (the original error is its
    ``__cause__``), and if the output computed from the gates differs from the module's own by more
    than rounding.

    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> trace = rnnviz.trace(torch.nn.LSTM(2, 3).double(), torch.ones(5, 2).double(), loss="last")
    >>> trace["forget_gate"].sel(time=4, unit=0).values.round(4).squeeze().tolist()
    0.7822
    >>> trace["grad_cell_state"].dims
    ('layer', 'direction', 'time', 'batch', 'unit')
    """
    return _run(
        module, inputs, state, lengths=lengths, mask=mask, loss=loss, hold=hold, by_module=True
    )


def trace_equations(
    module: nn.Module,
    inputs: Any,
    state: Any = None,
    *,
    lengths: Any = None,
    mask: Any = None,
    loss: Loss = None,
) -> Trace:
    """A trace of the network's equations in compiled code, without running the module.

    The states equal those of ``trace`` up to rounding, which a chaotic network amplifies. This is
    several times as fast where torch's loop over time takes most of the time.

    >>> module, x = torch.nn.GRU(1, 2).double(), torch.ones(4, 1).double()
    >>> trace_equations(module, x)["hidden_state"].sizes["time"]
    4
    >>> bool(np.allclose(trace_equations(module, x).array("hidden_state"),
    ...                  rnnviz.trace(module, x).array("hidden_state"), atol=1e-14))
    True
    """
    return _run(
        module, inputs, state, lengths=lengths, mask=mask, loss=loss, hold=None, by_module=False
    )


def _run(
    module: nn.Module,
    inputs: Any,
    state: Any,
    *,
    lengths: Any,
    mask: Any,
    loss: Loss,
    hold: Holds | None,
    by_module: bool,
) -> Trace:
    with turn(module):
        network = read_module(module, of_replica=True)
        draws_nothing = draws_undone(network.device) if network.has_own_step else nullcontext()
        sequence = read_sequence(network, inputs, state, lengths, mask)
        hold = {} if hold is None else hold
        finds = isinstance(hold, Mapping) and len(hold) > 0 and network.has_own_step  # pyright: ignore[reportUnnecessaryIsInstance]  # a user may pass anything
        outside = dict(module.named_parameters())
        outside |= tensors_of("inputs", inputs) | tensors_of("state", state)
        with draws_nothing:
            own = find_own_gates(network, sequence) if finds else None
            held = held_values(hold, network, sequence.steps, own)
            run = record_run(
                module, network, sequence, held, loss, outside=outside, by_module=by_module
            )
    read = sequence.mask
    valid = sequence.lengths if read is None else None
    return Trace(
        form=network.form,
        module_repr=repr(module),
        loss=run.loss,
        replay_error=run.replay_error,
        lengths=None if valid is None else _frozen(valid.numpy()),
        mask=None if read is None else _frozen(np.array(read.numpy())),
        layout=StateLayout(sequence.batched, sequence.is_cell, dtype_name(network.dtype)),
        parameters=_all_frozen(run.parameters),
        output_grad=None if run.output_grad is None else _frozen(run.output_grad),
        final_grad=_all_frozen(run.final_grad),
        held=_all_frozen(held),
        _arrays=_all_frozen(run.arrays),
        _initial=_all_frozen(run.initial),
        own_step=network.has_own_step,
        _own_cells=run.own_cells,
    )


def load_trace(path: str | Path, *, max_bytes: int | None = None) -> Trace:
    """The trace that ``Trace.save`` wrote to a .nc or .npz file, equal to the one saved.

    No code of a file runs, no link is followed, and names, shapes, types and the checksum are
    checked; only HDF5 itself may never return from a .nc that was forged to that end.
    path: as Python's ``open`` takes it; "~" is not expanded. max_bytes: memory that its arrays may
    take, above 0; None for 256 MiB and 64 times the file's size.
    RnnvizError for another ending, a file that is missing, damaged, too large or no trace, or one
    that a later release wrote in a newer format.
    """
    contents = read_contents(read_stored(path, max_bytes), Path(path).name)
    lengths, output_grad = contents["lengths"], contents["output_grad"]
    mask = contents["mask"]
    return Trace(
        form=contents["form"],
        module_repr=contents["module_repr"],
        loss=contents["loss"],
        replay_error=contents["replay_error"],
        lengths=None if lengths is None else _frozen(lengths),
        mask=None if mask is None else _frozen(mask),
        layout=contents["layout"],
        parameters=_all_frozen(contents["parameters"]),
        output_grad=None if output_grad is None else _frozen(output_grad),
        final_grad=_all_frozen(contents["final_grad"]),
        held=_all_frozen(contents["held"]),
        _arrays=_all_frozen(contents["arrays"]),
        _initial=_all_frozen(contents["initial"]),
        own_step=contents["own_step"],
    )


def _frozen(values: Array) -> Array:
    values.setflags(write=False)
    return values


def _all_frozen(arrays: dict[str, Array]) -> Mapping[str, Array]:
    return MappingProxyType({name: _frozen(values) for name, values in arrays.items()})
