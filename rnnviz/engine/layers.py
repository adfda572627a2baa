"""Chains the per-layer records over layers and directions, then their gradients in reverse."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnviz.cells import Cell
from rnnviz.engine import autograd_step
from rnnviz.engine.device import on_cpu
from rnnviz.engine.kernel_gradients import backward_pass
from rnnviz.engine.kernel_run import run_kernels
from rnnviz.engine.replay import replay_gates, with_states
from rnnviz.engine.sequences import Sequence
from rnnviz.engine.steps import EndGradients, Gradients, Steps
from rnnviz.engine.time_order import flip_valid_time
from rnnviz.errors import RnnvizError
from rnnviz.holding import Held, HeldRows, held_for_kernels
from rnnviz.own_cells import copy_cell
from rnnviz.recurrent import Network, Weights

Array = NDArray[Any]


class DirectionRun(NamedTuple):
    """One layer in one direction, everything in its own order of time."""

    cell: Cell[Any] | None  # that took the steps itself; None where the kernels know its equations
    weights: Weights
    x: Tensor
    h_0: Tensor
    c_0: Tensor | None
    held: HeldRows | None  # by name, as the cell takes it
    kernel_held: Held | None  # the same, as the kernels take it
    steps: Steps
    stepped: bool  # by the cell's own step method, whatever gradients are computed by


LayerRun = list[DirectionRun]


def record_layers(
    network: Network,
    sequence: Sequence,
    outputs: list[Tensor | None] | None,
    held: Mapping[str, Array],
) -> list[LayerRun]:
    """Every gate and state, by layer and direction.

    network: on the CPU. outputs: what each layer computed, (time, batch, directions · unit), None
    where only its steps tell; or None altogether to run the network by its equations.
    held: as ``held_values`` returns it; only for such a run.
    """
    cells = network.cells
    if outputs is None and network.by_kernels:
        cells = None
    elif cells is not None and not network.by_kernels:
        # in eval mode, and nothing of theirs changes
        cells = [[copy_cell(cell) for cell in layer] for layer in cells]
    layers: list[LayerRun] = []
    below = on_cpu(sequence.x)
    for number, output in enumerate(outputs or [None] * len(network.layers)):
        if layers:
            below = layer_output(layers[-1], sequence.lengths)
        layers.append(
            [
                _record(network, cells, (number, direction), below, sequence, output, held)
                for direction in range(network.directions)
            ]
        )
    return layers


def _record(
    network: Network,
    cells: list[list[Cell[Any]]] | None,
    place: tuple[int, int],
    below: Tensor,
    sequence: Sequence,
    output: Tensor | None,
    held: Mapping[str, Array],
) -> DirectionRun:
    """place: layer and direction. below: the layer's input; output: its output, if known."""
    layer, direction = place
    weights, lengths = network.layers[layer][direction], sequence.lengths
    x = flip_valid_time(below, direction, lengths)
    h_0 = on_cpu(sequence.h[layer][direction]).contiguous()
    c_0 = None if sequence.c is None else on_cpu(sequence.c[layer][direction]).contiguous()
    hidden = None
    if output is not None:
        width = network.output_sizes[layer]
        own = on_cpu(output[..., direction * width : (direction + 1) * width])
        hidden = flip_valid_time(own, direction, lengths)
    own_held = _held(network, held, place, sequence)
    shape, widths = sequence.x.shape[:2], network.widths(layer)
    kernel_held = held_for_kernels(own_held or {}, network.form, shape, widths)
    cell = None if cells is None else cells[layer][direction]
    stepped = cell is not None
    if cell is not None:
        steps = autograd_step.take_steps(cell, x, h_0, c_0, hidden, own_held)
        if network.by_kernels:
            cell, steps = None, with_states(network, weights, steps, h_0)
    elif hidden is None:
        steps = run_kernels(network, weights, x, h_0, c_0, kernel_held)
    else:
        steps = replay_gates(network, weights, x, h_0, c_0, hidden)
    return DirectionRun(cell, weights, x, h_0, c_0, own_held, kernel_held, steps, stepped)


def _held(
    network: Network,
    held: Mapping[str, Array],
    place: tuple[int, int],
    sequence: Sequence,
) -> HeldRows | None:
    """What is held in one layer and direction, (time, batch, unit), in its own order of time."""
    arrays: dict[str, Array] = {}
    widths, batch = network.widths(place[0]), sequence.x.shape[1]
    for name, values in held.items():
        own = torch.from_numpy(values[place][:, None, : widths.get(name)])
        whole = sequence.read_steps(own.expand(-1, batch, -1))
        arrays[name] = flip_valid_time(whole, place[1], sequence.lengths).numpy()
    return arrays or None


def layer_output(layer: LayerRun, lengths: Tensor | None) -> Tensor:
    """What a layer passes to the next, (time, batch, directions · unit)."""
    outputs = [flip_valid_time(run.steps.hidden, d, lengths) for d, run in enumerate(layer)]
    return torch.cat(outputs, dim=-1)


def final_states(layers: list[LayerRun], sequence: Sequence) -> list[list[Tensor]]:
    """h_n, and c_n of an LSTM, each by layer (direction, batch, unit).

    After the last step that each direction reads; the initial state of a sequence without any.
    """
    last, batch = sequence.counts - 1, torch.arange(sequence.x.shape[1], device="cpu")

    def at_end(values: Tensor, initial: Tensor) -> Tensor:
        return values[last, batch].where(last[:, None] >= 0, initial)

    found = [[torch.stack([at_end(r.steps.hidden, r.h_0) for r in row]) for row in layers]]
    if layers[0][0].c_0 is not None:
        cells: list[Tensor] = []
        for row in layers:
            ends = [
                at_end(torch.from_numpy(run.steps.arrays["cell_state"]), run.c_0)
                for run in row
                if run.c_0 is not None
            ]
            cells.append(torch.stack(ends))
        found.append(cells)
    return found


def differentiate_layers(
    network: Network,
    layers: list[LayerRun],
    sequence: Sequence,
    output_grad: Tensor,
    final_grad: list[list[Tensor]] | None,
) -> list[list[Gradients]]:
    """Gradients by layer and direction, computed from the last layer down.

    output_grad: ∂ℓ/∂output of the last layer. final_grad: ∂ℓ/∂(h_n, c_n) by state and layer, or
    None.
    """
    lengths = sequence.lengths
    found: list[list[Gradients]] = []
    for number, layer in reversed(list(enumerate(layers))):
        row: list[Gradients] = []
        width = network.output_sizes[number]
        for direction, run in enumerate(layer):
            g = output_grad[..., direction * width : (direction + 1) * width]
            g = flip_valid_time(g, direction, lengths).contiguous()
            end = _end_gradients(final_grad, (number, direction), sequence)
            valid = sequence.valid
            row.append(_differentiate(network, run, g, end, valid, by_input=number > 0))
        found.insert(0, row)
        by_input = [flip_valid_time(g.x, d, lengths) for d, g in enumerate(row) if g.x is not None]
        if by_input:
            output_grad = torch.stack([by.double() for by in by_input]).sum(0)
    return found


def _end_gradients(
    final_grad: list[list[Tensor]] | None, place: tuple[int, int], sequence: Sequence
) -> EndGradients | None:
    if final_grad is None:
        return None
    layer, direction = place
    h, *c = (by_layer[layer][direction].contiguous().numpy() for by_layer in final_grad)
    last = sequence.counts.numpy() - 1
    return EndGradients(last, h, c[0] if c else h[:, :0], np.zeros(len(last), np.int64))


def _differentiate(
    network: Network,
    run: DirectionRun,
    output_grad: Tensor,
    end: EndGradients | None,
    valid: Tensor | None,
    *,
    by_input: bool,
) -> Gradients:
    if run.cell is None:
        states = run.steps.states
        given = network, run.weights, states, run.h_0, run.c_0, output_grad, run.kernel_held, end
        found = backward_pass(*given, by_input=by_input)
    else:
        found = autograd_step.differentiate(
            run.cell, run.x, run.h_0, run.c_0, run.steps, output_grad, run.held, end, valid
        )
    if end is not None:  # h_n is h_0 in a sequence without a step
        unread = end.last < 0
        for values, own in zip(found.initial.values(), (end.h, end.c), strict=False):
            values[unread] = own[unread]
    return found


def stack_directions(
    layers: list[list[dict[str, Array]]], lengths: Tensor | None
) -> dict[str, Array]:
    """Arrays by name, (layer, direction, time, batch, unit), in the order of the input.

    Layers narrower than the widest have NaN in the units that they lack. RnnvizError unless all
    layers and directions have the same names, each of one width or of the layer's.
    """
    if len(layers) == 1 and len(layers[0]) == 1:
        return {name: values[None, None] for name, values in layers[0][0].items()}

    _check_alike([own for row in layers for own in row])

    def stacked(layer: list[dict[str, Array]], name: str) -> Array:
        return np.stack([flip_valid_time(own[name], d, lengths) for d, own in enumerate(layer)])

    return {name: stack_layers([stacked(layer, name) for layer in layers]) for name in layers[0][0]}


def _check_alike(parts: list[dict[str, Array]]) -> None:
    """RnnvizError unless all have the same names, each of one width or of each part's own."""
    units = [own.get("cell_state", own["hidden_state"]).shape[-1] for own in parts]
    apart: list[str] = []
    for name in sorted({name for own in parts for name in own}):
        widths = [own[name].shape[-1] if name in own else 0 for own in parts]
        if len(set(widths)) > 1 and widths != units and name != "hidden_state":
            apart.append(f"{name} ({', '.join(map(str, widths))})")
    if apart:
        raise RnnvizError("error.own_layers_differ", names=", ".join(apart))


def stack_layers(layers: list[Array]) -> Array:
    """Arrays (…, unit) stacked, with NaN in the units that a narrower layer lacks.

    >>> stack_layers([np.ones(2), np.zeros(1)]).tolist()
    [[1.0, 1.0], [0.0, nan]]
    """
    if len(layers) == 1:
        return layers[0][None]
    widths = {values.shape[-1] for values in layers}
    if len(widths) == 1:
        return np.stack(layers)
    found = np.full((len(layers), *layers[0].shape[:-1], max(widths)), np.nan, layers[0].dtype)
    for whole, values in zip(found, layers, strict=True):
        whole[..., : values.shape[-1]] = values
    return found
