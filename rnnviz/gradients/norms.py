"""The norm of the gradient at every time step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rnnviz.errors import RnnvizError
from rnnviz.gradients.backpropagation import backpropagate
from rnnviz.trace import Trace
from rnnviz.trace_part import DIRECTIONS, TracePart

if TYPE_CHECKING:
    import xarray

MARK = "rnnviz_trace"  # in the encoding of a result: the identity of its trace
APART = 1e-9  # decades by which rounding may move the norms of equal traces


def gradient_norms(trace: Trace) -> xarray.Dataset:
    """log₁₀ ‖∂L/∂·_t‖₂ for hidden_state, cell_state and each pre-activation, at every time step.

    Over (layer, direction, time, batch), total derivatives, NaN where padded or masked. Exact far
    outside the float range, whatever the module's dtype; −inf only for an exact zero. A state that
    is not finite gives NaN or inf. RnnvizError if the trace was made without a loss.

    >>> module = torch.nn.RNN(1, 1, nonlinearity="relu", bias=False)
    >>> with torch.no_grad(): _ = module.weight_hh_l0.fill_(0.1), module.weight_ih_l0.fill_(1)
    >>> trace = rnnviz.trace(module, torch.ones(501, 1), loss="last")
    >>> gradient_norms(trace)["hidden_state"].sel(time=[0, 250, 500]).values.ravel().round(4)
    array([-500., -250.,    0.])
    """
    import xarray

    parts = backpropagate(trace)
    dims = ("layer", "direction", "time", "batch")
    stacked = {
        name: (dims, np.array([[part.norms[name] for part in row] for row in parts]))
        for name in trace.differentiated
    }
    found = xarray.Dataset(stacked, labels_of(stacked["hidden_state"][1].shape))
    return marked(found, trace)


def state_norms(part: TracePart, norms: xarray.Dataset | None) -> dict[str, NDArray[np.float64]]:
    """log₁₀ ‖∂L/∂h_t‖, for an LSTM also ∂L/∂c_t, of one sequence, in the input's order.

    norms: the result of ``gradient_norms`` for this trace, or None to compute it.
    """
    layer, number, trace = part.layer, part.direction_number, part.trace
    names = trace.form.states
    if norms is None:
        found = backpropagate(trace)[layer][number].norms
        return {name: found[name][:, part.batch] for name in names}
    arrays = reused(norms, names, trace, gradient_norms)
    return {name: values[layer, number, :, part.batch] for name, values in arrays.items()}


def marked(result: xarray.Dataset, trace: Trace) -> xarray.Dataset:
    """The result with the identity of its trace, where comparisons of results do not see it."""
    result.encoding[MARK] = trace.identity
    return result


def reused(
    result: xarray.Dataset,
    names: Iterable[str],
    trace: Trace,
    compute: Callable[[Trace], xarray.Dataset],
) -> dict[str, NDArray[np.float64]]:
    """Arrays of a result for this trace by name, over (layer, direction, time, batch).

    compute: the function whose result it is. A result that is not marked as that of this very
    trace, such as one for an equal trace, is compared with a new one; RnnvizError if it is that of
    another trace or function.
    """
    found = {name: _checked(result, name, trace) for name in names}
    if result.encoding.get(MARK) == trace.identity:
        return found
    own = compute(trace)
    for name, values in found.items():
        if not np.allclose(values, own[name].values, rtol=0, atol=APART, equal_nan=True):
            raise RnnvizError("error.norms_trace", name=name, function=compute.__name__)
    return found


def _checked(result: xarray.Dataset, name: str, trace: Trace) -> NDArray[np.float64]:
    """RnnvizError unless it is an array of numbers of the shape that the trace needs."""
    expected = (trace.layers, trace.directions, trace.steps, trace.batch)
    there = name in getattr(result, "data_vars", ())
    came = result[name].shape if there else type(result).__name__
    if there and result[name].dtype.kind not in "fiu":
        came = str(result[name].dtype)
    if came != expected:
        raise RnnvizError("error.norms_shape", name=name, came=came, expected=expected)
    return result[name].values.astype(np.float64, copy=False)


@lru_cache(maxsize=8)  # making them takes longer than computing the norms
def labels_of(shape: tuple[int, ...]) -> xarray.Coordinates:
    """Coordinates of (layer, direction, …) as a trace labels them; a Dataset takes copies."""
    import xarray

    names = ("layer", "direction", "time", "batch", "unit")
    labels: dict[str, list[str] | np.ndarray] = {
        name: np.arange(n) for name, n in zip(names, shape, strict=False)
    }
    labels["direction"] = list(DIRECTIONS[: shape[1]])
    return xarray.Coordinates(labels)
