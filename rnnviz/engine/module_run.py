"""The module's own forward pass, and ∂loss/∂output."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from rnnviz.engine.forward_pass import forward_pass
from rnnviz.engine.hooks import call_with_hooks, is_called_with_hooks
from rnnviz.engine.sequences import Sequence
from rnnviz.errors import RnnvizError
from rnnviz.recurrent import Network, Weights, packed_like
from rnnviz.torch_names import parameter_suffix

Loss = str | Callable[[Any], Tensor] | None
LOSSES = ("last", "all")
STACKS: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class ModuleRun(NamedTuple):
    """network: with the weights that the run used.

    output: the output sequence as the module returns it, a tensor in its layout, or packed.
    layers: what each layer computed, (time, batch, directions · unit), padded with 0; None where
    a layer's steps have to be taken again to know.
    """

    network: Network
    output: Any
    layers: list[Tensor | None]


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
    return ModuleRun(
        network, output, [*_run_layers_below(network, sequence), time_first(output, sequence)]
    )


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


def time_first(output: Any, sequence: Sequence) -> Tensor:
    """An output as the module returns it → (time, batch, directions · unit), padded with 0."""
    if isinstance(output, PackedSequence):
        return pad_packed_sequence(output)[0]
    return sequence.time_first(output)


def as_given(output: Tensor, sequence: Sequence) -> Any:
    """(time, batch, directions · unit) → an output as the module returns it, 0 where padded."""
    valid = sequence.valid
    if valid is not None:
        output = output.where(valid[:, :, None].to(output.device), 0.0)
    if sequence.packed is not None and valid is not None:
        return packed_like(sequence.packed, output, valid)
    return sequence.laid_out(output)


def differentiate_loss(loss: Loss, output: Any, sequence: Sequence) -> tuple[float, Tensor]:
    """The loss, and ∂ℓ/∂output as (time, batch, directions · unit) in float64, 0 where padded.

    loss: "last", "all", or a callable from the output sequence to a scalar tensor.
    """
    if callable(loss):
        return _differentiate_callable(loss, output, sequence)
    y = time_first(output, sequence).detach().double()
    weight = torch.zeros(y.shape[:2], dtype=torch.float64, device="cpu")
    valid = sequence.valid
    if loss == "all":
        weight[:] = 1 if valid is None else valid
    elif loss == "last":
        last = -1 if sequence.lengths is None else sequence.lengths - 1
        weight[last, torch.arange(y.shape[1], device="cpu")] = 1
    else:
        raise RnnvizError("error.loss_name", came=repr(loss), expected=", ".join(LOSSES))
    weight = weight[:, :, None].to(y.device)
    value = y.where(weight > 0, 0.0).sum()  # no product: 0 · inf is NaN
    return float(value), weight.expand_as(y).contiguous().cpu()


def _differentiate_callable(
    loss: Callable[[Any], Tensor], output: Any, sequence: Sequence
) -> tuple[float, Tensor]:
    packed = isinstance(output, PackedSequence)
    # A copy: the callable may keep or change it.
    leaf = (output.data if packed else output).detach().clone().requires_grad_()
    with torch.enable_grad():
        value: Any = loss(output._replace(data=leaf) if packed else leaf)
    if not isinstance(value, Tensor) or value.numel() != 1:
        came = type(value).__name__
        if isinstance(value, Tensor):
            came += f" {tuple(value.shape)}"
        raise RnnvizError("error.loss_shape", came=came)
    gradient = None
    if value.requires_grad:
        (gradient,) = torch.autograd.grad(value, leaf, allow_unused=True)
    if gradient is None:
        raise RnnvizError("error.loss_independent")
    g = time_first(output._replace(data=gradient) if packed else gradient, sequence)
    g = g.detach().double().cpu()
    if sequence.valid is not None:
        # No product: the derivative at a padded step may be infinite, and 0 · inf is NaN.
        g = g.where(sequence.valid[:, :, None], 0.0)
    bad = int((~g.isfinite()).sum())
    if bad:
        of = g.numel() if sequence.valid is None else int(sequence.valid.sum()) * g.shape[2]
        raise RnnvizError("error.loss_derivative", bad=bad, of=of)
    return float(value.detach()), g.contiguous()
