"""The terms of a gate sum to its pre-activation, and the equations show the trace's numbers."""

import math
import re
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import rnnviz
from rnnviz.cells import GATE_NAMES, GATES_AS_READ, Form, make_cell
from rnnviz.errors import RnnvizError
from rnnviz.explain.equations import LETTERS, Equation, equations
from rnnviz.explain.terms import gate_terms
from rnnviz.trace import Trace
from tests.cases import VARIANTS, plain_case

STACKS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
HIDDEN, INPUTS, STEPS = 3, 2, 5
LENGTHS = [5, 2, 4]


def value_of(gate: str) -> str:
    return "hidden_state" if gate == "hidden" else gate


@cache
@torch.random.fork_rng(devices=[])
def stack(cell: str, layers: int, both: bool, bias: bool) -> nn.RNNBase:
    torch.manual_seed(layers)
    module = STACKS[cell](INPUTS, HIDDEN, layers, bidirectional=both, bias=bias)
    return module.double()


@cache
@torch.random.fork_rng(devices=[])
def record(cell: str, layers: int, both: bool, bias: bool, padded: bool, state: bool) -> Trace:
    torch.manual_seed(7)
    x = 2 * torch.randn(STEPS, 3, INPUTS).double()
    h, c = torch.randn(2, layers * (1 + both), 3, HIDDEN).double()
    initial = ((h, c) if cell == "lstm" else h) if state else None
    lengths = LENGTHS if padded else None
    return rnnviz.trace(stack(cell, layers, both, bias), x, initial, lengths=lengths)


every_kind = (
    st.sampled_from(sorted(STACKS)),
    st.integers(1, 3),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)


@settings(max_examples=30)
@given(*every_kind, st.data())
def test_the_terms_sum_to_the_recorded_preactivation(
    cell: str, layers: int, both: bool, bias: bool, padded: bool, state: bool, data: st.DataObject
):
    trace = record(cell, layers, both, bias, padded, state)
    layer = data.draw(st.integers(0, layers - 1))
    direction = data.draw(st.sampled_from(["forward", "backward"][: 1 + both]))
    batch, unit = data.draw(st.integers(0, 2)), data.draw(st.integers(0, HIDDEN - 1))
    steps = LENGTHS[batch] if padded else STEPS
    place = layer, int(direction == "backward")
    for gate in GATE_NAMES[cell]:
        preactivations = trace[f"{gate}_preactivation"].values[place]
        values = trace[value_of(gate)].values[place]
        for time in sorted({0, data.draw(st.integers(0, steps - 1)), steps - 1}):
            terms = gate_terms(
                trace, gate, unit, time, layer=layer, direction=direction, batch=batch
            )
            a = float(preactivations[time, batch, unit])
            assert terms.preactivation == a
            assert terms.value == values[time, batch, unit]
            difference = abs(terms.total - a)
            assert difference < 1e-12, f"{gate} at {time}: {difference=:.1e}"
            by_hand = terms.by_input.sum() + terms.by_unit.sum() + terms.bias
            assert abs(by_hand - a) < 1e-12
            if not bias:
                assert terms.bias == 0


@settings(max_examples=30)
@given(*every_kind, st.data())
def test_a_term_is_a_weight_times_its_input(
    cell: str, layers: int, both: bool, bias: bool, padded: bool, state: bool, data: st.DataObject
):
    trace = record(cell, layers, both, bias, padded, state)
    weights = stack(cell, layers, both, bias).state_dict()
    layer, unit = data.draw(st.integers(0, layers - 1)), data.draw(st.integers(0, HIDDEN - 1))
    batch, backward = data.draw(st.integers(0, 2)), data.draw(st.sampled_from([0, 1][: 1 + both]))
    steps = LENGTHS[batch] if padded else STEPS
    time = data.draw(st.integers(0, steps - 1))
    place = {"layer": layer, "direction": ["forward", "backward"][backward], "batch": batch}
    h = trace["hidden_state"].values
    before = time + 1 if backward else time - 1
    first = trace.initial_state["hidden_state"].values[layer, backward, batch]
    state_before = h[layer, backward, before, batch] if 0 <= before < steps else first
    x = trace["input"].values[time, batch] if layer == 0 else h[layer - 1, :, time, batch].ravel()
    for number, gate in enumerate(GATE_NAMES[cell]):
        terms = gate_terms(trace, gate, unit, time, **place)
        row, end = number * HIDDEN + unit, f"_l{layer}" + "_reverse" * backward
        assert (terms.gate, terms.unit, terms.time) == (gate, unit, time)
        np.testing.assert_array_equal(terms.w, weights[f"weight_ih{end}"][row])
        np.testing.assert_array_equal(terms.u, weights[f"weight_hh{end}"][row])
        np.testing.assert_array_equal(terms.x, x)
        np.testing.assert_array_equal(terms.h, state_before)
        np.testing.assert_array_equal(terms.by_input, terms.w * x)
        reset = 1.0
        if gate == "hidden_candidate":
            reset = float(trace["reset_gate"].values[layer, backward, time, batch, unit])
        assert terms.reset == reset
        np.testing.assert_allclose(terms.by_unit, reset * terms.u * state_before, rtol=1e-14)
        if bias:
            assert terms.b_ih == float(weights[f"bias_ih{end}"][row])
            assert terms.b_hh == float(weights[f"bias_hh{end}"][row])
            assert terms.bias == terms.b_ih + reset * terms.b_hh
        else:
            assert (terms.b_ih, terms.b_hh) == (0, 0)


def test_the_terms_of_a_projected_lstm():
    torch.manual_seed(0)
    module = nn.LSTM(2, 4, 2, bidirectional=True, proj_size=3).double()
    trace = rnnviz.trace(module, torch.randn(5, 2).double())
    for gate in GATE_NAMES["lstm"]:
        for time in range(5):
            for direction in ("forward", "backward"):
                terms = gate_terms(trace, gate, 3, time, layer=1, direction=direction)
                assert terms.by_unit.shape == (3,)
                assert terms.by_input.shape == (6,)
                assert abs(terms.total - terms.preactivation) < 1e-12


def test_an_unknown_gate_raises():
    with pytest.raises(RnnvizError) as caught:
        gate_terms(record("gru", 1, False, True, False, False), "forget_gate", 0, 0)
    assert str(caught.value) == (
        'The cell "gru" has no gate "forget_gate"; it has reset_gate, update_gate, '
        "hidden_candidate. Choose one of these."
    )


@pytest.mark.parametrize(("unit", "time"), [(3, 0), (-1, 0), (0, 5), (0, -1)])
def test_a_missing_step_or_unit_raises(unit: int, time: int):
    with pytest.raises(RnnvizError) as caught:
        gate_terms(record("lstm", 1, False, True, False, False), "input_gate", unit, time)
    name, came, count = ("time", time, 5) if time else ("unit", unit, 3)
    assert str(caught.value) == (
        f"{name} {came} is out of range; expected 0 ≤ {name} < {count}. Choose another number."
    )


# Equations: parsing the LaTeX

NUMBER = r"-?\d+\.\d\d"
FACTOR = rf"(?:{NUMBER}|\(-\d+\.\d\d\))"


def read(pattern: str, numbers: str) -> list[float]:
    """The numbers of a line of LaTeX, in order; each # of the pattern matches one."""
    wanted = re.escape(pattern).replace("\\#", f"({FACTOR})")
    found = re.fullmatch(wanted, numbers)
    assert found, f"{numbers} does not match {pattern}"
    return [float(part.strip("()")) for part in found.groups()]


def sum_of(function: str, numbers: str) -> list[float]:
    """The input, recurrent and bias part of a gate's line, and their sum."""
    name = re.escape(function)
    pattern = rf"{name}\(({NUMBER}) ([+-]) (\d+\.\d\d) ([+-]) (\d+\.\d\d)\) = {name}\(({NUMBER})\)"
    found = re.fullmatch(pattern, numbers)
    assert found, numbers
    x, sign_h, h, sign_b, b, a = found.groups()
    return [float(x), float(sign_h + h), float(sign_b + b), float(a)]


def assert_rounded(shown: float, value: float) -> None:
    assert abs(shown - value) <= 0.005 + 1e-12, f"{shown} is not {value} rounded"


@cache
@torch.random.fork_rng(devices=[])
def single(cell: str, seed: int, given: bool, relu: bool = False) -> Trace:
    torch.manual_seed(seed)
    options = {"nonlinearity": "relu"} if relu else {}
    module = STACKS[cell](INPUTS, HIDDEN, **options).double()
    h, c = 3 * torch.randn(2, 1, HIDDEN).double()
    state = ((h, c) if cell == "lstm" else h) if given else None
    return rnnviz.trace(module, 3 * torch.randn(STEPS, INPUTS).double(), state)


def at(trace: Trace, name: str, time: int, unit: int) -> float:
    if time < 0:
        return float(trace.initial_state[name].values[0, 0, 0, unit])
    return float(trace[name].values[0, 0, time, 0, unit])


some_step = (st.integers(0, 5), st.booleans(), st.integers(0, HIDDEN - 1), st.integers(0, 4))


@settings(max_examples=30)
@given(st.sampled_from(["rnn", "relu", "lstm", "gru"]), *some_step)
def test_the_equation_of_a_gate(form: str, seed: int, given: bool, unit: int, time: int):
    cell = "rnn" if form == "relu" else form
    trace = single(cell, seed, given, form == "relu")
    lines = equations(trace, unit, time)
    for gate in GATES_AS_READ[cell]:
        terms, line = gate_terms(trace, gate, unit, time), lines[gate]
        function = r"\tanh" if gate in ("cell_candidate", "hidden_candidate") else r"\sigma"
        if gate == "hidden":
            function = r"\mathrm{relu}" if form == "relu" else r"\tanh"
        parts = terms.by_input.sum(), terms.by_unit.sum(), terms.bias, terms.preactivation
        for shown, value in zip(sum_of(function, line.numbers), parts, strict=True):
            assert_rounded(shown, float(value))
        assert_rounded(float(line.value), terms.value)
        worked_out = {
            r"\sigma": lambda a: 1 / (1 + math.exp(-a)),
            r"\tanh": math.tanh,
            r"\mathrm{relu}": lambda a: max(a, 0.0),
        }[function](terms.preactivation)
        assert_rounded(float(line.value), worked_out)
        letter = LETTERS[gate]
        assert line.symbol == (f"h_{{{time + 1}}}" if gate == "hidden" else letter)
        rule = f"W_{letter} x_{{{time + 1}}} + U_{letter} h_{{{time}}} + b_{letter}"
        if gate == "hidden":
            rule = f"W x_{{{time + 1}}} + U h_{{{time}}} + b"
        if gate == "hidden_candidate":
            rule = rf"W_n x_{{{time + 1}}} + b_{{in}} + r\,(U_n h_{{{time}}} + b_{{hn}})"
        assert line.rule == f"{function}({rule})"


@settings(max_examples=30)
@given(*some_step)
def test_the_states_of_an_lstm(seed: int, given: bool, unit: int, time: int):
    trace = single("lstm", seed, given)
    lines = equations(trace, unit, time)
    assert list(lines) == [*GATES_AS_READ["lstm"], "cell_state", "hidden_state"]
    c, h = lines["cell_state"], lines["hidden_state"]
    now = {name: at(trace, name, time, unit) for name in trace.names if name != "input"}
    assert (c.symbol, c.rule) == (f"c_{{{time + 1}}}", rf"f\,c_{{{time}}} + i\,g")
    assert (h.symbol, h.rule) == (f"h_{{{time + 1}}}", rf"o\,\tanh(c_{{{time + 1}}})")
    shown = read(r"# \cdot # + # \cdot #", c.numbers)
    f, i, g = (now[gate] for gate in ("forget_gate", "input_gate", "cell_candidate"))
    before = at(trace, "cell_state", time - 1, unit)  # step 1 takes the initial state
    for number, value in zip(shown, (f, before, i, g), strict=True):
        assert_rounded(number, value)
    assert_rounded(float(c.value), f * before + i * g)
    for number, value in zip(
        read(r"# \cdot #", h.numbers),
        (now["output_gate"], math.tanh(now["cell_state"])),
        strict=True,
    ):
        assert_rounded(number, value)
    assert_rounded(float(h.value), now["output_gate"] * math.tanh(now["cell_state"]))


@settings(max_examples=30)
@given(*some_step)
def test_the_state_of_a_gru(seed: int, given: bool, unit: int, time: int):
    trace = single("gru", seed, given)
    lines = equations(trace, unit, time)
    assert list(lines) == [*GATES_AS_READ["gru"], "hidden_state"]
    line = lines["hidden_state"]
    z, n = at(trace, "update_gate", time, unit), at(trace, "hidden_candidate", time, unit)
    before = at(trace, "hidden_state", time - 1, unit)
    assert line.symbol == f"h_{{{time + 1}}}"
    assert line.rule == rf"(1 - z)\,n + z\,h_{{{time}}}"
    for number, value in zip(
        read(r"# \cdot # + # \cdot #", line.numbers), (1 - z, n, z, before), strict=True
    ):
        assert_rounded(number, value)
    assert_rounded(float(line.value), (1 - z) * n + z * before)


def test_an_rnn_has_one_equation():
    assert list(equations(single("rnn", 0, False), 0, 0)) == ["hidden"]


def test_the_first_step_uses_the_given_state():
    module = nn.LSTM(1, 1).double()
    for parameter in module.parameters():
        nn.init.constant_(parameter, 0.5)
    state = (torch.full((1, 1), -2.0).double(), torch.full((1, 1), -4.0).double())
    lines = equations(rnnviz.trace(module, torch.ones(1, 1).double(), state), 0, 0)
    # a = 0.5 · 1 + 0.5 · (−2) + 1 = 0.5 for every gate; σ(0.5) = 0.622, tanh(0.5) = 0.462
    assert lines["forget_gate"] == Equation(
        "f",
        r"\sigma(W_f x_{1} + U_f h_{0} + b_f)",
        r"\sigma(0.50 - 1.00 + 1.00) = \sigma(0.50)",
        "0.62",
    )
    # c = 0.622 · (−4) + 0.622 · 0.462 = −2.2
    assert lines["cell_state"] == Equation(
        "c_{1}", r"f\,c_{0} + i\,g", r"0.62 \cdot (-4.00) + 0.62 \cdot 0.46", "-2.20"
    )
    # h = 0.622 · tanh(−2.2) = 0.622 · (−0.976) = −0.61
    assert lines["hidden_state"] == Equation(
        "h_{1}", r"o\,\tanh(c_{1})", r"0.62 \cdot (-0.98)", "-0.61"
    )


def test_a_number_that_rounds_to_zero_has_no_sign():
    module = nn.RNN(1, 1).double()
    for parameter in module.parameters():
        nn.init.constant_(parameter, -0.001)
    line = equations(rnnviz.trace(module, torch.ones(1, 1).double()), 0, 0)["hidden"]
    assert line.numbers == r"\tanh(0.00 + 0.00 + 0.00) = \tanh(0.00)"
    assert line.value == "0.00"


@pytest.mark.parametrize("form", VARIANTS)
def test_terms_of_a_variant_sum_to_its_preactivations(form: str):
    trace = plain_case(form, "recurrent", layers=2, bidirectional=True, padding="lengths").trace()
    lengths = trace.lengths
    assert lengths is not None
    for layer, way, batch, unit in np.ndindex(2, 2, 3, 4):
        for gate in trace.form.gates:
            for time in range(lengths[batch]):
                direction = ("forward", "backward")[way]
                place = {"layer": layer, "direction": direction, "batch": batch}
                terms = gate_terms(trace, gate, unit, time, **place)
                a = trace.array(f"{gate}_preactivation")[layer, way, time, batch, unit]
                assert abs(terms.total - a) < 1e-12, (gate, layer, way, time)
                assert (terms.p != 0) == (gate in trace.form.peepholes)
    with pytest.raises(rnnviz.RnnvizError, match="input_gate" if "coupled" in form else "nothing"):
        gate_terms(trace, "input_gate" if "coupled" in form else "nothing", 0, 0)


def test_the_equations_of_variants():
    module = make_cell(Form("lstm", peephole=True, coupled=True), 1, 1).double()
    for parameter in module.parameters():
        nn.init.constant_(parameter, 0.5)
    state = (torch.full((1, 1), -2.0).double(), torch.full((1, 1), -4.0).double())
    lines = equations(rnnviz.trace(module, torch.ones(1, 1, 1).double(), state), 0, 0)
    assert list(lines) == [*GATES_AS_READ["lstm"], "cell_state", "hidden_state"]
    # a_f = 0.5 · 1 + 0.5 · (−2) + 1 + 0.5 · (−4) = −1.5; σ(−1.5) = 0.1824
    assert lines["forget_gate"] == Equation(
        "f",
        r"\sigma(W_f x_{1} + U_f h_{0} + b_f + p_f c_{0})",
        r"\sigma(0.50 - 1.00 + 1.00 - 2.00) = \sigma(-1.50)",
        "0.18",
    )
    assert lines["input_gate"] == Equation("i", "1 - f", "1 - 0.18", "0.82")
    # c = 0.1824 · (−4) + 0.8176 · 0.4621 = −0.3519; the output gate sees it
    assert lines["output_gate"].rule == r"\sigma(W_o x_{1} + U_o h_{0} + b_o + p_o c_{1})"
    assert lines["output_gate"].numbers == (r"\sigma(0.50 - 1.00 + 1.00 - 0.18) = \sigma(0.32)")
    gru = make_cell(Form("gru", reset_after=False), 1, 2).double()
    for parameter in gru.parameters():
        nn.init.constant_(parameter, 0.5)
    h = torch.tensor([[1.0, -3.0]]).double()
    line = equations(rnnviz.trace(gru, torch.ones(1, 1, 1).double(), h), 0, 0)["hidden_candidate"]
    # r = σ(0.5 − 1 + 1) = 0.6225 for both units; U (r h) = 0.5 · 0.6225 · (1 − 3) = −0.6225
    assert line == Equation(
        "n",
        r"\tanh(W_n x_{1} + U_n (r \odot h_{0}) + b_n)",
        r"\tanh(0.50 - 0.62 + 1.00) = \tanh(0.88)",
        "0.71",
    )


@pytest.mark.parametrize(("language", "expected"), [("en", "held"), ("ko", "고정값")])
def test_held_values_replace_their_equation(language: str, expected: str):
    module = nn.LSTM(1, 2).double()
    hold = {"forget_gate": rnnviz.Hold(1.0, units=[1], start=1)}
    trace = rnnviz.trace(module, torch.ones(3, 1).double(), hold=hold)
    held = equations(trace, 1, 2, language=language)["forget_gate"]
    assert held == Equation("f", rf"\text{{{expected}}}", "1.00", "1.00")
    for unit, time in ((0, 2), (1, 0)):
        free = equations(trace, unit, time, language=language)["forget_gate"]
        assert free.rule.startswith(r"\sigma(W_f")
    assert equations(trace, 1, 2)["cell_state"].numbers.startswith(r"1.00 \cdot")
