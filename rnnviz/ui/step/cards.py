"""The parts of the step page: the instrument, and the cards of the time step it shows."""

from html import escape
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from rnnviz.cells import GATES_AS_READ
from rnnviz.experiment import StepPage
from rnnviz.explain.equations import Equation, equations
from rnnviz.explain.terms import GateTerms, gate_terms
from rnnviz.inputs.vocabulary import Vocabulary, picture
from rnnviz.locale import Labels
from rnnviz.locale.numbers import write_number
from rnnviz.plots.next_character import plot_next_character
from rnnviz.plots.terms import plot_terms
from rnnviz.trace import Trace
from rnnviz.ui.address import current, write_address
from rnnviz.ui.cache import character_model, expectations, reading, unit_order
from rnnviz.ui.cards import heading, note, note_unknown
from rnnviz.ui.components.chart import show_chart
from rnnviz.ui.components.instrument import Position, input_position, show_rows, show_text
from rnnviz.ui.controls import input_gate
from rnnviz.ui.frame import as_fragment
from rnnviz.ui.session import session
from rnnviz.ui.theme import is_dark

MOST_TERMS = 6  # as many bars as fit beside the drawing of the cell


def show_reading(settings: StepPage, words: Labels) -> None:
    """Draws the text with its player, and sends the whole trace to the browser."""
    vocabulary = character_model(settings.cell).vocabulary
    show_text(
        reading(settings.cell, settings.text),
        settings.text,
        vocabulary=vocabulary,
        units=unit_order(settings.cell, settings.text, settings.order).units.tolist(),
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
    """Draws the cell and the cards of its time step; a move to another step reruns only these."""
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
        input_position(now, first=default, record=trace, on_change=_move_to, key="instrument_cell")
    with right, st.container(key="card_terms"):
        _show_terms(settings, trace, words)
    with st.container(key="cards_step"):
        left, right = st.columns([0.6, 0.4], gap="small")
    with left, st.container(key="card_equations"):
        _show_equations(settings, trace, words)
    with right, st.container(key="card_next"):
        _show_next_character(settings, words)
    write_address(_without_defaults(settings))


def show_heatmaps(settings: StepPage, words: Labels) -> None:
    """Draws every gate and state of every unit over the whole text."""
    with st.container(key="card_heatmaps"):
        heading(words["heatmaps.heading"])
        note(words("heatmaps.note", order=words[f"order.{settings.order}"]))
        for kind in ("gates", "states"):
            with st.container(key=f"figure_{kind}"):
                show_rows(kind, key=f"instrument_{kind}")


def _default_position(settings: StepPage) -> Position:
    """The position that the address leaves out."""
    default = StepPage()
    units = unit_order(settings.cell, settings.text, settings.order).units
    return Position(default.t, int(units[0]), GATES_AS_READ[settings.cell][0], default.speed)


def _move_to(now: Position) -> None:
    state = st.session_state
    session.refresh = now.unit != state.unit  # the sidebar shows the unit too
    state.t, state.unit, state.gate, state.speed = now


def _without_defaults(settings: StepPage) -> StepPage:
    """The settings with None for the unit and the gate that the page shows by default."""
    units = unit_order(settings.cell, settings.text, settings.order).units
    unit = None if settings.unit == units[0] else settings.unit
    return settings.without_default_gate().model_copy(update={"unit": unit})


def _show_equations(settings: StepPage, trace: Trace, words: Labels) -> None:
    unit, t = settings.unit or 0, settings.t
    heading(words("instrument.equations", cell=settings.cell.upper(), unit=unit, t=t))
    lines = equations(trace, unit, t - 1, language=words.language)
    widest = max((line.symbol for line in lines.values()), key=len)
    for name, line in lines.items():
        with st.container(key=f"equation_{name}"):
            label = escape(words[f"gate.{name}"])
            st.html(f"<p class='rnnviz-equation' data-gate='{name}'>{label}</p>")
            st.latex(_aligned(line, widest))


def _aligned(line: Equation, widest: str) -> str:
    """An equation above its numbers. All equations align their = with the widest symbol."""
    return (
        rf"\begin{{aligned}} \hphantom{{{widest}}}\mathllap{{{line.symbol}}} &= {line.rule} \\"
        rf" &= {line.numbers} = \mathbf{{{line.value}}} \end{{aligned}}"
    )


def _show_terms(settings: StepPage, trace: Trace, words: Labels) -> None:
    input_gate(words)
    gate = st.session_state.gate
    terms = gate_terms(trace, gate, settings.unit or 0, settings.t - 1)
    heading(words[f"question.{gate}"])
    note(words("instrument.row_heading", unit=terms.unit, t=settings.t))
    reads = picture(settings.text[settings.t - 1])
    look = {"height": 28 * (MOST_TERMS + 3), "language": words.language, "dark": is_dark()}
    figure = plot_terms.drawn(terms, reads=reads, maximum=MOST_TERMS, **look)
    show_chart(figure, key="figure_terms", alt=words[f"question.{gate}"])
    note(words("card.total", a=terms.preactivation, value=terms.value).replace("-", "−"))
    if st.toggle(words["card.all_terms"], key="all_terms"):
        _show_term_rows(_term_rows(terms, reads, words))


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


def _show_next_character(settings: StepPage, words: Labels) -> None:
    model = character_model(settings.cell)
    probabilities = expectations(settings.cell, settings.text)[settings.t - 1]
    next_character = settings.text[settings.t : settings.t + 1]
    actual = int(model.vocabulary.encode(next_character)[0]) if next_character else None
    heading(words["card.next"])
    after = words("strip.step", t=settings.t, character=picture(settings.text[settings.t - 1]))
    note(f"{after}. {_surprisal(probabilities, actual, words)}")
    figure = plot_next_character.drawn(
        probabilities,
        _code_names(model.vocabulary, words),
        actual=actual,
        maximum=6,
        height=196,
        language=words.language,
        dark=is_dark(),
    )
    show_chart(figure, key="figure_next_character", alt=words["card.next"])


def _surprisal(probabilities: NDArray[np.float64], actual: int | None, words: Labels) -> str:
    if actual is None:
        return words["card.end_of_text"]
    rank = 1 + int((probabilities > probabilities[actual]).sum())
    return words("card.surprise", rank=rank, bits=-float(np.log2(probabilities[actual])))


def _code_names(vocabulary: Vocabulary, words: Labels) -> list[str]:
    named = [vocabulary.character(code) for code in range(len(vocabulary))]
    return [words["plot.unknown"] if name is None else picture(name) for name in named]
