"""What every card is made of: a heading, notes and figures."""

import math
from collections.abc import Iterable
from html import escape
from pathlib import Path

import plotly.graph_objects as go
import streamlit as st

from rnnviz.glossary import TermMarks
from rnnviz.inputs.vocabulary import picture
from rnnviz.locale import Labels
from rnnviz.locale.numbers import times_power, write_number
from rnnviz.plots.drawing import Drawing
from rnnviz.shipped import read_shipped
from rnnviz.ui.components.chart import show_chart
from rnnviz.ui.session import session


def apply_styles(path: Path, colours: str = "") -> None:
    """Applies a style sheet to the page. RnnvizError if its file is damaged."""
    st.html(f"<style>{colours}{read_shipped(path)}</style>")


def heading(text: str) -> None:
    """Draws the heading of a card. The texts of a card have a mark at the first name of a term."""
    session.marked_terms = frozenset()
    st.html(f"<h2 class='rnnviz-heading'>{_with_new_terms(text)}</h2>")


def note(text: str) -> None:
    """Draws a sentence in small print."""
    st.html(f"<p class='rnnviz-note'>{_with_new_terms(text)}</p>")


def _with_new_terms(text: str) -> str:
    """The HTML of a text of a card, with marks at terms that the card has not named before."""
    marks = TermMarks(st.session_state.get("language", "en"), session.marked_terms)
    html = marks.html(text)
    session.marked_terms = marks.named
    return html


def note_unknown(characters: Iterable[str], words: Labels) -> None:
    """Draws a note on the characters that no network knows, if there are any."""
    unknown = sorted(set(characters))
    if unknown:
        # bdi, so that a right-to-left letter does not reorder its neighbours
        shown = " ".join(f"<bdi>{escape(picture(c))}</bdi>" for c in unknown[:12])
        text = words("strip.unknown_note", characters=shown + " …" * (len(unknown) > 12))
        st.html(f"<p class='rnnviz-note'>{text}</p>")


def small_print(text: str, words: Labels, *, below: str = "") -> str:
    """The HTML of a sentence in small print that live updates replace.

    below: the text above it in its card, which has marks of the terms that it names.
    """
    marks = TermMarks(words.language)
    marks.html(below)
    return f"<p class='rnnviz-note'>{marks.html(text)}</p>"


def show_figure(name: str, figure: go.Figure | Drawing, words: Labels) -> None:
    """Draws a figure under the key ``figure_<name>``, with its alternative text."""
    failed, save = words["figure.failed"], words["figure.save"]
    alt = words[f"alt.{name}"]
    show_chart(figure, key=f"figure_{name}", alt=alt, failed=failed, save=save)


def write_power(log10: float, digits: int = 3) -> str:
    """A number given by its logarithm: in full from 0.001 to 100,000, else as a power of ten.

    digits: significant ones of a number in full.
    """
    if not math.isfinite(log10):
        return {-math.inf: "0", math.inf: "∞"}.get(log10, "NaN")
    if -3 < log10 < 5:
        return write_number(10**log10, f".{digits}g")
    mantissa, exponent = f"{10 ** (log10 % 1):.1f}", math.floor(log10)
    if mantissa == "10.0":
        mantissa, exponent = "1.0", exponent + 1
    return times_power(mantissa, exponent)
