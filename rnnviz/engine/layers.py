"""All layers and directions of one run: their records below one another, and back again."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rnnviz.cells import Cell, ElmanCell, GRUCell, LSTMCell
from rnnviz.engine import autograd_step, equations_run, replay
from rnnviz.engine.replay import NOTHING_HELD, Gradients, Steps
from rnnviz.engine.sequences import Sequence
from rnnviz.errors import RnnvizError
from rnnviz.holding import held_columns
from rnnviz.recurrent import Network, Recurrent, Weights, on_cpu

Array = NDArray[Any]
Cells = list[list[Cell[Any]]]
WITH_BACKWARD_KERNEL = (
    ElmanCell,
    LSTMCell,
    GRUCell,
)  # cells whose way back is written down (``recursions``)


@dataclass(frozen=True)
class Recording:
    """Arrays by name, each (layer, direction, time, batch, unit), NaN where padded.

    initial: gradients by the initial state, (layer, direction, batch, unit).
    replay_error: largest |output worked out from the gates − the module's own output|.
    """

    arrays: Mapping[str, Array]
    initial: Mapping[str, Array]
    replay_error: float


class Part(NamedTuple):
    """One layer in one direction, everything in its own order of time."""

    cell: Cell[Any] | None  # that takes its own steps; torch's are replayed
    weights: Weights
    x: Tensor
    h_0: Tensor
    c_0: Tensor | None
    held: Mapping[str, Tensor]  # (time, batch, unit), NaN where free
    steps: Steps


def record(
    cells: Cells | None,
    network: Network,
    sequence: Sequence,
    outputs: list[Tensor | None] | None,
    held: Mapping[str, Array],
) -> list[list[Part]]:
    """Every gate and state, by layer and direction.

    cells: this project's, or None for a torch module. network: on the CPU. outputs: what each
    layer computed, (time, batch, directions · unit), None where only the steps themselves tell; or
    None where no module is run and the network goes by its equations (``states``).
    held: as ``read_holds`` gives it; nothing where a module is run.
    """
    if outputs is None:
        own = (cell for layer in cells or () for cell in layer)
        cells = cells if any(type(cell) not in WITH_BACKWARD_KERNEL for cell in own) else None
    layers: list[list[Part]] = []
    below = on_cpu(sequence.x)
    for number, output in enumerate(outputs or [None] * len(network.layers)):
        if layers:
            below = output_of(layers[-1], sequence.lengths)
        layers.append(_record_layer(network, cells, number, below, sequence, output, held))
    return layers


def output_of(parts: list[Part], lengths: Tensor | None) -> Tensor:
    """What a layer gives to the next, (time, batch, directions · unit)."""
    return torch.cat(
        [flip_valid_time(part.steps.hidden, d, lengths) for d, part in enumerate(parts)], dim=-1
    )


def finish(
    network: Network, layers: list[list[Part]], sequence: Sequence, output_grad: Tensor | None
) -> Recording:
    """The record as arrays; with ``output_grad`` = ∂ℓ/∂output also every gradient.

    output_grad: of the last layer's shape. RnnvizError if the gates do not give the outputs back
    but for rounding.
    """
    lengths = sequence.lengths
    error = max(_replay_error(part, sequence) for parts in layers for part in parts)
    arrays = _stacked([[_record_arrays(p.steps) for p in parts] for parts in layers], lengths)
    initial: dict[str, Array] = {}
    if output_grad is not None:
        gradients = _differentiate(network, layers, lengths, output_grad)
        found = _stacked([[g.arrays for g in row] for row in gradients], lengths)
        arrays |= {f"grad_{name}": values for name, values in found.items()}
        initial = {
            name: np.array([[g.initial[name] for g in row] for row in gradients], np.float64)
            for name in gradients[0][0].initial
        }
    if sequence.valid is not None:
        padded = ~sequence.valid.numpy()
        for values in arrays.values():
            values[:, :, padded] = np.nan
    return Recording(arrays, initial, error)


def cells_of(module: nn.Module) -> Cells | None:
    """This project's cells by layer and direction; None for a torch module."""
    if isinstance(module, Recurrent):
        return module.cells
    return [[module]] if isinstance(module, Cell) else None


def _record_layer(
    network: Network,
    cells: Cells | None,
    number: int,
    below: Tensor,
    sequence: Sequence,
    output: Tensor | None,
    held: Mapping[str, Array],
) -> list[Part]:
    parts: list[Part] = []
    for direction, weights in enumerate(network.layers[number]):
        x = flip_valid_time(below, direction, sequence.lengths)
        h_0 = on_cpu(sequence.h[number, direction])
        c_0 = None if sequence.c is None else on_cpu(sequence.c[number, direction])
        hidden = None
        if output is not None:
            width = network.output_size
            own = on_cpu(output[..., direction * width : (direction + 1) * width])
            hidden = flip_valid_time(own, direction, sequence.lengths)
        rows = _held_rows(held, number, direction, x.shape[1], sequence.lengths)
        cell = None if cells is None else cells[number][direction]
        if cell is not None:
            steps = autograd_step.record(cell, x, h_0, c_0, hidden, rows)
            if type(cell) in WITH_BACKWARD_KERNEL:
                steps = replay.with_extra(network, weights, steps, h_0, c_0)
        elif hidden is None:
            steps = equations_run.run(network, weights, x, h_0, c_0, rows)
        else:
            steps = replay.replay(network, weights, x, h_0, c_0, hidden)
        parts.append(Part(cell, weights, x, h_0, c_0, rows, steps))
    return parts


def _held_rows(
    held: Mapping[str, Array], layer: int, direction: int, batch: int, lengths: Tensor | None
) -> dict[str, Tensor]:
    rows: dict[str, Tensor] = {}
    for name, values in held.items():
        whole = torch.from_numpy(values[layer, direction])[:, None].expand(-1, batch, -1)
        rows[name] = flip_valid_time(whole, direction, lengths)
    return rows


def flip_valid_time(values: Any, direction: int, lengths: Tensor | None) -> Any:
    """Between the order of the input and that of a direction; its own inverse.

    A sequence of n steps is turned within them, its padding stays behind.
    """
    if direction == 0:
        return values
    if lengths is None:
        return values.flip(0) if isinstance(values, Tensor) else values[::-1]
    steps = torch.arange(len(values))[:, None]
    index = torch.where(steps < lengths, lengths - 1 - steps, steps)
    batch = torch.arange(len(lengths))
    return (
        values[index, batch] if isinstance(values, Tensor) else values[index.numpy(), batch.numpy()]
    )


def _record_arrays(steps: Steps) -> dict[str, Array]:
    return {**steps.arrays, "hidden_state": steps.hidden.numpy()}


def _stacked(layers: list[list[dict[str, Array]]], lengths: Tensor | None) -> dict[str, Array]:
    if len(layers) == 1 and len(layers[0]) == 1:
        return {name: values[None, None] for name, values in layers[0][0].items()}
    return {
        name: np.stack(
            [
                np.stack([flip_valid_time(part[name], d, lengths) for d, part in enumerate(parts)])
                for parts in layers
            ]
        )
        for name in layers[0][0]
    }


def _differentiate(
    network: Network, layers: list[list[Part]], lengths: Tensor | None, output_grad: Tensor
) -> list[list[Gradients]]:
    """Gradients of every layer and direction, from the last layer down."""
    width = network.output_size
    found: list[list[Gradients]] = []
    for number, parts in reversed(list(enumerate(layers))):
        row: list[Gradients] = []
        for direction, part in enumerate(parts):
            g = output_grad[..., direction * width : (direction + 1) * width]
            g = flip_valid_time(g, direction, lengths).contiguous()
            row.append(_differentiate_part(network, part, g, by_input=number > 0))
        found.insert(0, row)
        by_input = [flip_valid_time(g.x, d, lengths) for d, g in enumerate(row) if g.x is not None]
        if by_input:
            output_grad = torch.stack([by.double() for by in by_input]).sum(0)
    return found


def _differentiate_part(
    network: Network, part: Part, output_grad: Tensor, *, by_input: bool
) -> Gradients:
    if part.cell is not None and type(part.cell) not in WITH_BACKWARD_KERNEL:
        return autograd_step.differentiate(
            part.cell, part.x, part.h_0, part.c_0, part.steps, output_grad, part.held
        )
    columns = NOTHING_HELD
    if part.held:
        held = {name: values.numpy() for name, values in part.held.items()}
        columns = held_columns(held, network.form, (len(part.x), part.x.shape[1]), network.widths)
    return replay.differentiate(
        network, part.weights, part.steps, output_grad, columns, by_input=by_input
    )


def _replay_error(part: Part, sequence: Sequence) -> float:
    """Largest |replayed − hidden|; RnnvizError where it is more than rounding can make it."""
    eps = torch.finfo(sequence.x.dtype).eps
    hidden, replayed = part.steps.hidden, torch.from_numpy(part.steps.replayed)
    difference = (replayed - hidden).abs_()
    if sequence.valid is not None:
        difference = difference.where(sequence.valid[:, :, None], 0.0)
    largest = float(difference.max())
    if largest <= 64 * eps:
        return largest
    if not math.isfinite(largest):  # states that overflowed: inf − inf is no difference
        same = (replayed == hidden) | (replayed.isnan() & hidden.isnan())
        difference = difference.where(~same, 0.0)
        largest = float(difference.max())
    tolerance = eps * _amplification(part, hidden)
    if not bool((difference.amax(-1) <= tolerance).all()):
        most = float(tolerance.max())
        raise RnnvizError("error.replay", error=f"{largest:.2g}", tolerance=f"{most:.2g}")
    return largest


def _amplification(part: Part, hidden: Tensor) -> Tensor:
    """How many times the float spacing rounding may reach, (time, batch).

    A sum of products is right to the spacing of its largest terms, and a cell state adds up the
    errors of all steps before it.
    """
    before = torch.cat((part.h_0[None], hidden[:-1])).abs().amax(-1)
    w = part.weights
    terms = part.x.abs().amax(-1) * w.ih.abs().sum(1).max() + before * w.hh.abs().sum(1).max()
    for bias in (w.bias_ih, w.bias_hh):
        terms = terms + (0 if bias is None else bias.abs().max())
    out = 1.0 if w.hr is None else float(w.hr.abs().sum(1).max())
    terms = terms.nan_to_num(math.inf)  # beyond the float range nothing can be foretold
    return 64 * (1 + out) * (1 + terms).cummax(0).values * len(hidden) ** 0.5
