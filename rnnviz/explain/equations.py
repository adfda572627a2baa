"""A cell's equations for one unit at one time step, in LaTeX, with the recorded numbers."""

import math
from typing import NamedTuple

import numpy as np

from rnnviz.activations import apply, find_activation
from rnnviz.cells import GATES_AS_READ
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
    found = _computed(trace, unit, time)
    for name, line in found.items():
        state = "hidden_state" if name == "hidden" else name
        rows = trace.held.get(state)
        if rows is not None and not math.isnan(rows[0, 0, time, unit]):
            rule = rf"\text{{{labels(language)['equation.held']}}}"
            found[name] = Equation(line.symbol, rule, line.value, line.value)
    return found


def _computed(trace: Trace, unit: int, time: int) -> dict[str, Equation]:
    """The equations as if nothing were held."""
    part = TracePart(trace, batch=0)
    terms = {gate: gate_terms(trace, gate, unit, time) for gate in trace.form.gates}
    value = {gate: found.value for gate, found in terms.items()}
    lines: dict[str, Equation] = {}
    for gate in GATES_AS_READ[trace.cell]:
        if gate in terms:
            lines[gate] = _gate(trace, terms[gate])
        else:  # coupled: i = 1 − f
            value[gate] = _state(part, gate, unit, time)
            forget = _n(value["forget_gate"])
            lines[gate] = Equation("i", "1 - f", f"1 - {forget}", _n(value[gate]))
    if trace.cell == "rnn":
        return lines
    t, h = time + 1, _n(_state(part, "hidden_state", unit, time))
    if trace.cell == "gru":
        before = _m(_state(part, "hidden_state", unit, time - 1))
        z, n = value["update_gate"], value["hidden_candidate"]
        lines["hidden_state"] = Equation(
            f"h_{{{t}}}",
            rf"(1 - z)\,n + z\,h_{{{t - 1}}}",
            rf"{_n(1 - z)} \cdot {_m(n)} + {_n(z)} \cdot {before}",
            h,
        )
        return lines
    c = _state(part, "cell_state", unit, time)
    before = _m(_state(part, "cell_state", unit, time - 1))
    f, i, g, o = (value[gate] for gate in GATES_AS_READ["lstm"])
    lines["cell_state"] = Equation(
        f"c_{{{t}}}",
        rf"f\,c_{{{t - 1}}} + i\,g",
        rf"{_n(f)} \cdot {before} + {_n(i)} \cdot {_m(g)}",
        _n(c),
    )
    lines["hidden_state"] = Equation(
        f"h_{{{t}}}",
        rf"o\,{_called(trace.form.output_activation, f'c_{{{t}}}')}",
        rf"{_n(o)} \cdot {_m(_output(trace.form.output_activation, c))}",
        h,
    )
    return lines


def _gate(trace: Trace, terms: GateTerms) -> Equation:
    letter, t = LETTERS[terms.gate], terms.time + 1
    function = written(trace.form.activation_of(terms.gate))
    at = "" if terms.gate == "hidden" else f"_{letter}"
    rule = rf"W{at} x_{{{t}}} + U{at} h_{{{t - 1}}} + b{at}"
    if terms.gate == "hidden_candidate" and trace.form.reset_after:
        rule = rf"W_n x_{{{t}}} + b_{{in}} + r\,(U_n h_{{{t - 1}}} + b_{{hn}})"
    elif terms.gate == "hidden_candidate":
        rule = rf"W_n x_{{{t}}} + U_n (r \odot h_{{{t - 1}}}) + b_n"
    sees = terms.gate in trace.form.peepholes
    if sees:
        rule += rf" + p{at} c_{{{t if terms.gate == 'output_gate' else t - 1}}}"
    # In a GRU's candidate the bias part includes b_hn times r, as in the sum.
    parts = [float(terms.by_input.sum()), float(terms.by_unit.sum()), terms.bias]
    parts += [terms.by_cell] if sees else []
    summed = " ".join([_n(parts[0]), *map(_signed, parts[1:])])
    return Equation(
        f"h_{{{t}}}" if terms.gate == "hidden" else letter,
        f"{function}({rule})",
        f"{function}({summed}) = {function}({_n(terms.preactivation)})",
        _n(terms.value),
    )


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


def _state(part: TracePart, name: str, unit: int, time: int) -> float:
    values = part.initial(name) if time < 0 else part.array(name)[time]
    return float(values[unit])


def _n(value: float) -> str:
    """Two decimals; −0.00 is 0.00. Numbers too large for that as powers of ten, in LaTeX."""
    if not math.isfinite(value):
        return {math.inf: r"\infty", -math.inf: r"-\infty"}.get(value, r"\text{NaN}")
    if abs(value) >= LONGEST:
        digits, exponent = f"{value:.2e}".split("e")
        return rf"{digits} \cdot 10^{{{int(exponent)}}}"
    text = f"{value:.2f}"
    return "0.00" if text == "-0.00" else text


def _m(value: float) -> str:
    """A factor; in brackets if negative."""
    return f"({_n(value)})" if _n(value).startswith("-") else _n(value)


def _signed(value: float) -> str:
    text = _n(value)
    return f"- {text[1:]}" if text.startswith("-") else f"+ {text}"
