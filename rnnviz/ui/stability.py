"""Norms of Jacobian products and Lyapunov exponents, at once or, where they take long, on call."""

from collections.abc import Mapping

import numpy as np
import streamlit as st

from rnnviz.experiment import NetworkSettings, Settings
from rnnviz.experiment.sizes import EXACT, Stability, cost_of, measure_stability, seconds_of
from rnnviz.locale import Labels
from rnnviz.plots.jacobian_norms import plot_jacobian_norms
from rnnviz.plots.lyapunov import plot_lyapunov
from rnnviz.trace import Trace
from rnnviz.ui.cache import keep, stabilities
from rnnviz.ui.figures import heading, note, show_figure
from rnnviz.ui.frame import is_dark
from rnnviz.ui.through_time import labelled

AT_ONCE = 1.2e9  # S³ T of all networks together that nobody need wait for


def show_stability(settings: Settings, words: Labels) -> None:
    """Two figures, or the offer to work them out."""
    network = settings.network()
    traces = labelled(network)
    found = stabilities().get(network.model_dump_json())
    if found is None and sum(map(cost_of, traces.values())) <= AT_ONCE:
        found = {label: measure_stability(trace) for label, trace in traces.items()}
        keep(stabilities(), network.model_dump_json(), found)
    if found is None:
        _offer(network, traces, words)
        return
    with st.container(key="cards_stability"):
        left, right = st.columns(2, gap="small")
    with left, st.container(key="card_jacobian_norms"):
        _show_norms(traces, found, words)
    with right, st.container(key="card_lyapunov"):
        _show_exponents(traces, found, words)


def _offer(network: NetworkSettings, traces: Mapping[str, Trace], words: Labels) -> None:
    """The button that works them out, with progress; any other choice gives up what is under way.

    Streamlit leaves a run for the next at a call of its own, which the progress bar's is; but not
    for a rerun of a fragment, so this is none.
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

            def tell(part: int, of: int, before: float = done, cost: float = costs[label]) -> None:
                nonlocal shown
                percent = int(100 * (before + cost * part / of) / total)
                if percent > shown:
                    bar.progress(min(percent, 100), text=words("stability.at_work", done=percent))
                    shown = percent

            found[label] = measure_stability(trace, progress=tell)
            done += costs[label]
    keep(stabilities(), network.model_dump_json(), found)
    st.rerun()


def _show_norms(traces: Mapping[str, Trace], found: Mapping[str, Stability], words: Labels) -> None:
    heading(words["card.jacobian_norms"])
    norms = {label: part.norms for label, part in found.items()}
    figure = plot_jacobian_norms(
        traces, norms=norms, height=320, language=words.language, dark=is_dark()
    )
    show_figure("jacobian_norms", figure, words)
    apart = max(part.apart for part in found.values())
    if np.isinf(apart):
        note(words["stability.apart_unknown"])
    else:
        note(words("stability.apart", apart=apart) if apart else words["stability.norms_note"])


def _show_exponents(
    traces: Mapping[str, Trace], found: Mapping[str, Stability], words: Labels
) -> None:
    heading(words["card.lyapunov"])
    exponents = {label: part.exponents for label, part in found.items()}
    figure = plot_lyapunov(
        traces, exponents=exponents, height=320, language=words.language, dark=is_dark()
    )
    show_figure("lyapunov", figure, words)
    if any(len(part.exponents) < part.states for part in found.values()):
        note(words("stability.leading", n=min(len(e) for e in exponents.values())))
        return
    largest = ", ".join(f"{label} {_signed(float(e[0]))}" for label, e in exponents.items())
    note(words("stability.lyapunov_note", largest=largest))


def _signed(value: float) -> str:
    return "−∞" if np.isneginf(value) else f"{value:+.3f}".replace("-", "−")
