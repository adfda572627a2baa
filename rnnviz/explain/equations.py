"""A cell's equations for one unit at one time step, in LaTeX, with the recorded numbers."""

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from rnnviz.activations import apply, find_activation
from rnnviz.cells import GATES_AS_READ, Form
from rnnviz.errors import RnnvizError, index
from rnnviz.explain.terms import GateTerms, gate_terms
from rnnviz.locale import labels
from rnnviz.locale.numbers import LONGEST
from rnnviz.trace import Trace, expect_trace
from rnnviz.trace_part import TracePart

LETTERS = {
    "hidden": "h",
    "input_gate": "i",
    "forget_gate": "f",
    "cell_candidate": "g",
    "output_gate": "o",
    "reset_gate": "r",
    "update_gate": "z",
    "hidden_candidate": "n",
}
# A slot of a template. [name]: a number; [+name]: a summand with its sign; [(name]: a factor, in
# brackets if it is negative. [t] and [before] are the number of the step and of the step before.
SLOT = re.compile(r"\[([+(]?)([\w.]+)\]")


class Equation(NamedTuple):
    """One quantity of a cell in LaTeX: its symbol, its formula, and the formula in numbers."""

    symbol: str
    rule: str
    numbers: str
    value: str


def equations(trace: Trace, unit: int, time: int, *, language: str = "en") -> dict[str, Equation]:
    r"""Each quantity's equation by name, for one unit at one time step (counted from 0).

    Of the first layer, forward, first sequence. A gate's sum has an input, a recurrent and a bias
    part, and with peepholes one of the cell state; held quantities are marked as such, in the
    language. Numbers are rounded to two decimals for display, so a line may differ from its own
    sum by 0.01. Steps are numbered from 1.

    >>> module = torch.nn.RNN(1, 1)
    >>> for p in module.parameters(): _ = torch.nn.init.ones_(p)
    >>> for part in equations(rnnviz.trace(module, torch.ones(2, 1)), 0, 0)["hidden"]: print(part)
    h_{1}
    \tanh(W x_{1} + U h_{0} + b)
    \tanh(1.00 + 0.00 + 2.00) = \tanh(3.00)
    1.00
    """
    expect_trace(trace)
    if trace.own_step:
        module = trace.module_repr.partition("(")[0]
        raise RnnvizError("error.own_equations", what="equations", module=module)
    # NumPy's integers of few bits would overflow in time − 1
    unit, time = index("unit", unit, trace.widths[0][0]), index("time", time, trace.steps)
    values, steps = _values(trace, unit, time), {"t": time + 1, "before": time}
    found = {
        name: Equation(*(_filled(part, values, steps) for part in template))
        for name, template in equation_templates(trace.form).items()
    }
    for name, line in found.items():
        state = "hidden_state" if name == "hidden" else name
        rows = trace.held.get(state)
        if rows is not None and not math.isnan(rows[0, 0, time, unit]):
            rule = rf"\text{{{labels(language)['equation.held']}}}"
            found[name] = Equation(line.symbol, rule, line.value, line.value)
    return found


def equation_templates(form: Form) -> dict[str, Equation]:
    r"""Each quantity's equation with slots in place of its numbers (see SLOT).

    forget_gate.input, .state, .bias, .cell: the parts of a gate's sum; forget_gate.sum: the sum;
    forget_gate: the gate. cell_state.before: the state before the step; cell_output: the cell
    state after its activation; update_gate.rest: 1 − z.

    >>> print(equation_templates(Form("lstm"))["cell_state"].numbers)
    [forget_gate] \cdot [(cell_state.before] + [input_gate] \cdot [(cell_candidate]
    """
    lines: dict[str, Equation] = {}
    for gate in GATES_AS_READ[form.cell]:
        if gate in form.gates:
            lines[gate] = _gate(form, gate)
        else:  # coupled: i = 1 − f
            lines[gate] = Equation("i", "1 - f", "1 - [forget_gate]", f"[{gate}]")
    if form.cell == "gru":
        lines["hidden_state"] = Equation(
            "h_{[t]}",
            r"(1 - z)\,n + z\,h_{[before]}",
            r"[update_gate.rest] \cdot [(hidden_candidate] + [update_gate] \cdot"
            " [(hidden_state.before]",
            "[hidden_state]",
        )
    if form.cell == "lstm":
        lines["cell_state"] = Equation(
            "c_{[t]}",
            r"f\,c_{[before]} + i\,g",
            r"[forget_gate] \cdot [(cell_state.before] + [input_gate] \cdot [(cell_candidate]",
            "[cell_state]",
        )
        lines["hidden_state"] = Equation(
            "h_{[t]}",
            rf"o\,{_called(form.output_activation, 'c_{[t]}')}",
            r"[output_gate] \cdot [(cell_output]",
            "[hidden_state]",
        )
    return lines


def _gate(form: Form, gate: str) -> Equation:
    letter, function = LETTERS[gate], written(form.activation_of(gate))
    at = "" if gate == "hidden" else f"_{letter}"
    rule = rf"W{at} x_{{[t]}} + U{at} h_{{[before]}} + b{at}"
    if gate == "hidden_candidate" and form.reset_after:
        rule = r"W_n x_{[t]} + b_{in} + r\,(U_n h_{[before]} + b_{hn})"
    elif gate == "hidden_candidate":
        rule = r"W_n x_{[t]} + U_n (r \odot h_{[before]}) + b_n"
    # In a GRU's candidate the bias part includes b_hn times r, as in the sum.
    parts = f"[{gate}.input] [+{gate}.state] [+{gate}.bias]"
    if gate in form.peepholes:
        rule += rf" + p{at} c_{{{'[t]' if gate == 'output_gate' else '[before]'}}}"
        parts += f" [+{gate}.cell]"
    return Equation(
        "h_{[t]}" if gate == "hidden" else letter,
        f"{function}({rule})",
        f"{function}({parts}) = {function}([{gate}.sum])",
        f"[{gate}]",
    )


def _values(trace: Trace, unit: int, time: int) -> dict[str, float]:
    """The number of each slot."""
    part = TracePart(trace, batch=0)
    values: dict[str, float] = {}
    for gate in trace.form.gates:
        values |= _sum_of(gate_terms(trace, gate, unit, time))
    if "input_gate" in trace:  # coupled: no gate of its own
        values.setdefault("input_gate", float(part.array("input_gate")[time, unit]))
    for name in ("hidden_state", "cell_state"):
        if name in trace:
            before = part.array(name)[time - 1] if time else part.initial(name)
            values[name] = float(part.array(name)[time, unit])
            values[f"{name}.before"] = float(before[unit])
    if "update_gate" in values:
        values["update_gate.rest"] = 1 - values["update_gate"]
    if "cell_state" in values:
        values["cell_output"] = _output(trace.form.output_activation, values["cell_state"])
    return values


def _sum_of(terms: GateTerms) -> dict[str, float]:
    return {
        terms.gate: terms.value,
        f"{terms.gate}.input": float(terms.by_input.sum()),
        f"{terms.gate}.state": float(terms.by_unit.sum()),
        f"{terms.gate}.bias": terms.bias,
        f"{terms.gate}.cell": terms.by_cell,
        f"{terms.gate}.sum": terms.preactivation,
    }


def _filled(template: str, values: Mapping[str, float], steps: Mapping[str, int]) -> str:
    """The template with its numbers."""
    kinds = {"": _n, "+": _signed, "(": _factor}

    def write(slot: re.Match[str]) -> str:
        kind, name = slot.groups()
        return str(steps[name]) if name in steps else kinds[kind](values[name])

    return SLOT.sub(write, template)


def written(name: str) -> str:
    """An activation in LaTeX."""
    found = find_activation(name)
    assert found is not None
    return found.latex or r"\mathrm{id}"


def _called(name: str | None, symbol: str) -> str:
    """φ(symbol); the symbol alone for the identity."""
    return symbol if name == "identity" else f"{written(str(name))}({symbol})"


def _output(name: str | None, c: float) -> float:
    return math.tanh(c) if name == "tanh" else float(apply(str(name), np.array([c]))[0])


def _n(value: float) -> str:
    """Two decimals; −0.00 is 0.00. Numbers too large for that as powers of ten, in LaTeX."""
    if not math.isfinite(value):
        return {math.inf: r"\infty", -math.inf: r"-\infty"}.get(value, r"\text{NaN}")
    if abs(value) >= LONGEST:
        digits, exponent = f"{value:.2e}".split("e")
        return rf"{digits} \cdot 10^{{{int(exponent)}}}"
    text = f"{value:.2f}"
    return "0.00" if text == "-0.00" else text


def _factor(value: float) -> str:
    """A factor; in brackets if negative."""
    return f"({_n(value)})" if _n(value).startswith("-") else _n(value)


def _signed(value: float) -> str:
    text = _n(value)
    return f"- {text[1:]}" if text.startswith("-") else f"+ {text}"
