"""Initialisations on every kind of module: values, seeds, and unchanged parameters."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats  # pyright: ignore[reportMissingTypeStubs]  # it has none
from torch import nn

import rnnviz
from rnnviz import initialise
from tests.cases import plain_case

MODULES: dict[str, Callable[[], nn.Module]] = {
    "rnn": lambda: nn.RNN(3, 5, 2, bidirectional=True),
    "lstm": lambda: nn.LSTM(3, 5, 2, bidirectional=True),
    "gru": lambda: nn.GRU(3, 5, 2, bidirectional=True, dtype=torch.float64),
    "projection": lambda: nn.LSTM(3, 5, 2, proj_size=2),
    "no bias": lambda: nn.RNN(3, 5, bias=False),
    "rnn cell": lambda: nn.RNNCell(3, 5),
    "lstm cell": lambda: nn.LSTMCell(3, 5),
    "gru cell": lambda: nn.GRUCell(3, 5),
    "own cell": lambda: rnnviz.cells.LSTMCell(3, 5),
    "recurrent": lambda: rnnviz.Recurrent.of(nn.GRU(3, 5, 2)),
}
GATED = ["lstm", "gru", "projection", "lstm cell", "gru cell", "own cell", "recurrent"]
SEEDED: dict[str, Callable[..., None]] = {
    "torch_default": initialise.torch_default,
    "xavier": initialise.xavier,
    "orthogonal": initialise.orthogonal,
    "chrono": lambda module, *, seed: initialise.chrono(module, 50, seed=seed),
}


def gates(module: nn.Module, part: str) -> list[np.ndarray]:
    """Every gate's rows of every parameter with part in its name, in float64."""
    count = {"RNN": 1, "GRU": 3, "LSTM": 4}[kind(module)]
    found = [p.detach().double() for name, p in module.named_parameters() if part in name]
    assert found
    return [gate.numpy() for p in found for gate in p.chunk(count)]


def kind(module: nn.Module) -> str:
    text = repr(module)
    return next(name for name in ("LSTM", "GRU", "RNN") if name in text)


def summed_biases(module: nn.Module) -> np.ndarray:
    """(layer and direction, gate, unit)."""
    sums = np.add(gates(module, "bias_ih"), gates(module, "bias_hh"))
    return sums.reshape(-1, {"GRU": 3, "LSTM": 4}[kind(module)], 5)


@pytest.mark.parametrize("module_name", MODULES)
@pytest.mark.parametrize("name", SEEDED)
def test_the_same_seed_gives_the_same_numbers(name: str, module_name: str):
    if name == "chrono" and module_name not in GATED:
        return
    modules = [MODULES[module_name]() for _ in range(3)]
    before = torch.get_rng_state()
    for module, seed in zip(modules, (1, 1, 2), strict=True):
        SEEDED[name](module, seed=seed)
    assert torch.equal(torch.get_rng_state(), before)
    changing = {"orthogonal": "weight_hh", "chrono": "bias_hh"}.get(name, "weight")
    for (path, first), same, other in zip(
        modules[0].named_parameters(), modules[1].parameters(), modules[2].parameters(), strict=True
    ):
        if changing in path:
            assert first.requires_grad
            assert not torch.equal(first, other)
            if name != "chrono":
                assert torch.equal(first, same)


def test_the_numbers_do_not_depend_on_the_dtype():
    modules = nn.LSTM(3, 5), nn.LSTM(3, 5).double()
    for module in modules:
        initialise.orthogonal(module, seed=0)
        initialise.xavier(module, seed=0)
    for single, double in zip(*(m.parameters() for m in modules), strict=True):
        assert torch.equal(single, double.float())


@pytest.mark.parametrize("module_name", MODULES)
def test_default_and_xavier_fill_their_ranges(module_name: str):
    module = MODULES[module_name]()
    initialise.torch_default(module, seed=0)
    drawn = np.concatenate([p.detach().double().numpy().ravel() for p in module.parameters()])
    bound = 1 / math.sqrt(5)
    assert stats.kstest(drawn, stats.uniform(-bound, 2 * bound).cdf).pvalue > 1e-3
    initialise.xavier(module, seed=0)
    for part in ("weight_ih", "weight_hh"):
        drawn = gates(module, part)
        scaled = np.concatenate([g.ravel() * math.sqrt(sum(g.shape) / 6) for g in drawn])
        assert stats.kstest(scaled, stats.uniform(-1, 2).cdf).pvalue > 1e-3
    for name, parameter in module.named_parameters():
        assert "bias" not in name or not parameter.any()


@pytest.mark.parametrize("module_name", MODULES)
def test_orthogonal_and_identity(module_name: str):
    module = MODULES[module_name]().double()
    inputs = gates(module, "weight_ih")
    initialise.orthogonal(module, seed=3, gain=1.5)
    found = gates(module, "weight_hh")
    for gate in found:
        values = np.linalg.svd(gate, compute_uv=False)
        assert np.abs(values - 1.5).max() < 1e-12
    assert not any(np.array_equal(found[0], other) for other in found[1:])
    initialise.identity(module, gain=0.5)
    for gate in gates(module, "weight_hh"):
        assert np.array_equal(gate, 0.5 * np.eye(*gate.shape))
    initialise.recurrent_gain(module, 3.0)
    for gate in gates(module, "weight_hh"):
        assert np.array_equal(gate, 1.5 * np.eye(*gate.shape))
    assert all(map(np.array_equal, inputs, gates(module, "weight_ih")))
    for name, parameter in module.named_parameters():
        assert "bias" not in name or not parameter.any()


@pytest.mark.parametrize("module_name", MODULES)
def test_spectral_radius_of_every_gate(module_name: str):
    module = MODULES[module_name]().double()
    for radius in (0.9, 1.3):
        initialise.spectral_radius(module, radius)
        projections = [p.detach().numpy() for n, p in module.named_parameters() if "_hr" in n]
        for k, gate in enumerate(gates(module, "weight_hh")):
            product = gate @ projections[k // 4] if projections else gate
            assert abs(np.abs(np.linalg.eigvals(product)).max() - radius) < 1e-12


@pytest.mark.parametrize("module_name", GATED)
def test_forget_bias_sets_the_sum_of_both_biases(module_name: str):
    module = MODULES[module_name]()
    before = summed_biases(module)
    initialise.forget_bias(module, 1.0)
    found = summed_biases(module)
    assert (found[:, 1] == 1).all()
    others = [k for k in range(found.shape[1]) if k != 1]
    assert np.array_equal(found[:, others], before[:, others])
    assert abs(1 / (1 + math.exp(-found[0, 1, 0])) - 0.7310585786) < 1e-9


@pytest.mark.parametrize("module_name", GATED)
def test_chrono_sets_the_sum_of_both_biases(module_name: str):
    module = MODULES[module_name]().double()
    before = summed_biases(module)
    initialise.chrono(module, 50, seed=0)
    found = summed_biases(module)
    steps = np.exp(found[:, 1])
    assert (steps > 1 - 1e-12).all()
    assert (steps < 49 + 1e-9).all()
    assert len(np.unique(steps)) == steps.size
    if kind(module) == "LSTM":
        assert np.array_equal(found[:, 0], -found[:, 1])
    kept = slice(2, None) if kind(module) == "LSTM" else [0, 2]
    assert np.array_equal(found[:, kept], before[:, kept])


def test_chrono_is_uniform_in_time():
    module: Any = nn.LSTM(1, 500).double()
    initialise.chrono(module, 1000, seed=0)
    bias = (module.bias_ih_l0 + module.bias_hh_l0).detach().numpy()[500:1000]
    assert stats.kstest(np.exp(bias), stats.uniform(1, 998).cdf).pvalue > 1e-2
    initialise.chrono(module, 2, seed=0)
    assert not (module.bias_ih_l0 + module.bias_hh_l0)[:1000].any()


def message(call: Callable[[], Any]) -> str:
    with pytest.raises(rnnviz.RnnvizError) as error:
        call()
    return str(error.value)


def test_invalid_initialisations_raise():
    rnn: Any = nn.RNN(1, 2)
    bare = nn.LSTM(1, 2, bias=False)
    for call in (
        lambda: initialise.forget_bias(rnn, 1.0),
        lambda: initialise.chrono(rnn, 10, seed=0),
    ):
        assert message(call) == (
            'The cell "rnn" has no gate that keeps its state; expected an LSTM (forget gate) or a '
            "GRU (update gate). Choose another cell or another initialisation."
        )
    assert message(lambda: initialise.forget_bias(bare, 1.0)) == (
        "The module has no biases, and this initialisation sets biases. Make the module with "
        "bias=True."
    )
    words = "{} is {}; expected {}. Choose another number."
    assert message(lambda: initialise.chrono(bare, 1, seed=0)) == words.format(
        "longest", 1, "2 ≤ x < ∞"
    )
    assert message(lambda: initialise.spectral_radius(rnn, -1.0)) == words.format(
        "radius", -1.0, "0 ≤ x < ∞"
    )
    assert message(lambda: initialise.recurrent_gain(rnn, math.nan)) == words.format(
        "gain", "nan", "−∞ < x < ∞"
    )
    nn.init.zeros_(rnn.weight_hh_l0)
    initialise.spectral_radius(rnn, 0.0)
    assert message(lambda: initialise.spectral_radius(rnn, 1.0)) == (
        "The recurrent weights weight_hh_l0 have spectral radius 0, and scaling cannot change "
        "that. Initialise them first, for example with random values."
    )


@pytest.mark.parametrize("form", ["peephole", "coupled", "coupled peephole", "reset before"])
def test_variants_are_initialised_per_gate(form: str):
    """A gate's bias is found by its role, wherever it is in the packed weights."""
    module = plain_case(form, "recurrent", layers=2, bidirectional=True).variant
    initialise.torch_default(module, seed=3)
    bound = 1 / math.sqrt(4)
    for parameter in module.parameters():
        assert parameter.abs().max().item() <= bound
        assert len(parameter.unique()) == parameter.numel()
    keeps = "update_gate" if form == "reset before" else "forget_gate"
    for parameter in module.parameters():
        with torch.no_grad():
            parameter.zero_()
    initialise.forget_bias(module, 1.0)
    x = torch.randn(3, 1, 3, dtype=torch.float64)
    gate = rnnviz.trace(module, x)[keeps].values
    assert np.abs(gate - 1 / (1 + math.exp(-1))).max() < 1e-15
    initialise.chrono(module, 100, seed=1)
    trace = rnnviz.trace(module, x)
    bias = trace[f"{keeps}_preactivation"].values[0, 0, 0, 0]
    assert (bias >= 0).all()
    assert (bias <= math.log(99)).all()
    if form != "reset before":
        assert np.abs(trace["input_gate"].values + trace[keeps].values - 1).max() < 1e-15
    initialise.orthogonal(module, seed=0, gain=0.5)
    for u in rnnviz.recurrent_spectra(rnnviz.trace(module, x)).values():
        assert np.abs(u.singular_values - 0.5).max() < 1e-12
    initialise.xavier(module, seed=0)
    for name, parameter in module.named_parameters():
        if "peephole" in name or "bias" in name:
            assert (parameter == 0).all(), name
