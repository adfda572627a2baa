"""By how much each step changes a network's state, and what the sentences need of it."""

import numpy as np
import pytest
import torch

import rnnviz
from rnnviz.errors import RnnvizError
from rnnviz.explain.state_changes import state_changes
from rnnviz.explain.unit_order import Order
from rnnviz.glossary import END, MIDDLE, START
from rnnviz.instrument.story_payload import compared_story, unit_story
from rnnviz.locale import labels


def test_changes_are_those_of_the_modules_own_states():
    module = torch.nn.LSTM(2, 3, num_layers=2, bidirectional=True, dtype=torch.float64)
    x = torch.randn(7, 2, dtype=torch.float64)
    h0 = torch.randn(4, 3, dtype=torch.float64)
    output, _ = module(x, (h0, torch.zeros_like(h0)))
    states = torch.cat([h0[2][None], output[:, :3]]).detach().numpy()  # the last layer, forward
    expected = np.linalg.norm(np.diff(states, axis=0), axis=1) / np.linalg.norm(states[:-1], axis=1)
    trace = rnnviz.trace(module, x, state=(h0, torch.zeros_like(h0)))
    assert state_changes(trace) == pytest.approx(expected, rel=1e-12)
    first = state_changes(trace, layer=0)
    assert first[0] == pytest.approx(
        np.linalg.norm(trace["hidden_state"].values[0, 0, 0, 0] - h0[0].numpy())
        / np.linalg.norm(h0[0].numpy())
    )


def test_there_is_no_change_relative_to_a_state_of_zeros():
    module = torch.nn.RNN(1, 2, nonlinearity="relu", bias=False)
    with torch.no_grad():
        module.get_parameter("weight_ih_l0").fill_(1)
        module.get_parameter("weight_hh_l0").fill_(0)
    found = state_changes(rnnviz.trace(module, torch.tensor([[1.0], [-1.0], [2.0], [3.0]])))
    assert np.isnan(found[[0, 2]]).all()
    assert found[[1, 3]].tolist() == [1.0, 0.5]


def test_a_layer_that_is_not_there_is_refused():
    trace = rnnviz.trace(torch.nn.GRU(1, 2), torch.ones(3, 1))
    with pytest.raises(RnnvizError):
        state_changes(trace, layer=1)


def test_the_scores_are_those_of_a_property_alone():
    scores = np.array([0.784, -0.5, np.nan])
    words = labels("en")
    story = unit_story(Order("inside_string", np.arange(3), scores), words)
    assert story["scores"] == ["+0.78", "−0.50", ""]
    unit, r = (f"{START}{t}{MIDDLE}" for t in ("unit", "correlation"))
    follows = f"{unit}Unit{END} {{unit}} follows “inside a string” ({r}r{END} = {{score}})."
    assert story["words"]["story.follows"] == follows
    varied = unit_story(Order("variance", np.array([2, 0, 1]), scores), words)
    assert (varied["scores"], varied["most"], story["most"]) == (None, 2, None)
    nothing = Order("indentation", np.arange(3), np.full(3, np.nan))
    assert unit_story(nothing, words)["scores"] is None


def test_compared_networks_have_percents_and_chances():
    module = torch.nn.RNN(1, 1, nonlinearity="relu", bias=False)
    with torch.no_grad():
        module.get_parameter("weight_ih_l0").fill_(1)
        module.get_parameter("weight_hh_l0").fill_(0)
    trace = rnnviz.trace(module, torch.tensor([[1.0], [1.5], [0.5]]))
    bits = {"one": np.array([1.0, 10.0, np.nan])}
    story = compared_story({"one": trace}, labels("en"), bits=bits)
    assert story["names"] == ["one"]
    assert story["changes"] == [[None, 50, 67]]
    assert story["chances"] == [["50%", "0.098%", ""]]
    assert compared_story({"one": trace}, labels("en"))["chances"] is None
