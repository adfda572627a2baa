"""A step of one's own that draws random numbers or remembers is refused, and the cause is named."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, linear

import rnnviz
from rnnviz import Hold, RnnvizError
from rnnviz.cells import ElmanCell, HeldStep, LSTMCell, as_computed

REPEATS = "A trace repeats steps, so each must give the same again. "
RANDOM = (
    "The step of {} draws random numbers: called again with the same x and state, it returns other "
    'values of "{}". ' + REPEATS + "Leave dropout and noise out of the step, or draw them only if "
    "self.training, which is off here."
)
REMEMBERS = (
    "The step of {} remembers earlier calls: called again with the same x and state, it returns "
    'other values of "{}". ' + REPEATS + "Keep what the step carries on in the state that it takes "
    "and returns."
)


class Plain(ElmanCell):
    """Its step without what the others add."""

    def changed(self, h: Tensor) -> Tensor:
        return h

    def step(self, x: Tensor, state: Tensor, held: HeldStep = as_computed) -> Any:
        a = linear(x, self.weight_ih) + linear(state, self.weight_hh)
        return held("hidden_state", self.changed(a.tanh())), {"hidden_preactivation": a}


class Dropping(Plain):
    def changed(self, h: Tensor) -> Tensor:
        return dropout(h, 0.5)


class FromNumPy(Plain):
    def changed(self, h: Tensor) -> Tensor:
        return h + np.random.rand()  # noqa: NPY002


class FromPython(Plain):
    def changed(self, h: Tensor) -> Tensor:
        return h * random.random()


class Counting(Plain):
    calls = 0

    def changed(self, h: Tensor) -> Tensor:
        self.calls += 1
        return h + 0.01 * self.calls


class CountingLate(Counting):
    """The same for the first calls."""

    def changed(self, h: Tensor) -> Tensor:
        return super().changed(h) if self.calls > 20 else super().changed(0 * h)


class Buffered(Plain):
    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.mean = nn.Buffer(torch.zeros(hidden_size))

    def changed(self, h: Tensor) -> Tensor:
        self.mean.add_(h.detach().mean())
        return h - self.mean


class Attached(Plain):
    """Remembers in a tensor that is no buffer, which a copy of its attributes shares."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.last = torch.zeros(1)

    def changed(self, h: Tensor) -> Tensor:
        self.last.add_(0.25)
        return h + self.last


class NoisyGate(Plain):
    """The state is not random, a gate is."""

    def step(self, x: Tensor, state: Tensor, held: HeldStep = as_computed) -> Any:
        h, gates = super().step(x, state, held)
        return h, {**gates, "noise": torch.rand_like(h)}


class DroppingLSTM(LSTMCell):
    def step(self, x: Tensor, state: Any, held: HeldStep = as_computed) -> Any:
        (h, c), gates = super().step(x, state, held)
        return (h, dropout(c, 0.5)), gates


class InTraining(Plain):
    def changed(self, h: Tensor) -> Tensor:
        return dropout(h, 0.5, self.training)


class Discarding(Plain):
    """Draws numbers that change nothing."""

    def changed(self, h: Tensor) -> Tensor:
        return h + 0 * (torch.rand_like(h) + np.random.rand() + random.random())  # noqa: NPY002


REFUSED: dict[type[Any], str] = {
    Dropping: RANDOM.format("Dropping", "hidden_state"),
    FromNumPy: RANDOM.format("FromNumPy", "hidden_state"),
    FromPython: RANDOM.format("FromPython", "hidden_state"),
    NoisyGate: RANDOM.format("NoisyGate", "noise"),
    DroppingLSTM: RANDOM.format("DroppingLSTM", "cell_state"),
    Counting: REMEMBERS.format("Counting", "hidden_state"),
    CountingLate: REMEMBERS.format("CountingLate", "hidden_state"),
    Buffered: REMEMBERS.format("Buffered", "hidden_state"),
    Attached: REMEMBERS.format("Attached", "hidden_state"),
}


def states_of_generators() -> list[Any]:
    of_numpy = np.random.get_state()  # noqa: NPY002
    return [torch.get_rng_state().tolist(), str(of_numpy), random.getstate()]


@pytest.mark.parametrize("steps", [1, 30])
@pytest.mark.parametrize("kind", REFUSED, ids=lambda kind: kind.__name__)
def test_a_step_that_does_not_repeat_is_refused(kind: type[Any], steps: int):
    if kind is CountingLate and steps == 1:
        steps = 22  # remembers, but not so soon
    cell = kind(3, 4)
    before = states_of_generators()
    options: list[dict[str, Any]] = [{}, {"loss": "last"}]
    options.append({"hold": {"hidden_state": Hold(0.5, [0], start=steps - 1)}})
    for given in options:
        with pytest.raises(RnnvizError) as caught:
            rnnviz.trace(cell, torch.ones(steps, 2, 3), **given)
        assert str(caught.value) == REFUSED[kind]
        assert caught.value.message("ko").startswith(f"{kind.__name__} 셀의 step이")
        assert states_of_generators() == before
    assert getattr(cell, "calls", 0) == 0
    for name in ("last", "mean"):
        assert not getattr(cell, name, torch.zeros(1)).any()


@pytest.mark.parametrize("directions", [1, 2])
def test_the_layer_that_draws_is_found(directions: int):
    cells = [[Plain(3, 4) for _ in range(directions)]]
    cells.append([Dropping(4 * directions, 4) for _ in range(directions)])
    with pytest.raises(RnnvizError) as caught:
        rnnviz.trace(rnnviz.Recurrent(cells), torch.ones(5, 2, 3))
    assert str(caught.value) == REFUSED[Dropping]


def test_dropout_that_is_on_in_training_alone_is_off():
    cell = InTraining(3, 4).train().double()
    x = torch.randn(6, 2, 3).double()
    found = rnnviz.trace(cell, x, loss="last")
    h = torch.zeros(2, 4).double()
    for x_t in x:
        h = torch.tanh(x_t @ cell.weight_ih.T + h @ cell.weight_hh.T)
    assert np.abs(found.array("hidden_state")[0, 0, -1] - h.detach().numpy()).max() < 1e-15
    assert cell.training


# Everything that follows the step of a user's own.
FOLLOWING: dict[str, Callable[[rnnviz.Trace], Any]] = {
    "jacobians": rnnviz.jacobians,
    "gradient_norms": rnnviz.gradient_norms,
    "parameter_gradients": rnnviz.parameter_gradients,
    "weight_gradient_norms": rnnviz.weight_gradient_norms,
    "plain_pass": rnnviz.plain_pass,
    "plain_pass in half precision": lambda trace: rnnviz.plain_pass(trace, dtype="float16"),
    "sensitivity_norms": rnnviz.sensitivity_norms,
    "diagnose": rnnviz.diagnose,
    "remembered_steps": rnnviz.remembered_steps,
}


@pytest.mark.parametrize("name", FOLLOWING)
def test_numbers_that_a_step_draws_in_vain_are_drawn_again(name: str):
    """The caller's torch draws what it would have drawn without the call."""
    cell = Discarding(3, 4)
    before = states_of_generators()
    trace = rnnviz.trace(cell, torch.ones(400, 1, 3), loss="last")
    assert states_of_generators() == before
    FOLLOWING[name](trace)
    assert states_of_generators()[0] == before[0]
