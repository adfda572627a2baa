"""Parameters and multiply-adds by formula, against torch's own parameters and by hand."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from torch import nn

from rnnviz.cells import ElmanCell, Form, GRUCell, LSTMCell, make_cell
from rnnviz.counting import (
    Size,
    count_by_gate,
    count_multiply_adds,
    count_parameters,
    fit_hidden,
    formula,
    read_size,
)
from rnnviz.errors import RnnvizError
from rnnviz.recurrent import Recurrent

STACKS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
RNN, GRU, LSTM = (Form(cell) for cell in GATES)


def of_torch(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("cell", "layers", "bidirectional", "bias", "projection"),
    [
        case
        for case in product(GATES, (1, 2, 3), (False, True), (True, False), (0, 2))
        if case[0] == "lstm" or not case[4]
    ],
)
def test_stacks_agree_with_torch(
    cell: str, layers: int, bidirectional: bool, bias: bool, projection: int
):
    options: dict[str, Any] = {"proj_size": projection} if projection else {}
    module = STACKS[cell](
        3, 5, num_layers=layers, bidirectional=bidirectional, bias=bias, **options
    )
    size = Size(Form(cell), 3, 5, layers, 1 + bidirectional, 2 * bias, projection)
    assert read_size(module) == size
    assert count_parameters(module) == count_parameters(size) == of_torch(module)


@pytest.mark.parametrize(
    "cell",
    [
        nn.RNNCell(3, 5),
        nn.LSTMCell(3, 5, bias=False),
        nn.GRUCell(3, 5),
        ElmanCell(3, 5, "relu"),
        LSTMCell(3, 5, proj_size=2, peephole=True),
        LSTMCell(3, 5, coupled=True),
        LSTMCell(3, 5, coupled=True, peephole=True, bias=False),
        GRUCell(3, 5, reset_after=False),
        Recurrent([[LSTMCell(d, 5, peephole=True) for _ in "fb"] for d in (3, 10)]),
    ],
)
def test_cells_agree_with_torch(cell: nn.Module):
    assert count_parameters(cell) == count_parameters(read_size(cell)) == of_torch(cell)


@pytest.mark.parametrize("cell", GATES)
def test_counts_match_the_papers_formulas(cell: str):
    for d, units in ((3, 16), (7, 1), (128, 256)):
        k = GATES[cell]
        plain = Size(Form(cell), d, units)
        assert count_parameters(plain) == k * (units * (d + units) + 2 * units)
        one = Size(Form(cell), d, units, biases=1)
        assert count_parameters(one) == k * units * (d + units + 1)
        assert count_parameters(Size(Form(cell), d, units, biases=0)) == k * units * (d + units)


def test_peepholes_projections_and_coupling():
    d, units, p = 3, 16, 5
    whole = 4 * (units * (d + units) + 2 * units)
    assert count_parameters(Size(Form("lstm", peephole=True), d, units)) == whole + 3 * units
    coupled = Form("lstm", coupled=True, peephole=True)
    assert count_parameters(Size(coupled, d, units)) == whole * 3 // 4 + 2 * units
    projected = Size(LSTM, d, units, proj_size=p)
    assert count_parameters(projected) == 4 * units * (d + p + 2) + p * units


def test_a_gru_is_three_quarters_of_an_lstm():
    for biases, layers, directions in product((0, 1, 2), (1, 2), (1, 2)):
        counts = [
            count_parameters(Size(form, 3, 16, layers, directions, biases)) for form in (GRU, LSTM)
        ]
        assert 4 * counts[0] == 3 * counts[1]


def test_multiply_adds_match_counts_by_hand():
    d, units, p = 3, 16, 5
    products = units * d + units * units
    assert count_multiply_adds(Size(RNN, d, units)) == products
    assert count_multiply_adds(Size(GRU, d, units)) == 3 * products + 3 * units
    assert count_multiply_adds(Size(LSTM, d, units)) == 4 * products + 3 * units
    peephole = Size(Form("lstm", peephole=True), d, units)
    assert count_multiply_adds(peephole) == 4 * products + 6 * units
    coupled = Size(Form("lstm", coupled=True), d, units)
    assert count_multiply_adds(coupled) == 3 * products + 3 * units
    projected = Size(LSTM, d, units, proj_size=p)
    assert count_multiply_adds(projected) == 4 * (units * d + units * p) + 3 * units + p * units


def test_counts_per_gate_layer_and_direction():
    rows = count_by_gate(Size(Form("lstm", peephole=True), 3, 16, 2, 2, 1, 5))
    assert [(row.layer, row.direction) for row in rows[::5]] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    gates = ["input_gate", "forget_gate", "cell_candidate", "output_gate", "projection"]
    assert [row.gate for row in rows] == 4 * gates
    forget, candidate, projection = rows[16], rows[17], rows[19]
    assert forget[3:] == (16, 10, 5, 160, 80, 16, 16, 0, 32)
    assert (forget.total, forget.products, forget.multiply_adds) == (272, 240, 272)
    assert forget.parameters_formula == "16·10 + 16·5 + 16 + 16"
    assert forget.cost_formula == "16·10 + 16·5 + 2·16"
    assert (candidate.total, candidate.multiply_adds) == (256, 256)
    assert (projection.total, projection.multiply_adds) == (80, 80)
    assert projection.parameters_formula == projection.cost_formula == "5·16"
    for row in rows:
        for text, value in (
            (row.parameters_formula, row.total),
            (row.cost_formula, row.multiply_adds),
        ):
            assert eval(text.replace("·", "*")) == value


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (Size(LSTM, 3, 16), "4 · (16·3 + 16·16 + 2·16) = 1,344"),
        (Size(GRU, 3, 16), "3 · (16·3 + 16·16 + 2·16) = 1,008"),
        (Size(RNN, 3, 16, biases=0), "16·3 + 16·16 = 304"),
        (
            Size(GRU, 3, 16, 2, 2, 1),
            "6 · (16·3 + 16·16 + 16) + 6 · (16·32 + 16·16 + 16) = 6,624",
        ),
        (Size(LSTM, 3, 16, directions=2, proj_size=5), "8 · (16·3 + 16·5 + 2·16) + 2·5·16 = 1,440"),
        (
            Size(Form("lstm", coupled=True, peephole=True), 3, 16),
            "3 · (16·3 + 16·16 + 2·16) + 2·16 = 1,040",
        ),
    ],
)
def test_the_formula_as_text(size: Size, text: str):
    assert formula(size) == text
    left, _, right = text.partition(" = ")
    worked_out = eval(left.replace("·", "*"))
    assert worked_out == int(right.replace(",", "")) == count_parameters(size)


@pytest.mark.parametrize("cell", GATES)
@pytest.mark.parametrize("options", [{}, {"layers": 3, "directions": 2, "biases": 1}])
def test_the_largest_size_within_a_budget(cell: str, options: dict[str, int]):
    form = Form(cell)
    for budget in (1000, 12_345, 10_000_000):
        hidden = fit_hidden(form, 7, budget, **options)
        assert count_parameters(Size(form, 7, hidden, **options)) <= budget
        assert count_parameters(Size(form, 7, hidden + 1, **options)) > budget
        exact = count_parameters(Size(form, 7, hidden, **options))
        assert fit_hidden(form, 7, exact, **options) == hidden
        assert fit_hidden(form, 7, exact - 1, **options) == hidden - 1
    assert fit_hidden(form, 7, 10**9, most=64) == 64


def test_a_budget_too_small_raises():
    with pytest.raises(RnnvizError) as caught:
        fit_hidden(LSTM, 3, 1343, least=16)
    assert str(caught.value) == (
        "The budget is 1,343 parameters; the smallest such LSTM, with hidden size 16 in each "
        "layer, has 1,344. Raise the budget, or use fewer inputs, layers or directions."
    )
    assert caught.value.message("ko") == (
        "매개변수 한도가 1,343개입니다. 조건에 맞는 가장 작은 LSTM(층마다 은닉 크기 16)의 "
        "매개변수는 1,344개입니다. 한도를 그 이상으로 올리거나 입력, 층, 방향의 수를 줄이세요."
    )
    with pytest.raises(RnnvizError, match="most is 3; expected ≥ 4"):
        fit_hidden(LSTM, 3, 1343, least=4, most=3)


def test_invalid_sizes_raise():
    with pytest.raises(RnnvizError) as caught:
        Size(RNN, 3, 4, layers=0, biases=3)
    assert str(caught.value) == (
        'Got cell "rnn", layers=0, directions=1, biases per gate=3, projection size=0; expected '
        "at least 1 layer, 1 or 2 directions, 0, 1 or 2 bias vectors, and a projection only in an "
        "LSTM. Choose other sizes."
    )
    assert caught.value.message("ko") == (
        '신경망의 셀은 "rnn", 층은 0개, 방향은 1개, 게이트당 편향 벡터는 3개, 투영 크기는 '
        "0입니다. 층은 1개 이상, 방향은 1개나 2개, 편향 벡터는 0개에서 2개까지여야 하고 투영은 "
        "LSTM에만 있습니다. 크기를 다시 정하세요."
    )
    for wrong in ((0, 4, 0), (3, 0, 0), (3, 4, 4)):
        with pytest.raises(RnnvizError, match="The cell has input size"):
            Size(LSTM, *wrong[:2], proj_size=wrong[2])
    with pytest.raises(RnnvizError, match="projection size=2"):
        Size(GRU, 3, 4, proj_size=2)


def test_a_module_that_is_not_recurrent_raises():
    with pytest.raises(RnnvizError, match="Linear"):
        count_parameters(nn.Linear(2, 3))


def test_every_form_can_be_built_and_counted():
    for peephole, coupled in product((False, True), repeat=2):
        form = Form("lstm", peephole=peephole, coupled=coupled)
        for bias, projection in product((False, True), (0, 2)):
            cell = make_cell(form, 3, 5, bias=bias, proj_size=projection)
            assert count_parameters(Size(form, 3, 5, 1, 1, 2 * bias, projection)) == of_torch(cell)


def test_integers_of_few_bits_do_not_overflow():
    one, two, hidden = np.int8(1), np.int8(2), np.int8(100)
    size = Size(Form("lstm"), one, hidden, layers=two)  # pyright: ignore[reportArgumentType]  # as a user may pass it
    assert count_parameters(size) == count_parameters(Size(Form("lstm"), 1, 100, layers=2))
    assert fit_hidden(Form("rnn"), one, 1344, layers=one) == fit_hidden(Form("rnn"), 1, 1344)  # pyright: ignore[reportArgumentType]  # as a user may pass it
    assert fit_hidden(Form("rnn"), 1, 10**5, least=one, most=np.int8(127)) == 127  # pyright: ignore[reportArgumentType]  # as a user may pass it
