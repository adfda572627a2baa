"""Gates and states held at a value: what a user asks for, and the arrays that the runs read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnviz.cells import Form
from rnnviz.errors import RnnvizError
from rnnviz.recurrent import Network

Array = NDArray[Any]
Holds = Mapping[str, "float | Hold | Sequence[Hold]"]


@dataclass(frozen=True)
class Hold:
    """A gate or state held at a value from a time step on, whatever the network computes for it.

    units: those held; None for all. start: the first time step held, counted from 0 in the input,
    also for the backward direction. layer, direction ("forward", "backward"): None for all.

    >>> Hold(1.0, units=[0, 3], start=20)
    Hold(value=1.0, units=[0, 3], start=20, layer=None, direction=None)
    """

    value: float
    units: Sequence[int] | None = None
    start: int = 0
    layer: int | None = None
    direction: str | None = None


# What can be held in each cell, and at what, as (time, batch, unit) arrays, NaN where free. The
# kernels read these by position: to reorder fields, rename the class (``kernels/compiling.py``).


class HeldRNN(NamedTuple):
    """Values that an RNN's state is held at."""

    hidden_state: Array


class HeldGRU(NamedTuple):
    """Values that a GRU's gates and state are held at."""

    reset_gate: Array
    update_gate: Array
    hidden_candidate: Array
    hidden_state: Array


class HeldLSTM(NamedTuple):
    """Values that an LSTM's gates and states are held at."""

    input_gate: Array
    forget_gate: Array
    cell_candidate: Array
    output_gate: Array
    cell_state: Array
    hidden_state: Array


Held = HeldRNN | HeldGRU | HeldLSTM
HELD: Mapping[str, type[Held]] = {"rnn": HeldRNN, "gru": HeldGRU, "lstm": HeldLSTM}


def holdable(form: Form) -> tuple[str, ...]:
    """The gates and states of a form that can be held at a value.

    >>> holdable(Form("rnn")), holdable(Form("gru"))
    (('hidden_state',), ('reset_gate', 'update_gate', 'hidden_candidate', 'hidden_state'))
    """
    return HELD[form.cell]._fields


def held_for_kernels(
    held: Mapping[str, Array], form: Form, shape: Sequence[int], widths: Mapping[str, int]
) -> Held | None:
    """The arrays that the kernels read, (time, batch, unit), NaN where free; None without any.

    held: by name, for every name that is held somewhere.
    shape: of time and batch. widths: the number of units by name.

    >>> at = np.array([[[np.nan]], [[0.5]]])
    >>> held = held_for_kernels({"hidden_state": at}, Form("gru"), (2, 1), {"reset_gate": 1,
    ...                    "update_gate": 1, "hidden_candidate": 1})
    >>> held.hidden_state.ravel(), held.reset_gate.ravel()
    (array([nan, 0.5]), array([nan, nan]))
    """
    if not held:
        return None
    names = holdable(form)
    free = {name: np.full((*shape, widths[name]), np.nan) for name in names if name not in held}
    return HELD[form.cell](*(np.ascontiguousarray({**held, **free}[name], float) for name in names))


def held_values(hold: Holds, network: Network, steps: int) -> dict[str, Array]:
    """The values held, by name: (layer, direction, time, unit), NaN where free.

    hold: by the name of a gate or state; later holds of a name override earlier ones.
    RnnvizError for what the network does not have, and for values that a gate cannot have.

    >>> from torch import nn
    >>> from rnnviz.recurrent import read_module
    >>> network = read_module(nn.LSTM(1, 1))
    >>> held_values({"forget_gate": Hold(1.0, start=1)}, network, 3)["forget_gate"].ravel()
    array([nan,  1.,  1.])
    """
    found: dict[str, Array] = {}
    names = holdable(network.form)
    for name, given in hold.items():
        if name not in names:
            raise RnnvizError(
                "error.hold_name", came=name, cell=network.cell, expected=", ".join(names)
            )
        widths = [network.widths(layer)[name] for layer in range(len(network.layers))]
        width = max(widths)
        values = np.full((len(widths), network.directions, steps, width), np.nan)
        for part in given if isinstance(given, Sequence) else (given,):
            one = part if isinstance(part, Hold) else Hold(part)
            _check(name, one, values.shape)
            layer = slice(None) if one.layer is None else slice(one.layer, one.layer + 1)
            ends = {None: slice(None), "forward": slice(0, 1), "backward": slice(1, 2)}
            units = np.arange(width) if one.units is None else np.array(one.units, int)
            values[layer, ends[one.direction], one.start :, units] = one.value
        for own, units in zip(values, widths, strict=True):
            own[..., units:] = np.nan  # a narrower layer lacks these units
        found[name] = values
    return found


def _check(name: str, hold: Hold, shape: tuple[int, ...]) -> None:
    layers, directions, steps, width = shape
    low, high = range_of(name)
    value: Any = hold.value
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not low <= value <= high or not np.isfinite(value):
        raise RnnvizError("error.hold_value", name=name, came=value, low=low, high=high)
    start: Any = hold.start
    if not isinstance(start, int | np.integer) or not 0 <= start < steps:
        raise RnnvizError("error.hold_start", name=name, came=start, last=steps - 1)
    units = list(range(width)) if hold.units is None else list(hold.units)
    if not units or not set(units) <= set(range(width)):
        raise RnnvizError("error.hold_units", name=name, came=units[:8], last=width - 1)
    if hold.layer is not None and hold.layer not in range(layers):
        raise RnnvizError("error.hold_layer", name=name, came=hold.layer, last=layers - 1)
    names = ("forward", "backward")[:directions]
    if hold.direction is not None and hold.direction not in names:
        raise RnnvizError("error.direction", came=hold.direction, expected=", ".join(names))


def range_of(name: str) -> tuple[float, float]:
    """The values a gate or state can have: a sigmoid's range, a tanh's, any number."""
    if name.endswith("_gate"):
        return 0.0, 1.0
    return (-1.0, 1.0) if name.endswith("_candidate") else (-np.inf, np.inf)
