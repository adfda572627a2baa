"""Norms of Jacobian products and Lyapunov exponents; a button starts what takes long."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
import streamlit as st

from rnnviz.experiment import GradientsPage, NetworkSettings
from rnnviz.experiment.networks import of_each
from rnnviz.experiment.stability_limits import (
    EXACT,
    Stability,
    cost_of,
    measure_stability,
    seconds_of,
)
from rnnviz.locale import Labels
from rnnviz.plots.drawing import Drawing
from rnnviz.plots.jacobian_norms import plot_jacobian_norms
from rnnviz.plots.lyapunov import plot_lyapunov
from rnnviz.trace import Trace
from rnnviz.ui.cache import keep, stabilities
from rnnviz.ui.cards import heading, note, show_figure, small_print
from rnnviz.ui.components.live_text import show_words
from rnnviz.ui.gradients.norms import labelled
from rnnviz.ui.theme import is_dark

# S³ T of all networks together that is computed without a button, and while a slider is dragged.
IMMEDIATE, LIVE = 1.2e9, 6e7

Made = TypeVar("Made")
Found = Mapping[str, Stability]


def show_stability(settings: GradientsPage, words: Labels) -> None:
    """Draws two figures, or a button that computes them."""
    found = _found(settings, IMMEDIATE)
    if found is None:
        network = settings.network()
        _offer(network, labelled(network), words)
        return
    with st.container(key="cards_stability"):
        left, right = st.columns(2, gap="small")
    with left, st.container(key="card_jacobian_norms"):
        heading(words["card.jacobian_norms"])
        show_figure("jacobian_norms", _norms(settings, found, words), words)
        show_words(_norms_note(settings, found, words), key="norms_note")
    with right, st.container(key="card_lyapunov"):
        heading(words["card.lyapunov"])
        show_figure("lyapunov", _exponents(settings, found, words), words)
        show_words(_exponents_note(settings, found, words), key="exponents_note")


def _found(settings: GradientsPage, most: float) -> Found | None:
    """The cached results; computed now where S³ T of all networks is at most ``most``."""
    network = settings.network()
    found = stabilities().get(network.model_dump_json())
    if found is None:
        traces = labelled(network)
        if sum(map(cost_of, traces.values())) <= most:
            found = of_each(measure_stability, traces)
            keep(stabilities(), network.model_dump_json(), found)
    return found


def _offer(network: NetworkSettings, traces: Mapping[str, Trace], words: Labels) -> None:
    """Draws a button that computes the results with a progress bar; any other change cancels it.

    Streamlit stops a run at its next call, such as an update of the progress bar, but not for the
    rerun of a fragment. So this is no fragment.
    """
    costs = {label: seconds_of(trace) for label, trace in traces.items()}
    exact = all(cost_of(trace) <= EXACT for trace in traces.values())
    with st.container(key="card_stability"):
        heading(words["card.stability"])
        seconds = max(1, round(sum(costs.values())))
        note(words("stability.exact" if exact else "stability.bounds", seconds=seconds))
        if not st.button(words["stability.start"], key="start_stability", icon=":material/timer:"):
            return
        bar = st.progress(0, text=words("stability.at_work", done=0))
        st.button(words["stability.cancel"], key="cancel_stability", icon=":material/close:")
        found: dict[str, Stability] = {}
        total, done, shown = sum(costs.values()), 0.0, -1
        for label, trace in traces.items():

            def report(
                part: int, of: int, before: float = done, cost: float = costs[label]
            ) -> None:
                nonlocal shown
                percent = int(100 * (before + cost * part / of) / total)
                if percent > shown:
                    bar.progress(min(percent, 100), text=words("stability.at_work", done=percent))
                    shown = percent

            found[label] = measure_stability(trace, progress=report)
            done += costs[label]
    keep(stabilities(), network.model_dump_json(), found)
    st.rerun()


def _norms(settings: GradientsPage, found: Found, words: Labels) -> Drawing:
    return plot_jacobian_norms.drawn(
        labelled(settings.network()),
        norms={label: part.norms for label, part in found.items()},
        height=320,
        language=words.language,
        dark=is_dark(),
    )


def _norms_note(_: GradientsPage, found: Found, words: Labels) -> str:
    apart = max(part.apart for part in found.values())
    if np.isinf(apart):
        return small_print(words["stability.apart_unknown"], words)
    text = words("stability.apart", apart=apart) if apart else words["stability.norms_note"]
    return small_print(text, words, below=words["card.jacobian_norms"])


def _exponents(settings: GradientsPage, found: Found, words: Labels) -> Drawing:
    return plot_lyapunov.drawn(
        labelled(settings.network()),
        exponents={label: part.exponents for label, part in found.items()},
        height=320,
        language=words.language,
        dark=is_dark(),
    )


def _exponents_note(_: GradientsPage, found: Found, words: Labels) -> str:
    exponents = [part.exponents for part in found.values()]
    if any(len(part.exponents) < part.states for part in found.values()):
        text = words("stability.leading", n=min(map(len, exponents)))
        return small_print(text, words, below=words["card.lyapunov"])
    largest = ", ".join(f"{label} {_signed(float(found[label].exponents[0]))}" for label in found)
    text = words("stability.lyapunov_note", largest=largest)
    return small_print(text, words, below=words["card.lyapunov"])


def _signed(value: float) -> str:
    return "−∞" if np.isneginf(value) else f"{value:+.3f}".replace("-", "−")


def _while_live(
    make: Callable[[GradientsPage, Found, Labels], Made],
) -> Callable[[GradientsPage, Labels], Made | None]:
    """``make`` for a slider that is dragged; None where that would take long."""

    def made(settings: GradientsPage, words: Labels) -> Made | None:
        found = _found(settings, LIVE)
        return None if found is None else make(settings, found, words)

    return made


LIVE_FIGURES = {"jacobian_norms": _while_live(_norms), "lyapunov": _while_live(_exponents)}
LIVE_TEXTS = {
    "norms_note": _while_live(_norms_note),
    "exponents_note": _while_live(_exponents_note),
}
