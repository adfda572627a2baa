"""Masks and layers of unequal width: what is held, drawn, explained, counted, and refused."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import rnnviz
from rnnviz.cells import ElmanCell, GRUCell, HeldStep, LSTMCell, as_computed
from rnnviz.counting import count_by_gate, count_multiply_adds, read_size
from rnnviz.errors import RnnvizError
from rnnviz.explain.keras_outputs import write_keras
from rnnviz.explain.terms import gate_terms
from rnnviz.explain.unit_order import order_units
from rnnviz.recurrent import read_module
from tests import reference
from tests.ends import EndCase
from tests.test_ends import assert_close


def error_of(call: Any) -> RnnvizError:
    with pytest.raises(RnnvizError) as caught:
        call()
    assert caught.value.message("ko") != str(caught.value)
    return caught.value


@pytest.mark.parametrize("form", ["tanh", "lstm", "reset before"])
def test_a_hold_counts_the_steps_of_the_input_and_the_units_of_its_layer(form: str):
    case = EndCase(form, mask="gaps", steps=7, seed=9, loss="last")
    hold = [rnnviz.Hold(0.25, start=3), rnnviz.Hold(0.5, start=5, layer=0, units=[3])]
    trace = case.trace(hold={"hidden_state": hold})
    rows = np.full((2, 2, 7, 4), np.nan)
    rows[:, :, 3:] = 0.25
    rows[0, :, 5:, 3] = 0.5
    held = np.array(rows)
    held[1, ..., 2:] = np.nan  # the second layer has two units
    assert np.array_equal(trace.held["hidden_state"], held, equal_nan=True)
    initial = {name: [h.double() for h in layers] for name, layers in case.initial.items()}
    given = case.form, case.leaves, case.x, initial, case.lengths
    by_layer = _ByLayer([rows[0][None], rows[1][None, ..., :2]])
    written = reference.run(*given, {"hidden_state": by_layer}, case.read)  # pyright: ignore[reportArgumentType]  # indexed by layer, direction and time
    for name, values in reference.arrays(written).items():
        assert_close(name, trace[name].values, values)
    ends = [(np.flatnonzero(column)[-1], b) for b, column in enumerate(case.valid.T)]
    loss = torch.stack([written.output[t, b].sum() for t, b in ends]).sum()
    (by_x,) = torch.autograd.grad(loss, case.x, materialize_grads=True)
    assert_close("grad_input", trace["grad_input"].values[case.valid], by_x.numpy()[case.valid])


class _ByLayer:
    """Held rows of layers of unequal width, indexed as one array of them would be."""

    def __init__(self, layers: list[Any]) -> None:
        self.layers = layers

    def __getitem__(self, place: tuple[int, int, int]) -> Any:
        layer, direction, time = place
        return self.layers[layer][0, direction, time]


@pytest.mark.parametrize("form", ["tanh", "lstm", "gru", "reset before", "coupled peephole"])
def test_terms_add_up_beside_masked_steps(form: str):
    case = EndCase(form, mask="gaps", seed=9)
    trace = case.trace()
    for gate in trace.form.gates:
        for layer, direction in ((0, "backward"), (1, "forward")):
            for t in np.flatnonzero(case.valid[:, 1]):
                own = {"layer": layer, "direction": direction, "batch": 1}
                terms = gate_terms(trace, gate, 1, int(t), **own)
                assert terms.total == pytest.approx(terms.preactivation, abs=1e-13)
    (masked,) = np.flatnonzero(~case.valid[:, 1])[:1]
    error = error_of(lambda: gate_terms(trace, trace.form.gates[0], 0, int(masked), batch=1))
    assert str(error) == (
        f"Time step {masked} of sequence 1 is masked: its gates were not computed. "
        "Choose a step that is read."
    )


def test_units_are_those_of_the_layer():
    trace = EndCase("gru", mask="none").trace()
    assert trace.widths == ((4, 4), (2, 2))
    assert np.isnan(trace["update_gate"].values[1, ..., 2:]).all()
    assert not np.isnan(trace["update_gate"].values[1, ..., :2]).any()
    error = error_of(lambda: gate_terms(trace, "update_gate", 2, 0, layer=1))
    assert str(error) == ("unit 2 is out of range; expected 0 ≤ unit < 2. Choose another number.")
    assert sorted(order_units(trace, "variance", layer=1).units.tolist()) == [0, 1]
    figure: Any = rnnviz.plot_gates(trace, view=rnnviz.View(layer=1))
    assert np.allclose(figure.data[0].z, trace["update_gate"].values[1, 0, :, 0, :2].T, atol=1e-7)


def test_figures_have_gaps_at_masked_steps():
    case = EndCase("lstm", mask="gaps", steps=7, seed=9, loss="last")
    trace, read = case.trace(), case.valid[:, 0]
    assert not read.all()
    figure: Any
    figures: list[Any] = [rnnviz.plot_gates(trace), rnnviz.plot_states(trace)]
    for figure in figures:
        for row in figure.data:
            assert np.array_equal(np.isnan(row.z[0]), ~read)
    end = np.flatnonzero(read)[-1] + 1
    figure = rnnviz.plot_gradient_norms(trace)
    norms = figure.data[0]
    own = rnnviz.gradient_norms(trace)["hidden_state"].values[0, 0, :end, 0]
    assert np.array_equal(np.isnan(np.array(norms.y, float)), np.isnan(own) | np.isinf(own))
    figure = rnnviz.plot_jacobian_norms(trace)
    line = figure.data[0]
    assert list(line.x) == [0, *(np.flatnonzero(read) + 1)]
    assert len(line.y) == read.sum() + 1
    rnnviz.plot_sensitivity({"LSTM": rnnviz.sensitivity_norms(trace)})
    rnnviz.plot_weight_gradients(trace)
    rnnviz.plot_comparison({"LSTM": trace, "again": trace})


def test_keras_code_names_the_units_of_the_last_layer():
    trace = EndCase("gru", mask="none").trace()
    assert write_keras(trace).startswith("layer = keras.layers.Bidirectional(keras.layers.GRU(2))")


def test_a_recurrent_of_unequal_widths_runs_as_its_layers_do():
    x, state = torch.randn(6, 2, 3).double(), [torch.randn(2, n).double() for n in (4, 4, 2, 2)]
    cells = [[GRUCell(3, 4), GRUCell(3, 4)], [GRUCell(8, 2), GRUCell(8, 2)]]
    module = rnnviz.Recurrent(cells).double()
    output, final = module(x, state)
    below, first = rnnviz.Recurrent(cells[:1])(x, torch.stack(state[:2]))
    above, second = rnnviz.Recurrent(cells[1:])(below, torch.stack(state[2:]))
    assert torch.equal(output, above)
    assert isinstance(final, tuple)
    for found, wanted in zip(final, [*first, *second], strict=True):
        assert torch.equal(found, wanted)
    alone, ends = module(x[:, 0], [h[0] for h in state])
    assert torch.allclose(alone, output[:, 0])
    assert [tuple(h.shape) for h in ends] == [(4,), (4,), (2,), (2,)]


def test_initialisations_of_unequal_widths():
    module = rnnviz.Recurrent([[LSTMCell(3, 64)], [LSTMCell(64, 4)]])
    rnnviz.initialise.torch_default(module, seed=0)
    bounds = [float(cell.weight_hh.detach().abs().max()) for (cell,) in module.cells]
    assert 0.12 < bounds[0] <= 1 / 8
    assert 0.4 < bounds[1] <= 1 / 2
    rnnviz.initialise.forget_bias(module, 2.0)
    for (cell,) in module.cells:
        n = cell.hidden_size
        assert cell.bias_ih is not None
        assert cell.bias_hh is not None
        bias = (cell.bias_ih + cell.bias_hh).detach()
        assert torch.equal(bias[n : 2 * n], torch.full((n,), 2.0))
    rnnviz.initialise.chrono(module, 100, seed=0)
    rnnviz.initialise.spectral_radius(module, 0.9)
    u = rnnviz.recurrent_spectra(rnnviz.trace(module, torch.ones(2, 3)), layer=1)
    assert u["forget_gate"].radius == pytest.approx(0.9, rel=1e-5)


def test_parameters_of_unequal_widths_are_counted():
    module = rnnviz.Recurrent([[LSTMCell(3, 64)], [LSTMCell(64, 32)]])
    expected = 4 * (64 * (3 + 64) + 2 * 64) + 4 * (32 * (64 + 32) + 2 * 32)
    assert rnnviz.count_parameters(module) == expected
    rows = count_by_gate(module)
    assert sum(row.total for row in rows) == expected
    assert [(row.layer, row.units, row.inputs) for row in rows] == 4 * [(0, 64, 3)] + 4 * [
        (1, 32, 64)
    ]
    assert count_multiply_adds(module) == 4 * 64 * 67 + 3 * 64 + 4 * 32 * 96 + 3 * 32
    assert str(error_of(lambda: read_size(module))) == (
        "The layers have the hidden sizes 64, 32; a Size describes a network whose layers have "
        "equal sizes. Use read_layer_sizes, count_parameters or count_by_gate, which take such "
        "layers."
    )


X = torch.ones(4, 2, 3)
UNEQUAL = rnnviz.Recurrent([[GRUCell(3, 4)], [GRUCell(4, 2)]])
REFUSED: dict[str, tuple[Any, str]] = {
    "numbers": (
        lambda: rnnviz.trace(nn.GRU(3, 2), X, mask=np.ones((4, 2))),
        "mask has dtype float64 and shape (4, 2); expected booleans of shape (4, 2), one per time "
        "step of the inputs, true where it is read. Pass mask in the layout of the inputs, without "
        "features.",
    ),
    "batch first": (
        lambda: rnnviz.trace(
            nn.GRU(3, 2, batch_first=True), X.transpose(0, 1), mask=torch.ones(4, 2).bool()
        ),
        "mask has dtype bool and shape (4, 2); expected booleans of shape (2, 4), one per time "
        "step of the inputs, true where it is read. Pass mask in the layout of the inputs, without "
        "features.",
    ),
    "ragged": (
        lambda: rnnviz.trace(nn.GRU(3, 2), X[:, 0], mask=[[True], [True, False]]),
        "mask has rows of different lengths; expected a rectangular array. Pad the rows to one "
        "length, and pass the true lengths as lengths.",
    ),
    "packed": (
        lambda: rnnviz.trace(
            nn.GRU(3, 2),
            nn.utils.rnn.pack_padded_sequence(X, torch.tensor([4, 2])),
            mask=torch.ones(4, 2).bool(),
        ),
        "Got a mask beside a packed sequence, which has no time axis to lay it over. Pass padded "
        "inputs with mask, or a packed sequence without it.",
    ),
    "one tensor": (
        lambda: rnnviz.trace(UNEQUAL, X, torch.zeros(2, 2, 4)),
        "Got Tensor as h_0 of layers of unequal width; expected a list of 2 tensors, one per layer "
        "and direction. Pass such a list, or None for zeros.",
    ),
    "another width": (
        lambda: rnnviz.trace(UNEQUAL, X, [torch.zeros(2, 4), torch.zeros(2, 4)]),
        "h_0[1] has shape (2, 4); expected (2, 2) for this module and these inputs. Pass a state "
        "of that shape, or None for zeros.",
    ),
    "wholly masked": (
        lambda: rnnviz.jacobians(
            rnnviz.trace(nn.GRU(3, 2), X, mask=torch.tensor([[True, False]] * 4)), batch=1
        ),
        "Sequence 1 is wholly masked: no time step was read, so there is nothing to compute for "
        "it. Choose another sequence.",
    ),
    "other kinds": (
        lambda: rnnviz.Recurrent([[GRUCell(3, 4)], [LSTMCell(4, 2)]]),
        "The cell LSTMCell(4, 2) does not fit with the first cell, GRUCell(3, 4); expected a cell "
        "of the same kind with input size 4, in a layer with as many directions, all of the same "
        "size. Change its sizes or leave it out.",
    ),
    "directions of unequal width": (
        lambda: rnnviz.Recurrent([[ElmanCell(3, 4), ElmanCell(3, 2)]]),
        "The cell ElmanCell(3, 2) does not fit with the first cell, ElmanCell(3, 4); expected a "
        "cell of the same kind with input size 3, in a layer with as many directions, all of the "
        "same size. Change its sizes or leave it out.",
    ),
    "an infinite derivative by the state": (
        lambda: rnnviz.trace(nn.RNN(3, 2), torch.zeros(4, 1, 3), loss=lambda y, h: _root(y, h)),
        "2 of the 10 derivatives of the loss with respect to the output or the final state are NaN "
        "or infinite; expected finite ones, because every gradient starts from them. Check the "
        'loss for a root, a logarithm or a quotient, or trace with loss="last".',
    ),
}


def _root(y: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    return y.sum() + (h - h.detach()).sqrt().sum()


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_traced_is_refused(name: str):
    call, text = REFUSED[name]
    assert str(error_of(call)) == text


class Squared(GRUCell):
    """Reads the squares of its inputs."""

    def step(self, x: torch.Tensor, state: torch.Tensor, held: HeldStep = as_computed) -> Any:
        return super().step(x * x, state, held)


def test_a_cell_of_ones_own_has_the_gradient_of_its_own_step():
    """Also where it does not read its input by W alone, and where it ends."""
    cells = [[Squared(3, 4), Squared(3, 4)], [Squared(8, 2), Squared(8, 2)]]
    module, x = rnnviz.Recurrent(cells).double(), torch.randn(6, 2, 3).double().requires_grad_()
    lengths = torch.tensor([6, 4])

    def loss(y: torch.Tensor, state: Any) -> torch.Tensor:
        return (y**2).sum() + sum((h**3).sum() for h in state)

    trace = rnnviz.trace(module, x.detach(), lengths=lengths, loss=loss)
    output, final = module(nn.utils.rnn.pack_padded_sequence(x, lengths))
    (by_x,) = torch.autograd.grad(loss(output.data, final), x)
    expected = np.where(trace.valid[:, :, None], by_x.numpy(), np.nan)
    assert_close("grad_input", trace["grad_input"].values, expected)
    for found, wanted in zip(trace.final_state, final, strict=True):
        assert_close("final state", found.numpy(), wanted.detach().numpy())


def test_masked_values_may_be_anything():
    module, x = nn.GRU(3, 2), torch.randn(4, 2, 3)
    mask = torch.tensor([[True, False], [False, True], [True, True], [True, True]])
    damaged = x.where(mask[:, :, None], torch.tensor(float("nan")))
    assert rnnviz.trace(module, damaged, mask=mask) == rnnviz.trace(module, x, mask=mask)


def test_a_mask_of_everything_changes_no_number():
    module, x = nn.LSTM(3, 2, 2, bidirectional=True), torch.randn(4, 2, 3)
    free = rnnviz.trace(module, x, loss="last")
    masked = rnnviz.trace(module, x, mask=np.ones((4, 2), bool), loss="last")
    for name in free:
        assert np.array_equal(free.array(name), masked.array(name)), name


def test_the_layers_of_a_network_are_read_by_width():
    network = read_module(UNEQUAL)
    assert (network.hidden_sizes, network.output_sizes, network.hidden_size) == ((4, 2), (4, 2), 4)
