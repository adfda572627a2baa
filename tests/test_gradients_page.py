"""The gradients page in Streamlit's AppTest: every scene, both languages, extreme settings."""

import base64
import json
import math
import re
from collections.abc import Iterator
from html import escape, unescape
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

import rnnviz
from rnnviz.cells import GATES_AS_READ
from rnnviz.experiment import (
    MOST_EDITED,
    SCENES,
    Edit,
    GradientsPage,
    NetworkSettings,
    limits_of,
    run_networks,
)
from rnnviz.gradients import gradient_norms, plain_pass, weight_gradient_norms
from rnnviz.locale import LANGUAGES, labels
from rnnviz.ui.gradients import norms, stability, weights
from tests.test_page import KEY, ROOT, choice, errors_of, messages_of, run, settings_of, shown

SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
pytestmark = [
    pytest.mark.slow,
    # Streamlit itself triggers it: it creates its event loop in a thread without one.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:streamlit"),
]


def gradients_page(**query: str) -> AppTest:
    """The page at an address."""
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    for name, value in query.items():
        page.query_params[name] = value
    page.switch_page("pages/gradients.py")
    return run(page)


def protos(page: AppTest, component: str) -> list[Any]:
    """The messages sent to the browser for every component of this name."""
    found: list[Any] = []

    def walk(block: Any) -> None:
        for child in block.children.values():
            proto: Any = getattr(child, "proto", None)
            if getattr(proto, "component_name", "") == component:
                found.append(proto)
            if hasattr(child, "children"):
                walk(child)

    walk(page._tree)
    return found


def figures(page: AppTest) -> dict[str, dict[str, Any]]:
    """The figures by name, as sent to the browser."""
    found: dict[str, dict[str, Any]] = {}
    for proto in protos(page, "rnnviz_chart"):
        _, _, body = proto.bytes.partition(b"\n")
        found[proto.id.rpartition("figure_")[2]] = json.loads(body)
    return found


def decoded(values: Any) -> np.ndarray:
    """An array decoded from Plotly's JSON, plain or base64."""
    if not isinstance(values, dict):
        return np.array([np.nan if value is None else value for value in values])
    flat = np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"])
    return flat.reshape([int(n) for n in values["shape"].split(",")]) if "shape" in values else flat


def line(figure: dict[str, Any], name: str) -> np.ndarray:
    (values,) = (decoded(part["y"]) for part in figure["data"] if part["name"] == name)
    return values


def change(page: AppTest, key: str, value: Any) -> AppTest:
    """Sets a slider's value as its callback does, and runs the page."""
    page.session_state[key] = value
    return run(page)


def check_norms(page: AppTest, settings: NetworkSettings) -> None:
    """Asserts that the lines are the library's numbers, and none is missing."""
    figure = figures(page)["gradient_norms"]
    for cell, trace in run_networks(settings).items():
        norms = gradient_norms(trace)["hidden_state"].values.ravel()
        drawn = line(figure, cell.upper())
        finite = np.isfinite(norms)
        assert drawn[finite].tolist() == norms[finite].tolist()
        assert np.isnan(drawn[~finite]).all()
        crosses = [part for part in figure["data"] if part["name"].startswith(f"{cell.upper()}: ")]
        dead = (norms == -math.inf).sum()
        assert sum(len(decoded(part["x"])) for part in crosses if "exactly" in part["name"]) == dead
        lost = plain_pass(trace).lost
        rings = [part for part in crosses if "float32" in part["name"]]
        assert [int(decoded(ring["x"])[0]) for ring in rings] == (
            [] if lost is None else [lost.time + 1]
        )


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", SCENES)
def test_every_scene_is_shown_without_error(name: str, language: str):
    settings = SCENES[name]
    page = gradients_page(**settings.to_query(), language=language)
    words, page_texts = labels(language), shown(page)
    assert any(escape(words[f"scene.{name}_words"]) in text for text in page_texts)
    assert [text for text in page_texts if KEY.fullmatch(text)] == []
    assert not page.error
    assert not page.warning
    assert settings_of(page) == settings.to_query() | (
        {"language": language} if language != "en" else {}
    )
    wanted = {"gradient_norms", "eigenvalues", "weight_gradients", "saturation"}
    wanted |= {"jacobian_norms", "lyapunov"} | ({"memory"} if settings.claim else set())
    wanted |= {"weights"} if settings.hidden > MOST_EDITED else set()
    assert set(figures(page)) == wanted
    if language == "en":
        check_norms(page, settings.network())
    for cell in GATES_AS_READ:
        assert any(f"<b>{cell.upper()}</b>" in text for text in page_texts)


@pytest.mark.parametrize("language", LANGUAGES)
def test_networks_without_recurrence_are_judged_by_what_carries_the_gradient(language: str):
    """With U = 0 the RNN's gradient ends at once; an LSTM's cell state and a GRU's h go on."""
    settings = GradientsPage(gain=0.0, length=12, hidden=4)
    page = gradients_page(**settings.to_query(), language=language)
    words = labels(language)
    verdicts = {c: rnnviz.diagnose(t) for c, t in run_networks(settings.network()).items()}
    texts = (text for text in shown(page) if "class='rnnviz-verdict'" in text)
    shown_verdicts = next(text for text in texts if "\\u" not in text)  # not the message as JSON
    blocks = dict(
        zip(verdicts, shown_verdicts.split("<div class='rnnviz-verdict'")[1:], strict=True)
    )
    expected = {
        "rnn": words["verdict.at_once"],
        "lstm": words["verdict.by_cell"],
        "gru": words("verdict.halves", steps=verdicts["gru"].half_life),
    }
    for cell, sentence in expected.items():
        assert escape(sentence) in blocks[cell], cell
    halves = words("verdict.halves", steps=verdicts["lstm"].half_life)
    assert escape(halves) in blocks["lstm"]
    assert verdicts["rnn"].half_life == 0
    assert "inf" not in shown_verdicts


def test_the_page_shows_the_librarys_verdict():
    page = gradients_page(nonlinearity="sigmoid", cell="rnn")
    trace = run_networks(NetworkSettings(nonlinearity="sigmoid"))["rnn"]
    found, plain = rnnviz.diagnose(trace), plain_pass(trace)
    assert plain.lost is not None
    page_text = "".join(shown(page))
    assert f"the gradient halves every {found.half_life:.1f} steps." in page_text
    assert (
        f"Plain float32 shows 0 at step {plain.lost.time + 1} and at all steps before it."
    ) in page_text
    norms = gradient_norms(trace)["hidden_state"].values.ravel()
    log10 = norms[0] - norms[-1]
    power = str(math.floor(log10)).translate(SUPERSCRIPT)
    assert f"At step 1 it is {10 ** (log10 % 1):.1f}\u00a0×\u00a010{power} times" in page_text


ENDS = [(name, end) for name in ("gain", "input_scale", "hidden", "length") for end in (0, 1)]


@pytest.mark.parametrize(("name", "end"), ENDS)
def test_every_slider_at_its_limits(name: str, end: int):
    page = gradients_page(length="50", hidden="4")
    value = limits_of(GradientsPage, name)[end]
    whole = name in ("hidden", "length")
    change(page, name, int(value) if whole else float(value))
    changed = {"length": 50, "hidden": 4, name: value}
    settings = NetworkSettings(**changed)
    check_norms(page, settings)
    assert settings_of(page)[name] == str(value)
    assert not page.error


@pytest.mark.parametrize("name", ["spectral_radius", "forget_bias", "clip"])
def test_every_slider_of_options_at_its_ends(name: str):
    page = gradients_page(length="50", hidden="4")
    low, high = limits_of(GradientsPage, name)
    check_norms(page, NetworkSettings(length=50, hidden=4))  # the first option is None
    for value in (float(high), float(low)):
        change(page, name, value)
        settings = GradientsPage(**{"length": 50, "hidden": 4, name: value})
        check_norms(page, settings.network())
        assert float(settings_of(page)[name]) == value
        assert not page.error


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"gain": "0"}, "At step 1 it is 0 times"),
        ({"length": "2", "hidden": "2"}, "the gradient halves every"),
        (
            {"nonlinearity": "identity", "gain": "3", "length": "2000"},
            "values become infinite or NaN at step",
        ),
        (
            {"hidden": "2", "edit": "rnn.hidden.0.0:1e300", "nonlinearity": "relu"},
            "gradient explodes",
        ),
    ],
)
def test_extreme_settings_are_explained(query: dict[str, str], expected: str):
    page = gradients_page(**query)
    assert any(expected in text for text in shown(page))
    settings, problems = GradientsPage.from_query(query)
    assert problems == []
    check_norms(page, settings.network())


def test_a_spectral_radius_with_gain_0_keeps_the_settings():
    query = {"hidden": "2", "edit": "rnn.hidden.0.1:5", "spectral_radius": "0.9"}
    page = gradients_page(**query, init="identity", gain="0")
    assert not page.error  # the edit is applied last, so the radius was not 0 when it was scaled
    change(page, "gain", 1.0)
    assert not page.error
    assert page.session_state.edit == (Edit("rnn", "hidden", 0, 1, 5.0),)


def test_the_clipping_factor_is_shown():
    page = gradients_page(clip="0.001")
    traces = run_networks(NetworkSettings())
    page_text = unescape("".join(shown(page)))
    for trace in traces.values():
        gradients = rnnviz.parameter_gradients(trace)
        clipped = rnnviz.clip_by_norm(
            {name: g.astype(np.float32) for name, g in gradients.items()}, 0.001
        )
        assert f"is {clipped.norm:.3g}: clipping multiplies every gradient by" in page_text
        assert f"by {clipped.coefficient:.3g}." in page_text
        share = weight_gradient_norms(trace)["cancellation"].item()
        assert f"{share:.0%} of the steps' contributions remains" in page_text
    change(page, "clip", 1000.0)
    assert "below the threshold: clipping changes nothing" in "".join(shown(page))


def test_clipping_an_infinite_gradient_is_reported():
    settings = SCENES["exploding"]
    page = gradients_page(**settings.to_query(), clip="1")
    page_text = "".join(shown(page))
    assert "are not finite; expected finite gradients" in page_text


def test_selecting_a_cell_shows_its_gates_and_weights():
    page = gradients_page(hidden="9")
    traces = run_networks(NetworkSettings(hidden=9))
    for cell, gates in GATES_AS_READ.items():
        choice(page, "cell").set_value(cell)
        run(page)
        for gate in gates:
            if len(gates) > 1:
                choice(page, "gate").set_value(gate)
                run(page)
            figure = figures(page)["weights"]
            u = decoded(figure["data"][0]["z"])
            names = rnnviz.cells.GATE_NAMES[cell]
            wanted = np.split(traces[cell].parameters["weight_hh_l0"], len(names))
            assert u.tolist() == wanted[names.index(gate)].tolist()
            values = figures(page)["eigenvalues"]["data"]
            assert len(values) == len(gates)


def test_weights_can_be_edited_up_to_the_limit_only():
    page = gradients_page(hidden=str(MOST_EDITED), edit="lstm.forget_gate.1.2:0.5")
    (grid,) = protos(page, "rnnviz_grid")
    data = json.loads(grid.bytes.partition(b"\n")[0])
    # the gate that is selected by default
    assert data["of"] == "lstm.forget_gate"
    settings = NetworkSettings(hidden=MOST_EDITED)
    u = run_networks(settings)["lstm"].parameters["weight_hh_l0"][MOST_EDITED : 2 * MOST_EDITED]
    expected = u.copy()
    expected[1, 2] = 0.5
    assert data["values"] == expected.tolist()
    assert data["changed"] == ["1 2"]
    assert "weights" not in figures(page), "one matrix is drawn once"
    page = gradients_page(hidden=str(MOST_EDITED + 1))
    assert protos(page, "rnnviz_grid") == []
    page.button(key="edit_weights").click()
    run(page)
    assert settings_of(page)["hidden"] == str(MOST_EDITED)
    (grid,) = protos(page, "rnnviz_grid")
    assert json.loads(grid.bytes.partition(b"\n")[0])["values"] == u.tolist()


def test_problems_of_an_address_are_reported():
    page = gradients_page(gain="7", edit="rnn.hidden.0.1:nan", hidden="4")
    assert messages_of(page.warning) == [
        "The link asks for gain=7, which must be a number from 0 to 3. The page shows 1 instead.",
        "The link asks for edit=rnn.hidden.0.1:nan, which must be cell.gate.row.column:value, "
        "several of them separated by commas, such as rnn.hidden.0.1:0.5. The page shows the "
        "initial weights instead.",
    ]
    assert errors_of(page) == []
    check_norms(page, NetworkSettings(hidden=4))
    change(page, "gain", 2.0)
    assert messages_of(page.warning) == []


def test_expensive_results_are_computed_on_request():
    page = gradients_page(hidden="256", length="200")
    assert {"jacobian_norms", "lyapunov"} & set(figures(page)) == set()
    assert page.button(key="start_stability").label == "Compute"
    page.button(key="start_stability").click()
    run(page)
    found = figures(page)
    assert len(line(found["jacobian_norms"], "LSTM")) == 201
    assert len(line(found["lyapunov"], "LSTM")) == 16
    assert any("Lower bounds. With probability" in text for text in shown(page))


def test_the_claim_at_the_last_seed_and_in_short_sequences():
    page = gradients_page(claim="true", length="4", seed="9999")
    assert "memory" in figures(page)
    assert not page.error
    page_text = unescape("".join(shown(page)))
    assert labels("en")["card.claim_says"] not in page_text  # nothing is forgotten in 4 steps
    page = gradients_page(claim="true", length="2000")
    assert labels("en")["card.claim_says"] in unescape("".join(shown(page)))


# Weights and sizes of any kind, alone and together: what an address or the grid can hold.
HOSTILE: tuple[dict[str, str], ...] = (
    {"cell": "rnn", "edit": "rnn.hidden.0.0:1e308"},
    {"nonlinearity": "relu", "edit": "rnn.hidden.0.0:1.7e308,rnn.hidden.1.1:-1.7e308", "gain": "3"},
    {"cell": "lstm", "edit": "lstm.forget_gate.0.0:-1e308,lstm.input_gate.0.1:1e308"},
    {"cell": "gru", "edit": "gru.update_gate.0.0:1e308,gru.reset_gate.1.0:-1e308", "loss": "all"},
    {"nonlinearity": "identity", "edit": "rnn.hidden.0.1:1e200,rnn.hidden.1.0:1e200"},
    {"cell": "rnn", "gain": "0", "edit": "rnn.hidden.0.0:5e-324,rnn.hidden.1.1:-1e-310"},
    {"cell": "rnn", "gain": "0", "input_scale": "0", "clip": "0.001", "length": "2"},
    {"nonlinearity": "relu", "edit": "rnn.hidden.0.0:1e30", "length": "40", "clip": "0.001"},
)


def numbers_of(part: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Every number of a figure as sent, with its path."""
    if isinstance(part, dict):
        if "bdata" in part:
            yield from ((path, float(v)) for v in decoded(part).ravel() if not np.isnan(v))
            return
        for name, value in part.items():
            yield from numbers_of(value, f"{path}.{name}")
    elif isinstance(part, list):
        for value in part:
            yield from numbers_of(value, path)
    elif isinstance(part, float):
        yield path, part


@pytest.mark.parametrize("place", range(len(HOSTILE)))
def test_weights_of_every_size_are_drawn(place: int):
    """Every axis has two finite ends that differ, and their difference is a float."""
    query = {"hidden": "2", "length": "12"} | HOSTILE[place]
    language = "ko" if place % 2 else "en"
    page = gradients_page(**query, language=language)
    assert [box.value for box in page.exception] == []
    assert {"gradient_norms", "eigenvalues", "saturation"} <= set(figures(page))
    for name, figure in figures(page).items():
        for path, number in numbers_of(figure):
            assert np.isfinite(number), f"{name}{path}"
        for axis, part in figure["layout"].items():
            if "axis" in axis and "range" in part:
                low, high = part["range"]
                assert low != high, f"{name}, {axis}: {part['range']}"
                assert abs(high - low) < 1e301, f"{name}, {axis}: {part['range']}"
    text = unescape(re.sub(r"<style>.*?</style>|\\u\w{4}", "", " ".join(shown(page))))
    assert not re.search(r"\bnan\b|\de[+-]\d|\d{20}", re.sub(r"edit=\S+|data:\S+", "", text))


SIZES = ("1e308", "-1.7e308", "1e154", "1e20", "3", "0", "-0.0", "1e-100", "5e-324", "-1e-308")


@st.composite
def addresses(draw: st.DrawFn) -> dict[str, str]:
    """Small networks with up to four edited weights of any size."""
    gates = [f"{cell}.{gate}" for cell, names in GATES_AS_READ.items() for gate in names]
    places = st.builds("{}.{}.{}:{}".format, st.sampled_from(gates), *[st.integers(0, 1)] * 2,
                       st.sampled_from(SIZES))  # fmt: skip
    return {
        "hidden": "2",
        "length": draw(st.sampled_from(["2", "3", "12"])),
        "gain": draw(st.sampled_from(["0", "1", "3"])),
        "nonlinearity": draw(st.sampled_from(["tanh", "relu", "sigmoid", "identity"])),
        "loss": draw(st.sampled_from(["last", "all"])),
        "cell": draw(st.sampled_from(sorted(GATES_AS_READ))),
        "clip": draw(st.sampled_from(["0.001", "1000"])),
        "edit": ",".join(draw(st.lists(places, max_size=4))) or "rnn.hidden.0.0:1e308",
    }


@given(query=addresses())
@hypothesis_settings(max_examples=12)
def test_random_weights_give_figures_and_texts(query: dict[str, str]):
    """What the page draws, or an error by name, which the page shows in its place."""
    settings, problems = GradientsPage.from_query(query)
    assert problems == []
    words = labels("en")
    makers = [m for module in (norms, weights, stability) for m in module.LIVE_FIGURES.values()]
    makers += [m for module in (norms, weights, stability) for m in module.LIVE_TEXTS.values()]
    for make in makers:
        try:
            made = make(settings, words)
        except rnnviz.RnnvizError:
            continue
        if isinstance(made, str):
            assert not re.search(r"\bnan\b|\de[+-]\d|\d{20}", made), made
        elif made is not None:
            for path, number in numbers_of(json.loads(str(go.Figure(*made).to_json()))["layout"]):
                assert abs(number) < 1e301, path
