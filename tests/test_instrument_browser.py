"""The live instrument in a real browser: drawing, playing, and messages to the server."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import WebSocketRoute
from streamlit.proto.BackMsg_pb2 import BackMsg

from rnnviz import plot_gates, plot_gradient_norms, trace
from rnnviz.cells import GATES_AS_READ
from rnnviz.experiment import FIRST_TEXT
from rnnviz.explain.unit_order import order_units
from rnnviz.instrument.payload import rows_of
from rnnviz.locale import labels
from rnnviz.plots.view import View
from rnnviz.ui.cache import character_model
from tests.browser import Visit, on_stream

pytestmark = pytest.mark.browser

STEPS = len(FIRST_TEXT)
LONG = ("x = [1, 'ab'](c)\n" * 118)[:2000]


class Wire:
    """Records what the page sends to the server."""

    def __init__(self, visit: Visit) -> None:
        self.sent: list[bytes] = []
        on_stream(visit.page, framesent=self._kept)

    def _kept(self, frame: str | bytes) -> None:
        assert isinstance(frame, bytes)
        self.sent.append(frame)

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The instrument's messages."""
        found = (position_in(BackMsg.FromString(frame)) for frame in self.sent)
        return [message for message in found if message is not None]


def position_in(message: BackMsg) -> Any:
    for state in message.rerun_script.widget_states.widgets:
        if "instrument_cell" in state.id and state.json_trigger_value:
            return json.loads(state.json_trigger_value)[-1]["value"]
    return None


def number(value: float, *, signed: bool) -> str:
    """The number as the drawing shows it, with two decimals."""
    text = f"{value:+.2f}" if signed else f"{value:.2f}"
    return "0.00" if text[-4:] == "0.00" and len(text) <= 5 else text.replace("-", "−")


def drawn(visit: Visit) -> list[tuple[str, int, str]]:
    """Array, steps back and text of every number in the drawing."""
    found = visit.page.locator(".drawing [data-value]").evaluate_all(
        "all => all.map(e => [e.dataset.value, Number(e.dataset.back ?? 0), e.textContent])"
    )
    return [(name, back, text) for name, back, text in found]


def below(t: int) -> str:
    return str(t).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


def playing(visit: Visit) -> bool:
    return visit.page.locator("[data-do=play]").get_attribute("data-now") == "playing"


def wait_for_count(visit: Visit, t: int) -> None:
    """Waits until the instrument is at a step, whether or not the server has it."""
    text = json.dumps(f"step {t} of")
    visit.until(
        f"step {t}",
        f"() => document.querySelector('.rnnviz-count').innerText.startsWith({text})",
    )


# What is drawn


@pytest.mark.parametrize("cell", sorted(GATES_AS_READ))
def test_the_numbers_in_the_drawing_are_the_traces_and_gates_fill_to_them(visit: Visit, cell: str):
    visit.open(cell=cell, unit=5, t=20)
    record = character_model(cell).read(FIRST_TEXT)
    for gate in GATES_AS_READ[cell]:
        name = "hidden_state" if gate == "hidden" else gate
        value = abs(float(record.array(name)[0, 0, 19, 0, 5]))
        fill = visit.page.locator(f".gate[data-gate={gate}] > rect[clip-path]")
        height = float(fill.get_attribute("height") or "nan")
        assert abs(height - 64 * value) <= 0.06, f"{gate}: {height=}, {value=}"
    rows = {row.name: row for row in rows_of(record)}
    for mean in (False, True):
        for t in (1, 2, 20, 33, STEPS):
            visit.cells.nth(t - 1).click()
            wait_for_count(visit, t)
            found = drawn(visit)
            assert {name for name, _, _ in found} == set(rows)
            for name, back, text in found:
                values = np.zeros(128)
                if t > back:
                    values = record.array(name)[0, 0, t - back - 1, 0].astype(np.float64)
                value = values.mean() if mean else values[5]
                wanted = number(float(value), signed=rows[name].signed)
                assert text.split()[-1] == wanted, f"{name} of step {t - back}: {text}, {value}"
                if text[0] in "cha" and "=" not in text:
                    assert text.split()[0][1:] == below(t - back)
            heading = visit.page.locator(".drawing .rnnviz-heading").inner_text()
            what = "mean of 128 units" if mean else "unit 5"
            assert heading == f"{cell.upper()} cell, {what}, step {t}"
            assert visit.page.locator(".drawing .read").text_content() == (
                visit.cells.nth(t - 1).inner_text()
            )
        visit.page.locator(".drawing").get_by_role("switch").click()


def test_nothing_of_the_drawing_leaves_its_card_or_overlaps(visit: Visit):
    visit.open(cell="gru", language="ko")
    for cell in ("gru", "rnn", "lstm"):
        if cell != "gru":
            visit.choose_cell(cell)
        boxes = visit.page.evaluate(
            """() => {
                const svg = document.querySelector(".drawing svg").getBoundingClientRect();
                return Array.from(document.querySelectorAll(".drawing text"), e => {
                    const box = e.getBoundingClientRect();
                    return [e.textContent, box.left - svg.left, box.top - svg.top,
                            svg.right - box.right, svg.bottom - box.bottom];
                }).filter(found => found[0]);
            }"""
        )
        assert [box for box in boxes if min(box[1:]) < -1] == []


# Playing


def done_in_frames(visit: Visit, count: int) -> dict[str, float]:
    """The numbers of layouts and style recalculations in ``count`` frames."""
    meter = visit.page.context.new_cdp_session(visit.page)
    meter.send("Performance.enable")

    def counts() -> dict[str, float]:
        found = meter.send("Performance.getMetrics")["metrics"]
        return {part["name"]: part["value"] for part in found}

    before = counts()
    visit.wait_frames(count)
    after = counts()
    meter.detach()
    return {name: after[name] - before[name] for name in ("LayoutCount", "RecalcStyleCount")}


def test_a_frame_takes_one_layout_and_the_server_hears_nothing(visit: Visit):
    wire = Wire(visit)
    visit.open(text=LONG, t=1, speed=10)
    visit.page.locator(".rnnviz-title").click()
    before = len(wire.sent)
    visit.page.keyboard.press("Space")
    visit.wait_until_played_to(3)
    # One each: a script that reads a position after changing the layout forces a second one. The
    # time per frame is measured by benchmarks.ui.
    assert max(done_in_frames(visit, 120).values()) < 1.5 * 120
    assert playing(visit)
    assert len(wire.sent) == before
    visit.page.keyboard.press("Space")
    visit.settle()
    assert [message["t"] for message in wire.messages] == [int(visit.query["t"])]
    assert visit.count == f"step {visit.query['t']} of 2000"


def test_it_plays_as_fast_as_it_says(timed: Visit):
    visit = timed.open(t=1, speed=8)
    with visit.own_time():
        visit.page.locator("[data-do=play]").click()
        visit.page.clock.run_for(2000 + 17)  # plus one frame
        assert visit.count == f"step {1 + 2 * 8} of {STEPS}"
        visit.page.clock.run_for(1000)
        assert visit.count == f"step {1 + 3 * 8} of {STEPS}"
    visit.page.locator(".speed select").select_option("1")  # takes effect while it plays
    assert playing(visit)
    visit.page.keyboard.press("Escape")
    visit.settle()
    assert not playing(visit)
    assert visit.query["speed"] == "1"


def test_only_the_servers_table_lags_behind_while_it_plays(visit: Visit):
    visit.open(t=1, speed=10, all_terms="true")
    visit.page.locator(".rnnviz-title").click()
    opacity = "part => getComputedStyle(part).opacity"
    visit.page.keyboard.press("Space")
    visit.wait_until_played_to(6)
    visit.until(
        "the table is dimmed",
        "() => getComputedStyle(document.querySelector("
        "'.st-key-card_terms [data-testid=stDataFrame]')).opacity === '0.45'",
    )
    for card in (".equations", ".terms", ".predictions"):
        assert visit.page.locator(card).evaluate(opacity) == "1"
    visit.page.keyboard.press("Escape")
    visit.settle()
    assert not visit.page.evaluate("document.documentElement.hasAttribute('data-rnnviz-behind')")
    visit.until(
        "the table is no longer dimmed",
        "() => getComputedStyle(document.querySelector("
        "'.st-key-card_terms [data-testid=stDataFrame]')).opacity === '1'",
    )


def test_play_at_the_end_starts_over_and_a_step_by_hand_stops(timed: Visit):
    visit = timed.open(t=STEPS, speed=2)
    with visit.own_time():
        visit.page.locator("[data-do=play]").click()
        assert playing(visit)
        assert visit.count == f"step 1 of {STEPS}"
        visit.page.locator("[data-do=on]").click()
        assert not playing(visit)
    visit.settle()
    assert visit.query == {"t": "2", "speed": "2"}


def test_without_motion_a_step_is_there_at_once(timed: Visit):
    look = """() => [document.querySelector(".gate rect[clip-path]").getAttribute("height"),
        document.querySelector(".rows .column").style.transform]"""
    visit = timed.open(t=1, unit=5, speed=10)
    with visit.own_time():
        for motion, at_once in (("no-preference", False), ("reduce", True)):
            visit.page.emulate_media(reduced_motion=motion)  # pyright: ignore[reportArgumentType]  # one of two
            visit.page.keyboard.press("Home")
            visit.page.clock.run_for(300)  # until the transition has ended
            before = visit.page.evaluate(look)
            visit.page.keyboard.press("End")
            now = visit.page.evaluate(look)
            visit.page.clock.run_for(500)
            after = visit.page.evaluate(look)
            assert before[0] != after[0]
            assert before[1] != after[1]
            assert (now == after) == at_once
            assert (now == before) != at_once
        visit.page.keyboard.press("Space")  # at the end, so it plays from the start
        visit.page.clock.run_for(300 + 17)  # plus one frame
        assert visit.count == f"step 4 of {STEPS}"  # playing does not depend on the preference
        visit.page.keyboard.press("Space")
    visit.settle()


def test_a_page_left_while_it_plays(visit: Visit):
    visit.open(t=1, speed=10)
    visit.page.locator(".rnnviz-title").click()
    visit.page.keyboard.press("Space")
    visit.wait_until_played_to(5)
    visit.page.get_by_role("link", name="Gradients").click()
    visit.page.locator(".rnnviz-verdict").first.wait_for()
    visit.settle()
    assert not visit.page.evaluate("document.documentElement.hasAttribute('data-rnnviz-behind')")
    visit.page.keyboard.press("Space")  # the instrument no longer handles it
    visit.wait_frames(20)
    visit.page.get_by_role("link", name="Step through").click()
    visit.page.locator(".rnnviz-count").wait_for()
    visit.settle()
    assert not playing(visit)
    stayed = visit.count
    assert int(stayed.split()[1]) >= 5
    visit.wait_frames(20)
    visit.settle()
    assert visit.count == stayed
    t = stayed.split()[1]
    assert visit.query == {"t": t, "speed": "10"}
    assert f"step {t}\n" in visit.key("card_equations").inner_text()
    visit.page.locator(".rnnviz-title").click()
    visit.page.keyboard.press("ArrowRight")
    visit.wait_for_step(int(t) + 1)


# Keys


def test_keys(timed: Visit):
    visit = timed.open(t=10, speed=1)
    visit.page.locator(".rnnviz-title").click()
    press = visit.page.keyboard.press
    with visit.own_time():
        for key, t in (
            ("ArrowRight", 11),
            ("ArrowLeft", 10),
            ("End", STEPS),
            ("ArrowRight", STEPS),
            ("Home", 1),
            ("ArrowLeft", 1),
        ):
            press(key)
            assert visit.count == f"step {t} of {STEPS}", key
        press("Space")
        assert playing(visit)
        press("Escape")
        assert not playing(visit)
        press("Escape")  # not playing: no effect
        assert not playing(visit)
        for keys in ("Control+ArrowRight", "Alt+ArrowRight", "Shift+End"):
            press(keys)
            assert visit.count == f"step 1 of {STEPS}", keys
    visit.settle()


def test_keys_that_something_else_takes_are_left_to_it(visit: Visit):
    visit.open(t=10)
    press = visit.page.keyboard.press
    visit.key("text").locator("textarea").click()
    for key in ("Home", "ArrowRight", "End"):
        press(key)
    visit.key("card_terms").get_by_role("radio").or_(
        visit.key("card_terms").get_by_role("button")
    ).first.focus()
    press("Space")
    visit.page.locator(".speed select").focus()
    press("ArrowRight")
    assert not playing(visit)
    assert visit.count == f"step 10 of {STEPS}"
    visit.page.locator(".player input").focus()
    press("ArrowRight")
    assert visit.count == f"step 11 of {STEPS}"
    press("Space")
    assert playing(visit)
    visit.page.locator("[data-do=play]").focus()
    press("Space")  # presses the button
    assert not playing(visit)
    visit.settle()


def test_everything_can_be_reached_and_named_by_keyboard(visit: Visit):
    visit.open(cell="gru", t=10, order="index", unit=3)
    visit.page.locator("[data-do=first]").focus()
    seen: list[str] = []
    for _ in range(20):
        visit.page.keyboard.press("Tab")
        name, outline = visit.page.evaluate(
            """() => {
                const e = document.activeElement;
                const chosen = e.querySelector(".chosen");
                const ring = chosen ? getComputedStyle(chosen).stroke
                    : e.matches(".player input") ? "thumb" : getComputedStyle(e).outlineStyle;
                return [e.getAttribute("aria-label") ?? e.closest("label")?.innerText ?? "", ring];
            }"""
        )
        seen.append(name)
        if visit.page.evaluate("!!document.activeElement.closest('.rnnviz-instrument')"):
            assert outline != "none", name
    words = labels("en")
    for name in ("back", "play", "on", "last", "t"):
        assert words[f"player.{name}"] in seen
    assert words["instrument.speed"] in seen
    assert words["instrument.mean"] in seen
    gates = [name for name in seen if name.startswith("update gate ")]
    value = character_model("gru").read(FIRST_TEXT).array("update_gate")[0, 0, 9, 0, 3]
    assert gates == [f"update gate z = {value:.2f}. Show what drives it"]
    heatmap = visit.page.locator("[data-array=update_gate] .map")
    heatmap.focus()
    assert heatmap.get_attribute("aria-valuetext") == f"unit 3, step 10: {value:.2f}"
    visit.page.keyboard.press("ArrowDown")
    visit.page.keyboard.press("ArrowRight")
    visit.wait_for_step(11)
    value = character_model("gru").read(FIRST_TEXT).array("update_gate")[0, 0, 10, 0, 4]
    assert heatmap.get_attribute("aria-valuetext") == f"unit 4, step 11: {value:.2f}"
    visit.until(
        "unit 4",
        "() => document.querySelector('.st-key-card_equations').innerText.includes('unit 4,')",
    )
    visit.settle()
    assert visit.query["unit"] == "4"


# Gates are highlighted and selected

LIT = """() => Array.from(document.querySelectorAll(".rnnviz-lit"), e => [e.dataset.gate,
    ["drawing", "lines", "rows", "equations"].find(name => e.closest(`.${name}`))])"""


def test_a_gate_lights_up_wherever_it_is(visit: Visit):
    visit.open()
    places = {"drawing", "lines", "rows", "equations"}
    for selector in (
        ".gate[data-gate=input_gate]",
        ".rows [data-gate=output_gate] .map",
        ".equation[data-gate=cell_candidate] .numbers",
        ".lines .entry[data-gate=output_gate]",
        ".rows [data-gate=cell_state] b",
    ):
        gate = visit.page.locator(selector).first.evaluate(
            "e => e.closest('[data-gate]').dataset.gate"
        )
        visit.page.locator(selector).first.hover()
        lit = visit.page.evaluate(LIT)
        assert {name for name, _ in lit} == {gate}
        assert {place for _, place in lit} >= places - (
            {"drawing"} if gate == "cell_state" else set()
        )
    visit.page.locator(".rnnviz-title").hover()
    assert visit.page.evaluate(LIT) == []
    visit.page.locator(".gate[data-gate=forget_gate]").focus()
    assert {name for name, _ in visit.page.evaluate(LIT)} == {"forget_gate"}


def test_a_gate_of_the_drawing_is_taken_apart(visit: Visit):
    visit.open()
    gate = visit.page.locator(".gate[data-gate=output_gate]")
    for way in ("click", "Enter"):
        if way == "click":
            gate.click()
        else:
            gate.focus()
            visit.page.keyboard.press(way)
        assert gate.get_attribute("aria-pressed") == "true"
        visit.until(
            "the output gate's terms",
            "() => document.querySelector('.st-key-card_terms').innerText"
            ".includes('Output gate: ')",
        )
        visit.settle()
        assert visit.query == {"gate": "output_gate"}
        visit.key("gate").get_by_text("input gate").click()  # and in the other direction
        visit.until(
            "the input gate is chosen",
            "() => document.querySelector('.gate[aria-pressed=true]').dataset.gate"
            " === 'input_gate'",
        )
        visit.settle()


# The cursor in Plotly's figures

PLOT = """([name, figure]) => {
    const { data, layout } = JSON.parse(figure);
    const place = document.createElement("div");
    const plot = document.createElement("div");
    place.id = name;
    place.append(plot);
    document.querySelector(".stMainBlockContainer").append(place);
    return window.Plotly.newPlot(plot, data, {...layout, width: 800}).then(() => undefined);
}"""
OVER = """name => {
    const plot = document.querySelector(`#${name} .js-plotly-plot`);
    const { xaxis } = plot._fullLayout;
    const box = plot.getBoundingClientRect();
    const edges = Array.from(plot.parentElement.querySelectorAll(".rnnviz-cursor > div"),
        e => e.getBoundingClientRect()).map(e => [e.left - box.left, e.width]);
    const at = v => xaxis._offset + xaxis.l2p(v);
    return [edges, [at(0), at(1)]];
}"""


def test_the_cursor_stands_in_every_plotly_figure_over_time(visit: Visit):
    torch.manual_seed(0)
    record = character_model("lstm").read(FIRST_TEXT)
    view = View(characters=list(FIRST_TEXT))
    network = trace(torch.nn.GRU(1, 4), torch.randn(STEPS, 1), loss="last")
    visit.open(order="index", unit=100, t=5)
    visit.until("Plotly is there", "() => window.Plotly?.newPlot")
    for name, figure in (
        ("maps", plot_gates(record, view=view)),
        ("lines", plot_gradient_norms({"GRU": network})),
    ):
        visit.page.evaluate(PLOT, [name, figure.to_json()])
    for t in (5, 40):
        visit.cells.nth(t - 1).click()
        visit.wait_for_step(t)
        edges, (zero, one) = visit.page.evaluate(OVER, "maps")
        left = zero + (t - 1.5) * (one - zero)
        assert abs(edges[0][0] - left) < 1
        assert abs(edges[0][1] - (one - zero)) < 1
        assert len(edges) == 1 + 2 * len(GATES_AS_READ["lstm"])  # a line and an arrow per heatmap
        edges, (zero, one) = visit.page.evaluate(OVER, "lines")
        assert len(edges) == 1
        assert abs(edges[0][0] - (zero + t * (one - zero))) < 1
        assert edges[0][1] <= 1
    zoom = """range => window.Plotly.relayout(
        document.querySelector("#maps .js-plotly-plot"), {"xaxis.range": range})
        .then(() => undefined)"""
    visit.page.evaluate(zoom, [34.5, 44.5])
    visit.wait_frames(2)  # the cursor moves in the next frame
    edges, (zero, one) = visit.page.evaluate(OVER, "maps")
    assert abs(edges[0][0] - (zero + 38.5 * (one - zero))) < 1
    assert edges[0][1] > 40
    visit.page.evaluate(zoom, [0.5, 9.5])  # step 40 is out of sight
    visit.wait_frames(2)
    edges, *_ = visit.page.evaluate(OVER, "maps")
    assert len(edges) == 2 * len(GATES_AS_READ["lstm"])
    visit.page.locator("#maps").scroll_into_view_if_needed()
    box = visit.page.locator("#maps .nsewdrag").first.bounding_box()
    assert box
    x, y = box["x"] + box["width"] * 2.5 / 9, box["y"] + box["height"] / 2
    visit.page.mouse.move(x - 2, y)
    visit.page.mouse.move(x, y)
    visit.until(
        "Plotly has found the step under the pointer",
        "() => document.querySelector('#maps .js-plotly-plot')._hoverdata",
    )
    visit.page.mouse.click(x, y)
    visit.wait_for_step(4)  # the third visible step: the first is step 2


# Messages from and to the server


def test_many_steps_are_one_message(visit: Visit):
    wire = Wire(visit)
    visit.open(t=1)
    # inside the page, because single presses from here may be slower than the debounce
    visit.page.evaluate(
        """() => { for (let k = 0; k < 25; k++) document.body.dispatchEvent(
            new KeyboardEvent("keydown", {key: "ArrowRight", bubbles: true})); }"""
    )
    assert visit.count == f"step 26 of {STEPS}"
    visit.settle()
    assert visit.query == {"t": "26"}
    assert [message["t"] for message in wire.messages] == [26]
    visit.page.locator(".player input").evaluate(
        """bar => { for (let t = 27; t <= 50; t++) { bar.value = t;
            bar.dispatchEvent(new Event("input", {bubbles: true})); } }"""
    )
    visit.wait_for_step(50)
    assert [message["t"] for message in wire.messages] == [26, 50]
    bar = visit.page.locator(".player input").bounding_box()
    assert bar
    mouse, y = visit.page.mouse, bar["y"] + bar["height"] / 2
    mouse.move(bar["x"] + 0.4 * bar["width"], y)
    mouse.down()
    mouse.move(bar["x"] + bar["width"] - 1, y, steps=20)
    mouse.up()
    visit.wait_for_step(STEPS)
    assert wire.messages[-1]["t"] == STEPS


WRONG: list[Any] = [
    None,
    "t",
    {"t": 0, "unit": 128, "gate": "hidden", "speed": 11, "number": 1},
    {"t": "7", "unit": [3], "gate": {"a": 1}, "speed": None, "number": "1"},
    [[{"t": 3}]],
]


def test_a_wrong_message_changes_nothing(visit: Visit):
    changed: list[Any] = []
    wrong: list[Any] = []  # the value to put into the next message

    def between(route: WebSocketRoute) -> None:
        server = route.connect_to_server()

        def sent(frame: str | bytes) -> None:
            message = BackMsg.FromString(frame if isinstance(frame, bytes) else frame.encode())
            for state in message.rerun_script.widget_states.widgets:
                if "instrument_cell" in state.id and state.json_trigger_value and wrong:
                    events = json.loads(state.json_trigger_value)
                    events[-1]["value"] = wrong.pop()
                    state.json_trigger_value = json.dumps(events)
                    changed.append(events[-1]["value"])
                    frame = message.SerializeToString()
            server.send(frame)

        route.on_message(sent)

    visit.page.route_web_socket("**/_stcore/stream", between)
    visit.open(t=10, unit=5)
    visit.page.locator(".rnnviz-title").click()
    for value in WRONG:
        t = int(visit.query["t"])
        wrong[:], changed[:] = [value], []
        visit.page.keyboard.press("ArrowRight")
        while not changed:
            visit.page.wait_for_timeout(50)
        cards = visit.key("card_equations")
        shown = [f"LSTM equations, unit 5, step {step}\n" for step in (t, t + 1)]
        assert cards.inner_text().startswith(tuple(shown)), value
        visit.settle()  # a message that was not answered is sent again
        assert cards.inner_text().startswith(shown[1]), value
        assert visit.query == {"t": str(t + 1), "unit": "5"}, value
        assert visit.count.startswith(f"step {t + 1} ")


def test_the_servers_own_changes_arrive(visit: Visit):
    visit.open(order="index", unit=3, t=10)
    visit.key("order").locator("input").first.click()
    visit.page.get_by_role("option", name="variance over the text").click()
    record = character_model("lstm").read(FIRST_TEXT)
    unit = int(order_units(record, "variance", FIRST_TEXT).units[0])
    visit.until(
        f"unit {unit}",
        "() => document.querySelector('.drawing .rnnviz-heading').innerText"
        f".includes('unit {unit},')",
    )
    visit.settle()
    assert visit.query == {"order": "variance", "t": "10"}
