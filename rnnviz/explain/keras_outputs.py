"""The outputs of a Keras layer, by Keras's names, selected from a trace."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnviz.activations import FAMILIES, read_name
from rnnviz.conventions import KERAS, KERAS_RESET_BEFORE
from rnnviz.errors import RnnvizError
from rnnviz.trace import Trace, expect_trace
from rnnviz.trace_part import TracePart, parts_by_layer

LAYERS = {"rnn": "SimpleRNN", "lstm": "LSTM", "gru": "GRU"}
ACTIVATIONS = {"identity": "linear"}
CODE = {  # of activations with numbers
    "hard_sigmoid": "keras.ops.clip({0} * x + {1}, 0, 1)",
    "leaky_relu": "keras.ops.leaky_relu(x, {0})",
    "elu": "keras.ops.elu(x, {0})",
    "thresholded_relu": "keras.ops.where(x > {0}, x, 0.0)",
    "affine": "{0} * x + {1}",
    "scaled_tanh": "{0} * keras.ops.tanh({1} * x)",
}


@dataclass(frozen=True, eq=False)
class Selected:
    """One array that a Keras layer returns.

    name: "outputs", "state_h", "state_c"; of two directions "forward_h", "backward_c", ….
    values: batch first. dims: its axes. steps: by direction, the time steps of the first sequence
    that it contains.
    """

    name: str
    values: NDArray[Any]
    dims: tuple[str, ...]
    steps: Mapping[str, tuple[int, ...]]


def select_outputs(
    trace: Trace, *, return_sequences: bool = False, return_state: bool = False
) -> list[Selected]:
    """The arrays that a Keras layer with these arguments returns, in its order, of the last layer.

    outputs: h at the last step, or with return_sequences at all steps. Then with return_state the
    state after the last step: h, for an LSTM h and c; for two directions those of forward first,
    as in keras.layers.Bidirectional. Outputs of two directions are concatenated along units; the
    last step of the backward direction is the first of the sequence. In a padded sequence the last
    valid step is used; padded and masked steps are NaN. A wholly masked sequence has outputs of 0.

    >>> module = torch.nn.LSTM(1, 2)
    >>> found = select_outputs(rnnviz.trace(module, torch.ones(5, 1)), return_state=True)
    >>> [(part.name, part.values.shape, part.steps["forward"]) for part in found]
    [('outputs', (1, 2), (4,)), ('state_h', (1, 2), (4,)), ('state_c', (1, 2), (4,))]
    """
    parts = parts_by_layer(trace)[-1]
    if return_sequences:
        hidden = [part.array("hidden_state") for part in parts]
        whole = np.concatenate([h.swapaxes(0, 1) for h in hidden], axis=-1)
        read = tuple(np.flatnonzero(trace.valid[:, 0]).tolist())
        every = {part.direction: read for part in parts}
        found = [Selected("outputs", whole, ("batch", "time", "unit"), every)]
    else:
        final = np.concatenate([_final(part, "hidden_state") for part in parts], axis=-1)
        final = np.where(trace.valid_lengths[:, None] > 0, final, 0)
        last = {part.direction: _last_step(part) for part in parts}
        found = [Selected("outputs", final, ("batch", "unit"), last)]
    if return_state:
        found += [_state(part, name) for part in parts for name in trace.form.states]
    return found


def write_keras(trace: Trace, *, return_sequences: bool = False, return_state: bool = False) -> str:
    """The line of Keras code that builds such a layer, and the one that calls it.

    RnnvizError for a network without a Keras layer: peepholes, a projection, or a step of its own.

    >>> record = rnnviz.trace(torch.nn.LSTM(1, 2), torch.ones(5, 1))
    >>> print(write_keras(record, return_state=True))
    layer = keras.layers.LSTM(2, return_state=True)
    outputs, state_h, state_c = layer(x)
    """
    expect_trace(trace)
    form = trace.form
    (KERAS if form.reset_after else KERAS_RESET_BEFORE).check(form)
    if any("weight_hr" in name for name in trace.parameters):
        raise RnnvizError("error.no_projection", convention="Keras")
    if trace.own_step:
        module = trace.module_repr.partition("(")[0]
        raise RnnvizError("error.own_equations", what="write_keras", module=module)
    given = [str(parts_by_layer(trace)[-1][0].units)]
    activation = form.nonlinearity if form.cell == "rnn" else form.activation
    if activation != "tanh":
        given.append(f"activation={_keras_activation(activation)}")
    if form.cell != "rnn" and form.gate_activation != "sigmoid":
        given.append(f"recurrent_activation={_keras_activation(form.gate_activation)}")
    switches = {"reset_after=False": not form.reset_after, "use_bias=False": not _biased(trace)}
    switches |= {"return_sequences=True": return_sequences, "return_state=True": return_state}
    given += [text for text, on in switches.items() if on]
    made = f"keras.layers.{LAYERS[form.cell]}({', '.join(given)})"
    if trace.directions == 2:
        made = f"keras.layers.Bidirectional({made})"
    parts = select_outputs(trace, return_sequences=return_sequences, return_state=return_state)
    return f"layer = {made}\n{', '.join(part.name for part in parts)} = layer(x)"


def _keras_activation(name: str) -> str:
    """An activation as Python code for Keras 3, whose defaults differ from ONNX's."""
    base, numbers = read_name(name) or (name, ())
    if base not in FAMILIES or (name == "hard_sigmoid" or name == "elu"):
        return f'"{ACTIVATIONS.get(name, name)}"'
    x = CODE[base]
    return f"lambda x: {x.format(*map(str, numbers))}"


def _biased(trace: Trace) -> bool:
    return any(name.startswith("bias") for name in trace.parameters)


def _state(part: TracePart, name: str) -> Selected:
    letter = "c" if name == "cell_state" else "h"
    prefix = "state" if part.trace.directions == 1 else part.direction
    steps = {part.direction: _last_step(part)}
    return Selected(f"{prefix}_{letter}", _final(part, name), ("batch", "unit"), steps)


def _final(part: TracePart, name: str) -> NDArray[Any]:
    """(batch, unit) after a direction's last step; the initial state if the mask leaves none."""
    last = part.trace.last_steps[part.direction_number]
    ends = part.array(name)[last, np.arange(part.trace.batch)]
    return np.where(last[:, None] < 0, part.initial(name), ends)


def _last_step(part: TracePart) -> tuple[int, ...]:
    """The position in the input of the step that a direction reads last of the first sequence."""
    last = int(part.trace.last_steps[part.direction_number][0])
    return () if last < 0 else (last,)
