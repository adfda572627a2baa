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
from rnnviz.engine.equations_run import run_equations
from rnnviz.engine.kernel_gradients import backward_pass
from rnnviz.engine.replay import replay_gates, with_states
from rnnviz.engine.sequences import Sequence
from rnnviz.engine.steps import Gradients, Steps
from rnnviz.engine.time_order import flip_valid_time
from rnnviz.errors import RnnvizError
from rnnviz.holding import Held, held_for_kernels
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
    held: Held | None
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
    h_0 = on_cpu(sequence.h[place]).contiguous()
    c_0 = None if sequence.c is None else on_cpu(sequence.c[place]).contiguous()
    hidden = None
    if output is not None:
        width = network.output_size
        own = on_cpu(output[..., direction * width : (direction + 1) * width])
        hidden = flip_valid_time(own, direction, lengths)
    own_held = _held(network, held, place, x, lengths)
    cell = None if cells is None else cells[layer][direction]
    stepped = cell is not None
    if cell is not None:
        steps = autograd_step.take_steps(cell, x, h_0, c_0, hidden, own_held)
        if network.by_kernels:
            cell, steps = None, with_states(network, weights, steps, h_0)
    elif hidden is None:
        steps = run_equations(network, weights, x, h_0, c_0, own_held)
    else:
        steps = replay_gates(network, weights, x, h_0, c_0, hidden)
    return DirectionRun(cell, weights, x, h_0, c_0, own_held, steps, stepped)


def _held(
    network: Network,
    held: Mapping[str, Array],
    place: tuple[int, int],
    x: Tensor,
    lengths: Tensor | None,
) -> Held | None:
    if not held:
        return None
    arrays: dict[str, Array] = {}
    for name, values in held.items():
        whole = torch.from_numpy(values[place])[:, None].expand(-1, x.shape[1], -1)
        arrays[name] = flip_valid_time(whole, place[1], lengths).numpy()
    return held_for_kernels(arrays, network.form, x.shape[:2], network.widths)


def layer_output(layer: LayerRun, lengths: Tensor | None) -> Tensor:
    """What a layer passes to the next, (time, batch, directions · unit)."""
    outputs = [flip_valid_time(run.steps.hidden, d, lengths) for d, run in enumerate(layer)]
    return torch.cat(outputs, dim=-1)


def differentiate_layers(
    network: Network, layers: list[LayerRun], lengths: Tensor | None, output_grad: Tensor
) -> list[list[Gradients]]:
    """Gradients by layer and direction, computed from the last layer down.

    output_grad: ∂ℓ/∂output of the last layer.
    """
    width = network.output_size
    found: list[list[Gradients]] = []
    for number, layer in reversed(list(enumerate(layers))):
        row: list[Gradients] = []
        for direction, run in enumerate(layer):
            g = output_grad[..., direction * width : (direction + 1) * width]
            g = flip_valid_time(g, direction, lengths).contiguous()
            row.append(_differentiate(network, run, g, lengths, by_input=number > 0))
        found.insert(0, row)
        by_input = [flip_valid_time(g.x, d, lengths) for d, g in enumerate(row) if g.x is not None]
        if by_input:
            output_grad = torch.stack([by.double() for by in by_input]).sum(0)
    return found


def _differentiate(
    network: Network,
    run: DirectionRun,
    output_grad: Tensor,
    lengths: Tensor | None,
    *,
    by_input: bool,
) -> Gradients:
    if run.cell is None:
        states = run.steps.states
        given = network, run.weights, states, run.h_0, run.c_0, output_grad, run.held
        return backward_pass(*given, by_input=by_input)
    valid = None if lengths is None else torch.arange(len(run.x), device="cpu")[:, None] < lengths
    return autograd_step.differentiate(
        run.cell, run.x, run.h_0, run.c_0, run.steps, output_grad, run.held, valid
    )


def stack_directions(
    layers: list[list[dict[str, Array]]], lengths: Tensor | None
) -> dict[str, Array]:
    """Arrays by name, (layer, direction, time, batch, unit), in the order of the input.

    RnnvizError unless all layers and directions have the same names, each of one width.
    """
    if len(layers) == 1 and len(layers[0]) == 1:
        return {name: values[None, None] for name, values in layers[0][0].items()}

    own_names = [{n: v.shape[-1] for n, v in own.items()} for row in layers for own in row]
    apart = {name for names in own_names for name, _ in names.items() ^ own_names[0].items()}
    if apart:
        raise RnnvizError("error.own_layers_differ", names=", ".join(sorted(apart)))

    def stacked(layer: list[dict[str, Array]], name: str) -> Array:
        return np.stack([flip_valid_time(own[name], d, lengths) for d, own in enumerate(layer)])

    return {name: np.stack([stacked(layer, name) for layer in layers]) for name in layers[0][0]}
