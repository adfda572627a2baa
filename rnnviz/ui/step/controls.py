"""The controls of the step page: the text, the cell, and the order of its units."""

from typing import get_args

import numpy as np
import streamlit as st

from rnnviz.cells import GATE_NAMES
from rnnviz.experiment import MOST_CHARACTERS, StepPage
from rnnviz.experiment.choices import TemperatureName
from rnnviz.experiment.settings import check_text
from rnnviz.explain.unit_order import ORDERS, Order
from rnnviz.locale import Labels
from rnnviz.ui.address import current
from rnnviz.ui.cache import character_model, unit_order
from rnnviz.ui.cards import note
from rnnviz.ui.frame import show_error
from rnnviz.ui.session import session
from rnnviz.ui.step.examples import show_examples

CELLS = tuple(GATE_NAMES)


def input_reading(words: Labels) -> StepPage:
    """Draws the text field and the sidebar; returns the settings."""
    input_text(words)
    with st.sidebar:
        st.segmented_control(
            words["control.cell"],
            CELLS,
            format_func=str.upper,
            key="cell",
            on_change=_reset_unit,
            required=True,
            width="stretch",
        )
        _show_model(st.session_state.cell, words)
        st.selectbox(
            words["control.order"],
            ORDERS,
            format_func=lambda order: words[f"order.{order}"],
            key="order",
            on_change=_reset_unit,
        )
        _input_unit(words)
        st.segmented_control(
            words["control.temperature"],
            get_args(TemperatureName),
            key="temperature",
            required=True,
            width="stretch",
            help=words["control.temperature_help"],
        )
    return current(StepPage)


def input_text(words: Labels) -> None:
    """Draws the text field. An invalid text stays in it; the page shows the last valid one."""
    state = st.session_state
    show_examples(words)
    st.text_area(words("control.text", most=MOST_CHARACTERS), key="text", height=92)
    problem = check_text(state.text)
    # in a container with or without an error: Streamlit identifies a fragment by what precedes it
    with st.container(key="text_error"):
        if problem is not None:
            show_error(problem, words)
        else:
            session.last_text = state.text
    state.t = min(state.t, len(session.last_text))


def _reset_unit() -> None:
    """After a change of cell or order, the unit is the first of the order."""
    st.session_state.unit = None
    if st.session_state.gate not in GATE_NAMES[st.session_state.cell]:
        st.session_state.gate = None


def _show_model(cell: str, words: Labels) -> None:
    notes = character_model(cell).notes
    baseline = notes["baseline_bits_per_character"]
    note(
        words(
            "control.model_notes",
            units=notes["hidden_size"],
            bits=notes["bits_per_character"],
            order=max(baseline, key=int),
            baseline=baseline[max(baseline, key=int)],
        )
    )


def _input_unit(words: Labels) -> None:
    state = st.session_state
    order = unit_order(state.cell, session.last_text, state.order)
    units = order.units.tolist()
    if state.unit not in units:
        if state.unit is not None:
            st.warning(words("control.unit_missing", unit=state.unit, last=len(units) - 1))
        state.unit = units[0]
    st.selectbox(
        words["control.unit"],
        units,
        format_func=lambda unit: _unit_label(order, unit, words),
        key="unit",
    )
    if not order.is_defined:
        st.caption(words("order.undefined", property=words[f"order.{order.by}"]))


def _unit_label(order: Order, unit: int, words: Labels) -> str:
    score = order.scores[unit]
    if order.by == "index" or not np.isfinite(score):
        return str(unit)
    kind = "variance" if order.by == "variance" else "correlation"
    return f"{unit}  ({words(f'order.score_{kind}', score=score)})".replace("-", "−")
