"""Integers of Python, NumPy and torch are taken; truth values, fractions and texts are not."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import rnnviz
from rnnviz import Hold, View, initialise
from rnnviz.cells import Form, GRUCell, LSTMCell
from rnnviz.counting import Size
from rnnviz.errors import integer
from rnnviz.explain.equations import equations
from rnnviz.explain.terms import gate_terms

INTEGERS: dict[str, Callable[[int], Any]] = {
    "NumPy": np.int64,
    "few bits": np.int8,
    "array": np.array,
    "tensor": torch.tensor,
    "tensor of few bits": lambda n: torch.tensor(n, dtype=torch.uint8),
}
NO_INTEGERS: list[Any] = [
    True,
    np.True_,
    np.array(True),
    torch.tensor(True),
    2.0,
    np.float32(2),
    torch.tensor(2.0),
    float("nan"),
    "2",
    [2],
    np.array([2]),
    torch.tensor([2]),
    torch.ones((), dtype=torch.int64, device="meta"),
    np.datetime64(2, "ns"),
    2 + 0j,
]


@cache
def traced() -> rnnviz.Trace:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.LSTM(3, 4, num_layers=3).double()
        return rnnviz.trace(module, torch.randn(6, 3, 3).double(), loss="last")


def held(**fields: Any) -> np.ndarray:
    hold = {"update_gate": Hold(0.5, **fields)}
    return rnnviz.trace(nn.GRU(3, 4, 3), torch.ones(6, 1, 3), hold=hold).held["update_gate"]


def initialised(write: Callable[[nn.Module], None]) -> np.ndarray:
    module: Any = nn.GRU(3, 4)
    write(module)
    return module.weight_hh_l0.detach().numpy()


def sizes_of(cell: nn.Module) -> list[int]:
    return [size for p in cell.parameters() for size in p.shape]


# Each takes an integer of 2 somewhere.
USES: dict[str, Callable[[Any], Any]] = {
    "layer": lambda n: rnnviz.jacobians(traced(), layer=n),
    "batch": lambda n: rnnviz.jacobians(traced(), batch=n),
    "unit": lambda n: gate_terms(traced(), "forget_gate", n, 0).preactivation,
    "time": lambda n: gate_terms(traced(), "forget_gate", 0, n).preactivation,
    "source": lambda n: rnnviz.sensitivity_norms(traced(), sources=[n]).values,
    "hold start": lambda n: held(start=n),
    "hold stop": lambda n: held(stop=n),
    "hold layer": lambda n: held(layer=n),
    "hold unit": lambda n: held(units=[n]),
    "view": lambda n: list(View(first_step=n, steps=n).span(6)),
    "warmup": lambda n: rnnviz.lyapunov_exponents(rnnviz.jacobians(traced()), warmup=n),
    "leading": lambda n: rnnviz.lyapunov_exponents(rnnviz.jacobians(traced()), leading=n),
    "rank": lambda n: rnnviz.bound_backward_norms(rnnviz.jacobians(traced()), rank=n, exact=1)[0],
    "exact": lambda n: rnnviz.bound_backward_norms(rnnviz.jacobians(traced()), exact=n)[0],
    "seed": lambda n: initialised(lambda module: initialise.xavier(module, seed=n)),
    "features": lambda n: sizes_of(GRUCell(n, 100)),
    "projection": lambda n: sizes_of(LSTMCell(3, 100, proj_size=n)),
    "size": lambda n: rnnviz.count_parameters(Size(Form("lstm"), n, 100, layers=n)),
    "budget": lambda n: rnnviz.fit_hidden(Form("gru"), n, 500),
    "lengths": lambda n: rnnviz.trace(nn.GRU(3, 4), torch.ones(6, 2, 3), lengths=[n, 6]).lengths,
}


@pytest.mark.parametrize("made", INTEGERS)
@pytest.mark.parametrize("use", USES)
def test_integers_of_every_kind(use: str, made: str):
    found, expected = (USES[use](number) for number in (INTEGERS[made](2), 2))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("use", USES)
def test_nothing_else_is_an_integer(use: str):
    for came in NO_INTEGERS:
        with pytest.raises(rnnviz.RnnvizError):
            USES[use](came)
        assert integer(came) is None


def test_the_sizes_of_a_cell_do_not_overflow():
    assert GRUCell(np.int8(3), np.int8(100)).weight_hh.shape == (300, 100)  # pyright: ignore[reportArgumentType]
    assert LSTMCell(np.int8(3), np.int8(100)).hidden_size == 100  # pyright: ignore[reportArgumentType]


def test_the_first_step_as_an_integer_without_a_sign():
    expected = equations(traced(), 1, 0)
    first: list[Any] = [np.uint8(0), np.array(0, np.uint8), torch.tensor(0, dtype=torch.uint8)]
    assert all(equations(traced(), 1, time) == expected for time in first)
    with pytest.raises(rnnviz.RnnvizError, match="The dtype is"):
        rnnviz.plain_pass(traced(), dtype=np.ones(2))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("units", [torch.tensor([3, 1]), np.array([3, 1]), [torch.tensor(3), 1]])
def test_units_as_an_array(units: Any):
    expected = np.full((3, 1, 6, 4), np.nan)
    expected[..., [1, 3]] = 0.5
    assert np.array_equal(held(units=units), expected, equal_nan=True)
    assert View(units).order(4) == [3, 1]


@pytest.mark.parametrize("lengths", [[True, 6], [np.True_, 6], (6, torch.tensor(True))])
def test_truth_values_are_no_lengths(lengths: Any):
    with pytest.raises(rnnviz.RnnvizError) as caught:
        rnnviz.trace(nn.GRU(3, 4), torch.ones(6, 2, 3), lengths=lengths)
    assert str(caught.value) == (
        "lengths has dtype bool and shape (2,); expected one integer per sequence, 2 in all. Pass "
        "them as a list or a one-dimensional array."
    )


def test_a_limit_that_is_no_number_is_not_the_fault_of_the_file(tmp_path: Path):
    path = tmp_path / "a.npz"
    traced().save(path)
    for came in ("1", -1, 0, 1.5, True, float("nan"), [1]):
        with pytest.raises(rnnviz.RnnvizError) as caught:
            rnnviz.load_trace(path, max_bytes=came)  # pyright: ignore[reportArgumentType]
        assert str(caught.value) == (
            f"max_bytes is {came!r}; expected an integer of at least 1. Choose another number."
        )
    enough: Any = torch.tensor(2**30)
    assert rnnviz.load_trace(path, max_bytes=enough) == traced()
    with pytest.raises(rnnviz.RnnvizError, match="the limit is 5"):
        rnnviz.load_trace(path, max_bytes=5)


@pytest.mark.parametrize("name", ["rank", "exact"])
@pytest.mark.parametrize("came", [0, -1, True, 1.5, "2"])
def test_counts_of_the_bounds(name: str, came: Any):
    with pytest.raises(rnnviz.RnnvizError) as caught:
        rnnviz.bound_backward_norms(np.ones((3, 2, 2)), **{name: came})
    assert str(caught.value) == (
        f"{name} is {came!r}; expected an integer of at least 1. Choose another number."
    )
