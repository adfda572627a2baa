"""A page with a grid alone, for tests/test_weights_browser.py; served by tests/grid_app.py."""

import time
from html import escape

import numpy as np
import streamlit as st

from rnnviz.locale import labels
from rnnviz.ui.components.grid import Numbers, input_grid
from rnnviz.ui.theme import is_dark

FIRST = {
    "one": np.array([[0.5, -0.25, 0.0], [123456.0, -1e300, 12.5], [-0.00342178, 3e-5, 0.034215]]),
    "two": np.array([[1.0, 2.0, 3.0], [-1.0, -2.0, -3.0], [0.1, 0.2, 0.3]]),
}


def take(of: str, row: int, column: int, value: float | None) -> None:
    numbers = st.session_state.numbers
    numbers.pop((of, row, column), None)
    if value is not None:
        numbers[of, row, column] = value


def main() -> None:
    st.set_page_config(layout="wide")
    state, asked = st.session_state, st.query_params
    state.setdefault("numbers", {})
    of = st.segmented_control("Of", list(FIRST), default="one", required=True, key="of")
    values = FIRST[of].copy()
    own = {place[1:]: value for place, value in state.numbers.items() if place[0] == of}
    for place, value in own.items():
        values[place] = value
    words = labels(asked.get("language", "en"))
    numbers = Numbers(values, of, own)
    input_grid("N", numbers, words, key="grid", on_change=take, dark=is_dark())
    time.sleep(float(asked.get("slow", 0)))
    state.runs = state.get("runs", 0) + 1  # runs that got this far
    st.html("<div style='height: 900px'></div>")
    st.html(f"<p class='rnnviz-count'>{escape(repr(state.numbers))} run {state.runs}</p>")


if __name__ == "__main__":
    main()
