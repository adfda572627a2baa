"""No change is lost, whatever the user does and however soon they leave the page.

Random action sequences on a busy machine. After each action, the address, the controls and the
figures are compared with each other and with the settings that the actions should give.
"""

import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, expect

from rnnviz.cells import GATE_NAMES
from rnnviz.experiment import SCENES, Edit, run_networks, with_edit
from rnnviz.explain.equations import equations
from rnnviz.locale import labels
from rnnviz.ui.cache import character_model, unit_order
from rnnviz.ui.pages import PAGES, default_values
from tests.browser import Server, Visit, serving, visiting, windows
from tests.step_cards import equation_text
from tests.test_faults_browser import away
from tests.test_gradients_browser import check_norms

pytestmark = pytest.mark.browser

WORDS = labels("en")
READY = {"gradients": ".rnnviz-verdict", "step": ".rnnviz-count"}
TEXTS = ("x = 'ab'", "def f(a):", "한글 a", "class Dog:", "(~*'!) + %&=#")
SCENE_NAMES = ("forget_minus", "forget_zero", "forget_one", "forget_three")
START = default_values() | {"hidden": 4, "length": 30, "text": "print('a')", "t": 3}
GAINS = [k / 100 for k in range(301)]
SEEDS = (1, 2)
ACTIONS = 10


@contextmanager
def busy() -> Iterator[None]:
    """A process that competes with the server and the browser for the CPU, as do other tests."""
    spinning = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        spinning.kill()
        spinning.wait()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def reader(browser: Browser, server: Server) -> Iterator[BrowserContext]:
    options = {"viewport": {"width": 1440, "height": 2300}}
    with windows(browser, server.address, **options) as context:
        yield context


@dataclass
class Person:
    """A user of the page, with the settings that the page must show."""

    visit: Visit
    server: Server
    chance: random.Random
    page: str = "gradients"
    values: dict[str, Any] = field(default_factory=lambda: dict(START))  # the fields of all pages
    unit: int | None = None  # on the step page; None: the first of the order
    history: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    done: list[str] = field(default_factory=list)

    @property
    def settings(self) -> Any:
        """The page's settings."""
        kind = PAGES[self.page].settings
        return kind(**{name: self.values[name] for name in kind.model_fields})

    def act(self) -> None:
        """Does one random action, and compares once the page is idle."""
        name = self.chance.choice(list(self.choices))
        self.done.append(name)
        self.choices[name]()
        self.check()

    @property
    def choices(self) -> dict[str, Callable[[], None]]:
        here = GRADIENTS if self.page == "gradients" else STEP
        found = {name: getattr(self, name) for name in (*here, *ANYWHERE)}
        if self.page == "gradients" and self.settings.hidden > 8:
            del found["type_weight"]
        return found

    # On the gradients page

    def drag(self) -> None:
        box = self.slider("gain").bounding_box()
        assert box
        mouse, y = self.visit.page.mouse, box["y"] + box["height"] / 2
        mouse.move(box["x"] + box["width"] * self.settings.gain / 3, y)
        mouse.down()
        for _ in range(self.chance.randint(1, 8)):
            mouse.move(box["x"] + box["width"] * self.chance.uniform(0.05, 0.95), y)
        mouse.up()
        self.change(gain=float(self.visit.key("gain").locator("output").inner_text()))

    def press(self) -> None:
        slider, at = self.slider("gain"), GAINS.index(self.settings.gain)
        for _ in range(self.chance.randint(1, 4)):
            key, way = self.chance.choice(
                [("ArrowLeft", -1), ("ArrowRight", 1), ("PageUp", 30), ("PageDown", -30)]
            )
            slider.press(key)
            at = min(max(at + way, 0), 300)
        self.change(gain=GAINS[at])

    def type_weight(self) -> None:
        row, column = self.chance.randrange(4), self.chance.randrange(4)
        value = self.chance.choice([0.5, -1.25, 2.0, -0.0375])
        line = self.visit.key("grid").get_by_role("row").nth(row + 1)
        line.get_by_role("gridcell").nth(column).click()
        field = self.visit.key("grid").locator("input")
        field.fill(str(value))
        field.press("Enter")
        edit = Edit("lstm", "forget_gate", row, column, value)
        self.change(edit=with_edit(self.settings.edit, edit))

    def type_seed(self) -> None:
        seed = self.chance.randrange(1, 9)
        field = self.visit.key("seed").locator("input")
        field.fill(str(seed))
        field.press("Enter")
        self.change(seed=seed)

    def choose_loss(self) -> None:
        loss = self.chance.choice(["last", "all"])
        self.visit.key("loss").get_by_text(WORDS[f"loss.{loss}"], exact=True).click()
        self.change(loss=loss)

    def key_and_seed(self) -> None:
        """Two controls at nearly the same moment."""
        self.press()
        self.type_seed()

    def open_scene(self) -> None:
        name = self.chance.choice(SCENE_NAMES)
        link = self.visit.page.get_by_role("link", name=WORDS[f"scene.{name}"], exact=True)
        link.click()
        self.change(**dict(SCENES[name]) | {"gate": None})

    def key_and_scene(self) -> None:
        self.press()
        self.open_scene()

    def key_and_menu(self) -> None:
        self.press()
        self.open_menu()

    def weight_and_menu(self) -> None:
        if self.settings.hidden <= 8:
            self.type_weight()
        self.open_menu()

    def seed_and_menu(self) -> None:
        self.type_seed()
        self.open_menu()

    def key_and_back(self) -> None:
        self.press()
        self.note()
        self.go_back()

    # On the step page

    def click_character(self) -> None:
        t = self.chance.randint(1, len(self.settings.text))
        self.visit.cells.nth(t - 1).click()
        self.change(t=t)

    def step(self) -> None:
        self.visit.page.locator(".rnnviz-title").click()
        t = self.settings.t
        for _ in range(self.chance.randint(1, 4)):
            key, way = self.chance.choice([("ArrowLeft", -1), ("ArrowRight", 1)])
            self.visit.page.keyboard.press(key)
            t = min(max(t + way, 1), len(self.settings.text))
        self.change(t=t)

    def type_text(self) -> None:
        text = self.chance.choice(TEXTS)
        area = self.visit.key("text").locator("textarea")
        area.fill(text)
        area.press("Control+Enter")
        self.change(text=text, t=min(self.settings.t, len(text)))

    def text_and_menu(self) -> None:
        """The text is submitted when its field loses the focus to the link."""
        text = self.chance.choice(TEXTS)
        self.visit.key("text").locator("textarea").fill(text)
        self.change(text=text, t=min(self.settings.t, len(text)))
        self.open_menu()

    def step_and_menu(self) -> None:
        self.step()
        self.open_menu()

    # Anywhere

    def open_menu(self) -> None:
        other = "step" if self.page == "gradients" else "gradients"
        self.note()
        name = {"step": "Step through", "gradients": "Gradients"}[other]
        self.visit.page.get_by_role("link", name=name, exact=True).click()
        self.arrive(other)

    def go_back(self) -> None:
        if self.visit.page.evaluate("() => history.length") < 4:
            return
        before = self.visit.page.url
        self.visit.page.go_back()
        if urlsplit(self.visit.page.url).path in ("/_stcore/health", "blank"):
            self.visit.page.go_forward()
        self.come_to(before)

    def go_forward(self) -> None:
        before = self.visit.page.url
        self.visit.page.go_forward()
        self.come_to(before)

    def reload(self) -> None:
        self.visit.page.reload()
        self.forget()
        self.arrive(self.page)

    def change_and_reload(self) -> None:
        self.press() if self.page == "gradients" else self.step()
        self.reload()

    def open_second_tab(self) -> None:
        self.visit.settle()
        with visiting(self.visit.page.context, self.server.address) as other:
            other.page.goto(self.visit.page.url)
            other.page.wait_for_selector(READY[self.page])
            there = Person(other, self.server, self.chance, self.page, dict(self.values), self.unit)
            there.check()

    def restart_server(self) -> None:
        if "restart_server" in self.done[:-1]:
            return
        self.visit.settle()
        with away(self.visit, self.server):
            self.press() if self.page == "gradients" else self.step()
        self.forget()
        self.visit.settle()

    # What the page must show

    def slider(self, name: str) -> Locator:
        return self.visit.key(name).locator("input")

    def change(self, **values: object) -> None:
        self.values |= values

    def forget(self) -> None:
        """A new session: it knows only the address."""
        own = PAGES[self.page].settings.model_fields
        others = {name: value for name, value in default_values().items() if name not in own}
        if self.page == "gradients":  # the text is not in the address, so the step is its default
            self.unit = None
        self.change(**others)

    def note(self) -> None:
        self.history.append((self.page, self.query()))

    def arrive(self, page: str) -> None:
        self.page = page
        self.visit.page.locator(READY[page]).first.wait_for()

    def come_to(self, before: str) -> None:
        """Arrives at an entry of the history, with the settings of its address."""
        self.visit.page.wait_for_timeout(500)
        self.visit.settle()
        if self.visit.page.url == before:
            return
        path = urlsplit(self.visit.page.url).path.strip("/")
        self.arrive(path or "step")
        self.visit.settle()
        read, problems = PAGES[self.page].settings.from_query(self.visit.query)
        assert not problems
        self.change(**dict(read))
        if self.page == "step":
            self.unit = self.values["unit"]

    def query(self) -> dict[str, str]:
        settings = self.settings.model_copy(update={"gate": None})
        if self.page == "step":
            settings = settings.model_copy(update={"unit": None})
        if self.page == "step" and self.unit is not None and self.unit != self.first_unit:
            settings = settings.model_copy(update={"unit": self.unit})
        return settings.to_query()

    @property
    def first_unit(self) -> int:
        cell, text, order = (self.values[name] for name in ("cell", "text", "order"))
        return int(unit_order(cell, text, order).units[0])

    def check(self) -> None:
        """Asserts that address, controls and figures show the expected settings."""
        self.visit.settle()
        where = urlsplit(self.visit.page.url).path.strip("/") or "step"
        assert where == self.page, self.visit.page.url
        if self.page == "step" and self.unit is None:
            self.unit = self.first_unit
        assert self.visit.query == self.query()
        self.check_gradients() if self.page == "gradients" else self.check_step()
        self.note()
        self.visit.check()

    def check_gradients(self) -> None:
        settings, visit = self.settings, self.visit
        expect(visit.key("gain").locator("output")).to_have_text(f"{settings.gain:.2f}")
        expect(visit.key("hidden").locator("output")).to_have_text(str(settings.hidden))
        expect(visit.key("seed").locator("input")).to_have_value(str(settings.seed))
        expect(visit.key("loss").get_by_role("radio", checked=True)).to_have_text(
            re.compile(re.escape(WORDS[f"loss.{settings.loss}"]))
        )
        check_norms(visit, settings.network())
        names = GATE_NAMES["lstm"]
        weights = run_networks(settings.network())["lstm"].parameters["weight_hh_l0"]
        rows = slice(*(settings.hidden * (names.index("forget_gate") + k) for k in (0, 1)))
        if settings.hidden > 8:
            plot = visit.key("figure_weights").locator(".js-plotly-plot")
            read = "plot => Array.from(plot._fullData[0].z, row => Array.from(row))"
            assert plot.evaluate(read) == weights[rows].tolist()
        else:
            texts = visit.key("grid").get_by_role("gridcell").locator("span").all_inner_texts()
            shown = [float(text.replace("−", "-")) for text in texts]
            assert shown == pytest.approx(weights[rows].ravel().tolist(), rel=0.05, abs=1e-12)

    def check_step(self) -> None:
        settings, visit = self.settings, self.visit
        assert self.unit is not None
        assert visit.key("text").locator("textarea").input_value() == settings.text
        assert visit.count == f"step {settings.t} of {len(settings.text)}"
        heading = visit.page.locator(".drawing .rnnviz-heading")
        assert heading.inner_text() == f"LSTM cell, unit {self.unit}, step {settings.t}"
        assert visit.key("unit").locator("input").first.input_value().split()[0] == str(self.unit)
        record = character_model("lstm").read(settings.text)
        drawn = equation_text(visit.page)
        for line in equations(record, self.unit, settings.t - 1).values():
            assert f"={line.value}" in drawn


GRADIENTS = (
    "drag",
    "press",
    "type_weight",
    "type_seed",
    "choose_loss",
    "key_and_seed",
    "open_scene",
    "key_and_scene",
    "key_and_menu",
    "weight_and_menu",
    "seed_and_menu",
    "key_and_back",
)
STEP = ("click_character", "step", "type_text", "text_and_menu", "step_and_menu")
ANYWHERE = (
    "open_menu",
    "go_back",
    "go_forward",
    "reload",
    "change_and_reload",
    "open_second_tab",
    "restart_server",
)


def live(visit: Visit, server: Server, seed: int, actions: int) -> None:
    """Does ``actions`` random actions, starting on the first page."""
    person = Person(visit, server, random.Random(seed))
    visit.open("/gradients", **person.settings.to_query())
    person.forget()
    person.check()
    with busy():
        try:
            for _ in range(actions):
                person.act()
        except BaseException:
            print(f"seed {seed}:", *person.done)
            raise


@pytest.mark.parametrize("seed", SEEDS)
def test_address_controls_and_figures_agree_whatever_is_done(
    reader: BrowserContext, server: Server, seed: int
):
    with visiting(reader, server.address) as visit:
        live(visit, server, seed, ACTIONS)
