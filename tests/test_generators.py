"""No function changes the caller's random generators, whether it succeeds or fails."""

import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import rnnviz
from rnnviz import initialise
from rnnviz.cells import Form, GRUCell
from rnnviz.inputs.signals import make_signal
from tests.test_traces_expected import FIGURES, TABLE

FEATURES = torch.linspace(-1, 1, 30).reshape(5, 2, 3)


def states_of_generators() -> list[Any]:
    of_numpy = np.random.get_state()  # noqa: NPY002
    return [torch.get_rng_state().tolist(), str(of_numpy), random.getstate()]


def undrawn(call: Callable[[], Any]) -> None:
    """Asserts that a call, or its error, leaves the generators as they were."""
    before = states_of_generators()
    with suppress(rnnviz.RnnvizError):
        call()
    assert states_of_generators() == before


@pytest.mark.parametrize(
    "loss", ["last", "worst", lambda y: y.foo], ids=["good", "unknown", "failing"]
)
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_trace(kind: Any, loss: Any):
    plain = kind(3, 4, num_layers=2, dropout=0.5, bidirectional=True)
    spectral = nn.utils.parametrizations.spectral_norm(kind(3, 4), "weight_hh_l0")
    hooked = kind(3, 4)
    hooked.register_forward_pre_hook(lambda _module, _inputs: torch.rand(1) and None)
    hold = {"hidden_state": 0.5, "input_gate": 2.0}
    for module in (plain, spectral, hooked, rnnviz.Recurrent([[GRUCell(3, 4)]])):
        undrawn(lambda module=module: rnnviz.trace(module, FEATURES, loss=loss))
        undrawn(lambda module=module: rnnviz.trace(module, FEATURES, loss=loss, hold=hold))


@pytest.mark.parametrize("name", TABLE | FIGURES)
def test_functions_of_a_trace(name: str):
    function = (TABLE | FIGURES)[name]
    trace = rnnviz.trace(nn.LSTM(3, 4), FEATURES, loss="last")
    undrawn(lambda: function(trace))
    undrawn(lambda: function(None))


def test_everything_else(tmp_path: Path):
    module: Any = nn.LSTM(3, 4)
    trace = rnnviz.trace(module, FEATURES, loss="last")
    jacobians = rnnviz.jacobians(trace)
    calls: dict[str, Callable[[], Any]] = {
        "save": lambda: trace.save(tmp_path / "a.npz"),
        "load": lambda: rnnviz.load_trace(tmp_path / "a.npz"),
        "backward_norms": lambda: rnnviz.backward_norms(jacobians),
        "bounds": lambda: rnnviz.bound_backward_norms(jacobians, rank=2, exact=1),
        "growth": lambda: rnnviz.transient_growth(jacobians),
        "exponents": lambda: rnnviz.lyapunov_exponents(jacobians, leading=2),
        "singular values": lambda: rnnviz.log_singular_values(jacobians),
        "no Jacobians": lambda: rnnviz.lyapunov_exponents(np.ones(3)),
        "count": lambda: rnnviz.count_parameters(module),
        "fit": lambda: rnnviz.fit_hidden(Form("gru"), 3, 500),
        "orthogonal": lambda: initialise.orthogonal(module, seed=1),
        "xavier": lambda: initialise.xavier(module, seed=1),
        "torch": lambda: initialise.torch_default(module, seed=1),
        "chrono": lambda: initialise.chrono(module, 10, seed=1),
        "no seed": lambda: initialise.xavier(module, seed="a"),  # pyright: ignore[reportArgumentType]
        "clip": lambda: rnnviz.clip_by_norm({"w": np.ones(3)}, 1.0),
        "signal": lambda: make_signal("noise", 9, seed=1),
    }
    for call in calls.values():
        undrawn(call)
