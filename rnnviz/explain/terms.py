"""The terms of the sum in one unit's gate at one time step."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnviz.errors import RnnvizError, index
from rnnviz.trace import Trace, expect_trace
from rnnviz.trace_part import TracePart


@dataclass(frozen=True)
class GateTerms:
    """One gate of one unit at one step, split into terms in float64; they sum to preactivation.

    x: (feature,) the input; h: (unit,) the previous state, times r for the candidate of a
    reset-before GRU; w, u: the unit's rows of the gate's weights; b_ih, b_hh: its biases. reset: r
    for the candidate of a reset-after GRU, where it multiplies u h + b_hh; 1 otherwise.
    p, c: the peephole and the cell state that it reads; 0 if there is none.
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
        """Terms of the previous state, (unit,): r u h."""
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
        """Sum of all terms: the pre-activation, up to rounding."""
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
    Of a cell with its own step, where the sum is what the step recorded.
    RnnvizError for a gate that the cell lacks, a layer, direction or sequence that the trace
    lacks, a unit or time step out of range, and a masked step.

    >>> module = torch.nn.RNN(1, 1)
    >>> for p in module.parameters(): _ = torch.nn.init.ones_(p)
    >>> terms = gate_terms(rnnviz.trace(module, torch.ones(2, 1)), "hidden", 0, 1)
    >>> terms.by_input.tolist(), terms.by_unit.round(4).tolist(), terms.bias
    ([1.0], [0.9951], 2.0)
    """
    expect_trace(trace)
    names, part = trace.form.gates, TracePart(trace, layer, direction, batch)
    if gate not in names or f"{gate}_preactivation" not in trace:
        names = tuple(name for name in names if f"{name}_preactivation" in trace)
        raise RnnvizError("error.gate", came=gate, cell=trace.cell, expected=", ".join(names))
    unit, time = index("unit", unit, part.units), index("time", time, trace.steps)
    if trace.mask is not None and not trace.mask[time, part.batch]:
        raise RnnvizError("error.step_masked", time=time, batch=part.batch)
    part.recurrent_weights()  # an error where they are not those of the form
    row = names.index(gate) * part.units + unit
    x, h = part.inputs(time).astype(np.float64), _before(part, "hidden_state", time)
    reset = 1.0
    if gate == "hidden_candidate":
        r = part.array("reset_gate")[time].astype(np.float64)
        reset, h = (float(r[unit]), h) if trace.form.reset_after else (1.0, r * h)
    p, c = _peephole(part, gate, unit, time)
    value = "hidden_state" if gate == "hidden" else gate
    found = GateTerms(
        gate=gate,
        unit=unit,
        time=time,
        w=_row(part, "weight_ih", row),
        x=x,
        u=_row(part, "weight_hh", row),
        h=h,
        b_ih=float(_row(part, "bias_ih", row)),
        b_hh=float(_row(part, "bias_hh", row)),
        reset=reset,
        p=p,
        c=c,
        preactivation=float(part.array(f"{gate}_preactivation")[time, unit]),
        value=float(part.array(value)[time, unit]),
    )
    if trace.own_step:
        _check_sum(found, part)
    return found


def _check_sum(terms: GateTerms, part: TracePart) -> None:
    """RnnvizError where the terms are not those of what a cell with its own step recorded."""
    parts = (*terms.by_input, *terms.by_unit, terms.bias, terms.by_cell, terms.preactivation)
    eps = np.finfo(part.array("hidden_state").dtype).eps
    apart = abs(terms.total - terms.preactivation)
    if apart > 64 * float(eps) * float(np.abs(parts).sum()):
        raise RnnvizError(
            "error.own_terms",
            module=part.trace.module_repr.partition("(")[0],
            gate=terms.gate,
            came=f"{terms.total:.6g}",
            recorded=f"{terms.preactivation:.6g}",
        )


def _row(part: TracePart, name: str, row: int) -> Any:
    values = part.recorded_parameter(name)
    return 0.0 if values is None else values[row].astype(np.float64)  # 0: without biases


def _peephole(part: TracePart, gate: str, unit: int, time: int) -> tuple[float, float]:
    """A gate's peephole weight and the cell state that it reads; 0, 0 if it has none."""
    weights, peepholes = part.recorded_parameter("weight_peephole"), part.trace.form.peepholes
    if weights is None or gate not in peepholes:
        return 0.0, 0.0
    p = float(weights[peepholes.index(gate), unit])
    if gate == "output_gate":
        return p, float(part.array("cell_state")[time, unit])
    return p, float(_before(part, "cell_state", time)[unit])


def _before(part: TracePart, name: str, time: int) -> NDArray[np.float64]:
    """A state before this step, (unit,)."""
    earlier = part.times[part.times > time] if part.is_backward else part.times[part.times < time]
    if len(earlier):
        return part.array(name)[earlier[-1]].astype(np.float64)
    return part.initial(name).astype(np.float64)
