"""Final states, masks, gradients at end states, and layers of unequal width, against autograd."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from numpy.typing import NDArray
from torch import Tensor

import rnnviz
from rnnviz.gradients import backpropagation
from rnnviz.trace import trace_equations
from tests import reference
from tests.ends import EndCase, compacted, end_cases

pytestmark = pytest.mark.slow

Array = NDArray[Any]


def assert_close(name: str, found: Array, expected: Array, tolerance: float = 1e-12) -> None:
    assert found.shape == expected.shape, f"{name}: {found.shape} is not {expected.shape}"
    assert np.array_equal(np.isnan(found), np.isnan(expected)), f"{name}: NaN elsewhere"
    there = ~(np.isnan(expected) | (found == expected))  # equal infinities have no difference
    scale = max(1.0, float(np.abs(expected[np.isfinite(expected)]).max(initial=0.0)))
    max_diff = float(np.abs(found[there] - expected[there]).max(initial=0.0)) / scale
    assert max_diff < tolerance, f"{name}: {max_diff=:.1e}"


def parts_of(state: Any) -> list[Tensor]:
    """All tensors of a state."""
    return [p for part in state for p in parts_of(part)] if isinstance(state, tuple) else [state]


def assert_all_equal_to_the_loop(case: EndCase) -> None:
    if not case.valid.any():
        case = replace(case, mask="none")
    trace, loss = case.trace(), case.written_loss
    assert trace.loss is not None
    assert_close("loss", np.array(trace.loss), loss.detach().numpy())
    by_x = torch.autograd.grad(loss, case.x, retain_graph=True, allow_unused=True)[0]
    by_x = torch.zeros_like(case.x) if by_x is None else by_x
    expected = reference.arrays(case.written)
    expected["input"] = case.x.detach().numpy().copy()
    expected["grad_input"] = by_x.numpy().copy()
    for name in ("input", "grad_input"):
        expected[name][~case.valid] = np.nan
    leaves = list(case.leaves.values())
    by_parameter = torch.autograd.grad(loss, leaves, retain_graph=True, materialize_grads=True)
    by_nodes, by_initial = reference.gradients(case.written, loss)
    expected |= {f"grad_{name}": values for name, values in by_nodes.items()}
    assert set(trace.names) == set(expected)
    for name, values in expected.items():
        assert_close(name, trace[name].values, values)
    for name, values in by_initial.items():
        found = trace.initial_state[f"grad_{name}"].values
        assert_close(f"initial {name}", found, values.reshape(found.shape))
    found = parts_of(trace.final_state)
    for part, wanted in zip(found, parts_of(case.state_of(case.written_final)), strict=True):
        assert_close("final state", part.numpy(), wanted.detach().numpy())
    found = rnnviz.parameter_gradients(trace)
    for name, wanted in zip(case.leaves, by_parameter, strict=True):
        assert_close(f"∂L/∂{name}", found[name], wanted.numpy())


@given(case=end_cases("recurrent"))
@settings(max_examples=60)
def test_recurrents_are_traced_as_the_loop_computes_them(case: EndCase):
    assert_all_equal_to_the_loop(case)


@given(case=end_cases("stack"))
@settings(max_examples=60)
def test_stacks_are_traced_as_the_loop_computes_them(case: EndCase):
    assert_all_equal_to_the_loop(case)


@pytest.mark.parametrize("way", ["torch cell", "cell"])
def test_cells_are_traced_as_the_loop_computes_them(way: str):
    @given(case=end_cases(way))
    @settings(max_examples=25)
    def check(case: EndCase) -> None:
        assert_all_equal_to_the_loop(case)

    check()


FORMS = ["tanh", "lstm", "peephole", "gru", "reset before"]


@pytest.mark.parametrize("mask", ["none", "gaps", "wholly"])
@pytest.mark.parametrize("form", FORMS)
def test_analysis_leaves_masked_steps_out(form: str, mask: str):
    """Jacobians, sensitivities, norms and verdicts are those of the steps that are read."""
    widths = ((4, 3), (3, 2)) if form == "lstm" else ((4, 0), (2, 0))
    case = EndCase(form, mask=mask, steps=7, widths=widths, loss="last")
    trace = case.trace()
    for b in np.flatnonzero(case.valid.any(0)).tolist():
        alone, read = compacted(case, b).trace(), case.valid[:, b]
        for own in ({"layer": 0, "direction": "forward"}, {"layer": 1, "direction": "backward"}):
            assert_analysed_alike(trace, alone, b, own)
        assert_norms_alike(trace, alone, b, read)
        found, times = rnnviz.sensitivity_norms(trace, batch=b), np.flatnonzero(read)
        assert np.isnan(found.values[~read]).all()
        expected = rnnviz.sensitivity_norms(alone).values
        assert_close("sensitivity", found.sel(time=times, source=times).values, expected)


def assert_analysed_alike(
    trace: rnnviz.Trace, alone: rnnviz.Trace, b: int, own: dict[str, Any]
) -> None:
    """One part of a sequence, and of the same sequence traced without its masked steps."""
    here: dict[str, Any] = {**own, "batch": b}
    assert_close("Jacobians", rnnviz.jacobians(trace, **here), rnnviz.jacobians(alone, **own))
    verdict, expected = rnnviz.diagnose(trace, **here), rnnviz.diagnose(alone, **own)
    assert verdict.decay == pytest.approx(expected.decay, nan_ok=True)
    for gate, share in verdict.saturated.items():
        assert share.tolist() == expected.saturated[gate].tolist()
    assert rnnviz.remembered_steps(trace, **here) == rnnviz.remembered_steps(alone, **own)
    plain, expected = rnnviz.plain_pass(trace, **here), rnnviz.plain_pass(alone, **own)
    read = trace.valid[:, b]
    assert np.isnan(plain.log10_norms[~read]).all()
    assert_close("plain", plain.log10_norms[read], expected.log10_norms, 1e-6)


def assert_norms_alike(
    trace: rnnviz.Trace, alone: rnnviz.Trace, b: int, read: NDArray[np.bool_]
) -> None:
    for analyse in (rnnviz.gradient_norms, rnnviz.weight_gradient_norms, split_of_lstm):
        expected = analyse(alone)
        for name, values in analyse(trace).items():
            if "time" in values.dims:
                values = values.values[:, :, :, b]
                assert np.isnan(values[:, :, ~read]).all()
                assert_close(str(name), values[:, :, read], expected[name].values[:, :, :, 0])


def split_of_lstm(trace: rnnviz.Trace) -> Any:
    return rnnviz.split_cell_gradient(trace) if trace.cell == "lstm" else {}


@pytest.mark.parametrize("form", FORMS)
def test_the_rescaled_recursion_enters_at_the_end_state(form: str, monkeypatch: pytest.MonkeyPatch):
    case = EndCase(form, padded=True)
    trace = case.trace()
    expected = rnnviz.gradient_norms(trace)
    assert_close("float64", np.array(expected.hidden_state), _norms(trace["grad_hidden_state"]))
    plain = rnnviz.plain_pass(trace, dtype="float64", layer=0, direction="backward", batch=1)
    assert_close("plain", plain.log10_norms, expected.hidden_state.values[0, 1, :, 1])
    weights = rnnviz.parameter_gradients(trace)
    monkeypatch.setattr(backpropagation, "SAFE", (1e200, 1e-200))  # nothing counts as safe
    for name, values in rnnviz.gradient_norms(trace).items():
        assert_close(str(name), values.values, expected[name].values)
    for name, values in rnnviz.parameter_gradients(trace).items():
        assert_close(name, values, weights[name])


def _norms(gradient: Any) -> Array:
    with np.errstate(divide="ignore"):
        values = np.log10(np.sqrt((gradient**2).sum("unit", skipna=True).values))
    return np.where(np.isnan(gradient.values).all(-1), np.nan, values)


@pytest.mark.parametrize("form", ["lstm", "peephole", "coupled"])
@pytest.mark.parametrize("mask", ["none", "wholly"])
def test_the_paths_of_the_cell_state_add_up(form: str, mask: str):
    trace = EndCase(form, mask=mask).trace()
    found = rnnviz.split_cell_gradient(trace)
    total = (found["direct"] + found["through_gates"]).values
    assert_close("δc", total, trace["grad_cell_state"].values)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("way", ["recurrent", "stack", "cell"])
def test_chunks_that_pass_the_state_on_equal_the_whole(form: str, way: str):
    if way == "stack" and form in ("peephole", "reset before"):
        way = "recurrent"
    widths = (
        ((4, 0),) if way == "cell" else ((3, 0), (3, 0)) if way == "stack" else ((4, 0), (2, 0))
    )
    case = EndCase(form, way, widths, bidirectional=False, mask="gaps", steps=9)
    whole, state = case.trace(loss=None), case.state_of(case.initial)
    for chunk in (slice(0, 2), slice(2, 3), slice(3, 9)):
        x, read = case.x.detach()[chunk], case.read
        assert read is not None
        found = rnnviz.trace(case.module, x, state, mask=read[chunk])
        state = found.final_state
        for name in whole.names[1:]:
            assert_close(name, found[name].values, whole[name].values[:, :, chunk])
    for found, wanted in zip(parts_of(state), parts_of(whole.final_state), strict=True):
        assert_close("final state", found.numpy(), wanted.numpy())


@pytest.mark.parametrize("form", FORMS)
def test_equations_alone_give_the_same(form: str):
    case = EndCase(form, mask="wholly", padded=True)
    state, given = case.state_of(case.initial), {"mask": case.read, "lengths": case.lengths}
    found = trace_equations(case.module, case.x.detach(), state, loss=case.of_both, **given)
    expected = case.trace()
    for name in expected:
        assert_close(name, found.array(name), expected.array(name))
    for own, wanted in zip(
        parts_of(found.final_state), parts_of(expected.final_state), strict=True
    ):
        assert_close("final state", own.numpy(), wanted.numpy())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", [torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN])
def test_a_final_state_has_the_modules_dtype(kind: Any, dtype: torch.dtype):
    module, x = kind(2, 3, bidirectional=True).to(dtype), torch.randn(5, 2, 2).to(dtype)
    found = rnnviz.trace(module, x, lengths=[5, 2])
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor([5, 2]))
    with torch.no_grad():
        wanted = module(packed)[1]
    for part, own in zip(parts_of(found.final_state), parts_of(wanted), strict=True):
        assert part.dtype == dtype
        assert torch.allclose(part.double(), own.double(), atol=20 * torch.finfo(dtype).eps)
    rnnviz.trace(module, x, found.final_state)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_loss_receives_the_outputs_that_keras_has_at_masked_steps(bidirectional: bool):
    """In one direction that of the step before, to which its derivative goes; in two 0."""
    case, seen = EndCase("gru", widths=((2, 0),), bidirectional=bidirectional), list[Tensor]()

    def loss(y: Tensor) -> Tensor:
        seen.append(y.detach())
        return (y * torch.arange(1.0, 6)[:, None, None]).sum()

    trace = case.trace(loss=loss)
    h = np.concatenate(trace["hidden_state"].values[0], -1)
    expected, upstream = np.zeros_like(h), np.zeros_like(h)
    for b in range(3):
        last = None
        for t in range(5):
            last = t if case.valid[t, b] else None if bidirectional else last
            if last is not None:
                expected[t, b] = h[last, b]
                upstream[last, b] += t + 1
    assert trace.output_grad is not None
    assert_close("output", seen[0].numpy(), expected)
    assert_close("∂ℓ/∂output", np.array(trace.output_grad), upstream)


def with_default(y: Tensor, weight: float = 2.0) -> Tensor:
    return weight * y.sum()


class Readout(torch.nn.Module):
    def forward(self, y: Tensor, state: Tensor) -> Tensor:
        return y.sum() + 3 * state.sum()


def test_a_loss_is_called_by_its_signature():
    module, x = torch.nn.GRU(2, 3).double(), torch.randn(4, 2, 2).double()
    y, h = module(x)
    total, end = float(y.detach().sum()), float(h.detach().sum())

    def partly(y: Tensor, state: Tensor, *, scale: float = 1.0) -> Tensor:
        return scale * (y.sum() + state.sum())

    for loss, expected in (
        (torch.sum, total),
        (with_default, 2 * total),
        (lambda *given: len(given) * given[0].sum(), total),
        (partly, total + end),
        (Readout(), total + 3 * end),
        ("final", end),
    ):
        assert rnnviz.trace(module, x, loss=loss).loss == pytest.approx(expected, rel=1e-14)


def test_truncated_backpropagation_passes_the_gradient_on():
    """∂L/∂(initial state) of a later chunk, as the loss of an earlier one, gives the whole's."""
    module, x = torch.nn.LSTM(2, 3, 2).double(), torch.randn(7, 2, 2).double()
    whole = rnnviz.trace(module, x, loss="last")
    first = rnnviz.trace(module, x[:4])
    second = rnnviz.trace(module, x[4:], first.final_state, loss="last")
    names = ("grad_hidden_state", "grad_cell_state")
    by_h, by_c = (torch.tensor(second.initial_state[name].values).flatten(0, 1) for name in names)

    def loss(_y: Tensor, state: tuple[Tensor, Tensor]) -> Tensor:
        return (by_h * state[0]).sum() + (by_c * state[1]).sum()

    again = rnnviz.trace(module, x[:4], loss=loss)
    for name in ("grad_input", *names):
        axis = whole[name].dims.index("time")
        earlier = np.take(whole[name].values, range(4), axis)
        assert_close(name, again[name].values, earlier)


@pytest.mark.parametrize("ending", ["nc", "npz"])
@pytest.mark.parametrize(
    "case", [EndCase("lstm"), EndCase("gru", batch=0), EndCase("gru", "cell", ((3, 0),), False)]
)
def test_a_saved_trace_comes_back_equal(case: EndCase, ending: str, tmp_path: Path):
    trace = case.trace()
    trace.save(tmp_path / f"trace.{ending}")
    loaded = rnnviz.load_trace(tmp_path / f"trace.{ending}")
    assert loaded == trace
    assert loaded.names == trace.names
    assert loaded.layout == trace.layout
    for found, wanted in zip(
        parts_of(loaded.final_state), parts_of(trace.final_state), strict=True
    ):
        assert torch.equal(found, wanted)
    assert rnnviz.gradient_norms(loaded).identical(rnnviz.gradient_norms(trace))
