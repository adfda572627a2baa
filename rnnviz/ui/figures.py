"""How every card stands: its heading, its notes, its figures."""

from html import escape

import plotly.graph_objects as go
import streamlit as st

from rnnviz.locale import Labels

PLOTLY = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d"]}


def heading(text: str) -> None:
    """What a card is about."""
    st.html(f"<p class='rnnviz-heading'>{escape(text)}</p>")


def note(text: str) -> None:
    """A sentence in small print."""
    st.html(f"<p class='rnnviz-note'>{escape(text)}</p>")


def show_figure(name: str, figure: go.Figure, words: Labels) -> None:
    """A figure in the container ``figure_<name>``, with the text that stands for it."""
    with st.container(key=f"figure_{name}"):
        st.plotly_chart(figure, theme=None, config=PLOTLY, alt=words[f"alt.{name}"])
