"""The weight grid in a real browser: on the gradients page, and alone on tests/grid_page.py."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, expect
from streamlit.proto.BackMsg_pb2 import BackMsg

from rnnviz.cells import GATE_NAMES
from rnnviz.experiment import SCENES, Edit, GradientsPage, run_networks
from rnnviz.gradients import gradient_norms
from rnnviz.locale import labels
from rnnviz.trace import Trace
from tests.browser import Visit, on_stream, served, visiting, windows

pytestmark = pytest.mark.browser

FIGURE = ".st-key-figure_{} .js-plotly-plot"


@pytest.fixture(scope="module")
def reader(browser: Browser, address: str) -> Iterator[BrowserContext]:
    with windows(browser, address, viewport={"width": 1440, "height": 2000}) as context:
        yield context


@pytest.fixture(scope="module")
def alone() -> Iterator[str]:
    with served("tests/grid_app.py") as address:
        yield address


def cell(visit: Visit, row: int, column: int) -> Locator:
    line = visit.key("grid").get_by_role("row").nth(row + 1)
    return line.get_by_role("gridcell").nth(column)


def texts(visit: Visit) -> list[str]:
    """The texts of the cells, row by row."""
    return visit.key("grid").get_by_role("gridcell").locator("span").all_inner_texts()


def write(visit: Visit, row: int, column: int, text: str) -> None:
    """Clicks a number, types another and presses Enter."""
    cell(visit, row, column).click()
    field = visit.key("grid").locator("input")
    field.fill(text)
    field.press("Enter")


def u_of(trace: Trace, gate: str) -> np.ndarray:
    names = GATE_NAMES[trace.cell]
    return np.split(trace.parameters["weight_hh_l0"], len(names))[names.index(gate)]


def check_page(visit: Visit, settings: GradientsPage, gate: str) -> None:
    """Asserts that norms and grid are the library's numbers, and that U is drawn once."""
    visit.settle()
    traces = run_networks(settings.network())
    u = u_of(traces[settings.cell], gate)
    norms = FIGURE.format("gradient_norms")
    visit.until("the norms", f"() => document.querySelector('{norms}').data.length")
    read = "plot => plot._fullData.map(t => [t.name, Array.from(t.y ?? [], Number)])"
    assert visit.key("figure_weights").count() == 0
    drawn = dict(visit.page.locator(norms).evaluate(read))
    for name, trace in traces.items():
        wanted = gradient_norms(trace)["hidden_state"].values.ravel()
        assert np.array(drawn[name.upper()], float).tolist() == wanted.tolist(), name
    shown = [float(text.replace("−", "-")) for text in texts(visit)]
    assert shown == pytest.approx(u.ravel().tolist(), rel=0.05, abs=1e-12)
    here = (settings.cell, gate)
    marked = [edit.place[2:] for edit in settings.edit if edit.place[:2] == here]
    names = visit.key("grid").locator("[aria-label$='edited']").count()
    assert names == visit.key("grid").locator(".marked").count() == len(marked)


def check_width(visit: Visit) -> None:
    """Asserts that neither the page nor the grid scrolls sideways."""
    wide = visit.page.evaluate(
        """() => [document.documentElement, document.querySelector(".stMain"),
            document.querySelector(".st-key-grid [data-testid=stBidiComponentIsolated]").shadowRoot
                .querySelector(".frame")].map(e => e.scrollWidth - e.clientWidth)"""
    )
    assert max(wide) <= 0
    spilt = visit.key("grid").evaluate_all(
        """([grid]) => [...grid.querySelector("[data-testid=stBidiComponentIsolated]").shadowRoot
            .querySelectorAll("[role=gridcell]")].filter(cell =>
                cell.firstChild.offsetWidth > cell.clientWidth).map(cell => cell.innerText)"""
    )
    assert spilt == []


def test_a_weight_is_typed_and_everything_follows(visit: Visit):
    first = SCENES["non_normal"]
    visit.open("/gradients", **first.to_query())
    check_page(visit, first, "hidden")
    write(visit, 0, 1, "2.5")
    visit.settle()
    assert visit.query["edit"] == "rnn.hidden.0.1:2.5"
    changed, _ = GradientsPage.from_query(visit.query)
    check_page(visit, changed, "hidden")
    expect(cell(visit, 0, 1)).to_be_focused()
    own = labels("en")["scenes.own"]  # the edited scene is now the user's own
    assert visit.page.locator(".rnnviz-scene").inner_text() == own
    for key in ("ArrowDown", "ArrowLeft", "-", ".", "5", "Tab"):
        visit.page.keyboard.press(key)
    expect(cell(visit, 1, 1)).to_be_focused()
    visit.settle()
    assert visit.query["edit"] == "rnn.hidden.0.1:2.5,rnn.hidden.1.0:-0.5"
    changed, _ = GradientsPage.from_query(visit.query)
    check_page(visit, changed, "hidden")
    slider = visit.key("gain").get_by_role("slider")
    slider.press("End")
    check_page(visit, changed.model_copy(update={"gain": 3.0}), "hidden")
    visit.key("reset_edits").get_by_role("button").first.click()
    check_page(visit, changed.model_copy(update={"gain": 3.0, "edit": ()}), "hidden")
    assert "edit" not in visit.query
    visit.page.get_by_role("link", name=labels("en")["scene.non_normal"], exact=True).click()
    check_page(visit, first, "hidden")


def test_weights_follow_a_slider_as_soon_as_the_hand_rests(visit: Visit):
    visit.open("/gradients", hidden=8, length=30)
    check_page(visit, GradientsPage(hidden=8, length=30), "forget_gate")
    before = texts(visit)
    visit.key("gain").get_by_role("slider").press("End")
    expect(cell(visit, 0, 0)).not_to_have_text(before[0])
    visit.settle()
    check_page(visit, GradientsPage(gain=3.0, hidden=8, length=30), "forget_gate")


def test_a_weight_is_dragged_and_nudged(visit: Visit):
    visit.open("/gradients", hidden=8, length=30)
    settings = GradientsPage(hidden=8, length=30)
    start = u_of(run_networks(settings)["lstm"], "forget_gate")
    check_page(visit, settings, "forget_gate")  # the selected gate
    check_width(visit)
    box = cell(visit, 2, 3).bounding_box()
    assert box
    mouse = visit.page.mouse
    mouse.move(box["x"] + 20, box["y"] + 10)
    mouse.down()
    plot = f"document.querySelector('{FIGURE.format('gradient_norms')}')"
    read = f"{plot}._fullData.find(line => line.name === 'LSTM').y[0]"
    for pixel in range(0, 115, 5):
        drawn = visit.page.evaluate(read)
        mouse.move(box["x"] + 20 + pixel, box["y"] + 10)
        if pixel in (40, 75, 110):
            visit.until("the figure is updated during the drag", f"() => {read} !== {drawn!r}")
    wanted = round(start[2, 3] + 1.1, 2)
    assert cell(visit, 2, 3).inner_text() == f"{wanted:.4f}"
    mouse.up()
    settings = settings.model_copy(update={"edit": (Edit("lstm", "forget_gate", 2, 3, wanted),)})
    check_page(visit, settings, "forget_gate")
    assert visit.query["edit"] == f"lstm.forget_gate.2.3:{wanted}"
    visit.key("grid").locator("input").wait_for(state="detached")  # a drag is not a click

    # the keyboard: to a corner and back, then a nudge up, one down and finely
    keys = visit.page.keyboard
    for key, place in {
        "Control+End": (7, 7),
        "Home": (7, 0),
        "ArrowUp": (6, 0),
        "End": (6, 7),
        "Control+Home": (0, 0),
        "ArrowRight": (0, 1),
        "ArrowDown": (1, 1),
    }.items():
        keys.press(key)
        expect(cell(visit, *place)).to_be_focused()
    assert visit.key("grid").locator("[tabindex='0']").count() == 1
    for key in ("PageUp", "Alt+ArrowUp", "Shift+PageDown"):
        keys.press(key)
    nudged = round(round(round(start[1, 1] + 0.1, 3) + 0.1, 3) - 0.01, 4)
    settings = settings.model_copy(
        update={"edit": (*settings.edit, Edit("lstm", "forget_gate", 1, 1, nudged))}
    )
    check_page(visit, settings, "forget_gate")
    expect(cell(visit, 1, 1)).to_be_focused()
    keys.press("Delete")
    check_page(visit, settings.model_copy(update={"edit": settings.edit[:1]}), "forget_gate")

    visit.key("gate").get_by_text("output gate").click()
    settings = settings.model_copy(update={"edit": settings.edit[:1]})
    check_page(visit, settings, "output_gate")
    visit.page.set_viewport_size({"width": 768, "height": 1200})
    visit.settle()
    check_width(visit)


def test_what_is_no_weight_is_refused_in_words(visit: Visit):
    visit.open("/gradients", hidden=2, init="identity", cell="rnn")
    alert = visit.key("grid").get_by_role("alert")
    for came in ("abc", "1e999", "nan", "∞", "0x10", "1,5"):
        write(visit, 0, 0, came)
        assert alert.inner_text() == (
            f"Row 0, column 0: “{came}” is not a finite number. Enter one, such as −0.5. The "
            "weight stays 1."
        )
        assert visit.key("grid").locator("input").get_attribute("aria-invalid") == "true"
        visit.page.keyboard.press("Escape")
        assert cell(visit, 0, 0).inner_text() == "1.0000"
        assert alert.inner_text() == ""
    write(visit, 0, 0, "")
    assert alert.inner_text() == (
        "Row 0, column 0 is empty. Enter a finite number, such as −0.5. The weight stays 1."
    )
    visit.key("language").get_by_text("한국어").click()
    visit.settle()
    write(visit, 1, 0, "<b>")
    assert alert.inner_text() == (
        "1행 0열: “<b>”, 유한한 수가 아닙니다. −0.5와 같은 유한한 수를 입력하세요. 가중치는 0 "
        "그대로입니다."
    )
    assert "edit" not in visit.query
    check_page(visit, GradientsPage(hidden=2, init="identity", cell="rnn"), "hidden")
    write(visit, 1, 0, " −０．２５ ")
    visit.settle()
    assert alert.inner_text() == ""
    assert visit.query["edit"] == "rnn.hidden.1.0:-0.25"
    # too large for a figure to show, but no failure
    write(visit, 1, 0, "1e308")
    visit.settle()
    assert visit.query["edit"] == "rnn.hidden.1.0:1e+308"


# Alone


class Wire:
    """Records the grid's messages."""

    def __init__(self, visit: Visit) -> None:
        self.sent: list[BackMsg] = []
        on_stream(visit.page, framesent=self._kept)

    def _kept(self, frame: str | bytes) -> None:
        assert isinstance(frame, bytes)
        message = BackMsg.FromString(frame)
        if any(state.json_trigger_value for state in message.rerun_script.widget_states.widgets):
            self.sent.append(message)


def numbers(visit: Visit) -> dict[tuple[str, int, int], float]:
    """The edited numbers in Python."""
    return eval(visit.count.rpartition(" run ")[0])


def assert_sent(wire: Wire, count: int) -> None:
    assert len(wire.sent) >= count


def runs(visit: Visit) -> int:
    return int(visit.count.rpartition(" ")[2])


def test_it_shows_four_digits_and_keeps_what_is_sent(reader: BrowserContext, alone: str):
    with visiting(reader, alone) as visit:
        visit.open()
        assert texts(visit) == [
            "0.5000", "−0.2500", "0", "1.235e5", "−1e300", "12.5", "−0.0034", "3e−5", "0.0342",
        ]  # fmt: skip
        grid = visit.key("grid")
        assert grid.get_by_role("columnheader").all_inner_texts() == ["0", "1", "2"]
        assert grid.get_by_role("grid").get_attribute("aria-label") == "N"
        # opened and left unchanged, a number keeps its hidden digits
        cell(visit, 2, 2).click()
        assert grid.locator("input").input_value() == "0.034215"
        visit.page.keyboard.press("Enter")
        cell(visit, 2, 1).press("F2")
        visit.page.keyboard.press("Escape")
        # during an IME composition, as in Korean, Enter belongs to the composition
        cell(visit, 0, 0).press("7")
        grid.locator("input").dispatch_event("keydown", {"key": "Enter", "isComposing": True})
        assert grid.locator("input").is_visible()
        # leaving the cell commits the typed text
        cell(visit, 1, 2).click()
        visit.settle()
        assert numbers(visit) == {("one", 0, 0): 7.0}
        assert grid.locator("input").input_value() == "12.5"
        visit.page.keyboard.press("Escape")
        # Escape undoes a drag
        box = cell(visit, 0, 1).bounding_box()
        assert box
        visit.page.mouse.move(box["x"] + 20, box["y"] + 10)
        visit.page.mouse.down()
        visit.page.mouse.move(box["x"] + 60, box["y"] + 10)
        expect(cell(visit, 0, 1)).to_have_text("0.1500")
        visit.page.keyboard.press("Escape")
        visit.page.mouse.up()
        expect(cell(visit, 0, 1)).to_have_text("−0.2500")
        visit.settle()
        assert numbers(visit) == {("one", 0, 0): 7.0}


def test_one_is_under_way_and_the_last_arrives(reader: BrowserContext, alone: str):
    with visiting(reader, alone) as visit:
        wire = Wire(visit)
        visit.open(slow=0.3)
        box = cell(visit, 0, 0).bounding_box()
        assert box
        visit.page.mouse.move(box["x"] + 20, box["y"] + 10)
        visit.page.mouse.down()
        for pixel in range(104):
            visit.page.mouse.move(box["x"] + 20 + pixel, box["y"] + 10)
            if pixel in (25, 50, 75):  # each message waits until the one before is answered
                due = pixel // 25 + 1
                visit.eventually(lambda due=due: assert_sent(wire, due))
        visit.page.keyboard.down("Shift")
        visit.page.mouse.move(box["x"] + 20 + 108, box["y"] + 10)
        visit.page.keyboard.up("Shift")
        visit.page.mouse.up()
        visit.settle()
        assert numbers(visit) == {("one", 0, 0): 1.535}
        assert len(wire.sent) >= 4
        assert runs(visit) == 1 + len(wire.sent)  # no run was interrupted by the next
        write(visit, 0, 0, "4")
        write(visit, 0, 1, "5")
        # and the table is replaced while a number waits
        visit.key("of").get_by_text("two").click()
        visit.until("both arrive", "() => document.querySelector('.rnnviz-count').innerText"
                    ".includes('1): 5')")  # fmt: skip
        visit.settle()
        assert numbers(visit) == {("one", 0, 0): 4.0, ("one", 0, 1): 5.0}
        assert texts(visit)[0] == "1.0000"  # in the new table


FORGED = (
    {"row": 3}, {"row": -1}, {"row": True}, {"row": 1.0}, {"row": "1"}, {"row": None},
    {"column": 3}, {"column": []}, {"value": "1"}, {"value": True}, {"value": {}}, {"of": None},
    {"of": ["one"]}, {"number": "x", "value": float("nan")}, {"value": float("inf")},
    {"value": 10**400}, [], 3, None, "x",
)  # fmt: skip


def test_wrong_messages_are_ignored_and_lost_ones_sent_again(reader: BrowserContext, alone: str):
    with visiting(reader, alone) as visit:
        visit.page.add_init_script(
            """const send = WebSocket.prototype.send;
            WebSocket.prototype.send = function (data) {
                window.wire = this;
                if (window.drop) window.drop -= 1;
                else send.call(this, data);
            };"""
        )
        wire = Wire(visit)
        visit.open()
        write(visit, 0, 0, "0.75")
        visit.settle()
        kept = numbers(visit)
        assert kept == {("one", 0, 0): 0.75}
        forged = wire.sent[-1]
        (state,) = (s for s in forged.rerun_script.widget_states.widgets if s.json_trigger_value)
        run = runs(visit)
        right = {"of": "one", "row": 1, "column": 1, "value": 1.5, "number": 1}
        for wrong in FORGED:
            run += 1
            message: Any = right | wrong if isinstance(wrong, dict) else wrong
            state.json_trigger_value = json.dumps([{"event": "changed", "value": message}])
            visit.page.evaluate(
                "bytes => window.wire.send(new Uint8Array(bytes))", list(forged.SerializeToString())
            )
            visit.until(
                f"the script has run after {wrong}",
                f"() => document.querySelector('.rnnviz-count').innerText.endsWith('run {run}')",
            )
            assert numbers(visit) == kept, wrong
        visit.settle()
        visit.page.evaluate("() => { window.drop = 1; }")
        write(visit, 2, 0, "2")
        visit.until("it arrives", "() => document.querySelector('.rnnviz-count').innerText"
                    ".includes('2, 0): 2')")  # fmt: skip
        assert numbers(visit) == kept | {("one", 2, 0): 2.0}


def test_a_finger_drags_sideways_and_scrolls_up_and_down(browser: Browser, alone: str):
    options = {"viewport": {"width": 600, "height": 500}, "has_touch": True}
    with windows(browser, **options) as own, visiting(own, alone) as visit:
        visit.open()
        box = cell(visit, 0, 0).bounding_box()
        assert box
        touch = own.new_cdp_session(visit.page)

        def swipe(way_x: int, way_y: int) -> None:
            for step in range(11):
                point = {
                    "x": box["x"] + 30 + step * way_x,
                    "y": box["y"] + 10 + step * way_y,
                }
                kind = "touchMove" if step else "touchStart"
                touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
            touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
            visit.settle()

        swipe(8, 0)
        moved = numbers(visit)["one", 0, 0]
        assert moved == pytest.approx(1.26, abs=0.2)
        swipe(0, -15)
        assert numbers(visit)["one", 0, 0] == moved
        scrolled = visit.page.evaluate("() => document.querySelector('.stMain').scrollTop")
        assert scrolled > 50
