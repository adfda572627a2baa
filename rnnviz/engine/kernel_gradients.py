"""Gradients of one layer in one direction by the compiled kernels.

They run in float64 where that is as fast. For large layers of a float32 module they run in float32,
and again in float64 if any row leaves the range that float32 holds safely.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnviz.cells import Form
from rnnviz.engine.steps import (
    EndGradients,
    Gradients,
    LSTMGradients,
    LSTMStates,
    LSTMWeights,
    RNNStates,
    Scaling,
    StateGradients,
    States,
)
from rnnviz.holding import Held
from rnnviz.recurrent import Network, Weights

Array = NDArray[Any]

FLOAT64_UP_TO = 64 * 1024  # entries of U: float64 costs nothing while 8 bytes each fit the cache
FLOAT32_RANGE = (1e-20, 1e20)  # row maxima between which float32 loses nothing that it could show


def backward_pass(
    network: Network,
    weights: Weights,
    states: States,
    h_0: Tensor,
    c_0: Tensor | None,
    output_grad: Tensor,
    held: Held | None,
    end: EndGradients | None,
    *,
    by_input: bool,
) -> Gradients:
    """Total derivatives of the loss through one layer in one direction.

    output_grad: ∂ℓ/∂output of this layer and direction, (time, batch, unit), 0 where padded.
    end: ∂ℓ/∂(h_n, c_n) in float64, or None. by_input: also the derivative with respect to the
    layer's input.
    """

    def run(dtype: torch.dtype) -> dict[str, Array]:
        g = _cast(output_grad, dtype)
        given = (weights.hh, weights.hr, weights.peephole)
        u, v, p = (np.empty((0, 0), g.dtype) if w is None else _cast(w, dtype) for w in given)
        initial = h_0.numpy(), None if c_0 is None else c_0.numpy()
        return pass_back(network.form, states, initial, g, LSTMWeights(u, v, p), held, end)

    float64 = weights.hh.dtype == torch.float64 or weights.hh.numel() <= FLOAT64_UP_TO
    if not float64 and end is None and _fits_float32(output_grad):
        found = run(torch.float32)
        if all(_in_float32_range(d) for d in found.values()):
            return _gradients(network, weights, found, by_input)
    return _gradients(network, weights, run(torch.float64), by_input)


def _cast(tensor: Tensor, dtype: torch.dtype) -> Array:
    return tensor.to(dtype).contiguous().numpy()  # numba compiles once per memory layout


def _fits_float32(output_grad: Tensor) -> bool:
    largest = output_grad.abs().amax(-1)
    low, high = FLOAT32_RANGE
    return bool(((largest == 0) | ((largest >= low) & (largest <= high))).all())


def _in_float32_range(values: Array) -> bool:
    from rnnviz.engine.kernels import stays_within

    return stays_within(values if values.ndim == 3 else values[None], *FLOAT32_RANGE)


def pass_back(
    form: Form,
    states: States,
    initial: tuple[Array, Array | None],
    output_grad: Array,
    weights: LSTMWeights,
    held: Held | None,
    end: EndGradients | None,
    scaling: Scaling | None = None,
) -> dict[str, Array]:
    """δh, δc, δa (all gates side by side, "preactivation") and those of the initial state.

    All in the type of output_grad, weights and end. initial: h_0, and c_0 of an LSTM.
    """
    from rnnviz.engine import kernels

    u, h, dtype = weights.u, states.h, output_grad.dtype
    hidden = len(u) // len(form.gates)
    if form.coupled:
        weights = _with_input_gate(weights, hidden)
    rows = np.empty((*h.shape[:2], len(weights.u)), dtype)
    d = StateGradients(np.empty(h.shape, dtype), rows, np.empty(h.shape[1:], dtype))
    d_c: dict[str, Array] = {}
    if isinstance(states, RNNStates):
        number = kernels.NONLINEARITIES.index(form.nonlinearity)
        kernels.rnn_gradients(states, number, output_grad, u, d, held, end, scaling)
    elif isinstance(states, LSTMStates):
        c, c_0 = np.empty(states.c.shape, dtype), np.empty(states.c.shape[1:], dtype)
        d_c = {"cell_state": c, "initial_cell_state": c_0}
        out = LSTMGradients(d.h, c, d.a, d.h_0, c_0)
        given = states, initial[1], output_grad, weights, form.coupled
        kernels.lstm_gradients(*given, out, held, end, scaling)
    elif form.reset_after:
        kernels.gru_gradients(states, initial[0], output_grad, u, d, held, end, scaling)
    else:
        u, u_n = u[: 2 * hidden], u[2 * hidden :]
        given = states, initial[0], output_grad, u, u_n
        kernels.gru_reset_before_gradients(*given, d, held, end, scaling)
    a = d.a[..., hidden:] if form.coupled else d.a
    return {"hidden_state": d.h, "preactivation": a, "initial_hidden_state": d.h_0, **d_c}


def _with_input_gate(weights: LSTMWeights, hidden: int) -> LSTMWeights:
    """Zero rows for the gate i, which has no weights in a coupled LSTM; its δa is 0."""
    u, v, p = weights
    u = np.concatenate((np.zeros((hidden, u.shape[1]), u.dtype), u))
    p = np.concatenate((np.zeros((1, hidden), p.dtype), p)) if len(p) else p
    return LSTMWeights(u, v, p)


def _gradients(
    network: Network, weights: Weights, found: dict[str, Array], by_input: bool
) -> Gradients:
    d_a = found.pop("preactivation")
    n = d_a.shape[-1] // len(network.form.gates)
    arrays = {name: found[name] for name in ("hidden_state", "cell_state") if name in found}
    for k, name in enumerate(network.form.gates):
        arrays[f"{name}_preactivation"] = d_a[..., k * n : (k + 1) * n]
    initial = {
        name.removeprefix("initial_"): value
        for name, value in found.items()
        if name.startswith("initial_")
    }
    x = None
    if by_input:
        d = torch.from_numpy(d_a)
        x = d @ weights.ih.to(d.dtype)
    return Gradients(arrays, x, initial)
