"""Whether a step of a user's own gives the same when it is called again, as a record needs it to.

What is computed from a trace repeats steps, in other batches and by autograd, so that a step may
neither draw random numbers nor remember earlier calls.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from rnnviz.cells import Cell
from rnnviz.errors import RnnvizError
from rnnviz.replica import draws_undone

Recorded = Mapping[str, Tensor]  # gates and states of one step by name, each (batch, unit)


def check_repeats(cell: Cell[Any], repeat: Callable[[], Recorded], first: Recorded) -> None:
    """RnnvizError, which names the cause, unless a step repeated gives what it gave first.

    repeat: calls the step again with the same x and state. first: what it gave before other calls.
    """
    device = next(iter(first.values())).device
    with draws_undone(device):
        name = _different(repeat(), first)
        if name is None:
            return
        found: list[Recorded] = []
        for _ in range(2):
            with draws_undone(device):
                found.append(repeat())
    is_random = _different(*found) is None
    key = "error.own_random" if is_random else "error.own_remembers"
    raise RnnvizError(key, type=type(cell).__name__, name=name)


def _different(one: Recorded, other: Recorded) -> str | None:
    """The name of the first value that differs by more than rounding, or is only in one."""
    for name in [*other, *one]:
        if name not in one or name not in other or one[name].shape != other[name].shape:
            return name
        a, b = one[name].detach().cpu().double(), other[name].detach().cpu().double()
        eps = torch.finfo(other[name].dtype).eps if other[name].is_floating_point() else 0.0
        same = (a - b).abs() <= 4 * eps * b.abs().clamp(min=1)
        if not bool((same | (a == b) | (a.isnan() & b.isnan())).all()):
            return name
    return None
