"""The output sequence of a module's forward pass, checked where the forward is a user's own."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from rnnviz.cells import Cell
from rnnviz.engine.sequences import Sequence
from rnnviz.errors import RnnvizError, type_name
from rnnviz.own_cells import has_own_step
from rnnviz.recurrent import Network, Recurrent
from rnnviz.replica import uses_own_weights

# Where the forward methods are that compute what the weights say.
KNOWN = ("torch.nn.modules.rnn", "rnnviz.cells", "rnnviz.recurrent")
Forward = Callable[..., Any]


def is_stock(module: nn.Module) -> bool:
    """Whether no part of the module has a forward method of a user's own.

    >>> class Doubled(nn.GRU):
    ...     def forward(self, *arguments): return 2 * super().forward(*arguments)[0]
    >>> is_stock(nn.GRU(2, 3)), is_stock(Doubled(2, 3))
    (True, False)
    """
    parts = [module]
    if isinstance(module, Recurrent):
        parts += [cell for layer in module.cells for cell in layer]
    return all(map(_has_known_forward, parts))


def _has_known_forward(part: nn.Module) -> bool:
    if "forward" in vars(part) or getattr(type(part).forward, "__module__", None) not in KNOWN:
        return False
    return not isinstance(part, nn.RNNBase) or uses_own_weights(part)


def forward_pass(module: nn.Module, network: Network, sequence: Sequence, forward: Forward) -> Any:
    """The output sequence, laid out or packed as the inputs are.

    forward: of the module or a replica, from the inputs and the state to what the module returns.
    RnnvizError for a forward method that does not take what torch's takes, or returns something
    else.
    """
    call = forward if is_stock(module) else _explaining(module, forward)
    if network.is_cell:
        return _run_cell(module, sequence, call)
    given = sequence.given()
    output = _first(call(given, sequence.given_state()))
    width = network.directions * network.output_sizes[-1]
    if isinstance(given, PackedSequence):
        values = output.data if isinstance(output, PackedSequence) else output
        _check(module, values, (*given.data.shape[:-1], width), output, PackedSequence)
    else:
        _check(module, output, (*given.shape[:-1], width), output, Tensor)
    if sequence.lengths is not None and sequence.packed is None:
        output = pad_packed_sequence(output, total_length=len(sequence.x))[0]
        return sequence.laid_out(output)
    return output


def _run_cell(module: nn.Module, sequence: Sequence, call: Forward) -> Tensor:
    h = sequence.h[0][0]
    state = h if sequence.c is None else (h, sequence.c[0][0])
    hidden: list[Tensor] = []
    for x_t in sequence.x:
        state = call(x_t, state)
        output = _first(state)
        _check(module, output, h.shape, state, Tensor if sequence.c is None else tuple)
        hidden.append(output)
    output = torch.stack(hidden)
    if sequence.valid is not None:
        output = output.where(sequence.valid[:, :, None].to(output.device), 0.0)
    return sequence.laid_out(output)


def _explaining(module: nn.Module, forward: Forward) -> Forward:
    """The forward, whose errors name the module and how a trace calls it."""

    def call(x: Any, state: Any) -> Any:
        try:
            return forward(x, state)
        except RnnvizError:
            raise
        except Exception as error:
            raise RnnvizError(
                "error.module_call",
                came=type_name(type(module)),
                error=f"{type(error).__name__}: {error}",
            ) from error

    return call


def _first(returned: Any) -> Any:
    """The output sequence or h: the first of a tuple, or all that was returned."""
    plain = isinstance(returned, tuple | list) and not isinstance(returned, PackedSequence)
    return returned[0] if plain and returned else returned


def _check(
    module: nn.Module, values: Any, shape: tuple[int, ...], returned: Any, kind: type
) -> None:
    """RnnvizError unless values is a tensor of this shape, in something of this kind."""
    if isinstance(returned, kind) and isinstance(values, Tensor) and values.shape == shape:
        return
    if isinstance(module, Cell) and has_own_step(module):
        name = type(module).__name__
        raise RnnvizError("error.own_result", type=name, expected=tuple(shape))
    came = type_name(type(returned))
    if isinstance(returned, Tensor):
        came += f" {tuple(returned.shape)}"
    expected = f"{kind.__name__} {tuple(shape)}"
    own = type_name(type(module))
    raise RnnvizError("error.module_output", module=own, came=came, expected=expected)
