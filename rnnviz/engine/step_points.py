"""The steps of any cell, differentiated by autograd at given states.

A step treats the sequences of a batch alike, so all time steps can be rows of one call. Whether
rows influence each other is tried first; if they do, or if the step takes no other number of rows,
each time step is a call of its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnviz.cells import Cell, Gates, HeldStep
from rnnviz.engine.device import full_precision
from rnnviz.errors import RnnvizError
from rnnviz.holding import HeldRows
from rnnviz.own_cells import step_held

ROOM = 2**22  # entries of intermediate results to hold at once, estimated from the widths


class Evaluated(NamedTuple):
    """One call of a step: the leaves x and ``before``, the states ``after``, the gates by name."""

    x: Tensor
    before: list[Tensor]
    after: list[Tensor]
    gates: Gates


@dataclass(frozen=True)
class StepPoints:
    """A cell, and the inputs and states at which its step is differentiated.

    cell: on the CPU, in eval mode, in the dtype of the rest. x: (time, batch, input). before:
    h_{t−1} and, of an LSTM, c_{t−1}, (time, batch, unit). held: by name, of the same axes.
    valid: (time, batch), false where padded; None if all are valid. Padded steps take the values of
    their sequence's first step, at which the derivatives exist; callers discard them.
    """

    cell: Cell[Any]
    x: Tensor
    before: tuple[Tensor, ...]
    held: HeldRows | None = None
    valid: Tensor | None = None

    def __post_init__(self) -> None:
        if self.valid is not None:
            valid = self.valid[:, :, None]
            before = tuple(state.where(valid, state[:1]) for state in self.before)
            object.__setattr__(self, "x", self.x.where(valid, self.x[:1]))
            object.__setattr__(self, "before", before)

    @property
    def steps(self) -> int:
        """Time steps."""
        return len(self.x)

    @property
    def batch(self) -> int:
        """Sequences."""
        return self.x.shape[1]

    @property
    def widths(self) -> list[int]:
        """The width of every state."""
        return [state.shape[-1] for state in self.before]

    def cut(self, times: slice) -> "StepPoints":
        """The points of some time steps."""
        held = None if self.held is None else {n: h[times] for n, h in self.held.items()}
        before = tuple(state[times] for state in self.before)
        return replace(self, x=self.x[times], before=before, held=held, valid=None)

    def evaluate(self) -> Evaluated:
        """The step at all points in one call, one row per time step and sequence.

        RnnvizError if the step fails, or if autograd does not see what it computes.
        """
        x, *before = (
            part.detach().flatten(0, 1).clone().requires_grad_() for part in (self.x, *self.before)
        )
        held = None if self.held is None else held_step(rows_of(self.held))
        with torch.enable_grad():
            found = take_step(self.cell, x, before, held)
        check_autograd(self.cell, found)
        return found

    @cached_property
    def rows_are_independent(self) -> bool:
        """Whether no row of a call influences another row. RnnvizError if one step alone fails."""
        if self.steps * self.batch == 1:
            return True
        try:
            with full_precision(self.x.device):
                found = self.cut(slice(2)).evaluate()
                by_first, by_last = (
                    gradients(found.after, [found.x, *found.before], _one_row(found, row))
                    for row in (0, -1)
                )
        except Exception:  # a step may take no other number of rows than its own
            if self.steps == 1:
                raise
            return False
        mixed = [bool(d[1:].any()) for d in by_first] + [bool(d[:-1].any()) for d in by_last]
        return not any(mixed)

    def calls(self, share: int = 1) -> Iterator[slice]:
        """Ranges of time steps, one call each. share: how many times a call's memory is needed."""
        size = 1
        if self.rows_are_independent:
            row = self.x.shape[-1] + 8 * sum(self.widths)
            size = max(1, ROOM // (self.batch * row * share))
        return (slice(first, first + size) for first in range(0, self.steps, size))


def check_autograd(cell: Cell[Any], step: Evaluated) -> None:
    """RnnvizError unless autograd sees what the states after a step are computed from."""
    if not all(state.requires_grad for state in step.after):
        raise RnnvizError("error.own_no_autograd", type=type(cell).__name__)


def _one_row(step: Evaluated, row: int) -> list[Tensor]:
    """1 for every state of one row."""
    found = [torch.zeros_like(state) for state in step.after]
    for part in found:
        part[row] = 1
    return found


def take_step(
    cell: Cell[Any], x: Tensor, before: Sequence[Tensor], held: HeldStep | None
) -> Evaluated:
    """One call of a cell's step, its states and gates checked.

    x: (row, input); before: each (row, unit). RnnvizError if the step fails, or for a result that
    is not a state of these widths and a dict of gates.
    """
    state = before[0] if len(before) == 1 else tuple(before)
    name = type(cell).__name__
    try:  # a step of one's own need not take ``held``
        found: Any = cell.step(x, state) if held is None else step_held(cell, x, state, held)
    except RnnvizError:
        raise
    except Exception as error:
        dtype = str(x.dtype).removeprefix("torch.")
        raise RnnvizError("error.own_fails", type=name, dtype=dtype, why=error) from error
    shapes = [tuple(part.shape) for part in before]
    pair = isinstance(found, tuple) and len(found) == 2 and isinstance(found[1], dict)
    after = list(found[0]) if pair and len(before) == 2 else [found[0]] if pair else []
    if [tuple(getattr(part, "shape", ())) for part in after] != shapes:
        raise RnnvizError("error.own_result", type=name, expected=", ".join(map(str, shapes)))
    return Evaluated(x, list(before), after, found[1])


def gradients(
    outputs: Sequence[Any],
    inputs: Sequence[Tensor],
    grad_outputs: Sequence[Tensor] | None = None,
    *,
    again: bool = True,
) -> list[Tensor]:
    """Derivatives by autograd, 0 where nothing depends on an input. again: keeps the graph."""
    found = torch.autograd.grad(
        outputs,
        inputs,
        grad_outputs,
        retain_graph=again,
        allow_unused=True,
        materialize_grads=True,
    )
    return list(found)


def rows_of(held: HeldRows) -> dict[str, Tensor]:
    """What is held, by name, one row per time step and sequence."""
    return {name: torch.from_numpy(values).flatten(0, 1) for name, values in held.items()}


def at_step(held: HeldRows, time: int) -> dict[str, Tensor]:
    """What is held at one time step, by name, one row per sequence."""
    return {name: torch.from_numpy(values[time]) for name, values in held.items()}


def held_step(rows: dict[str, Tensor]) -> HeldStep:
    """What ``Cell.step`` takes to hold gates and states. rows: by name, NaN where free.

    A row may be longer than the gate, if the same gate of another layer is wider.
    """

    def override(name: str, value: Tensor) -> Tensor:
        if name not in rows:
            return value
        fixed = rows[name].to(value.device, value.dtype)
        if value.dim():
            fixed = fixed[..., : value.shape[-1]]
        return torch.where(fixed.isnan(), value, fixed)

    return override
