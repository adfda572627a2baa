"""The example texts: the unit and the step of each are those that a measurement finds."""

import string
from pathlib import Path
from urllib.parse import parse_qsl

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from rnnviz.cells import GATE_NAMES
from rnnviz.experiment import (
    EXAMPLES,
    FIRST_TEXT,
    ComparePage,
    GradientsPage,
    PageSettings,
    StepPage,
)
from rnnviz.experiment.network_spec import read_networks
from rnnviz.explain.text_properties import text_properties
from rnnviz.locale import labels
from rnnviz.ui.cache import character_model, watched
from rnnviz.ui.pages import PAGES
from tests.browser import Visit

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("cell", GATE_NAMES)
def test_the_unit_and_the_step_of_each_example_are_measured(cell: str):
    found = watched(cell)
    assert list(found) == list(EXAMPLES)
    for name, (text, order) in EXAMPLES.items():
        trace = character_model(cell).read(text)
        h = trace["hidden_state"].values[0, 0, :, 0].astype(np.float64)
        c = trace["cell_state" if cell == "lstm" else "hidden_state"].values[0, 0, :, 0]
        if order == "variance":
            unit, steps = h.var(0).argmax(), range(1, len(text))
        else:
            wanted = text_properties(text)[order]
            unit = np.argmax([abs(np.corrcoef(of, wanted)[0, 1]) for of in h.T])
            steps = [t for t in range(1, len(text)) if wanted[t] != wanted[t - 1]]
        changes = {t: abs(float(c[t, unit]) - float(c[t - 1, unit])) for t in steps}
        assert found[name] == (unit, 1 + max(changes, key=changes.__getitem__)), name


def test_a_unit_of_each_gated_cell_follows_the_property_of_each_example():
    """With |r| of 0.5 or more, which the sentence of the page calls following."""
    for cell in ("lstm", "gru"):
        for name, (text, order) in EXAMPLES.items():
            h = character_model(cell).read(text)["hidden_state"].values[0, 0, :, 0]
            unit = watched(cell)[name].unit
            if order != "variance":
                r = np.corrcoef(h[:, unit], text_properties(text)[order])[0, 1]
                assert abs(r) > 0.5, f"{cell}, {name}: {r=:.2f}"


def test_the_first_example_is_the_first_view():
    name, example = next(iter(EXAMPLES.items()))
    first = StepPage()
    assert (example.text, example.order) == (first.text, first.order)
    assert watched(first.cell)[name].t == first.t


def test_the_field_of_a_text_names_the_characters_that_the_models_know():
    known = string.digits + string.ascii_letters + string.punctuation + " \n"
    for cell in GATE_NAMES:
        assert sorted(character_model(cell).vocabulary.characters) == sorted(known)
    label = "Known: ASCII letters, digits, punctuation, space, line break."
    assert label in labels("en")["control.text"]


def links_of(page: str, **query: str) -> dict[str, PageSettings]:
    """What the links to the examples ask for, and "first": what the link to the first view does."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    for name, value in query.items():
        app.query_params[name] = value
    if page != "step":
        app.switch_page(f"pages/{page}.py")
    app.run()
    assert not app.exception
    links = [dict(parse_qsl(link.proto.query_string)) for link in app.get("page_link")]
    kind = PAGES[page].settings
    return {link.pop("scene"): kind.from_query(link)[0] for link in links if "scene" in link}


def test_a_link_sets_text_order_unit_and_step_and_keeps_the_rest():
    query = {"cell": "gru", "speed": "7", "unit": "3", "order": "index", "text": "abc"}
    links = links_of("step", **query)
    assert links.pop("first") == StepPage()
    assert list(links) == list(EXAMPLES)
    for name, (text, order) in EXAMPLES.items():
        t = watched("gru")[name].t
        assert links[name] == StepPage(cell="gru", text=text, order=order, t=t, speed=7)


def test_a_link_of_the_comparison_sets_text_and_step_and_keeps_the_networks():
    links = links_of("compare", networks="gru,rnn", part="memory")
    assert links.pop("first") == ComparePage()
    assert list(links) == list(EXAMPLES)
    networks = read_networks("gru,rnn")
    for name, (text, _) in EXAMPLES.items():
        t = watched("lstm")[name].t
        assert links[name] == ComparePage(networks=networks, part="memory", text=text, t=t)
    assert list(links_of("compare", input_source="signal")) == ["first"]


def test_the_gradients_page_has_a_link_to_its_first_view():
    assert links_of("gradients", gain="2")["first"] == GradientsPage.first()


@pytest.mark.browser
def test_an_example_shows_its_point_with_one_click_and_reset_the_first_view(visit: Visit):
    visit.open("/")
    first = visit.page.locator(".rnnviz-story").inner_text()
    for name in ("brackets", "korean"):
        visit.key(f"example_{name}").locator("a").click()
        unit, t = watched("lstm")[name]
        text, order = EXAMPLES[name]
        visit.wait_for_step(t)
        h = character_model("lstm").read(text)["hidden_state"].values[0, 0, :, 0]
        r = np.corrcoef(h[:, unit], text_properties(text)[order])[0, 1]
        what = labels("en")[f"order.{order}"]
        told = f"Unit {unit} follows “{what}” (r = {r:+.2f}). It has just read {text[t - 1]}:"
        sentence = visit.page.locator(".rnnviz-story").inner_text()
        assert sentence.startswith(told.replace("-", "−"))
        assert visit.query.get("text") == text
        assert "unit" not in visit.query
    visit.key("cell").get_by_text("GRU").click()
    visit.settle()
    visit.cells.nth(2).click()
    visit.key("reset").locator("a").click()
    visit.wait_for_step(37)
    assert visit.page.locator(".rnnviz-story").inner_text() == first
    assert visit.query == {}
    assert visit.key("text").locator("textarea").input_value() == FIRST_TEXT
