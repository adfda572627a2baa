"""Known formulas and values of recurrent networks, compared with the library in float64.

Conventions, state Jacobians, vanishing and exploding gradients, limits of the float types, and
gradient diagnostics. Values agree to the last digit that is written here.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike
from torch import nn

import rnnviz
from rnnviz.cells import GATE_NAMES, ElmanCell

Array = np.ndarray


def assert_close(name: str, found: ArrayLike, expected: ArrayLike, tolerance: float) -> None:
    max_diff = float(np.abs(np.asarray(found) - np.asarray(expected)).max())
    assert max_diff < tolerance, f"{name}: {max_diff=:.1e}"


def drawn(module: nn.Module, seed: int = 0, size: float = 0.8) -> Any:
    """The module in float64 with random weights and biases."""
    generator = torch.Generator().manual_seed(seed)
    module = module.double()
    for parameter in module.parameters():
        values = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        parameter.data.copy_(size * values)
    return module


def zeroed(module: nn.Module) -> Any:
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module.double()


def noise(*shape: int, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def without_input(
    u: ArrayLike, steps: int, start: float | ArrayLike = 1.0, nonlinearity: str = "identity"
) -> rnnviz.Trace:
    """h_t = φ(U h_{t−1}) from h_0 = start, with the sum of h_T as loss."""
    weights = np.atleast_2d(np.asarray(u, float))
    cell = zeroed(ElmanCell(1, len(weights), nonlinearity, bias=False))
    cell.weight_hh.data.copy_(torch.from_numpy(weights))
    h_0 = torch.from_numpy(np.broadcast_to(start, len(weights)).astype(float))
    return rnnviz.trace(cell, torch.zeros(steps, 1).double(), h_0, loss="last")


def shrinking(gain: float, units: int, steps: int, dtype: torch.dtype) -> rnnviz.Trace:
    """h_t = relu(gain · (h_{t−1} shifted by one unit) + 1 − gain), which stays 1 from h_0 = 1."""
    module: Any = nn.RNN(1, units, nonlinearity="relu", bias=False).to(dtype)
    module.weight_hh_l0.data.copy_(gain * torch.eye(units, dtype=torch.float64).roll(1, 0))
    nn.init.constant_(module.weight_ih_l0, 1 - gain)
    x, h_0 = torch.ones(steps, 1, dtype=dtype), torch.ones(1, units, dtype=dtype)
    return rnnviz.trace(module, x, h_0, loss="last")


def steps_of(trace: rnnviz.Trace, name: str) -> Array:
    """(time, unit)."""
    return trace[name].values[0, 0, :, 0]


def before(trace: rnnviz.Trace, name: str) -> Array:
    """The state before every step, (time, unit)."""
    first = trace.initial_state[name].values[0, 0]
    return np.concatenate((first, steps_of(trace, name)[:-1]))


def rotated(singular: list[float], angle: float = 0.7) -> Array:
    """A symmetric 2 × 2 matrix of these eigenvalues."""
    q = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return q @ np.diag(singular) @ q.T


# Conventions


def test_negating_the_rows_of_z_flips_its_convention():
    """(1 − z) h + z n of Chung et al. (2014) is torch's GRU with the rows of z negated."""
    gru, x, units = drawn(nn.GRU(3, 4)), noise(20, 3), slice(4, 8)
    w, u, b, b_h = (p.detach().clone() for p in gru.parameters())
    h = torch.zeros(4).double()
    states: list[torch.Tensor] = []
    gates: list[torch.Tensor] = []
    for x_t in x:
        (x_r, x_z, x_n), (h_r, h_z, h_n) = (w @ x_t + b).chunk(3), (u @ h + b_h).chunk(3)
        r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
        h = (1 - z) * h + z * torch.tanh(x_n + r * h_n)
        states.append(h)
        gates.append(z)
    for parameter in gru.parameters():
        parameter.data[units] *= -1
    trace = rnnviz.trace(gru, x)
    assert_close("h", steps_of(trace, "hidden_state"), torch.stack(states), 1e-14)
    assert_close("1 − z", 1 - steps_of(trace, "update_gate"), torch.stack(gates), 1e-14)


@pytest.mark.parametrize(
    ("module", "rows"),
    [(nn.RNN(3, 4), slice(None)), (nn.LSTM(3, 4), slice(None)), (nn.GRU(3, 4), slice(8))],
    ids=["rnn", "lstm", "gru: r and z"],
)
def test_merging_the_two_biases_keeps_the_states(module: nn.Module, rows: slice):
    network, x = drawn(module), noise(20, 3)
    expected = rnnviz.trace(network, x, loss="all")
    with torch.no_grad():
        network.bias_ih_l0[rows] += network.bias_hh_l0[rows]
        network.bias_hh_l0[rows] = 0
    found = rnnviz.trace(network, x, loss="all")
    for name in found:
        assert_close(name, found[name].values, expected[name].values, 1e-12)


def test_merging_the_biases_of_a_grus_candidate_changes_the_states():
    """tanh(½) with b_hn = 1, which is multiplied by r = ½; tanh(1) with b_in = 1; z = ½."""
    gru = zeroed(nn.GRU(1, 1))
    gru.bias_hh_l0.data[2] = 1
    trace = rnnviz.trace(gru, torch.zeros(1, 1).double())
    assert_close("b_hn: n", steps_of(trace, "hidden_candidate"), 0.46211715726000975, 1e-15)
    assert_close("b_hn: h", steps_of(trace, "hidden_state"), 0.46211715726000975 / 2, 1e-15)
    gru.bias_ih_l0.data[2], gru.bias_hh_l0.data[2] = 1, 0
    trace = rnnviz.trace(gru, torch.zeros(1, 1).double())
    assert_close("b_in: n", steps_of(trace, "hidden_candidate"), 0.7615941559557649, 1e-15)


def test_a_forget_bias_of_1_in_both_biases_is_one_of_2():
    lstm = zeroed(nn.LSTM(1, 3))
    for bias in (lstm.bias_ih_l0, lstm.bias_hh_l0):
        bias.data[3:6] = 1
    x = torch.zeros(2, 1).double()
    both = steps_of(rnnviz.trace(lstm, x), "forget_gate")
    assert_close("σ(2)", both, 0.8807970779778824, 1e-15)
    rnnviz.initialise.forget_bias(lstm, 1.0)
    once = steps_of(rnnviz.trace(lstm, x), "forget_gate")
    assert_close("σ(1)", once, 0.7310585786300049, 1e-15)


# Jacobians of the states


def by_autograd(module: nn.Module, x: torch.Tensor, states: Array) -> Array:
    """∂s_t/∂s_{t−1} of a torch cell at the states (time, state) before every step."""

    def step(s: torch.Tensor, x_t: torch.Tensor) -> torch.Tensor:
        state = s.chunk(2) if isinstance(module, nn.LSTMCell) else s
        found = module(x_t, state)
        return torch.cat(found) if isinstance(found, tuple) else found

    rows = [
        torch.autograd.functional.jacobian(lambda s, x_t=x_t: step(s, x_t), s)
        for x_t, s in zip(x, torch.from_numpy(states), strict=True)
    ]
    return np.array([row.numpy() for row in rows])  # pyright: ignore[reportAttributeAccessIssue]  # one input, one output: a tensor


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu", "sigmoid", "identity"])
def test_jacobian_of_an_rnn(nonlinearity: str):
    """D(φ′) U: D(1 − h²) U with tanh, D(h (1 − h)) U with sigmoid."""
    cell, x = drawn(ElmanCell(3, 4, nonlinearity), size=0.5), noise(12, 3)
    trace = rnnviz.trace(cell, x)
    h, u = steps_of(trace, "hidden_state"), trace.parameters["weight_hh_l0"]
    slopes = {"tanh": 1 - h * h, "sigmoid": h * (1 - h), "identity": h**0, "relu": (h > 0) * 1.0}
    found = rnnviz.jacobians(trace)
    assert_close("formula", found, slopes[nonlinearity][..., None] * u, 1e-15)
    autograd = by_autograd(cell, x, before(trace, "hidden_state"))
    assert_close("autograd", found, autograd, 1e-14)


def test_jacobian_of_a_gru():
    """D(z) + D((h₋−n) z(1−z)) U_z + D((1−z)(1−n²)) [D(r) U_n + D((U_n h₋ + b_hn) r(1−r)) U_r]."""
    cell, x = drawn(nn.GRUCell(3, 4)), noise(12, 3)
    trace = rnnviz.trace(cell, x)
    r, z, n = (steps_of(trace, name)[..., None] for name in GATE_NAMES["gru"])
    h = before(trace, "hidden_state")
    u_r, u_z, u_n = np.split(trace.parameters["weight_hh_l0"], 3)
    m = (h @ u_n.T + trace.parameters["bias_hh_l0"][8:])[..., None]
    expected = z * np.eye(4) + (h[..., None] - n) * z * (1 - z) * u_z
    expected = expected + (1 - z) * (1 - n * n) * (r * u_n + m * r * (1 - r) * u_r)
    found = rnnviz.jacobians(trace)
    assert_close("formula", found, expected, 1e-14)
    assert_close("autograd", found, by_autograd(cell, x, h), 1e-14)


def test_jacobian_of_an_lstm():
    """[[D(tanh c · o(1−o)) U_o + D(q) A, D(q f)], [A, D(f)]], q = o (1 − tanh² c).

    A = D(c₋ f(1−f)) U_f + D(g i(1−i)) U_i + D(i(1−g²)) U_g.
    """
    cell, x = drawn(nn.LSTMCell(3, 4)), noise(12, 3)
    trace = rnnviz.trace(cell, x)
    i, f, g, o = (steps_of(trace, name)[..., None] for name in GATE_NAMES["lstm"])
    h, c = before(trace, "hidden_state"), before(trace, "cell_state")
    t = np.tanh(steps_of(trace, "cell_state"))[..., None]
    u_i, u_f, u_g, u_o = np.split(trace.parameters["weight_hh_l0"], 4)
    a = c[..., None] * f * (1 - f) * u_f + g * i * (1 - i) * u_i + i * (1 - g * g) * u_g
    q = o * (1 - t * t)
    hidden = np.concatenate((t * o * (1 - o) * u_o + q * a, q * f * np.eye(4)), -1)
    expected = np.concatenate((hidden, np.concatenate((a, f * np.eye(4)), -1)), -2)
    found = rnnviz.jacobians(trace)
    assert_close("formula", found, expected, 1e-14)
    assert_close("autograd", found, by_autograd(cell, x, np.concatenate((h, c), -1)), 1e-14)


# Vanishing and exploding


def test_every_singular_value_of_a_linear_rnn_over_50_steps_of_nine_tenths():
    """U = 0.9 Q with Q orthogonal: 0.9^50 = 0.00515377520732, and 0.9^(T − t) in between."""
    cell = zeroed(ElmanCell(1, 8, "identity", bias=False))
    rnnviz.initialise.orthogonal(cell, seed=0, gain=0.9)
    jacobians = rnnviz.jacobians(rnnviz.trace(cell, torch.zeros(50, 1).double()))
    values = np.exp(rnnviz.log_singular_values(jacobians))
    assert_close("0.9^50", values, 0.00515377520732, 5e-15)
    norms = 10 ** rnnviz.backward_norms(jacobians)
    assert_close("0.9^(T − t)", norms, 0.9 ** np.arange(50, -1, -1), 1e-14)


def test_the_derivative_of_x_50_by_w():
    """x_t = 0.9 x_{t−1}, x_0 = 1: 50 · 0.9^49 = 0.286320844851, of which each step adds 1/50."""
    found = rnnviz.weight_gradient_norms(without_input(0.9, 50))
    assert_close("dx₅₀/dw", found["total"].item(), 0.286320844851, 5e-13)
    assert_close("a step", found["contribution"].values, 0.286320844851 / 50, 1e-14)


def test_a_tanh_of_weight_2_explodes_from_0_and_vanishes_from_a_half():
    """30 steps: 2^30 from h_0 = 0, 5.646363e−23 from 0.5, with a spectral radius of 2 in both."""
    for start, expected, verdict in ((0.0, 2.0**30, "exploding"), (0.5, 5.646363e-23, "vanishing")):
        trace = without_input(2.0, 30, start, "tanh")
        first = trace.initial_state["grad_hidden_state"].values.item()
        norm = 10 ** rnnviz.backward_norms(rnnviz.jacobians(trace))[0]
        assert_close(f"from {start}: by h_0", first / expected, 1, 9e-8 if start else 1e-15)
        assert_close(f"from {start}: product", norm / expected, 1, 9e-8 if start else 1e-13)
        assert rnnviz.pascanu_bound(trace).spectral_radius == 2
        assert rnnviz.diagnose(trace).verdict == verdict


@pytest.mark.parametrize(("gain", "vanishes"), [(3.9, True), (4.1, False)])
def test_gamma_of_sigmoid_is_a_quarter(gain: float, vanishes: bool):
    """Held at h = ½ every Jacobian is U / 4: the threshold for U's singular values is 4."""
    cell: Any = ElmanCell(1, 5, "sigmoid").double()
    rnnviz.initialise.orthogonal(cell, seed=0, gain=gain)
    nn.init.zeros_(cell.bias_ih)
    cell.bias_hh.data = -cell.weight_hh.data.sum(1) / 2
    x, h_0 = torch.zeros(100, 1).double(), torch.full((5,), 0.5).double()
    trace = rnnviz.trace(cell, x, h_0)
    bound = rnnviz.pascanu_bound(trace)
    assert (bound.gamma, bound.threshold) == (0.25, 4)
    assert_close("largest singular value", bound.largest_singular_value, gain, 1e-14)
    assert (bound.vanishing_is_certain, bound.exploding_is_possible) == (vanishes, not vanishes)
    logs = rnnviz.log_singular_values(rnnviz.jacobians(trace))
    assert_close("ln σ", logs, 100 * math.log(gain / 4), 1e-10)


def test_a_largest_singular_value_below_1_makes_tanh_vanish():
    module = drawn(nn.RNN(3, 16))
    with torch.no_grad():
        module.weight_hh_l0 *= 0.95 / torch.linalg.matrix_norm(module.weight_hh_l0, 2)
    trace = rnnviz.trace(module, noise(200, 3))
    assert_close("σ", rnnviz.pascanu_bound(trace).largest_singular_value, 0.95, 1e-14)
    norms = rnnviz.backward_norms(rnnviz.jacobians(trace))
    assert (norms <= np.arange(200, -1, -1) * math.log10(0.95) + 1e-12).all()


def test_a_largest_singular_value_above_1_need_not_explode():
    """U = ½ [[1, 4], [0, 1]]: singular value 2.118, and ‖Uⁿ‖ = (2 n + √(4 n² + 1)) / 2ⁿ."""
    trace = without_input([[0.5, 2.0], [0.0, 0.5]], 200)
    bound = rnnviz.pascanu_bound(trace)
    assert bound.exploding_is_possible
    assert_close("radius", bound.spectral_radius, 0.5, 1e-15)
    n = np.arange(200, -1, -1)
    expected = np.log10(2 * n + np.sqrt(4 * n**2 + 1)) - n * math.log10(2)
    norms = rnnviz.backward_norms(rnnviz.jacobians(trace))
    assert_close("log₁₀ ‖Uⁿ‖", norms, expected, 1e-12)
    assert rnnviz.diagnose(trace).verdict == "vanishing"


def test_torchs_default_vanishes_within_a_hundred_steps():
    """Its largest singular value near 1.155 allows explosion; the radius near 0.58 decides."""
    module: Any = nn.RNN(4, 128).double()
    for seed in range(3):
        rnnviz.initialise.torch_default(module, seed=seed)
        trace = rnnviz.trace(module, noise(100, 4), loss="last")
        bound = rnnviz.pascanu_bound(trace)
        assert_close(f"seed {seed}: radius", bound.spectral_radius, 0.58, 0.06)
        assert_close(f"seed {seed}: singular", bound.largest_singular_value, 1.155, 0.06)
        decades = rnnviz.gradient_norms(trace)["hidden_state"].values[0, 0, 0, 0]
        assert decades < 99 * math.log10(0.65), f"seed {seed}: {decades=:.1f}"
        assert rnnviz.diagnose(trace).verdict == "vanishing"


def test_with_recurrent_weights_the_total_is_not_the_product_of_forget_gates():
    """∂c_T/∂c_0 of torch's LSTM, including the paths through the gates, against Π f."""
    lstm, x = drawn(nn.LSTM(2, 1), seed=8), noise(6, 2)
    c_0 = torch.full((1, 1), 0.4).double().requires_grad_()
    h_0 = torch.zeros(1, 1).double()
    total = torch.autograd.grad(lstm(x, (h_0, c_0))[1][1].sum(), c_0)[0].item()
    trace = rnnviz.trace(lstm, x, (h_0, c_0.detach()), loss="last")
    product = np.linalg.multi_dot(rnnviz.jacobians(trace)[::-1])
    assert_close("∂c_T/∂c_0", product[1, 1], total, 1e-14)
    found = rnnviz.split_cell_gradient(trace)
    direct = 10 ** found["log10_forget_product"].values.ravel()[0]
    assert_close("Π f", direct, steps_of(trace, "forget_gate").prod(), 1e-15)
    assert direct > 5 * total > 0, f"{direct=:.3f} {total=:.3f}"
    both = (found["direct"] + found["through_gates"]).values
    assert_close("δc", both, trace["grad_cell_state"].values, 1e-15)
    assert np.abs(found["through_gates"].values[0, 0, :-1]).min() > 1e-6


def test_exponents_are_means_of_ln_of_the_diagonal_of_r():
    """J_t Q_{t−1} = Q_t R_t from Q_0 = 1."""
    trace = rnnviz.trace(drawn(nn.RNN(3, 5)), noise(200, 3))
    jacobians = rnnviz.jacobians(trace)
    q, sums = np.eye(5), np.zeros(5)
    for jacobian in jacobians:
        q, r = np.linalg.qr(jacobian @ q)
        sums += np.log(np.abs(np.diagonal(r)))
    expected = np.sort(sums / 200)[::-1]
    assert_close("λ", rnnviz.lyapunov_exponents(jacobians), expected, 1e-12)


def test_exponents_of_a_linear_rnn_are_ln_of_its_eigenvalues():
    basis = np.random.default_rng(0).standard_normal((3, 3))
    u = basis @ np.diag([1.1, -0.8, 0.4]) @ np.linalg.inv(basis)
    jacobians = rnnviz.jacobians(without_input(u, 400))
    found = rnnviz.lyapunov_exponents(jacobians, warmup=200)
    assert_close("λ", found, np.log([1.1, 0.8, 0.4]), 1e-12)


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_exponents_add_up_to_the_mean_of_ln_det(kind: Callable[..., nn.Module]):
    jacobians = rnnviz.jacobians(rnnviz.trace(drawn(kind(3, 5)), noise(200, 3)))
    expected = np.linalg.slogdet(jacobians)[1].mean()
    assert_close("Σλ", rnnviz.lyapunov_exponents(jacobians).sum(), expected, 1e-11)


def test_exponents_are_not_the_singular_values_of_finitely_many_steps():
    """U = [[0.9, 5], [0, 0.9]]: λ = ln 0.9 twice; over T steps (1/T) ln σ is ln 0.9 ± s."""
    jacobians = rnnviz.jacobians(without_input([[0.9, 5.0], [0.0, 0.9]], 100))
    assert_close("λ", rnnviz.lyapunov_exponents(jacobians), math.log(0.9), 1e-13)
    spread = math.asinh(100 * 5 / 0.9 / 2) / 100
    found = rnnviz.log_singular_values(jacobians) / 100
    assert_close("ln σ / T", found, math.log(0.9) + np.array([spread, -spread]), 1e-13)
    assert spread > 0.06


def test_the_svd_of_a_raw_product_loses_the_small_singular_values():
    jacobians = rnnviz.jacobians(without_input(rotated([math.exp(2), math.exp(-2)]), 20))
    found = rnnviz.log_singular_values(jacobians)
    assert_close("ln σ", found, [40, -40], 1e-12)
    raw = np.linalg.svd(np.linalg.multi_dot(jacobians[::-1]), compute_uv=False)
    assert_close("the largest of the raw product", np.log(raw[0]), 40, 1e-12)
    assert not math.exp(-50) < raw[1] < math.exp(-30)  # it may even be 0


def test_the_exponent_of_a_tanh_network_of_radius_nine_tenths():
    """Without input the state decays to 0, where the exponent is ln 0.9 = −0.10536."""
    module: Any = zeroed(nn.RNN(1, 6, bias=False))
    half = noise(6, 6)
    module.weight_hh_l0.data.copy_(half + half.T)
    rnnviz.initialise.spectral_radius(module, 0.9)
    trace = rnnviz.trace(module, torch.zeros(1500, 1).double(), torch.ones(1, 6).double())
    found = rnnviz.lyapunov_exponents(rnnviz.jacobians(trace), warmup=1000)[0]
    assert_close("λ₁", found, -0.10536, 5e-6)
    assert_close("ln 0.9", found, math.log(0.9), 1e-12)


# Floating point


@pytest.mark.parametrize(("dtype", "under", "over"), [("f4", 829, 931), ("f8", 6724, 7448)])
def test_where_a_float_type_ends(dtype: str, under: int, over: int):
    """0.9^T leaves the normal range at T = 829 (6,724), 1.1^T overflows at 931 (7,448)."""
    info = np.finfo(dtype)
    for gain, first in ((0.9, under), (1.1, over)):
        norms = rnnviz.gradient_norms(shrinking(gain, 1, first + 50, torch.float64))
        back = norms["hidden_state"].values[0, 0, ::-1, 0]
        exact = np.arange(first + 50) * math.log10(gain)
        assert_close(f"{gain}^T", back, exact, 1e-9)
        with np.errstate(over="ignore", under="ignore"):
            plain = np.multiply.accumulate(np.full(first + 49, gain, dtype))
        if gain < 1:
            outside, lost = back < math.log10(info.tiny), plain < info.tiny
        else:
            outside, lost = back >= info.maxexp * math.log10(2), np.isinf(plain)
        assert int(outside.argmax()) == first, f"{gain}: the library"
        assert int(lost.argmax()) + 1 == first, f"{gain}: {dtype} itself"


def test_autograd_in_float32_sticks_at_a_false_floor():
    """5.6e−45 from T ≈ 965 on, where the library's norm reaches 0.9^1200 = 10^−54.9."""
    h = torch.ones(1, requires_grad=True)
    states = [h]
    for _ in range(1200):
        states.append(states[-1] * torch.tensor(0.9))
    stuck = [g.item() for g in torch.autograd.grad(states[-1], states)][::-1]
    assert stuck[964:] == [4 * 2.0**-149] * 237
    assert_close("4 · 2^−149", stuck[-1] / 5.6e-45, 1, 0.01)
    assert stuck[963] > stuck[964]
    trace = shrinking(0.9, 1, 1201, torch.float32)
    found = rnnviz.gradient_norms(trace)["hidden_state"].values[0, 0, ::-1, 0]
    gain = math.log10(np.float32(0.9))
    assert_close("log₁₀ 0.9^T", found, np.arange(1201) * gain, 1e-11)
    assert_close("0.9^1200", found[-1], -54.9, 0.05)


@pytest.mark.parametrize(("size", "plain"), [(1e-23, 0.0), (1e19, np.inf)])
def test_the_librarys_norms_survive_where_naive_norms_leave_the_range(size: float, plain: float):
    """In float32 a vector of 1e−23 has norm exactly 0, one of 1e19 norm inf."""
    vector = np.full(4, size, np.float32)
    with np.errstate(over="ignore", under="ignore"):
        assert np.sqrt((vector * vector).sum()) == plain
        assert np.linalg.norm(vector) == plain
    module: Any = nn.RNN(1, 4)
    trace = rnnviz.trace(module, torch.ones(1, 1), loss=lambda y: size * y.sum())
    found = rnnviz.gradient_norms(trace)["hidden_state"].item()
    assert_close("log₁₀", found, math.log10(2) + math.log10(np.float32(size)), 1e-12)


def test_a_hundred_thousand_steps_keep_the_norm():
    """Relative error below 9e−13."""
    trace = shrinking(0.9, 3, 100_001, torch.float64)
    norms = rnnviz.gradient_norms(trace)["hidden_state"].values[0, 0, :, 0]
    n = np.arange(100_000, -1, -1)
    expected = n * math.log10(0.9) + math.log10(3) / 2
    assert_close("relative", norms / expected, 1, 9e-13)


# Gradient diagnostics


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_the_gradient_recursion_of_the_hidden_state(kind: Callable[..., nn.Module]):
    """δh_t = ∂ℓ_t/∂h_t + Σ U_gᵀ δa_{g,t+1}, and z_{t+1} δh_{t+1} in a GRU.

    A GRU's U_n is multiplied by its reset gate: U_nᵀ (r δa_n).
    """
    module = drawn(kind(3, 4))
    trace = rnnviz.trace(module, noise(9, 3), loss=lambda y: (y.sin() * y).sum())
    assert trace.output_grad is not None
    gates = GATE_NAMES[trace.cell]
    d_a = {gate: steps_of(trace, f"grad_{gate}_preactivation") for gate in gates}
    if trace.cell == "gru":
        d_a["hidden_candidate"] = d_a["hidden_candidate"] * steps_of(trace, "reset_gate")
    u = np.split(trace.parameters["weight_hh_l0"], len(gates))
    found = steps_of(trace, "grad_hidden_state")
    expected = trace.output_grad[:, 0].copy()
    for gate, rows in zip(gates, u, strict=True):
        expected[:-1] += d_a[gate][1:] @ rows
    if trace.cell == "gru":
        expected[:-1] += steps_of(trace, "update_gate")[1:] * found[1:]
    assert_close("δh", found, expected, 1e-13)


def test_the_gradient_recursion_of_the_cell_state():
    """δc_t = δh_t o_t (1 − tanh² c_t) + δc_{t+1} f_{t+1}."""
    trace = rnnviz.trace(drawn(nn.LSTM(3, 4)), noise(9, 3), loss="all")
    o, c, f = (steps_of(trace, name) for name in ("output_gate", "cell_state", "forget_gate"))
    found = steps_of(trace, "grad_cell_state")
    expected = steps_of(trace, "grad_hidden_state") * o * (1 - np.tanh(c) ** 2)
    expected[:-1] += found[1:] * f[1:]
    assert_close("δc", found, expected, 1e-13)


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_retain_grad_of_the_output_is_not_the_total(kind: Callable[..., nn.Module]):
    """out.retain_grad() gives only the direct gradient ∂ℓ/∂out_t of each step."""
    module, x = drawn(kind(3, 4)), noise(9, 3)
    out = module(x)[0]
    out.retain_grad()
    out[-1].sum().backward()
    trace = rnnviz.trace(module, x, loss="last")
    assert trace.output_grad is not None
    assert np.array_equal(out.grad.numpy(), trace.output_grad[:, 0])
    assert not out.grad[:-1].any()
    total = rnnviz.gradient_norms(trace)["hidden_state"].values[0, 0, :, 0]
    assert np.isfinite(total).all(), "all steps matter"


def test_contributions_add_up_and_their_norms_do_not():
    """From h = 1, −1, 1, −1 and δa = 1: contributions of norm 1 that cancel in pairs."""
    cell = zeroed(ElmanCell(1, 1, "identity", bias=False))
    cell.weight_hh.data.fill_(1)
    cell.weight_ih.data.fill_(1)
    x, h_0 = torch.tensor([[-2.0], [2.0], [-2.0], [2.0]]).double(), torch.ones(1).double()
    found = rnnviz.weight_gradient_norms(rnnviz.trace(cell, x, h_0, loss="last"))
    assert found["contribution"].values.ravel().tolist() == [1, 1, 1, 1]
    assert (found["total"].item(), found["cancellation"].item()) == (0, 0)
    assert found["log10_total"].item() == -math.inf


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_a_contribution_is_the_outer_product_of_its_step(kind: Callable[..., nn.Module]):
    """δa_k h_{k−1}ᵀ: Frobenius norm ‖δa_k‖ ‖h_{k−1}‖, and the sum is torch's weight_hh.grad."""
    module, x = drawn(kind(3, 4)), noise(9, 3)
    trace = rnnviz.trace(module, x, loss="all")
    d_a = {g: steps_of(trace, f"grad_{g}_preactivation") for g in GATE_NAMES[trace.cell]}
    if trace.cell == "gru":
        d_a["hidden_candidate"] = d_a["hidden_candidate"] * steps_of(trace, "reset_gate")
    rows, h = np.concatenate(list(d_a.values()), -1), before(trace, "hidden_state")
    module(x)[0].sum().backward()
    outer = rows[:, :, None] * h[:, None]
    assert_close("Σ δa hᵀ", outer.sum(0), module.weight_hh_l0.grad.numpy(), 1e-12)
    found = rnnviz.weight_gradient_norms(trace)["contribution"].values.ravel()
    assert_close("norms", found, np.linalg.norm(outer, axis=(1, 2)), 1e-13)
    assert_close("product", found, np.linalg.norm(rows, axis=1) * np.linalg.norm(h, axis=1), 1e-13)


def test_clipping_multiplies_by_the_threshold_over_the_norm():
    """Coefficient min(1, c / (‖g‖ + 1e−6)), ‖g‖ = 13 over all gradients."""
    gradients = {"weight_hh": np.array([3.0, -4.0]), "bias_hh": np.array([12.0])}
    clipped = rnnviz.clip_by_norm(gradients, 2.0)
    assert_close("norm", clipped.norm, 13, 1e-14)
    assert_close("coefficient", clipped.coefficient, 2 / (13 + 1e-6), 1e-16)
    assert_close("bias", clipped.gradients["bias_hh"], 24 / (13 + 1e-6), 1e-15)
    kept = rnnviz.clip_by_norm(gradients, 13.1)
    assert kept.coefficient == 1
    assert np.array_equal(kept.gradients["weight_hh"], gradients["weight_hh"])


def test_clipping_an_infinite_gradient_gives_nan_in_torch_and_raises_here():
    parameter = nn.Parameter(torch.zeros(3).double())
    parameter.grad = torch.tensor([1.0, math.inf, 2.0]).double()
    gradient = parameter.grad.numpy().copy()
    nn.utils.clip_grad_norm_([parameter], 1.0)
    assert np.array_equal(parameter.grad.numpy(), [0, np.nan, 0], equal_nan=True)
    with pytest.raises(rnnviz.RnnvizError) as error:
        rnnviz.clip_by_norm({"weight_hh_l0": gradient}, 1.0)
    assert error.value.values == {"name": "weight_hh_l0", "bad": 1, "of": 3}
