"""The sections cost, conventions and Keras outputs on their own page, in Streamlit's AppTest."""

import re
from html import escape
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from rnnviz.cells import Form
from rnnviz.conventions import KERAS, ONNX, PROJECT, Convention, difference, lay_out, moves
from rnnviz.counting import count_by_gate, count_multiply_adds, count_parameters, formula
from rnnviz.explain.keras_outputs import select_outputs, write_keras
from rnnviz.locale import LANGUAGES, Labels, labels
from rnnviz.plots.packed_weights import plot_packed_weights
from rnnviz.plots.style import palette
from rnnviz.ui.compare.conventions import small_network
from tests.conventions_page import LARGE, SIZES, record
from tests.test_gradients_page import decoded, figures
from tests.test_page import KEY, ROOT, choice, run, shown

pytestmark = [
    pytest.mark.slow,
    # Streamlit itself triggers it: it creates its event loop in a thread without one.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:streamlit"),
]


def opened(**query: str) -> AppTest:
    page = AppTest.from_file(str(ROOT / "tests" / "conventions_page.py"), default_timeout=60)
    for name, value in query.items():
        page.query_params[name] = value
    return run(page)


def pick(page: AppTest, key: str, value: str) -> AppTest:
    choice(page, key).set_value(value)
    return run(page)


def switch(page: AppTest, *keys: str) -> AppTest:
    for key in keys:
        toggle = page.toggle(key=key)
        toggle.set_value(not toggle.value)
    return run(page)


def html(page: AppTest) -> str:
    return "\n".join(text for text in shown(page) if "<" in text)


def formulas(page: AppTest) -> list[str]:
    return [line.value.strip("$\n") for line in page.latex]


def stays(page: AppTest, key: str, words: Labels) -> bool:
    """Whether the page says that a switch changes the states only by rounding."""
    before, after = words(f"stays.{key}", largest="#", steps=50).split("#")
    number = "(0|\\d\u00a0×\u00a010⁻¹[⁵⁶⁷⁸⁹])"
    line = f"<p class='rnnviz-effect'>{re.escape(before)}{number}{re.escape(after)}</p>"
    return re.search(line, html(page)) is not None


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("large", [False, True])
def test_every_gate_has_a_formula_and_its_counts(language: str, large: bool):
    words = labels(language)
    page_html = html(opened(language=language, **({"large": "1"} if large else {})))
    for name, size in (LARGE if large else SIZES).items():
        start = page_html.index(f"<caption><b>{escape(name)}</b>")
        table = page_html[start : page_html.index("</table>", start)]
        assert name == escape(name) or name not in page_html
        rows = count_by_gate(size)
        for row in rows:
            assert (
                f"<td class='sum'>{row.parameters_formula}</td>"
                f"<td class='number'>{row.total:,}</td>"
                f"<td class='sum'>{row.cost_formula}</td>"
                f"<td class='number'>{row.multiply_adds:,}</td></tr>"
            ) in table
            key = "cost.projection" if row.gate == "projection" else f"gate.{row.gate}"
            assert f"<th>{words[key]}" in table
        assert table.count("<tr><th>") == len(rows) + 2
        assert formula(size).split(" = ")[0] in table
        assert f"{count_parameters(size):,}" in table
        assert f"{count_multiply_adds(size):,}" in table


def test_the_gru_to_lstm_ratio_is_shown_where_it_is_three_quarters():
    words = labels("ko")
    ratio = words("cost.three_quarters", gru="GRU", lstm="LSTM", gru_count=1008, lstm_count=1344)
    assert ratio.endswith("1,008 / 1,344 = 3/4입니다.")
    assert ratio in html(opened(language="ko"))
    assert " = 3/4" not in html(opened(large="1"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_choice_is_shown_without_error(language: str):
    """No exception, no untranslated key, all equations."""
    page, lines = opened(language=language), {"lstm": 6, "gru": 4, "rnn": 1}
    switch(page, "one_bias")
    for cell, count in lines.items():
        pick(page, "convention_cell", cell)
        for order in ("torch", "keras", "onnx"):
            pick(page, "convention_order", order)
            assert len(page.latex) == count
            left = [text for text in shown(page) if KEY.fullmatch(text)]
            assert left == []
    assert page.toggle(key="flip_update").disabled
    pick(page, "convention_cell", "gru")
    assert not page.toggle(key="flip_update").disabled


def test_the_formula_depends_on_the_switches():
    page = pick(opened(), "convention_cell", "gru")
    assert formulas(page) == [
        r"r = \sigma(W_r x_t + b_{ir} + U_r h_{t-1} + b_{hr})",
        r"z = \sigma(W_z x_t + b_{iz} + U_z h_{t-1} + b_{hz})",
        r"n = \tanh(W_n x_t + b_{in} + r \odot (U_n h_{t-1} + b_{hn}))",
        r"h_t = (1 - z) \odot n + z \odot h_{t-1}",
    ]
    switch(page, "flip_update", "reset_before")
    assert formulas(page)[2:] == [
        r"n = \tanh(W_n x_t + b_{in} + U_n (r \odot h_{t-1}) + b_{hn})",
        r"h_t = (1 - z) \odot h_{t-1} + z \odot n",
    ]
    switch(page, "one_bias")
    assert formulas(page)[1:3] == [
        r"z = \sigma(W_z x_t + U_z h_{t-1} + b_z)",
        r"n = \tanh(W_n x_t + b_n + U_n (r \odot h_{t-1}))",
    ]
    switch(page, "reset_before")
    assert formulas(page)[2] == r"n = \tanh(W_n x_t + b_n + r \odot (U_n h_{t-1}))"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_shows_whether_a_switch_changes_the_states(language: str):
    words, form = labels(language), Form("gru")
    own, x = small_network("gru")
    page = pick(opened(language=language), "convention_cell", "gru")
    switch(page, "flip_update", "one_bias")
    merged = difference(form, own, x, one_bias=True).largest
    sentence = words("changes.one_bias", largest=f"{merged:.2g}")
    assert f"<p class='rnnviz-effect changes'>{escape(sentence)}</p>" in html(page)
    assert stays(page, "flip_update", words)
    both = words("changes.all", largest=f"{merged:.2g}")
    assert escape(both) in html(page)
    assert escape(words("convention.no_merge", title="PyTorch")) in html(page)
    switch(page, "flip_update", "reset_before")
    moved = difference(form, own, x, reset_after=False).largest
    assert moved > 0.1
    sentence = words("changes.reset_before", largest=f"{moved:.2g}")
    assert f"<p class='rnnviz-effect changes'>{escape(sentence)}</p>" in html(page)
    assert stays(page, "one_bias", words)  # exact with the reset before the product


ORDERS = {"torch": PROJECT, "keras": KERAS, "onnx": ONNX}


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("order", ORDERS)
def test_the_heatmap_blocks_are_the_weights(cell: str, order: str):
    page = pick(pick(opened(), "convention_cell", cell), "convention_order", order)
    own = small_network(cell)[0]
    drawn = figures(page)["packed_weights"]
    for part, convention in zip(drawn["data"], (PROJECT, ORDERS[order]), strict=True):
        rows = lay_out(Form(cell), own, convention)
        assert np.array_equal(decoded(part["z"]), rows.values)
    titles = [note["text"] for note in drawn["layout"]["annotations"]]
    letters = {"torch": "i f g o", "keras": "i f g o", "onnx": "i o f g"}
    if cell == "lstm":
        assert any(title.endswith(f": {letters[order]}</b>") for title in titles)
    arrays = {
        (
            "gru",
            "keras",
        ): "Arrays in Keras: kernel (3, 12), recurrent_kernel (4, 12), bias (2, 12).",
        ("lstm", "onnx"): "Arrays in ONNX: W (1, 16, 3), R (1, 16, 4), B (1, 32).",
        ("rnn", "keras"): "Arrays in Keras: kernel (3, 4), recurrent_kernel (4, 4), bias (4,).",
    }
    if (cell, order) in arrays:
        assert arrays[cell, order] in html(page)


def test_the_rows_of_a_flipped_gate_are_marked():
    page = pick(pick(opened(), "convention_cell", "gru"), "convention_order", "onnx")
    switch(page, "flip_update")
    drawn = figures(page)["packed_weights"]
    before, after = (decoded(part["z"]) for part in drawn["data"])
    assert np.array_equal(after[:4], -before[4:8])
    assert np.array_equal(after[4:8], before[:4])
    texts = [note["text"] for note in drawn["layout"]["annotations"]]
    assert texts.count("<b>× (−1)</b>") == 1
    bands = [shape for shape in drawn["layout"]["shapes"] if shape["type"] == "path"]
    assert [band["name"] for band in bands] == ["update_gate", "reset_gate", "hidden_candidate"]
    marked = [band["fillcolor"] == palette().selected for band in bands]
    assert marked == [True, False, False]


@pytest.mark.parametrize("convention", [KERAS, ONNX], ids=["keras", "onnx"])
@pytest.mark.parametrize("dark", [False, True])
def test_the_figure_shows_both_packings(convention: Convention, dark: bool):
    own, form = small_network("lstm")[0], Form("lstm")
    rows = [lay_out(form, own, c) for c in (PROJECT, convention)]
    figure: Any = plot_packed_weights(
        rows[0],
        rows[1],
        moves(form, PROJECT, convention),
        titles=("a", "b"),
        language="ko",
        dark=dark,
    )
    for part, expected in zip(figure.data, rows, strict=True):
        assert np.array_equal(part.z, expected.values)
        assert part.zmin == -part.zmax
    assert figure.data[0].customdata[4][0] == "망각 게이트, 0번 유닛, x 1"
    assert figure.data[0].customdata[0][-1] == "입력 게이트, 0번 유닛, b_hh"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("cell", "directions"), [("lstm", 1), ("gru", 2), ("rnn", 1), ("lstm", 2)])
def test_keras_outputs(cell: str, directions: int, language: str):
    words, trace = labels(language), record(cell, directions, 20)
    page = opened(cell=cell, directions=str(directions), language=language)
    for switches in ((), ("return_sequences",), ("return_state",)):
        page_html = html(switch(page, *switches))
        on = {key: page.toggle(key=key).value for key in ("return_sequences", "return_state")}
        assert f"<pre class='rnnviz-code'>{escape(write_keras(trace, **on))}</pre>" in page_html
        found = select_outputs(trace, **on)
        assert page_html.count("<div class='rnnviz-returned'>") == len(found)
        for part in found:
            shape = ", ".join(
                f"{words[f'keras.{dim}']} {size}"
                for dim, size in zip(part.dims, part.values.shape, strict=True)
            )
            start = page_html.index(f"<p class='name'>{part.name}</p>")
            row = page_html[start : page_html.index("</div></div>", start)]
            assert f"({shape})" in row
            squares = row.count("<i></i>") + row.count("<i class=on></i>")
            assert squares == 20 * len(part.steps)
            assert row.count("<i class=on></i>") == sum(map(len, part.steps.values()))
            for chosen in part.steps.values():
                text = words("keras.every", steps=20)
                if len(chosen) == 1:
                    text = words("keras.at", t=chosen[0] + 1, steps=20)
                assert text in row


def test_the_backward_direction_ends_at_the_first_step():
    page_html = html(opened(directions="2"))
    ends = [
        page_html.index(f"{text}</span>")
        for text in ("step 20 of 20 (forward)", "step 1 of 20 (backward)")
    ]
    assert ends == sorted(ends)


def test_long_sequences_are_shown_by_their_first_and_last_steps():
    page_html = html(opened(steps="200"))
    assert "<i></i><span>…</span><i></i>" in page_html
    assert page_html.count("<i></i>") + page_html.count("<i class=on></i>") == 40
    assert "step 200 of 200" in page_html
