"""Activations as part of a cell's description: values, gradients, conventions, texts, files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnviz
from rnnviz import Hold, RnnvizError
from rnnviz.activations import ACTIVATIONS, canonical_name, find_activation, slope
from rnnviz.cells import ElmanCell, Form, GRUCell, LSTMCell, make_cell
from rnnviz.conventions import (
    CHUNG,
    KERAS,
    ONNX,
    PROJECT,
    pack,
    run_packed,
    unpack,
    write_formulas,
)
from rnnviz.conventions.activations import numpy_function
from rnnviz.explain.equations import equations
from rnnviz.explain.keras_outputs import write_keras
from rnnviz.explain.terms import gate_terms
from tests.frameworks import run_keras, run_onnx
from tests.test_own_cells import assert_close, check_all, refusal

D: dict[str, Any] = {"dtype": torch.float64}
NAMES = (
    *ACTIVATIONS,
    "linear",
    "hard_sigmoid(0.2, 0.5)",
    "leaky_relu(0.3)",
    "elu(2)",
    "thresholded_relu(-0.5)",
    "affine(0.5, -0.25)",
    "scaled_tanh(1.7159, 0.6666)",
)
FORMS = {
    "hard lstm": Form("lstm", gate_activation="hard_sigmoid(0.2, 0.5)"),
    "keras 3 lstm": Form("lstm", gate_activation="hard_sigmoid", activation="relu"),
    "three": Form("lstm", activation="softsign", output_activation="elu(0.5)"),
    "coupled": Form("lstm", coupled=True, peephole=True, gate_activation="hard_sigmoid"),
    "hard gru": Form("gru", gate_activation="hard_sigmoid(0.2, 0.5)"),
    "before": Form("gru", reset_after=False, gate_activation="hard_sigmoid", activation="elu"),
    "softplus": Form("rnn", "softplus"),
    "leaky": Form("rnn", "leaky_relu(0.3)"),
}


@pytest.mark.parametrize("name", NAMES)
def test_an_activation_is_its_definition_with_torchs_slope(name: str):
    x = np.concatenate((np.linspace(-45, 45, 901), [-0.5, 0.0, 1.0, 2.5, 3.0]))
    activation = find_activation(name)
    assert activation is not None
    found = activation.function(torch.tensor(x)).numpy()
    assert_close(name, found, numpy_function(name)(x), 1e-14)
    inside = np.abs(x) < 30
    assert activation.low <= found[inside].min()
    assert found[inside].max() <= activation.high
    slopes = slope(name, x)
    steepest = np.abs(slopes).max()
    assert steepest <= activation.steepest
    if activation.steepest < np.inf:
        assert steepest > 0.995 * activation.steepest
    step = 1e-6
    numeric = (numpy_function(name)(x + step) - numpy_function(name)(x - step)) / (2 * step)
    smooth = np.abs(slope(name, x + step) - slope(name, x - step)) < 1e-4 * (1 + np.abs(slopes))
    assert_close(name, slopes[smooth], numeric[smooth], 1e-6)


def test_kinks_are_torchs():
    for name, function, at in (
        ("relu", F.relu, [0.0]),
        ("hard_sigmoid", F.hardsigmoid, [-3.0, 3.0]),
        ("relu6", F.relu6, [0.0, 6.0]),
        ("leaky_relu", F.leaky_relu, [0.0]),
        ("elu(2)", lambda x: F.elu(x, 2.0), [0.0]),
        ("selu", F.selu, [0.0]),
    ):
        x = torch.tensor(at, **D, requires_grad=True)
        (expected,) = torch.autograd.grad(function(x).sum(), x)
        assert np.array_equal(slope(name, np.array(at)), expected.numpy())
    assert slope("hard_sigmoid(0.2, 0.5)", np.array([-2.5, 2.5, -2.6, 9.0])).tolist() == [0.0] * 4
    assert slope("hard_sigmoid(0.2, 0.5)", np.array([0.0])).tolist() == [0.2]


def test_names_have_one_spelling_and_unknown_ones_are_refused():
    assert Form("rnn", "linear") == Form("rnn", "identity")
    assert canonical_name("hard_sigmoid( .2,0.50)") == "hard_sigmoid(0.2, 0.5)"
    assert Form("lstm", activation="relu").output_activation == "relu"
    known = (
        "tanh, relu, sigmoid, identity, softsign, softplus, selu, relu6, silu, gelu, mish, "
        "exponential, hard_sigmoid, leaky_relu, elu, thresholded_relu, affine, scaled_tanh"
    )
    for come in ("sine", "hard_sigmoid(a)", "tanh(2)", "elu(1, 2)", "leaky_relu(inf)", 3):
        came: Any = come
        assert refusal(lambda came=came: LSTMCell(1, 2, gate_activation=came)) == (
            f'gate_activation is "{came}"; it must be one of {known}, some of them with numbers, '
            "such as leaky_relu(0.2) or hard_sigmoid(0.2, 0.5). Choose one of these."
        )
        assert f'activation is "{came}"' in refusal(
            lambda came=came: GRUCell(1, 2, activation=came)
        )
    assert repr(LSTMCell(1, 2, activation="relu")) == "LSTMCell(1, 2, activation=relu)"
    assert repr(GRUCell(1, 2, gate_activation="hard_sigmoid(0.2, 0.5)")) == (
        "GRUCell(1, 2, gate_activation=hard_sigmoid(0.2, 0.5))"
    )


def made(form: Form, inputs: int = 2, hidden: int = 3, gain: float = 1.0) -> Any:
    cell = make_cell(form, inputs, hidden).double()
    with torch.no_grad():
        for p in cell.parameters():
            p.mul_(gain)
    return cell


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_everything_is_autograds(form: Form):
    for gain in (1.0, 6.0):  # within the kinks, and beyond many
        check_all(made(form, gain=gain), torch.randn(4, 2, 2, **D), [4, 3])
    cells = [[made(form, width) for _ in range(2)] for width in (2, 6)]
    check_all(rnnviz.Recurrent(cells), torch.randn(4, 2, 2, **D), [4, 4])


@pytest.mark.parametrize(
    ("name", "hold"),
    [
        ("hard lstm", {"forget_gate": Hold(1.0, units=[0]), "cell_state": Hold(0.5, start=2)}),
        ("keras 3 lstm", {"cell_candidate": 3.0, "output_gate": Hold(0.5, units=[1])}),
        ("before", {"reset_gate": 0.25, "hidden_candidate": Hold(2.5, units=[1])}),
        ("softplus", {"hidden_state": Hold(2.0, units=[1], start=1)}),
    ],
)
def test_held_values(name: str, hold: Any):
    check_all(made(FORMS[name]), torch.randn(4, 2, 2, **D), [4, 3], hold)


def test_a_value_that_an_activation_cannot_give_is_not_held():
    cell, x = made(FORMS["hard gru"]), torch.randn(4, 2, **D)
    assert "from 0 to 1" in refusal(lambda: rnnviz.trace(cell, x, hold={"update_gate": 1.5}))
    relu = made(FORMS["keras 3 lstm"])
    text = refusal(lambda: rnnviz.trace(relu, x, hold={"cell_candidate": -0.5}))
    assert "from 0 to ∞" in text


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_conventions_compute_the_same(form: Form):
    cell, x = made(form), np.random.default_rng(0).standard_normal((5, 2, 2))
    own = {name: p.detach().numpy() for name, p in cell.named_parameters()}
    expected = rnnviz.trace(cell, torch.tensor(x)).array("hidden_state")[0, 0]
    assert_close("project", run_packed(own, x, form, PROJECT), expected)
    packed = pack(own, form, ONNX)
    assert_close("ONNX", run_packed(packed, x, form, ONNX), expected)
    back = unpack(packed, form, ONNX)
    assert_close("back", run_packed(back, x, form, PROJECT), expected)


KERAS_FORMS = [
    Form("lstm", gate_activation="hard_sigmoid"),
    Form("lstm", gate_activation="hard_sigmoid", activation="relu"),
    Form("gru", gate_activation="hard_sigmoid", activation="softsign"),
    Form("gru", reset_after=False, gate_activation="hard_sigmoid", activation="elu"),
    Form("rnn", "softplus"),
    Form("rnn", "selu"),
    Form("rnn", "silu"),
]


@pytest.mark.parametrize("form", KERAS_FORMS, ids=str)
def test_keras_computes_the_same(form: Form):
    cell, x = made(form, gain=2.0), torch.randn(6, 2, 2, **D)
    if form.cell != "gru" or not form.reset_after:
        with torch.no_grad():
            cell.bias_ih += cell.bias_hh  # Keras has one
            cell.bias_hh.zero_()
    own = {name: p.detach().numpy() for name, p in cell.named_parameters()}
    found = run_keras(form, [own], x.transpose(0, 1).numpy(), [], return_sequences=True)[0]
    expected = rnnviz.trace(cell, x).array("hidden_state")[0, 0].swapaxes(0, 1)
    # Keras's hard_sigmoid multiplies by 1/6 in float32
    assert_close(str(form), found, expected, 1e-6 if "hard" in str(form) else 1e-12)


ONNX_FORMS = [
    Form("lstm", gate_activation="hard_sigmoid(0.2, 0.5)"),
    Form("lstm", activation="softsign", output_activation="elu(0.5)"),
    Form("gru", gate_activation="hard_sigmoid(0.2, 0.5)", activation="relu"),
    Form("rnn", "leaky_relu(0.3)"),
    Form("rnn", "thresholded_relu(0.1)"),
    Form("rnn", "scaled_tanh(1.5, 0.5)"),
    Form("rnn", "affine(0.5, 0.25)"),
    Form("rnn", "softplus"),
]


@pytest.mark.parametrize("form", ONNX_FORMS, ids=str)
def test_onnx_runtime_computes_the_same(form: Form):
    cell, x = made(form, gain=2.0), torch.randn(6, 2, 2, **D)
    own = {name: p.detach().numpy() for name, p in cell.named_parameters()}
    state = [np.zeros((1, 2, 3), np.float32)] * (1 + (form.cell == "lstm"))
    y = run_onnx(form, [own], x.float().numpy(), state, by="runtime")[0]
    expected = rnnviz.trace(cell, x).array("hidden_state")[0, 0]
    assert_close(str(form), y[:, 0], expected, 1e-6)


def test_conventions_refuse_what_they_cannot_write():
    own = {"weight_ih": np.ones((9, 2)), "weight_hh": np.ones((9, 3))}
    form = Form("gru", reset_after=False, gate_activation="softsign")
    assert refusal(lambda: pack(own, form, CHUNG)) == (
        "Negating rows turns a gate into 1 − gate only if the activation is symmetric, as sigmoid "
        'and hard_sigmoid are; this cell\'s is "softsign". Choose a convention with the same '
        "update gate and coupling, or one of these activations."
    )
    hard = Form("gru", reset_after=False, gate_activation="hard_sigmoid")
    x = np.random.default_rng(0).standard_normal((4, 1, 2))
    flipped = run_packed(pack(own, hard, CHUNG), x, hard, CHUNG)
    assert_close("flipped", flipped, run_packed(own, x, hard, PROJECT))
    lstm = Form("lstm", activation="relu", output_activation="tanh")
    assert refusal(lambda: pack(own, lstm, KERAS)) == (
        "Keras (reset_after=True) has one activation for an LSTM's candidate and for its cell "
        "state; this cell has relu and tanh. Choose the same for both, or use ONNX."
    )


def test_equations_name_the_activations():
    form = Form("lstm", gate_activation="hard_sigmoid(0.2, 0.5)", activation="identity")
    trace = rnnviz.trace(made(form), torch.ones(3, 2, **D))
    found = equations(trace, 0, 1)
    assert found["forget_gate"].rule == (
        r"\mathrm{hard\_sigmoid}_{0.2,\,0.5}(W_f x_{2} + U_f h_{1} + b_f)"
    )
    assert found["hidden_state"].rule == r"o\,c_{2}"
    c = float(trace.array("cell_state")[0, 0, 1, 0, 0])
    assert found["hidden_state"].numbers.endswith(f"{abs(c):.2f}" + (")" if c < 0 else ""))
    terms = gate_terms(trace, "forget_gate", 0, 1)
    assert abs(terms.total - terms.preactivation) < 1e-15
    assert abs(np.clip(0.2 * terms.total + 0.5, 0, 1) - terms.value) < 1e-15
    lines = write_formulas(Form("gru", gate_activation="relu", activation="linear"), one_bias=True)
    assert lines[0] == r"r = \mathrm{relu}(W_r x_t + U_r h_{t-1} + b_r)"
    assert lines[2] == r"n = W_n x_t + b_n + r \odot (U_n h_{t-1})"
    keras = Form("gru", gate_activation="hard_sigmoid", activation="leaky_relu(0.3)")
    assert write_keras(rnnviz.trace(made(keras), torch.ones(3, 2, **D))).startswith(
        "layer = keras.layers.GRU(3, activation=lambda x: keras.ops.leaky_relu(x, 0.3), "
        'recurrent_activation="hard_sigmoid")'
    )


def test_saturation_is_where_an_activation_is_flat():
    form = Form("gru", gate_activation="hard_sigmoid", activation="softsign")
    trace = rnnviz.trace(made(form, gain=8.0), torch.randn(20, 2, **D), loss="all")
    found = rnnviz.diagnose(trace).saturated
    z = trace.array("update_gate")[0, 0, :, 0]
    assert np.array_equal(found["update_gate"], ((z == 0) | (z == 1)).mean(0))
    assert found["update_gate"].any()
    a = trace.array("hidden_candidate_preactivation")[0, 0, :, 0]
    assert np.array_equal(found["hidden_candidate"], (1 / (1 + abs(a)) ** 2 < 0.19).mean(0))
    bound = rnnviz.pascanu_bound(rnnviz.trace(made(Form("rnn", "elu(2)")), torch.ones(1, 2, **D)))
    assert (bound.gamma, bound.threshold) == (2.0, 0.5)


@pytest.mark.parametrize("ending", [".nc", ".npz"])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_loaded_trace_knows_its_activations(form: Form, ending: str, tmp_path: Path):
    trace = rnnviz.trace(made(form), torch.randn(4, 2, 2, **D), loss="all")
    trace.save(tmp_path / f"trace{ending}")
    loaded = rnnviz.load_trace(tmp_path / f"trace{ending}")
    assert loaded == trace
    assert loaded.form == form
    assert np.array_equal(rnnviz.jacobians(loaded), rnnviz.jacobians(trace))
    for name, d in rnnviz.parameter_gradients(loaded).items():
        assert np.array_equal(d, rnnviz.parameter_gradients(trace)[name])


def test_the_direct_path_of_other_activations_is_the_forget_gate():
    for name in ("hard lstm", "three", "coupled"):
        trace = rnnviz.trace(made(FORMS[name]), torch.randn(5, 2, **D), loss="all")
        found = rnnviz.split_cell_gradient(trace)
        both = found["direct"].values + found["through_gates"].values
        assert_close(name, both, trace["grad_cell_state"].values)
        o, c, f = (trace.array(n)[0, 0, :, 0] for n in ("output_gate", "cell_state", "forget_gate"))
        psi = {"three": np.where(c > 0, 1, 0.5 * np.exp(c))}.get(name, 1 - np.tanh(c) ** 2)
        carried = np.zeros(3)
        for t in reversed(range(5)):
            carried = o[t] * psi[t] + carried
            assert_close(f"{name} {t}", found["direct"].values[0, 0, t, 0], carried)
            carried = f[t] * carried


def test_figures_of_other_activations_have_their_range():
    form = Form("lstm", gate_activation="hard_sigmoid", activation="relu")
    trace = rnnviz.trace(made(form, gain=4.0), torch.randn(9, 2, **D))
    ends = {h.meta: (h.zmin, h.zmax) for h in rnnviz.plot_gates(trace).data}
    top = trace.array("cell_candidate").max()
    assert ends["forget_gate"] == (0.0, 1.0)
    assert ends["cell_candidate"] == (-top, top)
    states = {h.meta: h.zmax for h in rnnviz.plot_states(trace).data}
    assert states["hidden_state"] == trace.array("hidden_state").max()


def test_a_cell_runs_as_its_equation_says():
    """Keras before 2.3: hard_sigmoid clip(0.2 x + 0.5), by hand."""
    cell = GRUCell(1, 1, gate_activation="hard_sigmoid(0.2, 0.5)", bias=False).double()
    with torch.no_grad():
        for p in cell.parameters():
            p.copy_(torch.tensor([[1.0], [2.0], [3.0]]))
    h = 0.0
    for x, found in zip(
        (0.5, -1.0),
        rnnviz.trace(cell, torch.tensor([[0.5], [-1.0]], **D)).array("hidden_state").ravel(),
        strict=True,
    ):
        r, z = (min(max(0.2 * (k * x + k * h) + 0.5, 0), 1) for k in (1, 2))
        h = (1 - z) * np.tanh(3 * x + r * 3 * h) + z * h
        assert abs(found - h) < 1e-15


def test_torchs_own_cells_are_as_they_were():
    assert isinstance(ElmanCell(1, 2), nn.Module)
    assert LSTMCell(1, 2).form == Form("lstm")
    assert Form("lstm").is_stock
    assert Form("lstm").has_kernels
    assert not Form("lstm", gate_activation="hard_sigmoid").is_stock
    with pytest.raises(RnnvizError):
        ElmanCell(1, 2, "sine")
    x = torch.ones(1, 1)
    assert isinstance(LSTMCell(1, 2).step(x, (torch.zeros(1, 2), torch.zeros(1, 2)))[0][0], Tensor)
