"""Weights that cannot be of the form and convention named are refused, whatever their sizes."""

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rnnviz.cells import Form, make_cell
from rnnviz.conventions import (
    CHO,
    CHUNG,
    KERAS,
    KERAS_RESET_BEFORE,
    ONNX,
    PROJECT,
    TORCH,
    Convention,
    difference,
    lay_out,
    merge_biases,
    pack,
    run_packed,
    unpack,
)
from rnnviz.errors import RnnvizError

Array = NDArray[Any]
Arrays = dict[str, Array]

RNN, GRU, LSTM = Form("rnn"), Form("gru"), Form("lstm")
BEFORE = Form("gru", reset_after=False)
PEEPHOLE, COUPLED = Form("lstm", peephole=True), Form("lstm", coupled=True)
# Every pair of a form and a convention that can store it.
PAIRS: list[tuple[Form, Convention]] = [
    *((form, convention) for form in (RNN, GRU, LSTM) for convention in (TORCH, KERAS, ONNX)),
    *((BEFORE, convention) for convention in (KERAS_RESET_BEFORE, ONNX, CHO, CHUNG, PROJECT)),
    *((form, convention) for form in (PEEPHOLE, COUPLED) for convention in (ONNX, PROJECT)),
]


def weights(form: Form, inputs: int, units: int, *, bias: bool = True) -> Arrays:
    """Random weights by torch's names; b_hn is 0, so that every convention can store them."""
    cell = make_cell(form, inputs, units, bias=bias).double()
    found = {name: p.detach().numpy().copy() for name, p in cell.named_parameters()}
    if form.cell == "gru" and bias:
        found["bias_hh"][2 * units :] = 0
    return found


def shapes(arrays: Any) -> dict[str, tuple[int, ...]]:
    return {name: np.shape(values) for name, values in arrays.items()}


def can_be(arrays: Arrays, form: Form, convention: Convention) -> bool:
    """Whether a cell of some sizes, packed, has arrays of these names and shapes."""
    sizes = {size for shape in shapes(arrays).values() for size in shape}
    found = shapes(arrays)
    for inputs, units, bias in product(sizes, sizes, (True, False)):
        if inputs * units < 4000:
            own = {name: np.zeros(p.shape) for name, p in weights(form, inputs, units).items()}
            own = {name: p for name, p in own.items() if bias or "bias" not in name}
            if shapes(pack(own, form, convention)) == found:
                return True
    return False


def mangled(arrays: Arrays, how: str) -> Arrays:
    """The arrays with a mistake that people make."""
    names = list(arrays)
    found = dict(arrays)
    if how == "swapped":
        found |= {names[0]: arrays[names[1]], names[1]: arrays[names[0]]}
    elif how == "transposed":
        found = {
            name: values.swapaxes(-1, -2) if values.ndim > 1 else values
            for name, values in arrays.items()
        }
    elif how == "both directions":
        found = {name: np.concatenate([values, values]) for name, values in arrays.items()}
    elif how == "one axis more":
        found = {name: values[None] for name, values in arrays.items()}
    elif how == "one bias" and len(names) > 2:
        found[names[2]] = arrays[names[2]].reshape(-1)[: len(arrays[names[2]].reshape(-1)) // 2]
    elif how == "flat bias" and len(names) > 2:
        found[names[2]] = arrays[names[2]].reshape(-1)
    return found


HOW = [
    "as it is",
    "swapped",
    "transposed",
    "both directions",
    "one axis more",
    "one bias",
    "flat bias",
]


@given(
    made=st.sampled_from(PAIRS),
    read=st.sampled_from(PAIRS),
    how=st.sampled_from(HOW),
    inputs=st.integers(1, 5),
    units=st.integers(1, 5),
    bias=st.booleans(),
)
@settings(max_examples=150)
def test_what_is_read_has_the_shapes_of_the_form(
    made: Any, read: Any, how: str, inputs: int, units: int, bias: bool
):
    """Also of ambiguous sizes, as many units as inputs: read only what a cell of the form has."""
    arrays = mangled(pack(weights(made[0], inputs, units, bias=bias), *made), how)
    if can_be(arrays, *read):
        assert shapes(pack(unpack(arrays, *read), *read)) == shapes(arrays)
        return
    for act in (unpack, lambda *a: run_packed(a[0], np.ones((2, 1, inputs)), *a[1:])):
        with pytest.raises(RnnvizError) as caught:
            act(arrays, *read)
        assert caught.value.message("ko") != str(caught.value)


@given(pair=st.sampled_from(PAIRS), inputs=st.integers(1, 6), units=st.integers(1, 6))
@settings(max_examples=60)
def test_right_weights_of_any_size_come_back_and_run(pair: Any, inputs: int, units: int):
    form, convention = pair
    own = weights(form, inputs, units)
    packed, x = pack(own, form, convention), np.random.default_rng(0).normal(size=(4, 2, inputs))
    back = unpack(packed, form, convention)
    assert shapes(back) == shapes(own)
    expected = run_packed(own, x, form, PROJECT)
    for values in (run_packed(packed, x, form, convention), run_packed(back, x, form, PROJECT)):
        assert np.abs(values - expected).max() < 1e-12


AS: dict[str, Any] = {
    "tensors with gradients": lambda v: torch.tensor(v, requires_grad=True),
    "parameters": lambda v: torch.nn.Parameter(torch.tensor(v)),
    "lists": lambda v: v.tolist(),
    "lists of tensors": lambda v: [torch.tensor(row, requires_grad=True) for row in v],
    "columns first": np.asfortranarray,
    "half": lambda v: v.astype(np.float16),
    "bfloat16": lambda v: torch.tensor(v).bfloat16(),
    "unmasked": np.ma.array,
}


@pytest.mark.parametrize("made", AS.values(), ids=list(AS))
def test_weights_of_every_type_are_the_same(made: Any):
    """All are multiples of 1/8, which the half-precision types hold."""
    own = {name: np.round(8 * p) / 8 for name, p in weights(GRU, 2, 3).items()}
    for convention in (TORCH, KERAS, ONNX):
        packed = {name: made(values) for name, values in pack(own, GRU, convention).items()}
        for name, values in unpack(packed, GRU, convention).items():
            if name != "bias_hh":
                assert np.array_equal(values.astype(float), own[name]), name


KERNELS = {"kernel": np.ones((2, 12)), "recurrent_kernel": np.ones((3, 12))}
CHECK = "Check the cell and the convention, and whether arrays are swapped or transposed."
LAYOUT = '{} has shape {}; {} expects {} for the cell "{}" with {} units and {} inputs. ' + CHECK
TITLE = "Keras (reset_after=True)"
RIGHT_NAMES = "for this cell it expects {}. Pass the arrays under these names."
DTYPE = (
    "kernel has dtype {}; expected floating-point numbers. Convert it, for example with "
    "astype(float); quantised weights need their scale first."
)


def with_bias(*shape: int, gates: int = 3) -> Arrays:
    return {"kernel": np.ones((2, 3 * gates)), "recurrent_kernel": np.ones((3, 3 * gates))} | {
        "bias": np.ones(shape)
    }


WRONG: dict[str, tuple[Any, Form, Convention, str]] = {
    "bias of reset before": (
        with_bias(9),
        GRU,
        KERAS,
        "bias has shape (9,), that of a Keras GRU with reset_after=False; Keras "
        "(reset_after=True) expects (2, 9). Pass the convention KERAS_RESET_BEFORE with "
        'Form("gru", reset_after=False).',
    ),
    "bias of reset after": (
        with_bias(2, 9),
        BEFORE,
        KERAS_RESET_BEFORE,
        "bias has shape (2, 9), that of a Keras GRU with reset_after=True; Keras "
        '(reset_after=False) expects (9,). Pass the convention KERAS with Form("gru").',
    ),
    "an LSTM's bias in an RNN": (
        with_bias(12, gates=1),
        RNN,
        KERAS,
        LAYOUT.format("bias", (12,), TITLE, (3,), "rnn", 3, 2),
    ),
    "an LSTM as a GRU": (
        KERNELS,
        GRU,
        KERAS,
        LAYOUT.format("kernel", (2, 12), TITLE, (2, 9), "gru", 3, 2),
    ),
    "swapped": (
        {"kernel": np.ones((3, 12)), "recurrent_kernel": np.ones((2, 12))},
        LSTM,
        KERAS,
        LAYOUT.format("kernel", (3, 12), TITLE, (3, 8), "lstm", 2, 3),
    ),
    "both directions": (
        {"W": np.ones((2, 12, 2)), "R": np.ones((2, 12, 3)), "B": np.ones((2, 24))},
        LSTM,
        ONNX,
        "W has shape (2, 12, 2), which holds 2 directions; expected one direction at a time. Pass "
        "the part of each direction, such as W[:1], for all arrays alike.",
    ),
    "no axis of directions": (
        {"W": np.ones((12, 2)), "R": np.ones((12, 3))},
        LSTM,
        ONNX,
        "W has shape (12, 2); ONNX expects 3 axes, none of them empty. Pass the weights of one "
        "layer as the framework stores them.",
    ),
    "a list of arrays": (
        list(KERNELS.values()),
        LSTM,
        KERAS,
        "Got the weights as list; expected a mapping from names to arrays. Pass the arrays under "
        "the names kernel, recurrent_kernel, bias.",
    ),
    "names of another": (
        KERNELS,
        LSTM,
        TORCH,
        "torch got kernel, recurrent_kernel; " + RIGHT_NAMES.format("weight_ih, weight_hh"),
    ),
    "one of two biases": (
        {name: p for name, p in weights(GRU, 2, 3).items() if name != "bias_hh"},
        GRU,
        TORCH,
        "torch got weight_ih, weight_hh, bias_ih; "
        + RIGHT_NAMES.format("weight_ih, weight_hh, bias_ih, bias_hh"),
    ),
    "no peepholes": (
        weights(LSTM, 2, 3),
        PEEPHOLE,
        PROJECT,
        "rnnviz got weight_ih, weight_hh, bias_ih, bias_hh; "
        + RIGHT_NAMES.format("weight_ih, weight_hh, bias_ih, bias_hh, weight_peephole"),
    ),
    "peepholes of none": (
        weights(PEEPHOLE, 2, 3),
        LSTM,
        PROJECT,
        "rnnviz got weight_ih, weight_hh, bias_ih, bias_hh, weight_peephole; "
        + RIGHT_NAMES.format("weight_ih, weight_hh, bias_ih, bias_hh"),
    ),
    **{
        dtype: (
            {name: values.astype(dtype) for name, values in KERNELS.items()},
            LSTM,
            KERAS,
            DTYPE.format(dtype),
        )
        for dtype in ("int8", "bool", "complex64", "object", "int64")
    },
    "ragged": (
        KERNELS | {"kernel": [[1.0], [1.0, 2.0]]},
        LSTM,
        KERAS,
        "kernel has rows of different lengths; expected a rectangular array. Pad the rows to one "
        "length, and pass the true lengths as lengths.",
    ),
}


@pytest.mark.parametrize(("packed", "form", "convention", "text"), WRONG.values(), ids=list(WRONG))
def test_wrong_weights_are_named(packed: Any, form: Form, convention: Convention, text: str):
    for act in (unpack, lambda *a: run_packed(a[0], np.ones((2, 1, 2)), *a[1:])):
        with pytest.raises(RnnvizError) as caught:
            act(packed, form, convention)
        assert str(caught.value) == text
        assert caught.value.message("ko") != text


@pytest.mark.parametrize(
    ("form", "convention"), [("lstm", KERAS), (LSTM, "keras"), (Form("cnn"), KERAS), (None, None)]
)
def test_forms_and_conventions_are_named(form: Any, convention: Any):
    shown = getattr(convention, "title", repr(convention))
    text = (
        f"Got the form {form!r} and the convention {shown}; expected the Form of an RNN, LSTM or "
        'GRU, and a Convention. Pass such as Form("gru") and KERAS.'
    )
    acts: list[Any] = [unpack, pack, lambda *a: run_packed(a[0], np.ones((2, 1, 2)), *a[1:])]
    for act in acts:
        with pytest.raises(RnnvizError) as caught:
            act(KERNELS, form, convention)
        assert str(caught.value) == text
        assert caught.value.message("ko") != text


def test_every_function_of_the_room_checks_the_parameters():
    short = {name: p[:-1] for name, p in weights(GRU, 2, 3).items()}
    x = np.ones((4, 1, 2))
    text = LAYOUT.format("weight_ih", (8, 2), "rnnviz", (9, 2), "gru", 3, 2)
    acts: dict[str, Any] = {
        "pack": lambda: pack(short, GRU, KERAS),
        "run": lambda: run_packed(short, x, GRU, PROJECT),
        "difference": lambda: difference(GRU, short, x, one_bias=True),
        "lay out": lambda: lay_out(GRU, short, ONNX),
    }
    for name, act in acts.items():
        with pytest.raises(RnnvizError) as caught:
            act()
        assert str(caught.value) == text, name
    with pytest.raises(RnnvizError) as caught:
        merge_biases({"bias_ih": np.ones(3), "bias_hh": np.ones(6)})
    assert caught.value.key == "error.bias_shapes"


def test_a_convention_does_not_run_another_form():
    """Before, Keras's reset after was run whatever the form said, and torch left out peepholes."""
    packed = pack(weights(GRU, 2, 3), GRU, KERAS)
    pairs = [(packed, BEFORE, KERAS), (weights(PEEPHOLE, 2, 3), PEEPHOLE, TORCH)]
    for arrays, form, convention in pairs:
        with pytest.raises(RnnvizError) as caught:
            run_packed(arrays, np.ones((2, 1, 2)), form, convention)
        assert caught.value.key in ("error.reset_is_before", "error.no_peepholes")


def test_inputs_and_states_of_a_run_are_checked():
    """Before, one axis less was read as a batch, and one state was broadcast to all."""
    own = weights(LSTM, 2, 3)
    shape = "{} has shape {}; expected {} for these weights. Pass an array of that shape."
    zeros = np.zeros((2, 3))
    cases: list[tuple[Any, Any, str]] = [
        (np.ones((4, 2)), None, shape.format("x", (4, 2), "(time, batch, 2)")),
        (np.ones((4, 2, 3)), None, shape.format("x", (4, 2, 3), "(time, batch, 2)")),
        (np.ones((0, 2, 2)), None, shape.format("x", (0, 2, 2), "(time, batch, 2)")),
        (np.ones((4, 2, 2)), (zeros, zeros[:1]), shape.format("c", (1, 3), (2, 3))),
        (np.ones((4, 2, 2)), (zeros[0], zeros), shape.format("h", (3,), (2, 3))),
    ]
    for x, state, text in cases:
        with pytest.raises(RnnvizError) as caught:
            run_packed(own, x, LSTM, PROJECT, state)
        assert str(caught.value) == text
    with pytest.raises(RnnvizError) as caught:
        run_packed(own, np.ones((4, 2, 2)), LSTM, PROJECT, zeros)
    assert caught.value.key == "error.state_pair"
