"""The parts of the step page: the instrument, and the cards of the time step it shows."""

from typing import Any

import numpy as np
import streamlit as st

from rnnviz.cells import GATES_AS_READ
from rnnviz.experiment import MOST_CHARACTERS, StepPage
from rnnviz.experiment.writing import write_on
from rnnviz.explain.terms import GateTerms, gate_terms
from rnnviz.inputs.vocabulary import picture
from rnnviz.locale import Labels
from rnnviz.locale.numbers import write_number
from rnnviz.trace import Trace
from rnnviz.ui.address import current, write_address
from rnnviz.ui.cache import character_model, expectations, reading, unit_order
from rnnviz.ui.cards import heading, note, note_unknown
from rnnviz.ui.components.instrument import (
    Position,
    input_position,
    show_equations,
    show_part,
    show_text,
)
from rnnviz.ui.controls import input_gate
from rnnviz.ui.frame import as_fragment
from rnnviz.ui.session import session
from rnnviz.ui.theme import is_dark

WRITTEN = 40  # characters that the network writes at once


def show_story() -> None:
    """Draws what the selected unit does at the current step, in two sentences."""
    with st.container(key="story"):
        show_part("story", key="instrument_story")


def show_reading(settings: StepPage, words: Labels) -> None:
    """Draws the text with its player, and sends the whole trace to the browser."""
    vocabulary = character_model(settings.cell).vocabulary
    show_text(
        reading(settings.cell, settings.text),
        settings.text,
        expectations(settings.cell, settings.text),
        vocabulary=vocabulary,
        order=unit_order(settings.cell, settings.text, settings.order),
        words=words,
        dark=is_dark(),
        key="instrument",
    )
    # In a container with or without a note: Streamlit identifies the fragment below by what comes
    # before it, and drops messages to a fragment that it does not know.
    with st.container(key="unknown"):
        note_unknown((c for c in settings.text if c not in vocabulary), words)


@as_fragment
def step_through(words: Labels) -> None:
    """Draws the cell, its unit over time, a gate's terms and the next character.

    A move to another step reruns only these. The browser draws what they show; the server draws
    the table of all terms.
    """
    state = st.session_state
    if session.refresh:
        session.refresh = False
        st.rerun()
    if state.gate not in GATES_AS_READ[state.cell]:
        state.gate = GATES_AS_READ[state.cell][0]
    settings = current(StepPage)
    assert settings.unit is not None
    assert settings.gate is not None
    trace = reading(settings.cell, settings.text)
    with st.container(key="cards_cell"):
        left, right = st.columns([0.6, 0.4], gap="small")
    with left, st.container(key="card_cell"):
        now = Position(settings.t, settings.unit, settings.gate, settings.speed)
        default = _default_position(settings)
        input_position(
            now,
            first=default,
            record=trace,
            text=settings.text,
            on_change=_move_to,
            on_write=_write_on,
            plays=session.plays,
            key="instrument_cell",
        )
        with st.container(key="figure_lines"):
            show_part("lines", key="instrument_lines")
    with right, st.container(key="card_terms"):
        input_gate(words)
        with st.container(key="figure_terms"):
            show_part("terms", key="instrument_terms")
        if st.toggle(words["card.all_terms"], key="all_terms"):
            _show_every_term(settings, trace, words)
    with right, st.container(key="card_next"), st.container(key="figure_next_character"):
        show_part("predictions", key="instrument_predictions")
    write_address(_without_defaults(settings))


def show_unit(settings: StepPage, words: Labels) -> None:
    """Draws the unit's equations at the step that the browser shows."""
    record, unit = reading(settings.cell, settings.text), settings.unit or 0
    with st.container(key="card_equations"), st.container(key="figure_equations"):
        show_equations(record, settings.text, unit, words=words, key="instrument_equations")


def show_heatmaps(settings: StepPage, words: Labels) -> None:
    """Draws every gate and state of every unit over the whole text."""
    with st.container(key="card_heatmaps"):
        heading(words["heatmaps.heading"])
        order = unit_order(settings.cell, settings.text, settings.order)
        note(words("heatmaps.note", order=words[f"order.{order.sorted_by}"]))
        for kind in ("gates", "states"):
            with st.container(key=f"figure_{kind}"):
                show_part(kind, key=f"instrument_{kind}")


def _default_position(settings: StepPage) -> Position:
    """The position that the address leaves out."""
    default = StepPage()
    units = unit_order(settings.cell, settings.text, settings.order).units
    return Position(default.t, int(units[0]), GATES_AS_READ[settings.cell][0], default.speed)


def _move_to(now: Position) -> None:
    state = st.session_state
    session.refresh = now.unit != state.unit  # the sidebar shows the unit too
    state.t, state.unit, state.gate, state.speed = now


def _write_on() -> None:
    """Replaces what follows the step shown by characters that the network writes."""
    settings = current(StepPage)
    count = min(WRITTEN, MOST_CHARACTERS - settings.t)
    read, temperature = settings.text[: settings.t], float(settings.temperature)
    session.plays += 1
    session.last_text = st.session_state.text = write_on(
        character_model(settings.cell), read, count, temperature=temperature, seed=session.plays
    )
    session.refresh = True


def _without_defaults(settings: StepPage) -> StepPage:
    """The settings with None for the unit and the gate that the page shows by default."""
    units = unit_order(settings.cell, settings.text, settings.order).units
    unit = None if settings.unit == units[0] else settings.unit
    return settings.without_default_gate().model_copy(update={"unit": unit})


def _show_every_term(settings: StepPage, trace: Trace, words: Labels) -> None:
    terms = gate_terms(trace, str(settings.gate), settings.unit or 0, settings.t - 1)
    _show_term_rows(_term_rows(terms, picture(settings.text[settings.t - 1]), words))


def _show_term_rows(rows: dict[str, list[Any]]) -> None:
    """Draws a table that sorts by its numbers and writes them with a minus sign."""
    from pandas import DataFrame

    _, *numbers = rows
    styled = DataFrame(rows).style.format(_four_decimals, subset=numbers)
    st.dataframe(styled, hide_index=True, height=280)


def _four_decimals(value: float) -> str:
    return write_number(value, ".4f")


def _term_rows(terms: GateTerms, reads: str, words: Labels) -> dict[str, list[Any]]:
    """Every term of the pre-activation, largest first."""
    code = int(np.argmax(terms.x))
    rows: list[tuple[str, float, float, float]] = [
        (words("plot.reads", what=reads), float(terms.w[code]), 1.0, float(terms.by_input[code])),
        (words["plot.bias"], terms.bias, 1.0, terms.bias),
    ]
    rows += [
        (words("plot.h_of_unit", unit=k), float(terms.reset * terms.u[k]), float(h), float(by))
        for k, (h, by) in enumerate(zip(terms.h, terms.by_unit, strict=True))
    ]
    rows.sort(key=lambda row: -abs(row[3]))
    names = ("card.term", "card.weight", "card.times", "card.pushes")
    return {
        words[name]: list(column)
        for name, column in zip(names, zip(*rows, strict=True), strict=True)
    }
