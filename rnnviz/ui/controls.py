"""Controls that several pages have; a control's key is the name of its setting."""

from collections.abc import Callable

import streamlit as st

from rnnviz.cells import GATES_AS_READ
from rnnviz.experiment import GradientsPage, limits_of
from rnnviz.locale import Labels
from rnnviz.ui.session import session


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
    """Draws the seed. help: the key of its help in the catalogs.

    Its limits are checked here: Streamlit would keep a number beyond them in the field, with an
    English message, and send nothing.
    """
    low, high = map(int, limits_of(GradientsPage, "seed"))
    args = (low, high)
    label, text = words["control.seed"], words[help]
    st.number_input(label, step=1, key="seed", help=text, on_change=_check_seed, args=args)
    # in a container with or without a message: Streamlit identifies a fragment by what precedes it
    with st.container(key="seed_error"):
        if (refused := session.refused_seed) is not None:
            values = {"low": low, "high": high, "kept": st.session_state.seed}
            st.warning(words("control.seed_refused", seed=refused, **values))


def _check_seed(low: int, high: int) -> None:
    """Takes a seed within the limits; otherwise the field gets the one before."""
    asked, before = st.session_state.seed, session.kept["seed"]
    is_allowed = asked is not None and low <= asked <= high
    session.refused_seed = None if is_allowed else asked
    if not is_allowed:
        st.session_state.seed = before
