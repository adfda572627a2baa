"""The gradients that an optimiser would get, from the record of one run."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnviz.gradients.backpropagation import (
    Part,
    backpropagate,
    held_steps,
    own_order,
    states_before,
    valid_lengths,
)
from rnnviz.trace import Trace

Array = NDArray[np.float64]


def parameter_gradients(trace: Trace) -> dict[str, Array]:
    """∂L/∂ every parameter, by torch's names and in its layout, in float64.

    What autograd gives, right also where float32 would lose the way there; inf beyond 1e308.
    RnnvizError if the trace was made without a loss.

    >>> module = torch.nn.RNN(1, 1, nonlinearity="relu", bias=False)
    >>> for p in module.parameters(): _ = torch.nn.init.constant_(p, 0.5)
    >>> found = parameter_gradients(rnnviz.trace(module, torch.ones(3, 1), loss="last"))
    >>> found["weight_hh_l0"].item(), found["weight_ih_l0"].item()
    (1.0, 1.75)
    """
    parts = backpropagate(trace)
    found: dict[str, Array] = {}
    with np.errstate(invalid="ignore", over="ignore"):  # states that overflowed
        for layer, row in enumerate(parts):
            for direction, part in enumerate(row):
                suffix = f"_l{layer}{'_reverse' * direction}"
                for name, values in _of_part(trace, part, layer, direction).items():
                    if name + suffix in trace.parameters:
                        found[name + suffix] = values
    return {name: found[name] for name in trace.parameters}


def _of_part(trace: Trace, part: Part, layer: int, direction: int) -> dict[str, Array]:
    def own(values: Any) -> Array:
        return own_order(trace, values, direction)

    # Rows beyond 2^700 wait for their states, which may be as small or 0: 0 · inf is no number.
    top = max(int(part.scale.max()), 0)

    def gradient(name: str) -> Array:
        scale = np.clip(part.scale - top, -5000, 0)[..., None]
        return own(np.ldexp(np.asarray(part.arrays[name], np.float64), scale))

    def recorded(name: str) -> Array:
        return own(trace.array(name)[layer, direction])

    form = trace.form
    by_gate = {name: gradient(f"{name}_preactivation") for name in form.gates}
    d_a = np.concatenate(list(by_gate.values()), -1)
    d_u, before = d_a, states_before(trace, "hidden_state", layer, direction)
    n = d_a.shape[-1] // len(form.gates)
    if form.cell == "gru" and form.reset_after:  # of U_n h + b_hn, which r multiplies
        d_u = np.concatenate((d_a[..., : 2 * n], recorded("reset_gate") * d_a[..., 2 * n :]), -1)
    found = {
        "weight_ih": _outer(d_a, own(_read(trace, layer))),
        "weight_hh": _outer(d_u, before),
        "bias_ih": d_a.sum((0, 1)),
        "bias_hh": d_u.sum((0, 1)),
    }
    if form.cell == "gru" and not form.reset_after:  # of U_n (r h)
        found["weight_hh"][2 * n :] = _outer(d_a[..., 2 * n :], recorded("reset_gate") * before)
    if form.cell == "lstm":
        c = recorded("cell_state")
        m, d_h = recorded("output_gate") * np.tanh(c), gradient("hidden_state")
        if "hidden_state" in trace.held:
            held = held_steps(trace, layer, direction)
            assert held is not None
            d_h = np.where(np.isnan(held.hidden_state), d_h, 0)
        found["weight_hr"] = _outer(d_h, m)
        c_before = states_before(trace, "cell_state", layer, direction)
        sees = {name: c if name == "output_gate" else c_before for name in form.peepholes}
        rows = [(by_gate[name] * sees[name]).sum((0, 1)) for name in form.peepholes]
        found["weight_peephole"] = np.array(rows)
    return {name: np.ldexp(values, min(top, 5000)) for name, values in found.items()}


def _outer(rows: Array, columns: Array) -> Array:
    """Σ over time and batch of rows ⊗ columns."""
    return rows.reshape(-1, rows.shape[-1]).T @ columns.reshape(-1, columns.shape[-1])


def _read(trace: Trace, layer: int) -> Array:
    """What a layer reads, (time, batch, feature), 0 where padded."""
    if layer == 0:
        x = np.array(trace.array("input"), np.float64)
    else:
        below = trace.array("hidden_state")[layer - 1]
        x = np.concatenate(list(below), -1).astype(np.float64)
    x[np.arange(len(x))[:, None] >= valid_lengths(trace)] = 0
    return x
