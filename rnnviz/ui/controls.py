"""Controls that several pages have; a control's key is the name of its setting."""

from collections.abc import Callable

import streamlit as st

from rnnviz.cells import GATES_AS_READ
from rnnviz.experiment import GradientsPage, limits_of
from rnnviz.locale import Labels


def input_switch(
    key: str,
    options: tuple[str, ...],
    words: Labels,
    *,
    help: str = "",
    on_change: Callable[[], None] | None = None,
) -> None:
    """Draws the choice of one option, all in sight.

    help: the key of its help in the catalogs, if it is not ``control.<key>_help``.
    """
    st.segmented_control(
        words[f"control.{key}"],
        options,
        format_func=lambda option: words[f"{key}.{option}"],
        key=key,
        required=True,
        width="stretch",
        help=words[f"control.{help or f'{key}_help'}"],
        on_change=on_change,
    )


def input_gate(words: Labels) -> None:
    """Draws the choice of a gate of the cell, if it has several; the first is the default."""
    state = st.session_state
    gates = GATES_AS_READ[state.cell]
    if state.gate not in gates:
        state.gate = gates[0]
    if len(gates) > 1:
        st.segmented_control(
            words["card.gate"],
            gates,
            format_func=lambda gate: words[f"gate.{gate}"],
            key="gate",
            required=True,
            label_visibility="collapsed",
        )


def input_seed(words: Labels, help: str) -> None:
    """Draws the seed. help: the key of its help in the catalogs."""
    low, high = map(int, limits_of(GradientsPage, "seed"))
    st.number_input(words["control.seed"], low, high, step=1, key="seed", help=words[help])
