"""The pages at the width of a phone: every name can be read."""

import pytest
from playwright.sync_api import Browser

from tests.browser import visiting, windows

pytestmark = pytest.mark.browser

OVERLAPS = """() => {
    const boxes = [...document.querySelectorAll(".st-key-figure_comparison .annotation-text")]
        .map(e => [e.textContent, e.getBoundingClientRect()]);
    return boxes.flatMap(([one, a], i) => boxes.slice(i + 1)
        .filter(([, b]) => a.left < b.right - 1 && b.left < a.right - 1
            && a.top < b.bottom - 1 && b.top < a.bottom - 1)
        .map(([other]) => `${one} / ${other}`));
}"""
SMALLEST = """() => Math.min(...[...document.querySelectorAll(".drawing .gate .name")]
    .map(e => parseFloat(getComputedStyle(e).fontSize) * e.getScreenCTM().a))"""


def test_no_names_overlap_or_are_under_ten_pixels(browser: Browser, address: str):
    options = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    with windows(browser, **options) as own, visiting(own, address) as visit:
        visit.open("/compare", language="ko")
        visit.until(
            "the figure", "() => document.querySelector('.st-key-figure_comparison .main-svg')"
        )
        visit.settle()
        assert visit.page.evaluate(OVERLAPS) == []
        visit.key("part").locator("button").nth(1).click()
        visit.until("the cells", "() => document.querySelector('.cells .gate .name')")
        visit.settle()
        assert visit.page.evaluate(SMALLEST) >= 10
        assert visit.page.evaluate("document.documentElement.scrollWidth") == 390
