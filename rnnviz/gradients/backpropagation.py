"""Backpropagation through time on a trace, exact however small or large the gradients get.

Recorded gradients whose rows all lie well inside float64 are used as they are. Otherwise the
backward kernels run again on rows x · 2^e (``engine.kernels``), at the recorded gates and states:
as in autograd, a tanh that was rounded to 1 has the derivative 0.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnviz.cells import GATE_NAMES
from rnnviz.engine.kernel_gradients import pass_back
from rnnviz.engine.steps import (
    EndGradients,
    GRUStates,
    LSTMStates,
    LSTMWeights,
    RNNStates,
    Scaling,
    States,
)
from rnnviz.errors import RnnvizError
from rnnviz.gradients.by_step import differentiate_steps
from rnnviz.gradients.rows import Rows, add_rows, normalised, times
from rnnviz.trace import Trace, expect_trace
from rnnviz.trace_part import TracePart, parts_by_layer

Array = NDArray[Any]
SAFE = (1e-200, 1e200)  # of a row's largest entry: 1e-108 of it is still a normal float64


class PartGradients(NamedTuple):
    """Gradients of one layer in one direction, values · 2^scale, in the input's order.

    arrays: by the name of what the loss is differentiated with respect to, (time, batch, unit);
    undefined where padded. scale: (time, batch). norms: log₁₀ of the norms by name, (time, batch).
    by_x: with respect to what the layer reads, where its step was followed and it is not Wᵀ δa.
    """

    part: TracePart
    arrays: dict[str, Array]
    scale: NDArray[np.int64]
    norms: dict[str, NDArray[np.float64]]
    by_x: Array | None = None

    def preactivations(self) -> Array:
        """δa of all gates side by side, (time, batch, gates · unit), without the scale."""
        gates = self.part.trace.form.gates
        return np.concatenate([self.arrays[f"{name}_preactivation"] for name in gates], -1)

    def scale_in_order(self) -> NDArray[np.int64]:
        """The scale in the direction's order; 0 where padded."""
        return np.array(self.part.reorder(self.scale, np.int64), order="C")


def backpropagate(trace: Trace) -> list[list[PartGradients]]:
    """The gradients of every layer and direction; RnnvizError if the trace has none."""
    expect_trace(trace)
    if trace.output_grad is None:
        raise RnnvizError("error.no_gradients")
    found: list[list[PartGradients]] = []
    for row in parts_by_layer(trace):
        recorded: list[PartGradients] = []
        for part in row:
            gradients = _recorded(part)
            if gradients is None:
                with np.errstate(invalid="ignore", over="ignore"):  # states that overflowed
                    return _rescaled(trace)
            recorded.append(gradients)
        found.append(recorded)
    return found


def output_slice(part: TracePart) -> slice:
    """Where this direction's units are in a layer's output, both directions side by side."""
    width = part.output_units
    return slice(part.direction_number * width, (part.direction_number + 1) * width)


def _recorded(part: TracePart) -> PartGradients | None:
    """The gradients as recorded; None if any of them is not safely inside float64.

    A state's gradient that is 0 may have underflowed. Beside a nonzero one, a pre-activation's
    cannot have: it is 0 where the gate has no effect, as a forget gate with c_{t−1} = 0.
    """
    arrays = {name: part.array(f"grad_{name}") for name in part.trace.differentiated}
    scale = np.zeros(arrays["hidden_state"].shape[:2], np.int64)
    return _measured(part, arrays, scale, *SAFE)


def _measured(
    part: TracePart,
    arrays: dict[str, Array],
    scale: NDArray[np.int64],
    smallest: float = 0.0,
    largest: float = math.inf,
) -> PartGradients | None:
    """Gradients with their norms; None if a largest entry is not between the two sizes."""
    from rnnviz.engine.kernels import log_norms

    lengths, backward, masked = part.trace.valid_lengths, part.is_backward, part.trace.mask
    read, read_scale = arrays, scale
    if masked is not None:  # the kernel takes steps that follow one another
        read = {name: part.reorder(values) for name, values in arrays.items()}
        read_scale, backward = part.reorder(scale, np.int64), False
    norms: dict[str, NDArray[np.float64]] = {}
    for name, values in read.items():
        found = np.empty(scale.shape)
        bounds = (name.endswith("_preactivation"), smallest, largest)
        if not log_norms(values, read_scale, lengths, backward, *bounds, found) and smallest > 0:
            return None
        norms[name] = found if masked is None else part.flip_back(found)
    return PartGradients(part, arrays, scale, norms)


def _rescaled(trace: Trace) -> list[list[PartGradients]]:
    """All layers from the last down, each from the gradient of the layer above, with its scale."""
    assert trace.output_grad is not None
    output_grad, scale = trace.output_grad, np.zeros(trace.output_grad.shape[:2], np.int64)
    found: list[list[PartGradients]] = []
    for parts in reversed(parts_by_layer(trace)):
        row: list[PartGradients] = []
        for part in parts:
            g = output_grad[..., output_slice(part)]
            row.append(_differentiate(part, *normalised(g, scale)))
        found.insert(0, row)
        if parts[0].layer > 0:
            output_grad, scale = add_rows([by_input(gradients) for gradients in row])
    return found


def by_input(gradients: PartGradients) -> Rows:
    """∂L/∂(what the layer reads), Wᵀ δa, as (time, batch, feature) rows and scale."""
    if gradients.by_x is not None:
        return normalised(gradients.by_x, gradients.scale)
    return times(gradients.preactivations(), gradients.scale, gradients.part.weight_ih)


def _differentiate(
    part: TracePart, output_grad: NDArray[np.float64], output_grad_scale: NDArray[np.int64]
) -> PartGradients:
    """The gradients of one part. output_grad: rows · 2^output_grad_scale, in the input's order."""
    from rnnviz.engine.kernels import kept_exponent

    points = part.step_points()
    if points is not None:
        steps = differentiate_steps(part, points, output_grad, output_grad_scale)
        own = _measured(part, steps.arrays, steps.scale)
        assert own is not None
        return own._replace(by_x=steps.by_x)
    kept = kept_exponent(_binary_growth(part))
    g_scale = np.array(part.flip(output_grad_scale))
    scale = np.zeros((len(g_scale) + 1, g_scale.shape[1]), np.int64)
    found = recurse(part, output_grad, np.float64, Scaling(g_scale, scale, kept))
    d_a, gates = found.pop("preactivation"), part.trace.form.gates
    for name, values in zip(gates, np.split(d_a, len(gates), -1), strict=True):
        found[f"{name}_preactivation"] = values
    arrays = {name: part.restore(values) for name, values in found.items()}
    gradients = _measured(part, arrays, np.array(part.flip_back(scale[:-1])))
    assert gradients is not None
    return gradients


def _binary_growth(part: TracePart) -> int:
    """Binary places by which one step can enlarge a gradient; RnnvizError beyond the range."""
    from rnnviz.engine.kernels import MAX_GROWTH, growth

    matrices = (part.parameter("weight_hh"), part.parameter("weight_hr"))
    peephole = part.parameter("weight_peephole")
    places = growth(*(w for w in matrices if w is not None))
    places += 0 if peephole is None else max(0, growth(peephole))
    if places > MAX_GROWTH:
        decades, maximum = (int(n * math.log10(2)) for n in (places, MAX_GROWTH))
        raise RnnvizError("error.gradient_room", layer=part.layer, decades=decades, most=maximum)
    return places


def recurse(
    part: TracePart, output_grad: Array, dtype: Any, scaling: Scaling | None = None
) -> dict[str, Array]:
    """δh, δc and δa, all gates side by side, at the recorded states, computed in dtype.

    output_grad: (time, batch, unit), in the input's order; the result is in the direction's.
    scaling: for rows x · 2^e.
    """
    form = part.trace.form

    def cast(values: Array | None) -> Array:
        return np.require(np.empty((0, 0)) if values is None else values, dtype, ("C", "W"))

    def read(*names: str) -> Array:
        arrays = [part.array(name) for name in names]
        together = np.concatenate(arrays, -1, dtype=dtype, casting="same_kind")
        return cast(part.reorder(together, dtype))

    states: States = RNNStates(read("hidden_state"))
    if form.cell == "lstm":
        c = read("cell_state")
        states = LSTMStates(read(*GATE_NAMES["lstm"]), c, np.tanh(c), states.h)
    elif form.cell == "gru":
        m = cast(part.candidate_recurrence()) if form.reset_after else states.h
        states = GRUStates(read(*GATE_NAMES["gru"]), m, states.h)
    c_0 = cast(part.initial("cell_state")) if form.cell == "lstm" else None
    initial = cast(part.initial("hidden_state")), c_0
    names = ("weight_hh", "weight_hr", "weight_peephole")
    weights = LSTMWeights(*(cast(part.parameter(name)) for name in names))
    g = cast(part.reorder(output_grad, dtype))
    end = _end_gradients(part, dtype, scaled=scaling is not None)
    found = pass_back(form, states, initial, g, weights, part.held(), end, scaling)
    return {name: values for name, values in found.items() if not name.startswith("initial_")}


def _end_gradients(part: TracePart, dtype: Any, *, scaled: bool) -> EndGradients | None:
    """∂ℓ/∂(h_n, c_n) of the loss, for every sequence; None if it does not read the final state."""
    h, c = part.final_grad("hidden_state"), part.final_grad("cell_state")
    if h is None:
        return None
    c = h[:, :0] if c is None else c
    rows, scale = np.concatenate((h, c), -1), np.zeros(len(h), np.int64)
    if scaled:
        rows, scale = normalised(rows, scale)
    h, c = (np.require(r, dtype, ("C", "W")) for r in np.split(rows, [h.shape[1]], -1))
    return EndGradients(part.trace.valid_lengths - 1, h, c, scale)
