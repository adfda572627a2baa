"""Cards of the comparison page: the input with its player, gates and states, cells, memory."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from rnnviz.errors import RnnvizError
from rnnviz.experiment import ComparePage
from rnnviz.experiment.comparison import compared_input
from rnnviz.experiment.comparison_limits import seconds_of
from rnnviz.experiment.network_spec import MAX_LAYERS, keys_of
from rnnviz.inputs.vocabulary import picture
from rnnviz.instrument.story_payload import compared_story
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
from rnnviz.ui.address import current, write_address
from rnnviz.ui.cache import (
    character_model,
    compared,
    compared_bits,
    compared_norms,
    sensitivities,
)
from rnnviz.ui.cards import heading, note, note_unknown, show_figure
from rnnviz.ui.compare.networks import labels_of
from rnnviz.ui.components.instrument import input_step, show_compared_cells, show_part, show_strip
from rnnviz.ui.frame import as_fragment
from rnnviz.ui.theme import is_dark

MOST_BITS = 8.0  # the end of the strip's colour scale
LIVE_SECONDS = 0.4  # that networks may run while a slider is dragged

LiveFigure = Callable[[ComparePage, Labels], Drawing | None]
Value = TypeVar("Value")


def labelled(settings: ComparePage, words: Labels) -> dict[str, Trace]:
    """The traces by the labels of the networks."""
    return _named(compared(settings.comparison()), settings, words)


def _named(found: Mapping[str, Value], settings: ComparePage, words: Labels) -> dict[str, Value]:
    labels = labels_of(settings, words)
    return {labels[key]: value for key, value in found.items()}


def show_story() -> None:
    """Draws how differently the networks read the current step, in two sentences."""
    with st.container(key="story"):
        show_part("story", key="instrument_story")


def show_input(settings: ComparePage, words: Labels) -> None:
    """Draws the input as a strip with the player."""
    with st.container(key="card_input"):
        if settings.input_source == "text":
            _show_text(settings, words)
        else:
            name = words[f"signal.{settings.signal}"]
            heading(words("compared.signal", signal=name, length=settings.length))
            values = compared_input(settings).numpy()[:, 0]
            look = {"note": words["compared.signal_colours"], "signed": True}
            _strip(values, words, most=largest_of(values), story=_story(settings, words), **look)


def _story(settings: ComparePage, words: Labels) -> dict[str, Any] | None:
    """What the story needs of a signal; None for networks that are refused, which a card says."""
    try:
        traces = labelled(settings, words)
    except RnnvizError:
        return None
    return compared_story(traces, words, layer=settings.layer - 1)


def _show_text(settings: ComparePage, words: Labels) -> None:
    model, text = character_model(settings.networks[0].form), settings.text
    bits = list(compared_bits(settings.comparison()).values())
    # the surprisal of a character is computed one step before the character comes
    surprisal = np.concatenate([[0.0], np.mean(bits, axis=0)[:-1]])
    unknown = [i for i, character in enumerate(text) if character not in model.vocabulary]
    look = {"note": words["compared.surprise"], "signed": False, "most": MOST_BITS}
    named = _named(compared_bits(settings.comparison()), settings, words)
    look["story"] = compared_story(labelled(settings, words), words, bits=named)
    _strip(surprisal, words, characters=list(text), unknown=unknown, **look)
    note_unknown((text[i] for i in unknown), words)


def _strip(values: NDArray[np.float64], words: Labels, **look: Any) -> None:
    options: dict[str, Any] = {"characters": (), **look}
    show_strip(values, words=words, dark=is_dark(), key="instrument", **options)


@as_fragment
def track_step() -> None:
    """Takes over the player's step and writes the address; a move to a step reruns only this."""
    settings, default = current(ComparePage), ComparePage()
    input_step(
        settings.t,
        settings.speed,
        first=(default.t, default.speed),
        steps=settings.steps,
        on_change=_move_to,
        key="instrument_step",
    )
    write_view(settings)


def write_view(settings: ComparePage) -> None:
    """Writes the address of this page, without the layer and network that it shows by default."""
    if settings.layer >= max(network.layers for network in settings.networks):
        settings = settings.model_copy(update={"layer": MAX_LAYERS})  # the last one
    if settings.selected == keys_of(settings.networks)[0]:
        settings = settings.model_copy(update={"selected": None})
    write_address(settings)


def _move_to(t: int, speed: int) -> None:
    st.session_state.t, st.session_state.speed = t, speed


def show_gates(settings: ComparePage, words: Labels) -> None:
    """Draws corresponding gates side by side, their means as lines, and the gradients."""
    traces = labelled(settings, words)
    with st.container(horizontal=True, gap="medium", key="looks", vertical_alignment="center"):
        st.toggle(
            words["control.difference"], key="difference", help=words["control.difference_help"]
        )
        _input_layer(traces, words)
    settings = current(ComparePage)
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
            of_text = "_text" * (settings.input_source == "text")
            note(words[f"card.compared_gradients{of_text}_note"])


def _input_layer(traces: Mapping[str, Trace], words: Labels) -> None:
    """Draws the choice of layer and direction where there are several."""
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


def _look(settings: ComparePage, words: Labels) -> dict[str, Any]:
    """The options that all figures of compared networks share."""
    traces = labelled(settings, words).values()
    bidirectional = any(trace.directions == 2 for trace in traces)
    return {
        "layer": min(settings.layer, max(trace.layers for trace in traces)) - 1,
        "direction": settings.direction if bidirectional else "forward",
        "difference": settings.difference,
        "language": words.language,
        "dark": is_dark(),
    }


def _comparison(settings: ComparePage, words: Labels) -> Drawing:
    return plot_comparison.drawn(labelled(settings, words), **_look(settings, words))


def _lines(settings: ComparePage, words: Labels) -> Drawing:
    traces = labelled(settings, words)
    if settings.input_source == "text":
        bits = _named(compared_bits(settings.comparison()), settings, words)
        outputs: dict[str, Any] = {"outputs": bits, "output_name": "bits"}
    else:
        outputs = {"outputs": output_norms(traces), "output_name": "norm"}
    return plot_comparison_lines.drawn(traces, **outputs, **_look(settings, words))


def _gradients(settings: ComparePage, words: Labels) -> Drawing:
    norms = _named(compared_norms(settings.comparison()), settings, words)
    traces = labelled(settings, words)
    return plot_gradient_comparison.drawn(traces, norms=norms, **_look(settings, words))


def show_cells(settings: ComparePage, words: Labels) -> None:
    """Draws each network's cell at the player's step."""
    if settings.input_source == "text":
        characters = [picture(character) for character in settings.text]
    else:
        values = compared_input(settings).numpy()[:, 0]
        characters = [f"{value:+.1f}".replace("-", "−") for value in values]
    with st.container(key="card_cells"):
        heading(words["card.cells"])
        note(words["card.cells_note"])
        show_compared_cells(
            labelled(settings, words),
            characters=characters,
            layer=settings.layer - 1,
            words=words,
            dark=is_dark(),
            key="instrument_cells",
        )


def show_memory(settings: ComparePage, words: Labels) -> None:
    """Draws the sensitivity of every state to every earlier input."""
    with st.container(key="card_sensitivity"):
        heading(words["card.sensitivity"])
        note(words["card.sensitivity_note"])
        show_figure("sensitivity", _sensitivity(settings, words), words)


def _sensitivity(settings: ComparePage, words: Labels) -> Drawing:
    found = _named(sensitivities(settings.comparison()), settings, words)
    return plot_sensitivity.drawn(found, language=words.language, dark=is_dark())


def _while_live(make: Callable[[ComparePage, Labels], Drawing]) -> LiveFigure:
    """``make`` for a slider that is dragged; None where the networks take long to run."""

    def made(settings: ComparePage, words: Labels) -> Drawing | None:
        return make(settings, words) if seconds_of(settings) <= LIVE_SECONDS else None

    return made


LIVE_FIGURES: dict[str, LiveFigure] = {
    "comparison": _while_live(_comparison),
    "comparison_lines": _while_live(_lines),
    "gradient_norms": _while_live(_gradients),
    "sensitivity": _while_live(_sensitivity),
}
