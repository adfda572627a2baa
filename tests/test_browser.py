"""What a person does with the app, in a real browser."""

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext

from rnnviz.cells import GATES_AS_READ
from rnnviz.equations import equations
from rnnviz.experiment import FIRST_TEXT
from rnnviz.inputs.vocabulary import picture
from rnnviz.locale import labels
from rnnviz.ordering import order_units
from rnnviz.ui.cache import character_model
from tests.browser import Visit, launched, served, visiting, windows

pytestmark = pytest.mark.browser

STEPS = len(FIRST_TEXT)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served() as address:
        yield address


@pytest.fixture(scope="module")
def reader(browser: Browser) -> Iterator[BrowserContext]:
    with windows(browser) as context:
        yield context


@pytest.fixture
def visit(reader: BrowserContext, address: str) -> Iterator[Visit]:
    with visiting(reader, address) as visit:
        yield visit


def numbers(text: str) -> list[str]:
    return re.findall(r"\d+\.\d\d", text)


def heatmaps(visit: Visit, figure: str) -> list[dict[str, Any]]:
    """What Plotly holds of a figure's heatmaps."""
    return visit.page.evaluate(
        """figure => document.querySelector(`.st-key-${figure} .js-plotly-plot`)._fullData
            .filter(trace => trace.type === "heatmap")
            .map(trace => ({meta: trace.meta, name: trace.name, y: Array.from(trace.y),
                            z: Array.from(trace.z, row => Array.from(row))}))""",
        figure,
    )


def wait_for_heatmaps(visit: Visit) -> None:
    for figure in ("figure_gates", "figure_states"):
        visit.until(
            f"{figure} is drawn",
            f"() => document.querySelector('.st-key-{figure} .js-plotly-plot .heatmaplayer image')",
        )


def equation_text(visit: Visit) -> str:
    """The equations as they are drawn, without the markup for screen readers."""
    drawn = visit.key("card_equations").locator(".katex-html").all_inner_texts()
    return re.sub(r"\s|\u200b", "", "".join(drawn)).replace("−", "-")


# First sight


def test_the_first_view_is_a_trained_lstm_on_a_line_of_code(visit: Visit):
    visit.open()
    wait_for_heatmaps(visit)
    assert visit.query == {}
    assert visit.count == f"step 36 of {STEPS}"
    assert visit.key("text").locator("textarea").input_value() == FIRST_TEXT
    assert visit.cells.all_inner_texts() == [picture(character) for character in FIRST_TEXT]
    trace = character_model("lstm").read(FIRST_TEXT)
    order = order_units(trace, "inside_string", FIRST_TEXT).units
    for figure, names in (
        ("figure_gates", GATES_AS_READ["lstm"]),
        ("figure_states", ("cell_state", "hidden_state")),
    ):
        drawn = heatmaps(visit, figure)
        assert [part["meta"] for part in drawn] == list(names)
        for part in drawn:
            wanted = trace[part["meta"]].values[0, 0, :, 0][:, order].T
            assert part["y"] == [str(unit) for unit in order]
            max_diff = np.abs(np.array(part["z"]) - wanted).max()
            assert max_diff < 1e-6, f"{part['meta']}: {max_diff=:.1e}"
    for name in ("figure_gates", "figure_states", "figure_terms", "figure_next_character"):
        assert visit.key(name).locator(".js-plotly-plot .main-svg").first.is_visible()
    assert visit.key("card_equations").locator(".katex").count() == 1
    assert visit.messages == []


@pytest.mark.parametrize("cell", sorted(GATES_AS_READ))
def test_the_equations_drawn_hold_the_librarys_numbers(visit: Visit, cell: str):
    visit.open(cell=cell, t=20, unit=5)
    lines = equations(character_model(cell).read(FIRST_TEXT), 5, 19)
    drawn = equation_text(visit)
    wanted = [number for line in lines.values() for number in numbers(line.numbers + line.value)]
    # KaTeX draws the parts of a line in their order: rules hold no number with a point
    shown = numbers(drawn)
    assert sorted(shown) == sorted(numbers("".join(f"{n} " for n in wanted)))
    for line in lines.values():
        value = line.value
        assert f"={value}" in drawn
    for name in lines:
        assert labels("en")[f"gate.{name}"].replace(" ", "") in drawn.replace("\xa0", "")


def test_a_fresh_server_asked_for_the_page_by_its_name(reader: BrowserContext):
    with served() as fresh, visiting(reader, fresh) as visit:
        visit.open("/step", cell="gru", t=5)
        assert visit.count == f"step 5 of {STEPS}"
        assert visit.query == {"cell": "gru", "t": "5"}
        visit.check()


# Stepping


def test_stepping_by_strip_keys_and_buttons(visit: Visit):
    visit.open()
    visit.cells.nth(9).click()
    visit.wait_for_step(10)
    assert visit.query == {"t": "10"}
    assert visit.page.locator(".strip .now").inner_text() == picture(FIRST_TEXT[9])
    visit.page.keyboard.press("ArrowRight")  # the strip has the focus
    visit.wait_for_step(11)
    visit.page.keyboard.press("End")
    visit.wait_for_step(STEPS)
    visit.page.keyboard.press("Home")
    visit.wait_for_step(1)
    visit.page.locator(".rnnviz-title").click()
    visit.page.keyboard.press("ArrowRight")  # nothing has it
    visit.wait_for_step(2)
    visit.page.keyboard.press("ArrowLeft")
    visit.wait_for_step(1)
    visit.page.keyboard.press("ArrowLeft")
    visit.wait_for_step(1)
    visit.key("player_last").get_by_role("button").first.click()
    visit.wait_for_step(STEPS)
    visit.key("player_back").get_by_role("button").first.click()
    visit.wait_for_step(STEPS - 1)
    assert visit.query == {"t": str(STEPS - 1)}


def test_space_plays_and_pauses(visit: Visit):
    visit.open(t=1, speed=10)
    visit.page.locator(".rnnviz-title").click()
    visit.page.keyboard.press("Space")
    visit.until(
        "it plays",
        "() => /^step ([5-9]|\\d\\d) /.test(document.querySelector('.rnnviz-count').innerText)",
    )
    visit.page.keyboard.press("Space")
    visit.until(
        "it pauses",
        "() => document.querySelector('.st-key-player_play').innerText.includes('play_arrow')",
    )
    visit.settle()
    paused = visit.count
    visit.page.wait_for_timeout(600)
    assert visit.count == paused
    assert f"step {visit.query['t']} of" in paused


def test_playing_ends_at_the_end(visit: Visit):
    visit.open(t=STEPS - 2, speed=10)
    visit.page.keyboard.press("Space")
    visit.wait_for_step(STEPS)
    assert visit.query["t"] == str(STEPS)
    assert "play_arrow" in visit.key("player_play").first.inner_text()


def place_of(
    visit: Visit, figure: str, column: int, row: int, heatmap: int = 0
) -> tuple[float, float]:
    """Where on the screen the middle of a heatmap's cell lies."""
    x, y = visit.page.evaluate(
        """([figure, column, row, heatmap]) => {
            const gd = document.querySelector(`.st-key-${figure} .js-plotly-plot`);
            const trace = gd._fullData.filter(t => t.type === "heatmap")[heatmap];
            const { xaxis } = gd._fullLayout;
            const yaxis = gd._fullLayout[trace.yaxis.replace("y", "yaxis")];
            const box = gd.getBoundingClientRect();
            return [box.left + xaxis._offset + xaxis.l2p(column),
                    box.top + yaxis._offset + yaxis.l2p(row)];
        }""",
        [figure, column, row, heatmap],
    )
    return x, y


def test_a_click_in_a_heatmap_picks_step_and_unit(visit: Visit):
    visit.open(order="index")
    wait_for_heatmaps(visit)
    visit.key("figure_gates").scroll_into_view_if_needed()
    x, y = place_of(visit, "figure_gates", 11, 40, 2)
    visit.page.evaluate(
        """() => document.querySelector(".st-key-figure_gates .js-plotly-plot")
            .on("plotly_click", event => { window.clicked = event.points[0]; })"""
    )
    visit.page.mouse.move(x - 2, y)
    visit.page.mouse.move(x, y)
    visit.page.wait_for_timeout(300)
    visit.page.mouse.click(x, y)
    visit.wait_for_step(12)
    unit = visit.page.evaluate("() => window.clicked.y")
    assert abs(int(unit) - 40) <= 1  # a row is a pixel high
    visit.until(
        f"unit {unit}",
        "() => document.querySelector('.st-key-card_equations').innerText"
        f".includes('unit {unit}, step 12')",
    )
    visit.settle()
    assert visit.query == {"order": "index", "t": "12", "unit": unit}
    assert visit.key("unit").locator("input").first.input_value() == unit


CURSOR = """figure => {
    const gd = document.querySelector(`.st-key-${figure} .js-plotly-plot`);
    const box = gd.getBoundingClientRect();
    const overlay = gd.parentElement.querySelector(".rnnviz-cursor");
    const edges = Array.from(overlay.children, child => child.getBoundingClientRect());
    const { xaxis } = gd._fullLayout;
    return {
        boxes: edges.map(e => [e.left - box.left, e.top - box.top, e.width, e.height]),
        range: [xaxis._offset, xaxis._offset + xaxis._length],
        columns: Array.from({length: gd._fullData[0].x.length},
            (_, c) => [xaxis._offset + xaxis.l2p(c - 0.5), xaxis._offset + xaxis.l2p(c + 0.5)]),
        rows: gd._fullData.filter(t => t.type === "heatmap").map(t => {
            const y = gd._fullLayout[t.yaxis.replace("y", "yaxis")];
            return {offset: y._offset, length: y._length, y: Array.from(t.y)};
        }),
    };
}"""


def assert_cursor(visit: Visit, figure: str, t: int, unit: int) -> None:
    """The frame stands over step t in every row, and the lines over the unit."""
    found = visit.page.evaluate(CURSOR, figure)
    left, right = found["columns"][t - 1]
    left, right = max(left, found["range"][0]), min(right, found["range"][1])
    column = found["boxes"][0]
    top = min(row["offset"] for row in found["rows"])
    bottom = max(row["offset"] + row["length"] for row in found["rows"])
    wanted = [left, top, max(right - left, 1), bottom - top]
    assert np.abs(np.array(column) - wanted).max() < 1, f"{column} over {wanted}"
    lines = found["boxes"][1::2]
    assert len(lines) == len(found["rows"])
    for line, row in zip(lines, found["rows"], strict=True):
        height = row["length"] / len(row["y"])
        at = row["offset"] + height * row["y"].index(str(unit))
        assert abs(line[1] - at) < 1, f"{line[1]} at {at}"
        assert abs(line[3] - max(height, 1)) < 1


def test_the_cursor_stands_over_its_step_and_follows_zoom(visit: Visit):
    visit.open(order="index", unit=100)
    wait_for_heatmaps(visit)
    for figure in ("figure_gates", "figure_states"):
        assert_cursor(visit, figure, 36, 100)
    visit.cells.nth(4).click()
    visit.wait_for_step(5)
    for figure in ("figure_gates", "figure_states"):
        assert_cursor(visit, figure, 5, 100)
    zoom = """range => window.Plotly.relayout(
        document.querySelector(".st-key-figure_gates .js-plotly-plot"), {"xaxis.range": range})"""
    visit.page.evaluate(zoom, [-0.5, 9.5])
    visit.page.wait_for_timeout(300)
    assert_cursor(visit, "figure_gates", 5, 100)
    assert visit.page.evaluate(CURSOR, "figure_gates")["boxes"][0][2] > 60
    visit.page.evaluate(zoom, [29.5, 49.5])  # step 5 is out of sight
    visit.page.wait_for_timeout(300)
    found = visit.page.evaluate(CURSOR, "figure_gates")
    assert all(width > 100 or width < 20 for _, _, width, _ in found["boxes"])
    assert len(found["boxes"]) == 2 * len(found["rows"])


# What is read


def test_typing_another_text(visit: Visit):
    visit.open()
    visit.read("x = 'ab'")
    assert visit.count == "step 8 of 8"
    assert visit.cells.all_inner_texts() == list("x·=·'ab'")
    assert visit.query == {"text": "x = 'ab'", "t": "8"}
    model = character_model("lstm")
    probabilities = model.next_character(model.read("x = 'ab'"))[-1]
    ticks = (
        visit.key("figure_next_character")
        .locator(".ytick text")
        .evaluate_all(
            "ticks => ticks.map(t => [t.getBoundingClientRect().top, t.textContent.trim()])"
        )
    )
    order = np.argsort(-probabilities)[: len(ticks)]
    wanted = [picture(model.vocabulary.character(int(code)) or "?") for code in order]
    assert [text for _, text in sorted(ticks)] == wanted
    assert "The text ends here" in visit.key("card_next").inner_text()


ODD = (
    "<script>alert(1)</script><img src=x onerror=alert(2)> "
    "안녕 😀 שלום \x01\x7f e\u0301 $x$ **b** :red[a]"
)


def test_a_text_never_becomes_anything_but_text(visit: Visit):
    visit.open()
    visit.read(ODD)
    assert visit.count == f"step 36 of {len(ODD)}"
    assert visit.cells.all_text_contents() == [picture(character) for character in ODD]
    assert visit.page.locator("img[src=x], .stMain script, strong:text-is('b')").count() == 0
    note = visit.page.locator(".rnnviz-note", has_text="Not in the vocabulary").inner_text()
    for character in "안녕😀ש":
        assert character in note
    for t in (1, 54, len(ODD)):  # each of them in the figures and the equations too
        visit.cells.nth(t - 1).click()
        visit.wait_for_step(t)
    assert visit.page.locator("img[src=x]").count() == 0
    visit.page.reload()
    visit.page.wait_for_selector(".rnnviz-count")
    visit.settle()
    assert visit.key("text").locator("textarea").input_value() == ODD
    assert visit.count == f"step {len(ODD)} of {len(ODD)}"


def test_a_text_that_cannot_be_read_loses_nothing(visit: Visit):
    visit.open(text="ab", language="ko")
    words = labels("ko")
    visit.read("")
    assert visit.messages == [words["error.empty_text"]]
    assert visit.cells.all_inner_texts() == ["a", "b"]
    visit.read("한" * 2001)
    assert visit.messages == [words("error.text_limit", came=2001, most=2000)]
    assert len(visit.key("text").locator("textarea").input_value()) == 2001
    assert visit.cells.all_inner_texts() == ["a", "b"]
    visit.read("abc")
    assert visit.messages == []
    assert visit.cells.all_inner_texts() == ["a", "b", "c"]


def test_a_long_text_is_paged(visit: Visit):
    visit.open(text="x = 1\n" * 70, t=400, cell="rnn")
    wait_for_heatmaps(visit)
    assert len(heatmaps(visit, "figure_states")[0]["z"][0]) == 400
    visit.page.locator(".rnnviz-title").click()
    visit.page.keyboard.press("ArrowRight")
    visit.wait_for_step(401)
    visit.until(
        "the second part is drawn",
        "() => document.querySelector('.st-key-figure_states .js-plotly-plot')"
        "._fullData[0].x.length === 20",
    )
    trace = character_model("rnn").read("x = 1\n" * 70)
    (part,) = heatmaps(visit, "figure_states")
    wanted = trace["hidden_state"].values[0, 0, 400:, 0][:, [int(unit) for unit in part["y"]]].T
    max_diff = np.abs(np.array(part["z"]) - wanted).max()
    assert max_diff < 1e-6, f"{max_diff=:.1e}"


# Cells, languages, addresses


def test_the_other_cells(visit: Visit):
    visit.open(t=9)
    for cell in ("GRU", "RNN", "LSTM"):
        visit.key("cell").get_by_role("radio", name=cell, exact=True).or_(
            visit.key("cell").get_by_role("button", name=cell, exact=True)
        ).first.click()
        visit.until(
            f"a {cell}",
            f"() => document.querySelector('.st-key-card_equations').innerText"
            f".includes('{cell} cell')",
        )
        visit.settle()
        wait_for_heatmaps(visit)
        names = list(GATES_AS_READ[cell.lower()])
        if cell == "RNN":
            names = ["hidden_preactivation"]
        assert [part["meta"] for part in heatmaps(visit, "figure_gates")] == names
        assert visit.query == {"t": "9"} | ({} if cell == "LSTM" else {"cell": cell.lower()})
        visit.check()


def switch_language(visit: Visit, name: str) -> None:
    visit.key("language").get_by_text(name, exact=True).first.click()
    title = labels("ko" if name == "한국어" else "en")["page.step.title"]
    visit.until(
        name, f"() => document.querySelector('.rnnviz-title').innerText === {json.dumps(title)}"
    )
    visit.settle()


def test_the_language_changes_nothing_else_and_the_address_keeps_all(visit: Visit):
    query = {"cell": "gru", "text": "f(['a'])\n", "t": "5", "unit": "3", "order": "bracket_depth"}
    visit.open(**query, gate="hidden_candidate", speed=2)
    switch_language(visit, "한국어")
    kept = query | {"gate": "hidden_candidate", "speed": "2", "language": "ko"}
    assert visit.query == kept
    before = equation_text(visit)
    for _ in range(2):
        wait_for_heatmaps(visit)
        assert visit.count == "9단계 중 5단계"
        assert [part["name"] for part in heatmaps(visit, "figure_gates")] == [
            labels("ko")[f"gate.{name}"] for name in GATES_AS_READ["gru"]
        ]
        assert equation_text(visit) == before
        assert visit.query == kept
        assert "2" in visit.key("speed").inner_text()
        visit.page.reload()
        visit.page.wait_for_selector(".rnnviz-count")
        visit.settle()
    switch_language(visit, "English")
    assert visit.query == {name: value for name, value in kept.items() if name != "language"}


def test_a_korean_reader_is_spoken_to_in_korean_and_may_choose_english(
    browser: Browser, address: str
):
    with windows(browser, locale="ko-KR") as own, visiting(own, address) as visit:
        visit.open()
        assert visit.count == f"{STEPS}단계 중 36단계"
        switch_language(visit, "English")
        assert visit.count == f"step 36 of {STEPS}"
        visit.page.reload()
        visit.page.wait_for_selector(".rnnviz-count")
        visit.settle()
        assert visit.count == f"step 36 of {STEPS}"


def test_a_bad_address_says_so_and_draws_nothing(visit: Visit):
    picture_elsewhere = "![a](http://a.example/a.png)"
    visit.open(cell=picture_elsewhere, order="**b** $c$ `d`", t=99, speed=8)
    words = labels("en")
    orders = "index, variance, inside_string, bracket_depth, position_in_line, indentation"
    assert visit.messages == [
        words(
            "error.query_choice",
            field="cell",
            came=picture_elsewhere,
            expected="rnn, lstm, gru",
            shown="lstm",
        ),
        words(
            "error.query_choice",
            field="order",
            came="**b** $c$ `d`",
            expected=orders,
            shown="inside_string",
        ),
        words("error.query_step", t=99, steps=STEPS),
    ]
    assert visit.page.get_by_test_id("stAlert").locator("img, strong, code, .katex").count() == 0
    assert visit.count == f"step {STEPS} of {STEPS}"
    assert visit.query == {"t": str(STEPS), "speed": "8"}


# Sizes and themes


@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_tablet_scrolls_in_one_direction(browser: Browser, address: str, language: str):
    with (
        windows(browser, viewport={"width": 768, "height": 1024}) as own,
        visiting(own, address) as visit,
    ):
        visit.open(language=language)
        wait_for_heatmaps(visit)
        widths = visit.page.evaluate(
            """() => [document.documentElement, document.querySelector(".stMain")]
                .map(e => [e.scrollWidth, e.clientWidth])"""
        )
        assert all(whole <= seen for whole, seen in widths), widths
        assert visit.cells.first.is_visible()


def test_the_dark_theme(browser: Browser, address: str):
    with windows(browser, color_scheme="dark") as own, visiting(own, address) as visit:
        visit.open(cell="gru")
        wait_for_heatmaps(visit)
        ground, ink, scale = visit.page.evaluate(
            """() => {
                const gd = document.querySelector(".st-key-figure_gates .js-plotly-plot");
                const app = document.querySelector(".stApp");
                return [getComputedStyle(app).backgroundColor, gd._fullLayout.font.color,
                        gd._fullData[0].colorscale[0][1]];
            }"""
        )
        assert ground == "rgb(17, 21, 27)"
        assert ink == "#e6e9ee"
        assert scale == "#161b22"
