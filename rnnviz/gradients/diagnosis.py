"""A verdict on a trace: whether its gradient vanishes or explodes, and where it overflows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnviz.cells import GATE_NAMES
from rnnviz.gradients.norms import hidden_norms
from rnnviz.trace import Trace
from rnnviz.trace_part import TracePart

if TYPE_CHECKING:
    import xarray

DECADES = 2.0  # change over the whole sequence from which a gradient vanishes or explodes
SATURATED = 0.9  # distance from the middle of a gate's range, as a fraction of half the range

# log₁₀ of the sizes at which rounding to nearest gives 0 and inf.
RANGES = {
    "float32": (-150 * math.log10(2), math.log10(2.0**128 - 2.0**103)),
    "float64": (-1075 * math.log10(2), 1024 * math.log10(2)),
}


class Lost(NamedTuple):
    """Where a float type loses the gradient: the time step, and the value it gives there."""

    time: int
    shows: Literal["0", "inf", "NaN"]


class NotFinite(NamedTuple):
    """The first time step, gate (or state) and unit where the module itself is not finite."""

    time: int
    name: str
    unit: int


@dataclass(frozen=True)
class Diagnosis:
    """The verdict on the norms ‖∂L/∂h_t‖ of one layer in one direction.

    verdict: "vanishing" or "exploding" if the fitted line falls or rises by 2 decades or more from
    the last step back to the first, else "healthy"; also "vanishing" if the gradient is exactly 0
    at half or more of the steps that it can reach. Rates are per step, backwards in time:
    decay: decades lost per step, negative if the gradient grows; NaN with fewer than two norms.
    half_life: steps in which the gradient halves; inf if it does not fall.
    doubling_time: steps in which it doubles; inf if it does not grow.
    not_finite: where the module's own run first has a non-finite value, or None.
    saturated: by gate, (unit,), the fraction of time steps at which a sigmoid is below 0.05 or
    above 0.95, a tanh beyond ±0.9, a relu 0.
    lost: by "float32" and "float64" the last time step (the first one going back) at which the
    exact norm rounds to 0 or inf in that type, or None. Steps that the loss cannot reach, such as
    those after the last output, do not count.
    """

    verdict: Literal["vanishing", "healthy", "exploding"]
    decay: float
    half_life: float
    doubling_time: float
    not_finite: NotFinite | None
    saturated: Mapping[str, NDArray[np.float64]] = field(repr=False)
    lost: Mapping[str, Lost | None]


def diagnose(
    trace: Trace,
    *,
    norms: xarray.Dataset | None = None,
    layer: int = 0,
    direction: str = "forward",
    batch: int = 0,
) -> Diagnosis:
    """The verdict on one layer in one direction for one sequence.

    The decay is the median of the slopes between time steps half a sequence apart (Theil's
    incomplete method, 1950), robust to a few outliers. norms: the result of ``gradient_norms`` for
    this trace, to reuse it. RnnvizError for a trace without a
    loss and for a layer, direction or sequence that it lacks.

    >>> module = torch.nn.RNN(1, 1, nonlinearity="relu", bias=False)
    >>> with torch.no_grad(): _ = module.weight_hh_l0.fill_(0.5), module.weight_ih_l0.fill_(1)
    >>> found = diagnose(rnnviz.trace(module, torch.ones(200, 1), loss="last"))
    >>> found.verdict, round(found.decay, 4), round(found.half_life, 4), found.lost["float32"]
    ('vanishing', 0.301, 1.0, Lost(time=49, shows='0'))
    """
    part = TracePart(trace, layer, direction, batch)
    times = part.times
    sizes = hidden_norms(part, norms)[times]
    reached = np.flatnonzero(sizes > -np.inf)
    last = int(reached[-1]) + 1 if len(reached) else part.length
    decay = _decay(sizes[:last])
    return Diagnosis(
        verdict=_verdict(sizes[:last], decay),
        decay=decay,
        half_life=math.log10(2) / decay if decay > 0 else math.inf,
        doubling_time=math.log10(2) / -decay if decay < 0 else math.inf,
        not_finite=_not_finite(part),
        saturated=_saturated(part),
        lost={name: _lost(sizes[:last], times, name) for name in RANGES},
    )


def _decay(norms: NDArray[np.float64]) -> float:
    steps = np.flatnonzero(np.isfinite(norms))
    if len(steps) < 2:
        return math.nan
    half = len(steps) // 2
    early, late = steps[: len(steps) - half], steps[half:]
    return float(np.median((norms[late] - norms[early]) / (late - early)))


def _verdict(
    norms: NDArray[np.float64], decay: float
) -> Literal["vanishing", "healthy", "exploding"]:
    if np.isnan(norms).any() or np.isposinf(norms).any():
        return "exploding"
    if 2 * np.isneginf(norms).sum() >= len(norms) or decay * (len(norms) - 1) >= DECADES:
        return "vanishing"
    return "exploding" if decay * (len(norms) - 1) <= -DECADES else "healthy"


def _lost(norms: NDArray[np.float64], times: NDArray[np.intp], name: str) -> Lost | None:
    smallest, largest = RANGES[name]
    gone = np.flatnonzero((norms <= smallest) | (norms >= largest))
    if not len(gone):
        return None
    step = gone[-1]
    return Lost(int(times[step]), "0" if norms[step] <= smallest else "inf")


def _not_finite(part: TracePart) -> NotFinite | None:
    trace, times = part.trace, part.times
    gates = GATE_NAMES[trace.cell]
    names = [f"{gate}_preactivation" for gate in trace.form.gates]
    names += [gate for gate in gates if gate in trace]
    names += [name for name in ("cell_state", "hidden_state") if name in trace]
    first: NotFinite | None = None
    place = len(times)
    for name in names:
        finite = np.isfinite(part.read(name))
        if finite.all():
            continue
        bad = ~finite
        step = int(np.argmax(bad.any(-1)))
        if step < place:
            place = step
            first = NotFinite(int(times[place]), name, int(np.flatnonzero(bad[place])[0]))
    return first


def _saturated(part: TracePart) -> dict[str, NDArray[np.float64]]:
    trace = part.trace
    found: dict[str, NDArray[np.float64]] = {}
    for gate in GATE_NAMES[trace.cell]:
        name = gate if gate in trace else "hidden_state"  # an RNN's one gate is its state
        y = part.read(name).astype(np.float64)
        form = trace.nonlinearity if trace.cell == "rnn" else "sigmoid"
        form = "tanh" if gate.endswith("_candidate") else form
        if form == "relu":
            flat = y <= 0
        elif form == "identity":
            flat = np.zeros_like(y, bool)
        else:
            flat = np.abs(y if form == "tanh" else 2 * y - 1) > SATURATED
        found[gate] = flat.mean(0)
    return found
