"""The three marks on the drawing at the first visit."""

import pytest
from playwright.sync_api import Browser

from rnnviz.locale import labels
from tests.browser import Visit, visiting, windows

pytestmark = pytest.mark.browser

# The distance of a badge's middle from the nearest point of an element, in pixels.
DISTANCE = """([badge, element]) => {
    const [a, b] = [badge, element].map(selector =>
        document.querySelector(selector).getBoundingClientRect());
    const [x, y] = [a.x + a.width / 2, a.y + a.height / 2];
    return Math.hypot(Math.max(b.left - x, 0, x - b.right), Math.max(b.top - y, 0, y - b.bottom));
}"""


def shown(visit: Visit) -> list[str]:
    """What the marks say; as many badges are on the drawing."""
    items = visit.page.locator(".drawing .marks li:visible").all_inner_texts()
    badges = visit.page.locator(".drawing .badge:visible").all_inner_texts()
    assert badges == [str(n + 1) for n in range(len(items))]
    return items


def texts(cell: str, language: str = "en") -> list[str]:
    words = labels(language)
    return [words[f"marks.{key}"] for key in ("reads", f"{cell}_gate", f"{cell}_state")]


def test_the_marks_stay_closed_until_a_reset(browser: Browser, address: str):
    with windows(browser, address) as reader, visiting(reader, address) as visit:
        visit.open("/")
        assert shown(visit) == texts("lstm")
        places = ["rect.tile", ".gate[data-gate=forget_gate] .edge", ".wire[d^=M134]"]
        for n, place in enumerate(places, 1):
            badge = f".drawing .badge:nth-child({n})"
            assert visit.page.evaluate(DISTANCE, [badge, f".drawing {place}"]) < 20
        visit.choose_cell("gru")
        assert shown(visit) == texts("gru")
        visit.page.get_by_role("button", name=labels("en")["marks.close"]).click()
        assert shown(visit) == []
        visit.open("/", cell="rnn", language="ko")
        assert shown(visit) == []
        visit.key("reset").locator("a").click()
        visit.settle()
        assert shown(visit) == texts("lstm", "ko")
        visit.page.locator(".rnnviz-title").click()
        visit.page.keyboard.press("Escape")
        assert shown(visit) == []
        visit.page.reload()
        visit.page.wait_for_selector(".drawing .gate")
        assert shown(visit) == []


def test_escape_first_stops_playing_and_a_browser_without_storage_is_no_error(
    browser: Browser, address: str
):
    with windows(browser, address) as reader, visiting(reader, address) as visit:
        visit.page.add_init_script(
            "for (const name of ['getItem', 'setItem']) {"
            " const kept = Storage.prototype[name];"
            " Storage.prototype[name] = function (key, ...rest) {"
            "  if (key === 'rnnviz-marks') throw new DOMException('denied', 'SecurityError');"
            "  return kept.call(this, key, ...rest); }; }"
        )
        visit.open("/", t=3)
        visit.page.locator(".rnnviz-title").click()
        visit.page.keyboard.press("Space")
        visit.wait_until_played_to(4)
        visit.page.keyboard.press("Escape")
        assert shown(visit) == texts("lstm")
        visit.page.keyboard.press("Escape")
        assert shown(visit) == []
        visit.open("/")
        assert shown(visit) == texts("lstm")
