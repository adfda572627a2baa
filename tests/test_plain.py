"""Plain float32 gradients, parameter gradients, and how many steps back gradients reach."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, nn

import rnnviz
from rnnviz import initialise
from rnnviz.cells import ElmanCell
from rnnviz.gradients import Lost, parameter_gradients, plain_pass, remembered_steps
from tests.cases import Case, cases, plain_case

FORMS = ["tanh", "relu", "sigmoid", "identity", "gru", "lstm"]
DTYPES: list[tuple[Literal["float32", "float64"], float]] = [
    ("float64", 1e-12),
    ("float32", 1e-4),
]
LAYOUTS: list[dict[str, Any]] = [
    {},
    {"layers": 3, "bidirectional": True},
    {"padding": "lengths", "bidirectional": True, "layers": 2, "steps": 9},
    {"padding": "packed", "loss": "last", "steps": 7},
    {"way": "recurrent", "layers": 2, "bias": False},
    {"proj_size": 2, "layers": 2, "bidirectional": True},
]


def linear(u: Any, steps: int, loss: Any = "last", dtype: torch.dtype = torch.float32) -> Any:
    """h_t = U h_{t−1} from h_0 = 0: all states are 0, but the gradients are not."""
    weights = torch.as_tensor(u, dtype=dtype)
    cell = ElmanCell(1, len(weights), "identity", bias=False).to(dtype)
    with torch.no_grad():
        cell.weight_ih.zero_()
        cell.weight_hh.copy_(weights)
    return rnnviz.trace(cell, torch.zeros(steps, 1, dtype=dtype), loss=loss)


def in_form(form: str, changed: dict[str, Any]) -> Case:
    """A case of this form; only LSTMs have projections, and only Recurrent has variants."""
    changes = dict(changed)
    if form != "lstm":
        changes.pop("proj_size", None)
    if form in ("sigmoid", "identity"):
        changes["way"] = "recurrent"
        if changes.get("padding") == "packed":
            changes["padding"] = "lengths"
    return plain_case(form, **changes)


def log_norms(values: Any) -> np.ndarray:
    """log₁₀ of each row's norm, taken in float64; inf and NaN as NumPy has them."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log10(np.linalg.norm(np.asarray(values, np.float64), axis=-1))


def assert_close(name: str, found: Any, expected: Any, tolerance: float) -> None:
    """Equal infinities and NaN count as no difference."""
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    assert found.shape == expected.shape, name
    there = np.isfinite(expected)
    assert np.array_equal(found[~there], expected[~there], equal_nan=True), f"{name}: {found}"
    max_diff = float(np.abs(found[there] - expected[there]).max(initial=0))
    assert max_diff < tolerance, f"{name}: {max_diff=:.1e}"


def message(act: Callable[[], Any]) -> str:
    with pytest.raises(rnnviz.RnnvizError) as caught:
        act()
    assert "{" not in caught.value.message("ko")
    return str(caught.value)


# One backward pass in float32


def autograd_by_hand(u: Any, steps: int) -> np.ndarray:
    """δh_t of the sum of h_T, (time, unit), by autograd in float32 over h_t = U h_{t−1}."""
    weights = torch.as_tensor(u, dtype=torch.float32)
    states = [torch.ones(len(weights), requires_grad=True)]
    for _ in range(steps - 1):
        states.append(weights @ states[-1])
    with np.errstate(over="ignore"):
        return torch.stack(torch.autograd.grad(states[-1].sum(), states)).numpy()


@pytest.mark.parametrize(
    ("gain", "steps", "wrong", "lost"),
    [
        (0.9, 1300, 962, None),  # stays at 4 · 2^−149: wrong from there on, but never lost
        (0.5, 200, 150, (150, "0")),
        (1.1, 1000, 931, (931, "inf")),
        (-1.1, 1000, 931, (931, "inf")),
        (1.0, 1000, None, None),
        (0.99, 2000, None, None),
    ],
)
def test_float32_norms_of_a_gain_are_autograds(
    gain: float, steps: int, wrong: int | None, lost: tuple[int, str] | None
):
    """wrong, lost: steps back from the last."""
    trace = linear([[gain]], steps)
    found = plain_pass(trace)
    expected = log_norms(autograd_by_hand([[gain]], steps))
    assert_close("plain", found.log10_norms, expected, 1e-13)
    last = steps - 1
    assert found.wrong_from == (None if wrong is None else last - wrong)
    assert found.lost == (None if lost is None else Lost(last - lost[0], lost[1]))  # pyright: ignore[reportArgumentType]  # a literal
    exact = rnnviz.gradient_norms(trace)["hidden_state"].values[0, 0, :, 0]
    off = ~(np.abs(found.log10_norms - exact) <= 0.05)
    assert (np.flatnonzero(off).max(initial=-1)) == (-1 if wrong is None else last - wrong)
    if gain == 0.9:
        assert_close("the floor", found.log10_norms[:300], np.full(300, math.log10(5.6e-45)), 1e-3)
        assert exact[0] < -59


def test_a_growing_rotation_gives_inf_and_then_nan():
    """Both entries overflow with different signs, and inf − inf is NaN."""
    turn = 2 * np.array([[math.cos(1), -math.sin(1)], [math.sin(1), math.cos(1)]])
    found = plain_pass(linear(turn, 200))
    raw = autograd_by_hand(turn, 200)
    assert np.array_equal(np.isnan(found.log10_norms), np.isnan(raw).any(-1))
    assert np.isnan(raw[:60]).all()
    first = int(np.flatnonzero(~np.isfinite(raw).all(-1)).max())
    assert found.lost == Lost(first, "inf")
    assert found.wrong_from == first
    assert 199 - first == 128


@pytest.mark.parametrize("kind", ["rnn", "relu", "gru", "lstm"])
def test_float32_loses_the_gradient_where_autograd_does(kind: str):
    torch.manual_seed(0)
    cell: Any = {
        "rnn": lambda: nn.RNNCell(2, 6),
        "relu": lambda: nn.RNNCell(2, 6, nonlinearity="relu"),
        "gru": lambda: nn.GRUCell(2, 6),
        "lstm": lambda: nn.LSTMCell(2, 6),
    }[kind]()
    x = torch.randn(400, 2)
    if kind == "relu":  # so that every unit is active
        x = x.abs()
        with torch.no_grad():
            for parameter in cell.parameters():
                parameter.abs_()
    initialise.spectral_radius(cell, 0.5)
    state: Any = torch.zeros(6)
    state = (state, torch.zeros(6)) if kind == "lstm" else state
    hidden: list[Tensor] = []
    for x_t in x:
        state = cell(x_t, state)
        hidden.append(state[0] if kind == "lstm" else state)
    by_hidden = torch.stack(torch.autograd.grad(hidden[-1].sum(), hidden)).numpy()
    expected = log_norms(by_hidden)
    found = plain_pass(rnnviz.trace(cell, x, loss="last"))
    normal = expected > -30
    assert_close(kind, found.log10_norms[normal], expected[normal], 1e-3)
    assert found.lost is not None
    assert found.lost.shows == "0"
    gone = int(np.flatnonzero(np.isneginf(expected)).max())
    assert abs(found.lost.time - gone) <= 2, "the last bits of subnormals depend on rounding"
    assert np.isneginf(found.log10_norms[: found.lost.time - 2]).all()
    assert found.wrong_from is not None
    assert found.lost.time <= found.wrong_from < found.lost.time + 25


def parts_of(case: Case) -> list[tuple[int, str, int]]:
    directions = ("forward", "backward")[: case.directions]
    batches = range(max(case.batch, 1))
    return [(n, d, b) for n in range(case.layers) for d in directions for b in batches]


@pytest.mark.parametrize("changed", LAYOUTS)
@pytest.mark.parametrize("form", FORMS)
def test_within_the_range_nothing_is_wrong_in_any_part(form: str, changed: dict[str, Any]):
    case = in_form(form, changed)
    trace = case.trace()
    exact = rnnviz.gradient_norms(trace)["hidden_state"]
    for layer, direction, batch in parts_of(case):
        expected = exact.sel(layer=layer, direction=direction, batch=batch).values
        for dtype, tolerance in DTYPES:
            found = plain_pass(trace, dtype=dtype, layer=layer, direction=direction, batch=batch)
            assert_close(f"{form} {dtype}", found.log10_norms, expected, tolerance)
            assert (found.wrong_from, found.lost) == (None, None)


def test_an_upper_layer_passes_down_its_float32_gradient():
    """The upper layer shrinks it by 2^−100 per step; the lower layer has 0 in float32."""
    module: Any = nn.RNN(1, 1, 2, nonlinearity="relu", bias=False).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(1.0)
        module.weight_ih_l1.fill_(2.0**-100)
    trace = rnnviz.trace(module, torch.ones(3, 1).double(), loss=lambda y: 2.0**-60 * y[-1].sum())
    exact = rnnviz.gradient_norms(trace)["hidden_state"].values[:, 0, :, 0] / math.log10(2)
    assert_close(
        "exact",
        exact[0],
        math.log2(3) - 160 - np.array([0, 0.584962500721156, 1.584962500721156]),
        1e-9,
    )
    found = plain_pass(trace, layer=0)
    assert np.isneginf(found.log10_norms).all()
    assert (found.wrong_from, found.lost) == (2, Lost(2, "0"))
    above = plain_pass(trace, layer=1)
    assert_close("above", above.log10_norms / math.log10(2), [-60.0, -60.0, -60.0], 1e-9)
    assert plain_pass(trace, dtype="float64").lost is None


def test_padding_is_nan_and_the_backward_direction_loses_its_last_steps():
    module: Any = nn.RNN(1, 1, nonlinearity="relu", bias=False, bidirectional=True).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(0.5)
    lengths = [300, 250]
    trace = rnnviz.trace(
        module, torch.ones(300, 2, 1).double(), lengths=lengths, loss=lambda y: y[0, :, 1].sum()
    )
    for batch, length in enumerate(lengths):
        found = plain_pass(trace, direction="backward", batch=batch)
        assert found.lost == Lost(150, "0")
        assert found.wrong_from == 150
        assert np.isnan(found.log10_norms[length:]).all()
        assert np.isneginf(found.log10_norms[150:length]).all()
        assert_close("norms", found.log10_norms[:149], -math.log10(2) * np.arange(149), 1e-12)
        forward = plain_pass(trace, batch=batch)
        assert np.isneginf(forward.log10_norms[:length]).all()
        assert (forward.wrong_from, forward.lost) == (None, None), "no loss reaches it"


def test_invalid_arguments_of_plain_pass_raise():
    trace = linear([[0.5]], 3)
    assert message(lambda: plain_pass(trace, layer=1)).startswith("layer 1 is out of range")
    assert message(lambda: plain_pass(trace, direction="up")).startswith('The direction is "up"')
    assert message(lambda: plain_pass(linear([[0.5]], 3, None))) == (
        'The trace has no gradients, because no loss was passed. Trace again with loss="last", '
        '"all" or a function of the output.'
    )


# The gradients of the parameters


def by_autograd(case: Case) -> dict[str, np.ndarray]:
    """∂L/∂parameter of the reference loop, by name."""
    leaves = {name: p.detach().double().requires_grad_() for name, p in case.parameters().items()}
    written = case.written_with(leaves, case.x.double())
    case.__dict__["written"] = written  # replaces the cached run without gradients
    found = torch.autograd.grad(
        case.written_loss(), list(leaves.values()), allow_unused=True, materialize_grads=True
    )
    return {name: g.numpy() for name, g in zip(leaves, found, strict=True)}


def assert_gradients(case: Case) -> None:
    found, expected = parameter_gradients(case.trace()), by_autograd(case)
    assert list(found) == list(expected)
    for name, values in expected.items():
        assert found[name].dtype == np.float64
        size = max(1.0, float(np.abs(values).max()))
        assert_close(name, found[name] / size, values / size, 1e-12)


@pytest.mark.parametrize("changed", LAYOUTS)
@pytest.mark.parametrize("form", FORMS)
def test_parameter_gradients_are_autograds(form: str, changed: dict[str, Any]):
    assert_gradients(in_form(form, changed))


@pytest.mark.parametrize("way", ["stack", "recurrent", "torch cell", "own cell"])
def test_parameter_gradients_of_every_layout(way: str):
    @given(case=cases(way))
    @settings(max_examples=25)
    def check(case: Case):
        if case.loss != "none":
            assert_gradients(replace(case, dtype=torch.float64))

    check()


def test_parameter_gradients_of_a_float32_module_are_computed_in_float64():
    """Gradients of 0.5^n far below float32's smallest number add up to the bias's."""
    trace = linear([[0.5]], 300)
    cell = ElmanCell(1, 1, "identity")
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        cell.weight_hh.fill_(0.5)
    trace = rnnviz.trace(cell, torch.zeros(300, 1), loss=lambda y: 2.0**-140 * y[-1].sum())
    found = parameter_gradients(trace)
    assert found["bias_hh_l0"].tolist() == [2.0**-140 * (2 - 2.0**-299)]
    assert found["weight_hh_l0"].tolist() == [[0.0]]


def test_a_gradient_beyond_float64_is_inf_except_where_its_state_is_0():
    found = parameter_gradients(linear([[1e150]], 5, dtype=torch.float64))
    assert found["weight_hh_l0"].tolist() == [[0.0]]
    assert found["weight_ih_l0"].tolist() == [[0.0]]
    cell = ElmanCell(1, 1, "identity").double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        cell.weight_hh.fill_(-1e150)
    trace = rnnviz.trace(cell, torch.zeros(4, 1).double(), loss="last")
    found = parameter_gradients(trace)
    assert found["bias_ih_l0"].tolist() == [-math.inf]
    assert found["weight_hh_l0"].tolist() == [[0.0]]


def test_large_gradients_of_small_states_are_right():
    """For h_t = u h_{t−1}, ∂h_T/∂u = T u^(T−1) h_0 is in range, though u^(T−1) is not."""
    cell = ElmanCell(1, 1, "identity", bias=False).double()
    with torch.no_grad():
        cell.weight_ih.zero_()
        cell.weight_hh.fill_(4.0)
    h_0 = torch.full((1,), 2.0**-1000, dtype=torch.float64)
    trace = rnnviz.trace(cell, torch.zeros(600, 1).double(), h_0, loss="last")
    found = parameter_gradients(trace)["weight_hh_l0"].item()
    assert_close("∂L/∂u", found / (600 * 2.0 ** (2 * 599 - 1000)), 1.0, 1e-12)


def test_parameter_gradients_need_a_loss():
    assert message(lambda: parameter_gradients(linear([[0.5]], 3, None))).startswith(
        "The trace has no gradients, because no loss was passed."
    )


# Steps back that gradients reach


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("fraction", [0.6, 0.1, 0.01, 1e-3, 1e-50, 1e-300])
@pytest.mark.parametrize("gain", [0.5, 0.9, 0.99])
def test_memory_of_a_gain_is_a_ratio_of_logarithms(
    gain: float, fraction: float, dtype: torch.dtype
):
    trace = linear([[gain]], 1200, dtype=dtype)
    expected = math.floor(math.log(fraction) / math.log(float(torch.tensor(gain).to(dtype)))) + 1
    assert remembered_steps(trace, fraction=fraction) == min(expected, 1200)


@pytest.mark.parametrize("gain", [1.0, 1.1, -1.0, 3.0])
def test_memory_of_a_gradient_that_never_shrinks_is_the_whole_sequence(gain: float):
    assert remembered_steps(linear([[gain]], 700, dtype=torch.float64)) == 700
    assert remembered_steps(linear([[gain]], 700, dtype=torch.float64), fraction=1.0) == 700


def test_memory_ends_where_the_gradient_first_falls():
    """δh_t halves per step back, until the loss adds to it at step 20."""
    trace = linear([[0.5]], 40, lambda y: y[-1].sum() + 100 * y[19].sum(), torch.float64)
    assert remembered_steps(trace) == 7


def test_memory_of_a_zero_gradient_is_0():
    assert remembered_steps(linear([[0.5]], 5, lambda y: 0 * y.sum())) == 0
    assert remembered_steps(linear([[0.5]], 5, lambda y: y[2].sum())) == 0
    dead = linear([[0.0]], 5)
    assert remembered_steps(dead) == 1


def test_memory_of_an_lstm_uses_h_and_c_together():
    """Without U, δh is 0 except at the last step, and δc = ½ · 0.9ⁿ: ‖δs_T‖ = √(1 + ¼)."""
    module: Any = nn.LSTM(1, 1).double()
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    module.bias_hh_l0.data[1] = math.log(9)
    trace = rnnviz.trace(module, torch.zeros(60, 1).double(), loss="last")
    by_h = rnnviz.gradient_norms(trace)["hidden_state"].values.ravel()
    assert np.isneginf(by_h[:-1]).all()
    assert by_h[-1] == 0
    for fraction in (0.01, 0.1):
        steps = math.log(fraction * math.sqrt(1.25) / 0.5) / math.log(0.9)
        assert remembered_steps(trace, fraction=fraction) == math.floor(steps) + 1
    assert remembered_steps(trace) == 37


def test_memory_of_each_part_is_counted_from_its_last_step():
    torch.manual_seed(0)
    module = nn.LSTM(2, 4, 2, bidirectional=True).double()
    x = torch.randn(50, 3, 2).double()
    lengths = [50, 41, 30]
    trace = rnnviz.trace(module, x, lengths=lengths, loss="all")
    for layer in range(2):
        for number, direction in enumerate(("forward", "backward")):
            for batch, length in enumerate(lengths):
                h, c = (
                    trace[f"grad_{name}"].values[layer, number, :length, batch]
                    for name in ("hidden_state", "cell_state")
                )
                norms = np.linalg.norm(np.concatenate((h, c), -1), axis=-1)
                back = norms if number else norms[::-1]
                for fraction in (0.5, 0.9, 1.0):
                    fallen = np.flatnonzero(back < fraction * back[0])
                    expected = int(fallen[0]) if len(fallen) else length
                    found = remembered_steps(
                        trace, fraction=fraction, layer=layer, direction=direction, batch=batch
                    )
                    assert found == expected


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.5, math.nan, math.inf])
def test_an_invalid_fraction_raises(fraction: float):
    assert message(lambda: remembered_steps(linear([[0.5]], 3), fraction=fraction)) == (
        f"fraction is {fraction}; expected 0 < x ≤ 1. Choose another number."
    )
