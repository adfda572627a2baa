"""What pushed a gate: every term of the sum behind one unit's gate at one time step."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnviz.errors import RnnvizError
from rnnviz.trace import Trace


@dataclass(frozen=True)
class GateTerms:
    """One gate of one unit at one step, taken apart in float64; the terms sum to preactivation.

    x: (feature,) what is read; h: (unit,) the state before this step, times r where a GRU's
    candidate reads it after the reset; w, u: the unit's rows of the gate's weights; b_ih, b_hh: its
    biases. reset: r, by which a GRU's candidate scales what comes from h; 1 in every other gate.
    p, c: the peephole and the cell state that it sees; 0 where there is none.
    preactivation, value: as recorded.
    """

    gate: str
    unit: int
    time: int
    w: NDArray[np.float64]
    x: NDArray[np.float64]
    u: NDArray[np.float64]
    h: NDArray[np.float64]
    b_ih: float
    b_hh: float
    reset: float
    p: float
    c: float
    preactivation: float
    value: float

    @property
    def by_input(self) -> NDArray[np.float64]:
        """Terms of the input, (feature,): w x."""
        return self.w * self.x

    @property
    def by_unit(self) -> NDArray[np.float64]:
        """Terms of the state before, (unit,): r u h."""
        return self.reset * self.u * self.h

    @property
    def bias(self) -> float:
        """Both biases: b_ih + r b_hh."""
        return self.b_ih + self.reset * self.b_hh

    @property
    def by_cell(self) -> float:
        """The term of the cell state, p c."""
        return self.p * self.c

    @property
    def total(self) -> float:
        """Sum of all terms: the pre-activation but for rounding."""
        return float(self.by_input.sum() + self.by_unit.sum() + self.bias + self.by_cell)


def gate_terms(
    trace: Trace,
    gate: str,
    unit: int,
    time: int,
    *,
    layer: int = 0,
    direction: str = "forward",
    batch: int = 0,
) -> GateTerms:
    """The terms behind ``trace[gate]`` at one unit and time step.

    gate: a gate's name ("forget_gate"; an RNN has the one gate "hidden").
    RnnvizError for a gate that the cell lacks or an index out of range.

    >>> module = torch.nn.RNN(1, 1)
    >>> for p in module.parameters(): _ = torch.nn.init.ones_(p)
    >>> terms = gate_terms(rnnviz.trace(module, torch.ones(2, 1)), "hidden", 0, 1)
    >>> terms.by_input.tolist(), terms.by_unit.round(4).tolist(), terms.bias
    ([1.0], [0.9951], 2.0)
    """
    names = trace.form.gates
    if gate not in names:
        raise RnnvizError("error.gate", came=gate, cell=trace.cell, expected=", ".join(names))
    a = _part(trace, f"{gate}_preactivation", layer, direction)[:, batch]
    if not (0 <= unit < a.shape[1] and 0 <= time < a.shape[0]):
        raise RnnvizError("error.step", time=time, unit=unit, times=a.shape[0], units=a.shape[1])
    suffix = f"_l{layer}{'_reverse' * (direction == 'backward')}"
    row = names.index(gate) * a.shape[1] + unit
    x, h = _reads(trace, layer, direction, batch, time)
    reset = 1.0
    if gate == "hidden_candidate":
        r = _part(trace, "reset_gate", layer, direction)[time, batch].astype(np.float64)
        reset, h = (float(r[unit]), h) if trace.form.reset_after else (1.0, r * h)
    p = c = 0.0
    if gate in trace.form.peepholes:
        place = trace.form.peepholes.index(gate)
        p = float(trace.parameters[f"weight_peephole{suffix}"][place, unit])
        c = float(_part(trace, "cell_state", layer, direction)[time, batch, unit])
        if gate != "output_gate":
            c = float(_before(trace, "cell_state", layer, direction, batch, time)[unit])
    value = "hidden_state" if gate == "hidden" else gate
    return GateTerms(
        gate=gate,
        unit=unit,
        time=time,
        w=_row(trace, f"weight_ih{suffix}", row),
        x=x,
        u=_row(trace, f"weight_hh{suffix}", row),
        h=h,
        b_ih=float(_row(trace, f"bias_ih{suffix}", row)),
        b_hh=float(_row(trace, f"bias_hh{suffix}", row)),
        reset=reset,
        p=p,
        c=c,
        preactivation=float(a[time, unit]),
        value=float(_part(trace, value, layer, direction)[time, batch, unit]),
    )


def _part(trace: Trace, name: str, layer: int, direction: str) -> NDArray[Any]:
    return trace.array(name)[layer, int(direction == "backward")]


def _row(trace: Trace, name: str, row: int) -> Any:
    if name not in trace.parameters:  # a module without biases
        return 0.0
    return trace.parameters[name][row].astype(np.float64)


def _reads(
    trace: Trace, layer: int, direction: str, batch: int, time: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What the layer reads at this step: its input, and its own state from the step before."""
    if layer == 0:
        x = trace.array("input")[time, batch]
    else:
        x = trace.array("hidden_state")[layer - 1, :, time, batch].reshape(-1)
    return x.astype(np.float64), _before(trace, "hidden_state", layer, direction, batch, time)


def _before(
    trace: Trace, name: str, layer: int, direction: str, batch: int, time: int
) -> NDArray[np.float64]:
    """A state as it was before this step, (unit,)."""
    states = _part(trace, name, layer, direction)[:, batch]
    before = time - 1 if direction == "forward" else time + 1
    last = len(states) if trace.lengths is None else int(trace.lengths[batch])
    if 0 <= before < last:
        return states[before].astype(np.float64)
    first = trace.initial_array(name)[layer, int(direction == "backward"), batch]
    return first.astype(np.float64)
