"""Stacks of this project's cells, and any recurrent module read as a ``Network``."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from rnnviz.array_likes import check_dense
from rnnviz.cells import GATE_NAMES, Cell, Form, make_cell
from rnnviz.errors import RnnvizError, type_name
from rnnviz.foreign import not_recurrent
from rnnviz.own_cells import has_own_step, own_parameters
from rnnviz.replica import computed_weights, is_parametrized, replicate
from rnnviz.shapes import Sizes, check_parameters
from rnnviz.torch_names import dtype_name, parameter_suffix

STACKS = (nn.RNN, nn.LSTM, nn.GRU)
TORCH_CELLS = (nn.RNNCell, nn.LSTMCell, nn.GRUCell)
FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
CELL_NAMES = dict(zip(TORCH_CELLS, ("rnn", "lstm", "gru"), strict=True))


class Weights(NamedTuple):
    """One layer in one direction: torch's parameters, by torch's names and layout."""

    ih: Tensor
    hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None
    hr: Tensor | None
    peephole: Tensor | None = None

    def named(self, suffix: str) -> dict[str, Tensor]:
        """The tensors that are not None, by torch's names (``weight_ih`` + suffix, …)."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr", "weight_peephole")
        return {f"{n}{suffix}": t for n, t in zip(names, self, strict=True) if t is not None}


class Recurrent(nn.Module):
    """Layers and directions of this project's cells, called as torch.nn's stacks are.

    cells: one list per layer: the forward cell, then a backward cell if bidirectional. Every layer
    after the first reads the concatenated outputs of both directions of the layer below.

    >>> import torch
    >>> from rnnviz.cells import GRUCell
    >>> stock = torch.nn.GRU(2, 3, bidirectional=True)
    >>> output, h = Recurrent.of(stock)(torch.ones(5, 1, 2))
    >>> tuple(output.shape), tuple(h.shape), torch.allclose(output, stock(torch.ones(5, 1, 2))[0])
    ((5, 1, 6), (2, 1, 3), True)
    """

    def __init__(self, cells: Sequence[Sequence[Cell[Any]]], *, batch_first: bool = False) -> None:
        super().__init__()
        self.batch_first = batch_first
        self.layers = nn.ModuleList(nn.ModuleList(layer) for layer in _checked(cells))
        self.check()

    @classmethod
    def of(cls, module: nn.Module) -> "Recurrent":
        """A torch module's network in this project's cells, which share its parameters."""
        names = computed_weights(module, by_hooks_only=True)
        if names:
            raise RnnvizError("error.weights_hooked", names=", ".join(names))
        network = read_module(module)
        cells = [[_cell(network, weights) for weights in layer] for layer in network.layers]
        return cls(cells, batch_first=network.batch_first)

    @property
    def cells(self) -> list[list[Cell[Any]]]:
        """The cells by layer and direction."""
        return [list(layer) for layer in self.layers]  # pyright: ignore[reportArgumentType]  # a ModuleList is iterable, its stub says Module

    def check(self) -> None:
        """RnnvizError unless the cells are alike and each fits the output of the layer below."""
        cells = self.cells
        if not cells or len(cells[0]) not in (1, 2):
            raise RnnvizError("error.no_cells")
        first = cells[0][0]
        width = first.input_size
        for layer in cells:
            for cell in layer:
                alike = _description(cell) == _description(first) and len(layer) == len(cells[0])
                if not alike or cell.input_size != width:
                    raise RnnvizError(
                        "error.layers", cell=repr(cell), first=repr(first), expected=width
                    )
            width = len(layer) * first.output_size

    def forward(self, x: Tensor | PackedSequence, state: Any = None) -> tuple[Any, Any]:
        """(output, final state), in the layouts of torch.nn.LSTM, GRU and RNN.

        x: (time, input), (time, batch, input), (batch, time, input) with batch_first, or packed.
        state: None for zeros; h of (layers · directions, batch, hidden), for an LSTM (h, c).
        """
        if isinstance(x, PackedSequence):
            padded, lengths = pad_packed_sequence(x)
            valid = torch.arange(len(padded), device="cpu")[:, None] < lengths
            output, final = self._run(padded, state, valid.to(padded.device))
            return packed_like(x, output, valid), final
        if x.dim() == 2:
            output, final = self._run(x[:, None], _each(state, lambda s: s[:, None]), None)
            return output[:, 0], _each(final, lambda s: s[:, 0])
        if not self.batch_first:
            return self._run(x, state, None)
        output, final = self._run(x.transpose(0, 1), state, None)
        return output.transpose(0, 1), final

    def _run(self, x: Tensor, state: Any, valid: Tensor | None) -> tuple[Tensor, Any]:
        """Time first. valid: (time, batch), false where padded; the state is carried over there."""
        finals: list[Any] = []
        for layer in self.cells:
            outputs: list[Tensor] = []
            for direction, cell in enumerate(layer):
                given = _each(state, itemgetter(len(finals)))
                s = cell.initial_state(x[0]) if given is None else given
                times = range(len(x)) if direction == 0 else reversed(range(len(x)))
                hidden: list[Tensor] = [x] * len(x)
                for t in times:
                    before = s
                    s = cell(x[t], s)  # a call, so that hooks take part
                    hidden[t] = s[0] if cell.form.cell == "lstm" else s
                    if valid is not None:
                        s = _where(valid[t, :, None], s, before)
                        hidden[t] = hidden[t].where(valid[t, :, None], 0.0)
                finals.append(s)
                outputs.append(torch.stack(hidden))
            x = torch.cat(outputs, dim=-1)
        if isinstance(finals[0], tuple):
            return x, tuple(torch.stack(s) for s in zip(*finals, strict=True))
        return x, torch.stack(finals)


def _checked(cells: Any) -> list[list[Cell[Any]]]:
    """Layers of cells; RnnvizError for anything else, such as a class or a cell without a list."""
    layers = list(cells) if isinstance(cells, Iterable) else [cells]
    for layer in layers:
        for cell in layer if isinstance(layer, Iterable) else [layer]:
            if not isinstance(cell, Cell) or not isinstance(layer, Iterable):
                came = type_name(cell if isinstance(cell, type) else type(cell))
                raise RnnvizError("error.recurrent_cells", came=came)
    return [list(layer) for layer in layers]


def _where(valid: Tensor, state: Any, before: Any) -> Any:
    if isinstance(state, tuple):
        return tuple(s.where(valid, b) for s, b in zip(state, before, strict=True))
    return state.where(valid, before)


def packed_like(packed: PackedSequence, values: Tensor, valid: Tensor) -> PackedSequence:
    """Padded values, (time, batch, unit), packed like another sequence."""
    numbers = packed._replace(data=torch.arange(len(packed.data), device="cpu"))
    places, _ = pad_packed_sequence(numbers)
    order = places[valid].argsort()
    return packed._replace(data=values[valid.to(values.device)][order.to(values.device)])


def _description(cell: Cell[Any]) -> tuple[object, ...]:
    # Not its class: a module imported under two names has two classes of one name.
    return cell.form, cell.hidden_size, cell.proj_size


def _each(state: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """The function applied to h or to each of (h, c); None stays None."""
    if isinstance(state, tuple | list):
        return tuple(function(s) for s in state)
    return None if state is None else function(state)


@dataclass(frozen=True)
class Network:
    """A module's form, sizes, layout, and weights by layer and direction."""

    module: nn.Module
    form: Form
    input_size: int
    hidden_size: int
    output_size: int  # of one direction: proj_size or hidden_size
    layers: tuple[tuple[Weights, ...], ...]
    batch_first: bool
    is_cell: bool  # takes one time step per call

    @property
    def cell(self) -> str:
        """The cell: "rnn", "lstm" or "gru"."""
        return self.form.cell

    @property
    def cells(self) -> list[list[Cell[Any]]] | None:
        """This project's cells by layer and direction; None for a torch module."""
        if isinstance(self.module, Recurrent):
            return self.module.cells
        return [[self.module]] if isinstance(self.module, Cell) else None

    @property
    def has_own_step(self) -> bool:
        """Whether some cell computes by a step of its own; see ``own_cells``."""
        return any(has_own_step(cell) for layer in self.cells or () for cell in layer)

    @property
    def by_kernels(self) -> bool:
        """Whether the compiled kernels compute what the network does."""
        return self.form.has_kernels and not self.has_own_step

    @property
    def widths(self) -> dict[str, int]:
        """The number of units of every gate and state, by name."""
        names = (*GATE_NAMES[self.cell], *self.form.states)
        return dict.fromkeys(names, self.hidden_size) | {"hidden_state": self.output_size}

    @property
    def is_stepwise(self) -> bool:
        """Whether the module calls a cell at every time step."""
        return self.is_cell or isinstance(self.module, Recurrent)

    @property
    def directions(self) -> int:
        """1, or 2 for a bidirectional network."""
        return len(self.layers[0])

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return self.layers[0][0].ih.dtype

    @property
    def device(self) -> torch.device:
        """Of the weights."""
        return self.layers[0][0].ih.device

    def parameters(self) -> dict[str, Tensor]:
        """Every parameter under the name torch's stacks give it (``parameter_suffix``).

        Of cells with their own step all parameters, by the cell's own names and that suffix.
        """
        cells = self.cells if self.has_own_step else None
        found: dict[str, Tensor] = {}
        for number, layer in enumerate(self.layers):
            for direction, weights in enumerate(layer):
                end = parameter_suffix(number, direction)
                if cells is None:
                    found |= weights.named(end)
                else:
                    own = own_parameters(cells[number][direction])
                    found |= {name + end: w for name, w in own.items()}
        return found


def read_module(
    module: nn.Module, *, of_replica: bool = False, with_values: bool = True
) -> Network:
    """The network that a module computes.

    module: torch.nn.RNN, LSTM, GRU or their cells, a cell of this project, or a Recurrent. If it is
    parametrized, or of_replica, the network is read from a replica, which reading does not change.
    RnnvizError for anything else, for parameters that are not finite and, unless with_values is
    false, for a module that holds no values (device "meta").

    >>> network = read_module(torch.nn.LSTM(2, 3, num_layers=2, bidirectional=True))
    >>> network.cell, len(network.layers), network.directions, network.output_size
    ('lstm', 2, 2, 3)
    """
    known = (*STACKS, *TORCH_CELLS, Cell, Recurrent)
    if not isinstance(module, known):
        raise not_recurrent(module, known)
    if of_replica or any(map(is_parametrized, module.modules())):
        module = replicate(module)
    network = _read(module)
    if not network.has_own_step:
        _check_shapes(network)
    if with_values:
        _check_values(network)
    return network


def _read(module: nn.Module) -> Network:
    if isinstance(module, STACKS):
        return _read_stack(module)
    if isinstance(module, Recurrent):
        module.check()
        return _read_cells(module, module.cells, batch_first=module.batch_first)
    return _read_cells(module, [[module]], batch_first=False)


def _read_stack(module: nn.RNN | nn.LSTM | nn.GRU) -> Network:
    def weights(suffix: str) -> Weights:
        bias = module.bias
        return Weights(
            _weight(module, f"weight_ih{suffix}"),
            _weight(module, f"weight_hh{suffix}"),
            _weight(module, f"bias_ih{suffix}") if bias else None,
            _weight(module, f"bias_hh{suffix}") if bias else None,
            _weight(module, f"weight_hr{suffix}") if module.proj_size else None,
        )

    return Network(
        module=module,
        form=Form(
            module.mode.partition("_")[0].lower(),  # "RNN_TANH", "LSTM", …
            nonlinearity=module.nonlinearity if isinstance(module, nn.RNN) else "tanh",
        ),
        input_size=module.input_size,
        hidden_size=module.hidden_size,
        output_size=module.proj_size or module.hidden_size,
        layers=tuple(
            tuple(
                weights(parameter_suffix(layer, direction))
                for direction in range(1 + module.bidirectional)
            )
            for layer in range(module.num_layers)
        ),
        batch_first=module.batch_first,
        is_cell=False,
    )


def _read_cells(module: nn.Module, cells: Sequence[Sequence[Any]], *, batch_first: bool) -> Network:
    first = cells[0][0]
    stock = next((name for cell, name in CELL_NAMES.items() if isinstance(first, cell)), None)

    def weights(cell: Any) -> Weights:
        biases = (getattr(cell, name, None) for name in ("bias_ih", "bias_hh"))
        rest = (getattr(cell, name, None) for name in ("weight_hr", "weight_peephole"))
        return Weights(matrix(cell, "weight_ih"), matrix(cell, "weight_hh"), *biases, *rest)

    def matrix(cell: Any, name: str) -> Tensor:
        if isinstance(cell, Cell) and getattr(cell, name, None) is None and has_own_step(cell):
            return next(iter(cell.parameters()), torch.empty(0, device="cpu")).new_zeros(
                1, 1
            )  # it needs none
        return _weight(cell, name)

    return Network(
        module=module,
        form=Form(stock, getattr(first, "nonlinearity", "tanh")) if stock else cells[0][0].form,
        input_size=first.input_size,
        hidden_size=first.hidden_size,
        output_size=getattr(first, "output_size", first.hidden_size),
        layers=tuple(tuple(map(weights, layer)) for layer in cells),
        batch_first=batch_first,
        is_cell=module is first,
    )


def _weight(module: nn.Module, name: str) -> Tensor:
    tensor = getattr(module, name, None)
    if not isinstance(tensor, Tensor):
        raise RnnvizError("error.weight_missing", name=name, came=type_name(type(module)))
    return tensor


def _check_shapes(network: Network) -> None:
    """RnnvizError for weights whose shape does not fit the module's sizes."""
    sizes = Sizes(
        len(network.layers),
        network.directions,
        network.input_size,
        network.hidden_size,
        network.output_size,
    )
    shapes = {name: tuple(tensor.shape) for name, tensor in network.parameters().items()}
    check_parameters(network.form, sizes, shapes)


def _check_values(network: Network) -> None:
    if network.device.type == "meta":
        raise RnnvizError("error.meta_device")
    if network.dtype not in FLOATS:
        raise RnnvizError("error.module_dtype", came=dtype_name(network.dtype))
    parameters = {name: tensor.detach() for name, tensor in network.parameters().items()}
    _check_alike(parameters)
    # Fast check: a sum is finite only if all terms are. It may overflow, so check each entry then.
    if all(math.isfinite(p.sum()) for p in parameters.values()):
        return
    for name, parameter in parameters.items():
        bad = ~torch.isfinite(parameter)
        if bad.any():
            first = tuple(bad.nonzero()[0].tolist())
            raise RnnvizError(
                "error.weights_not_finite",
                name=name,
                bad=int(bad.sum()),
                of=parameter.numel(),
                first=first,
            )


def _check_alike(parameters: Mapping[str, Tensor]) -> None:
    """RnnvizError unless all are dense and have the dtype and the device of the first."""
    first, like = next(iter(parameters.items()))
    dtype, device = like.dtype, like.device
    for name, parameter in parameters.items():
        check_dense(parameter, name)
        if parameter.dtype != dtype:
            names = {"came": dtype_name(parameter.dtype), "expected": dtype_name(dtype)}
            raise RnnvizError("error.mixed_dtypes", name=name, first=first, **names)
        if parameter.device != device:
            places = {"came": str(parameter.device), "expected": str(device)}
            raise RnnvizError("error.mixed_devices", name=name, first=first, **places)


def _cell(network: Network, weights: Weights) -> Cell[Any]:
    with torch.device("meta"):  # draws no random numbers
        cell = make_cell(
            network.form,
            weights.ih.shape[1],
            network.hidden_size,
            bias=weights.bias_ih is not None,
            proj_size=0 if weights.hr is None else network.output_size,
        )
    for name, tensor in weights.named("").items():
        delattr(cell, name)  # a parametrised module holds plain tensors, not parameters
        setattr(cell, name, tensor)
    return cell
