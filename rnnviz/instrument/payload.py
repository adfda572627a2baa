"""The payload of the instrument's scripts, as bytes: a line of JSON, then float32 arrays."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnviz.activations import apply
from rnnviz.cells import GATES_AS_READ, Form
from rnnviz.experiment import FASTEST, MOST_CHARACTERS
from rnnviz.explain.equations import LETTERS
from rnnviz.inputs.vocabulary import Vocabulary, picture
from rnnviz.locale import Labels
from rnnviz.plots.gates import gate_row, largest
from rnnviz.plots.matching import nearest_part
from rnnviz.plots.states import is_bounded
from rnnviz.plots.style import palette
from rnnviz.trace import Trace
from rnnviz.trace_part import TracePart

# The texts that the browser fills in itself, because it steps without the server.
WORDS = (
    "card.cell",
    "instrument.cell_mean",
    "instrument.click_gate",
    "instrument.drawing",
    "instrument.keys",
    "instrument.lines",
    "instrument.mean",
    "instrument.next_step",
    "instrument.mark_gate",
    "instrument.pick_gate",
    "instrument.pooled",
    "instrument.reads",
    "instrument.row",
    "instrument.speed",
    "instrument.steps_a_second",
    "instrument.unit_row",
    "marks.close",
    "marks.gru_gate",
    "marks.gru_state",
    "marks.lstm_gate",
    "marks.lstm_state",
    "marks.reads",
    "marks.rnn_gate",
    "marks.rnn_state",
    "player.back",
    "player.count",
    "player.first",
    "player.last",
    "player.on",
    "player.pause",
    "player.play",
    "player.t",
    "player.write",
    "player.write_full",
    "plot.time",
    "plot.time_characters",
    "plot.units",
    "strip.coloured",
    "strip.label",
    "strip.step",
    "strip.unknown",
)


Kind = Literal["gates", "states"]


class Row(NamedTuple):
    """A displayed array. gate: the gate that it highlights; most: the end of its colour scale."""

    name: str
    kind: Kind
    gate: str
    signed: bool
    most: float


def symbol_of(name: str) -> str:
    """The symbol of an array: f of the forget gate, c of the cell state, a of a pre-activation.

    >>> symbol_of("update_gate"), symbol_of("hidden_preactivation")
    ('z', 'a')
    """
    states = {"cell_state": "c", "hidden_state": "h", "hidden_preactivation": "a"}
    return states[name] if name in states else LETTERS[name]


def plan_of(form: Form) -> str:
    """Which drawing shows a cell of this form.

    >>> plan_of(Form("gru", reset_after=False)), plan_of(Form("lstm"))
    ('gru_reset_before', 'lstm')
    """
    ends = (
        "peephole" * form.peephole,
        "coupled" * form.coupled,
        "reset_before" * (not form.reset_after),
    )
    return "_".join([form.cell, *filter(None, ends)])


def activations_of(form: Form) -> dict[str, str]:
    """The activation of each gate, and of an LSTM's cell state in h, under "cell_output".

    >>> activations_of(Form("gru", gate_activation="hard_sigmoid"))["update_gate"]
    'hard_sigmoid'
    """
    found = {gate: form.activation_of(gate) for gate in form.gates}
    if form.cell == "lstm":
        found["cell_output"] = str(form.output_activation)
    return found


def rows_of(record: Trace) -> list[Row]:
    """The displayed arrays of a cell: its gates in reading order, then its states."""
    if record.cell == "rnn":
        most = largest(record, "hidden_preactivation")
        rows = [Row("hidden_preactivation", "gates", "hidden", True, most)]
    else:
        ranges = {gate: gate_row(record, gate) for gate in GATES_AS_READ[record.cell]}
        rows = [Row(g, "gates", g, r.minimum < 0, r.maximum) for g, r in ranges.items()]
    if record.cell == "lstm":
        most = largest(record, "cell_state")
        rows.append(Row("cell_state", "states", "cell_state", True, most))
    most = 1.0 if is_bounded(record) else largest(record, "hidden_state")
    gate = "hidden" if record.cell == "rnn" else "hidden_state"
    return [*rows, Row("hidden_state", "states", gate, True, most)]


def pack_trace(
    record: Trace,
    text: str,
    *,
    vocabulary: Vocabulary,
    units: Sequence[int],
    words: Labels,
    dark: bool,
    predictions: Mapping[str, Any] | None = None,
    story: Mapping[str, Any] | None = None,
) -> bytes:
    """The whole trace as one payload: a line of JSON, then float32, little-endian.

    The arrays are those of "rows", each (time, unit), then the initial states, each (unit,), then
    where "output" is true, the activation of the cell state, (time, unit). All units are included,
    so that the browser can show any number without a request to the server. predictions: from
    ``predictions_of``, if the network is a character model. story: from ``unit_story``.
    """
    header = {
        "reading": reading_of(record, text),
        "steps": len(text),
        "units": [int(unit) for unit in units],
        "characters": [picture(character) for character in text],
        "unknown": [i for i, character in enumerate(text) if character not in vocabulary],
        "breaks": [i for i, character in enumerate(text) if character == "\n"],
        "predictions": predictions,
        "writes": MOST_CHARACTERS if predictions else 0,
        **({"unitStory": story} if story else {}),
    }
    arrays, about = _arrays_of(TracePart(record, batch=0), slice(None), words)
    return _pack(arrays, about, header, words=words, dark=dark)


def pack_signal(
    values: NDArray[np.float64],
    *,
    characters: Sequence[str],
    unknown: Sequence[int],
    note: str,
    signed: bool,
    most: float,
    words: Labels,
    dark: bool,
    story: Mapping[str, Any] | None = None,
) -> bytes:
    """An input without a network: its values, (time,), as one row of colours.

    characters: the character read at each step; empty if the input is the numbers. unknown:
    steps whose character is in no vocabulary. note: what the colours mean. signed, most: their
    range. story: from ``compared_story``.
    """
    header = {
        "steps": len(values),
        **({"comparedStory": story} if story else {}),
        "units": [0],
        "rows": [Row("input", "states", "", signed, most)._asdict()],
        "initial": [],
        "note": note,
        "label": words["strip.label" if characters else "strip.signal_label"],
        "plain": not characters,
        "characters": list(map(picture, characters)) or [_signed(v) for v in values],
        "unknown": list(unknown),
        "breaks": [i for i, character in enumerate(characters) if character == "\n"],
    }
    return _pack([values], header, words=words, dark=dark)


def pack_compared_cells(
    records: Mapping[str, Trace],
    *,
    characters: Sequence[str],
    layer: int,
    words: Labels,
    dark: bool,
) -> bytes:
    """Each network's forward cell, for the unit whose hidden state varies most.

    records: by the drawing's title, all of one input. characters: the character read at each step.
    layer: counted from 0; networks with fewer layers show their last.
    """
    drawings: list[bytes] = []
    for label, record in records.items():
        part = nearest_part(record, layer=layer)
        unit = int(part.array("hidden_state").var(0).argmax())
        title = words("cells.title", label=label, unit=unit)
        drawings.append(
            _pack(
                *_arrays_of(part, slice(unit, unit + 1), words),
                {"title": title, "steps": len(characters), "units": [0], "unknown": []}
                | {"characters": list(characters), "breaks": []},
                words=words,
                dark=dark,
            )
        )
    body = b"".join(drawings)
    version = hashlib.blake2b(body, digest_size=8).hexdigest()
    header = {"part": "cells", "version": version, "sizes": list(map(len, drawings))}
    return json.dumps(header).encode() + b"\n" + body


def _arrays_of(
    part: TracePart, units: slice, words: Labels
) -> tuple[list[NDArray[Any]], dict[str, Any]]:
    """The arrays of a cell's rows and of its initial states, and their description."""
    record = part.trace
    rows = rows_of(record)
    states = [name for name in ("cell_state", "hidden_state") if name in record]
    arrays = [part.array(row.name)[:, units] for row in rows]
    arrays += [part.initial(name)[units] for name in states]
    activations = activations_of(record.form)
    sends_output = activations.get("cell_output", "tanh") != "tanh"  # the browser has tanh
    if sends_output:
        c = np.array(part.array("cell_state")[:, units], np.float64)
        arrays.append(apply(activations["cell_output"], c))
    about = {
        "cell": record.cell,
        "plan": plan_of(record.form),
        "activations": activations,
        "rows": [
            row._asdict()
            | {"label": words[f"gate.{row.name}"], "beyond": _beyond(record, row)}
            | {"symbol": symbol_of(row.name)}
            for row in rows
        ],
        "initial": states,
        "output": sends_output,
        "letters": LETTERS,
    }
    return arrays, about


def _pack(
    arrays: Sequence[NDArray[Any]],
    *headers: Mapping[str, Any],
    words: Labels,
    dark: bool,
) -> bytes:
    """A payload of arrays and headers, with the texts and colours of the language and theme."""
    colours = palette(dark=dark)
    whole = {
        "part": "text",
        **{name: value for header in headers for name, value in header.items()},
        "words": {key: words[key] for key in WORDS},
        "fastest": FASTEST,
        "colours": {
            "ink": colours.ink,
            "muted": colours.muted,
            "line": colours.line,
            "ground": colours.ground,
            "selected": colours.selected,
            "gate": [colour for _, colour in colours.gate],
            "signed": [colour for _, colour in colours.signed],
            "lines": colours.lines,
        },
    }
    return join_payload(whole, arrays)


def join_payload(header: Mapping[str, Any], arrays: Sequence[NDArray[Any]] = ()) -> bytes:
    """A header and arrays as bytes; the header gets a digest of the arrays as its version."""
    body = b"".join(np.ascontiguousarray(part, "<f4").tobytes() for part in arrays)
    version = hashlib.blake2b(body, digest_size=8).hexdigest()
    return json.dumps({**header, "version": version}).encode() + b"\n" + body


def reading_of(record: Trace, text: str) -> str:
    """A digest that payloads of the same network and text share."""
    return hashlib.blake2b(f"{record.cell} {text}".encode(), digest_size=8).hexdigest()


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _beyond(record: Trace, row: Row) -> bool:
    """Whether some values are beyond the row's colour scale."""
    return bool((np.abs(record.array(row.name)) > row.most).any())
