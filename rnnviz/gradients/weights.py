"""The contribution of each time step to the gradient of the recurrent weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from rnnviz.engine.device import few_threads
from rnnviz.gradients.backpropagation import PartGradients, backpropagate, normalised
from rnnviz.gradients.norms import labels_of
from rnnviz.trace import Trace

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
    r h_{t−1} replaces h_{t−1}. total: ‖∂L/∂U‖, (layer, direction), of the sum over all steps and
    sequences. cancellation: total / sum of the contributions, 1 if all have the same direction,
    near 0 if they cancel; NaN if all are 0.
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
        found = [[_of_part(gradients) for gradients in row] for row in by_layer]
    steps = np.array([[contribution for contribution, _ in row] for row in found])
    totals = np.array([[total for _, total in row] for row in found])
    with np.errstate(over="ignore", invalid="ignore"):
        # Relative to the largest: the ratio is finite even if the norms overflow.
        largest = np.nanmax(steps, axis=(2, 3), keepdims=True, initial=-np.inf)
        relative = np.nansum(10.0 ** (steps - np.where(np.isfinite(largest), largest, 0)), (2, 3))
        cancellation = 10.0 ** (totals - np.where(np.isfinite(largest), largest, 0)[:, :, 0, 0])
        cancellation = cancellation / np.where(relative > 0, relative, np.nan)
        dims = ("layer", "direction", "time", "batch")
        return xarray.Dataset(
            {
                "contribution": (dims, 10.0**steps),
                "total": (dims[:2], 10.0**totals),
                "cancellation": (dims[:2], cancellation),
                "log10_contribution": (dims, steps),
                "log10_total": (dims[:2], totals),
            },
            labels_of(steps.shape),
        )


def _of_part(gradients: PartGradients) -> tuple[Array, float]:
    """log₁₀ of every contribution, (time, batch), and of the norm of their sum."""
    part, form = gradients.part, gradients.part.trace.form
    gates = [part.reorder(gradients.arrays[f"{name}_preactivation"]) for name in form.gates]
    r = None
    if form.cell == "gru":
        r = part.in_order("reset_gate")
        gates[2] = r * gates[2] if form.reset_after else gates[2]
    d_a = np.concatenate(gates, -1)
    scale = gradients.scale_in_order()
    h = part.before("hidden_state")
    products = [(d_a, h)]
    if r is not None and not form.reset_after:  # U_n multiplies r h, not h
        products = [(d_a[..., : 2 * h.shape[-1]], h), (d_a[..., 2 * h.shape[-1] :], r * h)]
    logs = _joined_log_norm(
        [_row_norms(d, scale) + _row_norms(x, np.zeros_like(scale)) for d, x in products]
    )
    if not scale.any() and -FAR < logs.max() < FAR:
        total = _joined_log_norm([np.log10(_norm_of_sum(d, x)) for d, x in products])
    else:
        total = _log_norm_of_sum(products, scale)
    return np.where(part.trace.valid, part.restore(logs), np.nan), float(total)


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
