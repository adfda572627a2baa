"""What a loss function is called with, and what is said of one that cannot be called so."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_sequence

import rnnviz
from rnnviz import RnnvizError

X = torch.linspace(-1, 1, 36).reshape(6, 2, 3).double()
MODULES: dict[str, Any] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


def refusal(kind: str, loss: Any, inputs: Any = X) -> RnnvizError:
    with pytest.raises(RnnvizError) as caught:
        rnnviz.trace(MODULES[kind](3, 4).double(), inputs, loss=loss)
    assert caught.value.message("ko") != str(caught.value)
    return caught.value


def with_labels(scores: Tensor, labels: Tensor) -> Tensor:
    return (scores - labels).sum()


CRITERIA: dict[str, tuple[Any, str]] = {
    "MSELoss": (nn.MSELoss(), "input, target"),
    "CrossEntropyLoss": (nn.CrossEntropyLoss(), "input, target"),
    "NLLLoss": (nn.NLLLoss(), "input, target"),
    "TripletMarginLoss": (nn.TripletMarginLoss(), "anchor, positive, negative"),
    "CTCLoss": (nn.CTCLoss(), "log_probs, targets, input_lengths, target_lengths"),
    "mse_loss": (functional.mse_loss, "input, target"),
    "with_labels": (with_labels, "scores, labels"),
}


@pytest.mark.parametrize("kind", MODULES)
@pytest.mark.parametrize("name", CRITERIA)
def test_a_criterion_does_not_get_the_state_for_its_target(kind: str, name: str):
    loss, parameters = CRITERIA[name]
    assert str(refusal(kind, loss)) == (
        f"The loss {name} takes ({parameters}); a trace calls a loss with the output, or with the "
        "output and the final state, and knows no target. Pass a function of the output that has "
        "the target in it, such as lambda output: criterion(output, target)."
    )


def test_a_criterion_with_its_target_in_it():
    """Its gradient is that of autograd."""
    module = nn.GRU(3, 4).double()
    target = torch.zeros(6, 2, 4).double()
    output = module(X)[0].detach().requires_grad_()
    value = functional.mse_loss(output, target)
    value.backward()
    assert output.grad is not None
    losses = (lambda y: nn.MSELoss()(y, target), partial(functional.mse_loss, target=target))
    for loss in losses:
        trace = rnnviz.trace(module, X, loss=loss)
        assert trace.output_grad is not None
        assert trace.loss == pytest.approx(value.item(), rel=1e-14)
        assert np.abs(trace.output_grad - output.grad.numpy()).max() < 1e-16


class Broken(torch.autograd.Function):
    """Its backward fails."""

    @staticmethod
    def forward(_ctx: Any, y: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return y.sum()

    @staticmethod
    def backward(_ctx: Any, *_: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        raise KeyError("lost")


def raising(error: Exception) -> Callable[[Tensor], Tensor]:
    def loss(_: Tensor) -> Tensor:
        raise error

    return loss


OUTPUT = "Tensor (6, 2, 4)"
FAILING: dict[str, tuple[Any, str, str]] = {
    "division": (raising(ZeroDivisionError("by 0")), "ZeroDivisionError: by 0", OUTPUT),
    "stop": (raising(StopIteration("x")), "StopIteration: x", OUTPUT),
    "backward": (lambda y: Broken.apply(y), "KeyError: 'lost'", OUTPUT),
}


@pytest.mark.parametrize("name", FAILING)
def test_an_error_in_a_loss_is_the_cause_of_ours(name: str):
    loss, error, given = FAILING[name]
    found = refusal("gru", loss)
    assert str(found) == (
        f"The loss function {loss.__name__} fails with {error}. It was called with {given}: the "
        "output or, if it has two positional parameters without a default, the output and the "
        "final state. Check it with these."
    )
    assert found.__cause__ is not None
    assert type(found.__cause__).__name__ == error.split(":")[0]


@pytest.mark.parametrize(
    ("kind", "state"),
    [("gru", "Tensor (1, 2, 4)"), ("lstm", "(Tensor (1, 2, 4), Tensor (1, 2, 4))")],
)
def test_the_shapes_of_output_and_state_are_named(kind: str, state: str):
    def loss(_y: Tensor, _end: Any) -> Any:
        raise AttributeError("no such thing")

    assert refusal(kind, loss).values["given"] == f"Tensor (6, 2, 4), {state}"
    packed = pack_sequence([torch.ones(3, 3).double(), torch.ones(2, 3).double()])
    assert refusal(kind, loss, packed).values["given"] == f"PackedSequence (5, 4), {state}"


def test_an_error_of_ours_in_a_loss_stays_as_it_is():
    own = RnnvizError("error.empty_text")
    assert refusal("gru", raising(own)) is own


@pytest.mark.parametrize(
    ("loss", "came"),
    [
        (lambda y: y.sum().long(), "int64"),
        (lambda y: y.sum() > 0, "bool"),
        (lambda y: y.sum().to(torch.complex128), "complex128"),
    ],
)
def test_a_loss_is_a_real_number(loss: Any, came: str):
    assert str(refusal("gru", loss)) == (
        f"The loss function returned a tensor of dtype {came}; expected one real floating-point "
        "number. Return a real number that PyTorch can differentiate."
    )


def test_a_loss_that_draws_leaves_the_generator():
    module = nn.GRU(3, 4).double()
    before = torch.get_rng_state()
    rnnviz.trace(module, X, loss=lambda y: functional.dropout(y).sum())
    assert torch.equal(torch.get_rng_state(), before)
