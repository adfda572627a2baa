"""The project's cells against torch's own, and layers of them against torch's stacks."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

import rnnviz
from rnnviz.cells import Cell, ElmanCell, Form, GRUCell, LSTMCell
from rnnviz.errors import RnnvizError

PAIRS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "rnn tanh": (ElmanCell, nn.RNNCell, {"nonlinearity": "tanh"}),
    "rnn relu": (ElmanCell, nn.RNNCell, {"nonlinearity": "relu"}),
    "lstm": (LSTMCell, nn.LSTMCell, {}),
    "gru": (GRUCell, nn.GRUCell, {}),
}
STACKS: list[tuple[Any, dict[str, Any]]] = [
    (nn.RNN, {}),
    (nn.RNN, {"nonlinearity": "relu", "bias": False}),
    (nn.LSTM, {}),
    (nn.LSTM, {"bias": False}),
    (nn.LSTM, {"proj_size": 2}),
    (nn.GRU, {}),
    (nn.GRU, {"bias": False}),
]


def largest_difference(found: Any, expected: Any) -> float:
    """Over tensors, packed sequences and tuples of tensors."""
    if isinstance(expected, Tensor):
        return float((found - expected).detach().abs().max())
    if hasattr(expected, "batch_sizes"):
        assert torch.equal(found.batch_sizes, expected.batch_sizes)
        return float((found.data - expected.data).detach().abs().max())
    return max(largest_difference(f, e) for f, e in zip(found, expected, strict=True))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", PAIRS)
def test_a_cells_step_is_torchs(name: str, bias: bool):
    own_type, torch_type, options = PAIRS[name]
    torch.manual_seed(0)
    own = own_type(3, 4, bias=bias, **options).double()
    expected = torch_type(3, 4, bias=bias, **options).double()
    expected.load_state_dict(own.state_dict())
    x, h, c = (torch.randn(5, n, dtype=torch.float64) for n in (3, 4, 4))
    state = (h, c) if name == "lstm" else h
    max_diff = largest_difference(own.step(x, state)[0], expected(x, state))
    assert max_diff < 1e-12, f"step: {max_diff=:.1e}"
    max_diff = largest_difference(own(x), expected(x))
    assert max_diff < 1e-12, f"from zeros: {max_diff=:.1e}"
    one = tuple(s[0] for s in state) if isinstance(state, tuple) else state[0]
    max_diff = largest_difference(own(x[0], one), expected(x[0], one))
    assert max_diff < 1e-12, f"without a batch: {max_diff=:.1e}"


@pytest.mark.parametrize(
    ("nonlinearity", "expected"),
    [("sigmoid", [0.4502, 0.6225]), ("identity", [-0.2, 0.5]), ("relu", [0.0, 0.5])],
)
def test_an_elman_cell_applies_its_nonlinearity(nonlinearity: str, expected: list[float]):
    cell = ElmanCell(1, 2, nonlinearity).double()
    with torch.no_grad():
        cell.weight_ih.copy_(torch.tensor([[1.0], [0.0]]))
        cell.weight_hh.copy_(torch.tensor([[0.0, 0.5], [0.5, 0.0]]))
        cell.get_parameter("bias_ih").fill_(0.1)
        cell.get_parameter("bias_hh").fill_(0.2)
    h, gates = cell.step(torch.ones(1).double(), torch.tensor([0.4, -3.0], dtype=torch.float64))
    assert gates["hidden_preactivation"].tolist() == pytest.approx([-0.2, 0.5], abs=1e-15)
    assert h.tolist() == pytest.approx(expected, abs=5e-5)
    assert nonlinearity in repr(cell)


@pytest.mark.parametrize("name", PAIRS)
def test_a_cell_is_initialised_as_torchs(name: str):
    own_type, torch_type, options = PAIRS[name]
    torch.manual_seed(0)
    own = own_type(3, 50, **options)
    torch.manual_seed(0)
    expected = torch_type(3, 50, **options)
    for parameter, value in expected.named_parameters():
        assert torch.equal(own.get_parameter(parameter), value), parameter
    largest = float(own.weight_hh.detach().abs().max())
    assert 0.99 / 50**0.5 < largest <= 1 / 50**0.5


def test_a_projection_is_initialised_within_torchs_bounds():
    torch.manual_seed(0)
    weight = LSTMCell(3, 64, proj_size=32).weight_hr
    assert weight is not None
    assert weight.shape == (32, 64)
    assert 0.99 / 8 < float(weight.detach().abs().max()) <= 1 / 8


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize(("stack", "options"), STACKS)
def test_recurrent_computes_what_the_stack_computes(
    stack: Any, options: dict[str, Any], batch_first: bool, bidirectional: bool, layers: int
):
    torch.manual_seed(1)
    module = stack(
        3, 4, layers, batch_first=batch_first, bidirectional=bidirectional, **options
    ).double()
    own = rnnviz.Recurrent.of(module)
    x = torch.randn(3, 6, 3, dtype=torch.float64)
    if not batch_first:
        x = x.transpose(0, 1)
    given: list[tuple[Any, int | None]] = [(x, 3), (x[0] if batch_first else x[:, 0], None)]
    for lengths, is_sorted in (([6, 4, 1], True), ([2, 6, 6], False)):
        packed = pack_padded_sequence(
            x, torch.tensor(lengths), batch_first=batch_first, enforce_sorted=is_sorted
        )
        given.append((packed, 3))
    for inputs, batch in given:
        h = torch.randn(layers * (1 + bidirectional), 3, 4, dtype=torch.float64)
        state: Any = h[..., : options.get("proj_size", 4)]
        if stack is nn.LSTM:
            state = (state, h)
        if batch is None:
            state = tuple(s[:, 0] for s in state) if isinstance(state, tuple) else state[:, 0]
        for start in (None, state):
            max_diff = largest_difference(own(inputs, start), module(inputs, start))
            assert max_diff < 1e-12, f"{max_diff=:.1e}"


def test_recurrent_shares_its_weights_and_draws_no_random_numbers():
    module = nn.LSTM(2, 3, proj_size=2)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    own = rnnviz.Recurrent.of(module)
    assert torch.equal(torch.get_rng_state(), before)
    shared = {id(p) for p in module.parameters()}
    assert {id(p) for p in own.parameters()} == shared


def test_recurrent_gives_gradients_to_all_layers():
    torch.manual_seed(2)
    module = nn.GRU(2, 3, 2, bidirectional=True).double()
    own = rnnviz.Recurrent.of(module)
    x = torch.randn(5, 2, 2, dtype=torch.float64)
    expected = torch.autograd.grad(module(x)[0].square().sum(), list(module.parameters()))
    names = {id(p): g for p, g in zip(module.parameters(), expected, strict=True)}
    own(x)[0].square().sum().backward()
    for parameter in own.parameters():
        assert parameter.grad is not None
        max_diff = float((parameter.grad - names[id(parameter)]).abs().max())
        assert max_diff < 1e-12, f"{max_diff=:.1e}"


def refusal(build: Any) -> str:
    with pytest.raises(rnnviz.RnnvizError) as caught:
        build()
    return str(caught.value)


@pytest.mark.parametrize(
    ("sizes", "projection"), [((0, 3), 0), ((2, 0), 0), ((2, 3), 3), ((2, 3), -1)]
)
def test_invalid_cell_sizes_raise(sizes: tuple[int, int], projection: int):
    assert refusal(lambda: LSTMCell(*sizes, proj_size=projection)) == (
        f"The cell has input size {sizes[0]}, hidden size {sizes[1]} and projection size "
        f"{projection}; input and hidden size must be at least 1, and the projection size 0 "
        "(none) or smaller than the hidden size. Choose other sizes."
    )


def test_an_unknown_nonlinearity_raises():
    assert refusal(lambda: ElmanCell(2, 3, "sinus")) == (
        'nonlinearity is "sinus"; it must be one of tanh, relu, sigmoid, identity, softsign, '
        "softplus, selu, relu6, silu, gelu, mish, exponential, hard_sigmoid, leaky_relu, elu, "
        "thresholded_relu, affine, scaled_tanh, some of them with numbers, such as leaky_relu(0.2) "
        "or hard_sigmoid(0.2, 0.5). Choose one of these."
    )


def test_a_cell_without_equations_raises():
    class Blank(Cell[Tensor]):
        pass

    blank = Blank(Form("rnn"), 2, 3, bias=True, proj_size=0)
    text = (
        "Blank does not define what one time step computes; a cell must define step and "
        "initial_state. Define both, or use ElmanCell, LSTMCell or GRUCell."
    )
    assert refusal(lambda: blank(torch.ones(2))) == text
    assert refusal(lambda: blank.step(torch.ones(2), torch.ones(3))) == text


@pytest.mark.parametrize("cells", [[], [[]], [[GRUCell(2, 3), GRUCell(2, 3), GRUCell(2, 3)]]])
def test_layers_without_cells_raise(cells: list[list[Cell[Any]]]):
    assert refusal(lambda: rnnviz.Recurrent(cells)) == (
        "Recurrent got no layers, or a layer with neither one nor two cells; each layer is a list "
        "of one cell (forward) or two (forward, backward). Pass cells such as [[first], [second]]."
    )


@pytest.mark.parametrize(
    ("cells", "wrong", "expected"),
    [
        ([[GRUCell(2, 3)], [GRUCell(2, 3)]], "GRUCell(2, 3)", 3),
        ([[GRUCell(2, 3)], [GRUCell(4, 4)]], "GRUCell(4, 4)", 3),
        ([[GRUCell(2, 3)], [LSTMCell(3, 3)]], "LSTMCell(3, 3)", 3),
        ([[GRUCell(2, 3), GRUCell(2, 3)], [GRUCell(6, 3)]], "GRUCell(6, 3)", 6),
        ([[GRUCell(2, 3), GRUCell(4, 3)]], "GRUCell(4, 3)", 2),
    ],
)
def test_layers_of_incompatible_sizes_raise(
    cells: list[list[Cell[Any]]], wrong: str, expected: int
):
    assert refusal(lambda: rnnviz.Recurrent(cells)) == (
        f"The cell {wrong} does not fit with the first cell, GRUCell(2, 3); expected a cell of "
        f"the same kind with input size {expected}, in a layer with as many directions, all of "
        "the same size. Change its sizes or leave it out."
    )


@pytest.mark.parametrize("came", [[], {}, np.array(0.0), slice(None), 3])
def test_a_nonlinearity_that_is_no_name(came: Any):
    with pytest.raises(RnnvizError) as caught:
        ElmanCell(1, 2, came)
    assert (caught.value.key, caught.value.values["name"]) == ("error.activation", "nonlinearity")
