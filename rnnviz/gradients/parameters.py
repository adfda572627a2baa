"""Gradients of the loss with respect to the parameters, from the record of one run."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rnnviz.gradients.backpropagation import PartGradients, backpropagate
from rnnviz.gradients.by_step import step_parameter_gradients
from rnnviz.torch_names import parameter_suffix
from rnnviz.trace import Trace
from rnnviz.trace_part import TracePart

Array = NDArray[np.float64]


def parameter_gradients(trace: Trace) -> dict[str, Array]:
    """∂L/∂(every parameter), by the names of torch's stacks and in its layout, in float64.

    Equal to autograd's, also where float32 would under- or overflow on the way; inf beyond 1e308.
    A parameter that layers, directions or biases share has one array under all its names, the sum
    over its uses.

    Names are those of ``trace.parameters``: weight_hh_l0, weight_hh_l1_reverse and so on. Of
    ``nn.RNN``, ``LSTM`` and ``GRU`` these are the names in ``named_parameters()``; of a single cell
    there they lack "_l0", and layer 1 of a ``Recurrent`` has layers.1.0.weight_hh (forward) and
    layers.1.1.weight_hh (backward). Gradients are with respect to the weights as used. For a
    parametrized one, named parametrizations.weight_hh_l0.original, ``weight.backward(gradient)``
    gives that of the original; for a pruned one, named weight_hh_l0_orig, multiply by its mask.
    Frozen parameters (``requires_grad`` False) have their gradient too.
    RnnvizError if the trace was made without a loss.

    >>> module = torch.nn.RNN(1, 1, nonlinearity="relu", bias=False)
    >>> for p in module.parameters(): _ = torch.nn.init.constant_(p, 0.5)
    >>> found = parameter_gradients(rnnviz.trace(module, torch.ones(3, 1), loss="last"))
    >>> found["weight_hh_l0"].item(), found["weight_ih_l0"].item()
    (1.0, 1.75)
    """
    by_layer = backpropagate(trace)
    found: dict[str, Array] = {}
    with np.errstate(invalid="ignore", over="ignore"):  # states that overflowed
        for gradients in (gradients for row in by_layer for gradients in row):
            part = gradients.part
            suffix = parameter_suffix(part.layer, part.direction_number)
            for name, values in _of_part(gradients).items():
                if name + suffix in trace.parameters:
                    found[name + suffix] = values
        by_array: dict[int, Array] = {}
        for name, parameter in trace.parameters.items():
            by_array[id(parameter)] = by_array.get(id(parameter), 0.0) + found[name]
    return {name: by_array[id(parameter)] for name, parameter in trace.parameters.items()}


def _of_part(gradients: PartGradients) -> dict[str, Array]:
    part, form = gradients.part, gradients.part.trace.form
    points = part.step_points()
    if points is not None:
        given = part, points, gradients.arrays, gradients.scale
        own, exponent = step_parameter_gradients(*given)
        return {name: np.ldexp(values, min(exponent, 5000)) for name, values in own.items()}
    # Products with states are formed before this scale is applied: a state may be 0, and 0 · inf
    # is not a number.
    top = max(int(gradients.scale.max()), 0)

    def gradient(name: str) -> Array:
        scale = np.clip(gradients.scale - top, -5000, 0)[..., None]
        return part.reorder(np.ldexp(np.asarray(gradients.arrays[name], np.float64), scale))

    by_gate = {name: gradient(f"{name}_preactivation") for name in form.gates}
    d_a = np.concatenate(list(by_gate.values()), -1)
    d_u, before = d_a, part.before("hidden_state")
    n = d_a.shape[-1] // len(form.gates)
    if form.cell == "gru" and form.reset_after:  # of U_n h + b_hn, which r multiplies
        by_candidate = part.in_order("reset_gate") * d_a[..., 2 * n :]
        d_u = np.concatenate((d_a[..., : 2 * n], by_candidate), -1)
    found = {
        "weight_ih": _outer(d_a, part.reorder(part.inputs())),
        "weight_hh": _outer(d_u, before),
        "bias_ih": d_a.sum((0, 1)),
        "bias_hh": d_u.sum((0, 1)),
    }
    if form.cell == "gru" and not form.reset_after:  # of U_n (r h)
        reset = part.in_order("reset_gate") * before
        found["weight_hh"][2 * n :] = _outer(d_a[..., 2 * n :], reset)
    if form.cell == "lstm":
        found |= _of_cell_state(part, gradient("hidden_state"), by_gate)
    return {name: np.ldexp(values, min(top, 5000)) for name, values in found.items()}


def _of_cell_state(part: TracePart, d_h: Array, by_gate: dict[str, Array]) -> dict[str, Array]:
    """∂L/∂ the projection and the peepholes of an LSTM."""
    c, peepholes = part.in_order("cell_state"), part.trace.form.peepholes
    m = part.in_order("output_gate") * np.tanh(c)
    held = part.held()
    if held is not None:
        d_h = np.where(np.isnan(held.hidden_state), d_h, 0)
    c_before = part.before("cell_state")
    sees = {name: c if name == "output_gate" else c_before for name in peepholes}
    rows = [(by_gate[name] * sees[name]).sum((0, 1)) for name in peepholes]
    return {"weight_hr": _outer(d_h, m), "weight_peephole": np.array(rows)}


def _outer(rows: Array, columns: Array) -> Array:
    """Σ over time and batch of rows ⊗ columns."""
    return rows.reshape(-1, rows.shape[-1]).T @ columns.reshape(-1, columns.shape[-1])
