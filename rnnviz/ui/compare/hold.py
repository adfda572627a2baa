"""The comparison page's experiment: one network with something held, beside itself untouched."""

from collections.abc import Collection
from html import escape
from typing import Any

import streamlit as st

from rnnviz.cells import Form
from rnnviz.experiment import Settings
from rnnviz.experiment.compared_network import FORMS, keys_of
from rnnviz.experiment.comparison import bits_of
from rnnviz.gradients import gradient_norms
from rnnviz.holding import holdable, range_of
from rnnviz.locale import Labels
from rnnviz.plots.comparison import plot_comparison
from rnnviz.plots.comparison_lines import (
    output_norms,
    plot_comparison_lines,
    plot_gradient_comparison,
)
from rnnviz.plots.drawing import Drawing
from rnnviz.trace import Trace
from rnnviz.ui.cache import character_model, compared, held
from rnnviz.ui.cards import heading, note, show_figure, write_power
from rnnviz.ui.compare.controls import input_network
from rnnviz.ui.components.live_text import show_words
from rnnviz.ui.components.live_updates import Live
from rnnviz.ui.components.slider import input_slider
from rnnviz.ui.frame import current, is_dark

ALONE = ("hold_value", "hold_from")
WIDEST = 3.0  # of a state's slider; it has no end of its own


def show_hold(settings: Settings, words: Labels, live: Live) -> None:
    """What is held where, and what it changes: states, output, loss and gradients."""
    with st.container(key="card_hold"):
        heading(words["card.hold"])
        note(words["card.hold_note"])
        settings = _input_hold(settings, words, live)
        show_words(_said(settings, words), key="hold_words")
    with st.container(key="card_hold_lines"):
        heading(words["card.hold_lines"])
        show_figure("hold_lines", _lines(settings, words), words)
    with st.container(key="card_hold_difference"):
        heading(words["card.hold_difference"])
        note(words["card.hold_difference_note"])
        show_figure("hold_difference", _difference(settings, words), words)
    with st.container(key="card_hold_gradients"):
        heading(words["card.hold_gradients"])
        if settings.steps == 1:
            note(words["card.compared_no_gradients"])
            return
        note(words["card.hold_gradients_note"])
        show_figure("hold_gradients", _gradients(settings, words), words)


def _input_hold(settings: Settings, words: Labels, live: Live) -> Settings:
    """Which network, what of it, at which value, from where on and in which units."""
    state = st.session_state
    with st.container(horizontal=True, gap="small", key="hold_choices"):
        input_network(settings, words, on_change=_follow_network)
        among = holdable(form_of(settings, state.looked_at))
        state.hold_name = _name(settings)
        st.segmented_control(
            words["control.hold_name"],
            among,
            format_func=lambda name: words[f"gate.{name}"],
            key="hold_name",
            required=True,
            on_change=_follow_name,
        )
    low, high = _ends(state.hold_name)
    state.hold_value = min(max(state.hold_value, low), high)
    state.hold_from = min(state.hold_from, settings.steps)
    units = compared(settings.comparison())[state.looked_at].output_units
    state.hold_units = [unit for unit in state.hold_units if unit < units]
    left, middle, right = st.columns(3, gap="medium")
    with left:
        input_slider(
            words["control.hold_value"],
            key="hold_value",
            low=low,
            high=high,
            step=0.01,
            format="{:.2f}".format,
            live=live,
        )
    with middle:
        input_slider(
            words["control.hold_from"],
            key="hold_from",
            low=1,
            high=max(settings.steps, 2),
            step=1,
            format="{:,}".format,
            live=live,
        )
    with right:
        st.multiselect(
            words["control.hold_units"],
            range(units),
            key="hold_units",
            placeholder=words["control.hold_all"],
            help=words["control.hold_units_help"],
        )
    return current()


def moved_alone(settings: Settings) -> Collection[str]:
    """The settings that change nothing on the page but live figures and texts."""
    return ALONE if settings.part == "hold" else ()


def form_of(settings: Settings, key: str) -> Form:
    """The equations of the network that is called so."""
    return FORMS[settings.networks[keys_of(settings.networks).index(key)].form]


def _ends(name: str) -> tuple[float, float]:
    low, high = range_of(name)
    return max(low, -WIDEST), min(high, WIDEST)


def _follow_network() -> None:
    st.session_state.hold_units = []


def _follow_name() -> None:
    """A gate starts open, all else at 0."""
    st.session_state.hold_value = 1.0 if st.session_state.hold_name.endswith("_gate") else 0.0


def _both(settings: Settings, words: Labels) -> dict[str, Trace]:
    """The run untouched and the one with the hold, by the names of their lines."""
    key, of = _key(settings), settings.comparison()
    return {
        words["hold.untouched"]: compared(of)[key],
        words["hold.held"]: _held(settings),
    }


def _key(settings: Settings) -> str:
    keys = keys_of(settings.networks)
    return settings.looked_at if settings.looked_at in keys else keys[0]


def _name(settings: Settings) -> str:
    """What is held: as chosen, or the first thing that this network has."""
    among = holdable(form_of(settings, _key(settings)))
    first = "forget_gate" if "forget_gate" in among else among[0]
    return settings.hold_name if settings.hold_name in among else first


def _held(settings: Settings) -> Trace:
    what = _name(settings), settings.hold_value, settings.hold_units, settings.hold_from - 1
    return held(settings.comparison(), _key(settings), *what)


def _outputs(settings: Settings, words: Labels) -> dict[str, Any]:
    traces = _both(settings, words)
    if settings.reads == "signal":
        return {"outputs": output_norms(traces), "output_name": "norm"}
    model = character_model(form_of(settings, _key(settings)).cell)
    bits = {label: bits_of(model, trace, settings.text) for label, trace in traces.items()}
    return {"outputs": bits, "output_name": "bits"}


def _look(words: Labels) -> dict[str, Any]:
    return {"language": words.language, "dark": is_dark()}


def _lines(settings: Settings, words: Labels) -> Drawing:
    traces = _both(settings, words)
    return plot_comparison_lines.drawn(traces, **_outputs(settings, words), **_look(words))


def _difference(settings: Settings, words: Labels) -> Drawing:
    return plot_comparison.drawn(_both(settings, words), difference=True, **_look(words))


def _gradients(settings: Settings, words: Labels) -> Drawing:
    return plot_gradient_comparison.drawn(_both(settings, words), **_look(words))


def _said(settings: Settings, words: Labels) -> str:
    """The loss before and after, and by how much the gradient at the first step has changed."""
    free, changed = _both(settings, words).values()
    lines: list[str] = []
    if free.loss is not None and changed.loss is not None:
        name = "hold.loss_text" if settings.reads == "text" else "hold.loss"
        lines.append(words(name, before=free.loss, after=changed.loss))
    apart = changed.array("hidden_state") - free.array("hidden_state")
    lines.append(words("hold.states", most=float(abs(apart).max())))
    if "grad_hidden_state" in free:
        first = [float(gradient_norms(t)["hidden_state"][-1, 0, 0, 0]) for t in (free, changed)]
        before, after = map(write_power, first)
        lines.append(words("hold.gradient", before=before, after=after))
    said = "".join(f"<p>{escape(line.replace('-', '−'))}</p>" for line in lines)
    return f"<div class='rnnviz-note rnnviz-rows'>{said}</div>"


FIGURES = {"hold_lines": _lines, "hold_difference": _difference, "hold_gradients": _gradients}
WORDS = {"hold_words": _said}
