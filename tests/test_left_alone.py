"""Tracing does not modify its arguments, and a trace cannot be modified."""

import copy
import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

import rnnviz
from tests.cases import Case, plain_case

FORMS = ["tanh", "relu", "lstm", "gru"]
WAYS = ["stack", "torch cell", "own cell", "recurrent"]


def a_case(form: str, way: str) -> Case:
    layers = 1 if "cell" in way else 2
    return plain_case(form, way, layers=layers, dropout=0.5, padding="lengths")


def tensors(case: Case) -> dict[str, Tensor]:
    return {"x": case.x, **case.initial, **dict(case.module.named_parameters())}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", FORMS)
def test_module_and_inputs_are_unchanged(form: str, way: str):
    case = a_case(form, way)
    parts = list(case.module.modules())
    parts[-1].training = False  # a part in eval mode inside a module in train mode
    modes = [part.training for part in parts]
    parameters = list(case.module.parameters())
    parameters[0].grad = torch.ones_like(parameters[0])
    parameters[-1].requires_grad_(False)
    grads = [parameter.grad for parameter in parameters]
    wanted = [parameter.requires_grad for parameter in parameters]
    before = {name: value.detach().clone() for name, value in tensors(case).items()}
    versions = {name: value._version for name, value in tensors(case).items()}
    attributes = set(vars(case.module))
    surroundings = (
        torch.get_rng_state().tolist(),
        torch.get_num_threads(),
        torch.is_grad_enabled(),
    )
    case.trace()
    assert [part.training for part in parts] == modes
    assert all(p.grad is grad for p, grad in zip(parameters, grads, strict=True))
    assert torch.equal(parameters[0].grad, torch.ones_like(parameters[0]))
    assert [parameter.requires_grad for parameter in parameters] == wanted
    assert set(vars(case.module)) == attributes
    assert all(torch.equal(value, before[name]) for name, value in tensors(case).items())
    assert {name: value._version for name, value in tensors(case).items()} == versions
    after = (torch.get_rng_state().tolist(), torch.get_num_threads(), torch.is_grad_enabled())
    assert after == surroundings


@pytest.mark.parametrize("way", WAYS)
def test_forward_hooks_are_called_as_a_call_of_the_module_does(way: str):
    """A trace shows what module(x) computes, hooks included, and runs no backward hook."""
    case = a_case("lstm", way)
    called: list[str] = []
    handles: list[Any] = []
    for name, part in case.module.named_modules():
        for register, when in (
            (part.register_forward_pre_hook, "before"),
            (part.register_forward_hook, "after"),
            (part.register_full_backward_hook, "back"),
        ):
            handles.append(
                register(lambda *_, name=name, when=when: called.append(f"{when} {name}"))
            )
    for parameter in case.module.parameters():
        parameter.register_hook(lambda _: called.append("gradient"))
    case.trace()
    expected = ["before ", "after "]
    if "cell" in way:
        expected *= case.steps
    if way == "recurrent":
        steps = [f"{when} layers.{n}.0" for n in (0, 1) for _ in range(5) for when in WHEN]
        expected[1:1] = steps
    assert called == expected
    for handle in handles:
        handle.remove()
    case.trace()
    assert called == expected, "the hooks can still be removed"


WHEN = ("before", "after")


def test_a_module_is_restored_after_an_error():
    module = nn.LSTM(2, 3, 2, dropout=0.5)
    x = torch.ones(4, 2, requires_grad=True)

    def loss(_: Tensor) -> Tensor:
        raise KeyError("mine")

    with pytest.raises(rnnviz.RnnvizError, match="KeyError: 'mine'") as caught:
        rnnviz.trace(module, x, loss=loss)
    assert isinstance(caught.value.__cause__, KeyError)
    assert module.training
    assert x.grad is None


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", FORMS)
def test_no_array_can_be_written_to(form: str, way: str):
    trace = a_case(form, way).trace()
    assert trace.lengths is not None
    found = [trace.lengths, *trace.parameters.values()]
    found += [trace[name].values for name in trace]
    found += [values.values for values in trace.initial_state.values()]
    assert not any(values.flags.writeable for values in found)
    with pytest.raises(ValueError, match="read-only"):
        trace["hidden_state"].values[:] = 1.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        trace.cell = "other"  # pyright: ignore[reportAttributeAccessIssue]  # the error under test
    with pytest.raises(TypeError):
        trace.parameters["weight"] = found[0]  # pyright: ignore[reportIndexIssue]  # the error under test
    with pytest.raises(TypeError, match="unhashable"):
        hash(trace)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", FORMS)
def test_changing_the_arguments_later_does_not_change_the_trace(form: str, way: str):
    case = a_case(form, way)
    lengths = torch.tensor(case.lengths)
    kept: list[Tensor] = []

    def loss(y: Tensor) -> Tensor:
        kept.append(y)
        return y.square().sum()

    trace = rnnviz.trace(case.module, case.x, case.state, lengths=lengths, loss=loss)
    copied = copy.deepcopy(trace)
    with torch.no_grad():
        for value in (*tensors(case).values(), lengths, *kept):
            value.zero_()
    assert trace == copied


def test_changing_an_array_later_does_not_change_the_trace():
    module, x = nn.RNN(2, 3), np.ones((4, 2))
    trace = rnnviz.trace(module, x)
    x[:] = 0
    assert (trace["input"].values == 1).all()


def test_changing_a_packed_sequence_later_does_not_change_the_trace():
    x = torch.ones(4, 2, 2)
    packed = pack_padded_sequence(x, torch.tensor([4, 3]))
    trace = rnnviz.trace(nn.GRU(2, 3), packed)
    packed.data.zero_()
    assert (trace["input"].values[:3] == 1).all()


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))]
)
def test_copies_are_equal_and_read_only(again: Any):
    trace = a_case("lstm", "stack").trace()
    copied = again(trace)
    assert copied == trace
    assert (copied.names, copied.cell, copied.loss) == (trace.names, trace.cell, trace.loss)
    assert copied.lengths is not None
    found = [copied.lengths, *copied.parameters.values(), *(copied[n].values for n in copied)]
    assert not any(values.flags.writeable for values in found)
