"""The instrument on a plain page without Streamlit, as in a notebook or an HTML file."""

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page
from plotly.colors import hex_to_rgb

from rnnviz import Trace, trace
from rnnviz.cells import Form, LSTMCell, make_cell
from rnnviz.explain.terms import gate_terms
from rnnviz.inputs.vocabulary import Vocabulary, picture
from rnnviz.instrument import SCRIPT, STYLES
from rnnviz.instrument.card_payload import pack_unit
from rnnviz.instrument.modules import join_modules, join_styles
from rnnviz.instrument.payload import pack_trace, rows_of
from rnnviz.locale import labels
from rnnviz.plots.style import palette
from tests.step_cards import SHOWN, equation_rows, signed

pytestmark = pytest.mark.browser

TEXT = "ab ba"
UNIT = 2
PAGE = f"""<!doctype html>
<style>{join_styles(*STYLES)}</style>
<div id="text"></div><div id="drawing"></div><div id="gates"></div><div id="states"></div>
<div id="lines"></div><div id="terms"></div><div id="equations"></div>
<script type="module">
{join_modules(SCRIPT)}
const bytes = (payload) => Uint8Array.from(atob(payload), (letter) => letter.charCodeAt(0));
window.show = (payload, unit, position) => {{
    const instrument = new Instrument();
    for (const part of ["text", "drawing", "gates", "states", "lines", "terms", "equations"])
        instrument.attach(part, document.getElementById(part));
    window.instrument = instrument;
    instrument.record(bytes(payload));
    instrument.explain(bytes(unit));
    instrument.setPosition(position);
    instrument.show();
}};
</script>"""
# By array: the filled share of a gate's height.
FILLED = """() => Object.fromEntries(Array.from(document.querySelectorAll("g.gate"), gate => [
    gate.dataset.gate,
    gate.querySelector("[clip-path]").getAttribute("height") / 64,
]))"""
# By array: the colours of a column of its heatmap, from the top.
COLUMN = """t => Object.fromEntries(Array.from(document.querySelectorAll(".row"), row => {
    const canvas = row.querySelector(".map canvas");
    const context = canvas.getContext("2d");
    const [steps, units] = [STEPS, UNITS];
    const at = unit => context.getImageData(
        Math.floor((t - 0.5) / steps * canvas.width),
        Math.floor((unit + 0.5) / units * canvas.height), 1, 1).data;
    return [row.dataset.array, Array.from({length: units}, (_, unit) => [...at(unit)].slice(0, 3))];
}))"""


@pytest.fixture(scope="module")
def record() -> Trace:
    torch.manual_seed(0)
    return trace(torch.nn.LSTM(2, 4), torch.randn(len(TEXT), 2))


@pytest.fixture
def page(browser: Browser, record: Trace) -> Iterator[Page]:
    with opened(browser, record) as page:
        yield page


@contextmanager
def opened(browser: Browser, record: Trace) -> Iterator[Page]:
    payload = pack_trace(
        record, TEXT, vocabulary=Vocabulary("ab "), units=range(4), words=labels("en"), dark=False
    )
    context = browser.new_context(viewport={"width": 1000, "height": 900})
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: wrong.append(request.url))
    page.set_content(PAGE)
    position = {"t": 2, "unit": UNIT, "gate": "", "speed": 4}
    unit = pack_unit(record, TEXT, UNIT, words=labels("en"))
    given = [*(b64encode(part).decode() for part in (payload, unit)), position]
    page.evaluate("given => window.show(...given)", given)
    yield page
    context.close()
    assert wrong == []


def values(record: Trace, name: str, t: int) -> Any:
    return record[name].values[0, 0, t - 1, 0]


def colours(share: Any, *, signed: bool) -> Any:
    """The colours at these shares of a scale, to the nearest of 256 steps."""
    stops = palette(dark=False).signed if signed else palette(dark=False).gate
    known = np.array([hex_to_rgb(colour) for _, colour in stops], float)
    at = np.round(np.clip(share, 0, 1) * 255) / 255 * (len(known) - 1)
    parts = [np.interp(at, np.arange(len(known)), known[:, k]) for k in range(3)]
    return np.stack(parts, axis=-1)


def test_the_drawing_shows_the_traces_numbers(page: Page, record: Trace):
    for name, letter in (("input_gate", "i"), ("forget_gate", "f"), ("output_gate", "o")):
        value = values(record, name, 2)[UNIT]
        assert (
            page.locator(f"#drawing [data-value={name}]").text_content()
            == f"{letter} = {value:.2f}"
        )
        assert abs(page.evaluate(FILLED)[name] - value) < 0.001
    now = page.locator("#drawing [data-value=hidden_state][data-back='0']").text_content()
    assert now == f"h₂ {values(record, 'hidden_state', 2)[UNIT]:+.2f}".replace("-", "−")


def test_the_drawing_names_activations_where_they_are_not_the_usual_ones(
    browser: Browser, page: Page
):
    assert page.locator("#drawing .activation").count() == 0
    assert page.locator("#drawing .word").all_text_contents() == ["tanh"]
    cell = LSTMCell(2, 4, gate_activation="hard_sigmoid", output_activation="relu")
    record = trace(cell, torch.randn(len(TEXT), 2))
    with opened(browser, record) as other:
        assert other.locator("#drawing .word").all_text_contents() == ["relu"]
        names = other.locator("#drawing .activation").all_text_contents()
        assert names == ["hard_sigmoid"] * 3  # the candidate has tanh
        wire = other.locator("#drawing .wire[d^=M556]")
        c = values(record, "cell_state", 2)[UNIT]
        share = max(c, 0) / rows_of(record)[-1].most
        assert float(wire.get_attribute("stroke-width") or 0) == round(2 + 4 * min(1, share), 1)


def test_the_strip_has_a_button_per_character_and_the_keys_step(page: Page, record: Trace):
    buttons = page.locator("#text .strip button")
    assert buttons.all_text_contents() == ["a", "b", "·", "b", "a"]
    assert page.locator("#text .rnnviz-count").text_content() == "step 2 of 5"
    page.keyboard.press("ArrowRight")
    value = values(record, "input_gate", 3)[UNIT]
    assert page.locator("#drawing [data-value=input_gate]").text_content() == f"i = {value:.2f}"
    buttons.nth(4).click()
    assert page.locator("#text .rnnviz-count").text_content() == "step 5 of 5"


def test_the_heatmaps_have_the_colours_of_their_scales(page: Page, record: Trace):
    script = COLUMN.replace("STEPS", str(len(TEXT))).replace("UNITS", "4")
    columns = [page.evaluate(script, t) for t in range(1, len(TEXT) + 1)]
    rows = rows_of(record)
    assert list(columns[0]) == [row.name for row in rows]
    for row in rows:
        shown = np.array([column[row.name] for column in columns], float)
        share = np.array([values(record, row.name, t) for t in range(1, len(TEXT) + 1)]) / row.most
        expected = colours((share + 1) / 2 if row.signed else share, signed=row.signed)
        assert np.abs(shown - expected).max() <= 1, row.name  # canvases round


@pytest.mark.parametrize(
    "form",
    [
        Form("lstm", peephole=True),
        Form("lstm", coupled=True, peephole=True, output_activation="softsign"),
        Form("gru", reset_after=False),
        Form("rnn", nonlinearity="relu"),
    ],
    ids=str,
)
def test_equations_and_terms_of_variants_are_the_librarys(browser: Browser, form: Form):
    record = trace(make_cell(form, 2, 4), 2 * torch.randn(len(TEXT), 2))
    with opened(browser, record) as page:
        for t in range(1, len(TEXT) + 1):
            for gate in form.gates:
                page.evaluate(
                    "([t, gate]) => instrument.go(t) || instrument.choose(gate)", [t, gate]
                )
                shown = page.evaluate(SHOWN)
                sum_of = gate_terms(record, gate, UNIT, t - 1)
                bars = {label: value for label, _, value in shown["terms"]}
                assert bars.pop("bias") == signed(sum_of.bias)
                assert bars.pop(f"input {picture(TEXT[t - 1])}") == signed(sum_of.by_input.sum())
                peephole = bars.pop("cell state (peephole)", None)
                assert peephole == (signed(sum_of.by_cell) if gate in form.peepholes else None)
                units = {f"h of unit {k}": signed(v) for k, v in enumerate(sum_of.by_unit) if v}
                rest = {f"other units ({4 - len(units)})": "0.00"} if len(units) < 4 else {}
                assert bars == units | rest
            shown = page.evaluate(SHOWN)
            assert shown["equations"] == equation_rows(record, UNIT, t)
