"""Faults around the app, in a real browser: no setting is lost."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import BrowserContext

from rnnviz.experiment import FIRST_TEXT, MOST_CHARACTERS, GradientsPage, NetworkSettings
from rnnviz.locale import labels
from tests.browser import Server, Visit, serving, visiting
from tests.test_gradients_browser import FIGURES, check_norms

pytestmark = pytest.mark.browser

STEPS = len(FIRST_TEXT)


# Messages of the browser and Streamlit themselves while the server is away.
AWAY = re.compile(
    r"failed: \S+/_stcore/(health|host-config) net::ERR_CONNECTION_(REFUSED|RESET)"
    r"|console: Failed to load resource: net::ERR_CONNECTION_(REFUSED|RESET)"
    r"|console: WebSocket connection to '\S+' failed: .*"
    r"|console: Streamlit server is not responding\. Are you connected to the internet\?"
    r"|console: Client Error in reaching server endpoint - No response received when attempting"
    r" to reach /_stcore/(health|host-config)"
    r"|console: Cannot send rerun backMessage when disconnected from server\."
)


WHOLE = """() => Array.from(document.querySelectorAll("[class*=st-key-figure_]"))
    .every(place => place.querySelector(".main-svg, canvas, .bar-row, .equation, .panel"))"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@contextmanager
def away(visit: Visit, server: Server) -> Iterator[None]:
    """Stops the server for the block; Streamlit's dialog about it is closed.

    It stops only when the figures are drawn: until then their scripts may still be loading.
    """
    before = len(visit.wrong)
    visit.until("all figures are drawn", WHOLE)
    server.stop()
    try:
        dialog = visit.page.get_by_role("dialog")
        dialog.wait_for()
        visit.page.keyboard.press("Escape")
        dialog.wait_for(state="detached")
        yield
    finally:
        server.start()
    visit.until(
        "the page finds the server again",
        "() => document.querySelector('[data-test-connection-state=CONNECTED]')",
    )
    visit.wrong[before:] = [
        message for message in visit.wrong[before:] if not AWAY.fullmatch(message)
    ]


def wait_for_query(visit: Visit, name: str, value: str) -> None:
    visit.until(
        f"{name} is {value} in the address",
        f"() => new URLSearchParams(location.search).get('{name}') === '{value}'",
    )
    visit.settle()


def choose(visit: Visit, key: str, choice: int) -> str:
    """Selects an option of a list with the pointer; returns its text."""
    visit.key(key).locator("input").first.click()
    option = visit.page.get_by_role("option").nth(choice)
    text = option.inner_text()
    option.click()
    visit.settle()
    return text


# A server that has just started, or is restarted


def test_a_fresh_server_asked_for_the_page_by_its_name(reader: BrowserContext):
    with serving() as fresh, visiting(reader, fresh.address) as visit:
        visit.open("/step", cell="gru", t=5)
        assert visit.count == f"step 5 of {STEPS}"
        assert visit.query == {"cell": "gru", "t": "5"}


def test_the_step_page_outlasts_its_server(reader: BrowserContext, server: Server):
    with visiting(reader, server.address) as visit:
        visit.open(cell="gru", t=5, gate="reset_gate", order="index")
        assert choose(visit, "unit", 3) == "3"
        kept = {"cell": "gru", "order": "index", "unit": "3", "gate": "reset_gate"}
        assert visit.query == kept | {"t": "5"}
        with away(visit, server):
            visit.page.locator(".rnnviz-title").click()
            for t in (6, 7):
                visit.page.keyboard.press("ArrowRight")
                assert visit.count == f"step {t} of {STEPS}"
            heading = visit.page.locator(".drawing .rnnviz-heading")
            assert heading.inner_text() == "GRU cell, unit 3, step 7"
        visit.page.keyboard.press("ArrowRight")
        wait_for_query(visit, "t", "8")
        assert visit.query == kept | {"t": "8"}
        assert visit.count == f"step 8 of {STEPS}"
        equations = visit.key("card_equations")
        assert equations.inner_text().startswith("GRU equations, unit 3, step 8\n")
        assert choose(visit, "unit", 4) == "4"
        wait_for_query(visit, "unit", "4")
        assert equations.inner_text().startswith("GRU equations, unit 4, step 8\n")
        assert heading.inner_text() == "GRU cell, unit 4, step 8"
        assert visit.query == kept | {"t": "8", "unit": "4"}


def test_the_gradients_page_outlasts_its_server(reader: BrowserContext, server: Server):
    with visiting(reader, server.address) as visit:
        visit.open("/gradients", hidden=4, length=30)
        assert choose(visit, "init", 2) == "orthogonal"
        slider = visit.key("gain").get_by_role("slider")
        track = slider.bounding_box()
        assert track is not None
        y = track["y"] + track["height"] / 2
        visit.page.mouse.move(track["x"] + track["width"] / 3, y)
        visit.page.mouse.down()
        visit.page.mouse.move(track["x"] + track["width"] + 50, y, steps=6)
        visit.page.mouse.up()
        wait_for_query(visit, "gain", "3")
        kept = {"hidden": "4", "length": "30", "init": "orthogonal"}
        assert visit.query == kept | {"gain": "3"}
        with away(visit, server):
            slider.press("PageDown")
            assert visit.key("gain").locator("output").inner_text() == "2.70"
            assert visit.query == kept | {"gain": "2.7"}  # at once, so that a reload has it
        wait_for_query(visit, "gain", "2.7")
        assert visit.query == kept | {"gain": "2.7"}
        first = NetworkSettings(hidden=4, length=30, init="orthogonal")
        check_norms(visit, first.model_copy(update={"gain": 2.7}))
        assert visit.messages == []
        slider.press("End")
        wait_for_query(visit, "gain", "3")
        check_norms(visit, first.model_copy(update={"gain": 3.0}))


# Two windows of one browser


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
            settings, problems = GradientsPage.from_query(visit.query)
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
        assert other.count == f"step 37 of {STEPS}"


# The largest settings


def test_the_longest_text_steps_plays_and_jumps(visit: Visit):
    text = ("x = [1, 'ab'](c)\n" * 118)[:MOST_CHARACTERS]
    assert len(text) == 2000
    visit.open(text=text, t=1, speed=10)
    visit.page.locator(".rnnviz-title").click()
    visit.page.keyboard.press("ArrowRight")
    visit.wait_for_step(2)
    visit.page.keyboard.press("Space")
    visit.wait_until_played_to(6)
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
        visit.key(f"figure_{figure}").locator(".bar-row").first.wait_for()
    visit.key("figure_lines").locator(".panel path").first.wait_for()
    assert visit.page.get_by_text(failed).filter(visible=True).count() == 0
    visit.page.get_by_role("link", name="Gradients").click()
    visit.page.locator(".rnnviz-verdict").first.wait_for()
    visit.settle()
    for figure in FIGURES:
        visit.key(f"figure_{figure}").locator(".main-svg").first.wait_for()
    check_norms(visit, GradientsPage.first().network())
    assert visit.page.get_by_text(failed).filter(visible=True).count() == 0
