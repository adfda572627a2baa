"""What is kept between reruns and shared by visitors; all of it bounded and never written to."""

from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from rnnviz.formats.characters import CharacterModel, load_character_model
from rnnviz.ordering import Order, order_units
from rnnviz.trace import Trace

ASSETS = Path(__file__).parents[2] / "assets"


@st.cache_resource(max_entries=3, show_spinner=False)
def character_model(cell: str) -> CharacterModel:
    """The shipped model of a cell."""
    return load_character_model(ASSETS / f"characters_{cell}.safetensors")


@st.cache_resource(max_entries=16, show_spinner=False)
def reading(cell: str, text: str) -> Trace:
    """The trace of a shipped model reading a text."""
    return character_model(cell).read(text)


@st.cache_resource(max_entries=16, show_spinner=False)
def expectations(cell: str, text: str) -> NDArray[np.float64]:
    """P(next character) after every character of a text, (time, vocabulary)."""
    return character_model(cell).next_character(reading(cell, text))


@st.cache_resource(max_entries=64, show_spinner=False)
def unit_order(cell: str, text: str, by: str) -> Order:
    """The units of a shipped model in an order, over a text."""
    return order_units(reading(cell, text), by, text)
