"""Keras outputs of traces; tests/test_frameworks.py compares them with Keras itself."""

import numpy as np
import pytest
import torch

import rnnviz
from rnnviz.cells import ElmanCell, GRUCell, LSTMCell
from rnnviz.errors import RnnvizError
from rnnviz.explain.keras_outputs import select_outputs, write_keras
from rnnviz.recurrent import Recurrent

STEPS, BATCH = 6, 3


def inputs() -> torch.Tensor:
    return torch.randn(STEPS, BATCH, 2, generator=torch.Generator().manual_seed(0)).double()


def test_torchs_own_final_states_and_outputs():
    module = torch.nn.LSTM(2, 4, num_layers=2, bidirectional=True).double()
    with torch.no_grad():
        output, (h, c) = module(inputs())
    trace = rnnviz.trace(module, inputs())
    outputs, *states = select_outputs(trace, return_sequences=True, return_state=True)
    assert np.abs(outputs.values - output.numpy().swapaxes(0, 1)).max() < 1e-12
    assert [part.name for part in states] == ["forward_h", "forward_c", "backward_h", "backward_c"]
    expected = [h[2], c[2], h[3], c[3]]
    for part, state in zip(states, expected, strict=True):
        assert np.abs(part.values - state.numpy()).max() < 1e-12, part.name
    (last,) = select_outputs(trace)
    assert np.array_equal(last.values, np.concatenate([states[0].values, states[2].values], 1))
    assert dict(last.steps) == {"forward": (5,), "backward": (0,)}


def test_padded_sequences_give_their_last_valid_step():
    module = torch.nn.GRU(2, 4, bidirectional=True).double()
    lengths = [2, 6, 4]
    trace = rnnviz.trace(module, inputs(), lengths=lengths)
    _, forward, backward = select_outputs(trace, return_state=True)
    for place, length in enumerate(lengths):
        with torch.no_grad():
            _, h = module(inputs()[:length, place])
        assert np.abs(forward.values[place] - h[0].numpy()).max() < 1e-12
        assert np.abs(backward.values[place] - h[1].numpy()).max() < 1e-12
    assert dict(forward.steps) == {"forward": (1,)}
    (whole,) = select_outputs(trace, return_sequences=True)
    assert np.isnan(whole.values[0, 2:]).all()
    assert whole.steps["forward"] == (0, 1)


@pytest.mark.parametrize(
    ("module", "line"),
    [
        (torch.nn.RNN(2, 4), "keras.layers.SimpleRNN(4)"),
        (torch.nn.RNN(2, 4, nonlinearity="relu"), 'keras.layers.SimpleRNN(4, activation="relu")'),
        (ElmanCell(2, 4, "identity"), 'keras.layers.SimpleRNN(4, activation="linear")'),
        (torch.nn.GRU(2, 4, bias=False), "keras.layers.GRU(4, use_bias=False)"),
        (GRUCell(2, 4, reset_after=False), "keras.layers.GRU(4, reset_after=False)"),
        (
            torch.nn.LSTM(2, 4, bidirectional=True),
            "keras.layers.Bidirectional(keras.layers.LSTM(4))",
        ),
    ],
)
def test_the_keras_call(module: torch.nn.Module, line: str):
    trace = rnnviz.trace(module.double(), inputs())
    assert write_keras(trace) == f"layer = {line}\noutputs = layer(x)"


def test_the_keras_call_has_both_switches():
    module = Recurrent([[GRUCell(2, 4), GRUCell(2, 4)]]).double()
    call = write_keras(rnnviz.trace(module, inputs()), return_sequences=True, return_state=True)
    assert call == (
        "layer = keras.layers.Bidirectional("
        "keras.layers.GRU(4, return_sequences=True, return_state=True))\n"
        "outputs, forward_h, backward_h = layer(x)"
    )


def test_modules_without_a_keras_layer_raise():
    with pytest.raises(RnnvizError, match="The LSTM has peepholes, which Keras"):
        write_keras(rnnviz.trace(LSTMCell(2, 4, peephole=True).double(), inputs()))
    with pytest.raises(RnnvizError, match="The LSTM has a projection, which Keras cannot store"):
        write_keras(rnnviz.trace(torch.nn.LSTM(2, 4, proj_size=2).double(), inputs()))
