"""The gates that a cell's own step has, found by a first step of every layer."""

from typing import Any

import torch
from torch import Tensor

from rnnviz.cells import Cell
from rnnviz.engine.device import full_precision, on_cpu
from rnnviz.engine.sequences import Sequence
from rnnviz.engine.step_points import take_step
from rnnviz.errors import RnnvizError
from rnnviz.holding import OwnGates
from rnnviz.own_cells import copy_cell, takes_held
from rnnviz.recurrent import Network


def find_own_gates(network: Network, sequence: Sequence) -> OwnGates:
    """What the steps of each layer record or pass to ``held``.

    RnnvizError if a step fails or takes no ``held``.
    """
    layers: list[dict[str, int]] = []
    asked: dict[str, int] = {}
    states = [sequence.h] if sequence.c is None else [sequence.h, sequence.c]
    below = on_cpu(sequence.x[0])
    with full_precision(network.device):
        for number, layer in enumerate(network.cells or ()):
            widths: dict[str, int] = {}
            outputs: list[Tensor] = []
            for direction, cell in enumerate(layer):
                before = [on_cpu(state[number][direction]) for state in states]
                output, recorded, own_asked = _first_step(copy_cell(cell), below, before)
                asked |= own_asked
                widths |= recorded | own_asked
                outputs.append(output)
            below = torch.cat(outputs, -1)
            layers.append(widths)
    return OwnGates(layers, tuple(asked))


def _first_step(
    cell: Cell[Any], x: Tensor, before: list[Tensor]
) -> tuple[Tensor, dict[str, int], dict[str, int]]:
    """The output of one step, and the widths of what it records and of what it asks to be held."""
    asked: dict[Any, Any] = {}

    def held(name: str, value: Tensor) -> Tensor:
        asked[name] = value
        return value

    if not takes_held(cell):
        raise RnnvizError("error.hold_own", type=type(cell).__name__)
    some = next(iter(cell.parameters()), x)
    first, *rest = (part.to(some.device, some.dtype) for part in (x, *before))
    found = take_step(cell, first, rest, held)
    return on_cpu(found.after[0]), _widths(found.gates), _widths(asked)


def _widths(values: dict[Any, Any]) -> dict[str, int]:
    """By name; the run itself refuses what is no tensor, and names that are no text."""
    return {
        name: value.shape[-1] if isinstance(value, Tensor) and value.dim() else 1
        for name, value in values.items()
        if isinstance(name, str)
    }
