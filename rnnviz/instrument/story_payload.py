"""What story.js needs to say what happens at each step: texts, and numbers that only Python has."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnviz.explain.state_changes import state_changes
from rnnviz.explain.text_properties import PROPERTIES
from rnnviz.explain.unit_order import Order
from rnnviz.glossary import text_with_terms
from rnnviz.locale import Labels
from rnnviz.locale.numbers import write_number
from rnnviz.trace import Trace

MOVES = ("closes", "opens", "falls", "rises", "stays")
OF_UNIT = ("unit", "varies_most", "read_gate", "read_state", *MOVES)
NAMED = (
    "input_gate",
    "forget_gate",
    "output_gate",
    "reset_gate",
    "update_gate",
    "cell_state",
    "hidden_state",
)
MARKED = ("story.unit", "story.varies_most", *(f"gate.{name}" for name in NAMED))
OF_COMPARED = ("starts", "changes", "changes_text", "alike", "alike_text", "chance", "next")


def unit_story(order: Order, words: Labels) -> dict[str, Any]:
    """How well each unit follows the property by which the units are ordered, and the texts.

    scores: by unit, "+0.78"; empty for a unit that never changes; None for another order, or a
    property that never changes. most: the unit that varies most, if the units are sorted by that.
    """
    texts = _texts(OF_UNIT, words)
    texts |= {f"gate.{name}": words[f"gate.{name}"] for name in NAMED}
    texts |= {key: text_with_terms(texts[key], words.language) for key in MARKED}
    if order.sorted_by not in PROPERTIES:
        most = int(order.units[0]) if order.sorted_by == "variance" else None
        return {"scores": None, "most": most, "words": texts}
    slots = {"unit": "{unit}", "score": "{score}", "property": words[f"order.{order.by}"]}
    for key in ("story.follows", "story.hardly_follows"):
        texts[key] = text_with_terms(words(key, **slots), words.language)
    scores = [write_number(r, "+.2f") if np.isfinite(r) else "" for r in order.scores]
    return {"scores": scores, "most": None, "words": texts}


def compared_story(
    records: Mapping[str, Trace],
    words: Labels,
    *,
    bits: Mapping[str, NDArray[np.float64]] | None = None,
    layer: int = 0,
) -> dict[str, Any]:
    """By how many percent each step changes each network's state, and the texts.

    records: by the names of the networks. bits: of a text, −log₂ of the probability that each
    network gives the next character, by the same names. layer: from 0; networks with fewer layers
    have their last.
    """
    return {
        "names": list(records),
        "changes": [
            _percents(state_changes(record, layer=min(layer, record.layers - 1)))
            for record in records.values()
        ],
        "chances": bits and [list(map(_chance, bits[name])) for name in records],
        "words": _texts(OF_COMPARED, words),
    }


def _texts(names: Sequence[str], words: Labels) -> dict[str, str]:
    return {f"story.{name}": words[f"story.{name}"] for name in names}


def _percents(changes: NDArray[np.float64]) -> list[int | None]:
    """Whole percents; None where there is no state before to compare with."""
    return [round(100 * change) if np.isfinite(change) else None for change in changes]


def _chance(bits: float) -> str:
    if np.isnan(bits):  # no character comes next
        return ""
    return write_number(100 * 2.0**-bits, ".2g") + "%"
