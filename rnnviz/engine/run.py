"""Runs a network over a sequence and returns everything that a trace records."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnviz.engine.device import few_threads, full_precision, network_on_cpu
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
from rnnviz.engine.replay_check import replay_error
from rnnviz.engine.sequences import Sequence
from rnnviz.engine.time_order import flip_valid_time
from rnnviz.recurrent import Network

Array = NDArray[Any]


@dataclass(frozen=True)
class Run:
    """Everything that a trace records.

    arrays: by name, input (time, batch, feature), others (layer, direction, time, batch, unit),
    NaN where padded or masked. initial: the initial state and its gradients, (layer, direction,
    batch, unit). parameters: copies by torch's names. replay_error: largest |h recomputed from the
    gates − h|. loss: its value; output_grad: ∂ℓ/∂output, (time, batch, directions · unit) in
    float64; both None without a loss. final_grad: ∂ℓ/∂(h_n, c_n) by state, (layer, direction,
    batch, unit) in float64; empty where the loss does not read the final state.
    """

    arrays: dict[str, Array]
    initial: dict[str, Array]
    parameters: dict[str, Array]
    replay_error: float
    loss: float | None
    output_grad: Array | None
    final_grad: dict[str, Array]


def record_run(
    network: Network,
    sequence: Sequence,
    held: Mapping[str, Array],
    loss: Loss,
    *,
    by_module: bool,
) -> Run:
    """Runs the network, records its gates and states, and differentiates the loss.

    by_module: run the module itself; else, and if anything is held, the network's equations.
    RnnvizError if the recorded gates do not give the module's output back except for rounding.
    """
    multiplications = sequence.x.shape[1] * network.layers[0][0].hh.numel()
    with full_precision(network.device), few_threads(multiplications):
        on_cpu = network_on_cpu(network)
        if by_module and not held:
            below, output = run_module(network, sequence)
            layers = record_layers(on_cpu, sequence, [*below, output], held)
        else:
            layers = record_layers(on_cpu, sequence, None, held)
            output = layer_output(layers[-1], sequence.lengths).to(network.device, network.dtype)
        gradients = None
        if loss is not None:
            gradients = differentiate_loss(
                loss, output, lambda: final_states(layers, sequence), sequence
            )
        error = max(replay_error(run, sequence) for layer in layers for run in layer)
        arrays, initial = _arrays(on_cpu, sequence, layers, gradients)
    final_grad = None if gradients is None else gradients.final
    return Run(
        arrays,
        initial,
        {name: _copied(values) for name, values in network.parameters().items()},
        error,
        None if gradients is None else gradients.value,
        None if gradients is None else sequence.spread(gradients.output.numpy(), 0.0),
        _by_state(final_grad or []),
    )


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
            arrays["grad_input"] = torch.stack(by_x).sum(0).double().numpy()
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
    dtype = values.dtype if values.dtype == torch.float64 else torch.float32
    return values.detach().to("cpu", dtype, copy=True).contiguous().numpy()
