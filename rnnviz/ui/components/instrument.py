"""The live instrument: the text, a player, the drawing of the cell, and heatmaps of all units.

The browser has the whole trace and steps without the server. The component is placed up to four
times on a page, among Streamlit's own elements: ``show_text`` sends the trace, ``input_position``
shows the drawing, and ``show_rows`` the heatmaps of the gates or of the states. Other pages have
``show_strip`` and ``input_step``: the input, the player, and the cursor in every figure over time.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnviz.cells import GATES_AS_READ
from rnnviz.experiment import FASTEST
from rnnviz.explain.unit_order import Order
from rnnviz.inputs.vocabulary import Vocabulary
from rnnviz.instrument.card_payload import pack_unit, predictions_of
from rnnviz.instrument.payload import (
    Kind,
    pack_compared_cells,
    pack_signal,
    pack_trace,
    reading_of,
)
from rnnviz.instrument.story_payload import unit_story
from rnnviz.locale import Labels
from rnnviz.trace import Trace
from rnnviz.ui.components import courier
from rnnviz.ui.components.script import served


class Position(NamedTuple):
    """The selection. t: the step, from 1; speed: steps per second."""

    t: int
    unit: int
    gate: str
    speed: int


def show_text(
    record: Trace,
    text: str,
    probabilities: NDArray[np.float64],
    *,
    vocabulary: Vocabulary,
    order: Order,
    words: Labels,
    dark: bool,
    key: str,
) -> None:
    """Shows the text as a clickable strip, and the player; sends the data of most other parts.

    record: a trace of the text, of one layer. probabilities: of the next character, (time,
    vocabulary). order: the rows of the heatmaps, from the top.
    """
    message = pack_trace(
        record,
        text,
        vocabulary=vocabulary,
        units=order.units.tolist(),
        words=words,
        dark=dark,
        story=unit_story(order, words),
        predictions=predictions_of(probabilities, text, vocabulary=vocabulary, words=words),
    )
    served("instrument")(key=key, data=message)


def input_position(
    now: Position,
    *,
    first: Position,
    record: Trace,
    text: str,
    on_change: Callable[[Position], None],
    on_write: Callable[[], None],
    plays: int,
    key: str,
) -> None:
    """Shows the drawing of the cell; calls ``on_change`` with a changed position, debounced.

    first: the defaults, which the address leaves out. on_write: called after ``on_change`` when the
    network is to write on from there. plays: a larger number than before starts the player. A
    browser can send anything, but ``on_change`` gets only positions of this record, and
    ``on_write`` is called once for a text.
    """

    def take() -> None:
        message = courier.take(key, "position")
        on_change(read_position(message, now, record))
        # a message that is sent again, because its answer was lost, finds another text
        if message is not None and message.get("write") == reading_of(record, text):
            on_write()

    data = {"part": "drawing", **now._asdict(), "first": first._asdict(), "plays": plays}
    data["answered"] = courier.answered(key)
    served("instrument")(key=key, data=data, on_position_change=take)


def show_part(part: Kind | Literal["story", "lines", "terms", "predictions"], *, key: str) -> None:
    """Shows a part of the instrument that has its data from ``show_text``.

    "story": what happens at the current step, in a sentence. "gates", "states": the heatmaps, with
    their values at the current step. "lines": the selected unit over time. "predictions": the most
    likely next characters, and the one that came. "terms": what drives the selected gate, if
    ``show_equations`` is on the page, too.
    """
    served("instrument")(key=key, data={"part": part})


def show_equations(record: Trace, text: str, unit: int, *, words: Labels, key: str) -> None:
    """Shows the equations of one unit at the current step."""
    served("instrument")(key=key, data=pack_unit(record, text, unit, words=words))


def show_strip(
    values: NDArray[np.float64],
    *,
    characters: Sequence[str],
    unknown: Sequence[int] = (),
    note: str,
    signed: bool,
    most: float,
    story: Mapping[str, Any] | None = None,
    words: Labels,
    dark: bool,
    key: str,
) -> None:
    """Shows an input without a network: a strip coloured by values, (time,), and the player.

    characters: the character read at each step; empty if the input is the numbers, which are shown
    as colours. unknown: steps whose character is in no vocabulary. note: what the colours mean.
    signed, most: their range. story: from ``compared_story``.
    """
    message = pack_signal(
        values,
        characters=characters,
        unknown=unknown,
        note=note,
        signed=signed,
        most=most,
        words=words,
        dark=dark,
        story=story,
    )
    served("instrument")(key=key, data=message)


def input_step(
    t: int,
    speed: int,
    *,
    first: tuple[int, int],
    steps: int,
    on_change: Callable[[int, int], None],
    key: str,
) -> None:
    """The step of ``show_strip``'s player; calls ``on_change`` with t and speed, debounced.

    first: the defaults of t and speed, which the address leaves out. A browser can send anything,
    but ``on_change`` gets only steps of this input.
    """

    def take() -> None:
        on_change(*read_step(courier.take(key, "position"), t, speed, steps))

    now, left_out = Position(t, 0, "", speed), Position(first[0], 0, "", first[1])
    data = {"part": "step", **now._asdict(), "first": left_out._asdict()}
    data["answered"] = courier.answered(key)
    served("instrument")(key=key, data=data, on_position_change=take)


def show_compared_cells(
    records: Mapping[str, Trace],
    *,
    characters: Sequence[str],
    layer: int,
    words: Labels,
    dark: bool,
    key: str,
) -> None:
    """Shows each network's forward cell, for the unit whose hidden state varies most.

    records: by the drawing's title, all of one input. characters: the character read at each step.
    layer: counted from 0; networks with fewer layers show their last.
    """
    message = pack_compared_cells(
        records, characters=characters, layer=layer, words=words, dark=dark
    )
    served("instrument")(key=key, data=message)


def read_position(message: Any, now: Position, record: Trace) -> Position:
    """The position in a message; fields that are invalid for this record keep their value.

    >>> rnn = rnnviz.trace(torch.nn.RNN(1, 2), torch.ones(5, 1))
    >>> message = {"t": 0, "unit": True, "gate": [], "speed": 9}
    >>> read_position(message, Position(3, 1, "hidden", 4), rnn)
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
    """Step and speed of a message; invalid ones keep their value.

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
