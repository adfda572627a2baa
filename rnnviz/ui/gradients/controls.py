"""The controls of the gradients page: the networks, their input, and whose weights are shown."""

from typing import NamedTuple, get_args

import streamlit as st

from rnnviz.cells import GATE_NAMES
from rnnviz.experiment import GradientsPage, InitName, LossName, NonlinearityName, limits_of
from rnnviz.inputs.signals import SIGNALS
from rnnviz.locale import Labels
from rnnviz.ui.address import current
from rnnviz.ui.components.live_updates import Live
from rnnviz.ui.components.slider import Marks, input_slider, tick
from rnnviz.ui.controls import input_gate, input_seed, input_switch
from rnnviz.ui.gradients.story import marks_on_gain
from rnnviz.ui.scales import round_numbers


class OrNone(NamedTuple):
    """Writes a slider's values, the first of which is None."""

    none: str
    form: str

    def __call__(self, value: float | None) -> str:
        return self.none if value is None else self.form.format(value)


def input_network(words: Labels, live: Live) -> GradientsPage:
    """Draws the sidebar; returns the settings. live: what updates while a slider is dragged."""
    with st.sidebar:
        _heading(words["control.weights"])
        _choose("init", get_args(InitName), words)
        marks = marks_on_gain(current(GradientsPage), words)
        _slide("gain", 0.01, "{:.2f}", words, live, marks)
        _slide_or_none("spectral_radius", 0.02, "{:.2f}", words["control.as_drawn"], words, live)
        _slide_or_none("forget_bias", 0.25, "{:+.2f}", words["control.as_drawn"], words, live)
        input_switch("nonlinearity", get_args(NonlinearityName), words)
        _heading(words["control.sizes"])
        _slide("hidden", 1, "{}", words, live)
        _slide("length", 1, "{:,}", words, live)
        input_seed(words, "control.seed_help")
        _heading(words["control.input_and_loss"])
        _choose("signal", SIGNALS, words)
        _slide("input_scale", 0.1, "{:.1f}", words, live)
        input_switch("loss", get_args(LossName), words)
        _slide_or_none("clip", None, "{:g}", words["control.none"], words, live)
    return current(GradientsPage)


def input_cell_and_gate(words: Labels) -> None:
    """Draws the choice whose recurrent weights are shown: a cell and one of its gates."""
    with st.container(gap="small", key="whose"):
        st.segmented_control(
            words["control.cell"],
            tuple(GATE_NAMES),
            format_func=str.upper,
            key="cell",
            on_change=_reset_gate,
            required=True,
            label_visibility="collapsed",
        )
        input_gate(words)


def _reset_gate() -> None:
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


def _slide(
    key: str, step: float, form: str, words: Labels, live: Live, marks: Marks | None = None
) -> None:
    low, high = limits_of(GradientsPage, key)
    # a slider's numbers are all of one type
    low, high = (int(low), int(high)) if isinstance(step, int) else (float(low), float(high))
    input_slider(
        words[f"control.{key}"],
        key=key,
        low=low,
        high=high,
        step=step,
        format=form.format,
        help=words(f"control.{key}_help", low=low, high=high),
        live=live,
        marks=marks,
    )


def _slide_or_none(
    key: str, step: float | None, form: str, none: str, words: Labels, live: Live
) -> None:
    """A slider whose first value is None. Without a step its values are round numbers."""
    low, high = map(float, limits_of(GradientsPage, key))
    numbers = round_numbers(low, high) if step is None else tick(low, high, step)
    input_slider(
        words[f"control.{key}"],
        key=key,
        options=[None, *numbers],
        format=OrNone(none, form),
        help=words[f"control.{key}_help"],
        live=live,
    )
