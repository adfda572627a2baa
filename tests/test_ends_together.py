"""Masks, unequal widths and end-state gradients with own steps, holds, ties and half precision."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import rnnviz
from rnnviz.cells import ElmanCell, Gates, HeldStep, as_computed
from rnnviz.gradients import diagnose
from rnnviz.trace_part import TracePart
from tests.ends import EndCase
from tests.own_cells import own_of
from tests.test_tied import MODULES

TYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16}
CASES = [
    EndCase("lstm"),
    EndCase("coupled peephole", mask="wholly", widths=((2, 0), (4, 2), (3, 0))),
    EndCase("gru", mask="left", padded=True),
    EndCase("reset before", mask="wholly", loss="final"),
    EndCase("tanh", bidirectional=False, batch=0, loss="state"),
]


def both(case: EndCase, **given: Any) -> tuple[rnnviz.Trace, rnnviz.Trace]:
    """The trace of the own cells and that of the stock."""
    stock, other = case.trace(**given), replace(case)
    other.__dict__["module"] = own_of(case.module)
    return other.trace(**given), stock


def same(own: Any, stock: Any, scale: float = 1e-9) -> None:
    np.testing.assert_allclose(own, stock, rtol=1e-9, atol=scale)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.form}-{case.mask}")
def test_what_is_recorded(case: EndCase):
    own, stock = both(case)
    assert (own.own_step, stock.own_step) == (True, False)
    assert own.widths == stock.widths
    for name in stock:
        same(own.array(name), stock.array(name))
    for name in map(str, stock.initial_state):
        same(own.initial_array(name), stock.initial_array(name))
    for name, values in stock.final_grad.items():
        same(own.final_grad[name], values)
    assert str(own.final_state) == str(stock.final_state)


@pytest.mark.parametrize("gain", [1.0, 1e-60], ids=["", "far below the float range"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.form}-{case.mask}")
def test_what_is_computed_from_the_gradients(case: EndCase, gain: float):
    own, stock = both(replace(case, gain=gain))
    for function in (rnnviz.gradient_norms, rnnviz.weight_gradient_norms):
        a, b = function(own), function(stock)
        for name in b:
            same(a[name].values, b[name].values, 1e-7 if gain == 1 else 1e-300)
    a, b = rnnviz.parameter_gradients(own), rnnviz.parameter_gradients(stock)
    for name, values in b.items():
        same(a[name], values, 1e-9 * abs(values).max())
    batch = int(np.argmax(stock.valid_lengths))
    assert diagnose(own, batch=batch).verdict == diagnose(stock, batch=batch).verdict


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.form}-{case.mask}")
def test_what_is_computed_for_one_sequence(case: EndCase):
    own, stock = both(case)
    batch, last = int(np.argmax(stock.valid_lengths)), stock.layers - 1
    same(
        rnnviz.sensitivity_norms(own, batch=batch).values,
        rnnviz.sensitivity_norms(stock, batch=batch).values,
    )
    for direction in ("forward", "backward")[: stock.directions]:
        given: dict[str, Any] = {"layer": last, "direction": direction, "batch": batch}
        same(rnnviz.jacobians(own, **given), rnnviz.jacobians(stock, **given))
        for dtype in ("float64", "float32", "float16", "bfloat16"):
            a, b = (rnnviz.plain_pass(t, dtype=dtype, **given) for t in (own, stock))
            near = {"float64": 1e-7, "float32": 1e-4}.get(dtype, 0)
            same(a.log10_norms, b.log10_norms, near)


@pytest.mark.parametrize("form", ["lstm", "gru", "tanh"])
def test_holds(form: str):
    case = EndCase(form)
    hold = {"hidden_state": rnnviz.Hold(0.25, units=[1], start=1, stop=4, layer=1)}
    if form == "lstm":
        hold["forget_gate"] = rnnviz.Hold(0.5, units=[3])  # a unit that only one layer has
    own, stock = both(case, hold=hold)
    for name in stock:
        same(own.array(name), stock.array(name))
    a, b = rnnviz.gradient_norms(own), rnnviz.gradient_norms(stock)
    for name in b:
        same(a[name].values, b[name].values, 1e-7)


def test_a_further_gate_has_the_units_of_its_layer():
    own, _ = both(EndCase("gru"))
    part = TracePart(own, 1, batch=0)
    h, before = part.in_order("hidden_state"), part.before("hidden_state")
    same(part.in_order("change"), h - before)


@pytest.mark.parametrize("own", [False, True])
def test_a_trace_whose_initial_state_fits_no_layer_is_refused(own: bool):
    trace = both(EndCase("gru", mask="none"))[0 if own else 1]
    initial = {name: trace.initial_array(name).copy() for name in map(str, trace.initial_state)}
    initial["hidden_state"][1] = np.nan
    with pytest.raises(rnnviz.RnnvizError) as caught:
        replace(trace, _initial=initial)
    assert str(caught.value) == (
        "initial_hidden_state in the trace has shape (4, 0); expected (4, 4) to fit the cell and "
        "the other arrays. Trace the module again, or load an unchanged file."
    )


class Started(ElmanCell):
    """A learnt initial state."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.start = nn.Parameter(torch.randn(hidden_size))

    def step(self, x: Tensor, state: Tensor, held: HeldStep = as_computed) -> tuple[Tensor, Gates]:
        return super().step(x, state, held)

    def initial_state(self, x: Tensor) -> Tensor:
        return self.start.expand(len(x), -1)


def test_a_learnt_initial_state_where_everything_is_masked():
    cells = [[Started(2, 3)], [Started(3, 2)]]
    module = rnnviz.Recurrent(cells).double()
    x = torch.randn(4, 2, 2).double()
    mask = torch.tensor([[True, False]]).expand(4, 2)
    trace = rnnviz.trace(module, x, mask=mask, loss=lambda _, h: (h[0] ** 2).sum() + h[1].sum())
    read = module(x[:, :1])[1]
    starts = [cells[0][0].start, cells[1][0].start]
    loss = (read[0] ** 2).sum() + read[1].sum() + (starts[0] ** 2).sum() + starts[1].sum()
    loss.backward()
    found = rnnviz.parameter_gradients(trace)
    for layer in range(2):
        for name, parameter in cells[layer][0].named_parameters():
            same(found[f"{name}_l{layer}"], parameter.grad)
    same(trace.loss, loss.item())


@pytest.mark.parametrize("name", ["layers", "directions", "cells", "one cell", "reset before"])
def test_tied_weights(name: str):
    """Masked, with a loss of the final state, against autograd over the steps read alone."""
    module, x = MODULES[name](), torch.randn(5, 1, 3).double()
    read = torch.tensor([True, False, True, True, False])

    def loss(y: Tensor, state: Any) -> Tensor:
        parts = state if isinstance(state, tuple) else (state,)
        return sum((part**2).sum() for part in parts) + y[2].sum()  # pyright: ignore[reportReturnType]  # there is a part

    trace = rnnviz.trace(module, x, mask=read[:, None], loss=loss)
    y, state = module(x[read])
    everywhere = torch.zeros(5, *y.shape[1:]).double()
    everywhere[read] = y
    loss(everywhere, state).backward()
    found = rnnviz.parameter_gradients(trace)
    by_torch = {n: p.grad for n, p in module.named_parameters(remove_duplicate=False)}
    if isinstance(module, rnnviz.Recurrent):
        by_torch = {
            f"{n.split('.')[-1]}_l{n.split('.')[1]}": d for n, d in by_torch.items()
        }  # layers.0.0.weight_ih
    for key, gradient in by_torch.items():
        assert gradient is not None
        same(found[key], gradient.numpy())
    total = rnnviz.weight_gradient_norms(trace)["total"].values[0, 0]
    same(total, by_torch["weight_hh_l0"].norm().item())  # pyright: ignore[reportOptionalMemberAccess]  # checked above


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("form", ["lstm", "reset before"])
def test_plain_passes_in_half_precision(form: str, dtype: Any):
    trace = EndCase(form, mask="wholly").trace()
    exact = rnnviz.gradient_norms(trace)["hidden_state"]
    for batch in np.flatnonzero(trace.valid_lengths):
        for layer, direction in ((0, "forward"), (0, "backward"), (1, "backward")):
            part = {"layer": layer, "direction": direction, "batch": batch}
            found = rnnviz.plain_pass(trace, dtype=dtype, **part)  # pyright: ignore[reportArgumentType]  # mixed keywords
            same(found.log10_norms, exact.sel(part).values, 8 * torch.finfo(TYPES[dtype]).eps)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("form", ["lstm", "gru"])
def test_modules_in_half_precision(form: str, dtype: str):
    case, eps = EndCase(form), torch.finfo(TYPES[dtype]).eps
    half = copy.deepcopy(case.module).to(TYPES[dtype])
    x = case.x.detach().to(TYPES[dtype])
    found = rnnviz.trace(half, x, mask=case.read, loss="final")
    exact = rnnviz.trace(half.double(), x.double(), mask=case.read, loss="final")
    ends = found.final_state if form == "lstm" else (found.final_state,)
    assert {row.dtype for part in ends for row in part} == {TYPES[dtype]}
    assert found.widths == exact.widths
    for name in ("hidden_state", "grad_hidden_state", "grad_input"):
        same(found.array(name), exact.array(name), 64 * eps)
