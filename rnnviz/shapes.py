"""The valid forms of cells, and the names and shapes of parameters and arrays for each form.

Kernels index memory by these shapes and check no bounds, so ``read_module`` checks every module
against them first; ``trace_check`` does the same for traces.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, NamedTuple

from rnnviz.cells import GATE_NAMES, NONLINEARITIES, Form
from rnnviz.errors import RnnvizError
from rnnviz.torch_names import parameter_suffix

Shape = tuple[int, ...]

# The values that each field of a cell's form may have; the other fields have their defaults.
VARIANTS: dict[str, dict[str, tuple[Any, ...]]] = {
    "rnn": {"nonlinearity": tuple(NONLINEARITIES)},
    "lstm": {"peephole": (False, True), "coupled": (False, True)},
    "gru": {"reset_after": (False, True)},
}
OPTIONS = fields(Form)[1:]


class Sizes(NamedTuple):
    """Sizes of a network. By layer: hidden, the width of gates; output, of one direction's h."""

    directions: int
    features: int
    hidden: tuple[int, ...]
    output: tuple[int, ...]


def check_form(form: Form) -> None:
    """RnnvizError for a form that no cell has."""
    check_choice("cell", form.cell, tuple(GATE_NAMES))
    for field in OPTIONS:
        expected = VARIANTS[form.cell].get(field.name, (field.default,))
        check_choice(field.name, getattr(form, field.name), expected)


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
    form: Form, layers: int, hidden: int, output: int, shapes: Mapping[str, Shape]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The hidden and output widths by layer, read off the shapes of the recurrent weights.

    hidden, output: widths of the widest layer. Where these shapes do not fit them, all layers get
    the widest layer's widths, and ``check_parameters`` refuses the parameters.

    >>> layer_widths(Form("gru"), 2, 4, 4, {"weight_hh_l0": (12, 4), "weight_hh_l1": (6, 2)})
    ((4, 2), (4, 2))
    """
    found: list[Shape] = []
    for layer in range(layers):
        shape = tuple(shapes.get(f"weight_hh{parameter_suffix(layer, 0)}", ()))
        rows, columns = shape if len(shape) == 2 else (0, 0)
        own = rows // len(form.gates), columns
        fits = 1 <= columns <= own[0] if form.cell == "lstm" else 1 <= columns == own[0]
        found.append(own if fits else (hidden, output))
    by_layer = tuple(zip(*found, strict=True))
    if tuple(map(max, by_layer)) != (hidden, output):
        return (hidden,) * layers, (output,) * layers
    return by_layer[0], by_layer[1]


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
