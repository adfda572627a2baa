"""The sentences at the top of the step and the compare page, against the library's numbers."""

import numpy as np
import pytest

from rnnviz.cells import GATES_AS_READ
from rnnviz.experiment import FIRST_TEXT
from rnnviz.experiment.character_model import load_character_model
from rnnviz.explain.unit_order import order_units
from rnnviz.inputs.vocabulary import picture
from rnnviz.locale import labels
from rnnviz.ui.cache import ASSETS
from tests.browser import Visit

pytestmark = pytest.mark.browser

STEPS = len(FIRST_TEXT)
TOLD = """() => {
    const told = document.querySelector(".rnnviz-story").innerText;
    return [document.querySelector(".rnnviz-count").innerText, told];
}"""


def written(value: float) -> str:
    """A number with two decimals as a sentence shows it."""
    return f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−")


def moved(name: str, before: float, after: float, verbs: tuple[str, str]) -> str:
    if abs(after - before) < 0.005 or written(before) == written(after):
        return f"the {name} stays at {written(after)}"
    return f"the {name} {verbs[after > before]} from {written(before)} to {written(after)}"


def expected(cell: str, unit: int, t: int) -> str:
    """The sentence for one unit and step, from the trace."""
    words, trace = labels("en"), load_character_model(ASSETS / f"characters_{cell}.safetensors")
    trace = trace.read(FIRST_TEXT)
    r = order_units(trace, "inside_string", FIRST_TEXT).scores[unit]
    follows = "follows" if abs(float(f"{r:.2f}")) >= 0.5 else "hardly follows"
    lead = f"Unit {unit} {follows} “inside a string” (r = {r:+.2f}).".replace("-", "−")

    def at(name: str, t: int) -> float:
        return float(trace.array(name)[0, 0, t - 1, 0, unit]) if t else 0.0

    name = "cell_state" if cell == "lstm" else "hidden_state"
    state = moved(words[f"gate.{name}"], at(name, t - 1), at(name, t), ("falls", "rises"))
    read = f"{lead} It has just read {picture(FIRST_TEXT[t - 1])}: "
    gates = [gate for gate in GATES_AS_READ[cell] if gate.endswith("_gate")]
    if t == 1 or not gates:
        return f"{read}{state}."
    gate = max(gates, key=lambda gate: abs(at(gate, t) - at(gate, t - 1)))
    before, after = at(gate, t - 1), at(gate, t)
    verbs = ("closes", "opens") if (before >= 0.5) != (after >= 0.5) else ("falls", "rises")
    return f"{read}{moved(words[f'gate.{gate}'], before, after, verbs)}, and {state}."


def check(visit: Visit, cell: str, unit: int) -> int:
    """Asserts that the sentence is that of the step shown; returns the step."""
    count, told = visit.page.evaluate(TOLD)
    t = int(count.split()[1])
    assert told == expected(cell, unit, t)
    return t


def test_the_sentence_is_that_of_every_step_shown_also_while_it_plays(visit: Visit):
    visit.open("/")
    first = 'Unit 111 follows “inside a string” (r = +0.78). It has just read ": the forget gate'
    told = visit.page.locator(".rnnviz-story").inner_text()
    assert told == f"{first} closes from 0.97 to 0.07, and the cell state falls from 0.71 to 0.05."
    for t in (1, 2, 38, STEPS):
        visit.cells.nth(t - 1).click()
        assert check(visit, "lstm", 111) == t
    visit.cells.nth(0).click()
    visit.page.locator(".rnnviz-title").click()
    visit.page.keyboard.press("Space")
    shown = 1
    while shown < 12:
        shown = check(visit, "lstm", 111)
        visit.wait_frames(2)
    visit.page.keyboard.press("Space")
    visit.settle()
    for cell, unit in (("gru", 5), ("rnn", 7)):
        visit.open("/", cell=cell, unit=unit, t=20)
        assert check(visit, cell, unit) == 20


def test_compared_networks_are_told_apart_at_every_step(visit: Visit):
    visit.open("/compare")
    models = {
        name.upper(): load_character_model(ASSETS / f"characters_{name}.safetensors")
        for name in ("lstm", "gru", "rnn")
    }
    traces = {name: model.read(FIRST_TEXT) for name, model in models.items()}
    for t in (2, 37, STEPS):
        visit.cells.nth(t - 1).click()
        changes: dict[str, int] = {}
        for name, trace in traces.items():
            before, after = trace.array("hidden_state")[0, 0, t - 2 : t, 0].astype(np.float64)
            changes[name] = round(
                100 * np.linalg.norm(after - before) / float(np.linalg.norm(before))
            )
        most, least = max(changes, key=changes.__getitem__), min(changes, key=changes.__getitem__)
        _, told = visit.page.evaluate(TOLD)
        assert told.startswith(
            f"Reading {picture(FIRST_TEXT[t - 1])}, {most} changes its state the most"
            f" (by {changes[most]}% of its size) and {least} the least ({changes[least]}%)."
        )
        if t < STEPS:
            chances = told.partition("came next: ")[2].rstrip(".").split(", ")
            for (name, model), chance in zip(models.items(), chances, strict=True):
                code = int(model.vocabulary.encode(FIRST_TEXT[t])[0])
                p = float(model.next_character(traces[name])[t - 1, code])
                assert chance.split()[0] == name
                assert float(chance.split()[1].rstrip("%")) == pytest.approx(100 * p, rel=0.06)
        else:
            assert "came next" not in told
