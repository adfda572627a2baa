"""The names and shapes of a convention's arrays, checked before they are read as gates."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnviz.array_likes import read_array
from rnnviz.cells import GATE_NAMES, Form
from rnnviz.conventions.table import Convention
from rnnviz.errors import RnnvizError

Array = NDArray[Any]
Shape = tuple[int, ...]


class PackedSizes(NamedTuple):
    """Sizes of one layer in one direction. outputs: units, or the size of the projection."""

    inputs: int
    units: int
    outputs: int


def array_names(convention: Convention) -> tuple[str, ...]:
    """Names of the input weights, the recurrent weights and the biases."""
    if convention.layout == "keras":
        return "kernel", "recurrent_kernel", "bias"
    if convention.layout == "onnx":
        return "W", "R", "B"
    if convention.gru_biases == 1:
        return "weight_ih", "weight_hh", "bias"
    return "weight_ih", "weight_hh", "bias_ih", "bias_hh"


def packed_shapes(form: Form, convention: Convention, sizes: PackedSizes) -> dict[str, Shape]:
    """The shape of every array of one layer in one direction by name; biases are optional.

    >>> from rnnviz.conventions import KERAS
    >>> packed_shapes(Form("gru"), KERAS, PackedSizes(2, 3, 3))
    {'kernel': (2, 9), 'recurrent_kernel': (3, 9), 'bias': (2, 9)}
    """
    rows = len(convention.order(form)) * sizes.units
    weights: list[Shape] = [(rows, sizes.inputs), (rows, sizes.outputs)]
    bias: Shape = (rows,)
    if convention.layout == "keras":
        weights = [shape[::-1] for shape in weights]
        bias = (rows,) if convention.bias_vectors(form) == 1 else (2, rows)
    elif convention.layout == "onnx":
        bias = (2 * rows,)
    names = array_names(convention)
    found = dict(zip(names[:2], weights, strict=True)) | dict.fromkeys(names[2:], bias)
    peepholes = len(convention.peephole_order(form))
    if peepholes and convention.layout == "onnx":
        found["P"] = (peepholes * sizes.units,)
    elif peepholes:
        found["weight_peephole"] = peepholes, sizes.units
    if sizes.outputs != sizes.units:
        found["weight_hr"] = sizes.outputs, sizes.units
    if convention.layout == "onnx":
        found = {name: (1, *shape) for name, shape in found.items()}
    return found


def read_packed(packed: Any, form: Form, convention: Convention) -> dict[str, Array]:
    """A convention's arrays by name, of the shapes that the form has in it.

    RnnvizError unless these are the weights of one layer in one direction of this form. What shapes
    cannot tell: swapped input and recurrent weights of a cell with as many inputs as units, the
    transpose of an RNN's square recurrent weights, and gates in the order of another convention.
    """
    check_pair(form, convention)
    if not isinstance(packed, Mapping):
        names, came = ", ".join(array_names(convention)), type(packed).__name__
        raise RnnvizError("error.packed_mapping", came=came, expected=names)
    _check_names(packed, form, convention)
    arrays = {name: read_array(name, values) for name, values in packed.items()}
    for name, values in arrays.items():
        if values.dtype.kind != "f":
            raise RnnvizError("error.packed_dtype", what=name, came=str(values.dtype))
    sizes = _sizes(arrays, form, convention)
    expected = packed_shapes(form, convention, sizes)
    for name, values in arrays.items():
        if values.shape != expected.get(name):
            raise _wrong_shape(name, values.shape, expected, form, convention, sizes)
    return arrays


def check_pair(form: Any, convention: Any) -> None:
    """RnnvizError unless these are a cell's form and a convention that can represent it."""
    known = isinstance(form, Form) and form.cell in GATE_NAMES
    if not known or not isinstance(convention, Convention):
        came = {"form": repr(form), "convention": getattr(convention, "title", repr(convention))}
        raise RnnvizError("error.packed_pair", **came)
    convention.check(form)


def _check_names(packed: Mapping[str, Any], form: Form, convention: Convention) -> None:
    w, u, *biases = array_names(convention)
    needed = {w, u}
    if convention.peephole_order(form):
        needed.add("P" if convention.layout == "onnx" else "weight_peephole")
    if any(name in packed for name in biases):
        needed |= set(biases)
    allowed = needed.union(biases, ("weight_hr",) if convention.projection else ())
    if form.cell != "lstm":
        allowed.discard("weight_hr")
    if not needed <= set(packed) <= allowed:
        order = (w, u, *biases, "P", "weight_peephole")
        raise RnnvizError(
            "error.packed",
            convention=convention.title,
            came=", ".join(map(str, packed)) or "∅",
            expected=", ".join(name for name in order if name in needed),
        )


def _sizes(arrays: Mapping[str, Array], form: Form, convention: Convention) -> PackedSizes:
    """The sizes read off the weights; the recurrent ones tell the number of units."""
    names = array_names(convention)[:2]
    axes = 3 if convention.layout == "onnx" else 2
    for name in names:
        shape = arrays[name].shape
        if len(shape) != axes or 0 in shape:
            title = convention.title
            raise RnnvizError(
                "error.packed_axes", name=name, came=shape, convention=title, axes=axes
            )
        if axes == 3 and shape[0] != 1:
            raise RnnvizError("error.packed_directions", name=name, came=shape, count=shape[0])
    w, u = (arrays[name].shape[-2:] for name in names)
    if convention.layout == "keras":
        w, u = w[::-1], u[::-1]
    gates = len(convention.order(form))
    units = max(1, u[0] // gates) if "weight_hr" in arrays else u[1]
    return PackedSizes(w[1], units, u[1])


def _wrong_shape(
    name: str,
    came: Shape,
    expected: Mapping[str, Shape],
    form: Form,
    convention: Convention,
    sizes: PackedSizes,
) -> RnnvizError:
    """The error for an array of another shape, with the likely reason where it is known."""
    rows = len(convention.order(form)) * sizes.units
    other = (rows,) if form.reset_after else (2, rows)
    if convention.layout == "keras" and form.cell == "gru" and name == "bias" and came == other:
        key = "error.packed_reset_before" if form.reset_after else "error.packed_reset_after"
        return RnnvizError(key, convention=convention.title, came=came, expected=expected[name])
    return RnnvizError(
        "error.packed_shape",
        name=name,
        came=came,
        expected=expected.get(name, "∅"),
        convention=convention.title,
        cell=form.cell,
        units=sizes.units,
        inputs=sizes.inputs,
    )


def check_run(x: Any, state: Any, form: Form, sizes: PackedSizes) -> tuple[Array, list[Array]]:
    """The input, (time, batch, input), and the states, (batch, unit), in float64.

    RnnvizError for other shapes and dtypes. state: None for zeros.
    """
    x = _floats("x", x)
    if x.ndim != 3 or 0 in x.shape or x.shape[2] != sizes.inputs:
        expected = f"(time, batch, {sizes.inputs})"
        raise RnnvizError("error.packed_input", what="x", came=x.shape, expected=expected)
    batch = x.shape[1]
    widths = {"h": sizes.outputs} | ({"c": sizes.units} if form.cell == "lstm" else {})
    if state is None:
        return x, [np.zeros((batch, width)) for width in widths.values()]
    parts = state if form.cell == "lstm" else (state,)
    if not isinstance(parts, tuple | list) or len(parts) != len(widths):
        raise RnnvizError("error.state_pair", came=type(state).__name__)
    states = [_floats(name, part) for name, part in zip(widths, parts, strict=True)]
    for (name, width), part in zip(widths.items(), states, strict=True):
        if part.shape != (batch, width):
            expected = (batch, width)
            raise RnnvizError("error.packed_input", what=name, came=part.shape, expected=expected)
    return x, states


def _floats(what: str, values: Any) -> Array:
    array = read_array(what, values)
    if array.dtype.kind not in "fiu":
        raise RnnvizError("error.packed_dtype", what=what, came=str(array.dtype))
    return array.astype(np.float64)
