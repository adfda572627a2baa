"""Recurrent weights to look at and to change, beside their eigenvalues."""

import math
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from rnnviz.cells import GATE_NAMES
from rnnviz.errors import RnnvizError
from rnnviz.experiment import MOST_EDITED, Edit, Settings, with_edit
from rnnviz.locale import Labels
from rnnviz.plots.eigenvalues import plot_eigenvalues
from rnnviz.plots.weights import plot_recurrent_weights
from rnnviz.stability import pascanu_bound
from rnnviz.trace import Trace
from rnnviz.ui.cache import networks
from rnnviz.ui.figures import heading, note, show_figure
from rnnviz.ui.frame import is_dark, show_error
from rnnviz.ui.network_controls import input_gate


def show_weights(settings: Settings, words: Labels) -> None:
    """One gate's U as a heatmap, as a grid where it is small, and in the complex plane."""
    trace = networks(settings.network())[settings.cell]
    gate = settings.gate or GATE_NAMES[settings.cell][0]
    look = {"language": words.language, "dark": is_dark()}
    with st.container(key="cards_weights"):
        left, right = st.columns(2, gap="small")
    with left, st.container(key="card_weights"):
        heading(words["card.weights"])
        input_gate(words)
        figure = plot_recurrent_weights(trace, gate=gate, height=300, **look)
        show_figure("weights", figure, words)
        if settings.hidden <= MOST_EDITED:
            _input_weights(settings, gate, trace, words)
        else:
            note(words("weights.too_many", most=MOST_EDITED))
    with right, st.container(key="card_eigenvalues"):
        heading(words("card.eigenvalues", cell=settings.cell.upper()))
        label = settings.cell.upper()
        figure = plot_eigenvalues({label: trace}, height=372, **look)
        show_figure("eigenvalues", figure, words)
        note(_bound(trace, words))


def _bound(trace: Trace, words: Labels) -> str:
    """What the weights alone decide; of a plain RNN only."""
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


def _input_weights(settings: Settings, gate: str, trace: Trace, words: Labels) -> None:
    """The grid. It keeps its own changes, so it is given anew only when something else changed."""
    state = st.session_state
    state.setdefault("refused", (None, []))
    u = _matrix(trace, gate)
    base = (settings.network().model_copy(update={"edit": ()}), settings.cell, gate)
    changed_elsewhere = state.get("grid_edit") != settings.edit
    if state.get("grid_of") != base or changed_elsewhere:
        state.grid_of, state.grid_edit, state.grid_values = base, settings.edit, u
        state.grid_number = state.get("grid_number", 0) + 1
    key = f"grid_{state.grid_number}"
    with st.container(key="grid"):
        names = {str(k): state.grid_values[:, k] for k in range(len(u))}
        st.data_editor(
            names,
            key=key,
            num_rows="fixed",
            hide_index=False,
            column_config={
                name: st.column_config.NumberColumn(format="%.4g", width="small") for name in names
            },
            on_change=_edited,
            args=(key, base, settings, gate),
            alt=words["weights.grid"],
        )
    # until something changes
    for row, column, value in state.refused[1] if state.refused[0] == (base, settings.edit) else []:
        come = {"row": row, "column": column, "came": "—" if value is None else str(value)}
        show_error(RnnvizError("error.edited_weight", **come, kept=float(u[row, column])), words)
    own = [edit for edit in settings.edit if edit.place[:2] == (settings.cell, gate)]
    columns = st.columns([0.7, 0.3], vertical_alignment="center")
    with columns[0]:
        note(words("weights.edited", n=len(own)) if own else words["weights.edit"])
    if settings.edit:
        with columns[1]:
            st.button(words["weights.reset"], key="reset_edits", on_click=_reset, width="stretch")


def _matrix(trace: Trace, gate: str) -> NDArray[np.float64]:
    names = GATE_NAMES[trace.cell]
    return np.split(trace.parameters["weight_hh_l0"], len(names))[names.index(gate)]


def _edited(key: str, base: tuple[Any, ...], settings: Settings, gate: str) -> None:
    """The grid's changes become settings; what is no number is refused and changes nothing."""
    state = st.session_state
    edits, refused = state.edit, []
    changed: dict[int, dict[str, Any]] = state[key]["edited_rows"]
    for row, values in changed.items():
        for name, value in values.items():
            if value is None or not math.isfinite(value):
                refused.append((int(row), int(name), value))
                continue
            edit = Edit(settings.cell, gate, int(row), int(name), float(value))
            edits = with_edit(edits, edit)
    state.edit, state.refused = edits, ((base, edits), refused)
    # with something refused the grid is given anew, as it was
    state.grid_edit = None if refused else edits


def _reset() -> None:
    st.session_state.edit = ()
