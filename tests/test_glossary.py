"""The glossary: its terms in texts, and their explanations on the page."""

import re
from html import unescape

import pytest
from playwright.sync_api import Locator

from rnnviz.glossary import TERMS, TermMarks, split_terms
from rnnviz.locale import LANGUAGES, labels
from rnnviz.ui.components.glossary_content import glossary_content
from rnnviz.ui.pages import PAGES
from tests.browser import Visit

# What texts of each language are called, and the names that have a mark.
NAMED = {
    "en": {
        "Gates and Forget gates, but no keep-gate": "gate: Gates, forget_gate: Forget gates",
        "pre-activations, not activation": "preactivation: pre-activations",
        "the unit circle of a unit": "unit: unit",
        "Unit {unit} follows it (r = {score}).": "unit: Unit, correlation: r",
        "5-gram: losses, biases": "ngram: 5-gram, loss: losses, bias: biases",
        "regain, stepping, units7": "",
    },
    "ko": {
        "망각 게이트는 게이트입니다": "forget_gate: 망각 게이트, gate: 게이트",
        "{unit}번 유닛의 기울기가 소실됩니다": "unit: 유닛, gradient: 기울기, vanishing: 소실",
        "기울기 소실과 손실": "vanishing: 기울기 소실, loss: 손실",
        "10단계, tanh의 미분값": "time_step: 단계, tanh: tanh",
        "단위원, arctanh": "",
    },
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_first_name_of_each_term_is_found(language: str):
    for text, named in NAMED[language].items():
        parts = split_terms(text, language)
        assert "".join(part.text for part in parts) == text
        found = ", ".join(f"{part.term}: {part.text}" for part in parts if part.term)
        assert found == named, text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_card_names_each_term_once_and_its_texts_stay_the_same(language: str):
    marks, seen = TermMarks(language), list[str]()
    for key, text in labels(language).items():
        if key.startswith(("card.", "scene.", "eigenvalues.")):
            html = marks.html(text)
            assert unescape(re.sub("<[^>]*>", "", html)) == text
            seen += re.findall('data-term="([^"]*)"', html)
    assert len(seen) == len(set(seen))
    assert set(seen) == marks.named
    assert {"gradient", "forget_gate", "eigenvalue", "singular_value", "relu"} < marks.named


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_term_is_explained_and_named_by_no_other(language: str):
    words, content = labels(language), glossary_content()[language]
    assert list(content["terms"]) == list(TERMS)
    names = [name for term in TERMS for name in words[f"glossary.{term}.names"].split("|")]
    assert len(names) == len(set(names))
    keys = {key for key in words if key.startswith("glossary.")}
    shapes = {f"glossary.shapes.{term.shape}" for term in TERMS.values() if term.shape}
    wanted = {f"glossary.{term}.{part}" for term in TERMS for part in ("names", "says")}
    others = {f"glossary.{name}" for name in ("not_terms", "symbol", "shape", "see")}
    assert keys == shapes | wanted | others


def test_each_link_is_an_address_of_its_page_without_a_problem():
    for language, content in glossary_content().items():
        for term, entry in content["terms"].items():
            page, query = TERMS[term].page, entry["query"]
            assert entry["page"] == ("" if page == "step" else page)
            settings, problems = PAGES[page].settings.from_query(query)
            assert problems == [], term
            assert settings.language == language


def explanation(visit: Visit) -> Locator:
    return visit.page.locator(".rnnviz-explanation:popover-open")


def within(visit: Visit) -> bool:
    box, size = explanation(visit).bounding_box(), visit.page.viewport_size
    assert box is not None
    assert size is not None
    ends = box["x"] + box["width"], box["y"] + box["height"]
    return min(box["x"], box["y"]) >= 0 and ends[0] <= size["width"] and ends[1] <= size["height"]


@pytest.mark.browser
def test_a_term_is_explained_by_pointer_and_keys(visit: Visit):
    visit.open("/")
    words, page = labels("en"), visit.page
    term = page.locator(".rnnviz-story [data-term=forget_gate]")
    term.hover()
    shown = explanation(visit)
    assert shown.locator(".name").inner_text() == "Forget gate"
    assert shown.locator("p").last.inner_text() == words["glossary.forget_gate.says"]
    assert within(visit)
    page.locator(".rnnviz-title").hover()
    shown.wait_for(state="detached")
    page.locator(".rnnviz-story [data-term=correlation]").focus()
    page.keyboard.press("Shift+Tab")  # so that the button before it has the keyboard's focus
    assert shown.locator(".name").inner_text() == "Unit"
    unit = page.locator(".rnnviz-story [data-term=unit]")
    described = page.locator(f"#{unit.get_attribute('aria-describedby')}")
    assert described.inner_text() == words["glossary.unit.says"]
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.tagName") == "A"
    t = visit.count
    page.keyboard.press("Escape")
    shown.wait_for(state="detached")
    assert page.evaluate("document.activeElement.dataset.term") == "unit"
    assert unit.get_attribute("aria-describedby") is None
    assert visit.count == t


@pytest.mark.browser
def test_a_symbol_of_the_drawing_is_explained_and_its_click_stays(visit: Visit):
    visit.open("/")
    visit.page.locator(".drawing .gate[data-gate=cell_candidate]").hover()
    assert explanation(visit).locator(".name").inner_text() == "Candidate"
    visit.page.locator(".drawing .gate[data-gate=cell_candidate]").click()
    explanation(visit).wait_for(state="detached")
    visit.settle()
    assert visit.query["gate"] == "cell_candidate"
    visit.page.locator(".drawing .number[data-value=hidden_state]").first.hover()
    assert explanation(visit).locator(".name").inner_text() == "Hidden state"


@pytest.mark.browser
def test_an_explanation_links_to_where_its_term_changes(visit: Visit):
    visit.open("/gradients", language="ko")
    visit.page.locator(".rnnviz-story [data-term=exploding]").click()
    assert explanation(visit).locator(".name").inner_text() == "기울기 폭발"
    visit.page.locator(".rnnviz-title").click()
    explanation(visit).wait_for(state="detached")
    visit.page.locator(".rnnviz-story [data-term=exploding]").click()
    explanation(visit).locator("a").click()
    visit.until("the gain", "() => new URL(location).searchParams.get('gain') === '2'")
    visit.page.wait_for_selector(".rnnviz-verdict")
    visit.settle()
    assert "폭발" in visit.page.locator(".rnnviz-story").inner_text()
