"""Recurrent cells as plain equations, one time step at a time.

Symbols are torch's: gates i, f, g, o (LSTM) and r, z, n (GRU), states h and c, pre-activations a.
Every parameter has torch's name, layout and initialisation, so weights move both ways unchanged.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from rnnviz.activations import (
    ACTIVATIONS,
    Function,
    canonical_name,
    find_activation,
    function_of,
)
from rnnviz.errors import RnnvizError, described, is_whole

Gates = dict[str, Tensor]
State = TypeVar("State", Tensor, tuple[Tensor, Tensor])
HeldStep = Callable[[str, Tensor], Tensor]  # a gate or state by name, as computed → as used

NONLINEARITIES = ("tanh", "relu", "sigmoid", "identity")  # of RNNs with compiled kernels

# The gates of each cell, in the order of its packed weights.
GATE_NAMES = {
    "rnn": ("hidden",),
    "lstm": ("input_gate", "forget_gate", "cell_candidate", "output_gate"),
    "gru": ("reset_gate", "update_gate", "hidden_candidate"),
}

# The same in the order of the equations' reading: keep, add, output.
GATES_AS_READ = GATE_NAMES | {
    "lstm": ("forget_gate", "input_gate", "cell_candidate", "output_gate"),
    "gru": ("update_gate", "reset_gate", "hidden_candidate"),
}

PEEPHOLES = ("input_gate", "forget_gate", "output_gate")


@dataclass(frozen=True)
class Form:
    """A cell and its variant: which equations a network follows.

    cell: "rnn", "lstm" or "gru". nonlinearity: of an RNN. peephole: an LSTM's gates also read the
    cell state. coupled: an LSTM's input gate is 1 − f. reset_after: a GRU's reset gate applies
    after the product with U_n, as in torch. gate_activation, activation: of the gates and of the
    candidate of an LSTM or a GRU. output_activation: of an LSTM's cell state in h = o tanh(c);
    None: the same as activation. Activations are names of ``activations``.

    >>> Form("lstm", coupled=True).gates
    ('forget_gate', 'cell_candidate', 'output_gate')
    >>> Form("lstm", activation="linear").output_activation
    'identity'
    """

    cell: str
    nonlinearity: str = "tanh"
    peephole: bool = False
    coupled: bool = False
    reset_after: bool = True
    gate_activation: str = "sigmoid"
    activation: str = "tanh"
    output_activation: str | None = None

    def __post_init__(self) -> None:
        if self.output_activation is None:
            same = self.activation if self.cell == "lstm" else "tanh"
            object.__setattr__(self, "output_activation", same)
        for name in ("nonlinearity", "gate_activation", "activation", "output_activation"):
            object.__setattr__(self, name, canonical_name(getattr(self, name)))

    @property
    def gates(self) -> tuple[str, ...]:
        """The gates with weights of their own, in the order of the packed weights."""
        names = GATE_NAMES[self.cell]
        return names[1:] if self.coupled else names

    @property
    def gates_as_read(self) -> tuple[str, ...]:
        """The same gates in reading order: keep, add, output."""
        return tuple(name for name in GATES_AS_READ[self.cell] if name in self.gates)

    @property
    def peepholes(self) -> tuple[str, ...]:
        """The gates with peepholes, in the order of the rows of weight_peephole."""
        if not self.peephole:
            return ()
        return PEEPHOLES[1:] if self.coupled else PEEPHOLES

    @property
    def states(self) -> tuple[str, ...]:
        """The states, hidden state first."""
        return ("hidden_state", "cell_state") if self.cell == "lstm" else ("hidden_state",)

    @property
    def is_stock(self) -> bool:
        """Whether torch has a module of this form."""
        return self.nonlinearity in ("tanh", "relu") and self == Form(self.cell, self.nonlinearity)

    @property
    def has_kernels(self) -> bool:
        """Whether the compiled kernels and closed forms know the activations of this form."""
        if self.cell == "rnn":
            return self.nonlinearity in NONLINEARITIES
        used = self.gate_activation, self.activation, self.output_activation
        return used == ("sigmoid", "tanh", "tanh")

    def activation_of(self, gate: str) -> str:
        """The name of the activation whose result the gate is.

        gate: a name of ``GATE_NAMES``; for an RNN also "hidden_state".

        >>> Form("gru", gate_activation="hard_sigmoid").activation_of("update_gate")
        'hard_sigmoid'
        """
        if self.cell == "rnn":
            return self.nonlinearity
        return self.activation if gate.endswith("_candidate") else self.gate_activation

    @property
    def functions(self) -> tuple[Function, Function, Function]:
        """Of an LSTM or GRU: the activations of the gates, of the candidate, of the cell state."""
        names = self.gate_activation, self.activation, self.output_activation
        first, second, third = (function_of(str(name)) for name in names)
        return first, second, third


def as_computed(_name: str, value: Tensor) -> Tensor:
    """Nothing is held: returns the value as computed."""
    return value


def read_sizes(input_size: Any, hidden_size: Any, proj_size: Any) -> tuple[int, int, int]:
    """The sizes of a cell as ints; RnnvizError unless a cell can have them."""
    sizes = input_size, hidden_size, proj_size
    if all(map(is_whole, sizes)):
        # NumPy's integers of few bits would overflow in products
        features, hidden, projection = map(int, sizes)
        if features >= 1 and 0 <= projection < hidden:
            return features, hidden, projection
    names = ("input", "hidden", "projection")
    raise RnnvizError("error.cell_size", **dict(zip(names, map(described, sizes), strict=True)))


class Cell(nn.Module, Generic[State]):
    """Torch's parameters and their initialisation, shared by the three cells.

    weight_ih: (rows, input), weight_hh: (rows, output), biases: (rows,) or None, with
    rows = hidden × number of gates. All are drawn from U(−1/√hidden, 1/√hidden).

    A class of one's own overrides ``step`` and, if it starts elsewhere than at zero,
    ``initial_state``. Its step must be deterministic and without memory: the same x and state give
    the same result, whatever was called before. A trace calls it again in other batches, in float64
    and by autograd, on a copy in eval mode; it refuses a step that draws random numbers there, or
    that remembers.
    """

    def __init__(
        self, form: Form, input_size: int, hidden_size: int, *, bias: bool, proj_size: int
    ) -> None:
        super().__init__()
        input_size, hidden_size, proj_size = read_sizes(input_size, hidden_size, proj_size)
        for name in ("nonlinearity", "gate_activation", "activation", "output_activation"):
            _check_activation(name, getattr(form, name))
        self.form = form
        self.input_size, self.hidden_size, self.proj_size = input_size, hidden_size, proj_size
        self.output_size = proj_size or hidden_size
        rows = hidden_size * len(form.gates)
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size))
        self.weight_hh = nn.Parameter(torch.empty(rows, self.output_size))
        self.bias_ih = nn.Parameter(torch.empty(rows)) if bias else None
        self.bias_hh = nn.Parameter(torch.empty(rows)) if bias else None
        bound = 1 / math.sqrt(hidden_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def step(self, x: Tensor, state: State, held: HeldStep = as_computed) -> tuple[State, Gates]:
        """The next state and the gates of one time step; see the cells themselves.

        held: returns the value to use for a gate or state, given its name and computed value.
        """
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


def _check_activation(name: str, came: Any) -> None:
    if not isinstance(came, str) or find_activation(came) is None:
        shown = came if isinstance(came, str) else described(came)
        expected = ", ".join(ACTIVATIONS)
        raise RnnvizError("error.activation", name=name, came=shown, expected=expected)


class ElmanCell(Cell[Tensor]):
    """Simple recurrent network. Elman (1990), Finding structure in time.

    h_t = φ(W x_t + b_ih + U h_{t−1} + b_hh), φ any name of ``activations``: tanh, relu, sigmoid,
    identity (a linear network), …; torch.nn has the first two.

    x: (input,) or (batch, input); state: h, (hidden,) or (batch, hidden).

    >>> import torch
    >>> cell = ElmanCell(1, 1)
    >>> for p in cell.parameters(): _ = torch.nn.init.ones_(p)
    >>> h, gates = cell.step(torch.tensor([0.5]), torch.tensor([-2.0]))
    >>> f"{gates['hidden_preactivation'].item():.4f} {h.item():.4f}"
    '0.5000 0.4621'
    """

    def __init__(
        self, input_size: int, hidden_size: int, nonlinearity: str = "tanh", *, bias: bool = True
    ) -> None:
        _check_activation("nonlinearity", nonlinearity)
        form = Form("rnn", nonlinearity)
        super().__init__(form, input_size, hidden_size, bias=bias, proj_size=0)

    @property
    def nonlinearity(self) -> str:
        """φ by its name."""
        return self.form.nonlinearity

    def extra_repr(self) -> str:
        form = "" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}"
        return super().extra_repr() + form

    def step(self, x: Tensor, state: Tensor, held: HeldStep = as_computed) -> tuple[Tensor, Gates]:
        """h_t, and its pre-activation under ``hidden_preactivation``."""
        h = state
        phi = function_of(self.nonlinearity)
        a = linear(x, self.weight_ih, self.bias_ih) + linear(h, self.weight_hh, self.bias_hh)
        h = held("hidden_state", phi(a))
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

    peephole: p_i c_{t−1}, p_f c_{t−1} and p_o c_t are added to a_i, a_f and a_o, the rows of
    weight_peephole, (3, hidden) (Gers & Schmidhuber 2000).
    coupled: i = 1 − f; a has no part a_i, and weight_peephole no row p_i (CIFG, Greff et al. 2017).
    gate_activation in place of σ, activation in place of the tanh of g, output_activation in place
    of that of c_t (None: as activation): names of ``activations``.

    x: (input,) or (batch, input); state: (h, c), each (hidden,) or (batch, hidden).

    >>> import torch
    >>> cell = LSTMCell(1, 1)
    >>> for p in cell.parameters(): _ = torch.nn.init.constant_(p, 0.5)
    >>> (h, c), gates = cell.step(torch.ones(1), (torch.zeros(1), torch.ones(1)))
    >>> f"{gates['forget_gate'].item():.4f} {c.item():.4f} {h.item():.4f}"
    '0.8176 1.5576 0.7481'
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        proj_size: int = 0,
        peephole: bool = False,
        coupled: bool = False,
        gate_activation: str = "sigmoid",
        activation: str = "tanh",
        output_activation: str | None = None,
    ) -> None:
        form = Form(
            "lstm",
            peephole=peephole,
            coupled=coupled,
            gate_activation=gate_activation,
            activation=activation,
            output_activation=output_activation,
        )
        super().__init__(form, input_size, hidden_size, bias=bias, proj_size=proj_size)
        self.weight_hr = self._drawn(self.proj_size, self.hidden_size) if self.proj_size else None
        rows = len(form.peepholes)
        self.weight_peephole = self._drawn(rows, self.hidden_size) if rows else None

    def _drawn(self, rows: int, columns: int) -> nn.Parameter:
        bound = 1 / math.sqrt(self.hidden_size)
        return nn.Parameter(torch.empty(rows, columns).uniform_(-bound, bound))

    def extra_repr(self) -> str:
        peephole = ", peephole=True" if self.form.peephole else ""
        coupled = ", coupled=True" if self.form.coupled else ""
        return super().extra_repr() + peephole + coupled + _named_activations(self.form)

    def step(
        self, x: Tensor, state: tuple[Tensor, Tensor], held: HeldStep = as_computed
    ) -> tuple[tuple[Tensor, Tensor], Gates]:
        """(h_t, c_t), and the four gates with their pre-activations."""
        h, c = state
        a = linear(x, self.weight_ih, self.bias_ih) + linear(h, self.weight_hh, self.bias_hh)
        *a_i, a_f, a_g, a_o = a.chunk(len(self.form.gates), dim=-1)
        p_i, p_f, p_o = self._peepholes()
        sigma, phi, psi = self.form.functions  # σ, tanh, tanh unless chosen otherwise
        a_f = a_f + p_f * c
        f = held("forget_gate", sigma(a_f))
        a_i = [part + p_i * c for part in a_i]
        i = held("input_gate", sigma(a_i[0]) if a_i else 1 - f)
        g = held("cell_candidate", phi(a_g))
        c = held("cell_state", f * c + i * g)
        a_o = a_o + p_o * c
        o = held("output_gate", sigma(a_o))
        h = o * psi(c)
        if self.weight_hr is not None:
            h = linear(h, self.weight_hr)
        h = held("hidden_state", h)
        gates = {"input_gate": i, "forget_gate": f, "cell_candidate": g, "output_gate": o}
        sums = dict(zip(self.form.gates, (*a_i, a_f, a_g, a_o), strict=True))
        return (h, c), gates | {f"{name}_preactivation": a for name, a in sums.items()}

    def _peepholes(self) -> tuple[Tensor | float, Tensor | float, Tensor | float]:
        """p_i, p_f and p_o; 0 where there is none."""
        if self.weight_peephole is None:
            return 0.0, 0.0, 0.0
        *p_i, p_f, p_o = self.weight_peephole
        return (p_i[0] if p_i else 0.0), p_f, p_o

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

    reset_after=False, as in the paper: a_n = W_n x_t + b_in + U_n (r h_{t−1}) + b_hn.
    gate_activation in place of σ, activation in place of tanh: names of ``activations``.

    x: (input,) or (batch, input); state: h, (hidden,) or (batch, hidden).

    >>> import torch
    >>> cell = GRUCell(1, 1)
    >>> for p in cell.parameters(): _ = torch.nn.init.constant_(p, 0.5)
    >>> h, gates = cell.step(torch.ones(1), torch.ones(1))
    >>> f"{gates['update_gate'].item():.4f} {h.item():.4f}"
    '0.8808 0.9946'
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        reset_after: bool = True,
        gate_activation: str = "sigmoid",
        activation: str = "tanh",
    ) -> None:
        form = Form(
            "gru", reset_after=reset_after, gate_activation=gate_activation, activation=activation
        )
        super().__init__(form, input_size, hidden_size, bias=bias, proj_size=0)

    def extra_repr(self) -> str:
        reset = "" if self.form.reset_after else ", reset_after=False"
        return super().extra_repr() + reset + _named_activations(self.form)

    def step(self, x: Tensor, state: Tensor, held: HeldStep = as_computed) -> tuple[Tensor, Gates]:
        """h_t, and r, z, n with their pre-activations."""
        h = state
        x_r, x_z, x_n = linear(x, self.weight_ih, self.bias_ih).chunk(3, dim=-1)
        h_r, h_z, h_n = linear(h, self.weight_hh, self.bias_hh).chunk(3, dim=-1)
        sigma, phi, _ = self.form.functions  # σ and tanh unless chosen otherwise
        a_r, a_z = x_r + h_r, x_z + h_z
        r, z = held("reset_gate", sigma(a_r)), held("update_gate", sigma(a_z))
        a_n = x_n + (r * h_n if self.form.reset_after else self._after_reset(r * h))
        n = held("hidden_candidate", phi(a_n))
        # torch: z near 1 keeps h; Chung et al. (2014) flip it
        h = held("hidden_state", (1 - z) * n + z * h)
        return h, {
            "reset_gate": r,
            "update_gate": z,
            "hidden_candidate": n,
            "reset_gate_preactivation": a_r,
            "update_gate_preactivation": a_z,
            "hidden_candidate_preactivation": a_n,
        }

    def _after_reset(self, h: Tensor) -> Tensor:
        """U_n h + b_hn, h already multiplied by the reset gate."""
        start = 2 * self.hidden_size
        bias = None if self.bias_hh is None else self.bias_hh[start:]
        return linear(h, self.weight_hh[start:], bias)

    def initial_state(self, x: Tensor) -> Tensor:
        """Zeros: h with the leading dimensions of x."""
        return x.new_zeros(*x.shape[:-1], self.hidden_size)


def _named_activations(form: Form) -> str:
    """The activations that differ from torch's, as the arguments that a cell takes."""
    usual = Form(form.cell, activation=form.activation)
    names = ["gate_activation"] + ["output_activation"] * (form.cell == "lstm")
    chosen = {name: getattr(form, name) for name in names}
    chosen = {name: came for name, came in chosen.items() if came != getattr(usual, name)}
    if form.activation != "tanh":
        chosen["activation"] = form.activation
    return "".join(f", {name}={came}" for name, came in chosen.items())


def make_cell(
    form: Form, input_size: int, hidden_size: int, *, bias: bool = True, proj_size: int = 0
) -> Cell[Any]:
    """A cell of this form.

    >>> make_cell(Form("gru", reset_after=False), 2, 3)
    GRUCell(2, 3, reset_after=False)
    """
    if not isinstance(form, Form) or form.cell not in GATE_NAMES:  # pyright: ignore[reportUnnecessaryIsInstance]  # a user may pass anything
        raise RnnvizError("error.form", came=repr(form), expected=", ".join(GATE_NAMES))
    if form.cell == "rnn":
        return ElmanCell(input_size, hidden_size, form.nonlinearity, bias=bias)
    if form.cell == "gru":
        return GRUCell(
            input_size,
            hidden_size,
            bias=bias,
            reset_after=form.reset_after,
            gate_activation=form.gate_activation,
            activation=form.activation,
        )
    return LSTMCell(
        input_size,
        hidden_size,
        bias=bias,
        proj_size=proj_size,
        peephole=form.peephole,
        coupled=form.coupled,
        gate_activation=form.gate_activation,
        activation=form.activation,
        output_activation=form.output_activation,
    )
