"""Cells of one's own: everything that takes a trace follows their own step, or says why not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.nn.utils import parametrizations

import rnnviz
from rnnviz import Hold, RnnvizError
from rnnviz.cells import ElmanCell, GRUCell, HeldStep, LSTMCell, as_computed
from rnnviz.explain.equations import equations
from rnnviz.explain.terms import gate_terms
from rnnviz.gradients import plain_pass, weight_gradient_norms
from rnnviz.recurrent import read_module
from rnnviz.torch_names import parameter_suffix
from tests.own_cells import (
    CELLS,
    Half,
    HardGRU,
    MinGRU,
    NormedLSTM,
    Residual,
    derivatives,
    jacobian_by_hand,
    network,
    run_by_hand,
)

D: dict[str, Any] = {"dtype": torch.float64}


def half(steps: int) -> rnnviz.Trace:
    cell = Half(1, 1, "identity", bias=False).double()
    for p in cell.parameters():
        nn.init.ones_(p)
    return rnnviz.trace(cell, torch.ones(steps, 1, **D), loss="last")


def assert_close(name: str, found: Any, expected: Any, tolerance: float = 1e-12) -> None:
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    assert found.shape == expected.shape, (name, found.shape, expected.shape)
    scale = max(1.0, float(np.nanmax(np.abs(expected), initial=0)))
    assert np.array_equal(np.isnan(found), np.isnan(expected)), name
    far = np.nanmax(np.abs(found - expected), initial=0) / scale
    assert far < tolerance, f"{name}: {far:.1e}"


def test_half_a_step_halves_the_gradient():
    assert rnnviz.jacobians(half(3)).ravel().tolist() == [0.5, 0.5, 0.5]
    trace = half(800)
    # 0.5^799, far outside what a float32 shows and still in float64's range
    norms = rnnviz.gradient_norms(trace)["hidden_state"].values.ravel()
    assert abs(norms[0] - 799 * np.log10(0.5)) < 1e-10
    assert round(norms[0], 3) == -240.523
    found = rnnviz.diagnose(trace)
    assert (found.verdict, round(found.half_life, 12)) == ("vanishing", 1.0)
    assert rnnviz.remembered_steps(trace) == 7
    assert_close("J", rnnviz.backward_norms(rnnviz.jacobians(trace))[0], 800 * np.log10(0.5), 1e-9)
    assert_close("λ", rnnviz.lyapunov_exponents(rnnviz.jacobians(trace)), [np.log(0.5)])
    assert plain_pass(trace).lost == rnnviz.gradients.Lost(time=649, shows="0")  # 2^−150
    far = rnnviz.gradient_norms(half(3000))["hidden_state"].values.ravel()[0]
    assert abs(far - 2999 * np.log10(0.5)) < 1e-9  # 1e-903
    # ∂L/∂u = Σ 0.5^(T−t) h_{t−1}, h_t = 1 − 2^−t
    h, u = 1 - 0.5 ** np.arange(801), 0.0
    for t in range(1, 801):
        u += 0.5 * 0.5 ** (800 - t) * h[t - 1]
    assert_close("∂L/∂U", rnnviz.parameter_gradients(trace)["weight_hh_l0"].item(), u)


def hold_of(trace: rnnviz.Trace) -> Any:
    """The values held in a trace, as a step takes them."""
    if not trace.held:
        return None

    def at(layer: int, direction: int, time: int) -> Any:
        rows = {n: torch.tensor(v[layer, direction, time]) for n, v in trace.held.items()}

        def held(name: str, value: Tensor) -> Tensor:
            row = rows.get(name)
            return value if row is None else torch.where(row.isnan(), value, row)

        return held

    return at


def check_all(module: Any, x: Tensor, lengths: list[int], hold: Any = None) -> rnnviz.Trace:
    """Every array, gradient, Jacobian and sensitivity against autograd through a loop by hand."""
    padded = None if min(lengths) == len(x) else lengths
    weights = torch.linspace(0.5, 1.5, module_width(module), **D)

    def loss(y: Tensor) -> Tensor:
        return (y * weights).square().sum() + y.sum()

    trace = rnnviz.trace(module, x, lengths=padded, loss=loss, hold=hold)
    for_step = hold_of(trace)
    by_hand = run_by_hand(module.eval(), x, lengths, for_step)
    value = loss(by_hand.output)
    assert trace.loss is not None
    assert abs(trace.loss - value.item()) < 1e-12 * max(1, abs(value.item()))
    norms = rnnviz.gradient_norms(trace)
    for name in trace.differentiated:
        expected = derivatives(by_hand, value, name)
        assert_close(name, trace[f"grad_{name}"].values, expected)
        with np.errstate(divide="ignore"):
            logs = np.log10(np.linalg.norm(expected, axis=-1))
        assert_close(name, np.maximum(norms[name].values, -99), np.maximum(logs, -99), 1e-10)
    check_parameters(module, trace, value)
    check_jacobians(module, trace, lengths, for_step)
    check_sensitivities(trace, by_hand, lengths)
    return trace


def module_width(module: Any) -> int:
    network = read_module(module)
    return network.directions * network.output_size


def check_parameters(module: Any, trace: rnnviz.Trace, value: Tensor) -> None:
    cells = module.cells if isinstance(module, rnnviz.Recurrent) else [[module]]
    named = {
        name + parameter_suffix(n, d): p
        for n, layer in enumerate(cells)
        for d, cell in enumerate(layer)
        for name, p in cell.named_parameters()
    }
    assert set(trace.parameters) == set(named)
    assert rnnviz.count_parameters(module) == sum(p.numel() for p in named.values())
    expected = torch.autograd.grad(
        value, list(named.values()), retain_graph=True, allow_unused=True, materialize_grads=True
    )
    found = rnnviz.parameter_gradients(trace)
    for name, d in zip(named, expected, strict=True):
        assert np.array_equal(trace.parameters[name], named[name].detach().numpy())
        assert_close(name, found[name], d.numpy())


def check_jacobians(module: Any, trace: rnnviz.Trace, lengths: list[int], for_step: Any) -> None:
    cells = module.cells if isinstance(module, rnnviz.Recurrent) else [[module]]
    names = trace.form.states
    b = len(lengths) - 1
    for n, d in np.ndindex(trace.layers, trace.directions):
        direction = ("forward", "backward")[d]
        found = rnnviz.jacobians(trace, layer=n, direction=direction, batch=b)
        below = trace.array("input")[:, b]
        if n:
            below = np.concatenate(list(trace.array("hidden_state")[n - 1, :, :, b]), -1)
        before = [torch.tensor(trace.initial_array(name)[n, d, b]) for name in names]
        times = range(lengths[b]) if d == 0 else reversed(range(lengths[b]))
        for place, t in enumerate(times):
            held = None if for_step is None else for_step(n, d, t)
            x = torch.tensor(below[t])
            expected = jacobian_by_hand(cells[n][d], x, before, held)
            assert_close(f"J {n} {d} {t}", found[place], expected)
            before = [torch.tensor(trace.array(name)[n, d, t, b]) for name in names]


def check_sensitivities(trace: rnnviz.Trace, by_hand: Any, lengths: list[int]) -> None:
    last, b = trace.layers - 1, len(lengths) - 1
    found = 10 ** rnnviz.sensitivity_norms(trace, batch=b).values
    for t in range(lengths[b]):
        h = torch.cat([by_hand.states[last, d, t, b][0] for d in range(trace.directions)], -1)
        rows = [torch.autograd.grad(y, by_hand.x, retain_graph=True)[0][:, b] for y in h[0]]
        norms = torch.stack(rows).square().sum((0, 2)).sqrt()[: lengths[b]]
        assert_close(f"sensitivity {t}", found[t, : lengths[b]], norms.numpy())


@pytest.mark.parametrize(("layers", "directions"), [(1, 1), (2, 2)])
@pytest.mark.parametrize("kind", CELLS)
def test_everything_is_autograds(kind: str, layers: int, directions: int):
    module = network(kind, 2, 3, layers, directions)
    check_all(module, torch.randn(5, 2, 2, **D), [5, 5])
    check_all(module, torch.randn(5, 3, 2, **D), [5, 2, 3])


@pytest.mark.parametrize(
    ("kind", "hold"),
    [
        ("hard gru", {"update_gate": 0.7, "hidden_state": Hold(0.2, units=[1], start=2)}),
        ("hard gru", {"reset_gate": Hold(0.0, start=1)}),
        ("soft peephole", {"forget_gate": Hold(1.0, units=[0, 2]), "cell_state": Hold(0.5, [1])}),
        ("normed lstm", {"forget_gate": 0.25}),
        ("half", {"hidden_state": Hold(1.0, units=[0], start=1)}),
    ],
)
def test_held_values_act_in_ones_own_cell(kind: str, hold: Any):
    for layers, directions in ((1, 1), (2, 2)):
        module = network(kind, 2, 3, layers, directions)
        check_all(module, torch.randn(4, 2, 2, **D), [4, 3], hold)


@pytest.mark.slow
@given(data=st.data())
@settings(max_examples=25)
def test_random_cells_of_ones_own(data: st.DataObject):
    torch.manual_seed(data.draw(st.integers(0, 10_000)))
    draw = data.draw
    module = network(
        draw(st.sampled_from(sorted(CELLS))),
        draw(st.integers(1, 3)),
        draw(st.integers(1, 4)),
        draw(st.integers(1, 2)),
        draw(st.integers(1, 2)),
    )
    steps, batch = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    lengths = [draw(st.integers(1, steps)) for _ in range(batch - 1)] + [steps]
    features = read_module(module).input_size
    check_all(module.train(draw(st.booleans())), torch.randn(steps, batch, features, **D), lengths)


@pytest.mark.parametrize("kind", [k for k in CELLS if k != "min gru"])
def test_contributions_are_each_steps_own_part(kind: str):
    """δ_t through one step alone to weight_hh, by autograd of that step."""
    module = network(kind, 2, 3, 1, 1)
    x = torch.randn(4, 2, 2, **D)
    trace = rnnviz.trace(module, x, lengths=[4, 3], loss="all")
    found = weight_gradient_norms(trace)
    parameters = rnnviz.parameter_gradients(trace)
    assert_close("total", found["total"].item(), np.linalg.norm(parameters["weight_hh_l0"]))
    weight = module.get_parameter("weight_hh")
    for b, length in enumerate([4, 3]):
        by_hand = run_by_hand(module, x, [4, 3])
        value = by_hand.output.sum()
        parts: list[float] = []
        for t in range(length):
            # only this step's own weights: all others are copies
            states = by_hand.states[0, 0, t, b]
            upstream = total_without_path(value, states)
            before = by_hand.states[0, 0, t - 1, b] if t else by_hand.starts[0, 0, b]
            given = [s.detach() for s in before]
            state, _ = module.step(x[t, b : b + 1], given[0] if len(given) == 1 else tuple(given))
            after = list(state) if isinstance(state, tuple) else [state]
            (d,) = torch.autograd.grad(after, weight, upstream)
            parts.append(d.norm().item())
        values = found["contribution"].values[0, 0, :length, b]
        assert_close(f"{kind} {b}", values, parts)
    assert np.isnan(found["contribution"].values[0, 0, 3, 1])


def total_without_path(value: Tensor, states: list[Tensor]) -> list[Tensor]:
    """δh_t, and δc_t without the path through h_t."""
    found = list(torch.autograd.grad(value, states, retain_graph=True))
    if len(states) == 2:
        (path,) = torch.autograd.grad(states[0], states[1], found[0], retain_graph=True)
        found[1] = found[1] - path
    return found


@pytest.mark.parametrize("kind", CELLS)
def test_the_gradient_beyond_the_range_scales_with_the_loss(kind: str):
    module = network(kind, 2, 3, 2, 2)
    x = torch.randn(4, 2, 2, **D)
    expected = rnnviz.gradient_norms(rnnviz.trace(module, x, lengths=[4, 3], loss="all"))
    usual = rnnviz.parameter_gradients(rnnviz.trace(module, x, lengths=[4, 3], loss="all"))
    for decades in (-250, 250):
        by = 10.0**decades
        trace = rnnviz.trace(module, x, lengths=[4, 3], loss=lambda y, by=by: by * y.sum())
        found = rnnviz.gradient_norms(trace)
        for name in map(str, expected):
            shifted = expected[name].values + decades
            alive = ~np.isneginf(shifted)
            assert np.array_equal(alive, ~np.isneginf(found[name].values))
            assert_close(name, found[name].values[alive], shifted[alive], 1e-11)
        for name, d in rnnviz.parameter_gradients(trace).items():
            assert_close(name, d / by, usual[name], 1e-11)


def test_the_plain_pass_is_autograds_in_float32():
    module = network("normed lstm", 2, 3, 1, 1)
    x = torch.randn(60, 1, 2, **D)
    trace = rnnviz.trace(module, x, loss="last")
    single = rnnviz.trace(module.float(), x.float(), loss="last")
    by_hand = run_by_hand(module.float(), x.float(), [60])
    expected = derivatives(by_hand, by_hand.output[-1].sum(), "hidden_state")[0, 0, :, 0]
    found = plain_pass(single, dtype="float32").log10_norms
    assert_close("float32", found, np.log10(np.linalg.norm(expected, axis=-1)), 1e-4)
    double = plain_pass(trace, dtype="float64").log10_norms
    norms = rnnviz.gradient_norms(trace)["hidden_state"].values[0, 0, :, 0]
    assert_close("float64", double, norms, 1e-11)


def test_a_stack_may_have_cells_of_ones_own_beside_the_projects():
    cells = [[GRUCell(2, 3)], [HardGRU(3, 3)]]
    check_all(rnnviz.Recurrent(cells).double(), torch.randn(4, 2, 2, **D), [4, 4])


def test_a_class_imported_twice_fits_beside_itself():
    again = type("Half", Half.__bases__, dict(vars(Half)))
    cells = [[Half(2, 3, "identity")], [again(3, 3, "identity")]]
    check_all(rnnviz.Recurrent(cells).double(), torch.randn(4, 2, 2, **D), [4, 4])


def test_parametrised_weights_are_the_forms_own_equations():
    cell = parametrizations.weight_norm(LSTMCell(2, 3).double(), "weight_hh")
    assert not read_module(cell).has_own_step
    x = torch.randn(5, 2, 2, **D)
    stock = LSTMCell(2, 3).double()
    with torch.no_grad():
        for name, p in stock.named_parameters():
            p.copy_(getattr(cell, name))
    trace, plain = (rnnviz.trace(c, x, loss="all") for c in (cell, stock))
    assert not trace.own_step
    for name in trace:
        assert np.array_equal(trace.array(name), plain.array(name), equal_nan=True), name
    assert np.array_equal(rnnviz.jacobians(trace), rnnviz.jacobians(plain))


def test_a_parametrised_cell_of_ones_own_and_one_in_train_mode_with_dropout():
    class Dropped(NormedLSTM):
        def __init__(self) -> None:
            super().__init__(2, 3)
            self.drop = nn.Dropout(0.5)

        def step(self, x: Tensor, state: Any, held: HeldStep = as_computed) -> Any:
            return super().step(self.drop(x), state, held)

    cell = parametrizations.weight_norm(Dropped().double(), "weight_hh")
    assert cell.training
    x = torch.randn(4, 1, 2, **D)
    trace = rnnviz.trace(cell, x, loss="all")
    assert cell.training
    by_hand = run_by_hand(cell.eval(), x, [4])
    expected = derivatives(by_hand, by_hand.output.sum(), "hidden_state")
    assert_close("grad", trace["grad_hidden_state"].values, expected)
    assert {"norm.weight_l0", "weight_hh_l0"} <= set(rnnviz.parameter_gradients(trace))


def test_inference_mode_does_not_matter():
    module, x = network("normed lstm", 2, 3, 2, 2), torch.randn(4, 2, 2, **D)
    trace = rnnviz.trace(module, x, loss="all")
    expected = rnnviz.jacobians(trace, layer=1), rnnviz.sensitivity_norms(trace).values
    with torch.inference_mode():
        within = rnnviz.trace(module, x, loss="all")
        assert within == trace
        assert np.array_equal(rnnviz.jacobians(within, layer=1), expected[0])
        assert np.array_equal(rnnviz.sensitivity_norms(within).values, expected[1])
        found = rnnviz.parameter_gradients(within)
        assert plain_pass(within).wrong_from is None
        totals = weight_gradient_norms(within)["total"].values
    for name, d in rnnviz.parameter_gradients(trace).items():
        assert np.array_equal(found[name], d)
    assert np.array_equal(totals, weight_gradient_norms(trace)["total"].values)


def test_a_cell_whose_weights_depend_on_its_mode_is_left_as_it_was():
    """spectral_norm moves its vectors at each use in train mode; a trace is in eval mode."""

    class Inner(ElmanCell):
        def __init__(self) -> None:
            super().__init__(2, 3)
            self.out = parametrizations.spectral_norm(nn.Linear(3, 3))

        def step(self, x: Tensor, state: Tensor, held: HeldStep = as_computed) -> Any:
            h, gates = super().step(x, state, held)
            return self.out(h), gates

    cell = Inner().double()
    before = {name: value.clone() for name, value in cell.state_dict().items()}
    x = torch.randn(3, 1, 2, **D)
    trace = rnnviz.trace(cell, x, loss="all")
    for name, value in cell.state_dict().items():
        assert torch.equal(value, before[name]), name
    by_hand = run_by_hand(cell.eval(), x, [3])
    expected = derivatives(by_hand, by_hand.output.sum(), "hidden_preactivation")
    assert_close("grad", trace["grad_hidden_preactivation"].values, expected)
    assert rnnviz.parameter_gradients(trace)["out.weight_l0"].shape == (3, 3)
    assert cell.out.weight.shape == (3, 3)


def refusal(call: Any) -> str:
    with pytest.raises(RnnvizError) as caught:
        call()
    assert caught.value.message("ko")
    return str(caught.value)


@pytest.mark.parametrize("ending", [".nc", ".npz"])
@pytest.mark.parametrize("kind", CELLS)
def test_a_saved_trace_keeps_what_was_recorded_and_refuses_the_rest(
    kind: str, ending: str, tmp_path: Path
):
    trace = rnnviz.trace(network(kind, 2, 3, 2, 1), torch.randn(4, 2, 2, **D), loss="all")
    trace.save(tmp_path / f"trace{ending}")
    loaded = rnnviz.load_trace(tmp_path / f"trace{ending}")
    assert loaded == trace
    assert loaded.own_step
    for name, norms in rnnviz.gradient_norms(trace).items():
        assert np.array_equal(rnnviz.gradient_norms(loaded)[name].values, norms.values)
    assert rnnviz.diagnose(loaded).verdict == rnnviz.diagnose(trace).verdict
    text = (
        "Recurrent has a step of its own, which neither a file nor a pickle of the trace contains, "
        "and this needs it. Trace the cell again; the recorded arrays and gradients are as they "
        "were."
    )
    for function in (
        rnnviz.jacobians,
        rnnviz.JacobianBlocks,
        rnnviz.parameter_gradients,
        rnnviz.weight_gradient_norms,
        rnnviz.sensitivity_norms,
        plain_pass,
    ):
        assert refusal(lambda function=function: function(loaded)) == text


def test_what_needs_known_equations_is_refused():
    lstm = rnnviz.trace(NormedLSTM(2, 3), torch.randn(4, 2), loss="all")
    text = (
        "NormedLSTM has a step of its own, and split_cell_gradient needs the equations of an RNN, "
        "LSTM or GRU, which this step need not follow. Trace a cell of torch.nn or rnnviz.cells, "
        "or use what follows the step: jacobians, gradient_norms, parameter_gradients, "
        "sensitivity_norms."
    )
    assert refusal(lambda: rnnviz.split_cell_gradient(lstm)) == text
    half_of = half(3)
    for function in (rnnviz.pascanu_bound, lambda t: equations(t, 0, 0)):
        assert "has a step of its own" in refusal(lambda f=function: f(half_of))
    terms = gate_terms(half_of, "hidden", 0, 2)
    assert (terms.total, terms.preactivation, terms.value) == (1.75, 1.75, 0.875)
    assert refusal(lambda: gate_terms(lstm, "forget_gate", 0, 1)).startswith(
        'The terms of "forget_gate" are not W x + U h + b in NormedLSTM: they sum to '
    )
    mins = rnnviz.trace(MinGRU(2, 3), torch.randn(4, 2), loss="all")
    assert refusal(lambda: rnnviz.recurrent_spectra(mins)) == (
        "MinGRU has a step of its own, and its weight_hh has shape None; expected (9, 3), the "
        "recurrent weights of every gate, for what is shown here. Use jacobians, which follow the "
        "step."
    )
    assert refusal(lambda: rnnviz.weight_gradient_norms(mins)) == (
        "MinGRU has no parameter weight_hh, whose gradient this splits into time steps. Use "
        "parameter_gradients, which gives the gradient of every parameter of the cell."
    )


def test_a_hold_that_a_step_does_not_take_is_refused():
    x = torch.randn(4, 2)
    assert refusal(lambda: rnnviz.trace(Residual(2, 3), x, hold={"hidden_state": 0.5})) == (
        "The step of Residual takes no argument held, so nothing in it can be held. Let step "
        "take held and use held(name, value) in place of each gate or state that can be held, or "
        "trace without hold."
    )

    class Deaf(GRUCell):
        def step(self, x: Tensor, state: Tensor, held: Any = None) -> Any:
            return super().step(x, state)

    for name in ("update_gate", "hidden_state"):
        assert refusal(lambda name=name: rnnviz.trace(Deaf(2, 3), x, hold={name: 0.5})) == (
            f'The step of Deaf did not use the value that "{name}" is held at: the value is not in '
            f'what it returned under that name. Pass the gate or state through held("{name}", '
            "value) in the step and return the result, or do not hold it."
        )


def test_gates_of_other_names_are_recorded_and_drawn():
    trace = rnnviz.trace(MinGRU(2, 3), torch.randn(4, 2), loss="all")
    assert trace.gates == ("mix", "new")
    assert trace.preactivations == ("mix_preactivation",)
    figure = rnnviz.plot_gates(trace)
    assert [heatmap.name for heatmap in figure.data] == ["mix", "new"]
    assert np.array_equal(figure.data[0].z, trace.array("mix")[0, 0, :, 0].T)
    assert (figure.data[0].zmin, figure.data[0].zmax) == (0.0, 1.0)
    assert list(rnnviz.diagnose(trace).saturated) == ["mix"]
    drawn = [h.name for h in rnnviz.plot_comparison({"a": trace}).data]
    assert drawn == ["a: hidden state h"]
    assert len(rnnviz.plot_states(trace).data) == 1
    assert rnnviz.plot_saturation(trace).data[0].z.shape == (1, 3)
    residual = rnnviz.trace(Residual(2, 3), torch.randn(4, 2), loss="all")
    assert residual.array("share").shape == (1, 1, 4, 1, 3)
    assert rnnviz.diagnose(residual).saturated == {}


def test_saturation_of_ones_own_gates_follows_what_they_are():
    cell = HardGRU(2, 3).double()
    with torch.no_grad():
        for p in cell.parameters():
            p.mul_(8)
    trace = rnnviz.trace(cell, torch.randn(20, 2, **D), loss="all")
    found = rnnviz.diagnose(trace).saturated
    assert set(found) == {"reset_gate", "update_gate", "hidden_candidate"}
    for gate in ("reset_gate", "update_gate"):
        y = trace.array(gate)[0, 0, :, 0]
        assert np.array_equal(found[gate], ((y == 0) | (y == 1)).mean(0))
        assert found[gate].any()


class Mixing(ElmanCell):
    """A step that mixes the sequences of the batch."""

    def step(self, x: Tensor, state: Tensor, held: Any = None) -> Any:
        a = linear(x, self.weight_ih) + linear(state, self.weight_hh)
        a = a - a.mean(0) / 2
        return a.tanh(), {"hidden_preactivation": a}


def test_a_step_that_mixes_sequences_has_gradients_but_no_jacobian_of_one():
    cell, x = Mixing(2, 3, bias=False).double(), torch.randn(4, 2, 2, **D)
    trace = rnnviz.trace(cell, x, loss="all")
    state = [torch.zeros(2, 3, **D)]
    for x_t in x:
        state.append(cell.step(x_t, state[-1])[0])
    loss = sum(h.sum() for h in state[1:])
    assert isinstance(loss, Tensor)
    expected = torch.stack(list(torch.autograd.grad(loss, state[1:], retain_graph=True)))
    assert_close("grad", trace["grad_hidden_state"].values[0, 0], expected.numpy())
    for name, p in cell.named_parameters():
        (d,) = torch.autograd.grad(loss, p, retain_graph=True)
        assert_close(name, rnnviz.parameter_gradients(trace)[f"{name}_l0"], d.numpy())
    assert refusal(lambda: rnnviz.jacobians(trace)) == (
        "The step of Mixing mixes the 2 sequences of the batch, so that no sequence has a Jacobian "
        "of its own. Trace one sequence at a time."
    )
    alone = rnnviz.trace(cell, x[:, 0], loss="all")
    before = torch.tensor(alone.array("hidden_state")[0, 0, 1, 0])
    expected = jacobian_by_hand(cell, x[2, 0], [before], None)
    assert_close("J", rnnviz.jacobians(alone)[2], expected)


def test_steps_that_cannot_be_followed_are_refused_by_name():
    class Bare(ElmanCell):
        def step(self, x: Tensor, state: Tensor, held: Any = None) -> Any:
            return super().step(x, state)[0]

    class Blind(ElmanCell):
        def step(self, x: Tensor, state: Tensor, held: Any = None) -> Any:
            with torch.no_grad():
                return super().step(x, state)

    class Single(ElmanCell):
        def step(self, x: Tensor, state: Tensor, held: Any = None) -> Any:
            h, gates = super().step(x, state)
            return h @ torch.eye(3), gates

    class Taken(ElmanCell):
        def step(self, x: Tensor, state: Tensor, held: Any = None) -> Any:
            h, gates = super().step(x, state)
            return h, {**gates, "grad_me": h}

    x = torch.randn(4, 2)
    assert refusal(lambda: rnnviz.trace(Bare(2, 3), x)).startswith(
        "The step of Bare returned something else than (state, gates); expected a state of shape "
        "(1, 3), for an LSTM the pair (h, c), and a dict of gates by name."
    )
    assert refusal(lambda: rnnviz.trace(Blind(2, 3), x, loss="last")).startswith(
        "Autograd does not see what the step of Blind computes"
    )
    assert refusal(lambda: rnnviz.trace(Single(2, 3), x, loss="last")).startswith(
        "The step of Single fails in float64: "
    )
    assert "grad_me" in refusal(lambda: rnnviz.trace(Taken(2, 3), x))
    cells = [[HardGRU(2, 3)], [MinGRU(3, 3)]]
    assert refusal(lambda: rnnviz.trace(rnnviz.Recurrent(cells), x)).startswith(
        "The layers and directions do not record the same gates: hidden_candidate (3, 0), "
        "hidden_candidate_preactivation (3, 0), mix (0, 3), mix_preactivation (0, 3), new (0, 3), "
    )


def test_large_cells_go_back_step_by_step():
    """Too many states for all Jacobians: one backward call per step, with the same result."""
    module = network("soft peephole", 2, 24, 1, 1)
    x = torch.randn(5, 3, 2, **D)
    small = rnnviz.engine.step_gradients.BY_JACOBIANS_UP_TO
    expected = rnnviz.trace(module, x, loss="all")
    try:
        rnnviz.engine.step_gradients.BY_JACOBIANS_UP_TO = 0
        found = rnnviz.trace(module, x, loss="all")
    finally:
        rnnviz.engine.step_gradients.BY_JACOBIANS_UP_TO = small
    for name in found:
        assert_close(name, found[name].values, expected[name].values)
