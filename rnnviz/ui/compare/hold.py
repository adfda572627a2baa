"""A section of the comparison page: one network with a gate or state held, and without."""

from collections.abc import Collection
from html import escape
from typing import Any

import streamlit as st

from rnnviz.cells import Form
from rnnviz.experiment import ComparePage, limits_of
from rnnviz.experiment.comparison import bits_of
from rnnviz.experiment.network_spec import FORMS, keys_of
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
from rnnviz.ui.address import current
from rnnviz.ui.cache import character_model, compared, held
from rnnviz.ui.cards import heading, note, show_figure, write_power
from rnnviz.ui.compare.controls import input_selected
from rnnviz.ui.components.live_text import show_words
from rnnviz.ui.components.live_updates import Live
from rnnviz.ui.components.slider import input_slider
from rnnviz.ui.theme import is_dark

LIVE_FIELDS = ("hold_value", "hold_from")


def show_hold(settings: ComparePage, words: Labels, live: Live) -> None:
    """Draws the controls of the hold, and its effect on states, output, loss and gradients."""
    with st.container(key="card_hold"):
        heading(words["card.hold"])
        note(words["card.hold_note"])
        settings = _input_hold(settings, words, live)
        show_words(_effects(settings, words), key="hold_words")
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


def _input_hold(settings: ComparePage, words: Labels, live: Live) -> ComparePage:
    """Draws the controls of the hold: network, gate or state, value, first step and units."""
    state = st.session_state
    with st.container(horizontal=True, gap="small", key="hold_choices"):
        input_selected(settings, words, on_change=_reset_units)
        names = holdable(form_of(settings, state.selected))
        state.hold_name = _name(settings)
        st.segmented_control(
            words["control.hold_name"],
            names,
            format_func=lambda name: words[f"gate.{name}"],
            key="hold_name",
            required=True,
            on_change=_reset_value,
        )
    low, high = _limits(state.hold_name, form_of(settings, state.selected))
    state.hold_value = min(max(state.hold_value, low), high)
    state.hold_from = min(state.hold_from, settings.steps)
    units = compared(settings.comparison())[state.selected].output_units
    state.hold_units = [unit for unit in state.hold_units if unit < units]
    _input_values(low, high, max(settings.steps, 2), range(units), words, live)
    return current(ComparePage)


def _input_values(
    low: float, high: float, steps: int, units: range, words: Labels, live: Live
) -> None:
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
            high=steps,
            step=1,
            format="{:,}".format,
            live=live,
        )
    with right:
        st.multiselect(
            words["control.hold_units"],
            units,
            key="hold_units",
            placeholder=words["control.hold_all"],
            help=words["control.hold_units_help"],
        )


def live_fields(settings: ComparePage) -> Collection[str]:
    """The fields on which only live figures and texts depend."""
    return LIVE_FIELDS if settings.part == "hold" else ()


def form_of(settings: ComparePage, key: str) -> Form:
    """The form of the network with this key."""
    return FORMS[settings.networks[keys_of(settings.networks).index(key)].form]


def _limits(name: str, form: Form) -> tuple[float, float]:
    """Those of a gate's or state's values, within those of the setting."""
    low, high = range_of(name, form)
    lowest, highest = map(float, limits_of(ComparePage, "hold_value"))
    return max(low, lowest), min(high, highest)


def _reset_units() -> None:
    st.session_state.hold_units = []


def _reset_value() -> None:
    """A gate starts at 1, a state or candidate at 0."""
    st.session_state.hold_value = 1.0 if st.session_state.hold_name.endswith("_gate") else 0.0


def _traces(settings: ComparePage, words: Labels) -> dict[str, Trace]:
    """The traces without and with the hold, by the labels of their lines."""
    key, of = _key(settings), settings.comparison()
    return {
        words["hold.untouched"]: compared(of)[key],
        words["hold.held"]: _held(settings),
    }


def _key(settings: ComparePage) -> str:
    keys = keys_of(settings.networks)
    return settings.selected if settings.selected in keys else keys[0]


def _name(settings: ComparePage) -> str:
    """The chosen gate or state, or a default where the network does not have it."""
    names = holdable(form_of(settings, _key(settings)))
    default = "forget_gate" if "forget_gate" in names else names[0]
    return settings.hold_name if settings.hold_name in names else default


def _held(settings: ComparePage) -> Trace:
    what = _name(settings), settings.hold_value, settings.hold_units, settings.hold_from - 1
    return held(settings.comparison(), _key(settings), *what)


def _outputs(settings: ComparePage, words: Labels) -> dict[str, Any]:
    traces = _traces(settings, words)
    if settings.input_source == "signal":
        return {"outputs": output_norms(traces), "output_name": "norm"}
    model = character_model(form_of(settings, _key(settings)).cell)
    bits = {label: bits_of(model, trace, settings.text) for label, trace in traces.items()}
    return {"outputs": bits, "output_name": "bits"}


def _look(words: Labels) -> dict[str, Any]:
    return {"language": words.language, "dark": is_dark()}


def _lines(settings: ComparePage, words: Labels) -> Drawing:
    traces = _traces(settings, words)
    return plot_comparison_lines.drawn(traces, **_outputs(settings, words), **_look(words))


def _difference(settings: ComparePage, words: Labels) -> Drawing:
    return plot_comparison.drawn(_traces(settings, words), difference=True, **_look(words))


def _gradients(settings: ComparePage, words: Labels) -> Drawing:
    return plot_gradient_comparison.drawn(_traces(settings, words), **_look(words))


def _effects(settings: ComparePage, words: Labels) -> str:
    """The loss, the states and the gradient at the first step, without and with the hold."""
    free, changed = _traces(settings, words).values()
    lines: list[str] = []
    if free.loss is not None and changed.loss is not None:
        name = "hold.loss_text" if settings.input_source == "text" else "hold.loss"
        lines.append(words(name, before=free.loss, after=changed.loss))
    apart = changed.array("hidden_state") - free.array("hidden_state")
    lines.append(words("hold.states", most=float(abs(apart).max())))
    if "grad_hidden_state" in free:
        first = [float(gradient_norms(t)["hidden_state"][-1, 0, 0, 0]) for t in (free, changed)]
        before, after = map(write_power, first)
        lines.append(words("hold.gradient", before=before, after=after))
    text = "".join(f"<p>{escape(line.replace('-', '−'))}</p>" for line in lines)
    return f"<div class='rnnviz-note rnnviz-rows'>{text}</div>"


LIVE_FIGURES = {"hold_lines": _lines, "hold_difference": _difference, "hold_gradients": _gradients}
LIVE_TEXTS = {"hold_words": _effects}
