"""The gradients page's choices: how three networks are made, and what they are run on."""

from typing import get_args

import streamlit as st

from rnnviz.cells import GATE_NAMES, GATES_AS_READ
from rnnviz.experiment import InitName, LossName, NonlinearityName, Settings, limits_of
from rnnviz.inputs.signals import SIGNALS
from rnnviz.locale import Labels
from rnnviz.ui.components.live_updates import Live
from rnnviz.ui.components.slider import input_slider
from rnnviz.ui.frame import current

# The notches of the sliders whose first one is None, as drawn or none.
NOTCHES: dict[str, list[float]] = {
    "spectral_radius": [k / 50 for k in range(101)],
    "forget_bias": [k / 4 for k in range(-24, 41)],
    "clip": [d * 10.0**e for e in range(-3, 3) for d in (1, 2, 5)] + [1000.0],
}


def input_network(words: Labels, live: Live) -> Settings:
    """The sidebar's choices; returns the settings as they now stand.

    live: the page that is updated while a slider is dragged.
    """
    with st.sidebar:
        _heading(words["control.weights"])
        _choose("init", get_args(InitName), words)
        _slide("gain", 0.01, "{:.2f}", words, live)
        _notch("spectral_radius", "{:.2f}", words["control.as_drawn"], words, live)
        _notch("forget_bias", "{:+.2f}", words["control.as_drawn"], words, live)
        _switch("nonlinearity", get_args(NonlinearityName), words)
        _heading(words["control.sizes"])
        _slide("hidden", 1, "{}", words, live)
        _slide("length", 1, "{:,}", words, live)
        _input_seed(words)
        _heading(words["control.input_and_loss"])
        _choose("signal", SIGNALS, words)
        _slide("input_scale", 0.1, "{:.1f}", words, live)
        _switch("loss", get_args(LossName), words)
        _notch("clip", "{:g}", words["control.none"], words, live)
    return current()


def input_gate(words: Labels) -> None:
    """Whose recurrent weights are looked at: the cell, and of a gated one the gate."""
    with st.container(horizontal=True, gap="small", key="whose"):
        st.segmented_control(
            words["control.cell"],
            tuple(GATE_NAMES),
            format_func=str.upper,
            key="cell",
            on_change=_follow_cell,
            required=True,
            label_visibility="collapsed",
        )
        gates = GATES_AS_READ[st.session_state.cell]
        if st.session_state.gate is None:
            st.session_state.gate = gates[0]
        if len(gates) > 1:
            st.segmented_control(
                words["card.gate"],
                gates,
                format_func=lambda gate: words[f"gate.{gate}"],
                key="gate",
                required=True,
                label_visibility="collapsed",
            )


def _follow_cell() -> None:
    if st.session_state.gate not in GATE_NAMES[st.session_state.cell]:
        st.session_state.gate = None


def _heading(text: str) -> None:
    st.markdown(f"**{text}**")


def _choose(key: str, options: tuple[str, ...], words: Labels) -> None:
    st.selectbox(
        words[f"control.{key}"],
        options,
        format_func=lambda option: words[f"{key}.{option}"],
        key=key,
        help=words[f"control.{key}_help"],
    )


def _switch(key: str, options: tuple[str, ...], words: Labels) -> None:
    st.segmented_control(
        words[f"control.{key}"],
        options,
        format_func=lambda option: words[f"{key}.{option}"],
        key=key,
        required=True,
        width="stretch",
        help=words[f"control.{key}_help"],
    )


def _slide(key: str, step: float, form: str, words: Labels, live: Live) -> None:
    low, high = limits_of(key)
    # a slider's numbers are all of one kind
    low, high = (int(low), int(high)) if isinstance(step, int) else (float(low), float(high))
    input_slider(
        words[f"control.{key}"],
        key=key,
        low=low,
        high=high,
        step=step,
        format=form.format,
        help=words[f"control.{key}_help"],
        live=live,
    )


def _notch(key: str, form: str, none: str, words: Labels, live: Live) -> None:
    """A slider whose first notch is None."""
    input_slider(
        words[f"control.{key}"],
        key=key,
        options=[None, *NOTCHES[key]],
        format=lambda value: none if value is None else form.format(value),
        help=words[f"control.{key}_help"],
        live=live,
    )


def _input_seed(words: Labels) -> None:
    low, high = limits_of("seed")
    st.number_input(
        words["control.seed"],
        int(low),
        int(high),
        step=1,
        key="seed",
        help=words["control.seed_help"],
    )
