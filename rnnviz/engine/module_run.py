"""The module's own forward pass."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from rnnviz.engine.forward_pass import forward_pass
from rnnviz.engine.hooks import call_with_hooks, is_called_with_hooks
from rnnviz.engine.sequences import Sequence
from rnnviz.recurrent import Network, Weights
from rnnviz.torch_names import parameter_suffix

STACKS: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class ModuleRun(NamedTuple):
    """network: with the weights that the run used.

    below, output: what all layers but the last and the last one computed, (time, batch,
    directions · unit), padded with 0; None where a layer's steps have to be taken again to know.
    """

    network: Network
    below: list[Tensor | None]
    output: Tensor


def run_module(module: nn.Module, network: Network, sequence: Sequence) -> ModuleRun:
    """Runs the module and collects the output of every layer; dropout is off.

    network: of a replica of the module, which runs in its place. If the module has forward hooks,
    or a forward of its own instance, which may refer to the module itself, it is called instead,
    and left as it was.
    """
    if is_called_with_hooks(module):
        network, output = call_with_hooks(module, network, sequence)
    else:
        with torch.inference_mode():
            output = forward_pass(module, network, sequence, network.module.forward)
    return ModuleRun(network, _run_layers_below(network, sequence), _time_first(output, sequence))


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


def _time_first(output: Any, sequence: Sequence) -> Tensor:
    """An output as the module returns it → (time, batch, directions · unit), padded with 0."""
    if isinstance(output, PackedSequence):
        return pad_packed_sequence(output)[0]
    return sequence.time_first(output)
