"""Arrays of one layer in one direction, in its own order of time, as Python and the kernels share.

Numba's disk cache identifies a NamedTuple by its class and the types of its fields, not by their
order: to reorder fields, rename the class. A test pins the order of every class.
"""

from typing import Any, NamedTuple

from numpy.typing import NDArray
from torch import Tensor, from_numpy

from rnnviz.cells import GATE_NAMES

Array = NDArray[Any]


class RNNStates(NamedTuple):
    """h: (time, batch, hidden)."""

    h: Array


class GRUStates(NamedTuple):
    """gates: r, z, n side by side. m: U_n h_{t−1} + b_hn, unused with reset before the product."""

    gates: Array
    m: Array
    h: Array


class LSTMStates(NamedTuple):
    """gates: i, f, g, o side by side. q: tanh c. h: (time, batch, projection or hidden)."""

    gates: Array
    c: Array
    q: Array
    h: Array


States = RNNStates | GRUStates | LSTMStates


class GRUWeights(NamedTuple):
    """Of the forward kernel. u: columns of Uᵀ for r and z; u_n: columns for n. b_n: b_hn."""

    u: Array
    u_n: Array
    b_n: Array


class LSTMWeights(NamedTuple):
    """U, projection V and peepholes p_i, p_f, p_o; V and p have no rows where there are none.

    The forward kernel takes Uᵀ and Vᵀ.
    """

    u: Array
    v: Array
    p: Array


class StateGradients(NamedTuple):
    """δh and δa, all gates side by side, per step, and δh_0."""

    h: Array
    a: Array
    h_0: Array


class LSTMGradients(NamedTuple):
    """δh, δc and δa, all gates side by side, per step, and δh_0, δc_0."""

    h: Array
    c: Array
    a: Array
    h_0: Array
    c_0: Array


class EndGradients(NamedTuple):
    """∂ℓ/∂(h_n, c_n) of one layer in one direction, rows h, c · 2^scale.

    last: (batch,), the last step of each sequence in the direction's order, −1 for one without any.
    h, c: (batch, unit), c without columns where there is no cell state. scale: (batch,); 0 unless
    the backward pass is scaled.
    """

    last: Array
    h: Array
    c: Array
    scale: Array


class Scaling(NamedTuple):
    """Exponents e of gradient rows x · 2^e.

    output_grad: (time, batch), of the upstream gradient. rows: (time + 1, batch), receives those of
    the result; the last row is zeros. kept: the exponent to keep rows near (``kept_exponent``).
    """

    output_grad: Array
    rows: Array
    kept: int


class Steps(NamedTuple):
    """What one layer in one direction computed.

    arrays: gates, pre-activations and the cell state by name, (time, batch, unit). replayed: h
    computed from these. states: what the backward kernels read; its h is the module's own.
    """

    arrays: dict[str, Array]
    replayed: Array
    states: States

    @property
    def hidden(self) -> Tensor:
        """The hidden state, (time, batch, unit), as the module computed it."""
        return from_numpy(self.states.h)


class Gradients(NamedTuple):
    """Total derivatives by name, (time, batch, unit); with respect to x and the initial state."""

    arrays: dict[str, Array]
    x: Tensor | None
    initial: dict[str, Array]


def split_gates(cell: str, s: Array, a: Array) -> dict[str, Array]:
    """Gates and their pre-activations by name, from s and a with all gates side by side."""
    names = GATE_NAMES[cell]
    n = s.shape[-1] // len(names)
    columns = {name: slice(k * n, (k + 1) * n) for k, name in enumerate(names)}
    gates = {name: s[..., own] for name, own in columns.items()}
    return gates | {f"{name}_preactivation": a[..., own] for name, own in columns.items()}
