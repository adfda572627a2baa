"""Checks that everything a trace holds fits its form and the shapes of its states.

Every Trace is checked, also one made by hand or unpickled, because kernels check no bounds.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnviz.cells import GATE_NAMES, Form
from rnnviz.engine.state_layout import StateLayout
from rnnviz.errors import RnnvizError
from rnnviz.holding import holdable, range_of
from rnnviz.shapes import (
    GRAD_INPUT,
    Shape,
    Sizes,
    check_choice,
    check_form,
    check_parameters,
    layer_widths,
    recorded_names,
)

Array = NDArray[Any]

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
# By the dtype of recorded states, the dtypes of modules.
DTYPES = {FLOATS[0]: ("float32", "bfloat16", "float16"), FLOATS[1]: ("float64",)}
RECORDED = {cell: frozenset(recorded_names(Form(cell), loss=True)) for cell in GATE_NAMES}


def check_trace(
    form: Form,
    arrays: Mapping[str, Array],
    initial: Mapping[str, Array],
    parameters: Mapping[str, Array],
    lengths: Array | None,
    mask: Array | None,
    layout: StateLayout,
    output_grad: Array | None,
    final_grad: Mapping[str, Array],
    held: Mapping[str, Array],
    *,
    own_step: bool = False,
) -> None:
    """RnnvizError unless everything that a trace holds fits its form and the states' shapes.

    The arguments are a Trace's fields. A cell with its own step may record further gates, of which
    only the first four axes are checked, and have any parameters.
    """
    check_form(form)
    shape = _check_arrays(form, arrays, own_step=own_step)
    layers, directions, steps, batch, hidden = shape
    width = {"hidden_state": arrays["hidden_state"].shape[-1]}
    grads = tuple(f"grad_{name}" for name in form.states) if output_grad is not None else ()
    _check_there(form, arrays, grads)
    _check_there(form, initial, (*form.states, *grads), prefix="initial_")
    _check_there(form, final_grad, form.states if final_grad else (), prefix="final_grad_")
    for prefix, states in (("initial_", initial), ("final_grad_", final_grad)):
        for name, values in states.items():
            units = width.get(name.removeprefix("grad_"), hidden)
            check_array(prefix + name, values, (layers, directions, batch, units))
    for name, values in parameters.items():
        check_array(name, values, np.shape(values))
    by_layer = _check_widths(initial)
    if not own_step:
        shapes = {name: values.shape for name, values in parameters.items()}
        sizes = Sizes(directions, arrays["input"].shape[-1], *by_layer)
        check_parameters(form, sizes, shapes)
    if output_grad is not None:
        check_array("output_grad", output_grad, (steps, batch, directions * by_layer[1][-1]))
    if lengths is not None:
        _check_lengths(lengths, steps, batch)
    if mask is not None:
        check_array("mask", mask, (steps, batch), (np.dtype(np.bool_),))
    _check_layout(layout, arrays["hidden_state"].dtype, layers * directions, batch)
    width = dict.fromkeys(holdable(form), hidden) | width
    if own_step:
        gates = [name for name in arrays if name != "input" and not name.startswith("grad_")]
        width = {name: arrays[name].shape[-1] for name in gates} | width
    for name, values in held.items():
        check_choice("held", name, tuple(width))
        check_array(f"held_{name}", values, (layers, directions, steps, width[name]))
        _check_held(name, values, form)


def _check_arrays(
    form: Form, arrays: Mapping[str, Array], *, own_step: bool
) -> tuple[int, int, int, int, int]:
    """Layers, directions, time steps, sequences and units, which all arrays must have."""
    layers, directions, steps, batch, hidden, output = _sizes(form, arrays)
    for name, values in arrays.items():
        recorded = name.removeprefix("grad_")
        units = output if recorded == "hidden_state" else hidden
        shape: Shape = (layers, directions, steps, batch, units)
        if name in ("input", GRAD_INPUT):
            shape = steps, batch, np.shape(arrays["input"])[-1]
        elif recorded not in form.states and (own_step or name not in RECORDED[form.cell]):
            shape = *shape[:4], *np.shape(values)[4:5]
        check_array(name, values, shape)
    return layers, directions, steps, batch, hidden


def _check_widths(initial: Mapping[str, Array]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """``layer_widths``; RnnvizError unless every layer has units and one has all of them."""
    hidden, output = layer_widths(initial)
    widest = initial.get("cell_state", initial["hidden_state"]).shape[-1]
    fits = all(1 <= o <= h for h, o in zip(hidden, output, strict=True))
    whole = initial["hidden_state"].shape[-1]
    if not fits or (max(hidden), max(output)) != (widest, whole):
        name, expected = "initial_hidden_state", (whole,) * len(output)
        raise RnnvizError("error.trace_shape", name=name, came=output, expected=expected)
    return hidden, output


def check_array(
    name: str, values: Any, shape: Shape, dtypes: tuple[np.dtype[Any], ...] = FLOATS
) -> None:
    """RnnvizError unless values is an array of this shape and one of these dtypes."""
    if not isinstance(values, np.ndarray):
        expected = f"ndarray {shape}"
        raise RnnvizError(
            "error.trace_shape", name=name, came=type(values).__name__, expected=expected
        )
    if values.shape != shape:
        raise RnnvizError("error.trace_shape", name=name, came=values.shape, expected=shape)
    if values.dtype not in dtypes:
        expected = ", ".join(map(str, dtypes))
        raise RnnvizError("error.trace_dtype", name=name, came=values.dtype, expected=expected)


def _check_layout(layout: StateLayout, dtype: np.dtype[Any], parts: int, batch: int) -> None:
    check_choice("batched", layout.batched, (True,) if batch > 1 else (True, False))
    check_choice("is_cell", layout.is_cell, (False,) if parts > 1 else (True, False))
    check_choice("dtype", layout.dtype, DTYPES[dtype])


def _sizes(form: Form, arrays: Mapping[str, Array]) -> tuple[int, int, int, int, int, int]:
    """Layers, directions, time steps, sequences, and the widest layer's units and output."""
    _check_there(form, arrays, ("input", *form.states))
    widest = "cell_state" if form.cell == "lstm" else "hidden_state"
    for name, axes in (("input", 3), ("hidden_state", 5), (widest, 5)):
        shape = np.shape(arrays[name])
        if len(shape) != axes or 0 in shape:
            expected = f"({', '.join(['≥ 1'] * axes)})"
            raise RnnvizError("error.trace_shape", name=name, came=shape, expected=expected)
    layers, directions, steps, batch, output = np.shape(arrays["hidden_state"])
    hidden = np.shape(arrays[widest])[-1]
    if directions > 2 or output > hidden:
        expected = (layers, min(directions, 2), steps, batch, min(output, hidden))
        raise RnnvizError(
            "error.trace_shape",
            name="hidden_state",
            came=np.shape(arrays["hidden_state"]),
            expected=expected,
        )
    return layers, directions, steps, batch, hidden, output


def _check_there(
    form: Form, arrays: Mapping[str, Array], names: tuple[str, ...], prefix: str = ""
) -> None:
    missing = [prefix + name for name in names if name not in arrays]
    if missing:
        raise RnnvizError("error.trace_lacks", names=", ".join(missing), cell=form.cell)
    extra = [prefix + name for name in arrays if prefix and name not in names]
    if extra:
        raise RnnvizError("error.trace_extra", names=", ".join(extra), cell=form.cell)


def _check_lengths(lengths: Array, steps: int, batch: int) -> None:
    whole = isinstance(lengths, np.ndarray) and lengths.dtype == np.int64  # pyright: ignore[reportUnnecessaryIsInstance]  # anyone may make a Trace
    if not whole or lengths.shape != (batch,) or lengths.min() < 1 or lengths.max() > steps:
        came = np.array2string(np.asarray(lengths), threshold=8, separator=", ")
        raise RnnvizError("error.trace_lengths", came=came, batch=batch, steps=steps)


def _check_held(name: str, values: Array, form: Form) -> None:
    low, high = range_of(name, form)
    there = values[~np.isnan(values)]
    if len(there) and not (low <= there.min() and there.max() <= high):
        worst = there.min() if there.min() < low else there.max()
        raise RnnvizError("error.hold_value", name=name, came=worst, low=low, high=high)
