"""The controls of the comparison page: the input, the size of the networks, the selected one."""

from collections.abc import Callable
from typing import Any, get_args

import streamlit as st

from rnnviz.errors import RnnvizError
from rnnviz.experiment import ComparePage, EqualName, InputName, LossName, limits_of
from rnnviz.experiment.comparison_limits import MOST_SECONDS, seconds_of
from rnnviz.inputs.signals import SIGNALS
from rnnviz.locale import Labels
from rnnviz.ui.address import current
from rnnviz.ui.cards import note
from rnnviz.ui.compare.networks import change_input_source, input_networks, labels_of
from rnnviz.ui.components.live_updates import Live
from rnnviz.ui.components.slider import input_slider
from rnnviz.ui.controls import input_seed, input_switch
from rnnviz.ui.scales import round_numbers
from rnnviz.ui.step.controls import input_text

BUDGET_DIGITS = (1, 1.5, 2, 3, 4, 5, 7)


def input_comparison(words: Labels, live: Live) -> ComparePage:
    """Draws the sidebar and, for a text, its field; returns the settings.

    live: what updates while a slider is dragged.
    """
    state = st.session_state
    with st.sidebar:
        input_switch("input_source", get_args(InputName), words, on_change=change_input_source)
        st.markdown(f"**{words['control.networks']}**", help=_help_of_networks(words))
        input_networks(words)
        if state.input_source == "signal":
            _input_sizes(words, live)
        input_switch("loss", get_args(LossName), words, help="compared_loss_help")
    if state.input_source == "text":
        input_text(words)
    state.t = min(state.t, current(ComparePage).steps)
    return current(ComparePage)


def input_selected(
    settings: ComparePage, words: Labels, on_change: Callable[[], None] | None = None
) -> None:
    """Draws the choice of the network that a section shows alone."""
    names = labels_of(settings, words)
    if st.session_state.selected not in names:
        st.session_state.selected = next(iter(names))
    st.segmented_control(
        words["control.selected"],
        list(names),
        format_func=names.__getitem__,
        key="selected",
        required=True,
        on_change=on_change,
    )


def _help_of_networks(words: Labels) -> str | None:
    return words["control.both_help"] if st.session_state.input_source == "signal" else None


def _input_sizes(words: Labels, live: Live) -> None:
    """Draws the size of untrained networks and their input signal."""
    input_switch("equal", get_args(EqualName), words)
    if st.session_state.equal == "hidden":
        _slide("hidden", _whole_numbers("hidden"), words, "compared_hidden_help", live)
    else:
        numbers = round_numbers(*limits_of(ComparePage, "budget"), BUDGET_DIGITS)
        _slide("budget", list(map(int, numbers)), words, "budget_help", live)
    _slide("length", _whole_numbers("length"), words, "length_help", live)
    try:
        seconds = seconds_of(current(ComparePage))
        note(words("control.compared_work", seconds=max(seconds, 0.1), most=MOST_SECONDS))
    except RnnvizError:  # shown in place of the figures
        pass
    st.selectbox(
        words["control.signal"],
        SIGNALS,
        format_func=lambda name: words[f"signal.{name}"],
        key="signal",
        help=words["control.compared_signal_help"],
    )
    input_seed(words, "control.compared_seed_help")


def _whole_numbers(field: str) -> range:
    low, high = map(int, limits_of(ComparePage, field))
    return range(low, high + 1)


def _slide(key: str, numbers: Any, words: Labels, help: str, live: Live) -> None:
    input_slider(
        words[f"control.{key}"],
        key=key,
        options=numbers,
        format="{:,}".format,
        help=words(f"control.{help}", low=numbers[0], high=numbers[-1]),
        live=live,
    )
