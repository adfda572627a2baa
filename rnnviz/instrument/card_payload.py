"""The data of the cards that explain a step: of one unit, and of the next character.

They contain every step, so that the browser steps and plays without the server.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnviz.errors import RnnvizError
from rnnviz.explain.equations import Equation, equation_templates
from rnnviz.explain.next_character import rank_predictions
from rnnviz.explain.terms import gate_terms
from rnnviz.inputs.vocabulary import Vocabulary, picture
from rnnviz.instrument.formulas import html_of
from rnnviz.instrument.payload import join_payload, reading_of
from rnnviz.locale import Labels
from rnnviz.locale.numbers import write_number
from rnnviz.trace import Trace
from rnnviz.trace_part import TracePart

UNIT_WORDS = (
    "card.total",
    "instrument.equations",
    "instrument.row_heading",
    "plot.bias",
    "plot.h_of_unit",
    "plot.other_units",
    "plot.peephole",
    "plot.reads",
)
PREDICTION_WORDS = ("card.end_of_text", "card.next", "card.surprise", "plot.came", "strip.step")
GUESSES = 6


def pack_unit(record: Trace, text: str, unit: int, *, words: Labels) -> bytes:
    """What the equations and terms of one unit need besides the trace's payload, in its form.

    By gate: the input's part of its sum and the recorded sum, (gate, time), and the unit's
    recurrent weights, (gate, unit). Of the first layer, forward. RnnvizError if something is held,
    or for a cell with its own step: its equations are not those of the form.
    """
    if record.held:
        raise RnnvizError("error.held_unit", names=", ".join(record.held))
    if record.own_step:
        module = record.module_repr.partition("(")[0]
        raise RnnvizError("error.own_equations", what="equations", module=module)
    gates, part = record.form.gates, TracePart(record, batch=0)
    terms = [gate_terms(record, gate, unit, 0) for gate in gates]
    read = part.inputs().astype(np.float64)
    arrays = [
        np.stack([read @ gate.w for gate in terms]),
        np.stack([part.array(f"{gate}_preactivation")[:, unit] for gate in gates]),
        np.stack([gate.u for gate in terms]),
    ]
    header = {
        "part": "unit",
        "reading": reading_of(record, text),
        "unit": unit,
        "gates": gates,
        "biases": [[gate.b_ih, gate.b_hh] for gate in terms],
        "peepholes": {gate.gate: gate.p for gate in terms if gate.gate in record.form.peepholes},
        "reset_after": record.form.reset_after,
        "equations": [
            {"name": name, "label": words[f"gate.{name}"], **_in_html(line)}
            for name, line in equation_templates(record.form).items()
        ],
        "questions": {gate: words[f"question.{gate}"] for gate in gates},
        "words": _unformatted(UNIT_WORDS, words),
    }
    return join_payload(header, arrays)


def predictions_of(
    probabilities: NDArray[np.float64], text: str, *, vocabulary: Vocabulary, words: Labels
) -> dict[str, Any]:
    """The most likely next characters at every step, as texts; a part of a trace's payload.

    probabilities: (time, vocabulary). Lists are by step. codes: from the most likely one. place:
    of the actual character among them, −1 for none.
    """
    found = rank_predictions(probabilities, vocabulary.encode(text).numpy(), GUESSES)
    names = map(vocabulary.character, range(len(vocabulary)))
    return {
        "names": [words["plot.unknown"] if name is None else picture(name) for name in names],
        "codes": found.codes.tolist(),
        "shares": [[f"{share:.1%}" for share in step] for step in found.shares.tolist()],
        "place": found.place.tolist(),
        "rank": found.rank.tolist(),
        "bits": [write_number(bits, ".2f") for bits in found.bits.tolist()],
        "words": _unformatted(PREDICTION_WORDS, words),
    }


def _unformatted(keys: Sequence[str], words: Labels) -> dict[str, str]:
    """Texts whose numbers the browser fills in, or gets as texts: {bits:.2f} as {bits}."""
    return {key: re.sub(r":[^{}]*\}", "}", words[key]) for key in keys}


def _in_html(line: Equation) -> dict[str, str]:
    return {name: html_of(latex) for name, latex in line._asdict().items()}
