"""Settings from the address, session keys, adding a page, and limits declared once."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field
from streamlit.testing.v1 import AppTest

from rnnviz.experiment import FIRST_TEXT, ComparePage, GradientsPage, PageSettings, limits_of
from rnnviz.experiment.settings import SizeAndSignal
from rnnviz.ui import address, live_server
from rnnviz.ui.compare.controls import BUDGET_DIGITS
from rnnviz.ui.components.connection import LEAVING
from rnnviz.ui.components.slider import tick
from rnnviz.ui.pages import PAGES, Page, default_values
from rnnviz.ui.scales import round_numbers
from rnnviz.ui.session import Entry, Session
from tests.test_page import ROOT, choice, messages_of, opened, run, settings_of

pytestmark = [
    pytest.mark.slow,
    # Streamlit itself triggers it: it creates its event loop in a thread without one.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:streamlit"),
]
UI = ROOT / "rnnviz" / "ui"


def go_to(page: AppTest, *, by_history: bool = True, **query: str) -> AppTest:
    """The page at another address, as after Back and Forward; or from a late message."""
    page.query_params.clear()
    for name, value in query.items():
        page.query_params[name] = value
    # AppTest would run the page's script alone, but app.py reads the address
    page._finished_page_script_hash = ""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(address, "_is_history_navigation", lambda: by_history)
        return run(page)


# The address is the source


def test_back_to_an_empty_query_restores_the_defaults():
    page = opened()
    first = page.session_state.unit
    choice(page, "cell").set_value("gru")
    page.text_area(key="text").set_value("x = 'a'")
    run(page)
    assert settings_of(page) == {"cell": "gru", "text": "x = 'a'", "t": "7"}
    go_to(page)
    state = page.session_state
    assert (state.cell, state.unit, state.t) == ("lstm", first, 37)
    assert page.text_area(key="text").value == FIRST_TEXT
    assert settings_of(page) == {}


def test_back_to_another_cell_shows_that_cells_first_unit():
    page = opened(t="21")
    first = page.session_state.unit
    choice(page, "cell").set_value("gru")
    assert run(page).session_state.unit != first
    go_to(page, t="21")
    assert (page.session_state.cell, page.session_state.unit) == ("lstm", first)
    assert settings_of(page) == {"t": "21"}


def test_back_and_forward_change_the_language():
    page = opened()
    choice(page, "language").set_value("ko")
    assert settings_of(run(page)) == {"language": "ko"}
    assert go_to(page).session_state.language == "en"
    assert go_to(page, language="ko").session_state.language == "ko"


def test_a_change_sent_before_the_address_changed_is_kept():
    page = opened(order="index")
    choice(page, "cell").set_value("gru")
    assert settings_of(run(page)) == {"cell": "gru", "order": "index"}
    page.selectbox(key="unit").set_value(7)
    go_to(page, by_history=False, order="index")  # the browser's earlier address
    assert settings_of(page) == {"cell": "gru", "order": "index", "unit": "7"}


def test_a_link_overrides_a_change_made_at_the_same_time():
    page = opened()
    page.selectbox(key="unit").set_value(7)
    go_to(page, by_history=False, cell="rnn", order="index", **{address.LINK: "any"})
    assert settings_of(page) == {"cell": "rnn", "order": "index"}
    assert page.session_state.unit == 0


def test_a_change_made_before_a_links_address_is_rewritten_is_kept():
    link = {"order": "index", address.LINK: "any"}
    page = opened(**link)
    page.session_state[Session.address.key] = None  # as where the run was cut short
    page.selectbox(key="unit").set_value(7)
    go_to(page, by_history=False, **link)
    assert settings_of(page) == {"order": "index", "unit": "7"}
    page.selectbox(key="unit").set_value(5)
    go_to(page, by_history=False, **link)
    assert settings_of(page) == {"order": "index"}, "the link was followed again"


def test_values_delivered_before_leaving_are_taken_one_by_one():
    page = opened(order="index", t="21")
    page.session_state[LEAVING] = {"t": "", "speed": "7", "order": "none", "gain": "2"}
    state = go_to(page, by_history=False, order="index", t="21").session_state
    assert (state.t, state.speed, state.order) == (37, 7, "index"), "an empty text is the default"
    assert state.gain == 1.0, "a setting of another page"


def test_a_page_ignores_settings_of_other_pages():
    page = opened(gain="99", part="nothing")
    assert messages_of(page.warning) == []
    assert settings_of(page) == {}


# The session's keys


def test_session_keys_other_than_settings_have_a_prefix():
    """A widget's key is a query parameter, so the prefix rules out a collision."""
    entries = {name: part for name, part in vars(Session).items() if isinstance(part, Entry)}
    assert len(entries) > 8
    assert {part.key for part in entries.values()} == {f"rnnviz.{name}" for name in entries}
    methods = {"get", "setdefault", "pop"}
    used = {
        (path.name, name)
        for path in UI.rglob("*.py")
        for name in re.findall(r"\b(?:session_state|state)\.(\w+)", path.read_text("utf-8"))
    }
    assert {name for _, name in used} >= {"unit", "networks", "selected"}
    fields = default_values()
    assert [part for part in used if part[1] not in {*fields, *methods}] == []


# Adding a page


class TrainPage(PageSettings, SizeAndSignal):
    rate: Annotated[float, Field(ge=0, le=1)] = 0.25


def train_script() -> None:
    import streamlit as st

    from rnnviz.experiment import limits_of
    from rnnviz.ui.address import current, read_address, restore_widgets, write_address
    from rnnviz.ui.pages import PAGES
    from rnnviz.ui.session import session

    page = PAGES["train"].settings
    restore_widgets()
    read_address("train")
    for name, number in (("hidden", int), ("rate", float)):
        low, high = map(number, limits_of(page, name))
        st.slider(name, low, high, key=name)
    for problem in session.problems:
        st.warning(str(problem))
    write_address(current(page))


def test_a_page_is_added_by_one_entry(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(PAGES, "train", Page(TrainPage, ":material/school:"))
    page = AppTest.from_function(train_script)
    page.query_params["rate"] = "0.5"
    page.query_params["hidden"] = "999"
    run(page)
    assert messages_of(page.warning) == [
        "The link asks for hidden=999, which must be an integer from 2 to 256. The page shows "
        "16 instead."
    ]
    assert (page.slider(key="rate").value, page.slider(key="hidden").value) == (0.5, 16)
    page.slider(key="hidden").set_value(256)
    assert settings_of(run(page)) == {"rate": "0.5", "hidden": "256"}
    words: dict[str, Any] = {"rate_text": lambda settings, _words: f"{settings.rate:.3f}"}
    monkeypatch.setitem(live_server.LIVE_PARTS, "train", live_server.Makers({}, words))
    asked = {"page": "train", "query": {"rate": "0.75"}, "language": "en", "dark": False}
    question = live_server.Question.model_validate(asked | {"seen": ["rate_text"]})
    asked_for = question.settings()
    assert asked_for is not None
    assert list(question.lines(asked_for)) == ['rate_text "0.750"\n']


# Limits

WIDENED = """
from streamlit.testing.v1 import AppTest
from rnnviz.experiment import ComparisonSettings, GradientsPage, limits_of, run_networks
from rnnviz.experiment.comparison import run_compared

def sliders(block):
    for child in block.children.values():
        proto = getattr(child, "proto", None)
        if getattr(proto, "component_name", "") == "rnnviz_slider":
            yield proto
        if hasattr(child, "children"):
            yield from sliders(child)

print(limits_of(GradientsPage, "hidden"))
print(GradientsPage.from_query({"hidden": "301"})[1][0])
try:
    GradientsPage(hidden=301)
except ValueError as error:
    print(error)
settings = GradientsPage(hidden=300, length=2).network()
print(run_networks(settings)["rnn"].array("hidden_state").shape[-1])
settings = ComparisonSettings(input_source="signal", hidden=300, length=2)
print(run_compared(settings)["gru"].array("hidden_state").shape[-1])
page = AppTest.from_file("app.py", default_timeout=120)
page.switch_page("pages/gradients.py")
page.run()
assert not page.exception, page.exception
(data,) = (p.bytes for p in sliders(page._tree) if b'"key": "hidden"' in p.bytes)
print(b'"parts": [[2, 1, 299]]' in data, b"From 2 to 300." in data)
"""


def test_one_declaration_changes_a_limit_everywhere(tmp_path: Path):
    """The limit of ``hidden``, in a copy of the app: its control, its errors and its runs."""
    for folder in ("rnnviz", "pages"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "app.py", tmp_path)
    (tmp_path / "assets").symlink_to(ROOT / "assets")
    limit = "le=256"
    paths = [path for path in (tmp_path / "rnnviz").rglob("*.py") if limit in path.read_text()]
    (path,) = paths
    assert path.read_text().count(limit) == 1
    path.write_text(path.read_text().replace(limit, "le=300"))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WIDENED],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "(2, 300)",
        "The link asks for hidden=301, which must be an integer from 2 to 300. The page shows "
        "16 instead.",
        "hidden is 301; expected 2 – 300. Pass such a value.",
        "300",
        "300",
        "True True",
    ]


LIMITS = [
    r"\b2000\b",  # characters and steps
    r"\b9999\b",
    r"\b60_000\b",
]


def test_controls_contain_no_literal_limits():
    for path in UI.rglob("*.py"):
        for limit in LIMITS:
            assert re.search(limit, path.read_text("utf-8")) is None, f"{path.name}: {limit}"


def test_slider_values_cover_the_limits():
    def values(field: str, step: float) -> list[float]:
        low, high = map(float, limits_of(GradientsPage, field))
        return list(tick(low, high, step))

    assert values("spectral_radius", 0.02) == [k / 50 for k in range(101)]
    assert values("forget_bias", 0.25) == [k / 4 for k in range(-24, 41)]
    clip = round_numbers(*limits_of(GradientsPage, "clip"))
    assert clip == [d * 10.0**e for e in range(-3, 3) for d in (1, 2, 5)] + [1000.0]
    budget = round_numbers(*limits_of(ComparePage, "budget"), BUDGET_DIGITS)
    assert list(map(int, budget[:9])) == [10, 15, 20, 30, 40, 50, 70, 100, 150]
    assert budget[-1] == 50_000
    assert len(budget) == 27
