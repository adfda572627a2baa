"""The valid forms of cells, and the names and shapes of parameters and arrays for each form.

Kernels index memory by these shapes and check no bounds, so ``read_module`` checks every module
against them first; ``trace_check`` does the same for traces.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnviz.activations import ACTIVATIONS, find_activation
from rnnviz.cells import GATE_NAMES, Form
from rnnviz.errors import RnnvizError
from rnnviz.torch_names import parameter_suffix

Shape = tuple[int, ...]

# The fields of each cell's form that may differ from their defaults: switches, activations.
SWITCHES = {"rnn": (), "lstm": ("peephole", "coupled"), "gru": ("reset_after",)}
CHOSEN = {
    "rnn": ("nonlinearity",),
    "lstm": ("gate_activation", "activation", "output_activation"),
    "gru": ("gate_activation", "activation"),
}
OPTIONS = fields(Form)[1:]
GRAD_INPUT = "grad_input"  # recorded, or computed from the gradients of the first layer


class Sizes(NamedTuple):
    """Sizes of a network. By layer: hidden, the width of gates; output, of one direction's h."""

    directions: int
    features: int
    hidden: tuple[int, ...]
    output: tuple[int, ...]


def check_form(form: Form) -> None:
    """RnnvizError for a form that no cell has."""
    check_choice("cell", form.cell, tuple(GATE_NAMES))
    for name in (field.name for field in OPTIONS):
        came = getattr(form, name)
        if name in SWITCHES[form.cell]:
            check_choice(name, came, (False, True))
        elif name not in CHOSEN[form.cell]:
            check_choice(name, came, (getattr(Form(form.cell), name),))
        elif find_activation(came) is None:
            check_choice(name, came, ACTIVATIONS)


def parameter_shapes(form: Form, sizes: Sizes) -> dict[str, Shape]:
    """The shape of every parameter by torch's name, in torch's order; biases are optional.

    >>> parameter_shapes(Form("gru"), Sizes(1, 2, (3,), (3,)))["weight_ih_l0"]
    (9, 2)
    """
    found: dict[str, Shape] = {}
    reads = sizes.features
    for layer, (hidden, output) in enumerate(zip(sizes.hidden, sizes.output, strict=True)):
        rows = len(form.gates) * hidden
        for direction in range(sizes.directions):
            end = parameter_suffix(layer, direction)
            found[f"weight_ih{end}"] = rows, reads
            found[f"weight_hh{end}"] = rows, output
            found[f"bias_ih{end}"] = found[f"bias_hh{end}"] = (rows,)
            if output != hidden:
                found[f"weight_hr{end}"] = output, hidden
            if form.peepholes:
                found[f"weight_peephole{end}"] = len(form.peepholes), hidden
        reads = sizes.directions * output
    return found


def layer_widths(
    initial: Mapping[str, NDArray[Any]],
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The hidden and output widths by layer, read off the initial states.

    initial: (layer, direction, batch, unit); with several layers NaN in the units that one lacks.

    >>> layer_widths({"hidden_state": np.array([[[[0.0, 0.0]]], [[[0.0, np.nan]]]])})
    ((2, 1), (2, 1))
    """
    output, hidden = (
        tuple((~np.isnan(first)).sum(-1).tolist()) if len(first) > 1 else first.shape[1:]
        for first in (initial[name][:, 0, 0] for name in ("hidden_state", _widest(initial)))
    )
    return hidden, output


def _widest(states: Mapping[str, Any]) -> str:
    """The state that is as wide as the gates."""
    return "cell_state" if "cell_state" in states else "hidden_state"


def check_parameters(form: Form, sizes: Sizes, shapes: Mapping[str, Shape]) -> None:
    """RnnvizError unless these are the parameters that a network of these sizes has."""
    expected = parameter_shapes(form, sizes)
    needed = {name for name in expected if not name.startswith("bias")}
    for name in sorted(needed.difference(shapes)):
        raise RnnvizError("error.parameter_missing", name=name, cell=form.cell)
    for name, shape in shapes.items():
        if name not in expected:
            raise RnnvizError("error.parameter_extra", name=name, cell=form.cell)
        if tuple(shape) != expected[name]:
            raise RnnvizError(
                "error.parameter_shape",
                name=name,
                came=tuple(shape),
                cell=form.cell,
                hidden=", ".join(map(str, dict.fromkeys(sizes.hidden))),
                expected=expected[name],
            )


def recorded_names(form: Form, *, loss: bool) -> tuple[str, ...]:
    """Names of the arrays that a trace of this form records, with a loss also the gradients.

    >>> recorded_names(Form("rnn"), loss=True)[-2:]
    ('grad_hidden_state', 'grad_hidden_preactivation')
    """
    gates = () if form.cell == "rnn" else GATE_NAMES[form.cell]
    sums = tuple(f"{gate}_preactivation" for gate in form.gates)
    grads = tuple(f"grad_{name}" for name in (*form.states, *sums)) if loss else ()
    return ("input", *gates, *sums, *form.states, *grads)


def check_choice(name: str, came: Any, expected: tuple[Any, ...]) -> None:
    """RnnvizError unless an attribute of a trace has one of the expected values."""
    if not any(type(came) is type(value) and came == value for value in expected):
        named = ", ".join(map(str, expected))
        raise RnnvizError("error.trace_attribute", name=name, came=repr(came), expected=named)
