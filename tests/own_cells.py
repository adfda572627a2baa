"""Cells of one's own, as people write them, and what autograd says of them by hand."""

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import hardtanh, linear

import rnnviz
from rnnviz.cells import Cell, ElmanCell, Form, Gates, GRUCell, HeldStep, LSTMCell, as_computed


class Half(ElmanCell):
    """Half of a linear network's step."""

    def step(self, x: Tensor, state: Tensor, held: HeldStep = as_computed) -> tuple[Tensor, Gates]:
        a = linear(x, self.weight_ih) + linear(state, self.weight_hh)
        return held("hidden_state", 0.5 * a), {"hidden_preactivation": a}


class NormedLSTM(LSTMCell):
    """Layer normalisation inside. Ba et al. (2016), with parameters of its own."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.norm, self.norm_c = nn.LayerNorm(4 * hidden_size), nn.LayerNorm(hidden_size)

    def step(self, x: Tensor, state: Any, held: HeldStep = as_computed) -> Any:
        h, c = state
        a = self.norm(linear(x, self.weight_ih) + linear(h, self.weight_hh, self.bias_hh))
        a_i, a_f, a_g, a_o = a.chunk(4, -1)
        f = held("forget_gate", a_f.sigmoid())
        c = f * c + a_i.sigmoid() * a_g.tanh()
        h = a_o.sigmoid() * self.norm_c(c).tanh()
        return (h, c), {"forget_gate": f, "forget_gate_preactivation": a_f}


class MinGRU(Cell[Tensor]):
    """Feng et al. (2024): no state in the gates, other names, no weights of torch's names."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(Form("gru"), input_size, hidden_size, bias=False, proj_size=0)
        del self.weight_ih, self.weight_hh
        self.to_z, self.to_n = (nn.Linear(input_size, hidden_size) for _ in range(2))

    def step(self, x: Tensor, state: Tensor, held: HeldStep = as_computed) -> tuple[Tensor, Gates]:
        a = self.to_z(x)
        mix, new = a.sigmoid(), self.to_n(x)
        h = (1 - mix) * state + mix * new
        return h, {"mix": mix, "new": new, "mix_preactivation": a}

    def initial_state(self, x: Tensor) -> Tensor:
        return x.new_zeros(*x.shape[:-1], self.hidden_size)


class HardGRU(GRUCell):
    """A GRU with gates that are straight lines, cut off."""

    def step(self, x: Tensor, state: Tensor, held: HeldStep = as_computed) -> tuple[Tensor, Gates]:
        x_r, x_z, x_n = linear(x, self.weight_ih, self.bias_ih).chunk(3, -1)
        h_r, h_z, h_n = linear(state, self.weight_hh, self.bias_hh).chunk(3, -1)
        a_r, a_z = x_r + h_r, x_z + h_z
        r = held("reset_gate", hardtanh(0.2 * a_r + 0.5, 0.0, 1.0))
        z = held("update_gate", hardtanh(0.2 * a_z + 0.5, 0.0, 1.0))
        a_n = x_n + r * h_n
        n = held("hidden_candidate", a_n.tanh())
        gates = {"reset_gate": r, "update_gate": z, "hidden_candidate": n}
        return held("hidden_state", (1 - z) * n + z * state), gates | {
            "reset_gate_preactivation": a_r,
            "update_gate_preactivation": a_z,
            "hidden_candidate_preactivation": a_n,
        }


class Residual(ElmanCell):
    """h + a learnt share of tanh, from a learnt initial state."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.share = nn.Parameter(torch.rand(hidden_size))
        self.start = nn.Parameter(torch.randn(hidden_size))

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Gates]:  # pyright: ignore[reportIncompatibleMethodOverride]  # as people write it, without held
        a = linear(x, self.weight_ih, self.bias_ih) + linear(state, self.weight_hh)
        return state + self.share * a.tanh(), {"inner_preactivation": a, "share": self.share}

    def initial_state(self, x: Tensor) -> Tensor:
        return self.start.expand(*x.shape[:-1], -1)


class SoftPeephole(LSTMCell):
    """Peepholes, with a softsign in place of tanh."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, peephole=True)

    def step(self, x: Tensor, state: Any, held: HeldStep = as_computed) -> Any:
        h, c = state
        assert self.weight_peephole is not None
        a = linear(x, self.weight_ih, self.bias_ih) + linear(h, self.weight_hh, self.bias_hh)
        a_i, a_f, a_g, a_o = a.chunk(4, -1)
        a_i, a_f = a_i + self.weight_peephole[0] * c, a_f + self.weight_peephole[1] * c
        i, f = a_i.sigmoid(), held("forget_gate", a_f.sigmoid())
        c = held("cell_state", f * c + i * nn.functional.softsign(a_g))
        a_o = a_o + self.weight_peephole[2] * c
        o = a_o.sigmoid()
        h = held("hidden_state", o * nn.functional.softsign(c))
        sums = {"input_gate": a_i, "forget_gate": a_f, "output_gate": a_o}
        return (h, c), {"input_gate": i, "forget_gate": f, "output_gate": o} | {
            f"{name}_preactivation": a for name, a in sums.items()
        }


CELLS: dict[str, Callable[[int, int], Cell[Any]]] = {
    "half": lambda inputs, hidden: Half(inputs, hidden, "identity"),
    "normed lstm": NormedLSTM,
    "min gru": MinGRU,
    "hard gru": HardGRU,
    "residual": Residual,
    "soft peephole": SoftPeephole,
}


def network(kind: str, inputs: int, hidden: int, layers: int, directions: int) -> Any:
    """A cell in float64, or layers and directions of it."""
    if layers * directions == 1:
        return CELLS[kind](inputs, hidden).double()
    widths = [inputs] + [directions * hidden] * (layers - 1)
    cells = [[CELLS[kind](width, hidden) for _ in range(directions)] for width in widths]
    return rnnviz.Recurrent(cells).double()


class ByHand(NamedTuple):
    """Nodes of autograd's graph of a whole run, by layer, direction, time and sequence.

    output: (time, batch, directions · unit), 0 where padded. states, sums: lists of tensors by
    name. reads: what each layer reads at each step.
    """

    output: Tensor
    x: Tensor
    states: dict[tuple[int, int, int, int], list[Tensor]]
    sums: dict[tuple[int, int, int, int], dict[str, Tensor]]
    starts: dict[tuple[int, int, int], list[Tensor]]


Hold = Callable[[int, int, int], HeldStep | None]


def run_by_hand(module: Any, x: Tensor, lengths: list[int], hold: Hold | None = None) -> ByHand:
    """The steps of every cell called one at a time, one sequence at a time."""
    cells = module.cells if isinstance(module, rnnviz.Recurrent) else [[module]]
    x = x.clone().requires_grad_()
    found = ByHand(x, x, {}, {}, {})
    below = {(t, b): x[t, b : b + 1] for b, length in enumerate(lengths) for t in range(length)}
    for n, layer in enumerate(cells):
        for d, cell in enumerate(layer):
            for b, length in enumerate(lengths):
                state = cell.initial_state(below[0, b])
                found.starts[n, d, b] = list(state) if isinstance(state, tuple) else [state]
                for t in range(length) if d == 0 else reversed(range(length)):
                    held = None if hold is None else hold(n, d, t)
                    x_t = below[t, b]
                    found_t: Any = cell.step(x_t, state, *(() if held is None else (held,)))
                    state, gates = found_t
                    states = list(state) if isinstance(state, tuple) else [state]
                    found.states[n, d, t, b] = states
                    named = {k: v for k, v in gates.items() if k.endswith("_preactivation")}
                    found.sums[n, d, t, b] = named
        below = {
            (t, b): torch.cat([found.states[n, d, t, b][0] for d in range(len(layer))], -1)
            for t, b in below
        }
    zero = torch.zeros_like(below[0, 0])
    rows = [
        torch.cat([below.get((t, b), zero) for b in range(len(lengths))]) for t in range(len(x))
    ]
    return found._replace(output=torch.stack(rows))


def derivatives(by_hand: ByHand, loss: Tensor, name: str) -> np.ndarray:
    """∂loss/∂(a state or pre-activation), (layer, direction, time, batch, unit), NaN if padded."""
    places = ("hidden_state", "cell_state")
    nodes = {
        key: states[places.index(name)] if name in places else by_hand.sums[key][name]
        for key, states in by_hand.states.items()
    }
    found = torch.autograd.grad(
        loss, list(nodes.values()), retain_graph=True, materialize_grads=True, allow_unused=True
    )
    layers, directions, batch = (1 + max(key[axis] for key in nodes) for axis in (0, 1, 3))
    shape = layers, directions, len(by_hand.x), batch, found[0].shape[-1]
    values = np.full(shape, np.nan)
    for key, d in zip(nodes, found, strict=True):
        values[key] = d[0].numpy()
    return values


def jacobian_by_hand(cell: Any, x: Tensor, before: list[Tensor], held: HeldStep | None) -> Any:
    """∂s_t/∂s_{t−1} of one step at one sequence's input and states, by torch."""
    sizes = [len(part) for part in before]

    def step(flat: Tensor) -> Tensor:
        parts = [part[None] for part in flat.split(sizes)]
        state = parts[0] if len(parts) == 1 else tuple(parts)
        after = cell.step(x[None], state)[0] if held is None else cell.step(x[None], state, held)[0]
        return torch.cat([s[0] for s in (after if isinstance(after, tuple) else (after,))])

    return torch.autograd.functional.jacobian(step, torch.cat(before)).numpy()


class OwnElman(ElmanCell):
    """The stock's equations, in a step that only autograd knows."""

    def step(self, x: Any, state: Any, held: HeldStep = as_computed) -> Any:
        return super().step(x, state, held)


class OwnGRU(GRUCell):
    """The stock's equations, and one further gate as wide as the layer."""

    def step(self, x: Any, state: Any, held: HeldStep = as_computed) -> Any:
        h, gates = super().step(x, state, held)
        return h, {**gates, "change": h - state}


class OwnLSTM(LSTMCell):
    """The stock's equations, in a step that only autograd knows."""

    def step(self, x: Any, state: Any, held: HeldStep = as_computed) -> Any:
        return super().step(x, state, held)


OWN = {ElmanCell: OwnElman, GRUCell: OwnGRU, LSTMCell: OwnLSTM}


def own_of(module: nn.Module) -> nn.Module:
    """A copy whose cells compute the same by a step that only autograd knows."""
    copied = copy.deepcopy(module)
    for part in copied.modules():
        if type(part) in OWN:
            part.__class__ = OWN[type(part)]
    return copied
