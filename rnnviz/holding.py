"""Gates and states held at a value: what a user asks for, and the arrays that the runs read."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from rnnviz.activations import find_activation
from rnnviz.cells import GATE_NAMES, Form
from rnnviz.errors import RnnvizError, described, is_list, whole_number
from rnnviz.recurrent import Network

Array = NDArray[Any]
Holds = Mapping[str, "float | Hold | Sequence[float | Hold]"]


@dataclass(frozen=True)
class Hold:
    """A gate or state held at a value over a range of time steps, whatever the network computes.

    value: one number for all units held: 0 to 1 for a gate, −1 to 1 for a candidate, any finite
    number for a state. It is rounded to the module's dtype, and ``Trace.held`` has the rounded one.
    units: those held, each once; None for all. start, stop: held at start ≤ t < stop, t counted
    from 0 in the input, also for the backward direction; stop None for the rest of the sequence.
    layer, direction ("forward", "backward"): None for all.

    >>> Hold(1.0, units=[0, 3], start=20, stop=30)
    Hold(value=1.0, units=[0, 3], start=20, layer=None, direction=None, stop=30)
    """

    value: float
    units: Collection[int] | None = None
    start: int = 0
    layer: int | None = None
    direction: str | None = None
    stop: int | None = None


class OwnGates(NamedTuple):
    """Gates of cells with a step of their own.

    widths: by layer, of everything that the steps record or ask to be held, by name. asked: the
    names that some step passes to ``held``.
    """

    widths: Sequence[Mapping[str, int]]
    asked: tuple[str, ...]


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
HeldRows = Mapping[str, Array]  # the same by name, only what is held, as a cell's own step takes it
HELD: Mapping[str, type[Held]] = {"rnn": HeldRNN, "gru": HeldGRU, "lstm": HeldLSTM}


def holdable(form: Form) -> tuple[str, ...]:
    """The gates and states of a form that can be held at a value.

    >>> holdable(Form("rnn")), holdable(Form("gru"))
    (('hidden_state',), ('reset_gate', 'update_gate', 'hidden_candidate', 'hidden_state'))
    """
    return HELD[form.cell]._fields


def held_for_kernels(
    held: HeldRows, form: Form, shape: Sequence[int], widths: Mapping[str, int]
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


def held_values(
    hold: Holds, network: Network, steps: int, own: OwnGates | None = None
) -> dict[str, Array]:
    """The values held, by name: (layer, direction, time, unit), NaN where free.

    hold: by the name of a gate or state; later holds of a name override earlier ones.
    own: the gates of cells with a step of their own, None for other cells.
    Values are as the network's dtype represents them.
    RnnvizError for what the network does not have, and for values that a gate cannot have.

    >>> from torch import nn
    >>> from rnnviz.recurrent import read_module
    >>> network = read_module(nn.LSTM(1, 1))
    >>> held_values({"forget_gate": Hold(1.0, start=1, stop=3)}, network, 4)["forget_gate"].ravel()
    array([nan,  1.,  1., nan])
    """
    known = _known(network, own)
    if not isinstance(hold, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]  # a user may pass anything
        expected = ", ".join(known.asked)
        raise RnnvizError("error.hold_mapping", came=described(hold), expected=expected)
    found: dict[str, Array] = {}
    for name, given in hold.items():
        if not any(name in widths for widths in known.widths):
            raise RnnvizError(
                "error.hold_name", came=name, cell=network.cell, expected=", ".join(known.asked)
            )
        widths = [found_in.get(name, 0) for found_in in known.widths]
        values = np.full((len(widths), network.directions, steps, max(widths)), np.nan)
        for one in _holds(name, given):
            value = _value(name, one.value, network)
            layers = _layers(name, one.layer, len(widths))
            directions = _directions(one.direction, network.directions)
            times, units = _times(name, one, steps), _units(name, one.units, max(widths[layers]))
            values[layers, directions, times, units] = value
        for layer, width in zip(values, widths, strict=True):
            layer[..., width:] = np.nan  # a narrower layer lacks these units
        found[name] = values
    return found


def _known(network: Network, own: OwnGates | None) -> OwnGates:
    """The gates and states of the network's form, and those of its own steps."""
    names = holdable(network.form)
    by_form = [network.widths(layer) for layer in range(len(network.layers))]
    stock = [{name: widths[name] for name in names} for widths in by_form]
    if own is None:
        return OwnGates(stock, names)
    both = [{**also, **known} for also, known in zip(own.widths, stock, strict=True)]
    return OwnGates(both, own.asked or names)


def _holds(name: str, given: Any) -> list[Hold]:
    """What is held for one name. In a list a number can only come first: it overrides the rest."""
    parts: list[Any] = list(given) if isinstance(given, list | tuple) else [given]
    later = [part for part in parts[1:] if not isinstance(part, Hold)]
    if not parts or later:
        raise RnnvizError("error.hold_list", name=name, came=described(given))
    return [part if isinstance(part, Hold) else Hold(part) for part in parts]


def _value(name: str, value: Any, network: Network) -> float:
    """The value as the dtype of the network represents it."""
    low, high = range_of(name, network.form)
    dtype, number = network.dtype, float("nan")
    if getattr(value, "shape", None) == ():  # a number of NumPy's or torch's
        value = value.item()
    if not isinstance(value, bool) and isinstance(value, Real):
        try:
            number = float(value)
        except OverflowError:  # an int beyond the float range
            number = float("inf")
    if not (low <= number <= high and np.isfinite(number)):
        raise RnnvizError("error.hold_value", name=name, came=described(value), low=low, high=high)
    rounded = torch.tensor(number, dtype=torch.float64, device="cpu").to(dtype).item()
    if not np.isfinite(rounded):
        kind, largest = str(dtype).removeprefix("torch."), torch.finfo(dtype).max
        raise RnnvizError("error.hold_dtype", name=name, came=value, dtype=kind, largest=largest)
    return rounded


def _times(name: str, hold: Hold, steps: int) -> slice:
    start = whole_number("start", hold.start, steps)
    if not 0 <= start < steps:
        raise RnnvizError("error.hold_start", name=name, came=start, last=steps - 1)
    stop = steps if hold.stop is None else whole_number("stop", hold.stop, steps + 1)
    if not start < stop <= steps:
        raise RnnvizError("error.hold_stop", name=name, came=stop, first=start + 1, last=steps)
    return slice(start, stop)


def _units(name: str, units: Any, width: int) -> NDArray[np.intp]:
    if units is None:
        return np.arange(width)
    if not is_list(units):
        raise RnnvizError("error.hold_units_list", name=name, came=described(units))
    numbers = [whole_number("unit", unit, width) for unit in units]
    if not numbers or not set(numbers) <= set(range(width)):
        raise RnnvizError("error.hold_units", name=name, came=numbers[:8], last=width - 1)
    twice = [unit for unit in set(numbers) if numbers.count(unit) > 1]
    if twice:
        raise RnnvizError("error.hold_units_twice", name=name, came=sorted(twice)[:8])
    return np.array(numbers)


def _layers(name: str, layer: Any, layers: int) -> slice:
    if layer is None:
        return slice(None)
    number = whole_number("layer", layer, layers)
    if not 0 <= number < layers:
        raise RnnvizError("error.hold_layer", name=name, came=number, last=layers - 1)
    return slice(number, number + 1)


def _directions(direction: Any, directions: int) -> slice:
    names = ("forward", "backward")[:directions]
    if direction is None:
        return slice(None)
    if not isinstance(direction, str) or direction not in names:
        raise RnnvizError("error.direction", came=direction, expected=", ".join(names))
    place = names.index(direction)
    return slice(place, place + 1)


def range_of(name: str, form: Form) -> tuple[float, float]:
    """The values a gate can have: those of its activation; any number for what the form lacks.

    >>> range_of("forget_gate", Form("lstm")), range_of("hidden_state", Form("gru"))
    ((0.0, 1.0), (-inf, inf))
    """
    activation = find_activation(form.activation_of(name))
    if name not in GATE_NAMES[form.cell] or activation is None:
        return -np.inf, np.inf
    return activation.low, activation.high
