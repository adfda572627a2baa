"""Cards of the gradients page: recurrent weights that can be edited, and their eigenvalues."""

import streamlit as st

from rnnviz.cells import GATE_NAMES, GATES_AS_READ
from rnnviz.experiment import MOST_EDITED, Edit, GradientsPage, with_edit
from rnnviz.experiment.edits import edit_template
from rnnviz.locale import Labels
from rnnviz.plots.drawing import Drawing
from rnnviz.plots.eigenvalues import plot_eigenvalues
from rnnviz.plots.weights import plot_recurrent_weights
from rnnviz.stability import pascanu_bound
from rnnviz.trace import Trace
from rnnviz.trace_part import TracePart
from rnnviz.ui.cache import networks
from rnnviz.ui.cards import heading, note, show_figure, small_print
from rnnviz.ui.components.grid import Numbers, input_grid
from rnnviz.ui.components.live_text import show_words
from rnnviz.ui.components.live_updates import Live
from rnnviz.ui.gradients.controls import input_cell_and_gate
from rnnviz.ui.theme import is_dark


def show_weights(settings: GradientsPage, words: Labels, *, live: Live) -> None:
    """Draws one gate's U: a small one as a grid to edit, a larger one as a heatmap.

    live: what updates while a weight is dragged.
    """
    with st.container(key="card_weights"):
        heading(words["card.weights"])
        input_cell_and_gate(words)
        if settings.hidden <= MOST_EDITED:
            _input_weights(settings, words, live)
            return
        show_figure("weights", _weights(settings, words), words)
        st.button(
            words("weights.edit", most=MOST_EDITED),
            key="edit_weights",
            icon=":material/edit:",
            on_click=_shrink,
            width="stretch",
        )


def show_eigenvalues(settings: GradientsPage, words: Labels) -> None:
    """Draws the eigenvalues of U, and what they imply."""
    with st.container(key="card_eigenvalues"):
        heading(words("card.eigenvalues", cell=settings.cell.upper()))
        show_figure("eigenvalues", _eigenvalues(settings, words), words)
        show_words(_bound_note(settings, words), key="bound")


def _shrink() -> None:
    st.session_state.hidden = MOST_EDITED


def _shown(settings: GradientsPage) -> tuple[Trace, str]:
    """The trace of the selected cell, and its selected gate."""
    gate = settings.gate or GATES_AS_READ[settings.cell][0]
    return networks(settings.network())[settings.cell], gate


def _weights(settings: GradientsPage, words: Labels) -> Drawing:
    trace, gate = _shown(settings)
    return plot_recurrent_weights.drawn(
        trace, gate=gate, height=300, language=words.language, dark=is_dark()
    )


def _eigenvalues(settings: GradientsPage, words: Labels) -> Drawing:
    traces = {settings.cell.upper(): _shown(settings)[0]}
    return plot_eigenvalues.drawn(traces, height=372, language=words.language, dark=is_dark())


def _bound_note(settings: GradientsPage, words: Labels) -> str:
    above = words("card.eigenvalues", cell=settings.cell.upper())
    return small_print(_bound(_shown(settings)[0], words), words, below=above)


def _bound(trace: Trace, words: Labels) -> str:
    """What the weights of an Elman RNN imply for its gradients."""
    if trace.cell != "rnn":
        return words["eigenvalues.gated"]
    bound = pascanu_bound(trace)
    values = {"norm": bound.largest_singular_value, "threshold": bound.threshold}
    if trace.nonlinearity == "identity":
        return words("eigenvalues.linear", radius=bound.spectral_radius, **values)
    if bound.vanishing_is_certain:
        return words("eigenvalues.vanishes", **values)
    if bound.exploding_is_possible:
        return words("eigenvalues.may_explode", **values)
    return words("eigenvalues.neither", **values)


def _input_weights(settings: GradientsPage, words: Labels, live: Live) -> None:
    """Draws the grid, and how many of its weights are edited."""
    label, dark = words["weights.grid"], is_dark()
    numbers = _numbers(settings)
    input_grid(label, numbers, words, key="grid", on_change=_edit, live=live, dark=dark)
    if settings.edit:
        columns = st.columns([0.55, 0.45], vertical_alignment="center")
        with columns[0]:
            note(words("weights.edited", n=len(numbers.changed)))
        with columns[1]:
            st.button(words["weights.reset"], key="reset_edits", on_click=_reset, width="stretch")


def _numbers(settings: GradientsPage) -> Numbers:
    """U, and which of its weights are edited."""
    trace, gate = _shown(settings)
    own = [edit for edit in settings.edit if edit.place[:2] == (settings.cell, gate)]
    places = [(edit.row, edit.column) for edit in own]
    template = edit_template(settings.cell, gate)
    u = TracePart(trace).recurrent_weights(gate)
    return Numbers(u, f"{settings.cell}.{gate}", places, template)


def _edit(of: str, row: int, column: int, value: float | None) -> None:
    """Edits a weight of the gate "cell.gate"; None restores the initial value."""
    state = st.session_state
    cell, _, gate = of.partition(".")
    if gate not in GATE_NAMES.get(cell, ()):
        return
    if value is None:
        place = (cell, gate, row, column)
        state.edit = tuple(edit for edit in state.edit if edit.place != place)
    else:
        state.edit = with_edit(state.edit, Edit(cell, gate, row, column, value))


def _reset() -> None:
    st.session_state.edit = ()


LIVE_FIGURES = {"weights": _weights, "eigenvalues": _eigenvalues}
LIVE_TEXTS = {"bound": _bound_note}
