"""What goes step by step through time, compiled: forwards (``states``), back (``steps``), rows."""

from rnnviz.engine.kernels.backward import (
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
from rnnviz.engine.kernels.forward import cell_states, gru_states, lstm_states, rnn_states
from rnnviz.engine.kernels.row_norms import log_norms, stays_within

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
