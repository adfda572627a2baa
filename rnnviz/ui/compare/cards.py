"""The comparison page's own parts: the input with its player, gates and states, memory."""

from collections.abc import Callable, Mapping
from html import escape
from typing import Any, TypeVar

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from rnnviz.experiment import ComparisonSettings, Settings
from rnnviz.experiment.compared_network import MOST_LAYERS, keys_of
from rnnviz.experiment.comparison import compared_input, seconds_of
from rnnviz.inputs.vocabulary import picture
from rnnviz.locale import Labels
from rnnviz.plots.comparison import comparable, plot_comparison
from rnnviz.plots.comparison_lines import (
    output_norms,
    plot_comparison_lines,
    plot_gradient_comparison,
)
from rnnviz.plots.drawing import Drawing
from rnnviz.plots.gates import largest_of
from rnnviz.plots.sensitivity import plot_sensitivity
from rnnviz.trace import Trace
from rnnviz.ui.cache import (
    character_model,
    compared,
    compared_bits,
    compared_norms,
    sensitivities,
)
from rnnviz.ui.cards import heading, note, show_figure
from rnnviz.ui.compare.controls import labels_of
from rnnviz.ui.components.instrument import input_step, show_strip
from rnnviz.ui.components.instrument import show_cells as draw_cells
from rnnviz.ui.frame import current, is_dark, write_address

MOST_BITS = 8.0  # where the strip's colours end
UNDER_THE_HAND = 0.4  # seconds that networks may run while a slider is dragged

Part = Callable[[Settings, Labels], None]
FollowingFigure = Callable[[Settings, Labels], Drawing | None]
Value = TypeVar("Value")


def labelled(settings: Settings, words: Labels) -> dict[str, Trace]:
    """The traces by the names that the networks have on the page."""
    return _named(compared(settings.comparison()), settings, words)


def _named(found: Mapping[str, Value], settings: Settings, words: Labels) -> dict[str, Value]:
    labels = labels_of(settings, words)
    return {labels[key]: value for key, value in found.items()}


def show_input(settings: Settings, words: Labels) -> None:
    """What the networks read as a strip, and the player that leads through it."""
    with st.container(key="card_input"):
        if settings.reads == "text":
            _show_text(settings, words)
        else:
            name = words[f"signal.{settings.signal}"]
            heading(words("compared.signal", signal=name, length=settings.length))
            values = compared_input(settings).numpy()[:, 0]
            said = words["compared.signal_colours"]
            _strip(values, words, note=said, signed=True, most=largest_of(values))


def _show_text(settings: Settings, words: Labels) -> None:
    model, text = character_model(settings.networks[0].form), settings.text
    bits = list(compared_bits(settings.comparison()).values())
    # a character surprises when it comes, and that is a step after it was expected
    surprise = np.concatenate([[0.0], np.mean(bits, axis=0)[:-1]])
    unknown = [i for i, character in enumerate(text) if character not in model.vocabulary]
    look = {"note": words["compared.surprise"], "signed": False, "most": MOST_BITS}
    _strip(surprise, words, characters=list(text), unknown=unknown, **look)
    if unknown:
        # each apart, so that a right-to-left letter does not turn its neighbours round
        odd = sorted({text[i] for i in unknown})
        shown = " ".join(f"<bdi>{escape(picture(c))}</bdi>" for c in odd[:12])
        said = words("strip.unknown_note", characters=shown + " …" * (len(odd) > 12))
        st.html(f"<p class='rnnviz-note'>{said}</p>")


def _strip(values: NDArray[np.float64], words: Labels, **look: Any) -> None:
    rest: dict[str, Any] = {"characters": (), **look}
    show_strip(values, words=words, dark=is_dark(), key="instrument", **rest)


@st.fragment
def follow_step() -> None:
    """Takes the step at which the player rests, and writes the address; nothing else reruns."""
    settings, first = current(), Settings()
    input_step(
        settings.t,
        settings.speed,
        first=(first.t, first.speed),
        steps=settings.steps,
        on_change=_move,
        key="instrument_step",
    )
    write_place(settings)


def write_place(settings: Settings) -> None:
    """The address of this page, without what it shows by itself."""
    if settings.layer >= max(network.layers for network in settings.networks):
        settings = settings.model_copy(update={"layer": MOST_LAYERS})  # the last
    if settings.looked_at == keys_of(settings.networks)[0]:
        settings = settings.model_copy(update={"looked_at": None})
    write_address(settings, ComparisonSettings)


def _move(t: int, speed: int) -> None:
    st.session_state.t, st.session_state.speed = t, speed


def show_gates(settings: Settings, words: Labels) -> None:
    """What matches side by side, the means as lines, and the gradients."""
    traces = labelled(settings, words)
    with st.container(horizontal=True, gap="medium", key="looks", vertical_alignment="center"):
        st.toggle(
            words["control.difference"], key="difference", help=words["control.difference_help"]
        )
        _input_place(traces, words)
    settings = current()
    ending, first = "_difference" if settings.difference else "", next(iter(traces))
    with st.container(key="card_comparison"):
        heading(words(f"card.comparison{ending}", first=first))
        if settings.difference and not comparable(traces):
            note(words("card.comparison_alone", first=first))
        else:
            note(words[f"card.comparison{ending}_note"])
            show_figure("comparison", _comparison(settings, words), words)
    with st.container(key="card_comparison_lines"):
        heading(words(f"card.comparison_lines{ending}", first=first))
        show_figure("comparison_lines", _lines(settings, words), words)
    with st.container(key="card_gradients"):
        heading(words(f"card.compared_gradients{ending}", first=first))
        if settings.steps == 1:
            note(words["card.compared_no_gradients"])
            return
        show_figure("gradient_norms", _gradients(settings, words), words)
        if not settings.difference:
            of_text = "_text" * (settings.reads == "text")
            note(words[f"card.compared_gradients{of_text}_note"])


def _input_place(traces: Mapping[str, Trace], words: Labels) -> None:
    """Which layer and direction are looked at, where there is more than one."""
    state = st.session_state
    layers = max(trace.layers for trace in traces.values())
    directions = max(trace.directions for trace in traces.values())
    if layers > 1:
        state.layer = min(state.layer, layers)
        st.segmented_control(
            words["control.layer"],
            range(1, layers + 1),
            format_func=lambda n: words("control.layer_number", n=n),
            key="layer",
            required=True,
            label_visibility="collapsed",
        )
    if directions > 1:
        st.segmented_control(
            words["control.direction"],
            ("forward", "backward"),
            format_func=lambda direction: words[f"direction.{direction}"],
            key="direction",
            required=True,
            label_visibility="collapsed",
        )


def _look(settings: Settings, words: Labels) -> dict[str, Any]:
    """The arguments that all figures of networks side by side share."""
    traces = labelled(settings, words).values()
    bidirectional = any(trace.directions == 2 for trace in traces)
    return {
        "layer": min(settings.layer, max(trace.layers for trace in traces)) - 1,
        "direction": settings.direction if bidirectional else "forward",
        "difference": settings.difference,
        "language": words.language,
        "dark": is_dark(),
    }


def _comparison(settings: Settings, words: Labels) -> Drawing:
    return plot_comparison.drawn(labelled(settings, words), **_look(settings, words))


def _lines(settings: Settings, words: Labels) -> Drawing:
    traces = labelled(settings, words)
    if settings.reads == "text":
        bits = _named(compared_bits(settings.comparison()), settings, words)
        rest: dict[str, Any] = {"outputs": bits, "output_name": "bits"}
    else:
        rest = {"outputs": output_norms(traces), "output_name": "norm"}
    return plot_comparison_lines.drawn(traces, **rest, **_look(settings, words))


def _gradients(settings: Settings, words: Labels) -> Drawing:
    norms = _named(compared_norms(settings.comparison()), settings, words)
    traces = labelled(settings, words)
    return plot_gradient_comparison.drawn(traces, norms=norms, **_look(settings, words))


def show_cells(settings: Settings, words: Labels) -> None:
    """Each network's cell as a drawing that follows the player."""
    if settings.reads == "text":
        characters = [picture(character) for character in settings.text]
    else:
        values = compared_input(settings).numpy()[:, 0]
        characters = [f"{value:+.1f}".replace("-", "−") for value in values]
    with st.container(key="card_cells"):
        heading(words["card.cells"])
        note(words["card.cells_note"])
        draw_cells(
            labelled(settings, words),
            characters=characters,
            layer=settings.layer - 1,
            words=words,
            dark=is_dark(),
            key="instrument_cells",
        )


def show_memory(settings: Settings, words: Labels) -> None:
    """What is left at every step of every input before it."""
    with st.container(key="card_sensitivity"):
        heading(words["card.sensitivity"])
        note(words["card.sensitivity_note"])
        show_figure("sensitivity", _sensitivity(settings, words), words)


def _sensitivity(settings: Settings, words: Labels) -> Drawing:
    found = _named(sensitivities(settings.comparison()), settings, words)
    return plot_sensitivity.drawn(found, language=words.language, dark=is_dark())


def _quickly(make: Callable[[Settings, Labels], Drawing]) -> FollowingFigure:
    """The figure, or None where the networks run longer than a hand waits."""

    def made(settings: Settings, words: Labels) -> Drawing | None:
        return make(settings, words) if seconds_of(settings) <= UNDER_THE_HAND else None

    return made


FIGURES: dict[str, FollowingFigure] = {
    "comparison": _quickly(_comparison),
    "comparison_lines": _quickly(_lines),
    "gradient_norms": _quickly(_gradients),
    "sensitivity": _quickly(_sensitivity),
}
