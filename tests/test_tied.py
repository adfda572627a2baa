"""Parameters that layers, directions or biases share: their gradients, counts and files."""

from collections.abc import Callable
from copy import copy, deepcopy
from pathlib import Path
from pickle import dumps, loads
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import rnnviz
from rnnviz.cells import ElmanCell, GRUCell, LSTMCell
from tests.forging import opened


def share(module: nn.Module, name: str, other: str) -> None:
    """Makes a parameter the same as another one; the names are dotted paths."""
    *path, last = name.split(".")
    setattr(module.get_submodule(".".join(path)), last, module.get_parameter(other))


def ones() -> nn.Module:
    module = nn.RNN(1, 1, 2, nonlinearity="relu", bias=False).double()
    for parameter in module.parameters():
        nn.init.ones_(parameter)
    share(module, "weight_hh_l1", "weight_hh_l0")
    return module


def stack(kind: Callable[..., nn.Module], *pairs: str, **options: Any) -> nn.Module:
    torch.manual_seed(3)
    module = kind(3, 3, **options).double()
    for pair in pairs:
        share(module, *pair.split("="))
    return module


def cells(kind: Callable[..., Any], *, alike: bool) -> nn.Module:
    """Two layers of the same cell object, or of cells that share their recurrent weights."""
    torch.manual_seed(4)
    first, second = kind(3, 3).double(), kind(3, 3).double()
    if alike:
        return rnnviz.Recurrent([[first], [first]])
    second.weight_hh = first.weight_hh
    return rnnviz.Recurrent([[first], [second]])


MODULES: dict[str, Callable[[], nn.Module]] = {
    "layers": lambda: stack(nn.LSTM, "weight_hh_l1=weight_hh_l0", num_layers=2),
    "directions": lambda: stack(
        nn.GRU,
        "weight_hh_l0_reverse=weight_hh_l0",
        "bias_ih_l0_reverse=bias_ih_l0",
        bidirectional=True,
    ),
    "biases": lambda: stack(nn.GRU, "bias_hh_l0=bias_ih_l0"),
    "inputs": lambda: stack(nn.RNN, "weight_ih_l1=weight_hh_l0", num_layers=2),
    "a torch cell": lambda: stack(nn.LSTMCell, "bias_hh=bias_ih"),
    "an own cell": lambda: stack(ElmanCell, "weight_hh=weight_ih"),
    "cells": lambda: cells(GRUCell, alike=False),
    "one cell": lambda: cells(LSTMCell, alike=True),
    "reset before": lambda: cells(lambda *n: GRUCell(*n, reset_after=False), alike=False),
}
EVERY = pytest.mark.parametrize("name", MODULES)


def output(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The output sequence; that of a cell step after step."""
    if not isinstance(module, (nn.LSTMCell, ElmanCell)):
        return module(x)[0]
    state, hidden = None, []
    for x_t in x:
        state = module(x_t, state)
        hidden.append(state[0] if isinstance(state, tuple) else state)
    return torch.stack(hidden)


def test_the_example_of_two_layers_of_ones():
    trace = rnnviz.trace(ones(), torch.ones(3, 1).double(), loss="last")
    found = rnnviz.parameter_gradients(trace)
    assert {name: values.item() for name, values in found.items()} == {
        "weight_ih_l0": 6,
        "weight_hh_l0": 8,
        "weight_ih_l1": 6,
        "weight_hh_l1": 8,
    }
    assert rnnviz.count_parameters(ones()) == 3
    assert trace.tied == {"weight_hh_l1": "weight_hh_l0"}
    norms = rnnviz.weight_gradient_norms(trace)
    assert norms["total"].values == pytest.approx(8, rel=1e-15)
    assert norms["log10_total"].values == pytest.approx(np.log10(8), abs=1e-15)
    assert norms["contribution"].values[:, 0, :, 0].tolist() == [[0, 2, 2], [0, 1, 3]]
    assert norms["cancellation"].values == pytest.approx(1, rel=1e-15)


@EVERY
def test_gradients_and_counts_are_autograds(name: str):
    module, x = MODULES[name](), torch.randn(6, 2, 3).double()
    loss = output(module, x).square().sum()
    trace = rnnviz.trace(module, x, loss=lambda y: y.square().sum())
    assert trace.tied
    parameters = list(module.parameters())
    assert rnnviz.count_parameters(module) == sum(p.numel() for p in parameters)
    expected = torch.autograd.grad(loss, parameters)
    found = rnnviz.parameter_gradients(trace)
    distinct = list({id(values): values for values in found.values()}.values())
    assert len(distinct) == len(expected)
    by_values = {trace.parameters[n].tobytes(): n for n in found}
    for parameter, gradient in zip(parameters, expected, strict=True):
        own = found[by_values[parameter.detach().numpy().tobytes()]]
        assert float(np.abs(own - gradient.numpy()).max()) < 1e-12
    for other, first in trace.tied.items():
        assert found[other] is found[first]


@pytest.mark.parametrize("name", sorted(MODULES.keys() - {"inputs", "an own cell"}))
def test_the_sum_of_the_contributions_is_over_all_uses(name: str):
    """Except where U is also a W: its use for inputs is no part of the recurrence."""
    module = MODULES[name]()
    trace = rnnviz.trace(module, torch.randn(6, 2, 3).double(), loss="all")
    norms, gradients = rnnviz.weight_gradient_norms(trace), rnnviz.parameter_gradients(trace)
    places = list(np.ndindex(trace.layers, trace.directions))
    weights = [gradients[f"weight_hh_l{layer}{'_reverse' * d}"] for layer, d in places]
    for place, weight in zip(places, weights, strict=True):
        total = norms["total"].values[place]
        assert total == pytest.approx(np.linalg.norm(weight), rel=1e-12)
        users = [p for p, own in zip(places, weights, strict=True) if own is weight]
        sizes = sum(norms["contribution"].values[user].sum() for user in users)
        assert norms["cancellation"].values[place] == pytest.approx(total / sizes, rel=1e-12)


def test_totals_beyond_the_float_range_are_over_all_uses():
    """Both layers are linear with U = 4, so that gradients grow by 4 per step back."""
    cell = ElmanCell(1, 1, "identity", bias=False).double()
    with torch.no_grad():
        cell.weight_ih.fill_(1.0)
        cell.weight_hh.fill_(4.0)
    module = rnnviz.Recurrent([[cell], [cell]])
    trace = rnnviz.trace(module, 1e-300 * torch.ones(900, 1).double(), loss="last")
    norms = rnnviz.weight_gradient_norms(trace)
    separate = rnnviz.Recurrent([[deepcopy(cell)], [deepcopy(cell)]])
    alone = rnnviz.weight_gradient_norms(
        rnnviz.trace(separate, 1e-300 * torch.ones(900, 1).double(), loss="last")
    )
    apart = alone["log10_total"].values[:, 0] * np.log(10)
    expected = np.logaddexp(*apart) / np.log(10)  # all contributions are positive
    assert np.abs(norms["log10_total"].values - expected).max() < 1e-9


def test_a_module_without_shared_parameters_is_not_tied():
    module = nn.LSTM(3, 3, 2, bidirectional=True)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(0.1)
    assert rnnviz.trace(module, torch.ones(2, 3)).tied == {}


@pytest.mark.parametrize("ending", ["nc", "npz"])
def test_files_and_copies_keep_what_is_shared(ending: str, tmp_path: Path):
    trace = rnnviz.trace(MODULES["directions"](), torch.randn(4, 2, 3).double(), loss="last")
    trace.save(tmp_path / f"trace.{ending}")
    loaded = rnnviz.load_trace(tmp_path / f"trace.{ending}")
    expected = {"weight_hh_l0_reverse": "weight_hh_l0", "bias_ih_l0_reverse": "bias_ih_l0"}
    for again in (loaded, copy(trace), deepcopy(trace), loads(dumps(trace))):
        assert again.tied == expected
        assert again == trace
        gradients = rnnviz.parameter_gradients(again)
        for name, values in rnnviz.parameter_gradients(trace).items():
            assert np.array_equal(gradients[name], values)


@pytest.mark.parametrize(
    "tied", ["weight_hh_l0", "weight_hh_l0=weight_ih_l0", "weight_hh_l0=other", "=", ""]
)
def test_a_file_cannot_tie_parameters_that_differ(tied: str, tmp_path: Path):
    path, forged = tmp_path / "trace.npz", opened("rnn")
    forged.attributes["tied"] = tied
    forged.write(path)
    with pytest.raises(rnnviz.RnnvizError) as caught:
        rnnviz.load_trace(path)
    assert str(caught.value).startswith('"tied" in the trace is ')


def test_a_shared_gradient_counts_once_in_the_norm_that_clips():
    """As torch.nn.utils.clip_grad_norm_ of ``module.parameters()``."""
    module, x = ones(), torch.ones(3, 1).double()
    clipped = rnnviz.clip_by_norm(
        rnnviz.parameter_gradients(rnnviz.trace(module, x, loss="last")), 1.0
    )
    module(x)[0][-1].sum().backward()
    norm = float(nn.utils.clip_grad_norm_(module.parameters(), 1.0))
    assert clipped.norm == pytest.approx(norm, rel=1e-14)
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None
        assert clipped.gradients[name] == pytest.approx(parameter.grad.numpy(), rel=1e-14)
