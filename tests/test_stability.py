"""Jacobians against torch.func, and norms, singular values and exponents against mpmath."""

import math
from typing import Any

import mpmath  # pyright: ignore[reportMissingTypeStubs]  # it has none
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import nn

import rnnviz
from rnnviz.stability import closed_form, exponents, products
from tests import reference
from tests.cases import Case, cases, plain_case


def by_autograd(case: Case, layer: int, direction: int, batch: int) -> np.ndarray:
    """∂s_t/∂s_{t−1} of the reference loop, one step at a time from the recorded states."""
    trace = case.trace()
    parameters = {name: p.detach().double() for name, p in case.stack.named_parameters()}
    weights = reference.weights_of(parameters, f"_l{layer}" + "_reverse" * direction)
    names: list[str] = ["hidden_state", "cell_state"][: 1 + (case.form == "lstm")]
    states = [trace[name].values[layer, direction, :, batch].astype(float) for name in names]
    first = [trace.initial_state[name].values[layer, direction, batch] for name in names]
    below = trace["input"].values[:, batch]
    if layer:
        below = np.concatenate(list(trace["hidden_state"].values[layer - 1, :, :, batch]), axis=-1)
    length = case.lengths[batch]
    times = range(length) if direction == 0 else range(length - 1, -1, -1)
    rows: list[np.ndarray] = []
    before = torch.tensor(np.concatenate(first)).double()
    sizes = [len(part) for part in first]
    for t in times:
        x = torch.tensor(below[t]).double()

        def step(s: torch.Tensor, x: torch.Tensor = x) -> torch.Tensor:
            given_state: reference.Nodes = dict(zip(names, s.split(sizes), strict=True))
            found = reference.STEPS[case.form](weights, x, given_state, reference.free)
            return torch.cat([found[name] for name in names])

        rows.append(torch.autograd.functional.jacobian(step, before).numpy())
        before = torch.tensor(np.concatenate([part[t] for part in states])).double()
    return np.array(rows)


@pytest.mark.slow
@given(case=cases())
@settings(max_examples=60)
def test_jacobians_are_those_of_autograd(case: Case):
    trace = case.trace()
    layer, direction = case.layers - 1, case.directions - 1
    batch = max(case.batch, 1) - 1
    name = ("forward", "backward")[direction]
    found = rnnviz.jacobians(trace, layer=layer, direction=name, batch=batch)
    expected = by_autograd(case, layer, direction, batch)
    assert found.shape == expected.shape
    assert found.dtype == np.float64
    scale = max(1.0, float(np.abs(expected).max()))
    max_diff = float(np.abs(found - expected).max()) / scale
    assert max_diff < (1e-12 if case.dtype == torch.float64 else 1e-4), f"{max_diff=:.1e}"


@pytest.mark.parametrize("form", ["tanh", "lstm", "gru"])
def test_blocks_are_slices_of_all_jacobians(form: str):
    trace = plain_case(form, steps=9, proj_size=2 if form == "lstm" else 0).trace()
    blocks = rnnviz.JacobianBlocks(trace, batch=1)
    whole = rnnviz.jacobians(trace, batch=1)
    assert blocks.shape == whole.shape
    assert np.array_equal(blocks[2:5], whole[2:5])
    assert np.array_equal(rnnviz.backward_norms(blocks), rnnviz.backward_norms(whole))
    assert np.array_equal(rnnviz.lyapunov_exponents(blocks), rnnviz.lyapunov_exponents(whole))


@pytest.mark.parametrize("form", ["tanh", "lstm", "gru"])
def test_threads_give_the_same_jacobians(form: str, monkeypatch: pytest.MonkeyPatch):
    trace = plain_case(form, steps=9, bidirectional=True, proj_size=2 * (form == "lstm")).trace()
    whole = rnnviz.jacobians(trace, direction="backward")
    monkeypatch.setattr(closed_form, "LARGE", 1)
    for threads in (2, 20):  # 20 is more than the number of steps
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        assert np.array_equal(rnnviz.jacobians(trace, direction="backward"), whole)


def exact_product(jacobians: np.ndarray, first: int = 0) -> Any:
    with mpmath.workdps(2000):
        product = mpmath.eye(jacobians.shape[1])
        for jacobian in jacobians[first:]:
            product = mpmath.matrix(jacobian.tolist()) * product
        return product


def exact_logs(jacobians: np.ndarray, first: int = 0) -> np.ndarray:
    """Natural logarithms of the singular values of the product, from 2,000 digits."""
    product = exact_product(jacobians, first)
    with mpmath.workdps(2000):
        squares = mpmath.eigsy(product.T * product, eigvals_only=True)
        return np.array([float(mpmath.log(abs(value)) / 2) for value in reversed(list(squares))])


def random_jacobians(kind: str, steps: int, states: int) -> np.ndarray:
    random = np.random.default_rng(1)
    j = random.standard_normal((steps, states, states)) / math.sqrt(states)
    if kind == "tied":
        return np.repeat(j[:1], steps, 0)
    if kind == "graded":
        return j * np.logspace(0, -6, states)[:, None]
    if kind == "rising":
        return j * np.logspace(-6, 0, states)[:, None]
    if kind == "triangular":
        return np.triu(j) + np.diag(np.linspace(0.2, 2, states))
    if kind == "symmetric":
        return (j + j.transpose(0, 2, 1)) / 2
    if kind == "near orthogonal":
        return np.linalg.qr(j)[0] + 1e-3 * j
    return j


KINDS = ["any", "tied", "graded", "rising", "triangular", "symmetric", "near orthogonal"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_singular_values_and_norms_match_2000_digit_arithmetic(kind: str):
    jacobians = random_jacobians(kind, 60, 5)
    expected = exact_logs(jacobians)
    found = rnnviz.log_singular_values(jacobians)
    max_diff = np.abs(found - expected).max()
    # Graded steps have condition numbers of 10⁶ and more; the others are well conditioned.
    tolerance = max(1e-12, 60 * float(np.median(np.linalg.cond(jacobians))) * 2.2e-16)
    assert max_diff < tolerance, f"{max_diff=:.1e} {tolerance=:.1e}"
    norms = rnnviz.backward_norms(jacobians)
    assert norms[-1] == 0
    for t in (0, 20, 55):
        difference = norms[t] - exact_logs(jacobians, t)[0] / math.log(10)
        assert abs(difference) < 1e-11, f"{t}: {difference=:.1e}"


@pytest.mark.slow
@pytest.mark.parametrize("gain", [0.9, 1.1])
def test_ten_thousand_orthogonal_steps(gain: float):
    """Every singular value of ∂s_T/∂s_t is gain^(T − t)."""
    q = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))[0]
    jacobians = np.broadcast_to(gain * q, (10_000, 4, 4))
    norms = rnnviz.backward_norms(jacobians)
    expected = np.arange(10_000, -1, -1) * math.log10(gain)
    assert np.abs(norms - expected).max() < 1e-9
    short = jacobians[:2000]
    assert np.abs(rnnviz.log_singular_values(short) - 2000 * math.log(gain)).max() < 1e-9
    assert np.abs(rnnviz.lyapunov_exponents(short) - math.log(gain)).max() < 1e-12


def test_two_units_that_grow_apart():
    """e^2000 and e^−2000 in one product: no digit of the small one is lost."""
    jacobians = np.broadcast_to(np.diag([math.exp(-2), math.exp(2)]), (1000, 2, 2))
    assert np.abs(rnnviz.log_singular_values(jacobians) - [2000, -2000]).max() < 1e-9
    rotated = np.array([[math.cos(1), -math.sin(1)], [math.sin(1), math.cos(1)]])
    rotated = np.broadcast_to(rotated @ jacobians[0] @ rotated.T, (1000, 2, 2))
    assert np.abs(rnnviz.log_singular_values(rotated) - [2000, -2000]).max() < 1e-9
    assert np.abs(rnnviz.lyapunov_exponents(rotated, warmup=100) - [2, -2]).max() < 1e-12


def test_a_direction_that_becomes_dominant_late():
    """Going back, one unit dominates for 500 steps and then dies; the other's norm is exact."""
    jacobians = np.repeat(np.diag([1.2, 0.8])[None], 1000, 0)
    jacobians[499] = np.diag([0.0, 0.8])
    norms = rnnviz.backward_norms(jacobians)
    expected = np.arange(1000, -1, -1) * math.log10(1.2)
    expected[:500] = np.arange(1000, 500, -1) * math.log10(0.8)
    assert np.abs(norms - expected).max() < 1e-10
    crossing = np.repeat(np.diag([0.5, 0.9])[None], 1000, 0)
    crossing[500:] = np.diag([0.9, 0.5])
    n = np.arange(1000, -1, -1)
    first = np.where(n <= 500, n * math.log(0.9), 500 * math.log(0.9) + (n - 500) * math.log(0.5))
    second = np.where(n <= 500, n * math.log(0.5), 500 * math.log(0.5) + (n - 500) * math.log(0.9))
    expected = np.maximum(first, second) / math.log(10)
    assert np.abs(rnnviz.backward_norms(crossing) - expected).max() < 1e-10


def test_dead_directions():
    """One unit has zero gradient: a direction at −inf without NaN, at any index."""
    random = np.random.default_rng(2)
    for unit in range(4):
        jacobians = random.standard_normal((50, 4, 4))
        jacobians[:, unit] = 0
        for found in (rnnviz.lyapunov_exponents(jacobians), rnnviz.log_singular_values(jacobians)):
            assert np.isneginf(found).tolist() == [False, False, False, True]
        expected = exact_logs(jacobians)[:3]
        assert np.abs(rnnviz.log_singular_values(jacobians)[:3] - expected).max() < 1e-9
    # Linearly dependent columns: the rest of their length is not lost.
    flat = np.array([[[1.0, 1.0], [0.0, 0.0]]])
    assert rnnviz.log_singular_values(flat).tolist()[1] == -np.inf
    assert abs(rnnviz.log_singular_values(flat)[0] - math.log(2) / 2) < 1e-12
    nothing = np.zeros((5, 3, 3))
    assert np.isneginf(rnnviz.lyapunov_exponents(nothing)).all()
    assert np.isneginf(rnnviz.log_singular_values(nothing)).all()
    assert rnnviz.backward_norms(nothing).tolist() == [-np.inf] * 5 + [0]
    shift = np.broadcast_to(np.eye(3, k=1), (3, 3, 3))
    assert rnnviz.backward_norms(shift)[0] == -np.inf
    assert np.abs(rnnviz.backward_norms(shift)[1:]).max() < 1e-15
    assert np.isneginf(rnnviz.log_singular_values(shift)).all()


def test_a_direction_that_dies_among_tiny_ones():
    """Two parallel columns of 1e-200 beside one of 1: their squares underflow."""
    random = np.random.default_rng(4)
    tiny = 1e-200 * np.outer(random.standard_normal(2), random.standard_normal(2))
    rotated = np.eye(3)
    rotated[1:, 1:] = tiny
    found = rnnviz.lyapunov_exponents(rotated[None])
    assert np.abs(found[:2] - [0, np.log(np.abs(rotated[1:, 1]).max())]).max() < 1
    assert found[2] == -np.inf


def test_compiled_steps_match_lapack(monkeypatch: pytest.MonkeyPatch):
    jacobians = np.random.default_rng(0).standard_normal((50, 8, 8)) / 4
    jacobians[20, :, 3] = 0  # a direction dies
    expected = [
        rnnviz.lyapunov_exponents(jacobians),
        rnnviz.lyapunov_exponents(jacobians, leading=3),
    ]
    sizes = rnnviz.log_singular_values(jacobians)
    monkeypatch.setattr(exponents, "SMALL", 0)
    found = [rnnviz.lyapunov_exponents(jacobians), rnnviz.lyapunov_exponents(jacobians, leading=3)]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-13)
    np.testing.assert_allclose(rnnviz.log_singular_values(jacobians), sizes, rtol=0, atol=1e-12)
    assert found[0][-1] == -np.inf


@pytest.mark.parametrize("states", [5, 70])
def test_steps_one_at_a_time_or_in_blocks(states: int, monkeypatch: pytest.MonkeyPatch):
    """With progress one at a time; the matrices are multiplied by a kernel or by BLAS."""
    jacobians = random_jacobians("any", 50, states)
    jacobians[20, :, 0] = jacobians[20, :, 1]  # one direction dies in between

    def progress(done: int, total: int) -> None:
        assert done <= total

    for function in (
        rnnviz.backward_norms,
        rnnviz.lyapunov_exponents,
        rnnviz.log_singular_values,
    ):
        assert np.array_equal(function(jacobians, progress=progress), function(jacobians))
    whole = rnnviz.backward_norms(jacobians)
    monkeypatch.setattr(products, "SMALL", 0 if states < 64 else 100)
    np.testing.assert_allclose(rnnviz.backward_norms(jacobians), whole, rtol=0, atol=1e-12)


def test_exponents_add_up_to_the_determinants():
    jacobians = random_jacobians("any", 300, 6)
    found = rnnviz.lyapunov_exponents(jacobians, warmup=100)
    expected = np.linalg.slogdet(jacobians[100:])[1].mean()
    assert abs(found.sum() - expected) < 1e-12
    assert (np.diff(found) <= 0).all()


@pytest.mark.slow
def test_exponents_of_tied_weights_are_those_of_the_eigenvalues():
    w = np.random.default_rng(3).standard_normal((5, 5)) / 2
    found = rnnviz.lyapunov_exponents(np.broadcast_to(w, (15_000, 5, 5)), warmup=1000)
    expected = np.sort(np.log(np.abs(np.linalg.eigvals(w))))[::-1]
    assert np.abs(found - expected).max() < 1e-3  # a complex pair converges as 1 / T
    symmetric = w + w.T
    found = rnnviz.lyapunov_exponents(np.broadcast_to(symmetric, (3000, 5, 5)), warmup=2000)
    expected = np.sort(np.log(np.abs(np.linalg.eigvalsh(symmetric))))[::-1]
    assert np.abs(found - expected).max() < 1e-9


def zeroed(module: nn.Module) -> Any:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    return module.double()


def test_a_tanh_network_of_radius_nine_tenths():
    """At h = 0 without input: λ₁ = ln 0.9."""
    torch.manual_seed(0)
    module: Any = nn.RNN(1, 8, bias=False).double()
    rnnviz.initialise.spectral_radius(module, 0.9)
    trace = rnnviz.trace(module, torch.zeros(2000, 1).double())
    jacobians = rnnviz.jacobians(trace)
    assert np.array_equal(jacobians[7], trace.parameters["weight_hh_l0"])
    found = rnnviz.lyapunov_exponents(jacobians, warmup=500)
    assert abs(found[0] + 0.1053605157) < 2e-3


def test_gru_and_lstm_of_zero_weights():
    """z¹⁰⁰ = 3.07316954e−6 for b_z = 2; Π f = 0.366032341273 for b_f = ln 99."""
    gru = zeroed(nn.GRU(1, 3))
    with torch.no_grad():
        gru.bias_hh_l0[3:6] = 2
    jacobians = rnnviz.jacobians(rnnviz.trace(gru, torch.zeros(100, 1).double()))
    for norm in (rnnviz.log_singular_values(jacobians), rnnviz.lyapunov_exponents(jacobians) * 100):
        assert np.abs(np.exp(norm) - 3.07316954e-6).max() < 1e-14
    lstm = zeroed(nn.LSTM(1, 2))
    with torch.no_grad():
        lstm.bias_hh_l0[2:4] = math.log(99)
    jacobians = rnnviz.jacobians(rnnviz.trace(lstm, torch.zeros(100, 1).double()))
    product = np.linalg.multi_dot(jacobians[::-1])
    assert np.abs(np.diagonal(product)[2:] - 0.366032341273).max() < 1e-12
    # h depends on c through q = o (1 − tanh² 0) = 1/2, and c does not depend on h.
    expected = math.log(0.366032341273) + 0.5 * math.log(1.25)
    found = rnnviz.log_singular_values(jacobians)
    assert np.abs(found[:2] - expected).max() < 1e-11
    assert np.isneginf(found[2:]).all()
    assert np.isneginf(rnnviz.lyapunov_exponents(jacobians)[2:]).all()


def test_identity_relu_keeps_everything():
    module: Any = nn.RNN(1, 4, nonlinearity="relu").double()
    rnnviz.initialise.identity(module)
    torch.nn.init.zeros_(module.weight_ih_l0)
    trace = rnnviz.trace(module, torch.zeros(500, 1).double(), torch.ones(1, 4).double())
    jacobians = rnnviz.jacobians(trace)
    assert np.array_equal(jacobians, np.broadcast_to(np.eye(4), (500, 4, 4)))
    assert np.abs(rnnviz.backward_norms(jacobians)).max() < 1e-14
    assert (rnnviz.log_singular_values(jacobians) == 0).all()


def test_a_non_normal_matrix_grows_before_it_dies():
    w = np.array([[0.9, 5.0], [0.0, 0.9]])
    found = rnnviz.transient_growth(np.broadcast_to(w, (200, 2, 2)))
    norms = [np.linalg.norm(np.linalg.matrix_power(w, n), 2) for n in range(201)]
    assert np.abs(found.log10_norms - np.log10(norms)).max() < 1e-12
    assert found.step == int(np.argmax(norms)) == 9
    assert found.largest > 1 > np.abs(np.linalg.eigvals(w)).max()
    assert found.log10_norms[-1] < -5


def test_growth_is_measured_from_the_first_state():
    jacobians = random_jacobians("any", 30, 4)
    found = rnnviz.transient_growth(jacobians).log10_norms
    assert found[0] == 0
    for t in (1, 10, 30):
        product = np.linalg.multi_dot([np.eye(4), *jacobians[:t][::-1]])
        assert abs(found[t] - math.log10(np.linalg.norm(product, 2))) < 1e-11


def test_the_cheap_bounds_hold():
    torch.manual_seed(0)
    trace = rnnviz.trace(nn.LSTM(8, 16), torch.randn(300, 8))
    jacobians = rnnviz.JacobianBlocks(trace)
    norms = rnnviz.backward_norms(jacobians)
    bounds = rnnviz.bound_backward_norms(jacobians, rank=6, exact=20)
    assert (bounds.lower <= norms + 1e-10).all()
    assert (bounds.upper >= norms - 1e-10).all()
    assert np.array_equal(bounds.lower[280:], norms[280:])
    assert (bounds.upper - bounds.lower)[:200].max() < 1e-6


def test_progress_and_cancelling():
    reported: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> bool:
        reported.append((done, total))
        return done < 3

    jacobians = np.ones((5, 1, 1))
    with pytest.raises(rnnviz.RnnvizError) as error:
        rnnviz.backward_norms(jacobians, progress=progress)
    assert reported == [(0, 5), (1, 5), (2, 5), (3, 5)]
    assert str(error.value) == (
        "The computation was cancelled at time step 1. Start it again to get a result."
    )
    for compute in (
        rnnviz.lyapunov_exponents,
        rnnviz.log_singular_values,
        rnnviz.bound_backward_norms,
        rnnviz.transient_growth,
    ):
        reported.clear()
        with pytest.raises(rnnviz.RnnvizError):
            compute(jacobians, progress=progress)
        assert len(reported) == 4


FUNCTIONS = [
    rnnviz.backward_norms,
    rnnviz.bound_backward_norms,
    rnnviz.log_singular_values,
    rnnviz.lyapunov_exponents,
    rnnviz.transient_growth,
]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_invalid_jacobians_raise(function: Any):
    for shape in ((3, 2), (4, 2, 3), (0, 2, 2), (2, 0, 0)):
        with pytest.raises(rnnviz.RnnvizError) as error:
            function(np.ones(shape))
        assert str(error.value) == (
            f"The Jacobians have shape {shape}; expected (time, state, state) with at least one "
            "time step and one state. Pass an array like that of rnnviz.jacobians."
        )
    for bad in (np.nan, np.inf):
        jacobians = np.ones((6, 2, 2))
        jacobians[4, 1, 0] = bad
        with pytest.raises(rnnviz.RnnvizError) as error:
            function(jacobians)
        assert error.value.key == "error.jacobian_values"
    assert str(function([[[2.0]]])) != ""  # plain lists are arrays, too


def test_a_warmup_of_all_steps_raises():
    for warmup in (-1, 5):
        with pytest.raises(rnnviz.RnnvizError) as error:
            rnnviz.lyapunov_exponents(np.ones((5, 1, 1)), warmup=warmup)
        assert str(error.value) == (
            f"The warm-up is {warmup} time steps; it must be at least 0 and less than 5, the "
            "number of steps. Choose a smaller number."
        )


def test_spectra_per_gate():
    trace = plain_case("lstm", proj_size=2).trace()
    u, v = trace.parameters["weight_hh_l0"], trace.parameters["weight_hr_l0"]
    found = rnnviz.recurrent_spectra(trace)
    assert list(found) == ["input_gate", "forget_gate", "cell_candidate", "output_gate"]
    for k, spectrum in enumerate(found.values()):
        product = u[4 * k : 4 * k + 4] @ v
        expected = np.sort(np.abs(np.linalg.eigvals(product)))[::-1]
        assert np.abs(np.abs(spectrum.eigenvalues) - expected).max() < 1e-12
        expected = np.linalg.svd(product, compute_uv=False)
        assert np.abs(spectrum.singular_values - expected).max() < 1e-12


def test_pascanus_bound():
    """A radius of 0.5 with a singular value of 2.1: the bound decides nothing."""
    module: Any = nn.RNN(1, 2, bias=False).double()
    with torch.no_grad():
        module.weight_hh_l0.copy_(torch.tensor([[0.5, 2.0], [0.0, 0.5]]))
    x = torch.ones(1, 1).double()
    bound = rnnviz.pascanu_bound(rnnviz.trace(module, x))
    assert abs(bound.largest_singular_value - (1 + math.sqrt(1.25))) < 1e-12
    assert bound[1:] == (0.5, 1.0, 1.0, False, True)
    rnnviz.initialise.recurrent_gain(module, 0.4)
    bound = rnnviz.pascanu_bound(rnnviz.trace(module, x))
    assert (bound.vanishing_is_certain, bound.exploding_is_possible) == (True, False)
    with pytest.raises(rnnviz.RnnvizError) as error:
        rnnviz.pascanu_bound(plain_case("gru").trace())
    assert str(error.value) == (
        'The cell "gru" is gated, and this bound holds only for a plain RNN; expected an RNN. '
        "Trace a torch.nn.RNN, or use the norms of the Jacobians."
    )


@pytest.mark.slow
def test_torchs_default_does_not_explode():
    """Spectral radius near 0.58 and largest singular value near 1.155."""
    found: list[tuple[float, float]] = []
    for seed in range(5):
        module: Any = nn.RNN(1, 256)
        rnnviz.initialise.torch_default(module, seed=seed)
        bound = rnnviz.pascanu_bound(rnnviz.trace(module, torch.ones(1, 1)))
        found.append((bound.spectral_radius, bound.largest_singular_value))
    radius, singular = np.mean(found, 0)
    assert abs(radius - 0.58) < 0.03
    assert abs(singular - 1.155) < 0.03


def test_the_largest_eigenpair_of_a_tridiagonal_matrix_matches_50_digits():
    """B Bᵀ with B lower bidiagonal and entries of very different sizes."""
    from rnnviz.stability.kernels import largest_pair

    random = np.random.default_rng(0)
    for number in range(60):
        n = 1 + number % 9
        a, b = 10 ** random.uniform(-6, 0, (2, n))
        diagonal, beside = np.append(a**2, 0.0), a * b
        diagonal[1:] += b**2
        x, pivots = np.empty((2, n + 1))
        near = diagonal.max() * random.choice([0, 1, 1.01, 9])
        value = largest_pair(diagonal, beside, n + 1, near, x, pivots)
        with mpmath.workdps(50):
            exact = mpmath.diag([mpmath.mpf(d) for d in diagonal])
            for k, entry in enumerate(beside):
                exact[k, k + 1] = exact[k + 1, k] = mpmath.mpf(entry)
            values, vectors = mpmath.eigsy(exact)
            apart = float(1 - values[n - 1] / values[n])
            wanted = np.array([abs(float(vectors[k, n])) for k in range(n + 1)])
            off = float(abs(value / values[n] - 1))
        assert off < 4e-15, f"{number}: λ {off=:.1e}"
        off = np.abs(x - wanted).max() * apart
        assert off < 4e-15, f"{number}: x {off=:.1e}"
