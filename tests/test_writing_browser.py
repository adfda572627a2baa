"""The network writes on in the browser."""

import pytest

from rnnviz.experiment import FIRST_TEXT, MOST_CHARACTERS
from rnnviz.experiment.writing import write_on
from rnnviz.locale import labels
from rnnviz.ui.cache import character_model
from rnnviz.ui.step.cards import WRITTEN
from tests.browser import Visit

pytestmark = pytest.mark.browser


def test_the_network_writes_on_from_the_step_shown_and_plays_it(visit: Visit):
    visit.open("/", temperature="0", t=20, speed=10)
    pencil = visit.page.locator("[data-do=write]")
    assert pencil.get_attribute("aria-label") == labels("en")["player.write"]
    visit.cells.nth(21).click()  # not heard by the server yet
    pencil.click()
    written = write_on(character_model("lstm"), FIRST_TEXT[:22], WRITTEN, temperature=0)
    visit.until(
        "it plays what it has written",
        f"() => document.querySelector('.rnnviz-count').innerText.endsWith('of {22 + WRITTEN}')"
        " && document.querySelector('[data-do=play]').dataset.now === 'playing'",
    )
    visit.page.locator("[data-do=play]").click()
    visit.settle()
    assert visit.key("text").locator("textarea").input_value() == written
    assert visit.query["text"] == written
    assert int(visit.query["t"]) >= 22
    visit.page.go_back()
    visit.settle()
    assert "text" not in visit.query, "Back brings back the own text"
    assert visit.key("text").locator("textarea").input_value() == FIRST_TEXT


def test_a_text_of_the_largest_length_has_no_room(visit: Visit):
    visit.open("/", text="x" * MOST_CHARACTERS, t=MOST_CHARACTERS)
    pencil = visit.page.locator("[data-do=write]")
    assert pencil.is_disabled()
    assert pencil.get_attribute("title") == "The text has its largest length here"
    visit.page.locator("[data-do=first]").click()
    assert pencil.is_enabled()
    visit.open("/compare")
    assert visit.page.locator("[data-do=write]").is_hidden()
