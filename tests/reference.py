"""Recurrent networks written out as loops over layers, directions, sequences and time steps.

The reference for rnnviz's numbers. It uses only torch operations and autograd, in the dtype of the
weights, and nothing of rnnviz.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]
Nodes = dict[str, Tensor]
Hold = Callable[[str, Tensor], Tensor]
Step = Callable[[Mapping[str, Tensor], Tensor, Nodes, Hold], Nodes]


class Run(NamedTuple):
    """Every quantity as a node of autograd's graph, by name and (layer, direction, time, batch).

    initial, final: by name and (layer, direction, batch). output: (time, batch, directions · unit),
    0 where padded or masked.
    """

    nodes: dict[str, dict[tuple[int, int, int, int], Tensor]]
    initial: dict[str, dict[tuple[int, int, int], Tensor]]
    final: dict[str, dict[tuple[int, int, int], Tensor]]
    output: Tensor


def rnn_step(function: Callable[[Tensor], Tensor]) -> Step:
    def step(w: Mapping[str, Tensor], x: Tensor, state: Nodes, hold: Hold) -> Nodes:
        a = (
            w["weight_ih"] @ x
            + w["bias_ih"]
            + w["weight_hh"] @ state["hidden_state"]
            + w["bias_hh"]
        )
        return {"hidden_preactivation": a, "hidden_state": hold("hidden_state", function(a))}

    return step


def lstm_step(w: Mapping[str, Tensor], x: Tensor, state: Nodes, hold: Hold) -> Nodes:
    a = w["weight_ih"] @ x + w["bias_ih"] + w["weight_hh"] @ state["hidden_state"] + w["bias_hh"]
    before = state["cell_state"]
    rows = len(before)
    coupled = len(a) == 3 * rows
    a_i, a_f, a_g, a_o = (a.new_zeros(rows), *a.chunk(3)) if coupled else a.chunk(4)
    if "weight_peephole" in w:
        p = w["weight_peephole"]
        a_f = a_f + p[-2] * before
        a_i = a_i if coupled else a_i + p[0] * before
    f = hold("forget_gate", a_f.sigmoid())
    i = hold("input_gate", 1 - f if coupled else a_i.sigmoid())
    g = hold("cell_candidate", a_g.tanh())
    c = hold("cell_state", f * before + i * g)
    if "weight_peephole" in w:
        a_o = a_o + w["weight_peephole"][-1] * c
    o = hold("output_gate", a_o.sigmoid())
    h = o * c.tanh()
    sums = {
        "input_gate_preactivation": a_i,
        "forget_gate_preactivation": a_f,
        "cell_candidate_preactivation": a_g,
        "output_gate_preactivation": a_o,
    }
    if coupled:
        sums.pop("input_gate_preactivation")
    return sums | {
        "input_gate": i,
        "forget_gate": f,
        "cell_candidate": g,
        "output_gate": o,
        "cell_state": c,
        "hidden_state": hold("hidden_state", w["weight_hr"] @ h if "weight_hr" in w else h),
    }


def gru_step(*, reset_after: bool) -> Step:
    def step(w: Mapping[str, Tensor], x: Tensor, state: Nodes, hold: Hold) -> Nodes:
        h = state["hidden_state"]
        x_r, x_z, x_n = (w["weight_ih"] @ x + w["bias_ih"]).chunk(3)
        u_r, u_z, u_n = w["weight_hh"].chunk(3)
        b_r, b_z, b_n = w["bias_hh"].chunk(3)
        a_r, a_z = x_r + u_r @ h + b_r, x_z + u_z @ h + b_z
        r, z = hold("reset_gate", a_r.sigmoid()), hold("update_gate", a_z.sigmoid())
        a_n = x_n + (r * (u_n @ h + b_n) if reset_after else u_n @ (r * h) + b_n)
        n = hold("hidden_candidate", a_n.tanh())
        return {
            "reset_gate_preactivation": a_r,
            "update_gate_preactivation": a_z,
            "hidden_candidate_preactivation": a_n,
            "reset_gate": r,
            "update_gate": z,
            "hidden_candidate": n,
            "hidden_state": hold("hidden_state", n - z * n + z * h),
        }

    return step


STEPS: dict[str, Step] = {
    "tanh": rnn_step(torch.tanh),
    "relu": rnn_step(torch.relu),
    "sigmoid": rnn_step(torch.sigmoid),
    "identity": rnn_step(torch.clone),
    "lstm": lstm_step,
    "peephole": lstm_step,
    "coupled": lstm_step,
    "coupled peephole": lstm_step,
    "gru": gru_step(reset_after=True),
    "reset before": gru_step(reset_after=False),
}


def free(_name: str, value: Tensor) -> Tensor:
    """The value unchanged: a ``Hold`` that holds nothing."""
    return value


def weights_of(parameters: Mapping[str, Tensor], suffix: str) -> dict[str, Tensor]:
    """The weights of one layer and direction, by name without suffix; missing biases are 0."""
    ends = {name: p for name, p in parameters.items() if name.endswith(suffix)}
    found = {name.removesuffix(suffix): p for name, p in ends.items()}
    rows = len(found["weight_ih"])
    zero = found["weight_ih"].new_zeros(rows)
    return {"bias_ih": zero, "bias_hh": zero, **found}


def run(
    form: str,
    parameters: Mapping[str, Tensor],
    x: Tensor,
    initial: Mapping[str, Tensor | list[Tensor]],
    lengths: list[int],
    held: Mapping[str, Array] | None = None,
    mask: NDArray[np.bool_] | None = None,
) -> Run:
    """Runs a network of ``form``, a name in STEPS, over padded inputs.

    parameters: by torch's names of a stack. x: (time, batch, feature). initial: hidden_state and
    cell_state, by layer (direction, batch, unit). held: the held values by name,
    (layer, direction, time, unit), NaN where nothing is held. mask: (time, batch), true at the
    steps that are read.
    """
    h_0 = initial["hidden_state"]
    layers, (directions, batch) = len(h_0), h_0[0].shape[:2]
    starts = {
        name: {
            (n, d, b): values[n][d, b].clone().requires_grad_()
            for n in range(layers)
            for d in range(directions)
            for b in range(batch)
        }
        for name, values in initial.items()
    }
    nodes: dict[str, dict[tuple[int, int, int, int], Tensor]] = {}
    final: dict[str, dict[tuple[int, int, int], Tensor]] = {name: {} for name in starts}
    reads = [[t for t in range(lengths[b]) if mask is None or mask[t, b]] for b in range(batch)]
    below = {(t, b): x[t, b] for b in range(batch) for t in reads[b]}
    for n in range(layers):
        for d in range(directions):
            weights = weights_of(parameters, f"_l{n}" + "_reverse" * d)
            for b in range(batch):
                state = {name: starts[name][n, d, b] for name in starts}
                for t in reads[b] if d == 0 else reversed(reads[b]):
                    hold = _hold({k: rows[n, d, t] for k, rows in (held or {}).items()})
                    state = STEPS[form](weights, below[t, b], state, hold)
                    for name, node in state.items():
                        nodes.setdefault(name, {})[n, d, t, b] = node
                for name in starts:
                    final[name][n, d, b] = state[name]
        hidden = nodes["hidden_state"]
        below = {
            (t, b): torch.cat([hidden[n, d, t, b] for d in range(directions)]) for t, b in below
        }
    zero = torch.zeros_like(next(iter(below.values())))
    rows = [[below.get((t, b), zero) for b in range(batch)] for t in range(len(x))]
    return Run(nodes, starts, final, torch.stack([torch.stack(row) for row in rows]))


def _hold(rows: Mapping[str, Array]) -> Hold:
    def hold(name: str, value: Tensor) -> Tensor:
        if name not in rows:
            return value
        fixed = torch.tensor(rows[name])
        return torch.where(fixed.isnan(), value, fixed)

    return hold


def arrays(written: Run) -> dict[str, Array]:
    """Every quantity as (layer, direction, time, batch, unit), NaN where there is none."""
    return {name: _array(nodes, written) for name, nodes in written.nodes.items()}


def gradients(written: Run, loss: Tensor) -> tuple[dict[str, Array], dict[str, Array]]:
    """Total derivatives of the loss by every quantity but the gates, and by the initial states."""
    wanted = {
        name: nodes
        for name, nodes in written.nodes.items()
        if name.endswith(("_state", "_preactivation"))
    }
    flat = [
        node for nodes in (*wanted.values(), *written.initial.values()) for node in nodes.values()
    ]
    found = iter(torch.autograd.grad(loss, flat, materialize_grads=True))
    by_nodes = {
        name: _array({key: next(found) for key in nodes}, written) for name, nodes in wanted.items()
    }
    by_initial = {
        name: padded([next(found).numpy() for _ in nodes])
        for name, nodes in written.initial.items()
    }
    return by_nodes, by_initial


def step_back(
    form: str, parameters: Mapping[str, Tensor], x: Tensor, states: Mapping[str, Array]
) -> dict[str, Array]:
    """Derivatives of the sum of the last hidden state, (time, unit), one step at a time.

    Every step starts from a recorded state, the first from zero. x: (time, feature).
    """
    weights = weights_of(parameters, "_l0")
    after = {name: torch.zeros(values.shape[1]).double() for name, values in states.items()}
    after["hidden_state"] += 1
    rows: dict[str, list[Array]] = {}
    for t in reversed(range(len(x))):
        before = {
            name: torch.tensor(values[t - 1] * (t > 0)).double().requires_grad_()
            for name, values in states.items()
        }
        nodes = STEPS[form](weights, x[t], before, free)
        outputs = [nodes[name] for name in states]
        wanted = {name: node for name, node in nodes.items() if name.endswith("_preactivation")}
        wanted |= {name: nodes[name] for name in states if name == "cell_state"}
        found = torch.autograd.grad(
            outputs, [*before.values(), *wanted.values()], [after[name] for name in states]
        )
        named = {"hidden_state": after["hidden_state"]}
        named |= dict(zip(wanted, found[len(before) :], strict=True))
        for name, value in named.items():
            rows.setdefault(name, []).append(value.numpy())
        after = dict(zip(before, found, strict=False))
    return {name: np.array(values[::-1]) for name, values in rows.items()}


def _array(nodes: dict[tuple[int, int, int, int], Tensor], written: Run) -> Array:
    layers, directions = (1 + max(key[axis] for key in nodes) for axis in (0, 1))
    units = max(map(len, nodes.values()))
    values = np.full((layers, directions, *written.output.shape[:2], units), np.nan)
    for key, node in nodes.items():
        values[key][: len(node)] = node.detach().numpy()
    return values


def padded(rows: list[Array]) -> Array:
    """Rows of any width as one array, with NaN after the shorter ones."""
    found = np.full((len(rows), max(map(len, rows))), np.nan)
    for whole, row in zip(found, rows, strict=True):
        whole[: len(row)] = row
    return found
