"""Variants of the cells, and held gates and states: traces, gradients, Jacobians, files."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import rnnviz
from rnnviz import Hold
from rnnviz.cells import Form, make_cell
from rnnviz.gradients import parameter_gradients, split_cell_gradient, weight_gradient_norms
from rnnviz.holding import holdable
from tests import reference
from tests.cases import VARIANTS, Case, cases, plain_case
from tests.test_plain import assert_gradients
from tests.test_trace import assert_all_equal_to_the_loop, assert_close

pytestmark = pytest.mark.slow

ALL = ("tanh", "relu", "sigmoid", "identity", "lstm", "gru", *VARIANTS)
DEEP: dict[str, Any] = {"layers": 2, "bidirectional": True, "padding": "lengths"}
HOLDS: dict[str, dict[str, Any]] = {
    "forget gate": {"forget_gate": 0.9},
    "input gate of some": {"input_gate": Hold(0.0, units=[0, 2], start=2)},
    "candidate": {"cell_candidate": Hold(-0.5, start=1)},
    "output gate": {"output_gate": [Hold(0.25), Hold(1.0, units=[1], start=3)]},
    "cell state": {"cell_state": Hold(0.7, units=[1, 3])},
    "both gates": {"forget_gate": Hold(0.4, units=[0]), "input_gate": Hold(0.3, units=[0, 1])},
    "reset gate": {"reset_gate": Hold(0.4, units=[1])},
    "update gate": {"update_gate": 0.6},
    "new candidate": {"hidden_candidate": Hold(0.3, start=2)},
    "state": {"hidden_state": Hold(0.0, units=[2], start=1)},
    "gate for a while": {"forget_gate": Hold(1.0, start=1, stop=3)},
    "cell state for a while": {"cell_state": Hold(0.7, units=[1], start=2, stop=4)},
    "update gate for a step": {"update_gate": [Hold(0.9, stop=1), Hold(0.2, start=3, stop=4)]},
    "candidate for a while": {"hidden_candidate": Hold(-0.4, units=[0], stop=3)},
    "state for a while": {"hidden_state": Hold(0.3, start=1, stop=3)},
    "first layer": {"hidden_state": Hold(0.2, layer=0, direction="backward")},
}


def case_of(form: str, **changed: Any) -> Case:
    return plain_case(form, "recurrent", **changed)


def holds_of(form: str) -> list[dict[str, Any]]:
    kind = VARIANTS[form].cell if form in VARIANTS else form
    known = holdable(Form(kind if kind in ("lstm", "gru") else "rnn"))
    return [hold for hold in HOLDS.values() if set(hold) <= set(known)]


@pytest.mark.parametrize("form", ALL)
@pytest.mark.parametrize("changed", [{}, DEEP, DEEP | {"padding": "packed", "bias": False}])
def test_every_form_is_traced_and_differentiated_as_by_the_loop(form: str, changed: dict[str, Any]):
    assert_all_equal_to_the_loop(case_of(form, **changed))


@pytest.mark.parametrize("form", ALL)
def test_held_values_act_on_all_later_states(form: str):
    for hold in holds_of(form):
        for changed in ({}, DEEP):
            if "backward" in str(hold) and not changed:
                continue
            assert_all_equal_to_the_loop(case_of(form, hold=hold, **changed))


@pytest.mark.parametrize("way", ["stack", "torch cell", "own cell"])
@pytest.mark.parametrize("form", ["tanh", "lstm", "gru"])
def test_a_torch_module_can_be_held(form: str, way: str):
    for hold in holds_of(form):
        if "backward" not in str(hold):
            assert_all_equal_to_the_loop(plain_case(form, way, hold=hold))


@pytest.mark.parametrize(
    "changed",
    [
        {"padding": "packed"},
        {"batch": 0},
        {"batch_first": True, "layers": 2},
        {"dtype": torch.float32},
        {"proj_size": 2, "bidirectional": True, "layers": 2},
    ],
)
def test_a_held_lstm_of_every_layout(changed: dict[str, Any]):
    hold = {"forget_gate": Hold(1.0, start=2), "hidden_state": Hold(0.5, units=[1], start=1)}
    assert_all_equal_to_the_loop(plain_case("lstm", hold=hold, **changed))


def test_a_projection_held_in_a_projects_cell():
    hold = {"hidden_state": Hold(0.5, units=[1], start=1), "output_gate": 0.5}
    case = case_of("coupled peephole", proj_size=2, layers=2, bidirectional=True, hold=hold)
    assert_all_equal_to_the_loop(case)


@pytest.mark.slow
@given(data=st.data())
@settings(max_examples=40)
def test_random_holds_match_the_loop(data: st.DataObject):
    case = data.draw(cases("recurrent"))
    kind = VARIANTS[case.form].cell if case.form in VARIANTS else case.form
    form = Form(kind if kind in ("lstm", "gru") else "rnn")
    names = data.draw(st.sets(st.sampled_from(holdable(form)), min_size=1))
    hold = {
        name: Hold(
            data.draw(st.floats(0, 1)),
            units=None
            if data.draw(st.booleans())
            else [data.draw(st.integers(0, case.held_rows(name, [], 1, 1).shape[-1] - 1))],
            start=(start := data.draw(st.integers(0, case.steps - 1))),
            stop=data.draw(st.none() | st.integers(start + 1, case.steps)),
        )
        for name in names
    }
    assert_all_equal_to_the_loop(replace(case, hold=hold))


def jacobians_by_autograd(case: Case, trace: rnnviz.Trace, layer: int, direction: int) -> Any:
    """∂s_t/∂s_{t−1} of the first sequence by autograd through the loop's own step."""
    named = {n: p.double() for n, p in case.parameters().items()}
    weights = reference.weights_of(named, f"_l{layer}" + "_reverse" * direction)
    steps = case.lengths[0]
    states = [n for n in ("hidden_state", "cell_state") if n in trace]
    below = trace["input"].values[:, 0]
    if layer:
        below = np.concatenate(list(trace.array("hidden_state")[layer - 1, :, :, 0]), -1)
    order = range(steps) if direction == 0 else range(steps - 1, -1, -1)
    found: list[np.ndarray] = []
    sizes = [trace.array(n).shape[-1] for n in states]
    before = [torch.tensor(trace.initial_array(n)[layer, direction, 0]).double() for n in states]
    for t in order:
        rows = {n: torch.tensor(v[layer, direction, t]) for n, v in trace.held.items()}

        def hold(name: str, value: Tensor, rows: dict[str, Tensor] = rows) -> Tensor:
            row = rows.get(name)
            return value if row is None else torch.where(row.isnan(), value, row)

        def step(flat: Tensor, t: int = t, hold: Any = hold) -> Tensor:
            parts = flat.split(sizes)
            x = torch.tensor(below[t]).double()
            nodes = reference.STEPS[case.form](
                weights, x, dict(zip(states, parts, strict=True)), hold
            )
            return torch.cat([nodes[n] for n in states])

        found.append(torch.autograd.functional.jacobian(step, torch.cat(before)).numpy())
        before = [torch.tensor(trace.array(n)[layer, direction, t, 0]).double() for n in states]
    return np.array(found)


@pytest.mark.parametrize("form", ALL)
def test_jacobians_are_autograds(form: str):
    for hold in (None, *holds_of(form)):
        case = case_of(form, hold=hold, **DEEP)
        trace = case.trace()
        for layer, number in np.ndindex(2, 2):
            name = ("forward", "backward")[number]
            found = rnnviz.jacobians(trace, layer=layer, direction=name)
            expected = jacobians_by_autograd(case, trace, layer, number)
            assert_close(f"{form} {hold}", found, expected, 1e-12)


def test_jacobians_with_a_projection_and_peepholes():
    for hold in (None, {"hidden_state": Hold(0.1, units=[0])}):
        case = case_of("peephole", proj_size=2, hold=hold)
        trace = case.trace()
        expected = jacobians_by_autograd(case, trace, 0, 0)
        assert_close("peephole", rnnviz.jacobians(trace), expected, 1e-12)


@pytest.mark.parametrize("form", ALL)
@pytest.mark.parametrize("layer", [0, 1])
def test_sensitivities_are_autograds(form: str, layer: int):
    """‖∂h_t/∂x_k‖ by autograd through the whole loop, with both directions concatenated."""
    for hold in (None, *holds_of(form)[:2]):
        case = case_of(form, hold=hold, **DEEP)
        parameters = {n: p.double() for n, p in case.parameters().items()}
        x = case.x.double().requires_grad_()
        run = case.written_with(parameters, x)
        h = run.nodes["hidden_state"]
        found = rnnviz.sensitivity_norms(case.trace(), layer=layer, batch=1)
        steps = case.lengths[1]
        for t in range(steps):
            y = torch.cat([h[layer, d, t, 1] for d in (0, 1)])
            rows = [torch.autograd.grad(part, x, retain_graph=True)[0][:steps, 1] for part in y]
            norms = torch.stack(rows).square().sum((0, 2)).sqrt().numpy()
            assert_close(f"{form} {t}", 10 ** found.values[t, :steps], norms, 1e-12)
        assert np.isnan(found.values[steps:]).all()


def test_sensitivities_of_a_projection_and_of_a_scalar_beyond_the_range():
    case = case_of("peephole", proj_size=2, batch=1)
    trace = case.trace()
    found = rnnviz.sensitivity_norms(trace)
    d = 1e-6  # for finite differences
    for k in range(case.steps):
        columns: list[np.ndarray] = []
        for feature in range(case.input_size):
            moved = case.x.clone()
            moved[k, 0, feature] += d
            other = rnnviz.trace(case.module, moved, case.state)
            apart = other.array("hidden_state") - trace.array("hidden_state")
            columns.append(apart[0, 0, :, 0] / d)
        norms = np.linalg.norm(np.concatenate(columns, 1), axis=1)
        assert np.abs(10 ** found.values[k:, k] - norms[k:]).max() < 1e-4, k
    module = torch.nn.RNN(1, 1, nonlinearity="relu", bias=False)
    with torch.no_grad():
        module.get_parameter("weight_hh_l0").fill_(0.1)
        module.get_parameter("weight_ih_l0").fill_(1)
    far = rnnviz.sensitivity_norms(rnnviz.trace(module, torch.ones(501, 1)), sources=[0, 250])
    assert np.abs(far.values[-1] - [-500, -250]).max() < 1e-4  # 0.1 in float32
    with pytest.raises(rnnviz.RnnvizError) as caught:
        rnnviz.sensitivity_norms(trace, sources=[5])
    assert str(caught.value) == (
        "Got the source steps [5]; the steps of the sequence run from 0 to 4. Choose at least "
        "one of these."
    )


@pytest.mark.parametrize("form", ALL)
def test_gradients_far_outside_the_range_scale_with_the_loss(form: str):
    """A loss times 10^±250 uses the rescaled kernel and shifts the norms by 250 decades."""
    for hold in (None, *holds_of(form)):
        case = case_of(form, hold=hold, layers=2, bidirectional=True)
        expected = rnnviz.gradient_norms(case.trace())
        for decades in (-250, 250):
            y = case.readout
            trace = rnnviz.trace(
                case.module,
                case.x,
                case.state,
                loss=lambda out, y=y, by=10.0**decades: by * y(out),
                hold=hold,
            )
            found = rnnviz.gradient_norms(trace)
            for name in expected:
                shifted = expected[name].values + decades
                alive = ~np.isneginf(shifted)
                assert np.array_equal(alive, ~np.isneginf(found[name].values)), (form, name)
                far = np.abs(found[name].values[alive] - shifted[alive]).max(initial=0)
                assert far < 1e-10, f"{form} {name} {hold}: {far:.1e}"


@pytest.mark.parametrize("form", ALL)
def test_parameter_gradients_are_autograds(form: str):
    for hold in (None, *holds_of(form)):
        case = case_of(form, hold=hold, **DEEP)
        assert_gradients(case)


@pytest.mark.parametrize("form", ["reset before", "peephole", "coupled", "coupled peephole"])
def test_contributions_sum_to_the_gradient_of_u(form: str):
    case = case_of(form, batch=1)
    trace = case.trace()
    found = weight_gradient_norms(trace)
    whole = parameter_gradients(trace)["weight_hh_l0"]
    assert abs(found["total"].item() - np.linalg.norm(whole)) < 1e-12 * np.linalg.norm(whole)
    h = np.concatenate(
        (trace.initial_array("hidden_state")[0, 0], trace.array("hidden_state")[0, 0, :-1, 0])
    )
    d = {g: trace[f"grad_{g}_preactivation"].values[0, 0, :, 0] for g in trace.form.gates}
    for t in range(case.steps):
        blocks = [np.outer(d[g][t], h[t]) for g in trace.form.gates]
        if form == "reset before":
            r = trace.array("reset_gate")[0, 0, t, 0]
            blocks[2] = np.outer(d["hidden_candidate"][t], r * h[t])
        expected = np.linalg.norm(np.concatenate(blocks))
        assert abs(found["contribution"].values[0, 0, t, 0] - expected) < 1e-12


@pytest.mark.parametrize("form", ["lstm", "peephole", "coupled", "coupled peephole"])
def test_both_paths_add_up_and_the_direct_path_is_the_forget_gate(form: str):
    for hold in (None, *holds_of(form)):
        case = case_of(form, batch=1, layers=2, bidirectional=True, hold=hold)
        trace = case.trace()
        found = split_cell_gradient(trace)
        total = trace["grad_cell_state"].values
        both = found["direct"].values + found["through_gates"].values
        assert_close(f"{form} {hold}", both, total, 1e-12)
        # in the last layer: the gradient from the loss itself, multiplied by f only
        f, o, c = (trace.array(n)[1, 0, :, 0] for n in ("forget_gate", "output_gate", "cell_state"))
        free = {n: np.ones_like(f) for n in ("cell_state", "hidden_state")}
        for name, mask in free.items():
            if name in trace.held:
                mask[:] = np.isnan(trace.held[name][1, 0])
        assert trace.output_grad is not None
        carried = np.zeros(f.shape[-1])
        for t in reversed(range(case.steps)):
            g = trace.output_grad[t, 0, : f.shape[-1]] * free["hidden_state"][t]
            d = o[t] * (1 - np.tanh(c[t]) ** 2) * g + carried
            assert_close(f"{form} {t}", found["direct"].values[1, 0, t, 0], d, 1e-12)
            carried = f[t] * d * free["cell_state"][t]


def test_coupled_gates_add_up_to_one_and_forget_zero_is_memoryless():
    case = case_of("coupled")
    trace = case.trace()
    both = trace["forget_gate"].values + trace["input_gate"].values
    assert np.abs(both - 1).max() < 1e-15
    assert "input_gate_preactivation" not in trace
    held = case_of("coupled", hold={"forget_gate": 0.0}).trace()
    assert (held["input_gate"].values == 1).all()
    assert np.array_equal(held["cell_state"].values, held["cell_candidate"].values)


def test_a_forget_gate_held_at_one_with_no_input_keeps_the_cell_state():
    module = torch.nn.LSTM(2, 3).double()
    x, c = torch.randn(50, 1, 2).double(), torch.randn(1, 1, 3).double()
    state = (torch.zeros_like(c), c)
    trace = rnnviz.trace(
        module, x, state, hold={"forget_gate": 1.0, "input_gate": 0.0}, loss="last"
    )
    assert (trace["cell_state"].values == c.numpy()).all()
    blocks = rnnviz.jacobians(trace)
    assert np.array_equal(blocks[:, 3:, 3:], np.broadcast_to(np.eye(3), (50, 3, 3)))
    free = rnnviz.trace(module, x, state, loss="last")
    assert free.held == {}
    assert np.abs(free["cell_state"].values - c.numpy()).max() > 0.1


def test_a_unit_held_at_zero_stays_zero():
    module = torch.nn.GRU(1, 4).double()
    x = torch.randn(10, 1).double()
    free = rnnviz.trace(module, x, loss="all")
    trace = rnnviz.trace(module, x, loss="all", hold={"hidden_state": Hold(0.0, [2], start=4)})
    h, f = trace["hidden_state"].values.squeeze(), free["hidden_state"].values.squeeze()
    assert np.abs(h[:4] - f[:4]).max() < 1e-15
    assert (h[4:, 2] == 0).all()
    assert trace.loss == pytest.approx(h.sum(), abs=1e-12)
    assert (trace["grad_update_gate_preactivation"].values[0, 0, 4:, 0, 2] == 0).all()


def test_a_held_trace_is_loaded_equal(tmp_path: Any):
    trace = case_of("coupled peephole", hold={"forget_gate": Hold(1.0, units=[1])}).trace()
    for ending in ("nc", "npz"):
        trace.save(tmp_path / f"held.{ending}")
        loaded = rnnviz.load_trace(tmp_path / f"held.{ending}")
        assert loaded == trace
        assert loaded.form == Form("lstm", peephole=True, coupled=True)
        assert np.array_equal(loaded.held["forget_gate"], trace.held["forget_gate"], equal_nan=True)
        found, expected = rnnviz.gradient_norms(loaded), rnnviz.gradient_norms(trace)
        assert found.identical(expected)


@pytest.mark.parametrize(
    ("hold", "expected"),
    [
        (
            {"reset_gate": 1.0},
            'A trace of this cell (lstm) cannot hold "reset_gate"; it can hold input_gate, '
            "forget_gate, cell_candidate, output_gate, cell_state, hidden_state. Choose one of "
            "these.",
        ),
        (
            {"forget_gate": 1.5},
            (
                "forget_gate cannot be held at 1.5; expected a number from 0 to 1. Choose such a "
                "number."
            ),
        ),
        (
            {"cell_state": float("nan")},
            (
                "cell_state cannot be held at nan; expected a number from −∞ to ∞. Choose such a "
                "number."
            ),
        ),
        (
            {"forget_gate": Hold(1.0, start=5)},
            (
                "forget_gate cannot be held from time step 5 on; the steps of the input run from "
                "0 to 4. Choose one of these."
            ),
        ),
        (
            {"forget_gate": Hold(1.0, units=[4])},
            (
                "forget_gate cannot be held at units [4]; units run from 0 to 3. Choose at least "
                "one of these."
            ),
        ),
        (
            {"forget_gate": Hold(1.0, layer=2)},
            "forget_gate cannot be held in layer 2; layers run from 0 to 0. Choose one of these.",
        ),
        (
            {"forget_gate": Hold(1.0, direction="backward")},
            'The direction is "backward"; the trace has forward. Choose one of these.',
        ),
    ],
)
def test_invalid_holds_raise(hold: dict[str, Any], expected: str):
    with pytest.raises(rnnviz.RnnvizError) as caught:
        plain_case("lstm", hold=hold).trace()
    assert str(caught.value) == expected


def test_a_cell_has_its_form():
    forms = [Form("gru", reset_after=False), Form("lstm", peephole=True, coupled=True)]
    assert [repr(make_cell(form, 2, 3)) for form in forms] == [
        "GRUCell(2, 3, reset_after=False)",
        "LSTMCell(2, 3, peephole=True, coupled=True)",
    ]
    cell = make_cell(forms[1], 2, 3)
    shapes = {name: tuple(p.shape) for name, p in cell.named_parameters()}
    assert shapes["weight_peephole"] == (2, 3)
    assert shapes["weight_hh"] == (9, 3)
    whole = make_cell(Form("lstm", peephole=True), 2, 3).get_parameter("weight_peephole")
    assert tuple(whole.shape) == (3, 3)
