"""The live instrument: the text, a player, the cell as a drawing, and every unit at every step.

The browser holds the whole trace and steps without the server. The one component is placed up to
four times on a page, so that its parts stand among Streamlit's own: ``show_text`` brings the trace,
``input_position`` the drawing, ``show_rows`` the heatmaps of the gates and those of the states.
A page without them has ``show_strip`` and ``input_step``: the input, the player, and the cursor in
every figure over time.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from streamlit.components.v2 import component

from rnnviz.cells import GATES_AS_READ, Form
from rnnviz.equations import LETTERS
from rnnviz.experiment import FASTEST
from rnnviz.inputs.vocabulary import Vocabulary, picture
from rnnviz.locale import Labels
from rnnviz.plots.gates import largest
from rnnviz.plots.states import UNBOUNDED
from rnnviz.plots.style import palette
from rnnviz.trace import Trace
from rnnviz.ui.live.follow import SERVER
from rnnviz.ui.live.promptly import send_promptly

HERE = Path(__file__).parent
# One script: what a file defines, those after it use.
STYLES = ("instrument", "strip", "player", "drawing", "rows", "figures", "screens")
SCRIPTS = ("recording", "strip", "player", "drawing", "cells", "rows", "figures", "instrument")

# What the browser puts numbers into while the server knows nothing of the step.
WORDS = (
    "card.cell",
    "instrument.cell_mean",
    "instrument.click_gate",
    "instrument.drawing",
    "instrument.keys",
    "instrument.mean",
    "instrument.next_step",
    "instrument.pick_gate",
    "instrument.pooled",
    "instrument.reads",
    "instrument.row",
    "instrument.speed",
    "instrument.steps_a_second",
    "instrument.unit_row",
    "player.back",
    "player.count",
    "player.first",
    "player.last",
    "player.on",
    "player.pause",
    "player.play",
    "player.t",
    "plot.time",
    "plot.time_characters",
    "plot.units",
    "strip.coloured",
    "strip.label",
    "strip.step",
    "strip.unknown",
)

# Not in a shadow: it lights gates and draws cursors wherever they are on the page.
_instrument = component(
    "rnnviz_instrument",
    css="\n".join((HERE / f"{name}.css").read_text("utf-8") for name in STYLES),
    js="\n".join([SERVER, *((HERE / f"{name}.js").read_text("utf-8") for name in SCRIPTS)]),
    isolate_styles=False,
)

Kind = Literal["gates", "states"]


class Position(NamedTuple):
    """What is looked at. t: the step, from 1; speed: steps a second."""

    t: int
    unit: int
    gate: str
    speed: int


class Row(NamedTuple):
    """An array as it is shown. gate: what it lights up; most: where its colours end."""

    name: str
    kind: Kind
    gate: str
    signed: bool
    most: float


def show_text(
    record: Trace,
    text: str,
    *,
    vocabulary: Vocabulary,
    units: Sequence[int],
    words: Labels,
    dark: bool,
    key: str,
) -> None:
    """The text as a strip to click and the player; brings the trace for all the other parts.

    record: of the text, one layer read. units: the rows of the heatmaps, downwards.
    """
    send_promptly()
    message = packed(record, text, vocabulary=vocabulary, units=units, words=words, dark=dark)
    _instrument(key=key, data=message)


def input_position(
    now: Position, *, record: Trace, on_told: Callable[[Position], None], key: str
) -> None:
    """The cell as a drawing; when the visitor has come to rest elsewhere, calls ``on_told``.

    A visitor can send anything: ``on_told`` is given only what this record has.
    """
    answered = st.session_state.get(_answered(key), 0)
    _instrument(
        key=key,
        data={"part": "drawing", **now._asdict(), "answered": answered},
        on_told_change=partial(_take, key, now, record, on_told),
    )


def show_rows(kind: Kind, *, key: str) -> None:
    """The heatmaps of the gates, or of the states, with what each holds at the step now."""
    _instrument(key=key, data={"part": kind})


def show_strip(
    values: NDArray[np.float64],
    *,
    characters: Sequence[str],
    unknown: Sequence[int] = (),
    note: str,
    signed: bool,
    most: float,
    words: Labels,
    dark: bool,
    key: str,
) -> None:
    """An input of no network in particular: a strip coloured by values, (time,), and the player.

    characters: what is read at each step; none: the numbers themselves are, and stand as colours
    alone. unknown: steps whose character no network knows. note: what the colours say. signed,
    most: their range.
    """
    send_promptly()
    _instrument(
        key=key,
        data=_with_header(
            [values],
            {
                "steps": len(values),
                "units": [0],
                "rows": [Row("input", "states", "", signed, most)._asdict()],
                "initial": [],
                "note": note,
                "label": words["strip.label" if characters else "strip.signal_label"],
                "plain": not characters,
                "characters": list(map(picture, characters)) or [_signed(v) for v in values],
                "unknown": list(unknown),
                "breaks": [i for i, character in enumerate(characters) if character == "\n"],
            },
            words=words,
            dark=dark,
        ),
    )


def input_step(
    t: int, speed: int, *, steps: int, on_told: Callable[[int, int], None], key: str
) -> None:
    """Where the player of ``show_strip`` is; calls ``on_told`` with t and speed when it rests.

    A visitor can send anything: ``on_told`` is given only what the input has.
    """

    def take() -> None:
        message = st.session_state[key].get("told")
        on_told(*read_step(message, t, speed, steps))
        _answer(key, message)

    now = {"t": t, "unit": 0, "gate": "", "speed": speed}
    answered = st.session_state.get(_answered(key), 0)
    data = {"part": "step", **now, "answered": answered}
    _instrument(key=key, data=data, on_told_change=take)


def show_cells(
    records: Mapping[str, Trace],
    *,
    characters: Sequence[str],
    layer: int,
    words: Labels,
    dark: bool,
    key: str,
) -> None:
    """Each network's cell as a drawing, forward, of the unit whose hidden state varies most.

    records: by the name that stands above, all of one input. characters: what is read at each step.
    layer: counted from 0; a network's last where it has fewer.
    """
    drawings: list[bytes] = []
    for label, record in records.items():
        place = min(layer, record.array("hidden_state").shape[0] - 1)
        unit = int(record.array("hidden_state")[place, 0, :, 0].var(0).argmax())
        title = words("cells.title", label=label, unit=unit)
        part = (place, 0, slice(None), 0, slice(unit, unit + 1))
        drawings.append(
            _with_header(
                *_recorded(record, part, words),
                {"title": title, "steps": len(characters), "units": [0], "unknown": []}
                | {"characters": list(characters), "breaks": []},
                words=words,
                dark=dark,
            )
        )
    body = b"".join(drawings)
    version = hashlib.blake2b(body, digest_size=8).hexdigest()
    header = {"part": "cells", "version": version, "sizes": list(map(len, drawings))}
    _instrument(key=key, data=json.dumps(header).encode() + b"\n" + body)


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


def rows_of(record: Trace) -> list[Row]:
    """What is drawn of a cell: its gates as they are read, then its states."""
    if record.cell == "rnn":
        most = largest(record, "hidden_preactivation")
        rows = [Row("hidden_preactivation", "gates", "hidden", True, most)]
    else:
        signed = ("cell_candidate", "hidden_candidate")
        rows = [Row(g, "gates", g, g in signed, 1.0) for g in GATES_AS_READ[record.cell]]
    if record.cell == "lstm":
        most = largest(record, "cell_state")
        rows.append(Row("cell_state", "states", "cell_state", True, most))
    most = largest(record, "hidden_state") if record.nonlinearity in UNBOUNDED else 1.0
    gate = "hidden" if record.cell == "rnn" else "hidden_state"
    return [*rows, Row("hidden_state", "states", gate, True, most)]


def packed(
    record: Trace,
    text: str,
    *,
    vocabulary: Vocabulary,
    units: Sequence[int],
    words: Labels,
    dark: bool,
) -> bytes:
    """The whole trace in one message: a line of JSON and then float32, little-endian.

    The arrays are those of "rows", each (time, unit), and then the initial states, each (unit,).
    float32 for all of them: any number may be shown, of any unit, without asking the server.
    """
    header = {
        "steps": len(text),
        "units": [int(unit) for unit in units],
        "characters": [picture(character) for character in text],
        "unknown": [i for i, character in enumerate(text) if character not in vocabulary],
        "breaks": [i for i, character in enumerate(text) if character == "\n"],
    }
    arrays, about = _recorded(record, (0, 0, slice(None), 0), words)
    return _with_header(arrays, about, header, words=words, dark=dark)


def _recorded(
    record: Trace, part: tuple[Any, ...], words: Labels
) -> tuple[list[NDArray[Any]], dict[str, Any]]:
    """The arrays of a cell's rows and of its initial states, and what is said of them.

    part: of (layer, direction, time, batch, unit).
    """
    rows = rows_of(record)
    states = [name for name in ("cell_state", "hidden_state") if name in record]
    arrays = [record.array(row.name)[part] for row in rows]
    without_time = (*part[:2], *part[3:])
    arrays += [record.initial_array(name)[without_time] for name in states]
    about = {
        "cell": record.cell,
        "plan": plan_of(record.form),
        "nonlinearity": record.nonlinearity,
        "rows": [
            {**row._asdict(), "label": words[f"gate.{row.name}"], "beyond": _beyond(record, row)}
            for row in rows
        ],
        "initial": states,
        "letters": LETTERS,
    }
    return arrays, about


def _with_header(
    arrays: Sequence[NDArray[Any]],
    *headers: Mapping[str, Any],
    words: Labels,
    dark: bool,
) -> bytes:
    """What every message of an input holds: the arrays, and their looks in this language."""
    body = b"".join(np.ascontiguousarray(part, "<f4").tobytes() for part in arrays)
    colours = palette(dark=dark)
    whole = {
        "part": "text",
        "version": hashlib.blake2b(body, digest_size=8).hexdigest(),
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
        },
    }
    return json.dumps(whole).encode() + b"\n" + body


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def read_told(message: Any, now: Position, record: Trace) -> Position:
    """Where a message says the visitor is; what in it this record does not have stays as it was.

    >>> read_told({"t": 0, "unit": True, "gate": [], "speed": 9}, Position(3, 1, "hidden", 4), rnn)
    Position(t=3, unit=1, gate='hidden', speed=9)
    """
    if not isinstance(message, dict):
        return now
    _, _, steps, _, units = record.array("hidden_state").shape
    gate = message.get("gate")
    return Position(
        _number(message.get("t"), range(1, steps + 1), now.t),
        _number(message.get("unit"), range(units), now.unit),
        gate if isinstance(gate, str) and gate in GATES_AS_READ[record.cell] else now.gate,
        _number(message.get("speed"), range(1, FASTEST + 1), now.speed),
    )


def read_step(message: Any, t: int, speed: int, steps: int) -> tuple[int, int]:
    """Step and speed of a message; what is none of this input's stays as it was.

    >>> read_step({"t": 9, "speed": 2}, 3, 4, 8), read_step(None, 3, 4, 8)
    ((3, 2), (3, 4))
    """
    if not isinstance(message, dict):
        return t, speed
    return (
        _number(message.get("t"), range(1, steps + 1), t),
        _number(message.get("speed"), range(1, FASTEST + 1), speed),
    )


def _number(came: Any, among: range, now: int) -> int:
    return came if type(came) is int and came in among else now  # true is an int, too


def _take(key: str, now: Position, record: Trace, on_told: Callable[[Position], None]) -> None:
    message = st.session_state[key].get("told")
    on_told(read_told(message, now, record))
    _answer(key, message)


def _answer(key: str, message: Any) -> None:
    number = message.get("number") if isinstance(message, dict) else None
    if type(number) is int:
        st.session_state[_answered(key)] = number


def _answered(key: str) -> str:
    """Where the number of the last message stands that Python has read."""
    return f"{key}_answered"


def _beyond(record: Trace, row: Row) -> bool:
    """Whether values lie beyond the row's colours."""
    return bool((np.abs(record.array(row.name)) > row.most).any())
