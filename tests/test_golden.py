"""Fixed weights and inputs whose losses, states and gradients are known to the last digits.

With k a row of the packed weights, j a column and t a step, all from 0: 3 units, 2 inputs, 8
steps, one sequence, float64, and

    weight_ih[k, j] = sin(1.7 k + 0.9 j + 0.3) / 2       bias_ih[k] = sin(k) / 10
    weight_hh[k, j] = 0.6 cos(0.8 k − 1.1 j + 0.2)       bias_hh[k] = cos(2 k) / 10
    x_t[j] = sin(t / 2 + j) / (1 + j)    h_0[j] = 0.3 cos(j)    c_0[j] = 0.4 sin(1 + j)
    loss = Σ_t ½ (Σ_j cos(0.7 j) h_t[j] − sin(0.2 t))²
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import rnnviz
from rnnviz.cells import ElmanCell, GRUCell, LSTMCell

GOLDEN: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("golden.json").read_text())
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
UNITS, STEPS = 3, 8
WAYS: dict[str, dict[str, Callable[[], nn.Module]]] = {
    "RNN": {
        "stack": lambda: nn.RNN(2, 3),
        "torch cell": lambda: nn.RNNCell(2, 3),
        "own cell": lambda: ElmanCell(2, 3),
        "recurrent": lambda: rnnviz.Recurrent([[ElmanCell(2, 3)]]),
    },
    "GRU": {
        "stack": lambda: nn.GRU(2, 3),
        "torch cell": lambda: nn.GRUCell(2, 3),
        "own cell": lambda: GRUCell(2, 3),
        "recurrent": lambda: rnnviz.Recurrent([[GRUCell(2, 3)]]),
    },
    "LSTM": {
        "stack": lambda: nn.LSTM(2, 3),
        "torch cell": lambda: nn.LSTMCell(2, 3),
        "own cell": lambda: LSTMCell(2, 3),
        "recurrent": lambda: rnnviz.Recurrent([[LSTMCell(2, 3)]]),
    },
}


def numbers(count: int) -> Tensor:
    return torch.arange(count, dtype=torch.float64)


def golden_weights(kind: str) -> dict[str, Tensor]:
    k, j = numbers(GATES[kind] * UNITS), numbers(UNITS)
    return {
        "weight_ih": torch.sin(1.7 * k[:, None] + 0.9 * j[:2] + 0.3) / 2,
        "weight_hh": 0.6 * torch.cos(0.8 * k[:, None] - 1.1 * j + 0.2),
        "bias_ih": torch.sin(k) / 10,
        "bias_hh": torch.cos(2 * k) / 10,
    }


def golden_loss(output: Tensor) -> Tensor:
    read = output[:, 0] @ torch.cos(0.7 * numbers(UNITS))
    return ((read - torch.sin(0.2 * numbers(STEPS))) ** 2).sum() / 2


def golden_trace(kind: str, way: str) -> rnnviz.Trace:
    module = WAYS[kind][way]().double()
    weights = golden_weights(kind)
    for name, parameter in module.named_parameters():
        plain = name.rpartition(".")[2].removesuffix("_l0")
        parameter.data.copy_(weights[plain])
    t, j = numbers(STEPS), numbers(UNITS)
    x = torch.sin(t[:, None] / 2 + j[:2]) / (1 + j[:2])
    states = [0.3 * torch.cos(j)[None], 0.4 * torch.sin(1 + j)[None]]
    if way in ("stack", "recurrent"):
        states = [state[None] for state in states]
    state = tuple(states) if kind == "LSTM" else states[0]
    return rnnviz.trace(module, x[:, None], state, loss=golden_loss)


def check(name: str, found: Any, expected: Any) -> None:
    difference = np.abs(np.asarray(found) - np.asarray(expected))
    max_diff = float(difference.max())
    assert max_diff < 1e-12, f"{name}: {max_diff=:.1e}"


def steps_of(trace: rnnviz.Trace, name: str) -> np.ndarray:
    """(time, unit)."""
    return trace[name].values[0, 0, :, 0]


def norms(trace: rnnviz.Trace, name: str) -> np.ndarray:
    """‖∂L/∂s_t‖ for t = 0 … T, from the initial state on."""
    first = trace.initial_state[name].values[0, 0, 0]
    return np.linalg.norm(np.vstack([first, steps_of(trace, name)]), axis=1)


def weight_gradient(trace: rnnviz.Trace, kind: str) -> np.ndarray:
    """∂L/∂weight_hh = Σ_t δa_t h_{t−1}ᵀ; a GRU's candidate sees U h_{t−1} only through r."""
    gates = rnnviz.cells.GATE_NAMES[kind.lower()]
    d_a = {gate: steps_of(trace, f"grad_{gate}_preactivation") for gate in gates}
    if kind == "GRU":
        d_a["hidden_candidate"] = d_a["hidden_candidate"] * steps_of(trace, "reset_gate")
    first = trace.initial_state["hidden_state"].values[0, 0]
    before = np.vstack([first, steps_of(trace, "hidden_state")[:-1]])
    return np.hstack([d_a[gate] for gate in gates]).T @ before


@pytest.mark.parametrize("way", ["stack", "torch cell", "own cell", "recurrent"])
@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_the_known_numbers(kind: str, way: str):
    trace, golden = golden_trace(kind, way), GOLDEN[kind]
    check("loss", trace.loss, golden["loss"])
    check("h_T", steps_of(trace, "hidden_state")[-1], golden["h_T"])
    check("dLdh", norms(trace, "grad_hidden_state"), golden["dLdh"])
    check("dLdU_F", np.linalg.norm(weight_gradient(trace, kind)), golden["dLdU_F"])
    if kind == "LSTM":
        check("c_T", steps_of(trace, "cell_state")[-1], golden["c_T"])
        check("dLdc", norms(trace, "grad_cell_state"), golden["dLdc"])
        check("prod_f", steps_of(trace, "forget_gate").prod(axis=0), golden["prod_f"])
