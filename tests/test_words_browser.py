"""The page in the reader's language: its document, its titles, and Streamlit's own texts."""

import pytest
from playwright.sync_api import BrowserContext, expect

from rnnviz.locale import labels
from tests.browser import Visit, visiting

pytestmark = pytest.mark.browser

# Latin words in names of elements; the instrument names keys, and rnnviz's own words are Korean
ENGLISH_NAMES = """() => [...document.querySelectorAll("[aria-label]")]
    .map(e => e.getAttribute("aria-label"))
    .filter(name => /[a-z]{3}/.test(name.replace(/rnnviz|Home|End|Esc|tanh/g, "")))"""
BROKEN = """() => [...document.querySelectorAll("body *")].filter(e => e.offsetParent
    && [...e.childNodes].some(n => n.nodeType === 3 && /[가-힣]/.test(n.data))
    && getComputedStyle(e).wordBreak !== "keep-all").map(e => e.textContent)"""


def language(visit: Visit) -> str:
    return visit.page.evaluate("document.documentElement.lang")


def test_the_document_and_streamlits_texts_are_in_the_readers_language(visit: Visit):
    visit.open(language="ko")
    korean, english = labels("ko"), labels("en")
    assert language(visit) == "ko"
    assert visit.page.title() == "한 단계씩 보기 · rnnviz"
    assert visit.page.evaluate(BROKEN) == []
    assert visit.page.evaluate(ENGLISH_NAMES) == []
    skip = visit.page.get_by_test_id("stSkipToContent")
    expect(skip).to_have_text(korean["streamlit.skip"])
    area = visit.key("text").locator("textarea")
    area.press("End")
    area.press("a")
    hint = visit.key("text").get_by_test_id("InputInstructions")
    expect(hint).to_have_text("Ctrl+Enter를 누르면 적용됩니다")
    area.press("Backspace")
    visit.key("language").get_by_text("English").click()
    expect(skip).to_have_text(english["streamlit.skip"])
    visit.until("English", "() => document.documentElement.lang === 'en'")
    assert visit.page.title() == "Step through · rnnviz"


def test_a_number_that_is_no_seed_is_refused_in_the_readers_language(visit: Visit):
    visit.open("/compare", language="ko", input_source="signal", length=20, part="cost", seed=3)
    assert visit.page.title() == "나란히 비교 · rnnviz"
    field = visit.key("seed").locator("input").first
    for asked in (-5, 10_000):
        field.fill(str(asked))
        field.press("Enter")
        limits = {"low": 0, "high": 9999}
        expect(visit.key("seed_error")).to_contain_text(
            labels("ko")("control.seed_refused", seed=asked, kept=3, **limits)
        )
        expect(field).to_have_value("3")
        assert visit.query["seed"] == "3"
    field.fill("7")
    field.press("Enter")
    visit.until("the seed 7", "() => location.search.includes('seed=7')")
    visit.settle()
    assert visit.messages == []
    names = visit.page.get_by_role("button", name=labels("ko")("control.remove_network", n=1))
    expect(names).to_have_count(1)


@pytest.mark.parametrize("name", ["Gradient", "train", "step"])
def test_an_address_that_is_no_page_is_answered_in_the_apps_words(
    reader: BrowserContext, address: str, name: str
):
    with visiting(reader, address) as visit:
        visit.open(f"/{name}", language="ko", t=5)
        words = labels("ko")
        shown = words["page.step.menu"]
        wanted = [words("address.no_page", asked=f"/{name}", shown=shown)] * (name != "step")
        assert visit.messages == wanted
        assert visit.page.get_by_role("dialog").count() == 0
        assert visit.query == {"language": "ko", "t": "5"}
        assert visit.page.url.startswith(f"{address}/?")
        to_nearest = words("address.nearest_page", page=words["page.gradients.menu"])
        link = visit.page.get_by_role("link", name=to_nearest)
        assert link.count() == (name == "Gradient")


def test_the_keys_are_listed_on_a_question_mark(visit: Visit):
    visit.open(language="ko", t=9)
    keys = visit.page.get_by_role("dialog", name=labels("ko")["keys.title"])
    visit.page.locator(".rnnviz-title").click()
    for close in ("Escape", "?"):
        visit.page.keyboard.press("?")
        expect(keys).to_be_visible()
        expect(keys).to_contain_text(labels("ko")["keys.space"])
        visit.page.keyboard.press(close)
        expect(keys).to_be_hidden()
    visit.page.get_by_role("button", name="?: ").click()
    keys.get_by_role("button", name=labels("ko")["keys.close"]).click()
    expect(keys).to_be_hidden()
    area = visit.key("text").locator("textarea")
    area.press("End")
    area.press("?")
    assert area.input_value().endswith("?")
    expect(keys).to_be_hidden()
    area.press("Backspace")
