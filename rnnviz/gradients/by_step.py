"""Gradients of one layer in one direction by its cell's own step, where no closed form is known."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from rnnviz.engine.device import full_precision
from rnnviz.engine.step_gradients import (
    as_array,
    at_nodes,
    by_initial_state,
    by_parameters,
    parameter_row_norms,
    pass_back,
)
from rnnviz.engine.step_points import StepPoints
from rnnviz.errors import RnnvizError
from rnnviz.gradients.rows import add_rows, normalised
from rnnviz.trace_part import TracePart

Array = NDArray[Any]
Scale = NDArray[np.int64]
OUTSIDE_INFERENCE = full_precision(torch.device("cpu"))  # whose tensors have no gradients


class StepwiseGradients(NamedTuple):
    """Rows · 2^scale in the input's order: by name and with respect to x; scale (time, batch)."""

    arrays: dict[str, Array]
    by_x: Array
    scale: Scale


@OUTSIDE_INFERENCE
def differentiate_steps(
    part: TracePart,
    points: StepPoints,
    output_grad: Array,
    scale: Scale | None = None,
    *,
    as_trained: bool = False,
) -> StepwiseGradients:
    """Gradients with respect to the states and pre-activations, in the dtype of the points.

    output_grad: (time, batch, unit), times 2^scale if that is given, in the input's order.
    as_trained: by one backward call per step, whose rounding is that of autograd in this dtype.
    """
    dtype, width = points.x.dtype, points.widths[0]
    given = torch.zeros(*output_grad.shape[:2], sum(points.widths), dtype=dtype, device="cpu")
    given[..., :width] = torch.from_numpy(np.array(part.reorder(output_grad))).to(dtype)
    ordered = None if scale is None else np.array(part.reorder(scale, np.int64))
    if part.trace.final_grad:
        given, ordered = _with_end(part, given, ordered)
    found = pass_back(points, given, ordered, as_trained=as_trained)
    arrays, by_x = at_nodes(points, found.rows)
    arrays = {"hidden_state": as_array(found.rows[..., :width]), **arrays}
    return StepwiseGradients(
        {name: part.restore(values, values.dtype) for name, values in arrays.items()},
        part.restore(as_array(by_x), as_array(by_x).dtype),
        np.array(part.flip_back(found.scale)),
    )


def _with_end(
    part: TracePart, given: torch.Tensor, scale: Scale | None
) -> tuple[torch.Tensor, Scale | None]:
    """Rows of all states side by side, with ∂ℓ/∂(h_n, c_n) added at each sequence's last step."""
    ends = np.concatenate([part.grad_at_end(name) for name in part.trace.form.states], -1)
    if scale is None:
        return given + torch.from_numpy(ends).to(given.dtype), None
    rows, scale = add_rows([(given.numpy(), scale), normalised(ends, np.zeros_like(scale))])
    return torch.from_numpy(rows), scale


@OUTSIDE_INFERENCE
def step_parameter_gradients(
    part: TracePart, points: StepPoints, arrays: dict[str, Array], scale: Scale
) -> tuple[dict[str, Array], int]:
    """∂L/∂(every parameter of the cell) by its name, and the exponent that multiplies them all.

    arrays: total derivatives by the states' names, rows · 2^scale, in the input's order.
    """
    top = max(int(scale.max()), 0)
    total = _total(part, arrays, scale - top)
    found = by_parameters(points, total)
    own = part.trace.own_cells
    if own is not None and own.started:
        for name, value in by_initial_state(points, total[:1], _unread(part, -top)).items():
            found[name] += value
    return {name: value.numpy() for name, value in found.items()}, top


@OUTSIDE_INFERENCE
def step_contributions(
    part: TracePart, points: StepPoints, arrays: dict[str, Array], scale: Scale
) -> tuple[Array, Array, int]:
    """log₁₀ of the norm of every step's part of ∂L/∂U, (time, batch) in order, and their sum.

    The sum comes with the exponent that multiplies it. U: the parameter weight_hh. RnnvizError for
    a cell that has none.
    """
    if "weight_hh" not in dict(points.cell.named_parameters()):
        raise RnnvizError("error.own_no_weight", type=type(points.cell).__name__)
    rows = _total(part, arrays, np.zeros_like(scale))
    _, exponent = np.frexp(np.abs(rows.numpy()).max(-1))
    own = torch.from_numpy(np.ldexp(rows.numpy(), -exponent[..., None]))
    norms = parameter_row_norms(points, own, "weight_hh")
    logs = np.log10(norms) + (exponent + part.reorder(scale, np.int64)) * np.log10(2.0)
    summed, top = step_parameter_gradients(part, points, arrays, scale)
    return logs, summed["weight_hh"], top


def _unread(part: TracePart, scale: int) -> torch.Tensor:
    """∂ℓ/∂(h_n, c_n) · 2^scale of sequences without a step, which end as they start; else 0."""
    ends = [part.final_grad(name) for name in part.trace.form.states]
    widths = sum(part.initial(name).shape[-1] for name in part.trace.form.states)
    found = np.zeros((part.trace.batch, widths))
    if part.trace.final_grad:
        unread = part.trace.valid_lengths == 0
        found[unread] = np.concatenate([end for end in ends if end is not None], -1)[unread]
    return torch.from_numpy(np.ldexp(found, max(scale, -5000)))


def _total(part: TracePart, arrays: dict[str, Array], scale: Scale) -> torch.Tensor:
    """Total derivatives with respect to the states side by side, in order, 0 where padded."""
    states = np.concatenate([arrays[name] for name in part.trace.form.states], -1)
    shifted = np.ldexp(np.asarray(states, np.float64), np.clip(scale, -5000, 5000)[..., None])
    return torch.from_numpy(np.array(part.reorder(shifted)))
