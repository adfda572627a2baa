"""The valid forms of cells, and the names and shapes of parameters and arrays for each form.

Kernels index memory by these shapes and check no bounds, so ``read_module`` checks every module
against them first; ``trace_check`` does the same for traces.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, NamedTuple

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


class Sizes(NamedTuple):
    """Sizes of a network: hidden is the width of gates, output that of one direction's h."""

    layers: int
    directions: int
    features: int
    hidden: int
    output: int


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

    >>> parameter_shapes(Form("gru"), Sizes(1, 1, 2, 3, 3))["weight_ih_l0"]
    (9, 2)
    """
    rows = len(form.gates) * sizes.hidden
    found: dict[str, Shape] = {}
    for layer in range(sizes.layers):
        reads = sizes.directions * sizes.output if layer else sizes.features
        for direction in range(sizes.directions):
            end = parameter_suffix(layer, direction)
            found[f"weight_ih{end}"] = rows, reads
            found[f"weight_hh{end}"] = rows, sizes.output
            found[f"bias_ih{end}"] = found[f"bias_hh{end}"] = (rows,)
            if sizes.output != sizes.hidden:
                found[f"weight_hr{end}"] = sizes.output, sizes.hidden
            if form.peepholes:
                found[f"weight_peephole{end}"] = len(form.peepholes), sizes.hidden
    return found


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
                hidden=sizes.hidden,
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
