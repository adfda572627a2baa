"""Compiled time loops: forward, backward, row norms."""

from rnnviz.engine.kernels.backward import (
    MAX_GROWTH,
    NONLINEARITIES,
    forget_path,
    growth,
    gru_gradients,
    gru_reset_before_gradients,
    kept_exponent,
    lstm_gradients,
    rnn_gradients,
)
from rnnviz.engine.kernels.forward import cell_states, gru_states, lstm_states, rnn_states
from rnnviz.engine.kernels.row_norms import log_norms, stays_within

__all__ = [
    "MAX_GROWTH",
    "NONLINEARITIES",
    "cell_states",
    "forget_path",
    "growth",
    "gru_gradients",
    "gru_reset_before_gradients",
    "gru_states",
    "kept_exponent",
    "log_norms",
    "lstm_gradients",
    "lstm_states",
    "rnn_gradients",
    "rnn_states",
    "stays_within",
]
