"""The sizes that determine a network's parameters."""

from dataclasses import dataclass, replace

from torch import nn

from rnnviz.cells import GATE_NAMES, Form, read_sizes
from rnnviz.errors import RnnvizError, described, is_whole
from rnnviz.recurrent import read_module


@dataclass(frozen=True)
class Size:
    """The sizes that determine a network's parameters.

    biases: vectors per gate: 2 as in torch, 1 as in most papers, or 0. proj_size: of an LSTM.
    A layer above the first reads the outputs of all directions of the one below.
    RnnvizError for impossible sizes.

    >>> size = Size(Form("lstm"), 3, 16, layers=2, directions=2)
    >>> size.layer_input_size(0), size.layer_input_size(1)
    (3, 32)
    """

    form: Form
    input_size: int
    hidden_size: int
    layers: int = 1
    directions: int = 1
    biases: int = 2
    proj_size: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.form, Form) or self.form.cell not in GATE_NAMES:  # pyright: ignore[reportUnnecessaryIsInstance]  # a user may pass anything
            raise RnnvizError("error.form", came=repr(self.form), expected=", ".join(GATE_NAMES))
        read_sizes(self.input_size, self.hidden_size, self.proj_size)
        projects = self.proj_size == 0 or self.form.cell == "lstm"
        numbers = self.layers, self.directions, self.biases
        stacks = all(map(is_whole, numbers)) and self.layers >= 1
        if not (projects and stacks and self.directions in (1, 2) and self.biases in (0, 1, 2)):
            raise RnnvizError(
                "error.network_size",
                cell=self.form.cell,
                layers=described(self.layers),
                directions=described(self.directions),
                biases=described(self.biases),
                projection=self.proj_size,
            )
        # NumPy's integers of few bits would overflow in the counts
        for name in ("input_size", "hidden_size", "layers", "directions", "biases", "proj_size"):
            object.__setattr__(self, name, int(getattr(self, name)))

    @property
    def output_size(self) -> int:
        """Of one direction: proj_size or hidden_size."""
        return self.proj_size or self.hidden_size

    def layer_input_size(self, layer: int) -> int:
        """The input size of a layer, counted from 0."""
        return self.input_size if layer == 0 else self.directions * self.output_size


def read_size(module: nn.Module) -> Size:
    """The size of any module that can be traced.

    RnnvizError for a cell with its own step and for layers of unequal size.

    >>> read_size(nn.GRU(2, 3, num_layers=2, bias=False)).biases
    0
    """
    first, *above = read_layer_sizes(module)
    if any((s.hidden_size, s.proj_size) != (first.hidden_size, first.proj_size) for s in above):
        came = ", ".join(str(size.hidden_size) for size in (first, *above))
        raise RnnvizError("error.size_widths", came=came)
    return replace(first, layers=1 + len(above))


def read_layer_sizes(module: nn.Module) -> list[Size]:
    """The size of every layer of any module that can be traced, as that of a network of its own.

    RnnvizError for a cell with its own step.

    >>> [size.input_size for size in read_layer_sizes(nn.GRU(2, 3, num_layers=2))]
    [2, 3]
    """
    network = read_module(module, with_values=False)
    if network.has_own_step:
        name = type(module).__name__
        raise RnnvizError("error.own_equations", what="read_size", module=name)
    return [
        Size(
            network.form,
            layer[0].ih.shape[1],
            network.hidden_sizes[number],
            directions=len(layer),
            biases=sum(bias is not None for bias in (layer[0].bias_ih, layer[0].bias_hh)),
            proj_size=0 if layer[0].hr is None else network.output_sizes[number],
        )
        for number, layer in enumerate(network.layers)
    ]
