"""Gradient norms, contributions, paths, clipping and verdicts against autograd and closed forms."""

import json
import math
from pathlib import Path
from typing import Any

import mpmath  # pyright: ignore[reportMissingTypeStubs]  # it has none
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import nn

import rnnviz
from rnnviz.gradients import backpropagation
from tests import reference
from tests.cases import Case, cases, plain_case

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text())


def log_norms(values: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log10(np.linalg.norm(values, axis=-1))


def assert_logs_close(name: str, found: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    assert found.shape == expected.shape, name
    assert np.array_equal(np.isnan(found), np.isnan(expected)), f"{name}: NaN elsewhere"
    assert np.array_equal(np.isneginf(found), np.isneginf(expected)), f"{name}: −inf elsewhere"
    finite = np.isfinite(expected)
    max_diff = float(np.abs(found[finite] - expected[finite]).max(initial=0))
    assert max_diff < tolerance, f"{name}: {max_diff=:.1e}"


def rescaled(trace: rnnviz.Trace, patch: pytest.MonkeyPatch) -> Any:
    """The norms by the rescaled recursion, at sizes where the plain one would do."""
    with patch.context() as context:
        context.setattr(backpropagation, "SAFE", (1.0, 1.0))
        return rnnviz.gradient_norms(trace)


def steady(gain: float, size: int, steps: int, dtype: torch.dtype = torch.float64) -> rnnviz.Trace:
    """h_t = relu(gain · (h_{t−1} shifted by one unit) + 1 − gain), which stays 1 from h_0 = 1.

    All ReLUs are active, and no state over- or underflows, in float32 and float64.
    The loss is at the last step.
    """
    module: Any = nn.RNN(1, size, nonlinearity="relu", bias=False).to(dtype)
    with torch.no_grad():
        module.weight_hh_l0.copy_(gain * torch.eye(size, dtype=dtype).roll(1, 0))
        module.weight_ih_l0.fill_(1 - gain)
    trace = rnnviz.trace(
        module, torch.ones(steps, 1).to(dtype), torch.ones(1, size).to(dtype), loss="last"
    )
    assert np.abs(trace["hidden_state"].values - 1).max() < 1e-6
    return trace


@pytest.mark.parametrize("way", ["stack", "recurrent", "torch cell", "own cell"])
def test_norms_are_those_of_autograd(way: str):
    @given(case=cases(way))
    @settings(max_examples=30)
    def check(case: Case):
        if case.loss == "none":
            return
        found = rnnviz.gradient_norms(case.trace())
        by_nodes, _ = reference.gradients(case.written, case.written_loss())
        tolerance = 1e-10 if case.dtype == torch.float64 else 1e-3
        assert set(found.data_vars) == set(by_nodes)
        for name, values in by_nodes.items():
            expected = log_norms(values)
            if case.dtype == torch.float32:  # one of the two may round to 0
                expected[np.isneginf(found[name].values)] = -np.inf
            # Entries below 1e−8 of the largest have relative errors above rounding.
            small = expected < np.nanmax(expected) - 5
            values = np.where(small, expected, found[name].values)
            assert_logs_close(name, values, expected, tolerance)

    check()


@pytest.mark.parametrize("form", ["tanh", "relu", "lstm", "gru"])
@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"layers": 3, "bidirectional": True},
        {"padding": "lengths", "bidirectional": True, "layers": 2, "steps": 9},
        {"padding": "packed", "loss": "last", "steps": 7},
        {"dtype": torch.float32, "layers": 2, "loss": "all"},
        {"way": "recurrent", "layers": 2},
        {"proj_size": 2, "layers": 2, "bidirectional": True},
    ],
)
def test_the_rescaled_recursion_gives_the_plain_gradients(
    form: str, changed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    # Only an LSTM has a projection.
    projection = changed.get("proj_size", 0) if form == "lstm" else 0
    changes: dict[str, Any] = {**changed, "proj_size": projection}
    trace = plain_case(form, **changes).trace()
    found = rescaled(trace, monkeypatch)
    tolerance = 1e-12 if trace.array("hidden_state").dtype == np.float64 else 1e-5
    for name in found:
        expected = log_norms(trace[f"grad_{name}"].values)
        assert_logs_close(str(name), found[name].values, expected, tolerance)


def test_norms_match_golden_json():
    for kind, golden in GOLDEN.items():
        trace = golden_trace(kind)
        found = rnnviz.gradient_norms(trace)
        for name, key in (("hidden_state", "dLdh"), ("cell_state", "dLdc")):
            if key in golden:
                norms = 10.0 ** found[name].values.ravel()
                max_diff = np.abs(norms / np.array(golden[key][1:]) - 1).max()
                assert max_diff < 1e-12, f"{kind} {key}: {max_diff=:.1e}"
        total = rnnviz.weight_gradient_norms(trace)["total"].item()
        assert abs(total / golden["dLdU_F"] - 1) < 1e-12
        if kind == "LSTM":
            path = rnnviz.split_cell_gradient(trace)["log10_forget_product"].values[0, 0, 0, 0]
            assert np.abs(10.0**path / golden["prod_f"] - 1).max() < 1e-12


def golden_trace(kind: str) -> rnnviz.Trace:
    module = getattr(nn, kind)(2, 3).double()
    k = torch.arange(module.weight_hh_l0.shape[0], dtype=torch.float64)
    j = torch.arange(3, dtype=torch.float64)
    t = torch.arange(8, dtype=torch.float64)
    with torch.no_grad():
        module.weight_ih_l0.copy_(0.5 * torch.sin(1.7 * k[:, None] + 0.9 * j[:2] + 0.3))
        module.weight_hh_l0.copy_(0.6 * torch.cos(0.8 * k[:, None] - 1.1 * j + 0.2))
        module.bias_ih_l0.copy_(0.1 * torch.sin(k))
        module.bias_hh_l0.copy_(0.1 * torch.cos(2 * k))
    x = torch.sin(0.5 * t[:, None] + j[:2]) / (1 + j[:2])
    h_0, c_0 = 0.3 * torch.cos(j)[None], 0.4 * torch.sin(1 + j)[None]

    def loss(y: torch.Tensor) -> torch.Tensor:
        return 0.5 * (y @ torch.cos(0.7 * j) - torch.sin(0.2 * t)).square().sum()

    return rnnviz.trace(module, x, (h_0, c_0) if kind == "LSTM" else h_0, loss=loss)


@pytest.mark.parametrize("gain", [0.9, 1.1])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_ten_thousand_steps_with_a_constant_gain(gain: float, dtype: torch.dtype):
    """A permutation times gain: gain^(T − t), down to 10^−458 and up to 10^414, by mpmath."""
    steps = 10_000
    trace = steady(gain, 3, steps, dtype)
    found = rnnviz.gradient_norms(trace)["hidden_state"].values[0, 0, :, 0]
    exact = mpmath.mpf(float(trace.parameters["weight_hh_l0"].max()))
    for t in (0, 1, 2500, 5000, 9000, 9999):
        expected = float(mpmath.log10(exact ** (steps - 1 - t) * mpmath.sqrt(3)))
        assert abs(found[t] - expected) < 1e-12 * max(1, abs(expected)), t
    assert abs(found[0]) > 400


def test_a_gain_of_nine_tenths_over_fifty_steps():
    found = rnnviz.gradient_norms(steady(0.9, 4, 51))["hidden_state"].values[0, 0, 0, 0]
    assert abs(10**found / 2 - 0.00515377520732) < 1e-14


def test_scalar_tanh_from_two_starts():
    module: Any = nn.RNN(1, 1, bias=False).double()
    with torch.no_grad():
        module.weight_hh_l0.fill_(2)
        module.weight_ih_l0.zero_()
    x = torch.zeros(30, 1).double()
    for start, expected in ((0.0, 2.0**30), (0.5, 5.646363e-23)):
        trace = rnnviz.trace(module, x, torch.full((1, 1), start).double(), loss="last")
        first = trace.initial_state["grad_hidden_state"].values.item()
        assert abs(first / expected - 1) < 1e-6


@pytest.mark.parametrize("form", ["lstm", "gru", "tanh"])
def test_vanishing_far_below_float64(form: str):
    """One unit: the product of the steps' Jacobians, by mpmath."""
    module: Any = {"tanh": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[form](1, 1).double()
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.uniform_(-1.5, 0.5)
    trace = rnnviz.trace(module, torch.randn(3000, 1).double(), loss="last")
    found = rnnviz.gradient_norms(trace)["hidden_state"].values[0, 0, :, 0]
    jacobians = rnnviz.jacobians(trace)
    state = mpmath.matrix([[1, 0]][:1]) if form == "lstm" else mpmath.matrix([[1]])
    with mpmath.workdps(30):
        for t in range(2999, 0, -1):
            state = state * mpmath.matrix(jacobians[t].tolist())
            if t % 500 == 1:
                # ∂L/∂h excludes the path through the same step's c, like ∂s_T/∂s_t.
                expected = float(mpmath.log10(abs(state[0])))
                assert abs(found[t - 1] - expected) < 1e-9 * abs(expected)
    assert found[0] < -320


def test_layers_and_directions_below_the_range():
    """Two bidirectional layers whose gradients shrink by thirteen decades per step."""
    torch.manual_seed(0)
    module: Any = nn.LSTM(2, 3, 2, bidirectional=True).double()
    x = torch.randn(40, 2).double()
    scale = 2.0**-40

    def loss(factor: float) -> Any:
        return lambda y: factor * (y[-1].sum() + y[0].sum())

    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "weight_hh" in name:
                parameter.mul_(1e-12)
            if "bias_ih" in name:
                parameter[3:6] = -30.0
    trace = rnnviz.trace(module, x, loss=loss(1.0))
    found = rnnviz.gradient_norms(trace)
    reached = found["hidden_state"].values[np.isfinite(found["hidden_state"].values)]
    assert reached.min() < -400
    # The gradient is linear in the loss: a factor of 2^−40 shifts all norms by the same amount.
    shifted = rnnviz.gradient_norms(rnnviz.trace(module, x, loss=loss(scale)))
    for name in found:
        expected = found[name].values - 40 * math.log10(2)
        assert_logs_close(str(name), shifted[name].values, expected, 1e-10)
    # Where the recorded gradients are within float64's range, the norms agree with them.
    recorded = log_norms(trace["grad_hidden_state"].values)
    inside = recorded > -250
    assert np.abs(found["hidden_state"].values - recorded)[inside].max() < 1e-10


def test_an_exploding_stack_beyond_float64():
    module: Any = nn.RNN(1, 1, 2, nonlinearity="relu", bias=False).double()
    with torch.no_grad():
        module.weight_hh_l0.fill_(2)
        module.weight_ih_l0.fill_(1)
        module.weight_hh_l1.fill_(0.5)
        module.weight_ih_l1.fill_(2.0**-10)
    h_0 = torch.tensor([[2.0**-1000], [2.0**-900]], dtype=torch.float64)
    trace = rnnviz.trace(module, torch.zeros(1100, 1).double(), h_0, loss="last")
    assert np.isinf(trace["grad_hidden_state"].values[0]).any()
    found = rnnviz.gradient_norms(trace)["hidden_state"].values[..., 0]
    steps = np.arange(1099, -1, -1.0)
    assert np.abs(found[1, 0] + steps * math.log10(2)).max() < 1e-9
    sums = 4 / 3 * (1 - 0.25 ** (steps + 1))  # 2^−10 Σ_k 2^(n−k) 2^−k over k = 0…n
    expected = (steps - 10) * math.log10(2) + np.log10(sums)
    assert np.abs(found[0, 0] - expected).max() < 1e-9
    assert found[0, 0, 0] > 300


def test_norms_need_a_loss_and_are_minus_infinity_for_exact_zeros():
    trace = plain_case("gru", loss="none").trace()
    with pytest.raises(rnnviz.RnnvizError) as error:
        rnnviz.gradient_norms(trace)
    assert str(error.value) == (
        'The trace has no gradients, because no loss was passed. Trace again with loss="last", '
        '"all" or a function of the output.'
    )
    dead = rnnviz.gradient_norms(steady(0.0, 2, 4))["hidden_state"].values.ravel()
    assert np.isneginf(dead[:3]).all()
    assert abs(dead[3] - math.log10(2) / 2) < 1e-15


@given(case=cases())
@settings(max_examples=40)
def test_contributions_add_up_to_the_gradient_of_the_recurrent_weights(case: Case):
    if case.loss == "none" or case.dtype != torch.float64:
        return
    trace = case.trace()
    found = rnnviz.weight_gradient_norms(trace)
    parameters = {n: p.detach().double().requires_grad_() for n, p in case.stack.named_parameters()}
    initial = {name: h.double() for name, h in case.initial.items()}
    written = reference.run(case.form, parameters, case.x.double(), initial, case.lengths)
    y = written.output
    if case.loss == "readout":
        loss = case.readout(case.laid_out(y))
    elif case.loss == "all":
        loss = y.sum()
    else:
        loss = torch.stack([y[n - 1, b].sum() for b, n in enumerate(case.lengths)]).sum()
    hh = {name: p for name, p in parameters.items() if name.startswith("weight_hh")}
    gradients = torch.autograd.grad(loss, list(hh.values()), materialize_grads=True)
    for name, gradient in zip(hh, gradients, strict=True):
        layer, direction = int(name.split("_")[2][1:]), int(name.endswith("_reverse"))
        expected, total = gradient.norm().item(), found["total"].values[layer, direction]
        assert abs(total - expected) < 1e-10 * max(1, expected)
        sums = np.nansum(found["contribution"].values[layer, direction])
        if sums > 0:
            ratio = found["cancellation"].values[layer, direction]
            assert abs(ratio - expected / sums) < 1e-10
            assert ratio < 1 + 1e-12


def test_contributions_beyond_the_range():
    """The contributions of two steps are about 1e−400; their ratio is still exact."""
    found = rnnviz.weight_gradient_norms(steady(0.01, 1, 301))
    logs = found["log10_contribution"].values.ravel()
    assert np.abs(logs + 2.0 * np.arange(300, -1, -1)).max() < 1e-10
    assert abs(found["log10_total"].item() - math.log10(1 / 0.99)) < 1e-12
    assert abs(found["cancellation"].item() - 1) < 1e-12


@given(case=cases())
@settings(max_examples=60)
def test_the_paths_of_the_cell_state_add_up(case: Case):
    if case.form != "lstm" or case.loss == "none":
        return
    trace = case.trace()
    found = rnnviz.split_cell_gradient(trace)
    total = trace["grad_cell_state"].values
    added = (found["direct"] + found["through_gates"]).values
    scale = max(1.0, float(np.nanmax(np.abs(total))))
    tolerance = 1e-12 if case.dtype == torch.float64 else 1e-5
    assert np.array_equal(np.isnan(added), np.isnan(total))
    assert np.nanmax(np.abs(added - total)) < tolerance * scale
    logs = log_norms(found["direct"].values)
    assert_logs_close("direct", found["log10_norm_direct"].values, logs, 1e-10)


def test_without_recurrent_weights_the_direct_path_is_the_total():
    """b_f = ln 99, T = 100: Π f = 0.366032341273."""
    module: Any = nn.LSTM(1, 2).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
        module.bias_hh_l0[2:4] = math.log(99)
    trace = rnnviz.trace(module, torch.zeros(100, 1).double(), loss="last")
    found = rnnviz.split_cell_gradient(trace)
    assert (found["through_gates"].values == 0).all()
    assert np.isneginf(found["log10_norm_through_gates"].values).all()
    products = 10.0 ** found["log10_forget_product"].values[0, 0, 0, 0]
    assert np.abs(products - 0.366032341273).max() < 1e-12
    first = trace.initial_state["grad_cell_state"].values
    ratio = first / trace["grad_cell_state"].values[:, :, -1]
    assert np.abs(ratio - 0.366032341273).max() < 1e-12
    with pytest.raises(rnnviz.RnnvizError) as error:
        rnnviz.split_cell_gradient(plain_case("gru").trace())
    assert str(error.value) == (
        'The cell "gru" has no cell state whose gradient could be split; expected an LSTM. Trace '
        "an LSTM."
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("threshold", [0.1, 1.0, 100.0])
def test_clipping_is_torchs(dtype: Any, threshold: float):
    random = np.random.default_rng(0)
    gradients = {name: random.standard_normal((3, 4)).astype(dtype) for name in "ab"}
    parameters = {name: nn.Parameter(torch.zeros(3, 4)) for name in "ab"}
    for name, parameter in parameters.items():
        parameter.data = parameter.data.to(torch.from_numpy(gradients[name]).dtype)
        parameter.grad = torch.tensor(gradients[name])
    norm = nn.utils.clip_grad_norm_(parameters.values(), threshold)
    clipped = rnnviz.clip_by_norm(gradients, threshold)
    assert clipped.norm == norm.item()
    for name, parameter in parameters.items():
        assert parameter.grad is not None
        assert np.array_equal(clipped.gradients[name], parameter.grad.numpy())
        parameter.grad = torch.tensor(gradients[name])
    nn.utils.clip_grad_value_(parameters.values(), threshold)
    by_value = rnnviz.clip_by_value(gradients, threshold)
    for name, parameter in parameters.items():
        assert parameter.grad is not None
        assert np.array_equal(by_value[name], parameter.grad.numpy())


def test_clipping_non_finite_gradients_raises():
    infinite = {"weight_hh_l0": np.array([1.0, np.inf])}
    words = (
        '1 of the 2 entries of the gradient "weight_hh_l0" are not finite; expected finite '
        "gradients, because clipping would turn all of them into NaN or hide the problem. Skip "
        "this update, or make the gradient smaller first."
    )
    for clip in (rnnviz.clip_by_norm, rnnviz.clip_by_value):
        with pytest.raises(rnnviz.RnnvizError) as error:
            clip(infinite, 1.0)
        assert str(error.value) == words
    large = {"w": np.full(3, 1e30, np.float32)}
    with pytest.raises(rnnviz.RnnvizError) as error:
        rnnviz.clip_by_norm(large, 1.0)
    assert str(error.value) == (
        "The norm of all gradients overflows float32, so clipping by it would turn all of them "
        "into 0; expected a finite norm. Clip by value, or pass the gradients in float64."
    )
    with pytest.raises(rnnviz.RnnvizError) as error:
        rnnviz.clip_by_value(large, 0)
    assert str(error.value) == (
        "The clipping threshold is 0; expected a positive finite number. Choose another threshold."
    )


def diagnosed(gain: float, steps: int) -> Any:
    return rnnviz.diagnose(steady(gain, 1, steps))


def test_diagnose_verdicts():
    found = diagnosed(0.9, 10_000)
    assert found.verdict == "vanishing"
    assert abs(found.decay + math.log10(0.9)) < 1e-12
    assert abs(found.half_life - math.log(0.5) / math.log(0.9)) < 1e-9
    assert found.doubling_time == math.inf
    # 0.9^n ≤ 2^−25, 2^−134, 2^−150 and 2^−1075: n = 987 and 7073 for the last two.
    lost = {name: 9999 - where.time for name, where in found.lost.items()}
    n = [math.ceil(k * math.log(2) / -math.log(0.9)) for k in (25, 134, 150, 1075)]
    assert lost == dict(zip(("float16", "bfloat16", "float32", "float64"), n, strict=True))
    assert {where.shows for where in found.lost.values()} == {"0"}
    found = diagnosed(1.1, 10_000)
    assert found.verdict == "exploding"
    assert abs(found.doubling_time - math.log(2) / math.log(1.1)) < 1e-9
    # facts: float32 overflows at T = 931, float64 at T = 7448.
    assert {name: 9999 - where.time for name, where in found.lost.items()} == {
        "float16": 117,
        "bfloat16": 931,
        "float32": 931,
        "float64": 7448,
    }
    assert {where.shows for where in found.lost.values()} == {"inf"}
    found = diagnosed(1.0, 10_000)
    assert (found.verdict, found.decay, found.half_life) == ("healthy", 0.0, math.inf)
    assert found.lost == dict.fromkeys(("float16", "bfloat16", "float32", "float64"))
    assert diagnosed(0.0, 10).verdict == "vanishing"
    assert (diagnosed(0.0, 10).decay, diagnosed(0.0, 10).half_life) == (math.inf, 0.0)
    assert diagnosed(0.5, 1).verdict == "one_step"


def test_diagnose_finds_the_first_non_finite_value():
    module: Any = nn.RNN(1, 2, nonlinearity="relu", bias=False)
    with torch.no_grad():
        module.weight_hh_l0.copy_(torch.tensor([[2.0, 0.0], [0.0, 4.0]]))
        module.weight_ih_l0.fill_(1)
    trace = rnnviz.trace(module, torch.ones(200, 1), loss="last")
    found = rnnviz.diagnose(trace)
    bad = ~np.isfinite(trace["hidden_state"].values[0, 0, :, 0])
    time = int(bad.any(-1).argmax())
    assert found.not_finite == (time, "hidden_preactivation", 1)
    assert found.verdict == "exploding"
    # 2^(T − 1 − t) for the first unit, 4^(T − 1 − t) for the second, exact despite the overflow.
    norms = rnnviz.gradient_norms(trace)["hidden_state"].values[0, 0, :, 0]
    back = np.arange(199, -1, -1.0)
    expected = back * math.log10(4) + 0.5 * np.log10(1 + 0.25**back)
    assert np.abs(norms - expected).max() < 1e-10
    contributions = rnnviz.weight_gradient_norms(trace)
    assert not np.isfinite(contributions["total"].item())
    assert np.isfinite(contributions["log10_contribution"].values[0, 0, 1:time]).all()


def test_saturation_per_gate_and_unit():
    module: Any = nn.LSTM(1, 2).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
        module.weight_ih_l0[2, 0] = 100.0  # forget gate, unit 0: by the sign of the input
        module.bias_hh_l0[5] = 3.0  # candidate, unit 1: tanh 3 = 0.995
    x = torch.tensor([1.0, -1.0, 0.0, 0.0])[:, None].double()
    found = rnnviz.diagnose(rnnviz.trace(module, x, loss="all")).saturated
    assert {name: values.tolist() for name, values in found.items()} == {
        "input_gate": [0, 0],
        "forget_gate": [0.5, 0],
        "cell_candidate": [0, 1],
        "output_gate": [0, 0],
    }


def test_a_missing_part_raises():
    trace = plain_case("tanh").trace()
    with pytest.raises(rnnviz.RnnvizError) as error:
        rnnviz.diagnose(trace, direction="backward")
    assert str(error.value) == (
        'The direction is "backward"; the trace has forward. Choose one of these.'
    )
    with pytest.raises(rnnviz.RnnvizError) as error:
        rnnviz.diagnose(trace, layer=1)
    assert str(error.value) == (
        "layer 1 is out of range; expected 0 ≤ layer < 1. Choose another number."
    )


def test_a_saved_trace_has_the_same_norms(tmp_path: Path):
    trace = steady(0.1, 1, 400)
    for ending in (".nc", ".npz"):
        trace.save(tmp_path / f"trace{ending}")
        loaded = rnnviz.load_trace(tmp_path / f"trace{ending}")
        assert loaded == trace
        assert rnnviz.gradient_norms(loaded).identical(rnnviz.gradient_norms(trace))


def test_changing_one_datasets_labels_leaves_the_others():
    trace = rnnviz.trace(nn.GRU(1, 2, bidirectional=True), torch.ones(4, 3, 1), loss="all")
    first, second = rnnviz.gradient_norms(trace), rnnviz.gradient_norms(trace)
    labels = {"layer": [0], "direction": ["forward", "backward"], "time": range(4)}
    labels = {name: list(values) for name, values in labels.items()} | {"batch": [0, 1, 2]}
    assert {str(name): values.values.tolist() for name, values in second.coords.items()} == labels
    first["time"].attrs["unit"] = "steps"
    first["time"].encoding["dtype"] = "int16"
    first["layer"] = [7]
    assert second["time"].attrs == second["time"].encoding == {}
    assert rnnviz.gradient_norms(trace).identical(second)


@pytest.mark.parametrize("stack", [nn.RNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize("hidden", [50, 100])  # both ways of multiplying one row
def test_gradients_of_layers_too_small_for_threads(stack: Any, hidden: int):
    module = stack(1, hidden, dtype=torch.float64)
    x = torch.linspace(-1, 1, 20, dtype=torch.float64)[:, None].requires_grad_()
    h = torch.zeros(1, hidden, dtype=torch.float64, requires_grad=True)
    state = (h, torch.zeros_like(h)) if stack is nn.LSTM else h
    module(x, state)[0].sum().backward()
    assert h.grad is not None
    found = rnnviz.trace(module, x.detach(), loss="all").initial_state["grad_hidden_state"]
    expected = h.grad.numpy()
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found.values[0, 0], expected, rtol=0, atol=1e-13 * scale)
