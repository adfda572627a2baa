"""The sections of the comparison page about one network: held gates, cost, Keras."""

import json
from html import escape
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import rnnviz
from rnnviz import Hold, gradient_norms
from rnnviz.counting import count_parameters, read_size
from rnnviz.experiment import ComparePage, ComparisonSettings, run_compared, run_held
from rnnviz.experiment.comparison import bits_of
from rnnviz.experiment.comparison_limits import sizes_of
from rnnviz.locale import LANGUAGES, labels
from rnnviz.plots.matching import matched, nearest_part
from rnnviz.trace import Trace
from rnnviz.ui.cache import character_model
from rnnviz.ui.cards import write_power
from rnnviz.ui.compare import hold
from tests.test_compare_page import compare_page
from tests.test_gradients_page import decoded, figures, line, protos
from tests.test_page import KEY, choice, errors_of, run, settings_of, shown

pytestmark = [
    pytest.mark.slow,
    # Streamlit itself triggers it: it creates its event loop in a thread without one.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:streamlit"),
]


def page_text(page: AppTest) -> str:
    return " ".join(shown(page))


def check_hold(page: AppTest, free: Trace, held: Trace, language: str) -> None:
    """Asserts that lines, heatmaps and texts are those of the two traces."""
    words, drawn = labels(language), figures(page)
    assert not page.error, errors_of(page)
    assert set(drawn) == {"hold_lines", "hold_difference", "hold_gradients"}
    for name, record in ((words["hold.untouched"], free), (words["hold.held"], held)):
        norms = gradient_norms(record)["hidden_state"].values[-1, 0, :, 0]
        there = np.isfinite(norms)
        found = line(drawn["hold_gradients"], name)
        assert np.allclose(found[there], norms[there], atol=1e-12)
        means = [d for d in drawn["hold_lines"]["data"] if d["name"] == name]
        hidden = matched(nearest_part(record), "hidden_state")
        assert hidden is not None
        shown_means = [decoded(d["y"]) for d in means]
        wanted = hidden.mean(-1).astype(np.float32)
        assert any(np.array_equal(y, wanted) for y in shown_means), name
    maps = {d["meta"]: decoded(d["z"]) for d in drawn["hold_difference"]["data"] if "meta" in d}
    for row, z in maps.items():
        before, after = (matched(nearest_part(one), row) for one in (free, held))
        assert before is not None
        assert after is not None
        assert np.abs(z - (after - before).T).max() < 1e-6, row
    norms = [float(gradient_norms(t)["hidden_state"][-1, 0, 0, 0]) for t in (free, held)]
    before, after = map(write_power, norms)
    sentence = words("hold.gradient", before=before, after=after).replace("-", "−")
    assert escape(sentence) in page_text(page)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_forget_gate_held_in_a_trained_network(language: str):
    query = {"part": "hold", "hold_name": "forget_gate", "hold_from": "20", "hold_units": "3,17"}
    page = compare_page(**query, language=language)
    assert [text for text in shown(page) if KEY.fullmatch(text)] == []
    free = run_compared(ComparisonSettings(), character_model)["lstm"]
    hold = {"forget_gate": Hold(1.0, units=[3, 17], start=19)}
    held = run_held(ComparisonSettings(), "lstm", hold, character_model)
    assert (held["forget_gate"].values[0, 0, 19:, 0, [3, 17]] == 1).all()
    check_hold(page, free, held, language)
    words, text = labels(language), ComparePage().text
    losses = {"before": free.loss, "after": held.loss}
    assert escape(words("hold.loss_text", **losses)) in page_text(page)
    bits = bits_of(character_model("lstm"), held, text)
    drawn = [d for d in figures(page)["hold_lines"]["data"] if d["name"] == words["hold.held"]]
    assert np.array_equal(decoded(drawn[-1]["y"]), bits.astype(np.float32), equal_nan=True)
    wanted = {"part": "hold", "hold_name": "forget_gate", "hold_from": "20", "hold_units": "3,17"}
    wanted |= {"language": "ko"} if language == "ko" else {}
    assert settings_of(page) == wanted


def test_a_unit_silenced_in_a_fresh_variant():
    query = {"networks": "gru_reset_before.2.both,rnn", "part": "hold", "length": "30"}
    page = compare_page(**query, input_source="signal", hold_name="hidden_state", hold_value="0")
    page.multiselect(key="hold_units").set_value([2])
    run(page)
    settings = ComparePage.from_query({**query, "input_source": "signal"})[0].comparison()
    key = "gru_reset_before.2.both"
    held = run_held(settings, key, {"hidden_state": Hold(0.0, units=[2])})
    assert (held["hidden_state"].values[..., 2] == 0).all()
    check_hold(page, run_compared(settings)[key], held, "en")
    assert settings_of(page)["hold_units"] == "2"
    choice(page, "selected").set_value("rnn")
    run(page)
    assert not page.error
    assert page.multiselect(key="hold_units").value == []
    assert settings_of(page)["selected"] == "rnn"


def test_default_values_of_held_gates_and_states():
    page = compare_page(part="hold")
    assert page.session_state["hold_name"] == "forget_gate"
    choice(page, "hold_name").set_value("cell_state")
    run(page)
    assert page.session_state["hold_value"] == 0
    choice(page, "hold_name").set_value("output_gate")
    run(page)
    assert page.session_state["hold_value"] == 1
    choice(page, "selected").set_value("gru")  # which has no output gate
    run(page)
    assert not page.error
    assert page.session_state["hold_name"] == "reset_gate"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"selected": "gru_reset_before"}, "selected=gru_reset_before"),
        ({"looked_at": "gru_reset_before"}, "looked_at=gru_reset_before"),
        ({"hold_name": "gate"}, "hold_name=gate"),
        ({"hold_value": "7"}, "hold_value=7"),
        ({"hold_units": "two"}, "hold_units=two"),
        ({"hold_from": "0"}, "hold_from=0"),
        ({"convention_order": "jax"}, "convention_order=jax"),
        ({"flip_update": "perhaps"}, "flip_update=perhaps"),
    ],
)
def test_problems_of_a_sections_parameters_are_reported(query: dict[str, str], expected: str):
    page = compare_page(part="hold", **query)
    assert not page.error
    warnings = " ".join(w.value for w in page.warning).replace("\\", "")
    assert expected in warnings
    assert set(figures(page)) == {"hold_lines", "hold_difference", "hold_gradients"}


def test_values_beyond_the_network_are_clipped():
    query = {"hold_value": "-2", "hold_from": "900", "hold_units": "500", "hold_name": "input_gate"}
    page = compare_page(part="hold", **query)
    assert not page.error
    state = page.session_state
    assert (state["hold_value"], state["hold_from"], list(state["hold_units"])) == (0.0, 61, [])


@pytest.mark.parametrize("language", LANGUAGES)
def test_cost_is_that_of_the_shown_networks(language: str):
    page = compare_page(part="cost", language=language)
    for cell in ("lstm", "gru", "rnn"):
        count = count_parameters(read_size(character_model(cell).recurrent))
        assert count == sum(p.numel() for p in character_model(cell).recurrent.parameters())
        assert f"{count:,}" in page_text(page)
    query = {"networks": "lstm_peephole.2,lstm_coupled", "equal": "parameters", "budget": "1000"}
    page = compare_page(part="cost", input_source="signal", language=language, **query)
    settings = ComparePage.from_query({**query, "input_source": "signal"})[0].comparison()
    for size in sizes_of(settings).values():
        assert f"{count_parameters(size):,}" in page_text(page)


def test_conventions_are_in_the_address():
    page = compare_page(part="conventions", convention_cell="gru", flip_update="true")
    assert page.toggle(key="flip_update").value
    choice(page, "convention_order").set_value("onnx")
    page.toggle(key="reset_before").set_value(True)
    run(page)
    assert not page.error
    assert settings_of(page) == {
        "part": "conventions",
        "convention_cell": "gru",
        "convention_order": "onnx",
        "flip_update": "true",
        "reset_before": "true",
    }


def test_keras_outputs_of_the_selected_network():
    page = compare_page(part="keras", selected="gru", return_state="true")
    assert escape("keras.layers.GRU(128, return_state=True") in page_text(page)
    page = compare_page(part="keras", networks="lstm_peephole,gru", input_source="signal")
    assert len(errors_of(page)) == 1
    choice(page, "selected").set_value("gru")
    run(page)
    assert not page.error


def test_the_page_shows_the_librarys_held_trace(tmp_path: Any):
    held = run_held(ComparisonSettings(), "gru", {"update_gate": Hold(0.5)}, character_model)
    held.save(tmp_path / "held.npz")
    assert rnnviz.load_trace(tmp_path / "held.npz") == held


def test_the_cells_are_sent_with_the_unit_that_varies_most():
    query = {"networks": "lstm_peephole.2,gru_reset_before,lstm_coupled", "length": "20"}
    page = compare_page(part="cells", input_source="signal", layer="1", **query)
    (sent,) = (p for p in protos(page, "rnnviz_instrument") if b'"cells"' in p.bytes[:24])
    head, _, rest = sent.bytes.partition(b"\n")
    sizes = json.loads(head)["sizes"]
    assert sum(sizes) == len(rest)
    settings = ComparePage.from_query({**query, "input_source": "signal"})[0].comparison()
    plans = ["lstm_peephole", "gru_reset_before", "lstm_coupled"]
    for size, plan, record in zip(sizes, plans, run_compared(settings).values(), strict=True):
        part, rest = rest[:size], rest[size:]
        line, _, body = part.partition(b"\n")
        about = json.loads(line)
        unit = int(record.array("hidden_state")[0, 0, :, 0].var(0).argmax())
        assert about["plan"] == plan
        assert about["title"].endswith(f"unit {unit}")
        numbers = np.frombuffer(body, "<f4")
        for row, values in zip(
            about["rows"], numbers[: 20 * len(about["rows"])].reshape(-1, 20), strict=True
        ):
            wanted = record.array(row["name"])[0, 0, :, 0, unit]
            assert np.array_equal(values, wanted.astype(np.float32)), row["name"]
        assert about["characters"][0] == f"{float(record.array('input')[0, 0, 0]):+.1f}".replace(
            "-", "−"
        )
    assert rest == b""


@pytest.mark.parametrize(
    ("name", "network", "held"),
    [
        (None, None, "forget_gate"),
        (None, "gru", "reset_gate"),
        ("output_gate", "gru", "reset_gate"),
        ("output_gate", "lstm", "output_gate"),
        ("cell_state", "rnn", "hidden_state"),
        (None, "nobody", "forget_gate"),
    ],
)
def test_a_figure_can_be_requested_before_its_section_is_open(
    name: Any, network: str | None, held: str
):
    """A message can request any figure that is updated live."""
    assert hold._name(ComparePage(hold_name=name, selected=network)) == held
