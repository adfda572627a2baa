"""Backpropagation through time on a trace, exact however small or large the gradients get.

Where all rows of the recorded gradients lie well inside float64 they are taken as they are. Else
the same recursions run again on rows x · 2^e (``recursions``), at the recorded gates and states:
as in autograd, a tanh that was rounded to 1 lets nothing through.
"""

import math
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from rnnviz.cells import GATE_NAMES
from rnnviz.engine.backward_pass import pass_back
from rnnviz.engine.layers import flip_valid_time
from rnnviz.engine.steps import GRUStates, LSTMStates, LSTMWeights, RNNStates, Scaling, States
from rnnviz.errors import RnnvizError
from rnnviz.holding import Held, held_arrays, holdable
from rnnviz.trace import Trace

Array = NDArray[Any]
SAFE = (1e-200, 1e200)  # of a row's largest entry: 1e-108 of it is still a normal float64


class Part(NamedTuple):
    """Gradients of one layer in one direction, values · 2^scale, in the order of the input.

    arrays: by the name of what the loss is differentiated by, (time, batch, unit); not to be read
    where padded. scale: (time, batch). norms: log₁₀ of the norms by name, (time, batch).
    """

    arrays: dict[str, Array]
    scale: NDArray[np.int64]
    norms: dict[str, NDArray[np.float64]]


def backpropagate(trace: Trace) -> list[list[Part]]:
    """The gradients of every layer and direction; RnnvizError if the trace has none."""
    if trace.output_grad is None:
        raise RnnvizError("error.no_gradients")
    layers, directions = trace.array("hidden_state").shape[:2]
    plain: list[list[Part]] = []
    for layer in range(layers):
        row: list[Part] = []
        for direction in range(directions):
            part = _recorded(trace, layer, direction)
            if part is None:
                with np.errstate(invalid="ignore", over="ignore"):  # states that overflowed
                    return _rescaled(trace)
            row.append(part)
        plain.append(row)
    return plain


def valid_lengths(trace: Trace) -> NDArray[np.int64]:
    """Valid time steps of every sequence, (batch,)."""
    steps, batch = trace.array("hidden_state").shape[2:4]
    return np.full(batch, steps) if trace.lengths is None else trace.lengths.astype(np.int64)


def differentiated(trace: Trace) -> list[str]:
    """The names of all that a trace has gradients by."""
    return [name.removeprefix("grad_") for name in trace if name.startswith("grad_")]


def own_order(trace: Trace, values: Array, direction: int, dtype: Any = np.float64) -> Array:
    """(time, batch, …) from the input's order to the direction's, or back; 0 where padded."""
    turned = np.asarray(flip_valid_time(values, direction, _lengths(trace)), dtype)
    if trace.lengths is not None:
        turned = turned.copy()
        turned[np.arange(len(turned))[:, None] >= trace.lengths] = 0
    return turned


def states_before(trace: Trace, name: str, layer: int, direction: int) -> NDArray[np.float64]:
    """h_{t−1} or c_{t−1} of every step, (time, batch, unit), in the order of the direction."""
    own = own_order(trace, trace.array(name)[layer, direction], direction)
    first = trace.initial_array(name)[layer, direction]
    return np.concatenate((first[None].astype(np.float64), own[:-1]))


def parameter(trace: Trace, name: str, layer: int, direction: int) -> NDArray[np.float64] | None:
    """A parameter by torch's name without its suffix, or None where there is none."""
    values = trace.parameters.get(f"{name}_l{layer}{'_reverse' * direction}")
    return None if values is None else np.array(values, np.float64)


def normalised(
    values: Array, scale: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The same values · 2^scale with the largest entry of every row in [0.5, 1)."""
    _, exponent = np.frexp(np.abs(values).max(-1, initial=0.0))
    return np.ldexp(values, -exponent[..., None]), scale + exponent


def times(
    values: Array, scale: NDArray[np.int64], w: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Rows values · 2^scale times the matrix w, as such; large weights do not leave the range."""
    rows, scale = normalised(values, scale)
    _, exponent = np.frexp(np.abs(w).max(initial=0.0))
    return normalised(rows @ np.ldexp(w, -exponent), scale + exponent)


def _lengths(trace: Trace) -> torch.Tensor | None:
    return None if trace.lengths is None else torch.tensor(trace.lengths)


def _recorded(trace: Trace, layer: int, direction: int) -> Part | None:
    """The gradients as recorded; None if any of them is not safely inside float64.

    A state's gradient that is 0 may have underflowed. A pre-activation's may not, so near the
    state's: it is 0 where the gate has nothing to do, as a forget gate with c_{t−1} = 0.
    """
    arrays = {name: trace.array(f"grad_{name}")[layer, direction] for name in differentiated(trace)}
    scale = np.zeros(arrays["hidden_state"].shape[:2], np.int64)
    return _measured(trace, arrays, scale, direction, *SAFE)


def _measured(
    trace: Trace,
    arrays: dict[str, Array],
    scale: NDArray[np.int64],
    direction: int,
    smallest: float = 0.0,
    largest: float = math.inf,
) -> Part | None:
    """Gradients with their norms; None if a largest entry is not between the two sizes."""
    from rnnviz.engine.kernels import log_norms

    lengths, backward = valid_lengths(trace), direction == 1
    norms: dict[str, NDArray[np.float64]] = {}
    for name, values in arrays.items():
        norms[name] = np.empty(scale.shape)
        zeros = name.endswith("_preactivation")
        bounds = (zeros, smallest, largest)
        if not log_norms(values, scale, lengths, backward, *bounds, norms[name]) and smallest > 0:
            return None
    return Part(arrays, scale, norms)


def _rescaled(trace: Trace) -> list[list[Part]]:
    """All layers from the last down, each with what the one above injects, scale and all."""
    assert trace.output_grad is not None
    layers, directions, *_, width = trace.array("hidden_state").shape
    output_grad, scale = trace.output_grad, np.zeros(trace.output_grad.shape[:2], np.int64)
    found: list[list[Part]] = []
    for layer in reversed(range(layers)):
        row: list[Part] = []
        for direction in range(directions):
            g = output_grad[..., direction * width : (direction + 1) * width]
            part = _differentiate(trace, layer, direction, *normalised(g, scale))
            row.append(part)
        found.insert(0, row)
        if layer > 0:
            output_grad, scale = add_rows([by_input(trace, p, layer, d) for d, p in enumerate(row)])
    return found


def by_input(
    trace: Trace, part: Part, layer: int, direction: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Derivatives by what the layer reads, Wᵀ δa, as (time, batch, feature) rows and scale."""
    w = parameter(trace, "weight_ih", layer, direction)
    assert w is not None
    gates = [part.arrays[f"{name}_preactivation"] for name in trace.form.gates]
    return times(np.concatenate(gates, -1), part.scale, w)


def add_rows(
    terms: list[tuple[NDArray[np.float64], NDArray[np.int64]]],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The sum of rows · 2^scale, itself as such."""
    # A row of zeros has no size of its own: it must not set the scale.
    scales = [np.where(x.any(-1), scale, -(1 << 40)) for x, scale in terms]
    largest = np.maximum.reduce(scales)
    largest = np.where(largest == -(1 << 40), 0, largest)
    total = np.zeros_like(terms[0][0])
    for x, scale in terms:
        total += np.ldexp(x, np.clip(scale - largest, -5000, 5000)[..., None])
    return total, largest


def _differentiate(
    trace: Trace,
    layer: int,
    direction: int,
    output_grad: NDArray[np.float64],
    output_grad_scale: NDArray[np.int64],
) -> Part:
    """One layer in one direction.

    output_grad: rows · 2^output_grad_scale, in the order of the input.
    """
    from rnnviz.engine.kernels import MAX_GROWTH, growth, kept_exponent

    own = partial(own_order, trace, direction=direction)
    u, v, p = (
        parameter(trace, name, layer, direction)
        for name in ("weight_hh", "weight_hr", "weight_peephole")
    )
    places = growth(*(w for w in (u, v) if w is not None))
    places += 0 if p is None else max(0, growth(p))
    if places > MAX_GROWTH:
        decades, most = (int(n * math.log10(2)) for n in (places, MAX_GROWTH))
        raise RnnvizError("error.gradient_room", layer=layer, decades=decades, most=most)
    g_scale = np.array(flip_valid_time(output_grad_scale, direction, _lengths(trace)))
    scale = np.zeros((len(g_scale) + 1, g_scale.shape[1]), np.int64)
    scaling = Scaling(g_scale, scale, kept_exponent(places))
    found = recurse(trace, layer, direction, output_grad, np.float64, scaling)
    d_a = found.pop("preactivation")
    n = d_a.shape[-1] // len(trace.form.gates)
    for k, name in enumerate(trace.form.gates):
        found[f"{name}_preactivation"] = d_a[..., k * n : (k + 1) * n]
    arrays = {name: own(values) for name, values in found.items()}
    back = np.array(flip_valid_time(scale[:-1], direction, _lengths(trace)))
    part = _measured(trace, arrays, back, direction)
    assert part is not None
    return part


def recurse(
    trace: Trace,
    layer: int,
    direction: int,
    output_grad: Array,
    dtype: Any,
    scaling: Scaling | None = None,
) -> dict[str, Array]:
    """δh, δc and δa, all gates side by side, at the recorded states, all worked out in dtype.

    output_grad: (time, batch, unit), in the order of the input; what comes back is in that of the
    direction. scaling: for rows x · 2^e.
    """
    form = trace.form

    def cast(values: Array | None) -> Array:
        return np.require(np.empty((0, 0)) if values is None else values, dtype, ("C", "W"))

    def read(*names: str) -> Array:
        parts = [trace.array(name)[layer, direction] for name in names]
        together = np.concatenate(parts, -1, dtype=dtype, casting="same_kind")
        return cast(own_order(trace, together, direction, dtype))

    def start(name: str) -> Array:
        return cast(trace.initial_array(name)[layer, direction])

    states: States = RNNStates(read("hidden_state"))
    if form.cell == "lstm":
        c = read("cell_state")
        states = LSTMStates(read(*GATE_NAMES["lstm"]), c, np.tanh(c), states.h)
    elif form.cell == "gru":
        m = cast(candidate_recurrence(trace, layer, direction)) if form.reset_after else states.h
        states = GRUStates(read(*GATE_NAMES["gru"]), m, states.h)
    initial = start("hidden_state"), start("cell_state") if form.cell == "lstm" else None
    names = ("weight_hh", "weight_hr", "weight_peephole")
    weights = LSTMWeights(*(cast(parameter(trace, name, layer, direction)) for name in names))
    g = cast(own_order(trace, output_grad, direction, dtype))
    held = held_steps(trace, layer, direction)
    found = pass_back(form, states, initial, g, weights, held, scaling)
    return {name: values for name, values in found.items() if not name.startswith("initial_")}


def held_steps(trace: Trace, layer: int, direction: int) -> Held | None:
    """What gates and states are held at, in the direction's order, as the kernels read it."""
    steps, batch = trace.array("hidden_state").shape[2:4]
    rows: dict[str, Array] = {}
    for name, values in trace.held.items():
        whole = np.repeat(values[layer, direction][:, None], batch, axis=1)
        rows[name] = own_order(trace, whole, direction)
    widths = {name: trace.array(name).shape[-1] for name in holdable(trace.form)}
    return held_arrays(rows, trace.form, (steps, batch), widths)


def candidate_recurrence(trace: Trace, layer: int, direction: int) -> NDArray[np.float64]:
    """A GRU's U_n h_{t−1} + b_hn, (time, batch, unit), in the order of the direction.

    Of a GRU that resets after the product, whose reset gate multiplies it.
    """
    before = states_before(trace, "hidden_state", layer, direction)
    n = before.shape[-1]
    u = parameter(trace, "weight_hh", layer, direction)
    assert u is not None
    b = parameter(trace, "bias_hh", layer, direction)
    return before @ u[2 * n :].T + (0.0 if b is None else b[2 * n :])
