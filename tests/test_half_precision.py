"""Backpropagation in float16 and bfloat16, against torch's autograd in these types."""

import math
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import nn

import rnnviz
from rnnviz.cells import ElmanCell
from rnnviz.gradients import Lost, plain_pass

Half = Literal["float16", "bfloat16"]
TYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16}
IN_BOTH = pytest.mark.parametrize("dtype", list(TYPES))


def log_norms(gradients: tuple[torch.Tensor, ...]) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log10(np.linalg.norm(torch.stack(gradients).double().numpy(), axis=-1))


def assert_close(found: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    """Equal infinities and NaN count as no difference."""
    there = np.isfinite(expected)
    assert np.array_equal(found[~there], expected[~there], equal_nan=True)
    max_diff = float(np.abs(found[there] - expected[there]).max(initial=0))
    assert max_diff < tolerance, f"{max_diff=:.1e}"


def linear(u: Any, steps: int) -> rnnviz.Trace:
    """h_t = U h_{t−1} from h_0 = 0."""
    weights = torch.as_tensor(u).double()
    cell = ElmanCell(1, len(weights), "identity", bias=False).double()
    with torch.no_grad():
        cell.weight_ih.zero_()
        cell.weight_hh.copy_(weights)
    return rnnviz.trace(cell, torch.zeros(steps, 1).double(), loss="last")


@pytest.mark.parametrize(
    ("gain", "steps", "dtype", "wrong", "lost"),
    [
        (0.5, 60, "float16", 25, (25, "0")),  # 2^−24 is the smallest number
        (0.5, 150, "bfloat16", 134, (134, "0")),  # 2^−133
        (2.0, 60, "float16", 16, (16, "inf")),
        (2.0, 150, "bfloat16", 128, (128, "inf")),
        (0.9, 120, "float16", 119, None),  # rounds back to the same number: never lost
        (1.0, 60, "float16", None, None),
        (-1.0, 60, "bfloat16", None, None),
    ],
)
def test_half_norms_of_a_gain_are_autograds(
    gain: float, steps: int, dtype: Half, wrong: int | None, lost: tuple[int, Any] | None
):
    """wrong, lost: steps back from the last."""
    trace = linear([[gain]], steps)
    found = plain_pass(trace, dtype=dtype)
    weights = torch.tensor([[gain]]).to(TYPES[dtype])
    states = [torch.ones(1, dtype=TYPES[dtype], requires_grad=True)]
    for _ in range(steps - 1):
        states.append(weights @ states[-1])
    expected = log_norms(torch.autograd.grad(states[-1].sum(), states))
    assert_close(found.log10_norms, expected, 1e-13)
    last = steps - 1
    assert found.lost == (None if lost is None else Lost(last - lost[0], lost[1]))
    if gain != 0.9:
        assert found.wrong_from == (None if wrong is None else last - wrong)
        assert rnnviz.diagnose(trace).lost[dtype] == found.lost


def test_the_ranges_of_half_precision_are_torchs():
    """The first powers that round to 0 and to inf, and the last ones that do not."""
    for name, dtype in TYPES.items():
        info = torch.finfo(dtype)
        smallest = info.smallest_normal * info.eps
        half = torch.tensor([smallest / 2, smallest / 2 * 1.001, info.max]).double()
        assert half.to(dtype).tolist() == [0.0, smallest, info.max]
        for gain, steps in ((0.5, 160), (2.0, 160)):
            lost = rnnviz.diagnose(linear([[gain]], steps)).lost[name]
            assert lost is not None
            power = 159 - lost.time
            value = torch.tensor(gain**power).double().to(dtype).item()
            assert value == (0.0 if lost.shows == "0" else math.inf)
            before = torch.tensor(gain ** (power - 1)).double().to(dtype).item()
            assert before not in (0.0, math.inf)


CELLS: dict[str, Any] = {
    "rnn": lambda: nn.RNNCell(3, 5),
    "relu": lambda: nn.RNNCell(3, 5, nonlinearity="relu"),
    "gru": lambda: nn.GRUCell(3, 5),
    "lstm": lambda: nn.LSTMCell(3, 5),
    "reset before": lambda: rnnviz.cells.GRUCell(3, 5, reset_after=False),
    "peephole": lambda: rnnviz.cells.LSTMCell(3, 5, peephole=True, coupled=True),
}


@IN_BOTH
@pytest.mark.parametrize("kind", CELLS)
def test_half_norms_of_every_cell_are_those_of_a_network_run_in_half_precision(
    kind: str, dtype: Half
):
    """Its states differ from the recorded ones by rounding."""
    cell, x = CELLS[kind](), torch.randn(12, 1, 3)
    half = TYPES[dtype]
    cell.to(half)
    state: Any = torch.zeros(1, 5, dtype=half, requires_grad=True)
    state = (state, torch.zeros(1, 5, dtype=half)) if isinstance(state, tuple) else state
    if kind in ("lstm", "peephole"):
        state = (state, torch.zeros(1, 5, dtype=half))
    hidden = []
    for x_t in x.to(half):
        state = cell(x_t, state)
        hidden.append(state[0] if isinstance(state, tuple) else state)
    gradients = torch.autograd.grad(hidden[-1].sum(), hidden)
    expected = log_norms(tuple(g[0] for g in gradients))
    trace = rnnviz.trace(cell.float(), x.to(half).float(), loss="last")
    found = plain_pass(trace, dtype=dtype)
    assert_close(found.log10_norms, expected, 8 * torch.finfo(half).eps)
    exact = rnnviz.gradient_norms(trace)["hidden_state"].values[0, 0, :, 0]
    assert np.abs(found.log10_norms - exact).max() > 1e-6, "it is rounded"


@IN_BOTH
def test_upper_layers_pass_down_their_half_gradient(dtype: Half):
    """A layer above that shrinks the gradient below the range leaves 0 for the layer below."""
    module: Any = nn.RNN(1, 1, 2, nonlinearity="relu", bias=False).double()
    smallest = torch.finfo(TYPES[dtype]).smallest_normal * torch.finfo(TYPES[dtype]).eps
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(1.0)
        module.weight_ih_l1.fill_(2.0**-10)
    trace = rnnviz.trace(
        module, torch.ones(3, 1).double(), loss=lambda y: 2 * smallest * y[-1].sum()
    )
    below, above = (plain_pass(trace, dtype=dtype, layer=n) for n in (0, 1))
    assert np.isneginf(below.log10_norms).all()
    assert (below.wrong_from, below.lost) == (2, Lost(2, "0"))
    assert above.lost is None
    assert_close(above.log10_norms, np.full(3, math.log10(2 * smallest)), 1e-12)


@IN_BOTH
def test_parts_padding_and_holds_in_half_precision(dtype: Half):
    torch.manual_seed(0)
    module = nn.LSTM(3, 4, 2, bidirectional=True, proj_size=2)
    for options in ({}, {"hold": {"forget_gate": 0.5}}):
        trace = rnnviz.trace(module, torch.randn(5, 2, 3), lengths=[5, 3], loss="all", **options)
        exact = rnnviz.gradient_norms(trace)["hidden_state"]
        tolerance = 4 * torch.finfo(TYPES[dtype]).eps
        for place in np.ndindex(2, 2, 2):
            part = {
                "layer": place[0],
                "direction": ("forward", "backward")[place[1]],
                "batch": place[2],
            }
            found = plain_pass(trace, dtype=dtype, **part)  # pyright: ignore[reportArgumentType]  # mixed keywords
            assert_close(found.log10_norms, exact.sel(part).values, tolerance)
            assert (found.wrong_from, found.lost) == (None, None)


@IN_BOTH
def test_a_trace_of_a_half_precision_module_is_diagnosed(dtype: Half):
    torch.manual_seed(0)
    module = nn.GRU(3, 4).to(TYPES[dtype])
    trace = rnnviz.trace(module, torch.randn(40, 3).to(TYPES[dtype]), loss="last")
    expected = rnnviz.diagnose(
        rnnviz.trace(module.double(), trace.array("input")[:, 0], loss="last")
    )
    found = rnnviz.diagnose(trace)
    assert found.verdict == expected.verdict
    assert found.decay == pytest.approx(expected.decay, rel=4 * torch.finfo(TYPES[dtype]).eps)


def test_another_type_is_refused():
    with pytest.raises(rnnviz.RnnvizError) as caught:
        plain_pass(linear([[1.0]], 2), dtype="float8")  # pyright: ignore[reportArgumentType]  # the error under test
    assert str(caught.value) == (
        "The dtype is 'float8'; expected one of float16, bfloat16, float32, float64. Choose one of "
        "these."
    )
