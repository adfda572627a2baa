"""The payload of the live instrument, and the validation of a browser's messages."""

import json
from typing import Any

import numpy as np
import pytest
import torch

from rnnviz import Trace, trace
from rnnviz.cells import GATES_AS_READ, Form, make_cell
from rnnviz.experiment import FIRST_TEXT
from rnnviz.inputs.vocabulary import Vocabulary, picture
from rnnviz.instrument.payload import pack_trace, rows_of
from rnnviz.locale import labels
from rnnviz.plots.style import palette
from rnnviz.ui.cache import character_model
from rnnviz.ui.components.instrument import Position, read_position

NOW = Position(3, 1, "forget_gate", 4)


def sent(record: Trace, text: str, vocabulary: Vocabulary, **rest: Any) -> tuple[Any, Any]:
    """The header of a message and the numbers after it."""
    given = {"units": range(record.array("hidden_state").shape[-1]), "dark": False}
    message = pack_trace(record, text, vocabulary=vocabulary, words=labels("en"), **given | rest)
    line, _, body = message.partition(b"\n")
    return json.loads(line), np.frombuffer(body, "<f4")


@pytest.mark.parametrize("cell", sorted(GATES_AS_READ))
def test_a_payload_contains_the_whole_trace(cell: str):
    model = character_model(cell)
    record = model.read(FIRST_TEXT)
    header, numbers = sent(record, FIRST_TEXT, model.vocabulary)
    steps, units = len(FIRST_TEXT), model.notes["hidden_size"]
    assert (header["cell"], header["steps"]) == (cell, steps)
    size = steps * units
    for i, row in enumerate(header["rows"]):
        values = numbers[i * size : (i + 1) * size].reshape(steps, units)
        assert (values == record[row["name"]].values[0, 0, :, 0]).all(), row["name"]
    states = ["cell_state", "hidden_state"] if cell == "lstm" else ["hidden_state"]
    assert header["initial"] == states
    assert numbers[len(header["rows"]) * size :].tolist() == [0.0] * units * len(states)
    assert header["characters"] == [picture(character) for character in FIRST_TEXT]
    assert header["breaks"] == [i for i, character in enumerate(FIRST_TEXT) if character == "\n"]


def test_a_payload_contains_the_initial_state():
    torch.manual_seed(0)
    h, c = torch.randn(2, 1, 3)
    record = trace(torch.nn.LSTM(1, 3), torch.ones(2, 1), (h, c))
    header, numbers = sent(record, "ab", Vocabulary("a"))
    assert header["initial"] == ["cell_state", "hidden_state"]
    assert numbers[-6:].tolist() == [*c[0].tolist(), *h[0].tolist()]
    assert header["unknown"] == [1]


def test_a_payload_has_the_activations_of_the_usual_cells_and_sends_no_output_of_theirs():
    for cell, expected in {
        "rnn": {"hidden": "tanh"},
        "gru": {"reset_gate": "sigmoid", "update_gate": "sigmoid", "hidden_candidate": "tanh"},
        "lstm": {
            "input_gate": "sigmoid",
            "forget_gate": "sigmoid",
            "cell_candidate": "tanh",
            "output_gate": "sigmoid",
            "cell_output": "tanh",
        },
    }.items():
        record = trace(make_cell(Form(cell), 1, 3), torch.ones(2, 1))
        header, numbers = sent(record, "ab", Vocabulary("a"))
        assert (header["activations"], header["output"]) == (expected, False)
        assert len(numbers) == 3 * (2 * len(header["rows"]) + len(header["initial"]))


def test_a_payload_has_the_cell_state_after_its_own_activation():
    form = Form(
        "lstm", gate_activation="hard_sigmoid(0.2, 0.5)", activation="relu", output_activation="elu"
    )
    cell = make_cell(form, 2, 3).double()
    record = trace(cell, torch.randn(4, 2, dtype=torch.float64))
    header, numbers = sent(record, "abab", Vocabulary("ab"))
    assert header["output"] is True
    assert header["activations"] == {
        "input_gate": "hard_sigmoid(0.2, 0.5)",
        "forget_gate": "hard_sigmoid(0.2, 0.5)",
        "cell_candidate": "relu",
        "output_gate": "hard_sigmoid(0.2, 0.5)",
        "cell_output": "elu",
    }
    psi = numbers[-12:].reshape(4, 3)
    o, h = (record.array(name)[0, 0, :, 0] for name in ("output_gate", "hidden_state"))
    assert np.abs(o * psi - h).max() < 1e-7
    assert numbers[-18:-12].tolist() == [0.0] * 6  # the initial states


def test_a_payload_has_the_themes_colours_and_the_languages_texts():
    model = character_model("gru")
    record = model.read("ab")
    header, _ = sent(record, "ab", model.vocabulary, dark=True, units=[5, 3])
    dark = palette(dark=True)
    assert header["units"] == [5, 3]
    assert header["colours"]["signed"] == [colour for _, colour in dark.signed]
    assert header["colours"]["gate"] == [colour for _, colour in dark.gate]
    assert header["colours"]["selected"] == dark.selected
    assert [row["label"] for row in header["rows"]] == [
        "update gate",
        "reset gate",
        "candidate",
        "hidden state",
    ]


def test_the_version_changes_with_the_numbers():
    model = character_model("rnn")
    versions = [
        sent(model.read(text), text, model.vocabulary)[0]["version"] for text in ("ab", "ac", "ab")
    ]
    assert versions[0] == versions[2] != versions[1]


def test_payload_sizes_of_the_longest_and_the_default_text():
    model = character_model("lstm")
    sizes: list[int] = []
    for text in (FIRST_TEXT, "x" * 2000):
        _, numbers = sent(model.read(text), text, model.vocabulary)
        sizes.append(numbers.nbytes)
        assert numbers.nbytes == 4 * 128 * (6 * len(text) + 2)
    assert sizes == [188_416, 6_145_024]


@pytest.mark.parametrize(
    ("cell", "rows"),
    [
        ("rnn", [("hidden_preactivation", "hidden"), ("hidden_state", "hidden")]),
        ("gru", [(g, g) for g in (*GATES_AS_READ["gru"], "hidden_state")]),
        ("lstm", [(g, g) for g in (*GATES_AS_READ["lstm"], "cell_state", "hidden_state")]),
    ],
)
def test_rows_of_a_cell(cell: str, rows: list[tuple[str, str]]):
    found = rows_of(character_model(cell).read("x = 'a'"))
    assert [(row.name, row.gate) for row in found] == rows
    for row in found:
        assert row.signed is not row.name.endswith("_gate")
        assert row.kind == ("states" if row.name.endswith("_state") else "gates")
        if row.name not in ("cell_state", "hidden_preactivation"):
            assert row.most == 1.0


def test_the_scale_of_a_relu_network_ends_at_its_largest_value():
    record = trace(torch.nn.RNN(1, 2, nonlinearity="relu"), 50 * torch.ones(4, 1))
    (_, hidden) = rows_of(record)
    assert hidden.most == record.array("hidden_state").max()


@pytest.fixture(scope="module")
def record() -> Trace:
    return character_model("lstm").read("x = 1")


def test_a_valid_message_sets_the_position(record: Trace):
    message = {"t": 5, "unit": 127, "gate": "output_gate", "speed": 10, "number": 1}
    assert read_position(message, NOW, record) == Position(5, 127, "output_gate", 10)
    assert read_position({"t": 1}, NOW, record) == NOW._replace(t=1)


@pytest.mark.parametrize(
    "message",
    [
        None,
        7,
        "t",
        [],
        [{"t": 1}],
        {},
        {"t": 0, "unit": -1, "gate": "update_gate", "speed": 0},
        {"t": 6, "unit": 128, "gate": "hidden", "speed": 11},
        {"t": 1.0, "unit": 0.0, "gate": 0, "speed": 5.5},
        {"t": True, "unit": False, "gate": None, "speed": True},
        {"t": "2", "unit": "0", "gate": ["forget_gate"], "speed": "5"},
        {"t": {}, "unit": [], "gate": {"a": 1}, "speed": None},
        {"t": 10**30, "unit": -(10**30), "gate": "<script>", "speed": float("nan")},
        {"t": float("inf"), "unit": None, "gate": "x" * 1_000_000, "speed": float("-inf")},
    ],
)
def test_invalid_positions_are_ignored(record: Trace, message: object):
    assert read_position(message, NOW, record) == NOW
