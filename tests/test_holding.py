"""What can be held, at which steps, and the errors for what cannot."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import rnnviz
from rnnviz import Hold
from rnnviz.explain.equations import equations
from rnnviz.holding import held_values
from rnnviz.recurrent import read_module

held_at: Any = Hold  # takes what the types of Hold exclude
X = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(6, 2, 1)
RANGE = "forget_gate cannot be held at {}; expected a number from 0 to 1. Choose such a number."
LIST = (
    "forget_gate cannot be held at {}; in a list only the first entry can be a number, and all "
    "others must be rnnviz.Hold. To hold each unit at its own value, pass one Hold per unit, such "
    "as Hold(0.5, units=[0])."
)
MAPPING = (
    "hold is {}; expected a mapping from names of gates or states to the values that they are held "
    "at. Its names can be input_gate, forget_gate, cell_candidate, output_gate, cell_state, "
    'hidden_state. Pass a mapping such as {{"hidden_state": 0.5}}.'
)
UNITS = (
    "forget_gate cannot be held at units={}; expected a list of integers, or None for all units. "
    "Pass a list such as [0]."
)
RUN = "forget_gate cannot be held at units {}; units run from 0 to 3. Choose at least one of these."
TWICE = (
    "forget_gate is held at the units {} more than once in one Hold; expected each unit once. "
    "Leave the repeated units out."
)
START = (
    "forget_gate cannot be held from time step {} on; the steps of the input run from 0 to 5. "
    "Choose one of these."
)
STOP = (
    "forget_gate cannot be held until time step {}; with this start, stop must be an integer from "
    "{} to 6, the number of steps of the input. Choose one of these, or None for all steps from "
    "start."
)
WHOLE = "The {} is {} ({}); expected an integer from 0 to {}. Pass an int."
LAYER = "forget_gate cannot be held in layer {}; layers run from 0 to 0. Choose one of these."


def module_of(kind: str = "lstm", **options: Any) -> Any:
    kinds = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
    return kinds[kind](1, 4, dtype=torch.float64, **options)


HOLDS: dict[str, tuple[Any, str]] = {
    "number as mapping": (1.0, MAPPING.format("1.0")),
    "zero as mapping": (0.0, MAPPING.format("0.0")),
    "list as mapping": ([], MAPPING.format("[]")),
    "name alone": ("forget_gate", MAPPING.format("'forget_gate'")),
    "a Hold alone": (held_at(1.0), MAPPING.format("Hold")),
    "true": ({"forget_gate": True}, RANGE.format("True")),
    "text": ({"forget_gate": "open"}, RANGE.format("'open'")),
    "none": ({"forget_gate": None}, RANGE.format("None")),
    "complex": ({"forget_gate": np.complex128(1)}, RANGE.format("(1+0j)")),
    "infinite": ({"forget_gate": Hold(float("inf"))}, RANGE.format("inf")),
    "above": ({"forget_gate": np.float32(1.5)}, RANGE.format("1.5")),
    "long": ({"forget_gate": 10**400}, RANGE.format("int")),
    "array": ({"forget_gate": np.ones(4)}, RANGE.format("array([1., 1., 1., 1.])")),
    "long array": ({"forget_gate": np.ones(99)}, RANGE.format("ndarray (99,)")),
    "a value per unit": ({"forget_gate": [0.1, 0.2]}, LIST.format("[0.1, 0.2]")),
    "no hold": ({"forget_gate": []}, LIST.format("[]")),
    "one unit": ({"forget_gate": held_at(1.0, units=2)}, UNITS.format("2")),
    "units to be read once": (
        {"forget_gate": held_at(1.0, units=map(int, "01"))},
        UNITS.format("map"),
    ),
    "text of units": ({"forget_gate": held_at(1.0, units="01")}, UNITS.format("'01'")),
    "true unit": (
        {"forget_gate": held_at(1.0, units=[True])},
        WHOLE.format("unit", True, "bool", 3),
    ),
    "half unit": (
        {"forget_gate": held_at(1.0, units=[0.5])},
        WHOLE.format("unit", 0.5, "float", 3),
    ),
    "mask of units": (
        {"forget_gate": held_at(1.0, units=np.array([True, False]))},
        WHOLE.format("unit", True, "bool", 3),
    ),
    "last from the end": ({"forget_gate": held_at(1.0, units=[-1])}, RUN.format([-1])),
    "unit beyond": ({"forget_gate": held_at(1.0, units=[0, 4])}, RUN.format([0, 4])),
    "no unit": ({"forget_gate": held_at(1.0, units=[])}, RUN.format([])),
    "twice": ({"forget_gate": held_at(1.0, units=[2, 0, 2])}, TWICE.format([2])),
    "true start": (
        {"forget_gate": held_at(1.0, start=True)},
        WHOLE.format("start", True, "bool", 5),
    ),
    "list of starts": (
        {"forget_gate": held_at(1.0, start=[0])},
        WHOLE.format("start", [0], "list", 5),
    ),
    "half start": (
        {"forget_gate": held_at(1.0, start=0.0)},
        WHOLE.format("start", 0.0, "float", 5),
    ),
    "start beyond": ({"forget_gate": held_at(1.0, start=6)}, START.format(6)),
    "start before": ({"forget_gate": held_at(1.0, start=-1)}, START.format(-1)),
    "stop at start": ({"forget_gate": held_at(1.0, start=2, stop=2)}, STOP.format(2, 3)),
    "stop beyond": ({"forget_gate": held_at(1.0, stop=7)}, STOP.format(7, 1)),
    "stop from the end": ({"forget_gate": held_at(1.0, stop=-1)}, STOP.format(-1, 1)),
    "half stop": ({"forget_gate": held_at(1.0, stop=1.5)}, WHOLE.format("stop", 1.5, "float", 6)),
    "float layer": (
        {"forget_gate": held_at(1.0, layer=0.0)},
        WHOLE.format("layer", 0.0, "float", 0),
    ),
    "true layer": (
        {"forget_gate": held_at(1.0, layer=True)},
        WHOLE.format("layer", True, "bool", 0),
    ),
    "last layer": ({"forget_gate": held_at(1.0, layer=-1)}, LAYER.format(-1)),
    "number of a direction": (
        {"forget_gate": held_at(1.0, direction=0)},
        'The direction is "0"; the trace has forward. Choose one of these.',
    ),
}


@pytest.mark.parametrize(("hold", "expected"), HOLDS.values(), ids=list(HOLDS))
def test_what_cannot_be_held_is_named(hold: Any, expected: str):
    with pytest.raises(rnnviz.RnnvizError) as caught:
        rnnviz.trace(module_of(), X, hold=hold)
    assert str(caught.value) == expected
    assert caught.value.message("ko") != expected


@pytest.mark.parametrize("value", [torch.tensor(0.25), np.array(0.25), np.float16(0.25), 0.25])
def test_a_value_is_any_real_number(value: Any):
    found = rnnviz.trace(module_of(), X, hold={"forget_gate": value})
    assert (found["forget_gate"].values == 0.25).all()


def test_an_empty_mapping_holds_nothing():
    module = module_of()
    trace = rnnviz.trace(module, X, hold={})
    assert trace.held == {}
    assert trace == rnnviz.trace(module, X)


@pytest.mark.parametrize(
    "units", [(0, 2), {0, 2}, np.array([2, 0]), range(0, 3, 2), [np.int8(0), 2]]
)
def test_units_are_any_integers(units: Any):
    found = rnnviz.trace(module_of(), X, hold={"forget_gate": Hold(0.25, units=units)})
    held = found["forget_gate"].values == 0.25
    assert held.all((0, 1, 2, 3)).tolist() == [True, False, True, False]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_held_is_what_the_dtype_holds(dtype: torch.dtype):
    """0.1 rounded to the dtype, by torch itself; 0.3 is another number in each of them."""
    module = nn.LSTM(1, 2).to(dtype)
    x = torch.ones(3, 1).to(dtype)
    trace = rnnviz.trace(module, x, hold={"cell_state": 0.1, "hidden_state": Hold(0.3, stop=1)})
    expected = [float(torch.tensor(v, dtype=torch.float64).to(dtype)) for v in (0.1, 0.3)]
    assert np.unique(trace.held["cell_state"]).tolist() == expected[:1]
    assert trace.held["hidden_state"][0, 0, 0].tolist() == [expected[1]] * 2
    assert np.isnan(trace.held["hidden_state"][0, 0, 1:]).all()
    assert np.unique(trace["cell_state"].values.astype(float)).tolist() == expected[:1]
    assert (trace["hidden_state"].values[0, 0, 0].astype(float) == expected[1]).all()


@pytest.mark.parametrize(
    ("dtype", "value", "largest"),
    [
        (torch.float16, 7e4, "65,500"),
        (torch.float32, 1e300, "3.4\u00a0×\u00a010³⁸"),
        (torch.bfloat16, -3.4e38, "3.39\u00a0×\u00a010³⁸"),
    ],
)
def test_a_value_beyond_the_dtype_is_refused(dtype: torch.dtype, value: float, largest: str):
    with pytest.raises(rnnviz.RnnvizError) as caught:
        rnnviz.trace(
            nn.LSTM(1, 2).to(dtype), torch.ones(3, 1).to(dtype), hold={"cell_state": value}
        )
    name = str(dtype).removeprefix("torch.")
    assert str(caught.value) == (
        f"cell_state cannot be held at {value} in {name}, the dtype of the module, whose largest "
        f"number is {largest}. Choose a smaller value, or convert the module with module.double()."
    )


def test_a_default_device_changes_nothing():
    module, hold = module_of("rnn"), {"hidden_state": Hold(0.5, stop=2)}
    expected = rnnviz.trace(module, X, hold=hold)
    with torch.device("meta"):
        assert np.array_equal(
            held_values(hold, read_module(module), 6)["hidden_state"],
            expected.held["hidden_state"],
            equal_nan=True,
        )


def test_a_state_can_be_held_at_any_finite_number():
    """Beyond the range of tanh too: the network is then another one, and its loss says so."""
    trace = rnnviz.trace(module_of("rnn"), X, loss="last", hold={"hidden_state": 1e300})
    assert (trace["hidden_state"].values == 1e300).all()
    assert trace.loss == 8e300


def by_hand(module: Any, x: torch.Tensor, held: dict[int, float], until: int) -> dict[str, Any]:
    """An LSTM's steps written out, its forget gate held at ``held[t]``, differentiated by autograd.

    until: the steps of the sequence. Returns states, forget gates and gradients, (time, unit).
    """
    w, u, b, b_h = (p for p in module.parameters())
    h, c = (torch.zeros(4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    rows: dict[str, list[torch.Tensor]] = {n: [] for n in ("h", "c", "f", "a_f")}
    for t in range(until):
        a_i, a_f, a_g, a_o = (w @ x[t] + b + u @ h + b_h).chunk(4)
        f = torch.full((4,), held[t], dtype=torch.float64) if t in held else torch.sigmoid(a_f)
        c = f * c + torch.sigmoid(a_i) * torch.tanh(a_g)
        h = torch.sigmoid(a_o) * torch.tanh(c)
        for name, value in (("h", h), ("c", c), ("f", f), ("a_f", a_f)):
            rows[name].append(value)
    grads = torch.autograd.grad(
        h.sum(), [*rows["h"], *rows["c"], *rows["a_f"]], allow_unused=True, materialize_grads=True
    )
    found = {name: torch.stack(values).detach().numpy() for name, values in rows.items()}
    for k, name in enumerate(("h", "c", "a_f")):
        found[f"grad_{name}"] = torch.stack(grads[k * until : (k + 1) * until]).numpy()
    return found


NAMES = {
    "h": "hidden_state",
    "c": "cell_state",
    "f": "forget_gate",
    "grad_h": "grad_hidden_state",
    "grad_c": "grad_cell_state",
    "grad_a_f": "grad_forget_gate_preactivation",
}


def test_a_gate_held_for_a_while_in_padded_sequences_of_both_directions():
    """Steps count from the start of the input, also where it is read backwards."""
    module = module_of(bidirectional=True)
    hold = {
        "forget_gate": [
            Hold(0.8, start=1, stop=3),
            Hold(0.1, start=2, stop=5, direction="backward"),
        ]
    }
    lengths = [6, 4]
    trace = rnnviz.trace(module, X, lengths=lengths, hold=hold, loss=lambda y: _ends(y, lengths))
    weights = list(module.parameters())
    for number, name in enumerate(("forward", "backward")):
        one = module_of()
        for own, given in zip(one.parameters(), weights[4 * number : 4 * number + 4], strict=True):
            own.data.copy_(given)
        held = {1: 0.8, 2: 0.8} if number == 0 else {1: 0.8, 2: 0.1, 3: 0.1, 4: 0.1}
        for b, length in enumerate(lengths):
            order = range(length) if number == 0 else range(length)[::-1]
            x = torch.stack([X[t, b] for t in order])
            at = {k: held[t] for k, t in enumerate(order) if t in held}
            expected = by_hand(one, x, at, length)
            for short, full in NAMES.items():
                found = trace[full].sel(direction=name).values[0, :length, b]
                apart = abs(found[list(order)] - expected[short]).max()
                assert apart < 1e-12, f"{name}, sequence {b}, {full}: {apart:.1e}"
    gone = trace["grad_forget_gate_preactivation"].values[0, 0, 1:3]
    assert (gone == 0).all(), "no gradient flows through a held gate"


def _ends(y: torch.Tensor, lengths: list[int]) -> torch.Tensor:
    """The last output of each direction: at the end forward, at the start backward."""
    last = torch.stack([y[n - 1, b, :4] for b, n in enumerate(lengths)])
    return last.sum() + y[0, :, 4:].sum()


def test_a_hold_with_a_stop_is_saved_and_marked_in_the_equations(tmp_path: Path):
    trace = rnnviz.trace(
        module_of("gru"), X[:, :1], loss="all", hold={"update_gate": Hold(0.5, [1], 2, stop=4)}
    )
    trace.save(tmp_path / "held.nc")
    assert rnnviz.load_trace(tmp_path / "held.nc") == trace
    rules = [equations(trace, 1, t)["update_gate"].rule for t in range(6)]
    assert [r"\text" in rule for rule in rules] == [False, False, True, True, False, False]
    assert np.isfinite(trace.held["update_gate"]).sum() == 2


def test_a_cells_own_steps_hold_the_same():
    """A user's own class is run step by step with autograd, a stock cell by the kernels."""

    class Own(rnnviz.cells.GRUCell):
        pass

    own, stock = Own(1, 4).double(), rnnviz.cells.GRUCell(1, 4).double()
    own.load_state_dict(stock.state_dict())
    hold = {"update_gate": Hold(0.7, [0, 2], start=1, stop=4), "hidden_state": Hold(0.1, stop=2)}
    first, other = (rnnviz.trace(cell, X, loss="all", hold=hold) for cell in (own, stock))
    for name in other.names:
        apart = np.abs(first[name].values - other[name].values).max()
        assert apart < 1e-12, f"{name}: {apart:.1e}"
