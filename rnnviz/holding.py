"""Gates and states held at a value: an experiment on a network, and where it acts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnviz.cells import GATE_NAMES, Form, Held
from rnnviz.errors import RnnvizError

Array = NDArray[Any]
Holds = Mapping[str, "float | Hold | Sequence[Hold]"]


@dataclass(frozen=True)
class Hold:
    """A gate or state held at a value from a time step on, whatever the network computes for it.

    units: those held; None for all. start: the first time step held, counted from 0 in the input,
    for the backward direction, too. layer, direction ("forward", "backward"): None for all.

    >>> Hold(1.0, units=[0, 3], start=20)
    Hold(value=1.0, units=[0, 3], start=20, layer=None, direction=None)
    """

    value: float
    units: Sequence[int] | None = None
    start: int = 0
    layer: int | None = None
    direction: str | None = None


def read_holds(
    hold: Holds, form: Form, layers: int, directions: int, steps: int, widths: Mapping[str, int]
) -> dict[str, Array]:
    """What is held at what, by name: (layer, direction, time, unit), NaN where nothing is.

    hold: by the name of a gate or state; later ones of a name hold over earlier ones. widths: the
    units of every name that can be held. RnnvizError for what the network does not have, and for a
    value that the gate cannot have.

    >>> found = read_holds({"forget_gate": Hold(1.0, start=1)}, Form("lstm"), 1, 1, 3,
    ...                    {"forget_gate": 1})
    >>> found["forget_gate"].ravel()
    array([nan,  1.,  1.])
    """
    found: dict[str, Array] = {}
    for name, given in hold.items():
        if name not in holdable(form):
            expected = ", ".join(holdable(form))
            raise RnnvizError("error.hold_name", came=name, cell=form.cell, expected=expected)
        rows = np.full((layers, directions, steps, widths[name]), np.nan)
        holds = given if isinstance(given, Sequence) else (given,)
        for part in holds:
            one = part if isinstance(part, Hold) else Hold(part)
            _check(name, one, rows.shape)
            layer = slice(None) if one.layer is None else slice(one.layer, one.layer + 1)
            ends = {None: slice(None), "forward": slice(0, 1), "backward": slice(1, 2)}
            units = np.arange(widths[name]) if one.units is None else np.array(one.units, int)
            rows[layer, ends[one.direction], one.start :, units] = one.value
        found[name] = rows
    return found


def holdable(form: Form) -> tuple[str, ...]:
    """The gates and states of a form that can be held at a value.

    >>> holdable(Form("rnn")), holdable(Form("gru"))
    (('hidden_state',), ('reset_gate', 'update_gate', 'hidden_candidate', 'hidden_state'))
    """
    gates = () if form.cell == "rnn" else GATE_NAMES[form.cell]
    return (*gates, *form.states[::-1])


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
    """What a gate or state can be: a sigmoid's range, a tanh's, any number."""
    if name.endswith("_gate"):
        return 0.0, 1.0
    return (-1.0, 1.0) if name.endswith("_candidate") else (-np.inf, np.inf)


def held_values(
    held: Mapping[str, Array], form: Form, shape: Sequence[int], widths: Mapping[str, int]
) -> Array:
    """What is held at what, (time, batch, columns): gates, a cell state, the hidden state.

    held: by name, (time, batch, unit), NaN where free. shape: of time and batch. widths: as of
    ``read_holds``. NaN where free.
    """
    free = {name: np.full((*shape, widths[name]), np.nan) for name in holdable(form)}
    return np.concatenate([held.get(name, rows) for name, rows in free.items()], -1)


def held_columns(
    held: Mapping[str, Array], form: Form, shape: Sequence[int], widths: Mapping[str, int]
) -> NDArray[np.bool_]:
    """Where ``held_values`` holds anything."""
    return ~np.isnan(held_values(held, form, shape, widths))


def holding(rows: Mapping[str, Tensor], time: int) -> Held:
    """What a cell's step takes to hold what these rows say, (time, batch, unit), at one step."""

    def held(name: str, value: Tensor) -> Tensor:
        if name not in rows:
            return value
        fixed = rows[name][time].to(value.device, value.dtype)
        return torch.where(fixed.isnan(), value, fixed)

    return held
