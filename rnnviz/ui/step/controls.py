"""The step page's choices: what is read, by which cell, and how its units are ordered."""

import numpy as np
import streamlit as st

from rnnviz.cells import GATE_NAMES
from rnnviz.errors import RnnvizError
from rnnviz.experiment import MOST_CHARACTERS, Settings
from rnnviz.explain.unit_order import ORDERS, Order
from rnnviz.locale import Labels
from rnnviz.ui.cache import character_model, unit_order
from rnnviz.ui.frame import current, show_error

CELLS = tuple(GATE_NAMES)


def input_reading(words: Labels) -> Settings:
    """The sidebar's choices and the text; returns the settings as they now stand."""
    st.text_area(words("control.text", most=MOST_CHARACTERS), key="text", height=92)
    with st.container(key="text_error"):
        check_text(words)
    with st.sidebar:
        st.segmented_control(
            words["control.cell"],
            CELLS,
            format_func=str.upper,
            key="cell",
            on_change=_follow_order,
            required=True,
            width="stretch",
        )
        _show_model(st.session_state.cell, words)
        st.selectbox(
            words["control.order"],
            ORDERS,
            format_func=lambda order: words[f"order.{order}"],
            key="order",
            on_change=_follow_order,
        )
        _input_unit(words)
    return current()


def check_text(words: Labels) -> None:
    """A text that cannot be read stays in its field, and what was shown before stays below."""
    state = st.session_state
    if not state.text:
        show_error(RnnvizError("error.empty_text"), words)
    elif len(state.text) > MOST_CHARACTERS:
        limits = {"came": len(state.text), "most": MOST_CHARACTERS}
        show_error(RnnvizError("error.text_limit", **limits), words)
    else:
        state.read_text = state.text
    state.t = min(state.t, len(state.read_text))


def _follow_order() -> None:
    """Another cell or order: the first unit of the order is the one to look at."""
    st.session_state.unit = None
    if st.session_state.gate not in GATE_NAMES[st.session_state.cell]:
        st.session_state.gate = None


def _show_model(cell: str, words: Labels) -> None:
    notes = character_model(cell).notes
    baseline = notes["baseline_bits_per_character"]
    st.caption(
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
    order = unit_order(state.cell, state.read_text, state.order)
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
        st.caption(words["order.undefined"])


def _unit_label(order: Order, unit: int, words: Labels) -> str:
    score = order.scores[unit]
    if order.by == "index" or not np.isfinite(score):
        return str(unit)
    kind = "variance" if order.by == "variance" else "correlation"
    return f"{unit}  ({words(f'order.score_{kind}', score=score)})".replace("-", "−")
