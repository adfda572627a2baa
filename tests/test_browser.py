"""The app in a real browser, used as a person would."""

import json
import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser
from plotly.colors import hex_to_rgb

from rnnviz.cells import GATES_AS_READ
from rnnviz.experiment import FIRST_TEXT
from rnnviz.explain.unit_order import ORDERS, order_units
from rnnviz.inputs.vocabulary import picture
from rnnviz.instrument.payload import rows_of
from rnnviz.locale import labels
from rnnviz.plots.style import palette
from rnnviz.ui.cache import character_model
from tests.browser import Visit, visiting, windows
from tests.step_cards import SHOWN, assert_step_shown, equation_text, guess_rows

pytestmark = pytest.mark.browser

STEPS = len(FIRST_TEXT)


def numbers(text: str) -> list[str]:
    return re.findall(r"\d+\.\d\d", text)


PIXELS = """([array, columns, rows]) => {
    const canvas = document.querySelector(`[data-array=${array}] .map canvas`);
    const { width, height } = canvas;
    const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
    const found = [];
    for (let row = 0; row < rows; row++)
        for (let column = 0; column < columns; column++) {
            const x = Math.floor((column + 0.5) * width / columns);
            const y = Math.floor((row + 0.5) * height / rows);
            found.push(...data.slice(4 * (y * width + x), 4 * (y * width + x) + 3));
        }
    return found;
}"""


def assert_drawn(
    visit: Visit, name: str, values: NDArray[Any], most: float, *, dark: bool = False
) -> None:
    """Asserts that a heatmap's pixels have the colours of the values, (unit, time)."""
    signed = not name.endswith("_gate")
    scale = palette(dark=dark).signed if signed else palette(dark=dark).gate
    stops = np.array([hex_to_rgb(colour) for _, colour in scale])
    share = np.clip((values / most + 1) / 2 if signed else values / most, 0, 1)
    at = np.linspace(0, 1, len(stops))
    wanted = np.stack([np.interp(share, at, stops[:, k]) for k in range(3)], axis=-1)
    found = visit.page.evaluate(PIXELS, [name, values.shape[1], values.shape[0]])
    max_diff = np.abs(np.array(found).reshape(wanted.shape) - wanted).max()
    assert max_diff <= 2, f"{name}: {max_diff=}"  # of 255; the scale has 256 colours


def assert_all_drawn(visit: Visit, cell: str, text: str, order: str, *, dark: bool = False) -> None:
    trace = character_model(cell).read(text)
    units = order_units(trace, order, text).units
    rows = rows_of(trace)
    for kind in ("gates", "states"):
        drawn = visit.key(f"figure_{kind}").locator("[data-array]")
        names = drawn.evaluate_all("parts => parts.map(part => part.dataset.array)")
        assert names == [row.name for row in rows if row.kind == kind]
    for row in rows:
        values = trace[row.name].values[0, 0, :, 0][:, units].T
        assert_drawn(visit, row.name, values, row.most, dark=dark)


def wait_for_heatmaps(visit: Visit) -> None:
    for figure in ("figure_gates", "figure_states"):
        visit.until(
            f"{figure} is drawn",
            f"() => document.querySelector('.st-key-{figure} .map canvas')?.width > 300",
        )


def do(visit: Visit, name: str) -> None:
    """Presses one of the player's buttons."""
    visit.page.locator(f".player [data-do={name}]").click()


# The first view


def test_the_first_view_is_a_trained_lstm_on_a_line_of_code(visit: Visit):
    visit.open()
    wait_for_heatmaps(visit)
    assert visit.query == {}
    assert visit.count == f"step 37 of {STEPS}"
    assert visit.key("text").locator("textarea").input_value() == FIRST_TEXT
    assert visit.cells.all_inner_texts() == [picture(character) for character in FIRST_TEXT]
    trace = character_model("lstm").read(FIRST_TEXT)
    order = order_units(trace, "inside_string", FIRST_TEXT).units
    assert_all_drawn(visit, "lstm", FIRST_TEXT, "inside_string")
    for name in ("figure_gates", "figure_states"):
        assert visit.key(name).locator("canvas").first.is_visible()
    shown = visit.page.evaluate(SHOWN)
    assert_step_shown(shown, "lstm", FIRST_TEXT, 37, unit=int(order[0]), gate="forget_gate")
    assert visit.messages == []


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
    visit.page.keyboard.press("ArrowRight")  # no element has the focus
    visit.wait_for_step(2)
    visit.page.keyboard.press("ArrowLeft")
    visit.wait_for_step(1)
    visit.page.keyboard.press("ArrowLeft")
    visit.wait_for_step(1)
    do(visit, "last")
    visit.wait_for_step(STEPS)
    do(visit, "back")
    visit.wait_for_step(STEPS - 1)
    assert visit.query == {"t": str(STEPS - 1)}


def test_space_plays_and_pauses(visit: Visit):
    visit.open(t=1, speed=10)
    visit.page.locator(".rnnviz-title").click()
    visit.page.keyboard.press("Space")
    visit.wait_until_played_to(5)
    visit.page.keyboard.press("Space")
    visit.until(
        "it pauses",
        "() => document.querySelector('[data-do=play]').dataset.now === 'still'",
    )
    visit.settle()
    paused = visit.count
    visit.wait_frames(20)
    assert visit.count == paused
    assert f"step {visit.query['t']} of" in paused


def test_playing_ends_at_the_end(visit: Visit):
    visit.open(t=STEPS - 2, speed=10)
    visit.page.keyboard.press("Space")
    visit.wait_for_step(STEPS)
    assert visit.query["t"] == str(STEPS)
    assert visit.page.locator("[data-do=play]").get_attribute("aria-label") == "Play"


def place_of(visit: Visit, array: str, t: int, row: int) -> tuple[float, float]:
    """The screen position of the middle of a heatmap's cell; t counts from 1."""
    x, y = visit.page.evaluate(
        """([array, t, row, steps, units]) => {
            const map = document.querySelector(`[data-array=${array}] .map`);
            const box = map.getBoundingClientRect();
            return [box.left + (t - 0.5) / steps * box.width,
                    box.top + (row + 0.5) / units * box.height];
        }""",
        [array, t, row, STEPS, 128],
    )
    return x, y


def test_a_click_in_a_heatmap_picks_step_and_unit(visit: Visit):
    visit.open(order="variance")
    wait_for_heatmaps(visit)
    trace = character_model("lstm").read(FIRST_TEXT)
    unit = int(order_units(trace, "variance", FIRST_TEXT).units[40])
    visit.page.locator("[data-array=cell_candidate]").scroll_into_view_if_needed()
    x, y = place_of(visit, "cell_candidate", 12, 40)
    visit.page.mouse.move(x, y)
    value = f"{trace['cell_candidate'].values[0, 0, 11, 0, unit]:.4f}".replace("-", "−")
    assert visit.key("figure_gates").locator(".tip").inner_text().splitlines() == [
        "candidate",
        f"step 12: {picture(FIRST_TEXT[11])}",
        f"unit {unit}, step 12: {value}",
    ]
    visit.page.mouse.click(x, y)
    visit.wait_for_step(12)
    visit.until(
        f"unit {unit}",
        "() => document.querySelector('.st-key-card_equations').innerText"
        f".includes('unit {unit}, step 12')",
    )
    visit.settle()
    assert visit.query == {"order": "variance", "t": "12", "unit": str(unit)}
    assert visit.key("unit").locator("input").first.input_value().split()[0] == str(unit)


CURSOR = """figure => {
    const place = document.querySelector(`.st-key-${figure}`);
    const edges = e => {
        const { left, top, width, height } = e.getBoundingClientRect();
        return [left, top, width, height];
    };
    return {
        column: edges(place.querySelector(".column")),
        maps: Array.from(place.querySelectorAll(".map"), edges),
        units: Array.from(place.querySelectorAll(".map .unit"), edges),
    };
}"""


def assert_cursor(visit: Visit, figure: str, t: int, row: int) -> None:
    """Asserts that the frame is over step t in every heatmap, and the lines at the unit's row."""
    found = visit.page.evaluate(CURSOR, figure)
    left, top, width, height = found["maps"][0]
    column = found["column"]
    assert abs(column[0] - (left + (t - 1) / STEPS * width)) < 1
    assert abs(column[2] - width / STEPS) < 1
    last = found["maps"][-1]
    assert column[1] <= top
    assert column[1] + column[3] >= last[1] + last[3]
    assert len(found["units"]) == len(found["maps"])
    for line, map in zip(found["units"], found["maps"], strict=True):
        assert abs(line[1] - (map[1] + row / 128 * map[3])) < 1
        assert (line[0], line[2]) == (map[0], map[2])
        assert abs(line[3] - max(1, height / 128)) < 0.5


def test_the_cursor_stands_over_its_step(visit: Visit):
    visit.open(order="index", unit=100)
    wait_for_heatmaps(visit)
    for t in (37, 5, 1, STEPS):
        visit.cells.nth(t - 1).click()
        visit.wait_for_step(t)
        for figure in ("figure_gates", "figure_states"):
            assert_cursor(visit, figure, t, 100)
    visit.page.set_viewport_size({"width": 1100, "height": 1500})
    for figure in ("figure_gates", "figure_states"):
        visit.eventually(lambda figure=figure: assert_cursor(visit, figure, STEPS, 100))
    visit.eventually(lambda: assert_all_drawn(visit, "lstm", FIRST_TEXT, "index"))


# The text


def test_typing_another_text(visit: Visit):
    visit.open()
    visit.read("x = 'ab'")
    assert visit.count == "step 8 of 8"
    assert visit.cells.all_inner_texts() == list("x·=·'ab'")
    assert visit.query == {"text": "x = 'ab'", "t": "8"}
    rows, sentence = guess_rows("lstm", "x = 'ab'", 8, "en")
    shown = visit.page.evaluate(SHOWN)
    assert (shown["guesses"], shown["guessNote"]) == (rows, sentence)
    assert "The text ends here" in visit.key("card_next").inner_text()


ODD = (
    "<script>alert(1)</script><img src=x onerror=alert(2)> "
    "안녕 😀 שלום \x01\x7f e\u0301 $x$ **b** :red[a]"
)


def test_a_text_never_becomes_anything_but_text(visit: Visit):
    visit.open()
    visit.read(ODD)
    assert visit.count == f"step 37 of {len(ODD)}"
    assert visit.cells.all_text_contents() == [picture(character) for character in ODD]
    assert visit.page.locator("img[src=x], .stMain script, strong:text-is('b')").count() == 0
    note = visit.page.locator(".rnnviz-note", has_text="Not in the vocabulary").inner_text()
    for character in "안녕😀ש":
        assert character in note
    for t in (1, 54, len(ODD)):  # the figures and equations show these characters too
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


def test_a_long_text_is_shown_whole_by_means(visit: Visit):
    text = "x = 1\n" * 333 + "ab"
    visit.open(text=text, t=400, cell="rnn", order="index")
    wait_for_heatmaps(visit)
    visit.page.locator(".rnnviz-title").click()
    visit.page.keyboard.press("ArrowRight")
    visit.wait_for_step(401)
    columns = visit.page.evaluate("document.querySelector('.map canvas').width")
    assert columns < len(text)
    assert (
        f"mean of about {len(text) / columns:.1f} steps" in visit.key("figure_gates").inner_text()
    )
    edges = [k * len(text) // columns for k in range(columns + 1)]
    trace = character_model("rnn").read(text)
    for row in rows_of(trace):
        values = trace[row.name].values[0, 0, :, 0].astype(np.float64)
        means = np.array([values[a:b].mean(0) for a, b in pairwise(edges)])
        assert_drawn(visit, row.name, means.T, row.most)


# Cells, languages, addresses


def test_the_other_cells(visit: Visit):
    visit.open(t=9)
    for cell in ("gru", "rnn", "lstm"):
        visit.choose_cell(cell)
        wait_for_heatmaps(visit)
        assert_all_drawn(visit, cell, FIRST_TEXT, "inside_string")
        assert visit.query == {"t": "9"} | ({} if cell == "lstm" else {"cell": cell})
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
    before = equation_text(visit.page)
    for _ in range(2):
        wait_for_heatmaps(visit)
        assert visit.count == "5 / 9단계"
        assert visit.key("figure_gates").locator(".label b").all_inner_texts() == [
            labels("ko")[f"gate.{name}"] for name in GATES_AS_READ["gru"]
        ]
        assert equation_text(visit.page) == before
        assert visit.query == kept
        assert visit.key("speed").locator("select").input_value() == "2"
        assert visit.key("t").locator("input").input_value() == "5"
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
        assert visit.count == f"37 / {STEPS}단계"
        switch_language(visit, "English")
        assert visit.count == f"step 37 of {STEPS}"
        visit.page.reload()
        visit.page.wait_for_selector(".rnnviz-count")
        visit.settle()
        assert visit.count == f"step 37 of {STEPS}"


def interpreted(visit: Visit) -> int:
    """Elements in the messages of boxes other than paragraphs with code spans and line breaks."""
    message = "[data-testid=stAlert] [data-testid=stMarkdownContainer]"
    return visit.page.locator(f"{message} :not(p, code, br, span:empty)").count()


# What Markdown, Streamlit's directives, HTML and a browser would make something else of.
MARKUP = (
    "https://a.example/x?y=1",
    "www.a.example a@b.example",
    "![a](http://a.example/a.png)",
    "[a](javascript:alert(1)) <b>a</b>",
    "<img src=x onerror=alert(1)>",
    "**a** _b_ ~~c~~ `d` ``e",
    "$x^2$ $$y$$ \\(z\\)",
    ":red[a] :blue-background[b]",
    ":material/home: :smile: :+1:",
    "<- -> <= >= == != -- ---",
    "&lt;a&gt; &amp; &#58; %3Cb%3E",
    "  a    b  \\ \\* \\n",
    "first\n\n# second\r\n- third",
    "|a|b|\n|-|-|\n|c|d|",
    "\u202eabc\u202c \u200b ​ é 한국어",
)


TEXT = "p => [...p.childNodes].map(e => e.tagName === 'BR' ? '' : e.textContent).join('')"


@pytest.mark.parametrize("part", range(3))
def test_text_of_an_address_is_shown_character_by_character(visit: Visit, part: int):
    fields = ("cell", "order", "gate", "unit", "speed")
    given = dict(zip(fields, MARKUP[part::3], strict=True))
    visit.open(**given)
    boxes = visit.page.get_by_test_id("stAlert")
    texts = [box.locator("p").evaluate(TEXT) for box in boxes.all()]
    shown = {text.partition(", which must")[0] for text in texts}
    assert shown == {
        f"The link asks for {field}=" + re.sub(r"\r\n|\r", "\n", text)
        for field, text in given.items()
    }
    assert interpreted(visit) == 0
    tall = boxes.nth(0).locator("code").first
    assert tall.evaluate("e => getComputedStyle(e).whiteSpaceCollapse") == "preserve"
    body = visit.page.locator("[data-testid=stAlert] p").first
    families = [e.evaluate("e => getComputedStyle(e).fontFamily") for e in (tall, body)]
    assert families[0] == families[1], "in the box's own font"


def test_a_bad_address_says_so_and_draws_nothing(visit: Visit):
    picture_elsewhere = "![a](http://a.example/a.png)"
    visit.open(cell=picture_elsewhere, order="**b** $c$ `d`", t=99, speed=8)
    words = labels("en")
    orders = ", ".join(ORDERS)
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
    assert interpreted(visit) == 0
    assert visit.count == f"step {STEPS} of {STEPS}"
    assert visit.query == {"t": str(STEPS), "speed": "8"}


# Sizes and themes


def test_a_tablet_scrolls_in_one_direction(visit: Visit):
    visit.page.set_viewport_size({"width": 768, "height": 1024})
    for language in ("en", "ko"):
        visit.open(language=language)
        wait_for_heatmaps(visit)
        widths = visit.page.evaluate(
            """() => [document.documentElement, document.querySelector(".stMain")]
                .map(e => [e.scrollWidth, e.clientWidth])"""
        )
        assert all(whole <= seen for whole, seen in widths), widths
        assert visit.cells.first.is_visible()


def test_the_dark_theme(visit: Visit):
    visit.page.emulate_media(color_scheme="dark")
    visit.open(cell="gru")
    wait_for_heatmaps(visit)
    ground, came, heading = visit.page.evaluate(
        """() => {
            const colour = (e, name) => getComputedStyle(document.querySelector(e))[name];
            return [colour(".stApp", "backgroundColor"),
                    colour(".marked .track i", "backgroundColor"),
                    colour(".drawing .number", "fill")];
        }"""
    )
    assert ground == "rgb(17, 21, 27)"
    assert came == "rgb(155, 232, 234)"
    assert heading == "rgb(230, 233, 238)"
    assert_all_drawn(visit, "gru", FIRST_TEXT, "inside_string", dark=True)
