"""Packing, unpacking and switching conventions, against torch.nn and this project's cells."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from rnnviz.cells import Form, make_cell
from rnnviz.conventions import (
    CHO,
    CHUNG,
    CONVENTIONS,
    KERAS,
    KERAS_RESET_BEFORE,
    ONNX,
    PROJECT,
    TORCH,
    Convention,
    Move,
    difference,
    merge_biases,
    moves,
    pack,
    run_packed,
    unpack,
)
from rnnviz.errors import RnnvizError
from rnnviz.recurrent import Recurrent

Array = NDArray[Any]
RNN, GRU, LSTM = Form("rnn"), Form("gru"), Form("lstm")
BEFORE = Form("gru", reset_after=False)
PEEPHOLE = Form("lstm", peephole=True)
COUPLED = Form("lstm", coupled=True)
BOTH = Form("lstm", coupled=True, peephole=True)
STEPS, BATCH, INPUTS, UNITS = 7, 3, 3, 4


def drawn(form: Form, *, bias: bool = True, projection: int = 0) -> dict[str, Array]:
    """Random weights of a cell, in float64, by torch's names."""
    cell = make_cell(form, INPUTS, UNITS, bias=bias, proj_size=projection)
    random = np.random.default_rng(0)
    return {name: random.normal(size=tuple(p.shape)) * 0.6 for name, p in cell.named_parameters()}


def inputs() -> Array:
    return np.random.default_rng(1).normal(size=(STEPS, BATCH, INPUTS))


def run_cell(form: Form, parameters: dict[str, Array], state: Any = None) -> Array:
    """The hidden states by this project's cell."""
    projection = len(parameters.get("weight_hr", ()))
    cell = make_cell(
        form, INPUTS, UNITS, bias="bias_ih" in parameters, proj_size=projection
    ).double()
    for name, parameter in cell.named_parameters():
        parameter.data = torch.tensor(parameters[name])
    with torch.no_grad():
        return Recurrent([[cell]])(torch.tensor(inputs()), state)[0].numpy()


def blocks(values: Array, count: int) -> list[Array]:
    return np.split(values, count)


def test_gate_orders():
    """As in the frameworks' documentation."""
    i, f, g, o = "input_gate", "forget_gate", "cell_candidate", "output_gate"
    r, z, n = "reset_gate", "update_gate", "hidden_candidate"
    assert TORCH.order(LSTM) == KERAS.order(LSTM) == (i, f, g, o)
    assert ONNX.order(LSTM) == (i, o, f, g)
    assert TORCH.order(GRU) == (r, z, n)
    assert KERAS.order(GRU) == ONNX.order(GRU) == (z, r, n)
    assert ONNX.peephole_order(PEEPHOLE) == (i, o, f)
    assert PROJECT.order(COUPLED) == (f, g, o)
    assert [c.update_keeps for c in CONVENTIONS.values()] == [True, True, True, True, True, False]
    assert [c.reset_after for c in CONVENTIONS.values()] == [True, True, False, None, False, False]
    biases = [c.bias_vectors(GRU) for c in CONVENTIONS.values()]
    assert biases == [2, 2, 1, 2, 1, 1]
    assert [TORCH.bias_vectors(LSTM), KERAS.bias_vectors(LSTM), ONNX.bias_vectors(RNN)] == [2, 1, 2]


def test_block_positions():
    assert [move[1:] for move in moves(LSTM, PROJECT, ONNX)] == [
        (0, 0, False),
        (3, 1, False),
        (1, 2, False),
        (2, 3, False),
    ]
    assert moves(GRU, TORCH, KERAS)[0] == Move("update_gate", 1, 0, negated=False)
    assert [move.negated for move in moves(BEFORE, CHUNG, KERAS_RESET_BEFORE)] == [
        True,
        False,
        False,
    ]
    assert [move[1:] for move in moves(COUPLED, PROJECT, ONNX)] == [
        (0, 0, True),
        (2, 1, False),
        (0, 2, False),
        (1, 3, False),
    ]
    assert [move[1:] for move in moves(COUPLED, ONNX, PROJECT)] == [
        (0, 0, True),
        (3, 1, False),
        (1, 2, False),
    ]


def test_keras_packs_gates_as_columns_in_its_order():
    own = drawn(GRU)
    packed = pack(own, GRU, KERAS)
    r, z, n = blocks(own["weight_ih"], 3)
    assert np.array_equal(packed["kernel"], np.concatenate([z, r, n]).T)
    r, z, n = blocks(own["weight_hh"], 3)
    assert np.array_equal(packed["recurrent_kernel"], np.concatenate([z, r, n]).T)
    for row, name in enumerate(("bias_ih", "bias_hh")):
        r, z, n = blocks(own[name], 3)
        assert np.array_equal(packed["bias"][row], np.concatenate([z, r, n]))
    lstm = drawn(LSTM)
    merged = pack(lstm, LSTM, KERAS)["bias"]
    assert np.array_equal(merged, lstm["bias_ih"] + lstm["bias_hh"])


def test_onnx_packs_two_biases_and_peepholes_i_o_f():
    own = drawn(PEEPHOLE)
    packed = pack(own, PEEPHOLE, ONNX)
    assert {name: array.shape for name, array in packed.items()} == {
        "W": (1, 4 * UNITS, INPUTS),
        "R": (1, 4 * UNITS, UNITS),
        "B": (1, 8 * UNITS),
        "P": (1, 3 * UNITS),
    }
    i, f, g, o = blocks(own["weight_ih"], 4)
    assert np.array_equal(packed["W"][0], np.concatenate([i, o, f, g]))
    halves = [blocks(own[name], 4) for name in ("bias_ih", "bias_hh")]
    both = [part for i, f, g, o in halves for part in (i, o, f, g)]
    assert np.array_equal(packed["B"][0], np.concatenate(both))
    p_i, p_f, p_o = own["weight_peephole"]
    assert np.array_equal(packed["P"][0], np.concatenate([p_i, p_o, p_f]))


def test_a_coupled_lstm_is_packed_with_negated_rows():
    own = drawn(BOTH)
    packed = pack(own, BOTH, ONNX)
    f, g, o = blocks(own["weight_ih"], 3)
    assert np.array_equal(packed["W"][0], np.concatenate([-f, o, f, g]))
    p_f, p_o = own["weight_peephole"]
    assert np.array_equal(packed["P"][0], np.concatenate([-p_f, p_o, p_f]))


EXACT = [
    *((form, TORCH) for form in (RNN, GRU, LSTM)),
    (GRU, KERAS),
    *((form, ONNX) for form in (RNN, GRU, BEFORE, LSTM, PEEPHOLE, COUPLED, BOTH)),
    *((form, PROJECT) for form in (RNN, GRU, BEFORE, LSTM, PEEPHOLE, COUPLED, BOTH)),
]
MERGED = [
    *((form, KERAS) for form in (RNN, LSTM, COUPLED)),
    *((BEFORE, convention) for convention in (KERAS_RESET_BEFORE, CHO, CHUNG)),
]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("form", "convention"), [*EXACT, *MERGED])
def test_packing_and_unpacking_is_exact(form: Form, convention: Convention, bias: bool):
    own = drawn(form, bias=bias)
    packed = pack(own, form, convention)
    back = unpack(packed, form, convention)
    expected = merge_biases(own) if (form, convention) in MERGED else own
    assert set(back) == set(expected)
    for name, array in expected.items():
        assert np.array_equal(back[name], array), name
    again = pack(back, form, convention)
    assert set(again) == set(packed)
    assert all(np.array_equal(again[name], array) for name, array in packed.items())


@pytest.mark.parametrize("started", [True, False])
@pytest.mark.parametrize(("form", "convention"), [*EXACT, *MERGED])
def test_each_convention_computes_the_cells_states(
    form: Form, convention: Convention, started: bool
):
    """The convention's equations on its packed weights."""
    own, random = drawn(form), np.random.default_rng(2)
    h, c = random.normal(size=(2, BATCH, UNITS))
    state: Any = ((h, c) if form.cell == "lstm" else h) if started else None
    given: Any = None
    if started:
        each = [torch.tensor(s)[None] for s in (h, c)]
        given = tuple(each) if form.cell == "lstm" else each[0]
    came = run_packed(pack(own, form, convention), inputs(), form, convention, state)
    max_diff = np.abs(came - run_cell(form, own, given)).max()
    assert max_diff < 1e-12, f"{max_diff=:.1e}"


@pytest.mark.parametrize(
    "module",
    [nn.RNN, nn.GRU, nn.LSTM, "relu", "projection"],
)
def test_run_packed_computes_torchs_states(module: Any):
    torch.manual_seed(0)
    options: dict[str, Any] = {}
    if module == "relu":
        module, options = nn.RNN, {"nonlinearity": "relu"}
    if module == "projection":
        module, options = nn.LSTM, {"proj_size": 2}
    stack = module(INPUTS, UNITS, **options).double()
    names = {name.removesuffix("_l0"): p.detach().numpy() for name, p in stack.named_parameters()}
    form = Form(module.__name__.lower(), options.get("nonlinearity", "tanh"))
    came = run_packed(pack(names, form, TORCH), inputs(), form, TORCH)
    with torch.no_grad():
        expected = stack(torch.tensor(inputs()))[0].numpy()
    max_diff = np.abs(came - expected).max()
    assert max_diff < 1e-12, f"{max_diff=:.1e}"


@pytest.mark.parametrize("form", [RNN, GRU, BEFORE, LSTM, PEEPHOLE, COUPLED, BOTH])
def test_flipping_z_and_merging_biases_keep_the_states(form: Form):
    """Except for the candidate's biases in a GRU with reset after the product."""
    own = drawn(form)
    flipped = difference(form, own, inputs(), flip_update=True, reset_after=form.reset_after)
    assert flipped.stays
    assert flipped.by_step.shape == (STEPS,)
    merged = difference(form, own, inputs(), reset_after=form.reset_after, one_bias=True)
    assert merged.stays == (form != GRU)
    if form == GRU:
        assert merged.largest > 0.01
        candidate = slice(2 * UNITS, None)
        own["bias_hh"][candidate] = 0  # only b_hn prevents the merge
        assert difference(form, own, inputs(), one_bias=True).stays


def test_moving_the_reset_changes_the_states_by_the_cells_difference():
    own = drawn(GRU)
    found = difference(GRU, own, inputs(), reset_after=False)
    apart = np.abs(run_cell(GRU, own) - run_cell(BEFORE, own))
    assert abs(found.largest - apart.max()) < 1e-12
    assert np.abs(found.by_step - apart.max(axis=(1, 2))).max() < 1e-12
    assert not found.stays
    assert found.largest > 0.1
    back = difference(BEFORE, own, inputs(), reset_after=True)
    assert abs(back.largest - found.largest) < 1e-12
    assert difference(LSTM, drawn(LSTM), inputs(), reset_after=False).largest == 0


def test_merging_changes_the_states_by_the_cells_difference():
    own = drawn(GRU)
    found = difference(GRU, own, inputs(), one_bias=True)
    apart = np.abs(run_cell(GRU, own) - run_cell(GRU, merge_biases(own)))
    assert np.abs(found.by_step - apart.max(axis=(1, 2))).max() < 1e-12


def test_the_given_weights_are_not_modified():
    own = drawn(GRU)
    before = {name: array.copy() for name, array in own.items()}
    difference(GRU, own, inputs(), flip_update=True, reset_after=False, one_bias=True)
    pack(own, GRU, ONNX)["W"][:] = 0
    pack(own, GRU, TORCH)["weight_ih"][:] = 0
    assert all(np.array_equal(own[name], array) for name, array in before.items())


ERRORS = [
    (
        GRU,
        KERAS_RESET_BEFORE,
        "The GRU multiplies by its reset gate after the product with U_n, Keras "
        "(reset_after=False) before it. No choice of weights turns one into the other. Use a "
        "convention with the same order, or train a network of the other kind.",
        "이 GRU는 U_n과의 행렬 곱 다음에 리셋 게이트를 곱하고, Keras (reset_after=False)에서는 "
        "행렬 곱 전에 곱합니다. 가중치를 어떻게 정해도 한쪽을 다른 쪽으로 바꿀 수 없습니다. "
        "순서가 같은 관례를 쓰거나 다른 형태의 신경망을 학습하세요.",
    ),
    (
        BEFORE,
        TORCH,
        "The GRU multiplies by its reset gate before the product with U_n, torch after it. No "
        "choice of weights turns one into the other. Use a convention with the same order, or "
        "train a network of the other kind.",
        "이 GRU는 U_n과의 행렬 곱 전에 리셋 게이트를 곱하고, torch에서는 행렬 곱 다음에 곱합니다. "
        "가중치를 어떻게 정해도 한쪽을 다른 쪽으로 바꿀 수 없습니다. 순서가 같은 관례를 쓰거나 "
        "다른 형태의 신경망을 학습하세요.",
    ),
    (
        PEEPHOLE,
        KERAS,
        "The LSTM has peepholes, which Keras (reset_after=True) cannot store. Leave them out, or "
        "use ONNX.",
        "이 LSTM에는 핍홀이 있지만 Keras (reset_after=True)에는 이를 담을 자리가 없습니다. 핍홀을 "
        "빼거나 ONNX를 사용하세요.",
    ),
    (
        LSTM,
        CHO,
        'Got the cell "lstm" with the convention "Cho et al. (2014)", which covers only GRUs. Use '
        "a GRU, or the convention of PyTorch, Keras or ONNX.",
        '"Cho et al. (2014)" 관례에 "lstm" 셀이 들어왔습니다. 이 관례는 GRU만 다룹니다. GRU를 '
        "쓰거나 PyTorch, Keras, ONNX의 관례를 고르세요.",
    ),
]


@pytest.mark.parametrize(("form", "convention", "english", "korean"), ERRORS)
def test_unsupported_forms_raise(form: Form, convention: Convention, english: str, korean: str):
    for call in (
        lambda: pack(drawn(form), form, convention),
        lambda: unpack({}, form, convention),
    ):
        with pytest.raises(RnnvizError) as caught:
            call()
        assert str(caught.value) == english
        assert caught.value.message("ko") == korean


def test_merging_the_candidates_biases_raises():
    one = replace(KERAS, gru_biases=1, title="one bias")
    own = drawn(GRU)
    own["bias_hh"][-1] = -2.5
    with pytest.raises(RnnvizError) as caught:
        pack(own, GRU, one)
    assert str(caught.value) == (
        "one bias has one bias where the GRU's candidate has two. The reset gate multiplies only "
        "one of them, so they can be merged only if b_hn is 0; here it reaches 2.5. Keep both, or "
        "set b_hn to 0."
    )
    assert caught.value.message("ko") == (
        "one bias 관례에서는 GRU 후보 값의 두 편향을 하나로 합칩니다. 리셋 게이트는 그중 하나에만 "
        "곱해지므로 b_hn이 0일 때만 합칠 수 있는데, 여기서는 최대 2.5입니다. 두 편향을 그대로 "
        "두거나 b_hn을 0으로 바꾸세요."
    )
    own["bias_hh"][2 * UNITS :] = 0
    came = run_packed(pack(own, GRU, one), inputs(), GRU, one)
    assert np.abs(came - run_cell(GRU, own)).max() < 1e-12


def test_a_projection_or_a_missing_array_raises():
    own = drawn(LSTM, projection=2)
    with pytest.raises(RnnvizError) as caught:
        pack(own, LSTM, ONNX)
    assert str(caught.value) == (
        "The LSTM has a projection, which ONNX cannot store. Leave it out, or use PyTorch."
    )
    assert caught.value.message("ko") == (
        "이 LSTM에는 투영이 있지만 ONNX에는 이를 담을 자리가 없습니다. 투영을 빼거나 PyTorch를 "
        "사용하세요."
    )
    with pytest.raises(RnnvizError) as caught:
        unpack({"W": np.zeros((4, 1))}, LSTM, KERAS)
    assert str(caught.value) == (
        "Keras (reset_after=True) got W; for this cell it expects kernel, recurrent_kernel. Pass "
        "the arrays under these names."
    )
    assert caught.value.message("ko") == (
        "Keras (reset_after=True)의 가중치로 W 배열이 들어왔습니다. 이 셀에 필요한 배열: kernel, "
        "recurrent_kernel. 이 이름으로 전달하세요."
    )
