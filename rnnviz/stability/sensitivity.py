"""The sensitivity of every state to every input: ‖∂h_t/∂x_k‖ over both times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from rnnviz.engine.device import single_thread
from rnnviz.engine.step_gradients import state_jacobians
from rnnviz.engine.step_points import StepPoints
from rnnviz.errors import RnnvizError, described, is_list, whole_number
from rnnviz.stability.slopes import Slopes, slopes_of
from rnnviz.trace import Trace, expect_trace
from rnnviz.trace_part import TracePart, parts_by_layer

if TYPE_CHECKING:
    import xarray

Array = NDArray[Any]
NEAR = 8  # binary places around 1 within which a source's tangents are not rescaled
BLOCK = 2**22  # entries of Jacobians held at a time
ROOM = 2**25  # entries of all tangents propagated at once


class Tangents(NamedTuple):
    """∂h_t/∂x_k as (time, unit, source, feature) times 2^scale; scale is (time, source)."""

    values: Array
    scale: NDArray[np.int64]


def sensitivity_norms(
    trace: Trace,
    *,
    layer: int | None = None,
    batch: int = 0,
    sources: Sequence[int] | None = None,
) -> xarray.DataArray:
    """log₁₀ ‖∂h_t/∂x_k‖_F for every time step t and every source k, over ("time", "source").

    h_t: the output of the layer, both directions together; layer None is the last. x_k: all
    features of the input at step k. sources: the steps k, counted from 0, sorted; None for all up
    to the last that is read. NaN at padded and masked t.
    Total derivatives through all layers below, exact beyond the float range; −inf where h_t does
    not depend on x_k, as before step k in a forward network. Computed in the dtype of the trace by
    forward-mode differentiation. RnnvizError for a layer, sequence or source that the trace lacks.

    >>> module = torch.nn.RNN(1, 1, nonlinearity="relu", bias=False)
    >>> with torch.no_grad(): _ = module.weight_hh_l0.fill_(0.1), module.weight_ih_l0.fill_(1)
    >>> sensitivity_norms(rnnviz.trace(module, torch.ones(3, 1))).values.round(4)
    array([[  0., -inf, -inf],
           [ -1.,   0., -inf],
           [ -2.,  -1.,   0.]])
    """
    import xarray

    expect_trace(trace)
    part = TracePart(trace, trace.layers - 1 if layer is None else layer, batch=batch)
    end = part.end
    if sources is not None and not is_list(sources):
        raise RnnvizError("error.sources", came=described(sources), last=end - 1)
    chosen = range(end) if sources is None else sources
    steps = sorted({whole_number("source", k, end) for k in chosen})
    if not steps or not set(steps) <= set(range(end)):
        raise RnnvizError("error.sources", came=steps[:8], last=end - 1)
    # Tangents of lower layers are stored for every step, those of the last one only as norms.
    stored = end * trace.output_units if part.layer else trace.output_units
    at_once = max(1, ROOM // (trace.features * stored))
    found = np.full((trace.steps, len(steps)), np.nan)
    for first in range(0, len(steps), at_once):
        some = slice(first, first + at_once)
        with single_thread():  # many small products: more threads would mostly wait
            found[:end, some] = _norms(part, steps[some])
    found[~trace.valid[:, part.batch]] = np.nan
    return xarray.DataArray(
        found, {"time": np.arange(len(found)), "source": steps}, ("time", "source")
    )


@np.errstate(invalid="ignore", over="ignore")  # states that overflowed
def _norms(part: TracePart, sources: list[int]) -> NDArray[np.float64]:
    """log₁₀ of the norms of a layer, (time, source), over the valid steps of the sequence."""
    *lower, last = (
        [replace(one, batch=part.batch) for one in row]
        for row in parts_by_layer(part.trace)[: part.layer + 1]
    )
    below: Tangents | None = None
    for row in lower:
        below = _side_by_side([_ForwardTangents(one, sources, below).all() for one in row])
    logs = np.array([_ForwardTangents(one, sources, below).log_norms() for one in last])
    return np.logaddexp2.reduce(2 * logs) / 2 * np.log10(2.0)


def _side_by_side(directions: list[Tangents]) -> Tangents:
    """Both directions' units together, at the larger of their scales."""
    if len(directions) == 1:
        return directions[0]
    nonzero = [np.where(d.values.any((1, 3)), d.scale, -(1 << 40)) for d in directions]
    scale = np.maximum.reduce(nonzero)
    scale = np.where(scale == -(1 << 40), 0, scale)
    scaled = [
        d.values * np.exp2(np.clip(d.scale - scale, -2000, 0).astype(float))[:, None, :, None]
        for d in directions
    ]
    return Tangents(np.concatenate(scaled, 1).astype(directions[0].values.dtype), scale)


class _ForwardTangents:
    """Forward-mode differentiation of one layer in one direction, in the direction's order."""

    def __init__(self, part: TracePart, sources: list[int], below: Tangents | None) -> None:
        trace = part.trace
        dtype = trace.array("hidden_state").dtype
        self.form, self.below, self.sources = trace.form, below, np.array(sources)
        # with two directions, every state of the layer below depends on every source
        self.bidirectional = trace.directions == 2
        self.order, self.times, self.end = range(part.length), part.times.tolist(), part.end
        self.is_backward = part.is_backward
        self.h = np.zeros((part.output_units, len(sources), trace.features), dtype)
        self.c = None
        if trace.cell == "lstm":
            self.c = np.zeros((part.units, len(sources), trace.features), dtype)
        self.scale = np.zeros(len(sources), np.int64)
        points = part.step_points()
        self.own = None if points is None else _StepJacobians(points, dtype)
        if self.own is not None:
            return
        slopes = slopes_of(part)
        self.slopes = Slopes(*(values.astype(dtype) for values in slopes))
        u, w, v = part.weight_hh, part.weight_ih, part.parameter("weight_hr")
        n = slopes.carry.shape[1]
        if trace.form.coupled:  # no gate i has weights
            u, w = (np.concatenate((np.zeros((n, m.shape[1])), m)) for m in (u, w))
        self.u, self.w = u.astype(dtype), w.astype(dtype)
        self.v = None if v is None else v.astype(dtype)

    def all(self) -> Tangents:
        """∂h_t/∂x_k at every step, in the order of the input."""
        values = np.zeros((self.end, *self.h.shape), self.h.dtype)
        scale = np.zeros((self.end, len(self.sources)), np.int64)
        for t in self.order:
            self._step(t)
            values[self.times[t]], scale[self.times[t]] = self.h, self.scale
        return Tangents(values, scale)

    def log_norms(self) -> NDArray[np.float64]:
        """log₂ of the norms, (time, source), in the order of the input."""
        logs = np.full((self.end, len(self.sources)), -np.inf)
        for t in self.order:
            self._step(t)
            with np.errstate(divide="ignore"):
                size = np.log2(np.sqrt(np.einsum("hkd,hkd->k", self.h, self.h, dtype=float)))
            logs[self.times[t]] = size + self.scale
        return logs

    def _step(self, t: int) -> None:
        live = self._live(self.times[t])
        if self.own is not None:
            self._own_step(t, live, self.own)
            return
        n = self.slopes.carry.shape[1]
        gates = self.slopes.gates[t][:, :, None, None]
        carry = self.slopes.carry[t][:, None, None]
        out = self.slopes.out[t][:, None, None]
        by_x = self._by_input(self.times[t], live)
        h, c = self.h[:, live], None if self.c is None else self.c[:, live]
        if self.form.cell == "rnn":
            h = gates[0] * _plus(_times(self.u, h), by_x)
        elif self.form.cell == "gru" and self.form.reset_after:
            a = _times(self.u, h)
            a[2 * n :] *= out
            a = _plus(a, by_x)
            a[:n] = gates[0] * a[:n]  # through the candidate
            h = carry * h + a[:n] + gates[1] * a[n : 2 * n] + gates[2] * a[2 * n :]
        elif self.form.cell == "gru":
            a = _times(self.u[: 2 * n], h)
            a = _plus(np.concatenate((a, np.zeros_like(h))), by_x)
            a[2 * n :] += _times(self.u[2 * n :], out * h + gates[0] * a[:n])
            h = carry * h + gates[1] * a[n : 2 * n] + gates[2] * a[2 * n :]
        else:
            assert c is not None
            a_i, a_f, a_g, a_o = np.split(_plus(_times(self.u, h), by_x), 4)
            c = carry * c + gates[0] * a_i + gates[1] * a_f + gates[2] * a_g
            h = gates[3] * a_o + self.slopes.by_cell[t][:, None, None] * c
            h = h if self.v is None else out * _times(self.v, h)
        self._put(h, c, live)

    def _own_step(self, t: int, live: slice, own: _StepJacobians) -> None:
        """∂s_t/∂x_k = J_t ∂s_{t−1}/∂x_k + ∂s_t/∂(what is read) ∂(what is read)/∂x_k."""
        j, self.w = own.at(t)
        by_x = self._by_input(self.times[t], live)
        before = [self.h[:, live]] if self.c is None else [self.h[:, live], self.c[:, live]]
        s = _plus(_times(j, np.concatenate(before)), by_x)
        n = len(self.h)
        self._put(s[:n], None if self.c is None else s[n:], live)

    def _live(self, time: int) -> slice:
        """The sources on which the state at this position in the input can depend."""
        if self.below is not None and self.bidirectional:
            return slice(0, len(self.sources))
        if self.is_backward:
            return slice(int(np.searchsorted(self.sources, time)), len(self.sources))
        return slice(0, int(np.searchsorted(self.sources, time, "right")))

    def _by_input(self, time: int, live: slice) -> Array | tuple[int, Array] | None:
        """W ∂(what the layer reads)/∂x_k; in the first layer W for the source of this step."""
        if self.below is None:
            place = int(np.searchsorted(self.sources, time))
            if place < len(self.sources) and self.sources[place] == time:
                return place - live.start, self.w
            return None
        values, scale = self.below.values[time][:, live], self.below.scale[time][live]
        # both at the larger scale of the two
        reads = np.where(values.any((0, 2)), scale, -(1 << 40))
        has = self.h[:, live].any((0, 2))
        has = has if self.c is None else has | self.c[:, live].any((0, 2))
        target = np.maximum(np.where(has, self.scale[live], -(1 << 40)), reads)
        target = np.where(target == -(1 << 40), 0, target)
        by = _power(self.scale[live] - target, self.h.dtype)
        self.h[:, live] *= by
        if self.c is not None:
            self.c[:, live] *= by
        self.scale[live] = target
        return _times(self.w, values * _power(scale - target, self.h.dtype))

    def _put(self, h: Array, c: Array | None, live: slice) -> None:
        """Stores the new state, rescaled exactly so that each source's largest entry is near 1."""
        top = np.abs(h).max((0, 2), initial=0)
        top = top if c is None else np.maximum(top, np.abs(c).max((0, 2), initial=0))
        _, exponent = np.frexp(top)
        exponent = np.where(np.isfinite(top) & (np.abs(exponent) > NEAR), exponent, 0)
        if exponent.any():
            by = _power(-exponent, h.dtype)
            h, c = h * by, None if c is None else c * by
            self.scale[live] += exponent
        self.h[:, live] = h
        if self.c is not None:
            self.c[:, live] = c


class _StepJacobians:
    """∂s_t/∂s_{t−1} and ∂s_t/∂x_t of a cell's own step, for steps asked for in their order."""

    def __init__(self, points: StepPoints, dtype: Any) -> None:
        self.points, self.dtype = points, dtype
        self.size = max(1, BLOCK // sum(points.widths) ** 2)
        self.first, self.block = 0, np.empty(0)

    def at(self, t: int) -> tuple[Array, Array]:
        """Those of one step, (S, S) and (S, input)."""
        if t >= self.first + len(self.block):
            self.first, times = t, slice(t, t + self.size)
            found = state_jacobians(self.points.cut(times), by_input=True)
            self.block = found[:, 0].astype(self.dtype)
        both = self.block[t - self.first]
        return both[:, : len(both)], both[:, len(both) :]


def _plus(a: Array, by_x: Array | tuple[int, Array] | None) -> Array:
    if isinstance(by_x, tuple):
        place, w = by_x
        a[:, place] += w
    elif by_x is not None:
        a += by_x
    return a


def _power(exponent: NDArray[np.int64], dtype: Any) -> Array:
    """2^exponent per source, as a factor for tangents; 0 if it underflows."""
    return np.ldexp(np.ones(len(exponent), dtype), np.clip(exponent, -5000, 5000))[None, :, None]


def _times(matrix: Array, tangents: Array) -> Array:
    """Matrix · tangents, (rows, source, feature)."""
    flat = torch.from_numpy(np.ascontiguousarray(tangents.reshape(len(tangents), -1)))
    found = torch.from_numpy(matrix) @ flat
    return found.numpy().reshape(len(matrix), *tangents.shape[1:])
