"""The gradients page in a real browser, used as a person would."""

import re
import struct
from collections.abc import Iterator
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from rnnviz.experiment import MOST_EDITED, SCENES, GradientsPage, NetworkSettings, run_networks
from rnnviz.experiment.gain import gain_marks
from rnnviz.gradients import gradient_norms, weight_gradient_norms
from rnnviz.locale import labels
from rnnviz.ui.gradients.story import write_story
from tests.browser import Visit, on_stream, visiting, windows

pytestmark = pytest.mark.browser

MOVE = """(input, at) => {
    input.valueAsNumber = at;
    input.dispatchEvent(new Event("input", { bubbles: true }));
}"""
MARKED = "marks => marks.map(mark => mark.style.getPropertyValue('--at'))"
FIGURES = ("gradient_norms", "eigenvalues", "weight_gradients", "saturation")  # of any size


@pytest.fixture(scope="module")
def reader(browser: Browser, address: str) -> Iterator[BrowserContext]:
    with windows(browser, address, viewport={"width": 1440, "height": 2300}) as context:
        yield context


def lines(visit: Visit, figure: str) -> dict[str, np.ndarray]:
    """The values of a figure's lines in Plotly, by name."""
    visit.until(
        f"{figure} is drawn",
        f"() => document.querySelector('.st-key-figure_{figure} .js-plotly-plot .main-svg')",
    )
    found: list[Any] = visit.page.evaluate(
        """figure => document.querySelector(`.st-key-figure_${figure} .js-plotly-plot`)._fullData
            .map(trace => [trace.name, Array.from(trace.y || [], Number)])""",
        figure,
    )
    return {name: np.array(y, np.float64) for name, y in found}


FRESH = """async figure => {
    const plot = document.querySelector(`.st-key-figure_${figure} .js-plotly-plot`);
    const seen = (gd) => {
        const parts = [...gd.querySelectorAll(
            ".scatterlayer path, .heatmaplayer image, .shapelayer path, .legend .traces")];
        const texts = [...gd.querySelectorAll("text")].map(text => text.textContent);
        const axes = Object.entries(gd._fullLayout).filter(([name]) => /^[xy]axis/.test(name));
        const place = ["d", "x", "y", "width", "height", "transform", "href", "style"];
        return JSON.stringify([
            axes.map(([name, { range, domain }]) => [name, ...range, ...domain]),
            texts.sort(),
            parts.map(part => place.map(name => part.getAttribute(name))),
            gd.calcdata.map(points => points.map(
                ({ x, y, z }) => [x, y, z && z.map(row => Array.from(row))])),
        ]);
    };
    const fresh = document.body.appendChild(document.createElement("div"));
    const { data, layout } = structuredClone({ data: plot.data, layout: plot.layout });
    await Plotly.newPlot(fresh, data, layout);
    const found = [seen(plot), seen(fresh)];
    Plotly.purge(fresh);
    fresh.remove();
    return found;
}"""


def rounded(text: str) -> str:
    """The text with numbers to six digits: Plotly's last digits depend on what it drew before."""
    return re.sub(
        r"-?\d+(\.\d+)?(e-\d+)?", lambda found: f"{round(float(found[0]), 6) + 0:.6f}", text
    )


@cache
def norms_of(settings: NetworkSettings) -> dict[str, np.ndarray]:
    traces = run_networks(settings).items()
    return {cell: gradient_norms(trace)["hidden_state"].values.ravel() for cell, trace in traces}


def check_norms(visit: Visit, settings: NetworkSettings) -> None:
    """Asserts that the drawn lines are the library's numbers."""
    drawn = lines(visit, "gradient_norms")
    for cell, norms in norms_of(settings).items():  # pyright: ignore[reportArgumentType]  # frozen, so hashable
        finite = np.isfinite(norms)
        assert drawn[cell.upper()][finite].tolist() == norms[finite].tolist(), cell
        assert not np.isfinite(drawn[cell.upper()][~finite]).any()


# The first value of the RNN's line.
FIRST = """document.querySelector(".st-key-figure_gradient_norms .js-plotly-plot")._fullData
    .find(({ name }) => name === "RNN").y[0]"""


def redrawn(visit: Visit, before: float) -> float:
    """Waits until the RNN's line begins with another value, and returns that."""
    visit.until("the figure is updated", f"() => {FIRST} !== {before!r}")
    return visit.page.evaluate(FIRST)


# Whether all live parts show the last value.
FOLLOWED = """() => Array.from(document.querySelectorAll("[data-rnnviz-live]"))
    .filter(part => part.getBoundingClientRect().width)
    .every(part => rnnvizPage.shownAt.get(part.dataset.rnnvizLive) === rnnvizPage.changes)"""


def hold_keys(visit: Visit, slider: str, *keys: str) -> None:
    """Holds keys down on a slider until all live parts have followed, however long that takes.

    Once they are released, parts that do not follow soon enough make the page run.
    """
    visit.key(slider).get_by_role("slider").focus()
    for key in keys:
        visit.page.keyboard.down(key)
        visit.page.wait_for_timeout(30)
    visit.until("all parts have followed", FOLLOWED)
    for key in dict.fromkeys(keys):
        visit.page.keyboard.up(key)
    visit.settle()


def verdicts(visit: Visit) -> str:
    return " ".join(visit.page.locator(".rnnviz-verdict").all_inner_texts())


@pytest.mark.parametrize("language", ["en", "ko"])
def test_every_scene_is_a_link_and_stands(visit: Visit, language: str):
    words = labels(language)
    visit.open("/gradients", language=language)
    for name, scene in SCENES.items():
        visit.page.get_by_role("link", name=words[f"scene.{name}"], exact=True).click()
        settings = scene
        text = words[f"scene.{name}_words"]
        expect(visit.page.locator(".rnnviz-scene")).to_have_text(text)
        visit.settle()
        wanted = settings.to_query()
        wanted |= {"language": language} if language != "en" else {}
        assert visit.query == wanted
        check_norms(visit, settings.network())
        weights = ("weights",) * (scene.hidden > MOST_EDITED)
        for figure in (*FIGURES, *weights, "jacobian_norms", "lyapunov"):
            assert visit.key(f"figure_{figure}").locator(".main-svg").first.is_visible(), figure
        assert visit.key("figure_memory").count() == int(settings.claim)
        assert visit.messages == []
    assert visit.query.get("language", "en") == language


def test_an_address_opens_the_same_scene_at_once(visit: Visit):
    settings = SCENES["non_normal"]
    visit.open("/gradients", **settings.to_query())
    check_norms(visit, settings.network())
    assert (
        visit.page.locator(".rnnviz-scene").inner_text() == (labels("en")["scene.non_normal_words"])
    )


# Attributes of a drawing that Plotly's arithmetic has made NaN or infinite.
BROKEN = """e => [...e.querySelectorAll("svg *")].flatMap(part => [...part.attributes])
    .filter(({ name, value }) => name !== "data-unformatted" && /NaN|Infinity/.test(value))
    .map(({ name, value }) => `${name}=${value}`)"""


@pytest.mark.parametrize("weight", ["1e308", "-1.7e308", "5e-324"])
def test_a_weight_of_any_size_is_drawn(visit: Visit, weight: str):
    """Plotly's own arithmetic on the ends of the axes stays finite too."""
    edit = f"rnn.hidden.0.0:{float(weight)!r}"
    visit.open("/gradients", hidden=4, length=12, cell="rnn", edit=edit)
    settings, problems = GradientsPage.from_query(visit.query)
    assert (problems, settings.edit[0].value) == ([], float(weight))
    check_norms(visit, settings.network())
    for figure in FIGURES:
        drawing = visit.key(f"figure_{figure}")
        assert drawing.locator(".main-svg").first.is_visible(), figure
        assert drawing.evaluate(BROKEN) == [], figure
    assert visit.messages == []


SLIDERS = ("gain", "spectral_radius", "forget_bias", "hidden", "length", "input_scale", "clip")


def test_every_slider_goes_to_either_end_and_back(visit: Visit):
    visit.open("/gradients", hidden=4, length=30)
    for name in SLIDERS:
        slider = visit.key(name).get_by_role("slider")
        first = slider.input_value()
        for key in ("End", "Home"):
            slider.focus()
            slider.press(key)
            visit.settle()
            settings, problems = GradientsPage.from_query(visit.query)
            assert problems == []
            ends = {"End": slider.get_attribute("max"), "Home": slider.get_attribute("min")}
            assert slider.input_value() == ends[key]
            check_norms(visit, settings.network())
            assert visit.messages == []
        slider.fill(first)
        visit.settle()
        assert visit.query == {"hidden": "4", "length": "30"}, name


def test_a_slider_is_dragged(visit: Visit):
    visit.open("/gradients", hidden=4, length=30)
    track = visit.key("gain").get_by_role("slider").bounding_box()
    assert track is not None
    x, y = track["x"] + track["width"] / 3, track["y"] + track["height"] / 2
    visit.page.mouse.move(x, y)
    visit.page.mouse.down()
    drawn = lines(visit, "gradient_norms")["RNN"][0]
    for step in range(1, 5):
        visit.page.mouse.move(x + 10 * step, y)
        drawn = redrawn(visit, float(drawn))  # during the drag
    visit.page.mouse.move(x + 600, y, steps=6)
    visit.page.mouse.up()
    visit.settle()
    assert visit.query["gain"] == "3"
    check_norms(visit, NetworkSettings(hidden=4, length=30, gain=3))


@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_page_whose_live_updates_do_not_arrive_says_so_and_runs(
    reader: BrowserContext, address: str, language: str
):
    """As behind a reverse proxy that refuses the WebSocket, or does not pass it on."""
    with visiting(reader, address) as visit:
        visit.page.route_web_socket("**/rnnviz/live", lambda wire: wire.close(code=1008))
        visit.open("/gradients", language=language, hidden=4, length=20)
        notice = visit.key("connection").get_by_role("status")
        assert not notice.is_visible()
        visit.key("gain").get_by_role("slider").press("PageUp")
        expect(notice).to_have_text(labels(language)["live.unavailable"])
        visit.settle()
        check_norms(visit, NetworkSettings(hidden=4, length=20, gain=1.3))
        assert visit.query["gain"] == "1.3"


def test_a_figure_is_saved_as_an_image_and_no_button_lies_over_it_on_a_touch_screen(
    browser: Browser, address: str
):
    for touch in (False, True):
        options = {"viewport": {"width": 640, "height": 844}, "has_touch": touch}
        with windows(browser, is_mobile=touch, **options) as own, visiting(own, address) as visit:
            visit.open("/gradients", hidden=4, length=30)
            lines(visit, "gradient_norms")
            button = visit.key("figure_gradient_norms").locator("button")
            assert button.is_visible() != touch
            if touch:
                continue
            size = (
                visit.key("figure_gradient_norms")
                .locator(".js-plotly-plot")
                .evaluate("plot => [plot._fullLayout.width, plot._fullLayout.height]")
            )
            with visit.page.expect_download() as download:
                button.click()
            assert download.value.suggested_filename == "figure_gradient_norms.png"
            saved = Path(download.value.path()).read_bytes()
            # the width and height of a PNG are in its first chunk
            assert struct.unpack(">II", saved[16:24]) == (3 * size[0], 3 * size[1])


def test_a_finger_drags_a_slider(browser: Browser, address: str):
    options = {"viewport": {"width": 1024, "height": 700}, "has_touch": True}
    with windows(browser, **options) as own, visiting(own, address) as visit:
        visit.open("/gradients", hidden=4, length=30)
        lines(visit, "gradient_norms")
        track = visit.key("gain").get_by_role("slider").bounding_box()
        assert track is not None
        touch = own.new_cdp_session(visit.page)

        def drag(way_x: float, way_y: float, *, follows: bool) -> None:
            """Drags the thumb by twenty steps; every fifth waits until the figure is updated."""
            drawn = float(lines(visit, "gradient_norms")["RNN"][0])
            x, y = track["x"] + track["width"] / 3, track["y"] + track["height"] / 2
            for step in range(21):
                point = {"x": x + step * way_x, "y": y + step * way_y}
                kind = "touchMove" if step else "touchStart"
                touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
                if follows and step and step % 5 == 0:
                    drawn = redrawn(visit, drawn)
            touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
            visit.settle()

        drag(4, 0, follows=True)
        gain = float(visit.query["gain"])
        assert gain > 1.3
        check_norms(visit, NetworkSettings(hidden=4, length=30, gain=gain))
        drag(0, -8, follows=False)
        assert float(visit.query["gain"]) == pytest.approx(1, abs=0.05), (
            "the value that was touched"
        )


def test_zoom_and_a_hidden_line_stay_while_a_slider_moves(visit: Visit):
    visit.open("/gradients", hidden=4, length=30)
    plot = visit.key("figure_gradient_norms").locator(".js-plotly-plot")
    lines(visit, "gradient_norms")
    plot.evaluate("plot => Plotly.relayout(plot, {'xaxis.range': [5, 12]})")
    plot.locator(".legendtoggle").first.click()
    visit.until(
        "the line is hidden",
        "() => document.querySelector('.st-key-figure_gradient_norms .js-plotly-plot')"
        "._fullData[0].visible === 'legendonly'",
    )
    slider = visit.key("gain").get_by_role("slider")
    slider.focus()
    slider.press("End")
    visit.settle()
    check_norms(visit, NetworkSettings(hidden=4, length=30, gain=3))
    kept = plot.evaluate("plot => [plot._fullLayout.xaxis.range, plot._fullData[0].visible]")
    assert kept == [[5, 12], "legendonly"]


def test_another_seed_and_an_emptied_one_which_is_0(visit: Visit):
    visit.open("/gradients", hidden=4, length=30, seed=7)
    check_norms(visit, NetworkSettings(hidden=4, length=30, seed=7))
    field = visit.key("seed").locator("input")
    field.fill("")
    field.press("Enter")
    visit.settle()
    assert field.input_value() == "0"
    check_norms(visit, NetworkSettings(hidden=4, length=30, seed=0))
    field.fill("8")
    field.press("Enter")
    visit.settle()
    check_norms(visit, NetworkSettings(hidden=4, length=30, seed=8))
    assert visit.query["seed"] == "8"


def test_what_takes_long_shows_progress_and_can_be_cancelled(visit: Visit):
    visit.open("/gradients", hidden=256, length=1000)
    visit.key("start_stability").get_by_role("button").first.click()
    cancel = visit.key("cancel_stability").get_by_role("button").first
    cancel.wait_for()
    visit.page.get_by_test_id("stProgress").wait_for()  # visible
    cancel.click()
    visit.page.get_by_test_id("stProgress").wait_for(state="detached")
    visit.settle()
    assert visit.key("figure_lyapunov").count() == 0
    # and a computation of about a second runs to its end
    visit.open("/gradients", hidden=96, length=500)
    visit.key("start_stability").get_by_role("button").first.click()
    visit.key("figure_lyapunov").locator(".main-svg").first.wait_for()
    visit.settle()
    assert len(lines(visit, "lyapunov")["LSTM"]) == 192


# The next page's query, as Streamlit may handle it on a busy machine: before it changes the path.
EARLY = """() => document.addEventListener(
    'click', () => history.pushState({}, '', location.pathname))"""


@pytest.mark.parametrize(("key", "gain"), [(None, "3"), ("ArrowLeft", "2.99")])
def test_a_query_before_its_path_does_not_replace_the_entry_of_the_page_before(
    visit: Visit, key: str | None, gain: str
):
    visit.open("/gradients", hidden=4, gain=3)
    entries = visit.page.evaluate("() => history.length")
    visit.page.evaluate(EARLY)
    if key is not None:
        visit.key("gain").get_by_role("slider").press(key)
    visit.page.get_by_role("link", name="Step through", exact=True).click()
    visit.page.locator(".rnnviz-count").wait_for()
    visit.settle()
    assert visit.query == {}
    assert visit.page.evaluate("() => history.length") == entries + 1
    visit.page.go_back()
    visit.page.locator(".rnnviz-verdict").first.wait_for()
    visit.settle()
    assert visit.query == {"hidden": "4", "gain": gain}
    check_norms(visit, NetworkSettings(hidden=4, gain=float(gain)))


def test_the_menu_keeps_the_settings_of_both_pages(visit: Visit):
    visit.open("/", text="abc", t=2)
    visit.page.get_by_role("link", name="Gradients").click()
    visit.page.locator(".rnnviz-verdict").first.wait_for()
    slider = visit.key("gain").get_by_role("slider")
    slider.focus()
    slider.press("End")
    visit.settle()
    assert visit.query == {"init": "orthogonal", "gain": "3", "forget_bias": "3"}
    visit.page.get_by_role("link", name="Step through").click()
    visit.page.locator(".rnnviz-count").wait_for()
    visit.settle()
    assert visit.count == "step 2 of 3"
    assert visit.query == {"text": "abc", "t": "2"}
    visit.page.get_by_role("link", name="Gradients").click()
    visit.page.locator(".rnnviz-verdict").first.wait_for()
    visit.settle()
    assert visit.query == {"init": "orthogonal", "gain": "3", "forget_bias": "3"}
    check_norms(visit, GradientsPage.first().network().model_copy(update={"gain": 3.0}))
    slider.press("ArrowLeft")
    visit.until("the address has 2.99", "() => location.search.includes('gain=2.99')")
    for name, ready in (("Step through", ".rnnviz-count"), ("Gradients", ".rnnviz-verdict")):
        visit.page.get_by_role("link", name=name).press("Enter")  # without waiting
        visit.page.locator(ready).first.wait_for()
        visit.settle()
    check_norms(visit, GradientsPage.first().network().model_copy(update={"gain": 2.99}))
    visit.page.get_by_role("link", name="Forget bias 3").click()
    expect(visit.page.locator(".rnnviz-scene")).to_be_visible()
    visit.settle()
    visit.page.get_by_role("link", name="Step through").click()
    visit.page.locator(".rnnviz-count").wait_for()
    visit.settle()
    assert visit.query == {"text": "abc", "t": "2"}  # a scene does not change the text


def test_the_language_turns_the_page(visit: Visit):
    visit.open("/gradients", nonlinearity="sigmoid", cell="rnn")
    assert "halves every" in verdicts(visit)
    visit.key("language").get_by_text("한국어").click()
    visit.settle()
    assert "절반이 됩니다" in verdicts(visit)
    assert visit.query["language"] == "ko"
    check_norms(visit, NetworkSettings(nonlinearity="sigmoid"))


@pytest.mark.parametrize("width", [768, 1920])
def test_nothing_overflows(visit: Visit, width: int):
    visit.page.set_viewport_size({"width": width, "height": 1400})
    visit.open("/gradients", claim="true", length=300)
    lines(visit, "gradient_norms")
    for card in visit.page.locator("[class*=st-key-card_]").all():
        box = card.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    wide = visit.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= width


@pytest.mark.parametrize(
    "query",
    [
        {"cell": "rnn", "gain": 0.9, "input_scale": 3},
        {"hidden": 8, "loss": "all", "forget_bias": 2, "input_scale": 4},
    ],
)
def test_what_follows_is_drawn_as_if_it_were_new_and_not_laid_out_anew(
    visit: Visit, query: dict[str, Any]
):
    visit.open("/gradients", **query)
    figures = (*FIGURES, "jacobian_norms", "lyapunov")
    for figure in figures:
        lines(visit, figure)
    visit.page.evaluate(
        """() => {
            const { react } = Plotly;
            window.anew = [];
            Plotly.react = function (plot) {
                window.anew.push(plot.closest("[class*=st-key-figure]").className);
                return react.apply(this, arguments);
            };
        }"""
    )
    before = {figure: visit.page.evaluate(FRESH, figure)[0] for figure in figures}
    hold_keys(visit, "gain", *["ArrowRight"] * 8)
    assert visit.page.evaluate("() => window.anew") == []
    for figure in figures:
        drawn, fresh = visit.page.evaluate(FRESH, figure)
        assert drawn != before[figure], figure
        assert rounded(drawn) == rounded(fresh), figure


def test_what_was_moved_is_drawn_as_if_it_were_new(visit: Visit):
    visit.open("/gradients", hidden=4, length=40)
    slider = visit.key("gain").locator("input")
    for key in ("PageUp", "PageUp", "ArrowLeft", "Home", "PageUp", "PageUp", "PageUp"):
        slider.press(key)
        visit.page.wait_for_timeout(40)  # still dragged
    visit.settle()
    for figure in (*FIGURES, "jacobian_norms", "lyapunov"):
        lines(visit, figure)
        drawn, fresh = (rounded(seen) for seen in visit.page.evaluate(FRESH, figure))
        assert len(drawn) > 500
        assert drawn == fresh, figure


def test_the_first_view_goes_from_vanishing_to_exploding_by_its_gain_alone(visit: Visit):
    """At every position the sentence and the marks say what the networks do."""
    first = GradientsPage.first()
    visit.open("/gradients")
    assert visit.query == {}
    story = visit.page.locator(".rnnviz-story")
    slider = visit.key("gain").locator("input")
    marks = gain_marks(first.network())
    names = visit.key("gain").locator(".marks span")
    names.first.wait_for()
    assert names.all_inner_texts() == ["lasts", "explodes"]
    assert marks.lasts is not None
    assert marks.explodes is not None
    for mark, gain in zip(names.all(), (marks.lasts, marks.explodes), strict=True):
        at = mark.evaluate("mark => Number(mark.style.getPropertyValue('--at'))")
        assert at == pytest.approx(gain / 3)
    for gain, verb in ((marks.lasts, "lasts"), (marks.explodes, "explodes")):
        slider.evaluate(MOVE, round(100 * gain) - 1)
        visit.settle()
        assert f"gradient {verb}." not in story.inner_text()
        slider.press("ArrowRight")
        visit.settle()
        settings = first.model_copy(update={"gain": gain})
        check_norms(visit, settings.network())
        html = write_story(settings, labels("en"), compute=True)
        told = unescape(re.sub("<.*?>", "", html))
        assert told == story.inner_text()
        assert f"gradient {verb}." in told
        assert visit.query == settings.to_query()
    slider.evaluate(MOVE, 100)
    visit.settle()
    assert visit.query == {}
    visit.page.reload()
    check_norms(visit, first.network())


def test_marks_are_hidden_while_they_may_be_wrong(visit: Visit):
    visit.open("/gradients")
    marks = visit.key("gain").locator(".marks")
    marks.locator("span").first.wait_for()
    before = marks.locator("span").evaluate_all(MARKED)
    for name, follows in (("forget_bias", True), ("input_scale", False)):
        slider = visit.key(name).locator("input")
        slider.evaluate("input => input.dispatchEvent(new PointerEvent('pointerdown'))")
        slider.evaluate(MOVE, 3)
        visit.until(
            "a live update", "() => [...rnnvizPage.shownAt.values()].includes(rnnvizPage.changes)"
        )
        expect(marks).to_be_visible() if follows else expect(marks).to_be_hidden()
        visit.page.evaluate("window.dispatchEvent(new PointerEvent('pointerup'))")
        visit.settle()
        expect(marks).to_be_visible()
    assert marks.locator("span").evaluate_all(MARKED) != before


RUNS = "() => window.rnnvizPage.runs"


def test_a_fast_hand_is_followed_by_all_in_the_end_without_a_run_of_the_page(visit: Visit):
    visit.open("/gradients", hidden=64, length=1000)  # too large to update all at every move
    lines(visit, "gradient_norms")
    visit.settle()
    runs = visit.page.evaluate(RUNS)
    hold_keys(visit, "gain", *["ArrowLeft"] * 12)
    settings = NetworkSettings(hidden=64, length=1000, gain=0.88)
    check_norms(visit, settings)
    traces = run_networks(settings)
    drawn = lines(visit, "weight_gradients")
    for cell, trace in traces.items():
        found = weight_gradient_norms(trace)["log10_contribution"].values.ravel()
        finite = np.isfinite(found)
        assert drawn[cell.upper()][finite].tolist() == found[finite].tolist(), cell
    assert visit.query["gain"] == "0.88"
    assert visit.page.evaluate(RUNS) == runs


def test_the_script_hears_once_of_what_has_followed_and_the_address_has_every_value(visit: Visit):
    sent: list[object] = []
    on_stream(visit.page, framesent=lambda frame: sent.append(frame))
    visit.open("/gradients", hidden=12, length=30)
    lines(visit, "gradient_norms")
    visit.settle()
    before, runs = len(sent), visit.page.evaluate(RUNS)
    slider = visit.key("gain").locator("input")
    slider.focus()
    for gain in ("1.01", "1.02", "1.03"):
        visit.page.keyboard.down("ArrowRight")
        visit.until("all parts have followed", FOLLOWED)
        visit.until(f"the address has {gain}", f"() => location.search.includes('gain={gain}')")
        check_norms(visit, NetworkSettings(hidden=12, length=30, gain=float(gain)))
    assert len(sent) == before, "nothing while the key is down"
    visit.page.keyboard.up("ArrowRight")
    visit.settle()
    assert len(sent) == before + 1, "one message, after the debounce"
    assert visit.page.evaluate(RUNS) == runs, "the page is not run for it"
    slider.press("ArrowRight")
    visit.until("the address has 1.04", "() => location.search.includes('gain=1.04')")
    visit.key("loss").get_by_text("at all steps", exact=True).click()
    visit.settle()
    assert visit.query == {"hidden": "12", "length": "30", "gain": "1.04", "loss": "all"}
    check_norms(visit, NetworkSettings(hidden=12, length=30, gain=1.04, loss="all"))
    slider.press("ArrowRight")
    visit.until("the address has 1.05", "() => location.search.includes('gain=1.05')")
    visit.page.reload()
    expect(visit.key("gain").locator("output")).to_have_text("1.05")
    check_norms(visit, NetworkSettings(hidden=12, length=30, gain=1.05, loss="all"))
    visit.page.go_back()
    assert visit.query == {"hidden": "12", "length": "30", "gain": "1.04"}, "only the last gain"


def test_back_leads_over_pages_to_what_stood_there(visit: Visit):
    """Also from a page with other widgets, and to an address without most settings."""
    visit.open("/gradients", hidden=12, length=30)
    check_norms(visit, NetworkSettings(hidden=12, length=30))
    visit.page.get_by_role("link", name="Forget bias 3").click()
    visit.settle()
    check_norms(visit, NetworkSettings(forget_bias=3))
    visit.page.get_by_role("link", name="Step through").click()
    visit.cells.first.wait_for()
    visit.settle()
    addresses = [visit.query]
    for _ in range(5):
        visit.page.go_back()
        visit.settle()
        visit.check()
        addresses.append(visit.query)
        if visit.query == {"hidden": "12", "length": "30"}:
            break
    assert {"forget_bias": "3"} in addresses
    assert visit.query == {"hidden": "12", "length": "30"}, addresses
    check_norms(visit, NetworkSettings(hidden=12, length=30))
    expect(visit.key("hidden").locator("output")).to_have_text("12")


def test_a_scene_is_not_overtaken_by_a_slider_moved_just_before(timed: Visit):
    visit = timed.open("/gradients")
    lines(visit, "gradient_norms")
    visit.settle()
    visit.key("gain").locator("input").press("ArrowRight")
    visit.until("the address has 1.01", "() => location.search.includes('gain=1.01')")
    visit.page.get_by_role("link", name="Forget bias 3").click()
    visit.settle()
    with visit.own_time():
        visit.page.clock.run_for(2500)
    visit.settle()
    assert visit.query == {"forget_bias": "3"}
    check_norms(visit, NetworkSettings(forget_bias=3))


def test_while_a_slow_run_lasts_no_figure_of_an_earlier_one_comes_back(visit: Visit):
    visit.open("/gradients", hidden=256, length=2000)
    lines(visit, "gradient_norms")
    slider = visit.key("gain").locator("input")
    slider.press("ArrowRight")
    visit.settle()
    moved = float(lines(visit, "gradient_norms")["LSTM"][0])
    visit.page.evaluate(
        """() => {
            const plot = document.querySelector(".st-key-figure_gradient_norms .js-plotly-plot");
            window.drawn = [];
            plot.on("plotly_afterplot", () => {
                window.drawn.push(plot._fullData.find(({ name }) => name === "LSTM").y[0]);
            });
        }"""
    )
    field = visit.key("seed").locator("input")
    field.fill("8")
    field.press("Enter")
    visit.settle()
    last = float(lines(visit, "gradient_norms")["LSTM"][0])
    drawn: list[float] = visit.page.evaluate("() => window.drawn")
    assert drawn[-1] == last != moved
    assert set(drawn) <= {moved, last}
