"""What each time step adds to the gradient of the recurrent weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from rnnviz.engine.device import few_threads
from rnnviz.gradients.backpropagation import (
    Part,
    backpropagate,
    normalised,
    own_order,
    states_before,
    valid_lengths,
)
from rnnviz.gradients.norms import labels_of
from rnnviz.trace import Trace

if TYPE_CHECKING:
    import xarray

Array = NDArray[np.float64]
FAR = (
    100.0  # decades from 1 within which products and the squares of their sums stay inside float64
)
LN10 = math.log(10)


def weight_gradient_norms(trace: Trace) -> xarray.Dataset:
    """What every step adds to ∂L/∂U = Σ_t δa_t h_{t−1}ᵀ, in Frobenius norms.

    contribution: ‖δa_t h_{t−1}ᵀ‖ = ‖δa_t‖ ‖h_{t−1}‖, (layer, direction, time, batch), NaN where
    padded; of a GRU's candidate r δa_n stands for δa_n, or, where the reset comes before the
    product, r h_{t−1} for h_{t−1}. total: ‖∂L/∂U‖, (layer, direction), the
    sum over all steps and sequences. cancellation: total / sum of the contributions, 1 where
    all point one way and near 0 where they cancel; NaN where nothing contributes.
    log10_contribution and log10_total are right where these leave the float range.
    RnnvizError if the trace was made without a loss.

    >>> module = torch.nn.RNN(1, 1, nonlinearity="relu", bias=False)
    >>> for p in module.parameters(): _ = torch.nn.init.constant_(p, 0.5)
    >>> found = weight_gradient_norms(rnnviz.trace(module, torch.ones(3, 1), loss="last"))
    >>> found["contribution"].values.ravel(), found["total"].item()
    (array([0.  , 0.25, 0.75]), 1.0)
    """
    import xarray

    parts = backpropagate(trace)
    with np.errstate(all="ignore"):  # norms of 0, and states that overflowed
        found = [
            [_of_part(trace, part, layer, direction) for direction, part in enumerate(row)]
            for layer, row in enumerate(parts)
        ]
    steps = np.array([[contribution for contribution, _ in row] for row in found])
    totals = np.array([[total for _, total in row] for row in found])
    with np.errstate(over="ignore", invalid="ignore"):
        # Relative to the largest, so that the ratio holds where the norms themselves do not.
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


def _of_part(trace: Trace, part: Part, layer: int, direction: int) -> tuple[Array, float]:
    """log₁₀ of every contribution, (time, batch), and of the norm of their sum."""
    gates = [
        own_order(trace, part.arrays[f"{name}_preactivation"], direction)
        for name in trace.form.gates
    ]
    r = None
    if trace.cell == "gru":
        r = own_order(trace, trace.array("reset_gate")[layer, direction], direction)
        gates[2] = r * gates[2] if trace.form.reset_after else gates[2]
    d_a = np.concatenate(gates, -1)
    scale = own_order(trace, part.scale[..., None], direction)[..., 0].astype(np.int64)
    h = states_before(trace, "hidden_state", layer, direction)
    products = [(d_a, h)]
    if r is not None and not trace.form.reset_after:  # U_n multiplies r h, not h
        products = [(d_a[..., : 2 * h.shape[-1]], h), (d_a[..., 2 * h.shape[-1] :], r * h)]
    logs = _log_norm(
        [_log_norms(d, scale) + _log_norms(x, np.zeros_like(scale)) for d, x in products]
    )
    if not scale.any() and -FAR < logs.max() < FAR:
        total = _log_norm([np.log10(_norm_of_sum(d, x)) for d, x in products])
    else:
        total = _log_norm_far(products, scale)
    padded = np.arange(len(logs))[:, None] >= valid_lengths(trace)
    back = own_order(trace, logs[..., None], direction)[..., 0]
    return np.where(padded, np.nan, back), float(total)


def _log_norms(rows: Array, scale: NDArray[np.int64]) -> Array:
    """log₁₀ of the norm of every row · 2^scale, (time, batch)."""
    from rnnviz.engine.kernels import log_norms

    found = np.empty(scale.shape)
    lengths = np.full(scale.shape[1], len(rows))
    log_norms(np.ascontiguousarray(rows), scale, lengths, False, True, 0.0, math.inf, found)
    return found


def _log_norm(logs: list[Any]) -> Any:
    """log₁₀ of the norm of a vector, whose parts' norms are given as log₁₀."""
    return logs[0] if len(logs) == 1 else np.logaddexp(*(2 * LN10 * log for log in logs)) / 2 / LN10


def _log_norm_far(products: list[tuple[Array, Array]], scale: NDArray[np.int64]) -> Any:
    """log₁₀ ‖Σ δ_t x_tᵀ‖ over all products, δ the first rows · 2^scale, wherever in the range."""
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
    """‖Σ δ_t x_tᵀ‖, by torch: its threads can be told to be few."""
    rows, columns = (torch.from_numpy(part).flatten(0, 1) for part in (d, x))
    with few_threads(d[0].size * x.shape[-1]):
        return float(torch.linalg.vector_norm(rows.T @ columns))
