"""Any cell of this project by its own step: what it records, and its gradients by autograd.

Gradients are computed in float64 at the recorded states: correct for every cell that can take a
step, and far below the range of float32.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnnviz.cells import Cell
from rnnviz.engine.device import on_cpu
from rnnviz.engine.repeated_step import check_repeats
from rnnviz.engine.step_gradients import at_nodes, pass_back
from rnnviz.engine.step_points import Evaluated, StepPoints, at_step, held_step, take_step
from rnnviz.engine.steps import EndGradients, Gradients, RNNStates, Steps
from rnnviz.errors import RnnvizError
from rnnviz.holding import HeldRows
from rnnviz.own_cells import copy_cell, has_own_step

STATES = ("hidden_state", "cell_state")
# Names that a trace and its file use for other things.
RESERVED = ("input", "lengths", "mask", "output_grad", "names")
PREFIXES = ("grad_", "final_grad_", "parameter_", "initial_", "held_")


def take_steps(
    cell: Cell[Any],
    x: Tensor,
    h_0: Tensor,
    c_0: Tensor | None,
    hidden: Tensor | None,
    held: HeldRows | None,
) -> Steps:
    """Every gate and state of one layer in one direction.

    x: (time, batch, input); h_0, c_0: (batch, unit), c_0 of an LSTM. hidden: (time, batch, unit)
    as the module computed it, so that each step starts from there; None: from the step before.
    """
    some = next(iter(cell.parameters()), x)
    x, h = x.to(some.device, some.dtype), h_0.to(some.device, some.dtype)
    c = None if c_0 is None else c_0.to(some.device, some.dtype)
    if hidden is not None and c is None and (has_own_step(cell) or not cell.form.has_kernels):
        together = _take_together(cell, x, h, hidden)
        if together is not None:
            return together
    steps: list[dict[str, Tensor]] = []
    first = partial(_one_step, cell, x[0], [h] if c is None else [h, c], held)
    for t, x_t in enumerate(x):
        at = None if held is None else held_step(at_step(held, t))
        found = take_step(cell, x_t, [h] if c is None else [h, c], at)
        steps.append(_recorded(cell, found))
        h, c = found.after[0], None if c is None else found.after[1]
        if hidden is not None:
            h = hidden[t].to(some.device, some.dtype)
    if has_own_step(cell):
        check_repeats(cell, first, steps[0])
    arrays = _stacked(cell, steps)
    if held is not None:
        _check_held(cell, arrays, held)
    computed = arrays.pop("hidden_state")
    h = (computed if hidden is None else hidden).contiguous()
    numbers = {name: values.numpy() for name, values in arrays.items()}
    return Steps(numbers, computed.numpy(), RNNStates(h.numpy()))


def _take_together(cell: Cell[Any], x: Tensor, h_0: Tensor, hidden: Tensor) -> Steps | None:
    """All steps in one call, from the hidden states that the module computed.

    None where that is not the module's own step, except for rounding: the call may sum in another
    order, and the step may take its sequences only as they come.
    """
    if hidden.shape[1:] != h_0.shape:
        return None
    own = hidden.to(x.device, x.dtype)
    points = StepPoints(cell, x, (torch.cat((h_0[None], own[:-1])),))
    if not points.rows_are_independent:
        return None
    parts: list[dict[str, Tensor]] = []
    for times in points.calls():
        cut = points.cut(times)
        found = take_step(cell, cut.x.flatten(0, 1), [cut.before[0].flatten(0, 1)], None)
        rows = _recorded(cell, found)
        parts.append({n: v.unflatten(0, (-1, points.batch)) for n, v in rows.items()})
    if any(list(part) != list(parts[0]) for part in parts):
        return None
    arrays = {name: on_cpu(torch.cat([part[name] for part in parts])) for name in parts[0]}
    computed = arrays.pop("hidden_state")
    if has_own_step(cell):
        first = {name: rows[0] for name, rows in (arrays | {STATES[0]: computed}).items()}
        check_repeats(cell, partial(_one_step, cell, x[0], [h_0], None), first)
    rounding = 4 * torch.finfo(x.dtype).eps * max(1.0, float(hidden.abs().max()))
    if not bool(((computed - hidden).abs() <= rounding).all()):
        return None
    numbers = {name: values.numpy() for name, values in arrays.items()}
    return Steps(numbers, computed.numpy(), RNNStates(hidden.contiguous().numpy()))


def _one_step(
    cell: Cell[Any], x: Tensor, before: list[Tensor], held: HeldRows | None
) -> dict[str, Tensor]:
    """What the first step records."""
    at = None if held is None else held_step(at_step(held, 0))
    return _recorded(cell, take_step(cell, x, before, at))


def _recorded(cell: Cell[Any], found: Evaluated) -> dict[str, Tensor]:
    """Gates and states of one step by name, each (batch, unit)."""
    states = dict(zip(STATES, found.after, strict=False))
    gates = {n: _rows(cell, n, v, len(found.x)) for n, v in found.gates.items() if n not in states}
    return {**gates, **states}


def _rows(cell: Cell[Any], name: Any, value: Any, rows: int) -> Tensor:
    """A gate as (batch, unit); a number or (unit,) is that of every sequence."""
    taken = isinstance(name, str) and (name in (*RESERVED, *STATES) or name.startswith(PREFIXES))
    if not isinstance(name, str) or taken or not name or set(name) & set(",/"):
        raise RnnvizError("error.own_gate_name", type=type(cell).__name__, came=repr(name))
    values = value.detach() if isinstance(value, Tensor) else torch.tensor(value, device="cpu")
    if values.dim() < 2:
        return values.expand(rows, max(1, values.numel()))
    if values.dim() > 2 or len(values) != rows or not values.is_floating_point():
        came, expected = tuple(values.shape), f"({rows}, ≥ 1)"
        raise RnnvizError(
            "error.own_gate", type=type(cell).__name__, name=name, came=came, expected=expected
        )
    return values


def _stacked(cell: Cell[Any], steps: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Over time, on the CPU; RnnvizError if steps name different gates."""
    names = list(steps[0])
    for found in steps:
        if list(found) != names:
            other = ", ".join(sorted({*found} ^ {*names}))
            raise RnnvizError("error.own_gates_differ", type=type(cell).__name__, names=other)
    return {name: on_cpu(torch.stack([found[name] for found in steps])) for name in names}


def _check_held(cell: Cell[Any], arrays: Mapping[str, Tensor], held: HeldRows) -> None:
    """RnnvizError unless every held value is in what the steps recorded."""
    for name, values in held.items():
        came = arrays.get(name)
        fixed = torch.from_numpy(values)
        if fixed.isnan().all():
            continue
        if came is not None:
            fixed = fixed[..., : came.shape[-1]].to(came.dtype)
        if came is None or not bool((fixed.isnan() | (came == fixed)).all()):
            raise RnnvizError("error.hold_ignored", type=type(cell).__name__, name=name)


def differentiate(
    cell: Cell[Any],
    x: Tensor,
    h_0: Tensor,
    c_0: Tensor | None,
    steps: Steps,
    output_grad: Tensor,
    held: HeldRows | None,
    end: EndGradients | None,
    valid: Tensor | None,
) -> Gradients:
    """Total derivatives of the loss through one layer in one direction, in float64.

    output_grad: ∂ℓ/∂output of this layer and direction, (time, batch, unit), 0 where padded.
    end: ∂ℓ/∂(h_n, c_n), or None. valid: (time, batch), false where padded; None if all are valid.
    """
    after = [steps.hidden]
    if c_0 is not None:
        after.append(torch.from_numpy(steps.arrays["cell_state"]))
    before = [
        torch.cat((first[None], later[:-1])).double()
        for first, later in zip((h_0, c_0), after, strict=False)
        if first is not None
    ]
    exact = copy_cell(cell, torch.float64, "cpu")
    points = StepPoints(exact, x.double(), tuple(before), held, valid)
    state_grad = output_grad.new_zeros(
        *output_grad.shape[:2], sum(points.widths), dtype=torch.float64
    )
    state_grad[..., : output_grad.shape[-1]] = output_grad
    if end is not None:
        read = np.flatnonzero(end.last >= 0)
        ends = np.concatenate((end.h, end.c), -1)[read]
        state_grad[end.last[read], read] += torch.from_numpy(ends)
    found = pass_back(points, state_grad)
    arrays, by_x = at_nodes(points, found.rows)
    hidden = found.rows[..., : points.widths[0]].numpy()
    initial = found.initial.split(points.widths, -1)
    return Gradients(
        {"hidden_state": hidden, **arrays},
        by_x,
        {name: d.numpy() for name, d in zip(STATES, initial, strict=False)},
    )
