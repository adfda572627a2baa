"""The fast exact path for torch's cells: every gate from the states that torch itself computed.

Once the module has run, every h_{t−1} is known, so all pre-activations are one matrix product and
all gates one array operation; only c_t and the gradients are recursions (``recursions``). What
comes out is torch's own sums in another order: the output worked out from the gates is compared
with the module's own (``Steps.replayed``), and the tests compare all of it with autograd.

Gradients run in float64 where that is as fast. For large layers of a float32 module they run in
float32, and again in float64 if any leaves the range that float32 holds safely.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnviz.cells import GATE_NAMES, Form
from rnnviz.recurrent import Network, Weights

Array = NDArray[Any]

FLOAT64_UP_TO = 64 * 1024  # entries of U: float64 costs nothing while 8 bytes each fit the cache
NOTHING_HELD: Array = np.empty((0, 0, 0), bool)
SAFE = (1e-20, 1e20)  # row maxima between which float32 loses no part that float32 could show


class Steps(NamedTuple):
    """One layer in one direction, in its own order of time; arrays of (time, batch, unit).

    hidden: what the module computed. arrays: gates, pre-activations and the cell state by name.
    replayed: hidden worked out from these. extra: what only the gradients need.
    """

    hidden: Tensor
    arrays: dict[str, Array]
    replayed: Array
    extra: tuple[Array, ...]


class Gradients(NamedTuple):
    """Total derivatives by name, (time, batch, unit), and by the inputs and the initial state."""

    arrays: dict[str, Array]
    x: Tensor | None
    initial: dict[str, Array]


def replay(
    network: Network, weights: Weights, x: Tensor, h_0: Tensor, c_0: Tensor | None, hidden: Tensor
) -> Steps:
    """Every gate of one layer in one direction.

    x: (time, batch, input); h_0, c_0: (batch, unit); hidden: (time, batch, unit) as computed.
    """
    before = torch.cat((h_0[None], hidden[:-1]))
    if network.kind == "lstm":
        assert c_0 is not None
        return _lstm(weights, x, before, c_0, hidden)
    if network.kind == "gru":
        return _gru(weights, x, before, hidden)
    a = _preactivations(weights, x, before)
    h = torch.tanh(a) if network.nonlinearity == "tanh" else torch.relu(a)
    return Steps(hidden, {"hidden_preactivation": a.numpy()}, h.numpy(), ())


def with_extra(network: Network, weights: Weights, steps: Steps, h_0: Tensor, c_0: Any) -> Steps:
    """Steps that some cell took itself, with what ``differentiate`` needs besides."""
    form, arrays = network.form, steps.arrays
    if form.cell == "rnn":
        return steps
    s = np.concatenate([arrays[name] for name in GATE_NAMES[form.cell]], -1)
    if form.cell == "lstm":
        c = arrays["cell_state"]
        return steps._replace(extra=(s, c, c_0.numpy(), np.tanh(c)))
    if not form.reset_after:
        return steps._replace(extra=(s, h_0.numpy()))
    n = network.hidden_size
    before = torch.cat((h_0[None], steps.hidden[:-1]))
    bias = None if weights.bias_hh is None else weights.bias_hh[2 * n :]
    m = _affine(before, weights.hh[2 * n :], bias)
    return steps._replace(extra=(s, m.numpy(), h_0.numpy()))


def _affine(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return torch.nn.functional.linear(x, weight, bias)


def _preactivations(weights: Weights, x: Tensor, before: Tensor) -> Tensor:
    """W x + U h_{t−1} + b of all steps, in one array."""
    a = _affine(x, weights.ih, weights.bias_ih)
    if weights.bias_hh is not None:
        a += weights.bias_hh
    a.flatten(0, 1).addmm_(before.flatten(0, 1), weights.hh.T)
    return a


def _lstm(weights: Weights, x: Tensor, before: Tensor, c_0: Tensor, hidden: Tensor) -> Steps:
    from rnnviz.engine.kernels import cell_states

    n = c_0.shape[-1]
    a = _preactivations(weights, x, before)
    s = torch.sigmoid(a)
    torch.tanh(a[..., 2 * n : 3 * n], out=s[..., 2 * n : 3 * n])
    c = torch.empty(*a.shape[:2], n, dtype=a.dtype)
    cell_states(s.numpy(), c_0.numpy(), c.numpy())
    q = torch.tanh(c)
    h = s[..., 3 * n :] * q
    if weights.hr is not None:
        h = _affine(h, weights.hr, None)
    arrays = by_gate("lstm", s.numpy(), a.numpy()) | {"cell_state": c.numpy()}
    return Steps(hidden, arrays, h.numpy(), (s.numpy(), c.numpy(), c_0.numpy(), q.numpy()))


def _gru(weights: Weights, x: Tensor, before: Tensor, hidden: Tensor) -> Steps:
    n = before.shape[-1]
    a = _affine(x, weights.ih, weights.bias_ih)
    u = _affine(before, weights.hh, weights.bias_hh)
    m = u[..., 2 * n :]
    a[..., : 2 * n] += u[..., : 2 * n]
    s = torch.sigmoid(a)
    r, z = s[..., :n], s[..., n : 2 * n]
    a[..., 2 * n :] += r * m
    torch.tanh(a[..., 2 * n :], out=s[..., 2 * n :])
    h = (1 - z) * s[..., 2 * n :] + z * before
    extra = (s.numpy(), m.contiguous().numpy(), before[0].numpy())
    return Steps(hidden, by_gate("gru", s.numpy(), a.numpy()), h.numpy(), extra)


def by_gate(kind: str, s: Array, a: Array) -> dict[str, Array]:
    """Gates and their pre-activations by name, of s and a with all side by side."""
    names = GATE_NAMES[kind]
    n = s.shape[-1] // len(names)
    cuts = {name: slice(k * n, (k + 1) * n) for k, name in enumerate(names)}
    gates = {name: s[..., cut] for name, cut in cuts.items()}
    return gates | {f"{name}_preactivation": a[..., cut] for name, cut in cuts.items()}


def differentiate(
    network: Network,
    weights: Weights,
    steps: Steps,
    output_grad: Tensor,
    held: Array = NOTHING_HELD,
    *,
    by_input: bool,
) -> Gradients:
    """Total derivatives of the loss through one layer in one direction.

    output_grad: ∂ℓ/∂output of this layer and direction, (time, batch, unit), 0 where padded.
    held: as the recursions take it. by_input: also the derivative by the layer's input.
    """
    float64 = weights.hh.dtype == torch.float64 or weights.hh.numel() <= FLOAT64_UP_TO
    if not float64 and _fits_float32(output_grad):
        found = _differentiate(network, weights, steps, output_grad, held, torch.float32)
        if all(_safe(d) for d in found.values()):
            return _gradients(network, weights, found, by_input)
    found = _differentiate(network, weights, steps, output_grad, held, torch.float64)
    return _gradients(network, weights, found, by_input)


def _fits_float32(output_grad: Tensor) -> bool:
    top = output_grad.abs().amax(-1)
    return bool(((top == 0) | ((top >= SAFE[0]) & (top <= SAFE[1]))).all())


def _safe(values: Array) -> bool:
    from rnnviz.engine.kernels import stays_within

    return stays_within(values if values.ndim == 3 else values[None], *SAFE)


def _differentiate(
    network: Network,
    weights: Weights,
    steps: Steps,
    output_grad: Tensor,
    held: Array,
    dtype: torch.dtype,
) -> dict[str, Array]:
    """δh, δc, δa (all gates side by side) and the derivatives by the initial state, in dtype."""

    def cast(tensor: Tensor | None) -> Array:
        if tensor is None:
            return np.empty((0, 0), g.dtype)
        return tensor.detach().to("cpu", dtype).contiguous().numpy()

    h = np.ascontiguousarray(steps.hidden.numpy())  # numba compiles once a memory layout
    g = output_grad.to(dtype).numpy()
    u, v, p = map(cast, (weights.hh, weights.hr, weights.peephole))
    return pass_back(network.form, h, steps.extra, g, (u, v, p), held)


def pass_back(
    form: Form,
    h: Array,
    extra: tuple[Array, ...],
    g: Array,
    weights: tuple[Array, Array, Array],
    held: Array,
    *scaled: Any,
) -> dict[str, Array]:
    """δh, δc, δa (all gates side by side) and those by the initial state, in the type of g.

    extra: of ``Steps``. g: what the loss injects. weights: U, V and peepholes in g's type, without
    rows where there are none. held, scaled: as the recursions take them.
    """
    from rnnviz.engine import kernels

    u, v, p = weights
    t, b, width = h.shape
    hidden = len(u) // len(form.gates)
    if form.coupled:  # no gate i has weights, and the recursion's row for it is 0
        u = np.concatenate((np.zeros((hidden, width), g.dtype), u))
        p = np.concatenate((np.zeros((1, hidden), g.dtype), p)) if len(p) else p
    d: dict[str, Array] = {
        "hidden_state": np.empty((t, b, width), g.dtype),
        "preactivation": np.empty((t, b, len(u)), g.dtype),
        "initial_hidden_state": np.empty((b, width), g.dtype),
    }
    d_h, d_a, d_h0 = d.values()
    if form.cell == "rnn":
        number = kernels.RNN_FORMS.index(form.nonlinearity)
        kernels.rnn_gradients(h, number, g, u, d_h, d_a, d_h0, held, *scaled)
    elif form.cell == "gru" and form.reset_after:
        s, m, h_0 = extra
        kernels.gru_gradients(s, m, h, h_0, g, u, d_h, d_a, d_h0, held, *scaled)
    elif form.cell == "gru":
        s, h_0 = extra
        parts = u[: 2 * width], u[2 * width :]
        kernels.gru_reset_before_gradients(s, h, h_0, g, *parts, d_h, d_a, d_h0, held, *scaled)
    else:
        s, c, c_0, q = extra
        d["cell_state"] = d_c = np.empty(c.shape, g.dtype)
        d["initial_cell_state"] = d_c0 = np.empty(c_0.shape, g.dtype)
        outs = d_h, d_c, d_a, d_h0, d_c0
        kernels.lstm_gradients(s, c, c_0, q, g, u, v, p, form.coupled, *outs, held, *scaled)
    if form.coupled:
        d["preactivation"] = d_a[..., hidden:]
    return d


def _gradients(
    network: Network, weights: Weights, found: dict[str, Array], by_input: bool
) -> Gradients:
    d_a = found.pop("preactivation")
    n = network.hidden_size
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
        x = d @ weights.ih.detach().to(d.dtype)
    return Gradients(arrays, x, initial)
