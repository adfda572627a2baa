"""Loss functions that depend on more than their arguments."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.nn.utils.rnn import pack_sequence

import rnnviz
from rnnviz import RnnvizError
from rnnviz.cells import GRUCell

D: dict[str, Any] = {"dtype": torch.float64}


def ones(rate: float = 0.5) -> nn.RNN:
    """h_t = x_t + rate · h_{t−1}."""
    module = nn.RNN(1, 1, nonlinearity="relu", bias=False, **D)
    with torch.no_grad():
        module.get_parameter("weight_ih_l0").fill_(1)
        module.get_parameter("weight_hh_l0").fill_(rate)
    return module


def read_by(loss: Callable[..., Tensor], module: nn.Module, *given: Any) -> object:
    """The names in the refusal of a loss."""
    with pytest.raises(RnnvizError) as caught:
        rnnviz.trace(module, *given, loss=loss)
    assert caught.value.key == "error.loss_reads"
    return caught.value.values["names"]


def test_a_penalty_on_the_weights_is_refused_and_its_value_alone_is_taken():
    module, x = ones(), torch.ones(2, 1, **D)
    u = module.get_parameter("weight_hh_l0")
    assert read_by(lambda y: y.sum() + (u**2).sum(), module, x) == "weight_hh_l0"
    trace = rnnviz.trace(module, x, loss=lambda y: y.sum() + (u.detach() ** 2).sum())
    assert trace.loss == 2.5 + 0.25
    assert rnnviz.parameter_gradients(trace)["weight_hh_l0"].tolist() == [[1.0]]  # h_1
    assert u.grad is None


def test_weights_that_serve_as_an_output_layer_are_refused():
    module = nn.GRU(3, 4, **D)
    x, u = torch.randn(5, 3, **D), module.get_parameter("weight_hh_l0")
    assert read_by(lambda y: (y @ u[:4]).sum(), module, x) == "weight_hh_l0"

    def decayed(_: Tensor, h: Tensor) -> Tensor:
        return h.sum() + sum((p**2).sum() for p in module.parameters())

    names = "weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0"
    assert read_by(decayed, module, x) == names
    cell = GRUCell(3, 4).double()
    w = cell.get_parameter("weight_hh")
    assert read_by(lambda y: y.sum() + w.norm(), cell, x) == "weight_hh"


def test_inputs_and_states_that_are_learned_are_refused_unless_detached():
    module = ones()
    x = torch.ones(2, 1, **D, requires_grad=True)
    h = torch.zeros(1, 1, **D, requires_grad=True)
    assert read_by(lambda y: ((y - x) ** 2).sum(), module, x) == "inputs"
    assert read_by(lambda y: (y - h).sum(), module, x, h) == "state"
    embedded = 2 * x  # no leaf
    assert read_by(lambda y: mse_loss(y, embedded), module, embedded) == "inputs"
    packed = pack_sequence([x])
    assert read_by(lambda y: y.data.sum() + packed.data.sum(), module, packed) == "inputs"
    # y = (1, 1.5): dL/dx = 2 (y − 1) · dy/dx with the target fixed
    trace = rnnviz.trace(module, x, loss=lambda y: ((y - x.detach()) ** 2).sum())
    assert trace["grad_input"].values.ravel().tolist() == [0.5, 1.0]


def test_what_needs_no_gradient_and_other_modules_may_be_read():
    module, x = ones(), torch.ones(2, 1, **D)
    w = module.get_parameter("weight_ih_l0").requires_grad_(False)
    head = nn.Linear(1, 1, **D)
    trace = rnnviz.trace(module, x, loss=lambda y: head(y).sum() + w.sum() + (y - x).sum())
    assert trace.output_grad is not None
    assert np.abs(trace.output_grad - head.weight.item() - 1).max() < 1e-15
    assert head.weight.grad is None
