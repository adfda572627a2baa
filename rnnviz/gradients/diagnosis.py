"""A verdict on a trace: whether its gradient vanishes or explodes, and where it overflows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnviz.activations import ACTIVATIONS, apply, find_activation, slope
from rnnviz.cells import GATE_NAMES
from rnnviz.gradients.norms import state_norms
from rnnviz.trace import Trace
from rnnviz.trace_part import TracePart

if TYPE_CHECKING:
    import xarray

DECADES = 2.0  # change over the whole sequence from which a gradient vanishes or explodes
SATURATED = 0.9  # distance from the middle of a gate's range, as a fraction of half the range

# log₁₀ of the sizes at which rounding to nearest gives 0 and inf.
RANGES = {
    "float16": (-25 * math.log10(2), math.log10(2.0**16 - 2.0**4)),
    "bfloat16": (-134 * math.log10(2), math.log10(2.0**128 - 2.0**119)),
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


Verdict = Literal["vanishing", "healthy", "exploding", "one_step", "no_gradient", "undefined"]


@dataclass(frozen=True)
class Diagnosis:
    """The verdict on the norms ‖∂L/∂s_t‖ of one layer in one direction.

    state: the state s whose norms are judged: "hidden_state"; "cell_state" of an LSTM whose
    gradient with respect to h is exactly 0 at half or more of the steps that it can reach, as with
    U = 0, where c alone carries it back.
    verdict, of the steps that the loss can reach: those read no later than the last one with a
    gradient, in the order in which the direction reads.
    "no_gradient": it is exactly 0 at every step. "one_step": the loss reaches only the first step
    that is read, so that no decay can be measured. "undefined": it is NaN or infinite at a step,
    because the module's own values are. Else "vanishing" or "exploding" if the fitted line falls or
    rises by 2 decades or more from the last step back to the first, and "healthy" if it does
    neither; also "vanishing" if the gradient is exactly 0 at half or more of the steps.
    Rates are per step, backwards in time. decay: decades lost per step, negative if the gradient
    grows; inf if it never survives a single step; NaN if two norms to compare are lacking.
    half_life: steps in which the gradient halves; inf if it does not fall, NaN as the decay.
    doubling_time: steps in which it doubles; inf if it does not grow, NaN as the decay.
    not_finite: where the module's own run first has a non-finite value, or None.
    saturated: by gate, (unit,), the fraction of time steps at which the activation's slope is below
    0.19 of its steepest: a sigmoid below 0.05 or above 0.95, a tanh beyond ±0.9, a relu 0. Of a
    cell with its own step, the gates that are a known activation of their pre-activation.
    lost: by "float16", "bfloat16", "float32" and "float64" the last time step (the first one going
    back) at which the exact norm rounds to 0 or inf in that type, or None. Steps that the loss
    cannot reach, such as those after the last output, do not count.
    A loss that reads every step, such as "all", adds its own part to each norm and hides how fast
    the rest decays: a network with U = 0 is then "healthy". With loss="last" the norms show the
    decay alone.
    """

    verdict: Verdict
    state: str
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
    this trace, to reuse it. RnnvizError for the norms of another trace, for a trace without a loss
    and for a layer, direction or sequence that it lacks.

    >>> module = torch.nn.RNN(1, 1, nonlinearity="relu", bias=False)
    >>> with torch.no_grad(): _ = module.weight_hh_l0.fill_(0.5), module.weight_ih_l0.fill_(1)
    >>> found = diagnose(rnnviz.trace(module, torch.ones(200, 1), loss="last"))
    >>> found.verdict, round(found.decay, 4), round(found.half_life, 4), found.lost["float32"]
    ('vanishing', 0.301, 1.0, Lost(time=49, shows='0'))
    """
    part = TracePart(trace, layer, direction, batch)
    by_state = {name: _reached(v[part.times]) for name, v in state_norms(part, norms).items()}
    state = _judged(by_state)
    sizes = by_state[state]
    decay = _decay(sizes)
    return Diagnosis(
        verdict=_verdict(sizes, decay),
        state=state,
        decay=decay,
        half_life=_steps_to(math.log10(2), decay),
        doubling_time=_steps_to(math.log10(2), -decay),
        not_finite=_not_finite(part),
        saturated=_saturated(part),
        lost={name: _lost(sizes, part.times, name) for name in RANGES},
    )


def _reached(norms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Those up to the last step with a gradient; all if it is exactly 0 at every step."""
    there = np.flatnonzero(~np.isneginf(norms))
    return norms[: there[-1] + 1] if len(there) else norms


def _judged(by_state: Mapping[str, NDArray[np.float64]]) -> str:
    """The cell state if the hidden state's gradient is mostly 0 and the cell state's is not."""
    dead = {name: int(np.isneginf(norms).sum()) for name, norms in by_state.items()}
    hidden, cell = by_state["hidden_state"], by_state.get("cell_state")
    if cell is None or 2 * dead["hidden_state"] < len(hidden):
        return "hidden_state"
    alive = {name: len(norms) - dead[name] for name, norms in by_state.items()}
    return "cell_state" if alive["cell_state"] > alive["hidden_state"] else "hidden_state"


def _decay(norms: NDArray[np.float64]) -> float:
    finite, dead = np.isfinite(norms), np.isneginf(norms)
    if not (finite[1:] & finite[:-1]).any() and (finite[1:] & dead[:-1]).any():
        return math.inf
    steps = np.flatnonzero(finite)
    if len(steps) < 2:
        return math.nan
    half = len(steps) // 2
    early, late = steps[: len(steps) - half], steps[half:]
    return float(np.median((norms[late] - norms[early]) / (late - early)))


def _steps_to(decades: float, per_step: float) -> float:
    """Steps in which a norm changes by that much; inf if it does not, NaN if it is not known."""
    if math.isnan(per_step):
        return math.nan
    return decades / per_step if per_step > 0 else math.inf


def _verdict(norms: NDArray[np.float64], decay: float) -> Verdict:
    if not (np.isfinite(norms) | np.isneginf(norms)).all():
        return "undefined"
    dead = np.isneginf(norms).sum()
    if dead == len(norms):
        return "no_gradient"
    if len(norms) == 1:
        return "one_step"
    if 2 * dead >= len(norms) or decay * (len(norms) - 1) >= DECADES:
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
    states = (name for name in ("cell_state", "hidden_state") if name in trace.form.states)
    names = [*trace.preactivations, *trace.gates, *states]
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
    return {gate: _is_flat(part, gate, name).mean(0) for gate, name in _activations(part).items()}


def _activations(part: TracePart) -> dict[str, str]:
    """The name of each gate's activation, in torch's order."""
    trace = part.trace
    if not trace.own_step:
        return {gate: trace.form.activation_of(gate) for gate in GATE_NAMES[trace.cell]}
    names = trace.gates if trace.gates else ("hidden",)
    found = {gate: _recognised(part, gate) for gate in names}
    return {gate: name for gate, name in found.items() if name is not None}


def _values(part: TracePart, gate: str) -> NDArray[np.float64]:
    name = gate if gate in part.trace else "hidden_state"  # an RNN's one gate is its state
    return part.read(name).astype(np.float64)


def _recognised(part: TracePart, gate: str) -> str | None:
    """The first activation that gives a gate's recorded values; None if none does."""
    trace, own = part.trace, f"{gate}_preactivation"
    if own not in trace:
        return None
    a, y = part.read(own).astype(np.float64), _values(part, gate)
    if a.shape != y.shape:
        return None
    rounding = 64 * np.finfo(part.array(own).dtype).eps
    usual = "sigmoid" if gate.endswith("_gate") else "tanh"
    for name in (trace.form.activation_of(gate), usual, *ACTIVATIONS, "hard_sigmoid(0.2, 0.5)"):
        if np.allclose(apply(name, a), y, rounding, rounding, equal_nan=True):
            return name
    return None


def _is_flat(part: TracePart, gate: str, name: str) -> NDArray[np.bool_]:
    """Where the slope of an activation is below 0.19 of its steepest, (time, unit)."""
    y = _values(part, gate)
    if name == "relu":
        return y <= 0
    if name in ("tanh", "sigmoid"):
        return np.abs(y if name == "tanh" else 2 * y - 1) > SATURATED
    if f"{gate}_preactivation" not in part.trace:  # a coupled gate is as flat as the other one
        gate = "forget_gate"
    activation = find_activation(name)
    assert activation is not None
    a = part.read(f"{gate}_preactivation").astype(np.float64)
    return np.abs(slope(name, a)) < (1 - SATURATED**2) * activation.steepest
