"""How the names of gradients correspond to those in ``named_parameters()``, as documented."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

import rnnviz
from rnnviz.cells import GRUCell

X = torch.linspace(-1, 1, 30).reshape(5, 2, 3).double()


def gradients(module: nn.Module, x: Tensor = X) -> dict[str, np.ndarray]:
    return rnnviz.parameter_gradients(rnnviz.trace(module, x, loss="all"))


def close(found: np.ndarray, expected: Tensor | None) -> bool:
    return expected is not None and bool(np.abs(found - expected.numpy()).max() < 1e-12)


def test_a_stack_has_the_names_of_torch():
    module = nn.LSTM(3, 4, 2, bidirectional=True, proj_size=2).double()
    module(X)[0].sum().backward()
    found = gradients(module)
    assert set(found) == {name for name, _ in module.named_parameters()}
    assert all(close(found[name], p.grad) for name, p in module.named_parameters())


@pytest.mark.parametrize("kind", [nn.GRUCell, GRUCell])
def test_a_cell_lacks_the_number_of_the_layer(kind: Any):
    cell = kind(3, 4).double()
    h, total = torch.zeros(2, 4).double(), torch.zeros(()).double()
    for x in X:
        h = cell(x, h)
        total = total + h.sum()
    total.backward()
    found = gradients(cell)
    assert {f"{name}_l0" for name, _ in cell.named_parameters()} == set(found)
    assert all(close(found[f"{name}_l0"], p.grad) for name, p in cell.named_parameters())


def test_layers_and_directions_of_a_recurrent():
    cells = [[GRUCell(3, 4), GRUCell(3, 4)], [GRUCell(8, 4), GRUCell(8, 4)]]
    module = rnnviz.Recurrent(cells).double()
    module(X)[0].sum().backward()
    found, names = gradients(module), list[str]()
    for layer in range(2):
        for direction, suffix in enumerate(("", "_reverse")):
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                names.append(f"{name}_l{layer}{suffix}")
                own = module.get_parameter(f"layers.{layer}.{direction}.{name}")
                assert close(found[names[-1]], own.grad)
    assert set(names) == set(found)


def test_a_parametrized_weight():
    module: Any = parametrizations.weight_norm(nn.GRU(3, 4).double(), "weight_hh_l0")
    found = gradients(module)
    module.weight_hh_l0.backward(torch.from_numpy(found["weight_hh_l0"]))
    originals = list(module.parametrizations.weight_hh_l0.parameters())
    by_hand = [p.grad.clone() for p in originals]
    module.zero_grad()
    module(X)[0].sum().backward()
    assert len(by_hand) == 2
    for original, expected in zip(originals, by_hand, strict=True):
        assert close(original.grad.numpy(), expected)


def test_a_pruned_weight():
    module: Any = prune.l1_unstructured(nn.GRU(3, 4).double(), "weight_hh_l0", 0.5)
    found = gradients(module)["weight_hh_l0"] * module.weight_hh_l0_mask.numpy()
    module(X)[0].sum().backward()
    assert "weight_hh_l0_orig" in dict(module.named_parameters())
    assert close(found, module.weight_hh_l0_orig.grad)


def test_frozen_parameters_have_gradients():
    module = nn.GRU(3, 4).double()
    expected = gradients(module)
    found = gradients(module.requires_grad_(False))
    assert all(np.array_equal(found[name], values) for name, values in expected.items())
    assert not any(p.requires_grad for p in module.parameters())


def test_each_step_has_a_loss_of_its_own_with_loss_all():
    """With U = 0 nothing is remembered: only loss="last" says so."""
    module = nn.RNN(3, 4).double()
    nn.init.zeros_(module.get_parameter("weight_hh_l0"))
    remembered = {
        loss: rnnviz.remembered_steps(rnnviz.trace(module, X[:, :1], loss=loss))
        for loss in ("last", "all")
    }
    assert remembered == {"last": 1, "all": 5}
    assert rnnviz.diagnose(rnnviz.trace(module, X, loss="all")).verdict == "healthy"
