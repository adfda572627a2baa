"""The norm of the gradient at every time step."""

from __future__ import annotations

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
    return xarray.Dataset(stacked, labels_of(stacked["hidden_state"][1].shape))


def hidden_norms(part: TracePart, norms: xarray.Dataset | None) -> NDArray[np.float64]:
    """log₁₀ ‖∂L/∂h_t‖ of one sequence over all steps, in the input's order.

    norms: the result of ``gradient_norms`` for this trace, or None to compute it.
    """
    layer, number = part.layer, part.direction_number
    if norms is not None:
        trace, values = part.trace, norms["hidden_state"].values
        expected = (trace.layers, trace.directions, trace.steps, trace.batch)
        if values.shape != expected:
            raise RnnvizError("error.norms_shape", came=values.shape, expected=expected)
        return values[layer, number, :, part.batch]
    return backpropagate(part.trace)[layer][number].norms["hidden_state"][:, part.batch]


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
