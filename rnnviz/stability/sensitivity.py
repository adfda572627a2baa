"""What a network still remembers of each step it read: ‖∂h_t/∂x_k‖ over both times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from rnnviz.engine.device import single_thread
from rnnviz.errors import RnnvizError
from rnnviz.gradients.backpropagation import parameter, valid_lengths
from rnnviz.gradients.diagnosis import check_part
from rnnviz.stability.slopes import Slopes, slopes_of
from rnnviz.trace import Trace

if TYPE_CHECKING:
    import xarray

Array = NDArray[Any]
NEAR = 8  # binary places around 1 where a source's largest entry is let be
ROOM = 2**25  # numbers of all sources that are followed at once


class Tangents(NamedTuple):
    """∂(something)/∂x_k as (time, unit, source, feature) times 2^scale, scale (time, source)."""

    values: Array
    scale: NDArray[np.int64]


def sensitivity_norms(
    trace: Trace, *, layer: int = -1, batch: int = 0, sources: Sequence[int] | None = None
) -> xarray.DataArray:
    """log₁₀ ‖∂h_t/∂x_k‖_F for every time step t and every source k, over ("time", "source").

    h_t: what the layer gives to the next, of both directions together; layer −1 is the last.
    x_k: all features of the input at step k. sources: the steps k, counted from 0, in rising order;
    None for all.
    Total derivatives through all layers below, right beyond the float range; −inf where nothing
    arrives: before step k in a network that reads forwards. Worked out in the type of the trace,
    by forward differentiation. RnnvizError for a layer, sequence or source that the trace lacks.

    >>> module = torch.nn.RNN(1, 1, nonlinearity="relu", bias=False)
    >>> with torch.no_grad(): _ = module.weight_hh_l0.fill_(0.1), module.weight_ih_l0.fill_(1)
    >>> sensitivity_norms(rnnviz.trace(module, torch.ones(3, 1))).values.round(4)
    array([[  0., -inf, -inf],
           [ -1.,   0., -inf],
           [ -2.,  -1.,   0.]])
    """
    import xarray

    layers = trace.array("hidden_state").shape[0]
    layer = layer + layers if layer < 0 else layer
    check_part(trace, layer, "forward", batch)
    length = int(valid_lengths(trace)[batch])
    steps = list(range(length)) if sources is None else sorted({int(k) for k in sources})
    if not steps or not set(steps) <= set(range(length)):
        raise RnnvizError("error.sources", came=steps[:8], last=length - 1)
    features = trace.array("input").shape[-1]
    # Lower layers are kept at every step, the last one only as norms.
    kept = length * trace.array("hidden_state").shape[-1] if layer else 1
    at_once = max(1, ROOM // (features * max(kept, trace.array("hidden_state").shape[-1])))
    found = np.full((trace.array("hidden_state").shape[2], len(steps)), np.nan)
    for first in range(0, len(steps), at_once):
        part = steps[first : first + at_once]
        with single_thread():  # many small products in a row: threads mostly wait for one another
            found[:length, first : first + at_once] = _norms(trace, layer, batch, part)
    return xarray.DataArray(
        found, {"time": np.arange(len(found)), "source": steps}, ("time", "source")
    )


@np.errstate(invalid="ignore", over="ignore")  # states that overflowed
def _norms(trace: Trace, layer: int, batch: int, sources: list[int]) -> NDArray[np.float64]:
    """log₁₀ of the norms, (time, source), over the steps of the sequence."""
    directions = trace.array("hidden_state").shape[1]
    below: Tangents | None = None
    for number in range(layer):
        ways = [_Way(trace, number, d, batch, sources, below) for d in range(directions)]
        below = _side_by_side([way.follow() for way in ways])
    ways = [_Way(trace, layer, d, batch, sources, below) for d in range(directions)]
    logs = np.array([way.measure() for way in ways])
    return np.logaddexp2.reduce(2 * logs) / 2 * np.log10(2.0)


def _side_by_side(ways: list[Tangents]) -> Tangents:
    """Both directions' units together, at the larger of their scales."""
    if len(ways) == 1:
        return ways[0]
    alive = [np.where(w.values.any((1, 3)), w.scale, -(1 << 40)) for w in ways]
    scale = np.maximum.reduce(alive)
    scale = np.where(scale == -(1 << 40), 0, scale)
    parts = [
        w.values * np.exp2(np.clip(w.scale - scale, -2000, 0).astype(float))[:, None, :, None]
        for w in ways
    ]
    return Tangents(np.concatenate(parts, 1).astype(ways[0].values.dtype), scale)


class _Way:
    """One layer in one direction, followed forwards in its own order of time."""

    def __init__(
        self,
        trace: Trace,
        layer: int,
        direction: int,
        batch: int,
        sources: list[int],
        below: Tangents | None,
    ) -> None:
        name = ("forward", "backward")[direction]
        dtype = trace.array("hidden_state").dtype
        slopes = slopes_of(trace, layer=layer, direction=name, batch=batch)
        self.slopes = Slopes(*(values.astype(dtype) for values in slopes))
        self.form, self.below, self.sources = trace.form, below, np.array(sources)
        # two directions below have brought every source to every step
        self.wide = trace.array("hidden_state").shape[1] == 2
        u, w, v = (
            parameter(trace, f"weight_{name}", layer, direction) for name in ("hh", "ih", "hr")
        )
        assert u is not None
        assert w is not None
        n = slopes.keep.shape[1]
        if trace.form.coupled:  # no gate i has weights
            u, w = (np.concatenate((np.zeros((n, m.shape[1])), m)) for m in (u, w))
        self.u, self.w = u.astype(dtype), w.astype(dtype)
        self.v = None if v is None else v.astype(dtype)
        self.order = range(len(slopes.keep))
        self.turned = direction == 1
        width, features = u.shape[1], trace.array("input").shape[-1]
        self.h = np.zeros((width, len(sources), features), dtype)
        self.c = np.zeros((n, len(sources), features), dtype) if trace.cell == "lstm" else None
        self.scale = np.zeros(len(sources), np.int64)

    def time(self, t: int) -> int:
        """The position in the input of the t-th step of this direction."""
        return self.order[-1] - t if self.turned else t

    def follow(self) -> Tangents:
        """∂h_t/∂x_k at every step, in the order of the input."""
        values = np.empty((len(self.order), *self.h.shape), self.h.dtype)
        scale = np.empty((len(self.order), len(self.sources)), np.int64)
        for t in self.order:
            self._step(t)
            values[self.time(t)], scale[self.time(t)] = self.h, self.scale
        return Tangents(values, scale)

    def measure(self) -> NDArray[np.float64]:
        """log₂ of the norms, (time, source), in the order of the input."""
        logs = np.empty((len(self.order), len(self.sources)))
        for t in self.order:
            self._step(t)
            with np.errstate(divide="ignore"):
                size = np.log2(np.sqrt(np.einsum("hkd,hkd->k", self.h, self.h, dtype=float)))
            logs[self.time(t)] = size + self.scale
        return logs

    def _step(self, t: int) -> None:
        live = self._live(self.time(t))
        n = self.slopes.keep.shape[1]
        gates = self.slopes.gates[t][:, :, None, None]
        keep = self.slopes.keep[t][:, None, None]
        out = self.slopes.out[t][:, None, None]
        by_x = self._by_input(self.time(t), live)
        h, c = self.h[:, live], None if self.c is None else self.c[:, live]
        if self.form.cell == "rnn":
            h = gates[0] * _plus(_times(self.u, h), by_x)
        elif self.form.cell == "gru" and self.form.reset_after:
            a = _times(self.u, h)
            a[2 * n :] *= out
            a = _plus(a, by_x)
            a[:n] = gates[0] * a[:n]  # by way of the candidate
            h = keep * h + a[:n] + gates[1] * a[n : 2 * n] + gates[2] * a[2 * n :]
        elif self.form.cell == "gru":
            a = _times(self.u[: 2 * n], h)
            a = _plus(np.concatenate((a, np.zeros_like(h))), by_x)
            a[2 * n :] += _times(self.u[2 * n :], out * h + gates[0] * a[:n])
            h = keep * h + gates[1] * a[n : 2 * n] + gates[2] * a[2 * n :]
        else:
            assert c is not None
            a_i, a_f, a_g, a_o = np.split(_plus(_times(self.u, h), by_x), 4)
            c = keep * c + gates[0] * a_i + gates[1] * a_f + gates[2] * a_g
            h = gates[3] * a_o + self.slopes.by_cell[t][:, None, None] * c
            h = h if self.v is None else out * _times(self.v, h)
        self._put(h, c, live)

    def _live(self, time: int) -> slice:
        """The sources of which anything can have arrived by this position in the input."""
        if self.below is not None and self.wide:
            return slice(0, len(self.sources))
        if self.turned:
            return slice(int(np.searchsorted(self.sources, time)), len(self.sources))
        return slice(0, int(np.searchsorted(self.sources, time, "right")))

    def _by_input(self, time: int, live: slice) -> Array | tuple[int, Array] | None:
        """W ∂(what the layer reads)/∂x_k at this step; of the input itself one source's, W."""
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
        """The new state, the largest entry of each source near 1, rounding nothing."""
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


def _plus(a: Array, by_x: Array | tuple[int, Array] | None) -> Array:
    if isinstance(by_x, tuple):
        place, w = by_x
        a[:, place] += w
    elif by_x is not None:
        a += by_x
    return a


def _power(exponent: NDArray[np.int64], dtype: Any) -> Array:
    """2^exponent for each source, to multiply tangents by; 0 where it is too small to matter."""
    return np.ldexp(np.ones(len(exponent), dtype), np.clip(exponent, -5000, 5000))[None, :, None]


def _times(matrix: Array, tangents: Array) -> Array:
    """Matrix · tangents, (rows, source, feature)."""
    flat = torch.from_numpy(np.ascontiguousarray(tangents.reshape(len(tangents), -1)))
    found = torch.from_numpy(matrix) @ flat
    return found.numpy().reshape(len(matrix), *tangents.shape[1:])
