"""Recurrent cells as plain equations, one time step at a time.

Symbols are torch's: gates i, f, g, o (LSTM) and r, z, n (GRU), states h and c, pre-activations a.
Every parameter has torch's name, layout and initialisation, so weights move both ways unchanged.
"""

import math
from collections.abc import Callable, Mapping
from typing import ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from rnnviz.errors import RnnvizError

Gates = dict[str, Tensor]
State = TypeVar("State", Tensor, tuple[Tensor, Tensor])

NONLINEARITIES: Mapping[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "identity": torch.clone,
}


class Cell(nn.Module, Generic[State]):
    """What the three cells share: torch's parameters and their initialisation.

    weight_ih: (rows, input), weight_hh: (rows, output), biases: (rows,) or None, with
    rows = hidden × number of gates. All are drawn from U(−1/√hidden, 1/√hidden).
    """

    kind: ClassVar[str]
    gate_names: ClassVar[tuple[str, ...]]  # in the order of the packed weights

    def __init__(self, input_size: int, hidden_size: int, *, bias: bool, proj_size: int) -> None:
        super().__init__()
        if input_size < 1 or hidden_size < 1 or not 0 <= proj_size < hidden_size:
            raise RnnvizError(
                "error.cell_size", input=input_size, hidden=hidden_size, projection=proj_size
            )
        self.input_size, self.hidden_size, self.proj_size = input_size, hidden_size, proj_size
        self.output_size = proj_size or hidden_size
        rows = hidden_size * len(self.gate_names)
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size))
        self.weight_hh = nn.Parameter(torch.empty(rows, self.output_size))
        self.bias_ih = nn.Parameter(torch.empty(rows)) if bias else None
        self.bias_hh = nn.Parameter(torch.empty(rows)) if bias else None
        bound = 1 / math.sqrt(hidden_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def step(self, x: Tensor, state: State) -> tuple[State, Gates]:
        """The next state and the gates of one time step; see the cells themselves."""
        raise RnnvizError("error.cell_abstract", type=type(self).__name__)

    def initial_state(self, x: Tensor) -> State:
        """Zeros with the leading dimensions of x."""
        raise RnnvizError("error.cell_abstract", type=type(self).__name__)

    def forward(self, x: Tensor, state: State | None = None) -> State:
        """The next state for one time step, as torch's cells give it; zeros if none is given.

        x: (input,) or (batch, input); state: h of (batch, hidden), for an LSTM the pair (h, c).
        """
        return self.step(x, self.initial_state(x) if state is None else state)[0]

    def extra_repr(self) -> str:
        bias = "" if self.bias_ih is not None else ", bias=False"
        projection = f", proj_size={self.proj_size}" if self.proj_size else ""
        return f"{self.input_size}, {self.hidden_size}{bias}{projection}"


class ElmanCell(Cell[Tensor]):
    """Simple recurrent network. Elman (1990), Finding structure in time.

    h_t = φ(W x_t + b_ih + U h_{t−1} + b_hh), φ tanh, relu, sigmoid or identity
    (a linear network); torch.nn has the first two.

    x: (input,) or (batch, input); state: h, (hidden,) or (batch, hidden).

    >>> import torch
    >>> cell = ElmanCell(1, 1)
    >>> for p in cell.parameters(): _ = torch.nn.init.ones_(p)
    >>> h, gates = cell.step(torch.tensor([0.5]), torch.tensor([-2.0]))
    >>> f"{gates['hidden_preactivation'].item():.4f} {h.item():.4f}"
    '0.5000 0.4621'
    """

    kind = "rnn"
    gate_names = ("hidden",)

    def __init__(
        self, input_size: int, hidden_size: int, nonlinearity: str = "tanh", *, bias: bool = True
    ) -> None:
        if nonlinearity not in NONLINEARITIES:
            raise RnnvizError(
                "error.nonlinearity", came=nonlinearity, expected=", ".join(NONLINEARITIES)
            )
        super().__init__(input_size, hidden_size, bias=bias, proj_size=0)
        self.nonlinearity = nonlinearity

    def extra_repr(self) -> str:
        form = "" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}"
        return super().extra_repr() + form

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Gates]:
        """h_t, and its pre-activation under ``hidden_preactivation``."""
        h = state
        a = linear(x, self.weight_ih, self.bias_ih) + linear(h, self.weight_hh, self.bias_hh)
        h = NONLINEARITIES[self.nonlinearity](a)
        return h, {"hidden_preactivation": a}

    def initial_state(self, x: Tensor) -> Tensor:
        """Zeros: h with the leading dimensions of x."""
        return x.new_zeros(*x.shape[:-1], self.hidden_size)


class LSTMCell(Cell[tuple[Tensor, Tensor]]):
    """Long short-term memory with a forget gate.

    Hochreiter & Schmidhuber (1997); forget gate: Gers, Schmidhuber & Cummins (2000), eq. 2–6.

    a = W x_t + b_ih + U h_{t−1} + b_hh, split in four:
    i = σ(a_i), f = σ(a_f), g = tanh(a_g), o = σ(a_o)
    c_t = f c_{t−1} + i g
    h_t = o tanh(c_t), with a projection V: h_t = V (o tanh(c_t)) (Sak et al. 2014).

    x: (input,) or (batch, input); state: (h, c), each (hidden,) or (batch, hidden).

    >>> import torch
    >>> cell = LSTMCell(1, 1)
    >>> for p in cell.parameters(): _ = torch.nn.init.constant_(p, 0.5)
    >>> (h, c), gates = cell.step(torch.ones(1), (torch.zeros(1), torch.ones(1)))
    >>> f"{gates['forget_gate'].item():.4f} {c.item():.4f} {h.item():.4f}"
    '0.8176 1.5576 0.7481'
    """

    kind = "lstm"
    gate_names = ("input_gate", "forget_gate", "cell_candidate", "output_gate")

    def __init__(
        self, input_size: int, hidden_size: int, *, bias: bool = True, proj_size: int = 0
    ) -> None:
        super().__init__(input_size, hidden_size, bias=bias, proj_size=proj_size)
        self.weight_hr = None
        if proj_size:
            bound = 1 / math.sqrt(hidden_size)
            self.weight_hr = nn.Parameter(
                torch.empty(proj_size, hidden_size).uniform_(-bound, bound)
            )

    def step(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[tuple[Tensor, Tensor], Gates]:
        """(h_t, c_t), and the four gates with their pre-activations."""
        h, c = state
        a = linear(x, self.weight_ih, self.bias_ih) + linear(h, self.weight_hh, self.bias_hh)
        a_i, a_f, a_g, a_o = a.chunk(4, dim=-1)
        i, f, g, o = torch.sigmoid(a_i), torch.sigmoid(a_f), torch.tanh(a_g), torch.sigmoid(a_o)
        c = f * c + i * g
        h = o * torch.tanh(c)
        if self.weight_hr is not None:
            h = linear(h, self.weight_hr)
        return (h, c), {
            "input_gate": i,
            "forget_gate": f,
            "cell_candidate": g,
            "output_gate": o,
            "input_gate_preactivation": a_i,
            "forget_gate_preactivation": a_f,
            "cell_candidate_preactivation": a_g,
            "output_gate_preactivation": a_o,
        }

    def initial_state(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Zeros: (h, c) with the leading dimensions of x."""
        return (
            x.new_zeros(*x.shape[:-1], self.output_size),
            x.new_zeros(*x.shape[:-1], self.hidden_size),
        )


class GRUCell(Cell[Tensor]):
    """Gated recurrent unit as torch and cuDNN compute it, reset after the product.

    Cho et al. (2014); reset after: cuDNN, and Keras with reset_after=True.

    a_r = W_r x_t + b_ir + U_r h_{t−1} + b_hr, a_z likewise
    r = σ(a_r), z = σ(a_z)
    a_n = W_n x_t + b_in + r (U_n h_{t−1} + b_hn), n = tanh(a_n)
    h_t = (1 − z) n + z h_{t−1}

    x: (input,) or (batch, input); state: h, (hidden,) or (batch, hidden).

    >>> import torch
    >>> cell = GRUCell(1, 1)
    >>> for p in cell.parameters(): _ = torch.nn.init.constant_(p, 0.5)
    >>> h, gates = cell.step(torch.ones(1), torch.ones(1))
    >>> f"{gates['update_gate'].item():.4f} {h.item():.4f}"
    '0.8808 0.9946'
    """

    kind = "gru"
    gate_names = ("reset_gate", "update_gate", "hidden_candidate")

    def __init__(self, input_size: int, hidden_size: int, *, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias=bias, proj_size=0)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Gates]:
        """h_t, and r, z, n with their pre-activations."""
        h = state
        x_r, x_z, x_n = linear(x, self.weight_ih, self.bias_ih).chunk(3, dim=-1)
        h_r, h_z, h_n = linear(h, self.weight_hh, self.bias_hh).chunk(3, dim=-1)
        a_r, a_z = x_r + h_r, x_z + h_z
        r, z = torch.sigmoid(a_r), torch.sigmoid(a_z)
        a_n = x_n + r * h_n
        n = torch.tanh(a_n)
        h = (1 - z) * n + z * h  # torch: z near 1 keeps h; Chung et al. (2014) flip it
        return h, {
            "reset_gate": r,
            "update_gate": z,
            "hidden_candidate": n,
            "reset_gate_preactivation": a_r,
            "update_gate_preactivation": a_z,
            "hidden_candidate_preactivation": a_n,
        }

    def initial_state(self, x: Tensor) -> Tensor:
        """Zeros: h with the leading dimensions of x."""
        return x.new_zeros(*x.shape[:-1], self.hidden_size)


# The gates of each cell, in the order of its packed weights.
GATE_NAMES = {cell.kind: cell.gate_names for cell in (ElmanCell, LSTMCell, GRUCell)}

# The same in the order of the state's way through the cell: what is kept, added, shown.
GATES_AS_READ = GATE_NAMES | {
    "lstm": ("forget_gate", "input_gate", "cell_candidate", "output_gate"),
    "gru": ("update_gate", "reset_gate", "hidden_candidate"),
}
