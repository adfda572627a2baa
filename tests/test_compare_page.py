"""The comparison page in Streamlit's AppTest: its parts, both languages, every limit."""

import json
from html import escape
from itertools import product
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import rnnviz
from rnnviz.experiment import FIRST_TEXT, ComparePage, ComparisonSettings, run_compared
from rnnviz.experiment.comparison import bits_of, compared_input
from rnnviz.gradients import gradient_norms
from rnnviz.inputs.vocabulary import picture
from rnnviz.locale import LANGUAGES, labels
from rnnviz.plots.matching import ROWS, matched, nearest_part
from rnnviz.trace import Trace
from rnnviz.ui.cache import character_model
from rnnviz.ui.compare.sections import SECTIONS
from rnnviz.ui.components.instrument import read_step
from tests.test_gradients_page import decoded, figures, line, protos
from tests.test_page import KEY, ROOT, choice, errors_of, messages_of, run, settings_of, shown

pytestmark = [
    pytest.mark.slow,
    # Streamlit itself triggers it: it creates its event loop in a thread without one.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:streamlit"),
]

VARIANTS = "lstm_peephole,gru_reset_before.2.both,rnn_relu,lstm_coupled"


def compare_page(**query: str) -> AppTest:
    """The page at an address."""
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    for name, value in query.items():
        page.query_params[name] = value
    page.switch_page("pages/compare.py")
    return run(page)


def strip(page: AppTest) -> tuple[dict[str, Any], np.ndarray]:
    """The input as it is sent to the browser: its header and its numbers."""
    (found,) = (proto for proto in protos(page, "rnnviz_instrument") if proto.bytes)
    header, _, body = found.bytes.partition(b"\n")
    return json.loads(header), np.frombuffer(body, "<f4")


def check_heatmaps(figure: dict[str, Any], traces: dict[str, Trace]) -> None:
    """Asserts that each network's arrays are drawn under its label, and nothing else is."""
    found = {(m["name"].partition(": ")[0], m["meta"]): m for m in figure["data"] if "meta" in m}
    for (label, record), row in product(traces.items(), ROWS):
        values = matched(nearest_part(record), row)
        assert (values is not None) == ((label, row) in found)
        if values is not None:
            z = decoded(found.pop((label, row))["z"])
            assert (z == values.T.astype(np.float32)).all(), (label, row)
    assert found == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_first_view(language: str):
    page = compare_page(language=language)
    words, page_texts = labels(language), shown(page)
    assert [text for text in page_texts if KEY.fullmatch(text)] == []
    assert not page.error
    assert not page.warning
    for key in ("card.comparison", "card.comparison_lines"):
        assert any(escape(words[key]) in text for text in page_texts), key
    traces = {n.upper(): t for n, t in run_compared(ComparisonSettings(), character_model).items()}
    drawn = figures(page)
    assert set(drawn) == {"comparison", "comparison_lines", "gradient_norms"}
    check_heatmaps(drawn["comparison"], traces)
    norms = gradient_norms(traces["GRU"])["hidden_state"].values.ravel()
    assert line(drawn["gradient_norms"], "GRU")[:-1].tolist() == norms[:-1].tolist()
    header, values = strip(page)
    bits = [bits_of(character_model(n.lower()), t, FIRST_TEXT) for n, t in traces.items()]
    assert values[0] == 0
    assert (values[1:] == np.mean(bits, axis=0)[:-1].astype(np.float32)).all()
    assert header["characters"] == [picture(character) for character in FIRST_TEXT]
    assert (header["steps"], header["plain"]) == (len(FIRST_TEXT), False)
    assert header["note"] == words["compared.surprise"]
    assert settings_of(page) == ({"language": language} if language != "en" else {})


@pytest.mark.parametrize("language", LANGUAGES)
def test_four_networks_of_other_forms(language: str):
    page = compare_page(networks=VARIANTS, language=language)
    words, page_texts = labels(language), shown(page)
    assert not page.error
    assert [text for text in page_texts if KEY.fullmatch(text)] == []
    names = {key: words[f"form.{key}"] for key in ("lstm_peephole", "rnn_relu", "lstm_coupled")}
    gru = words("form.with_layers", form=words["form.gru_reset_before"], layers=2)
    names["gru_reset_before.2.both"] = words("form.with_both", form=gru)
    settings = ComparePage.from_query({"networks": VARIANTS})[0].comparison()
    traces = run_compared(settings)
    drawn = figures(page)
    check_heatmaps(drawn["comparison"], {names[key]: trace for key, trace in traces.items()})
    header, values = strip(page)
    assert (values == compared_input(settings).numpy().ravel().astype(np.float32)).all()
    assert header["plain"]
    assert header["characters"][0] == f"{values[0]:+.2f}".replace("-", "−")
    assert choice(page, "layer").value == 2
    choice(page, "direction").set_value("backward")
    run(page)
    assert settings_of(page)["direction"] == "backward"
    label = names["gru_reset_before.2.both"]
    h = traces["gru_reset_before.2.both"]["hidden_state"].values[1, 1, :, 0]
    maps = [
        part
        for part in figures(page)["comparison"]["data"]
        if part.get("meta") == "hidden_state" and part["name"].startswith(f"{label}: ")
    ]
    assert (decoded(maps[0]["z"]) == h.T.astype(np.float32)).all()


def test_a_network_can_be_changed_added_and_removed():
    page = compare_page(input_source="signal")
    page.selectbox(key="form_1").set_value("gru_reset_before")
    run(page)
    assert settings_of(page) == {"input_source": "signal", "networks": "lstm,gru_reset_before,rnn"}
    page.selectbox(key="layers_2").set_value(3)
    run(page)
    page.toggle(key="bidirectional_2").set_value(True)
    run(page)
    page.button(key="add_network").click()
    run(page)
    assert settings_of(page)["networks"] == "lstm,gru_reset_before,rnn.3.both,gru"
    assert "add_network" not in {button.key for button in page.button}
    for _ in range(2):
        page.button(key="remove_0").click()
        run(page)
    assert settings_of(page)["networks"] == "rnn.3.both,gru"
    assert page.button(key="remove_0").disabled
    assert not page.error


def test_switching_from_a_signal_to_a_text_and_back():
    page = compare_page(networks="gru_reset_before,lstm_coupled.2")
    choice(page, "input_source").set_value("text")
    run(page)
    assert settings_of(page) == {"networks": "gru,lstm"}
    assert set(page.selectbox(key="form_0").options) == {"GRU", "RNN"}
    page.selectbox(key="form_0").set_value("rnn")
    run(page)
    assert settings_of(page) == {"networks": "rnn,lstm"}
    choice(page, "input_source").set_value("signal")
    run(page)
    assert settings_of(page) == {
        "input_source": "signal",
        "networks": "gru_reset_before,lstm_coupled.2",
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_budget_too_small_for_any_network_is_reported(language: str):
    page = compare_page(input_source="signal", equal="parameters", budget="30", language=language)
    words = labels(language)
    assert errors_of(page) == [words("error.compared_budget", budget=30, hidden=2, smallest=40)]
    assert figures(page) == {}
    page.session_state["budget"] = 40
    run(page)
    assert not page.error
    notes = [text for text in shown(page) if words("control.size", hidden=2, parameters=40) in text]
    assert len(notes) == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_comparison_that_is_too_large_is_reported(language: str):
    query = {"networks": "lstm_peephole.4.both,lstm", "length": "2000"}
    page = compare_page(**query, language=language)
    (message,) = errors_of(page)
    words = labels(language)
    assert message == words("error.compared_limit", seconds=2.5, most=2.0)
    assert any(words("control.compared_work", seconds=2.5, most=2.0) in t for t in shown(page))
    assert figures(page) == {}
    page.session_state["length"] = 50
    run(page)
    assert not page.error


def test_problems_of_an_address_are_reported():
    page = compare_page(networks="lstm", input_source="voice", budget="1", part="x", layer="5")
    messages = messages_of(page.warning)
    assert len(messages) == 5
    for name, value in (
        ("networks", "lstm"),
        ("input_source", "voice"),
        ("budget", "1"),
        ("layer", "5"),
    ):
        assert any(f"The link asks for {name}={value}, " in message for message in messages)
    assert set(figures(page)) == {"comparison", "comparison_lines", "gradient_norms"}
    assert settings_of(page) == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_differences_from_the_first_network(language: str):
    page = compare_page(networks="gru,gru_reset_before,rnn", difference="true", language=language)
    words = labels(language)
    settings = ComparePage.from_query({"networks": "gru,gru_reset_before,rnn"})[0].comparison()
    traces = run_compared(settings)
    drawn = figures(page)
    names = {part["name"].partition(": ")[0] for part in drawn["comparison"]["data"]}
    assert names == {f"{words['form.gru_reset_before']} − GRU"}
    one, first = (traces[n]["hidden_state"].values[0, 0, :, 0] for n in ("gru_reset_before", "gru"))
    (found,) = (p for p in drawn["comparison"]["data"] if p["meta"] == "hidden_state")
    assert (decoded(found["z"]) == (one - first).T.astype(np.float32)).all()
    rnn = [p for p in drawn["comparison_lines"]["data"] if p["name"] == "RNN"]
    means = traces["rnn"]["hidden_state"].values[0, 0, :, 0].mean(-1) - first.mean(-1)
    assert (decoded(rnn[1]["y"]) == means.astype(np.float32)).all()
    assert any(words("card.comparison_lines_difference", first="GRU") in t for t in shown(page))


def test_networks_without_matching_units_have_no_differences():
    page = compare_page(difference="true")
    assert "comparison" not in figures(page)
    assert any(labels("en")("card.comparison_alone", first="LSTM") in text for text in shown(page))
    assert len(figures(page)["comparison_lines"]["data"]) > 0
    page.toggle(key="difference").set_value(False)
    run(page)
    assert "comparison" in figures(page)
    assert settings_of(page) == {}


def test_a_text_of_one_character_has_no_gradient():
    page = compare_page(text="x")
    assert set(figures(page)) == {"comparison", "comparison_lines"}
    assert any(labels("en")["card.compared_no_gradients"] in text for text in shown(page))


def test_the_memory_figure_shows_the_librarys_numbers():
    page = compare_page(input_source="signal", length="9", part="memory")
    (found,) = figures(page).values()
    assert [part["name"] for part in found["data"]] == ["LSTM", "GRU", "RNN"]
    settings = ComparisonSettings(input_source="signal", length=9)
    for part, record in zip(found["data"], run_compared(settings).values(), strict=True):
        wanted = rnnviz.sensitivity_norms(record).values
        assert np.array_equal(np.isneginf(wanted), np.tri(9) == 0)
        wanted = np.where(np.isneginf(wanted), np.nan, wanted).astype(np.float32)
        assert np.array_equal(decoded(part["z"]), wanted, equal_nan=True)
    assert settings_of(page) == {
        "input_source": "signal",
        "length": "9",
        "part": "memory",
        "t": "9",
    }


@pytest.mark.parametrize(
    ("message", "taken"),
    [
        ({"t": 9, "speed": 2, "number": 1}, (9, 2)),
        ({"t": 0, "speed": 11}, (3, 4)),
        ({"t": True, "speed": 2.0}, (3, 4)),
        ({"t": 11}, (3, 4)),
        ({"t": "9", "speed": [2]}, (3, 4)),
        ("t", (3, 4)),
        (None, (3, 4)),
    ],
)
def test_the_step_is_taken_from_valid_messages_only(message: Any, taken: tuple[int, int]):
    assert read_step(message, 3, 4, 10) == taken


def test_every_section_has_a_name():
    for language in LANGUAGES:
        assert {f"part.{part}" for part in SECTIONS} <= set(labels(language))
