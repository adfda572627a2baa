"""The content of a trace's file, checked and read as the fields of a Trace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from rnnviz.cells import Form
from rnnviz.engine.state_layout import StateLayout
from rnnviz.errors import RnnvizError
from rnnviz.shapes import GRAD_INPUT, check_choice, check_form, recorded_names
from rnnviz.storage import Stored
from rnnviz.trace_check import check_array, check_trace

Array = NDArray[Any]

OWN_STEP = "own_step"
NAMES = "names"  # of the recorded arrays; files of version 0 do not have it
TIED = "tied"  # parameters that are the same as an earlier one: "name=earlier,…"
DOUBLE = (np.dtype(np.float64),)
TEXT, WHOLE, NUMBER = "str", "int", "float"


class Contents(TypedDict):
    """The fields of a Trace by name."""

    form: Form
    module_repr: str
    loss: float | None
    replay_error: float
    lengths: Array | None
    mask: Array | None
    layout: StateLayout
    parameters: dict[str, Array]
    output_grad: Array | None
    final_grad: dict[str, Array]
    held: dict[str, Array]
    own_step: bool
    arrays: dict[str, Array]
    initial: dict[str, Array]


def read_contents(stored: Stored, path: str) -> Contents:
    """The fields of a Trace, each checked against the cell that the file names.

    path: the file's name, for errors. RnnvizError for arrays or attributes that are missing, that a
    trace does not have, or whose shape, type or range does not fit the rest of the file.
    """
    attributes = stored.attributes
    needed = {"cell", "nonlinearity", "module_repr", "replay_error"}
    if not needed <= set(attributes) or not {"input", "hidden_state"} <= set(stored.arrays):
        raise RnnvizError("error.trace_file", path=path)
    form = _read_form(attributes)
    names = recorded_names(form, loss="loss" in attributes)
    if NAMES in attributes:
        names = tuple(_read(attributes, NAMES, TEXT).split(","))
    contents = _sorted_out(stored, form, names)
    _check_names(contents, names)
    check_trace(
        form,
        contents["arrays"],
        contents["initial"],
        contents["parameters"],
        contents["lengths"],
        contents["mask"],
        contents["layout"],
        contents["output_grad"],
        contents["final_grad"],
        contents["held"],
        own_step=contents["own_step"],
    )
    _check_types(contents)
    _check_padding(contents)
    if TIED in attributes:
        _tie(contents["parameters"], _read(attributes, TIED, TEXT))
    return contents


def _sorted_out(stored: Stored, form: Form, names: tuple[str, ...]) -> Contents:
    """The fields of a Trace; names: of the arrays that it recorded."""
    arrays, attributes = dict(stored.arrays), stored.attributes
    loss = attributes.get("loss")

    def take(prefix: str) -> dict[str, Array]:
        own = [name for name in arrays if name.startswith(prefix) and name not in names]
        return {name.removeprefix(prefix): arrays.pop(name) for name in own}

    return Contents(
        form=form,
        module_repr=_read(attributes, "module_repr", TEXT),
        loss=None if loss is None else float(_read(attributes, "loss", NUMBER)),
        replay_error=float(_read(attributes, "replay_error", NUMBER)),
        lengths=arrays.pop("lengths", None),
        mask=_read_mask(arrays.pop("mask", None)),
        layout=_read_layout(attributes, arrays["hidden_state"]),
        parameters=take("parameter_"),
        output_grad=arrays.pop("output_grad", None),
        final_grad=take("final_grad_"),
        held=take("held_"),
        own_step=_read_own_step(attributes, names, form),
        initial=take("initial_"),
        arrays=arrays,
    )


def _read_form(attributes: Mapping[str, Any]) -> Form:
    """As ``Trace.to_xarray`` wrote it; what the file does not name is as in torch."""
    form = Form(**_read_fields(attributes, Form))
    check_form(form)
    return form


def _read_layout(attributes: Mapping[str, Any], hidden: Array) -> StateLayout:
    """Files up to version 1 do not have it; their traces count as those of a batched stack."""
    given: dict[str, Any] = {"dtype": str(hidden.dtype)}
    return StateLayout(**given | _read_fields(attributes, StateLayout))


def _read_fields(attributes: Mapping[str, Any], kind: type[Form | StateLayout]) -> dict[str, Any]:
    """The fields of a description that the attributes name; a bool is stored as 0 or 1."""
    given: dict[str, Any] = {}
    for field in fields(kind):
        if field.name not in attributes:
            continue
        if isinstance(field.default, bool):
            number = _read(attributes, field.name, WHOLE)
            given[field.name] = bool(number) if number in (0, 1) else number  # refused later
        else:
            given[field.name] = _read(attributes, field.name, TEXT)
    return given


def _read_mask(stored: Array | None) -> Array | None:
    """From 0 and 1; anything else is refused later, by its type."""
    if stored is None or stored.dtype != np.int8 or ((stored != 0) & (stored != 1)).any():
        return stored
    return stored.astype(np.bool_)


def _read_own_step(attributes: Mapping[str, Any], names: tuple[str, ...], form: Form) -> bool:
    """Whether a cell has a step of its own; before version 2 only its further gates show that."""
    if OWN_STEP not in attributes:
        return not set(names) <= {*recorded_names(form, loss=True), GRAD_INPUT}
    number = _read(attributes, OWN_STEP, WHOLE)
    check_choice(OWN_STEP, number, (0, 1))
    return bool(number)


def _read(attributes: Mapping[str, Any], name: str, kind: str) -> Any:
    value = attributes[name]
    kinds = {TEXT: str, WHOLE: int, NUMBER: int | float}
    out_of_range = name == "replay_error" and not (isinstance(value, str) or value >= 0)
    if not isinstance(value, kinds[kind]) or out_of_range:
        expected = f"{kind} ≥ 0" if out_of_range else kind
        came = repr(value)[:40]
        raise RnnvizError("error.trace_attribute", name=name, came=came, expected=expected)
    return value


def _tie(parameters: dict[str, Array], tied: str) -> None:
    """Makes the parameters that a module shared one array again."""
    for pair in tied.split(","):
        name, _, earlier = pair.partition("=")
        own, shared = parameters.get(name), parameters.get(earlier)
        if own is None or shared is None or not np.array_equal(own, shared, equal_nan=True):
            expected = "names of equal parameters"
            raise RnnvizError(
                "error.trace_attribute", name=TIED, came=repr(pair), expected=expected
            )
        parameters[name] = shared


def _check_names(contents: Contents, names: tuple[str, ...]) -> None:
    cell, arrays = contents["form"].cell, contents["arrays"]
    missing = [name for name in names if name not in arrays]
    if contents["loss"] is not None and contents["output_grad"] is None:
        missing.append("output_grad")
    if missing:
        raise RnnvizError("error.trace_lacks", names=", ".join(missing), cell=cell)
    extra = [name for name in arrays if name not in names]
    if contents["loss"] is None:
        extra += ["output_grad"] if contents["output_grad"] is not None else []
        extra += [f"final_grad_{name}" for name in contents["final_grad"]]
    if contents["mask"] is not None and contents["lengths"] is not None:
        extra.append("lengths")
    if extra:
        raise RnnvizError("error.trace_extra", names=", ".join(extra), cell=cell)


def _check_types(contents: Contents) -> None:
    """Gradients and held values are in float64, everything else in the dtype of the states."""
    own = (contents["arrays"]["hidden_state"].dtype,)
    for prefix in ("arrays", "initial", "parameters"):
        for name, values in contents[prefix].items():
            doubled = name.startswith("grad_")
            check_array(name, values, values.shape, DOUBLE if doubled else own)
    for name, values in contents["held"].items():
        check_array(f"held_{name}", values, values.shape, DOUBLE)
    for name, values in contents["final_grad"].items():
        check_array(f"final_grad_{name}", values, values.shape, DOUBLE)
    if contents["output_grad"] is not None:
        check_array("output_grad", contents["output_grad"], contents["output_grad"].shape, DOUBLE)


def _check_padding(contents: Contents) -> None:
    """Padded and masked steps are NaN, and ∂ℓ/∂output is 0 there."""
    lengths, output_grad = contents["lengths"], contents["output_grad"]
    if contents["mask"] is not None:
        padded = ~contents["mask"]
    elif lengths is not None:
        padded = np.arange(len(contents["arrays"]["input"]))[:, None] >= lengths
    else:
        return
    for name, values in contents["arrays"].items():
        if not np.isnan(values[..., padded, :]).all():
            raise RnnvizError("error.trace_padding", name=name, expected="NaN")
    if output_grad is not None and output_grad[padded].any():
        raise RnnvizError("error.trace_padding", name="output_grad", expected=0)
