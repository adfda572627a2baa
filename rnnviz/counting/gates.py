"""Parameters and multiply-adds per time step of every gate, by formula, and their sums."""

from collections.abc import Iterable
from typing import NamedTuple

from torch import nn

from rnnviz.counting.size import Size, read_layer_sizes
from rnnviz.recurrent import read_module

# The elementwise product that each gate takes part in: one multiplication per unit.
ELEMENTWISE = {
    "forget_gate": "f·c",
    "cell_candidate": "i·g",
    "output_gate": "o·tanh c",
    "reset_gate": "r·h",
    "update_gate": "z·h",
    "hidden_candidate": "(1−z)·n",
}


class GateCount(NamedTuple):
    """Parameters and multiply-adds per time step of one gate, layer and direction.

    layer counts from 0; direction is 0 or 1. gate "projection": the matrix V after an LSTM's gates.
    inputs, outputs: d and H of the products W x and U h; a projection's row has neither product.
    products: multiply-adds of the matrix products. elementwise: multiplications of one unit with
    one unit: the gate's own (f c, i g, o tanh c; r h, z h, (1−z) n) and the peephole's.
    Additions alone and nonlinearities are not counted.
    """

    layer: int
    direction: int
    gate: str
    units: int
    inputs: int
    outputs: int
    input_weights: int
    recurrent_weights: int
    biases: int
    peephole: int
    projection: int
    elementwise: int

    @property
    def total(self) -> int:
        """All parameters of this row."""
        own = self.input_weights + self.recurrent_weights + self.biases
        return own + self.peephole + self.projection

    @property
    def products(self) -> int:
        """Multiply-adds of W x and U h, or of V h."""
        return self.input_weights + self.recurrent_weights + self.projection

    @property
    def multiply_adds(self) -> int:
        """All multiply-adds of one time step."""
        return self.products + self.elementwise

    @property
    def parameters_formula(self) -> str:
        """The parameters as a sum with its numbers: "16·3 + 16·16 + 2·16"."""
        parts = self._products()
        if self.biases:
            parts.append(_times(self.biases // self.units, self.units))
        if self.peephole:
            parts.append(f"{self.units}")
        return " + ".join(parts)

    @property
    def cost_formula(self) -> str:
        """The multiply-adds as a sum with its numbers: "16·3 + 16·16 + 16"."""
        parts = self._products()
        if self.elementwise:
            parts.append(_times(self.elementwise // self.units, self.units))
        return " + ".join(parts)

    def _products(self) -> list[str]:
        if self.projection:
            return [f"{self.outputs}·{self.units}"]
        return [f"{self.units}·{self.inputs}", f"{self.units}·{self.outputs}"]


def _times(factor: int, units: int) -> str:
    return f"{units}" if factor == 1 else f"{factor}·{units}"


def count_by_gate(network: nn.Module | Size) -> list[GateCount]:
    """Parameters and multiply-adds per step, by layer, direction and gate.

    network: as in ``count_parameters``.

    >>> from rnnviz.cells import Form
    >>> first = count_by_gate(Size(Form("lstm"), 3, 16))[0]
    >>> first.gate, first.total, first.multiply_adds
    ('input_gate', 336, 304)
    """
    if isinstance(network, Size):
        return [
            row
            for layer in range(network.layers)
            for direction in range(network.directions)
            for row in _rows(network, layer, direction)
        ]
    by_layer = map(count_by_gate, read_layer_sizes(network))
    return [row._replace(layer=layer) for layer, rows in enumerate(by_layer) for row in rows]


def _rows(size: Size, layer: int, direction: int) -> Iterable[GateCount]:
    units, inputs, outputs = size.hidden_size, size.layer_input_size(layer), size.output_size
    for gate in size.form.gates:
        peephole = units if gate in size.form.peepholes else 0
        yield GateCount(
            layer,
            direction,
            gate,
            units,
            inputs,
            outputs,
            input_weights=units * inputs,
            recurrent_weights=units * outputs,
            biases=size.biases * units,
            peephole=peephole,
            projection=0,
            elementwise=peephole + (units if gate in ELEMENTWISE else 0),
        )
    if size.proj_size:
        own = outputs * units
        yield GateCount(
            layer, direction, "projection", units, inputs, outputs, 0, 0, 0, 0, own, elementwise=0
        )


def count_parameters(network: nn.Module | Size) -> int:
    """The number of parameters of a module, or of a network of a given size.

    A parameter that layers, directions or biases of a module share counts once, as in torch.
    network: a torch.nn RNN, LSTM, GRU or cell, a cell of rnnviz.cells, a Recurrent, or a Size.
    With k = 1, 3, 4 gates of an RNN, a GRU, an LSTM, d inputs and H units, one layer has
    k(H(d + H) + 2H); one bias: k H(d + H + 1); peepholes: 3H more.

    >>> from rnnviz.cells import Form
    >>> count_parameters(nn.LSTM(3, 16)), count_parameters(Size(Form("gru"), 3, 16))
    (1344, 1008)
    """
    if isinstance(network, Size):
        return sum(row.total for row in count_by_gate(network))
    parameters = read_module(network, with_values=False).parameters()
    distinct = {id(tensor): tensor.numel() for tensor in parameters.values()}
    return sum(distinct.values())


def count_multiply_adds(network: nn.Module | Size) -> int:
    """Multiply-adds of one time step, as ``count_by_gate`` counts them.

    >>> from rnnviz.cells import Form
    >>> count_multiply_adds(Size(Form("lstm"), 3, 16))
    1264
    """
    return sum(row.multiply_adds for row in count_by_gate(network))


def formula(size: Size) -> str:
    """The parameters of all layers as one line of arithmetic with its numbers.

    >>> from rnnviz.cells import Form
    >>> formula(Size(Form("lstm"), 3, 16))
    '4 · (16·3 + 16·16 + 2·16) = 1,344'
    >>> formula(Size(Form("lstm", peephole=True), 3, 16, biases=1))
    '4 · (16·3 + 16·16 + 16) + 3·16 = 1,328'
    """
    terms: list[str] = []
    for layer in range(size.layers):
        rows = list(_rows(size, layer, 0))
        gate = rows[0]._replace(peephole=0).parameters_formula
        gates = len(size.form.gates) * size.directions
        terms.append(f"{gates} · ({gate})" if gates > 1 else gate)
        peepholes = len(size.form.peepholes) * size.directions
        if peepholes:
            terms.append(f"{peepholes}·{size.hidden_size}")
        if size.proj_size:
            once = f"{size.proj_size}·{size.hidden_size}"
            terms.append(once if size.directions == 1 else f"{size.directions}·{once}")
    return f"{' + '.join(terms)} = {count_parameters(size):,}"
