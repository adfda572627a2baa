"""The sections of the comparison page, shown one at a time."""

from collections.abc import Callable

import streamlit as st

from rnnviz.counting import Size, read_size
from rnnviz.experiment import ComparePage, keys_of
from rnnviz.experiment.comparison_limits import sizes_of
from rnnviz.locale import Labels
from rnnviz.ui.cache import character_model, compared
from rnnviz.ui.compare import cards
from rnnviz.ui.compare.controls import input_selected
from rnnviz.ui.compare.conventions import show_conventions
from rnnviz.ui.compare.cost import show_cost
from rnnviz.ui.compare.hold import live_fields, show_hold
from rnnviz.ui.compare.keras import show_keras
from rnnviz.ui.compare.networks import labels_of
from rnnviz.ui.live_context import live

Part = Callable[[ComparePage, Labels], None]


def input_part(words: Labels) -> Part:
    """Draws the choice of the section; returns the section."""
    state = st.session_state
    if state.part not in SECTIONS:
        state.part = next(iter(SECTIONS))
    st.segmented_control(
        words["control.part"],
        tuple(SECTIONS),
        format_func=lambda part: words[f"part.{part}"],
        key="part",
        required=True,
        label_visibility="collapsed",
    )
    return SECTIONS[state.part]


def _show_cost(settings: ComparePage, words: Labels) -> None:
    labels = labels_of(settings, words)
    show_cost({labels[key]: size for key, size in _sizes(settings).items()}, words)


def _sizes(settings: ComparePage) -> dict[str, Size]:
    if settings.input_source == "signal":
        return sizes_of(settings.comparison())
    models = [character_model(network.form).recurrent for network in settings.networks]
    return dict(zip(keys_of(settings.networks), map(read_size, models), strict=True))


def _show_conventions(_settings: ComparePage, words: Labels) -> None:
    show_conventions(words)


def _show_keras(settings: ComparePage, words: Labels) -> None:
    input_selected(settings, words)
    show_keras(compared(settings.comparison())[st.session_state.selected], words)


def _show_hold(settings: ComparePage, words: Labels) -> None:
    show_hold(settings, words, live("compare", settings, cards.write_view, live_fields))


SECTIONS: dict[str, Part] = {
    "gates": cards.show_gates,
    "cells": cards.show_cells,
    "memory": cards.show_memory,
    "hold": _show_hold,
    "cost": _show_cost,
    "conventions": _show_conventions,
    "keras": _show_keras,
}
