"""Every number of a trace against the reference loop (``tests/reference.py``)."""

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

import rnnviz
from rnnviz.cells import ElmanCell
from rnnviz.trace import trace_equations
from tests import reference
from tests.cases import Case, cases, plain_case

STACKS: list[Callable[..., nn.RNNBase]] = [nn.RNN, nn.LSTM, nn.GRU]
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}


def assert_close(name: str, found: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    """Asserts equality up to rounding relative to the largest entry, and NaN at the same places."""
    assert found.shape == expected.shape, f"{name}: {found.shape} is not {expected.shape}"
    assert np.array_equal(np.isnan(found), np.isnan(expected)), f"{name}: NaN elsewhere"
    if np.isnan(expected).all():
        return
    scale = max(1.0, float(np.nanmax(np.abs(expected))))
    max_diff = float(np.nanmax(np.abs(found - expected))) / scale
    assert max_diff < tolerance, f"{name}: {max_diff=:.1e}"


def assert_all_equal_to_the_loop(case: Case) -> None:
    trace, tolerance = case.trace(), TOLERANCE[case.dtype]
    expected = reference.arrays(case.written)
    x = case.x.double().numpy().copy()
    for b, length in enumerate(case.lengths):
        x[length:, b] = np.nan
    assert_close("input", trace["input"].values, x, tolerance)
    if case.loss != "none":
        loss = case.written_loss()
        (by_x,) = torch.autograd.grad(loss, case.leaf, retain_graph=True)
        by_nodes, by_initial = reference.gradients(case.written, loss)
        expected |= {f"grad_{name}": values for name, values in by_nodes.items()}
        assert trace.loss is not None
        assert_close("loss", np.array(trace.loss), np.array(loss.item()), tolerance)
        for name, values in by_initial.items():
            found = trace.initial_state[f"grad_{name}"].values
            assert_close(f"initial {name}", found, values.reshape(found.shape), tolerance)
        expected["grad_input"] = np.where(np.isnan(x), np.nan, by_x.numpy())
    assert set(trace.names) == {"input", *expected}
    for name, values in expected.items():
        assert_close(name, trace[name].values, values, tolerance)
    for name, values in case.initial.items():
        assert np.array_equal(trace.initial_state[name].values, values.numpy())


@given(case=cases())
@settings(max_examples=80)
def test_a_stack_is_traced_as_the_loop_computes_it(case: Case):
    assert_all_equal_to_the_loop(case)


@pytest.mark.parametrize("way", ["recurrent", "torch cell", "own cell"])
def test_cells_are_traced_as_the_loop_computes_them(way: str):
    @given(case=cases(way))
    @settings(max_examples=30)
    def check(case: Case):
        assert_all_equal_to_the_loop(case)

    check()


@pytest.mark.parametrize("way", ["stack", "recurrent", "torch cell", "own cell"])
def test_equations_alone_are_traced_as_the_loop_computes_them(way: str):
    @given(case=cases(way))
    @settings(max_examples=40)
    def check(case: Case):
        assert_all_equal_to_the_loop(replace(case, by_module=False))

    check()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("stack", STACKS)
def test_equations_alone_give_torchs_states(
    stack: Callable[..., nn.RNNBase], batch: int, dtype: torch.dtype
):
    torch.manual_seed(3)
    for hidden in (1, 2, 3, 7, 33):  # the kernel multiplies four rows at a time
        module, x = stack(2, hidden).to(dtype), torch.randn(60, batch, 2).to(dtype)
        found = trace_equations(module, x)["hidden_state"].values[0, 0]
        with torch.no_grad():
            expected = module(x)[0].numpy()
        assert found.dtype == expected.dtype
        assert np.abs(found - expected).max() < (1e-14 if dtype == torch.float64 else 2e-6)


@pytest.mark.parametrize("form", ["relu", "identity"])
def test_equations_overflow_where_the_module_does(form: str):
    torch.manual_seed(4)
    cell = ElmanCell(1, 6, form).double()
    with torch.no_grad():
        cell.weight_hh.mul_(1e4)
    x = torch.randn(120, 1).double()
    module, own = (make(cell, x)["hidden_state"].values for make in (rnnviz.trace, trace_equations))
    gone = [np.argmin(np.isfinite(h).all((0, 1, 3, 4))) for h in (module, own)]
    assert gone[0] == gone[1] > 50
    before = module[:, :, : gone[0]]
    assert np.allclose(own[:, :, : gone[0]], before, rtol=1e-9, atol=1e-9 * np.abs(before).max())


def test_equations_are_exact_at_each_step_of_a_chaotic_network():
    torch.manual_seed(1)
    module = nn.RNN(3, 16).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(6)
    x = torch.randn(300, 3).double()
    h = torch.from_numpy(trace_equations(module, x).array("hidden_state")[0, 0, :, 0].copy())
    cell = nn.RNNCell(3, 16).double()
    cell.load_state_dict({n.removesuffix("_l0"): p for n, p in module.state_dict().items()})
    with torch.no_grad():
        after = cell(x, torch.cat((torch.zeros(1, 16).double(), h[:-1])))
        assert (after - h).abs().max() < 1e-13
        assert (module(x)[0] - h).abs().max() > 0.1  # the network is chaotic


@given(case=cases())
@settings(max_examples=30)
def test_the_last_hidden_state_is_the_modules_own_output(case: Case):
    inputs = case.laid_out(case.x)
    if case.padding == "lengths":
        inputs = pack_padded_sequence(case.x, torch.tensor(case.lengths), enforce_sorted=False)
    with torch.no_grad():
        output = deepcopy(case.stack).eval()(inputs, case.state)[0]
    if isinstance(output, PackedSequence):
        output = pad_packed_sequence(output)[0]
    elif case.batch == 0:
        output = output[:, None]
    elif case.batch_first:
        output = output.transpose(0, 1)
    trace = case.trace()
    hidden = np.concatenate(list(trace["hidden_state"].values[-1]), axis=-1)
    assert np.array_equal(np.nan_to_num(hidden), output.numpy())
    assert trace.replay_error < 100 * torch.finfo(case.dtype).eps


def test_axes_and_labels():
    module = nn.LSTM(2, 3, 2, bidirectional=True, proj_size=1)
    trace = rnnviz.trace(module, torch.ones(5, 4, 2), loss="last")
    assert trace["input"].dims == ("time", "batch", "feature")
    cell = trace["grad_cell_state"]
    assert cell.dims == ("layer", "direction", "time", "batch", "unit")
    assert cell.shape == (2, 2, 5, 4, 3)
    assert trace["hidden_state"].dims == ("layer", "direction", "time", "batch", "projection")
    assert cell.coords["direction"].values.tolist() == ["forward", "backward"]
    assert cell.coords["time"].values.tolist() == [0, 1, 2, 3, 4]
    assert cell.dtype == np.float64
    assert trace.initial_state["grad_cell_state"].dims == ("layer", "direction", "batch", "unit")
    assert (trace.cell, trace.loss is None, "grad_cell_state" in trace) == ("lstm", False, True)
    assert repr(trace).startswith(
        "Trace of LSTM(2, 3, proj_size=1, num_layers=2, bidirectional=True): 2 layers, "
        "2 directions, 5 time steps, 4 sequences, 1 unit; input, "
    )


def small(stack: Callable[..., nn.RNNBase] = nn.LSTM) -> tuple[nn.RNNBase, Tensor]:
    torch.manual_seed(0)
    return stack(3, 4, 2), torch.randn(6, 2, 3)


@pytest.mark.parametrize("stack", STACKS)
def test_arrays_and_tensors_give_the_same_trace(stack: Callable[..., nn.RNNBase]):
    module, x = small(stack)
    expected = rnnviz.trace(module, x, loss="all")
    read_only = x.numpy().copy()
    read_only.setflags(write=False)
    strided = torch.stack([x, x], dim=-1)[..., 0]
    assert not strided.is_contiguous()
    swapped = x.numpy().astype(">f4")
    long = x.numpy().astype(np.longdouble)
    for inputs in (read_only, strided, swapped, long, x.double().numpy(), x.tolist()):
        assert rnnviz.trace(module, inputs, loss="all") == expected
    assert rnnviz.trace(module, expected["input"], loss="all") == expected
    turned = x.flip(0).numpy()[::-1]
    assert rnnviz.trace(module, turned, loss="all") == expected


def test_lengths_may_be_any_whole_numbers():
    module, x = small()
    expected = rnnviz.trace(module, x, lengths=[6, 2], loss="last")
    read_only = np.array([6, 2])
    read_only.setflags(write=False)
    given = (torch.tensor([6, 2]), torch.tensor([6, 2]).int(), read_only, np.array([6, 2], "u1"))
    for lengths in given:
        assert rnnviz.trace(module, x, lengths=lengths, loss="last") == expected


def test_padding_values_do_not_matter():
    module, x = small()
    expected = rnnviz.trace(module, x, lengths=[6, 2], loss="last")
    x[2:, 1] = math.nan
    assert rnnviz.trace(module, x, lengths=[6, 2], loss="last") == expected


def test_a_loss_may_have_an_infinite_derivative_in_the_padding():
    module, x = small(nn.GRU)

    def loss(y: Tensor) -> Tensor:
        return (y * y).sqrt().sum()  # its derivative at 0 is not finite

    trace = rnnviz.trace(module, x, lengths=[6, 2], loss=loss)
    valid = np.arange(6)[:, None] < np.array([6, 2])
    assert np.isfinite(trace["grad_hidden_state"].values[:, :, valid]).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("way", ["stack", "torch cell", "own cell", "recurrent"])
@pytest.mark.parametrize("form", ["tanh", "relu", "lstm", "gru"])
def test_half_precision(form: str, way: str, dtype: torch.dtype):
    """Gates differ from exact ones by rounding to half precision at every step."""
    layers = 1 if "cell" in way else 2
    case = plain_case(form, way, dtype=dtype, layers=layers, padding="lengths")
    trace = case.trace()
    for name, expected in reference.arrays(case.written).items():
        assert_close(name, trace[name].values, expected, 8 * torch.finfo(dtype).eps)
    by_nodes, _ = reference.gradients(case.written, case.written_loss())
    for name, expected in by_nodes.items():
        found = trace[f"grad_{name}"]
        assert found.dtype == np.float64
        assert_close(name, found.values, expected, 32 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("lengths", [None, [300, 20, 131]])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("stack", STACKS)
def test_the_replay_error_of_a_chaotic_stack_is_rounding(
    stack: Callable[..., nn.RNNBase], dtype: torch.dtype, lengths: list[int] | None
):
    torch.manual_seed(1)
    module = stack(3, 16, 3, bidirectional=True)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(6)
    trace = rnnviz.trace(module.to(dtype), torch.randn(300, 3, 3).to(dtype), lengths=lengths)
    assert trace.replay_error < 32 * torch.finfo(dtype).eps


def test_the_replay_error_of_a_chaotic_recurrent_is_rounding():
    torch.manual_seed(1)
    module = nn.RNN(3, 16, 3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(6)
    own = rnnviz.Recurrent.of(module)
    for x in (torch.randn(200, 3), torch.randn(200, 2, 3)):
        assert rnnviz.trace(own, x).replay_error < 1e-6
    assert rnnviz.trace(own, x, lengths=[200, 30]).replay_error < 1e-6


class Joined(ElmanCell):
    """The same equation as one product, with different rounding."""

    def forward(self, x: Tensor, state: Tensor | None = None) -> Tensor:
        assert state is not None
        weight = torch.cat([self.weight_hh, self.weight_ih], dim=1)
        a = nn.functional.linear(torch.cat([state, x], dim=-1), weight)
        return torch.tanh(a + (self.get_parameter("bias_ih") + self.get_parameter("bias_hh")))


def test_a_chaotic_cell_with_different_rounding_is_recorded_at_its_own_states():
    torch.manual_seed(1)
    cell = Joined(3, 16)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.mul_(6)
    x = torch.randn(200, 3)
    h, expected = torch.zeros(1, 16), []
    with torch.no_grad():
        for x_t in x:
            h = cell(x_t[None], h)
            expected.append(h)
    trace = rnnviz.trace(cell, x, loss="last")
    assert np.array_equal(trace["hidden_state"].values[0, 0], torch.stack(expected).numpy())
    assert 0 < trace.replay_error < 1e-5


def test_the_same_call_gives_the_same_trace():
    module, x = small()
    assert rnnviz.trace(module, x, loss="all") == rnnviz.trace(module, x, loss="all")


def test_inference_mode_and_autocast_do_not_matter():
    module, x = small(nn.GRU)

    def loss(y: Tensor) -> Tensor:
        return y.square().sum()

    expected = rnnviz.trace(module, x, loss=loss)
    with torch.inference_mode():
        assert rnnviz.trace(module, x, loss=loss) == expected
        assert rnnviz.trace(module, x.clone(), loss=loss) == expected
    with torch.autocast("cpu", torch.bfloat16):
        assert rnnviz.trace(module, x, loss=loss) == expected


def test_parametrised_weights():
    torch.manual_seed(0)
    module = nn.utils.parametrizations.weight_norm(nn.LSTM(3, 4), "weight_hh_l0")
    with torch.no_grad():
        module.get_parameter("parametrizations.weight_hh_l0.original0").mul_(2)
    x = torch.randn(6, 2, 3)
    trace = rnnviz.trace(module, x, loss="all")
    weight: Any = module.weight_hh_l0
    assert np.array_equal(trace.parameters["weight_hh_l0"], weight.detach().numpy())
    own = rnnviz.trace(rnnviz.Recurrent.of(module), x, loss="all")
    for name in trace:
        assert_close(name, own[name].values, trace[name].values, 1e-5)
