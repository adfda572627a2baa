"""Any cell of this project, one time step at a time, by its own equations.

The gradients go back through one step at a time by autograd, in float64, at the recorded states:
correct for every cell that can take a step, and far below the range of float32.
"""

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from rnnviz.cells import Cell, HeldStep
from rnnviz.engine.device import on_cpu
from rnnviz.engine.steps import EndGradients, Gradients, RNNStates, Steps
from rnnviz.holding import Held


def take_steps(
    cell: Cell[Any],
    x: Tensor,
    h_0: Tensor,
    c_0: Tensor | None,
    hidden: Tensor | None,
    held: Held | None,
) -> Steps:
    """Every gate and state of one layer in one direction.

    x: (time, batch, input); h_0, c_0: (batch, unit), c_0 of an LSTM. hidden: (time, batch, unit)
    as the module computed it, so that each step starts from there; None: from the step before.
    """
    own = cell.weight_hh
    x, h = x.to(own.device, own.dtype), h_0.to(own.device, own.dtype)
    c = None if c_0 is None else c_0.to(own.device, own.dtype)
    rows: dict[str, list[Tensor]] = {}
    replayed: list[Tensor] = []
    for t, x_t in enumerate(x):
        state, gates = _step(cell, x_t, h if c is None else (h, c), held, t)
        h, c = (state, None) if c is None else state
        replayed.append(h)
        if c is not None:
            gates = {**gates, "cell_state": c}
        for name, value in gates.items():
            rows.setdefault(name, []).append(value)
        if hidden is not None:
            h = hidden[t].to(own.device, own.dtype)
    arrays = {name: on_cpu(torch.stack(values)).numpy() for name, values in rows.items()}
    computed = on_cpu(torch.stack(replayed))
    h = (computed if hidden is None else hidden).contiguous()
    return Steps(arrays, computed.numpy(), RNNStates(h.numpy()))


def differentiate(
    cell: Cell[Any],
    x: Tensor,
    h_0: Tensor,
    c_0: Tensor | None,
    steps: Steps,
    output_grad: Tensor,
    held: Held | None,
    end: EndGradients | None,
) -> Gradients:
    """Total derivatives of the loss through one layer in one direction, in float64.

    output_grad: ∂ℓ/∂output of this layer and direction, (time, batch, unit), 0 where padded.
    end: ∂ℓ/∂(h_n, c_n), or None.
    """
    # A parametrised module's weights are plain tensors, which deepcopy refuses.
    plain = [value for value in vars(cell).values() if isinstance(value, Tensor)]
    copies: dict[int, Any] = {id(w): w.detach().to("cpu", torch.float64) for w in plain}
    exact = deepcopy(cell, copies).to("cpu", torch.float64)
    hidden = steps.hidden
    cells = None if c_0 is None else torch.from_numpy(steps.arrays["cell_state"])
    rows: dict[str, list[Tensor]] = {}
    by_x: list[Tensor] = []
    carried = [
        torch.zeros_like(part, dtype=torch.float64) for part in (h_0, c_0) if part is not None
    ]
    for t in reversed(range(len(x))):
        before = [hidden[t - 1] if t else h_0]
        if cells is not None and c_0 is not None:
            before.append(cells[t - 1] if t else c_0)
        if end is not None:  # what is carried to the last step of a sequence is 0
            ending = torch.from_numpy(end.last == t)[:, None]
            ends = (torch.from_numpy(part) for part in (end.h, end.c))
            carried = [torch.where(ending, e, d) for e, d in zip(ends, carried, strict=False)]
        carried[0] = carried[0] + output_grad[t].double()
        found, by_x_t, carried = _step_back(exact, x[t], before, carried, held, t)
        by_x.append(by_x_t)
        for name, value in found.items():
            rows.setdefault(name, []).append(value)
    names = ("hidden_state", "cell_state")
    return Gradients(
        {name: torch.stack(values[::-1]).numpy() for name, values in rows.items()},
        torch.stack(by_x[::-1]),
        {name: value.numpy() for name, value in zip(names, carried, strict=False)},
    )


def _step(cell: Cell[Any], x: Tensor, state: Any, held: Held | None, t: int) -> Any:
    # A user-defined cell need not take ``held``.
    return cell.step(x, state) if held is None else cell.step(x, state, _held_step(held, t))


def _held_step(held: Held, time: int) -> HeldStep:
    """What ``Cell.step`` takes to hold gates and states at one time step."""

    def override(name: str, value: Tensor) -> Tensor:
        if name not in held._fields:  # a gate that only a user-defined cell has
            return value
        fixed = torch.from_numpy(getattr(held, name)[time]).to(value.device, value.dtype)
        return torch.where(fixed.isnan(), value, fixed)

    return override


def _step_back(
    cell: Cell[Any],
    x: Tensor,
    before: list[Tensor],
    after: list[Tensor],
    held: Held | None,
    t: int,
) -> tuple[dict[str, Tensor], Tensor, list[Tensor]]:
    """Derivatives with respect to what one step computed, to x and to the state before it.

    after: δh_t without the path through c_t; of an LSTM also δc_t without the path through h_t.
    """
    with torch.enable_grad():
        x, *states = (
            part.detach().to(torch.float64, copy=True).requires_grad_() for part in (x, *before)
        )
        given = states[0] if len(states) == 1 else tuple(states)
        state, gates = _step(cell, x, given, held, t)
        outputs = list(state) if isinstance(state, tuple) else [state]
    wanted = {name: a for name, a in gates.items() if name.endswith("_preactivation")}
    if len(outputs) == 2:
        wanted["cell_state"] = outputs[1]
    by = [x, *states, *wanted.values()]
    found = list(torch.autograd.grad(outputs, by, after, materialize_grads=True))
    ends = 1 + len(states)
    named = dict(zip(wanted, found[ends:], strict=True))
    return {"hidden_state": after[0], **named}, found[0], found[1:ends]
