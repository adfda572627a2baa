"""The data of the cards that explain a step, as the browser gets them."""

import json
from typing import Any

import numpy as np
import pytest
import torch

from rnnviz import Trace, trace
from rnnviz.activations import PLAIN, find_activation
from rnnviz.cells import Form, make_cell
from rnnviz.errors import RnnvizError
from rnnviz.explain.equations import LETTERS, equation_templates, equations
from rnnviz.explain.next_character import rank_predictions
from rnnviz.explain.terms import gate_terms
from rnnviz.inputs.vocabulary import Vocabulary
from rnnviz.instrument.card_payload import pack_unit, predictions_of
from rnnviz.instrument.formulas import html_of
from rnnviz.instrument.payload import pack_trace
from rnnviz.locale import labels

FORMS = [
    Form("rnn", nonlinearity="relu"),
    Form("lstm"),
    Form("lstm", peephole=True),
    Form("lstm", coupled=True),
    Form("gru"),
    Form("gru", reset_after=False),
]


def read(form: Form) -> Trace:
    return trace(make_cell(form, 2, 3), torch.randn(5, 2))


def sent(payload: bytes) -> tuple[dict[str, Any], Any]:
    line, _, body = payload.partition(b"\n")
    return json.loads(line), np.frombuffer(body, "<f4")


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_units_payload_has_what_its_sums_are_made_of(form: Form):
    record = read(form)
    header, numbers = sent(pack_unit(record, "ababa", 1, words=labels("en")))
    gates = list(form.gates)
    assert (header["part"], header["unit"], header["gates"]) == ("unit", 1, gates)
    read_, sums = numbers[: 10 * len(gates)].reshape(2, len(gates), 5)
    weights = numbers[10 * len(gates) :].reshape(len(gates), 3)
    for k, gate in enumerate(gates):
        at = [gate_terms(record, gate, 1, t) for t in range(5)]
        for t, terms in enumerate(at):
            assert abs(read_[k, t] - terms.by_input.sum()) < 1e-6
            assert sums[k, t] == np.float32(terms.preactivation)
        terms = at[0]
        assert weights[k].tolist() == terms.u.tolist()
        assert header["biases"][k] == [terms.b_ih, terms.b_hh]
        assert header["peepholes"].get(gate, 0.0) == terms.p
    assert set(header["peepholes"]) == set(form.peepholes)
    assert header["reset_after"] is form.reset_after


def test_payloads_of_one_text_share_its_digest():
    record, words = read(Form("gru")), labels("en")
    whole = pack_trace(
        record, "ababa", vocabulary=Vocabulary("ab"), units=range(3), words=words, dark=False
    )
    of_text = sent(whole)[0]["reading"]
    digests = [sent(pack_unit(record, text, 0, words=words))[0]["reading"] for text in "ab"]
    assert sent(pack_unit(record, "ababa", 2, words=words))[0]["reading"] == of_text
    assert len({of_text, *digests}) == 3


def test_held_values_are_refused_because_the_equations_do_not_describe_them():
    held = trace(torch.nn.RNN(1, 2), torch.ones(3, 1), hold={"hidden_state": 0.5})
    with pytest.raises(RnnvizError) as caught:
        pack_unit(held, "aaa", 0, words=labels("en"))
    assert str(caught.value) == (
        "The trace holds hidden_state; the cards explain only what the cell computes itself. Trace "
        "the network without hold."
    )
    assert caught.value.message("ko") == (
        "hidden_state 값이 고정된 기록입니다. 카드는 셀이 직접 계산한 값만 설명합니다. hold 없이 "
        "기록하십시오."
    )


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_template_names_every_number_of_an_equation(form: Form):
    lines, templates = equations(read(form), 2, 3), equation_templates(form)
    assert list(lines) == list(templates)
    for name, line in lines.items():
        for filled, template in zip(line, templates[name], strict=True):
            assert filled.count("{") == template.count("{"), name
            assert "[" not in filled


# Predictions


def test_predictions_are_ranked_and_the_actual_character_has_a_place():
    chances = np.array([[0.2, 0.5, 0.05, 0.25], [0.1, 0.1, 0.7, 0.1], [0.25, 0.25, 0.25, 0.25]])
    found = rank_predictions(chances, np.array([0, 2, 1]), 2)
    assert found.codes.tolist() == [[1, 2], [2, 1], [0, 1]]  # ties by code; 2 and 1 came
    assert found.shares.tolist() == [[0.5, 0.05], [0.7, 0.1], [0.25, 0.25]]
    assert found.place.tolist() == [1, 1, -1]
    assert found.rank.tolist() == [4, 2, 0]
    assert np.abs(found.bits - [np.log2(20), np.log2(10), 0]).max() < 1e-12


def test_a_text_of_one_character_has_predictions_without_an_actual_one():
    found = rank_predictions(np.array([[0.25, 0.75]]), np.array([1]), 6)
    assert (found.codes.tolist(), found.place.tolist()) == ([[1, 0]], [-1])


def test_predictions_are_sent_as_texts():
    chances = np.array([[0.0004, 0.0466, 0.953], [1 / 3, 1 / 3, 1 / 3]])
    data = predictions_of(chances, "ab", vocabulary=Vocabulary("ab"), words=labels("ko"))
    assert data["names"] == ["a", "b", "기타"]
    assert data["codes"] == [[2, 1, 0], [0, 1, 2]]
    assert data["shares"] == [["95.3%", "4.7%", "0.0%"], ["33.3%"] * 3]
    assert (data["place"], data["rank"]) == ([1, -1], [2, 0])
    assert data["bits"] == [f"{-np.log2(0.0466):.2f}", "0.00"]
    assert "{bits}" in data["words"]["card.surprise"]


# LaTeX as HTML


@pytest.mark.parametrize(
    ("latex", "html"),
    [
        (
            r"\sigma(-1.43 + 3.34 - 1.55) = \sigma(0.36)",
            "<i>σ</i>(−1.43 + 3.34 − 1.55) = <i>σ</i>(0.36)",
        ),
        (r"0.62 \cdot (-4.00) + 0.62", "0.62 · (−4.00) + 0.62"),
        (r"1.23 \cdot 10^{15}", "1.23 · 10<sup>15</sup>"),
        (r"-\infty", "−∞"),
        (r"1 - f", "1 − <i>f</i>"),
        (r"f\,c_{35} + i\,g", "<i>f</i>\u2009<i>c</i><sub>35</sub> + <i>i</i>\u2009<i>g</i>"),
        (r"U_n (r \odot h_{1})", "<i>U</i><sub><i>n</i></sub>(<i>r</i> ⊙ <i>h</i><sub>1</sub>)"),
        (
            r"\mathrm{hard\_sigmoid}_{0.2,\,0.5}(x)",
            "hard_sigmoid<sub>0.2,\u20090.5</sub>(<i>x</i>)",
        ),
        (r"\text{a < b}", "a &lt; b"),
    ],
)
def test_latex_as_html(latex: str, html: str):
    assert html_of(latex) == html


def test_every_activation_has_a_name_in_html():
    for name in (*PLAIN, "hard_sigmoid(0.2, 0.5)", "elu(0.5)", "affine(2, 1)"):
        found = find_activation(name)
        assert found is not None
        assert "\\" not in html_of(found.latex)
        assert bool(html_of(found.latex)) == bool(found.latex)


def test_every_gate_has_a_symbol_and_a_colour():
    record = read(Form("lstm", peephole=True))
    whole = pack_trace(
        record, "ababa", vocabulary=Vocabulary("ab"), units=range(3), words=labels("en"), dark=True
    )
    header, _ = sent(whole)
    symbols = {row["name"]: row["symbol"] for row in header["rows"]}
    assert symbols == {
        name: LETTERS.get(name, {"cell_state": "c", "hidden_state": "h"}.get(name))
        for name in symbols
    }
    assert set(symbols.values()) <= set(header["colours"]["lines"])
