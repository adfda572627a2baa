"""Every page and part by axe-core, in both themes: nothing serious or critical is found."""

from pathlib import Path

import pytest

from rnnviz.ui.compare.sections import SECTIONS
from tests.browser import Visit

pytestmark = pytest.mark.browser

AXE = Path(__file__).parent.parent / "node_modules" / "axe-core" / "axe.min.js"
FOUND = """async () => (await axe.run(document, { resultTypes: ["violations"] })).violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) => nodes.map(node => `${id}: ${node.html}`))"""


def assert_accessible(visit: Visit, where: str) -> None:
    assert visit.page.evaluate(FOUND) == [], where


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_fault_on_any_page_or_part(visit: Visit, theme: str):
    visit.page.emulate_media(color_scheme=theme)  # pyright: ignore[reportArgumentType]  # a literal
    language = "en" if theme == "light" else "ko"
    for path, query in (("/", {}), ("/gradients", {"hidden": 6, "length": 30}), ("/compare", {})):
        visit.open(path, language=language, **query)
        visit.page.evaluate("code => { (0, eval)(code); }", AXE.read_text(encoding="utf-8"))
        assert_accessible(visit, path)
        levels = visit.page.locator("h1, h2, h3").evaluate_all(
            "all => all.filter(e => e.checkVisibility()).map(e => e.tagName)"
        )
        assert levels[0] == "H1"
        assert levels.count("H1") == 1
        assert "H2" in levels
    parts = list(SECTIONS)
    for place in range(1, len(parts)):
        visit.key("part").locator("button").nth(place).click()
        visit.until(parts[place], f"() => location.search.includes('part={parts[place]}')")
        visit.settle()
        assert_accessible(visit, parts[place])
