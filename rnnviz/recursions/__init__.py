"""What goes step by step through time, compiled (``steps``), and the sizes of its rows."""

from rnnviz.recursions.rows import log_norms, stays_within
from rnnviz.recursions.steps import (
    MOST,
    RNN_FORMS,
    cell_states,
    forget_path,
    growth,
    gru_gradients,
    gru_reset_before_gradients,
    lstm_gradients,
    rnn_gradients,
    room_for,
)

__all__ = [
    "MOST",
    "RNN_FORMS",
    "cell_states",
    "forget_path",
    "growth",
    "gru_gradients",
    "gru_reset_before_gradients",
    "log_norms",
    "lstm_gradients",
    "rnn_gradients",
    "room_for",
    "stays_within",
]
