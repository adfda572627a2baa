"""The chart and the slider in a real browser, on the page tests/live_page.py."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState

from rnnviz.ui.components.slider import place, tick
from tests.browser import Visit, on_stream, served, visiting, windows
from tests.live_page import FAILED, NOTCHES, grid, lines, waves

pytestmark = pytest.mark.browser

PAGE = "tests/live_app.py"
LINES = ".st-key-figure_lines .js-plotly-plot"
MAP = ".st-key-figure_map .js-plotly-plot"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served(PAGE) as address:
        yield address


@pytest.fixture(scope="module")
def reader(browser: Browser, address: str) -> Iterator[BrowserContext]:
    with windows(browser, address, viewport={"width": 1200, "height": 900}) as context:
        yield context


@pytest.fixture
def visit(reader: BrowserContext, address: str) -> Iterator[Visit]:
    with visiting(reader, address) as visit:
        yield opened(visit)


def opened(visit: Visit, **query: str) -> Visit:
    visit.open(**query)
    for figure, part in ((LINES, ".scatterlayer .js-line"), (MAP, ".heatmaplayer image")):
        visit.until(f"{figure} is drawn", f"() => document.querySelector('{figure} {part}')")
    return visit.settle()


def gain(visit: Visit) -> float:
    """The gain in Python."""
    return float(visit.count.split()[0])


def wait_for(visit: Visit, value: float) -> None:
    """Waits until Python has this gain and the lines are drawn for it."""
    visit.until(
        f"gain {value}",
        f"() => document.querySelector('.rnnviz-count').innerText.startsWith('{value!r} ')",
    )
    last = waves(value)["sine"][-1]
    visit.until(
        f"drawn for {value}",
        f"() => Math.abs(document.querySelector('{LINES}')._fullData[0].y.at(-1) - {last}) < 1e-12",
    )
    visit.settle()


def drawn(visit: Visit) -> dict[str, list[float]]:
    """The values that the lines are drawn from, by name."""
    return visit.page.evaluate(
        """figure => Object.fromEntries(document.querySelector(figure)._fullData
            .map(trace => [trace.name, Array.from(trace.y)]))""",
        LINES,
    )


def shown(visit: Visit) -> dict[str, Any]:
    """The ranges of the axes, and which lines are hidden."""
    return visit.page.evaluate(
        """figure => { const { xaxis, yaxis } = document.querySelector(figure)._fullLayout;
            return { x: Array.from(xaxis.range), y: Array.from(yaxis.range), hidden:
                document.querySelector(figure)._fullData.filter(t => t.visible !== true)
                    .map(t => t.name)}; }""",
        LINES,
    )


def type_gain(visit: Visit, *keys: str) -> None:
    for key in keys:
        visit.key("gain").locator("input").press(key)


def thumb(visit: Visit, share: float) -> tuple[float, float]:
    """The screen position of the thumb at this share of the track."""
    box = visit.key("gain").locator("input").bounding_box()
    assert box
    return box["x"] + 6 + share * (box["width"] - 12), box["y"] + box["height"] / 2


class Wire:
    """The WebSocket messages about the gain, in order."""

    def __init__(self, visit: Visit) -> None:
        self.frames: list[tuple[str, bytes]] = []
        on_stream(
            visit.page,
            framesent=lambda frame: self._kept("sent", frame),
            framereceived=lambda frame: self._kept("received", frame),
        )

    def _kept(self, way: str, frame: str | bytes) -> None:
        assert isinstance(frame, bytes)
        self.frames.append((way, frame))

    @property
    def sent(self) -> list[BackMsg]:
        messages = [BackMsg.FromString(frame) for way, frame in self.frames if way == "sent"]
        return [message for message in messages if trigger(message) is not None]

    def check(self) -> None:
        """Asserts that at most one message was in flight, and that all were answered."""
        sent = answered = 0
        for way, frame in self.frames:
            if way == "sent":
                found = trigger(BackMsg.FromString(frame))
                if found is not None:
                    assert answered == sent
                    sent = value(found)["number"]
                    assert sent == answered + 1
            else:
                element = ForwardMsg.FromString(frame).delta.new_element.bidi_component
                if "gain_slider" in element.id:
                    answered = json.loads(element.bytes.partition(b"\n")[0])["answered"]
        assert answered == sent


def assert_sent(wire: Wire, count: int) -> None:
    assert len(wire.sent) >= count


def trigger(message: BackMsg) -> WidgetState | None:
    """The gain slider's part of this message."""
    for state in message.rerun_script.widget_states.widgets:
        if "gain_slider" in state.id and state.json_trigger_value:
            return state
    return None


def value(state: WidgetState) -> dict[str, int]:
    return json.loads(state.json_trigger_value)[-1]["value"]


# The chart


def test_the_drawn_values_are_the_figures_arrays(visit: Visit):
    values = drawn(visit)
    wanted = waves(1.0)
    assert list(values) == list(wanted)
    for name, line in wanted.items():
        assert values[name] == line.tolist()
    z, kind = visit.page.evaluate(
        """figure => { const { z } = document.querySelector(figure)._fullData[0];
            return [Array.from(z, row => Array.from(row)), z[0].constructor.name]; }""",
        MAP,
    )
    assert z == grid(1.0).tolist()
    assert kind == "Float32Array"
    assert "bdata" in str(lines(1.0).to_json(validate=False))


def test_it_stands_for_its_alternative_text_without_plotlys_buttons(visit: Visit):
    plot = visit.page.locator(LINES)
    assert plot.get_attribute("role") == "img"
    assert plot.get_attribute("aria-label") == "Waves."
    assert plot.locator(".modebar-btn").count() == 0


def test_one_copy_of_plotly_is_streamlits_own(reader: BrowserContext, address: str):
    with visiting(reader, address) as visit:
        loaded: list[str] = []
        visit.page.on("request", lambda request: loaded.append(request.url))
        opened(visit)
        assert len([url for url in loaded if "PlotlyChart" in url]) == 1


def test_zoom_and_hidden_lines_stay_over_updates(visit: Visit):
    box = visit.page.locator(f"{LINES} .nsewdrag").bounding_box()
    assert box
    mouse = visit.page.mouse
    mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.3 * box["height"])
    mouse.down()
    mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.7 * box["height"], steps=5)
    mouse.up()
    visit.page.locator(f"{LINES} .legendtoggle").nth(1).click()
    visit.until(
        "a line is hidden",
        f"() => document.querySelector('{LINES}')._fullData[1].visible === 'legendonly'",
    )
    before = shown(visit)
    assert before["hidden"] == ["between"]
    assert before["x"] == pytest.approx([30.7, 60.4], abs=1.5)
    type_gain(visit, "PageUp")
    wait_for(visit, 1.3)
    assert shown(visit) == before
    type_gain(visit, "End")  # removes this line
    wait_for(visit, 3.0)
    assert shown(visit) == before | {"hidden": []}
    visit.key("one").get_by_role("button").click()  # and adds it again
    wait_for(visit, 1.0)
    assert shown(visit) == before
    type_gain(visit, "PageUp")
    wait_for(visit, 1.3)
    mouse.dblclick(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    visit.until(
        "zoomed out",
        f"() => document.querySelector('{LINES}')._fullLayout.xaxis.range[0] < 2",
    )
    assert shown(visit) == {"x": [1, 100], "y": [-1.56, 1.56], "hidden": ["between"]}
    type_gain(visit, "PageUp")
    wait_for(visit, 1.6)
    assert shown(visit)["y"] == pytest.approx([-1.92, 1.92])


def test_the_same_drawing_stays_and_no_frame_is_blank(visit: Visit):
    visit.page.evaluate(
        """figures => {
            const nodes = () => figures.flatMap(f =>
                [document.querySelector(f), ...document.querySelectorAll(`${f} .main-svg`)]);
            const first = nodes();
            window.seen = { frames: 0, blank: 0, others: 0 };
            const look = () => {
                seen.frames += 1;
                const now = nodes();
                if (now.length !== first.length || now.some((n, i) => n !== first[i]))
                    seen.others += 1;
                const drawn = [...document.querySelectorAll(
                    `${figures[0]} .scatterlayer .js-line, ${figures[1]} .heatmaplayer image`)];
                if (drawn.length < 3 || drawn.some(part => part.outerHTML.length < 300)
                    || document.querySelector(figures[0]).clientHeight !== 300) seen.blank += 1;
                requestAnimationFrame(look);
            };
            look();
        }""",
        [LINES, MAP],
    )
    type_gain(visit, *["PageUp", "ArrowLeft", "PageDown", "ArrowRight"] * 5, "End")
    wait_for(visit, 3.0)
    seen = visit.page.evaluate("seen")
    assert seen["frames"] > 30
    assert (seen["blank"], seen["others"]) == (0, 0)


def test_a_click_calls_back_with_the_point(visit: Visit):
    x, y = visit.page.evaluate(
        """figure => { const gd = document.querySelector(figure);
            const { xaxis, yaxis } = gd._fullLayout, box = gd.getBoundingClientRect();
            return [box.x + xaxis._offset + xaxis.l2p(13),
                    box.y + yaxis._offset + yaxis.l2p(gd._fullData[0].y[12])]; }""",
        LINES,
    )
    visit.page.mouse.move(x, y)
    visit.page.mouse.click(x, y)
    visit.until(
        "the click arrives",
        "() => document.querySelector('.rnnviz-count').innerText.includes('curve')",
    )
    output = visit.count
    assert f"'curve': 0, 'x': 13, 'y': {waves(1.0)['sine'].tolist()[12]!r}" in output, output


def test_it_is_as_wide_as_its_place(visit: Visit):
    for width in (1200, 700, 1000):
        visit.page.set_viewport_size({"width": width, "height": 900})
        visit.until(
            f"drawn for {width}",
            f"""() => {{ const gd = document.querySelector('{LINES}');
                return gd._fullLayout.width === gd.parentElement.clientWidth
                    && gd.querySelector('.main-svg').clientWidth === gd._fullLayout.width; }}""",
        )
        whole, seen = visit.page.evaluate(
            """() => { const main = document.querySelector('.stMain');
                return [main.scrollWidth, main.clientWidth]; }"""
        )
        assert whole <= seen


def test_a_figure_that_cannot_be_drawn_shows_a_sentence(visit: Visit):
    visit.page.evaluate(
        """() => { window.react = window.Plotly.react;
            window.Plotly.react = () => { throw new Error("no"); };
            const plots = document.querySelectorAll(".js-plotly-plot");
            for (const plot of plots) delete plot.calcdata; }"""
    )
    type_gain(visit, "ArrowRight")
    failed = visit.key("figure_lines").get_by_role("status")
    failed.wait_for()
    assert failed.inner_text() == FAILED
    assert visit.key("figure_map").get_by_role("status").inner_text() == "A grid."
    visit.page.evaluate("() => { window.Plotly.react = window.react; }")
    type_gain(visit, "ArrowRight")
    wait_for(visit, 1.02)
    assert not failed.is_visible()
    assert drawn(visit)["sine"] == waves(1.02)["sine"].tolist()
    assert visit.wrong
    assert all("a figure could not be drawn" in message for message in visit.wrong)  # for debugging
    visit.wrong.clear()


def test_a_figure_that_goes_is_given_up(visit: Visit):
    visit.page.evaluate("figure => { window.gone = document.querySelector(figure); }", MAP)
    visit.key("with_heatmap").locator("label").click()
    visit.page.locator(MAP).wait_for(state="detached")
    visit.until("it is purged", "() => !window.gone._fullLayout && !window.gone._ev")
    visit.key("with_heatmap").locator("label").click()
    visit.page.locator(f"{MAP} .heatmaplayer image").wait_for()


def test_updates_leave_nothing_behind(visit: Visit):
    def count() -> int:
        return visit.page.evaluate("() => document.querySelectorAll('*').length")

    def listeners() -> list[int]:
        return visit.page.evaluate(
            """figure => { const { _ev } = document.querySelector(figure);
                return ['plotly_click', 'plotly_relayout'].map(e => _ev.listenerCount(e)); }""",
            LINES,
        )

    type_gain(visit, "ArrowRight", "ArrowLeft")
    visit.settle()
    before = count()
    type_gain(visit, *["ArrowRight", "ArrowLeft"] * 20)
    visit.settle()
    assert count() == before
    assert listeners() == [1, 1]


def test_without_streamlits_chunk_plotlys_own_copy_is_sent_once(browser: Browser):
    with served(PAGE) as fresh, windows(browser) as own, visiting(own, fresh) as visit:
        sizes: list[int] = []
        on_stream(visit.page, framereceived=lambda payload: sizes.append(len(payload)))
        opened(visit, chunk="")
        type_gain(visit, "End")
        wait_for(visit, 3.0)
        assert drawn(visit)["cosine"] == waves(3.0)["cosine"].tolist()
        assert len([size for size in sizes if size > 1_000_000]) == 1


def test_it_draws_without_webgl(reader: BrowserContext, address: str):
    with visiting(reader, address) as visit:
        visit.page.add_init_script(
            """const get = HTMLCanvasElement.prototype.getContext;
            HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
                return /webgl/.test(kind) ? null : get.call(this, kind, ...rest); };"""
        )
        opened(visit, trace="scattergl")
        type_gain(visit, "End")
        wait_for(visit, 3.0)
        kinds = visit.page.evaluate(
            "figure => document.querySelector(figure)._fullData.map(trace => trace.type)", LINES
        )
        assert kinds == ["scatter", "scatter"]


def test_light_and_dark(reader: BrowserContext, address: str):
    for scheme, ink in (("light", "#1c2330"), ("dark", "#e6e9ee")):
        with visiting(reader, address) as visit:
            visit.page.emulate_media(color_scheme=scheme)  # pyright: ignore[reportArgumentType]  # one of two
            opened(visit)
            found, text, label = visit.page.evaluate(
                """figure => [document.querySelector(figure)._fullLayout.font.color,
                    ...[".stApp", ".st-key-gain [data-testid=stBidiComponentIsolated]"].map(e =>
                        getComputedStyle(document.querySelector(e)).color)]""",
                LINES,
            )
            assert found == ink
            rgb = f"rgb({', '.join(str(int(ink[i : i + 2], 16)) for i in (1, 3, 5))})"
            assert (text, label) == (rgb, rgb)


# The slider


def test_its_notches_and_places():
    assert tick(0.0, 0.3, 0.1) == [0.0, 0.1, 0.2, 0.3]
    assert list(tick(2, 8, 3)) == [2, 5, 8]
    assert list(tick(2, 9, 3)) == [2, 5, 8, 9]
    assert tick(0.001, 0.0035, 0.001) == [0.001, 0.002, 0.003, 0.0035]
    assert len(tick(0.0, 3.0, 0.01)) == 301
    assert [place(value, NOTCHES) for value in (None, -2.5, 10, 5.5, 99, -99, float("nan"))] == [
        0, 1, 4, 3.5, 4, 1, 0,
    ]  # fmt: skip


@pytest.mark.parametrize("slow", [0, 0.4])
def test_dragging_sends_one_at_a_time_and_the_last_arrives(
    reader: BrowserContext, address: str, slow: float
):
    with visiting(reader, address) as visit:
        wire = Wire(visit)
        opened(visit, slow=str(slow))
        page = visit.page
        page.mouse.move(*thumb(visit, 1 / 3))
        page.mouse.down()
        for step in range(40):
            page.mouse.move(*thumb(visit, 1 / 3 + step / 100))
            if step in (1, 2, 3):  # each message waits until the one before is answered
                visit.eventually(lambda step=step: assert_sent(wire, step))
        before_release = len(wire.sent)
        page.mouse.move(*thumb(visit, 0.9))
        output = visit.key("gain").locator("output").inner_text()
        page.mouse.up()
        assert before_release >= 3
        assert 2.6 < float(output) < 2.8
        wait_for(visit, float(output))
        assert visit.key("gain").locator("output").inner_text() == output
        last = trigger(wire.sent[-1])
        assert last
        assert value(last)["at"] == round(100 * float(output))
        wire.check()


def test_keys(visit: Visit):
    slider = visit.page.get_by_role("slider", name="Gain", exact=True)
    slider.focus()
    for key, value in (
        ("ArrowRight", 1.01),
        ("ArrowUp", 1.02),
        ("ArrowLeft", 1.01),
        ("ArrowDown", 1.0),
        ("PageUp", 1.3),
        ("PageDown", 1.0),
        ("Home", 0.0),
        ("End", 3.0),
    ):
        slider.press(key)
        assert slider.get_attribute("aria-valuetext") == f"{value:.2f}"  # at once
        wait_for(visit, value)
    assert (
        visit.page.evaluate("() => document.activeElement.shadowRoot.activeElement.type") == "range"
    )


def test_notches_with_none(visit: Visit):
    slider = visit.page.get_by_role("slider", name="Clip", exact=True)
    texts = []
    for key in ("Home", *["ArrowRight"] * 4):
        slider.press(key)
        texts.append(slider.get_attribute("aria-valuetext"))
    assert texts == ["none", "−2.5", "0.001", "1", "10"]
    visit.until(
        "the last value arrives",
        "() => document.querySelector('.rnnviz-count').innerText.startsWith('1.0 10.0 ')",
    )


def test_the_help_describes_it(visit: Visit):
    tip = visit.key("gain").get_by_role("tooltip")
    help_text = "What the lines are multiplied by."
    slider = visit.key("gain").locator("input")
    described = slider.evaluate(
        "e => e.getRootNode().getElementById(e.getAttribute('aria-describedby')).textContent"
    )
    assert described == help_text
    assert not tip.is_visible()
    visit.key("gain").locator(".help").hover()
    assert tip.inner_text() == help_text
    visit.page.mouse.move(600, 600)
    tip.wait_for(state="hidden")
    assert not visit.key("clip").locator(".help").is_visible()


def test_it_follows_python_but_not_under_the_hand(visit: Visit):
    slider = visit.key("gain").locator("input")
    visit.key("between").get_by_role("button").click()
    wait_for(visit, 0.505)
    assert slider.evaluate("e => e.valueAsNumber") == pytest.approx(50.5)
    assert visit.key("gain").locator("output").inner_text() == f"{0.505:.2f}"
    slider.press("ArrowRight")
    wait_for(visit, 0.51)
    visit.page.mouse.move(*thumb(visit, 0.5))
    visit.page.mouse.down()
    wait_for(visit, 1.5)
    visit.page.evaluate("() => document.querySelector('.st-key-one button').click()")
    wait_for(visit, 1.0)
    assert slider.evaluate("e => e.valueAsNumber") == 150
    visit.page.mouse.up()
    visit.until(
        "it takes Python's value after the release",
        """() => document.querySelector('.st-key-gain [data-testid=stBidiComponentIsolated]')
            .shadowRoot.querySelector('input').valueAsNumber === 100""",
    )
    assert visit.key("gain").locator("output").inner_text() == "1.00"


FORGED = (
    '{"at": 301, "number": 2}',
    '{"at": -1, "number": 2}',
    '{"at": NaN, "number": 2}',
    '{"at": 1.5, "number": 2}',
    '{"at": true, "number": 2}',
    '{"at": "7", "number": NaN}',
    '{"at": null, "number": {}}',
    '{"at": [1]}',
    '{"at": 101.0}',
    "{}",
    "[]",
    "3",
    "null",
    '"NaN"',
)


def test_wrong_messages_are_ignored(reader: BrowserContext, address: str):
    with visiting(reader, address) as visit:
        visit.page.add_init_script(
            """const send = WebSocket.prototype.send;
            WebSocket.prototype.send = function (data) {
                window.wire = this;
                send.call(this, data);
            };"""
        )
        wire = Wire(visit)
        opened(visit)
        type_gain(visit, "ArrowRight")
        wait_for(visit, 1.01)
        forged = wire.sent[-1]
        state = trigger(forged)
        assert state
        runs = int(visit.count.split()[-1])
        for message in FORGED:
            runs += 1
            state.json_trigger_value = f'[{{"event": "moved", "value": {message}}}]'
            visit.page.evaluate(
                "bytes => window.wire.send(new Uint8Array(bytes))", list(forged.SerializeToString())
            )
            visit.until(
                f"the script has run after {message}",
                f"""() => document.querySelector('.rnnviz-count').innerText
                    .endsWith('run {runs}')""",
            )
            assert gain(visit) == 1.01, message
        visit.settle()
        type_gain(visit, "ArrowRight")
        wait_for(visit, 1.02)


def test_a_message_that_is_lost_is_sent_again(reader: BrowserContext, address: str):
    with visiting(reader, address) as visit:
        visit.page.add_init_script(
            """const send = WebSocket.prototype.send;
            WebSocket.prototype.send = function (data) {
                if (window.drop) window.drop -= 1;
                else send.call(this, data);
            };"""
        )
        wire = Wire(visit)
        opened(visit)
        visit.page.evaluate("() => { window.drop = 1; }")
        type_gain(visit, "ArrowRight", "PageUp")
        wait_for(visit, 1.31)
        assert len(wire.sent) == 1


# Live updates


def followed(visit: Visit) -> tuple[float, float]:
    """The gain of the drawn lines, and the gain in the text."""
    y = visit.page.evaluate(f"() => document.querySelector('{LINES}')._fullData[0].y.at(-1)")
    return y / waves(1.0)["sine"][-1], float(visit.key("said").inner_text())


def assert_followed(visit: Visit, before: float) -> None:
    assert round(followed(visit)[0], 6) != round(before, 6)


def test_a_figure_and_words_follow_the_hand_and_the_page_follows_when_it_leaves(visit: Visit):
    opened(visit, live="1")
    runs = visit.count.rpartition(" ")[2]
    visit.page.mouse.move(*thumb(visit, 1 / 3))
    visit.page.mouse.down()
    for step in range(20):
        drawn, _ = followed(visit)
        visit.page.mouse.move(*thumb(visit, 1 / 3 + step / 50))
        if step in (4, 8, 12, 16, 19):
            visit.eventually(lambda drawn=drawn: assert_followed(visit, drawn))
    output = float(visit.key("gain").locator("output").inner_text())
    visit.until(
        "the text shows the last value of the drag",
        f"() => document.querySelector('.st-key-said').innerText === '{output!r}'",
    )
    assert followed(visit)[0] == pytest.approx(output)
    assert visit.count == f"1.0 None None run {runs}"  # the page has not run
    visit.page.mouse.up()
    wait_for(visit, output)
    assert followed(visit) == pytest.approx((output, output))


def test_a_slider_led_back_shows_the_pages_own_figure(visit: Visit):
    opened(visit, live="1")
    visit.page.mouse.move(*thumb(visit, 1 / 3))
    visit.page.mouse.down()
    visit.page.mouse.move(*thumb(visit, 0.8))
    visit.until(
        "the words follow",
        "() => Math.abs(document.querySelector('.st-key-said').innerText - 2.4) < 0.1",
    )
    visit.page.mouse.move(*thumb(visit, 1 / 3))
    visit.page.mouse.up()
    wait_for(visit, 1.0)
    visit.until(
        "the words are the page's own",
        "() => document.querySelector('.st-key-said').innerText === '1.0'",
    )
    assert followed(visit) == pytest.approx((1.0, 1.0))


def test_every_key_is_followed_at_once_and_then_by_the_page(visit: Visit):
    opened(visit, live="1")
    slider = visit.key("gain").locator("input")
    slider.press("End")
    wait_for(visit, 3.0)
    assert followed(visit) == pytest.approx((3.0, 3.0))
    slider.press("Home")
    wait_for(visit, 0.0)
    assert followed(visit) == pytest.approx((0.0, 0.0))
