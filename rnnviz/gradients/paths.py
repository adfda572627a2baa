"""The two ways by which the loss reaches an LSTM's cell state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnviz.errors import RnnvizError
from rnnviz.gradients.backpropagation import (
    Part,
    add_rows,
    backpropagate,
    by_input,
    held_steps,
    normalised,
    own_order,
    parameter,
    times,
    valid_lengths,
)
from rnnviz.gradients.norms import labels_of
from rnnviz.holding import HeldLSTM
from rnnviz.trace import Trace

if TYPE_CHECKING:
    import xarray

Rows = tuple[NDArray[np.float64], NDArray[np.int64]]  # values · 2^scale


def split_cell_gradient(trace: Trace) -> xarray.Dataset:
    """δc_t of an LSTM as the direct path and the way through the gates, which add up to it.

    δh_t is what is put in from outside (the loss, or the layer above) plus Uᵀ δa_{t+1}. Each part
    enters the cell state by o_t (1 − tanh² c_t) and flows on along it by f alone:

    D_t = o_t (1 − tanh² c_t) · (from outside) + f_{t+1} D_{t+1}
    G_t = o_t (1 − tanh² c_t) · Uᵀ δa_{t+1}    + f_{t+1} G_{t+1},   δc_t = D_t + G_t

    With peepholes p_o δa_{o,t} + (p_i δa_i + p_f δa_f)_{t+1} comes to G_t, too. Where a state is
    held, nothing flows on.

    direct: D; through_gates: G; each over (layer, direction, time, batch, unit), with log10_norm_
    before its name over (layer, direction, time, batch), right beyond the float range.
    log10_forget_product: log₁₀ Π_{k ≥ t} f_k by unit, ∂c_T/∂c_{t−1} along the cell state alone.
    NaN where padded. RnnvizError for another cell and for a trace without a loss.

    >>> module = torch.nn.LSTM(1, 1)
    >>> for p in module.parameters(): _ = torch.nn.init.constant_(p, 0.5)
    >>> trace = rnnviz.trace(module.double(), torch.ones(3, 1).double(), loss="last")
    >>> found = split_cell_gradient(trace)
    >>> found["direct"].values.ravel().round(4), found["through_gates"].values.ravel().round(4)
    (array([0.0394, 0.0462, 0.0532]), array([0.0158, 0.0113, 0.    ]))
    >>> trace["grad_cell_state"].values.ravel().round(4)
    array([0.0551, 0.0574, 0.0532])
    """
    import xarray

    if trace.cell != "lstm":
        raise RnnvizError("error.cell_gradient", cell=trace.cell)
    parts = backpropagate(trace)
    with np.errstate(invalid="ignore", over="ignore"):  # states that overflowed
        found = [
            [_of_part(trace, parts, layer, direction) for direction in range(len(row))]
            for layer, row in enumerate(parts)
        ]
    dims = ("layer", "direction", "time", "batch", "unit")
    arrays: dict[str, Any] = {}
    for name in found[0][0]:
        values = np.array([[part[name] for part in row] for row in found])
        arrays[name] = (dims[: values.ndim], values)
    return xarray.Dataset(arrays, labels_of(arrays["direct"][1].shape))


def _of_part(
    trace: Trace, parts: list[list[Part]], layer: int, direction: int
) -> dict[str, NDArray[np.float64]]:
    def own(values: Any) -> NDArray[np.float64]:
        return own_order(trace, values, direction)

    def recorded(name: str) -> NDArray[np.float64]:
        return own(trace.array(name)[layer, direction])

    c, f, o = recorded("cell_state"), recorded("forget_gate"), recorded("output_gate")
    entrance = o * (1 - np.tanh(c) ** 2)
    v = parameter(trace, "weight_hr", layer, direction)
    sources = {
        "direct": _from_outside(trace, parts, layer, direction),
        "through_gates": _from_after(trace, parts[layer][direction], layer, direction),
    }
    held_h: NDArray[np.bool_] | None = None
    if trace.held:
        held = held_steps(trace, layer, direction)
        assert isinstance(held, HeldLSTM)
        f = np.where(np.isnan(held.cell_state), f, 0)
        held_h = ~np.isnan(held.hidden_state)
    padded = np.arange(len(c))[:, None] >= valid_lengths(trace)
    found: dict[str, NDArray[np.float64]] = {}
    for name, (rows, scale) in sources.items():
        rows = rows if held_h is None else np.where(held_h, 0, rows)
        rows, scale = (rows, scale) if v is None else times(rows, scale, v)
        entering = normalised(entrance * rows, scale)
        if name == "through_gates" and trace.form.peephole:
            seen = _through_peepholes(trace, parts[layer][direction], layer, direction)
            entering = normalised(*add_rows([entering, *seen]))
        found[name], found[f"log10_norm_{name}"] = _flow(f, *entering)
    with np.errstate(divide="ignore"):
        logs = np.where(padded[..., None], 0.0, np.log10(np.where(padded[..., None], 1.0, f)))
    found["log10_forget_product"] = np.cumsum(logs[::-1], 0)[::-1]
    for name, values in found.items():
        hidden = padded if values.ndim == 2 else padded[..., None]
        found[name] = np.where(hidden, np.nan, own(values))
    return found


def _flow(
    f: NDArray[np.float64], source: NDArray[np.float64], scale: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from rnnviz.engine.kernels import forget_path, log_norms

    steps, batch = scale.shape
    d, d_scale = np.empty_like(source), np.zeros((steps + 1, batch), np.int64)
    forget_path(f, source, scale, d, d_scale)
    norms = np.empty(scale.shape)
    log_norms(d, d_scale, np.full(batch, steps), False, True, 0.0, np.inf, norms)
    with np.errstate(over="ignore"):
        return np.ldexp(d, np.clip(d_scale[:-1], -5000, 5000)[..., None]), norms


def _from_outside(trace: Trace, parts: list[list[Part]], layer: int, direction: int) -> Rows:
    """What the loss or the layer above injects, (time, batch, unit), in the direction's order."""
    width = trace.array("hidden_state").shape[-1]
    assert trace.output_grad is not None
    rows, scale = trace.output_grad, np.zeros(trace.output_grad.shape[:2], np.int64)
    if layer + 1 < len(parts):
        above = enumerate(parts[layer + 1])
        rows, scale = add_rows([by_input(trace, part, layer + 1, d) for d, part in above])
    rows = own_order(trace, rows[..., direction * width : (direction + 1) * width], direction)
    scale = own_order(trace, scale[..., None], direction)[..., 0].astype(np.int64)
    return normalised(rows, scale)


def _through_peepholes(trace: Trace, part: Part, layer: int, direction: int) -> list[Rows]:
    """p_o δa_o of this step and p_i δa_i, p_f δa_f of the next, each (time, batch, unit)."""
    p = parameter(trace, "weight_peephole", layer, direction)
    assert p is not None
    found: list[Rows] = []
    scale = own_order(trace, part.scale[..., None], direction)[..., 0].astype(np.int64)
    for name, weights in zip(trace.form.peepholes, p, strict=True):
        d_a = own_order(trace, part.arrays[f"{name}_preactivation"], direction)
        if name == "output_gate":
            found.append(normalised(weights * d_a, scale))
        else:
            after, after_scale = np.roll(d_a, -1, 0), np.roll(scale, -1, 0)
            after[-1], after_scale[-1] = 0, 0
            found.append(normalised(weights * after, after_scale))
    return found


def _from_after(trace: Trace, part: Part, layer: int, direction: int) -> Rows:
    """Uᵀ δa_{t+1}, (time, batch, unit), in the direction's order; 0 at the last step."""
    gates = [part.arrays[f"{name}_preactivation"] for name in trace.form.gates]
    d_a = own_order(trace, np.concatenate(gates, -1), direction)
    scale = own_order(trace, part.scale[..., None], direction)[..., 0].astype(np.int64)
    u = parameter(trace, "weight_hh", layer, direction)
    assert u is not None
    d_a, scale = np.roll(d_a, -1, 0), np.roll(scale, -1, 0)
    d_a[-1], scale[-1] = 0, 0
    return times(d_a, scale, u)
