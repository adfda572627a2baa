"""The contribution of each time step to the gradient of the recurrent weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from rnnviz.engine.device import few_threads
from rnnviz.gradients.backpropagation import PartGradients, backpropagate
from rnnviz.gradients.by_step import step_contributions
from rnnviz.gradients.norms import labels_of, marked
from rnnviz.gradients.rows import normalised
from rnnviz.trace import Trace
from rnnviz.trace_part import TracePart

if TYPE_CHECKING:
    import xarray

Array = NDArray[np.float64]
# Decades from 1 within which products and the squares of their sums stay inside float64.
FAR = 100.0
LN10 = math.log(10)


def weight_gradient_norms(trace: Trace) -> xarray.Dataset:
    """The contribution of every step to ∂L/∂U = Σ_t δa_t h_{t−1}ᵀ, in Frobenius norms.

    contribution: ‖δa_t h_{t−1}ᵀ‖ = ‖δa_t‖ ‖h_{t−1}‖, (layer, direction, time, batch), NaN where
    padded; for a GRU's candidate, r δa_n replaces δa_n or, with the reset before the product,
    r h_{t−1} replaces h_{t−1}; for a cell with its own step the norm of the step's own part of
    ∂L/∂weight_hh. total: ‖∂L/∂U‖, (layer, direction), of the sum over all steps and
    sequences, and over the layers and directions that share U. cancellation: total / sum of the
    same contributions, 1 if all have the same direction, near 0 if they cancel; NaN if all are 0.
    log10_contribution and log10_total are exact beyond the float range too.
    RnnvizError if the trace was made without a loss.

    >>> module = torch.nn.RNN(1, 1, nonlinearity="relu", bias=False)
    >>> for p in module.parameters(): _ = torch.nn.init.constant_(p, 0.5)
    >>> found = weight_gradient_norms(rnnviz.trace(module, torch.ones(3, 1), loss="last"))
    >>> found["contribution"].values.ravel(), found["total"].item()
    (array([0.  , 0.25, 0.75]), 1.0)
    """
    import xarray

    by_layer = backpropagate(trace)
    with np.errstate(all="ignore"):  # norms of 0, and states that overflowed
        products = [[_products(gradients) for gradients in row] for row in by_layer]
        steps = np.array([[own.log_contributions() for own in row] for row in products])
        totals, cancellation = _sums(trace, products, steps)
    dims = ("layer", "direction", "time", "batch")
    with np.errstate(over="ignore"):
        found = xarray.Dataset(
            {
                "contribution": (dims, 10.0**steps),
                "total": (dims[:2], 10.0**totals),
                "cancellation": (dims[:2], cancellation),
                "log10_contribution": (dims, steps),
                "log10_total": (dims[:2], totals),
            },
            labels_of(steps.shape),
        )
    return marked(found, trace)


class _Products(NamedTuple):
    """Σ_t δ_t x_tᵀ of one layer in one direction, for each block of the rows of U.

    blocks: δ without its scale, and x, (time, batch, …). scale: (time, batch), of every δ.
    """

    part: TracePart
    blocks: list[tuple[Array, Array]]
    scale: NDArray[np.int64]

    def log_contributions(self) -> Array:
        """log₁₀ of the norm of every term, (time, batch) as the input has it, NaN if padded."""
        none = np.zeros_like(self.scale)
        rows = [_row_norms(d, self.scale) + _row_norms(x, none) for d, x in self.blocks]
        return _without_padding(self.part, _joined_log_norm(rows))

    def log_norm(self, largest: float) -> float:
        """log₁₀ of the norm of the sum. largest: log₁₀ of the norm of its largest term."""
        if not self.scale.any() and -FAR < largest < FAR:
            return float(_joined_log_norm([np.log10(_norm_of_sum(*own)) for own in self.blocks]))
        return float(_log_norm_of_sum(self.blocks, self.scale))


class _OfSteps(NamedTuple):
    """Contributions of a cell's own step: log₁₀ of their norms in order; gradient · 2^exponent."""

    part: TracePart
    logs: Array
    gradient: Array
    exponent: int

    def log_contributions(self) -> Array:
        """As ``_Products`` has it."""
        return _without_padding(self.part, self.logs)

    def log_norm(self, _largest: float) -> float:
        """As ``_Products`` has it."""
        return float(np.log10(np.linalg.norm(self.gradient)) + self.exponent * np.log10(2.0))


def _without_padding(part: TracePart, logs: Array) -> Array:
    """(time, batch) in the order of the input, NaN where padded or masked."""
    return np.where(part.trace.valid, part.restore(logs), np.nan)


def _products(gradients: PartGradients) -> _Products | _OfSteps:
    part, form = gradients.part, gradients.part.trace.form
    points = part.step_points()
    if points is not None:
        found = step_contributions(part, points, gradients.arrays, gradients.scale)
        return _OfSteps(part, *found)
    gates = [part.reorder(gradients.arrays[f"{name}_preactivation"]) for name in form.gates]
    r = None
    if form.cell == "gru":
        r = part.in_order("reset_gate")
        gates[2] = r * gates[2] if form.reset_after else gates[2]
    d_a, h = np.concatenate(gates, -1), part.before("hidden_state")
    blocks = [(d_a, h)]
    if r is not None and not form.reset_after:  # U_n multiplies r h, not h
        blocks = [(d_a[..., : 2 * h.shape[-1]], h), (d_a[..., 2 * h.shape[-1] :], r * h)]
    return _Products(part, blocks, gradients.scale_in_order())


def _sums(
    trace: Trace, products: list[list[_Products | _OfSteps]], steps: Array
) -> tuple[Array, Array]:
    """log₁₀ of the norm of ∂L/∂U, and the cancellation, both (layer, direction)."""
    users: dict[int, list[tuple[int, int]]] = {}
    for place in np.ndindex(trace.layers, trace.directions):
        weight = products[place[0]][place[1]].part.recorded_parameter("weight_hh")
        users.setdefault(id(weight), []).append((place[0], place[1]))
    totals, cancellation = np.empty(steps.shape[:2]), np.empty(steps.shape[:2])
    for places in users.values():
        logs = np.concatenate([steps[place].ravel() for place in places])
        largest = float(np.nanmax(logs, initial=-np.inf))
        total = _together([products[layer][d] for layer, d in places]).log_norm(largest)
        # Relative to the largest: the ratio is finite even if the norms overflow.
        base = largest if math.isfinite(largest) else 0.0
        sizes = np.nansum(10.0 ** (logs - base))
        for place in places:
            totals[place] = total
            cancellation[place] = 10.0 ** (total - base) / sizes if sizes > 0 else np.nan
    return totals, cancellation


def _together(uses: Sequence[_Products | _OfSteps]) -> _Products | _OfSteps:
    """The sum over all uses of one U: their time steps in a row."""
    if len(uses) == 1:
        return uses[0]
    if isinstance(uses[0], _OfSteps):
        own = [use for use in uses if isinstance(use, _OfSteps)]
        top = max(use.exponent for use in own)
        total = sum(np.ldexp(use.gradient, use.exponent - top) for use in own)
        return own[0]._replace(gradient=np.asarray(total), exponent=top)
    kernels = [use for use in uses if isinstance(use, _Products)]
    joined = [
        (np.concatenate([d for d, _ in parts]), np.concatenate([x for _, x in parts]))
        for parts in zip(*(own.blocks for own in kernels), strict=True)
    ]
    return _Products(kernels[0].part, joined, np.concatenate([own.scale for own in kernels]))


def _row_norms(rows: Array, scale: NDArray[np.int64]) -> Array:
    """log₁₀ of the norm of every row · 2^scale, (time, batch)."""
    from rnnviz.engine.kernels import log_norms

    found = np.empty(scale.shape)
    lengths = np.full(scale.shape[1], len(rows))
    log_norms(np.ascontiguousarray(rows), scale, lengths, False, True, 0.0, math.inf, found)
    return found


def _joined_log_norm(logs: list[Any]) -> Any:
    """log₁₀ of the norm of a vector from log₁₀ of the norms of its parts."""
    return logs[0] if len(logs) == 1 else np.logaddexp(*(2 * LN10 * log for log in logs)) / 2 / LN10


def _log_norm_of_sum(products: list[tuple[Array, Array]], scale: NDArray[np.int64]) -> Any:
    """log₁₀ ‖Σ δ_t x_tᵀ‖ over all products, δ = the first rows · 2^scale, of any size."""
    whole = [(normalised(d, scale), normalised(x, np.zeros_like(scale))) for d, x in products]
    alive = [d.any(-1) & x.any(-1) for (d, _), (x, _) in whole]
    places = [d_scale + x_scale for (_, d_scale), (_, x_scale) in whole]
    largest = max(int(p[a].max(initial=-(1 << 40))) for p, a in zip(places, alive, strict=True))
    sums = [
        _norm_of_sum(np.ldexp(d, np.where(a, np.clip(p - largest, -5000, 0), -5000)[..., None]), x)
        for ((d, _), (x, _)), p, a in zip(whole, places, alive, strict=True)
    ]
    return np.log10(np.linalg.norm(sums)) + largest * np.log10(2.0)


def _norm_of_sum(d: Array, x: Array) -> float:
    """‖Σ δ_t x_tᵀ‖, computed by torch, whose number of threads can be set."""
    rows, columns = (torch.from_numpy(part).flatten(0, 1) for part in (d, x))
    with few_threads(d[0].size * x.shape[-1]):
        return float(torch.linalg.vector_norm(rows.T @ columns))
