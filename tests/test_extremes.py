"""Gradients, stability, initialisation and their figures with extreme input.

The result is a correct value or a RnnvizError, never another exception, a warning or an empty plot.
"""

import math
from collections.abc import Callable
from typing import Any

import mpmath  # pyright: ignore[reportMissingTypeStubs]  # it has none
import numpy as np
import pytest
import torch
from torch import nn

import rnnviz
from rnnviz import initialise
from rnnviz.cells import ElmanCell
from rnnviz.plots.lyapunov import plot_lyapunov
from rnnviz.plots.remembered import plot_memory
from rnnviz.plots.saturation import plot_saturation

KINDS: dict[str, Callable[..., nn.Module]] = {
    "rnn": nn.RNN,
    "relu": lambda *sizes, **options: nn.RNN(*sizes, nonlinearity="relu", **options),
    "gru": nn.GRU,
    "lstm": nn.LSTM,
}
FIGURES = [
    rnnviz.plot_gradient_norms,
    rnnviz.plot_jacobian_norms,
    rnnviz.plot_weight_gradients,
    rnnviz.plot_eigenvalues,
]
NUMBER = "{} is {}; expected {}. Choose another number."
NO_RADIUS = (
    "The recurrent weights {} have spectral radius 0, and scaling cannot change that. Initialise "
    "them first, for example with random values."
)
WEIGHTS = (
    "{2} of the {0} values of {1} are NaN or infinite, the first at index {3}; a trace needs "
    "finite weights. Load the weights of an earlier training step, or train again with a smaller "
    "learning rate or with gradient clipping."
)
OVERFLOWN = (
    "The Jacobians contain NaN or inf from time step {} on; expected finite numbers. Shorten the "
    "sequence to the steps before it, or choose smaller weights."
)
PART = "{0} {1} is out of range; expected 0 ≤ {0} < 1. Choose another number."


def made(kind: str, units: int = 3, dtype: torch.dtype = torch.float64, **options: Any) -> Any:
    torch.manual_seed(0)
    return KINDS[kind](2, units, **options).to(dtype)


def traced(module: nn.Module, steps: int, loss: Any = "last") -> rnnviz.Trace:
    generator = torch.Generator().manual_seed(1)
    dtype = next(module.parameters()).dtype
    x = torch.randn(steps, 2, generator=generator, dtype=torch.float64).to(dtype)
    return rnnviz.trace(module, x, loss=loss)


def zeroed(module: nn.Module) -> Any:
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


def scaled(u: Any, nonlinearity: str = "identity", steps: int = 4) -> rnnviz.Trace:
    """h_t = φ(U h_{t−1}) from h_0 = 0, with the sum of h_T as loss."""
    weights = torch.as_tensor(u, dtype=torch.float64)
    cell = zeroed(ElmanCell(2, len(weights), nonlinearity, bias=False).double())
    cell.weight_hh.data.copy_(weights)
    return traced(cell, steps)


def message(act: Callable[[], Any]) -> str:
    with pytest.raises(rnnviz.RnnvizError) as caught:
        act()
    korean = caught.value.message("ko")
    assert korean != str(caught.value)
    assert "{" not in korean
    return str(caught.value)


def assert_close(name: str, found: Any, expected: Any, tolerance: float) -> None:
    """Equal infinities and NaN count as no difference."""
    found, expected = np.broadcast_arrays(np.asarray(found, float), np.asarray(expected, float))
    there = np.isfinite(expected)
    assert np.array_equal(found[~there], expected[~there], equal_nan=True), f"{name}: {found}"
    max_diff = float(np.abs(found[there] - expected[there]).max(initial=0))
    assert max_diff < tolerance, f"{name}: {max_diff=:.1e}"


def log10(values: Any) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log10(values)


def shown(line: Any) -> int:
    """The number of values of a line that are visible."""
    there = np.isfinite(np.asarray(line.y, float))
    if line.mode == "markers":
        return int(there.sum())
    beside = np.append(there[1:], False) | np.append(False, there[:-1])
    sizes = np.zeros(len(there)) if line.marker.size is None else np.asarray(line.marker.size)
    return int((there & (beside | (("markers" in line.mode) & (sizes > 0)))).sum())


# Initialisation


GAINED: dict[str, Callable[[nn.Module, float], None]] = {
    "orthogonal": lambda module, gain: initialise.orthogonal(module, seed=0, gain=gain),
    "identity": lambda module, gain: initialise.identity(module, gain=gain),
    "recurrent_gain": initialise.recurrent_gain,
}


def state_of(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def assert_unchanged(module: nn.Module, before: dict[str, torch.Tensor]) -> None:
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("units", [1, 3])
@pytest.mark.parametrize("gain", [0.0, -0.0, -0.5, 1e-300, 1e300, -1e300])
@pytest.mark.parametrize("name", GAINED)
def test_extreme_gains(name: str, gain: float, units: int):
    for kind, gates in (("rnn", 1), ("gru", 3), ("lstm", 4)):
        module = made(kind, units)
        initialise.orthogonal(module, seed=1)
        GAINED[name](module, gain)
        for u in module.weight_hh_l0.detach().numpy().reshape(gates, units, units):
            values = np.linalg.svd(u, compute_uv=False)
            assert_close(kind, values / (abs(gain) or 1), float(gain != 0), 1e-12)
            if name == "identity":
                assert np.array_equal(u, gain * np.eye(units))


@pytest.mark.parametrize("gain", [math.nan, math.inf, -math.inf])
def test_a_non_finite_gain_raises(gain: float):
    module = made("lstm")
    before = state_of(module)
    for name, act in GAINED.items():
        text = NUMBER.format("gain", gain, "−∞ < x < ∞")
        assert message(lambda act=act: act(module, gain)) == text, name
    text = NUMBER.format("value", gain, "−∞ < x < ∞")
    assert message(lambda: initialise.forget_bias(module, gain)) == text
    text = NUMBER.format("radius", gain, "0 ≤ x < ∞")
    assert message(lambda: initialise.spectral_radius(module, gain)) == text
    text = NUMBER.format("longest", gain, "2 ≤ x < ∞")
    assert message(lambda: initialise.chrono(module, gain, seed=0)) == text  # pyright: ignore[reportArgumentType]  # callers may pass a float
    assert_unchanged(module, before)


@pytest.mark.parametrize(
    ("dtype", "largest"), [(torch.float32, "3.4e+38"), (torch.float16, "6.55e+04")]
)
def test_values_beyond_the_modules_dtype_raise_and_change_nothing(dtype: torch.dtype, largest: str):
    module = made("lstm", dtype=dtype, num_layers=2)
    before = state_of(module)
    for name, act in GAINED.items():
        text = NUMBER.format("gain", 1e300, f"|U| ≤ {largest}")
        assert message(lambda act=act: act(module, 1e300)) == text, name
    text = NUMBER.format("radius", 1e300, f"|U| ≤ {largest}")
    assert message(lambda: initialise.spectral_radius(module, 1e300)) == text
    text = NUMBER.format("value", -1e300, f"|b| ≤ {largest}")
    assert message(lambda: initialise.forget_bias(module, -1e300)) == text
    assert_unchanged(module, before)


def test_a_product_beyond_float64_raises():
    module = made("rnn", num_layers=2)
    module.weight_hh_l1.data.fill_(1e200)
    before = state_of(module)
    text = NUMBER.format("gain", 1e200, "|U| ≤ 1.8e+308")
    assert message(lambda: initialise.recurrent_gain(module, 1e200)) == text
    assert_unchanged(module, before)


@pytest.mark.parametrize(
    ("value", "gate"), [(0.0, 0.5), (-0.0, 0.5), (40.0, 1.0), (1e300, 1.0), (-1e300, 0.0)]
)
def test_extreme_forget_biases(value: float, gate: float):
    for kind, name in (("lstm", "forget_gate"), ("gru", "update_gate")):
        module = zeroed(made(kind, 1))
        initialise.forget_bias(module, value)
        trace = traced(module, 3)
        assert_close(kind, trace[name].values, gate, 1e-15)
        back = log10(gate) * np.arange(2, -1, -1.0) if gate else [-math.inf, -math.inf, 0.0]
        state = "cell_state" if kind == "lstm" else "hidden_state"
        norms = rnnviz.gradient_norms(trace)[state].values[0, 0, :, 0]
        assert_close(kind, norms, np.array(back) + (log10(0.5) if kind == "lstm" else 0), 1e-12)


@pytest.mark.parametrize("longest", [-5, 0, 1, 1.999])
def test_chrono_for_less_than_two_steps_raises(longest: float):
    module: Any = made("gru")
    before = state_of(module)
    text = NUMBER.format("longest", longest, "2 ≤ x < ∞")
    assert message(lambda: initialise.chrono(module, longest, seed=0)) == text  # pyright: ignore[reportArgumentType]  # callers may pass a float
    assert_unchanged(module, before)


def test_chrono_for_very_many_steps():
    module = made("lstm", 200)
    initialise.chrono(module, 10**300, seed=0)  # an int too large for torch
    bias = (module.bias_ih_l0 + module.bias_hh_l0).detach().numpy()[200:400]
    assert bias.max() < math.log(1e300)
    assert_close("ln of the median", np.median(bias), math.log(0.5e300), 0.3)


def test_forget_bias_of_a_plain_rnn_raises():
    text = (
        'The cell "rnn" has no gate that keeps its state; expected an LSTM (forget gate) or a GRU '
        "(update gate). Choose another cell or another initialisation."
    )
    for module in (made("relu"), nn.RNNCell(2, 3), ElmanCell(2, 3, "sigmoid")):
        assert message(lambda module=module: initialise.forget_bias(module, 1.0)) == text
        assert message(lambda module=module: initialise.chrono(module, 9, seed=0)) == text


def test_nan_weights_cannot_be_scaled_or_traced():
    module = made("gru")
    module.weight_hh_l0.data[7, 1] = math.nan
    acts: dict[str, Callable[[], Any]] = {
        "trace": lambda: traced(module, 2),
        "torch_default": lambda: initialise.torch_default(module, seed=0),
        "xavier": lambda: initialise.xavier(module, seed=0),
        "orthogonal": lambda: initialise.orthogonal(module, seed=0),
        "identity": lambda: initialise.identity(module),
        "chrono": lambda: initialise.chrono(module, 9, seed=0),
        "forget_bias": lambda: initialise.forget_bias(module, 1.0),
        "recurrent_gain": lambda: initialise.recurrent_gain(module, 1.0),
        "spectral_radius": lambda: initialise.spectral_radius(module, 1.0),
    }
    for name, act in acts.items():
        assert message(act) == WEIGHTS.format(27, "weight_hh_l0", 1, "(7, 1)"), name


@pytest.mark.parametrize("units", [1, 2, 3, 8, 32])
def test_the_spectral_radius_of_a_nilpotent_matrix_is_0(units: int):
    """In a rotated basis, so that rounding gives eigenvalues of eps^(1/n): 0.3 for 32 units."""
    q = np.linalg.qr(np.random.default_rng(0).standard_normal((units, units)))[0]
    module = made("rnn", units, num_layers=2, bidirectional=True)
    for u in (np.eye(units, k=1), q @ np.eye(units, k=1) @ q.T, np.zeros((units, units))):
        module.weight_hh_l1_reverse.data.copy_(torch.from_numpy(1e3 * u))
        before = state_of(module)
        text = NO_RADIUS.format("weight_hh_l1_reverse")
        assert message(lambda: initialise.spectral_radius(module, 0.9)) == text
        assert_unchanged(module, before)
    initialise.spectral_radius(module, 0.0)
    for name, parameter in module.named_parameters():
        assert "weight_hh" not in name or not parameter.any(), name


def test_one_nilpotent_gate_raises():
    module = made("lstm")
    module.weight_hh_l0.data[6:9] = torch.eye(3).roll(1, 0).triu(1)
    before = state_of(module)
    text = NO_RADIUS.format("weight_hh_l0")
    assert message(lambda: initialise.spectral_radius(module, 0.9)) == text
    assert_unchanged(module, before)


@pytest.mark.parametrize(
    "u", [[[1e-300]], [[1e-300, 0.0], [0.0, -1e-301]], [[1e-5, 1.0], [0.0, 1e-5]], [[1e300]]]
)
def test_small_and_large_radii_are_scaled(u: list[list[float]]):
    module = made("rnn", len(u))
    module.weight_hh_l0.data.copy_(torch.tensor(u, dtype=torch.float64))
    initialise.spectral_radius(module, 0.9)
    found = rnnviz.recurrent_spectra(traced(module, 1))["hidden"]
    assert_close("radius", found.radius, 0.9, 1e-12)
    assert message(lambda: initialise.spectral_radius(module, -0.9)) == NUMBER.format(
        "radius", -0.9, "0 ≤ x < ∞"
    )


# One unit, one or two time steps


@pytest.mark.parametrize("units", [1, 3])
@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_one_and_two_steps_of_one_and_three_units(kind: str, steps: int, units: int):
    trace = traced(made(kind, units), steps)
    found = rnnviz.gradient_norms(trace)
    for name in found:
        norms = np.linalg.norm(trace[f"grad_{name}"].values, axis=-1)
        assert_close(str(name), found[name].values, log10(norms), 1e-12)
    decay = found["hidden_state"].values[0, 0, -1, 0] - found["hidden_state"].values[0, 0, 0, 0]
    verdict = rnnviz.diagnose(trace)
    # If all ReLUs are off at the last step, all gradients before it are 0.
    dead = bool(np.isinf(decay))
    assert verdict.verdict == ("one_step" if steps == 1 else "vanishing" if dead else "healthy")
    assert_close("decay", verdict.decay, math.nan if steps == 1 else decay, 1e-12)
    assert verdict.not_finite is None
    jacobians = rnnviz.jacobians(trace)
    product = jacobians[-1] @ jacobians[0] if steps == 2 else jacobians[0]
    values = np.linalg.svd(product, compute_uv=False)
    kept = values > 1e-14
    logs = rnnviz.log_singular_values(jacobians)
    assert_close("ln σ", np.exp(logs[kept]), values[kept], 1e-13)
    assert np.exp(logs[~kept]).max(initial=0) < 1e-14
    norms = rnnviz.backward_norms(jacobians)
    assert_close("log₁₀ ‖J‖", norms[0], log10(values[0]), 1e-12)
    assert norms[-1] == 0
    bounds = rnnviz.bound_backward_norms(jacobians)
    assert_close("bounds", bounds, [norms, norms], 1e-12)
    growth = rnnviz.transient_growth(jacobians)
    assert_close("growth", growth.log10_norms[[0, -1]], [0, norms[0]], 1e-12)
    exponents = rnnviz.lyapunov_exponents(jacobians)
    if np.isfinite(exponents).all():
        assert_close("Σλ", exponents.sum(), np.linalg.slogdet(jacobians)[1].mean(), 1e-12)
    else:
        assert not kept.all()


@pytest.mark.parametrize("units", [1, 3])
@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_figures_of_one_and_two_steps_show_every_value(kind: str, steps: int, units: int):
    trace = traced(made(kind, units), steps)
    for plot in FIGURES[:3]:
        figure: Any = plot({"net": trace})
        marks = sum(shown(line) for line in figure.data)
        assert marks == steps + (plot is rnnviz.plot_jacobian_norms), plot.__name__
        low, high = figure.layout.yaxis.range
        assert math.isfinite(low)
        assert low < high
    figure = rnnviz.plot_eigenvalues({"net": trace})
    points = sum(shown(line) for line in figure.data)
    assert points == units * {"gru": 3, "lstm": 4}.get(kind, 1)


def test_an_isolated_value_is_drawn_as_a_dot():
    """The gradient is nonzero only at the last step: one dot beside crosses."""
    figure: Any = rnnviz.plot_gradient_norms({"RNN": scaled([[0.0]])})
    line, crosses = figure.data
    assert line.mode == "lines+markers"
    assert line.marker.size.tolist() == [0, 0, 0, 6]
    assert crosses.x.tolist() == [1, 2, 3]
    figure = rnnviz.plot_gradient_norms({"RNN": scaled([[0.5]])})
    assert figure.data[0].mode == "lines"


# All weights 0, no gradient, states that overflow


def test_zero_weights():
    """Gates of ½: a GRU halves its state at every step, an LSTM its cell state alone."""
    half, dead = log10(0.5), -math.inf
    steps, back = 5, np.arange(4, -1, -1.0)
    hidden = {"rnn": [dead] * 4 + [0.0], "relu": [dead] * 4 + [0.0], "lstm": [dead] * 4 + [0.0]}
    hidden["gru"] = (half * back).tolist()
    exponents = {"rnn": [dead] * 3, "relu": [dead] * 3, "gru": [math.log(0.5)] * 3}
    # The first step also has ∂h/∂c = ¼ beside ∂c/∂c = ½: a factor √1.25 over all five steps.
    exponents["lstm"] = [math.log(0.5) + math.log(1.25) / 10] * 3 + [dead] * 3
    for kind, expected in hidden.items():
        trace = traced(zeroed(made(kind)), steps)
        norms = rnnviz.gradient_norms(trace)
        found = norms["hidden_state"].values[0, 0, :, 0]
        assert_close(f"{kind}: h", found, np.array(expected) + log10(3) / 2, 1e-12)
        jacobians = rnnviz.jacobians(trace)
        found = rnnviz.lyapunov_exponents(jacobians)
        assert_close(f"{kind}: λ", found, exponents[kind], 1e-12)
        products = np.linalg.norm(jacobians[-1], 2) * 0.5**back
        found = rnnviz.backward_norms(jacobians)[:-1]
        assert_close(f"{kind}: ‖J‖", found, log10(products), 1e-12)
        contributions = rnnviz.weight_gradient_norms(trace)
        assert np.isneginf(contributions["log10_contribution"].values).all(), "h is 0 throughout"
        assert contributions["total"].item() == 0
        assert math.isnan(contributions["cancellation"].item())
        verdict = rnnviz.diagnose(trace)
        # h of the GRU and c of the LSTM halve; an RNN's gradient does not survive a step.
        gated = kind in ("gru", "lstm")
        assert verdict.verdict == ("healthy" if gated else "vanishing")
        assert verdict.state == ("cell_state" if kind == "lstm" else "hidden_state")
        assert_close(kind, verdict.decay, -half if gated else math.inf, 1e-12)
        assert_close(kind, verdict.half_life, 1.0 if gated else 0.0, 1e-12)
        radii = [spectrum.radius for spectrum in rnnviz.recurrent_spectra(trace).values()]
        assert radii == [0] * len(radii)
        figure: Any = rnnviz.plot_weight_gradients({kind: trace})
        assert [line.name for line in figure.data] == [kind, f"{kind}: exactly 0"]
        assert figure.data[1].x.tolist() == [1, 2, 3, 4, 5]
        for plot in FIGURES:
            figure = plot({kind: trace})
            assert sum(shown(line) for line in figure.data) > 0
    norms = rnnviz.gradient_norms(traced(zeroed(made("lstm")), steps))["cell_state"]
    assert_close("c", norms.values[0, 0, :, 0], half * (back + 1) + log10(3) / 2, 1e-12)
    bound = rnnviz.pascanu_bound(traced(zeroed(made("rnn")), 1))
    assert bound == (0.0, 0.0, 1.0, 1.0, True, False)


@pytest.mark.parametrize("kind", KINDS)
def test_a_zero_gradient(kind: str):
    trace = traced(made(kind), 4, loss=lambda y: 0 * y.sum())
    norms = rnnviz.gradient_norms(trace)
    for name in norms:
        assert np.isneginf(norms[name].values).all(), name
    found = rnnviz.diagnose(trace)
    assert found.verdict == "no_gradient"
    assert np.isnan([found.decay, found.half_life, found.doubling_time]).all()
    assert found.not_finite is None
    assert {type(where).__name__ for where in found.lost.values()} == {"Lost"}
    contributions = rnnviz.weight_gradient_norms(trace)
    assert (contributions["contribution"].values == 0).all()
    assert contributions["total"].item() == 0
    assert contributions["log10_total"].item() == -math.inf
    assert math.isnan(contributions["cancellation"].item())
    if kind == "lstm":
        parts = rnnviz.split_cell_gradient(trace)
        assert not parts["direct"].values.any()
        assert np.isneginf(parts["log10_norm_through_gates"].values).all()
    words = {"en": f"{kind}: exactly 0", "ko": f"{kind}: 정확히 0"}
    for language, name in words.items():
        for plot in (rnnviz.plot_gradient_norms, rnnviz.plot_weight_gradients):
            figure: Any = plot({kind: trace}, language=language)
            assert [line.name for line in figure.data] == [kind, name]
            assert figure.data[1].x.tolist() == [1, 2, 3, 4]
            assert figure.layout.showlegend


def test_a_loss_that_does_not_depend_on_the_output():
    text = (
        "The loss does not depend on the output that the function received, so it has no "
        "gradients; expected a loss that PyTorch can differentiate. Compute it from the "
        "function's argument, without detach(), item() or NumPy."
    )
    free = torch.ones(1, requires_grad=True)
    for loss in (lambda _: free.sum(), lambda y: y.detach().sum(), lambda _: torch.ones(())):
        assert message(lambda loss=loss: traced(made("gru"), 2, loss)) == text
    no_loss = traced(made("gru"), 2, None)
    text = (
        'The trace has no gradients, because no loss was passed. Trace again with loss="last", '
        '"all" or a function of the output.'
    )
    acts: list[Callable[[], Any]] = [
        lambda: rnnviz.diagnose(no_loss),
        lambda: rnnviz.weight_gradient_norms(no_loss),
        lambda: rnnviz.plot_gradient_norms({"GRU": no_loss}),
        lambda: rnnviz.plot_weight_gradients({"GRU": no_loss}),
    ]
    for act in acts:
        assert message(act) == text


def test_a_linear_network_that_overflows_keeps_its_gradient():
    """States of ±inf: U = [[2, −2], [−2, 2]] makes 4 of every step but the last, which is 2√2."""
    cell = zeroed(ElmanCell(2, 2, "identity").double())
    cell.weight_hh.data.copy_(torch.tensor([[2.0, -2.0], [-2.0, 2.0]]))
    h_0 = torch.tensor([1e308, -1e308], dtype=torch.float64)
    trace = rnnviz.trace(cell, torch.zeros(8, 2).double(), h_0, loss=lambda y: y[-1, 0])
    assert np.isinf(trace["hidden_state"].values).all()
    found = rnnviz.gradient_norms(trace)["hidden_state"].values[0, 0, :, 0]
    expected = log10([2 * math.sqrt(2) * 4.0**n for n in range(6, -1, -1)] + [1.0])
    assert_close("∂L/∂h", found, expected, 1e-12)
    norms = rnnviz.backward_norms(rnnviz.jacobians(trace))
    assert_close("‖J‖", norms, np.arange(8, -1, -1) * log10(4.0), 1e-12)
    diagnosis = rnnviz.diagnose(trace)
    assert diagnosis.verdict == "exploding"
    assert diagnosis.not_finite == (0, "hidden_preactivation", 0)


def test_jacobians_of_nan_states_raise():
    """Terms of ±1e308 whose sum overflows, from the second step on."""
    gru = made("gru", 2)
    gru.weight_hh_l0.data.fill_(1e308)
    gru.weight_ih_l0.data.fill_(-1e308)
    trace = rnnviz.trace(gru, torch.full((6, 2), 10.0).double(), loss="last")
    assert np.isnan(trace["hidden_state"].values[0, 0, 1:]).all()
    found = rnnviz.gradient_norms(trace)["hidden_state"].values[0, 0, :, 0]
    assert_close("∂L/∂h", found, [math.nan] * 5 + [log10(2.0) / 2], 1e-15)
    diagnosis = rnnviz.diagnose(trace)
    assert diagnosis.verdict == "undefined"
    assert math.isnan(diagnosis.decay)
    assert diagnosis.not_finite == (0, "reset_gate_preactivation", 0)
    for act in (
        rnnviz.backward_norms,
        rnnviz.bound_backward_norms,
        rnnviz.lyapunov_exponents,
        rnnviz.log_singular_values,
    ):
        text = message(lambda act=act: act(rnnviz.jacobians(trace)))
        assert text == OVERFLOWN.format(1), act.__name__
    assert message(lambda: rnnviz.plot_jacobian_norms({"GRU": trace})) == OVERFLOWN.format(1)


def test_an_overflowing_relu_network_keeps_its_gradient():
    """h_t = relu(D(2, 4) h_{t−1} + 1): NaN after 64 steps of float32, by 0 · inf.

    Its gradient continues as 4^n, like autograd's; its Jacobians raise.
    """
    module: Any = nn.RNN(1, 2, nonlinearity="relu", bias=False)
    module.weight_hh_l0.data.copy_(torch.diag(torch.tensor([2.0, 4.0])))
    nn.init.ones_(module.weight_ih_l0)
    trace = rnnviz.trace(module, torch.ones(200, 1), loss="last")
    assert rnnviz.gradient_norms(trace)["hidden_state"].values[0, 0, 0, 0] > 119
    jacobians = rnnviz.jacobians(trace)
    found = np.isnan(jacobians[100])
    assert found.any()
    first = int(np.isnan(jacobians).any((1, 2)).argmax())
    assert np.isnan(trace["hidden_state"].values[0, 0, first, 0]).any()
    assert np.array_equal(jacobians[first - 1], np.diag([2.0, 4.0]))
    assert message(lambda: rnnviz.backward_norms(jacobians)) == OVERFLOWN.format(first)


# Very large and very small weights


@pytest.mark.parametrize("units", [1, 3])
@pytest.mark.parametrize("size", [1e90, -1e90, 1e-150, -1e-300])
def test_jacobians_of_any_size(size: float, units: int):
    q = np.linalg.qr(np.random.default_rng(0).standard_normal((units, units)))[0]
    trace = scaled(size * q)
    jacobians, decades = rnnviz.jacobians(trace), math.log10(abs(size))
    back = np.arange(4, -1, -1)
    assert_close("norms", rnnviz.backward_norms(jacobians), decades * back, 1e-9)
    assert_close("upper", rnnviz.bound_backward_norms(jacobians).upper, decades * back, 1e-9)
    logs = decades * math.log(10)
    assert_close("ln σ", rnnviz.log_singular_values(jacobians), 4 * logs, 1e-9)
    assert_close("λ", rnnviz.lyapunov_exponents(jacobians), logs, 1e-9)
    found = rnnviz.gradient_norms(trace)["hidden_state"].values[0, 0, :, 0]
    output_grad = np.linalg.norm(np.ones(units) @ np.linalg.matrix_power(np.sign(size) * q, 3))
    assert_close("∂L/∂h_1", found[0], 3 * decades + math.log10(output_grad), 1e-9)
    bound = rnnviz.pascanu_bound(trace)
    assert_close("σ", bound.largest_singular_value / abs(size), 1, 1e-12)
    assert_close("radius", bound.spectral_radius / abs(size), 1, 1e-12)
    assert rnnviz.diagnose(trace).verdict == ("exploding" if decades > 0 else "vanishing")
    for plot in FIGURES:
        figure: Any = plot({"linear": trace})
        assert sum(shown(line) for line in figure.data) > 0


@pytest.mark.parametrize("size", [1e150, 1e300])
@pytest.mark.parametrize(
    "norms", [rnnviz.backward_norms, lambda j: rnnviz.transient_growth(j).log10_norms[::-1]]
)
def test_norms_of_huge_jacobians(norms: Callable[[Any], Any], size: float):
    jacobians = np.broadcast_to(size * np.eye(2), (4, 2, 2))
    assert_close("norms", norms(jacobians), math.log10(size) * np.arange(4, -1, -1), 1e-9)


@pytest.mark.parametrize("exponents", [rnnviz.lyapunov_exponents, rnnviz.log_singular_values])
def test_exponents_of_huge_jacobians(exponents: Callable[[Any], Any]):
    found = exponents(np.broadcast_to(1e300 * np.eye(2), (4, 2, 2)))
    steps = 4 if exponents is rnnviz.log_singular_values else 1
    assert_close("ln", found, steps * math.log(1e300), 1e-9)


MEASURES: dict[str, Callable[[Any], Any]] = {
    "norms": rnnviz.backward_norms,
    "lower": lambda j: rnnviz.bound_backward_norms(j, rank=2, exact=1).lower,
    "upper": lambda j: rnnviz.bound_backward_norms(j, rank=2, exact=1).upper,
    "growth": lambda j: rnnviz.transient_growth(j).log10_norms,
    "λ": rnnviz.lyapunov_exponents,
    "leading λ": lambda j: rnnviz.lyapunov_exponents(j, leading=2, warmup=1),
    "ln σ": rnnviz.log_singular_values,
}


@pytest.mark.parametrize("name", MEASURES)
def test_jacobians_of_changing_size(name: str):
    """Steps scaled by powers of two shift the logarithms by exactly those powers."""
    plain = np.random.default_rng(0).standard_normal((6, 4, 4))
    plain /= np.abs(plain).max()
    for powers in ([996, -996, 700, -850, 1020, 0], [1020] * 6, [-1000] * 6):
        found = MEASURES[name](np.ldexp(plain, np.array(powers)[:, None, None]))
        moved = np.array(powers) * math.log10(2)
        by: Any = np.append(np.cumsum(moved[::-1])[::-1], 0)
        if name == "growth":
            by = np.append(0, np.cumsum(moved))
        elif name.endswith("λ"):
            by = moved[name.startswith("leading") :].mean() * math.log(10)
        elif name == "ln σ":
            by = moved.sum() * math.log(10)
        assert_close(name, found, MEASURES[name](plain) + by, 1e-9)


@pytest.mark.parametrize("size", [1e150, 1e300])
def test_gradients_that_grow_beyond_the_rescaled_range_in_one_step(size: float):
    found = rnnviz.gradient_norms(scaled([[size]]))["hidden_state"].values[0, 0, :, 0]
    assert_close("log₁₀", found, math.log10(size) * np.arange(3, -1, -1), 1e-9)


@pytest.mark.parametrize(("size", "projection"), [(1e150, 0), (1e300, 0), (1e100, 2), (1e150, 2)])
def test_a_two_layer_lstm_with_huge_weights(size: float, projection: int):
    """From states of 0, i = f = o = ½: δc_t = ½ Vᵀ δh_t + ½ δc_{t+1}, δh_t = U_gᵀ ½ δc_{t+1}."""
    torch.manual_seed(0)
    module: Any = nn.LSTM(2, 3, 2, bias=False, proj_size=projection).double()
    for parameter in module.parameters():
        parameter.data.mul_(size)
    trace = rnnviz.trace(module, torch.zeros(5, 2).double(), loss="last")
    with mpmath.workdps(60):
        width = projection or 3
        output_grad = [mpmath.zeros(1, width) for _ in range(4)] + [mpmath.ones(1, width)]
        for layer in (1, 0):
            named = {n.removesuffix(f"_l{layer}"): p for n, p in module.named_parameters()}
            u, w = (mpmath.matrix(named[n][6:9].tolist()) for n in ("weight_hh", "weight_ih"))
            v = mpmath.matrix(named["weight_hr"].tolist()) if projection else mpmath.eye(3)
            d_c, direct, d_a = (mpmath.zeros(1, 3) for _ in range(3))
            below: list[Any] = []
            expected: dict[str, list[float]] = {"h": [], "c": [], "direct": [], "gates": []}
            for g in reversed(output_grad):
                d_h = g + d_a * u
                d_c, direct = (d_h * v + d_c) / 2, (g * v + direct) / 2
                d_a = d_c / 2
                rows = {"h": d_h, "c": d_c, "direct": direct, "gates": d_c - direct}
                for name, row in rows.items():
                    norm = mpmath.norm(row)
                    expected[name].insert(0, float(mpmath.log10(norm)) if norm else -math.inf)
                below.insert(0, d_a * w)
            output_grad = below
            norms, paths = rnnviz.gradient_norms(trace), rnnviz.split_cell_gradient(trace)
            found = {
                "h": norms["hidden_state"],
                "c": norms["cell_state"],
                "direct": paths["log10_norm_direct"],
                "gates": paths["log10_norm_through_gates"],
            }
            for name, values in found.items():
                assert_close(
                    f"{layer}: {name}", values.values[layer, 0, :, 0], expected[name], 1e-9
                )


def test_a_step_beyond_the_rescaled_range_raises():
    """U and a projection of 1e300 each: a gradient that grows by 1e600 in one step."""
    module = nn.LSTM(2, 3, bias=False, proj_size=2).double()
    for parameter in module.parameters():
        nn.init.constant_(parameter, 1e300)
    trace = traced(module, 2)
    still = rnnviz.trace(module, torch.zeros(2, 2).double(), loss="last")
    text = (
        "In layer 0 one step can multiply a gradient by up to 10^602; the limit is 10^361. Make "
        "the recurrent weights or the projection smaller."
    )
    for found in (trace, still):
        assert message(lambda found=found: rnnviz.gradient_norms(found)) == text


def test_saturated_gates_of_huge_weights():
    """A tanh, σ or gate that saturates exactly has gradient 0: −inf and not NaN."""
    for kind in KINDS:
        if kind == "relu":
            continue
        module = made(kind)
        initialise.recurrent_gain(module, 1e300)
        module.weight_ih_l0.data.mul_(1e300)
        trace = traced(module, 5)
        assert np.isfinite(trace["hidden_state"].values).all()
        norms = rnnviz.gradient_norms(trace)["hidden_state"].values
        assert not np.isnan(norms).any(), kind
        found = rnnviz.diagnose(trace)
        assert found.not_finite is None
        for gate, share in found.saturated.items():
            assert (share == 1).all(), gate


# Figures of missing parts


def test_figures_of_missing_parts_raise():
    traces = {"net": traced(made("rnn"), 3)}
    for plot in FIGURES:
        for layer in (1, -1):
            text = PART.format("layer", layer)
            assert message(lambda plot=plot, layer=layer: plot(traces, layer=layer)) == text
        for direction in ("backward", "up"):
            text = f'The direction is "{direction}"; the trace has forward. Choose one of these.'
            assert message(lambda plot=plot, d=direction: plot(traces, direction=d)) == text
    for plot in FIGURES[:3]:
        for batch in (1, -1):
            text = PART.format("batch", batch)
            assert message(lambda plot=plot, batch=batch: plot(traces, batch=batch)) == text
    for name in ("cell_state", "forget_gate", "hidden", "input"):
        assert message(lambda name=name: rnnviz.plot_gradient_norms(traces, name=name)) == (
            f'The trace has nothing named "grad_{name}"; it has input, hidden_preactivation, '
            "hidden_state, grad_hidden_state, grad_hidden_preactivation. Choose one of these; "
            "names with grad_ exist only if a loss was passed."
        )


NOTHING = "There is no network to show; expected a mapping from labels to at least one. Add one."


@pytest.mark.parametrize("plot", [*FIGURES, plot_lyapunov, plot_saturation])
def test_a_figure_of_no_traces_raises(plot: Callable[..., Any]):
    assert message(lambda: plot({})) == NOTHING


def test_a_figure_of_no_memories_raises():
    assert message(lambda: plot_memory({}, claimed={}, length=10)) == NOTHING


# Clipping


def test_extreme_clipping():
    words = (
        "The clipping threshold is {}; expected a positive finite number. Choose another threshold."
    )
    gradients = {"w": np.array([3.0, -4.0], np.float32)}
    for threshold in (0.0, -1.0, math.nan, math.inf, -math.inf):
        for clip in (rnnviz.clip_by_norm, rnnviz.clip_by_value):
            text = words.format(threshold)
            assert message(lambda clip=clip, t=threshold: clip(gradients, t)) == text
    for threshold in (100.0, 1e300):
        clipped = rnnviz.clip_by_norm(gradients, threshold)
        assert clipped.coefficient == 1
        assert np.array_equal(clipped.gradients["w"], gradients["w"])
        by_value = rnnviz.clip_by_value(gradients, threshold)["w"]
        assert by_value.dtype == np.float32
        assert np.array_equal(by_value, gradients["w"])
    nothing = rnnviz.clip_by_norm({"w": np.zeros(2)}, 1.0)
    assert (nothing.norm, nothing.coefficient, nothing.gradients["w"].tolist()) == (0, 1, [0, 0])
    assert rnnviz.clip_by_norm({}, 1.0) == ({}, 0.0, 1.0)
    assert rnnviz.clip_by_value({}, 1.0) == {}


def test_a_parameter_without_a_gradient_is_left_out():
    """As in torch: None does not count and is not in the result."""
    given = {"a": np.array([3.0, -4.0]), "b": None, "c": torch.zeros(2).double()}
    clipped = rnnviz.clip_by_norm(given, 1.0)
    assert list(clipped.gradients) == ["a", "c"]
    assert clipped.norm == 5
    assert_close("a", clipped.gradients["a"], np.array([3, -4]) / (5 + 1e-6), 1e-15)
    assert rnnviz.clip_by_value(given, 3.5)["a"].tolist() == [3.0, -3.5]
    assert list(rnnviz.clip_by_value(given, 1.0)) == ["a", "c"]
    assert rnnviz.clip_by_norm({"a": None}, 1.0) == ({}, 0.0, 1.0)


def test_clipping_of_integers_and_of_dtypes_numpy_lacks():
    clipped = rnnviz.clip_by_norm({"w": np.array([3, -4])}, 1.0)
    assert_close("w", clipped.gradients["w"], np.array([3, -4]) / (5 + 1e-6), 1e-15)
    assert rnnviz.clip_by_value({"w": np.array([3, -4])}, 0.5)["w"].tolist() == [0.5, -0.5]
    halves = {"w": torch.tensor([3.0, -4.0]).bfloat16()}
    assert rnnviz.clip_by_value(halves, 2.0)["w"].tolist() == [2, -2]
    assert_close("w", rnnviz.clip_by_norm(halves, 2.5).gradients["w"], [1.5, -2], 1e-15)


def test_the_clipping_error_counts_the_non_finite_entries():
    for bad in (math.nan, math.inf, -math.inf):
        gradients = {"a": np.ones(2), "b": np.array([1.0, bad, bad])}
        for clip in (rnnviz.clip_by_norm, rnnviz.clip_by_value):
            assert message(lambda clip=clip, gradients=gradients: clip(gradients, 1.0)) == (
                '2 of the 3 entries of the gradient "b" are not finite; expected finite '
                "gradients, because clipping would turn all of them into NaN or hide the problem. "
                "Skip this update, or make the gradient smaller first."
            )
    assert message(lambda: rnnviz.clip_by_norm({"w": np.full(2, 1e200)}, 1.0)) == (
        "The norm of all gradients overflows float64, so clipping by it would turn all of them "
        "into 0; expected a finite norm. Clip by value, or pass the gradients in float64."
    )


def test_contributions_of_large_states_and_gradients_do_not_overflow():
    cell = ElmanCell(1, 2, "identity", bias=False).double()
    with torch.no_grad():
        cell.weight_ih.fill_(1.0)
        cell.weight_hh.fill_(0.25)  # two equal units: twice the norm of one with 0.5
    x = torch.ones(4, 1).double()
    near, far = (
        rnnviz.weight_gradient_norms(
            rnnviz.trace(cell, by * x, loss=lambda y, by=by: (by * y[-1]).sum())
        )
        for by in (1.0, 1e90)
    )
    assert near["total"].item() == pytest.approx(2 * (0.5**2 + 0.5 * 1.5 + 1.75))
    assert far["log10_total"].item() == pytest.approx(180 + near["log10_total"].item())
    assert far["cancellation"].item() == pytest.approx(1)
