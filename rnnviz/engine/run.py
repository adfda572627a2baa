"""Runs a network over a sequence and returns everything that a trace records."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rnnviz.engine.device import few_threads, full_precision, network_on_cpu, on_cpu
from rnnviz.engine.forward_pass import is_stock
from rnnviz.engine.hooks import is_called_with_hooks
from rnnviz.engine.layers import (
    LayerRun,
    differentiate_layers,
    final_states,
    layer_output,
    record_layers,
    stack_directions,
    stack_layers,
)
from rnnviz.engine.loss import Loss, LossGradients, differentiate_loss
from rnnviz.engine.module_run import run_module
from rnnviz.engine.replay_check import check_replay
from rnnviz.engine.sequences import Sequence
from rnnviz.engine.time_order import flip_valid_time
from rnnviz.own_cells import OwnCells, copy_cell
from rnnviz.recurrent import Network
from rnnviz.replica import unchanged
from rnnviz.shapes import GRAD_INPUT

Array = NDArray[Any]


@dataclass(frozen=True)
class Run:
    """Everything that a trace records.

    arrays: by name, input (time, batch, feature), others (layer, direction, time, batch, unit),
    NaN where padded or masked. initial: the initial state and its gradients, (layer, direction,
    batch, unit). parameters: copies by torch's names. replay_error: largest |h recomputed from the
    gates − h|. loss: its value; output_grad: ∂ℓ/∂output, (time, batch, directions · unit) in
    float64; both None without a loss. final_grad: ∂ℓ/∂(h_n, c_n) by state, (layer, direction,
    batch, unit) in float64; empty where the loss does not read the final state. own_cells: copies
    of cells with a step of their own; None without any.
    """

    arrays: dict[str, Array]
    initial: dict[str, Array]
    parameters: dict[str, Array]
    replay_error: float
    loss: float | None
    output_grad: Array | None
    final_grad: dict[str, Array]
    own_cells: OwnCells | None


def record_run(
    module: nn.Module,
    network: Network,
    sequence: Sequence,
    held: Mapping[str, Array],
    loss: Loss,
    *,
    outside: Mapping[str, Tensor],
    by_module: bool,
) -> Run:
    """Runs the network, records its gates and states, and differentiates the loss.

    network: of a replica of the module. outside: as ``differentiate_loss`` takes it. by_module: run
    the module itself; else, and if anything is held, the network's equations, after a run of the
    module itself if these may not be its own.
    RnnvizError if the recorded gates do not give the module's output back except for rounding.
    """
    multiplications = sequence.x.shape[1] * network.layers[0][0].hh.numel()
    with full_precision(network.device), few_threads(multiplications):
        run = _record(module, network, sequence, held, by_module=by_module)
        gradients = None
        if loss is not None:
            gradients = differentiate_loss(
                loss, run.output, lambda: final_states(run.layers, sequence), sequence, outside
            )
        arrays, initial = _arrays(run.on_cpu, sequence, run.layers, gradients)
        own = _own_cells(run.network, sequence)
    final_grad = None if gradients is None else gradients.final
    return Run(
        arrays,
        initial,
        _parameters(run.network),
        run.replay_error,
        None if gradients is None else gradients.value,
        None if gradients is None else sequence.spread(gradients.output.numpy(), 0.0),
        _by_state(final_grad or []),
        own,
    )


class _Record(NamedTuple):
    """network: with the weights that were used. output: (time, batch, directions · unit)."""

    network: Network
    on_cpu: Network
    output: Tensor
    layers: list[LayerRun]
    replay_error: float


def _record(
    module: nn.Module,
    network: Network,
    sequence: Sequence,
    held: Mapping[str, Array],
    *,
    by_module: bool,
) -> _Record:
    as_is, error = by_module and not held, 0.0
    if as_is or is_called_with_hooks(module) or not is_stock(module):
        with unchanged(module) if network.has_own_step else nullcontext():
            network, below, output = run_module(module, network, sequence)
        moved = network_on_cpu(network)
        layers = record_layers(moved, sequence, [*below, output], {})
        parts = [run for layer in layers for run in layer]
        error = max(check_replay(network.form, part, sequence) for part in parts)
        if as_is:
            return _Record(network, moved, output, layers, error)
    moved = network_on_cpu(network)
    layers = record_layers(moved, sequence, None, held)
    output = layer_output(layers[-1], sequence.lengths).to(network.device, network.dtype)
    return _Record(network, moved, output, layers, error)


def _parameters(network: Network) -> dict[str, Array]:
    """Copies by torch's names; a parameter with several names is one array."""
    tensors = network.parameters()
    distinct = {id(tensor): tensor for tensor in tensors.values()}
    copies = {key: _copied(tensor) for key, tensor in distinct.items()}
    return {name: copies[id(tensor)] for name, tensor in tensors.items()}


def _own_cells(network: Network, sequence: Sequence) -> OwnCells | None:
    if not network.has_own_step:
        return None
    copies = (
        tuple(copy_cell(cell, torch.float64, "cpu") for cell in layer)
        for layer in network.cells or ()
    )
    return OwnCells(tuple(copies), sequence.started)


def _arrays(
    network: Network,
    sequence: Sequence,
    layers: list[LayerRun],
    loss: LossGradients | None,
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Arrays over time, and those of the initial state; with their gradients if there is a loss."""
    lengths = sequence.lengths
    computed = [
        [{**run.steps.arrays, "hidden_state": run.steps.states.h} for run in layer]
        for layer in layers
    ]
    arrays = stack_directions(computed, lengths)
    initial = _by_state([part for part in (sequence.h, sequence.c) if part is not None])
    if loss is not None:
        gradients = differentiate_layers(network, layers, sequence, loss.output, loss.final)
        found = stack_directions([[g.arrays for g in layer] for layer in gradients], lengths)
        arrays |= {f"grad_{name}": values for name, values in found.items()}
        for name in gradients[0][0].initial:
            rows = [np.array([g.initial[name] for g in layer], np.float64) for layer in gradients]
            initial[f"grad_{name}"] = stack_layers(rows)
        by_x = [
            flip_valid_time(g.x, d, lengths) for d, g in enumerate(gradients[0]) if g.x is not None
        ]
        if by_x:  # of a cell that may read its input otherwise than by W
            arrays[GRAD_INPUT] = torch.stack(by_x).sum(0).double().numpy()
    arrays = {"input": _copied(sequence.x), **arrays}
    if sequence.valid is not None:
        padded = ~sequence.valid.numpy()
        for values in arrays.values():
            values[..., padded, :] = np.nan
    return {name: sequence.spread(values, np.nan) for name, values in arrays.items()}, initial


def _by_state(states: list[tuple[Tensor, ...]] | list[list[Tensor]]) -> dict[str, Array]:
    """h, and c of an LSTM, by name, (layer, direction, batch, unit)."""
    names = ("hidden_state", "cell_state")
    return {
        name: stack_layers([_copied(values) for values in by_layer])
        for name, by_layer in zip(names, states, strict=False)
    }


def _copied(values: Tensor) -> Array:
    return np.array(on_cpu(values).numpy(), order="C")
