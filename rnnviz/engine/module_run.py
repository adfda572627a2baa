"""The module's own forward pass."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from rnnviz.engine.sequences import Sequence
from rnnviz.recurrent import Network, Weights
from rnnviz.torch_names import parameter_suffix

STACKS: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


def run_module(network: Network, sequence: Sequence) -> tuple[list[Tensor | None], Tensor]:
    """Runs the module: the outputs of all layers but the last, and that of the last.

    Each is (time, batch, directions · unit), padded with 0; None where a layer's steps have to be
    taken again to know. Dropout is off, hooks are not called, and the module is left in the mode it
    was in.
    """
    output = _time_first(_run(network, sequence), sequence)
    return _run_layers_below(network, sequence), output


def _run(network: Network, sequence: Sequence) -> Any:
    with torch.inference_mode(), _evaluating(network.module):
        if network.is_cell:
            return _run_cell(network.module, sequence)
        output = network.module.forward(sequence.given(), sequence.given_state())[0]
    if sequence.lengths is not None and sequence.packed is None:
        output = pad_packed_sequence(output, total_length=len(sequence.x))[0]
        return sequence.laid_out(output)
    return output


@contextmanager
def _evaluating(module: nn.Module) -> Generator[None]:
    was_training = [part for part in module.modules() if part.training]
    for part in was_training:
        part.training = False
    try:
        yield
    finally:
        for part in was_training:
            part.training = True


def _run_layers_below(network: Network, sequence: Sequence) -> list[Tensor | None]:
    """Outputs of all layers but the last.

    Torch's stacks do not return them. Each layer runs again as a stack of one layer, by the same
    kernel on the same layout: bit for bit what the module computed, so that even a chaotic network
    does not diverge from its own lower layers. None for this project's cells.
    """
    if not isinstance(network.module, nn.RNNBase):
        return [None] * (len(network.layers) - 1)
    given = sequence.x if sequence.lengths is None else sequence.given()
    found: list[Tensor | None] = []
    for number, layer in enumerate(network.layers[:-1]):
        h, c = sequence.h[number], None if sequence.c is None else sequence.c[number]
        with torch.inference_mode():
            given = _one_layer(network, layer).forward(given, h if c is None else (h, c))[0]
        padded = given
        if isinstance(given, PackedSequence):
            padded = pad_packed_sequence(given, total_length=len(sequence.x))[0]
        found.append(padded)
    return found


def _one_layer(network: Network, layer: tuple[Weights, ...]) -> nn.RNNBase:
    options: dict[str, Any] = {"bias": layer[0].bias_ih is not None, "device": "meta"}
    if network.cell == "rnn":
        options["nonlinearity"] = network.form.nonlinearity
    if layer[0].hr is not None:
        options["proj_size"] = network.output_size
    module = STACKS[network.cell](
        layer[0].ih.shape[1], network.hidden_size, bidirectional=len(layer) == 2, **options
    )
    for direction, weights in enumerate(layer):
        for name, tensor in weights.named(parameter_suffix(0, direction)).items():
            setattr(module, name, nn.Parameter(tensor.detach(), requires_grad=False))
    module.flatten_parameters()  # contiguous for cuDNN; the caller's stay as they are
    return module


def _run_cell(module: nn.Module, sequence: Sequence) -> Tensor:
    h = sequence.h[0][0]
    state = h if sequence.c is None else (h, sequence.c[0][0])
    hidden: list[Tensor] = []
    for x_t in sequence.x:
        state = module.forward(x_t, state)
        hidden.append(state[0] if isinstance(state, tuple) else state)
    output = torch.stack(hidden)
    if sequence.valid is not None:
        output = output.where(sequence.valid[:, :, None].to(output.device), 0.0)
    return sequence.laid_out(output)


def _time_first(output: Any, sequence: Sequence) -> Tensor:
    """An output as the module returns it → (time, batch, directions · unit), padded with 0."""
    if isinstance(output, PackedSequence):
        return pad_packed_sequence(output)[0]
    return sequence.time_first(output)
