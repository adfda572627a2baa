"""The sections cost, conventions and Keras outputs alone, for tests/test_conventions_page.py.

It is not part of the app.
"""

import streamlit as st
import torch

import rnnviz
from rnnviz.cells import Form
from rnnviz.counting import Size
from rnnviz.locale import labels
from rnnviz.trace import Trace
from rnnviz.ui import frame
from rnnviz.ui.cards import apply_styles
from rnnviz.ui.compare.conventions import show_conventions
from rnnviz.ui.compare.cost import show_cost
from rnnviz.ui.compare.keras import show_keras

STACKS = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
SIZES = {cell.upper(): Size(Form(cell), 3, 16) for cell in ("rnn", "gru", "lstm")}
LARGE = {
    "<b>deep</b>": Size(
        Form("lstm", peephole=True), 3, 16, layers=2, directions=2, biases=1, proj_size=5
    )
}


def record(cell: str, directions: int, steps: int) -> Trace:
    torch.manual_seed(0)
    module = STACKS[cell](3, 4, bidirectional=directions == 2)
    return rnnviz.trace(module, torch.randn(steps, 1, 3))


def main() -> None:
    asked = st.query_params
    st.set_page_config(layout="wide")
    st.session_state.setdefault("convention_cell", "lstm")
    st.session_state.setdefault("convention_order", "torch")
    words = labels(asked.get("language", "en"))
    apply_styles(frame.STYLES, frame.page_colours())
    st.html("<p class='rnnviz-count'></p>")
    show_cost(LARGE if "large" in asked else SIZES, words)
    show_conventions(words)
    cell, directions = asked.get("cell", "lstm"), int(asked.get("directions", 1))
    show_keras(record(cell, directions, int(asked.get("steps", 20))), words)


if __name__ == "__main__":
    main()
