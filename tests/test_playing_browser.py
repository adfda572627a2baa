"""The cards of a step while a text plays: each shows the library's numbers of the step shown."""

import json
from typing import Any

import numpy as np
import pytest

from rnnviz.cells import GATES_AS_READ
from rnnviz.experiment import FIRST_TEXT
from rnnviz.ui.cache import character_model
from tests.browser import Visit, on_stream
from tests.step_cards import SHOWN, assert_step_shown

pytestmark = pytest.mark.browser

# By step: what the cards show after a click on its character.
EVERY_STEP = f"""() => {{
    const shown = {SHOWN};
    return Array.from(document.querySelectorAll(".strip button"), (button) => {{
        button.click();
        return shown();
    }});
}}"""


@pytest.mark.parametrize(("cell", "language"), [("lstm", "ko"), ("gru", "en"), ("rnn", "en")])
def test_every_step_shows_the_librarys_equations_terms_and_predictions(
    visit: Visit, cell: str, language: str
):
    for unit, gate in zip((5, 77, 111), GATES_AS_READ[cell], strict=False):
        visit.open(cell=cell, unit=unit, gate=gate, language=language, order="index")
        found: list[dict[str, Any]] = visit.page.evaluate(EVERY_STEP)
        assert len(found) == len(FIRST_TEXT)
        for t, shown in enumerate(found, start=1):
            what = {"unit": unit, "gate": gate, "language": language}
            assert_step_shown(shown, cell, FIRST_TEXT, t, **what)
        visit.settle()


def test_while_it_plays_every_card_shows_the_same_step_and_the_server_hears_nothing(visit: Visit):
    sent: list[object] = []
    on_stream(visit.page, framesent=lambda frame: sent.append(frame))
    text, speed = "x = ['한(b']\n", 5
    visit.open(text=text, t=1, unit=9, gate="cell_candidate", speed=speed)
    visit.page.locator(".rnnviz-title").click()
    clock = visit.page.clock
    clock.install(time=0)
    clock.pause_at(3_600_000)
    before = len(sent)
    visit.page.keyboard.press("Space")
    clock.run_for(17)  # a frame
    for t in range(2, len(text)):
        clock.run_for(1000 // speed)
        assert visit.count == f"step {t} of {len(text)}"
        shown = visit.page.evaluate(SHOWN)
        assert_step_shown(shown, "lstm", text, t, unit=9, gate="cell_candidate")
    assert len(sent) == before
    visit.page.keyboard.press("Escape")
    clock.resume()
    visit.settle()


CARDS = ["card_cell", "card_terms", "card_next", "card_equations", "card_heatmaps"]
BOXES = f"""() => {CARDS}.map((key) => {{
    const {{ top, left, width, height }} = document.querySelector(`.st-key-${{key}}`)
        .getBoundingClientRect();
    return [key, top + window.scrollY, left, width, height];
}})"""


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_no_card_changes_its_height_at_any_step(visit: Visit, width: int):
    for language in ("en", "ko"):
        visit.page.set_viewport_size({"width": width, "height": 900})
        visit.open(language=language)
        boxes = visit.page.evaluate(
            f"""() => Array.from(document.querySelectorAll(".strip button"), (button) => {{
                button.click();
                return ({BOXES})();
            }})"""
        )
        assert boxes == boxes[:1] * len(FIRST_TEXT)
        visit.settle()


# Nothing in a card is wider than its place, and no bar's label covers another part of its row.
CUT = """() => {
    const cut = [];
    for (const e of document.querySelectorAll(
        ".bars .bar-label, .bars .bar-text, .equation > *, .lines .legend, .terms p, .predictions p"
    )) if (e.scrollWidth > e.clientWidth + 1 && e.clientWidth) cut.push(e.textContent);
    for (const row of document.querySelectorAll(".bar-row:not(.empty)")) {
        const [label, track, text] = Array.from(row.children, (e) => e.getBoundingClientRect());
        if (label.right > track.left || track.right > text.left) cut.push(row.textContent);
        const fill = row.querySelector("i").getBoundingClientRect();
        if (fill.left < track.left - 3 || fill.right > track.right + 3) cut.push(fill.width);
    }
    return cut;
}"""


@pytest.mark.parametrize("width", [390, 768, 1280, 1920])
@pytest.mark.parametrize("language", ["en", "ko"])
def test_nothing_in_the_cards_is_cut(visit: Visit, width: int, language: str):
    visit.page.set_viewport_size({"width": width, "height": 900})
    visit.open(language=language)
    cut = visit.page.evaluate(
        f"""() => Array.from(document.querySelectorAll(".strip button"), (button) => {{
            button.click();
            return ({CUT})();
        }})"""
    )
    assert cut == [[]] * len(FIRST_TEXT)
    rows = "els => new Set(els.map(e => Math.round(e.getBoundingClientRect().top))).size"
    assert visit.page.locator(".lines .entry").evaluate_all(rows) <= 2
    visit.settle()


def widths(visit: Visit, card: str) -> list[float]:
    """The bars of a card as shares of their axis."""
    return visit.page.locator(f"{card} .bar-row:not(.empty) .track").evaluate_all(
        """tracks => tracks.map((track) => track.querySelector("i").getBoundingClientRect().width
            / (track.getBoundingClientRect().width - 2))"""
    )


def test_bars_of_all_steps_have_one_axis(visit: Visit):
    visit.open(t=20)
    for t, first in ((20, 1.0), (37, 0.047)):
        visit.cells.nth(t - 1).click()
        visit.wait_for_step(t)
        chances = visit.page.locator(".predictions .bar-text").all_text_contents()
        for width, text in zip(widths(visit, ".predictions"), chances, strict=True):
            assert abs(width - float(text.rstrip("%")) / 100) < 0.012, (width, text)
        assert abs(float(chances[0].rstrip("%")) / 100 - first) < 0.0006
        end = float(
            visit.page.locator(".terms .scale-of-bars .track span").last.inner_text().lstrip("+")
        )
        terms = visit.page.locator(".terms .bar-row:not(.empty) .bar-text").all_text_contents()
        for width, text in zip(widths(visit, ".terms"), terms, strict=True):
            value = abs(float(text.replace("−", "-")))
            assert abs(width - value / (2 * end)) < 0.012, (width, text, end)


# The unit over time

LINES = """() => Object.fromEntries(Array.from(
    document.querySelectorAll(".lines .panel path[data-line]"),
    (path) => [path.dataset.line, path.getAttribute("d")]))"""


def end_of_axis(value: float) -> float:
    """The value rounded up to half of its first digit."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(np.ceil(2 * value / power) / 2 * power)


@pytest.mark.parametrize("cell", sorted(GATES_AS_READ))
def test_lines_follow_the_units_gates_and_states(visit: Visit, cell: str):
    visit.open(cell=cell, t=10, unit=7)
    trace = character_model(cell).read(FIRST_TEXT)
    names = GATES_AS_READ[cell] if cell != "rnn" else ("hidden_preactivation",)
    states = ("cell_state", "hidden_state") if cell == "lstm" else ("hidden_state",)
    found: dict[str, str] = visit.page.evaluate(LINES)
    assert set(found) == {*names, *states}
    for name, path in found.items():
        values = trace.array(name)[0, 0, :, 0, 7]
        most = 1.0
        if name in ("cell_state", "hidden_preactivation"):
            most = end_of_axis(float(abs(values).max()))
        share = values / most
        heights = 1 - share if name.endswith("_gate") else (1 - share) / 2
        points = [tuple(map(float, part.split())) for part in path[1:-2].split("L")]
        assert [x for x, _ in points] == [t + 0.5 for t in range(len(FIRST_TEXT))]
        assert max(abs(y - want) for (_, y), want in zip(points, heights, strict=True)) < 1e-4
    legend = visit.page.locator(".lines .entry .value")
    for t in (10, 40):
        visit.cells.nth(t - 1).click()
        visit.wait_for_step(t)
        for entry in legend.all():
            name = entry.get_attribute("data-line") or ""
            value = float((entry.text_content() or "").replace("−", "-"))
            assert abs(value - trace.array(name)[0, 0, t - 1, 0, 7]) <= 0.005 + 1e-6, name


def test_the_cursor_is_at_the_step_and_a_click_goes_there(visit: Visit):
    visit.open(t=5)
    for t in (12, 61, 1):
        box = visit.page.locator(".lines .place").bounding_box()
        assert box
        x = box["x"] + (t - 0.5) / len(FIRST_TEXT) * box["width"]
        visit.page.mouse.click(x, box["y"] + 20)
        visit.wait_for_step(t)
        assert visit.query["t"] == str(t)
        visit.eventually(lambda x=x: assert_cursor_at(visit, x))
    assert visit.page.locator(".lines .axis.each span").count() == len(FIRST_TEXT)
    assert visit.page.locator(".lines .panels").get_attribute("role") == "img"


def assert_cursor_at(visit: Visit, x: float) -> None:
    cursor = visit.page.locator(".lines .cursor i").bounding_box()
    assert cursor
    assert abs(cursor["x"] + cursor["width"] / 2 - x) < 1


@pytest.mark.parametrize("steps", [1, 2, 2000])
def test_lines_of_short_and_long_texts(visit: Visit, steps: int):
    visit.open(text=("x = 'a'\n" * 250)[:steps], t=1)
    for panel in visit.page.locator(".lines .panel").all():
        lines, place = panel.locator("svg").bounding_box(), panel.bounding_box()
        assert lines
        assert place
        assert lines["height"] == place["height"] < 100
    paths = visit.page.evaluate(LINES)
    assert len(paths) == 6
    assert all(path.count("L") == steps - 1 for path in paths.values())
    ticks = visit.page.locator(".lines .axis span")
    assert ticks.count() == (steps if steps < 3 else 10)


def test_a_unit_of_the_heatmap_brings_its_own_numbers(visit: Visit):
    visit.open(order="index", unit=3, t=9)
    visit.page.locator("[data-array=forget_gate] .map").focus()
    visit.page.keyboard.press("ArrowDown")
    heading = visit.page.locator(".lines > .rnnviz-heading")
    assert heading.inner_text() == "Unit 4 over time"  # at once, from the trace
    text = json.dumps("LSTM equations, unit 4, step 9")
    visit.until("unit 4", f"() => document.body.innerText.includes({text})")
    visit.settle()
    shown = visit.page.evaluate(SHOWN)
    what = {"unit": 4, "gate": "forget_gate"}
    assert_step_shown(shown, "lstm", FIRST_TEXT, 9, **what)
    assert visit.page.locator(".behind").count() == 0
