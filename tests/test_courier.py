"""The server side of the messages from components, without a browser."""

from typing import Any

import pytest

from rnnviz.experiment import GradientsPage, StepPage
from rnnviz.experiment.edits import Edit, edit_template, read_edits
from rnnviz.ui.components import courier

KEY = "gain_slider"


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A separate session state."""
    session: dict[str, Any] = {}
    monkeypatch.setattr("streamlit.session_state", session)
    return session


def test_a_message_is_returned_and_its_number_answered(state: dict[str, Any]):
    assert courier.answered(KEY) == 0
    state[KEY] = {"moved": {"at": 3, "number": 7}}
    assert courier.take(KEY, "moved") == {"at": 3, "number": 7}
    assert courier.answered(KEY) == 7
    assert courier.answered("other_slider") == 0
    assert set(state) == {KEY, "rnnviz.answered.gain_slider"}


@pytest.mark.parametrize("number", [None, "8", 8.0, True, [8], {}])
def test_an_invalid_number_is_not_answered(state: dict[str, Any], number: object):
    state[KEY] = {"moved": {"at": 1, "number": 7}}
    courier.take(KEY, "moved")
    state[KEY] = {"moved": {"at": 3, "number": number}}
    assert courier.take(KEY, "moved") == {"at": 3, "number": number}
    assert courier.answered(KEY) == 7


@pytest.mark.parametrize(
    "sent", [None, {}, {"moved": None}, {"moved": []}, {"moved": 3}, {"other": {"number": 1}}]
)
def test_an_invalid_message_changes_nothing(state: dict[str, Any], sent: object):
    state[KEY] = sent
    assert courier.take(KEY, "moved") is None
    assert courier.answered(KEY) == 0


def test_a_removed_component_has_no_message(state: dict[str, Any]):
    assert courier.take(KEY, "moved") is None
    assert state == {}


def test_a_setting_is_written_as_the_address_has_it():
    pages = GradientsPage(gain=1.25, hidden=4, forget_bias=-1.0, clip=0.002), StepPage(t=7)
    for settings in pages:
        for name, value in settings:
            assert settings.field_text(name, value) == settings.to_query().get(name, ""), name


def test_an_edit_filled_into_its_template_is_read_back():
    text = edit_template("lstm", "forget_gate").format(row=2, column=3, value="1e-7")
    assert read_edits(text) == (Edit("lstm", "forget_gate", 2, 3, 1e-7),)
    assert str(Edit("rnn", "hidden", 0, 1, -0.5)) == "rnn.hidden.0.1:-0.5"
