"""Gradients and states far outside the range of float32, against closed forms and autograd."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import rnnviz
from tests import reference

# The first size is small enough for float64 at once; the second is tried in float32 first.
SIZES = [4, 260]


def relu_network(size: int, gain: float) -> nn.RNN:
    """h_t = relu(gain h_{t−1} + x_t), float32."""
    module = nn.RNN(size, size, nonlinearity="relu", bias=False)
    with torch.no_grad():
        module.get_parameter("weight_hh_l0").copy_(gain * torch.eye(size))
        module.get_parameter("weight_ih_l0").copy_(torch.eye(size))
    return module


@pytest.mark.parametrize("size", SIZES)
def test_a_gradient_that_halves_at_every_step(size: int):
    trace = rnnviz.trace(relu_network(size, 0.5), torch.ones(300, size), loss="last")
    expected = np.broadcast_to(0.5 ** np.arange(299, -1, -1.0)[:, None], (300, size))
    for name in ("grad_hidden_state", "grad_hidden_preactivation"):
        assert np.array_equal(trace[name].values[0, 0, :, 0], expected)
    first = trace.initial_state["grad_hidden_state"].values
    assert first.dtype == np.float64
    assert (first == 0.5**300).all()
    assert 0.5**300 < 1e-90


@pytest.mark.parametrize("size", SIZES)
def test_a_gradient_that_doubles_at_every_step(size: int):
    h_0 = torch.full((1, size), 2.0**-126)
    trace = rnnviz.trace(relu_network(size, 2.0), torch.zeros(240, size), h_0, loss="last")
    states = 2.0 ** np.arange(-125.0, 115.0)
    assert np.array_equal(trace["hidden_state"].values[0, 0, :, 0, 0], states)
    expected = np.broadcast_to(2.0 ** np.arange(239, -1, -1.0)[:, None], (240, size))
    assert np.array_equal(trace["grad_hidden_state"].values[0, 0, :, 0], expected)
    assert (trace.initial_state["grad_hidden_state"].values == 2.0**240).all()
    assert 2.0**240 > 1e72


@pytest.mark.parametrize("size", SIZES)
def test_gradients_that_drop_below_float32_from_one_step_to_the_next(size: int):
    """By 2^−100 per step in the upper layer, and by 2^−120 from there to the lower one."""
    module = nn.RNN(size, size, 2, nonlinearity="relu", bias=False)
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(torch.eye(size))
        module.get_parameter("weight_ih_l1").mul_(2.0**-120)
        module.get_parameter("weight_hh_l1").mul_(2.0**-100)
    trace = rnnviz.trace(module, torch.ones(3, size), loss=lambda y: 2.0**-60 * y[-1].sum())
    gradient = trace["grad_hidden_state"].values[:, 0, :, 0, 0]
    upper = 2.0 ** np.array([-260.0, -160.0, -60.0])
    assert np.array_equal(gradient[1], upper)
    assert np.array_equal(gradient[0], np.cumsum(2.0**-120 * upper[::-1])[::-1])


@pytest.mark.parametrize("form", ["tanh", "lstm", "gru"])
def test_a_gradient_that_vanishes_and_is_added_again(form: str):
    """It is exactly 0 below the range, until the loss adds to it at an earlier step."""
    torch.manual_seed(0)
    module = {"tanh": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[form](3, 4).double()
    with torch.no_grad():
        module.get_parameter("weight_hh_l0").mul_(1e-9)
        # f near 0 in the LSTM, z near 0 in the GRU: no other path carries the gradient.
        rows = {"tanh": slice(0), "lstm": slice(4, 8), "gru": slice(4, 8)}[form]
        module.get_parameter("bias_hh_l0")[rows] = -20.0
    x = torch.randn(120, 3).double()
    trace = rnnviz.trace(module, x, loss=lambda y: y[-1].sum() + y[20].sum())
    first = rnnviz.trace(module, x[:21], loss="last")
    gradient = trace["grad_hidden_state"].values[0, 0, :, 0]
    assert (gradient[21:50] == 0).all()
    assert (gradient[-1] == 1).all()
    expected = first["grad_hidden_state"].values[0, 0, :, 0]
    assert relative_difference(gradient[:21], expected) < 1e-12
    norms = rnnviz.gradient_norms(trace)["hidden_state"].values.ravel()
    assert np.isfinite(norms).all()
    assert norms[21] < -400


def relative_difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest ‖found_t − expected_t‖ / ‖expected_t‖ over time, computed without underflow."""
    dead = (expected == 0).all(axis=-1)  # the forget gate at the first step, where c_0 = 0
    assert np.array_equal(dead, (found == 0).all(axis=-1))
    found, expected = found[~dead], expected[~dead]
    scale = np.abs(expected).max(axis=-1, keepdims=True)
    errors = np.linalg.norm((found - expected) / scale, axis=-1)
    return float((errors / np.linalg.norm(expected / scale, axis=-1)).max())


@pytest.mark.parametrize("size", [8, 260])
@pytest.mark.parametrize("form", ["tanh", "lstm", "gru"])
def test_a_vanishing_gradient_agrees_with_float64_at_the_recorded_states(form: str, size: int):
    torch.manual_seed(0)
    module = {"tanh": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[form](3, size)
    x = torch.randn(300, 1, 3)
    trace = rnnviz.trace(module, x, loss="last")
    states = {
        name: trace[name].values[0, 0, :, 0]
        for name in ("hidden_state", "cell_state")
        if name in trace
    }
    parameters = {name: p.detach().double() for name, p in module.named_parameters()}
    expected = reference.step_back(form, parameters, x[:, 0].double(), states)
    for name, values in expected.items():
        found = trace[f"grad_{name}"].values[0, 0, :, 0]
        difference = relative_difference(found, values)
        assert difference < 1e-4, f"{name}: {difference=:.1e}"
    assert np.linalg.norm(expected["hidden_state"][0]) < 1e-50


def test_overflowing_states_are_recorded_as_inf():
    """One unit doubles beyond 2^128 − 1 and is inf from there on; the gradient stays exact."""
    trace = rnnviz.trace(relu_network(1, 2.0), torch.ones(200, 1), loss="last")
    hidden = trace["hidden_state"].values[0, 0, :, 0, 0]
    assert np.array_equal(hidden[:23], 2.0 ** np.arange(1, 24) - 1)
    assert np.isfinite(hidden[:127]).all()
    assert np.isposinf(hidden[128:]).all()
    assert trace.loss == float("inf")
    gradient = trace["grad_hidden_state"].values[0, 0, :, 0, 0]
    assert np.array_equal(gradient, 2.0 ** np.arange(199, -1, -1.0))


@pytest.mark.parametrize("lengths", [None, [200, 150]])
@pytest.mark.parametrize("cell", [False, True])
def test_states_that_overflow_to_nan_match_the_modules(cell: bool, lengths: list[int] | None):
    """Two units overflow: 0 · inf gives NaN, in the trace where the module has it."""
    stack = relu_network(2, 2.0)
    module: nn.Module = stack
    if cell:
        module = nn.RNNCell(2, 2, bias=False, nonlinearity="relu")
        module.load_state_dict({n.removesuffix("_l0"): p for n, p in stack.state_dict().items()})
    trace = rnnviz.trace(module, torch.ones(200, 2, 2), lengths=lengths, loss="last")
    hidden = trace["hidden_state"].values[0, 0]
    with torch.no_grad():
        expected: Tensor = stack(torch.ones(200, 2, 2))[0]
    assert np.isnan(expected[-1].numpy()).all()
    valid = np.arange(200)[:, None] < np.array(lengths or [200, 200])
    assert np.array_equal(hidden[valid], expected.numpy()[valid], equal_nan=True)
    assert trace.loss is not None
    assert np.isnan(trace.loss)
    assert trace.replay_error == 0


def test_a_gradient_beyond_float64_is_infinite():
    module = relu_network(1, 2.0).double()
    h_0 = torch.full((1, 1), 2.0**-1000, dtype=torch.float64)
    x = torch.zeros(1100, 1, dtype=torch.float64)
    trace = rnnviz.trace(module, x, h_0, loss="last")
    gradient = trace["grad_hidden_state"].values[0, 0, :, 0, 0]
    assert np.array_equal(gradient[76:], 2.0 ** np.arange(1023, -1, -1.0))
    assert np.isposinf(gradient[:76]).all()


def test_a_dead_unit_stops_even_an_infinite_gradient():
    """As in autograd, the gradient is 0 where ReLU is flat, not 0 · inf."""
    module = nn.RNN(1, 2, nonlinearity="relu", bias=False).double()
    with torch.no_grad():
        module.get_parameter("weight_ih_l0").copy_(torch.tensor([[0.0], [-1.0]]))
        module.get_parameter("weight_hh_l0").copy_(torch.tensor([[2.0, 2.0], [0.0, 0.0]]))
    h_0 = torch.tensor([[2.0**-1000, 0.0]], dtype=torch.float64)
    trace = rnnviz.trace(module, torch.ones(1100, 1).double(), h_0, loss="last")
    gradient = trace["grad_hidden_preactivation"].values[0, 0, 0, 0]
    assert gradient.tolist() == [float("inf"), 0.0]
