"""The comparison page in a real browser: the cursor in every subplot, and changed settings."""

from typing import Any

import pytest

from rnnviz.experiment import FIRST_TEXT, ComparePage
from rnnviz.experiment.comparison import run_held
from rnnviz.holding import Hold
from rnnviz.locale import LANGUAGES, labels
from tests.browser import Visit
from tests.test_gradients_browser import hold_keys

pytestmark = pytest.mark.browser

# The cursor's place in a figure, and the step's place by the figure's axes.
CURSORS = """(name) => {
    const figure = document.querySelector(`.st-key-figure_${name} .js-plotly-plot`);
    const overlay = figure.parentElement.querySelector(".rnnviz-cursor");
    const boxes = [...overlay.children].map((box) => {
        const { left, top, width, height } = box.style;
        return [left, top, width, height].map(parseFloat);
    });
    const names = figure._fullLayout.meta?.time ?? ["x"];
    const axes = names.map((id) => figure._fullLayout[`${id[0]}axis${id.slice(1)}`]);
    const parts = ({ _id, _offset, _length, range }) => ({ _id, _offset, _length, range });
    return { boxes, axes: axes.map(parts) };
}"""
DRAWN = "document.querySelector('.st-key-figure_{} .js-plotly-plot')?._fullData"


def compare(visit: Visit, **query: object) -> Visit:
    visit.open("/compare", **query)
    wait_for_figure(visit, "comparison", "(all) => all.length > 0")
    return visit


def wait_for_figure(visit: Visit, name: str, holds: str) -> None:
    """Waits until a condition on a figure's data holds."""
    visit.until(f"{name}: {holds}", f"() => ({holds})({DRAWN.format(name)})")
    visit.settle()


def check_cursor(visit: Visit, name: str, t: int) -> list[list[float]]:
    """Asserts that each time axis has one box, across all its plots, at the step."""
    found: dict[str, Any] = visit.page.evaluate(CURSORS, name)
    assert len(found["boxes"]) == len(found["axes"])
    for box, axis in zip(found["boxes"], found["axes"], strict=True):
        low, high = axis["range"]
        start, length = (box[0], box[2]) if axis["_id"][0] == "x" else (box[1], box[3])
        middle = axis["_offset"] + (t - low) / (high - low) * axis["_length"]
        assert abs(start + length / 2 - middle) < 1, f"{name}, {axis}: {start=}, {middle=}"
    return found["boxes"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_cursor_is_in_every_subplot_and_plays(visit: Visit, language: str):
    compare(visit, language=language, speed=10, t=5)
    assert visit.messages == []
    assert visit.page.locator("h1").inner_text() == labels(language)["page.compare.title"]
    for name in ("comparison", "comparison_lines", "gradient_norms"):
        visit.key(f"figure_{name}").scroll_into_view_if_needed()
        visit.settle()
        boxes = check_cursor(visit, name, 5)
        assert len(boxes) == (3 if name == "comparison" else 1)
    # of the seven rows, each column has the cursor only in those with data
    clips = visit.page.locator(".st-key-figure_comparison .rnnviz-cursor div")
    shapes: list[str] = clips.evaluate_all("all => all.map((box) => box.style.clipPath)")
    assert [shape.count("M") for shape in shapes] == [6, 5, 2]
    visit.page.locator("[data-do=play]").click()
    visit.wait_until_played_to(12)
    visit.page.keyboard.press("Escape")
    visit.settle()
    t = int(visit.query["t"])
    assert t >= 12
    for name in ("comparison", "comparison_lines"):
        check_cursor(visit, name, t)
    visit.page.keyboard.press("End")
    visit.wait_for_step(len(FIRST_TEXT))
    assert visit.query["t"] == str(len(FIRST_TEXT))
    visit.page.reload()
    visit.page.wait_for_selector(".rnnviz-count")
    visit.wait_for_step(len(FIRST_TEXT))


def test_a_zoom_is_shared_and_the_cursor_follows_it(visit: Visit):
    compare(visit, networks="lstm,gru.2.both,rnn_relu,gru_reset_before", t=30)
    assert len(check_cursor(visit, "comparison", 30)) == 4
    figure = "document.querySelector('.st-key-figure_comparison .js-plotly-plot')"
    visit.page.evaluate(f"Plotly.relayout({figure}, {{'xaxis2.range': [20.5, 40.5]}})")
    visit.settle()
    ranges = visit.page.evaluate(
        f"['', 2, 3, 4].map((n) => {figure}._fullLayout[`xaxis${{n}}`].range)"
    )
    assert ranges == [[20.5, 40.5]] * 4
    check_cursor(visit, "comparison", 30)
    visit.cells.nth(49).click()
    visit.wait_for_step(50)
    assert visit.page.evaluate(CURSORS, "comparison")["boxes"] == []


def test_a_click_in_a_heatmap_goes_to_its_step(visit: Visit):
    compare(visit, input_source="signal", networks="gru,rnn", length=40)
    visit.page.locator(".st-key-figure_comparison .drag.nsewdrag").nth(1).click()
    visit.settle()
    t = int(visit.query["t"])
    assert 19 <= t <= 22
    check_cursor(visit, "comparison", t)
    title = visit.cells.nth(t - 1).get_attribute("title") or ""
    assert title.startswith(f"step {t}: ")
    assert visit.cells.nth(t - 1).inner_text() == ""


def test_a_network_is_changed_and_the_input_is_another(visit: Visit):
    compare(visit)
    visit.key("input_source").get_by_text("signal", exact=True).click()
    wait_for_figure(visit, "comparison", "(all) => all.some((m) => m.z?.[0].length === 100)")
    visit.key("form_1").get_by_role("button").click()
    visit.page.get_by_role("option", name="GRU, reset before").click()
    wait_for_figure(
        visit, "comparison", "(all) => all.some((m) => m.name.startsWith('GRU, reset before: '))"
    )
    assert visit.query == {"input_source": "signal", "networks": "lstm,gru_reset_before,rnn"}
    visit.page.keyboard.press("Escape")
    visit.page.locator("[data-do=on]").click()
    visit.wait_for_step(38)
    assert visit.query["t"] == "38"
    assert visit.cells.count() == 100
    check_cursor(visit, "comparison", 38)
    visit.key("input_source").get_by_text("text", exact=True).click()
    wait_for_figure(visit, "comparison", "(all) => all.some((m) => m.z?.[0].length === 61)")
    # the widgets of a signal are gone, but their values are kept
    visit.page.locator("[data-do=on]").click()
    visit.wait_for_step(39)
    assert visit.query == {"t": "39"}
    assert visit.cells.count() == len(FIRST_TEXT)
    visit.key("input_source").get_by_text("signal", exact=True).click()
    wait_for_figure(
        visit, "comparison", "(all) => all.some((m) => m.name.startsWith('GRU, reset before: '))"
    )
    assert visit.query["networks"] == "lstm,gru_reset_before,rnn"


def test_the_instrument_is_itself_again_on_the_step_page(visit: Visit):
    compare(visit, t=7)
    visit.page.get_by_role("link", name="Step through").click()
    visit.page.wait_for_selector(".st-key-card_equations")
    visit.wait_for_step(7)
    visit.page.locator("[data-do=on]").click()
    visit.wait_for_step(8)
    assert visit.page.locator(".drawing [data-value]").count() > 0
    assert visit.page.locator(".rows .map").count() > 0
    visit.page.get_by_role("link", name="Side by side").click()
    wait_for_figure(visit, "comparison", "(all) => all.length > 0")
    visit.wait_for_step(8)
    check_cursor(visit, "comparison", 8)


def test_a_slider_is_followed_while_it_is_dragged(visit: Visit):
    compare(visit, input_source="signal")
    bar = visit.key("hidden").locator("input[type=range]")
    bar.focus()
    for _ in range(5):
        visit.page.keyboard.press("ArrowRight")
    wait_for_figure(visit, "comparison", "(all) => all.some((m) => m.z?.length === 21)")
    assert visit.query["hidden"] == "21"


def test_settings_stay_while_another_page_is_open(visit: Visit):
    compare(visit, networks="gru.2,rnn_relu", length=30, loss="all", equal="parameters")
    before = visit.query
    visit.page.get_by_role("link", name="Gradients").click()
    visit.page.wait_for_selector(".rnnviz-verdict")
    visit.settle()
    assert visit.query == {"length": "30", "loss": "all", "init": "orthogonal", "forget_bias": "3"}
    visit.page.get_by_role("link", name="Side by side").click()
    wait_for_figure(visit, "comparison", "(all) => all.some((m) => m.z?.[0].length === 30)")
    assert visit.query == before
    assert visit.messages == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_section_stands_and_what_is_held_follows(visit: Visit, language: str):
    words = labels(language)
    compare(
        visit, language=language, input_source="signal", length=40, networks="lstm_peephole,gru"
    )
    figures = {
        "memory": ("sensitivity",),
        "hold": ("hold_lines", "hold_difference", "hold_gradients"),
        "conventions": ("packed_weights",),
    }
    for part in ("cells", "memory", "cost", "conventions", "keras", "hold"):
        visit.key("part").get_by_text(words[f"part.{part}"], exact=True).click()
        visit.settle()
        assert visit.query["part"] == part
        for name in figures.get(part, ()):
            visit.key(f"figure_{name}").scroll_into_view_if_needed()
            wait_for_figure(visit, name, "(all) => all?.length > 0")
    label = words["hold.held"]
    bar = visit.key("hold_value").locator("input[type=range]")
    bar.scroll_into_view_if_needed()
    bar.focus()
    visit.page.keyboard.press("Home")
    held = f"(all) => all.find((d) => d.name === '{label}')?.y?.at(-1) === 0"
    wait_for_figure(visit, "hold_lines", held)
    assert visit.query["hold_value"] == "0"
    check_cursor(visit, "hold_lines", int(visit.query.get("t", 37)))
    assert visit.messages == []


def test_what_is_held_follows_without_a_run_of_the_page(visit: Visit):
    query = {"input_source": "signal", "length": "40", "networks": "lstm,gru", "part": "hold"}
    visit.open("/compare", **query)
    wait_for_figure(visit, "hold_lines", "(all) => all.length > 0")
    settings, problems = ComparePage.from_query(query, "en")
    assert problems == []
    runs = visit.page.evaluate("() => window.rnnvizPage.runs")
    for name, keys in (("hold_value", ["PageDown"] * 3), ("hold_from", ["PageUp", "ArrowRight"])):
        visit.key(name).scroll_into_view_if_needed()
        hold_keys(visit, name, *keys)
        settings = settings.model_copy(update={name: float(visit.query[name])})
        hold = Hold(settings.hold_value, start=int(settings.hold_from) - 1)
        held = run_held(settings.comparison(), "lstm", {"forget_gate": hold})
        assert held.loss is not None
        visit.key("figure_hold_gradients").scroll_into_view_if_needed()
        gates = held.array("forget_gate")[0, 0, :, 0].mean(-1).tolist()
        is_drawn = f"(d) => d.y?.every((y, t) => Math.abs(y - {gates}[t]) < 1e-6)"
        wait_for_figure(visit, "hold_lines", f"(all) => all.some({is_drawn})")
        assert f"{held.loss:.4g} held".replace("-", "−") in visit.key("hold_words").inner_text()
    assert settings.hold_value < 1 < settings.hold_from
    assert visit.page.evaluate("() => window.rnnvizPage.runs") == runs
    assert visit.messages == []


def test_zoom_in_a_row_of_the_lines_stays_when_they_change(visit: Visit):
    compare(visit, input_source="signal", length=40, networks="lstm,gru")
    figure = visit.key("figure_comparison_lines")
    figure.scroll_into_view_if_needed()
    wait_for_figure(visit, "comparison_lines", "(all) => all.length > 0")
    plot = figure.locator(".js-plotly-plot")
    axes = "plot => [plot._fullLayout.yaxis3.range, plot._fullLayout.yaxis.range]"
    assert plot.evaluate("plot => plot._fullLayout.yaxis3.autorange") is True
    plot.evaluate("plot => Plotly.relayout(plot, {'yaxis3.range': [-0.25, 0.5]})")
    plot.evaluate("plot => { plot.drawnBefore = plot.querySelector('.main-svg'); }")
    before = plot.evaluate("plot => Array.from(plot._fullData[0].y)")
    for seed in ("3", "4"):
        field = visit.key("seed").locator("input")
        field.fill(seed)
        field.press("Enter")
        wait_for_figure(visit, "comparison_lines", f"(all) => all[0].y[39] !== {before[39]}")
        before = plot.evaluate("plot => Array.from(plot._fullData[0].y)")
        assert plot.evaluate(axes) == [[-0.25, 0.5], [-0.02, 1.02]]
        assert plot.evaluate("plot => plot.drawnBefore === plot.querySelector('.main-svg')")
