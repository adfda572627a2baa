"""What the browser's Back returns to: pages and views, not single steps."""

import pytest

from tests.browser import Visit

pytestmark = pytest.mark.browser


def entries(visit: Visit) -> int:
    return visit.page.evaluate("() => history.length")


def test_back_returns_to_the_page_or_view_before(visit: Visit):
    visit.open(cell="rnn")
    before = entries(visit)
    for t in (5, 6):
        visit.cells.nth(t - 1).click()
        visit.wait_for_step(t)
    assert (visit.query["t"], entries(visit)) == ("6", before)  # a step is no entry
    visit.key("unit").locator("input").first.wait_for()
    visit.choose_cell("gru")
    assert entries(visit) == before + 1
    # a text and a step that the pages share: the page that they are carried to writes them itself
    visit.page.get_by_role("link", name="Side by side").click()
    visit.page.wait_for_url("**/compare?*")
    visit.settle()
    assert (visit.query["t"], entries(visit)) == ("6", before + 2)
    visit.page.go_back()
    visit.wait_for_step(6)
    assert visit.query == {"cell": "gru", "t": "6"}
    visit.page.go_back()
    visit.until("the RNN", "() => location.search.includes('cell=rnn')")
    visit.settle()
