"""What Keras calls the outputs of a layer, and which part of a trace each of them is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnviz.conventions import KERAS, KERAS_RESET_BEFORE
from rnnviz.errors import RnnvizError
from rnnviz.trace import Trace

DIRECTIONS = ("forward", "backward")
LAYERS = {"rnn": "SimpleRNN", "lstm": "LSTM", "gru": "GRU"}
ACTIVATIONS = {"identity": "linear"}


@dataclass(frozen=True, eq=False)
class Selected:
    """One array that a Keras layer returns.

    name: "outputs", "state_h", "state_c"; of two directions "forward_h", "backward_c", ….
    values: batch first. dims: its axes. steps: by direction, the time steps of the first sequence
    that it takes.
    """

    name: str
    values: NDArray[Any]
    dims: tuple[str, ...]
    steps: Mapping[str, tuple[int, ...]]


def select_outputs(
    trace: Trace, *, return_sequences: bool = False, return_state: bool = False
) -> list[Selected]:
    """What a Keras layer with these arguments returns, in its order, from the last layer.

    outputs: the last step's h, or with return_sequences h of all steps. Then with return_state
    the state after the last step: h, for an LSTM h and c; of two directions, as
    keras.layers.Bidirectional has it, forward's first. Of two directions, units stand side by
    side; the last step of the backward one is the first of the sequence. In a padded sequence the
    last valid step counts; its padded steps are NaN.

    >>> module = torch.nn.LSTM(1, 2)
    >>> found = select_outputs(rnnviz.trace(module, torch.ones(5, 1)), return_state=True)
    >>> [(part.name, part.values.shape, part.steps["forward"]) for part in found]
    [('outputs', (1, 2), (4,)), ('state_h', (1, 2), (4,)), ('state_c', (1, 2), (4,))]
    """
    hidden = trace.array("hidden_state")[-1]
    directions = DIRECTIONS[: len(hidden)]
    if return_sequences:
        whole = np.concatenate([h.swapaxes(0, 1) for h in hidden], axis=-1)
        count = _lengths(trace)[0]
        every = {name: tuple(range(count)) for name in directions}
        found = [Selected("outputs", whole, ("batch", "time", "unit"), every)]
    else:
        final = np.concatenate([_final(trace, "hidden_state", d) for d in directions], axis=-1)
        last = {name: (_last(trace, name)[0],) for name in directions}
        found = [Selected("outputs", final, ("batch", "unit"), last)]
    if return_state:
        found += [_state(trace, name, d) for d in directions for name in trace.form.states]
    return found


def write_keras(trace: Trace, *, return_sequences: bool = False, return_state: bool = False) -> str:
    """The line of Keras that makes such a layer, and the one that calls it.

    RnnvizError for a network that Keras has no layer for: peepholes, or a projection.

    >>> record = rnnviz.trace(torch.nn.LSTM(1, 2), torch.ones(5, 1))
    >>> print(write_keras(record, return_state=True))
    layer = keras.layers.LSTM(2, return_state=True)
    outputs, state_h, state_c = layer(x)
    """
    form = trace.form
    (KERAS if form.reset_after else KERAS_RESET_BEFORE).check(form)
    if any("weight_hr" in name for name in trace.parameters):
        raise RnnvizError("error.no_projection", convention="Keras")
    units = trace.array("hidden_state").shape[-1]
    given = [str(units)]
    if form.nonlinearity != "tanh":
        given.append(f'activation="{ACTIVATIONS.get(form.nonlinearity, form.nonlinearity)}"')
    switches = {"reset_after=False": not form.reset_after, "use_bias=False": not _biased(trace)}
    switches |= {"return_sequences=True": return_sequences, "return_state=True": return_state}
    given += [text for text, on in switches.items() if on]
    made = f"keras.layers.{LAYERS[form.cell]}({', '.join(given)})"
    if trace.array("hidden_state").shape[1] == 2:
        made = f"keras.layers.Bidirectional({made})"
    parts = select_outputs(trace, return_sequences=return_sequences, return_state=return_state)
    return f"layer = {made}\n{', '.join(part.name for part in parts)} = layer(x)"


def _biased(trace: Trace) -> bool:
    return any(name.startswith("bias") for name in trace.parameters)


def _state(trace: Trace, name: str, direction: str) -> Selected:
    letter = "c" if name == "cell_state" else "h"
    only = trace.array("hidden_state").shape[1] == 1
    called = f"state_{letter}" if only else f"{direction}_{letter}"
    steps = {direction: (_last(trace, direction)[0],)}
    return Selected(called, _final(trace, name, direction), ("batch", "unit"), steps)


def _final(trace: Trace, name: str, direction: str) -> NDArray[Any]:
    """(batch, unit) after a direction's last valid step."""
    values = trace.array(name)[-1, DIRECTIONS.index(direction)]
    return values[_last(trace, direction), np.arange(values.shape[1])]


def _last(trace: Trace, direction: str) -> list[int]:
    """The step that a direction comes to last, of each sequence."""
    return [length - 1 if direction == "forward" else 0 for length in _lengths(trace)]


def _lengths(trace: Trace) -> list[int]:
    _, _, steps, batch, _ = trace.array("hidden_state").shape
    return [steps] * batch if trace.lengths is None else [int(n) for n in trace.lengths]
