"""Inputs, states and lengths of every type: read as what they are, or refused by name."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import rnnviz

NUMBERS = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
BATCH = np.random.default_rng(1).normal(size=(5, 2, 2)).astype(np.float32)
SOME = np.ma.masked_array(NUMBERS, mask=np.arange(10).reshape(5, 2) > 6)
MASKED = (
    "{} has {} masked values, which would count as numbers; expected values without a mask. If "
    "they are padding, pass lengths or mask; else fill or leave out the masked values."
)
DTYPE = "inputs has dtype {0}; the module computes in float32. Convert inputs to float32."
RAGGED = (
    "{} has rows of different lengths; expected a rectangular array. Pad the rows to one length, "
    "and pass the true lengths as lengths."
)
NO_ARRAY = (
    "inputs is of type {}, which NumPy cannot read as an array. Pass an array, a tensor or a list "
    "of numbers."
)
LENGTHS = (
    "lengths has dtype {} and shape {}; expected one integer per sequence, 2 in all. Pass them as "
    "a list or a one-dimensional array."
)


class NoArray:
    def __array__(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("no values")


def masked_tensor(values: Any, mask: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls masked tensors a prototype
        return torch.masked.masked_tensor(torch.tensor(values), torch.tensor(mask))


SAME: dict[str, Any] = {
    "array": NUMBERS,
    "unmasked array": np.ma.array(NUMBERS),
    "unmasked rows": list(np.ma.array(NUMBERS)),
    "list": NUMBERS.tolist(),
    "tuple of arrays": tuple(NUMBERS),
    "data frame": pd.DataFrame(NUMBERS, columns=["a", "b"]),
    "tensors with gradients": [torch.tensor(row, requires_grad=True) for row in NUMBERS],
    "memory": memoryview(NUMBERS.data),
    "big-endian": NUMBERS.astype(">f4"),
    "read only": np.broadcast_to(NUMBERS, (5, 2)),
    "half": NUMBERS.astype(np.float16).astype(np.float32),
}


@pytest.mark.parametrize("inputs", SAME.values(), ids=list(SAME))
def test_inputs_of_every_type_are_the_same(inputs: Any):
    module = nn.GRU(2, 3)
    expected = NUMBERS if inputs is not SAME["half"] else inputs
    trace = rnnviz.trace(module, inputs)
    output = module(torch.tensor(expected))[0].detach().numpy()
    assert np.abs(trace["hidden_state"].values[0, 0, :, 0] - output).max() < 1e-6


@pytest.mark.parametrize("lengths", [pd.Series([5, 3]), np.ma.array([5, 3]), (5, np.int8(3))])
def test_lengths_of_every_type_are_the_same(lengths: Any):
    trace = rnnviz.trace(nn.GRU(2, 3), BATCH, lengths=lengths)
    assert trace.valid_lengths.tolist() == [5, 3]


ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "masked": ({"inputs": SOME}, MASKED.format("inputs", 3)),
    "masked rows": ({"inputs": list(SOME)}, MASKED.format("inputs", 1)),
    "a masked number": ({"inputs": [[1.0, np.ma.masked]] * 3}, MASKED.format("inputs", 1)),
    "masked tensor": (
        {"inputs": masked_tensor(NUMBERS, ~SOME.mask)},
        MASKED.format("inputs", 3),
    ),
    "masked state": (
        {
            "inputs": NUMBERS,
            "state": np.ma.masked_array(np.zeros((1, 3)), mask=[[True, False, True]]),
        },
        MASKED.format("h_0", 2),
    ),
    "masked lengths": (
        {"inputs": BATCH, "lengths": np.ma.masked_equal([5, 3], 3)},
        MASKED.format("lengths", 1),
    ),
    "masked lengths in a tensor": (
        {"inputs": BATCH, "lengths": masked_tensor([5, 3], [True, False])},
        MASKED.format("lengths", 1),
    ),
    "missing values": (
        {"inputs": pd.DataFrame({"a": [1.0, None], "b": [1.0, 2.0]}, dtype="Float64")},
        DTYPE.format("object"),
    ),
    "words": ({"inputs": pd.DataFrame({"a": ["x"], "b": ["y"]})}, DTYPE.format("object")),
    "objects": ({"inputs": NUMBERS.astype(object)}, DTYPE.format("object")),
    "complex": ({"inputs": NUMBERS.astype(complex)}, DTYPE.format("complex128")),
    "dates": ({"inputs": np.zeros((3, 2), "M8[D]")}, DTYPE.format("datetime64[D]")),
    "text": ({"inputs": "abc"}, DTYPE.format("<U3")),
    "mapping": ({"inputs": {"a": 1.0}}, DTYPE.format("object")),
    "ragged": ({"inputs": [[1.0, 2.0], [1.0]]}, RAGGED.format("inputs")),
    "ragged within": ({"inputs": [[[1.0, [2.0, 3.0]]]]}, RAGGED.format("inputs")),
    "ragged lengths": ({"inputs": BATCH, "lengths": [[5], [3, 2]]}, RAGGED.format("lengths")),
    "endless": ({"inputs": ENDLESS}, RAGGED.format("inputs")),
    "sparse rows": (
        {"inputs": [torch.ones(2).to_sparse()] * 3},
        "inputs has the layout sparse_coo; expected a dense tensor. Convert it with to_dense().",
    ),
    "rows without values": (
        {"inputs": [torch.ones(2, device="meta")] * 3},
        NO_ARRAY.format("Tensor"),
    ),
    "no array": ({"inputs": NoArray()}, NO_ARRAY.format("NoArray")),
    "no arrays": ({"inputs": [NoArray()]}, NO_ARRAY.format("list")),
    "text of lengths": ({"inputs": BATCH, "lengths": "53"}, LENGTHS.format("<U2", ())),
    "missing length": ({"inputs": BATCH, "lengths": [None, 3]}, LENGTHS.format("object", (2,))),
}


@pytest.mark.parametrize(("given", "text"), REFUSED.values(), ids=list(REFUSED))
def test_what_is_no_array_of_numbers_is_named(given: dict[str, Any], text: str):
    with pytest.raises(rnnviz.RnnvizError) as caught:
        rnnviz.trace(nn.GRU(2, 3), **given)
    assert str(caught.value) == text
    assert caught.value.message("ko") != text


def test_other_arrays_keep_no_mask_either():
    jacobians = np.ma.masked_equal(np.stack([np.eye(2)] * 3), 0)
    with pytest.raises(rnnviz.RnnvizError) as caught:
        rnnviz.backward_norms(jacobians)
    assert str(caught.value) == MASKED.format("jacobians", 6)
    with pytest.raises(rnnviz.RnnvizError) as caught:
        rnnviz.clip_by_norm({"u": np.ma.masked_equal([3.0, 4.0], 4)}, 1.0)
    assert str(caught.value) == MASKED.format("u", 1)
    assert rnnviz.backward_norms(np.ma.array(np.stack([2 * np.eye(2)] * 3)))[0] == 3 * np.log10(2)
