"""How every card stands: its heading, its notes, its figures."""

from html import escape

import plotly.graph_objects as go
import streamlit as st

from rnnviz.locale import Labels
from rnnviz.plots.drawing import Drawing
from rnnviz.ui.live.chart import show_chart


def heading(text: str) -> None:
    """What a card is about."""
    st.html(f"<p class='rnnviz-heading'>{escape(text)}</p>")


def note(text: str) -> None:
    """A sentence in small print."""
    st.html(small_print(text))


def small_print(text: str) -> str:
    """The same as HTML, for ``show_words``."""
    return f"<p class='rnnviz-note'>{escape(text)}</p>"


def show_figure(name: str, figure: go.Figure | Drawing, words: Labels) -> None:
    """A figure under the key ``figure_<name>``, with the text that stands for it."""
    alt, failed = words[f"alt.{name}"], words["figure.failed"]
    show_chart(figure, key=f"figure_{name}", alt=alt, failed=failed)
