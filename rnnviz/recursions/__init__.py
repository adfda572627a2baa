"""What goes step by step through time, compiled: forwards (``states``), back (``steps``), rows."""

from rnnviz.recursions.rows import log_norms, stays_within
from rnnviz.recursions.states import cell_states, gru_states, lstm_states, rnn_states
from rnnviz.recursions.steps import (
    MOST,
    RNN_FORMS,
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
    "gru_states",
    "log_norms",
    "lstm_gradients",
    "lstm_states",
    "rnn_gradients",
    "rnn_states",
    "room_for",
    "stays_within",
]
