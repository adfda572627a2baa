"""The engine's contracts: the fields shared with compiled kernels, and the replay error."""

import importlib
import re
from pathlib import Path

import pytest
import torch
from torch import nn

import rnnviz
from rnnviz.cells import GATE_NAMES, Form
from rnnviz.engine import steps
from rnnviz.engine.kernels.compiling import compiled
from rnnviz.errors import RnnvizError
from rnnviz.holding import HELD

FIELDS = {
    steps.RNNStates: ("h",),
    steps.GRUStates: ("gates", "m", "h"),
    steps.LSTMStates: ("gates", "c", "q", "h"),
    steps.GRUWeights: ("u", "u_n", "b_n"),
    steps.LSTMWeights: ("u", "v", "p"),
    steps.StateGradients: ("h", "a", "h_0"),
    steps.LSTMGradients: ("h", "c", "a", "h_0", "c_0"),
    steps.EndGradients: ("last", "h", "c", "scale"),
    steps.Scaling: ("output_grad", "rows", "kept"),
    HELD["rnn"]: ("hidden_state",),
    HELD["gru"]: (*GATE_NAMES["gru"], "hidden_state"),
    HELD["lstm"]: (*GATE_NAMES["lstm"], "cell_state", "hidden_state"),
}


@pytest.mark.parametrize("shared", FIELDS, ids=lambda shared: shared.__name__)
def test_fields_read_by_position_in_cached_kernels_keep_their_order(shared: type):
    """If the fields change, rename the class: numba's disk cache does not see a new order."""
    assert shared._fields == FIELDS[shared]  # pyright: ignore[reportAttributeAccessIssue]  # all are NamedTuples


def test_a_cache_for_a_class_that_is_gone_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As after an update that renames a class: numba itself raises an AttributeError."""
    (tmp_path / "cached_kernel.py").write_text(
        "from typing import Any, NamedTuple\n"
        "Old = NamedTuple('Old', [('x', Any), ('y', Any)])\n"
        "New = NamedTuple('New', [('y', Any), ('x', Any)])\n"
        "def first(pair): return pair[0]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("cached_kernel")
    assert compiled(module.first)(module.Old(1.0, 2.0)) == 1.0
    assert list(tmp_path.rglob("*.nbi"))
    monkeypatch.delattr(module, "Old")
    assert compiled(module.first)(module.New(3.0, 4.0)) == 3.0
    again = compiled(module.first)
    assert again(module.New(3.0, 4.0)) == 3.0
    assert sum(again.stats.cache_hits.values()) == 1, "it is kept again"


@pytest.mark.parametrize("cell", HELD)
def test_the_gates_and_states_of_a_cell_can_be_held(cell: str):
    gates = () if cell == "rnn" else GATE_NAMES[cell]
    assert set(HELD[cell]._fields) == {*gates, *Form(cell).states}


class Shifted(nn.GRU):
    """Adds 1e-3 to the output of the first sequence."""

    def forward(self, input, hx=None):  # pyright: ignore[reportIncompatibleMethodOverride]  # torch overloads it
        output, h = super().forward(input, hx)
        return output + torch.tensor([1e-3, 0.0])[:, None], h


def test_the_replay_error_has_the_difference_and_tolerance_of_one_step():
    """The second sequence's inputs are so large that its tolerance is above 1e-3."""
    torch.manual_seed(0)
    x = torch.ones(20, 2, 3) * torch.tensor([1.0, 1000.0])[:, None]
    with pytest.raises(RnnvizError) as refused:
        rnnviz.trace(Shifted(3, 4), x)
    error, tolerance = (float(refused.value.values[name]) for name in ("error", "tolerance"))  # pyright: ignore[reportArgumentType]  # both are texts of numbers
    assert refused.value.key == "error.replay"
    assert 0.9e-3 < error < 1.3e-3
    assert tolerance < error / 3
    assert re.search(r"0\.001", str(refused.value))
