"""A card with the arrays that a Keras layer would return for a trace."""

from html import escape

import streamlit as st

from rnnviz.explain.keras_outputs import Selected, select_outputs, write_keras
from rnnviz.locale import Labels
from rnnviz.trace import Trace
from rnnviz.ui.cards import apply_styles, heading, note
from rnnviz.ui.compare.cost import STYLES

MOST_SQUARES = 40  # steps shown; of a longer sequence its first and last ones


def show_keras(trace: Trace, words: Labels) -> None:
    """Draws two switches, the Keras code for them, and each returned array."""
    apply_styles(STYLES)
    with st.container(key="card_keras"):
        heading(words["card.keras"])
        left, right = st.columns(2)
        with left:
            sequences = st.toggle("return_sequences", key="return_sequences")
        with right:
            state = st.toggle("return_state", key="return_state")
        code = write_keras(trace, return_sequences=sequences, return_state=state)
        st.html(f"<pre class='rnnviz-code'>{escape(code)}</pre>")
        found = select_outputs(trace, return_sequences=sequences, return_state=state)
        st.html("".join(_returned(part, trace, words) for part in found))
        note(words["keras.note"])
        if trace.lengths is not None:
            note(words["keras.padded"])


def _returned(part: Selected, trace: Trace, words: Labels) -> str:
    """The array's name, its shape in words and numbers, and the steps that it contains."""
    sizes = zip(part.dims, part.values.shape, strict=True)
    shape = ", ".join(f"{words[f'keras.{dim}']} {size}" for dim, size in sizes)
    total = trace.steps
    rows = "".join(
        _steps(direction, chosen, total, words, named=trace.directions > 1)
        for direction, chosen in part.steps.items()
    )
    return (
        f"<div class='rnnviz-returned'><p class='name'>{escape(part.name)}</p>"
        f"<p class='rnnviz-note'>({escape(shape)})</p><span></span><div>{rows}</div></div>"
    )


def _steps(
    direction: str, chosen: tuple[int, ...], total: int, words: Labels, *, named: bool
) -> str:
    shown = range(total)
    if total > MOST_SQUARES:
        shown = [*range(MOST_SQUARES // 2), -1, *range(total - MOST_SQUARES // 2, total)]
    squares = "".join(
        "<span>…</span>" if step < 0 else f"<i{' class=on' if step in chosen else ''}></i>"
        for step in shown
    )
    if len(chosen) == 1:
        text = words("keras.at", t=chosen[0] + 1, steps=total)
    else:
        text = words("keras.every", steps=len(chosen))
    if named:
        text += f" ({words[f'keras.{direction}']})"
    return f"<div class='rnnviz-steps'>{squares}<span>{escape(text)}</span></div>"
