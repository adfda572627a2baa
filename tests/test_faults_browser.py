"""What may go wrong around the app, in a real browser: nothing that a reader set is lost."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext

from rnnviz.experiment import FIRST_TEXT, MOST_CHARACTERS, NetworkSettings, Settings
from rnnviz.locale import labels
from tests.browser import Server, Visit, serving, visiting
from tests.test_gradients_browser import FIGURES, check_norms

pytestmark = pytest.mark.browser

STEPS = len(FIRST_TEXT)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def wait_for_query(visit: Visit, name: str, value: str) -> None:
    visit.until(
        f"{name} is {value} in the address",
        f"() => new URLSearchParams(location.search).get('{name}') === '{value}'",
    )
    visit.settle()


# A server that has just started


def test_a_fresh_server_asked_for_the_page_by_its_name(reader: BrowserContext, server: Server):
    with visiting(reader, server.address) as visit:
        visit.open("/step", cell="gru", t=5)
        assert visit.count == f"step 5 of {STEPS}"
        assert visit.query == {"cell": "gru", "t": "5"}


# Windows of the same reader


def test_two_windows_do_not_influence_each_other(reader: BrowserContext, address: str):
    with visiting(reader, address) as one, visiting(reader, address) as other:
        one.open("/gradients", hidden=4, length=30)
        other.open("/gradients", hidden=4, length=30, init="orthogonal")
        ends = {"End": "3", "Home": "0"}
        for visit, key in ((one, "End"), (other, "Home")):
            visit.page.bring_to_front()
            slider = visit.key("gain").get_by_role("slider")
            slider.focus()
            slider.press(key)
            wait_for_query(visit, "gain", ends[key])
        for visit, init, gain in ((one, "torch_default", "3"), (other, "orthogonal", "0")):
            visit.page.bring_to_front()
            settings, problems = Settings.from_query(visit.query)
            assert problems == []
            assert (settings.init, visit.query["gain"]) == (init, gain)
            check_norms(visit, settings.network())
        one.page.get_by_role("link", name="Step through").click()
        one.page.locator(".rnnviz-count").wait_for()
        one.settle()
        one.read("abc")
        other.page.bring_to_front()
        other.page.get_by_role("link", name="Step through").click()
        other.page.locator(".rnnviz-count").wait_for()
        other.settle()
        assert one.count == "step 3 of 3"
        assert other.count == f"step 36 of {STEPS}"


# The most that is allowed


def test_the_longest_text_steps_plays_and_jumps(visit: Visit):
    text = ("x = [1, 'ab'](c)\n" * 118)[:MOST_CHARACTERS]
    assert len(text) == 2000
    visit.open(text=text, t=1, speed=10)
    visit.page.locator(".rnnviz-title").click()
    visit.page.keyboard.press("ArrowRight")
    visit.wait_for_step(2)
    visit.page.keyboard.press("Space")
    visit.until(
        "it plays",
        "() => Number(/\\d+/.exec(document.querySelector('.rnnviz-count').innerText)[0]) > 5",
    )
    visit.page.keyboard.press("Space")
    visit.settle()
    assert visit.count == f"step {visit.query['t']} of 2000"
    visit.page.keyboard.press("End")
    visit.wait_for_step(2000)
    visit.cells.nth(999).click()
    visit.wait_for_step(1000)
    assert visit.query["t"] == "1000"
    assert "step 1000\n" in visit.key("card_equations").inner_text()
    assert visit.messages == []


def test_the_largest_networks_open_and_follow_a_slider(visit: Visit):
    visit.open("/gradients", length=2000, hidden=256)
    for figure in FIGURES:
        visit.key(f"figure_{figure}").locator(".main-svg").first.wait_for()
    assert visit.messages == []
    slider = visit.key("gain").get_by_role("slider")
    slider.focus()
    slider.press("End")
    wait_for_query(visit, "gain", "3")
    check_norms(visit, NetworkSettings(length=2000, hidden=256, gain=3))
    assert visit.messages == []


# A browser without WebGL

NO_WEBGL = """
    const get = HTMLCanvasElement.prototype.getContext;
    HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
        return /webgl/.test(kind) ? null : get.call(this, kind, ...rest);
    };"""


def test_both_pages_are_drawn_without_webgl(visit: Visit):
    failed = labels("en")["figure.failed"]
    visit.page.add_init_script(NO_WEBGL)
    visit.open()
    assert visit.page.evaluate("document.createElement('canvas').getContext('webgl2')") is None
    for figure in ("gates", "states"):
        visit.until(
            f"{figure} are drawn",
            f"() => document.querySelector('.st-key-figure_{figure} .map canvas').width > 300",
        )
    for figure in ("terms", "next_character"):
        visit.key(f"figure_{figure}").locator(".main-svg").first.wait_for()
    assert visit.page.get_by_text(failed).filter(visible=True).count() == 0
    visit.page.get_by_role("link", name="Gradients").click()
    visit.page.locator(".rnnviz-verdict").first.wait_for()
    visit.settle()
    for figure in FIGURES:
        visit.key(f"figure_{figure}").locator(".main-svg").first.wait_for()
    check_norms(visit, NetworkSettings())
    assert visit.page.get_by_text(failed).filter(visible=True).count() == 0
