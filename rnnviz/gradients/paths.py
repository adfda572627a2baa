"""The two paths by which a gradient reaches an LSTM's cell state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnviz.activations import slope
from rnnviz.cells import Form
from rnnviz.engine.layers import stack_layers
from rnnviz.errors import RnnvizError
from rnnviz.gradients.backpropagation import (
    PartGradients,
    backpropagate,
    by_input,
    output_slice,
)
from rnnviz.gradients.norms import labels_of
from rnnviz.gradients.rows import Rows, add_rows, normalised, times
from rnnviz.holding import HeldLSTM
from rnnviz.trace import Trace, expect_trace
from rnnviz.trace_part import TracePart

if TYPE_CHECKING:
    import xarray


def split_cell_gradient(trace: Trace) -> xarray.Dataset:
    """δc_t of an LSTM as the sum of a direct path and a path through the gates.

    δh_t is the upstream gradient (of the loss or of the layer above) plus Uᵀ δa_{t+1}. Each term
    enters the cell state with the factor o_t (1 − tanh² c_t) and continues along it by f alone:

    D_t = o_t (1 − tanh² c_t) · (upstream)  + f_{t+1} D_{t+1}
    G_t = o_t (1 − tanh² c_t) · Uᵀ δa_{t+1} + f_{t+1} G_{t+1},   δc_t = D_t + G_t

    At the last step D_t also has ∂ℓ/∂c_n, and the upstream gradient ∂ℓ/∂h_n, if the loss reads the
    final state. With peepholes, G_t also has p_o δa_{o,t} + (p_i δa_i + p_f δa_f)_{t+1}. A held
    state passes no gradient on.

    direct: D; through_gates: G; each over (layer, direction, time, batch, unit). log10_norm_direct
    and log10_norm_through_gates, over (layer, direction, time, batch), are exact beyond the float
    range. log10_forget_product: log₁₀ Π_{k ≥ t} |f_k| per unit, ∂c_T/∂c_{t−1} along the cell state.
    NaN where padded. RnnvizError for another cell, for one with a step of its own, of which these
    paths are not known, and for a trace without a loss.

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

    expect_trace(trace)
    if trace.cell != "lstm":
        raise RnnvizError("error.cell_gradient", cell=trace.cell)
    if trace.own_step:
        module = trace.module_repr.partition("(")[0]
        raise RnnvizError("error.own_equations", what="split_cell_gradient", module=module)
    by_layer = backpropagate(trace)
    with np.errstate(invalid="ignore", over="ignore"):  # states that overflowed
        found = [
            [_of_part(gradients, above) for gradients in row]
            for row, above in zip(by_layer, [*by_layer[1:], []], strict=True)
        ]
    dims = ("layer", "direction", "time", "batch", "unit")
    arrays: dict[str, Any] = {}
    for name in found[0][0]:
        values = stack_layers([np.stack([part[name] for part in row]) for row in found])
        arrays[name] = (dims[: values.ndim], values)
    return xarray.Dataset(arrays, labels_of(arrays["direct"][1].shape))


def _of_part(
    gradients: PartGradients, above: list[PartGradients]
) -> dict[str, NDArray[np.float64]]:
    """The arrays of one part. above: the gradients of the next layer, empty for the last."""
    part, trace = gradients.part, gradients.part.trace
    c, f, o = (part.in_order(name) for name in ("cell_state", "forget_gate", "output_gate"))
    entrance = o * _output_slope(trace.form, c)
    v = part.parameter("weight_hr")
    sources = {"direct": _upstream(part, above), "through_gates": _from_next_step(gradients)}
    held_h: NDArray[np.bool_] | None = None
    held = part.held()
    if isinstance(held, HeldLSTM):
        f, held_h = np.where(np.isnan(held.cell_state), f, 0), ~np.isnan(held.hidden_state)
    padded = np.arange(len(c))[:, None] >= trace.valid_lengths
    found: dict[str, NDArray[np.float64]] = {}
    for name, (rows, scale) in sources.items():
        rows = rows if held_h is None else np.where(held_h, 0, rows)
        rows, scale = (rows, scale) if v is None else times(rows, scale, v)
        entering = normalised(entrance * rows, scale)
        if name == "direct":
            entering = normalised(*_with_end(part, *entering, "cell_state"))
        elif trace.form.peephole:
            entering = normalised(*add_rows([entering, *_through_peepholes(gradients)]))
        found[name], found[f"log10_norm_{name}"] = _along_cell_state(f, *entering)
    with np.errstate(divide="ignore"):
        logs = np.where(
            padded[..., None], 0.0, np.log10(np.where(padded[..., None], 1.0, np.abs(f)))
        )
    found["log10_forget_product"] = np.cumsum(logs[::-1], 0)[::-1]
    for name, values in found.items():
        valid = trace.valid if values.ndim == 2 else trace.valid[..., None]
        found[name] = np.where(valid, part.restore(values), np.nan)
    return found


def _output_slope(form: Form, c: NDArray[np.float64]) -> NDArray[np.float64]:
    """φ′(c) of h = o φ(c)."""
    name = str(form.output_activation)
    return 1 - np.tanh(c) ** 2 if name == "tanh" else slope(name, c)


def _along_cell_state(
    f: NDArray[np.float64], source: NDArray[np.float64], scale: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """x_t = source_t + f_{t+1} x_{t+1}, and log₁₀ of its norms, (time, batch)."""
    from rnnviz.engine.kernels import forget_path, log_norms

    steps, batch = scale.shape
    d, d_scale = np.empty_like(source), np.zeros((steps + 1, batch), np.int64)
    forget_path(f, source, scale, d, d_scale)
    norms = np.empty(scale.shape)
    log_norms(d, d_scale, np.full(batch, steps), False, True, 0.0, np.inf, norms)
    with np.errstate(over="ignore"):
        return np.ldexp(d, np.clip(d_scale[:-1], -5000, 5000)[..., None]), norms


def _upstream(part: TracePart, above: list[PartGradients]) -> Rows:
    """∂ℓ/∂h_t of the loss or of the layer above, (time, batch, unit), in the direction's order."""
    output_grad = part.trace.output_grad
    assert output_grad is not None
    rows, scale = output_grad, np.zeros(output_grad.shape[:2], np.int64)
    if above:
        rows, scale = add_rows([by_input(gradients) for gradients in above])
    rows = part.reorder(rows[..., output_slice(part)])
    return normalised(*_with_end(part, rows, part.reorder(scale, np.int64), "hidden_state"))


def _with_end(
    part: TracePart, rows: NDArray[np.float64], scale: NDArray[np.int64], name: str
) -> Rows:
    """Rows in the direction's order, with ∂ℓ/∂h_n or ∂ℓ/∂c_n added at each sequence's last step."""
    if not part.trace.final_grad:
        return rows, scale
    return add_rows([(rows, scale), normalised(part.grad_at_end(name), np.zeros_like(scale))])


def _through_peepholes(gradients: PartGradients) -> list[Rows]:
    """p_o δa_o of this step and p_i δa_i, p_f δa_f of the next, each (time, batch, unit)."""
    part, scale = gradients.part, gradients.scale_in_order()
    p = part.parameter("weight_peephole")
    assert p is not None
    found: list[Rows] = []
    for name, weights in zip(part.trace.form.peepholes, p, strict=True):
        d_a = part.reorder(gradients.arrays[f"{name}_preactivation"])
        if name == "output_gate":
            found.append(normalised(weights * d_a, scale))
        else:
            after, after_scale = np.roll(d_a, -1, 0), np.roll(scale, -1, 0)
            after[-1], after_scale[-1] = 0, 0
            found.append(normalised(weights * after, after_scale))
    return found


def _from_next_step(gradients: PartGradients) -> Rows:
    """Uᵀ δa_{t+1}, (time, batch, unit), in the direction's order; 0 at the last step."""
    d_a = np.roll(gradients.part.reorder(gradients.preactivations()), -1, 0)
    scale = np.roll(gradients.scale_in_order(), -1, 0)
    d_a[-1], scale[-1] = 0, 0
    return times(d_a, scale, gradients.part.weight_hh)
