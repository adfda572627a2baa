"""Gates of a cell's own names held at a value, against the same steps by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import linear

import rnnviz
from rnnviz import Hold
from rnnviz.cells import ElmanCell, GRUCell, HeldStep, as_computed
from tests.own_cells import MinGRU, Residual
from tests.test_own_cells import check_all, refusal

D: dict[str, Any] = {"dtype": torch.float64}


class AskingMinGRU(MinGRU):
    """MinGRU whose gates can be held."""

    def step(self, x: Tensor, state: Tensor, held: HeldStep = as_computed) -> Any:
        a = self.to_z(x)
        mix, new = held("mix", a.sigmoid()), held("new", self.to_n(x))
        h = held("hidden_state", (1 - mix) * state + mix * new)
        return h, {"mix": mix, "new": new, "mix_preactivation": a}


class OneGate(ElmanCell):
    """One gate for all units."""

    def step(self, x: Any, state: Any, held: HeldStep = as_computed) -> Any:
        keep = held("keep", linear(x, self.weight_ih).mean(-1, keepdim=True).sigmoid())
        a = linear(x, self.weight_ih) + linear(state, self.weight_hh)
        return keep * state + (1 - keep) * a.tanh(), {"keep": keep, "hidden_preactivation": a}


def network(*widths: int, directions: int = 1) -> rnnviz.Recurrent:
    below, cells = 2, list[list[Any]]()
    for width in widths:
        cells.append([AskingMinGRU(below, width) for _ in range(directions)])
        below = width * directions
    return rnnviz.Recurrent(cells).double()


@pytest.mark.parametrize(("widths", "directions"), [((3,), 1), ((3, 3), 2)])
def test_gates_of_other_names_are_held(widths: tuple[int, ...], directions: int):
    module = network(*widths, directions=directions)
    hold = {
        "mix": [Hold(0.75, units=[1], start=1, stop=3), Hold(-2.0, [0], layer=0)],
        "new": Hold(1.5, start=2),
        "hidden_state": Hold(0.5, [0], start=3),
    }
    trace = check_all(module, torch.randn(4, 2, 2, **D), [4, 3], hold)
    mix = trace.held["mix"]
    assert mix.shape == (len(widths), directions, 4, max(widths))
    expected = np.full(mix.shape, np.nan)
    expected[:, :, 1:3, 1] = 0.75
    expected[0, ..., 0] = -2.0  # no activation is known, so any number can be held
    assert np.array_equal(mix, expected, equal_nan=True)
    for name in ("mix", "new"):
        fixed = np.broadcast_to(trace.held[name][:, :, :, None], trace.array(name).shape)
        valid = ~np.isnan(fixed) & ~np.isnan(trace.array(name))
        assert valid.any()
        assert np.array_equal(trace.array(name)[valid], fixed[valid])


def test_gates_of_layers_of_unequal_width_are_held():
    module = network(2, 4)
    x = torch.randn(4, 1, 2, **D, requires_grad=True)
    hold = {"mix": Hold(0.75, start=1, stop=3), "new": Hold(1.5, units=[3])}
    trace = rnnviz.trace(module, x.detach(), loss="all", hold=hold)
    below = list(x)
    cells: list[Any] = [layer[0] for layer in module.cells]
    for cell in cells:
        state, outputs = cell.initial_state(below[0]), list[Tensor]()
        for t, x_t in enumerate(below):
            mix, new = cell.to_z(x_t).sigmoid(), cell.to_n(x_t)
            mix = torch.full_like(mix, 0.75) if 1 <= t < 3 else mix
            if new.shape[-1] == 4:  # the first layer has no unit 3
                new = torch.cat((new[:, :3], torch.full_like(new[:, 3:], 1.5)), -1)
            state = (1 - mix) * state + mix * new
            outputs.append(state)
        below = outputs
    loss = torch.cat(below).sum()
    loss.backward()
    assert x.grad is not None
    assert trace.loss is not None
    assert abs(trace.loss - loss.item()) < 1e-14
    assert np.abs(trace.array("grad_input") - x.grad.numpy()).max() < 1e-14
    found = rnnviz.parameter_gradients(trace)
    for n, cell in enumerate(cells):
        for name, p in cell.named_parameters():
            assert p.grad is not None
            assert np.abs(found[f"{name}_l{n}"] - p.grad.numpy()).max() < 1e-14, name
    jacobians = rnnviz.jacobians(trace, layer=0)  # ∂h_t/∂h_{t−1} = 1 − mix
    assert jacobians.shape[-2:] == (2, 2)
    assert np.abs(jacobians[1:3] - 0.25 * np.eye(2)).max() < 1e-15


def test_a_held_gate_gives_the_recurrence_by_hand():
    cell = AskingMinGRU(2, 3).double()
    x = torch.randn(5, 2, **D)
    trace = rnnviz.trace(cell, x, loss="last", hold={"mix": 0.25, "new": Hold(2.0, start=3)})
    n = cell.to_n(x).detach().numpy()
    n[3:] = 2.0
    h, states = np.zeros(3), list[Any]()
    for t in range(5):
        h = 0.75 * h + 0.25 * n[t]
        states.append(h)
    assert np.abs(trace.array("hidden_state")[0, 0, :, 0] - states).max() < 1e-15
    d = 0.75 ** np.arange(4, -1, -1.0)  # dL/dh_t
    assert np.abs(trace.array("grad_hidden_state")[0, 0, :, 0] - d[:, None]).max() < 1e-15
    assert np.all(trace.array("grad_mix_preactivation") == 0)
    found = rnnviz.parameter_gradients(trace)
    by_n = 0.25 * (d[:3, None] * x[:3].numpy()).sum(0)  # what is held passes nothing on
    assert np.abs(found["to_n.weight_l0"] - by_n).max() < 1e-15
    assert np.abs(rnnviz.jacobians(trace) - 0.75 * np.eye(3)).max() < 1e-15


def test_a_gate_of_its_own_width_is_held():
    cell = OneGate(2, 3).double()
    x = torch.randn(4, 2, **D)
    trace = rnnviz.trace(cell, x, loss="all", hold={"keep": Hold(0.5, start=1)})
    assert trace.held["keep"].shape == (1, 1, 4, 1)
    assert trace.array("keep").ravel()[1:].tolist() == [0.5] * 3
    state = torch.zeros(1, 3, **D)
    for t in range(4):
        keep = linear(x[t], cell.weight_ih).mean().sigmoid() if t == 0 else 0.5
        a = linear(x[t], cell.weight_ih) + linear(state, cell.weight_hh)
        state = keep * state + (1 - keep) * a.tanh()
    assert np.abs(trace.array("hidden_state")[0, 0, -1] - state.detach().numpy()).max() < 1e-15
    assert refusal(lambda: rnnviz.trace(cell, x, hold={"keep": Hold(0.5, [1])})) == (
        "keep cannot be held at units [1]; units run from 0 to 0. Choose at least one of these."
    )


@pytest.mark.parametrize("ending", ["nc", "npz"])
def test_a_trace_with_a_held_gate_of_another_name_is_read_back_equal(ending: str, tmp_path: Path):
    hold = {"mix": Hold(0.25, units=[1], start=1, stop=3)}
    trace = rnnviz.trace(network(2, 4), torch.randn(4, 2, 2, **D), loss="all", hold=hold)
    path = tmp_path / f"held.{ending}"
    trace.save(path)
    found = rnnviz.load_trace(path)
    assert list(found.held) == ["mix"]
    assert np.array_equal(found.held["mix"], trace.held["mix"], equal_nan=True)
    assert found.to_xarray().identical(trace.to_xarray())


def test_names_that_a_step_does_not_hold_are_refused():
    x = torch.randn(4, 2)
    assert refusal(lambda: rnnviz.trace(MinGRU(2, 3), x, hold={"mix": 0.5})) == (
        'The step of MinGRU did not use the value that "mix" is held at: the value is not in what '
        'it returned under that name. Pass the gate or state through held("mix", value) in the '
        "step and return the result, or do not hold it."
    )
    assert refusal(lambda: rnnviz.trace(AskingMinGRU(2, 3), x, hold={"keep": 0.5})) == (
        'A trace of this cell (gru) cannot hold "keep"; it can hold mix, new, '
        "hidden_state. Choose one of these."
    )
    assert refusal(lambda: rnnviz.trace(AskingMinGRU(2, 3), x, hold={"mix": float("inf")})) == (
        "mix cannot be held at inf; expected a number from −∞ to ∞. Choose such a number."
    )

    mixed = rnnviz.Recurrent([[GRUCell(2, 3)], [AskingMinGRU(3, 3)]])
    assert refusal(lambda: rnnviz.trace(mixed, x, hold={"mix": Hold(0.5, layer=1)})).startswith(
        "The layers and directions do not record the same gates: hidden_candidate (3, 0), "
    )

    class Silent(ElmanCell):
        def step(self, x: Any, state: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]  # takes no held
            h, gates = super().step(x, state)
            return h, {**gates, "change": h - state}

    assert refusal(lambda: rnnviz.trace(Silent(2, 3), x, hold={"change": 0.5})).startswith(
        "The step of Silent takes no argument held, so nothing in it can be held."
    )
    assert "Residual" in refusal(lambda: rnnviz.trace(Residual(2, 3), x, hold={"hidden_state": 1}))
