"""A convention's own equations on its own packed weights, in NumPy and float64.

Independent of ``rnnviz.cells``, so that each can be tested against the other.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnviz.cells import Form
from rnnviz.conventions.activations import numpy_function
from rnnviz.conventions.arrays import PackedSizes, check_run
from rnnviz.conventions.packing import read_blocks
from rnnviz.conventions.table import Convention

Float = NDArray[np.float64]
Gate = Mapping[str, Float]


def run_packed(
    packed: Mapping[str, NDArray[Any]],
    x: NDArray[Any],
    form: Form,
    convention: Convention,
    state: Any = None,
) -> Float:
    """Hidden states over time, (time, batch, hidden), by the convention's equations, in float64.

    packed: one layer in one direction, as ``pack`` gives it. x: (time, batch, input).
    state: h, (batch, hidden), for an LSTM the pair (h, c); zeros if none is given.
    RnnvizError for weights that the form cannot have in the convention, and for other shapes.

    >>> from rnnviz.conventions import KERAS
    >>> one = {"kernel": np.ones((1, 1)), "recurrent_kernel": np.full((1, 1), 0.5)}
    >>> run_packed(one, np.ones((2, 1, 1)), Form("rnn"), KERAS).ravel().round(4).tolist()
    [0.7616, 0.8811]
    """
    blocks = read_blocks(packed, form, convention)
    gates = convention.order(form)
    w, u = ({g: m[k].astype(np.float64) for k, g in enumerate(gates)} for m in blocks[:2])
    zeros = np.zeros((2, len(gates), blocks.w.shape[1]))
    if blocks.b is not None:
        zeros[: len(blocks.b)] = blocks.b
    b, b_h = ({gate: half[k] for k, gate in enumerate(gates)} for half in zeros)
    sizes = PackedSizes(blocks.w.shape[2], blocks.w.shape[1], blocks.u.shape[2])
    x, (h, *c) = check_run(x, state, form, sizes)
    if form.cell == "lstm":
        a = {gate: x @ w[gate].T + b[gate] + b_h[gate] for gate in gates}
        rows = {} if blocks.p is None else dict(enumerate(blocks.p.astype(np.float64)))
        p = {gate: rows[k] for k, gate in enumerate(convention.peephole_order(form))}
        coupled = convention.coupled if form.coupled else ""
        return _lstm(form, a, u, p, blocks.v, coupled, h, c[0])
    a = {gate: x @ w[gate].T + b[gate] for gate in gates}
    if form.cell == "rnn":
        return _rnn(a["hidden"] + b_h["hidden"], u["hidden"], form.nonlinearity, h)
    after = form.reset_after if convention.reset_after is None else convention.reset_after
    return _gru(form, a, u, b_h, h, reset_after=after, update_keeps=convention.update_keeps)


def _rnn(a: Float, u: Float, nonlinearity: str, h: Float) -> Float:
    hidden: list[Float] = []
    phi = numpy_function(nonlinearity)
    for a_t in a:
        h = phi(a_t + h @ u.T)
        hidden.append(h)
    return np.stack(hidden)


def _gru(
    form: Form, a: Gate, u: Gate, b_h: Gate, h: Float, *, reset_after: bool, update_keeps: bool
) -> Float:
    sigma, phi = numpy_function(form.gate_activation), numpy_function(form.activation)
    reset, update, new = "reset_gate", "update_gate", "hidden_candidate"
    hidden: list[Float] = []
    for t in range(len(a[reset])):
        r = sigma(a[reset][t] + h @ u[reset].T + b_h[reset])
        z = sigma(a[update][t] + h @ u[update].T + b_h[update])
        if reset_after:
            n = phi(a[new][t] + r * (h @ u[new].T + b_h[new]))
        else:
            n = phi(a[new][t] + (r * h) @ u[new].T + b_h[new])
        h = z * h + (1 - z) * n if update_keeps else (1 - z) * h + z * n
        hidden.append(h)
    return np.stack(hidden)


def _lstm(
    form: Form, a: Gate, u: Gate, p: Gate, v: Float | None, coupled: str, h: Float, c: Float
) -> Float:
    """coupled: "own": i = 1 − f; "input": f = 1 − i; "": both have their own rows."""
    names = form.gate_activation, form.activation, str(form.output_activation)
    sigma, phi, psi = map(numpy_function, names)
    hidden: list[Float] = []

    def gate(name: str, t: int, c: Float) -> Float:
        return sigma(a[name][t] + h @ u[name].T + p.get(name, 0.0) * c)

    for t in range(len(a["cell_candidate"])):
        g = phi(a["cell_candidate"][t] + h @ u["cell_candidate"].T)
        if coupled == "own":
            f = gate("forget_gate", t, c)
            i = 1 - f
        else:
            i = gate("input_gate", t, c)
            f = 1 - i if coupled == "input" else gate("forget_gate", t, c)
        c = f * c + i * g
        h = gate("output_gate", t, c) * psi(c)
        if v is not None:
            h = h @ v.T
        hidden.append(h)
    return np.stack(hidden)
