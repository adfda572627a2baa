"""The sections of the comparison page, one of which is shown at a time."""

from collections.abc import Callable

import streamlit as st

from rnnviz.counting import Size, read_size
from rnnviz.experiment import Settings, keys_of
from rnnviz.experiment.comparison import sizes_of
from rnnviz.locale import Labels
from rnnviz.ui.cache import character_model, compared
from rnnviz.ui.compare import cards
from rnnviz.ui.compare.controls import input_network, labels_of
from rnnviz.ui.compare.conventions import show_conventions
from rnnviz.ui.compare.cost import show_cost
from rnnviz.ui.compare.hold import moved_alone, show_hold
from rnnviz.ui.compare.keras import show_keras
from rnnviz.ui.frame import live

Part = Callable[[Settings, Labels], None]


def input_part(words: Labels) -> Part:
    """The section that is looked at."""
    state = st.session_state
    if state.part not in PARTS:
        state.part = next(iter(PARTS))
    st.segmented_control(
        words["control.part"],
        tuple(PARTS),
        format_func=lambda part: words[f"part.{part}"],
        key="part",
        required=True,
        label_visibility="collapsed",
    )
    return PARTS[state.part]


def _show_cost(settings: Settings, words: Labels) -> None:
    labels = labels_of(settings, words)
    show_cost({labels[key]: size for key, size in _sizes(settings).items()}, words)


def _sizes(settings: Settings) -> dict[str, Size]:
    if settings.reads == "signal":
        return sizes_of(settings.comparison())
    models = [character_model(network.form).recurrent for network in settings.networks]
    return dict(zip(keys_of(settings.networks), map(read_size, models), strict=True))


def _show_conventions(_settings: Settings, words: Labels) -> None:
    show_conventions(words)


def _show_keras(settings: Settings, words: Labels) -> None:
    input_network(settings, words)
    show_keras(compared(settings.comparison())[st.session_state.looked_at], words)


def _show_hold(settings: Settings, words: Labels) -> None:
    show_hold(settings, words, live("compare", cards.write_place, moved_alone))


PARTS: dict[str, Part] = {
    "gates": cards.show_gates,
    "cells": cards.show_cells,
    "memory": cards.show_memory,
    "hold": _show_hold,
    "cost": _show_cost,
    "conventions": _show_conventions,
    "keras": _show_keras,
}
